"""Asserts: decided where sizes are known, kept as guards and premises where they are free."""

from __future__ import annotations

from typing import Any

from ogive.dsl import syntax as s
from ogive.dsl.conditions import Condition, Contradiction
from ogive.dsl.diagnostics import ArchError, Label, fail
from ogive.dsl.dims import Poly
from ogive.dsl.operators import is_tensor
from ogive.dsl.ops.settings import divisors
from ogive.dsl.scans import Scans
from ogive.dsl.source import Span
from ogive.dsl.values import Bundle, Poison, printed
from ogive.dsl.work import Frame

__all__ = ["Asserts"]


class Asserts(Scans):
    """`assert C % heads == 0, "why"`."""

    def hold(self, st: s.Assert, frame: Frame) -> None:
        for part in _conjuncts(st.test):
            verdict = self.comparison(part, frame) if isinstance(part, s.Compare) else self.truth(part, frame)
            if is_tensor(verdict):
                raise self.undecided(verdict, part, frame)
            if isinstance(verdict, Condition):
                self.work.guard(verdict, st.text or part.span.text, part.span)
                try:
                    frame.body.facts = frame.body.facts.with_condition(verdict)
                except Contradiction:
                    raise fail("A203", f"no size makes `{part.span.text}` true here", part.span, label=_shown(verdict),
                               notes=self.trail(frame)) from None
            elif verdict is False:
                raise self._refuted(st, part, frame)

    def _refuted(self, st: s.Assert, part: s.Expr, frame: Frame) -> ArchError:
        """The cause is where the value comes from: a preset's cell, an argument; the assert is why it is wrong."""
        sources: list[Label] = []
        values: list[str] = []
        for name in _names_in(part):
            entry = frame.names.find(name)
            if entry is None or isinstance(entry.value, Bundle | Poison):
                continue
            value = frame.body.facts.show(entry.value) if isinstance(entry.value, Poly) else printed(entry.value)
            if value != name:
                values.append(f"{name} = {value}")
            if entry.kind == "parameter" and not _within(entry.origin, entry.span):
                said = self.work.cells.get(entry.origin)
                words = f"{said} = {value}" if said else f"{name} = {value} comes from here"
                sources.append(Label(entry.origin, words))
        here = self._remainder(part, frame) or ", ".join(values)
        text = part.span.text
        path = " > ".join(frame.body.trail)
        notes = [f"{path} asserts `{text}`; here {here}"] if sources and here else []
        if not sources:
            notes = [*([f"here {here}"] if here else []), *self.trail(frame)]
        title = st.text or f"`{text}` does not hold"
        free = any(isinstance(getattr(frame.names.find(name), "value", None), Poly) for name in _names_in(part))
        said = "this goes against what is known of the sizes here" if free else "this does not hold" if st.text else ""
        first = sources[-1] if sources else Label(part.span, said)
        labels = [*sources[:-1], Label(part.span, "asserted here")] if sources else []
        return fail("A203", title, first.span, label=first.text, labels=labels, notes=notes,
                    help=self._fitting(part, frame))

    def _remainder(self, part: s.Expr, frame: Frame) -> str:
        """`384 % 5 = 4`."""
        found = self._modulo(part, frame)
        return f"{found[0]} % {found[1]} = {found[0] % found[1]}" if found else ""

    def _modulo(self, part: s.Expr, frame: Frame) -> tuple[int, int, s.Expr] | None:
        if not (isinstance(part, s.Compare) and part.op == "==" and isinstance(part.left, s.Binary)):
            return None
        if part.left.op != "%":
            return None
        values = [self.value(x, frame) for x in (part.left.left, part.left.right)]
        if not all(isinstance(x, int) and not isinstance(x, bool) and x > 0 for x in values):
            return None
        return values[0], values[1], part.left.right

    def _fitting(self, part: s.Expr, frame: Frame) -> str | None:
        """For `C % heads == 0`: the numbers that divide."""
        found: Any = self._modulo(part, frame)
        if found is None or not isinstance(found[2], s.Name) or found[0] > 1 << 20:
            return None
        return f"{found[2].name} that divide {found[0]}: {divisors(found[0])}"


def _shown(condition: Condition) -> str:
    return f"`{condition.show()}`"


def _within(inner: Span, outer: Span) -> bool:
    return inner.source is outer.source and outer.start <= inner.start and inner.end <= outer.end


def _conjuncts(expr: s.Expr) -> list[s.Expr]:
    if isinstance(expr, s.Binary) and expr.op == "and":
        return [*_conjuncts(expr.left), *_conjuncts(expr.right)]
    return [expr]


def _names_in(expr: s.Expr) -> list[str]:
    match expr:
        case s.Name():
            return [expr.name]
        case s.Binary() | s.Compare():
            return list(dict.fromkeys([*_names_in(expr.left), *_names_in(expr.right)]))
        case s.Unary():
            return _names_in(expr.value)
        case s.Item():
            return _names_in(expr.base)
        case s.Call():
            return list(dict.fromkeys(name for arg in expr.args for name in _names_in(arg.value)))
    return []
