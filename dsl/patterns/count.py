"""How many pairs a pattern holds, exactly; which query sees nothing; whether it is symmetric; whether two are the same.

The named patterns are counted by formula, in time that grows with the positions at most: a pattern that asks of each
axis by itself has as many pairs as the product over the axes of the pairs along each. Unions with `prefix` or `self`
add what lies outside the grid. Everything else is counted row by row, the keys of a query being the bits of one
integer: a second for 65,536 positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import lcm
from typing import Final

from ogive.dsl.patterns.algebra import Complement, Flat, Intersection, Pattern, Union, intersection, leaves, union
from ogive.dsl.patterns.named import (
    AlongSequence,
    Causal,
    Dense,
    GlobalTokens,
    PerAxis,
    Prefix,
    Random,
    Self,
    Sliding,
)
from ogive.dsl.patterns.normal import NOTHING, heads_of, includes, is_reflexive, normal, of_head
from ogive.dsl.patterns.sizes import among
from ogive.dsl.patterns.space import PatternError, Space
from ogive.dsl.patterns.tiles import TooMuch, by_offset, rows
from ogive.dsl.patterns.user import User

__all__ = [
    "LARGEST_ROWS", "LARGEST_SLOW", "blind", "density", "distinct", "empty_row", "pairs", "rows_of", "same",
    "symmetric", "total",
]

LARGEST_ROWS: Final = 1 << 34  # pairs that are counted row by row, as bits
LARGEST_SLOW: Final = 1 << 20  # pairs that are asked one by one, where a pattern is arithmetic over q and k
MOST_BOXES: Final = 1 << 16  # boxes of a larger grid that such arithmetic is asked of


def pairs(p: Pattern, space: Space, head: int = 0) -> int:
    """How many (query, key) pairs one head has.

    Raises:
        PatternError: the pattern means nothing here, or would have to be asked pair by pair on too large a grid.
    """
    known = _formula(normal(of_head(p, head), space), space, head)
    if known is not None:
        return known
    return sum(row.bit_count() for row in rows_of(p, space, head))


def density(p: Pattern, space: Space, heads: int | None = None) -> float:
    """The share of all pairs that are in the set, the mean over the heads.

    Without `heads` it is taken over one round of `per_head`; give them where a pattern draws or computes by head.
    """
    count = heads_of(p) if heads is None else heads
    return sum(pairs(p, space, head) for head in range(count)) / (count * space.size)


def empty_row(p: Pattern, space: Space, head: int = 0) -> int | None:
    """The first query that sees no key; None where every query sees one."""
    form = normal(of_head(p, head), space)
    if isinstance(form, Dense) or (space.square and includes(form, Self(), space)):
        return None
    if form == NOTHING:
        return 0
    if _every_token_sees(form, space):
        return None
    return next((q for q, row in enumerate(rows_of(p, space, head)) if not row), None)


def symmetric(p: Pattern, space: Space, head: int = 0) -> bool:
    """Whether q sees k whenever k sees q; never, where queries and keys are two sequences."""
    if not space.square:
        return False
    form = normal(of_head(p, head), space)
    if all(_is_symmetric(leaf) for leaf in leaves(form)):
        return True
    found = list(rows_of(p, space, head))
    return all(found[k] >> q & 1 for q, row in enumerate(found) for k in _ones(row))


def same(p: Pattern, q: Pattern, space: Space, heads: int | None = None) -> bool:
    """Whether two patterns hold the same pairs on this space, in every head; `heads` as in `density`."""
    count = lcm(heads_of(p), heads_of(q)) if heads is None else heads
    for head in range(count):
        a, b = normal(of_head(p, head), space), normal(of_head(q, head), space)
        if a == b:
            continue
        if any(x != y for x, y in zip(rows_of(a, space, head), rows_of(b, space, head), strict=True)):
            return False
    return True


def distinct(p: Pattern, heads: int) -> int:
    """After how many of the heads the pattern repeats itself: 1 where all see alike, `heads` where each may differ."""
    own = any(
        (isinstance(x, Random) and x.per_head) or (isinstance(x, User) and "head" in x.program.fields)
        for x in leaves(p)
    )
    return heads if own else min(heads, heads_of(p))


@lru_cache(512)
def total(p: Pattern, space: Space, heads: int) -> int:
    """How many pairs all heads together have.

    Raises:
        PatternError: as `pairs`.
    """
    count = distinct(p, heads)
    if count == 1:
        return heads * pairs(p, space)
    each = [pairs(p, space, head) for head in range(count)]
    return sum(each[head % count] for head in range(heads))


@lru_cache(512)
def blind(p: Pattern, space: Space | None, heads: int) -> tuple[int, int] | None:
    """The first query that certainly sees no key, with its head; None where there is none, or sizes are free.

    Raises:
        PatternError: the pattern means nothing here, or is too large to be asked.
    """
    if space is None:
        nothing = next((head for head in range(distinct(p, heads)) if normal(of_head(p, head)) == NOTHING), None)
        return None if nothing is None else (0, nothing)
    for head in range(distinct(p, heads)):
        query = empty_row(p, space, head)
        if query is not None:
            return query, head
    return None


# ------------------------------------------------------------------------------------------------------------ formulas


def _formula(p: Pattern, space: Space, head: int) -> int | None:
    """The count of a normal form without walking through its rows; None where no formula is known."""
    n, m = space.queries.size, space.keys.size
    match p:
        case Dense() | Causal():
            return p.pairs(n, m)
        case Self() if space.square:
            return n
        case Prefix():
            return space.size - space.queries.cells * space.keys.cells
        case PerAxis():
            return _by_axis(p, space)
        case AlongSequence():
            return _by_sequence(p, space, head)
        case Flat(inner):
            return _formula(inner, space.flattened, head)
        case Complement(inner):
            found = _formula(inner, space, head)
            return None if found is None else space.size - found
        case Union(parts):
            return _of_union(parts, space, head)
        case Intersection(parts):
            # what holds between cells holds outside `prefix`
            rest = tuple(x for x in parts if x != Complement(Prefix()))
            if len(rest) < len(parts) and rest and all(_is_inside(x) for x in rest):
                return _formula(intersection(rest), space, head)
    return None


def _of_union(parts: tuple[Pattern, ...], space: Space, head: int) -> int | None:
    """Cells by themselves, and the tokens outside as `prefix` or `self` says."""
    rest = tuple(x for x in parts if not isinstance(x, Prefix | Self))
    if len(rest) == len(parts) or not rest or not all(_is_inside(x) for x in rest):
        return None
    inside = _formula(union(rest), space, head)
    if inside is None:
        return None
    if Self() in parts:
        if not space.square or not any(is_reflexive(x) for x in rest):
            return None
        inside += 0 if Prefix() in parts else space.queries.outside
    return inside + (space.size - space.queries.cells * space.keys.cells if Prefix() in parts else 0)


def _by_axis(p: PerAxis, space: Space) -> int | None:
    if space.key_steps is None or space.query_steps is None:
        return None
    lengths, total = space.lengths, 1
    for axis, (length, q_step, k_step) in enumerate(zip(lengths, space.query_steps, space.key_steps, strict=True)):
        total *= sum(len(among(p.span(axis, x, lengths), k_step)) for x in range(0, length, q_step))
    return total


def _by_sequence(p: AlongSequence, space: Space, head: int) -> int | None:
    flat = space.flattened
    if flat.key_steps is None:
        return None
    length, step, total = flat.lengths[0], flat.key_steps[0], 0
    for cell in range(flat.queries.cells):
        at = flat.query(cell)
        assert at is not None
        total += sum(len(among(r, step)) for r in p.ranges(at[0], length, head))
    return total


# --------------------------------------------------------------------------------------------------------- what is true


def _is_inside(p: Pattern) -> bool:
    """Pairs of cells only: a token outside the grid is in none."""
    return isinstance(p, PerAxis | AlongSequence | Flat)


def _is_symmetric(p: Pattern) -> bool:
    if isinstance(p, Sliding):
        return not p.clamp
    return is_reflexive(p) or isinstance(p, Dense | Self | Prefix | GlobalTokens)


def _every_token_sees(p: Pattern, space: Space) -> bool:
    """A union in which each cell sees itself, and each token outside sees everything."""
    if not isinstance(p, Union) or Prefix() not in p.parts:
        return False
    return space.square and any(is_reflexive(x) for x in p.parts)


def _ones(row: int) -> list[int]:
    """The places of the set bits."""
    found = []
    while row:
        low = row & -row
        found.append(low.bit_length() - 1)
        row ^= low
    return found


def rows_of(p: Pattern, space: Space, head: int = 0) -> Iterator[int]:
    """The keys of each query as bits.

    Raises:
        PatternError: on so large a grid `p` would have to be asked pair by pair.
    """
    asked = not p.slow and space.flattened.flat and not isinstance(p, PerAxis)  # of cells, one by one
    if space.size > (LARGEST_SLOW if asked else LARGEST_ROWS):
        raise _too_large(p, space, LARGEST_SLOW if asked else LARGEST_ROWS)
    if not p.slow or (space.size <= LARGEST_SLOW and not by_offset(p, space, head)):
        yield from (p.row(q, space, head) for q in range(space.queries.size))
        return
    try:
        yield from rows(p, space, head, MOST_BOXES)
    except TooMuch:
        raise _too_large(p, space, LARGEST_SLOW) from None


def _too_large(p: Pattern, space: Space, most: int) -> PatternError:
    return PatternError(
        f"`{p}` is counted pair by pair; {space.queries.size:,} queries times {space.keys.size:,} keys are more "
        f"than {most:,} pairs"
    )
