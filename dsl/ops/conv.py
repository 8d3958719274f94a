"""Convolutions and what is made of them: on images of one, two or three axes."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import ClassVar, Literal

from ogive.dsl.dims import Dim
from ogive.dsl.ops.plane import area, expect_image, is_sequence, laid, slid, tokens_of
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Site, Size, Weight
from ogive.dsl.ops.settings import (
    STD,
    Border,
    Count,
    Filling,
    Padding,
    Positive,
    Window,
    bias_init,
    divisors,
    each,
    floats,
)
from ogive.dsl.types import Axis, Role, Tensor

__all__ = ["ONE", "Conv", "Patchify", "TransposeConv", "grouped", "paddings"]

ONE = Size((1,))
NONE = Size((0,))


def paddings(pad: Size | str | None, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...] | None:
    """The padding of each axis, None for "same": by default half an odd kernel, nothing beside an even one."""
    if pad == "same":
        return None
    if isinstance(pad, Size):
        return each(pad, len(kernel), "pad")
    return tuple((k - 1) // 2 * d if k % 2 else 0 for k, d in zip(kernel, dilation, strict=True))


def grouped(op: str, width: Dim, out: Dim, groups: int) -> None:
    """Demand that the groups divide the channels that come in and those that go out.

    Raises:
        Mismatch: A203, they do not; the help lists what does.
    """
    if isinstance(width, int) and width % groups:
        raise Mismatch(
            f"{width} channels do not divide into {groups} groups", setting="groups", input=0, code="A203",
            help=f"groups that divide {width}: {divisors(width)}",
        )
    if isinstance(out, int) and out % groups:  # no number while a `?` is solved for
        raise Mismatch(
            f"`{op}` makes {out} channels, which do not divide into {groups} groups", setting="out", code="A203",
            help=f"groups that divide {out}: {divisors(out)}",
        )


def slides_over(x: Tensor, op: str, out: int, size: Size) -> tuple[Dim, ...]:
    """The sizes of the axes that a window moves along: those of an image, or the one of a sequence.

    Raises:
        Mismatch: neither comes in, or a window of several numbers meets a sequence.
    """
    line = is_sequence(x)
    sizes = (x.shape[1],) if line else expect_image(x, op)
    floats(x, op)
    if line and len(size) > 1:
        raise Mismatch(
            f"`{op}` runs along a sequence with a size of one number; here are {size} and `{x}`",
            setting="size", input=0, help=f"`{op}({out}, {size[0]})`; `patchify` makes tokens with a grid",
        )
    return sizes


def answered(x: Tensor, made: tuple[Dim, ...], node: str, out: int) -> Tensor:
    """What a window over `x` answers: axes of these sizes and `out` channels, in the layout of `x`."""
    if not is_sequence(x):
        return laid(x, made, node, out)
    axis = x.axes[1] if x.axes[1].size == made[0] else Axis(Role.POSITION, made[0], (), node)
    return Tensor((x.axes[0], axis, Axis(Role.CHANNEL, out)))


class Conv(Primitive):
    """A convolution; grouped, dilated, strided. 1-D, 2-D or 3-D, as the input is.

    Shapes: `B C H W` -> `B out h w`, h = floor((H + 2*pad - dilation*(k - 1) - 1) / stride) + 1 on each axis; tokens
    without a grid are a sequence, `B N C` -> `B n out`, and take a `size` of one number.
    Padding: by default `(k - 1) // 2 * dilation` beside an odd kernel, 0 beside an even one; numbers are explicit;
    "same" is TensorFlow's, h = ceil(H / stride) with the odd pixel at bottom and right.
    `standardize=eps` brings each filter to mean 0 and variance 1 before it is used (Qiao et al. 2019,
    arXiv:1903.10520): (w - mean) / sqrt(var + eps), as timm's `StdConv2d`.
    Weights: weight [out, C / groups, k..], bias [out].
    """

    op: ClassVar[str] = "conv"
    family: ClassVar[Family] = "conv"
    given: ClassVar[frozenset[str]] = frozenset({"weight", "bias"})

    out: Count
    size: Window = Size((3, 3))
    stride: Window = ONE
    pad: Padding = None
    dilation: Window = ONE
    groups: Count = 1
    bias: bool = True
    pad_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros"
    standardize: Positive | None = None
    init: Filling = "torch"
    std: Positive = STD

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        sizes = slides_over(x, "conv", self.out, self.size)
        width = x.channels or 0
        grouped("conv", width, self.out, self.groups)
        kernel, stride, dilation = self.windows(len(sizes))
        if self.standardize is not None and width // self.groups * prod(kernel) == 1:
            raise Mismatch("a filter of one number has no variance to be standardized by", setting="standardize")
        pad = paddings(self.pad, kernel, dilation)
        if pad is not None and self.pad_mode in ("reflect", "circular"):
            room = 0 if self.pad_mode == "circular" else 1
            for n, p in zip(sizes, pad, strict=True):
                at.fits(p + room, n, f'the padding {p} of pad_mode="{self.pad_mode}"')
                if isinstance(n, int) and p > n - room:
                    raise Mismatch(
                        f'pad_mode="{self.pad_mode}" takes {p} positions from an axis of {n}', setting="pad", input=0,
                        help=f"a padding of at most {n - room}",
                    )
        made = slid(at, "conv", sizes, kernel, stride, pad, dilation)
        return (answered(x, made, at.node, self.out),)

    def windows(self, rank: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Kernel, stride and dilation along each axis."""
        kernel = each(self.size, rank, "size")
        return kernel, each(self.stride, rank, "stride"), each(self.dilation, rank, "dilation")

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        kernel = each(self.size, inputs[0].rank - 2, "size")
        width = at.number(inputs[0].channels or 0, "the number of channels that `conv` sees")
        weight = Weight("weight", (self.out, width // self.groups, *kernel), self.init, std=self.std)
        return (weight, Weight("bias", (self.out,), bias_init(self.init))) if self.bias else (weight,)

    def macs(self, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Dim:
        kernel = each(self.size, inputs[0].rank - 2, "size")
        return area(outputs[0].shape) * ((inputs[0].channels or 0) // self.groups) * prod(kernel)


class TransposeConv(Primitive):
    """A transpose convolution: every input position adds its filter to the output, overlaps are summed.

    Shapes: `B C H W` -> `B out h w`, h = (H - 1)*stride - 2*pad + dilation*(k - 1) + output_pad + 1; a sequence as in
    `conv`, `B N C` -> `B n out`.
    Weights: weight [C, out / groups, k..], bias [out].
    """

    op: ClassVar[str] = "transpose_conv"
    family: ClassVar[Family] = "conv"
    given: ClassVar[frozenset[str]] = frozenset({"weight", "bias"})

    out: Count
    size: Window
    stride: Window = ONE
    pad: Border = NONE
    output_pad: Border = NONE
    dilation: Window = ONE
    groups: Count = 1
    bias: bool = True
    init: Filling = "torch"
    std: Positive = STD

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        sizes = slides_over(x, "transpose_conv", self.out, self.size)
        grouped("transpose_conv", x.channels or 0, self.out, self.groups)
        out: list[Dim] = []
        for n, k, s, p, more, d in zip(sizes, *self.windows(len(sizes)), strict=True):
            if more >= max(s, d):
                raise Mismatch(
                    f"output_pad {more} is not below the stride {s}", setting="output_pad",
                    help=f"a number from 0 to {max(s, d) - 1}",
                )
            size = (n - 1) * s - 2 * p + d * (k - 1) + more + 1
            at.fits((2 * p - d * (k - 1) - more + s - 1) // s + 1, n, f"the padding {p} of `transpose_conv`")
            if isinstance(size, int) and size < 1:
                raise Mismatch(f"nothing is left of an axis of {n} with a padding of {p}", setting="pad", input=0)
            out.append(size)
        return (answered(x, tuple(out), at.node, self.out),)

    def windows(self, rank: int) -> tuple[tuple[int, ...], ...]:
        """Kernel, stride, padding, output padding and dilation along each axis."""
        names = ("size", "stride", "pad", "output_pad", "dilation")
        return tuple(each(getattr(self, name), rank, name) for name in names)

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        kernel = each(self.size, inputs[0].rank - 2, "size")
        width = at.number(inputs[0].channels or 0, "the number of channels that `transpose_conv` sees")
        weight = Weight("weight", (width, self.out // self.groups, *kernel), self.init, std=self.std)
        return (weight, Weight("bias", (self.out,), bias_init(self.init))) if self.bias else (weight,)

    def macs(self, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Dim:
        kernel = each(self.size, inputs[0].rank - 2, "size")
        return area(inputs[0].shape) * (self.out // self.groups) * prod(kernel)


class Patchify(Primitive):
    """Cuts an image into patches and maps each to a token: a convolution whose answer is tokens with a grid.

    Shapes: `B C H W` -> `B (h w) out`, h = floor((H + 2*pad - k) / stride) + 1; the stride is the size unless given.
    Weights: proj.weight [out, C, k..], proj.bias [out], and those of `norm` under norm. (ViT, Dosovitskiy et al. 2021.)
    """

    op: ClassVar[str] = "patchify"
    family: ClassVar[Family] = "embedding"

    out: Count
    size: Window
    stride: Window | None = None
    pad: Border = NONE
    norm: Primitive | None = None
    bias: bool = True
    init: Filling = "torch"
    std: Positive = STD

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        sizes = expect_image(x, "patchify")
        floats(x, "patchify")
        rank = len(sizes)
        stride = self.size if self.stride is None else self.stride
        windows = each(self.size, rank, "size"), each(stride, rank, "stride"), each(self.pad, rank, "pad")
        grid = slid(at, "patchify", sizes, *windows, (1,) * rank)
        made = tokens_of(x.axes[0], grid, self.out, at.node)
        if self.normed is None:
            return (made,)
        if self.normed.family != "norm":
            raise Mismatch(f"`norm` takes a norm; `{self.normed.op}` is none", setting="norm", help="norm=layernorm")
        return self.normed.shape(at, made)

    @property
    def normed(self) -> Primitive | None:
        """The norm behind the projection, None where it is the identity."""
        return None if self.norm is None or self.norm.vanishes() else self.norm

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        x = inputs[0]
        kernel = each(self.size, x.rank - 2, "size")
        width = at.number(x.shape[1], "the number of channels that `patchify` sees")
        own = [Weight("proj.weight", (self.out, width, *kernel), self.init, std=self.std)]
        if self.bias:
            own.append(Weight("proj.bias", (self.out,), bias_init(self.init)))
        if self.normed is not None:
            made = tokens_of(x.axes[0], (1,) * (x.rank - 2), self.out, at.node)
            own += [replace(weight, name=f"norm.{weight.name}") for weight in self.normed.weights(at, made)]
        return tuple(own)

    def macs(self, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Dim:
        kernel = each(self.size, inputs[0].rank - 2, "size")
        return area(outputs[0].shape) * inputs[0].shape[1] * prod(kernel)
