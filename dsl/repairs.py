"""Which one change of the text would make the figures hold: where a figure is wrong, and the mistake is elsewhere.

The figures of an `expect` table say that something is wrong, not where. So small changes are tried, one at a time:
another number, a setting more or less, a line more or less, two lines the other way round, another source. The change
that makes every figure of the table hold is where to look. Most changes are told apart without building, by the part of
the digest that is of ops alone (`predicted.py`): those that lead to these ops come first, those that do not are left
out, and the others are built. What is built is bounded by its nodes, never by time: the same file gets the same words
on every machine.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from ogive.dsl import syntax as s
from ogive.dsl.graph import Graph
from ogive.dsl.load import Unit
from ogive.dsl.meter import metered
from ogive.dsl.predicted import Same
from ogive.dsl.repairs_numbers import all_near, by_parameters, halved, near_to, usual_near, where_quadratic
from ogive.dsl.repairs_search import Repair, Row, Search, Spent
from ogive.dsl.repairs_units import reached
from ogive.dsl.source import Span
from ogive.dsl.trees import exchanged
from ogive.dsl.variations import (
    Number,
    Variation,
    cells_beside,
    cells_varied,
    inputs_turned,
    inputs_varied,
    numbers,
    settings_fewer,
    settings_guessed,
    settings_varied,
)
from ogive.dsl.variations_arguments import arguments_added, arguments_unread, comparisons_varied, lines_of_unread
from ogive.dsl.variations_lines import (
    Longer,
    lines_added,
    lines_fewer,
    lines_moved,
    lines_said,
    sources_varied,
)

__all__ = ["Repair", "Row", "repairs"]

NODES = 9_000
"""Nodes that are built at most while looking, for all tables of a file together, which takes about a second."""
LEAPS = 4
"""Numbers that are tried in place of one that something is compared to."""
LARGER = 16
"""How many times larger another number of the definition may be, to be tried in place of one."""
FAR = 10
"""Lines that a line more counts for, where changes near to a mistake come first."""
SHOWN = 3


def repairs(
    unit: Unit, rows: Sequence[Row], graph: Graph | None, near: Sequence[Span] = (), unread: Container[str] = ()
) -> list[Repair]:
    """The changes of one place each that make every row hold, at most `SHOWN`; where there is a digest, the only one.
    Where none does, those that make all but the digests hold, for want of the name of a line.

    Args:
        rows: what must hold of each network of the table; first the one that is built most often, a small one that is
            wrong.
        graph: that network as it is; None where it does not build.
        near: where its mistakes show then.
        unread: names that no result of it needs, where it builds.
    """
    search = Search(unit, rows, graph, NODES, near, unread)
    found: list[Repair] = []
    with metered(), suppress(Spent):
        for repair in _tried(search):
            if all(r.span != repair.span for r in found):
                found.append(repair)
            if rows[0].exact or len(found) == SHOWN:
                break
    return found or search.nameless[:SHOWN]


def _tried(search: Search) -> Iterator[Repair]:
    if search.left <= 0:
        return
    definitions = reached(search.unit, {row.network.partition(".")[0] for row in search.rows})
    wrong = {r.network.partition(".")[2].strip('"') for r in search.rows if r.wrong}
    of_one = wrong != {""} and len(wrong) == 1
    if not of_one or all(r.wrong for r in search.rows):
        yield from _at_the_ends(search, definitions)
    else:
        for definition in definitions:
            for value, beside in cells_beside(definition, wrong):
                yield from _first(search, definition, value, beside[:LEAPS])
        for definition in definitions:
            search.look()
            yield from _numbers(search, definition, True)
        yield from _numbers_again(search, search.left // 3)
        for definition in definitions:
            yield from _each(search, definition, cells_varied(definition, wrong))
        of_one = False
        yield from _at_the_ends(search, definitions)
    yield from _near_by(search, definitions)
    yield from _among(search, definitions, of_one)
    for definition, value in search.idlers:
        yield from _first(search, definition, value, (1, 2, 0))


def _at_the_ends(search: Search, known: Sequence[s.Definition]) -> Iterator[Repair]:
    """What few builds tell: inputs with other axes; of a network that stands, a line that could read what nothing does,
    and an argument that could be what nothing reads."""
    for definition in known:
        if search.graph is None or isinstance(definition, s.Network):
            yield from _each(search, definition, inputs_turned(definition))
    if search.graph is None:
        return
    same_ops = search.prediction is not None and search.prediction.right
    for definition in known:
        ports = inputs_varied(definition, False) if isinstance(definition, s.Network) and not same_ops else ()
        for number in numbers(definition) if same_ops else ():
            if number.named:
                yield from _first(search, definition, number.node, _leaping(number))
        reading = (c for c in sources_varied(definition) if c.reads in search.unread) if search.unread else ()
        yield from _each(search, definition, (*ports, *reading))
    for definition in known if not same_ops else ():
        yield from _each(search, definition, arguments_unread(definition, known))
        for longer in lines_added(definition, list(lines_of_unread(definition)), known):
            yield from _change(search, definition, longer, known)


def _near_by(search: Search, known: Sequence[s.Definition]) -> Iterator[Repair]:
    """What a network that does not build is wrong in is likely near to where it shows: changes that move a shape, the
    nearest first, by half of what may be built."""
    found: list[tuple[int, s.Definition, Variation | Longer]] = []
    for definition in known:
        span = definition.span
        lines = [x.line for x in search.near if x.source is span.source and span.start <= x.start < span.end]
        for _, change in _changes([definition], known, True) if lines else ():
            first = change if isinstance(change, Variation) else change.first
            if not first.shapeless:  # a line that is forgotten is seldom the cause: it is tried as if it stood far away
                away = min(abs(first.span.line - line) for line in lines) + (0 if first is change else FAR)
                found.append((away, definition, change))
    kept = search.left // 2
    for _, definition, change in sorted(found, key=lambda x: x[0]):
        if search.left < kept:
            return
        yield from _change(search, definition, change, known)


def _among(search: Search, known: Sequence[s.Definition], of_one: bool) -> Iterator[Repair]:
    """The changes in the definitions; of the numbers of presets, those of one that stands alone."""
    later: list[tuple[s.Definition, Variation | Longer]] = []
    same_ops = search.prediction is not None and search.prediction.right
    for definition in known if same_ops else ():
        yield from _each(search, definition, lines_moved(definition))
    for definition, change in _changes(known, known, search.graph is None):
        likely = search.likely(change)
        if likely:
            yield from _change(search, definition, change, known)
        elif likely is None:
            later.append((definition, change))
    for definition in known if search.graph is not None and not same_ops else ():
        for number in numbers(definition):
            if number.compared:
                yield from _first(search, definition, number.node, _leaping(number))
    for definition in known:
        search.look()
        yield from _numbers(search, definition, False)
        if of_one:
            yield from _numbers(search, definition, True)
    for definition in known if search.graph is not None and not same_ops else ():
        yield from _each(search, definition, lines_moved(definition))
    yield from _numbers_again(search, search.left // 3)
    for definition, change in sorted(later, key=_is_same):  # where the ops are others, the wiring is seldom the cause
        yield from _change(search, definition, change, known)


def _is_same(tried: tuple[s.Definition, Variation | Longer]) -> bool:
    change = tried[1]
    return isinstance(change, Variation) and isinstance(change.effect, Same)


def _changes(
    definitions: Sequence[s.Definition], known: Sequence[s.Definition], broken: bool
) -> Iterator[tuple[s.Definition, Variation | Longer]]:
    """Every change but of a number: those that are written by accident most often first."""
    lines = lines_said(known)
    for varied in (
        lambda d: settings_varied(d, known), settings_fewer, lambda d: inputs_varied(d, broken),
        lambda d: lines_moved(d) if broken else (), sources_varied, comparisons_varied,
        lambda d: arguments_added(d, known), lines_fewer,
        lambda d: lines_added(d, lines, known), lambda d: settings_guessed(d, known),
    ):
        for definition in definitions:
            for change in varied(definition):
                yield definition, change


def _each(search: Search, definition: s.Definition, changes: Iterable[Variation]) -> Iterator[Repair]:
    for change in changes:
        if search.holds(definition, change.make()):
            yield Repair(change.span, change.words)


def _change(
    search: Search, definition: s.Definition, change: Variation | Longer, known: Sequence[s.Definition]
) -> Iterator[Repair]:
    """Try a change; a line more that needs a name under each that the weights of the digest have room for."""
    if isinstance(change, Variation):
        yield from _each(search, definition, [change])
        return
    if change.named is None or not search.rows[0].digest:
        yield from _each(search, definition, [change.first])
        return
    if change.scope in search.unnamed:  # keys are as much others wherever it stands in that scope
        return
    graph = search.build(definition, change.first.make(), search.rows[0].network)
    if graph is None:
        return
    name = search.name_of(graph, known)
    if name is not None:
        yield from _each(search, definition, [change.named(name)])
    elif search.rows[0].figures(graph):
        search.unnamed.add(change.scope)
        search.nameless.append(Repair(change.first.span, change.first.words, False))


# ------------------------------------------------------------------------------------------------ numbers
def _numbers(search: Search, definition: s.Definition, of_preset: bool) -> Iterator[Repair]:
    """Another number in one place, of presets where one is wrong. One build with half of the number tells which numbers
    lead to the ops of the digest; where none does by even steps, the number is kept to be looked at again."""
    row = search.rows[0]
    wrong = {r.network.partition(".")[2].strip('"') for r in search.rows if r.wrong}
    found = [x for x in numbers(definition) if (x.preset is not None) is of_preset and (
        x.preset is None or wrong == {x.preset})]
    others = [] if search.graph is not None else [x.node.value for x in found if isinstance(x.node.value, int)]
    for number in found:
        value, here = number.node, number.node.value
        assert isinstance(here, int)
        if number.compared:
            if search.graph is None:
                yield from _first(search, definition, value, _leaping(number))
            continue
        probe, candidates = None, search.direct(number.effect, here)
        if candidates is None:
            step = max(here, 1) if search.prediction is None else halved(here)
            other = None if search.graph is None else _at(definition, value, here + step)
            probe = None if other is None else search.build(definition, other, row.network)
            if probe is not None and search.prediction is not None:
                holds = search.prediction.along(here, step, probe)
                candidates = [n for n in all_near(here) if holds(n)]
        if not candidates:
            search.numbers.append((definition, value, probe, others))
        yield from _first(search, definition, value, candidates or ())


def _leaping(number: Number) -> list[int]:
    """What to try in place of a number that a name is made with or something is compared to: it goes by leaps, and no
    two builds tell of a third."""
    here = number.node.value
    assert isinstance(here, int)
    return [n for n in dict.fromkeys(near_to(here)) if n >= 0 and n != here][:LEAPS]


def _numbers_again(search: Search, kept: int) -> Iterator[Repair]:
    """The numbers that were kept, tried one by one: of each what is likeliest first. `kept` nodes are left for other
    changes."""
    rounds: list[tuple[s.Definition, s.Constant, list[int]]] = []
    while search.numbers and search.left >= kept:
        definition, value, probe, others = search.numbers.pop(0)
        if probe is None and search.graph is not None:
            assert isinstance(value.value, int)
            other = _at(definition, value, value.value + halved(value.value))
            probe = search.build(definition, other, search.rows[0].network)
        assert isinstance(value.value, int)
        usual = [n for n in others if n <= LARGER * max(value.value, LARGER)]  # what is built grows with it
        candidates = [*_sought(search, definition, value, probe), *usual]
        rounds.append((definition, value, list(dict.fromkeys(candidates))))
    for place in range(max((len(candidates) for _, _, candidates in rounds), default=0)):
        for definition, value, candidates in rounds:
            if search.left < kept:
                return
            yield from _first(search, definition, value, candidates[place : place + 1])


def _first(
    search: Search, definition: s.Definition, value: s.Constant, candidates: Iterable[int]
) -> Iterator[Repair]:
    """The first of some numbers with which everything holds."""
    for number in dict.fromkeys(candidates):
        if number != value.value and number >= 0 and search.holds(definition, _at(definition, value, number)):
            yield Repair(value.span, f"with `{number}` here")
            return


def _at(definition: s.Definition, value: s.Constant, number: int) -> s.Definition:
    """The definition with another number in one place."""
    literal = replace(value, value=number, literal=str(number))
    return exchanged(definition, value, literal)  # type: ignore[no-any-return]


def _sought(
    search: Search, definition: s.Definition, value: s.Constant, probe: Graph | None
) -> list[int]:
    """What to try in place of a number, by what another in its place does."""
    here, now, row = value.value, search.graph, search.rows[0]
    assert isinstance(here, int)
    step = max(here, 1)
    if probe is None or now is None:
        return [*near_to(here), *(usual_near(here) if here >= 10 else [])]
    if search.idle(probe):
        search.idlers.append((definition, value))
        return []
    if not search.suspect(probe):
        return [] if here < 10 else [here - 1, here + 1]  # a size that does not divide moves by leaps
    if row.params is None or row.params == now.parameter_count:
        return near_to(here)
    if search.prediction is not None:
        found = near_to(here) if here < 10 else [*near_to(here), *usual_near(here)]
        return by_parameters(found, here, halved(here), now.parameter_count, probe.parameter_count, row.params)
    second = search.build(definition, _at(definition, value, here + 2 * step), row.network)
    points = None if second is None else (now.parameter_count, probe.parameter_count, second.parameter_count)
    solved = () if points is None else where_quadratic(points, row.params)
    whole = [round(here + step * x) for x in solved if abs(step * x - round(step * x)) < 1e-6]
    return [*whole, *(near_to(here) if here < 10 else [] if whole else [*near_to(here), *usual_near(here)])]
