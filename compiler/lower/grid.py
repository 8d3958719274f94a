"""Moves on a plane; tokens go through their grid."""

from __future__ import annotations

import operator

import torch.nn.functional as F

from ogive.compiler.lower.axes import from_grid, to_grid
from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.plane_modules import Shift
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.grid import CropGrid, PadGrid
from ogive.dsl.ops.grid import Shift as ShiftRecord
from ogive.dsl.ops.plane import plane

__all__ = ["crop_grid", "pad_grid", "regrid", "shift"]


@lowers("shift")
def shift(emit: Emit, node: Node, x: Value) -> Value:
    """Each place reads the one before it, by channel where the steps are lists."""
    op, (t,) = settings(node, ShiftRecord), emit.types(node)
    tokens = t.layout == "tokens"
    made = emit.module(Shift(op.rows, op.cols, op.border), to_grid(emit, x, t) if tokens else x)
    return from_grid(emit, made, x, t) if tokens else made


@lowers("pad_grid")
def pad_grid(emit: Emit, node: Node, x: Value) -> Value:
    """Zeros below and to the right; nothing where the sizes are multiples already."""
    op, (t,) = settings(node, PadGrid), emit.types(node)
    tokens = t.layout == "tokens"
    more = [made - have for have, made in zip(plane(t, op.op), op.padded(t), strict=True)]
    if not any(more):
        return x
    pads = [side for n in reversed(more) for side in (0, emit.size(n))]
    made = emit.call(F.pad, to_grid(emit, x, t) if tokens else x, pads)
    return from_grid(emit, made, x, t) if tokens else made


@lowers("crop_grid")
def crop_grid(emit: Emit, node: Node, x: Value) -> Value:
    """The rows and columns from the first on."""
    op, (t,) = settings(node, CropGrid), emit.types(node)
    tokens = t.layout == "tokens"
    image = to_grid(emit, x, t) if tokens else x
    kept = tuple(slice(None, emit.size(n)) for n in plane(op.like.tensor, op.op))
    made = emit.call(operator.getitem, image, (slice(None), slice(None), *kept))
    return from_grid(emit, made, x, t) if tokens else made


@lowers("regrid")
def regrid(emit: Emit, node: Node, x: Value) -> Value:
    """Nothing moves: the grid is known to the checker alone."""
    return x
