"""Arithmetic that asks of places by their differences alone: one answer for each offset between a query and a key.

`(q.row - k.row) ** 2 + (q.col - k.col) ** 2 <= 9` is the same question everywhere on the grid. Such a pattern is asked
once for each of the prod(2 n - 1) offsets, not for each pair; the keys of a query are then those bits, moved.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from math import prod
from typing import Any, Final

from ogive.dsl.diagnostics import ArchError
from ogive.dsl.patterns.predicate import SLOTS, UNSET
from ogive.dsl.patterns.space import Place, Space, raveled, unraveled
from ogive.dsl.patterns.user import User

__all__ = ["MOST_OFFSETS", "NOWHERE", "Table", "Undecided", "table"]

MOST_OFFSETS: Final = 1 << 20

NOWHERE: Final = (object(), object())
"""The positions of many pairs at once, for patterns inside arithmetic: they ask single pairs, and cannot say."""


class Undecided(Exception):
    """What is asked is not the same for all that a value stands for."""


class _Field:
    """`q.row` or `k.row` of which only the difference is known."""

    __slots__ = ("ahead", "name", "queries")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str, queries: bool, ahead: int) -> None:
        self.name = name
        self.queries = queries
        self.ahead = ahead

    def __sub__(self, other: object) -> int:
        if not isinstance(other, _Field) or other.name != self.name:
            raise Undecided
        if other.queries == self.queries:
            return 0
        return self.ahead if self.queries else -self.ahead

    def __lt__(self, other: object) -> bool:
        return self - other < 0

    def __le__(self, other: object) -> bool:
        return self - other <= 0

    def __gt__(self, other: object) -> bool:
        return self - other > 0

    def __ge__(self, other: object) -> bool:
        return self - other >= 0

    def __eq__(self, other: object) -> bool:
        return self - other == 0

    def __ne__(self, other: object) -> bool:
        return self - other != 0

    def __bool__(self) -> bool:
        raise Undecided


class Table:
    """The offsets of a set on a grid: for those along all axes but the last, the keys of the last as bits."""

    def __init__(self, grid: Place, rows: dict[Place, int]) -> None:
        self.grid = grid
        self.rows = rows
        self.width = grid[-1]
        self.strides = [prod(grid[i + 1 :]) for i in range(len(grid) - 1)]

    def keys(self, cell: int) -> int:
        """The cells that the query at one sees: bit 0 is the first."""
        *before, last = unraveled(cell, self.grid)
        full, found = (1 << self.width) - 1, 0
        for offset, bits in self.rows.items():
            at = 0
            for x, d, n, stride in zip(before, offset, self.grid, self.strides, strict=False):
                if not 0 <= x - d < n:
                    break
                at += (x - d) * stride
            else:
                found |= (bits >> (self.width - 1 - last) & full) << at
        return found


@lru_cache(16)
def table(p: User, space: Space, head: int) -> Table | None:
    """The offsets that `p` holds; None where it asks for more than differences, or where there are too many.

    Queries and keys must stand on one grid of one size.
    """
    if p.program.algebra is not None or not space.queries.grid or space.queries.grid != space.keys.grid:
        return None
    grid = (space.queries.cells,) if space.flat else space.queries.grid
    if prod(2 * n - 1 for n in grid) > MOST_OFFSETS:
        return None
    rows: dict[Place, int] = {}
    width = grid[-1]
    try:
        for offset in product(*(range(1 - n, n) for n in grid[:-1])):
            bits = 0
            for d in range(1 - width, width):
                if _holds(p, space, head, grid, (*offset, d)):
                    bits |= 1 << width - 1 - d
            if bits:
                rows[offset] = bits
    except (Undecided, TypeError, ArchError):  # a place by itself, a pattern inside: not of offsets
        return None
    return Table(grid, rows)


def _holds(p: User, space: Space, head: int, grid: Place, offset: Place) -> bool:
    """Whether cells that stand `offset` apart are a pair."""
    program = p.program
    lengths = space.lengths if p.places else ()
    sizes = lengths[-2:] if len(lengths) > 1 else (None, None)
    fields = (*_fields(grid, offset, True), *_fields(grid, offset, False))
    env: list[Any] = [*fields, head, *sizes, *NOWHERE, space, *[UNSET] * (program.slots - SLOTS)]
    return any(code.run(env) for code in program.allows)


def _fields(grid: Place, offset: Place, queries: bool) -> list[Any]:
    """index, row, col, frame, is_prefix."""
    found: list[Any] = [_Field("index", queries, raveled(offset, grid)), None, None, None, False]
    for i, (name, axis) in enumerate((("row", -2), ("col", -1), ("frame", -3)), 1):
        if len(grid) >= max(-axis, 2):
            found[i] = _Field(name, queries, offset[axis])
    return found
