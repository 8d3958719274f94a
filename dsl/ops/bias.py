"""Biases of attention as structures, heads that mix, and rotations by place: what stands around `attend`."""

from __future__ import annotations

from math import prod
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ogive.dsl.dims import Dim
from ogive.dsl.ops.biases import Buckets, Mixing, Offsets, Products, Slopes
from ogive.dsl.ops.plane import grid_axis
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Site, Size, Weight
from ogive.dsl.ops.settings import STD, Count, Filling, Positive, Window, floats, shares
from ogive.dsl.types import Axis, Role, Structure, Tensor

__all__ = ["Alibi", "DecomposedRelative", "HeadMix", "RelativeBias", "Rope", "T5Bias"]

BEFORE_AND_BEHIND = 3  # prefix -> grid, grid -> prefix, prefix -> prefix


class RelativeBias(Primitive):
    """A learned number per head for each offset between a query and a key, on a grid or along a sequence.

    It is looked up at (q - k) / step along each axis, q at stride times its index. A `size` of h x w holds offsets up
    to h - 1 and w - 1; one number stands for `axes` of them: 2, unless 1 is said for a plain sequence, or 3. With
    `clip` farther offsets count as the farthest (Shaw et al. 2018, arXiv:1803.02155). Weight: one bare parameter
    [(2h-1)(2w-1), heads], whose key is the node's (Liu et al. 2021, arXiv:2103.14030); with `prefix` tokens before the
    grid 3 more rows, prefix -> grid, grid -> prefix, prefix -> prefix (BEiT). `layout="tf"`: [heads, 2h-1, 2w-1], at
    k - q. `symmetric`: [heads, h w], at |dy| w + |dx| (LeViT, arXiv:2104.01136). It takes no data and does not move the
    flow.
    """

    op: ClassVar[str] = "relative_bias"
    family: ClassVar[Family] = "attention"
    inputs: ClassVar[tuple[str, ...]] = ()

    heads: Count
    size: Window
    prefix: Annotated[int, Field(ge=0)] = 0
    symmetric: bool = False
    stride: Window = Size((1,))
    step: Window = Size((1,))
    layout: Literal["swin", "tf"] = "swin"
    axes: Annotated[int, Field(ge=1, le=3)] | None = None
    clip: bool = False
    init: Filling = "trunc_normal"
    std: Positive = STD

    def lengths(self) -> tuple[int, ...]:
        """How many offsets from 0 on each axis has."""
        return self.size.over(self.axes or max(len(self.size), 2))

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        if self.axes is not None and len(self.size) not in (1, self.axes):
            raise Mismatch(f"`{self.size}` names {len(self.size)} axes, and `axes` says {self.axes}", setting="axes",
                           help="leave `axes` away")
        if self.prefix and (self.symmetric or self.layout == "tf"):
            what = "symmetric=True" if self.symmetric else 'layout="tf"'
            raise Mismatch(f"a table with `{what}` has no rows for a prefix", setting="prefix",
                           help='layout="swin" has three')
        if self.symmetric and self.layout == "tf":
            raise Mismatch('`symmetric=True` is a layout of its own, heads x h w', setting="layout",
                           help="leave `layout` away")
        size = self.lengths()
        axes: list[tuple[int, ...]] = []
        for name in ("stride", "step"):
            given: Size = getattr(self, name)
            if len(given) not in (1, len(size)):
                raise Mismatch(f"`{name}={given}` names {len(given)} axes, and the table has {len(size)}", setting=name,
                               help="one number is for every axis")
            axes.append(given.over(len(size)))
        layout: Literal["swin", "tf", "symmetric"] = "symmetric" if self.symmetric else self.layout
        structure = Offsets(self.heads, size, layout, self.prefix, axes[0], axes[1], self.clip)
        return (_plain(self.table(), structure),)

    def table(self) -> tuple[int, ...]:
        """The shape of the weight."""
        size = self.lengths()
        if self.symmetric:
            return self.heads, prod(size)
        wide = tuple(2 * n - 1 for n in size)
        if self.layout == "tf":
            return self.heads, *wide
        return prod(wide) + (BEFORE_AND_BEHIND if self.prefix else 0), self.heads

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        return (Weight("", self.table(), self.init, std=self.std),)


class Alibi(Primitive):
    """Scores fall with the distance along the sequence, by a slope per head: - slope |q - k|, not learned.

    Slopes are 2 ** (-8 i / heads) where the heads are a power of two, else those of the published code. The last query
    stands at the last key. It takes no data and does not move the flow. (Press et al. 2021, arXiv:2108.12409.)
    """

    op: ClassVar[str] = "alibi"
    family: ClassVar[Family] = "attention"
    inputs: ClassVar[tuple[str, ...]] = ()

    heads: Count

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (_plain((self.heads,), Slopes(self.heads)),)

    def slopes(self) -> tuple[float, ...]:
        """The slope of each head."""
        power = 1 << (self.heads.bit_length() - 1)
        first = [2.0 ** (-8 * (i + 1) / power) for i in range(power)]
        between = [2.0 ** (-4 * (2 * i + 1) / power) for i in range(self.heads - power)]
        return (*first, *between)


class T5Bias(Primitive):
    """A learned number per head for each bucket of distances along the sequence: near ones apart, far ones together.

    Half of the buckets are for keys that follow the query, unless `bidirectional=False`. Of each half, one half is for
    one distance each, the rest grow to `reach` by logarithms, and the last holds everything beyond. The last query
    stands at the last key. Weight: weight [buckets, heads]. It takes no data and does not move the flow.
    (Raffel et al. 2019, arXiv:1910.10683.)
    """

    op: ClassVar[str] = "t5_bias"
    family: ClassVar[Family] = "attention"
    inputs: ClassVar[tuple[str, ...]] = ()

    heads: Count
    buckets: Annotated[int, Field(ge=4)] = 32
    reach: Count = 128
    bidirectional: bool = True
    init: Filling = "normal"
    std: Positive = STD

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        near = self.buckets // (4 if self.bidirectional else 2)
        if self.buckets % 2:
            raise Mismatch(f"buckets are halved; here are {self.buckets}", setting="buckets",
                           help=f"buckets={self.buckets + 1}")
        if self.reach <= near:
            raise Mismatch(f"distances up to {near} have a bucket each, and `reach` is {self.reach}", setting="reach",
                           help=f"more than {near}, or fewer buckets")
        structure = Buckets(self.heads, self.buckets, self.reach, self.bidirectional)
        return (_plain((self.buckets, self.heads), structure),)

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        return (Weight("weight", (self.buckets, self.heads), self.init, std=self.std),)


class DecomposedRelative(Primitive):
    """A bias that is the product of each query with a row for the offset along each axis, one table per axis.

    Shapes: q tokens with a grid, `B N C`, and a table `2n-1 C/heads` for each axis of the grid, n being the longer of
    queries and keys. Query i and key j of an axis with q and k places meet at row
    i max(k/q, 1) + (k - 1 - j) max(q/k, 1). Where both have one grid, a table may end at the farthest offset that
    `over=` allows, the offset 0 in its middle: windows of n need 2n-1 rows. The query is the unscaled one; tokens
    beside the grid have no bias. Its products count where `attend` uses it: q with as many rows as it meets keys along
    each axis. It does not move the flow. (Li et al. 2021, arXiv:2112.01526.)
    """

    op: ClassVar[str] = "decomposed_relative"
    family: ClassVar[Family] = "attention"
    inputs: ClassVar[tuple[str, ...]] = ("q", "*tables")

    heads: Count

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        q, *tables = inputs
        axis = grid_axis(q, self.op)
        floats(q, self.op)
        shares(q.channels or 0, self.heads, "heads", "heads", 0)
        if len(tables) != len(axis.grid):
            raise Mismatch(f"the grid of `{q}` has {len(axis.grid)} axes, and here are {len(tables)} tables", input=1,
                           help="q, rows, columns -> decomposed_relative(heads)")
        each = at.divide(q.channels or 0, self.heads, "the width of a head of `decomposed_relative`")
        rows: list[int] = []
        for i, table in enumerate(tables, 1):
            if table.rank != 2 or not isinstance(table.shape[0], int) or table.shape[0] % 2 == 0:
                raise Mismatch(f"a table is `2n-1 d`, of an odd number of rows; here is `{table}`", input=i,
                               help="`learned(2 * h - 1, C // heads)`")
            at.same(table.shape[1], each, "the width of a table of `decomposed_relative` and of a head")
            rows.append(table.shape[0])
        made = Tensor(
            (q.axes[0], Axis(Role.HEAD, self.heads), axis, Axis(Role.OTHER, sum(rows))),
            structure=Products(self.heads, tuple(rows), axis),
        )
        return (made,)


class HeadMix(Primitive):
    """A learned linear map from heads to heads, for the scores of attention or its weights (talking heads).

    Weights: weight [heads, heads], bias [heads]. `before_softmax=` and `after_softmax=` of `attend` take it. It takes
    no data and does not move the flow. (Shazeer et al. 2020, arXiv:2003.02436.)
    """

    op: ClassVar[str] = "head_mix"
    family: ClassVar[Family] = "attention"
    inputs: ClassVar[tuple[str, ...]] = ()

    heads: Count
    init: Filling = "torch"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (_plain((self.heads, self.heads + 1), Mixing(self.heads)),)

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        init = "torch" if self.init == "torch" else "zeros"
        return Weight("weight", (self.heads, self.heads), self.init), Weight("bias", (self.heads,), init)


class Rope(Primitive):
    """Turns pairs of channels of each head by angles that grow with the place, so that q k depends on q - k alone.

    Shapes: tokens, same; several inputs (q and k) answer one each. A head of d channels turns d/2 pairs by place times
    base ** (-2 i / d). On a grid of r axes each axis has its share of the pairs, rows first, with 2 r i / d in place of
    2 i / d. Tokens beside a grid are not turned; on a plain sequence all are, from place 0. `layout="half"` pairs
    channel i with i + d/2 (Llama, GPT-NeoX, DINOv3), "pairs" 2i with 2i + 1 (RoFormer, GPT-J, EVA-02).
    (Su et al. 2021, arXiv:2104.09864.)
    """

    op: ClassVar[str] = "rope"
    family: ClassVar[Family] = "attention"
    inputs: ClassVar[tuple[str, ...]] = ("*x",)
    parts: ClassVar[bool] = True

    heads: Count
    base: Positive = 10000.0
    layout: Literal["half", "pairs"] = "half"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        for i, x in enumerate(inputs):
            if x.layout != "tokens":
                raise Mismatch(f"`rope` turns tokens `B N C`; here comes `{x}`", input=i)
            floats(x, self.op, i)
            width = at.number(x.channels or 0, "the width of `rope`")
            shares(width, self.heads, "heads", "heads", i)
            parts = 2 * max(len(x.axes[1].grid), 1)
            if width // self.heads % parts:
                raise Mismatch(
                    f"`rope` turns pairs of channels, {parts // 2} axes of them; a head here has {width // self.heads}",
                    setting="heads", input=i, help=f"heads whose width divides by {parts}", code="A203",
                )
        return inputs


def _plain(sizes: tuple[Dim, ...], structure: Structure) -> Tensor:
    return Tensor(tuple(Axis(Role.OTHER, n) for n in sizes), structure=structure)
