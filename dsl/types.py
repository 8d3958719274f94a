"""What flows along an edge: tensors whose axes have roles, and a position axis made of segments.

Layouts (language.md, "Types, shapes, layout"):
    image   batch channel row col          video   batch channel frame row col
    tokens  batch position channel         vector  batch channel
    ids     batch position, of int
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal, TypeAlias

from ogive.dsl.dims import Dim, substitute
from ogive.dsl.dims_text import show, wrapped

__all__ = ["Axis", "DType", "Role", "Segment", "Structure", "Tensor", "image", "sized", "tokens", "vector"]

DType: TypeAlias = Literal["float", "int", "bool"]


class Role(Enum):
    """What an axis is for. An axis keeps its role when it changes its size."""

    BATCH = "batch"
    CHANNEL = "channel"
    POSITION = "position"
    FRAME = "frame"
    ROW = "row"
    COL = "column"
    HEAD = "head"
    OTHER = "axis"


SPATIAL = (Role.FRAME, Role.ROW, Role.COL)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the position axis: `size` positions made by the node `origin`; `grid` is (rows, columns) or ()."""

    size: Dim
    grid: tuple[Dim, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis. `segments` are set on a position axis that knows its parts; `lost` names the node that forgot them."""

    role: Role
    size: Dim
    segments: tuple[Segment, ...] = ()
    lost: str = ""

    def renamed(self, name: Callable[[str], str]) -> Axis:
        """The same axis where nodes have other names."""
        if not self.segments and not self.lost:
            return self
        segments = tuple([Segment(x.size, x.grid, x.origin and name(x.origin)) for x in self.segments])
        return Axis(self.role, self.size, segments, self.lost and name(self.lost))

    @property
    def grid(self) -> tuple[Dim, ...]:
        """The grid of the one segment that has one; () when there is none or more than one."""
        grids = [s.grid for s in self.segments if s.grid]
        return grids[0] if len(grids) == 1 else ()

    @property
    def prefix(self) -> Dim:
        """How many positions stand before the grid segment."""
        total: Dim = 0
        for segment in self.segments:
            if segment.grid:
                return total
            total = total + segment.size
        return 0


class Structure:
    """What attention reads a tensor as where that is more than its shape: a table of offsets, slopes (`biases.py`)."""

    __slots__ = ()

    def with_axes(self, change: Callable[[Axis], Axis]) -> Structure:
        """The same, where sizes that it knows of have become others."""
        return self


@dataclass(frozen=True, slots=True)
class Tensor:
    """Shape, roles and element type of one tensor; `structure` where it is a bias of attention and no plain data."""

    axes: tuple[Axis, ...]
    dtype: DType = "float"
    structure: Structure | None = None

    @property
    def shape(self) -> tuple[Dim, ...]:
        return tuple([a.size for a in self.axes])

    @property
    def rank(self) -> int:
        return len(self.axes)

    @property
    def roles(self) -> tuple[Role, ...]:
        return tuple([a.role for a in self.axes])

    def find(self, role: Role) -> int | None:
        """The place of the first axis with this role, or None."""
        for i, axis in enumerate(self.axes):
            if axis.role is role:
                return i
        return None

    def axis(self, role: Role) -> Axis | None:
        place = self.find(role)
        return None if place is None else self.axes[place]

    @property
    def channels(self) -> Dim | None:
        """Size of the channel axis."""
        axis = self.axis(Role.CHANNEL)
        return None if axis is None else axis.size

    @property
    def spatial(self) -> tuple[int, ...]:
        """Places of the frame, row and column axes, in order."""
        return tuple(i for i, a in enumerate(self.axes) if a.role in SPATIAL)

    @property
    def layout(self) -> Literal["image", "tokens", "vector", "ids", "other"]:
        """The layout in the language's word; `image` stands for video too."""
        roles = self.roles
        if roles == (Role.BATCH, Role.CHANNEL, Role.ROW, Role.COL) or roles == (Role.BATCH, Role.CHANNEL, *SPATIAL):
            return "image"
        if roles == (Role.BATCH, Role.POSITION, Role.CHANNEL):
            return "tokens"
        if roles == (Role.BATCH, Role.CHANNEL):
            return "vector"
        if roles == (Role.BATCH, Role.POSITION):
            return "ids"
        return "other"

    def resized(self, place: int, size: Dim) -> Tensor:
        """The same tensor with one axis of another size: its segments are gone, its role stays."""
        axis = self.axes[place]
        if axis.size == size:
            return self
        return self.with_axis(place, Axis(axis.role, size))

    def with_axis(self, place: int, axis: Axis) -> Tensor:
        return replace(self, axes=(*self.axes[:place], axis, *self.axes[place + 1 :]), structure=None)

    def without(self, place: int) -> Tensor:
        return replace(self, axes=(*self.axes[:place], *self.axes[place + 1 :]), structure=None)

    def of(self, dtype: DType) -> Tensor:
        return replace(self, dtype=dtype)

    def renamed(self, name: Callable[[str], str]) -> Tensor:
        """The same tensor where nodes have other names; itself where it names none."""
        axes = tuple([axis.renamed(name) for axis in self.axes])
        structure = self.structure and self.structure.with_axes(lambda axis: axis.renamed(name))
        return self if axes == self.axes and structure == self.structure else Tensor(axes, self.dtype, structure)

    def __str__(self) -> str:
        text = " ".join(_show(axis) for axis in self.axes) or "number"
        return text if self.dtype == "float" else f"{text} of {self.dtype}"


def sized(x: Tensor, sizes: Mapping[str, int]) -> Tensor:
    """The type with these sizes put in."""
    return replace(x, axes=tuple(_sized(axis, sizes) for axis in x.axes)) if sizes else x


def _sized(axis: Axis, sizes: Mapping[str, int]) -> Axis:
    def put(dim: Dim) -> Dim:
        return substitute(dim, sizes)

    segments = tuple(replace(s, size=put(s.size), grid=tuple(map(put, s.grid))) for s in axis.segments)
    return replace(axis, size=put(axis.size), segments=segments)


def _show(axis: Axis) -> str:
    if axis.role is not Role.POSITION or not axis.grid:
        return wrapped(show(axis.size))
    parts = [" ".join(wrapped(show(d)) for d in s.grid) if s.grid else show(s.size) for s in axis.segments]
    return "(" + " + ".join(parts) + ")"


def image(batch: Dim, channel: Dim, *spatial: Dim) -> Tensor:
    """`B C H W`, or `B C T H W`."""
    roles = SPATIAL[3 - len(spatial) :]
    axes = [Axis(r, n) for r, n in zip(roles, spatial, strict=True)]
    return Tensor((Axis(Role.BATCH, batch), Axis(Role.CHANNEL, channel), *axes))


def tokens(batch: Dim, position: Axis | Dim, channel: Dim) -> Tensor:
    """`B (...) C`; `position` is a whole axis, with its segments, or a size."""
    axis = position if isinstance(position, Axis) else Axis(Role.POSITION, position)
    return Tensor((Axis(Role.BATCH, batch), axis, Axis(Role.CHANNEL, channel)))


def vector(batch: Dim, channel: Dim) -> Tensor:
    """`B C`."""
    return Tensor((Axis(Role.BATCH, batch), Axis(Role.CHANNEL, channel)))
