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
from ogive.dsl.patterns.space import Place, Sequence, unraveled

__all__ = ["answer", "features"]


def answer(
    over: Mechanism, q: Tensor, k: Tensor, v: Tensor, scale: Any, weights: Mapping[str, Tensor], head: int,
    keys: Sequence, score: str, kept: Tensor | None,
) -> Tensor:
    """What one head answers: q `B N d`, k `B M d`, v `B M e` -> `B N e`.

    `head` counts the heads that share the mechanism; `kept` are factors of its softmax's weights, for dropout.
    """
    match over:
        case Linformer():
            return _linformer(over, q, k, v, scale, weights, kept)
        case Kernel():
            return _kernel(over, q, k, v)
        case Performer():
            return _performer(over, q, k, v, scale)
        case Nystrom():
            return _nystrom(over, q, k, v, scale, weights, head)
        case Pooled():
            k, v = (_pooled(over, x, keys) for x in (k, v))
            return _dropped(_softmax(_dot(q, k) * scale), kept) @ v
        case Latent():
            return _latent(q, k, v, scale, weights, head, kept)
        case Channels():
            return _channels(q, k, v, scale, score, kept)
    raise TypeError(f"no meaning of `{over}`")


def _softmax(x: Tensor) -> Tensor:
    """exp(x) / sum exp(x) along the last axis."""
    grown = (x - x.detach().amax(-1, keepdim=True)).exp()
    return grown / grown.sum(-1, keepdim=True)


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


def _kernel(over: Kernel, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Weights f(q[n]) f(k[m]) / sum over m of f(q[n]) f(k[m]); zeros where that sum is 0.

    f is elu + 1 (Katharopoulos et al. 2020, arXiv:2006.16236, equation 4) or relu (Cai et al. 2022, arXiv:2205.14756).
    """
    def f(x: Tensor) -> Tensor:
        if over.name == "relu":
            return torch.where(x > 0, x, torch.zeros_like(x))
        return torch.where(x > 0, x + 1, torch.where(x > 0, torch.zeros_like(x), x).exp())

    p = _dot(f(q), f(k))
    total = p.sum(-1, keepdim=True)
    return p / torch.where(total == 0, torch.ones_like(total), total) @ v


def _performer(over: Performer, q: Tensor, k: Tensor, v: Tensor, scale: Any) -> Tensor:
    """Weights f(q[n]) f(k[m]), normalised, with f(x)[r] = exp(w[r] x - |x|^2 / 2) of q and k times sqrt(scale).

    f(q) f(k) comes close to exp(q k scale) (Choromanski et al. 2021, arXiv:2009.14794, lemma 1); of a scale below 0
    the sign goes to the keys.
    """
    rows = features(over.features, q.shape[-1], over.seed).to(q)
    scale = torch.as_tensor(scale, dtype=q.dtype, device=q.device)
    q, k = q * scale.abs().sqrt(), k * scale.abs().sqrt() * scale.sign()
    f = [(_dot(x, rows) - x.square().sum(-1, keepdim=True) / 2).exp() for x in (q, k)]
    p = _dot(*f)
    return p / p.sum(-1, keepdim=True) @ v


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
    over: Nystrom, q: Tensor, k: Tensor, v: Tensor, scale: Any, weights: Mapping[str, Tensor], head: int
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
    y = _softmax(_dot(q, few_k)) @ (z @ (_softmax(_dot(few_q, k)) @ v))
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


def _pooled(over: Pooled, x: Tensor, sequence: Sequence) -> Tensor:
    """The mean of each cell of `stride` along every axis, in row-major order; tokens beside the grid as they are."""
    stride = per_axis(over.stride, len(sequence.grid), str(over))
    cells: dict[Place, list[int]] = {}
    for number in range(sequence.cells):
        place = tuple(i // s for i, s in zip(unraveled(number, sequence.grid), stride, strict=True))
        cells.setdefault(place, []).append(sequence.prefix + number)
    means = [x[:, members].mean(1) for _, members in sorted(cells.items())]
    end = sequence.prefix + sequence.cells
    return torch.cat((x[:, : sequence.prefix], torch.stack(means, dim=1), x[:, end:]), dim=1)


def _latent(
    q: Tensor, k: Tensor, v: Tensor, scale: Any, weights: Mapping[str, Tensor], head: int, kept: Tensor | None
) -> Tensor:
    """softmax(q (A k)^T scale) (A v), A = softmax(l k^T scale), l learned. (Lee et al. 2019, arXiv:1810.00825.)"""
    d = q.shape[-1]
    a = _softmax(_dot(weights["latent"][:, head * d : (head + 1) * d], k) * scale)
    return _dropped(_softmax(_dot(q, a @ k) * scale), kept) @ (a @ v)


def _channels(q: Tensor, k: Tensor, v: Tensor, scale: Any, score: str, kept: Tensor | None) -> Tensor:
    """y[n, i] = sum over j of p[i, j] v[n, j], p = softmax over j of sum over n of q[n, i] k[n, j] scale.

    "cosine" divides each channel of q and k by its length over positions. (El-Nouby et al. 2021, arXiv:2106.09681.)
    """
    if score == "cosine":
        q, k = (x / x.square().sum(1, keepdim=True).sqrt().clamp(min=1e-12) for x in (q, k))
    p = _softmax(q.transpose(-1, -2) @ k * scale)
    return _dot(v, _dropped(p, kept))
