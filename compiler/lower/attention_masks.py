"""Which query may see which key, as a mask of truth values, and attention under it. On torch alone, as `modules.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Cached", "PatternMask", "SetAttention"]


class Cached(nn.Module):
    """Keeps what depends on sizes and a device alone. It is never saved; nothing is kept while a graph is traced."""

    def __init__(self) -> None:
        super().__init__()
        self.cache: dict[Any, Tensor] = {}

    def kept(self, key: tuple[Any, ...], make: Callable[[], Tensor]) -> Tensor:
        """What `make` gives, once for each key."""
        if torch.compiler.is_compiling() or any(isinstance(n, torch.SymInt) for n in key):
            return make()
        found = self.cache.get(key)
        if found is None:
            with torch.inference_mode(False):  # what inference makes cannot be used in training
                found = make()
            if type(found) is Tensor and not found.is_meta:
                if len(self.cache) >= 8:
                    self.cache.clear()
                self.cache[key] = found
        return found


class PatternMask(Cached):
    """True where a query may see a key: [N, M], or [heads, N, M] for several heads.

    `pattern` is a set of pairs spelled as a tuple: ("or", ("window", 7, 3), ("prefix",)). `queries` and `keys` are
    (tokens before the grid, tokens behind it, *grid); where the grids differ by a factor, the coarser one's positions
    stand apart on the finer one.
    """

    def __init__(self, pattern: tuple[Any, ...], heads: tuple[int, ...] = (0,)) -> None:
        super().__init__()
        self.pattern = pattern
        self.heads = heads

    def forward(self, like: Tensor, queries: tuple[int, ...], keys: tuple[int, ...]) -> Tensor:
        device = like.device
        return self.kept((device, queries, keys, *queries, *keys), lambda: self.built(device, queries, keys))

    def built(self, device: torch.device, queries: tuple[int, ...], keys: tuple[int, ...]) -> Tensor:
        """The mask, from its definition."""
        masks = [self.of(self.pattern, queries, keys, False, head, device) for head in self.heads]
        return masks[0] if len(masks) == 1 else torch.stack(masks)

    def of(
        self, p: tuple[Any, ...], queries: tuple[int, ...], keys: tuple[int, ...], flat: bool, head: int,
        device: torch.device,
    ) -> Tensor:
        """The mask of one pattern for one head; `flat` numbers places along the common grid, row-major."""
        kind, n, m = p[0], self.count(queries), self.count(keys)
        if kind in ("or", "and"):
            found = self.of(p[1], queries, keys, flat, head, device)
            for part in p[2:]:
                other = self.of(part, queries, keys, flat, head, device)
                found = found | other if kind == "or" else found & other
            return found
        if kind == "not":
            return ~self.of(p[1], queries, keys, flat, head, device)
        if kind == "per_head":
            return self.of(p[1 + head % (len(p) - 1)], queries, keys, flat, head, device)
        if kind == "dense":
            return torch.ones(n, m, dtype=torch.bool, device=device)
        rows, cols = torch.arange(n, device=device)[:, None], torch.arange(m, device=device)[None]
        if kind == "causal":
            return cols <= rows + (m - n if p[1] is None else p[1])
        if kind == "prefix":
            return ~(self.inside(rows, queries) & self.inside(cols, keys))
        if kind == "runs":  # how many are False, then True, then False, ... row by row
            runs = torch.tensor(p[1 + head % (len(p) - 1)], device=device)
            return (torch.arange(len(runs), device=device) % 2).repeat_interleave(runs).bool().view(n, m)
        if kind == "asked":  # a set that is known to answer only: keys as the bits of an integer
            return torch.tensor(p[1](queries, keys, head), dtype=torch.bool, device=device).view(n, m)
        around = (keys[0], keys[1], queries[0], queries[1])
        if kind in ("flat", "strided", "block", "global_tokens", "chosen"):
            a, b, flat = self.flattened(queries, keys, flat)
            if kind == "flat":
                return F.pad(self.of(p[1], a, b, flat, head, device), around)
            return F.pad(self.along(p, a, b, flat, head, device), around)
        found = F.pad(self.axes(p, queries, keys, flat, device), around)
        if kind == "self":
            found = found | self.tokens(rows, cols, queries, keys)
        return found

    def count(self, sequence: tuple[int, ...]) -> int:
        """How many positions a sequence has."""
        return sequence[0] + sequence[1] + math.prod(sequence[2:])

    def inside(self, position: Tensor, sequence: tuple[int, ...]) -> Tensor:
        """Whether positions are cells of the grid."""
        return (position >= sequence[0]) & (position < sequence[0] + math.prod(sequence[2:]))

    def tokens(self, rows: Tensor, cols: Tensor, queries: tuple[int, ...], keys: tuple[int, ...]) -> Tensor:
        """Pairs of the same token outside the grid."""
        a = torch.where(rows < queries[0], rows, rows - math.prod(queries[2:]))
        b = torch.where(cols < keys[0], cols, cols - math.prod(keys[2:]))
        return (a == b) & ~self.inside(rows, queries) & ~self.inside(cols, keys)

    def steps(self, queries: tuple[int, ...], keys: tuple[int, ...]) -> list[tuple[int, int]] | None:
        """How far neighbours stand apart along each axis of the common grid; None where there is none."""
        a, b = queries[2:], keys[2:]
        if len(a) != len(b) or any(max(n, m) % min(n, m) for n, m in zip(a, b, strict=True)):
            return None
        return [(max(n, m) // n, max(n, m) // m) for n, m in zip(a, b, strict=True)]

    def flattened(
        self, queries: tuple[int, ...], keys: tuple[int, ...], flat: bool
    ) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
        """The cells alone, along the sequence."""
        a, b = queries[2:], keys[2:]
        if flat or (len(a) > 1 and a != b and self.steps(queries, keys) is not None):
            return (0, 0, *a), (0, 0, *b), True
        return (0, 0, math.prod(a)), (0, 0, math.prod(b)), False

    def places(
        self, queries: tuple[int, ...], keys: tuple[int, ...], flat: bool, device: torch.device
    ) -> list[tuple[Tensor, Tensor, int]]:
        """Along each axis of the common grid: where queries (a column) and keys (a row) stand, and its length."""
        steps = self.steps(queries, keys)
        if steps is None:
            raise ValueError(f"queries on {queries[2:]} and keys on {keys[2:]} do not stand on one grid")
        lengths = [n * s for n, (s, _) in zip(queries[2:], steps, strict=True)]
        sides = []
        for side, sequence in enumerate((queries, keys)):
            cells = torch.arange(math.prod(sequence[2:]), device=device)
            at = []
            for n, step in zip(reversed(sequence[2:]), reversed(steps), strict=True):
                at.append(cells % n * step[side])
                cells = cells // n
            sides.append(at[::-1])
        if flat:
            for i, at in enumerate(sides):
                number = torch.zeros_like(at[0])
                for x, n in zip(at, lengths, strict=True):
                    number = number * n + x
                sides[i] = [number]
            lengths = [math.prod(lengths)]
        return [(x[:, None], y[None], n) for x, y, n in zip(*sides, lengths, strict=True)]

    def along(
        self, p: tuple[Any, ...], queries: tuple[int, ...], keys: tuple[int, ...], flat: bool, head: int,
        device: torch.device,
    ) -> Tensor:
        """A pattern that goes by the row-major numbers of cells."""
        x, y, length = self.places(queries, keys, flat, device)[0]
        if p[0] == "strided":
            return (x - y) % p[1] == 0
        if p[0] == "block":
            return (x // p[1] - y // p[1]).abs() <= p[2]
        if p[0] == "global_tokens":
            return (x < p[1]) | (y < p[1])
        tables = p[2:]  # for each head, for each block the blocks it sees
        chosen, count = tables[head % len(tables)], -(-length // p[1])
        seen = torch.zeros(count, count, dtype=torch.bool, device=device)
        for block, blocks in enumerate(chosen):
            seen[block, list(blocks)] = True
        return seen[x // p[1], y // p[1]]

    def axes(
        self, p: tuple[Any, ...], queries: tuple[int, ...], keys: tuple[int, ...], flat: bool, device: torch.device
    ) -> Tensor:
        """A pattern that asks of each axis by itself."""
        found = torch.ones(math.prod(queries[2:]), math.prod(keys[2:]), dtype=torch.bool, device=device)
        places = self.places(queries, keys, flat, device)
        for axis, (x, y, length) in enumerate(places):
            args = [a[axis] if isinstance(a, tuple) else a for a in p[1:]]
            if p[0] == "self":
                found = found & (x == y)
            elif p[0] == "axial":  # counted from the last axis: columns, rows, frames
                found = found if len(places) - 1 - axis == p[1] else found & (x == y)
            elif p[0] == "window":
                n, shift = args
                if length > n:
                    found = found & ((x + n - shift) // n == (y + n - shift) // n)
            elif p[0] == "sliding":
                n, clamp = args
                start = (x - n // 2).clamp(0, max(length - n, 0)) if clamp else x - n // 2
                found = found & (y >= start) & (y < start + n)
            else:
                n, step = args  # dilated
                found = found & ((x - y).abs() <= step * (n // 2)) & ((x - y) % step == 0)
        return found


class SetAttention(nn.Module):
    """softmax(q k^T scale + bias) v over a set of pairs: torch's fused attention under a mask of all pairs.

    Several heads of q may share one of k and v. `seen` says which pairs, `bias` how the values of a bias are looked up;
    either may be missing. A mask is True where a query may see a key, or added; `queries` and `keys` are (tokens before
    the grid, behind it, *grid). Where `walked` is given it computes what it does not refuse (`kernels/attention.py`),
    products in its `precision`.
    """

    def __init__(self, scale: float | None = None, drop: float = 0.0, causal: bool = False) -> None:
        super().__init__()
        self.scale = scale
        self.drop = drop
        self.causal = causal
        self.seen: Any = None
        self.bias: Any = None
        self.walked: Any = None
        self.precision = "ieee"

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, queries: tuple[int, ...], keys: tuple[int, ...],
        mask: Tensor | None = None, table: Tensor | None = None,
    ) -> Tensor:
        drop = self.drop if self.training else 0.0
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=self.hidden(q, queries, keys, mask, table), dropout_p=drop, is_causal=self.causal,
            scale=self.scale, enable_gqa=q.shape[1] != k.shape[1],
        )

    def hidden(
        self, q: Tensor, queries: tuple[int, ...], keys: tuple[int, ...], mask: Tensor | None, table: Tensor | None
    ) -> Tensor | None:
        """What is added to the scores of all pairs, or which of them are seen; None for neither."""
        added = mask
        if self.seen is not None:
            seen = self.seen(q, queries, keys)
            if mask is None:
                added = seen
            else:
                added = seen & mask if mask.dtype == torch.bool else torch.where(seen, mask, float("-inf"))
        if self.bias is not None:
            bias = self.bias(table, queries, keys).type_as(q)
            if added is None:
                added = bias
            else:
                added = torch.where(added, bias, float("-inf")) if added.dtype == torch.bool else bias + added
        return added

    def extra_repr(self) -> str:
        return f"scale={self.scale}, drop={self.drop}, causal={self.causal}"
