"""Choosing: by a condition, by number, by size."""

from __future__ import annotations

import operator

import torch

from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.merge import beside
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.activation import axis_place
from ogive.dsl.ops.choice import Argsort, MaskedFill, TopK

__all__ = ["argsort", "gather", "masked_fill", "top_k", "where"]


@lowers("where")
def where(emit: Emit, node: Node, *xs: Value) -> Value:
    """All three with the axes of the result, those they lack of size 1."""
    made = node.outputs[0]
    return emit.call(torch.where, *(beside(emit, x, t, made) for x, t in zip(xs, emit.types(node), strict=True)))


@lowers("masked_fill")
def masked_fill(emit: Emit, node: Node, x: Value, mask: Value) -> Value:
    """The mask with the axes of `x`."""
    there = beside(emit, mask, emit.types(node)[1], node.outputs[0])
    return emit.method("masked_fill", x, there, settings(node, MaskedFill).value)


@lowers("gather")
def gather(emit: Emit, node: Node, x: Value, ids: Value) -> Value:
    """`take_along_dim` stretches axes of size 1 by itself; one id each is a position that is dropped again."""
    t, chosen = emit.types(node)
    if chosen.rank == 1:
        ids = emit.method("unsqueeze", ids, 1)
    for _ in range(t.rank - 2):
        ids = emit.method("unsqueeze", ids, -1)
    found = emit.call(torch.take_along_dim, x, ids, 1)
    return emit.method("squeeze", found, 1) if chosen.rank == 1 else found


@lowers("argsort")
def argsort(emit: Emit, node: Node, x: Value) -> Value:
    """Stable: equal values stay in order on every device."""
    op = settings(node, Argsort)
    place = axis_place(emit.types(node)[0], op.axis, op.op)
    return emit.call(torch.argsort, x, dim=place, descending=op.descending, stable=True)


@lowers("top_k")
def top_k(emit: Emit, node: Node, x: Value) -> tuple[Value, ...]:
    """Values and their places."""
    op = settings(node, TopK)
    found = emit.call(torch.topk, x, op.n, axis_place(emit.types(node)[0], op.axis, op.op))
    return tuple(emit.call(operator.getitem, found, i) for i in range(2))
