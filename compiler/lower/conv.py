"""Convolutions, as modules of torch.nn by the number of axes they slide along."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import nn

from ogive.compiler.lower.axes import channels_second
from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.modules import SamePad
from ogive.compiler.lower.norm import normalised
from ogive.compiler.lower.register import lowers, settings, supplied
from ogive.dsl.graph import Node
from ogive.dsl.ops.conv import Conv, Patchify, TransposeConv, paddings
from ogive.dsl.ops.plane import tokens_of
from ogive.dsl.ops.settings import each

__all__ = ["conv", "patchify", "same_padding", "transpose_conv"]

MODULES: Any = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
FUNCTIONS: Any = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED: Any = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
TRANSPOSES: Any = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
PAD_MODES = {"zeros": "constant"}


@lowers("conv")
def conv(emit: Emit, node: Node, x: Value, *given: Value) -> Value:
    """`pad="same"` pads in a step of its own where the two sides may differ."""
    op, t = settings(node, Conv), emit.types(node)[0]
    rank = t.rank - 2
    x = channels_second(emit, x, t)
    kernel, stride, dilation = op.windows(rank)
    pad = paddings(op.pad, kernel, dilation)
    if pad is None:
        pad = same_padding(kernel, stride, dilation)
    if pad is None:
        pad = (0,) * rank
        x = emit.module(SamePad(kernel, stride, dilation, PAD_MODES.get(op.pad_mode, op.pad_mode)), x, at="pad")
    if not supplied(node) and op.standardize is None:
        settled = {"stride": stride, "padding": pad, "dilation": dilation, "groups": op.groups, "bias": op.bias}
        module = MODULES[rank](t.channels, op.out, kernel, padding_mode=op.pad_mode, **settled)
        return channels_second(emit, emit.module(module, x), t, back=True)
    if op.pad_mode != "zeros" and any(pad):
        x = emit.call(F.pad, x, [p for p in reversed(pad) for _ in "ab"], op.pad_mode)
        pad = (0,) * rank
    weight, bias = emit.weight("weight"), emit.weight("bias") if op.bias else None
    if op.standardize is not None:
        weight = _standardized(emit, op, weight, kernel)
    y = emit.call(FUNCTIONS[rank], x, weight, bias, stride, pad, dilation, op.groups)
    return channels_second(emit, y, t, back=True)


def _standardized(emit: Emit, op: Conv, weight: Value, kernel: tuple[int, ...]) -> Value:
    """Each filter with mean 0 and variance 1: batch normalisation of one sample, the filters its channels."""
    flat = emit.method("reshape", weight, 1, op.out, -1)
    even = emit.call(F.batch_norm, flat, None, None, training=True, momentum=0.0, eps=op.standardize)
    return emit.method("reshape", even, op.out, -1, *kernel)


def same_padding(
    kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The "same" padding of odd windows that move by 1: alike on both sides, whatever the size. None for others."""
    reach = tuple(d * (k - 1) for k, d in zip(kernel, dilation, strict=True))
    if all(s == 1 for s in stride) and all(r % 2 == 0 for r in reach):
        return tuple(r // 2 for r in reach)
    return None


@lowers("transpose_conv")
def transpose_conv(emit: Emit, node: Node, x: Value, *given: Value) -> Value:
    """By the number of axes, as `conv`."""
    op, t = settings(node, TransposeConv), emit.types(node)[0]
    rank = t.rank - 2
    x = channels_second(emit, x, t)
    kernel, stride, pad, more, dilation = op.windows(rank)
    if supplied(node):
        bias = emit.weight("bias") if op.bias else None
        rest = (stride, pad, more, op.groups, dilation)
        y = emit.call(TRANSPOSES[rank], x, emit.weight("weight"), bias, *rest)
    else:
        module = TRANSPOSED[rank](t.channels, op.out, kernel, stride, pad, more, op.groups, op.bias, dilation)
        y = emit.module(module, x)
    return channels_second(emit, y, t, back=True)


@lowers("patchify")
def patchify(emit: Emit, node: Node, x: Value) -> Value:
    """As timm's PatchEmbed: `proj`, then tokens, then `norm`."""
    op, t = settings(node, Patchify), emit.types(node)[0]
    rank = t.rank - 2
    kernel = each(op.size, rank, "size")
    stride = kernel if op.stride is None else each(op.stride, rank, "stride")
    module = MODULES[rank](t.shape[1], op.out, kernel, stride, each(op.pad, rank, "pad"), bias=op.bias)
    y = emit.method("transpose", emit.method("flatten", emit.module(module, x, at="proj"), 2), 1, 2)
    if op.normed is None:
        return y
    made = tokens_of(t.axes[0], node.outputs[0].axes[1].grid, op.out, node.id)
    return normalised(emit, op.normed, made, y, at="norm")
