"""A plan of attention on tensors: where the queries and keys of each part lie, what is masked there, what is added.

Made once for the sizes of a call. Positions that lie in strides become views, or one copy; others are looked up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from ogive.compiler.lower.attention_biases import Bias
from ogive.dsl.patterns.part import ALL, TRIANGLE, Band, Index, Part, Plan, Strides, Table

__all__ = ["AT_ONCE", "Places", "Step", "Walk", "at_once"]

AT_ONCE: Final = 1 << 21
"""Numbers of a mask, or of scores that are written out, at one time."""

COPIED: Final = 1 << 20
"""Bytes that are copied for one call of a kernel: what is still in a cache when it is read."""

PACKED: Final = 1 << 19
"""The same of what is a view, in half precision: torch lays the keys of a whole call together before it begins."""

FEW_KEYS: Final = range(64, 129)
"""With more keys an entry has enough to do by itself; torch lays fewer not together."""


def at_once(rows: int, each: int) -> int:
    """How many of `rows` may be done together, where each needs so many numbers."""
    return max(1, min(rows, AT_ONCE // max(each, 1)))


class Places:
    """The positions of an `Index` on tensors `B N H d`: taken from them, put into them, added to them."""

    def __init__(self, index: Index, size: int) -> None:
        self.entries, self.count = index.batch, index.count
        self.pieces = index.pieces
        self.tables = [None if isinstance(p, Strides) else _positions(p) for p in index.pieces]
        self.whole = self._whole(size)
        self.is_copied = not self.whole and not index.is_view
        self.size = size
        self.looked_up: dict[int, Tensor] = {}

    def _whole(self, size: int) -> bool:
        """All positions, in order."""
        piece = self.pieces[0]
        if len(self.pieces) > 1 or not isinstance(piece, Strides) or piece.start or self.entries * self.count != size:
            return False
        step = size
        for n, stride in (*piece.batch, *piece.count):
            step //= n
            if stride != step and n > 1:
                return False
        return True

    def rows(self) -> Tensor:
        """The positions, entry by entry: [entries, count]."""
        found = []
        for piece, table in zip(self.pieces, self.tables, strict=True):
            found.append(_positions(piece) if table is None else table)
        return found[0] if len(found) == 1 else torch.cat(found, 1)

    def beside(self, x: Tensor, batch: int) -> Tensor:
        """Rows of what lies side by side: [B N, C] -> [B * entries, count, C], in one go."""
        if batch not in self.looked_up:
            self.looked_up.clear()
            with torch.inference_mode(False):
                first = torch.arange(batch)[:, None] * self.size
                self.looked_up[batch] = (first + self.rows().flatten()).flatten()
        return x.index_select(0, self.looked_up[batch]).view(batch * self.entries, self.count, -1)

    def take(self, x: Tensor) -> Tensor:
        """[B, N, H, d] -> [B * entries, count, H, d], a view where strides allow it."""
        batch, _, heads, width = x.shape
        if self.whole:
            return x.reshape(batch * self.entries, self.count, heads, width)
        if len(self.pieces) == 1:
            return self._taken(x, 0).reshape(batch * self.entries, self.count, heads, width)
        made = x.new_empty(batch, self.entries, self.count, heads, width)
        at = 0
        for i, piece in enumerate(self.pieces):
            n = piece.shape[1]
            target = made.narrow(2, at, n)
            target.copy_(self._taken(x, i).reshape(target.shape))
            at += n
        return made.reshape(batch * self.entries, self.count, heads, width)

    def _taken(self, x: Tensor, i: int) -> Tensor:
        piece, table = self.pieces[i], self.tables[i]
        if isinstance(piece, Strides):
            return _view(x, piece)
        assert table is not None
        batch, _, heads, width = x.shape
        if batch == 1 and x.stride(2) == width and x.stride(3) == 1:  # whole rows of all heads are copied at once
            flat = x.as_strided((x.shape[1], heads * width), (x.stride(1), 1))
            return flat.index_select(0, table.flatten()).view(1, *table.shape, heads, width)
        return x.index_select(1, table.flatten()).view(batch, *table.shape, heads, width)

    def put(self, x: Tensor, value: Tensor) -> None:
        """[B * entries, count, H, d] into [B, N, H, d]."""
        for i, part in self._split(x, value):
            piece, table = self.pieces[i], self.tables[i]
            if isinstance(piece, Strides):
                target = _view(x, piece)
                target.copy_(part.reshape(target.shape))
            else:
                assert table is not None
                x.index_copy_(1, table.flatten(), part.reshape(x.shape[0], -1, *x.shape[2:]).to(x.dtype))

    def merge(self, x: Tensor, total: Tensor, value: Tensor, sums: Tensor) -> None:
        """Answers of the same queries over other keys: L = logaddexp(L1, L2), O = O1 exp(L1 - L) + O2 exp(L2 - L)."""
        for (i, answers), (_, more) in zip(self._split(x, value), self._split(total, sums), strict=True):
            piece, table = self.pieces[i], self.tables[i]
            if isinstance(piece, Strides):
                out, before = _view(x, piece), _view(total, piece)
            else:
                assert table is not None
                out, before = (y.index_select(1, table.flatten()) for y in (x, total))
            answers, more = answers.reshape(out.shape), more.reshape(before.shape)
            share = torch.sigmoid(more - before).nan_to_num_(0.0)  # where neither sees a key, both answer zeros
            if out.dtype == share.dtype:
                out.lerp_(answers.to(out.dtype), share)
            else:  # the first merge of two answers as they came: rounded once
                out.copy_(out.to(share.dtype).lerp_(answers.to(share.dtype), share))
            before.copy_(torch.logaddexp(before, more))
            if table is not None:
                x.index_copy_(1, table.flatten(), out)
                total.index_copy_(1, table.flatten(), before)

    def add(self, x: Tensor, value: Tensor) -> None:
        """Add to it; a position may stand in several entries."""
        for i, part in self._split(x, value):
            piece, table = self.pieces[i], self.tables[i]
            if isinstance(piece, Strides) and all(stride == 0 for n, stride in piece.batch if n > 1):
                part = part.sum(1, keepdim=True)  # the same positions for every entry
                piece = Strides(piece.start, (), piece.count)
            if isinstance(piece, Strides) and _apart((*piece.batch, *piece.count)):
                target = _view(x, piece)
                target.add_(part.reshape(target.shape))
                continue
            rows = _positions(piece) if table is None else table
            x.index_add_(1, rows.flatten(), part.reshape(x.shape[0], -1, *x.shape[2:]).to(x.dtype))

    def _split(self, x: Tensor, value: Tensor) -> Iterator[tuple[int, Tensor]]:
        at, parts = 0, value.reshape(x.shape[0], self.entries, self.count, *x.shape[2:])
        for i, piece in enumerate(self.pieces):
            n = piece.shape[1]
            yield i, parts.narrow(2, at, n)
            at += n


def _positions(piece: Strides | Table) -> Tensor:
    """[entries, count]"""
    if isinstance(piece, Table):
        return torch.tensor(piece.rows)
    at = torch.tensor(piece.start)
    for n, stride in (*piece.batch, *piece.count):
        at = at.unsqueeze(-1) + torch.arange(n) * stride
    return at.reshape(piece.shape)


def _view(x: Tensor, piece: Strides) -> Tensor:
    """[B, N, H, d] as [B, *batch, *count, H, d]."""
    b, n, h, d = x.stride()
    dims = (*piece.batch, *piece.count)
    shape = (x.shape[0], *(size for size, _ in dims), *x.shape[2:])
    return x.as_strided(shape, (b, *(stride * n for _, stride in dims), h, d), x.storage_offset() + piece.start * n)


def _apart(dims: tuple[tuple[int, int], ...]) -> bool:
    """Whether no position stands there twice."""
    reach = 0
    for size, stride in sorted((dim for dim in dims if dim[0] > 1), key=lambda dim: dim[1]):
        if stride <= reach:
            return False
        reach += (size - 1) * stride
    return True


@dataclass
class Step:
    """One part on tensors.

    Attributes:
        heads: which of those at hand; None for all.
        q, k: where its positions lie.
        keep: True where a pair is seen, [1 or entries, count, keys]; None where all are, or a band says it.
        triangle: query i sees key j where j <= i.
        has_blind: a query may see none of its keys.
        fresh: no step before it answers one of its queries.
    """

    heads: slice | Tensor | None
    q: Places
    k: Places
    keep: Tensor | None
    triangle: bool
    has_blind: bool
    fresh: bool
    cache: dict[Any, Any] = field(default_factory=dict)

    @property
    def positions(self) -> tuple[Tensor, Tensor]:
        """Of queries and of keys, entry by entry."""
        if "positions" not in self.cache:
            self.cache["positions"] = self.q.rows(), self.k.rows()
        found: tuple[Tensor, Tensor] = self.cache["positions"]
        return found

    def is_alike(self, bias: Bias | None, queries: tuple[int, ...], keys: tuple[int, ...]) -> bool:
        """Whether a bias is the same for all entries."""
        if "alike" not in self.cache:
            q, k = self.positions
            first = None if bias is None else bias.at(q[:1], k[:1], queries, keys)
            step = at_once(len(q), q.shape[1] * k.shape[1])
            self.cache["alike"] = first is None or bias is None or len(q) == 1 or all(
                bool((bias.at(q[at : at + step], k[at : at + step], queries, keys) == first).all())
                for at in range(0, len(q), step)
            )
        return bool(self.cache["alike"])

    def looked_up(self, bias: Bias, queries: tuple[int, ...], keys: tuple[int, ...]) -> Tensor | None:
        """Where a bias is looked up, [..., entries | 1, n, m]; None where that is too much to keep."""
        if "at" not in self.cache:
            q, k = self.positions
            if self.is_alike(bias, queries, keys):
                q, k = q[:1], k[:1]
            small = len(q) * q.shape[1] * k.shape[1] <= AT_ONCE
            self.cache["at"] = bias.at(q, k, queries, keys) if small else None
        found: Tensor | None = self.cache["at"]
        return found

    def hidden(
        self, kind: torch.dtype, some: slice, rows: slice, batch: int
    ) -> tuple[Tensor, Tensor | None]:
        """Minus infinity where a pair is not seen, [B entries | 1, 1, n, m]; queries that see nothing, or None."""
        assert self.keep is not None
        if self.keep.numel() > AT_ONCE:
            return self._hidden(self.keep[some if len(self.keep) > 1 else slice(None), rows], kind, batch)
        if (kind, batch) not in self.cache:
            self.cache[kind, batch] = self._hidden(self.keep, kind, batch)
        mask, blind = self.cache[kind, batch]
        if len(self.keep) > 1 and some != slice(0, self.q.entries):
            mask, blind = (
                None if x is None else x.unflatten(0, (batch, -1))[:, some].flatten(0, 1) for x in (mask, blind)
            )
        return mask[:, :, rows], None if blind is None else blind[:, rows]

    def _hidden(self, keep: Tensor, kind: torch.dtype, batch: int) -> tuple[Tensor, Tensor | None]:
        mask = torch.zeros(keep.shape, dtype=kind).masked_fill_(~keep, -math.inf).unsqueeze(1)
        blind = (~keep.any(-1))[..., None, None] if self.has_blind else None
        if len(keep) > 1 and batch > 1:
            mask = mask.repeat(batch, 1, 1, 1)
            blind = None if blind is None else blind.repeat(batch, 1, 1, 1)
        return mask, blind


class Walk:
    """The steps of a plan, in order.

    Attributes:
        steps: one for each call of a kernel, or for a few.
        complete: every query is answered, so answers need no zeros first.
        once: every query is answered by one step, so nothing is merged.
        twice: by at most two, so an answer is rounded once, whatever it waits in.
        looks_up: some positions lie in no strides.
    """

    def __init__(self, plan: Plan, heads: Sequence[int], queries: int, keys: int, each: int, half: bool) -> None:
        """`each`: bytes of one position, all samples and heads; `half`: of numbers of half precision."""
        self.steps: list[Step] = []
        self.once = self.twice = True
        local = {head: i for i, head in enumerate(heads)}
        answered = [bytearray(queries) for _ in heads]
        for part in plan.parts:
            mine = [local[head] for head in part.heads if head in local]
            if not mine:
                continue
            those = {q for entry in range(part.batch) for q in part.q.row(entry)}
            fresh = not any(answered[head][q] for head in mine for q in those)
            self.once = self.once and fresh
            self.twice = self.twice and not any(answered[head][q] > 1 for head in mine for q in those)
            for head in mine:
                for q in those:
                    answered[head][q] = min(answered[head][q] + 1, 2)
            copied = max(0 if x.is_view else x.count for x in (part.q, part.k)) * each
            some = half and part.k.count in FEW_KEYS and len(plan.parts) > 1  # the answers of one call need no copy
            viewed = max(part.q.count, part.k.count) * each if some else 0
            most = max(1, COPIED // copied) if copied else max(1, PACKED // viewed) if viewed else part.batch
            for piece in part.split(most):
                self.steps.append(_step(piece, _chosen(mine, len(heads)), queries, keys, fresh))
        self.looks_up = any(table is not None for s in self.steps for x in (s.q, s.k) for table in x.tables)
        self.complete = all(all(flags) for flags in answered)


def _step(part: Part, heads: slice | Tensor | None, queries: int, keys: int, fresh: bool) -> Step:
    triangle = part.keep == TRIANGLE
    keep = None if part.keep == ALL or triangle else _keep(part)
    return Step(heads, Places(part.q, queries), Places(part.k, keys), keep, triangle, part.has_blind, fresh)


def _chosen(mine: list[int], count: int) -> slice | Tensor | None:
    """Some of the heads, by a slice where they are evenly apart."""
    if len(mine) == count:
        return None
    step = mine[1] - mine[0] if len(mine) > 1 else 1
    even = slice(mine[0], mine[-1] + 1, step)
    return even if list(range(count))[even] == mine else torch.tensor(mine)


def _keep(part: Part) -> Tensor:
    """The bits of a part as truth values."""
    n, m = part.q.count, part.k.count
    rows = (tuple(part.keep.row(i, m) for i in range(n)),) if isinstance(part.keep, Band) else part.keep
    width = -(-m // 8)
    data = bytearray(b"".join(row.to_bytes(width, "little") for entry in rows for row in entry))
    packed = torch.frombuffer(data, dtype=torch.uint8).view(len(rows), n, width, 1)
    return (packed >> torch.arange(8, dtype=torch.uint8) & 1).bool().flatten(2)[..., :m].contiguous()
