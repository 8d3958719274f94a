"""What mechanisms mean: one head at a time, by the equations of their papers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ogive.dsl.patterns import Mechanism
from ogive.dsl.patterns.mechanisms import Channels, Kernel, Latent, Linformer, Nystrom, Performer, Pooled
from ogive.dsl.patterns.sizes import per_axis
from ogive.dsl.patterns.space import Place, Sequence, raveled, unraveled

__all__ = ["answer", "features"]


def answer(
    over: Mechanism, q: Tensor, k: Tensor, v: Tensor, scale: Any, weights: Mapping[str, Tensor], head: int,
    keys: Sequence, score: str, kept: Tensor | None, mask: Tensor | None = None,
) -> Tensor:
    """What one head answers: q `B N d`, k `B M d`, v `B M e` -> `B N e`.

    `head` counts the heads that share the mechanism; `kept` are factors of its softmax's weights, for dropout; `mask`,
    `B M`, says which keys take part.
    """
    seen = torch.ones(1, k.shape[1], dtype=torch.bool, device=k.device) if mask is None else mask
    k, v = (torch.where(seen[..., None], x, torch.zeros_like(x)) for x in (k, v))
    match over:
        case Linformer():
            return _linformer(over, q, k, v, scale, weights, kept)
        case Kernel():
            return _kernel(over, q, k, v, seen)
        case Performer():
            return _performer(over, q, k, v, scale, seen)
        case Nystrom():
            return _nystrom(over, q, k, v, scale, weights, head, seen)
        case Pooled():
            k, there = _pooled(over, k, keys, seen, weights.get("K"), head)
            v, _ = _pooled(over, v, keys, seen, weights.get("V"), head)
            return _dropped(_softmax(_dot(q, k) * scale, there), kept) @ v
        case Latent():
            return _latent(q, k, v, scale, weights, head, kept, seen)
        case Channels():
            q = torch.where(seen[..., None], q, torch.zeros_like(q))
            return _channels(q, k, v, scale, score, kept)
    raise TypeError(f"no meaning of `{over}`")


def _softmax(x: Tensor, seen: Tensor | None = None) -> Tensor:
    """exp(x) / sum exp(x) along the last axis, of what is `seen` [B, last]; zeros where nothing is."""
    grown = (x - x.detach().amax(-1, keepdim=True)).exp()
    if seen is not None:
        grown = grown * seen[:, None]
    total = grown.sum(-1, keepdim=True)
    return grown / torch.where(total == 0, torch.ones_like(total), total)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """a b for each row of a and each row of b."""
    return a @ b.transpose(-1, -2)


def _dropped(p: Tensor, kept: Tensor | None) -> Tensor:
    return p if kept is None else p * kept


def _linformer(
    over: Linformer, q: Tensor, k: Tensor, v: Tensor, scale: Any, weights: Mapping[str, Tensor], kept: Tensor | None
) -> Tensor:
    """softmax(q (E k)^T scale) (F v), F = E where they share it. (Wang et al. 2020, arXiv:2006.04768, equation 7.)"""
    first, second = weights["E"], weights["E" if over.share else "F"]
    return _dropped(_softmax(_dot(q, first @ k) * scale), kept) @ (second @ v)


def _kernel(over: Kernel, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
    """Weights f(q[n]) f(k[m]) / sum over m of f(q[n]) f(k[m]), over what is seen; zeros where that sum is 0.

    Causal, n sees the m up to n + M - N.

    f is elu + 1 (Katharopoulos et al. 2020, arXiv:2006.16236, equation 4) or relu (Cai et al. 2022, arXiv:2205.14756).
    """
    def f(x: Tensor) -> Tensor:
        if over.name == "relu":
            return torch.where(x > 0, x, torch.zeros_like(x))
        return torch.where(x > 0, x + 1, torch.where(x > 0, torch.zeros_like(x), x).exp())

    p = _dot(f(q), f(k)) * seen[:, None]
    if over.causal:
        p = p.tril(k.shape[1] - q.shape[1])
    total = p.sum(-1, keepdim=True)
    return p / torch.where(total == 0, torch.ones_like(total), total) @ v


def _performer(over: Performer, q: Tensor, k: Tensor, v: Tensor, scale: Any, seen: Tensor) -> Tensor:
    """Weights f(q[n]) f(k[m]), normalised, with f(x)[r] = exp(w[r] x - |x|^2 / 2) of q and k times sqrt(scale).

    f(q) f(k) comes close to exp(q k scale) (Choromanski et al. 2020, arXiv:2009.14794, lemma 1); of a scale below 0
    the sign goes to the keys.
    """
    rows = features(over.features, q.shape[-1], over.seed).to(q)
    scale = torch.as_tensor(scale, dtype=q.dtype, device=q.device)
    q, k = q * scale.abs().sqrt(), k * scale.abs().sqrt() * scale.sign()
    f = [(_dot(x, rows) - x.square().sum(-1, keepdim=True) / 2).exp() for x in (q, k)]
    p = _dot(*f) * seen[:, None]
    total = p.sum(-1, keepdim=True)
    return p / torch.where(total == 0, torch.ones_like(total), total) @ v


def features(count: int, d: int, seed: int) -> Tensor:
    """Rows of which d at a time are orthogonal, of the length of d normal numbers.

    Drawn from torch's generator at `seed`, in float64: for each d rows a square matrix, whose columns are made
    orthonormal one after the other (Gram and Schmidt); then `count` times d numbers for the lengths.
    """
    generator = torch.Generator().manual_seed(seed)
    rows: list[Tensor] = []
    for _ in range(math.ceil(count / d)):
        square = torch.randn(d, d, generator=generator, dtype=torch.float64)
        block: list[Tensor] = []
        for column in square.unbind(1):
            for _ in range(2):  # the second time takes away what rounding has left
                column = column - sum((row * (row @ column) for row in block), torch.zeros_like(column))
            block.append(column / column.square().sum().sqrt())
        rows += block
    length = torch.randn(count, d, generator=generator, dtype=torch.float64).square().sum(1).sqrt()
    return torch.stack(rows[:count]) * length[:, None]


def _nystrom(
    over: Nystrom, q: Tensor, k: Tensor, v: Tensor, scale: Any, weights: Mapping[str, Tensor], head: int, seen: Tensor
) -> Tensor:
    """softmax(q l_k^T) Z softmax(l_q k^T) v, with Z -> pinv(softmax(l_q l_k^T)), arXiv:2102.03902.

    Landmark i of m is the mean of positions floor(i N / m) to ceil((i + 1) N / m) - 1. Z starts as A^T over the
    largest sums of a row and of a column of A, and Z <- Z/4 (13 I - A Z (15 I - A Z (7 I - A Z))), equation 11.
    """
    q = q * scale
    few_q, few_k = (_landmarks(x, over.landmarks) for x in (q, k))
    a = _softmax(_dot(few_q, few_k))
    rows, columns = (a.abs().sum(axis).amax(-1)[:, None, None] for axis in (-1, -2))
    z, one = a.transpose(-1, -2) / (rows * columns), torch.eye(over.landmarks).to(a)
    for _ in range(over.iterations):
        az = a @ z
        z = z / 4 @ (13 * one - az @ (15 * one - az @ (7 * one - az)))
    y = _softmax(_dot(q, few_k)) @ (z @ (_softmax(_dot(few_q, k), seen) @ v))
    if not over.conv:
        return y
    taps, half = weights["conv.weight"][head, 0, :, 0], over.conv // 2
    near = []
    for n in range(v.shape[1]):
        within = [(t, n + t - half) for t in range(over.conv) if 0 <= n + t - half < v.shape[1]]
        near.append(sum((taps[t] * v[:, m] for t, m in within), torch.zeros_like(v[:, 0])))
    return y + torch.stack(near, dim=1)


def _landmarks(x: Tensor, count: int) -> Tensor:
    n = x.shape[1]
    return torch.stack([x[:, i * n // count : -(-(i + 1) * n // count)].mean(1) for i in range(count)], dim=1)


def _pooled(
    over: Pooled, x: Tensor, sequence: Sequence, seen: Tensor, weight: Tensor | None, head: int
) -> tuple[Tensor, Tensor]:
    """Each cell of `stride` along every axis as one, in row-major order, and which of them hold a key that is seen.

    The mean or the largest of those seen, or their sum by a filter for each channel, `heads d 1 stride`. Tokens beside
    the grid are as they are.
    """
    stride = per_axis(over.stride, len(sequence.grid), str(over))
    cells: dict[Place, list[int]] = {}
    for number in range(sequence.cells):
        place = tuple(i // s for i, s in zip(unraveled(number, sequence.grid), stride, strict=True))
        cells.setdefault(place, []).append(number)
    seen, made, there = seen.expand(x.shape[:2]), [], []
    for _, members in sorted(cells.items()):
        at = [sequence.prefix + number for number in members]
        some, shown = x[:, at], seen[:, at, None]
        there.append(shown.any(1))
        if weight is not None:
            d = x.shape[-1]
            own = weight[head * d : (head + 1) * d].flatten(1)
            places = [[i % s for i, s in zip(unraveled(n, sequence.grid), stride, strict=True)] for n in members]
            filters = own[:, [raveled(tuple(place), stride) for place in places]].t()
            made.append((some * filters).sum(1))
        elif over.by == "max":
            hidden = some.masked_fill(~shown, float("-inf"))
            top = hidden[:, 0]
            for x_at in hidden.unbind(1)[1:]:  # of equal ones the first is taken
                top = torch.where(x_at > top, x_at, top)
            made.append(torch.where(shown.any(1), top, torch.zeros_like(top)))
        else:
            made.append((some * shown).sum(1) / shown.sum(1).clamp(min=1))
    before, end = sequence.prefix, sequence.prefix + sequence.cells
    pooled = torch.cat((x[:, :before], torch.stack(made, dim=1), x[:, end:]), dim=1)
    return pooled, torch.cat((seen[:, :before], torch.cat(there, dim=1), seen[:, end:]), dim=1)


def _latent(
    q: Tensor, k: Tensor, v: Tensor, scale: Any, weights: Mapping[str, Tensor], head: int, kept: Tensor | None,
    seen: Tensor,
) -> Tensor:
    """softmax(q (A k)^T scale) (A v), A = softmax(l k^T scale), l learned. (Lee et al. 2018, arXiv:1810.00825.)"""
    d = q.shape[-1]
    a = _softmax(_dot(weights["latent"][:, head * d : (head + 1) * d], k) * scale, seen)
    return _dropped(_softmax(_dot(q, a @ k) * scale), kept) @ (a @ v)


def _channels(q: Tensor, k: Tensor, v: Tensor, scale: Any, score: str, kept: Tensor | None) -> Tensor:
    """y[n, i] = sum over j of p[i, j] v[n, j], p = softmax over j of sum over n of q[n, i] k[n, j] scale.

    "cosine" divides each channel of q and k by its length over positions. (El-Nouby et al. 2021, arXiv:2106.09681.)
    """
    if score == "cosine":
        q, k = (x / x.square().sum(1, keepdim=True).sqrt().clamp(min=1e-12) for x in (q, k))
    p = _softmax(q.transpose(-1, -2) @ k * scale)
    return _dot(v, _dropped(p, kept))
