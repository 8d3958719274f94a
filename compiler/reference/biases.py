"""What biases mean, pair by pair, and how `rope` turns places into angles."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ogive.dsl.ops.biases import Buckets, Offsets, Products, Slopes
from ogive.dsl.patterns.space import Sequence, Space, unraveled
from ogive.dsl.types import Structure

__all__ = ["added", "products", "rotated"]


def added(structure: Structure | None, data: Tensor, space: Space, allowed: Tensor) -> Tensor:
    """The number that a structure adds to the score of each pair, `heads N M` or `B heads N M`; 0 where none is asked.

    `allowed`, `heads N M`, are the pairs that are asked: a table says nothing of others.
    """
    match structure:
        case Slopes():
            away = _matrix(space, _distance).to(data)
            return torch.stack([-slope * away for slope in data])
        case Buckets():
            bucket = _matrix(space, partial(_bucket, structure)).to(data.device)
            return data[bucket].permute(2, 0, 1)
        case Products():
            return _decomposed(structure, data, space)
        case Offsets():
            return _looked_up(structure, data, space, allowed.any(0))
    raise TypeError(f"{structure} is no bias")


def products(q: Tensor, tables: list[Tensor], heads: int) -> Tensor:
    """What `decomposed_relative` makes of queries `B N C` and tables `rows C/heads`: `B heads N rows`, axis by axis."""
    d = q.shape[-1] // heads
    rows = torch.cat(tables)
    return torch.stack([(q[:, :, None, i * d : (i + 1) * d] * rows).sum(-1) for i in range(heads)], dim=1)


def rotated(x: Tensor, heads: int, sequence: Sequence, base: float = 10000.0, layout: str = "half") -> Tensor:
    """`rope` of tokens `B N C`: pair j of a head, as a complex number, times exp(i place base ** (-j / pairs)).

    Each axis of the grid has its share of the pairs, the first axis the first; tokens beside the grid are not turned.
    (Su et al. 2021, arXiv:2104.09864.)
    """
    d, axes = x.shape[-1] // heads, len(sequence.grid)
    pairs = d // 2 // axes
    angles = [[_place(n, sequence, j // pairs) * base ** (-(j % pairs) / pairs) for j in range(d // 2)]
              for n in range(sequence.size)]
    cos, sin = (f(torch.tensor(angles, dtype=torch.float64)).to(x) for f in (torch.cos, torch.sin))
    channels = list(range(d))
    real, imaginary = (channels[: d // 2], channels[d // 2 :]) if layout == "half" else (channels[::2], channels[1::2])
    back = torch.tensor([(real + imaginary).index(c) for c in channels], device=x.device)
    turned = []
    for head in x.split(d, dim=-1):
        a, b = head[..., real], head[..., imaginary]
        turned.append(torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)[..., back])
    return torch.cat(turned, dim=-1)


def _place(position: int, sequence: Sequence, axis: int) -> float:
    cell = sequence.cell(position)
    return 0.0 if cell is None else float(unraveled(cell, sequence.grid)[axis])


def _matrix(space: Space, entry: Callable[[int, int, Space], int]) -> Tensor:
    """A number for each query and key, N x M."""
    return torch.tensor([[entry(q, k, space) for k in range(space.keys.size)] for q in range(space.queries.size)])


def _distance(q: int, k: int, space: Space) -> int:
    return abs(_ahead(q, k, space))


def _ahead(q: int, k: int, space: Space) -> int:
    """How far the key stands behind the query, the last query at the last key."""
    return k - (q + space.keys.size - space.queries.size)


def _bucket(b: Buckets, q: int, k: int, space: Space) -> int:
    """T5's bucket of a distance, in float32 as published (Raffel et al. 2019, arXiv:1910.10683)."""
    ahead = _ahead(q, k, space)
    half = b.buckets // 2 if b.bidirectional else b.buckets
    first = half if b.bidirectional and ahead > 0 else 0
    away = abs(ahead) if b.bidirectional else max(-ahead, 0)
    near = half // 2
    if away < near:
        return first + away
    growth = torch.log(torch.tensor(float(away), dtype=torch.float32) / near) / math.log(b.reach / near)
    return first + min(near + int(growth * (half - near)), half - 1)


def _decomposed(made: Products, data: Tensor, space: Space) -> Tensor:
    """Sum over the axes of q times the row at which query i and key j of that axis meet (arXiv:2112.01526).

    The row is i max(K/Q, 1) + (K - 1 - j) max(Q/K, 1), with Q queries and K keys along the axis; a table of near
    offsets alone leaves as many rows out at either end. 0 where it has no row: no pair there is seen.
    """
    found, start = torch.zeros((), dtype=data.dtype, device=data.device), 0
    for axis, rows in enumerate(made.rows):
        index = _matrix(space, partial(_row, axis, rows)).to(data.device)
        met = torch.where(index < 0, 0, index + start).expand(*data.shape[:2], *index.shape)
        found = found + data.gather(3, met) * (index >= 0)
        start += rows
    return found


def _row(axis: int, rows: int, q: int, k: int, space: Space) -> int:
    """-1 where the query or the key stands beside its grid, and where the table has no such row."""
    a, b = space.queries.cell(q), space.keys.cell(k)
    if a is None or b is None:
        return -1
    i, j = unraveled(a, space.queries.grid)[axis], unraveled(b, space.keys.grid)[axis]
    queries, keys = space.queries.grid[axis], space.keys.grid[axis]
    left_out = max(queries, keys) - (rows + 1) // 2
    row = i * max(keys // queries, 1) + (keys - 1 - j) * max(queries // keys, 1) - left_out
    return row if 0 <= row < rows else -1


def _looked_up(table: Offsets, data: Tensor, space: Space, asked: Tensor) -> Tensor:
    """The entry of each pair that is asked, at (stride q - k) / step along each axis; layouts as `Offsets` says."""
    if table.layout == "swin":
        rows = data.t()
    else:
        rows = data.reshape(table.heads, -1)
    index = _matrix(space, partial(_entry, table)).to(data.device)
    if (asked & (index < 0)).any():
        raise ValueError(f"{table} holds no offset of a pair that is seen")
    return rows[:, index.clamp(min=0)] * asked


def _entry(table: Offsets, q: int, k: int, space: Space) -> int:
    """Which number of a head's table is meant; -1 where the table holds none."""
    a, b = space.queries.cell(q), space.keys.cell(k)
    if a is None or b is None:
        kind = 2 if a is None and b is None else 0 if a is None else 1
        return math.prod(2 * n - 1 for n in table.size) + kind
    entry = 0
    places = zip(unraveled(a, space.queries.grid), unraveled(b, space.keys.grid), strict=True)
    strides = table.stride or [max(n // m, 1) for m, n in zip(space.queries.grid, space.keys.grid, strict=True)]
    for (i, j), n, stride, step in zip(places, table.size, strides, table.step, strict=True):
        offset, rest = divmod(stride * i - j, step)
        offset = max(1 - n, min(offset, n - 1)) if table.clip else offset
        if rest or abs(offset) >= n:
            return -1
        if table.layout == "symmetric":
            entry = entry * n + abs(offset)
        else:
            entry = entry * (2 * n - 1) + n - 1 + (-offset if table.layout == "tf" else offset)
    return entry
