"""Places along a sequence: the fixed code of each, and scores by how far two of them are apart."""

from __future__ import annotations

from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.modules import RelativeShift, SineCode
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.sequence import SineCode as SineCodeRecord

__all__ = ["relative_shift", "sine_code"]


@lowers("sine_code")
def sine_code(emit: Emit, node: Node, x: Value) -> Value:
    """Of the sizes of the input, on its device."""
    op = settings(node, SineCodeRecord)
    return emit.module(SineCode(op.temperature, op.layout, op.offsets), x)


@lowers("relative_shift")
def relative_shift(emit: Emit, node: Node, x: Value) -> Value:
    return emit.module(RelativeShift(), x)
