"""What the core of attention works with and keeps, in bytes: fused, part by part, or written out with its scores."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final, Literal

from ogive.dsl.dims import Dim, ceil_div
from ogive.dsl.ops.attention import Attend, position_axis
from ogive.dsl.ops.biases import Products
from ogive.dsl.patterns import Causal, Dense, Mechanism
from ogive.dsl.patterns.mechanisms import Channels, Kernel, Latent, Linformer, Mixed, Nystrom, Performer, Pooled
from ogive.dsl.patterns.sizes import per_axis
from ogive.dsl.types import Tensor

__all__ = ["COPIED", "SCORES", "AtWork", "Way", "at_work", "scores_of", "way_of"]

COPIED: Final = 1 << 22
"""Bytes of q, k or v that are copied for one call of a kernel where a set is walked part by part."""
SCORES: Final = 1 << 21
"""Scores, or numbers added to them, that are formed at one time."""

Way = Literal["fused", "parts", "written", "mechanism"]
"""How the core is computed: by one fused kernel, part by part, with its scores in memory, or without pairs."""


@dataclass(frozen=True, slots=True)
class AtWork:
    """Bytes that attention works with, keeps for its gradients, and works with when these are taken.

    `scores` is the part of `scratch` that holds numbers of pairs; `result` says whether it reads its answer again.
    """

    scratch: Dim = 0
    capped: tuple[tuple[Dim, int], ...] = ()
    keeps: Dim = 0
    back: Dim = 0
    result: bool = True
    scores: Dim = 0


def way_of(op: Attend, q: Tensor, k: Tensor, v: Tensor, rows: bool = True, training: bool = False) -> Way:
    """How attention is computed on a processor. `rows`: the channels of q, k and v lie side by side."""
    if isinstance(op.over, Mechanism):
        return "mechanism"
    if op.score in ("additive", "distance") or op.before_softmax is not None or op.after_softmax is not None:
        return "written"
    square = position_axis(q).size == position_axis(k).size
    plain = op.over == Dense() or (op.over == Causal() and square)
    if op.bias is not None or op.mask is not None or not plain or (op.drop and training):
        return "parts"
    if q.channels != op.width(q, k, v):
        return "parts"
    return "fused" if rows else "written"


def scores_of(op: Attend, q: Tensor, k: Tensor, batch: Dim) -> Dim:
    """How many numbers the matrices of all heads have: batch x heads x queries x keys."""
    return batch * op.heads * position_axis(q).size * position_axis(k).size


def at_work(
    op: Attend, qkv: tuple[Tensor, Tensor, Tensor], made: Tensor, rows: bool, width: int, training: bool
) -> AtWork:
    """The bytes of one attention; floats have `width` of them."""
    q, k, v = qkv
    batch, n = made.shape[0], position_axis(q).size
    sizes = [batch * position_axis(x).size * (x.channels or 0) * width for x in qkv]
    answer = prod(made.shape, start=1) * width
    sums = batch * op.heads * n * 4
    grouped = sum(sizes[1:], start=0) * op.groups(q, k, v) if op.groups(q, k, v) > 1 else 0
    way = way_of(op, q, k, v, rows, training)
    if way == "fused":
        return AtWork(sums + grouped, (), sums + grouped, 0)
    if way == "mechanism":
        return _mechanism(op.over, op, qkv, sizes, answer, batch, width)
    if way == "parts":
        copies = tuple((size, COPIED) for size in (*sizes, answer))
        return AtWork(sums, copies + _added(op, q, k, batch, width, training), sums, sum(sizes, start=0))
    scores = scores_of(op, q, k, batch) * width
    channels = q.channels if isinstance(q.channels, int) else op.heads
    wide = scores * (channels // op.heads) if op.score in ("additive", "distance") else 0  # q with k, pair by pair
    work = sizes[0] + sizes[1] + 2 * scores + wide + answer
    return AtWork(work, (), 2 * scores + wide, 2 * scores + wide, False, scores)


def _added(op: Attend, q: Tensor, k: Tensor, batch: Dim, width: int, training: bool) -> tuple[tuple[Dim, int], ...]:
    """What is added to the scores, as far as it lies in memory at one time."""
    each = op.mask is not None or (op.drop and training)
    if each or (op.bias is not None and isinstance(op.bias.tensor.structure, Products)):
        return ((scores_of(op, q, k, batch) * 3 * width, SCORES * 3 * width),)
    if op.bias is not None and op.over == Dense():  # one matrix for all samples
        return ((scores_of(op, q, k, 1) * 2 * width, SCORES * 2 * width),)
    return ()


def _mechanism(
    over: object, op: Attend, qkv: tuple[Tensor, Tensor, Tensor], sizes: list[Dim], answer: Dim, batch: Dim, width: int
) -> AtWork:
    q, k, v = qkv
    n, m = position_axis(q).size, position_axis(k).size
    channels = q.channels or 0
    each = channels // op.heads if isinstance(channels, int) else 0
    match over:
        case Linformer(rank, _):
            few = batch * rank * (channels + (v.channels or 0)) * width
            return AtWork(few, (), few)
        case Pooled(stride, _):
            grid = position_axis(k).grid or (m,)
            steps = per_axis(stride, len(grid), str(over))
            cells = prod((ceil_div(a, s) for a, s in zip(grid, steps, strict=True)), start=1)
            few = batch * cells * (channels + (v.channels or 0)) * width
            return AtWork(2 * few, (), few)
        case Latent(count):
            scores = batch * op.heads * count * m * width
            joined = sizes[1] + sizes[2]
            return AtWork(2 * scores + joined, (), 2 * scores + joined, scores=scores)
        case Channels():
            scores = batch * channels * each * width
            return AtWork(2 * scores + answer, (), 3 * scores, scores=scores)
        case Kernel():
            return AtWork(sum(sizes, start=0) + answer, (), sum(sizes, start=0) + answer, sum(sizes, start=0))
        case Performer(features):
            lifted = batch * op.heads * (n + m) * features * width
            return AtWork(sum(sizes, start=0) + lifted + answer, (), 2 * lifted + sum(sizes, start=0), lifted,
                          scores=lifted)
        case Nystrom(landmarks):
            scores = batch * op.heads * (n + m) * landmarks * width
            return AtWork(sizes[0] + 2 * scores + answer, (), 2 * scores + sizes[0], scores, scores=scores)
        case Mixed(parts):
            made = [_mechanism(p, op, qkv, sizes, answer, batch, width) for p in parts if isinstance(p, Mechanism)]
            return max(made, key=lambda w: str(w.scratch)) if made else AtWork(sum(sizes, start=0))
    raise TypeError(f"nothing is known of the memory of `{over}`")
