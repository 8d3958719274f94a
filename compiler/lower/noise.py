"""Numbers that are drawn anew at each call."""

from __future__ import annotations

from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.modules import Uniform
from ogive.compiler.lower.register import lowers
from ogive.dsl.graph import Node
from ogive.dsl.types import Role

__all__ = ["uniform"]


@lowers("uniform")
def uniform(emit: Emit, node: Node, like: Value) -> Value:
    return emit.module(Uniform(emit.types(node)[0].find(Role.POSITION)), like)
