"""Biases of attention as structures: a table over offsets, slopes, buckets, products with the query; never N x N.

A structure is the type of a tensor, next to its shape. Ops that work element by element keep it (`16 * table`), all
others lose it. A tensor without one that looks like an image, `1 heads kh kw` with odd kh and kw, is a table over
offsets too, its middle being the offset 0: that is how a small network computes a bias (Swin v2, LR-Net).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from ogive.dsl.dims import Dim
from ogive.dsl.dims_text import show
from ogive.dsl.ops.plane import is_image
from ogive.dsl.ops.record import Mismatch, Site
from ogive.dsl.patterns.algebra import Pattern
from ogive.dsl.patterns.reach import even_steps, reach
from ogive.dsl.patterns.space import PatternError, Space
from ogive.dsl.types import Axis, Structure, Tensor

__all__ = ["Buckets", "Mixing", "Offsets", "Products", "Slopes", "fits", "offsets_of"]

Layout = Literal["swin", "tf", "symmetric", "image"]


@dataclass(frozen=True, slots=True)
class Offsets(Structure):
    """A number per head for each offset between a query and a key, looked up at (q - k) / step along each axis.

    q stands at stride times its index; without a stride, where the two grids put it. `size` is how many offsets from 0
    on an axis has: they run from 1 - size to size - 1, and with `clip` farther ones count as the ends. Layouts of the
    table: "swin" `(2h-1)(2w-1) [+ 3]` x heads, "tf" heads x 2h-1 x 2w-1 at k - q, "symmetric" heads x h w at |q - k|,
    "image" 1 x heads x 2h-1 x 2w-1 at q - k.
    """

    heads: int
    size: tuple[int, ...]
    layout: Layout = "swin"
    prefix: int = 0
    stride: tuple[int, ...] | None = (1, 1)
    step: tuple[int, ...] = (1, 1)
    clip: bool = False


@dataclass(frozen=True, slots=True)
class Slopes(Structure):
    """A slope per head: - slope |q - k| along the sequence, the last query at the last key (ALiBi)."""

    heads: int


@dataclass(frozen=True, slots=True)
class Buckets(Structure):
    """A number per head and bucket of k - q along the sequence, the last query at the last key (T5)."""

    heads: int
    buckets: int
    reach: int
    bidirectional: bool


@dataclass(frozen=True, slots=True)
class Products(Structure):
    """The products of each query with every row of one table per axis: the bias is their sum over axes (MViT v2).

    `rows` are the rows of each table, a row for each offset that attention looks at and the offset 0 in the middle; the
    grid of the queries is that of `queries`.
    """

    heads: int
    rows: tuple[int, ...]
    queries: Axis

    def with_axes(self, change: Callable[[Axis], Axis]) -> Products:
        return replace(self, queries=change(self.queries))


@dataclass(frozen=True, slots=True)
class Mixing(Structure):
    """A matrix that mixes heads, its bias in the last column (talking heads)."""

    heads: int


def offsets_of(bias: Tensor) -> Offsets | None:
    """The table that an image of odd sizes is: `1 heads kh kw`; None where it is none."""
    if isinstance(bias.structure, Offsets):
        return bias.structure
    numbers = [n for n in bias.shape if isinstance(n, int)]
    if bias.structure is not None or not is_image(bias) or len(numbers) != bias.rank or numbers[0] != 1:
        return None
    if any(n % 2 == 0 for n in numbers[2:]):
        return None
    size = tuple((n + 1) // 2 for n in numbers[2:])
    return Offsets(numbers[1], size, "image", 0, None, (1,) * len(size))


def fits(at: Site, bias: Tensor, heads: int, over: Pattern, queries: Axis, keys: Axis) -> None:
    """Demand that a bias says something of every pair that attention may look at.

    Raises:
        Mismatch: another number of heads, no grid, tokens beside it, or an offset that the table does not hold.
    """
    structure = offsets_of(bias) or bias.structure
    if isinstance(structure, Mixing):
        raise Mismatch("`head_mix` mixes heads and is no bias", setting="bias",
                       help="`before_softmax=` or `after_softmax=` takes it")
    if not isinstance(structure, Offsets | Slopes | Buckets | Products):
        raise Mismatch(
            f"`bias=` takes a structure of attention, or a table of offsets `1 heads kh kw`; here is `{bias}`",
            setting="bias", help="`relative_bias`, `decomposed_relative`, `alibi` and `t5_bias` make one; "
            "numbers for each query and key are added with `mask=`",
        )
    if structure.heads != heads:
        raise Mismatch(f"the bias is made for {structure.heads} heads, and attention has {heads}", setting="bias",
                       help="give both the same number of heads")
    if isinstance(structure, Offsets):
        _offsets_fit(at, structure, over, queries, keys)
    elif isinstance(structure, Products):
        _products_fit(at, structure, over, queries, keys)


def _grids(what: str, rank: int, queries: Axis, keys: Axis) -> None:
    for axis, name in ((queries, "queries"), (keys, "keys")):
        if len(_grid(axis)) != rank:
            grid = f"stand on a grid of {len(axis.grid)} axes" if axis.grid else "are a plain sequence"
            lost = (f"the grid was lost at `{axis.lost}`",) if axis.lost else ()
            axes = "one axis" if rank == 1 else f"{rank} axes"
            raise Mismatch(
                f"{what} has {axes}, and the {name} {grid}", setting="bias", notes=lost,
                help="name the grid of the tokens, as in `: B (h w) C`; `relative_bias(..., axes=1)` is for a sequence"
                if not axis.grid else f"write a size with {len(axis.grid)} numbers",
            )


def _offsets_fit(at: Site, table: Offsets, over: Pattern, queries: Axis, keys: Axis) -> None:
    _grids("the table of offsets", len(table.size), queries, keys)
    for axis, name in ((queries, "queries"), (keys, "keys")):
        beside = axis.size - _cells(axis) if axis.grid else 0
        before = axis.prefix if axis.grid else 0
        if not at.is_same(beside, table.prefix) or not at.is_same(before, table.prefix):
            hint = f"prefix={show(before)}" if beside == before else "`take` the tokens it is meant for"
            behind = "" if beside == before else f", and {show(beside - before)} behind it"
            raise Mismatch(
                f"the table of offsets is made for {table.prefix} tokens before the grid; the {name} have "
                f"{show(before)} there{behind}",
                setting="bias", help=f"relative_bias(..., {hint})" if "=" in hint else hint,
            )
    space = Space.between(queries, keys)
    _strides_fit(table, space, queries, keys)
    if not even_steps(over, table.step):
        shown = "x".join(map(str, table.step))
        raise Mismatch(f"a table with `step={shown}` leaves out offsets that `{over}` allows", setting="bias",
                       help=f"`dilated(n, step={shown})` allows only those")
    if table.clip:
        return
    try:
        most = _reach(at, table, over, queries, keys, space)
    except PatternError as error:
        raise Mismatch(error.title, setting="over", help=error.help) from None
    for i, (far, size, step) in enumerate(zip(most, table.size, table.step, strict=True)):
        name = ("frames", "rows", "columns")[i - len(most)] if len(most) > 1 else "places"
        if isinstance(far, int) and far // step > size - 1:
            fit = "x".join(str(n // s + 1) if isinstance(n, int) else "?"
                           for n, s in zip(most, table.step, strict=True))
            raise Mismatch(
                f"`{over}` allows offsets of up to {far // step} {name}, and the table holds up to {size - 1}",
                setting="bias", help=f"a table of {fit}, a smaller pattern, or `clip=True`: farther ones count as "
                "the farthest",
            )
        if not isinstance(far, int):
            at.most(far, (size - 1) * step, f"the {name} between a query and a key, which the table of offsets holds")


def _reach(
    at: Site, table: Offsets, over: Pattern, queries: Axis, keys: Axis, space: Space | None
) -> tuple[Dim, ...]:
    stride, a, b = table.stride, _grid(queries), _grid(keys)
    if stride is None:
        if space is None and all(at.is_multiple(k, q) for q, k in zip(a, b, strict=True)):
            return reach(over, b)
        stride = (1,) * len(table.size)
    if all(s == 1 for s in stride):
        lengths = space.lengths if space is not None and space.steps is not None else a
        found = reach(over, lengths, space if space is not None and space.steps is not None else None)
        if a == b or (space is not None and space.steps is not None):
            return found
    most: list[Dim] = []
    for q, k, s in zip(a, b, stride, strict=True):
        ends = (s * (q - 1), k - 1)
        numbers = [n for n in ends if isinstance(n, int)]
        most.append(max(numbers) if len(numbers) == 2 else next(n for n in ends if not isinstance(n, int)))
    return tuple(most)


def _strides_fit(table: Offsets, space: Space | None, queries: Axis, keys: Axis) -> None:
    """Queries that stand apart on the grid of the keys say so: a forgotten stride would look up other offsets."""
    if space is None or space.steps is None or _grid(queries) == _grid(keys):
        return
    apart, coarse = space.steps
    if any(s > 1 for s in coarse):
        raise Mismatch(
            f"a table of offsets goes by the grid of the keys, and the queries stand on a finer one: "
            f"{_by(_grid(queries))} queries, {_by(_grid(keys))} keys", setting="bias",
            help="`decomposed_relative` takes queries and keys on two grids",
        )
    if table.stride is not None and table.stride != apart:
        raise Mismatch(
            f"the queries stand {_by(apart)} apart on the grid of the keys, and the table is made for "
            f"{_by(table.stride)}", setting="bias", help=f"relative_bias(..., stride={'x'.join(map(str, apart))})",
        )


def _products_fit(at: Site, made: Products, over: Pattern, queries: Axis, keys: Axis) -> None:
    _grids("`decomposed_relative`", len(made.rows), queries, keys)
    for mine, theirs in zip(_grid(made.queries), _grid(queries), strict=True):
        at.same(mine, theirs, "the grids of `decomposed_relative` and of the queries")
    space = Space.between(queries, keys)
    try:
        most = reach(over, _grid(keys), space)
    except PatternError as error:
        raise Mismatch(error.title, setting="over", help=error.help) from None
    for rows, q, k, far in zip(made.rows, _grid(queries), _grid(keys), most, strict=True):
        if not isinstance(q, int) or not isinstance(k, int):
            raise Mismatch(
                f"`decomposed_relative` has a row for each offset, and the grid `{_by((q, k))}` is free",
                setting="bias", help="pin the size in `input`, as in `H=224`", code="A205",
            )
        whole = 2 * max(q, k) - 1
        if rows == whole and max(q, k) % min(q, k) == 0:
            continue
        if q != k or max(q, k) % min(q, k):
            raise Mismatch(
                f"a table of `decomposed_relative` has {rows} rows; {q} queries and {k} keys along its axis need "
                f"{whole}", setting="bias",
                help="`learned(2 * max(h, k) - 1, C // heads)`, one grid a whole multiple of the other",
            )
        if not isinstance(far, int) or rows > whole or rows < 2 * far + 1:
            needed = whole if not isinstance(far, int) else 2 * far + 1
            raise Mismatch(
                f"a table of `decomposed_relative` has {rows} rows; {q} places along its axis under `{over}` need "
                f"{needed}", setting="bias", help=f"`learned({needed}, C // heads)`",
            )


def _grid(axis: Axis) -> tuple[Dim, ...]:
    """The grid of positions; a plain sequence is one axis."""
    return axis.grid or (axis.size,)


def _cells(axis: Axis) -> Dim:
    total: Dim = 1
    for n in axis.grid:
        total = n * total
    return total


def _by(grid: tuple[Dim, ...]) -> str:
    return " x ".join(show(n) for n in grid)
