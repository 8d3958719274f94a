"""Attention over a set of pairs on a processor: part by part, forwards and backwards; never N x N.

    forwards     each part by torch's fused kernel, answers of one query merged: L = logaddexp(L1, L2),
                 O = O1 exp(L1 - L) + O2 exp(L2 - L), in float32 or wider
    backwards    each part with the merged O and L, gradients added; those of a bias by
                 dS = P (dP - rowsum(dO O)), P = exp(S - L), a few queries at a time
    dropout      of normalised weights, so L is that of all pairs: a pair (batch, head, query, key) is dropped by
                 Philox4x32-10 of these four, whatever the order (Salmon et al. 2011, doi:10.1145/2063384.2063405)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ogive.compiler.int8 import LEVELS, WIDEST, WORDS
from ogive.compiler.lower.attention_biases import Bias
from ogive.compiler.lower.attention_int8 import by_levels, no_gradients, rounded
from ogive.compiler.lower.attention_masks import SetAttention
from ogive.compiler.lower.attention_walk import Step, Walk, at_once
from ogive.dsl.patterns import Pattern, PatternError
from ogive.dsl.patterns.parts import plan
from ogive.dsl.patterns.space import Sequence, Space

__all__ = ["PartsAttention", "is_plain", "kept_pairs"]

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
MOST_WALKS: Final = 8


class PartsAttention(SetAttention):
    """As `SetAttention`, part by part where that is possible; what is compiled or exported is `SetAttention`.

    `over` is the set, `of` the heads of it that come here; `reach` says of INT8 which heads get codes.
    """

    plain = SetAttention

    def __init__(
        self, over: Pattern, of: tuple[int, ...], scale: float | None = None, drop: float = 0.0, causal: bool = False
    ) -> None:
        super().__init__(scale, drop, causal)
        self.over = over
        self.of = of
        self.reach = WIDEST
        self.walks: dict[Any, Walk | None] = {}

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, queries: tuple[int, ...], keys: tuple[int, ...],
        mask: Tensor | None = None, table: Tensor | None = None,
    ) -> Tensor:
        drop = self.drop if self.training else 0.0
        if drop and self.precision in WORDS:
            raise no_gradients()
        if self.walked is not None:
            found = self.walked.tried(q, k, v, queries, keys, mask, table, self.scale, drop, self.precision)
            if found is not None:
                return found  # type: ignore[no-any-return]
        if self.precision not in WORDS:
            return self.attended(q, k, v, queries, keys, mask, table)
        a, b = rounded(q, k, self.precision, self.reach)
        if mask is not None and mask.is_floating_point():
            mask = mask.to(a.dtype)
        if self.precision in LEVELS:
            return by_levels(a, b, v, self.hidden(a, queries, keys, mask, table), self.scale, self.causal,
                             self.precision, self.reach)
        return self.attended(a, b, v.float(), queries, keys, mask, table).to(v.dtype)

    def attended(
        self, q: Tensor, k: Tensor, v: Tensor, queries: tuple[int, ...], keys: tuple[int, ...],
        mask: Tensor | None = None, table: Tensor | None = None,
    ) -> Tensor:
        """By torch's kernels, part by part where that is possible."""
        drop = self.drop if self.training else 0.0
        if not is_plain(q, k, v, mask, table):
            return SetAttention.forward(self, q, k, v, queries, keys, mask, table)
        if self.seen is None and mask is None and table is None and not drop and q.shape[-1] == v.shape[-1]:
            return SetAttention.forward(self, q, k, v, queries, keys)
        walk = self.walk(q, queries, keys)
        if walk is None:
            return SetAttention.forward(self, q, k, v, queries, keys, mask, table)
        groups = q.shape[1] // k.shape[1]
        if groups > 1:  # parts may be of some heads alone
            k, v = (x.repeat_interleave(groups, 1) for x in (k, v))
        noise = (drop, *torch.randint(2**31, (3,)).tolist()) if drop else None
        about = _About(walk, self.bias, queries, keys, self.of, self.scale, noise)
        given = (q, k, v, mask, table)
        if not torch.is_grad_enabled() or not any(x is not None and x.requires_grad for x in given):
            return _Run(*given, about).forward(False)[0].transpose(1, 2)
        made = _Attend.apply(*given, about)
        assert isinstance(made, Tensor)
        return made

    def walk(self, q: Tensor, queries: tuple[int, ...], keys: tuple[int, ...]) -> Walk | None:
        """The steps for these sizes, made once; None for arithmetic that would be asked of too many pairs."""
        each = q.shape[0] * q.shape[1] * q.shape[3] * q.element_size()
        key = (queries, keys, each, q.element_size() < 4)
        if key not in self.walks:
            a, b = (Sequence(tuple(s[2:]), s[0], s[1]) for s in (queries, keys))
            if len(self.walks) >= MOST_WALKS:
                self.walks.clear()
            try:
                found = plan(self.over, Space(a, b), max(self.of) + 1)
            except PatternError:
                self.walks[key] = None
            else:
                with torch.inference_mode(False):
                    self.walks[key] = Walk(found, self.of, a.size, b.size, *key[2:])
        return self.walks[key]


def is_plain(*tensors: Tensor | None) -> bool:
    """Numbers in memory: nothing traced, no symbol for a size, no transform of functions."""
    if torch.compiler.is_compiling():
        return False
    for x in tensors:
        if x is None:
            continue
        if x.device.type != "cpu" or type(x) not in (Tensor, nn.Parameter):
            return False
        if torch._C._functorch.is_functorch_wrapped_tensor(x):
            return False
    return tensors[0] is not None and tensors[0].dtype in (torch.float32, torch.float64, torch.bfloat16)


@dataclass
class _About:
    """What is no tensor. `noise`: the rate of dropout, two halves of a seed, an offset."""

    walk: Walk
    bias: Bias | None
    queries: tuple[int, ...]
    keys: tuple[int, ...]
    heads: tuple[int, ...]
    scale: float | None
    noise: tuple[Any, ...] | None


class _Attend(torch.autograd.Function):
    """q, k, v `B H N d`, `B H M d`, `B H M e`; a mask `B|1 H|1 N|1 M`; the values of a bias -> `B H N e`."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, table: Tensor | None, about: _About
    ) -> Tensor:
        out, total = _Run(q, k, v, mask, table, about).forward(True)
        ctx.save_for_backward(q, k, v, mask, table, out, total)
        ctx.about = about
        return out.transpose(1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        q, k, v, mask, table, out, total = ctx.saved_tensors
        run = _Run(q, k, v, mask, table, ctx.about)
        return (*run.backward(grad.transpose(1, 2), out, total, ctx.needs_input_grad), None)


class _Run:
    """One call. Inside, tensors are `B N H d`: as they lie in memory behind a linear map."""

    def __init__(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, table: Tensor | None, about: _About
    ) -> None:
        rows = (x.transpose(1, 2) for x in (q, k, v))
        # of several samples, looking up rows of a slice would copy the whole of it, each time
        copies = about.walk.looks_up and len(q) > 1
        self.q, self.k, self.v = (x.contiguous() if copies else _rows(x) for x in rows)
        self.qkv = _beside(self.q, self.k, self.v)
        self.mask, self.table, self.about = mask, table, about
        self.scale = q.shape[-1] ** -0.5 if about.scale is None else about.scale
        self.wide = torch.float64 if q.dtype == torch.float64 else torch.float32

    # ------------------------------------------------------------------------------------ forwards
    def forward(self, needs: bool) -> tuple[Tensor, Tensor | None]:
        """The answers [B, N, H, e], and with `needs` the log-sum-exp of all scores of each query [B, N, H, 1]."""
        walk, v = self.about.walk, self.v
        batch, n, heads = self.q.shape[:3]
        steps = walk.steps
        if len(steps) == 1 and steps[0].q.whole and steps[0].heads is None:
            answer, sums = self._step(steps[0])
            return answer.reshape(batch, n, heads, -1), sums.reshape(batch, n, heads, 1)
        kind = v.dtype if walk.twice else self.wide
        make = torch.empty if walk.complete else torch.zeros
        out = make(batch, n, heads, v.shape[3], dtype=kind)
        keeps = needs or not walk.once
        total = torch.empty(batch, n, heads, 1, dtype=self.wide) if keeps else None
        if total is not None and not walk.complete:
            total.fill_(-math.inf)
        for step in steps:
            answer, sums = self._step(step)
            at = _some(out, step)
            if total is None:
                step.q.put(at, answer)
            else:
                sums_at = _some(total, step)
                if step.fresh:
                    step.q.put(at, answer)
                    step.q.put(sums_at, sums)
                else:
                    step.q.merge(at, sums_at, answer, sums)
                _back(total, sums_at, step)
            _back(out, at, step)
        return out.to(v.dtype), total

    def _step(self, step: Step) -> tuple[Tensor, Tensor]:
        """Answers [B entries, n, h, e] and log-sum-exps [B entries, n, h, 1] of one part."""
        q, k, v = self._taken(step)
        chunks = list(self._chunks(step))
        if len(chunks) == 1:
            return self._chunk(step, q, k, v, *chunks[0])
        answers = torch.empty(*q.shape[:3], v.shape[3], dtype=v.dtype)
        sums = torch.empty(*q.shape[:3], 1, dtype=self.wide)
        for some, rows in chunks:
            for into, x in zip((answers, sums), self._chunk(step, q, k, v, some, rows), strict=True):
                self._at(into, some, rows).copy_(self._parted(x))
        return answers, sums

    def _taken(self, step: Step) -> tuple[Tensor, ...]:
        """q, k and v of a part; what is copied and lies side by side is copied together."""
        if self.qkv is not None and step.heads is None and step.k.is_copied and step.q.pieces == step.k.pieces:
            made = step.k.beside(self.qkv, len(self.q))
            return made.unflatten(2, (3, *self.q.shape[2:])).unbind(2)
        places = (step.q, self.q), (step.k, self.k), (step.k, self.v)
        return tuple(place.take(_some(x, step)) for place, x in places)

    def _chunk(
        self, step: Step, q: Tensor, k: Tensor, v: Tensor, some: slice, rows: slice
    ) -> tuple[Tensor, Tensor]:
        q, k, v = (self._entries(x, step, some) for x in (q, k, v))
        q = q[:, rows]
        added, blind = self.added(step, some, rows)
        if self.about.noise:
            return self._written(step, q, k, v, added, blind, some, rows)
        causal = step.triangle and added is None
        answer, sums = _fused(q, k, v, added, causal, self.scale)
        sums = sums.transpose(1, 2).unsqueeze(-1)
        if blind is not None:
            sums = sums.masked_fill(blind, -math.inf)
            answer = answer.masked_fill(blind, 0.0)
        return answer, sums

    def _written(
        self, step: Step, q: Tensor, k: Tensor, v: Tensor, added: Tensor | None, blind: Tensor | None, some: slice,
        rows: slice,
    ) -> tuple[Tensor, Tensor]:
        scores = self._scores(q, k, added, step, rows)
        sums = scores.logsumexp(-1, keepdim=True)
        weights = (scores - sums.masked_fill(sums == -math.inf, 0.0)).exp() * self._dropped(step, some, rows)
        answer = (weights.to(v.dtype) @ v.transpose(1, 2)).transpose(1, 2)
        return answer, sums.transpose(1, 2)

    # ------------------------------------------------------------------------------------ backwards
    def backward(
        self, grad: Tensor, out: Tensor, total: Tensor, needs: tuple[bool, ...]
    ) -> tuple[Tensor | None, ...]:
        """Gradients of q, k, v, the mask and the values of the bias."""
        grads = [torch.zeros(x.shape, dtype=self.wide) for x in (self.q, self.k, self.v)]
        mask = torch.zeros_like(self.mask, dtype=self.wide) if needs[3] and self.mask is not None else None
        table = torch.zeros_like(self.table, dtype=self.wide) if needs[4] and self.table is not None else None
        written = self.about.noise is not None or mask is not None or table is not None
        grad = _rows(grad)
        total = total.masked_fill(total == -math.inf, 0.0)  # a query that sees nothing: exp(-inf - 0) = 0
        for step in self.about.walk.steps:
            q, k, v, g, o, sums = (
                places.take(_some(x, step)) for places, x in
                ((step.q, self.q), (step.k, self.k), (step.k, self.v), (step.q, grad), (step.q, out), (step.q, total))
            )
            made = [torch.zeros(x.shape, dtype=self.wide) for x in (q, k, v)]
            for some, rows in self._chunks(step, written):
                parts = [self._entries(x, step, some) for x in (q, k, v, g, o, sums)]
                parts = [x if i in (1, 2) else x[:, rows] for i, x in enumerate(parts)]
                found = (
                    self._written_back(step, parts, some, rows, mask, table) if written
                    else self._fused_back(step, parts, some, rows)
                )
                for into, x, at in zip(made, found, (rows, slice(None), slice(None)), strict=True):
                    self._at(into, some, at).add_(self._parted(x))
            for places, into, x in zip((step.q, step.k, step.k), grads, made, strict=True):
                target = _some(into, step)
                places.add(target, x)
                _back(into, target, step)
        done = [x.to(self.q.dtype).transpose(1, 2) for x in grads]
        return (*done, None if mask is None or self.mask is None else mask.to(self.mask.dtype),
                None if table is None or self.table is None else table.to(self.table.dtype))

    def _fused_back(self, step: Step, parts: list[Tensor], some: slice, rows: slice) -> tuple[Tensor, ...]:
        q, k, v, g, o, sums = parts
        added, _ = self.added(step, some, rows)
        causal = step.triangle and added is None
        return _fused_grads(q, k, v, g, o, sums, added, causal, self.scale)

    def _written_back(
        self, step: Step, parts: list[Tensor], some: slice, rows: slice, mask: Tensor | None, table: Tensor | None
    ) -> tuple[Tensor, ...]:
        """dS = P (dP - rowsum(dO O)); what is added to the scores gets dS."""
        q, k, v, g, o, sums = parts
        added, _ = self.added(step, some, rows)
        scores = self._scores(q, k, added, step, rows)
        weights = (scores - sums.transpose(1, 2)).exp()
        q, k, v, g, o = (x.transpose(1, 2).to(self.wide) for x in (q, k, v, g, o))
        wanted = g @ v.transpose(-1, -2)
        dropped: Tensor | float = 1.0
        if self.about.noise:
            dropped = self._dropped(step, some, rows)
            wanted = wanted * dropped
        scored = weights * (wanted - (g * o).sum(-1, keepdim=True))
        if mask is not None or table is not None:
            self._add_grads(step, scored, some, rows, mask, table)
        grads = (scored @ k * self.scale, scored.transpose(-1, -2) @ q * self.scale,
                 (weights * dropped).transpose(-1, -2) @ g)
        return tuple(x.transpose(1, 2) for x in grads)

    def _add_grads(
        self, step: Step, scored: Tensor, some: slice, rows: slice, mask: Tensor | None, table: Tensor | None
    ) -> None:
        """What dS is for the mask and for the bias, by torch's own rule of how they are looked up."""
        there = self._parted(scored)
        for given, into, look in ((self.mask, mask, self._masked), (self.table, table, self._biased)):
            if given is None or into is None:
                continue
            with torch.enable_grad():
                leaf = given.detach().to(self.wide).requires_grad_()
                term = look(leaf, step, some, rows)
                (found,) = torch.autograd.grad(term, leaf, _reduced(there, term))
            into += found

    # ------------------------------------------------------------------------------------ what is added to scores
    def added(self, step: Step, some: slice, rows: slice) -> tuple[Tensor | None, Tensor | None]:
        """What a kernel adds to the scores [B entries | 1, h | 1, n | 1, m], and queries that it leaves without a key.

        The latter are [B entries | 1, n, h | 1, 1], or None where there are certainly none.
        """
        kind, batch = self.q.dtype, self.q.shape[0]
        if self.mask is None and self.table is None:
            return (None, None) if step.keep is None else step.hidden(kind, some, rows, batch)
        total: Tensor | None = None
        hidden: Tensor | None = None
        if self.table is not None:
            total = self._biased(self.table, step, some, rows).to(kind)
        if self.mask is not None:
            given = self._masked(self.mask, step, some, rows)
            if given.dtype == torch.bool:
                hidden = ~given
            else:
                total = given.to(kind) if total is None else total + given
                hidden = given == -math.inf
        keep = self._kept(step, some, rows)
        if keep is not None:
            unseen = ~keep[None, :, None]
            hidden = unseen if hidden is None else hidden | unseen
        if hidden is not None:
            total = torch.zeros((), dtype=kind) if total is None else total
            total = torch.where(hidden, -math.inf, total).to(kind)
        assert total is not None
        blind = None
        if hidden is not None and (step.has_blind or self.mask is not None):
            blind = _flat(hidden.all(-1, keepdim=True), batch).transpose(1, 2)
        return _flat(total, batch), blind

    def _kept(self, step: Step, some: slice, rows: slice) -> Tensor | None:
        """Which pairs a part holds, [entries | 1, n, m]."""
        if step.keep is not None:
            keep = step.keep if step.keep.shape[0] == 1 else step.keep[some]
            return keep[:, rows]
        if not step.triangle:
            return None
        first, last, _ = rows.indices(step.q.count)
        return (torch.arange(step.k.count)[None] <= torch.arange(first, last)[:, None])[None]

    def _biased(self, table: Tensor, step: Step, some: slice, rows: slice) -> Tensor:
        """[B | 1, entries | 1, h, n, m]"""
        about = self.about
        assert about.bias is not None
        at = step.looked_up(about.bias, about.queries, about.keys)
        if at is None:
            q, k = (x[some] for x in step.positions)
            found = about.bias.read(table, about.bias.at(q[:, rows], k, about.queries, about.keys))
        else:
            at = at if at.shape[-3] == 1 else at[..., some, :, :]
            found = about.bias.read(table, at[..., rows, :])
        return found if step.heads is None else found[:, :, step.heads]

    def _masked(self, mask: Tensor, step: Step, some: slice, rows: slice) -> Tensor:
        """[B | 1, entries | 1, h | 1, n | 1, m]"""
        q, k = (x[some] for x in step.positions)
        if step.heads is not None and mask.shape[1] > 1:
            mask = mask[:, step.heads]
        if mask.shape[2] == 1:
            found = mask[:, :, 0] if mask.shape[3] == 1 else mask[:, :, 0][:, :, k]
            if mask.shape[3] == 1:
                return found[:, None, :, None]
            return found.permute(0, 2, 1, 3).unsqueeze(3)
        k = k if mask.shape[3] > 1 else k.new_zeros(1, 1)
        return mask[:, :, q[:, rows, None], k[:, None]].permute(0, 2, 1, 3, 4)

    def _scores(self, q: Tensor, k: Tensor, added: Tensor | None, step: Step, rows: slice) -> Tensor:
        scores = q.transpose(1, 2).to(self.wide) @ k.permute(0, 2, 3, 1).to(self.wide) * self.scale
        if added is None and step.triangle:
            keep = self._kept(step, slice(None), rows)
            assert keep is not None
            return scores.masked_fill(~keep, -math.inf)
        return scores if added is None else scores + added

    def _dropped(self, step: Step, some: slice, rows: slice) -> Tensor:
        """For each pair 0, or 1 / (1 - rate): [B entries, h, n, m]."""
        assert self.about.noise is not None
        rate, *seed = self.about.noise
        q, k = (x[some] for x in step.positions)
        batch, heads = self.q.shape[0], torch.tensor(self.about.heads)
        chosen = heads if step.heads is None else heads[step.heads]
        keep = kept_pairs(
            rate, tuple(seed), torch.arange(batch)[:, None, None, None, None], chosen[:, None, None],
            q[None, :, None, rows, None], k[None, :, None, None],
        )
        return keep.flatten(0, 1).to(self.wide) / (1 - rate)

    # ------------------------------------------------------------------------------------ pieces
    def _chunks(self, step: Step, written: bool = False) -> Iterator[tuple[slice, slice]]:
        """Entries and queries that are done together: as many as what is added to their scores allows."""
        n, m, entries = step.q.count, step.k.count, step.q.entries
        batch, _, heads, _ = _some(self.q, step).shape
        about = self.about
        alike = self.table is None or step.is_alike(about.bias, about.queries, about.keys)
        each = written or about.noise is not None or self.mask is not None or not alike
        if each:  # other numbers for each entry
            numbers = batch * heads * m
        elif step.keep is not None and step.keep.shape[0] > 1:
            each, numbers = True, m
        else:
            numbers = heads * m if self.table is not None else m if step.keep is not None else 0
        some = at_once(entries, n * numbers) if each else entries
        rows = at_once(n, numbers * (some if each else 1))
        for first in range(0, entries, some):
            for top in range(0, n, rows):
                yield slice(first, min(first + some, entries)), slice(top, min(top + rows, n))

    def _entries(self, x: Tensor, step: Step, some: slice) -> Tensor:
        """Some of the entries of [B entries, ...], for all of B."""
        if some == slice(0, step.q.entries):
            return x
        return x[some] if self.q.shape[0] == 1 else self._parted(x)[:, some].flatten(0, 1)

    def _parted(self, x: Tensor) -> Tensor:
        """[B entries, ...] as [B, entries, ...]"""
        return x.unflatten(0, (self.q.shape[0], -1))

    def _at(self, x: Tensor, some: slice, rows: slice) -> Tensor:
        """Some entries and queries of [B entries, n, ...], to be written to."""
        return self._parted(x)[:, some, rows]


# ---------------------------------------------------------------------------------------------------------- the kernel


def _fused(
    q: Tensor, k: Tensor, v: Tensor, added: Tensor | None, causal: bool, scale: float
) -> tuple[Tensor, Tensor]:
    """Answers [b, n, h, e] and log-sum-exps [b, h, n]; v of another width than q in pieces as wide as q."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    found, sums = [], None
    for piece, width in _pieces(v, q.shape[-1]):
        answer, sums = _forward(q, k, piece, 0.0, causal, attn_mask=added, scale=scale)
        found.append(answer[..., :width])
    assert sums is not None
    return (found[0] if len(found) == 1 else torch.cat(found, -1)).transpose(1, 2), sums


def _fused_grads(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor, o: Tensor, sums: Tensor, added: Tensor | None, causal: bool,
    scale: float,
) -> tuple[Tensor, ...]:
    q, k, v, g, o = (x.transpose(1, 2) for x in (q, k, v, g, o))
    lse = sums[..., 0].transpose(1, 2).contiguous()
    d = q.shape[-1]
    grads: list[Tensor] = []
    values: list[Tensor] = []
    for (piece, width), (g_piece, _), (o_piece, _) in zip(_pieces(v, d), _pieces(g, d), _pieces(o, d), strict=True):
        a, b, c = _backward(
            g_piece, q, k, piece, o_piece.to(q.dtype), lse, 0.0, causal, attn_mask=added, scale=scale
        )
        grads = [a, b] if not grads else [grads[0] + a, grads[1] + b]
        values.append(c[..., :width])
    dv = values[0] if len(values) == 1 else torch.cat(values, -1)
    return tuple(x.transpose(1, 2) for x in (*grads, dv))


def _pieces(x: Tensor, width: int) -> Iterator[tuple[Tensor, int]]:
    """x in pieces of `width` channels, the last filled up with zeros; how many channels of each are meant."""
    for at in range(0, x.shape[-1], width):
        piece = x[..., at : at + width]
        have = piece.shape[-1]
        yield (piece if have == width else F.pad(piece, (0, width - have))), have



# --------------------------------------------------------------------------------------------------------------- pieces


def _rows(x: Tensor) -> Tensor:
    """Channels side by side in memory, as the kernel reads them."""
    return x if x.stride(-1) == 1 or x.shape[-1] == 1 else x.contiguous()


def _beside(*xs: Tensor) -> Tensor | None:
    """Tensors [B, N, H, d] that lie side by side in memory, as slices of one linear map do, as [B N, all their H d]."""
    first, (batch, n, heads, width) = xs[0], xs[0].shape
    each, step = heads * width, xs[0].stride(1)
    if first.stride()[2:] != (width, 1) or step < len(xs) * each or (batch > 1 and first.stride(0) != n * step):
        return None
    place, there = first.untyped_storage().data_ptr(), first.storage_offset()
    for i, x in enumerate(xs):
        if x.shape != first.shape or x.stride() != first.stride() or x.storage_offset() != there + i * each:
            return None
        if x.untyped_storage().data_ptr() != place or x.dtype != first.dtype:
            return None
    return first.as_strided((batch * n, len(xs) * each), (step, 1))


def _some(x: Tensor, step: Step) -> Tensor:
    """The heads of a part, of [B, N, H, d]; all heads are shared by what has one."""
    return x if step.heads is None else x[:, :, step.heads]


def _back(x: Tensor, part: Tensor, step: Step) -> None:
    """Heads that were looked up were copied: put them back."""
    if isinstance(step.heads, Tensor):
        x[:, :, step.heads] = part


def _flat(x: Tensor, batch: int) -> Tensor:
    """[B | 1, entries | 1, ...] as [B entries | 1, ...]."""
    if x.shape[0] == 1 and x.shape[1] == 1:
        return x[0]
    return x.expand(batch, *x.shape[1:]).flatten(0, 1) if x.shape[1] > 1 else x.expand(batch, *x.shape[1:])[:, 0]


def _reduced(x: Tensor, like: Tensor) -> Tensor:
    """x summed over the axes along which `like` has one number for all."""
    axes = [i for i, (n, m) in enumerate(zip(x.shape, like.shape, strict=True)) if m == 1 and n > 1]
    return x.sum(axes, keepdim=True) if axes else x


# -------------------------------------------------------------------------------------------------------------- dropout


def kept_pairs(
    rate: float, seed: tuple[int, ...], batch: Tensor, head: Tensor, query: Tensor, key: Tensor
) -> Tensor:
    """Whether pairs stay: the first word of Philox4x32-10 is at least rate 2^32.

    The counter is (key, query, head, batch), the keys of the cipher `seed[0]` and `seed[1]` xor `seed[2]`; indices are
    broadcast against each other.
    """
    low = 0xFFFFFFFF
    shape = torch.broadcast_shapes(batch.shape, head.shape, query.shape, key.shape)
    c = [x.long().expand(shape) for x in (key, query, head, batch)]
    a, b = seed[0] & low, (seed[1] ^ seed[2]) & low
    for _ in range(10):
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(second >> 32 & low) ^ c[1] ^ a, second & low, (first >> 32 & low) ^ c[3] ^ b, first & low]
        a, b = (a + 0x9E3779B9) & low, (b + 0xBB67AE85) & low
    return c[0] >= round(rate * 2**32)
