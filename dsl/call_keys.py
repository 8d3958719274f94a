"""When two runs of a block are the same but for the names around them: equal settings, inputs of one type, equal facts.

A block sees nothing but its settings and what flows in, so the rest follows. Names of nodes, which stand in types too
(`Segment.origin`, `Axis.lost`), are only ever compared with each other: they count by the order they are met in.
"""

from __future__ import annotations

from collections.abc import Hashable
from types import NoneType
from typing import Any, Final

from ogive.dsl.dims import Poly
from ogive.dsl.ops.record import Size
from ogive.dsl.patterns import Mechanism, Pattern
from ogive.dsl.runs import Call
from ogive.dsl.values import Bundle, OpValue, Out
from ogive.dsl.when import Partial
from ogive.dsl.work import Work

__all__ = ["key_of"]

PLAIN: Final = frozenset({int, str, bool, NoneType, Size, Poly})


class _Single(Exception):
    """No other run is known to be the same as this one."""


def key_of(call: Call, work: Work) -> tuple[Hashable, tuple[str, ...]] | None:
    """What is equal of equal runs in one build, and the names of nodes that may differ, in order; None where another
    run cannot be told to be equal: it is given a weight by name, a shared module, or what a mistake has left."""
    names = _Names(work)
    facts = call.frame.body.facts.known
    try:
        settings = tuple([(x.name, _setting(x.value)) for x in call.settings])
        inputs = tuple([names.value(x) for x in call.inputs])
    except _Single:
        return None
    return (id(call.definition), call.preset, settings, inputs, facts, work.when, work.times), tuple(names.found)


def _setting(value: Any) -> Hashable:
    """Equal for values that no one can tell apart: `1`, `1.0` and `True` are equal in Python, and print as they are."""
    kind = type(value)
    if kind in PLAIN:
        return kind, value
    if kind is float:
        return kind, repr(value)
    if kind is tuple:
        return kind, tuple([_setting(x) for x in value])
    if isinstance(value, OpValue) and value.module is None:
        return id(value.target), value.preset, tuple([(x.name, _setting(x.value)) for x in value.settings])
    if isinstance(value, Pattern | Mechanism):
        return kind, str(value), value
    raise _Single


class _Names:
    """Names of nodes in the order they are met, each with a number in its place."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.found: dict[str, str] = {}

    def number(self, name: str) -> str:
        return self.found.setdefault(name, f"#{len(self.found)}")

    def value(self, value: Any) -> Hashable:
        """What flows in: tensors, lists of them, and those that not every call has."""
        if isinstance(value, Out):
            edge = value.edge
            if self.work.nodes[edge.node].op == "learned":  # given as a weight, it is tied by its key
                raise _Single
            return self.number(edge.node), edge.result, value.type.renamed(self.number)
        if type(value) is tuple:
            return tuple([self.value(x) for x in value])
        if isinstance(value, Bundle):
            return value.parts, value.items is None, tuple([self.value(x) for x in value.outs])
        if isinstance(value, Partial) and value.clash is None:
            return value.when, value.optional, None if value.value is None else self.value(value.value)
        raise _Single
