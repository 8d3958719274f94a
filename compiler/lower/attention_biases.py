"""What is added to the scores of attention, for each head, query and key; and places turned into angles."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ogive.compiler.lower.attention_masks import Cached

__all__ = ["Bias", "BucketBias", "OffsetBias", "ProductBias", "Rotary", "SlopeBias", "Slopes"]


class Bias(Cached):
    """Numbers that are added to scores, looked up by the positions of a query and a key.

    Called, it answers for all pairs: [heads, N, M], or [B, heads, N, M]. `queries` and `keys` are (tokens before the
    grid, behind it, *grid).
    """

    def forward(self, values: Tensor, queries: tuple[int, ...], keys: tuple[int, ...]) -> Tensor:
        device = values.device
        at = self.kept((device, *queries, *keys), lambda: self.at(
            torch.arange(self.count(queries), device=device)[None], torch.arange(self.count(keys), device=device)[None],
            queries, keys,
        ))
        found = self.read(values, at)[:, 0]
        return found[0] if found.shape[0] == 1 and values.dim() < 4 else found

    def at(self, q: Tensor, k: Tensor, queries: tuple[int, ...], keys: tuple[int, ...]) -> Tensor:
        """Where each pair of positions [entries, n] and [entries, m] is looked up: integers [..., entries, n, m]."""
        raise NotImplementedError

    def read(self, values: Tensor, at: Tensor) -> Tensor:
        """What stands there: [B | 1, entries, heads, n, m]."""
        return values.t().index_select(1, at.flatten()).unflatten(1, at.shape).transpose(0, 1)[None]

    def count(self, sequence: tuple[int, ...]) -> int:
        """How many positions a sequence has."""
        return sequence[0] + sequence[1] + math.prod(sequence[2:])

    def places(self, position: Tensor, sequence: tuple[int, ...]) -> list[Tensor]:
        """Where positions stand along each axis of their grid; those beside it anywhere."""
        cells, found = (position - sequence[0]).clamp(0, math.prod(sequence[2:]) - 1), []
        for n in reversed(sequence[2:]):
            found.append(cells % n)
            cells = cells // n
        return found[::-1]

    def beside(self, position: Tensor, sequence: tuple[int, ...]) -> Tensor:
        """Which positions are no cells of the grid."""
        return (position < sequence[0]) | (position >= sequence[0] + math.prod(sequence[2:]))


class OffsetBias(Bias):
    """A table over offsets; the tokens before the grid have three rows of their own."""

    def __init__(
        self, heads: int, size: tuple[int, ...], layout: str = "swin", prefix: int = 0,
        stride: tuple[int, ...] | None = (1, 1), step: tuple[int, ...] = (1, 1),
    ) -> None:
        super().__init__()
        self.heads = heads
        self.size = size
        self.layout = layout
        self.prefix = prefix
        self.stride = stride
        self.step = step

    def at(self, q: Tensor, k: Tensor, queries: tuple[int, ...], keys: tuple[int, ...]) -> Tensor:
        """Offsets that the table does not hold are those of no pair that is seen."""
        found, gap = torch.zeros((), dtype=torch.long, device=q.device), 1
        strides = self.stride or tuple(max(m // n, 1) for n, m in zip(queries[2:], keys[2:], strict=True))
        for a, b, size, stride, step in reversed(list(zip(
            self.places(q, queries), self.places(k, keys), self.size, strides, self.step, strict=True
        ))):
            away = ((a * stride)[..., :, None] - b[..., None, :]).div(step, rounding_mode="trunc")
            away = away.clamp(1 - size, size - 1)
            if self.layout == "symmetric":
                found, gap = found + away.abs() * gap, gap * size
            else:
                found = found + (size - 1 + (-away if self.layout == "tf" else away)) * gap
                gap = gap * (2 * size - 1)
        if not self.prefix:
            return found
        a, b = self.beside(q, queries)[..., :, None], self.beside(k, keys)[..., None, :]
        return torch.where(a, torch.where(b, gap + 2, gap), torch.where(b, gap + 1, found))

    def read(self, values: Tensor, at: Tensor) -> Tensor:
        return super().read(values if self.layout == "swin" else values.reshape(self.heads, -1).t(), at)


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


class SlopeBias(Bias):
    """- slope |q - k|, the last query at the last key."""

    def at(self, q: Tensor, k: Tensor, queries: tuple[int, ...], keys: tuple[int, ...]) -> Tensor:
        """How far each query and key stand apart."""
        return (q[..., :, None] + (self.count(keys) - self.count(queries)) - k[..., None, :]).abs()

    def read(self, values: Tensor, at: Tensor) -> Tensor:
        return (-values[:, None, None] * at.unsqueeze(-3))[None]


class BucketBias(Bias):
    """A number for each head and bucket of k - q, the last query at the last key."""

    def __init__(self, buckets: int, reach: int, bidirectional: bool) -> None:
        super().__init__()
        self.buckets = buckets
        self.reach = reach
        self.bidirectional = bidirectional

    def at(self, q: Tensor, k: Tensor, queries: tuple[int, ...], keys: tuple[int, ...]) -> Tensor:
        """The bucket of each pair, by the published formula, in float32 as published."""
        ahead = k[..., None, :] - q[..., :, None] - (self.count(keys) - self.count(queries))
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


class ProductBias(Bias):
    """Products of queries with the rows of a table per axis, [B, heads, N, rows], as a bias [B, heads, N, M].

    Along each axis query i and key j meet at row i max(k/q, 1) - j max(q/k, 1) + (k - 1) max(q/k, 1), less what a table
    of near offsets leaves out at its start. Tokens beside the grid have none.
    """

    def __init__(self, rows: tuple[int, ...]) -> None:
        super().__init__()
        self.rows = rows

    def at(self, q: Tensor, k: Tensor, queries: tuple[int, ...], keys: tuple[int, ...]) -> Tensor:
        """Among all products of a head; one behind the last for pairs that have none. One layer for each axis."""
        total, before, found = sum(self.rows), 0, []
        none = self.beside(q, queries)[..., :, None] | self.beside(k, keys)[..., None, :]
        sides = zip(self.places(q, queries), self.places(k, keys), queries[2:], keys[2:], self.rows, strict=True)
        for a, b, n, m, rows in sides:
            fine, coarse = max(m // n, 1), max(n // m, 1)
            first = max(n, m) - 1 - rows // 2
            row = ((a * fine)[..., :, None] + ((m - 1 - b) * coarse)[..., None, :] - first).clamp(0, rows - 1) + before
            found.append(torch.where(none, self.count(queries) * total, q[..., :, None] * total + row))
            before += rows
        return torch.stack(found)

    def read(self, values: Tensor, at: Tensor) -> Tensor:
        products = F.pad(values.flatten(2), (0, 1))
        found = products.new_zeros(())
        for layer in at:
            found = found + products.index_select(2, layer.flatten()).unflatten(2, layer.shape).transpose(1, 2)
        return found


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
