"""Deformable convolution, as a module in plain torch."""

from __future__ import annotations

from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.region_modules import DeformConv
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.deform import DeformConv as Record

__all__ = ["deform_conv"]


@lowers("deform_conv")
def deform_conv(emit: Emit, node: Node, x: Value, offset: Value, *mask: Value) -> Value:
    """Columns of samples, then one product with the weights."""
    op = settings(node, Record)
    (h, w), (down, right), (above, left), (tall, wide) = op.windows()
    module = DeformConv(
        emit.types(node)[0].shape[1], op.out, (h, w), (down, right), (above, left), (tall, wide), op.groups,
        op.offset_groups, op.bias,
    )
    return emit.module(module, x, offset, *mask)
