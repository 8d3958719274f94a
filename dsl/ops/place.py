"""Where things are: fixed codes and coordinates of a plane. They own no weights."""

from __future__ import annotations

from typing import ClassVar, Literal

from ogive.dsl.ops.plane import expect_image, plane, tokens_of
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Reference, Site
from ogive.dsl.ops.settings import Positive, Window, each, floats
from ogive.dsl.types import Axis, Role, Tensor

__all__ = ["Coordinates", "Offsets", "SinePosition"]


class SinePosition(Primitive):
    """The fixed sine and cosine code of rows and columns (DETR, Carion et al. 2020, arXiv:2005.12872).

    Shapes: `B C H W`, same; the values that come in are not read. The first half of the channels tells the row, the
    second the column, sines and cosines in turn, of place / temperature ** (2 i / (C / 2)). Places count from 1;
    `normalize` makes the last one 2 pi.
    """

    op: ClassVar[str] = "sine_position"
    family: ClassVar[Family] = "embedding"

    temperature: Positive = 10000.0
    normalize: bool = True

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        floats(x, self.op)
        if len(expect_image(x, self.op)) != 2:
            raise Mismatch(f"`{self.op}` tells rows and columns; here comes `{x}`", input=0)
        width = at.number(x.shape[1], f"the width of `{self.op}`")
        if width % 4:
            raise Mismatch(
                f"`{self.op}` needs channels in fours, sine and cosine of row and column; here are {width}", input=0,
                code="A203", help=f"`conv({width + -width % 4}, 1x1)` in front",
            )
        return (x,)


class Coordinates(Primitive):
    """The centres of the cells of a plane, between 0 and 1.

    Shapes: `1 (h w) 2`, the plane being that of the image or tokens `like`. Of each cell (x, y), or (y, x) with
    `order="yx"`: ((column + 1/2) / w, (row + 1/2) / h).
    """

    op: ClassVar[str] = "coordinates"
    family: ClassVar[Family] = "data"
    inputs: ClassVar[tuple[str, ...]] = ()
    tensors: ClassVar[tuple[str, ...]] = ("like",)

    like: Reference
    order: Literal["xy", "yx"] = "xy"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = self.like.tensor
        floats(x, self.op)
        sizes = plane(x, self.op, beside=True)
        if len(sizes) != 2:
            raise Mismatch(f"`{self.op}` tells rows and columns; `{self.like}` is `{x}`", setting="like")
        return (tokens_of(Axis(Role.BATCH, 1), sizes, 2, at.node),)


class Offsets(Primitive):
    """How far each cell of a window lies from its centre, in rows and columns.

    Shapes: `1 2 kh kw`; first the rows, then the columns: 3 gives -1 0 1, 2 gives -1/2 1/2.
    """

    op: ClassVar[str] = "offsets"
    family: ClassVar[Family] = "data"
    inputs: ClassVar[tuple[str, ...]] = ()

    size: Window

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        rows, columns = each(self.size, 2, "size")
        axes = Axis(Role.BATCH, 1), Axis(Role.CHANNEL, 2), Axis(Role.ROW, rows), Axis(Role.COL, columns)
        return (Tensor(axes),)
