"""Where data comes from that is no input."""

from __future__ import annotations

import operator

import torch
import torch.nn.functional as F

from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.modules import Arange
from ogive.compiler.lower.plane_modules import Constant
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.dims import Dim
from ogive.dsl.graph import Node
from ogive.dsl.ops.settings import each
from ogive.dsl.ops.source import Position, Slice, Zeros
from ogive.dsl.types import Role

__all__ = ["arange", "learned", "one_row", "ones", "position", "slice_", "zeros", "zeros_like"]


@lowers("learned")
def learned(emit: Emit, node: Node) -> Value:
    return emit.weight("")


@lowers("position")
def position(emit: Emit, node: Node, x: Value) -> Value:
    """`layout="grid"` keeps rows and columns apart in the state_dict alone."""
    op, weight = settings(node, Position), emit.weight("")
    grid = emit.types(node)[0].axes[1].grid
    if op.resize is not None and grid != each(op.size, 2, "size"):
        weight = _resized(emit, op, weight, grid)
    elif op.layout == "grid":
        weight = emit.method("flatten", weight, 1, -2)
    return emit.call(operator.add, x, weight)


def _resized(emit: Emit, op: Position, weight: Value, grid: tuple[Dim, ...]) -> Value:
    """The table resampled to another grid: `1 N C`, the places of the prefix in front as they were."""
    prefix = None
    if op.layout == "tokens":
        if op.prefix:
            prefix = emit.call(operator.getitem, weight, (slice(None), slice(None, op.prefix)))
            weight = emit.call(operator.getitem, weight, (slice(None), slice(op.prefix, None)))
        weight = emit.method("unflatten", weight, 1, each(op.size, 2, "size"))
    table = emit.method("permute", weight, 0, 3, 1, 2)
    size = tuple(emit.size(n) for n in grid)
    table = emit.call(F.interpolate, table, size=size, mode=op.resize, align_corners=False)
    table = emit.method("transpose", emit.method("flatten", table, 2), 1, 2)
    return table if prefix is None else emit.call(torch.cat, [prefix, table], 1)


@lowers("slice")
def slice_(emit: Emit, node: Node, x: Value) -> Value:
    """A view of the weight."""
    op = settings(node, Slice)
    if op.drop:
        return emit.method("select", x, 0, op.start)
    return emit.call(operator.getitem, x, slice(op.start, op.stop))


@lowers("one_row")
def one_row(emit: Emit, node: Node, x: Value) -> Value:
    return emit.method("unsqueeze", x, 0)


@lowers("zeros")
def zeros(emit: Emit, node: Node) -> Value:
    return _constant(emit, node, 0.0)


@lowers("ones")
def ones(emit: Emit, node: Node) -> Value:
    return _constant(emit, node, 1.0)


def _constant(emit: Emit, node: Node, number: float) -> Value:
    """Its numbers are made now, unlike weights, which get their storage later."""
    with torch.device("cpu"):
        return emit.module(Constant(settings(node, Zeros).dims, number))


@lowers("arange")
def arange(emit: Emit, node: Node, x: Value) -> Value:
    return emit.module(Arange(emit.types(node)[0].find(Role.POSITION)), x)


@lowers("zeros_like")
def zeros_like(emit: Emit, node: Node, x: Value) -> Value:
    return emit.call(torch.zeros_like, x)
