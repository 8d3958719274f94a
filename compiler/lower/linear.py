"""Weights on the channel axis: linear maps, look-up tables, a factor per channel."""

from __future__ import annotations

import operator

import torch.nn.functional as F
from torch import nn

from ogive.compiler.lower.axes import channels_last
from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.modules import TransposedLinear
from ogive.compiler.lower.register import lowers, settings, supplied
from ogive.dsl.graph import Node
from ogive.dsl.ops.linear import Embedding, Linear
from ogive.dsl.types import Role

__all__ = ["embedding", "linear", "scale"]


@lowers("linear")
def linear(emit: Emit, node: Node, x: Value, *given: Value) -> Value:
    """Along the last axis; images are turned and turned back."""
    op, t = settings(node, Linear), emit.types(node)[0]
    x = channels_last(emit, x, t)
    if supplied(node):
        weight = emit.weight("weight")
        if op.transposed:
            weight = emit.method("t", weight)
        y = emit.call(F.linear, x, weight, emit.weight("bias") if op.bias else None)
    elif op.transposed:
        y = emit.module(TransposedLinear(t.channels, op.out, op.bias), x)
    else:
        y = emit.module(nn.Linear(t.channels, op.out, op.bias), x)
    return channels_last(emit, y, t, back=True)


@lowers("embedding")
def embedding(emit: Emit, node: Node, ids: Value, *given: Value) -> Value:
    """The rows of the table at these ids."""
    op = settings(node, Embedding)
    if supplied(node):
        return emit.call(F.embedding, ids, emit.weight("weight"), op.padding)
    return emit.module(nn.Embedding(op.n, op.dim, op.padding), ids)


@lowers("scale")
def scale(emit: Emit, node: Node, x: Value) -> Value:
    """The factor as `C 1 1` where axes follow the channels."""
    (t,) = emit.types(node)
    factor = emit.weight("")
    for _ in range(t.rank - 1 - t.find(Role.CHANNEL)):
        factor = emit.method("unsqueeze", factor, -1)
    return emit.call(operator.mul, x, factor)
