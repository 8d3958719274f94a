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

__all__ = ["Arange", "Learned", "OneRow", "Ones", "Position", "Slice", "Zeros", "ZerosLike", "learned_type"]

ROLES = {
    0: (),
    1: (Role.CHANNEL,),
    2: (Role.POSITION, Role.CHANNEL),
    3: (Role.BATCH, Role.POSITION, Role.CHANNEL),
    4: (Role.BATCH, Role.CHANNEL, Role.ROW, Role.COL),
    5: (Role.BATCH, Role.CHANNEL, Role.FRAME, Role.ROW, Role.COL),
}


WORDS = {**{role.value: role for role in Role if role is not Role.OTHER}, "col": Role.COL}
"""Roles by their words: `learned(heads, 1, 1) : head . .`."""


def learned_type(dims: tuple[int, ...], origin: str, words: tuple[str, ...] = ()) -> Tensor:
    """The type of a tensor that a file writes down by its sizes, made by `origin`: roles go by the number of axes, or
    are the `words` of an annotation ("" is a plain axis).
    """
    roles = ROLES.get(len(dims), (Role.OTHER,) * len(dims))
    if words:
        roles = tuple(WORDS.get(word, Role.OTHER) for word in words)
    axes = [Axis(role, size) for role, size in zip(roles, dims, strict=True)]
    for i, axis in enumerate(axes):
        if axis.role is Role.POSITION:
            axes[i] = Axis(Role.POSITION, axis.size, (Segment(axis.size, (), origin),))
    if len(axes) == 1:  # beside tokens it is one position, and is found there by its name
        axes[0] = Axis(Role.CHANNEL, axes[0].size, (Segment(1, (), origin),))
    return Tensor(tuple(axes))


class Learned(Primitive):
    """A learned tensor: a class token, queries, a factor.

    Shapes: `learned()` is a number, `learned(C)` a channel vector, `learned(n, C)` n positions, `learned(1, n, C)` the
    same with a batch. Other roles stand in the annotation: `learned(heads, 1, 1) : head . .`, of batch, channel,
    position, row, column, frame and head. Weight: one bare parameter, whose key is the node's.
    `trainable=False` is still a parameter. `std` belongs to `init` "normal" and "trunc_normal".
    """

    op: ClassVar[str] = "learned"
    family: ClassVar[Family] = "data"
    inputs: ClassVar[tuple[str, ...]] = ()
    spread: ClassVar[str | None] = "dims"

    told: ClassVar[frozenset[str]] = frozenset({"roles"})

    dims: tuple[Count, ...] = ()
    init: Filling = "trunc_normal"
    std: Positive = STD
    trainable: bool = True
    roles: tuple[str, ...] = ()

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        if self.roles and len(self.roles) != len(self.dims):
            raise Mismatch(f"`learned` has {len(self.dims)} axes here, and its annotation says {len(self.roles)} roles",
                           setting="dims", help="a word for each axis, or `.`")
        return (learned_type(self.dims, at.node, self.roles),)

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        return (Weight("", self.dims, self.init, trainable=self.trainable, std=self.std),)


class Slice(Primitive):
    """Part of the first axis of a weight, or of what is made of weights: `w[a:b]`; `w[i]` drops the axis.

    Shapes: `n ...` -> `stop - start ...`, or `...` with `drop`, which takes the one at `start`. Numbers below 0 count
    from the end.
    """

    op: ClassVar[str] = "slice"
    family: ClassVar[Family] = "data"

    start: int | None = None
    stop: int | None = None
    drop: bool = False

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        if not x.rank:
            raise Mismatch("a number has no axis to cut", input=0)
        size = at.number(x.shape[0], "the axis that is cut")
        for name, end in (("start", self.start), ("stop", self.stop)):
            last = size - 1 if self.drop else size
            if end is not None and not -size <= end <= last:
                raise Mismatch(f"the first axis of `{x}` has {size} elements; {end} lies outside", setting=name,
                               input=0, help=f"a number from 0 to {last}")
        if self.drop:
            return (x.without(0),)
        count = len(range(size)[self.start : self.stop])
        if not count:
            raise Mismatch(f"nothing is left of {size} elements", setting="stop", input=0,
                           help="`w[a:b]` is from a on, up to b, b left out")
        return (x.with_axis(0, Axis(x.axes[0].role, count)),)


class OneRow(Primitive):
    """A batch of one: what a block does to positions without a batch where it asks for `B N C`.

    Shapes: `N C` -> `1 N C`.
    """

    op: ClassVar[str] = "one_row"
    family: ClassVar[Family] = "data"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        if x.roles != (Role.POSITION, Role.CHANNEL):
            raise Mismatch(f"`{self.op}` works on positions without a batch, `N C`; here comes `{x}`", input=0)
        return (Tensor((Axis(Role.BATCH, 1), *x.axes), x.dtype),)


class Zeros(Primitive):
    """Zeros of a shape that is written down: the missing bias of the keys, the first state of a recurrence.

    Shapes: `zeros()` is a number, `zeros(C)` a channel vector, and so on as `learned`. No weight, no gradient.
    """

    op: ClassVar[str] = "zeros"
    family: ClassVar[Family] = "data"
    inputs: ClassVar[tuple[str, ...]] = ()
    spread: ClassVar[str | None] = "dims"

    dims: tuple[Count, ...] = ()

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (learned_type(self.dims, at.node),)


class Ones(Zeros):
    """Ones of a shape that is written down.

    Shapes: as `zeros`.
    """

    op: ClassVar[str] = "ones"


class Position(Primitive):
    """Adds a learned vector to each position, the tokens before the grid included.

    Shapes: tokens with a grid of `size`, same. Weight: one bare parameter, whose key is the node's:
    [1, prefix + h w, C], or [1, h, w, C] with `layout="grid"`.
    `init="sincos"` is the fixed sine and cosine code of MAE (He et al. 2021). `resize="bicubic"` takes a grid of any
    size: the table's grid is resampled to it, without antialiasing, the places of the prefix stay (DINO, Caron et al.
    2021, arXiv:2104.14294).
    """

    op: ClassVar[str] = "position"
    family: ClassVar[Family] = "embedding"

    size: Window
    prefix: Annotated[int, Field(ge=0)] = 0
    layout: Literal["tokens", "grid"] = "tokens"
    init: Literal["sincos"] | Filling = "trunc_normal"
    std: Positive = STD
    trainable: bool = True
    resize: Literal["bicubic"] | None = None

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
        if self.resize is not None:
            if len(size) != 2:
                raise Mismatch('resize="bicubic" works on rows and columns', setting="resize", input=0)
            return (x,)
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
