"""Arithmetic between tensors, joining them and cutting them apart."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch

from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.merge import Arithmetic, Concat, Split, places
from ogive.dsl.types import Role, Tensor

__all__ = ["concat", "neg", "split", "stack"]

BINARY: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "pow": operator.pow,
}


def _binary(function: Callable[..., Any]) -> Callable[..., Value]:
    def lowering(emit: Emit, node: Node, *xs: Value) -> Value:
        op, made = settings(node, Arithmetic), node.outputs[0]
        if op.number is not None:
            return emit.call(function, op.number, xs[0]) if op.reverse else emit.call(function, xs[0], op.number)
        a, b = (_beside(emit, x, t, made) for x, t in zip(xs, emit.types(node), strict=True))
        return emit.call(function, a, b)

    return lowering


for _op, _function in BINARY.items():
    lowers(_op)(_binary(_function))


def _beside(emit: Emit, x: Value, t: Tensor, made: Tensor) -> Value:
    """`x` with axes of size 1 where it lacks one of the result's, behind its first axis: torch adds those in front."""
    found = places(t, made)
    assert found is not None
    if found:
        for place in range(found[0], made.rank):
            if place not in found:
                x = emit.method("unsqueeze", x, place - found[0])
    return x


@lowers("neg")
def neg(emit: Emit, node: Node, x: Value) -> Value:
    return emit.call(operator.neg, x)


@lowers("concat")
def concat(emit: Emit, node: Node, *xs: Value) -> Value:
    """What lacks a batch is expanded to the result's, without a copy of its own."""
    op, made, types = settings(node, Concat), node.outputs[0], emit.types(node)
    _, place = op.laid(types)
    parts = []
    for x, t in zip(xs, types, strict=True):
        parts.append(_widened(emit, x, t, made))
    return emit.call(torch.cat, parts, place) if len(parts) > 1 else parts[0]


def _widened(emit: Emit, x: Value, t: Tensor, made: Tensor) -> Value:
    """`x` with the leading axes it lacks, and the result's batch."""
    missing = made.rank - t.rank
    if made.roles[0] is not Role.BATCH:
        return emit.method("unsqueeze", x, 0) if missing else x
    batch = made.shape[0]
    if missing:
        return emit.method("expand", x, emit.size(batch), *[1] * (missing - 1), *[-1] * t.rank)
    if t.shape[0] == 1 and batch != 1:
        return emit.method("expand", x, emit.size(batch), *[-1] * (t.rank - 1))
    return x


@lowers("stack")
def stack(emit: Emit, node: Node, *xs: Value) -> Value:
    return emit.call(torch.stack, list(xs), 1)


@lowers("split")
def split(emit: Emit, node: Node, x: Value) -> tuple[Value, ...]:
    """Views, no copies: `attend` reads them where they lie, as timm's does. Parts of heads are laid together."""
    op, (t,) = settings(node, Split), emit.types(node)
    place = t.find(Role.CHANNEL)
    inside = place
    if op.per_head > 1:
        x = emit.method("unflatten", x, place, (op.per_head, -1))
        inside = place + 1
    if isinstance(op.n, int):
        parts = emit.method("chunk", x, op.n, inside)
    else:
        parts = emit.method("split", x, list(op.n), inside)
    found = tuple(emit.call(operator.getitem, parts, i) for i in range(len(node.outputs)))
    if op.per_head > 1:
        return tuple(emit.method("flatten", part, place, inside) for part in found)
    return found
