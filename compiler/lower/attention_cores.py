"""Attention written out, where no fused kernel does it: other scores, mixed heads, and mechanisms without pairs."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ogive.compiler.lower.attention_masks import Cached

__all__ = ["ChannelAttention", "KernelAttention", "Latents", "NystromAttention", "PerformerAttention", "PooledKeys",
           "WrittenAttention"]

class WrittenAttention(nn.Module):
    """softmax(scores * scale + bias, where `mask` allows it) v, step by step; a query that sees no key answers zeros.

    Scores: "dot" q k; "additive" vector tanh(q + k); "distance" -|q - k|^2; `factor` is one more scale, for each head.
    `before` and `after` are [heads, heads + 1]: a matrix from heads to heads and its bias. A mask of floats is added,
    behind `before`.
    """

    def __init__(self, score: str = "dot", scale: float | None = None, drop: float = 0.0) -> None:
        super().__init__()
        self.score = score
        self.scale = scale
        self.drop = drop

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, bias: Tensor | None = None,
        vector: Tensor | None = None, before: Tensor | None = None, after: Tensor | None = None,
        factor: Tensor | None = None,
    ) -> Tensor:
        if self.score == "dot":
            scores = q @ k.transpose(-1, -2)
        elif self.score == "distance":
            scores = -(q.unsqueeze(-2) - k.unsqueeze(-3)).square().sum(-1)
        else:
            assert vector is not None
            scores = torch.tanh(q.unsqueeze(-2) + k.unsqueeze(-3)) @ vector
        scale = q.shape[-1] ** -0.5 if self.scale is None else self.scale
        scores = scores if scale == 1 else scores * scale
        if factor is not None:
            scores = scores * factor
        if bias is not None:
            scores = scores + bias
        if before is not None:
            scores = self.mixed(scores, before)
        hidden = None
        if mask is not None and mask.dtype == torch.bool:
            hidden = (~mask).expand(scores.shape)
        elif mask is not None:
            scores = scores + mask
            hidden = scores == float("-inf")
        if hidden is not None:
            blind = hidden.all(-1, keepdim=True)
            scores = scores.masked_fill(hidden, float("-inf")).masked_fill(blind, 0.0)
        weights = scores.softmax(-1)
        if after is not None:
            if hidden is not None:  # a head that sees nothing gives nothing to others
                weights = weights.masked_fill(hidden, 0.0)
            weights = self.mixed(weights, after)
        if hidden is not None:
            weights = weights.masked_fill(hidden, 0.0)
        return F.dropout(weights, self.drop, self.training) @ v

    def mixed(self, x: Tensor, mix: Tensor) -> Tensor:
        """Each head a sum of all heads."""
        return torch.einsum("oh,bhnm->bonm", mix[:, :-1], x) + mix[:, -1][:, None, None]


class KernelAttention(nn.Module):
    """f(q) (f(k)^T v) / (f(q) sum f(k)), f = elu + 1 or relu: never N x N. A query with f(q) f(k) = 0 answers zeros.

    Causal, the sums over keys end at the query's place, the last query at the last key. `chunk` places at a time see
    the sum over those before them, and each other pair by pair; all chunks are done at once, with N/chunk sums of
    d x d. `seen`, [B, 1, M, 1], says which keys take part. What a sum of weights is divided by is at least `least`.
    """

    least = 1e-15

    def __init__(self, name: str = "elu", causal: bool = False, chunk: int = 128) -> None:
        super().__init__()
        self.name = name
        self.causal = causal
        self.chunk = chunk

    def forward(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None) -> Tensor:
        q, k, v = self.positive(q), self.positive(k), v.contiguous()
        if seen is not None:
            k = torch.where(seen, k, 0.0)
        if self.causal:
            return self.along(q, k, v)
        total = q @ k.sum(-2, keepdim=True).transpose(-1, -2)
        return q @ (k.transpose(-1, -2) @ v) / total.clamp(min=self.least)

    def positive(self, x: Tensor) -> Tensor:
        """f(x), head by head side by side in memory: products of slices that are not would take their time."""
        x = x.contiguous()
        if self.name != "elu":
            return F.relu(x)
        return F.threshold(x, 0.0, 0.0).add_(x.clamp(max=0.0).exp_())  # elu(x) + 1, small values not rounded at 1

    def along(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The causal answers, of f(q) and f(k)."""
        n, m = q.shape[2], k.shape[2]
        if n > m:  # the first queries see nothing
            return F.pad(self.along(q[:, :, n - m :], k, v), (0, 0, n - m, 0))
        wide = torch.float64 if q.dtype == torch.float64 else torch.float32
        if not isinstance(n, int) or not isinstance(m, int):  # a length that is left free: no chunks, a sum for each
            sums = (k.to(wide).unsqueeze(-1) * v.unsqueeze(-2)).cumsum(2)[:, :, m - n :]
            totals = k.to(wide).cumsum(2)[:, :, m - n :]
            total = (q * totals).sum(-1, keepdim=True).clamp(min=self.least)
            return ((q.to(wide).unsqueeze(-2) @ sums).squeeze(-2) / total).to(q.dtype)
        before, size = m - n, max(min(self.chunk, n), 1)  # keys that every query sees
        count = -(-n // size)
        first, k = k[:, :, :before], k[:, :, before:]
        early, v = v[:, :, :before], v[:, :, before:]
        q, k, v = (F.pad(x, (0, 0, 0, count * size - n)).unflatten(2, (count, size)) for x in (q, k, v))
        # the sum before each chunk: that of all keys so far less its own would be rounded by what comes later
        own, each = (first.transpose(-1, -2) @ early).to(wide), first.to(wide).sum(-2)
        sums = torch.cat((own.unsqueeze(2), (k[:, :, :-1].transpose(-1, -2) @ v[:, :, :-1]).to(wide)), 2).cumsum(2)
        totals = torch.cat((each.unsqueeze(2), k[:, :, :-1].to(wide).sum(-2)), 2).cumsum(2)
        pairs = (q @ k.transpose(-1, -2)).tril()
        total = q @ totals.to(q.dtype).unsqueeze(-1) + pairs.sum(-1, keepdim=True)
        found = (q @ sums.to(q.dtype) + pairs @ v) / total.clamp(min=self.least)
        return found.flatten(2, 3)[:, :, :n]


class PerformerAttention(Cached):
    """f(q) (f(k)^T v) with positive orthogonal random features of exp(q k scale), drawn from `seed` and never saved.

    With `redraw`, features are drawn anew after so many steps of training. `factor` is a scale for each head, in place
    of `scale`; `seen`, [B, 1, M, 1], says which keys take part.
    """

    def __init__(self, features: int = 256, seed: int = 0, redraw: int = 0, scale: float | None = None) -> None:
        super().__init__()
        self.features = features
        self.seed = seed
        self.redraw = redraw
        self.scale = scale
        self.steps = 0

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, factor: Tensor | None = None, seen: Tensor | None = None
    ) -> Tensor:
        d, device = q.shape[-1], q.device
        q, k, v = (x.contiguous() for x in (q, k, v))
        scale = d ** -0.5 if self.scale is None else self.scale
        seed = self.seed
        if self.redraw:
            seed += self.steps // self.redraw
            self.steps += int(self.training)
        drawn = self.kept((device, d, seed), lambda: self.drawn(d, seed).to(device)).to(q.dtype)
        if factor is not None:
            half = factor.abs().sqrt()
            q, k = q * half, k * (half * factor.sign())
        else:
            q, k = q * abs(scale) ** 0.5, k * (abs(scale) ** 0.5 * (1 if scale >= 0 else -1))
        a = q @ drawn.t() - q.square().sum(-1, keepdim=True) / 2
        b = k @ drawn.t() - k.square().sum(-1, keepdim=True) / 2
        a = (a - a.amax(-1, keepdim=True)).exp()
        if seen is not None:
            b = b.masked_fill(~seen, float("-inf"))
        b = (b - b.amax((-1, -2), keepdim=True).clamp(min=torch.finfo(b.dtype).min)).exp()
        return a @ (b.transpose(-1, -2) @ v) / (a @ b.sum(-2, keepdim=True).transpose(-1, -2)).clamp(min=1e-30)

    def drawn(self, d: int, seed: int) -> Tensor:
        """Rows that are orthogonal, d at a time, as long as rows of normal numbers are."""
        generator = torch.Generator().manual_seed(seed)
        rows: list[Tensor] = []
        for _ in range(-(-self.features // d)):
            square = torch.randn(d, d, generator=generator, dtype=torch.float64)
            turned, upper = torch.linalg.qr(square)
            rows.append((turned * upper.diagonal().sign()).t())  # without the signs, directions are not equally likely
        length = torch.randn(self.features, d, generator=generator, dtype=torch.float64).norm(dim=1)
        return torch.cat(rows)[: self.features] * length[:, None]


class NystromAttention(nn.Module):
    """softmax(q l_k) pinv(softmax(l_q l_k)) softmax(l_q k) v, the landmarks l being means of stretches: never N x N.

    `seen`, [B, 1, M, 1], says which keys take part; the others count as zeros in the means.
    """

    def __init__(self, landmarks: int, iterations: int = 6, scale: float | None = None) -> None:
        super().__init__()
        self.landmarks = landmarks
        self.iterations = iterations
        self.scale = scale

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, filters: Tensor | None = None, seen: Tensor | None = None
    ) -> Tensor:
        scale = q.shape[-1] ** -0.5 if self.scale is None else self.scale
        q = q * scale
        if seen is not None:
            k, v = torch.where(seen, k, 0.0), torch.where(seen, v, 0.0)
        few_q, few_k = self.few(q), self.few(k)
        left = (q @ few_k.transpose(-1, -2)).softmax(-1)
        middle = (few_q @ few_k.transpose(-1, -2)).softmax(-1)
        right = few_q @ k.transpose(-1, -2)
        if seen is None:
            right = right.softmax(-1)
        else:  # where nothing is seen there is no weight
            hidden = ~seen.transpose(-1, -2)
            right = right.masked_fill(hidden, float("-inf")).softmax(-1).masked_fill(hidden, 0.0)
        y = left @ (self.inverse(middle) @ (right @ v))
        if filters is not None:
            y = y + F.conv2d(v, filters, padding=(filters.shape[2] // 2, 0), groups=v.shape[1])
        return y

    def few(self, x: Tensor) -> Tensor:
        """The means of the stretches of a sequence."""
        flat = x.flatten(0, 1).transpose(-1, -2)
        return F.adaptive_avg_pool1d(flat, self.landmarks).transpose(-1, -2).unflatten(0, x.shape[:2])

    def inverse(self, x: Tensor) -> Tensor:
        """The pseudo-inverse, by the published iteration."""
        one = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
        size = x.abs()
        rows, cols = (size.sum(axis, keepdim=True).amax((-1, -2), keepdim=True) for axis in (-1, -2))
        z = x.transpose(-1, -2) / (rows * cols)
        for _ in range(self.iterations):
            xz = x @ z
            z = 0.25 * z @ (13 * one - xz @ (15 * one - xz @ (7 * one - xz)))
        return z


class PooledKeys(nn.Module):
    """Cells of `stride` along each axis of the grid as one each, smaller at the border; tokens beside it stay.

    `by` is "mean", "max", or "conv": a filter for each channel, [heads d, 1, *stride]. `seen`, [B, 1, M, 1], says which
    keys take part; called with it alone, it answers which cells hold one.
    """

    def __init__(self, stride: tuple[int, ...], by: str = "mean") -> None:
        super().__init__()
        self.stride = stride
        self.by = by

    def forward(
        self, x: Tensor, sequence: tuple[int, ...], weight: Tensor | None = None, seen: Tensor | None = None
    ) -> Tensor:
        before, behind, grid = sequence[0], sequence[1], sequence[2:]
        inside = x.narrow(2, before, math.prod(grid))
        shown = None if seen is None else seen.narrow(2, before, math.prod(grid))
        if x.dtype == torch.bool:
            pooled = self.pooled(inside.to(torch.get_default_dtype()), grid, "max") > 0
        elif weight is not None:
            pooled = self.filtered(inside if shown is None else torch.where(shown, inside, 0.0), grid, weight)
        elif shown is None:
            pooled = self.pooled(inside, grid, self.by)
        elif self.by == "max":
            top = self.pooled(torch.where(shown, inside, float("-inf")), grid, "max")
            pooled = torch.where(top == float("-inf"), 0.0, top)
        else:
            count = self.pooled(shown.to(x.dtype), grid, "mean")  # the share of a cell that is seen
            pooled = self.pooled(torch.where(shown, inside, 0.0), grid, "mean") / torch.where(count > 0, count, 1.0)
        if seen is not None:
            x = torch.where(seen, x, 0.0)
        parts = [x.narrow(2, 0, before), pooled, x.narrow(2, x.shape[2] - behind, behind)]
        return torch.cat(parts, dim=2) if before or behind else pooled

    def pooled(self, x: Tensor, grid: tuple[int, ...], by: str) -> Tensor:
        """[B, H, cells, d] -> [B, H, fewer, d]"""
        cells = x.transpose(2, 3).flatten(0, 1).unflatten(-1, grid)
        pools: dict[str, tuple[Any, ...]] = {
            "mean": (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d), "max": (F.max_pool1d, F.max_pool2d, F.max_pool3d),
        }
        # torch refuses a cell that is longer than its axis
        stride = [min(s, n) if isinstance(n, int) else s for s, n in zip(self.stride, grid, strict=True)]
        if len(grid) == 3 and x.dtype.itemsize < 4:  # torch pools no frames of half precision on a CPU
            cells = cells.float()
        found: Tensor = pools[by][len(grid) - 1](cells, stride, stride, ceil_mode=True).to(x.dtype)
        return found.flatten(2).transpose(1, 2).unflatten(0, x.shape[:2])

    def filtered(self, x: Tensor, grid: tuple[int, ...], weight: Tensor) -> Tensor:
        """The same by filters, with zeros beyond the border."""
        cells = x.transpose(2, 3).flatten(1, 2).unflatten(-1, grid)
        spare = [pad for n, s in zip(reversed(grid), reversed(self.stride), strict=True) for pad in (0, -n % s)]
        conv = (F.conv1d, F.conv2d, F.conv3d)[len(grid) - 1]
        found = conv(F.pad(cells, spare), weight, stride=self.stride, groups=weight.shape[0])
        return found.flatten(2).unflatten(1, (x.shape[1], -1)).transpose(2, 3)


class Latents(nn.Module):
    """Keys and values as few learned queries see them: softmax(l k^T scale) k and v, joined along the channels.

    `factor` is a scale for each head, in place of `scale`; `seen`, [B, 1, M, 1], says which keys take part.
    """

    def __init__(self, heads: int, scale: float | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.scale = scale

    def forward(
        self, latent: Tensor, k: Tensor, v: Tensor, factor: Tensor | None = None, seen: Tensor | None = None
    ) -> Tensor:
        few = latent.unflatten(-1, (self.heads, -1)).transpose(0, 1)
        scale = k.shape[-1] ** -0.5 if self.scale is None else self.scale
        few = few if factor is None else few * factor
        scores, joined = few @ k.transpose(-1, -2) * scale, torch.cat((k, v), dim=-1)
        if seen is None:
            return scores.softmax(-1) @ joined
        hidden = ~seen.transpose(-1, -2)  # where nothing is seen there is no weight
        return scores.masked_fill(hidden, float("-inf")).softmax(-1).masked_fill(hidden, 0.0) @ joined


class ChannelAttention(nn.Module):
    """softmax(q^T k scale) v^T over the channels of a head; "cosine" divides q and k by their length over positions.

    `factor` is a scale for each head, in place of `scale`; `seen`, [B, 1, N, 1], says which positions are summed over:
    the others answer zeros.
    """

    def __init__(self, score: str = "dot", scale: float | None = None, drop: float = 0.0) -> None:
        super().__init__()
        self.score = score
        self.scale = scale
        self.drop = drop

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, factor: Tensor | None = None, seen: Tensor | None = None
    ) -> Tensor:
        if seen is not None:
            q, k, v = (torch.where(seen, x, 0.0) for x in (q, k, v))
        if self.score == "cosine":
            q, k = F.normalize(q, dim=-2), F.normalize(k, dim=-2)
        scores = q.transpose(-1, -2) @ k
        if factor is not None:
            scores = scores * factor
        else:
            scores = scores * (q.shape[-1] ** -0.5 if self.scale is None else self.scale)
        weights = F.dropout(scores.softmax(-1), self.drop, self.training)
        return v @ weights.transpose(-1, -2)
