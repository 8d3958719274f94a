"""How far apart a pattern lets a query and a key stand: what a table of relative offsets must hold."""

from __future__ import annotations

from math import prod

from ogive.dsl.dims import Dim
from ogive.dsl.patterns.algebra import Difference, Intersection, Pattern, PerHead, Union
from ogive.dsl.patterns.count import rows_of
from ogive.dsl.patterns.named import Axial, Dilated, PerAxis, Prefix, Self, Sliding, Window
from ogive.dsl.patterns.sizes import per_axis
from ogive.dsl.patterns.space import AXES, Place, Space
from ogive.dsl.patterns.user import User

__all__ = ["even_steps", "met", "reach"]


def reach(p: Pattern, lengths: tuple[Dim, ...], space: Space | None = None) -> tuple[Dim, ...]:
    """The largest |q - k| along each axis of a grid, for pairs of cells that `p` may hold: never less than the truth.

    It is exact for the named patterns, their unions and `per_head`, and for arithmetic over q and k where `space` says
    how large the grid is.
    """
    match p.expanded:
        case Union(parts) | PerHead(parts):
            return _of_each(max, [reach(x, lengths, space) for x in parts], lengths)
        case Intersection(parts):
            return _of_each(min, [reach(x, lengths, space) for x in parts], lengths)
        case Difference(left, _):
            return reach(left, lengths, space)
        case Self() | Prefix():
            return (0,) * len(lengths)
        case PerAxis() as named:
            return tuple(_along(named, axis, lengths) for axis in range(len(lengths)))
        case User() as asked if space is not None:
            return _asked(asked, space)
    return tuple(n - 1 for n in lengths)


def met(p: Pattern, lengths: tuple[int, ...]) -> tuple[int, ...]:
    """How many places of the keys along each axis one query meets, where it meets most; of a union, its widest part."""
    match p.expanded:
        case Union(parts) | PerHead(parts):
            return tuple(max(sizes) for sizes in zip(*(met(x, lengths) for x in parts), strict=True))
        case Intersection(parts):
            return tuple(min(sizes) for sizes in zip(*(met(x, lengths) for x in parts), strict=True))
        case Difference(left, _):
            return met(left, lengths)
        case Self() | Prefix():
            return (1,) * len(lengths)
        case Window(size) | Sliding(size) | Dilated(size):
            each = per_axis(size, len(lengths), str(p))
            return tuple(min(n, length) for n, length in zip(each, lengths, strict=True))
    far = reach(p, lengths)
    return tuple(1 if n == 0 else length for n, length in zip(far, lengths, strict=True))


def even_steps(p: Pattern, step: tuple[int, ...]) -> bool:
    """Whether the cells of every pair of `p` stand whole multiples of `step` apart along each axis."""
    match p.expanded:
        case Union(parts) | PerHead(parts):
            return all(even_steps(x, step) for x in parts)
        case Intersection(parts):
            return any(even_steps(x, step) for x in parts)
        case Difference(left, _):
            return even_steps(left, step)
        case Self() | Prefix():
            return True
        case Dilated(_, gap):
            return all(g % s == 0 for g, s in zip(per_axis(gap, len(step), str(p)), step, strict=True))
    return all(s == 1 for s in step)


def _of_each(choose: object, found: list[tuple[Dim, ...]], lengths: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """The largest or the smallest along each axis. A free length is larger than any number."""
    made: list[Dim] = []
    for sizes in zip(*found, strict=True):
        numbers = [n for n in sizes if isinstance(n, int)]
        free = [n for n in sizes if not isinstance(n, int)]
        if choose is max:
            made.append(free[0] if free else max(numbers))
        else:
            made.append(min(numbers) if numbers else free[0])
    return tuple(made)


def _along(p: PerAxis, axis: int, lengths: tuple[Dim, ...]) -> Dim:
    length, rank = lengths[axis], len(lengths)
    most: Dim = length - 1
    match p:
        case Window(size):
            most = per_axis(size, rank, str(p))[axis] - 1
        case Sliding(size, clamp):
            n = per_axis(size, rank, str(p))[axis]
            most = n - 1 if clamp else n // 2
        case Dilated(size, step):
            most = per_axis(step, rank, str(p))[axis] * (per_axis(size, rank, str(p))[axis] // 2)
        case Axial():
            most = length - 1 if rank in AXES and AXES[rank] and AXES[rank][axis] == p.along else 0
    return min(most, length - 1) if isinstance(most, int) and isinstance(length, int) else most


def _asked(p: User, space: Space) -> tuple[Dim, ...]:
    """By the nearest and farthest key of each query, as arithmetic over q and k can be asked in no other way.

    Raises:
        PatternError: it would be asked of too many pairs.
    """
    most = [0] * len(space.lengths)
    keys, steps = space.keys, space.steps[1] if space.steps is not None else ()
    for q, row in enumerate(rows_of(p, space)):
        at, cells = space.query(q), row >> keys.prefix & (1 << keys.cells) - 1
        if at is None or not cells:
            continue
        if space.flat:
            ends = [(n * steps[0] for n in _ends(cells))]
        else:
            ends = [(n * s for n in x) for x, s in zip(_along_axes(cells, keys.grid), steps, strict=True)]
        most = [max(n, *(abs(x - y) for y in pair)) for n, x, pair in zip(most, at, ends, strict=True)]
    return tuple(most)


def _ends(bits: int) -> tuple[int, int]:
    """The first and the last place of set bits."""
    return (bits & -bits).bit_length() - 1, bits.bit_length() - 1


def _along_axes(cells: int, grid: Place) -> list[tuple[int, int]]:
    """Of row-major cells as bits, the first and the last place along each axis."""
    found = []
    for i in range(len(grid)):
        each = prod(grid[i + 1 :])
        first, last = (x // each for x in _ends(cells))
        found.append((first, last))
        parts, cells = cells >> first * each, 0
        while parts:
            cells |= parts & (1 << each) - 1
            parts >>= each
    return found
