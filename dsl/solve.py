"""`?` in place of a number: the number that the shapes decide, or the list of those that fit.

The network is built once with an unknown in place of each `?` (`symbolic.py`). What its promises, residuals, ties and
asserts demand of the unknown is read off as equations; each root is tried by building the network with it. A number is
only ever filled in when an equation, or the figure of an `expect` row, leaves no other. Otherwise numbers are tried one
by one, and the error lists those that fit.

An unknown stands for a whole number from 1 on. A width of 1 that fits only because an axis of size 1 stretches is not
meant when an equation names another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.asked import numbers_in, title_of
from ogive.dsl.built import Attempt
from ogive.dsl.diagnostics import Diagnostic
from ogive.dsl.dims import Dim, Poly, symbols
from ogive.dsl.figures import bounds
from ogive.dsl.load import Definition
from ogive.dsl.roots import reach, roots
from ogive.dsl.source import Span
from ogive.dsl.symbolic import CARRIES_NO_FURTHER, Symbolic
from ogive.dsl.unknown import unknown
from ogive.dsl.work import Mistakes

__all__ = ["Network", "Once", "solve"]

Once = Callable[..., Attempt]
"""`once(answers)`, `once(answers, kind)`: the network built with these answers."""
Network = tuple[Definition, str | None, Once]
"""A definition, the preset that is meant, and what builds it."""

SMALL: Final = range(1, 65)
SHOWN: Final = 16


def solve(network: Network, bases: Callable[[], Iterable[Network]]) -> Attempt:
    """The network with a number in place of each `?`; its mistakes are those of the file, or of the `?`s.

    `bases` are the networks that this one is derived from, the next one first: what decides a `?` there decides it
    here, where nothing else does.
    """
    first = network[2]({})
    if not first.work.asked or first.work.mistakes:
        return first
    return _Solver(*network, bases).solved(list(first.work.asked))


class _Solver:
    def __init__(
        self, definition: Definition, preset: str | None, once: Once, bases: Callable[[], Iterable[Network]] = tuple
    ) -> None:
        self.definition = definition
        self.preset = preset
        self.once = once
        self.bases = bases

    def solved(self, asked: list[Span]) -> Attempt:
        """Answers for every `?`, in the order they are met; one may hide others."""
        answers: dict[Span, Dim] = {}
        while True:
            open_ = [span for span in asked if span not in answers]
            found = self._decided(open_, answers) or self._inherited(open_)
            if not found:
                return self._refused(open_, answers)
            answers |= found
            made = self.once(answers)
            if made.built is not None or made.work.mistakes:
                return made if made.built is not None else self._unfit(found, made)
            asked = [*answers, *made.work.asked]

    def _inherited(self, asked: list[Span]) -> dict[Span, Dim]:
        """What the nearest network that this one is derived from, and that decides any of these, decides."""
        for network in self.bases():
            first = network[2]({})
            found = {} if first.work.mistakes else _Solver(*network)._found(list(first.work.asked))
            mine = {span: number for span, number in found.items() if span in asked}
            if mine:
                return mine
        return {}

    def _found(self, asked: list[Span]) -> dict[Span, Dim]:
        """The numbers that this network decides by itself."""
        answers: dict[Span, Dim] = {}
        while found := self._decided([span for span in asked if span not in answers], answers):
            answers |= found
            asked = [*answers, *self.once(answers).work.asked]
        return answers

    # ------------------------------------------------------------------------------------ what the shapes decide
    def _decided(self, asked: list[Span], answers: Mapping[Span, Dim]) -> dict[Span, Dim]:
        """What can be proved: the number for each `?` that has one number only."""
        names = {span: unknown(i) for i, span in enumerate(asked)}
        made = self._symbolic({**answers, **names})
        if made is None or made.work.mistakes:
            return {}
        found: dict[Span, Dim] = {}
        for span, name in names.items():
            number = self._root(made, name)
            if number is not None:
                found[span] = number
        if found:
            return found if self._alone(found, {**answers, **names}) else {}
        number = self._figured(made, names[asked[0]]) if len(asked) == 1 else None
        return {} if number is None else {asked[0]: number}

    def _symbolic(self, answers: Mapping[Span, Dim]) -> Attempt | None:
        try:
            return self.once(answers, Symbolic)
        except CARRIES_NO_FURTHER:
            return None

    def _root(self, made: Attempt, name: Poly) -> int | None:
        """The one number that every equation about this unknown alone leaves."""
        left: set[int] | None = None
        for guard in made.work.guards.values():
            condition = guard.condition
            if condition.kind != "equal" or condition.symbols != symbols(name):
                continue
            fit = roots(condition.left - condition.right)
            if fit is not None:
                left = fit if left is None else left & fit
        return min(left) if left is not None and len(left) == 1 else None

    def _figured(self, made: Attempt, name: Poly) -> int | None:
        """The one number at which the count of parameters is the figure of `expect`."""
        figure = self._figure()
        if figure is None or made.built is None:
            return None
        symbol = min(symbols(name))
        found = reach(made.built.graph.parameter_count, symbol, *bounds(figure)) or []
        demands = [g.condition for g in made.work.guards.values() if g.condition.symbols == {symbol}]
        fit = [n for n in found if all(c.holds({symbol: n}) for c in demands)]
        return fit[0] if len(fit) == 1 else None

    def _figure(self) -> str | None:
        node = self.definition.node
        body = node.expects if isinstance(node, s.Derived) else getattr(node, "body", ())
        tables = [x for x in body if isinstance(x, s.Expect)]
        for table in tables:
            places = [i for i, column in enumerate(table.columns) if column.name == "params"]
            for row in table.rows:
                cell = row.cells[places[0]] if places and row.name == self.preset else None
                if isinstance(cell, s.Constant) and cell.literal:
                    return cell.literal
        return None

    def _alone(self, found: Mapping[Span, Dim], answers: Mapping[Span, Dim]) -> bool:
        """Whether no other number near an answer fits: a second look at what was proved."""
        for span, number in found.items():
            assert isinstance(number, int)
            others = {2, 3, 4, 5, number // 2, number - 1, number + 1, 2 * number} - {number, 1}
            for other in sorted(n for n in others if n > 1):
                made = self._symbolic({**answers, **found, span: other})
                if made is not None and not made.work.mistakes:
                    return False
        return True

    # ------------------------------------------------------------------------------------ what fits
    def _refused(self, asked: list[Span], answers: Mapping[Span, Dim]) -> Attempt:
        """Every number that was tried and fits, in an error."""
        if len(asked) > 1:
            tries = [self.once({**answers, **dict.fromkeys(asked, number)}) for number in self._candidates()[:8]]
            return self._said(_common(tries) or [self._several(span, i, len(asked)) for i, span in enumerate(asked)])
        span = asked[0]
        name = title_of(self.definition, span)
        refused: list[Attempt] = []
        tried: list[int] = []
        fit: list[int] = []
        steps = 0
        for number in self._candidates():
            made = self.once({**answers, span: number})
            tried.append(number)
            fit += [] if made.work.mistakes else [number]
            refused += [made] if made.work.mistakes else []
            steps += made.work.steps
            if steps > limits.STEPS:
                break
        if not fit and (common := _common(refused)):
            return self._said(common)
        if not fit:
            return self._nothing(span, name, tried, answers)
        title = f"the shapes do not decide `{name}`"
        if len(fit) == len(tried):
            note, help = "every number that was tried fits", "write the number that is meant"
        else:
            shown = ", ".join(map(str, fit[:SHOWN])) + (", ..." if len(fit) > SHOWN else "")
            note = f"{len(tried)} numbers from {tried[0]} to {tried[-1]} were tried"
            help = f"{name} in {shown}" if len(fit) > 1 else f"of these only {name} = {shown} fits"
        return self._said([Diagnostic("A312", title, span, notes=(note,), help=help)])

    def _several(self, span: Span, place: int, count: int) -> Diagnostic:
        others = "the other one" if count == 2 else f"the other {count - 1}"
        return Diagnostic("A312", f"the shapes do not decide `{title_of(self.definition, span)}`", span,
                          help=f"{count} `?` are open here: write {others} as a number, and this one is tried")

    def _nothing(self, span: Span, name: str, tried: list[int], answers: Mapping[Span, Dim]) -> Attempt:
        made = self.once({**answers, span: tried[0]})
        why = [f"with {tried[0]}: {d.title}" for d in made.work.mistakes.found.values()][:1]
        note = f"{len(tried)} numbers from {tried[0]} to {tried[-1]} were tried"
        return self._said([Diagnostic("A313", f"no number fits `{name}`", span, notes=(note, *why),
                                      help="with a number in its place, the error says where it goes wrong")])

    def _unfit(self, found: Mapping[Span, Dim], made: Attempt) -> Attempt:
        """What the shapes decide goes wrong elsewhere: the mistakes, with the number said."""
        span, number = next(iter(found.items()))
        name = title_of(self.definition, span)
        why = tuple(d.title for d in made.work.mistakes.found.values())[:1]
        return self._said([Diagnostic("A313", f"no number fits `{name}`", span,
                                      notes=(f"the shapes decide `{name} = {number}`, and then: {why[0]}",),
                                      help=f"write {number} in its place to see where it goes wrong")])

    def _candidates(self) -> list[int]:
        """Numbers worth trying: the small ones, those that the file names, and what divides these."""
        named = [n for n in numbers_in(self.definition) if n <= limits.TRIED]
        found = {*SMALL, *named}
        for n in named:
            found |= {d for d in range(1, int(n**0.5) + 1) if n % d == 0}
            found |= {n // d for d in range(1, int(n**0.5) + 1) if n % d == 0}
        return sorted(found)[: limits.TRIES]

    def _said(self, diagnostics: Iterable[Diagnostic]) -> Attempt:
        made = self.once({})
        mistakes = Mistakes()
        mistakes.add(*diagnostics)
        made.work.mistakes = mistakes
        return Attempt(None, made.bodies)


def _common(tries: Sequence[Attempt]) -> list[Diagnostic]:
    """What is wrong whatever stands for `?`: mistakes that every try makes in the same words."""
    each = [list(made.work.mistakes.found.values()) for made in tries]
    return [d for d in each[0] if all(d in found for found in each)] if each else []
