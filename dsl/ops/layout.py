"""Changes of layout: between images and tokens, between positions and channels, and picking positions."""

from __future__ import annotations

from typing import ClassVar

from ogive.dsl.dims import Dim, Poly
from ogive.dsl.dims_text import show
from ogive.dsl.ops.plane import expect_image, grid_axis, laid, plane, tokens_of
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Reference, Site, channel_place
from ogive.dsl.ops.settings import Count, divisors, shares
from ogive.dsl.types import Axis, Role, Segment, Tensor, image

__all__ = [
    "ChannelShuffle", "DepthToSpace", "DropPrefix", "MergeHeads", "SpaceToDepth", "SplitHeads", "Take", "ToImage",
    "ToTokens", "Transpose",
]


def expect_tokens(x: Tensor, op: str) -> None:
    """Demand `B N C`.

    Raises:
        Mismatch: it is something else.
    """
    if x.layout != "tokens":
        raise Mismatch(
            f"`{op}` works on tokens `B N C`; here comes `{x}`", input=0,
            help="`to_tokens` turns an image into tokens" if x.layout == "image" else None,
        )


class ToTokens(Primitive):
    """An image as tokens, row by row, with a grid.

    Shapes: `B C H W` -> `B (H W) C`.
    """

    op: ClassVar[str] = "to_tokens"
    family: ClassVar[Family] = "layout"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        return (tokens_of(x.axes[0], expect_image(x, self.op), x.shape[1], at.node).of(x.dtype),)


class ToImage(Primitive):
    """Tokens that are one grid, as an image.

    Shapes: `B (H W) C` -> `B C H W`.
    """

    op: ClassVar[str] = "to_image"
    family: ClassVar[Family] = "layout"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        grid_axis(x, self.op)
        return (image(x.shape[0], x.shape[2], *plane(x, self.op)).of(x.dtype),)


class Transpose(Primitive):
    """Exchanges positions and channels of tokens, so that `linear` mixes positions. A second one brings the grid back.

    Shapes: `B N C` -> `B C N`, where N is the channel axis.
    """

    op: ClassVar[str] = "transpose"
    family: ClassVar[Family] = "layout"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        expect_tokens(x, self.op)
        batch, position, channel = x.axes
        new_position = Axis(Role.POSITION, channel.size, channel.segments, "" if channel.segments else at.node)
        return (Tensor((batch, new_position, Axis(Role.CHANNEL, position.size, position.segments)), x.dtype),)


class SpaceToDepth(Primitive):
    """Puts n x n neighbours into the channels of one position, in the order column, row, channel: Swin's merging.

    Shapes: `B C H W` -> `B n^2 C H/n W/n`; tokens with a grid likewise. Channel (j n + i) C + c of the answer is
    channel c of the neighbour in row i and column j.
    """

    op: ClassVar[str] = "space_to_depth"
    family: ClassVar[Family] = "layout"

    n: Count

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        sizes = plane(x, self.op)
        channels = x.shape[channel_place(x, self.op)]
        names = ("frames", "rows", "columns")[3 - len(sizes):]
        halves = tuple(self.part(at, size, name) for size, name in zip(sizes, names, strict=True))
        return (laid(x, halves, at.node, channels * self.n ** len(sizes)),)

    def part(self, at: Site, size: Dim, name: str) -> Dim:
        """One axis of the plane, n times smaller."""
        if isinstance(size, int) and size % self.n:
            raise Mismatch(
                f"{size} {name} do not divide by {self.n}", setting="n", input=0, code="A203",
                help=f"numbers that divide {size}: {divisors(size)}",
            )
        return at.divide(size, self.n, f"the {name} that `space_to_depth({self.n})` takes together")


class DepthToSpace(Primitive):
    """Spreads channels over n x n neighbours: undoes `space_to_depth`.

    Shapes: `B n^2 C H W` -> `B C nH nW`; tokens with a grid likewise.
    """

    op: ClassVar[str] = "depth_to_space"
    family: ClassVar[Family] = "layout"

    n: Count

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        sizes = plane(x, self.op)
        channels = x.shape[channel_place(x, self.op)]
        many = self.n ** len(sizes)
        if isinstance(channels, int) and channels % many:
            raise Mismatch(
                f"{channels} channels do not divide into {many} neighbours", setting="n", input=0, code="A203",
                help=f"`depth_to_space({self.n})` needs a multiple of {many}",
            )
        fewer = at.divide(channels, many, f"the channels that `depth_to_space({self.n})` spreads")
        return (laid(x, tuple(size * self.n for size in sizes), at.node, fewer),)


class ChannelShuffle(Primitive):
    """Reads the channels group by group and writes them in turn (ShuffleNet, Zhang et al. 2017, arXiv:1707.01083).

    Shapes: `B C H W`, same: channel g C/groups + c goes to c groups + g.
    """

    op: ClassVar[str] = "channel_shuffle"
    family: ClassVar[Family] = "layout"

    groups: Count

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        expect_image(x, self.op)
        shares(x.shape[1], self.groups, "groups", "groups", 0)
        at.divide(x.shape[1], self.groups, "the channels that `channel_shuffle` shuffles")
        return (x,)


class SplitHeads(Primitive):
    """Heads as an axis of their own: head i has channels i d .. (i + 1) d - 1.

    Shapes: `B N C` -> `B heads N d`.
    """

    op: ClassVar[str] = "split_heads"
    family: ClassVar[Family] = "layout"

    heads: Count

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        expect_tokens(x, self.op)
        shares(x.shape[2], self.heads, "heads", "heads", 0)
        width = at.divide(x.shape[2], self.heads, "the channels of one head")
        return (Tensor((x.axes[0], Axis(Role.HEAD, self.heads), x.axes[1], Axis(Role.CHANNEL, width)), x.dtype),)


class MergeHeads(Primitive):
    """The heads' channels side by side: undoes `split_heads`.

    Shapes: `B heads N d` -> `B N (heads d)`.
    """

    op: ClassVar[str] = "merge_heads"
    family: ClassVar[Family] = "layout"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        if x.roles != (Role.BATCH, Role.HEAD, Role.POSITION, Role.CHANNEL):
            raise Mismatch(f"`merge_heads` works on `B heads N d`; here comes `{x}`", input=0,
                           help="`split_heads(heads)` makes the axis of heads")
        return (Tensor((x.axes[0], x.axes[2], Axis(Role.CHANNEL, x.shape[1] * x.shape[3])), x.dtype),)


class DropPrefix(Primitive):
    """Leaves the tokens out that stand before the grid.

    Shapes: `B (n + h w) C` -> `B (h w) C`.
    """

    op: ClassVar[str] = "drop_prefix"
    family: ClassVar[Family] = "layout"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        axis = grid_axis(x, self.op)
        return (x.with_axis(1, Axis(Role.POSITION, axis.size - axis.prefix, _from(axis, axis.prefix))),)


def _from(axis: Axis, start: Dim, size: Dim | None = None) -> tuple[Segment, ...]:
    """The segments of the positions from `start` on, where these are whole segments; () where one is cut."""
    found: list[Segment] = []
    at: Dim = 0
    stop = None if size is None else start + size
    inside = False
    for segment in axis.segments:
        inside = inside or at == start
        if inside and at == stop:
            return tuple(found)
        if inside:
            found.append(segment)
        at = at + segment.size
    return tuple(found) if inside and stop in (None, at) else ()


class Take(Primitive):
    """Positions of a sequence: by number, or those that a node made.

    Shapes: `B N C` -> `B C`; `keep=True` -> `B 1 C`; `count=n` -> `B n C`; `take(node)` of several positions -> all of
    them, `take(node, i)` one of them. Ids likewise. Numbers below 0 count from the end.
    """

    op: ClassVar[str] = "take"
    family: ClassVar[Family] = "layout"
    references: ClassVar[frozenset[str]] = frozenset({"what"})

    what: int | Reference
    item: int | None = None
    keep: bool = False
    count: Count | Poly | None = None

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        place = x.find(Role.POSITION)
        if place is None:
            raise Mismatch(
                f"`take` picks positions; `{x}` has none", input=0,
                help="`to_tokens` turns an image into tokens" if x.layout == "image" else None,
            )
        axis = x.axes[place]
        start, size = self.span(axis)
        self._inside(x, axis, start, size)
        self._reaches(at, x, axis, start, size)
        if self.drops(size):
            return (x.without(place),)
        segments = _from(axis, start, size)
        return (x.with_axis(place, Axis(Role.POSITION, size, segments, "" if segments else at.node)),)

    def drops(self, size: Dim) -> bool:
        """Whether the position axis goes."""
        return size == 1 and not self.keep and self.count is None

    def span(self, axis: Axis) -> tuple[Dim, Dim]:
        """The first position and how many; the first is below 0 when counted from an end that is not known.

        Raises:
            Mismatch: the node made none of these positions.
        """
        if not isinstance(self.what, Reference):
            if self.item is not None:
                raise Mismatch("`take(i, j)` takes a node and a number", setting="item", help="take(i, count=n)")
            start: Dim = self.what
            if self.what < 0 and isinstance(axis.size, int):
                start = axis.size + self.what
            return start, self.count or 1
        at: Dim = 0
        for segment in axis.segments:
            if segment.origin == self.what.node:
                return self._item(at, segment)
            at = at + segment.size
        made = [s.origin for s in axis.segments if s.origin]
        notes = (f"the positions were lost at `{axis.lost}`",) if axis.lost else ()
        if made:
            notes = (*notes, f"they were made by {', '.join(f'`{name}`' for name in made)}")
        raise Mismatch(f"`{self.what}` made none of the positions that come here", setting="what", input=0, notes=notes,
                       help="`take(i)` picks a position by its number")

    def _item(self, at: Dim, segment: Segment) -> tuple[Dim, Dim]:
        if self.item is None:
            return at, segment.size if self.count is None else self.count
        last = segment.size
        if isinstance(last, int) and not -last <= self.item < last:
            raise Mismatch(f"`{self.what}` has {last} positions; there is no number {self.item}", setting="item",
                           help=f"a number from 0 to {last - 1}")
        return at + self.item + (last if self.item < 0 else 0), self.count or 1

    def _reaches(self, at: Site, x: Tensor, axis: Axis, start: Dim, size: Dim) -> None:
        """What a free number of positions must hold: kept as a guard. A start below 0 counts from its end."""
        if isinstance(start, int) and start < 0:
            at.most(-start, axis.size, f"`take({start})` of `{x}`")
        elif not isinstance(self.what, Reference) or self.count is not None or self.item is not None:
            at.most(start + size, axis.size, f"`take` of `{x}` goes up to position {show(start + size - 1)}")

    def _inside(self, x: Tensor, axis: Axis, start: Dim, size: Dim) -> None:
        if not isinstance(start, int) or not isinstance(size, int):
            return
        short = start < 0 and (isinstance(axis.size, int) or start + size > 0)
        long = isinstance(axis.size, int) and start >= 0 and start + size > axis.size
        if short or long:
            many = f"{size} positions from {self.what} on" if size > 1 else f"position {self.what}"
            raise Mismatch(f"`{x}` has no {many}", setting="what", input=0,
                           help=f"the positions go from 0 to {axis.size - 1}" if isinstance(axis.size, int) else None)
