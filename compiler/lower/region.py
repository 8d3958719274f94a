"""Regions of interest, as modules in plain torch."""

from __future__ import annotations

from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.region_modules import RoiAlign, RoiPool
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.region import RoiAlign as RoiAlignRecord
from ogive.dsl.ops.region import RoiPool as RoiPoolRecord
from ogive.dsl.ops.settings import each

__all__ = ["roi_align", "roi_pool"]


@lowers("roi_align")
def roi_align(emit: Emit, node: Node, *inputs: Value) -> Value:
    """All levels in one table of cells, four look-ups per sample."""
    op = settings(node, RoiAlignRecord)
    rows, columns = each(op.size, 2, "size")
    return emit.module(RoiAlign((rows, columns), op.strides, op.samples, op.aligned, op.level, op.at), *inputs)


@lowers("roi_pool")
def roi_pool(emit: Emit, node: Node, x: Value, boxes: Value) -> Value:
    """Four look-ups per bin in a table of window maxima."""
    op = settings(node, RoiPoolRecord)
    rows, columns = each(op.size, 2, "size")
    return emit.module(RoiPool((rows, columns), op.strides[0]), x, boxes)
