"""How many pairs a pattern holds where sizes are free, as a polynomial in them: `N*M`, `49*h*w`, `N*(N + 1)/2`.

Only what holds for every size is given: `window(7)` on a grid h x w is counted where 7 is known to divide both (write
h = 7 * h'), a sliding window is not, because a short axis has fewer pairs. The answer is then None.
"""

from __future__ import annotations

from math import prod

from ogive.dsl.dims import Dim, divide
from ogive.dsl.patterns.algebra import Complement, Pattern, Union, union
from ogive.dsl.patterns.count import pairs
from ogive.dsl.patterns.named import AlongSequence, Axial, Block, Causal, Dense, PerAxis, Prefix, Self, Strided, Window
from ogive.dsl.patterns.normal import heads_of, is_reflexive, normal
from ogive.dsl.patterns.sizes import per_axis
from ogive.dsl.patterns.space import AXES, Space
from ogive.dsl.types import Axis

__all__ = ["formula"]


def formula(p: Pattern, query_axis: Axis, key_axis: Axis) -> Dim | None:
    """The pairs of one head on two position axes; None where they are no one polynomial, or differ by head.

    Raises:
        PatternError: the pattern means nothing on these axes.
    """
    if heads_of(p) > 1:
        return None
    space = Space.between(query_axis, key_axis)
    if space is not None:
        return pairs(p, space)
    return _count(normal(p), query_axis, key_axis)


def _count(p: Pattern, q: Axis, k: Axis) -> Dim | None:
    n, m = q.size, k.size
    match p:
        case Dense():
            return n * m
        case Causal(None):
            return n * (m - n) + n * (n + 1) // 2
        case Causal(0) if n == m:
            return n * (n + 1) // 2
        case Self() if q == k:
            return n
        case Prefix():
            return n * m - _cells(q) * _cells(k)
        case Complement(inner):
            found = _count(inner, q, k)
            return None if found is None else n * m - found
        case Union(parts):
            return _of_union(parts, q, k)
    if _grid(q) != _grid(k):
        return None
    if isinstance(p, PerAxis):
        return _by_axis(p, _grid(q))
    return _by_sequence(p, _cells(q))


def _of_union(parts: tuple[Pattern, ...], q: Axis, k: Axis) -> Dim | None:
    """Cells by themselves, and the tokens outside as `prefix` or `self` says."""
    rest = tuple(x for x in parts if not isinstance(x, Prefix | Self))
    if len(rest) == len(parts) or not all(isinstance(x, PerAxis | AlongSequence) for x in rest) or not rest:
        return None
    inside = _count(union(rest), q, k)
    if inside is None or (Self() in parts and (q != k or not any(map(is_reflexive, rest)))):
        return None
    if Prefix() in parts:
        return inside + q.size * k.size - _cells(q) * _cells(k)
    return inside + q.size - _cells(q)


def _by_axis(p: PerAxis, grid: tuple[Dim, ...]) -> Dim | None:
    """The product over the axes; an axis whose size is known is counted."""
    total: Dim = 1
    for axis, length in enumerate(grid):
        if isinstance(length, int):
            lengths = tuple(n if isinstance(n, int) else 1 for n in grid)
            found: Dim | None = sum(len(p.span(axis, x, lengths)) for x in range(length))
        else:
            found = _along(p, axis, length, len(grid))
        if found is None:
            return None
        total = found * total
    return total


def _along(p: PerAxis, axis: int, length: Dim, rank: int) -> Dim | None:
    match p:
        case Window(size, 0):
            n = per_axis(size, rank, str(p))[axis]
            return None if divide(length, n) is None else length * n
        case Axial() if rank > 1:
            return length * length if AXES[rank][axis] == p.along else length
    return None


def _by_sequence(p: Pattern, cells: Dim) -> Dim | None:
    match p:
        case Strided(n) if divide(cells, n) is not None:
            return cells * (cells // n)
        case Block(n, 0) if divide(cells, n) is not None:
            return cells * n
        case Block(n, 1) if divide(cells, n) is not None:
            return (3 * (cells // n) - 2) * n * n
    return None


def _grid(axis: Axis) -> tuple[Dim, ...]:
    return axis.grid or (axis.size,)


def _cells(axis: Axis) -> Dim:
    return prod(_grid(axis), start=1)
