"""Regions of interest: boxes on an image, each brought to one size."""

from __future__ import annotations

from itertools import pairwise
from math import log2
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator

from ogive.dsl.ops.plane import expect_image
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Site
from ogive.dsl.ops.settings import Count, Positive, Window, each, floats
from ogive.dsl.types import Axis, Role, Tensor

__all__ = ["RoiAlign", "RoiPool"]


def _strides(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (float(value),)
    if isinstance(value, tuple) and value:
        return tuple(float(x) if isinstance(x, int) and not isinstance(x, bool) else x for x in value)
    raise ValueError("takes a number, or a list of them")


Strides = Annotated[tuple[Positive, ...], BeforeValidator(_strides)]


class _Regions(Primitive):
    """What region ops share: maps and boxes in, one small image per box out."""

    family: ClassVar[Family] = "pool"
    inputs: ClassVar[tuple[str, ...]] = ("*maps", "boxes")

    size: Window
    strides: Strides

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        *maps, boxes = inputs
        if boxes.layout != "tokens" or boxes.dtype != "float" or boxes.shape[2] != 4:
            raise Mismatch(f"boxes are `B K 4`, x1 y1 x2 y2 in pixels; here comes `{boxes}`", input=len(maps),
                           help=f"the maps stand first: `maps, boxes -> {self.op}({self.size}, strides=...)`")
        first = maps[0]
        for i, x in enumerate(maps):
            floats(x, self.op, i)
            if len(expect_image(x, self.op)) != 2:
                raise Mismatch(f"`{self.op}` works on rows and columns; here comes `{x}`", input=i)
            at.same(x.shape[0], boxes.shape[0], "the batch of the maps and of the boxes")
            if isinstance(x.shape[1], int) and isinstance(first.shape[1], int) and x.shape[1] != first.shape[1]:
                raise Mismatch(f"the levels are {first.shape[1]} and {x.shape[1]} channels wide", input=i,
                               help="a box may come from any of them: give all one width")
            at.same(first.shape[1], x.shape[1], "the channels of the levels")
        if len(self.strides) != len(maps):
            given = "1 map" if len(maps) == 1 else f"{len(maps)} maps"
            raise Mismatch(f"here are {given} and {len(self.strides)} strides", setting="strides",
                           help="the stride of each map: pixels of the image per cell")
        rows, columns = each(self.size, 2, "size")
        axes = (
            Axis(Role.BATCH, boxes.shape[0] * boxes.shape[1]), first.axes[1], Axis(Role.ROW, rows),
            Axis(Role.COL, columns),
        )
        return (Tensor(axes),)


class RoiAlign(_Regions):
    """Cuts each box out of a map by bilinear samples, `size` cells of samples x samples (Mask R-CNN, arXiv:1703.06870).

    Shapes: maps `B C h w`, boxes `B K 4` -> `(B K) C size`. Boxes are x1 y1 x2 y2 in pixels of the image; `strides` is
    how many pixels a cell of each map is wide. Of several maps, each box is cut from the level
    floor(level + log2(sqrt(area) / at) + 1e-6), levels being log2 of the strides, clamped to those there are (FPN, Lin
    et al. 2016, arXiv:1612.03144). `aligned` moves the samples by half a cell, as torchvision's `aligned=True`.
    """

    op: ClassVar[str] = "roi_align"

    samples: Count = 2
    aligned: bool = False
    level: Count = 4
    at: Positive = 224.0

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        made = super().shape(at, *inputs)
        if len(self.strides) > 1:
            levels = [log2(s) for s in self.strides]
            if any(b - a != 1 for a, b in pairwise(levels)) or not levels[0].is_integer():
                raise Mismatch("the strides of several maps double from one to the next, from a power of 2 on",
                               setting="strides", help="strides=[4, 8, 16, 32]")
        return made


class RoiPool(_Regions):
    """Cuts each box out of a map, the largest value of each of `size` bins (Fast R-CNN, arXiv:1504.08083).

    Shapes: map `B C h w`, boxes `B K 4` -> `(B K) C size`. Boxes are x1 y1 x2 y2 in pixels, rounded to cells of the
    map; neighbouring bins may share a row or column. A bin that lies outside the map is 0.
    """

    op: ClassVar[str] = "roi_pool"
    inputs: ClassVar[tuple[str, ...]] = ("map", "boxes")
