"""What becomes of the ops of a network where a setting is another one: of one op, and of those that a block hands it to
as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from pydantic import ValidationError

from ogive.dsl import syntax as s
from ogive.dsl.graph import Graph
from ogive.dsl.ops import RECORDS
from ogive.dsl.ops.record import Mismatch, Primitive, Size
from ogive.dsl.settings import fields_of
from ogive.dsl.source import Span
from ogive.dsl.trees import walk

__all__ = ["Passed", "inside", "plain", "set_in"]

Uses: TypeAlias = list[tuple[s.Call, str | int]]
"""Where a block hands a setting on: each call, and which of its arguments it is."""


class Passed:
    """The runs of the blocks of one network, and where they hand their settings on."""

    def __init__(self, graph: Graph, known: Sequence[s.Definition]) -> None:
        self.graph = graph
        self.blocks = {d.name: d for d in known if isinstance(d, s.Block)}
        self.around = {node.id: [(x.title, x.span) for x in graph.region_chain(node) if x.kind == "block"]
                       for node in graph if node.primitive is not None}
        self.runs: dict[Span, list[str]] = {}
        self.uses: dict[tuple[str, str], Uses | None] = {}

    def ops(
        self, call: s.Expr, setting: str | int, value: s.Expr | None, among: dict[str, Primitive] | None = None
    ) -> dict[str, Primitive] | None:
        """The ops of the runs of a block by node, in `among` where that is given, with another value; None where the
        block does more with it than to hand it on."""
        name = call.func if isinstance(call, s.Call) else call
        block = self.blocks.get(name.name) if isinstance(name, s.Name) else None
        if block is None:
            return None
        places = [p.name for p in block.params]
        at = places.index(setting) if isinstance(setting, str) and setting in places else setting
        if not isinstance(at, int) or at >= len(places):
            return None
        uses = self._uses(block, places[at])
        value = block.params[at].default if value is None else value
        constant = isinstance(value, s.Constant | s.SizeExpr) or (isinstance(value, s.Name) and value.name in RECORDS)
        if uses is None or not constant:
            return None
        records = {x: self._record(x) if among is None else among[x] for x in self._runs(call, block.name)
                   if among is None or x in among}
        for inner, which in uses:
            nodes = [x for x in records if self.graph.nodes[x].span == inner.span]
            deeper = None if nodes else self.ops(inner, which, value, records)
            for x in nodes:
                record = set_in(records[x], which, value)
                if record is None:
                    return None
                records[x] = record
            if not nodes and deeper is None:
                return None
            records |= deeper or {}
        return records or None

    def _record(self, node: str) -> Primitive:
        record = self.graph.nodes[node].primitive
        assert record is not None
        return record

    def _runs(self, call: s.Expr, block: str) -> list[str]:
        """The nodes in the runs of a block that a call starts."""
        if call.span not in self.runs:
            self.runs[call.span] = [
                node for node, around in self.around.items()
                if any(title == block and inside(call.span, span) for title, span in around)
            ]
        return self.runs[call.span]

    def _uses(self, block: s.Block, param: str) -> Uses | None:
        """Where a block hands a parameter on as it is; None where it does anything else with it."""
        if (block.name, param) not in self.uses:
            self.uses[block.name, param] = _uses(block, param)
        return self.uses[block.name, param]


def _uses(block: s.Block, param: str) -> Uses | None:
    found: Uses = []
    for use, around in walk(block):
        if not isinstance(use, s.Name) or use.name != param or any(isinstance(a, s.Shape | s.Assert) for a in around):
            continue
        line = next((a for a in reversed(around) if isinstance(a, s.Line)), None)
        arg, call = around[-1], around[-2] if len(around) > 1 else None
        if not isinstance(arg, s.Arg) or not isinstance(call, s.Call) or line is None or line.flow is not call:
            return None
        found.append((call, arg.name or next(i for i, a in enumerate(call.args) if a is arg)))
    return found


def inside(inner: Span, outer: Span) -> bool:
    """Whether a place lies in another."""
    return inner.source is outer.source and outer.start <= inner.start and inner.end <= outer.end


def plain(op: str) -> Primitive | None:
    """An op with its defaults; None where it needs settings."""
    try:
        return RECORDS[op]() if op in RECORDS else None
    except (ValidationError, Mismatch):
        return None


def set_in(record: Primitive, setting: str | int, value: s.Expr | None) -> Primitive | None:
    """A record with one setting exchanged; None where it is no constant, or does not stand."""
    order = fields_of(type(record))
    if record.spread is not None and isinstance(setting, int):
        items = list(getattr(record, record.spread))
        if setting >= len(items) or not isinstance(value, s.Constant | None):
            return None
        items[setting : setting + 1] = [] if value is None else [value.value]
        return _with(record, record.spread, tuple(items))
    name = setting if isinstance(setting, str) else order[setting] if setting < len(order) else ""
    field = type(record).model_fields.get(name)
    if field is None:
        return None
    if isinstance(value, s.Constant):
        return _with(record, name, value.value)
    if isinstance(value, s.SizeExpr):
        return _with(record, name, Size(value.values))
    if isinstance(value, s.Name) and value.name in RECORDS:
        return _with(record, name, plain(value.name))
    if isinstance(value, s.ListExpr):
        items = [_number(item) for item in value.items]
        return None if None in items else _with(record, name, tuple(items))
    return None if value is not None or field.is_required() else _with(record, name, field.get_default())


def _number(item: object) -> object:
    """A number that stands in a list, `-1` too; None for anything else."""
    if isinstance(item, s.Unary) and item.op == "-" and isinstance(item.value, s.Constant):
        return -item.value.value if isinstance(item.value.value, int | float) else None
    return item.value if isinstance(item, s.Constant) else None


def _with(record: Primitive, name: str, value: object) -> Primitive | None:
    values = {k: getattr(record, k) for k in type(record).model_fields} | {name: value}
    try:
        return type(record)(**values)
    except (ValidationError, Mismatch):
        return None
