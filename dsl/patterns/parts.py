"""A set of pairs as parts: which ways there are, what each costs, and why the others were not taken.

    a batch        windows, rows, blocks, strides: entries that leave nothing out; bands of a sliding window
    lists          for a few queries at a time, the keys that one of them sees
    a mask         every query with every key, and bits that say which pairs are meant: the last resort

Unions are batches one behind the other, each without the pairs of those before it. Tokens outside the grid that all
cells see are keys of every entry of the first batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise, product
from math import prod
from typing import Final, TypeAlias

from ogive.dsl.patterns.algebra import Pattern, Union
from ogive.dsl.patterns.axes import Class, Relation, Tile, classes, cliques, kron, slices, steps
from ogive.dsl.patterns.costs import PROCESSOR, Costs
from ogive.dsl.patterns.count import distinct
from ogive.dsl.patterns.named import Causal, Dense, Prefix, Self
from ogive.dsl.patterns.normal import NOTHING, normal, of_head
from ogive.dsl.patterns.part import ALL, TRIANGLE, Band, Index, Part, Plan, Refusal, Strides, Table, band_of, ones
from ogive.dsl.patterns.space import PatternError, Space
from ogive.dsl.patterns.terms import UNEVEN, Term, reflexive, same, terms
from ogive.dsl.patterns.tiles import row_bits

__all__ = ["MOST_PARTS", "WAYS", "Way", "parts", "plan"]

MOST_PARTS: Final = 256
"""Calls of a kernel for one group of heads; a set that needs more is walked otherwise."""

MOST_TERMS: Final = 24
SLICES: Final = (4, 8, 16, 32, 64, 128, 192, 384)
LISTED: Final = (16, 64)
LARGEST_MASK: Final = 1 << 28


@lru_cache(256)
def plan(pattern: Pattern, space: Space, heads: int = 1, costs: Costs = PROCESSOR) -> Plan:
    """How attention walks through a set of pairs.

    Raises:
        PatternError: the pattern means nothing on this space, or is arithmetic that would be asked of too many pairs.
    """
    own = distinct(pattern, heads)
    each = [of_head(pattern, head) for head in range(own)]
    alike = [(normal(p, space), head if _draws(p) else 0) for head, p in enumerate(each)]
    first: dict[tuple[Pattern, int], int] = {}
    for head in range(heads):
        first.setdefault(alike[head % own], head % own)
    walked: dict[int, list[int]] = {}
    for head in range(heads):
        walked.setdefault(first[alike[head % own]], []).append(head)
    found: list[Part] = []
    ways: list[tuple[int, str]] = []
    refused: tuple[Refusal, ...] = ()
    work = 0
    for head, those in walked.items():
        way, made, against = _walk(alike[head][0], space, head, costs)
        found += [part.for_heads(tuple(those)) for part in made]
        ways.append((those[0], way))
        refused = refused or tuple(against)
        work += len(those) * costs(made)
    size = heads * space.queries.size * space.keys.size
    return Plan(tuple(found), tuple(ways), refused, work, size)


def parts(pattern: Pattern, space: Space, heads: int = 1) -> tuple[Part, ...]:
    """The parts of a set of pairs: pairwise disjoint, their union the set, for every head.

    Raises:
        PatternError: as `plan`.
    """
    return plan(pattern, space, heads).parts


# ----------------------------------------------------------------------------------------------------------------- ways


def _walk(p: Pattern, space: Space, head: int, costs: Costs) -> tuple[str, list[Part], list[Refusal]]:
    """The cheapest way through the set of one head, its parts, and the ways that were not taken."""
    if p == NOTHING:
        return "nothing is seen", [], []
    refused: list[Refusal] = []
    known: list[tuple[int, str, list[Part]]] = []
    for name, way in WAYS:
        found = way(p, space, head, costs)
        if isinstance(found, str):
            refused.append(Refusal(name, found))
            continue
        known.append((costs(found), name, found))
        if name == "a batch" and known[0][0] * 4 < space.size:
            refused += [Refusal(other, "a batch leaves out three quarters of the work") for other, _ in WAYS[1:]]
            break
    if not known:
        raise PatternError(refused[-1].reason, setting="over")
    known.sort(key=lambda item: item[0])
    best = known[0]
    for work, name, _ in known[1:]:
        refused.append(Refusal(name, f"costs as much as {work:,} pairs; {best[1]} costs {best[0]:,}"))
    return best[1], best[2], refused


def _mask(p: Pattern, space: Space, head: int, costs: Costs) -> list[Part] | str:
    """Every query with every key, and bits."""
    if space.size > LARGEST_MASK:
        return f"a mask of {space.queries.size:,} x {space.keys.size:,} is too large"
    rows = row_bits(p, space, head)
    return [_shrunk(_all(space, rows))] if isinstance(rows, tuple) else rows


def _all(space: Space, rows: tuple[int, ...]) -> Part:
    n, m = space.queries.size, space.keys.size
    return Part((0,), _line(0, n), _line(0, m), (rows,))


Entry: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""Queries, the keys that one of them sees, and for each query the bits of those that it sees."""


def _lists(p: Pattern, space: Space, head: int, costs: Costs) -> list[Part] | str:
    """A few queries at a time, and the keys that one of them sees; entries with as many keys are one batch."""
    rows = row_bits(p, space, head)
    if isinstance(rows, str):
        return rows
    tried = [_listed(rows, space, size) for size in LISTED]
    best = min((made for made in tried if len(made) <= MOST_PARTS), key=costs, default=None)
    return f"the keys come in more than {MOST_PARTS} sizes" if best is None else best


def _listed(rows: tuple[int, ...], space: Space, size: int) -> list[Part]:
    found: dict[tuple[int, int], list[Entry]] = {}
    cut: list[Entry] = []
    n = space.queries.size
    whole = space.queries.prefix
    edges = [0, whole, *range(whole + size, whole + space.queries.cells, size), whole + space.queries.cells, n]
    for start, stop in pairwise(edges):
        few = [q for q in range(start, stop) if rows[q]]
        if not few:
            continue
        union = 0
        for q in few:
            union |= rows[q]
        keys = ones(union)
        runs = _runs(keys)
        keep = tuple([_packed(rows[q], runs) for q in few])
        cut.append((tuple(few), tuple(keys), keep))
    for entry in _joined(cut):
        found.setdefault((len(entry[0]), len(entry[1])), []).append(entry)
    made = []
    for entries in found.values():
        q_index, k_index = (Index((_table([entry[i] for entry in entries]),)) for i in (0, 1))
        keeps = tuple([entry[2] for entry in entries])
        made.append(_tight(Part((0,), q_index, k_index, keeps[:1] if len(set(keeps)) == 1 else keeps)))
    return made


def _joined(cut: list[Entry]) -> list[Entry]:
    """Entries that follow each other and see the same keys, all of them, as one: kernels like many queries."""
    made: list[Entry] = []
    for q, keys, keep in cut:
        full = (1 << len(keys)) - 1
        if made and made[-1][1] == keys and all(row == full for row in (*keep, *made[-1][2])):
            made[-1] = (made[-1][0] + q, keys, made[-1][2] + keep)
        else:
            made.append((q, keys, keep))
    return made


# ---------------------------------------------------------------------------------------------------------------- batch


def _batch(p: Pattern, space: Space, head: int, costs: Costs) -> list[Part] | str:
    """Sets that ask of each axis by itself, one behind the other, and the tokens outside the grid."""
    if isinstance(p, Dense):
        return [Part((0,), _line(0, space.queries.size), _line(0, space.keys.size))]
    if isinstance(p, Causal):
        return _triangle(p.shift(space.queries.size, space.keys.size), space)
    items = p.parts if isinstance(p, Union) else (p,)
    rest = [x for x in items if not isinstance(x, Prefix | Self)]
    cut: list[Term] = []
    for x in rest:
        found = terms(x, space, head)
        if isinstance(found, str):
            return found
        cut += found
    outside: list[Part] = []
    if Self() in items:
        own = same(space)
        if own is None:
            return UNEVEN
        if not any(reflexive(term, own) for term in cut):
            cut.append(own)
        if Prefix() not in items:
            outside += _tokens(space)
    if len({term.frame for term in cut}) > 1:
        return "its patterns run along different axes"
    if len(cut) > MOST_TERMS:
        return f"it is a union of more than {MOST_TERMS} sets"
    cut = [term for term in cut if all(map(any, term.rows))]
    down = sorted(cut, key=lambda term: term.groups)
    orders = [down, down[::-1]] if len(cut) == 2 else [down]
    shared = Prefix() in items
    made: list[list[Part]] = []
    for order in orders:
        found_parts = _one_after_another(order, space, shared, costs)
        if len(found_parts) <= MOST_PARTS:
            made.append(found_parts)
    if not made:
        return f"its tiles come in more than {MOST_PARTS} kinds"
    return min(made, key=costs) + outside


def _one_after_another(order: list[Term], space: Space, shared: bool, costs: Costs) -> list[Part]:
    """Each term without the pairs of those before it; tokens outside the grid see all and are seen by all."""
    found: list[Part] = []
    extra = _outside_keys(space) if shared else ()
    for i, term in enumerate(order):
        more = extra if i == 0 and term.covers else ()
        found += _cheapest(term, order[:i], more, costs)
        if more:
            extra = ()
    n, outside = space.queries, space.queries.outside
    if extra:
        found.append(Part((0,), _line(n.prefix, n.cells), Index(extra)))
    if shared and outside:
        pieces = [Strides(at, (), ((size, 1),)) for at, size in ((0, n.prefix), (n.prefix + n.cells, n.suffix)) if size]
        found.append(Part((0,), Index(tuple(pieces)), _line(0, space.keys.size)))
    return found


def _cheapest(term: Term, earlier: list[Term], extra: tuple[Strides, ...], costs: Costs) -> list[Part]:
    """The parts of a term, with the tiles that cost least."""
    options = [_options(relation) for relation in term.rows]
    best: tuple[int, list[Part]] | None = None
    for tiles in product(*options):
        kinds = [
            classes(tile, relation, [other.rows[axis] for other in earlier])
            for axis, (tile, relation) in enumerate(zip(tiles, term.rows, strict=True))
        ]
        if prod(map(len, kinds)) > 8 * MOST_PARTS:
            continue
        made = [part for kind in product(*kinds) for part in _made(kind, term, len(earlier), extra)]
        found = costs(made)
        if best is None or found < best[0]:
            best = found, made
    return best[1] if best is not None else [_never(term)] * (MOST_PARTS + 1)


def _never(term: Term) -> Part:
    return Part((0,), _line(term.queries.start, 1), _line(term.keys.start, 1))


def _options(relation: Relation) -> list[list[Tile]]:
    """Ways to tile one axis."""
    alike = cliques(relation)
    queries = sum(len(qs) for qs, _ in alike)
    longest = max((len(keys) for _, keys in alike), default=0)
    if longest <= 1 or queries >= 4 * len(alike):
        return [alike]
    return [alike, *(slices(relation, size) for size in SLICES if size < 2 * len(relation))]


def _made(kind: tuple[Class, ...], term: Term, earlier: int, extra: tuple[Strides, ...]) -> Iterator[Part]:
    """The part of one class along each axis; none where others have all its pairs."""
    q, k = _index(kind, term)
    n, m = prod(c.q[0] for c in kind), prod(c.k[0] for c in kind)
    own = None if all(c.is_full for c in kind) else _rows([c.keep for c in kind], kind)
    known = [_rows([c.known[i] for c in kind], kind) for i in range(earlier) if all(any(c.known[i]) for c in kind)]
    more = sum(piece.shape[1] for piece in extra)
    if extra:
        spread = tuple((size, 0) for size, _ in q.batch) if isinstance(q, Strides) else ((q.shape[0], 0),)
        index = Index((k, *(replace(piece, batch=spread) for piece in extra)))
    else:
        index = Index((k,))
    if own is None and not known:
        yield Part((0,), Index((q,)), index)
        return
    full = (1 << m) - 1
    rows = [full] * n if own is None else own
    for other in known:
        rows = [row & ~there for row, there in zip(rows, other, strict=True)]
    rows = [row | ((1 << more) - 1) << m for row in rows]
    part = _shrunk(Part((0,), Index((q,)), index, (tuple(rows),)))
    if part.pairs:
        yield part


def _rows(bits: list[tuple[int, ...]], kind: tuple[Class, ...]) -> list[int]:
    """The rows of a tile from those along its axes."""
    found = list(bits[0])
    for rows, c in zip(bits[1:], kind[1:], strict=True):
        found = [kron(a, b, c.k[0]) if a and b else 0 for a in found for b in rows]
    return found


def _index(kind: tuple[Class, ...], term: Term) -> tuple[Strides | Table, Strides | Table]:
    """Where the tiles of a class stand, queries and keys."""
    dims = [steps(c.starts) for c in kind]
    made: list[Strides | Table] = []
    for side, of in ((term.queries, 0), (term.keys, 1)):
        strides = side.strides()
        sizes = [c.k if of else c.q for c in kind]
        count = tuple([(n, step * s) for (n, step), s in zip(sizes, strides, strict=True)])
        start = side.start + sum(c.starts[0][of] * s for c, s in zip(kind, strides, strict=True))
        if all(d is not None for d in dims):
            batch = tuple((d[0], d[1 + of] * s) for ds, s in zip(dims, strides, strict=True) for d in ds or ())
            made.append(Strides(start, batch, count))
            continue
        inside = Strides(0, (), count).row(0)
        rows = [
            tuple([side.start + sum(at[of] * s for at, s in zip(entry, strides, strict=True)) + i for i in inside])
            for entry in product(*(c.starts for c in kind))
        ]
        made.append(Table(tuple(rows)))
    return made[0], made[1]


# ----------------------------------------------------------------------------------------------- whole sets, and tokens


def _triangle(shift: int, space: Space) -> list[Part]:
    """k <= q + shift: a triangle, and the keys before it that every query sees."""
    n, m = space.queries.size, space.keys.size
    made = []
    first = max(0, -shift)  # the first query that sees a key
    before = min(max(shift, 0), m)
    if before and first < n:
        made.append(Part((0,), _line(first, n - first), _line(0, before)))
    rest = min(m - before, max(n - first, 0))
    if rest > 0:
        made.append(Part((0,), _line(first, n - first), _line(before, rest), TRIANGLE))
    return made


def _tokens(space: Space) -> list[Part]:
    """Tokens outside the grid that see themselves."""
    q, k = ([*range(s.prefix), *range(s.prefix + s.cells, s.size)] for s in (space.queries, space.keys))
    count = min(len(q), len(k))
    if not count:
        return []
    a, b = (Index((_table([(x,) for x in side[:count]]),)) for side in (q, k))
    return [Part((0,), a, b)]


def _outside_keys(space: Space) -> tuple[Strides, ...]:
    k = space.keys
    ends = ((0, k.prefix), (k.prefix + k.cells, k.suffix))
    return tuple(Strides(at, (), ((size, 1),)) for at, size in ends if size)


# ------------------------------------------------------------------------------------------------------------ positions


def _line(start: int, count: int) -> Index:
    return Index((Strides(start, (), ((count, 1),)),))


def _table(rows: list[tuple[int, ...]]) -> Strides | Table:
    """Positions as strides where they lie so."""
    first = rows[0]
    step = first[1] - first[0] if len(first) > 1 else 1
    apart = rows[1][0] - rows[0][0] if len(rows) > 1 else 0
    found = Strides(first[0], ((len(rows), apart),) if len(rows) > 1 else (), ((len(first), step),))
    even = all(list(row) == found.row(i) for i, row in enumerate(rows))
    return found if even else Table(tuple(rows))


def _shrunk(part: Part) -> Part:
    """Without queries that see nothing and keys that nobody sees, where the same are left out for every entry."""
    assert not isinstance(part.keep, Band) and len(part.keep) == 1
    rows = part.keep[0]
    union = 0
    for row in rows:
        union |= row
    some = [i for i, row in enumerate(rows) if row]
    keys = ones(union)
    if not some:
        return replace(part, keep=((0,) * len(rows),))
    if len(some) < len(rows):
        part = replace(part, q=_picked(part.q, some))
        rows = tuple([rows[i] for i in some])
    if len(keys) < part.k.count:
        part = replace(part, k=_picked(part.k, keys))
        runs = _runs(keys)
        rows = tuple([_packed(row, runs) for row in rows])
    return _tight(replace(part, keep=(rows,)))


def _tight(part: Part) -> Part:
    """Bits that are a band are told as one."""
    assert not isinstance(part.keep, Band)
    if len(part.keep) == 1:
        band = band_of(part.keep[0], part.k.count)
        return part if band is None else replace(part, keep=band)
    full = (1 << part.k.count) - 1
    return replace(part, keep=ALL) if all(row == full for rows in part.keep for row in rows) else part


def _picked(index: Index, chosen: list[int]) -> Index:
    """Some of the positions of each entry."""
    piece = index.pieces[0]
    if len(index.pieces) == 1 and isinstance(piece, Strides) and sum(n > 1 for n, _ in piece.count) == 1:
        size, stride = next(dim for dim in piece.count if dim[0] > 1)
        even = range(chosen[0], chosen[-1] + 1)
        if len(even) == len(chosen):
            return Index((Strides(piece.start + chosen[0] * stride, piece.batch, ((len(chosen), stride),)),))
        assert size >= len(chosen)
    rows = []
    for entry in range(index.batch):
        there = index.row(entry)
        rows.append(tuple([there[i] for i in chosen]))
    return Index((Table(tuple(rows)),))


def _runs(keys: list[int]) -> list[tuple[int, int]]:
    """Growing numbers as runs of neighbours: (first, how many)."""
    runs: list[tuple[int, int]] = []
    for key in keys:
        if runs and sum(runs[-1]) == key:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((key, 1))
    return runs


def _packed(row: int, runs: list[tuple[int, int]]) -> int:
    """The bits at the runs, put together."""
    found, at = 0, 0
    for start, count in runs:
        found |= ((row >> start) & ((1 << count) - 1)) << at
        at += count
    return found


def _draws(p: Pattern) -> bool:
    """Heads may differ although the pattern is written once."""
    return distinct(p, 2) > 1


Way: TypeAlias = Callable[[Pattern, Space, int, Costs], "list[Part] | str"]
"""The parts of the normal form of one head's set; else why there are none."""

WAYS: Final[tuple[tuple[str, Way], ...]] = (("a batch", _batch), ("lists of keys", _lists), ("a mask", _mask))
"""What is tried, by name."""
