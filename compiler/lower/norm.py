"""Norms, as modules of torch.nn with the channels where these want them."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import nn

from ogive.compiler.lower.axes import channels_last, channels_second
from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.modules import FrozenBatchNorm
from ogive.compiler.lower.register import lowers, settings, supplied
from ogive.dsl.graph import Node
from ogive.dsl.ops.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from ogive.dsl.ops.norm import FrozenBatchNorm as FrozenBatchNormRecord
from ogive.dsl.ops.record import Primitive
from ogive.dsl.types import Tensor

__all__ = ["batchnorm", "frozen_batchnorm", "groupnorm", "instancenorm", "layernorm", "normalised", "rmsnorm"]

BATCH: Any = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
INSTANCE: Any = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}


def normalised(emit: Emit, op: Primitive, t: Tensor, x: Value, at: str = "") -> Value:
    """`x` of type `t` through the module of the norm `op`, registered `at` a place under the node's key."""
    width: Any = t.channels
    if isinstance(op, LayerNorm):
        x = _heads(emit, op, t, x)
        y = emit.module(nn.LayerNorm(width // op.per_head, op.eps, bias=op.bias), x, at=at)
        return _heads(emit, op, t, y, back=True)
    if isinstance(op, RMSNorm):
        y = emit.module(nn.RMSNorm(width, op.eps), channels_last(emit, x, t), at=at)
        return channels_last(emit, y, t, back=True)
    module: nn.Module
    if isinstance(op, BatchNorm):
        module = BATCH[t.rank](width, op.eps, op.momentum, op.affine)
    elif isinstance(op, GroupNorm):
        module = nn.GroupNorm(op.groups, width, op.eps)
    elif isinstance(op, InstanceNorm):
        module = INSTANCE[t.rank](width, op.eps, affine=op.affine)
    else:
        assert isinstance(op, FrozenBatchNormRecord), f"`{op.op}` is no norm"
        module = FrozenBatchNorm(width, op.eps)
    y = emit.module(module, channels_second(emit, x, t), at=at)
    return channels_second(emit, y, t, back=True)


def _heads(emit: Emit, op: LayerNorm, t: Tensor, x: Value, back: bool = False) -> Value:
    """The channels last, those of each head apart."""
    if back:
        x = x if op.per_head == 1 else emit.method("flatten", x, -2)
        return channels_last(emit, x, t, back=True)
    x = channels_last(emit, x, t)
    return x if op.per_head == 1 else emit.method("unflatten", x, -1, (op.per_head, -1))


@lowers("layernorm")
def layernorm(emit: Emit, node: Node, x: Value, *given: Value) -> Value:
    """Over the last axis, in groups of channels with `per_head`."""
    op, t = settings(node, LayerNorm), emit.types(node)[0]
    if not supplied(node):
        return normalised(emit, op, t, x)
    width = (t.channels // op.per_head,)
    bias = emit.weight("bias") if op.bias else None
    y = emit.call(F.layer_norm, _heads(emit, op, t, x), width, emit.weight("weight"), bias, op.eps)
    return _heads(emit, op, t, y, back=True)


@lowers("rmsnorm")
def rmsnorm(emit: Emit, node: Node, x: Value, *given: Value) -> Value:
    """Over the last axis."""
    op, t = settings(node, RMSNorm), emit.types(node)[0]
    if not supplied(node):
        return normalised(emit, op, t, x)
    y = emit.call(F.rms_norm, channels_last(emit, x, t), (t.channels,), emit.weight("weight"), op.eps)
    return channels_last(emit, y, t, back=True)


@lowers("groupnorm")
def groupnorm(emit: Emit, node: Node, x: Value, *given: Value) -> Value:
    """With the channels second, where torch wants them."""
    op, t = settings(node, GroupNorm), emit.types(node)[0]
    if not supplied(node):
        return normalised(emit, op, t, x)
    weights = emit.weight("weight"), emit.weight("bias")
    y = emit.call(F.group_norm, channels_second(emit, x, t), op.groups, *weights, op.eps)
    return channels_second(emit, y, t, back=True)


@lowers("batchnorm")
def batchnorm(emit: Emit, node: Node, x: Value) -> Value:
    return normalised(emit, settings(node, BatchNorm), emit.types(node)[0], x)


@lowers("frozen_batchnorm")
def frozen_batchnorm(emit: Emit, node: Node, x: Value) -> Value:
    return normalised(emit, settings(node, FrozenBatchNormRecord), emit.types(node)[0], x)


@lowers("instancenorm")
def instancenorm(emit: Emit, node: Node, x: Value) -> Value:
    return normalised(emit, settings(node, InstanceNorm), emit.types(node)[0], x)
