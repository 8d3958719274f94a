"""Sets along one axis, cut into tiles that are alike: the windows inside a grid, those at its border, the rest.

A relation along an axis is one range of keys for each query. A tile is a few queries and the keys around them; tiles of
one shape, that leave out the same pairs, are one class, and lie in regular steps wherever the pattern does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Class", "Relation", "Tile", "classes", "cliques", "kron", "met", "slices", "steps"]

Relation: TypeAlias = Sequence[range]
"""For each query along an axis, the keys that it sees."""

Tile: TypeAlias = tuple[range, range]
"""Queries and keys along an axis."""


@dataclass(frozen=True, slots=True)
class Class:
    """Tiles that are alike.

    Attributes:
        starts: the first query and the first key of each.
        q, k: how many, and how far apart.
        keep: the keys of each query, as bits.
        known: the same for each relation that was cut before: pairs that another part has.
    """

    starts: tuple[tuple[int, int], ...]
    q: tuple[int, int]
    k: tuple[int, int]
    keep: tuple[int, ...]
    known: tuple[tuple[int, ...], ...]

    @property
    def is_full(self) -> bool:
        full = (1 << self.k[0]) - 1
        return all(row == full for row in self.keep)


def cliques(rows: Relation) -> list[Tile]:
    """Queries that see the very same keys: nothing is left out of a tile."""
    found: dict[range, list[int]] = {}
    for q, keys in enumerate(rows):
        if keys:
            found.setdefault(keys, []).append(q)
    return [(qs, keys) for keys, numbers in found.items() for qs in _progressions(numbers)]


def slices(rows: Relation, size: int) -> list[Tile]:
    """`size` neighbouring queries, and all keys from the first to the last that one of them sees.

    Neighbours are queries whose keys lie on the same multiples of their step.
    """
    found: dict[tuple[int, int], list[int]] = {}
    for q, keys in enumerate(rows):
        if keys:
            found.setdefault((keys.step, keys.start % keys.step), []).append(q)
    tiles: list[Tile] = []
    for (step, _), numbers in found.items():
        for qs in _progressions(numbers):
            for at in range(0, len(qs), size):
                few = qs[at : at + size]
                first, last = min(rows[q].start for q in few), max(rows[q][-1] for q in few)
                tiles.append((few, range(first, last + 1, step)))
    return tiles


def classes(tiles: Iterable[Tile], rows: Relation, earlier: Sequence[Relation] = ()) -> tuple[Class, ...]:
    """Tiles that are alike put together, in the order in which the first of each comes."""
    found: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    bits: dict[tuple[int, ...], int] = {}

    def seen(keys: range, among: range) -> int:
        at = (keys.start - among.start, len(keys), keys.step, len(among), among.step)
        if at not in bits:
            bits[at] = _bits(keys, among)
        return bits[at]

    for qs, keys in tiles:
        relations = [tuple([seen(relation[q], keys) for q in qs]) for relation in (rows, *earlier)]
        about = (len(qs), qs.step, len(keys), keys.step, *relations)
        found.setdefault(about, []).append((qs.start, keys.start))
    made = []
    for (n, n_step, m, m_step, keep, *known), starts in found.items():
        assert isinstance(n, int) and isinstance(n_step, int) and isinstance(m, int) and isinstance(m_step, int)
        made.append(Class(tuple(starts), (n, n_step), (m, m_step), keep, tuple(known)))  # type: ignore[arg-type]
    return tuple(made)


def met(a: range, b: range) -> range | None:
    """What two ranges share; None where that is no range that is found at once."""
    if a.step == b.step == 1:
        return range(max(a.start, b.start), max(min(a.stop, b.stop), max(a.start, b.start)))
    few, other = (a, b) if len(a) <= len(b) else (b, a)
    shared = [x for x in few if x in other]
    if len(shared) < 2:
        return range(shared[0], shared[0] + 1) if shared else range(0)
    return range(shared[0], shared[-1] + 1, shared[1] - shared[0])


def steps(starts: Sequence[tuple[int, int]]) -> tuple[tuple[int, int, int], ...] | None:
    """Where tiles start as (count, step of queries, step of keys) of one axis or two; None where they lie unevenly."""
    n = len(starts)
    if n == 1:
        return ()
    inner = 1
    q, k = starts[1][0] - starts[0][0], starts[1][1] - starts[0][1]
    while inner < n and starts[inner] == (starts[0][0] + inner * q, starts[0][1] + inner * k):
        inner += 1
    if inner == n:
        return ((n, q, k),)
    if n % inner:
        return None
    far_q, far_k = starts[inner][0] - starts[0][0], starts[inner][1] - starts[0][1]
    for i, start in enumerate(starts):
        a, b = divmod(i, inner)
        if start != (starts[0][0] + a * far_q + b * q, starts[0][1] + a * far_k + b * k):
            return None
    return ((n // inner, far_q, far_k), (inner, q, k))


def kron(a: int, b: int, size: int) -> int:
    """The bits of pairs (i, j), numbered i * size + j: i from a, j from b."""
    found, at = 0, 0
    while a:
        low = (a & -a).bit_length() - 1
        at += low
        a >>= low
        run = (~a & (a + 1)).bit_length() - 1  # so many ones in a row
        block, have = b, 1
        while have < run:
            more = min(have, run - have)
            block |= (block & ((1 << (more * size)) - 1)) << (have * size)
            have += more
        found |= block << (at * size)
        a >>= run
        at += run
    return found


def _progressions(numbers: list[int]) -> list[range]:
    """Growing numbers as ranges of even step, each as long as it goes."""
    made, at = [], 0
    while at < len(numbers):
        end, step = at + 1, 1
        if end < len(numbers):
            step = numbers[end] - numbers[at]
            while end < len(numbers) and numbers[end] - numbers[end - 1] == step:
                end += 1
        made.append(range(numbers[at], numbers[end - 1] + 1, step))
        at = end
    return made


def _bits(keys: range, among: range) -> int:
    """Which of `among` are in `keys`: bit j is the j-th."""
    if keys.step == among.step and (keys.start - among.start) % among.step == 0:
        first = (keys.start - among.start) // among.step
        last = min(first + len(keys), len(among))
        first = max(first, 0)
        return ((1 << last) - 1) >> first << first if last > first else 0
    if len(keys) < len(among):
        return sum(1 << (x - among.start) // among.step for x in keys if x in among)
    return sum(1 << j for j, x in enumerate(among) if x in keys)
