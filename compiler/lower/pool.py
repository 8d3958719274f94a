"""Pooling and resampling; tokens go through their grid."""

from __future__ import annotations

import operator
from typing import Any

import torch
import torch.nn.functional as F

from ogive.compiler.lower.axes import from_grid, to_grid
from ogive.compiler.lower.conv import same_padding
from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.modules import SamePad
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.pool import AdaptivePool, AvgPool, GlobalPool, MaxPool, MaxUnpool, Upsample
from ogive.dsl.ops.settings import each
from ogive.dsl.types import Tensor

__all__ = ["adaptive_pool", "avg_pool", "global_max_pool", "global_pool", "max_pool", "max_unpool", "upsample"]

MAX: Any = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
UNPOOL: Any = {1: F.max_unpool1d, 2: F.max_unpool2d, 3: F.max_unpool3d}
AVG: Any = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
ADAPTIVE: Any = {
    "mean": {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d},
    "max": {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d},
}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def _rank(t: Tensor) -> int:
    """How many axes there are to slide along."""
    return len(t.axes[1].grid) if t.layout == "tokens" else t.rank - 2


@lowers("max_pool")
def max_pool(emit: Emit, node: Node, x: Value) -> Value | tuple[Value, ...]:
    """Values, and places where the record asks for them; "same" pads with what no maximum sees."""
    op, (t,) = settings(node, MaxPool), emit.types(node)
    rank = _rank(t)
    image = to_grid(emit, x, t) if t.layout == "tokens" else x
    kernel, stride, pad = op.windows(rank)
    dilation = each(op.dilation, rank, "dilation")
    if pad is None:
        pad = same_padding(kernel, stride, dilation)
    if pad is None:
        pad = (0,) * rank
        image = emit.module(SamePad(kernel, stride, dilation, value=float("-inf")), image)
    both = op.indices or rank == 1  # torch.export cannot follow the sizes of max_pool1d alone
    made = emit.call(MAX[rank], image, kernel, stride, pad, dilation, op.ceil, return_indices=both)
    if op.indices:
        return emit.call(operator.getitem, made, 0), emit.call(operator.getitem, made, 1)
    if both:
        made = emit.call(operator.getitem, made, 0)
    return from_grid(emit, made, x, t) if t.layout == "tokens" else made


@lowers("max_unpool")
def max_unpool(emit: Emit, node: Node, x: Value, indices: Value) -> Value:
    """The size is that of `like`."""
    op, (t, _) = settings(node, MaxUnpool), emit.types(node)
    rank = t.rank - 2
    kernel, stride, pad = op.windows(rank)
    size = tuple(emit.size(n) for n in node.outputs[0].shape[2:])
    return emit.call(UNPOOL[rank], x, indices, kernel, stride, pad, size)


@lowers("avg_pool")
def avg_pool(emit: Emit, node: Node, x: Value) -> Value:
    """"same" divides by the positions that are not padding."""
    op, (t,) = settings(node, AvgPool), emit.types(node)
    rank = _rank(t)
    image = to_grid(emit, x, t) if t.layout == "tokens" else x
    kernel, stride, pad = op.windows(rank)
    if pad is not None:
        made = emit.call(AVG[rank], image, kernel, stride, pad, op.ceil, op.count_pad)
    elif (pad := same_padding(kernel, stride, (1,) * rank)) is not None:
        made = emit.call(AVG[rank], image, kernel, stride, pad, False, False)
    else:  # the mean over all, by the share that is not padding
        pads = SamePad(kernel, stride, (1,) * rank)
        parts = [emit.module(pads, y) for y in (image, emit.call(torch.ones_like, image))]
        made = emit.call(operator.truediv, *(emit.call(AVG[rank], y, kernel, stride) for y in parts))
    return from_grid(emit, made, x, t) if t.layout == "tokens" else made


@lowers("global_pool")
def global_pool(emit: Emit, node: Node, x: Value) -> Value:
    return _global(emit, node, x, torch.mean)


@lowers("global_max_pool")
def global_max_pool(emit: Emit, node: Node, x: Value) -> Value:
    return _global(emit, node, x, torch.amax)


def _global(emit: Emit, node: Node, x: Value, function: Any) -> Value:
    op, (t,) = settings(node, GlobalPool), emit.types(node)
    axes = (1,) if t.layout == "tokens" else tuple(range(2, t.rank))
    return emit.call(function, x, dim=axes, keepdim=op.keep)


@lowers("adaptive_pool")
def adaptive_pool(emit: Emit, node: Node, x: Value) -> Value:
    op, (t,) = settings(node, AdaptivePool), emit.types(node)
    return emit.call(ADAPTIVE[op.kind][t.rank - 2], x, each(op.size, t.rank - 2, "size"))


@lowers("upsample")
def upsample(emit: Emit, node: Node, x: Value) -> Value:
    """`like=` and `size=` name sizes, `by=` a factor."""
    op, (t,) = settings(node, Upsample), emit.types(node)
    rank = t.rank - 2
    if op.mode == "nails":
        assert op.by is not None
        return _nails(emit, x, each(op.by, rank, "by"))
    mode = LINEAR[rank] if op.mode == "bilinear" else op.mode
    corners = None if op.mode == "nearest" else op.corners
    if op.by is not None:
        factors = tuple(float(n) for n in each(op.by, rank, "by"))
        return emit.call(F.interpolate, x, scale_factor=factors, mode=mode, align_corners=corners)
    size = tuple(emit.size(n) for n in op.target(t.shape[2:]))
    return emit.call(F.interpolate, x, size=size, mode=mode, align_corners=corners)


def _nails(emit: Emit, x: Value, by: tuple[int, ...]) -> Value:
    """Each value, then by - 1 zeros, along each axis."""
    for axis, n in reversed(list(enumerate(by, start=2))):
        after = len(by) + 1 - axis
        x = emit.call(F.pad, emit.method("unsqueeze", x, axis + 1), [0, 0] * after + [0, n - 1])
        x = emit.method("flatten", x, axis, axis + 1)
    return x
