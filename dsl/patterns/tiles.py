"""The keys of each query as bits."""

from __future__ import annotations

from typing import Final

from ogive.dsl.patterns.algebra import Pattern
from ogive.dsl.patterns.space import Space

__all__ = ["LARGEST_ASKED", "row_bits"]

LARGEST_ASKED: Final = 1 << 24


def row_bits(p: Pattern, space: Space, head: int = 0) -> tuple[int, ...] | str:
    """The keys of each query as bits; else why it cannot be asked."""
    if p.slow and space.size > LARGEST_ASKED:
        return f"`{p}` would be asked of {space.size:,} pairs"
    return tuple([p.row(q, space, head) for q in range(space.queries.size)])
