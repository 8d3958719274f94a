"""Where data comes from that is no input."""

from __future__ import annotations

import operator

import torch

from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.modules import Arange
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.source import Position
from ogive.dsl.types import Role

__all__ = ["arange", "learned", "position", "zeros_like"]


@lowers("learned")
def learned(emit: Emit, node: Node) -> Value:
    return emit.weight("")


@lowers("position")
def position(emit: Emit, node: Node, x: Value) -> Value:
    """`layout="grid"` keeps rows and columns apart in the state_dict alone."""
    weight = emit.weight("")
    if settings(node, Position).layout == "grid":
        weight = emit.method("flatten", weight, 1, -2)
    return emit.call(operator.add, x, weight)


@lowers("arange")
def arange(emit: Emit, node: Node, x: Value) -> Value:
    return emit.module(Arange(emit.types(node)[0].find(Role.POSITION)), x)


@lowers("zeros_like")
def zeros_like(emit: Emit, node: Node, x: Value) -> Value:
    return emit.call(torch.zeros_like, x)
