"""Free regrouping of axes, and axes that come apart, repeat or thin out."""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from ogive.dsl import limits
from ogive.dsl.dims import Dim, ceil_div
from ogive.dsl.dims_text import show
from ogive.dsl.ops.activation import axis_place
from ogive.dsl.ops.plane import area, laid, plane
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Site
from ogive.dsl.ops.settings import Window, each
from ogive.dsl.types import Axis, Role, Segment, Tensor

__all__ = ["Atom", "Rearrange", "RepeatTo", "Subsample", "Unstack", "written"]

Atom: TypeAlias = tuple[str, Dim]
"""A name of one side of a `rearrange`, and its size. A name that stands twice is numbered: `7`, `7'2`."""

LAYOUTS = {
    1: (Role.BATCH,),
    2: (Role.BATCH, Role.CHANNEL),
    3: (Role.BATCH, Role.POSITION, Role.CHANNEL),
    4: (Role.BATCH, Role.CHANNEL, Role.ROW, Role.COL),
    5: (Role.BATCH, Role.CHANNEL, Role.FRAME, Role.ROW, Role.COL),
}


class Rearrange(Primitive):
    """Regroups axes as in einops: the input's annotation and this line's are the two sides of the pattern.

    Every name of the left stands on the right once; `1` may come and go, and what stands twice keeps its order. Roles
    go by the number of axes, as those of an input; of two axes the second is the positions where it was that or is
    called N; positions that stay the third of four make `B heads N d`. A group of two in their place is a grid.

    Shapes: `B (a 4) h w` -> `B (h w a) 4`, `B N (heads d)` -> `B heads N d`, and any other.
    """

    op: ClassVar[str] = "rearrange"
    family: ClassVar[Family] = "layout"
    told: ClassVar[frozenset[str]] = frozenset({"left", "right"})

    left: tuple[tuple[Atom, ...], ...]
    right: tuple[tuple[Atom, ...], ...]

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        axes: list[Axis] = []
        whole = {atoms[0][0]: axis for atoms, axis in zip(self.left, x.axes, strict=True) if len(atoms) == 1}
        for role, atoms in zip(self.roles(x), self.right, strict=True):
            sizes = tuple(size for _, size in atoms)
            before = whole.get(atoms[0][0]) if len(atoms) == 1 else None
            if role is not Role.POSITION:
                axes.append(Axis(role, area(sizes)))
            elif before is not None and before.role is role:
                axes.append(before)
            else:
                grid = sizes if len(sizes) == 2 else ()
                axes.append(Axis(role, area(sizes), (Segment(area(sizes), grid, at.node),), "" if grid else at.node))
        return (Tensor(tuple(axes), x.dtype),)

    def roles(self, x: Tensor) -> tuple[Role, ...]:
        """The roles of the result's axes, by their number."""
        rank = len(self.right)
        if rank == 2 and len(self.right[1]) == 1 and self.right[1][0][0] == "N":
            return (Role.BATCH, Role.POSITION)
        positions = [atoms for atoms, role in zip(self.left, x.roles, strict=True) if role is Role.POSITION and atoms]
        if rank == 2 and self.right[1] in positions:
            return (Role.BATCH, Role.POSITION)
        if rank == 4 and self.right[2] in positions:
            return (Role.BATCH, Role.HEAD, Role.POSITION, Role.CHANNEL)
        return LAYOUTS.get(rank, (Role.BATCH, *[Role.OTHER] * (rank - 2), Role.CHANNEL))

    @property
    def unlettered(self) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[Dim, ...], ...]]:
        """What it does whatever its letters are called: each name of the right by its place on the left, and the sizes
        there."""
        order = {name: i for i, (name, _) in enumerate(atom for axis in self.left for atom in axis)}
        right = tuple(tuple(order.get(name, -1) for name, _ in axis) for axis in self.right)
        return right, tuple(tuple(size for _, size in axis) for axis in self.left)

    @property
    def pattern(self) -> str:
        """`B (a 4) h w -> B (h w a) 4`."""
        return f"{written(self.left)} -> {written(self.right)}"

    def __str__(self) -> str:
        return f'{self.op}("{self.pattern}")'


def written(side: tuple[tuple[Atom, ...], ...]) -> str:
    """One side of the pattern as it would be typed."""
    axes = [" ".join(name.partition("'")[0] for name, _ in atoms) for atoms in side]
    return " ".join(f"({axis})" if len(atoms) > 1 else axis or "1" for axis, atoms in zip(axes, side, strict=True))


class Unstack(Primitive):
    """Takes an axis apart: one result per index, all of which must be used.

    Shapes: any with a known number on the axis -> that many without it. `axis` is a letter of the input's annotation,
    `C` (channels) or `N` (positions).
    """

    op: ClassVar[str] = "unstack"
    family: ClassVar[Family] = "layout"
    parts: ClassVar[bool] = True

    axis: str | int

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        place = axis_place(x, self.axis, self.op)
        try:
            count = at.number(x.shape[place], "the number of results of `unstack`")
        except Mismatch:
            raise Mismatch(
                f"`unstack` makes one result per index, and `{show(x.shape[place])}` is free", setting="axis",
                code="A205", help="pin the size where the axis is made: `B (C ways=3)`",
            ) from None
        if count > limits.LIST:
            raise Mismatch(
                f"`unstack` makes at most {limits.LIST:,} results; here are {count:,}", setting="axis", code="A509"
            )
        return (x.without(place),) * count


class RepeatTo(Primitive):
    """One position n times: the mask token of a masked autoencoder.

    Shapes: `B 1 C` -> `B n C`.
    """

    op: ClassVar[str] = "repeat_to"
    family: ClassVar[Family] = "layout"

    n: Dim

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        place = x.find(Role.POSITION)
        if isinstance(self.n, int) and self.n < 1:
            raise Mismatch(f"`repeat_to` makes one position or more, not {self.n}", setting="n")
        if place is None or x.shape[place] != 1:
            raise Mismatch(f"`repeat_to` repeats one position, `B 1 C`; here comes `{x}`", input=0,
                           help="`take(i, keep=True)` leaves one position" if place is not None else None)
        return (x.with_axis(place, Axis(Role.POSITION, self.n, (Segment(self.n, (), at.node),))),)


class Subsample(Primitive):
    """Every step-th row and column, from the first on.

    Shapes: `B C H W` -> `B C ceil(H / step) ceil(W / step)`; tokens with a grid likewise.
    """

    op: ClassVar[str] = "subsample"
    family: ClassVar[Family] = "pool"

    step: Window

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        sizes = plane(x, self.op)
        steps = each(self.step, len(sizes), "step")
        return (laid(x, tuple(ceil_div(n, s) for n, s in zip(sizes, steps, strict=True)), at.node),)
