"""From a set of pairs to what kernels walk through: a spec and its tables.

    parts          as the plan of the set has them: windows, rows, blocks, bands; one launch each, answers merged
    one block list of the whole sequence: tiles that are full, tiles with bits, nothing for the others; one launch

The cheaper one is taken, by the pairs that their tiles hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Literal, TypeAlias

import numpy as np

from ogive.compiler.kernels.biases import Looked
from ogive.compiler.kernels.setting import Keep
from ogive.compiler.kernels.spec import ANY, BiasSpec, Lists, Piece, Places, Spec
from ogive.compiler.kernels.tables import Tables
from ogive.dsl.patterns import Pattern, PatternError
from ogive.dsl.patterns.count import distinct
from ogive.dsl.patterns.normal import normal, of_head
from ogive.dsl.patterns.part import ALL, Band, Index, Part, Strides
from ogive.dsl.patterns.parts import plan
from ogive.dsl.patterns.space import Space
from ogive.dsl.patterns.tiles import row_bits

__all__ = ["Way", "walk"]

LAUNCH: Final = 1 << 16
"""What a launch costs, in pairs of one sample."""

MOST_LAUNCHES: Final = 24
LARGEST: Final = 1 << 30
"""Pairs of a whole sequence whose bits are looked at."""

Way: TypeAlias = Literal["cheapest", "parts", "list"]
Rows: TypeAlias = tuple[int, ...]


@dataclass
class _Found:
    """One way through the set of a group of heads."""

    parts: list[Part]
    work: int


def walk(
    over: Pattern, space: Space, heads: Sequence[int], tables: Tables, tile: int = 64, bias: Looked | None = None,
    way: Way = "cheapest",
) -> Spec:
    """How kernels walk through a set of pairs, for the heads that are named.

    Args:
        tile: queries and keys of a tile of the block lists, at most.
        bias: how a bias is looked up; None for none.
        way: "parts" as the plan of the set has them, "list" one block list, or the cheaper one.

    Raises:
        PatternError: the pattern means nothing on this space, or is arithmetic that would be asked of too many pairs.
    """
    groups: dict[Pattern | tuple[Pattern, int], list[int]] = {}
    own = distinct(over, max(heads) + 1)
    for local, head in enumerate(heads):
        p = of_head(over, head % own)
        form = normal(p, space)
        groups.setdefault((form, head % own) if distinct(p, 2) > 1 else form, []).append(local)
    pieces: list[Piece] = []
    answered = np.zeros((len(heads), space.queries.size), dtype=bool)
    for those in groups.values():
        at = None if len(those) == len(heads) else (tables.add(those), len(those))
        for part in _best(over, space, heads[those[0]], tile, way):
            piece = replace(_piece(part, tables, tile), heads=at, alike=bias is None or bias.alike(part))
            positions = np.array([part.q.row(entry) for entry in range(part.batch)]).reshape(-1)
            mine = np.ix_(np.array(those), positions)
            pieces.append(replace(piece, merge=bool(answered[mine].any())))
            answered[mine] = True
    about = BiasSpec() if bias is None else bias.spec(tables)
    return Spec(len(heads), space.queries.size, space.keys.size, tuple(pieces), about, bool(answered.all()),
                tables.add(list(heads)))


def _best(over: Pattern, space: Space, head: int, tile: int, way: Way) -> list[Part]:
    """The parts of one head's set, the cheapest way."""
    found: list[_Found] = []
    reason: PatternError | None = None
    try:
        planned = [part for part in plan(over, space, head + 1).parts if head in part.heads]
    except PatternError as error:
        reason = error
    else:
        if (way == "parts" or len(planned) <= MOST_LAUNCHES) and all(_once(part.q) for part in planned):
            found.append(_Found(planned, sum(_work(part, tile) for part in planned)))
    enough = found and found[0].work <= 1.25 * sum(part.pairs for part in found[0].parts) + 2 * LAUNCH
    if space.size <= LARGEST and (not enough or way == "list") and not (way == "parts" and found):
        rows = row_bits(over, space, head)
        if not isinstance(rows, str):
            q, k = (Index((Strides(0, (), ((n, 1),)),)) for n in (space.queries.size, space.keys.size))
            whole = Part((head,), q, k, (rows,))
            found = [*(found if way == "cheapest" else ()), _Found([whole], _work(whole, tile))]
        elif reason is None:
            reason = PatternError(rows, setting="over")
    if not found:
        assert reason is not None
        raise reason
    return min(found, key=lambda way: way.work).parts


def _work(part: Part, tile: int) -> int:
    """The pairs that tiles of a part hold, and its launch."""
    m, n = _power(part.q.count, tile), _power(part.k.count, tile)
    if isinstance(part.keep, tuple):
        tiles = sum(len(full) + len(partial) for rows in part.keep
                    for full, partial, _ in _tiles_of(rows, part.k.count, m, n))
        return tiles * m * n * (part.batch // len(part.keep)) + LAUNCH
    met = 0
    for start in range(0, part.q.count, m):
        lower, upper = (part.keep.lower, part.keep.upper) if isinstance(part.keep, Band) else (None, None)
        first = 0 if lower is None else max(0, start + lower)
        behind = part.k.count if upper is None else min(part.k.count, start + m + upper)
        met += max(0, -(-behind // n) - first // n)
    return met * m * n * part.batch + LAUNCH


def _once(index: Index) -> bool:
    """No position stands there twice."""
    positions = [at for entry in range(index.batch) for at in index.row(entry)]
    return len(set(positions)) == len(positions)


# ----------------------------------------------------------------------------------------------------- parts in numbers


def _piece(part: Part, tables: Tables, tile: int) -> Piece:
    q, k = _places(part.q, tables), _places(part.k, tables)
    shared = part.batch > 1 and not _once(part.k)
    key_rows = -1
    if shared:
        key_rows = tables.add(np.array([part.k.row(entry) for entry in range(part.batch)]))
    keep: Keep = "all"
    lower, upper, lists = -ANY, ANY, None
    if isinstance(part.keep, tuple):
        keep, lists = "list", _lists(part, tables, tile)
    elif part.keep != ALL:
        keep = "band"
        lower = -ANY if part.keep.lower is None else part.keep.lower
        upper = ANY if part.keep.upper is None else part.keep.upper
    return Piece(part.batch, q, k, keep, None, lower, upper, lists, keys_shared=shared, key_rows=key_rows)


def _places(index: Index, tables: Tables) -> Places:
    """Neighbours, a base for each entry and steps from it, or positions written out."""
    first = index.pieces[0]
    rest = index.pieces[1:]
    if not isinstance(first, Strides) or not all(
        isinstance(p, Strides) and all(stride == 0 for n, stride in p.batch if n > 1) for p in rest
    ):
        return Places("table", index.count, (tables.add(np.array([index.row(e) for e in range(index.batch)])), 0, 0))
    local = Strides(0, (), first.count).row(0)
    base = [Strides(first.start, first.batch, ()).row(entry)[0] for entry in range(index.batch)]
    step = base[1] - base[0] if len(base) > 1 else 0
    if not rest and local == list(range(len(local))) and all(b - a == step for a, b in pairwise(base)):
        return Places("line", index.count, (base[0], step, 0))
    count = len(local)
    for piece in rest:
        local += piece.row(0)
    return Places("split", index.count, (tables.add(base), tables.add(local), count))


# ---------------------------------------------------------------------------------------------------------- block lists


def _lists(part: Part, tables: Tables, tile: int) -> Lists:
    """The tiles of the bits of a part, from both sides."""
    assert isinstance(part.keep, tuple)
    count, n_keys = part.q.count, part.k.count
    m, n = _power(count, tile), _power(n_keys, tile)
    q_tiles, k_tiles = -(-count // m), -(-n_keys // n)
    blocks: dict[bytes, int] = {}
    rows: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]] = []
    columns: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]] = []
    for keep in part.keep:
        there: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]] = [([], []) for _ in range(k_tiles)]
        for tile_q, (full, partial, bits) in enumerate(_tiles_of(keep, n_keys, m, n)):
            whole = (tile_q + 1) * m <= count
            asked = partial if whole else [*full, *partial]
            of = {k: blocks.setdefault(bits[k].tobytes(), len(blocks)) for k in asked}
            rows.append(([(k, 0) for k in full], [(k, of[k]) for k in partial]))
            for k in full:
                there[k][0 if whole else 1].append((tile_q, 0 if whole else of[k]))
            for k in partial:
                there[k][1].append((tile_q, of[k]))
        columns += there
    assert len(rows) == q_tiles * len(part.keep)
    words = np.frombuffer(b"".join(blocks), np.int32) if blocks else np.zeros(1, np.int32)
    return Lists(m, n, int(len(part.keep) > 1), *_listed(rows, tables), *_listed(columns, tables), tables.add(words))


def _listed(
    found: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]], tables: Tables
) -> tuple[int, int]:
    """Where lists begin and end, and what is in them: their places in the tables."""
    ends: list[int] = []
    items: list[tuple[int, int]] = []
    for full, partial in found:
        a = len(items)
        ends += [a, a + len(full), a + len(full), a + len(full) + len(partial)]
        items += [*full, *partial]
    return tables.add(ends), tables.add(np.array(items, np.int32).reshape(-1))


def _tiles_of(rows: Rows, keys: int, m: int, n: int) -> list[tuple[list[int], list[int], np.ndarray]]:
    """For each tile of queries its full and its partial tiles of keys, and the bits of all: [tiles, m, words]."""
    k_tiles = -(-keys // n)
    width = k_tiles * n // 8
    made = []
    for start in range(0, len(rows), m):
        some = rows[start : start + m]
        data = np.frombuffer(b"".join(row.to_bytes(width, "little") for row in some), np.uint8)
        packed = np.zeros((k_tiles, m, max(n // 8, 4)), np.uint8)
        packed[:, : len(some), : n // 8] = data.reshape(len(some), k_tiles, n // 8).transpose(1, 0, 2)
        there = packed[:, : len(some), : n // 8]
        any_ = there.any((1, 2))
        all_ = (there == 255).all((1, 2))
        made.append((np.flatnonzero(all_).tolist(), np.flatnonzero(any_ & ~all_).tolist(), packed.view(np.int32)))
    return made


def _power(n: int, most: int) -> int:
    return max(16, min(most, 1 << (n - 1).bit_length()))
