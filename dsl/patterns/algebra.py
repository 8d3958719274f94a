"""Sets of (query, key) pairs, and what joins them: union, intersection, difference, complement, a set per head.

A pattern is a frozen value. `holds` is its meaning, pair by pair; `row` answers the same for all keys of a query at
once, as the bits of an integer (key k is bit k), so unions and counts of whole grids are a few operations on long
integers. `str` writes the language's own text, with brackets only where the grammar needs them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from ogive.dsl.patterns.space import PatternError, Space

__all__ = [
    "LARGEST_PATTERN", "MOST_HEADS", "Complement", "Difference", "Flat", "Intersection", "Pattern", "PerHead", "Union",
    "intersection", "leaves", "union", "weight",
]

UNION, INTERSECTION, DIFFERENCE, COMPLEMENT, ATOM = range(5)

LARGEST_PATTERN: Final = 1_024  # patterns in one pattern; a loop in a file may join as many
DEEPEST: Final = 48             # patterns inside each other: the algebra recurses
MOST_HEADS: Final = 1_024


class Pattern(ABC):
    """A set of (query, key) pairs. `holds` is its definition, everything else is derived from it and tested so."""

    __slots__ = ()

    level: ClassVar[int] = ATOM
    """How tightly its text binds."""

    @abstractmethod
    def holds(self, q: int, k: int, space: Space, head: int = 0) -> bool:
        """Whether query q sees key k; both are positions in their whole sequences, tokens outside the grid included.

        Raises:
            PatternError: the pattern means nothing on this space (`axial("row")` on a plain sequence).
        """

    def row(self, q: int, space: Space, head: int = 0) -> int:
        """The keys that query q sees: bit k is set when it sees key k."""
        bits = 0
        for k in range(space.keys.size):
            if self.holds(q, k, space, head):
                bits |= 1 << k
        return bits

    @property
    def inner(self) -> tuple[Pattern, ...]:
        """The patterns that it is made of."""
        return ()

    @property
    def slow(self) -> bool:
        """Whether it can only be asked pair by pair."""
        return any(x.slow for x in self.inner)

    @property
    def expanded(self) -> Pattern:
        """What it is an abbreviation of; itself when it is none."""
        return self

    def __or__(self, other: Pattern) -> Pattern:
        return Union((self, other)) if isinstance(other, Pattern) else NotImplemented

    def __and__(self, other: Pattern) -> Pattern:
        return Intersection((self, other)) if isinstance(other, Pattern) else NotImplemented

    def __sub__(self, other: Pattern) -> Pattern:
        return Difference(self, other) if isinstance(other, Pattern) else NotImplemented

    def __invert__(self) -> Pattern:
        return Complement(self)


def weight(p: Pattern) -> tuple[int, int]:
    """How many patterns `p` is made of, itself counted, and how deep they stand in each other."""
    sizes = [weight(x) for x in p.inner]
    return 1 + sum(n for n, _ in sizes), 1 + max((d for _, d in sizes), default=0)


def leaves(p: Pattern) -> Iterator[Pattern]:
    """The patterns of `p` that are made of no others, in order, repeated where they stand repeatedly."""
    if not p.inner:
        yield p
    for x in p.inner:
        yield from leaves(x)


def _guard(p: Pattern) -> None:
    count, depth = weight(p)
    if count > LARGEST_PATTERN:
        raise PatternError(f"a pattern of more than {LARGEST_PATTERN:,} patterns", code="A509")
    if depth > DEEPEST:
        raise PatternError(f"patterns stand at most {DEEPEST} deep in each other", code="A509")


def _text(p: Pattern, level: int) -> str:
    """`p` as an operand of something that binds as tightly as `level`."""
    return str(p) if p.level >= level else f"({p})"


def _flattened(parts: tuple[Pattern, ...], kind: type[Union] | type[Intersection], what: str) -> tuple[Pattern, ...]:
    flat = tuple(x for p in parts for x in (p.parts if isinstance(p, kind) else (p,)))
    if len(flat) < 2:
        raise PatternError(f"{what} joins two patterns or more")
    return flat


@dataclass(frozen=True, slots=True)
class Union(Pattern):
    """p | q | ...: the pairs that are in at least one. A pair in two counts once; one softmax runs over the result."""

    parts: tuple[Pattern, ...]
    level: ClassVar[int] = UNION

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", _flattened(self.parts, Union, "a union"))
        _guard(self)

    @property
    def inner(self) -> tuple[Pattern, ...]:
        return self.parts

    def holds(self, q: int, k: int, space: Space, head: int = 0) -> bool:
        return any(p.holds(q, k, space, head) for p in self.parts)

    def row(self, q: int, space: Space, head: int = 0) -> int:
        bits = 0
        for p in self.parts:
            bits |= p.row(q, space, head)
        return bits

    def __str__(self) -> str:
        return " | ".join(_text(p, INTERSECTION) for p in self.parts)


@dataclass(frozen=True, slots=True)
class Intersection(Pattern):
    """p & q & ...: the pairs that are in all of them."""

    parts: tuple[Pattern, ...]
    level: ClassVar[int] = INTERSECTION

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", _flattened(self.parts, Intersection, "an intersection"))
        _guard(self)

    @property
    def inner(self) -> tuple[Pattern, ...]:
        return self.parts

    def holds(self, q: int, k: int, space: Space, head: int = 0) -> bool:
        return all(p.holds(q, k, space, head) for p in self.parts)

    def row(self, q: int, space: Space, head: int = 0) -> int:
        bits = -1
        for p in self.parts:
            bits &= p.row(q, space, head)
        return bits

    def __str__(self) -> str:
        return " & ".join(_text(p, DIFFERENCE) for p in self.parts)


@dataclass(frozen=True, slots=True)
class Difference(Pattern):
    """p - q: the pairs of p that are not in q."""

    left: Pattern
    right: Pattern
    level: ClassVar[int] = DIFFERENCE

    def __post_init__(self) -> None:
        _guard(self)

    @property
    def inner(self) -> tuple[Pattern, ...]:
        return self.left, self.right

    def holds(self, q: int, k: int, space: Space, head: int = 0) -> bool:
        return self.left.holds(q, k, space, head) and not self.right.holds(q, k, space, head)

    def row(self, q: int, space: Space, head: int = 0) -> int:
        return self.left.row(q, space, head) & ~self.right.row(q, space, head)

    def __str__(self) -> str:
        return f"{_text(self.left, DIFFERENCE)} - {_text(self.right, COMPLEMENT)}"


@dataclass(frozen=True, slots=True)
class Complement(Pattern):
    """~p: all pairs that are not in p, those of tokens outside the grid included."""

    pattern: Pattern
    level: ClassVar[int] = COMPLEMENT

    def __post_init__(self) -> None:
        _guard(self)

    @property
    def inner(self) -> tuple[Pattern, ...]:
        return (self.pattern,)

    def holds(self, q: int, k: int, space: Space, head: int = 0) -> bool:
        return not self.pattern.holds(q, k, space, head)

    def row(self, q: int, space: Space, head: int = 0) -> int:
        return ((1 << space.keys.size) - 1) & ~self.pattern.row(q, space, head)

    def __str__(self) -> str:
        return f"~{_text(self.pattern, COMPLEMENT)}"


@dataclass(frozen=True, slots=True)
class Flat(Pattern):
    """flat(p): p along the sequence, row-major, on the cells of the grid alone; tokens outside it see nothing."""

    pattern: Pattern

    def __post_init__(self) -> None:
        _guard(self)

    @property
    def inner(self) -> tuple[Pattern, ...]:
        return (self.pattern,)

    def holds(self, q: int, k: int, space: Space, head: int = 0) -> bool:
        a, b = space.queries.cell(q), space.keys.cell(k)
        return a is not None and b is not None and self.pattern.holds(a, b, space.flattened, head)

    def row(self, q: int, space: Space, head: int = 0) -> int:
        cell = space.queries.cell(q)
        return 0 if cell is None else self.pattern.row(cell, space.flattened, head) << space.keys.prefix

    def __str__(self) -> str:
        return f"flat({self.pattern})"


@dataclass(frozen=True, slots=True)
class PerHead(Pattern):
    """per_head([p, q, ...]): head i sees the i-th; behind its end the list starts anew (even heads near, odd far)."""

    patterns: tuple[Pattern, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "patterns", tuple(self.patterns))
        if not self.patterns:
            raise PatternError("`per_head` takes a list of at least one pattern", setting="patterns")
        if len(self.patterns) > MOST_HEADS:
            raise PatternError(f"`per_head` takes at most {MOST_HEADS:,} patterns", setting="patterns")
        _guard(self)

    @property
    def inner(self) -> tuple[Pattern, ...]:
        return self.patterns

    def of(self, head: int) -> Pattern:
        """The pattern of one head."""
        return self.patterns[head % len(self.patterns)]

    def holds(self, q: int, k: int, space: Space, head: int = 0) -> bool:
        return self.of(head).holds(q, k, space, head)

    def row(self, q: int, space: Space, head: int = 0) -> int:
        return self.of(head).row(q, space, head)

    def __str__(self) -> str:
        return f"per_head([{', '.join(map(str, self.patterns))}])"


def union(parts: Iterable[Pattern]) -> Pattern:
    """The union of one pattern or more; of one, it is that one."""
    given = tuple(parts)
    return given[0] if len(given) == 1 else Union(given)


def intersection(parts: Iterable[Pattern]) -> Pattern:
    """The intersection of one pattern or more; of one, it is that one."""
    given = tuple(parts)
    return given[0] if len(given) == 1 else Intersection(given)
