"""Where a pattern lives: the positions of the queries and of the keys, and how both stand on one grid.

A sequence is a few tokens outside the grid (a class token), the grid in row-major order, and maybe a few tokens behind
it. A grid has one axis (a plain sequence), two (row, col) or three (frame, row, col). When one grid is smaller than the
other by an exact factor s along an axis, its position i stands at place s * i of the larger one: a query of a pooled
image, or a pooled key, stands at its top left corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

from ogive.dsl.types import Axis

__all__ = ["AXES", "PatternError", "Place", "Sequence", "Space", "raveled", "unraveled"]

AXES: dict[int, tuple[str, ...]] = {1: (), 2: ("row", "col"), 3: ("frame", "row", "col")}
"""The names of a grid's axes, by their number. The one axis of a sequence is its index, and has no name."""

Place = tuple[int, ...]
"""Coordinates on the common grid, one per axis."""


class PatternError(ValueError):
    """A pattern that cannot be: `setting` is the one to point at, `help` what to write instead, `code` its kind."""

    def __init__(
        self, title: str, *, setting: str | None = None, help: str | None = None, code: str = "A302"
    ) -> None:
        super().__init__(title)
        self.code = code
        self.title = title
        self.setting = setting
        self.help = help


@dataclass(frozen=True, slots=True)
class Sequence:
    """`prefix` tokens, the cells of `grid` in row-major order, then `suffix` tokens."""

    grid: tuple[int, ...]
    prefix: int = 0
    suffix: int = 0

    def __post_init__(self) -> None:
        if len(self.grid) not in AXES or min(self.grid) < 1:
            raise PatternError(f"a grid has one to three axes of at least 1, here is {self.grid}")
        if self.prefix < 0 or self.suffix < 0:
            raise PatternError("there are no fewer than 0 tokens outside a grid")

    @property
    def cells(self) -> int:
        """How many positions the grid has."""
        return prod(self.grid)

    @property
    def outside(self) -> int:
        """How many positions stand outside the grid."""
        return self.prefix + self.suffix

    @property
    def size(self) -> int:
        return self.prefix + self.cells + self.suffix

    def cell(self, position: int) -> int | None:
        """The row-major number of a position within the grid; None for a token outside it."""
        number = position - self.prefix
        return number if 0 <= number < self.cells else None

    def extra(self, position: int) -> int | None:
        """The number of a token among those outside the grid; None for one inside."""
        number = position - self.prefix
        if number < 0:
            return position
        return position - self.cells if number >= self.cells else None


@dataclass(frozen=True)
class Space:
    """The queries and the keys of one attention.

    `flat` says that places are numbered along the sequence, row-major, although the grids differ by a factor
    (`flattened` sets it; where the grids agree it makes plain sequences instead).
    """

    queries: Sequence
    keys: Sequence
    flat: bool = False

    @classmethod
    def of(cls, *grid: int, prefix: int = 0, suffix: int = 0) -> Space:
        """Self-attention on one grid: `Space.of(14, 14, prefix=1)`."""
        sequence = Sequence(grid, prefix, suffix)
        return cls(sequence, sequence)

    @classmethod
    def between(cls, query_axis: Axis, key_axis: Axis) -> Space | None:
        """The space of two position axes; None while a size is free. Without a grid, all positions are a sequence."""
        queries, keys = _sequence(query_axis), _sequence(key_axis)
        return None if queries is None or keys is None else cls(queries, keys)

    @property
    def size(self) -> int:
        """How many (query, key) pairs there are."""
        return self.queries.size * self.keys.size

    @property
    def outside(self) -> int:
        """How many tokens stand outside the grids, queries and keys together."""
        return self.queries.outside + self.keys.outside

    @property
    def square(self) -> bool:
        """Queries and keys are one sequence."""
        return self.queries == self.keys

    @cached_property
    def steps(self) -> tuple[Place, Place] | None:
        """How far neighbours stand apart along each axis, queries and keys; None when the grids do not match."""
        a, b = self.queries.grid, self.keys.grid
        if len(a) != len(b) or any(max(n, m) % min(n, m) for n, m in zip(a, b, strict=True)):
            return None
        pairs = list(zip(a, b, strict=True))
        return tuple(max(n, m) // n for n, m in pairs), tuple(max(n, m) // m for n, m in pairs)

    @cached_property
    def lengths(self) -> Place:
        """The sizes of the grid that both stand on.

        Raises:
            PatternError: neither grid is a whole multiple of the other.
        """
        if self.steps is None:
            a, b = ("x".join(map(str, s.grid)) for s in (self.queries, self.keys))
            raise PatternError(
                f"queries on {a} and keys on {b} do not stand on one grid",
                help="along each axis the larger is a whole multiple of the smaller",
            )
        grid = tuple(n * s for n, s in zip(self.queries.grid, self.steps[0], strict=True))
        return (prod(grid),) if self.flat else grid

    @property
    def rank(self) -> int:
        """How many axes the common grid has: 1 for a plain sequence."""
        return 1 if self.flat else len(self.queries.grid)

    @cached_property
    def key_steps(self) -> Place | None:
        """How far keys stand apart along each axis of `lengths`; None when they are no regular steps there."""
        steps = (self.steps or ((), ()))[1]
        return steps if not self.flat else (1,) if set(steps) == {1} else None

    @cached_property
    def query_steps(self) -> Place | None:
        """As `key_steps`, for the queries."""
        steps = (self.steps or ((), ()))[0]
        return steps if not self.flat else (1,) if set(steps) == {1} else None

    def query(self, position: int) -> Place | None:
        """Where a query stands; None outside the grid."""
        return self._place(self.queries, 0, position)

    def key(self, position: int) -> Place | None:
        """Where a key stands; None outside the grid."""
        return self._place(self.keys, 1, position)

    def _place(self, sequence: Sequence, side: int, position: int) -> Place | None:
        cell = sequence.cell(position)
        lengths = self.lengths
        if cell is None or self.steps is None:
            return None
        if len(sequence.grid) == 1:
            return (cell * self.steps[side][0],)
        place = tuple(i * s for i, s in zip(unraveled(cell, sequence.grid), self.steps[side], strict=True))
        if not self.flat:
            return place
        full = tuple(n * s for n, s in zip(sequence.grid, self.steps[side], strict=True))
        assert prod(full) == lengths[0]
        return (raveled(place, full),)

    @cached_property
    def flattened(self) -> Space:
        """The cells of the grids alone, along the sequence: what `flat` patterns and `strided`, `block`, ... see."""
        queries, keys = self.queries.grid, self.keys.grid
        if self.flat or (len(queries) > 1 and self.steps is not None and queries != keys):
            return Space(Sequence(queries), Sequence(keys), flat=True)
        return Space(Sequence((prod(queries),)), Sequence((prod(keys),)))


def _sequence(axis: Axis) -> Sequence | None:
    """An axis with several grids, or none, is a plain sequence."""
    if not isinstance(axis.size, int):
        return None
    grid, prefix = axis.grid, axis.prefix
    if not grid:
        return Sequence((axis.size,))
    numbers = tuple(n for n in grid if isinstance(n, int))
    if len(numbers) != len(grid) or not isinstance(prefix, int):
        return None
    return Sequence(numbers, prefix, axis.size - prefix - prod(numbers))


def raveled(place: Place, grid: Place) -> int:
    """The row-major number of a place."""
    number = 0
    for i, n in zip(place, grid, strict=True):
        number = number * n + i
    return number


def unraveled(number: int, grid: Place) -> Place:
    """The place of a row-major number."""
    place: list[int] = []
    for n in reversed(grid):
        number, i = divmod(number, n)
        place.append(i)
    return tuple(reversed(place))
