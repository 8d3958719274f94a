"""How fast attention can be on a GPU at most: the slowest of its products, its exponentials and its traffic. No torch.

One attention reads q, k and v once, writes its answer once, multiplies twice for each pair of its set and takes one
exponential: nothing that computes it can be faster than the slowest of these three (Williams et al. 2009). What a
kernel computes besides, because it goes in tiles, is `covered`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, Literal

from ogive.compiler.targets import IN_ATTENTION, Gpu
from ogive.dsl.patterns.part import ALL, Band, Part

__all__ = ["Bound", "Floor", "Tile", "Work", "covered", "floor", "multiplied", "work_of"]

Bound = Literal["products", "exponentials", "memory"]
Tile = tuple[int, int]
"""How many queries and keys a kernel takes at once."""

LARGEST: Final = 1 << 24
"""Bits of a mask whose tiles are counted one by one; of larger ones every tile counts."""


@dataclass(frozen=True, slots=True)
class Work:
    """One attention, or a part of one, as work for a GPU.

    Attributes:
        batch, heads, kv_heads: samples, heads of q, heads of k and v.
        queries, keys: positions.
        width, values: channels of a head of q and k, and of v.
        pairs: how many (query, key) pairs a sample has in the set, all heads together.
        bias: bytes of the tables of a structured bias.
    """

    batch: int
    heads: int
    kv_heads: int
    queries: int
    keys: int
    width: int
    values: int
    pairs: int
    bias: int = 0

    def flop(self, pairs: int | None = None) -> int:
        """FLOP of both products over so many pairs of a sample; those of the set when not given."""
        return 2 * self.batch * (self.pairs if pairs is None else pairs) * (self.width + self.values)

    def traffic(self, precision: str) -> int:
        """Bytes that must be read and written: q, k, v, the answer and the tables of the bias, each once."""
        q, k = self.heads * self.queries, self.kv_heads * self.keys
        return IN_ATTENTION[precision] * self.batch * (q + k) * (self.width + self.values) + self.bias


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds that each resource needs by itself; the slowest is the floor."""

    products: float
    exponentials: float
    memory: float

    @property
    def seconds(self) -> float:
        return max(self.products, self.exponentials, self.memory)

    @property
    def bound(self) -> Bound:
        """What the floor is made of."""
        named: list[tuple[float, Bound]] = [
            (self.products, "products"), (self.exponentials, "exponentials"), (self.memory, "memory"),
        ]
        return max(named)[1]


def multiplied(work: Work, gpu: Gpu, precision: str, pairs: int | None = None) -> float:
    """Seconds of both products over so many pairs of a sample, at the rate of large ones; those of the set by default.

    In INT8 that of the scores goes at the rate of integers; that of the values with `int8-token` too, and with
    `int8-fp8` at that of FP8.
    """
    second = {"int8": "fp16", "int8-token": "int8", "int8-fp8": "fp8"}.get(precision)
    if second is None:
        return work.flop(pairs) / gpu.rate(precision)
    each = 2 * work.batch * (work.pairs if pairs is None else pairs)
    return each * work.width / gpu.rate("int8") + each * work.values / gpu.rate(second)


def floor(work: Work, gpu: Gpu, precision: str) -> Floor:
    """The least time of an attention on a GPU: both products at the rate of large ones, everything read once."""
    return Floor(
        multiplied(work, gpu, precision), work.batch * work.pairs / gpu.exp.value,
        work.traffic(precision) / gpu.bytes_a_second,
    )


def work_of(
    parts: Sequence[Part], *, batch: int, heads: int, kv_heads: int, queries: int, keys: int, width: int, values: int,
    bias: int = 0,
) -> Work:
    """The work of an attention that is walked in these parts."""
    pairs = sum(len(part.heads) * part.pairs for part in parts)
    return Work(batch, heads, kv_heads, queries, keys, width, values, pairs, bias)


def covered(part: Part, tile: Tile) -> int:
    """The pairs of one head that a kernel computes when it goes in tiles and leaves out those without a pair."""
    rows, columns = tile
    n, m = part.q.count, part.k.count
    whole = ceil(n / rows) * ceil(m / columns)
    if isinstance(part.keep, Band):
        tiles = whole if part.keep == ALL else _in_band(part.keep, n, m, tile)
        return part.batch * tiles * rows * columns
    if len(part.keep) * n * m > LARGEST:
        return part.batch * whole * rows * columns
    tiles = sum(_seen(bits, m, tile) for bits in part.keep)
    return tiles * (part.batch // len(part.keep)) * rows * columns


def _in_band(band: Band, n: int, m: int, tile: Tile) -> int:
    rows, columns = tile
    found = 0
    for first in range(0, n, rows):
        last = min(first + rows, n) - 1
        low = 0 if band.lower is None else max(0, first + band.lower)
        high = m - 1 if band.upper is None else min(m - 1, last + band.upper)
        if high >= low:
            found += high // columns - low // columns + 1
    return found


def _seen(bits: Sequence[int], m: int, tile: Tile) -> int:
    rows, columns = tile
    found, some = 0, (1 << columns) - 1
    for first in range(0, len(bits), rows):
        any_of = 0
        for row in bits[first : first + rows]:
            any_of |= row
        found += sum(bool(any_of >> at & some) for at in range(0, m, columns))
    return found
