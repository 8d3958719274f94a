"""What is added to the scores of attention, for each head, query and key; and places turned into angles."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ogive.compiler.lower.attention_masks import Cached

__all__ = ["BucketBias", "OffsetBias", "ProductBias", "Rotary", "SlopeBias", "Slopes"]


class OffsetBias(Cached):
    """A table over offsets as [heads, N, M]. `queries` and `keys` are (tokens before the grid, behind it, *grid)."""

    def __init__(
        self, heads: int, size: tuple[int, ...], layout: str = "swin", prefix: int = 0,
        stride: tuple[int, ...] = (1, 1), step: tuple[int, ...] = (1, 1),
    ) -> None:
        super().__init__()
        self.heads = heads
        self.size = size
        self.layout = layout
        self.prefix = prefix
        self.stride = stride
        self.step = step

    def forward(self, table: Tensor, queries: tuple[int, ...], keys: tuple[int, ...]) -> Tensor:
        device = table.device
        index = self.kept((device, *queries, *keys), lambda: self.index(device, queries, keys))
        rows = table.t() if self.layout == "swin" else table.reshape(self.heads, -1)
        return rows.index_select(1, index.flatten()).view(self.heads, *index.shape)

    def index(self, device: torch.device, queries: tuple[int, ...], keys: tuple[int, ...]) -> Tensor:
        """Where each pair is looked up. Offsets that the table does not hold are those of no pair that is seen."""
        found = torch.zeros(math.prod(queries[2:]), math.prod(keys[2:]), dtype=torch.long, device=device)
        a, b = torch.arange(found.shape[0], device=device), torch.arange(found.shape[1], device=device)
        gap = 1
        for q, k, size, stride, step in reversed(
            list(zip(queries[2:], keys[2:], self.size, self.stride, self.step, strict=True))
        ):
            away = ((a % q * stride)[:, None] - (b % k)[None]).div(step, rounding_mode="trunc")
            away = away.clamp(1 - size, size - 1)
            if self.layout == "symmetric":
                found, gap = found + away.abs() * gap, gap * size
            else:
                found = found + (size - 1 + (-away if self.layout == "tf" else away)) * gap
                gap = gap * (2 * size - 1)
            a, b = a // q, b // k
        if not self.prefix:
            return found
        found = F.pad(found, (self.prefix, 0, self.prefix, 0))
        found[: self.prefix] = gap
        found[:, : self.prefix] = gap + 1
        found[: self.prefix, : self.prefix] = gap + 2
        return found


class Slopes(nn.Module):
    """A slope for each head; they move and are cast with the network and are no part of the state_dict."""

    value: Tensor

    def __init__(self, slopes: tuple[float, ...]) -> None:
        super().__init__()
        self.slopes = slopes
        value = torch.tensor(slopes, dtype=torch.float64, device="cpu")
        self.register_buffer("value", value, persistent=False)

    def forward(self) -> Tensor:
        return self.value

    def extra_repr(self) -> str:
        return f"{self.slopes}"


class SlopeBias(Cached):
    """- slope |q - k| as [heads, N, M], the last query at the last key."""

    def forward(self, slopes: Tensor, q: Tensor, k: Tensor) -> Tensor:
        n, m, device = q.shape[-2], k.shape[-2], q.device
        away = self.kept((device, n, m), lambda: self.away(n, m, device))
        return -slopes[:, None, None] * away

    def away(self, n: int, m: int, device: torch.device) -> Tensor:
        """How far each query and key stand apart."""
        return (torch.arange(n, device=device)[:, None] + (m - n) - torch.arange(m, device=device)[None]).abs()


class BucketBias(Cached):
    """A number for each head and bucket of k - q as [heads, N, M], the last query at the last key."""

    def __init__(self, buckets: int, reach: int, bidirectional: bool) -> None:
        super().__init__()
        self.buckets = buckets
        self.reach = reach
        self.bidirectional = bidirectional

    def forward(self, table: Tensor, q: Tensor, k: Tensor) -> Tensor:
        n, m, device = q.shape[-2], k.shape[-2], table.device
        index = self.kept((device, n, m), lambda: self.index(n, m, device))
        return table.t().index_select(1, index.flatten()).view(table.shape[1], n, m)

    def index(self, n: int, m: int, device: torch.device) -> Tensor:
        """The bucket of each pair, by the published formula, in float32 as published."""
        ahead = torch.arange(m, device=device)[None] - torch.arange(n, device=device)[:, None] - (m - n)
        buckets, start = self.buckets, torch.zeros_like(ahead)
        if self.bidirectional:
            buckets = buckets // 2
            start = (ahead > 0).long() * buckets
            away = ahead.abs()
        else:
            away = (-ahead).clamp(min=0)
        near = buckets // 2
        far = near + (
            torch.log(away.clamp(min=1).float() / near) / math.log(self.reach / near) * (buckets - near)
        ).long()
        return start + torch.where(away < near, away, far.clamp(max=buckets - 1))


class ProductBias(Cached):
    """Products of queries with the rows of a table per axis, [B, heads, N, rows], as a bias [B, heads, N, M].

    Along each axis query i and key j meet at row i max(k/q, 1) - j max(q/k, 1) + (k - 1) max(q/k, 1). Tokens beside the
    grid have none.
    """

    def __init__(self, rows: tuple[int, ...]) -> None:
        super().__init__()
        self.rows = rows

    def forward(self, products: Tensor, queries: tuple[int, ...], keys: tuple[int, ...]) -> Tensor:
        device, cells = products.device, math.prod(queries[2:])
        found = products.new_zeros(())
        tables = products.narrow(2, queries[0], cells).split(list(self.rows), dim=3)
        for axis, table in enumerate(tables):
            def make(at: int = axis) -> Tensor:
                return self.index(at, device, queries, keys)

            index = self.kept((device, axis, *queries, *keys), make)
            part = table.gather(3, index.expand(*table.shape[:2], *index.shape))
            shape = [1] * len(self.rows)
            shape[axis] = keys[2 + axis]
            found = found + part.view(*part.shape[:3], *shape)
        return F.pad(found.flatten(3), (keys[0], keys[1], queries[0], queries[1]))

    def index(self, axis: int, device: torch.device, queries: tuple[int, ...], keys: tuple[int, ...]) -> Tensor:
        """For each query the row at which it meets each place of the keys along one axis."""
        cells = torch.arange(math.prod(queries[2:]), device=device)
        at = cells // math.prod(queries[3 + axis :]) % queries[2 + axis]
        q, k = queries[2 + axis], keys[2 + axis]
        fine, coarse = max(k // q, 1), max(q // k, 1)
        return at[:, None] * fine + (k - 1 - torch.arange(k, device=device))[None] * coarse


class Rotary(Cached):
    """Turns pairs of channels of each head by angles that grow with the place along each axis (RoFormer).

    `sequence` is (tokens before the grid, tokens behind it, *grid); those beside the grid are not turned.
    """

    def __init__(self, heads: int, base: float = 10000.0, layout: str = "half") -> None:
        super().__init__()
        self.heads = heads
        self.base = base
        self.layout = layout

    def forward(self, x: Tensor, sequence: tuple[int, ...]) -> Tensor:
        device, d = x.device, x.shape[-1] // self.heads
        angles = self.kept((device, d, *sequence), lambda: self.angles(d, sequence, device))
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        parts = x.unflatten(-1, (self.heads, d))
        if self.layout == "half":
            a, b = parts.chunk(2, dim=-1)
            return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(2)
        a, b = parts[..., 0::2], parts[..., 1::2]
        return torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(2)

    def angles(self, d: int, sequence: tuple[int, ...], device: torch.device) -> Tensor:
        """Place times frequency for each pair of channels, N x 1 x d/2: a share of the pairs for each axis."""
        grid: tuple[Any, ...] = sequence[2:]
        pairs = d // len(grid) // 2
        speed = self.base ** -(torch.arange(pairs, dtype=torch.float64, device=device) / pairs)
        cells, places = torch.arange(math.prod(grid), device=device), []
        for n in reversed(grid):
            places.append(cells % n)
            cells = cells // n
        angle = (torch.stack(places[::-1], dim=1)[:, :, None] * speed).flatten(1)
        return F.pad(angle, (0, 0, sequence[0], sequence[1]))[:, None]
