"""Which one change of the text would make the figures hold: where a figure is wrong, and the mistake is elsewhere.

The figures of an `expect` table say that something is wrong, not where. So small changes are tried, one at a time:
another number, a setting more or less, a line more or less, two lines the other way round, another source. The change
that makes every figure of the table hold is where to look. What is tried is bounded by the nodes that are built for
it, never by time: the same file gets the same words on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import sqrt

from ogive.dsl import syntax as s
from ogive.dsl.build import build
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.graph import Graph
from ogive.dsl.load import Definition, Unit
from ogive.dsl.meter import metered, spend, spent
from ogive.dsl.source import Span
from ogive.dsl.trees import exchanged, names_read
from ogive.dsl.variations import inputs_varied, lines_varied, numbers, settings_guessed, settings_varied

__all__ = ["Repair", "Row", "repairs"]

NODES = 30_000
"""Nodes that are built at most while looking, for all tables of a file together, which takes a few seconds."""
NODE = 12
"""Steps that a node takes, its line counted: what does not build counts for the steps that it took."""
TRY = 5 * NODE
"""Steps that a change counts for, however little of it is built."""
SHOWN = 3


@dataclass(frozen=True)
class Row:
    """What one network of the table should have. `wanted` holds the printed figures that can be compared."""

    network: str
    holds: Callable[[Graph], bool]
    features: Callable[[Graph], Mapping[str, object]]
    off: Mapping[str, bool]
    """Of each feature, whether it is another one now than it should be."""
    params: int | None
    """The parameters, where they are printed digit for digit."""
    wrong: bool
    """Whether it does not have it now."""
    exact: bool
    """Whether a network that has all of this is the one that is meant: there is a digest."""


@dataclass(frozen=True)
class Repair:
    """A place, and what would stand there: `with 64 here`."""

    span: Span
    words: str


@dataclass
class _Search:
    """What is tried for one table: the file, what must hold of its networks, the nodes that may be built."""

    unit: Unit
    rows: Sequence[Row]
    graph: Graph | None
    nodes: int

    @property
    def left(self) -> int:
        """The nodes that are left."""
        return self.nodes - spent() // NODE

    def look(self) -> None:
        """Look through the file once more, which counts for a node a definition.

        Raises:
            _Spent: nothing is left.
        """
        if self.left <= 0:
            raise _Spent
        spend(NODE * len(self.unit.file.definitions))

    def build(self, old: s.Definition, new: s.Definition, name: str) -> Graph | None:
        """A network with one definition changed; None where that does not build.

        Raises:
            _Spent: nothing is left.
        """
        if self.left <= 0:
            raise _Spent
        spend(TRY)
        try:
            return build(_with(self.unit, old, new, {}), name).graph
        except ArchError:
            return None

    def holds(self, old: s.Definition, new: s.Definition) -> bool:
        for row in self.rows:
            graph = self.build(old, new, row.network)
            if graph is None or not row.holds(graph):
                return False
        return True

    def suspect(self, graph: Graph, small: bool) -> bool:
        """Whether a change moved just those features that are off: what moves others is not the cause.

        A small number may be one of several that all do the same (`stride != 1`), so one that moves nothing stays.
        """
        row = self.rows[0]
        if self.graph is None:
            return True
        now, then = row.features(graph), row.features(self.graph)
        if small and now == then:
            return True
        return all((now[name] != then[name]) is off for name, off in row.off.items())


class _Spent(Exception):
    pass


def repairs(unit: Unit, rows: Sequence[Row], graph: Graph | None) -> list[Repair]:
    """The changes of one place each that make every row hold, at most `SHOWN`; where there is a digest, the only one.

    Args:
        rows: what must hold of each network of the table; first the one that is built most often, a small one that is
            wrong.
        graph: that network as it is; None where it does not build.
    """
    search = _Search(unit, rows, graph, NODES)
    found: list[Repair] = []
    with metered(), suppress(_Spent):
        for repair in _tried(search):
            if all(r.span != repair.span for r in found):
                found.append(repair)
            if rows[0].exact or len(found) == SHOWN:
                break
    return found


def _tried(search: _Search) -> Iterator[Repair]:
    if search.left <= 0:
        return
    definitions = _reached(search.unit, {row.network.partition(".")[0] for row in search.rows})
    half = search.left // 2
    for of_preset in (True, False):
        for definition in definitions:
            search.look()
            yield from _numbers(search, definition, of_preset, half)
    for varied in (settings_varied, inputs_varied, lines_varied, settings_guessed):
        for definition in definitions:
            search.look()
            for variation in varied(definition, search.unit):
                if search.holds(definition, variation.tree):
                    yield Repair(variation.span, variation.words)


# ------------------------------------------------------------------------------------------------ numbers
def _numbers(search: _Search, definition: s.Definition, of_preset: bool, kept: int) -> Iterator[Repair]:
    """Another number in one place. One build with twice the number tells whether it can be the cause, and where the
    parameters are wrong, one more tells which number it should be. Numbers of presets are tried where one is wrong,
    and `kept` nodes are left for other changes."""
    row = search.rows[0]
    now = None if search.graph is None else search.graph.parameter_count
    wrong = {r.network.partition(".")[2].strip('"') for r in search.rows if r.wrong}
    found = [v for v, preset in numbers(definition) if (preset is not None) is of_preset and (
        preset is None or wrong == {preset})]
    others = [] if search.graph is not None else [v.value for v in found if isinstance(v.value, int)]
    for value in found:
        if search.left < kept:
            return
        here = value.value
        assert isinstance(here, int)

        def at(number: int, value: s.Constant = value) -> s.Definition:
            literal = replace(value, value=number, literal=str(number))
            return exchanged(definition, value, literal)  # type: ignore[no-any-return]

        step = max(here, 1)
        probe = None if now is None else search.build(definition, at(here + step), row.network)
        if probe is not None and not search.suspect(probe, here < 10):
            continue
        candidates = [*_near(here), *others]
        if probe is not None and now is not None and row.params is not None and row.params != now:
            second = search.build(definition, at(here + 2 * step), row.network)
            if second is not None:
                solved = _solved((now, probe.parameter_count, second.parameter_count), row.params)
                candidates = [round(here + step * x) + d for x in solved for d in (0, -1, 1)]
                candidates += _near(here) if here < 10 else []
        for number in dict.fromkeys(candidates):
            if number != here and number >= 0 and search.holds(definition, at(number)):
                yield Repair(value.span, f"with `{number}` here")
                break


def _near(number: int) -> list[int]:
    """Numbers that are easily mistaken for another: near ones, doubles and halves, powers of ten; small ones."""
    near = [number - 1, number + 1, number * 2, number // 2, number - 2, number + 2, number * 4, number // 4]
    return [*near, *range(10)] if number < 10 else [*near, number * 10, number // 10]


def _solved(points: tuple[int, int, int], wanted: int) -> list[float]:
    """Where the quadratic through (0, 1, 2) takes a value: parameters are quadratic in a width."""
    c = points[0] - wanted
    a = (points[2] - 2 * points[1] + points[0]) / 2
    b = points[1] - points[0] - a
    if a == 0:
        return [-c / b] if b else []
    root = b * b - 4 * a * c
    return [] if root < 0 else [x for x in ((-b + sqrt(root)) / (2 * a), (-b - sqrt(root)) / (2 * a)) if abs(x) < 1e6]


# ------------------------------------------------------------------------------------------------ the file, changed
def _reached(unit: Unit, networks: Container[str]) -> list[s.Definition]:
    """The definitions that some networks of a file use, however far, themselves among them; first those of the file, as
    they stand there."""
    found: list[s.Definition] = [d for d in unit.file.definitions if d.name in networks]
    todo: list[tuple[s.Definition, Unit]] = [(d, unit) for d in found]
    while todo:
        node, home = todo.pop(0)
        for name, _ in names_read(node):
            other = home.names.get(name)
            if other is not None and all(other.node is not d for d in found):
                found.append(other.node)
                todo.append((other.node, other.unit))
    here = [d for d in unit.file.definitions if any(d is x for x in found)]
    found = here + [x for x in found if all(x is not d for d in here)]
    return [d for d in found if isinstance(d, s.Network | s.Block | s.Derived)]


def _with(unit: Unit, old: s.Definition, new: s.Definition, made: dict[int, Unit]) -> Unit:
    """A unit, and the units it imports from, with one definition exchanged."""
    if id(unit) in made:
        return made[id(unit)]
    definitions = tuple(new if d is old else d for d in unit.file.definitions)
    copy = replace(unit, file=replace(unit.file, definitions=definitions), names={})
    made[id(unit)] = copy
    for name, d in unit.names.items():
        copy.names[name] = None if d is None else Definition(
            new if d.node is old else d.node, _with(d.unit, old, new, made)
        )
    return copy
