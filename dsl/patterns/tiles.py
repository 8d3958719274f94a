"""Tiles of a set: empty, full or partial, without asking every pair; and the keys of a few queries as bits.

A named pattern answers for a whole row of keys at once. Arithmetic over the differences of places is asked once for
each offset (`offsets.py`). Other arithmetic over q and k is asked of boxes of the grid, whose
fields are intervals: what holds for the intervals holds for every pair, and where that says nothing the box is cut in
two, down to single pairs. A tile of row-major positions is a few such boxes: the end of a row, whole rows, the start of
a row. (Interval arithmetic: Moore 1966.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from ogive.dsl.diagnostics import ArchError
from ogive.dsl.patterns.algebra import Complement, Difference, Flat, Intersection, Pattern, PerHead, Union
from ogive.dsl.patterns.offsets import NOWHERE, Table, Undecided, table
from ogive.dsl.patterns.predicate import SLOTS, UNSET
from ogive.dsl.patterns.space import Space, raveled
from ogive.dsl.patterns.user import User

__all__ = ["MOST_ASKED", "Kind", "TooMuch", "by_offset", "kind", "row_bits", "rows", "tile_bits"]

Kind: TypeAlias = Literal["empty", "full", "partial"]

MOST_ASKED: Final = 1 << 20
"""Boxes and pairs that arithmetic is asked of for one set."""

AT_ONCE: Final = 256

FEW: Final = 8  # pairs of a box that are asked one by one rather than cutting it


class TooMuch(Exception):
    """Arithmetic would have to be asked of too many pairs."""


def kind(p: Pattern, space: Space, queries: range, keys: range, head: int = 0) -> Kind:
    """What a tile of positions is: no pair of it in the set, every pair, or some.

    Raises:
        PatternError: the pattern means nothing on this space.
        TooMuch: arithmetic that says nothing for boxes, on too large a tile.
    """
    rows, full = tile_bits(p, space, queries, keys, head), (1 << len(keys)) - 1
    if not any(rows):
        return "empty"
    return "full" if all(row == full for row in rows) else "partial"


@lru_cache(8)
def row_bits(p: Pattern, space: Space, head: int = 0) -> tuple[int, ...] | str:
    """The keys of each query as bits; else why they cannot be told."""
    try:
        return tile_bits(p, space, range(space.queries.size), range(space.keys.size), head)
    except TooMuch:
        return f"`{p}` would be asked of more than {MOST_ASKED:,} pairs"


def by_offset(p: Pattern, space: Space, head: int = 0) -> bool:
    """Whether all arithmetic in it goes by differences of places, so that it is quick on any grid."""
    if isinstance(p, User) and p.program.algebra is None:
        return table(p, space, head) is not None
    return all(by_offset(x, space.flattened if isinstance(p, Flat) else space, head) for x in p.inner)


def rows(p: Pattern, space: Space, head: int = 0, most: int = MOST_ASKED) -> Iterator[int]:
    """The keys of each query as bits, a few queries at a time, asking `most` boxes and pairs in all.

    Raises:
        PatternError, TooMuch: as `kind`.
    """
    budget, n = _Budget(most), space.queries.size
    for at in range(0, n, AT_ONCE):
        yield from _bits(p, space, range(at, min(at + AT_ONCE, n)), range(space.keys.size), head, budget)


def tile_bits(p: Pattern, space: Space, queries: range, keys: range, head: int = 0) -> tuple[int, ...]:
    """For each of some neighbouring queries the keys that it sees among some neighbouring keys: bit 0 is the first.

    Raises:
        PatternError, TooMuch: as `kind`.
    """
    return tuple(_bits(p, space, queries, keys, head, _Budget()))


@dataclass
class _Budget:
    left: int = MOST_ASKED

    def spend(self, count: int = 1) -> None:
        self.left -= count
        if self.left < 0:
            raise TooMuch


def _bits(p: Pattern, space: Space, queries: range, keys: range, head: int, budget: _Budget) -> list[int]:
    full = (1 << len(keys)) - 1
    if not p.slow:
        return [p.row(q, space, head) >> keys.start & full for q in queries]

    def of(x: Pattern) -> list[int]:
        return _bits(x, space, queries, keys, head, budget)

    match p:
        case Union(parts):
            return [_any(rows) for rows in zip(*map(of, parts), strict=True)]
        case Intersection(parts):
            return [full & ~_any([full & ~row for row in rows]) for rows in zip(*map(of, parts), strict=True)]
        case Difference(left, right):
            return [a & ~b for a, b in zip(of(left), of(right), strict=True)]
        case Complement(inner):
            return [full & ~row for row in of(inner)]
        case PerHead():
            return of(p.of(head))
        case User() if p.program.algebra is not None:
            return of(p.program.algebra)
        case User() if space.steps is not None or not p.places:
            return _Asked(p, space, queries, keys, head, budget).rows()
        case Flat(inner):
            return _flat(inner, space, queries, keys, head, budget)
    budget.spend(len(queries) * len(keys))
    return [sum(1 << j for j, k in enumerate(keys) if p.holds(q, k, space, head)) for q in queries]


def _any(rows: Any) -> int:
    found = 0
    for row in rows:
        found |= row
    return found


def _flat(inner: Pattern, space: Space, queries: range, keys: range, head: int, budget: _Budget) -> list[int]:
    """Along the sequence: cells alone."""
    q, k = space.queries, space.keys
    a = range(max(queries.start - q.prefix, 0), min(queries.stop - q.prefix, q.cells))
    b = range(max(keys.start - k.prefix, 0), min(keys.stop - k.prefix, k.cells))
    found = [0] * len(queries)
    if a and b:
        rows = _bits(inner, space.flattened, a, b, head, budget)
        for at, row in zip(a, rows, strict=True):
            found[at + q.prefix - queries.start] = row << (b.start + k.prefix - keys.start)
    return found


# ------------------------------------------------------------------------------------------------------------ intervals


@dataclass(frozen=True, slots=True, eq=False)
class Between:
    """All numbers from `low` to `high`."""

    low: Any
    high: Any

    def __add__(self, other: Any) -> Any:
        a, b = _ends(other)
        return _between(self.low + a, self.high + b)

    __radd__ = __add__

    def __neg__(self) -> Any:
        return _between(-self.high, -self.low)

    def __sub__(self, other: Any) -> Any:
        a, b = _ends(other)
        return _between(self.low - b, self.high - a)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        corners = [x * y for x in (self.low, self.high) for y in _ends(other)]
        return _between(min(corners), max(corners))

    __rmul__ = __mul__

    def __abs__(self) -> Any:
        if self.low >= 0:
            return self
        return -self if self.high <= 0 else _between(0, max(-self.low, self.high))

    def __pow__(self, power: Any) -> Any:
        if not isinstance(power, int) or power < 0:
            raise Undecided
        largest = max(abs(self.low), abs(self.high))
        if largest > 1 and power * math.log2(largest) > 128:
            raise Undecided  # beyond every limit somewhere: what is asked of single pairs says where
        if power % 2 == 0:
            size = abs(self)
            a, b = _ends(size)
            return _between(a**power, b**power)
        return _between(self.low**power, self.high**power)

    def __floordiv__(self, by: Any) -> Any:
        if isinstance(by, Between) or by <= 0:
            raise Undecided
        return _between(self.low // by, self.high // by)

    def __truediv__(self, by: Any) -> Any:
        if isinstance(by, Between) or by <= 0:
            raise Undecided
        return _between(self.low / by, self.high / by)

    def __mod__(self, by: Any) -> Any:
        if isinstance(by, Between) or by <= 0:
            raise Undecided
        if self.low // by == self.high // by:
            return _between(self.low % by, self.high % by)
        whole = all(isinstance(x, int) for x in (self.low, self.high, by))
        return _between(0, by - 1 if whole else by)

    def __lt__(self, other: Any) -> bool:
        a, b = _ends(other)
        return _decided(self.high < a, self.low >= b)

    def __le__(self, other: Any) -> bool:
        a, b = _ends(other)
        return _decided(self.high <= a, self.low > b)

    def __gt__(self, other: Any) -> bool:
        return not self <= other

    def __ge__(self, other: Any) -> bool:
        return not self < other

    def __eq__(self, other: object) -> bool:
        a, b = _ends(other)
        return _decided(self.low == self.high == a == b, self.high < a or self.low > b)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        raise Undecided

    def __float__(self) -> float:
        raise Undecided

    def __int__(self) -> int:
        raise Undecided

    def __bool__(self) -> bool:
        raise Undecided


def _ends(x: Any) -> tuple[Any, Any]:
    return (x.low, x.high) if isinstance(x, Between) else (x, x)


def _between(low: Any, high: Any) -> Any:
    if isinstance(low, float) or isinstance(high, float):  # rounding must not lose a number
        low, high = math.nextafter(low, -math.inf), math.nextafter(high, math.inf)
        return Between(low, high)
    return low if low == high else Between(low, high)


def _decided(yes: bool, no: bool) -> bool:
    if yes or no:
        return yes
    raise Undecided


# ---------------------------------------------------------------------------------------------------------------- boxes

Box: TypeAlias = tuple[range, ...]
"""Cells of a grid: a range along each axis."""


@dataclass
class _Asked:
    """Arithmetic on one tile."""

    p: User
    space: Space
    queries: range
    keys: range
    head: int
    budget: _Budget
    found: list[int] = field(default_factory=list)

    def rows(self) -> list[int]:
        """The answer of `tile_bits`."""
        if self.space.rank < self.p.program.rank:
            raise self.p.misfit(self.space.rank)
        self.found = [0] * len(self.queries)
        q, k = self.space.queries, self.space.keys
        inside = [range(max(0, r.start - s.prefix), min(r.stop - s.prefix, s.cells))
                  for r, s in ((self.queries, q), (self.keys, k))]
        offsets = table(self.p, self.space, self.head)
        if offsets is not None:
            self.moved(offsets, *inside)
        else:
            for a in _boxes(inside[0], q.grid):
                for b in _boxes(inside[1], k.grid):
                    self.fill(a, b)
        outside = [to for to in self.keys if k.cell(to) is None]
        for at in self.queries:
            for to in self.keys if q.cell(at) is None else outside:
                self.ask(at, to)
        return self.found

    def moved(self, offsets: Table, queries: range, keys: range) -> None:
        """The pairs of cells, which stand so far apart."""
        q, k = self.space.queries.prefix - self.queries.start, self.space.keys.prefix - self.keys.start
        full = (1 << len(keys)) - 1
        for cell in queries:
            self.found[cell + q] |= (offsets.keys(cell) >> keys.start & full) << keys.start + k

    def fill(self, a: Box, b: Box) -> None:
        """The pairs of two boxes of cells."""
        todo = [(a, b)]
        while todo:
            a, b = todo.pop()
            count = math.prod(map(len, (*a, *b)))
            if not count:
                continue
            if count <= FEW:
                for at in _cells(a, self.space.queries.grid):
                    for to in _cells(b, self.space.keys.grid):
                        self.ask(at + self.space.queries.prefix, to + self.space.keys.prefix)
                continue
            self.budget.spend()
            answer = self.decided(a, b)
            if answer is None:
                todo += _halves(a, b)
            elif answer:
                keys = self.space.keys.prefix - self.keys.start
                bits = _any(1 << (to + keys) for to in _cells(b, self.space.keys.grid))
                for at in _cells(a, self.space.queries.grid):
                    self.found[at + self.space.queries.prefix - self.queries.start] |= bits

    def ask(self, at: int, to: int) -> None:
        self.budget.spend()
        if self.p.holds(at, to, self.space, self.head):
            self.found[at - self.queries.start] |= 1 << (to - self.keys.start)

    def decided(self, a: Box, b: Box) -> bool | None:
        """Whether all pairs are in the set, or none is; None where that is not known."""
        program = self.p.program
        unset = [UNSET] * (program.slots - SLOTS)
        lengths = self.space.lengths if self.p.places else ()
        sizes = lengths[-2:] if len(lengths) > 1 else (None, None)
        fields = (*self.fields(a, True), *self.fields(b, False))
        env: list[Any] = [*fields, self.head, *sizes, *NOWHERE, self.space, *unset]
        unknown = False
        for code in program.allows:
            try:
                if code.run(env):
                    return True
            except (Undecided, TypeError, ArchError):  # a pattern inside, a function of numbers: not of intervals
                unknown = True
                env[SLOTS:] = unset
        return None if unknown else False

    def fields(self, box: Box, queries: bool) -> list[Any]:
        """index, row, col, frame, is_prefix of all cells of a box."""
        if self.space.steps is None:
            return [None, None, None, None, False]
        steps = self.space.steps[0 if queries else 1]
        grid = tuple(n * s for n, s in zip(
            (self.space.queries if queries else self.space.keys).grid, steps, strict=True))
        ends = [(r[0] * s, r[-1] * s) for r, s in zip(box, steps, strict=True)]
        index = _between(raveled(tuple(x for x, _ in ends), grid), raveled(tuple(y for _, y in ends), grid))
        places = [_between(x, y) for x, y in ends]
        if self.space.flat or len(places) == 1:
            return [index, None, None, None, False]
        return [index, places[-2], places[-1], places[0] if len(places) > 2 else None, False]


def _boxes(cells: range, grid: tuple[int, ...]) -> Iterator[Box]:
    """Neighbouring cells as boxes: the end of a row, whole rows, the start of one."""
    if not cells:
        return
    if len(grid) == 1:
        yield (cells,)
        return
    each = math.prod(grid[1:])
    first, last = -(-cells.start // each), cells.stop // each
    if first > last:  # inside one row
        at = cells.start // each
        for box in _boxes(range(cells.start - at * each, cells.stop - at * each), grid[1:]):
            yield (range(at, at + 1), *box)
        return
    for box in _boxes(range(cells.start - (first - 1) * each, each), grid[1:]) if cells.start < first * each else ():
        yield (range(first - 1, first), *box)
    if first < last:
        yield (range(first, last), *map(range, grid[1:]))
    for box in _boxes(range(cells.stop - last * each), grid[1:]):
        yield (range(last, last + 1), *box)


def _halves(a: Box, b: Box) -> list[tuple[Box, Box]]:
    """Two boxes cut along the longest of their axes."""
    both = (*a, *b)
    axis = max(range(len(both)), key=lambda i: len(both[i]))
    r, n = both[axis], len(both[axis]) // 2
    cut = [(*both[:axis], half, *both[axis + 1 :]) for half in (r[:n], r[n:])]
    return [(x[: len(a)], x[len(a) :]) for x in cut]


def _cells(box: Box, grid: tuple[int, ...]) -> list[int]:
    found = [0]
    for r, n in zip(box, grid, strict=True):
        found = [x * n + i for x in found for i in r]
    return found
