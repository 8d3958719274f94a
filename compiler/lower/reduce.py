"""What an axis comes to: sums, means, largest values, lengths."""

from __future__ import annotations

import torch.nn.functional as F

from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.activation import axis_place
from ogive.dsl.ops.reduce import Cumsum, L2Normalize, Maxout, Reduction
from ogive.dsl.types import Role

__all__ = ["argmax", "cumsum", "l2_normalize", "max_over", "maxout", "mean_over", "norm", "sum_over"]


def _reduced(emit: Emit, node: Node, x: Value, method: str, *before: object) -> Value:
    op = settings(node, Reduction)
    place = axis_place(emit.types(node)[0], op.axis, op.op)
    return emit.method(method, x, *before, place, op.keep)


@lowers("sum_over")
def sum_over(emit: Emit, node: Node, x: Value) -> Value:
    return _reduced(emit, node, x, "sum")


@lowers("cumsum")
def cumsum(emit: Emit, node: Node, x: Value) -> Value:
    return emit.method("cumsum", x, axis_place(emit.types(node)[0], settings(node, Cumsum).axis, "cumsum"))


@lowers("mean_over")
def mean_over(emit: Emit, node: Node, x: Value) -> Value:
    return _reduced(emit, node, x, "mean")


@lowers("max_over")
def max_over(emit: Emit, node: Node, x: Value) -> Value:
    """`amax`: equal values share the gradient."""
    return _reduced(emit, node, x, "amax")


@lowers("norm")
def norm(emit: Emit, node: Node, x: Value) -> Value:
    return _reduced(emit, node, x, "norm", 2)


@lowers("argmax")
def argmax(emit: Emit, node: Node, x: Value) -> Value:
    return _reduced(emit, node, x, "argmax")


@lowers("l2_normalize")
def l2_normalize(emit: Emit, node: Node, x: Value) -> Value:
    op = settings(node, L2Normalize)
    return emit.call(F.normalize, x, dim=axis_place(emit.types(node)[0], op.axis, op.op), eps=op.eps)


@lowers("maxout")
def maxout(emit: Emit, node: Node, x: Value) -> Value:
    """Channels that follow each other as an axis of their own, and its largest value."""
    place = emit.types(node)[0].find(Role.CHANNEL)
    apart = emit.method("unflatten", x, place, (-1, settings(node, Maxout).n))
    return emit.method("amax", apart, place + 1)
