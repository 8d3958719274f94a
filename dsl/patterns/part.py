"""What an attention kernel walks through: a set of pairs cut into parts that are plain dense attention, or nearly.

A `Part` is a batch of small attentions: for each of its entries a list of queries and a list of keys. Which positions
these are is told by strides where they lie regularly (a window, a row, a block: a view, or one copy), else by a table.
Within an entry every query sees every key, unless `seen` says which; a band (causal, sliding) is told by two numbers.

The parts of a plan are pairwise disjoint and their union is the set, so their answers may be merged: where several
parts hold keys of one query, with L the log-sum-exp of the scores of a part, O its answer,

    L = log(exp L1 + exp L2),    O = O1 exp(L1 - L) + O2 exp(L2 - L).

`parts.py` finds them: it tries a few ways, takes the cheapest, and keeps what speaks against the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Final, TypeAlias

__all__ = ["ALL", "Band", "Dims", "Index", "Part", "Plan", "Refusal", "Strides", "TRIANGLE", "Table", "band_of", "ones"]

Dims: TypeAlias = tuple[tuple[int, int], ...]
"""(size, stride) of each axis, the slowest first."""


@dataclass(frozen=True, slots=True)
class Strides:
    """Positions that lie regularly: `start` plus a multiple of a stride along each axis of batch and count."""

    start: int
    batch: Dims
    count: Dims

    @property
    def shape(self) -> tuple[int, int]:
        return prod(n for n, _ in self.batch), prod(n for n, _ in self.count)

    def row(self, entry: int) -> list[int]:
        """The positions of one entry."""
        return [at + self.start + _offset(entry, self.batch) for at in _offsets(self.count)]


@dataclass(frozen=True, slots=True)
class Table:
    """Positions written out: one row for each entry of the batch."""

    rows: tuple[tuple[int, ...], ...]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), len(self.rows[0])

    def row(self, entry: int) -> list[int]:
        """The positions of one entry."""
        return list(self.rows[entry])


@dataclass(frozen=True, slots=True)
class Index:
    """The positions of each entry of a batch: those of its pieces, one behind the other."""

    pieces: tuple[Strides | Table, ...]

    @property
    def batch(self) -> int:
        return self.pieces[0].shape[0]

    @property
    def count(self) -> int:
        return sum(piece.shape[1] for piece in self.pieces)

    def row(self, entry: int) -> list[int]:
        """The positions of one entry, in order."""
        return [at for piece in self.pieces for at in piece.row(entry)]

    @property
    def is_view(self) -> bool:
        """Whether it is one axis of entries and one of positions, each with one stride: nothing need be copied."""
        if len(self.pieces) > 1 or not isinstance(self.pieces[0], Strides):
            return False
        piece = self.pieces[0]
        return len(_joined(piece.batch)) <= 1 and len(_joined(piece.count)) <= 1


@dataclass(frozen=True, slots=True)
class Band:
    """Query i of an entry sees its key j where lower <= j - i <= upper; None bounds nothing."""

    lower: int | None
    upper: int | None

    def row(self, i: int, keys: int) -> int:
        """The keys of query i, as bits."""
        first = 0 if self.lower is None else max(0, i + self.lower)
        last = keys if self.upper is None else min(keys, i + self.upper + 1)
        return ((1 << last) - 1) >> first << first if last > first else 0


ALL: Final = Band(None, None)
TRIANGLE: Final = Band(None, 0)
"""What the kernels know as causal."""


@dataclass(frozen=True)
class Part:
    """A batch of dense attentions, some of their pairs left out.

    Attributes:
        heads: the heads it belongs to.
        q, k: positions of queries and of keys, entry by entry.
        keep: which pairs are seen: everything (`ALL`), a band, or for each query of an entry its keys as the bits of an
            integer. Bits stand there once for all entries, or for each.
    """

    heads: tuple[int, ...]
    q: Index
    k: Index
    keep: Band | tuple[tuple[int, ...], ...] = ALL

    @property
    def batch(self) -> int:
        return self.q.batch

    @cached_property
    def pairs(self) -> int:
        """How many pairs one of its heads has."""
        if self.keep == ALL:
            return self.batch * self.q.count * self.k.count
        if isinstance(self.keep, Band):
            return self.batch * sum(self.seen(0, i).bit_count() for i in range(self.q.count))
        return sum(row.bit_count() for rows in self.keep for row in rows) * (self.batch // len(self.keep))

    @cached_property
    def has_blind(self) -> bool:
        """Whether a query of it sees none of its keys."""
        if self.keep == ALL:
            return False
        if isinstance(self.keep, Band):
            return not all(self.seen(0, i) for i in range(self.q.count))
        return not all(row for rows in self.keep for row in rows)

    def seen(self, entry: int, i: int) -> int:
        """The keys that query i of an entry sees: bit j is its j-th key."""
        if isinstance(self.keep, Band):
            return self.keep.row(i, self.k.count)
        return self.keep[entry if len(self.keep) > 1 else 0][i]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Its pairs, one by one."""
        for entry in range(self.batch):
            keys = self.k.row(entry)
            for i, q in enumerate(self.q.row(entry)):
                for j in ones(self.seen(entry, i)):
                    yield q, keys[j]

    def split(self, entries: int) -> Iterator[Part]:
        """The same pairs in parts of at most so many entries, or as few as their strides allow."""
        if entries >= self.batch:
            yield self
            return
        leading = [_leading(piece) for index in (self.q, self.k) for piece in index.pieces]
        if len({n for n, _ in leading}) > 1:  # strides beside a table: written out
            size, each = self.batch, 1
            q, k = (Index((Table(tuple(tuple(x.row(i)) for i in range(self.batch))),)) for x in (self.q, self.k))
        else:
            (size, each), q, k = leading[0], self.q, self.k
        step = max(1, entries // each)
        for at in range(0, size, step):
            count = min(step, size - at)
            keep = self.keep
            if isinstance(keep, tuple) and len(keep) > 1:
                keep = keep[at * each : (at + count) * each]
            part = Part(self.heads, _some(q, at, count), _some(k, at, count), keep)
            yield from part.split(entries) if each > entries and count == 1 else (part,)

    def for_heads(self, heads: tuple[int, ...]) -> Part:
        """The same for other heads."""
        return replace(self, heads=heads)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A way that was not taken, and why not."""

    way: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """The parts of a set, and how they were found.

    Attributes:
        parts: pairwise disjoint; together they are the set.
        ways: how each group of heads is walked: (its first head, the way's name).
        refused: the other ways, each with its reason; of the first group of heads.
        work: what it costs, in pairs of one head that a dense kernel would go through in the same time.
        dense: what all pairs would cost.
    """

    parts: tuple[Part, ...]
    ways: tuple[tuple[int, str], ...]
    refused: tuple[Refusal, ...]
    work: int
    dense: int

    @property
    def way(self) -> str:
        """The way of most heads."""
        return self.ways[0][1]


def ones(row: int) -> list[int]:
    """The places of the set bits."""
    if row < 0:
        raise ValueError("bits of a set that has no end")
    text = bin(row)[:1:-1]
    found, at = [], text.find("1")
    while at >= 0:
        found.append(at)
        at = text.find("1", at + 1)
    return found


def band_of(rows: tuple[int, ...], keys: int) -> Band | None:
    """The band that these rows of bits are; None where they are none."""
    full = (1 << keys) - 1
    if all(row == full for row in rows):
        return ALL
    lower: int | None = None
    upper: int | None = None
    for i, row in enumerate(rows):
        if not row:
            return None
        first, last = (row & -row).bit_length() - 1, row.bit_length() - 1
        if first > 0:
            lower = first - i if lower is None else lower
        if last < keys - 1:
            upper = last - i if upper is None else upper
    band = Band(lower, upper)
    return band if all(band.row(i, keys) == row for i, row in enumerate(rows)) else None


def _leading(piece: Strides | Table) -> tuple[int, int]:
    """How often the slowest axis of a batch steps, and how many entries a step has."""
    if isinstance(piece, Table):
        return len(piece.rows), 1
    sizes = [n for n, _ in piece.batch if n > 1]
    return (sizes[0], prod(sizes[1:])) if sizes else (1, 1)


def _some(index: Index, at: int, count: int) -> Index:
    """A few steps of the slowest axis of a batch."""
    made: list[Strides | Table] = []
    for piece in index.pieces:
        if isinstance(piece, Table):
            made.append(Table(piece.rows[at : at + count]))
            continue
        dims = [dim for dim in piece.batch if dim[0] > 1]
        stride = dims[0][1] if dims else 0
        made.append(Strides(piece.start + at * stride, ((count, stride), *dims[1:]), piece.count))
    return Index(tuple(made))


def _offset(entry: int, dims: Dims) -> int:
    found = 0
    for size, stride in reversed(dims):
        entry, i = divmod(entry, size)
        found += i * stride
    return found


def _offsets(dims: Dims) -> list[int]:
    found = [0]
    for size, stride in dims:
        found = [at + i * stride for at in found for i in range(size)]
    return found


def _joined(dims: Dims) -> Dims:
    """Without axes of size 1, and with axes that run on as one made one."""
    made: list[tuple[int, int]] = []
    for size, stride in dims:
        if size == 1:
            continue
        if made and made[-1][1] == size * stride:
            made[-1] = (made[-1][0] * size, stride)
        else:
            made.append((size, stride))
    return tuple(made)
