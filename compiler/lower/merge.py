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

__all__ = ["beside", "binary", "concat", "neg", "split", "stack"]

BINARY: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "pow": operator.pow,
}


def binary(function: Callable[..., Any]) -> Callable[..., Value]:
    """The lowering of arithmetic: `function` of two tensors, or of a tensor and a number."""

    def lowering(emit: Emit, node: Node, *xs: Value) -> Value:
        op, made = settings(node, Arithmetic), node.outputs[0]
        if op.number is not None:
            number = op.number if isinstance(op.number, float) else emit.size(op.number)
            return emit.call(function, number, xs[0]) if op.reverse else emit.call(function, xs[0], number)
        a, b = (beside(emit, x, t, made) for x, t in zip(xs, emit.types(node), strict=True))
        return emit.call(function, a, b)

    return lowering


for _op, _function in BINARY.items():
    lowers(_op)(binary(_function))


def beside(emit: Emit, x: Value, t: Tensor, made: Tensor) -> Value:
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
        parts.append(_widened(emit, x, t, made, place))
    return emit.call(torch.cat, parts, place) if len(parts) > 1 else parts[0]


def _widened(emit: Emit, x: Value, t: Tensor, made: Tensor, along: int) -> Value:
    """`x` with the axes it lacks, stretched to the result's, as is its batch; along the joined axis it is 1 long."""
    found = places(t, made)
    assert found is not None
    missing = set(range(made.rank)) - set(found)
    sizes: list[int | Value] = [-1] * made.rank
    for place in sorted(missing):
        if any(i < place for i in found):
            x = emit.method("unsqueeze", x, place)
    for place, size in enumerate(made.shape):
        batch = made.roles[place] is Role.BATCH and t.find(Role.BATCH) is not None and t.shape[0] == 1 and size != 1
        if place == along:
            sizes[place] = 1 if place in missing else -1
        elif place in missing or batch:
            sizes[place] = emit.size(size)
    if any(size != -1 for size in sizes):
        return emit.method("expand", x, *sizes)
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
