"""What acts only while training: modules, since these follow `train()` and `eval()`."""

from __future__ import annotations

from torch import nn

from ogive.compiler.lower import modules
from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.regularise import Dropout, DropPath

__all__ = ["drop_path", "dropout", "stop_gradient"]


@lowers("dropout")
def dropout(emit: Emit, node: Node, x: Value) -> Value:
    return emit.module(nn.Dropout(settings(node, Dropout).p), x)


@lowers("drop_path")
def drop_path(emit: Emit, node: Node, x: Value) -> Value:
    op = settings(node, DropPath)
    return emit.module(modules.DropPath(op.p, op.mode), x)


@lowers("stop_gradient")
def stop_gradient(emit: Emit, node: Node, x: Value) -> Value:
    return emit.method("detach", x)
