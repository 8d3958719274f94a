"""Biases as the three kinds that kernels read, and what becomes of the gradient of scores.

    table     heads x numbers over offsets: relative tables of every layout, log-spaced ones, T5's buckets by distance
    slopes    one number a head (ALiBi)
    places    B x heads x N x places: products with a table for each axis, at the places of the keys along it (MViT v2)

What turns a bias into one of these is plain torch on few numbers, so its gradients are torch's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from ogive.compiler.kernels.spec import BiasSpec
from ogive.compiler.kernels.tables import Tables
from ogive.compiler.lower.attention_biases import Bias, BucketBias, OffsetBias, ProductBias, SlopeBias
from ogive.dsl.patterns.part import Part

__all__ = ["Looked", "unreadable"]

Ends: TypeAlias = tuple[int, ...]
"""Tokens before a grid, tokens behind it, and its axes."""

FEW: int = 1 << 22
"""Pairs whose places in a bias are compared between entries."""


def unreadable(bias: Bias | None) -> str | None:
    """Why kernels cannot read a bias; None where they can."""
    if bias is None or isinstance(bias, BucketBias | ProductBias | SlopeBias):
        return None
    if not isinstance(bias, OffsetBias):
        return f"{type(bias).__name__} is looked up pair by pair"
    if bias.prefix and bias.layout != "swin":
        return f'a table of layout "{bias.layout}" has no numbers for tokens outside the grid'
    return None


def _bits(rows: tuple[int, ...], keys: int) -> np.ndarray:
    """Rows of bits as truth values, `rows keys`."""
    width = -(-keys // 8)
    data = np.frombuffer(b"".join(row.to_bytes(width, "little") for row in rows), np.uint8).reshape(len(rows), width)
    return np.unpackbits(data, axis=1, count=keys, bitorder="little").astype(bool)


@dataclass(frozen=True)
class Looked:
    """How a bias is looked up at sizes that are known."""

    bias: Bias
    queries: Ends
    keys: Ends

    # ------------------------------------------------------------------------------------ places
    def spec(self, tables: Tables) -> BiasSpec:
        """What a kernel is told; positions along the bias go to the tables."""
        bias, n, m = self.bias, self.bias.count(self.queries), self.bias.count(self.keys)
        if isinstance(bias, SlopeBias):
            return BiasSpec("slopes", b0=m - n, size=1)
        if isinstance(bias, ProductBias):
            return BiasSpec("places", b1=tables.add(self._along()), axes=len(bias.rows), size=sum(self.keys[2:]))
        a, b = self._sides()
        gap = n + m - 1 if isinstance(bias, BucketBias) else math.prod(2 * s - 1 for s in self._offsets().size)
        prefix = isinstance(bias, OffsetBias) and bool(bias.prefix)
        return BiasSpec("table", tables.add(a), tables.add(b), gap, prefix=prefix, size=gap + 3 * prefix)

    def _offsets(self) -> OffsetBias:
        assert isinstance(self.bias, OffsetBias)
        return self.bias

    def _sides(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of queries and keys whose difference is the place in a table; -1 beside a grid."""
        if isinstance(self.bias, BucketBias):
            n, m = self.bias.count(self.queries), self.bias.count(self.keys)
            return np.arange(n) + m - 1, np.arange(m)
        bias = self._offsets()
        q, k = (torch.arange(bias.count(s)) for s in (self.queries, self.keys))
        strides = bias.stride or tuple(max(m // n, 1) for n, m in zip(self.queries[2:], self.keys[2:], strict=True))
        a, b, gap = torch.zeros_like(q), torch.zeros_like(k), 1
        for i, j, size, stride, step in reversed(list(zip(
            bias.places(q, self.queries), bias.places(k, self.keys), bias.size, strides, bias.step, strict=True
        ))):
            # seen pairs lie a multiple of `step` apart, so the difference of the quotients is the quotient
            a, b, gap = a + (i * stride // step + size - 1) * gap, b + j // step * gap, gap * (2 * size - 1)
        if bias.prefix:
            a, b = a.masked_fill(bias.beside(q, self.queries), -1), b.masked_fill(bias.beside(k, self.keys), -1)
        return a.numpy(), b.numpy()

    def _along(self) -> np.ndarray:
        """For each axis the place of each key along it, behind the places of the axes before; -1 beside the grid."""
        k = torch.arange(self.bias.count(self.keys))
        start, found = 0, []
        for place, size in zip(self.bias.places(k, self.keys), self.keys[2:], strict=True):
            found.append((place + start).masked_fill(self.bias.beside(k, self.keys), -1))
            start += size
        return torch.stack(found).numpy()

    def alike(self, part: Part) -> bool:
        """Whether every entry of a part looks it up where the first entry does, at the pairs that it has."""
        if part.batch == 1:
            return True
        if isinstance(self.bias, ProductBias) or part.batch * part.q.count * part.k.count > FEW:
            return False
        q, k = (torch.tensor([x.row(e) for e in range(part.batch)]) for x in (part.q, part.k))
        found = self.bias.at(q, k, self.queries, self.keys)
        same = found == found[:1]
        if isinstance(part.keep, tuple):
            same |= ~torch.tensor(np.stack([_bits(rows, part.k.count) for rows in part.keep]))
        return bool(same.all())

    # ------------------------------------------------------------------------------------ numbers
    def numbers(self, values: Tensor, kind: torch.dtype) -> Tensor:
        """The values of a bias as kernels read them; gradients flow back.

        A table `heads x numbers` and slopes `heads x 1` are float32, places `B x heads x N x places` of type `kind`.
        """
        bias = self.bias
        if isinstance(bias, SlopeBias):
            return values.reshape(-1, 1).float()
        if isinstance(bias, BucketBias):
            return values.float().index_select(0, self._buckets(bias).to(values.device)).t().contiguous()
        if isinstance(bias, ProductBias):
            return self._products(bias, values).to(kind)
        table, size = values.float(), self._offsets().size
        if self._offsets().layout == "swin":
            return table.t().contiguous()
        if self._offsets().layout == "symmetric":
            table = table.reshape(-1, *size)
            for axis, n in enumerate(size):
                table = table.index_select(axis + 1, torch.arange(1 - n, n, device=values.device).abs())
        elif self._offsets().layout == "tf":
            table = table.reshape(-1, *(2 * n - 1 for n in size)).flip(tuple(range(1, len(size) + 1)))
        return table.reshape(self._offsets().heads, -1).contiguous()

    def _buckets(self, bias: BucketBias) -> Tensor:
        """The bucket of each offset q - k + (keys - 1)."""
        n, m = bias.count(self.queries), bias.count(self.keys)
        none = torch.zeros(1, 1, dtype=torch.long)
        before = bias.at(none, torch.arange(m)[None], self.queries, self.keys).flatten().flip(0)
        behind = bias.at(torch.arange(n)[None], none, self.queries, self.keys).flatten()
        return torch.cat((before, behind[1:]))

    def _products(self, bias: ProductBias, values: Tensor) -> Tensor:
        device = values.device
        q = torch.arange(bias.count(self.queries), device=device)
        start, found = 0, []
        sides = zip(bias.places(q, self.queries), self.queries[2:], self.keys[2:], bias.rows, strict=True)
        for place, n, m, rows in sides:
            fine, coarse = max(m // n, 1), max(n // m, 1)
            along = torch.arange(m, device=device)
            row = (place * fine)[:, None] + (m - 1 - along) * coarse - (max(n, m) - 1 - rows // 2)
            at = row.clamp(0, rows - 1) + start
            found.append(values.gather(3, at.expand(*values.shape[:2], *at.shape)))
            start += rows
        made = torch.cat(found, 3)
        return made.masked_fill(bias.beside(q, self.queries)[:, None], 0.0)
