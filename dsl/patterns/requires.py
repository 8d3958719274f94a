"""What a pattern or a mechanism needs of the tokens it is used on, in the words of the language.

A pattern of the grid says nothing of tokens outside it, so beside a class token it must be joined with `| prefix`
(they see and are seen by all) or `| self` (themselves only). Sizes that name two axes, `axial` and fields such as
`q.row` need a grid with these axes. Queries and keys on two grids must stand on one, the larger a whole multiple of the
smaller.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ogive.dsl.dims import Dim
from ogive.dsl.dims_text import show
from ogive.dsl.patterns.algebra import Complement, Difference, Flat, Intersection, Pattern, PerHead, Union
from ogive.dsl.patterns.mechanisms import Mechanism, Mixed
from ogive.dsl.patterns.named import AlongSequence, Axial, Dense, Dilated, PerAxis, Prefix, Self, Sliding, Window
from ogive.dsl.patterns.sizes import Sizes
from ogive.dsl.patterns.space import AXES
from ogive.dsl.patterns.user import User
from ogive.dsl.types import Axis

__all__ = ["Problem", "check", "settles"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a pattern does not go with tokens: what is true, what would help, and facts around it."""

    title: str
    help: str | None = None
    notes: tuple[str, ...] = ()


def check(over: Pattern | Mechanism, query_axis: Axis, key_axis: Axis, heads: int | None = None) -> Problem | None:
    """The first thing that speaks against attention over `over` with these positions; None when it is in order.

    What cannot be decided while sizes are free is not refused here: `Space` raises once they are known.
    """
    if isinstance(over, Mechanism):
        parts = [p for p in over.parts if isinstance(p, Pattern)] if isinstance(over, Mixed) else []
        found = (check(p, query_axis, key_axis) for p in parts)
        return next((problem for problem in found if problem is not None), _round(over, heads))
    for leaf, flat in _leaves(over):
        problem = _of_leaf(leaf, flat, query_axis, key_axis)
        if problem is not None:
            return problem
    beside = _beside(query_axis) or _beside(key_axis)
    if beside and not settles(over):
        return _silent(over, beside)
    return _round(over, heads)


def settles(p: Pattern, within: bool = True) -> bool:
    """Whether `p` says what tokens outside the grid see. `within` False asks it of ~p.

    A complement speaks of all tokens, save for ~dense and ~prefix, which hold no pair of one outside.
    """
    p = p.expanded
    match p:
        case Complement(inner):
            return settles(inner, not within)
        case Difference(left, right):
            return settles(left) if within else settles(left, False) or settles(right)
        case Union(parts):
            return any(map(settles, parts)) if within else all(settles(x, False) for x in parts)
        case Intersection(parts):
            return all(map(settles, parts)) if within else any(settles(x, False) for x in parts)
        case PerHead(patterns):
            return all(settles(x, within) for x in patterns)
    return not _is_inside(p) if within else not isinstance(p, Dense | Prefix)


def _is_inside(p: Pattern) -> bool:
    """Pairs of cells only."""
    return isinstance(p, PerAxis | AlongSequence | Flat) or (isinstance(p, User) and p.inside)


def _leaves(p: Pattern, flat: bool = False) -> Iterator[tuple[Pattern, bool]]:
    """The patterns made of no others; True with those that run along the sequence."""
    if not p.inner:
        yield p, flat
    for x in p.inner:
        yield from _leaves(x, flat or isinstance(p, Flat))


# ------------------------------------------------------------------------------------------------------------- the grid


def _of_leaf(leaf: Pattern, flat: bool, q: Axis, k: Axis) -> Problem | None:
    if not isinstance(leaf, PerAxis | AlongSequence | Self | User) or (isinstance(leaf, User) and not leaf.places):
        return None
    grids = (_cells(q),) if flat else q.grid, (_cells(k),) if flat else k.grid
    if not flat and isinstance(leaf, PerAxis | User):
        for axis in (q, k):
            problem = _needs_grid(leaf, axis)
            if problem is not None:
                return problem
    if isinstance(leaf, AlongSequence) and len(grids[0]) != len(grids[1]):
        grids = (_cells(q),), (_cells(k),)
    return _apart(leaf, grids[0] or (q.size,), grids[1] or (k.size,))


def _needs_grid(leaf: Pattern, axis: Axis) -> Problem | None:
    several = sum(1 for s in axis.segments if s.grid) > 1
    if several:
        return Problem(f"`{leaf}` needs one grid; these positions hold several",
                       "`take(node)` picks the positions that one node made")
    if axis.lost and isinstance(leaf, Window | Sliding | Dilated | Axial):
        help = "use it above that line, or make the grid anew"
        return Problem(
            f"`{leaf}` needs the grid of its tokens, and these have lost it",
            help if _rank(leaf) > 1 else f"{help}; `flat({leaf})` runs along the sequence",
            (f"the grid was lost at `{axis.lost}`",),
        )
    needs, has, sized = _rank(leaf), len(axis.grid) or 1, _sized(leaf)
    if has == 1 and needs > 1:
        help = "name the grid of the tokens, as in `: B (h w) C`, or make one with `patchify` or `to_tokens`"
        return Problem(f"`{leaf}` needs a grid, and these tokens are a plain sequence of {show(axis.size)}", help)
    if sized is not None and sized != has:
        return Problem(f"`{leaf}` names {sized} axes, and the grid has {has}: {_by(axis.grid)}",
                       "one number is that many along every axis")
    if needs > has:
        return Problem(f"`{leaf}` needs the axis `frame`, and the grid is {_by(axis.grid)}",
                       f"its axes are {' and '.join(f'`{name}`' for name in AXES[has])}")
    return None


def _rank(leaf: Pattern) -> int:
    """How many axes a grid must have at least."""
    if isinstance(leaf, Axial):
        return 3 if leaf.axis == "time" else 2
    return leaf.program.rank if isinstance(leaf, User) else _sized(leaf) or 1


def _sized(leaf: Pattern) -> int | None:
    """How many axes its sizes name; None where one number stands for every axis."""
    given: tuple[Sizes, ...] = ()
    match leaf:
        case Window(size, shift):
            given = size, shift
        case Sliding(size):
            given = (size,)
        case Dilated(n, step):
            given = n, step
    return next((len(s) for s in given if isinstance(s, tuple)), None)


def _apart(leaf: Pattern, a: tuple[Dim, ...], b: tuple[Dim, ...]) -> Problem | None:
    """Two grids of which neither is known to be a multiple of the other, axis by axis."""
    numbers = ((n, m) for n, m in zip(a, b, strict=False) if isinstance(n, int) and isinstance(m, int))
    if len(a) == len(b) and all(max(n, m) % min(n, m) == 0 for n, m in numbers):
        return None
    return Problem(
        f"`{leaf}` compares places, and queries on {_by(a)} and keys on {_by(b)} do not stand on one grid",
        "along each axis the larger is a whole multiple of the smaller; `dense` and `causal` take any sequences",
    )


# ---------------------------------------------------------------------------------------------------- tokens outside it


def _beside(axis: Axis) -> str:
    """The tokens outside the grid, in words; "" where there are none."""
    if not axis.grid:
        return ""
    others = [s for s in axis.segments if not s.grid]
    return " and ".join(f"{show(s.size)} ({s.origin})" if s.origin else show(s.size) for s in others)


def _silent(p: Pattern, beside: str) -> Problem:
    return Problem(
        f"`{p}` is about the grid, and says nothing of the tokens beside it",
        f"`{p} | prefix`: they see all and are seen by all; `| self`: they see only themselves",
        (f"outside the grid: {beside}",),
    )


def _round(over: Pattern | Mechanism, heads: int | None) -> Problem | None:
    """A list of patterns that the heads cannot go through evenly."""
    lists = [over.parts] if isinstance(over, Mixed) else [p.patterns for p in _lists(over)]
    for parts in lists if heads is not None else ():
        if heads is not None and heads % len(parts):
            return Problem(f"`per_head` lists {len(parts)} patterns for {heads} heads",
                           "the list starts anew behind its end; its length divides the heads")
    return None


def _lists(over: Pattern | Mechanism) -> Iterator[PerHead]:
    if isinstance(over, PerHead):
        yield over
    for x in over.inner if isinstance(over, Pattern) else ():
        yield from _lists(x)


def _cells(axis: Axis) -> Dim:
    total: Dim = 1
    for n in axis.grid or (axis.size,):
        total = n * total
    return total


def _by(grid: tuple[Dim, ...]) -> str:
    return " x ".join(show(n) for n in grid)
