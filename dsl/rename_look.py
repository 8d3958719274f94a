"""What only building can tell: which block an op parameter holds where it is called, what `x.name` reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ogive.dsl import syntax as s
from ogive.dsl.body import Bodies
from ogive.dsl.build import attempt, choose
from ogive.dsl.built import Built
from ogive.dsl.load import Definition, Unit
from ogive.dsl.source import Span
from ogive.dsl.values import Bundle, OpValue
from ogive.dsl.work import Frame, Work

__all__ = ["Looked", "look"]


class Looked:
    """For each call the definitions that were called, for each attribute the places where what it reads is named.

    `results` are attributes that read a named result of a block.
    """

    def __init__(self) -> None:
        self.called: dict[Span, set[int]] = {}
        self.read: dict[Span, set[Span]] = {}
        self.results: set[Span] = set()


class _Looking(Bodies):
    def __init__(self, work: Work, looked: Looked) -> None:
        super().__init__(work)
        self.looked = looked

    def with_settings(self, op: OpValue, expr: s.Call, frame: Frame) -> OpValue:
        node = op.target.node if isinstance(op.target, Definition) else None
        self.looked.called.setdefault(expr.span, set()).add(id(node))
        return super().with_settings(op, expr, frame)

    def _member(self, base: Bundle, expr: s.Attr, *rest: Any) -> Any:
        if expr.name in base.labels:
            self.looked.results.add(expr.name_span)
            return super()._member(base, expr, *rest)
        entry = base.inner.table.get(expr.name) if base.inner is not None else None
        if entry is not None:
            self.looked.read.setdefault(expr.name_span, set()).add(entry.span)
        return super()._member(base, expr, *rest)


def look(unit: Unit, networks: Mapping[str, Built]) -> Looked:
    """Build every network of a file, looking on."""
    looked = Looked()
    for name, built in networks.items():
        attempt(*choose(unit, name), {}, built.solved, lambda work: _Looking(work, looked))
    return looked
