"""Where data comes from that is no input: learned numbers, places, zeros."""

from __future__ import annotations

from math import prod
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ogive.dsl.dims_text import show
from ogive.dsl.ops.plane import grid_axis
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Site, Weight
from ogive.dsl.ops.settings import STD, Count, Filling, Positive, Window, each, floats
from ogive.dsl.types import Axis, Role, Segment, Tensor

__all__ = ["Arange", "Learned", "Position", "ZerosLike"]

ROLES = {
    0: (),
    1: (Role.CHANNEL,),
    2: (Role.POSITION, Role.CHANNEL),
    3: (Role.BATCH, Role.POSITION, Role.CHANNEL),
    4: (Role.BATCH, Role.CHANNEL, Role.ROW, Role.COL),
    5: (Role.BATCH, Role.CHANNEL, Role.FRAME, Role.ROW, Role.COL),
}


class Learned(Primitive):
    """A learned tensor: a class token, queries, a factor.

    Shapes: `learned()` is a number, `learned(C)` a channel vector, `learned(n, C)` n positions, `learned(1, n, C)` the
    same with a batch. Weight: one bare parameter, whose key is the node's.
    `trainable=False` is still a parameter. `std` belongs to `init` "normal" and "trunc_normal".
    """

    op: ClassVar[str] = "learned"
    family: ClassVar[Family] = "data"
    inputs: ClassVar[tuple[str, ...]] = ()
    spread: ClassVar[str | None] = "dims"

    dims: tuple[Count, ...] = ()
    init: Filling = "trunc_normal"
    std: Positive = STD
    trainable: bool = True

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        roles = ROLES.get(len(self.dims), (Role.OTHER,) * len(self.dims))
        axes = [Axis(role, size) for role, size in zip(roles, self.dims, strict=True)]
        for i, axis in enumerate(axes):
            if axis.role is Role.POSITION:
                axes[i] = Axis(Role.POSITION, axis.size, (Segment(axis.size, (), at.node),))
        if len(axes) == 1:  # beside tokens it is one position, and is found there by its name
            axes[0] = Axis(Role.CHANNEL, axes[0].size, (Segment(1, (), at.node),))
        return (Tensor(tuple(axes)),)

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        return (Weight("", self.dims, self.init, trainable=self.trainable, std=self.std),)


class Position(Primitive):
    """Adds a learned vector to each position, the tokens before the grid included.

    Shapes: tokens with a grid of `size`, same. Weight: one bare parameter, whose key is the node's:
    [1, prefix + h w, C], or [1, h, w, C] with `layout="grid"`.
    `init="sincos"` is the fixed sine and cosine code of MAE (He et al. 2021).
    """

    op: ClassVar[str] = "position"
    family: ClassVar[Family] = "embedding"

    size: Window
    prefix: Annotated[int, Field(ge=0)] = 0
    layout: Literal["tokens", "grid"] = "tokens"
    init: Literal["sincos"] | Filling = "trunc_normal"
    std: Positive = STD
    trainable: bool = True

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        axis = grid_axis(x, self.op)
        floats(x, self.op)
        size = each(self.size, len(axis.grid), "size")
        if self.layout == "grid" and self.prefix:
            raise Mismatch('layout="grid" has no place for a prefix', setting="prefix", help='layout="tokens"')
        if axis.prefix != self.prefix:
            fits = isinstance(axis.prefix, int)
            raise Mismatch(
                f"`position` has {self.prefix} places before its grid; `{x}` has {show(axis.prefix)} positions there",
                setting="prefix", input=0, help=f"prefix={axis.prefix}" if fits else None,
            )
        if axis.segments[-1].grid == ():
            raise Mismatch(f"`position` ends with its grid; `{x}` has positions behind it", input=0,
                           help="add the positions before those are joined")
        for have, want, name in zip(axis.grid, size, ("rows", "columns"), strict=False):
            if isinstance(have, int) and have != want:
                grid = "x".join(show(n) for n in axis.grid)
                raise Mismatch(f"`position` is made for {want} {name}; the grid has {have}", setting="size", input=0,
                               help=f"position({grid}{f', prefix={self.prefix}' if self.prefix else ''})")
            at.same(have, want, f"the {name} of the grid and of `position`")
        return (x,)

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        axis = grid_axis(inputs[0], self.op)
        size = each(self.size, len(axis.grid), "size")
        width = at.number(inputs[0].shape[2], "the width of `position`")
        shape = (1, *size, width) if self.layout == "grid" else (1, self.prefix + prod(size), width)
        return (Weight("", shape, self.init, trainable=self.trainable, std=self.std),)


class Arange(Primitive):
    """The places 0, 1, 2, ... of the positions, as ids.

    Shapes: `B N` or `B N C` -> `1 N` of int.
    """

    op: ClassVar[str] = "arange"
    family: ClassVar[Family] = "data"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        axis = inputs[0].axis(Role.POSITION)
        if axis is None:
            raise Mismatch(f"`arange` counts positions; `{inputs[0]}` has none", input=0)
        return (Tensor((Axis(Role.BATCH, 1), axis), "int"),)


class ZerosLike(Primitive):
    """Zeros of the same shape.

    Shapes: any, same.
    """

    op: ClassVar[str] = "zeros_like"
    family: ClassVar[Family] = "data"
