"""Moves on a plane: values shifted, grids made larger or smaller, and given back to tokens that lost theirs."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator

from ogive.dsl.dims import Dim, ceil_div
from ogive.dsl.ops.plane import area, laid, plane
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Reference, Site
from ogive.dsl.ops.settings import Window, each, floats
from ogive.dsl.types import Axis, Role, Segment, Tensor

__all__ = ["CropGrid", "PadGrid", "Regrid", "Shift"]


def _steps(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    if isinstance(value, tuple) and value:
        return value
    raise ValueError("takes a whole number, or a list of them")


Steps = Annotated[tuple[int, ...], BeforeValidator(_steps)]


class Shift(Primitive):
    """Moves values along rows and columns: what stands at j comes to j + cols (S2-MLP, CycleMLP).

    Shapes: `B C H W`, or tokens with a grid, same. `rows` and `cols` are a number, or a list that the channels take in
    turn: channel c moves by the number at c mod n. What comes in at the border is zero, the `edge` value again, or what
    went out at the other side (`wrap`).
    """

    op: ClassVar[str] = "shift"
    family: ClassVar[Family] = "layout"

    rows: Steps = (0,)
    cols: Steps = (0,)
    border: Literal["zero", "edge", "wrap"] = "zero"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        floats(inputs[0], self.op)
        if len(plane(inputs[0], self.op)) != 2:
            raise Mismatch(f"`{self.op}` moves along rows and columns; here comes `{inputs[0]}`", input=0)
        return (inputs[0],)

    def vanishes(self) -> bool:
        return not any(self.rows) and not any(self.cols)


class PadGrid(Primitive):
    """Makes the rows and columns multiples of n, by zeros below and to the right: ragged windows.

    Shapes: `B (h w) C` -> `B (H W) C`, H = ceil(h / n) n; `B C h w` likewise. The new tokens are zeros that take part:
    attention sees them as keys. `crop_grid` takes them away again.
    """

    op: ClassVar[str] = "pad_grid"
    family: ClassVar[Family] = "layout"

    n: Window

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        floats(inputs[0], self.op)
        return (laid(inputs[0], self.padded(inputs[0]), at.node),)

    def padded(self, x: Tensor) -> tuple[Dim, ...]:
        """The sizes of the plane that is made."""
        sizes = plane(x, self.op)
        return tuple(ceil_div(size, n) * n for size, n in zip(sizes, each(self.n, len(sizes), "n"), strict=True))


class CropGrid(Primitive):
    """Leaves out the rows and columns beyond those of another node: the way back from `pad_grid`.

    Shapes: `B (H W) C` -> `B (h w) C`, h and w being those of `like`, whose origin the positions have again; images
    likewise.
    """

    op: ClassVar[str] = "crop_grid"
    family: ClassVar[Family] = "layout"
    references: ClassVar[frozenset[str]] = frozenset({"like"})

    like: Reference

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        have, want = plane(x, self.op), plane(self.like.tensor, self.op)
        if len(have) != len(want):
            raise Mismatch(f"`{self.like}` has a plane of {len(want)} axes, here are {len(have)}", setting="like",
                           input=0)
        for m, n in zip(have, want, strict=True):
            if isinstance(m, int) and isinstance(n, int) and m < n:
                raise Mismatch(f"`{self.op}` makes a grid smaller; {m} is less than the {n} of `{self.like}`",
                               setting="like", input=0)
        return (laid(x, want, _origin(self.like.tensor) or at.node),)


class Regrid(Primitive):
    """Gives tokens the grid of another node: after a `gather`, or a regrouping that lost it.

    Shapes: `B N C` -> `B (h w) C`, the positions (prefix, grid, origins) being those of `like`. Nothing is moved.
    """

    op: ClassVar[str] = "regrid"
    family: ClassVar[Family] = "layout"
    references: ClassVar[frozenset[str]] = frozenset({"like"})

    like: Reference

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        place = x.find(Role.POSITION)
        if place is None:
            raise Mismatch(f"`{self.op}` works on tokens; here comes `{x}`", input=0)
        axis = self._positions(at)
        have = x.shape[place]
        if isinstance(have, int) and isinstance(axis.size, int) and have != axis.size:
            raise Mismatch(f"{have} positions are not the {axis.size} of `{self.like}`", setting="like", input=0)
        at.same(have, axis.size, f"the positions of `{x}` and of `{self.like}`")
        return (x.with_axis(place, axis),)

    def _positions(self, at: Site) -> Axis:
        like = self.like.tensor
        axis = like.axis(Role.POSITION)
        if like.layout == "tokens" and axis is not None and axis.segments:
            return axis
        sizes = plane(like, self.op)
        return Axis(Role.POSITION, area(sizes), (Segment(area(sizes), sizes, at.node),))


def _origin(x: Tensor) -> str:
    axis = x.axis(Role.POSITION)
    return "" if axis is None else next((s.origin for s in axis.segments if s.grid), "")
