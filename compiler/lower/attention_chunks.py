"""Linear attention on a processor: one chunk of places after the other, while it is in a cache."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from ogive.compiler.lower.attention_cores import KernelAttention
from ogive.compiler.lower.attention_parts import is_plain

__all__ = ["ChunkedAttention"]

FREE: Final = 4
"""Chunks at one time where nothing is asked pair by pair."""

TOGETHER: Final = 1 << 17
"""Numbers of a chunk of keys that are done at one time."""


class ChunkedAttention(KernelAttention):
    """As `KernelAttention`, one chunk after the other where tensors are plain; what is compiled, exported or written as
    a file is `KernelAttention`."""

    plain = KernelAttention

    def forward(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None) -> Tensor:
        if not is_plain(q, k, v):
            return super().forward(q, k, v, seen)
        each = max(1, TOGETHER // (k.shape[1] * k.shape[3] * self.chunk))  # samples
        some = zip(*(x.split(each) for x in (q, k, v, *(() if seen is None else (seen,)))), strict=True)
        found = [self.in_turn(*xs) for xs in some]
        return (found[0] if len(found) == 1 else torch.cat(found)).transpose(1, 2)

    def in_turn(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None) -> Tensor:
        """The answers [B, N, H, e], one chunk after the other; sums are kept in float32 or wider."""
        n, m = q.shape[2], k.shape[2]
        blind, before = (max(n - m, 0), max(m - n, 0)) if self.causal else (0, m)  # keys that every other query sees
        lengths = [before, *_lengths(m - before, self.chunk)]
        keys, values = k.split(lengths, 2), v.split(lengths, 2)
        shown = [None] * len(lengths) if seen is None else seen.split(lengths, 2)
        sums, totals = self.summed(keys[0], values[0], shown[0])
        queries = q.split([blind, *(lengths[1:] if self.causal else _lengths(n, FREE * self.chunk))], 2)
        sizes = [x.shape[2] for x in queries]
        graded = torch.is_grad_enabled()
        made = q.new_empty(0 if graded else len(q), n, q.shape[1], v.shape[3])
        places = [None] * len(sizes) if graded else [x.transpose(1, 2) for x in made.split(sizes, 1)]
        found = [queries[0].new_zeros(len(q), q.shape[1], blind, v.shape[3])]
        if not graded:
            made[:, :blind] = 0.0
        for i, (a, into) in enumerate(zip(queries[1:], places[1:], strict=True), 1):
            a = self.positive(a)
            if not self.causal:
                found.append(self.shared(a @ sums.to(a.dtype), a @ totals.to(a.dtype), into))
                continue
            b, c = self.taking_part(keys[i], shown[i]).transpose(-1, -2), values[i].contiguous()
            pairs = (a @ b).tril_()
            total = (a @ totals.to(a.dtype)).add_(pairs.sum(-1, keepdim=True))
            found.append(self.shared((a @ sums.to(a.dtype)).add_(pairs @ c), total, into))
            sums, totals = sums + b @ c, totals + b.sum(-1, keepdim=True, dtype=totals.dtype)
        return torch.cat([x.transpose(1, 2) for x in found], 1) if graded else made

    def summed(self, k: Tensor, v: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        """f(k)^T v [B, H, d, e] and the sum of f(k) [B, H, d, 1]."""
        wide = torch.float64 if k.dtype == torch.float64 else torch.float32
        sums = k.new_zeros(*k.shape[:2], k.shape[3], v.shape[3], dtype=wide)
        totals = k.new_zeros(*k.shape[:2], k.shape[3], 1, dtype=wide)
        chunks = (x.split(FREE * self.chunk, 2) for x in (k, v, *(() if seen is None else (seen,))))
        for b, c, *there in zip(*chunks, strict=True):
            turned = self.taking_part(b, *there).transpose(-1, -2)
            sums, totals = sums + turned @ c.contiguous(), totals + turned.sum(-1, keepdim=True, dtype=wide)
        return sums, totals

    def taking_part(self, k: Tensor, seen: Tensor | None = None) -> Tensor:
        """f(k), zeros for keys that take no part."""
        return self.positive(k) if seen is None else torch.where(seen, self.positive(k), 0.0)

    def shared(self, found: Tensor, total: Tensor, into: Tensor | None) -> Tensor:
        """Sums of values divided by those of their weights."""
        return torch.div(found, total.clamp(min=self.least), out=into)


def _lengths(n: int, chunk: int) -> list[int]:
    return [min(chunk, n - at) for at in range(0, n, chunk)]
