"""Sets that ask of each axis by itself: for each axis, one range of keys for each query. Most named patterns are such.

`terms` finds them: one for a window, a row, a band; one after the other for a union, and for the blocks that `random`
draws. Positions are told apart from the tokens outside the grid by where a side of a term starts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Final

from ogive.dsl.patterns.algebra import Complement, Flat, Intersection, Pattern, Union
from ogive.dsl.patterns.axes import Relation, met
from ogive.dsl.patterns.named import AlongSequence, Causal, Dense, PerAxis, Prefix, Random, Self
from ogive.dsl.patterns.sizes import among
from ogive.dsl.patterns.space import Space

__all__ = ["UNEVEN", "Side", "Term", "reflexive", "same", "terms"]

UNEVEN: Final = "queries and keys do not lie in even steps along the sequence"


@dataclass(frozen=True, slots=True)
class Side:
    """Queries or keys on a grid: the position of its first cell, and its axes."""

    start: int
    grid: tuple[int, ...]

    def strides(self) -> tuple[int, ...]:
        return tuple(prod(self.grid[axis + 1 :]) for axis in range(len(self.grid)))


@dataclass(frozen=True, slots=True)
class Term:
    """A set that asks of each axis by itself."""

    queries: Side
    keys: Side
    rows: tuple[Relation, ...]

    @property
    def frame(self) -> tuple[Side, Side]:
        return self.queries, self.keys

    @property
    def covers(self) -> bool:
        """Every query sees a key."""
        return all(all(relation) for relation in self.rows)

    @property
    def groups(self) -> int:
        """How many different lists of keys there are."""
        return prod(len(set(relation)) for relation in self.rows)


def terms(p: Pattern, space: Space, head: int) -> list[Term] | str:
    """The sets of cells that a pattern is a union of, each asking of every axis by itself; else why it is none.

    `p` is a normal form, for one head.
    """
    why = f"`{p}` does not ask of each axis by itself"
    match p:
        case Flat(inner):
            flat = terms(inner, space.flattened, head)
            return flat if isinstance(flat, str) else [_moved(term, space) for term in flat]
        case Union(inner):
            made: list[Term] = []
            for x in inner:
                found = terms(x, space, head)
                if isinstance(found, str):
                    return found
                made += found
            return made
        case Intersection(inner):
            return _crossed([x for x in inner if x != Complement(Prefix())], inner, space, head, why)
        case Causal():
            return [_whole(p, space)] if not space.outside and space.rank == 1 and not space.flat else why
        case Dense() if not space.outside:
            sides = _sides(space)
            rows = [[range(m)] * n for n, m in zip(sides[0].grid, sides[1].grid, strict=True)] if _even(sides) else None
            return why if rows is None else [Term(*sides, tuple(rows))]
        case Self():
            own = same(space)
            return UNEVEN if own is None else [own]
        case PerAxis():
            return _by_axis(p, space, why)
        case AlongSequence():
            return _along(p, space, head, why)
    return why


def _even(sides: tuple[Side, Side]) -> bool:
    return len(sides[0].grid) == len(sides[1].grid)


def _sides(space: Space) -> tuple[Side, Side]:
    """The cells of queries and keys on their grids; along the sequence, where places are numbered so."""
    grids = [(s.cells,) if space.flat else s.grid for s in (space.queries, space.keys)]
    return Side(space.queries.prefix, grids[0]), Side(space.keys.prefix, grids[1])


def _moved(term: Term, space: Space) -> Term:
    """A term of the cells alone, among the tokens outside the grid."""
    q, k = term.frame
    q = replace(q, start=q.start + space.queries.prefix)
    return Term(q, replace(k, start=k.start + space.keys.prefix), term.rows)


def _whole(p: Causal, space: Space) -> Term:
    n, m = space.queries.size, space.keys.size
    shift = p.shift(n, m)
    return Term(*_sides(space), (tuple(range(max(0, min(m, q + shift + 1))) for q in range(n)),))


def _by_axis(p: PerAxis, space: Space, why: str) -> list[Term] | str:
    if space.query_steps is None or space.key_steps is None:
        return UNEVEN
    lengths, sides, rows = space.lengths, _sides(space), []
    for axis, (apart, step) in enumerate(zip(space.query_steps, space.key_steps, strict=True)):
        seen = [_range(among(p.span(axis, x * apart, lengths), step)) for x in range(sides[0].grid[axis])]
        if any(x is None for x in seen):
            return why
        rows.append(tuple([x for x in seen if x is not None]))
    return [Term(*sides, tuple(rows))]


def _along(p: AlongSequence, space: Space, head: int, why: str) -> list[Term] | str:
    flat = space.flattened
    if flat.query_steps is None or flat.key_steps is None:
        return UNEVEN
    apart, step, length = flat.query_steps[0], flat.key_steps[0], flat.lengths[0]
    each: list[tuple[range, ...]] = []
    for q in range(space.queries.cells):
        found = [_range(among(r, step)) for r in p.ranges(q * apart, length, head)]
        if any(x is None for x in found):
            return why
        each.append(tuple([x for x in found if x is not None]))
    width = max(map(len, each))
    if isinstance(p, Random):
        each = [tuple(sorted(seen, key=lambda r: r.start)) for seen in each]
    sides = Side(space.queries.prefix, (space.queries.cells,)), Side(space.keys.prefix, (space.keys.cells,))
    return [
        Term(*sides, (tuple([seen[i] if i < len(seen) else range(0) for seen in each]),)) for i in range(width)
    ]


def _crossed(
    inner: list[Pattern], all_of_them: tuple[Pattern, ...], space: Space, head: int, why: str
) -> list[Term] | str:
    """What several sets share, axis by axis."""
    found: list[Term] = []
    for x in inner:
        made = terms(x, space, head)
        if isinstance(made, str) or len(made) != 1:
            return made if isinstance(made, str) else why
        found += made
    if not found or (space.outside and any(isinstance(x, Dense) for x in inner)):
        return why
    if len({term.frame for term in found}) > 1:
        return "its patterns run along different axes"
    rows = list(found[0].rows)
    for term in found[1:]:
        for axis, relation in enumerate(term.rows):
            both = [met(a, b) for a, b in zip(rows[axis], relation, strict=True)]
            rows[axis] = tuple([x for x in both if x is not None])
            if len(rows[axis]) < len(both):
                return why
    return [Term(*found[0].frame, tuple(rows))]


def same(space: Space) -> Term | None:
    """Each cell with the cell at its own place; None where places do not lie in even steps."""
    sides = _sides(space)
    apart, step = space.query_steps, space.key_steps
    if apart is None or step is None:
        return None
    rows = []
    for n, m, a, b in zip(sides[0].grid, sides[1].grid, apart, step, strict=True):
        rows.append(tuple([range(q * a // b, q * a // b + 1) if q * a % b == 0 and q * a // b < m else range(0)
                           for q in range(n)]))
    return Term(*sides, tuple(rows))


def reflexive(term: Term, own: Term) -> bool:
    """Every cell of `own` sees itself in `term`."""
    return term.frame == own.frame and all(
        not mine or mine.start in keys
        for relation, other in zip(own.rows, term.rows, strict=True) for mine, keys in zip(relation, other, strict=True)
    )


def _range(found: range | tuple[int, ...]) -> range | None:
    if isinstance(found, range):
        return found
    if len(found) < 2:
        return range(found[0], found[0] + 1) if found else range(0)
    step = found[1] - found[0]
    even = range(found[0], found[-1] + 1, step)
    return even if tuple(even) == found else None
