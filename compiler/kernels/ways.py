"""Which way kernels go through a set of pairs.

    parts          as the plan of the set has them: windows, rows, blocks, bands; one launch each, answers merged
    joined parts   pieces of windows put together to whole ones (`joined.py`)
    one block list of the whole sequence: tiles that are full, tiles with bits, nothing for the others; one launch

The cheapest is taken, by the pairs that their tiles hold. No torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import numpy as np

from ogive.compiler.kernels.joined import joined
from ogive.dsl.patterns import Pattern, PatternError
from ogive.dsl.patterns.costs import GPU
from ogive.dsl.patterns.count import distinct
from ogive.dsl.patterns.normal import normal, of_head
from ogive.dsl.patterns.part import Band, Index, Part, Strides
from ogive.dsl.patterns.parts import WAYS, plan
from ogive.dsl.patterns.space import Space
from ogive.dsl.patterns.tiles import row_bits

__all__ = ["NO_BITS", "Way", "best", "by_parts", "once", "power", "tiles_of"]

LAUNCH: Final = 1 << 16
"""What a launch costs, in pairs of one sample."""

MOST_LAUNCHES: Final = 24
LARGEST: Final = 1 << 30
"""Pairs of a whole sequence whose bits are looked at."""

NO_BITS: Final = -2
"""In place of the bits of a tile that has every pair, but for those behind the last query or key."""

Way: TypeAlias = Literal["cheapest", "parts", "list"]
Rows: TypeAlias = tuple[int, ...]


def best(over: Pattern, space: Space, head: int, tile: int, way: Way) -> list[Part]:
    """The parts of one head's set, the cheapest way.

    Args:
        tile: queries and keys of a tile, at most.
        way: "parts" as the plan of the set has them, "list" one block list, or the cheapest one.

    Raises:
        PatternError: the pattern means nothing on this space, or is arithmetic that would be asked of too many pairs.
    """
    found: list[list[Part]] = []
    reason: PatternError | None = None
    try:
        planned = list(_parted(over, space, head, joins=way == "cheapest"))
    except PatternError as error:
        reason = error
    else:
        found = [made for made in planned if (way == "parts" or len(made) <= MOST_LAUNCHES)
                 and all(once(part.q) for part in made)]
    enough = any(_cost(made, tile) <= 1.25 * sum(part.pairs for part in made) + 2 * LAUNCH for made in found)
    if space.size <= LARGEST and (not enough or way == "list") and not (way == "parts" and found):
        rows = row_bits(over, space, head)
        if not isinstance(rows, str):
            q, k = (Index((Strides(0, (), ((n, 1),)),)) for n in (space.queries.size, space.keys.size))
            found = [*(found if way == "cheapest" else ()), [Part((head,), q, k, (rows,))]]
        elif reason is None:
            reason = PatternError(rows, setting="over")
    if not found:
        assert reason is not None
        raise reason
    return min(found, key=lambda made: _cost(made, tile))


def by_parts(over: Pattern, space: Space, heads: int, tile: int) -> tuple[Part, ...]:
    """The parts of a set that the kernels would walk, were there no block lists: what each costs is known at once.

    Raises:
        PatternError: as `best`.
    """
    found: list[Part] = []
    for those in dict.fromkeys(part.heads for part in plan(over, space, heads, GPU).parts):
        made = min(_parted(over, space, those[0], joins=True), key=lambda made: _cost(made, tile))
        found += [part.for_heads(those) for part in made]
    return tuple(found)


def _parted(over: Pattern, space: Space, head: int, joins: bool) -> Iterator[list[Part]]:
    """The parts of one head's set as they are planned, and with pieces joined where there are such."""
    yield [part for part in plan(over, space, head + 1, GPU).parts if head in part.heads]
    if not joins:
        return
    form = normal(of_head(over, head % distinct(over, head + 1)), space)
    made = dict(WAYS)["a batch"](form, space, head, GPU)
    if not isinstance(made, str):
        fewer = joined(made)
        if len(fewer) < len(made):
            yield fewer


def _cost(made: list[Part], tile: int) -> int:
    return sum(_work(part, tile) for part in made)


def _work(part: Part, tile: int) -> int:
    """The pairs that tiles of a part hold, and its launch."""
    m, n = power(part.q.count, tile), power(part.k.count, tile)
    if isinstance(part.keep, tuple):
        known: dict[Rows, int] = {}
        for rows in set(part.keep):
            known[rows] = sum(len(full) + len(partial) for full, partial, _ in tiles_of(rows, part.k.count, m, n))
        return sum(known[rows] for rows in part.keep) * m * n * (part.batch // len(part.keep)) + LAUNCH
    met = 0
    for start in range(0, part.q.count, m):
        lower, upper = (part.keep.lower, part.keep.upper) if isinstance(part.keep, Band) else (None, None)
        first = 0 if lower is None else max(0, start + lower)
        behind = part.k.count if upper is None else min(part.k.count, start + m + upper)
        met += max(0, -(-behind // n) - first // n)
    return met * m * n * part.batch + LAUNCH


def once(index: Index) -> bool:
    """No position stands there twice."""
    positions = [at for entry in range(index.batch) for at in index.row(entry)]
    return len(set(positions)) == len(positions)


def tiles_of(rows: Rows, keys: int, m: int, n: int) -> list[tuple[list[int], list[int], list[np.ndarray | None]]]:
    """For each tile of queries its full and its partial tiles of keys, and the bits of the latter: [m, words].

    None in place of bits where a tile has every pair there is, and only the end of the keys cuts it.
    """
    k_tiles = -(-keys // n)
    width = k_tiles * n // 8
    ends = np.frombuffer(((1 << keys) - 1).to_bytes(width, "little"), np.uint8).reshape(k_tiles, 1, n // 8)
    made = []
    for start in range(0, len(rows), m):
        some = rows[start : start + m]
        data = np.frombuffer(b"".join(row.to_bytes(width, "little") for row in some), np.uint8)
        packed = np.zeros((k_tiles, m, max(n // 8, 4)), np.uint8)
        packed[:, : len(some), : n // 8] = data.reshape(len(some), k_tiles, n // 8).transpose(1, 0, 2)
        there = packed[:, : len(some), : n // 8]
        any_ = there.any((1, 2))
        all_ = (there == 255).all((1, 2))
        cut = (there == ends).all((1, 2))
        words = packed.view(np.int32)
        partial = np.flatnonzero(any_ & ~all_).tolist()
        made.append((np.flatnonzero(all_).tolist(), partial, [None if cut[k] else words[k] for k in partial]))
    return made


def power(n: int, most: int) -> int:
    """The next power of two, of at least 16 and at most `most`."""
    return max(16, min(most, 1 << (n - 1).bit_length()))
