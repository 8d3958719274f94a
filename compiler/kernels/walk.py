"""From a set of pairs to what kernels walk through: a spec and its tables.

Each part of the way that `ways.py` finds is a piece: its positions and tiles in numbers, one launch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from ogive.compiler.kernels.biases import Looked
from ogive.compiler.kernels.setting import Keep
from ogive.compiler.kernels.spec import ANY, BiasSpec, Lists, Piece, Places, Spec
from ogive.compiler.kernels.tables import Tables
from ogive.compiler.kernels.ways import NO_BITS, Way, best, once, power, tiles_of
from ogive.dsl.patterns import Pattern
from ogive.dsl.patterns.count import distinct
from ogive.dsl.patterns.normal import normal, of_head
from ogive.dsl.patterns.part import ALL, Index, Part, Strides
from ogive.dsl.patterns.space import Space

__all__ = ["walk"]


def walk(
    over: Pattern, space: Space, heads: Sequence[int], tables: Tables, tile: int = 64, bias: Looked | None = None,
    way: Way = "cheapest",
) -> Spec:
    """How kernels walk through a set of pairs, for the heads that are named.

    Args:
        tile: queries and keys of a tile of the block lists, at most.
        bias: how a bias is looked up; None for none.
        way: as `ways.best` has it.

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
        for part in best(over, space, heads[those[0]], tile, way):
            piece = replace(_piece(part, tables, tile), heads=at, alike=bias is None or bias.alike(part))
            positions = np.array([part.q.row(entry) for entry in range(part.batch)]).reshape(-1)
            mine = np.ix_(np.array(those), positions)
            pieces.append(replace(piece, merge=bool(answered[mine].any())))
            answered[mine] = True
    about = BiasSpec() if bias is None else bias.spec(tables)
    return Spec(len(heads), space.queries.size, space.keys.size, tuple(pieces), about, bool(answered.all()),
                tables.add(list(heads)))


# ----------------------------------------------------------------------------------------------------- parts in numbers


def _piece(part: Part, tables: Tables, tile: int) -> Piece:
    q, k = _places(part.q, tables), _places(part.k, tables)
    shared = part.batch > 1 and not once(part.k)
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
    m, n = power(count, tile), power(n_keys, tile)
    q_tiles, k_tiles = -(-count // m), -(-n_keys // n)
    blocks: dict[bytes, int] = {}
    rows: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]] = []
    columns: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]] = []
    known: dict[tuple[int, ...], list[tuple[list[int], list[int], list[np.ndarray | None]]]] = {}
    for keep in part.keep:
        if keep not in known:
            known[keep] = tiles_of(keep, n_keys, m, n)
        there: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]] = [([], []) for _ in range(k_tiles)]
        for tile_q, (full, partial, bits) in enumerate(known[keep]):
            whole = (tile_q + 1) * m <= count
            of = dict.fromkeys(full, NO_BITS)
            of |= {k: NO_BITS if x is None else blocks.setdefault(x.tobytes(), len(blocks))
                   for k, x in zip(partial, bits, strict=True)}
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
