"""Pooling and resampling: fewer or more positions, the same channels."""

from __future__ import annotations

from typing import ClassVar, Literal

from ogive.dsl.dims import Dim
from ogive.dsl.dims_text import show
from ogive.dsl.ops.conv import paddings
from ogive.dsl.ops.plane import expect_image, is_image, laid, plane, slid
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Reference, Site, Size
from ogive.dsl.ops.settings import Padding, Window, each, floats
from ogive.dsl.types import Axis, Role, Tensor, vector

__all__ = ["AdaptivePool", "AvgPool", "GlobalPool", "MaxPool", "MaxUnpool", "Upsample"]

NONE = Size((0,))
ONE = Size((1,))


class _Window(Primitive):
    """A window that slides over an image or over the grid of tokens."""

    family: ClassVar[Family] = "pool"

    size: Window
    stride: Window | None = None
    pad: Padding = NONE

    def windows(self, rank: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...] | None]:
        """Kernel, stride and padding along each axis; padding None is "same"."""
        kernel = each(self.size, rank, "size")
        stride = kernel if self.stride is None else each(self.stride, rank, "stride")
        pad = paddings(NONE if self.pad is None else self.pad, kernel, (1,) * rank)
        for k, p in zip(kernel, pad or (), strict=False):
            if p > k // 2:
                raise Mismatch(
                    f"`{self.op}` pads {p} beside a window of {k}; a window must see the input", setting="pad",
                    help=f"a padding of at most {k // 2}",
                )
        return kernel, stride, pad

    def pooled(self, at: Site, x: Tensor, dilation: Size, ceil: bool, prefix: str | None) -> Tensor:
        sizes = plane(x, self.op, beside=prefix == "keep")
        kernel, stride, pad = self.windows(len(sizes))
        if pad is None and ceil:
            raise Mismatch('pad="same" rounds up already', setting="ceil", help="leave `ceil` out")
        steps = each(dilation, len(sizes), "dilation")
        return laid(x, slid(at, self.op, sizes, kernel, stride, pad, steps, ceil), at.node)


class MaxPool(_Window):
    """The largest value in each window.

    Shapes: `B C H W` -> `B C h w` as a convolution's, or tokens with a grid; `ceil` rounds up. `prefix="keep"` lets
    tokens beside the grid pass by. `indices=True` gives a second result, `.indices`: row-major places in the input.
    """

    op: ClassVar[str] = "max_pool"
    results: ClassVar[tuple[str, ...]] = ("", "indices")

    dilation: Window = ONE
    ceil: bool = False
    prefix: Literal["keep"] | None = None
    indices: bool = False

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        floats(inputs[0], self.op)
        made = self.pooled(at, inputs[0], self.dilation, self.ceil, self.prefix)
        if not self.indices:
            return (made,)
        if not is_image(inputs[0]) or self.pad == "same":
            raise Mismatch(
                "`indices=True` works on images, with a padding in numbers", setting="indices",
                help="`to_image` turns tokens with a grid into an image" if not is_image(inputs[0]) else None,
            )
        return (made, made.of("int"))


class MaxUnpool(_Window):
    """Puts each value back where the largest one stood, zeros elsewhere (SegNet, arXiv:1511.00561).

    Shapes: `B C h w` -> `B C H W`, the plane of `like`: what the `max_pool` it undoes was fed. Size, stride and padding
    are those of that pool, `indices` its places: `max_unpool(2x2, indices=pool.indices, like=x)`.
    """

    op: ClassVar[str] = "max_unpool"
    references: ClassVar[frozenset[str]] = frozenset({"like"})
    tensors: ClassVar[tuple[str, ...]] = ("indices",)

    indices: Reference
    like: Reference

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x, places = inputs[0], self.indices.tensor
        sizes = expect_image(x, self.op)
        floats(x, self.op)
        if places.dtype != "int" or not is_image(places):
            raise Mismatch(f"`indices` are the places that `max_pool` noted; here comes `{places}`", setting="indices",
                           help="`pool = max_pool(2x2, indices=True)`, then `indices=pool.indices`")
        for i, (mine, theirs) in enumerate(zip(x.shape, places.shape, strict=False)):
            if x.rank != places.rank or (isinstance(mine, int) and isinstance(theirs, int) and mine != theirs):
                raise Mismatch(f"each value has a place; here are values `{x}` and places `{places}`",
                               setting="indices", input=0)
            at.same(mine, theirs, f"axis {i} of the values and of `indices`")
        wide = expect_image(self.like.tensor, self.op)
        if len(wide) != len(sizes):
            raise Mismatch(f"`{self.like}` has a plane of {len(wide)} axes, here are {len(sizes)}", setting="like",
                           input=0)
        kernel, stride, pad = self.windows(len(sizes))
        if pad is None:
            raise Mismatch('`max_pool` notes no places with pad="same"', setting="pad", help="a padding in numbers")
        for have, pooled in zip(sizes, slid(at, self.op, wide, kernel, stride, pad, (1,) * len(sizes)), strict=True):
            if isinstance(have, int) and isinstance(pooled, int) and have != pooled:
                raise Mismatch(f"`max_pool({self.size})` of `{self.like}` gives {pooled} where {have} come in",
                               setting="like", input=0, help="`like=` names what the pool was fed")
            at.same(have, pooled, f"what comes in and what the pool makes of `{self.like}`")
        return (laid(x, wide, at.node),)


class AvgPool(_Window):
    """The mean of each window.

    Shapes: as `max_pool`. `count_pad=False` leaves padding out of the mean; "same" padding never counts.
    """

    op: ClassVar[str] = "avg_pool"

    ceil: bool = False
    count_pad: bool = True
    prefix: Literal["keep"] | None = None

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        floats(inputs[0], self.op)
        return (self.pooled(at, inputs[0], ONE, self.ceil, self.prefix),)


class GlobalPool(Primitive):
    """The mean over all positions.

    Shapes: `B C H W` or `B N C` -> `B C`; with `keep`, `B C 1 1` or `B 1 C`.
    """

    op: ClassVar[str] = "global_pool"
    family: ClassVar[Family] = "pool"

    keep: bool = False

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        floats(x, self.op)
        if x.layout == "tokens":
            if self.keep:
                return (Tensor((x.axes[0], Axis(Role.POSITION, 1), x.axes[2])),)
            return (vector(x.shape[0], x.shape[2]),)
        sizes = expect_image(x, self.op)
        return (laid(x, (1,) * len(sizes), at.node),) if self.keep else (vector(x.shape[0], x.shape[1]),)


class GlobalMaxPool(GlobalPool):
    """The largest value over all positions.

    Shapes: `B C H W` or `B N C` -> `B C`; with `keep`, `B C 1 1` or `B 1 C`.
    """

    op: ClassVar[str] = "global_max_pool"


class AdaptivePool(Primitive):
    """Pools to a given size: window i of n covers positions floor(i H / n) to ceil((i + 1) H / n) - 1.

    Shapes: `B C H W` -> `B C size`, `kind` "mean" or "max".
    """

    op: ClassVar[str] = "adaptive_pool"
    family: ClassVar[Family] = "pool"

    size: Window
    kind: Literal["mean", "max"] = "mean"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        floats(inputs[0], self.op)
        sizes = expect_image(inputs[0], self.op)
        return (laid(inputs[0], each(self.size, len(sizes), "size"), at.node),)


class Upsample(Primitive):
    """Resamples an image: to the size of another node (`like=`), by a factor (`by=`) or to a size (`size=`).

    Shapes: `B C H W` -> `B C h w`. `mode` "nearest", "bilinear", "bicubic", or "nails": by= alone, zeros around each
    value. `corners=True` lays the corner pixels of both images on each other (torch's `align_corners`).
    """

    op: ClassVar[str] = "upsample"
    family: ClassVar[Family] = "pool"
    references: ClassVar[frozenset[str]] = frozenset({"like"})

    by: Window | None = None
    size: Window | None = None
    like: Reference | None = None
    mode: Literal["nearest", "bilinear", "bicubic", "nails"] = "nearest"
    corners: bool = False

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        sizes = expect_image(x, self.op)
        floats(x, self.op)
        told = [name for name in ("like", "by", "size") if getattr(self, name) is not None]
        if len(told) != 1:
            raise Mismatch(
                "`upsample` takes one of like=, by= and size=; here " + (" and ".join(told) or "none"),
                setting=told[1] if told else None, help="upsample(by=2)" if not told else f"leave {told[-1]}= out",
            )
        if self.mode == "nails" and self.by is None:
            raise Mismatch('mode="nails" sets values apart by a factor', setting="mode", help="upsample(by=2)")
        if self.mode == "bicubic" and len(sizes) != 2:
            raise Mismatch('mode="bicubic" works on rows and columns', setting="mode", help='mode="bilinear"')
        if self.corners and self.mode in ("nearest", "nails"):
            raise Mismatch(f'mode="{self.mode}" has no corners to lay on each other', setting="corners")
        return (laid(x, self.target(sizes), at.node),)

    def target(self, sizes: tuple[Dim, ...]) -> tuple[Dim, ...]:
        """The sizes of the plane that is made."""
        rank = len(sizes)
        if self.by is not None:
            return tuple(n * factor for n, factor in zip(sizes, each(self.by, rank, "by"), strict=True))
        if self.size is not None:
            return each(self.size, rank, "size")
        assert self.like is not None
        found = plane(self.like.tensor, self.op, beside=True)
        if len(found) != rank:
            shown = " ".join(show(n) for n in found)
            raise Mismatch(f"`{self.like}` has a plane of {len(found)} axes, `{shown}`; the input has {rank}",
                           setting="like", input=0)
        return found
