"""Fixed codes and coordinates of a plane."""

from __future__ import annotations

import torch

from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.plane_modules import Coordinates, Offsets, SinePosition
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.place import Coordinates as CoordinatesRecord
from ogive.dsl.ops.place import Offsets as OffsetsRecord
from ogive.dsl.ops.place import SinePosition as SinePositionRecord
from ogive.dsl.ops.settings import each

__all__ = ["coordinates", "offsets", "sine_position"]


@lowers("sine_position")
def sine_position(emit: Emit, node: Node, x: Value) -> Value:
    """Of the sizes of the input, on its device."""
    op = settings(node, SinePositionRecord)
    return emit.module(SinePosition(op.temperature, op.normalize), x)


@lowers("coordinates")
def coordinates(emit: Emit, node: Node, like: Value) -> Value:
    """Of the sizes that the checker knows, on the device of `like`."""
    op = settings(node, CoordinatesRecord)
    sizes = [emit.size(n) for n in node.outputs[0].axes[1].grid]
    return emit.module(Coordinates(op.order), like, *sizes)


@lowers("offsets")
def offsets(emit: Emit, node: Node) -> Value:
    """Its numbers are made now, unlike weights, which get their storage later."""
    rows, columns = each(settings(node, OffsetsRecord).size, 2, "size")
    with torch.device("cpu"):
        return emit.module(Offsets((rows, columns)))
