"""Deformable convolution: each tap of the kernel looks where the features tell it to."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from ogive.dsl.dims import Dim
from ogive.dsl.dims_text import show
from ogive.dsl.ops.conv import ONE, grouped, paddings
from ogive.dsl.ops.plane import area, expect_image, laid, slid
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Site, Size, Weight
from ogive.dsl.ops.settings import STD, Count, Filling, Padding, Positive, Window, bias_init, each, floats
from ogive.dsl.types import Tensor

__all__ = ["DeformConv"]


class DeformConv(Primitive):
    """A convolution whose taps are moved, each at each place, and weighed (Dai et al. 2017; v2, Zhu et al. 2019).

    Shapes: x `B C H W`, offset `B 2*k*g h w`, mask `B k*g h w` -> `B out h w`, as `conv`; k taps, g `offset_groups`.
    Channels of the offset: of each group, of each tap in row-major order, first the rows, then the columns to move by,
    in pixels of x. Samples are bilinear, zero outside. Without a mask every tap weighs 1 (v1, arXiv:1703.06211).
    Weights: weight [out, C / groups, kh, kw], bias [out].
    """

    op: ClassVar[str] = "deform_conv"
    family: ClassVar[Family] = "conv"
    inputs: ClassVar[tuple[str, ...]] = ("x", "offset", "mask?")

    out: Count
    size: Window = Size((3, 3))
    stride: Window = ONE
    pad: Padding = None
    dilation: Window = ONE
    groups: Count = 1
    offset_groups: Count = 1
    bias: bool = True
    init: Filling = "torch"
    std: Positive = STD

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x, *others = inputs
        sizes = expect_image(x, self.op)
        floats(x, self.op)
        if len(sizes) != 2:
            raise Mismatch(f"`{self.op}` moves its taps along rows and columns; here comes `{x}`", input=0)
        grouped(self.op, x.shape[1], self.out, self.groups)
        if isinstance(x.shape[1], int) and x.shape[1] % self.offset_groups:
            raise Mismatch(f"{x.shape[1]} channels do not divide into {self.offset_groups} offset groups",
                           setting="offset_groups", input=0, code="A203")
        kernel, stride, pad, dilation = self.windows()
        made = laid(x, slid(at, self.op, sizes, kernel, stride, pad, dilation), at.node, self.out)
        taps = prod(kernel) * self.offset_groups
        for i, (t, name, wide) in enumerate(zip(others, ("offset", "mask"), (2 * taps, taps), strict=False), start=1):
            self._beside(at, t, name, wide, made, i)
        return (made,)

    def _beside(self, at: Site, t: Tensor, name: str, wide: int, made: Tensor, place: int) -> None:
        """The offset or the mask: an image of the size of the result, so and so many channels wide."""
        floats(t, self.op, place)
        if len(expect_image(t, self.op)) != 2 or (isinstance(t.shape[1], int) and t.shape[1] != wide):
            taps = f"{'x'.join(map(str, each(self.size, 2, 'size')))} taps"
            step = "" if self.stride == ONE else f", stride={self.stride}"
            raise Mismatch(
                f"the {name} of `{self.op}` has {wide} channels for {taps}; here comes `{t}`", input=place,
                help=f"`{name} = x -> conv({wide}, {self.size}{step})`",
            )
        at.same(t.shape[1], wide, f"the channels of the {name}")
        at.same(t.shape[0], made.shape[0], f"the batch of the {name}")
        for mine, theirs in zip(t.shape[2:], made.shape[2:], strict=True):
            if isinstance(mine, int) and isinstance(theirs, int) and mine != theirs:
                wanted = " ".join(show(n) for n in made.shape[2:])
                raise Mismatch(f"the {name} has a place for each place of the result, `{wanted}`; it is `{t}`",
                               input=place, help="its convolution has the same size, stride and padding")
            at.same(mine, theirs, f"the plane of the {name} and of the result")

    def windows(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Kernel, stride, padding and dilation along rows and columns."""
        kernel, dilation = each(self.size, 2, "size"), each(self.dilation, 2, "dilation")
        pad = paddings(self.pad, kernel, dilation)
        if pad is None:
            raise Mismatch('`deform_conv` pads by numbers alone; "same" may differ from side to side', setting="pad",
                           help="leave `pad` out: half of an odd kernel on each side")
        return kernel, each(self.stride, 2, "stride"), pad, dilation

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        width = at.number(inputs[0].shape[1], "the number of channels that `deform_conv` sees")
        kernel = each(self.size, 2, "size")
        weight = Weight("weight", (self.out, width // self.groups, *kernel), self.init, std=self.std)
        return (weight, Weight("bias", (self.out,), bias_init(self.init))) if self.bias else (weight,)

    def macs(self, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Dim:
        return area(outputs[0].shape) * (inputs[0].shape[1] // self.groups) * prod(each(self.size, 2, "size"))
