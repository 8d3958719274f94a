"""A thumbnail of a pattern for the boxes of a network's drawing: how much of each part of the matrix is seen.

The matrix is cut into a few bands of queries and of keys; tokens outside the grid have bands of their own, as they are
what a reader looks for. A band of queries is told from a few of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import sqrt
from typing import Final, TypeAlias

from ogive.compiler.cost import DEFAULTS
from ogive.dsl.graph import Graph
from ogive.dsl.ops.attention import Attend, position_axis
from ogive.dsl.patterns import Dense, Pattern, PatternError
from ogive.dsl.patterns.normal import heads_of, normal, of_head
from ogive.dsl.patterns.space import Sequence as Positions
from ogive.dsl.patterns.space import Space
from ogive.dsl.types import sized

__all__ = ["BANDS", "LEVELS", "MOST", "motif", "motifs"]

BANDS: Final = 14
LEVELS: Final = 4
ASKED: Final = 7         # queries of a band that are asked
LARGEST: Final = 1 << 13  # positions
LARGEST_SLOW: Final = 1 << 10

MOST: Final = 3          # thumbnails of one box

Motif: TypeAlias = tuple[str, ...]


def motifs(graph: Graph, nodes: Sequence[str]) -> tuple[Motif, ...]:
    """The thumbnails of attentions that are drawn as one box, and of heads that differ: each kind once.

    None for sets of all pairs, for mechanisms, and where a size is free that the figures have no default for.
    """
    values = {name: DEFAULTS[name] for name in graph.free if name in DEFAULTS}
    found: dict[Motif, None] = {}
    for id in nodes:
        node = graph.nodes[id]
        op = node.primitive
        if not isinstance(op, Attend) or not isinstance(op.over, Pattern):
            continue
        q, k, _ = op.qkv(tuple(sized(graph.tensor(edge), values) for edge in node.data))
        space = Space.between(position_axis(q), position_axis(k))
        for head in range(min(op.heads, heads_of(op.over), MOST) if space is not None else 0):
            assert space is not None
            made = motif(of_head(op.over, head), space)
            if made is not None:
                found[made] = None
    return tuple(found)[:MOST]


@lru_cache(256)
def motif(over: Pattern, space: Space) -> Motif | None:
    """A line per band of queries, a digit per band of keys: 0 nothing is seen, `LEVELS` everything.

    Few pairs are shown darker than their share, or nothing would be seen of them. `over` is the pattern of one head.
    None where all pairs are seen, where there are too many to ask, and where the pattern means nothing.
    """
    if max(space.queries.size, space.keys.size) > (LARGEST_SLOW if over.slow else LARGEST):
        return None
    try:
        form = normal(over, space)
        if form == Dense():
            return None
        columns = [_mask(first, stop) for first, stop in _bands(space.keys)]
        return tuple(_line(form, space, band, columns) for band in _bands(space.queries))
    except PatternError:
        return None


def _line(over: Pattern, space: Space, band: tuple[int, int], columns: list[int]) -> str:
    first, stop = band
    count = min(ASKED, stop - first)
    rows = [over.row(first + i * (stop - first) // count, space) for i in range(count)]
    shares = [sum((row & mask).bit_count() for row in rows) / (count * mask.bit_count()) for mask in columns]
    return "".join(str(0 if share == 0 else max(1, round(sqrt(share) * LEVELS))) for share in shares)


def _bands(sequence: Positions) -> list[tuple[int, int]]:
    """Stretches of positions: rows of the grid where these are few, else equal pieces."""
    start, cells = sequence.prefix, sequence.cells
    rows = cells // sequence.grid[-1] if len(sequence.grid) > 1 else cells
    count = rows if rows <= BANDS else next((n for n in range(BANDS, BANDS // 2, -1) if rows % n == 0), BANDS)
    count = min(count, cells)
    edges = [start + cells * i // count for i in range(count + 1)]
    found = list(pairwise(edges))
    if sequence.prefix:
        found.insert(0, (0, start))
    if sequence.suffix:
        found.append((start + cells, sequence.size))
    return found


def _mask(first: int, stop: int) -> int:
    return ((1 << (stop - first)) - 1) << first
