"""Sets of pairs spelled out for `PatternMask`: what the compiler knows of a pattern, in plain numbers and words."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from ogive.compiler.lower.emit import Emit, Value
from ogive.dsl.dims import Dim
from ogive.dsl.ops.plane import area
from ogive.dsl.patterns import Pattern
from ogive.dsl.patterns.algebra import Complement, Difference, Flat, Intersection, PerHead, Union
from ogive.dsl.patterns.count import distinct
from ogive.dsl.patterns.named import (
    Axial,
    Block,
    Causal,
    Dense,
    Dilated,
    GlobalTokens,
    Prefix,
    Random,
    Self,
    Sliding,
    Strided,
    Window,
)
from ogive.dsl.patterns.space import Sequence, Space
from ogive.dsl.types import Axis

__all__ = ["sequence", "spelled"]


def sequence(emit: Emit, axis: Axis) -> tuple[int | Value, ...]:
    """Tokens before the grid, tokens behind it, and the grid; without a grid, all positions are one axis."""
    if not axis.grid:
        return 0, 0, emit.size(axis.size)
    behind: Dim = axis.size - axis.prefix - area(axis.grid)
    return tuple(emit.size(n) for n in (axis.prefix, behind, *axis.grid))


def spelled(p: Pattern, space: Space | None, heads: int) -> tuple[Any, ...]:
    """A pattern as nested tuples. What is drawn, or computed from q and k, is worked out here where sizes are known."""
    match p.expanded:
        case Union(parts):
            return ("or", *(spelled(x, space, heads) for x in parts))
        case Intersection(parts):
            return ("and", *(spelled(x, space, heads) for x in parts))
        case Difference(left, right):
            return "and", spelled(left, space, heads), ("not", spelled(right, space, heads))
        case Complement(inner):
            return "not", spelled(inner, space, heads)
        case PerHead(patterns):
            return ("per_head", *(spelled(x, space, heads) for x in patterns))
        case Flat(inner):
            return "flat", spelled(inner, None if space is None else space.flattened, heads)
        case Dense():
            return ("dense",)
        case Self():
            return ("self",)
        case Prefix():
            return ("prefix",)
        case Causal(offset):
            return "causal", offset
        case Window(size, shift):
            return "window", size, shift
        case Sliding(size, clamp):
            return "sliding", size, clamp
        case Dilated(size, step):
            return "dilated", size, step
        case Axial(axis):
            return "axial", ("row", "col", "time").index(axis)
        case Strided(n):
            return "strided", n
        case Block(n, near):
            return "block", n, near
        case GlobalTokens(n):
            return "global_tokens", n
        case Random() as drawn if space is not None:
            return _drawn(drawn, space.flattened.lengths[0], heads)
    return ("asked", _Asked(p)) if space is None else _runs(p, space, heads)


def _drawn(p: Random, length: int, heads: int) -> tuple[Any, ...]:
    """The blocks that each block sees, for each head that draws by itself."""
    count = -(-length // p.of)
    each = range(heads if p.per_head else 1)
    return "chosen", p.of, *(tuple(p.blocks(b, length, head) for b in range(count)) for head in each)


def _runs(p: Pattern, space: Space, heads: int) -> tuple[Any, ...]:
    """The mask as the lengths of runs of False, True, False, ... through all of its rows."""
    found = []
    for head in range(distinct(p, heads)):
        bits = _bits(p, space, head)
        lengths = [len(list(run)) for _, run in groupby(bits)]
        found.append(tuple(lengths if not bits[0] else [0, *lengths]))
    return "runs", *found


def _bits(p: Pattern, space: Space, head: int) -> list[bool]:
    rows = (p.row(q, space, head) for q in range(space.queries.size))
    return [bool(row >> k & 1) for row in rows for k in range(space.keys.size)]


class _Asked:
    """A pattern that is asked when a call shows the sizes."""

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern

    def __call__(self, queries: tuple[int, ...], keys: tuple[int, ...], head: int) -> list[bool]:
        a, b = (Sequence(tuple(s[2:]), s[0], s[1]) for s in (queries, keys))
        return _bits(self.pattern, Space(a, b), head)
