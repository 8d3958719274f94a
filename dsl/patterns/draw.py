"""Patterns as text: the matrix of all pairs, and what one query sees on the grid. For tests, docs and error messages.

    matrix(Window(2), Space.of(4))      picture(Sliding(3), Space.of(3, 5, prefix=1), query=7)

    ##..                                .
    ##..                                .###.
    ..##                                .#O#.
    ..##                                .###.
"""

from __future__ import annotations

from math import prod

from ogive.dsl.patterns.algebra import Pattern
from ogive.dsl.patterns.space import PatternError, Space

__all__ = ["matrix", "picture"]

LARGEST = 1 << 16
SEEN, UNSEEN, ITSELF, BLIND = "#", ".", "O", "o"


def matrix(p: Pattern, space: Space, head: int = 0) -> str:
    """A line per query, a character per key: `#` where the query sees the key.

    Raises:
        PatternError: there are more than 65,536 pairs.
    """
    if space.size > LARGEST:
        raise PatternError(f"a matrix of {space.size:,} pairs is no picture; at most {LARGEST:,} are drawn")
    return "\n".join(_bits(p.row(q, space, head), space.keys.size) for q in range(space.queries.size))


def picture(p: Pattern, space: Space, query: int, head: int = 0) -> str:
    """What one query sees: tokens outside the grid on a line of their own, then the grid, a blank line between frames.

    The query's own place is `O` where it sees itself, `o` where it does not; none is marked where queries and keys are
    two sequences.
    """
    if not 0 <= query < space.queries.size:
        raise PatternError(f"there is no query {query}; they run from 0 to {space.queries.size - 1}")
    keys = space.keys
    text = _bits(p.row(query, space, head), keys.size)
    if space.square:
        text = text[:query] + (ITSELF if text[query] == SEEN else BLIND) + text[query + 1 :]
    before, cells, behind = text[: keys.prefix], text[keys.prefix : keys.prefix + keys.cells], text[-keys.suffix :]
    width = keys.grid[-1]
    frame = prod(keys.grid[-2:])
    blocks = [
        "\n".join(cells[i : i + width] for i in range(start, start + frame, width))
        for start in range(0, keys.cells, frame)
    ]
    lines = [before, "\n\n".join(blocks), behind if keys.suffix else ""]
    return "\n".join(line for line in lines if line)


def _bits(row: int, size: int) -> str:
    return "".join(SEEN if row >> k & 1 else UNSEEN for k in range(size))
