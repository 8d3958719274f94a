"""The core of attention: a call of torch's fused attention on views of q, k and v, where that says what is meant."""

from __future__ import annotations

import operator

import torch
import torch.nn.functional as F
from torch import nn

from ogive.compiler.lower.attention_chunks import ChunkedAttention
from ogive.compiler.lower.attention_cores import (
    ChannelAttention,
    Latents,
    NystromAttention,
    PerformerAttention,
    PooledKeys,
    WrittenAttention,
)
from ogive.compiler.lower.attention_masks import PatternMask
from ogive.compiler.lower.attention_parts import PartsAttention
from ogive.compiler.lower.attention_spelling import sequence, spelled
from ogive.compiler.lower.bias import looked_up
from ogive.compiler.lower.core import core
from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.diagnostics import fail
from ogive.dsl.dims import Dim
from ogive.dsl.graph import Node
from ogive.dsl.ops.attention import Attend, position_axis
from ogive.dsl.ops.plane import is_image
from ogive.dsl.ops.record import Reference
from ogive.dsl.patterns import Causal, Dense, Mechanism, Pattern
from ogive.dsl.patterns.count import distinct
from ogive.dsl.patterns.mechanisms import Channels, Kernel, Latent, Linformer, Mixed, Nystrom, Performer, Pooled
from ogive.dsl.patterns.sizes import per_axis
from ogive.dsl.patterns.space import Space
from ogive.dsl.types import Axis, Tensor

__all__ = ["attend", "unfused"]


@lowers("attend")
def attend(emit: Emit, node: Node, *xs: Value) -> Value:
    """q, k, v as views `B heads N d`: three parts of one `linear` stay where they are, nothing is copied."""
    op, made = settings(node, Attend), node.outputs[0]
    told = [name for name in op.tensors if isinstance(getattr(op, name), Reference)]
    count = len(xs) - len(told)
    data, given = xs[:count], dict(zip(told, xs[count:], strict=True))
    types = emit.types(node)[:count]
    if node.require == "fused":
        _refuse(node, op)
    heads = [_heads(emit, op, x, t, made.shape[0]) for x, t in zip(data, types, strict=True)]
    q, k, v = heads * 3 if len(heads) == 1 else heads
    q_type, k_type, v_type = types * 3 if len(types) == 1 else types
    use = _Use(emit, op, position_axis(q_type), position_axis(k_type), given)
    use.widths = op.qkv(types)[0].channels, op.width(q_type, k_type, v_type)
    use.groups = op.groups(q_type, k_type, v_type)
    y = use.mechanism(op.over, q, k, v) if isinstance(op.over, Mechanism) else use.pairs(op.over, q, k, v)
    if not is_image(q_type):
        return emit.method("flatten", emit.method("transpose", y, 1, 2), 2)
    y = emit.method("flatten", emit.method("transpose", y, 2, 3), 1, 2)
    return emit.method("unflatten", y, 2, tuple(emit.size(n) for n in q_type.shape[2:]))


def unfused(op: Attend) -> str | None:
    """Why attention with these settings does not run in a fused kernel, part by part; None where it does."""
    if op.score not in ("dot", "cosine"):
        return f'the score "{op.score}" is written out'
    if op.before_softmax is not None or op.after_softmax is not None:
        return "heads are mixed around the softmax, which is written out"
    parts = op.over.parts if isinstance(op.over, Mixed) else (op.over,)
    if isinstance(op.over, Mixed):
        return f"the heads of `{op.over}` run one kind after the other"
    if any(isinstance(p, Mechanism) and not isinstance(p, Linformer | Pooled) for p in parts):
        return f"`{op.over}` is written out"
    return None


def _refuse(node: Node, op: Attend) -> None:
    reason = unfused(op)
    if reason is not None:
        raise fail("A713", f"this attention is required to be fused, and is not: {reason}", node.span,
                   help="leave `require fused` away, or what speaks against it")


def _heads(emit: Emit, op: Attend, x: Value, t: Tensor, batch: Dim) -> Value:
    """`B N (heads d)` or `B (heads d) H W` as `B heads N d`."""
    if t.shape[0] == 1 and batch != 1:
        x = emit.method("expand", x, emit.size(batch), *[-1] * (t.rank - 1))
    q = emit.types(emit.node)[0]
    each = (q.channels or 0) // op.heads if isinstance(q.channels, int) else None
    shared = each is not None and t.channels != q.channels and op.groups(*_three(emit, op)) > 1
    heads = t.channels // each if shared and each and isinstance(t.channels, int) else op.heads
    if is_image(t):
        x = emit.method("flatten", emit.method("unflatten", x, 1, (heads, -1)), 3)
        return emit.method("transpose", x, 2, 3)
    return emit.method("transpose", emit.method("unflatten", x, 2, (heads, -1)), 1, 2)


def _three(emit: Emit, op: Attend) -> tuple[Tensor, Tensor, Tensor]:
    return op.qkv(tuple(emit.graph.tensor(edge) for edge in emit.node.data))


def _given(*inputs: Value | None) -> tuple[Value | None, ...]:
    """Inputs up to the last that there is."""
    return inputs[: max((i + 1 for i, x in enumerate(inputs) if x is not None), default=0)]


class _Use:
    """One attention in the making."""

    def __init__(self, emit: Emit, op: Attend, queries: Axis, keys: Axis, given: dict[str, Value]) -> None:
        self.emit = emit
        self.op = op
        self.queries = queries
        self.keys = keys
        self.given = given
        self.heads: tuple[int, ...] = tuple(range(op.heads))
        self.at = ""
        self.widths: tuple[Dim | None, Dim | None] = (None, None)
        self.groups = 1

    def _alone(self, k: Value, v: Value) -> tuple[Value, Value]:
        """Keys and values of each head, for what knows no heads that share them."""
        if self.groups == 1:
            return k, v
        groups, self.groups = self.groups, 1
        a, b = (self.emit.method("repeat_interleave", x, groups, 1) for x in (k, v))
        return a, b

    # ------------------------------------------------------------------------------------ pairs
    def pairs(self, over: Pattern, q: Value, k: Value, v: Value) -> Value:
        """Softmax over a set of pairs."""
        emit, op = self.emit, self.op
        mask = self._mask()
        square = self.queries.size == self.keys.size
        mixed = "before_softmax" in self.given or "after_softmax" in self.given
        added = mask is not None or op.bias is not None
        if over == Dense() or (over == Causal() and self.queries.size == 1):
            seen = None
        else:
            seen = self._seen(over)
        causal = over == Causal() and square and not added and not mixed and op.score in ("dot", "cosine")
        if op.score == "cosine":
            q, k = (emit.call(F.normalize, x, dim=-1) for x in (q, k))
        if op.score in ("additive", "distance") or mixed:
            k, v = self._alone(k, v)
        if op.score in ("additive", "distance"):
            fixed = 1.0 if "scale" in self.given else self._number()
            return self._written(q, k, v, self._both(seen, q, mask), fixed)
        q, scale = self._scaled(q)
        if scale is not None and scale <= 0:  # torch multiplies what its causal mask hides, too: -inf * scale
            q, scale = emit.call(operator.mul, q, scale), 1.0
        if mixed:
            return self._written(q, k, v, self._both(seen, q, mask), scale)
        same = self.widths[0] == self.widths[1]
        if not added and not op.drop and same and (seen is None or causal):
            return self._fused(q, k, v, scale, causal)
        made = PartsAttention(over if seen is not None else Dense(), self.heads, scale, op.drop, causal)
        made.seen = None if causal else seen
        made.bias = looked_up(op)
        more = _given(mask, self.given.get("bias"))
        return emit.module(made, q, k, v, *self._ends(), *more, at=f"{self.at}core", shelved=True)

    def _fused(
        self, q: Value, k: Value, v: Value, scale: float | None, causal: bool = False, mask: Value | None = None
    ) -> Value:
        def keep(module: nn.Module, *inputs: Value) -> Value:
            return self.emit.module(module, *inputs, at=f"{self.at}core", shelved=True)

        return core(self.emit.call, keep, q, k, v, mask, scale=scale, causal=causal, drop=self.op.drop,
                    grouped=self.groups > 1)

    def _written(
        self, q: Value, k: Value, v: Value, mask: Value | None, scale: float | None
    ) -> Value:
        emit, op = self.emit, self.op
        lookup, bias = looked_up(op), None
        if lookup is not None:
            made = emit.module(lookup, self.given["bias"], *self._ends(), at="bias", shelved=True)
            bias = emit.method("type_as", made, q)
        vector = emit.weight("v") if op.score == "additive" else None
        score = "dot" if op.score == "cosine" else op.score
        factor = self._factor() if "scale" in self.given and score != "dot" else None  # of "dot", q has it already
        more = _given(mask, bias, vector, self.given.get("before_softmax"), self.given.get("after_softmax"), factor)
        return emit.module(WrittenAttention(score, scale, op.drop), q, k, v, *more, at=f"{self.at}core", shelved=True)

    def _scaled(self, q: Value) -> tuple[Value, float | None]:
        """q times a scale that is a tensor, and the number that is left to scale by; None is d ** -0.5."""
        emit, op = self.emit, self.op
        if isinstance(op.scale, Reference):
            return emit.call(operator.mul, q, self._factor()), 1.0
        return q, self._number()

    def _number(self) -> float | None:
        """The scale that is a number; None is d ** -0.5."""
        scale = self.op.scale
        if scale is not None and not isinstance(scale, Reference):
            return scale
        return 1.0 if self.op.score in ("cosine", "additive") else None

    def _factor(self) -> Value:
        """The scale that is a tensor, for the heads at hand."""
        factor = self.emit.method("reshape", self.given["scale"], -1, 1, 1)
        step = self.op.heads // len(self.heads)
        assert isinstance(self.op.scale, Reference)
        if step == 1 or all(n == 1 for n in self.op.scale.tensor.shape):
            return factor
        return self.emit.call(operator.getitem, factor, (slice(self.heads[0], None, step),))

    # ------------------------------------------------------------------------------------ masks
    def _seen(self, over: Pattern) -> PatternMask:
        """The set as a mask, for the heads at hand."""
        heads = self.heads if distinct(over, self.op.heads) > 1 else (0,)
        return PatternMask(spelled(over, Space.between(self.queries, self.keys), max(heads) + 1), heads)

    def _ends(self) -> tuple[tuple[int | Value, ...], tuple[int | Value, ...]]:
        return sequence(self.emit, self.queries), sequence(self.emit, self.keys)

    def _mask(self) -> Value | None:
        """The mask of the file, as `B heads N M`."""
        value = self.given.get("mask")
        if value is None or self.op.mask is None:
            return None
        for place in {2: (1, 1), 3: (1,), 4: ()}[self.op.mask.tensor.rank]:
            value = self.emit.method("unsqueeze", value, place)
        return value

    def _both(self, seen: PatternMask | None, like: Value, mask: Value | None) -> Value | None:
        """What a pattern and a mask both allow."""
        if seen is None:
            return mask
        pattern = self.emit.module(seen, like, *self._ends(), at=self.at + "mask", shelved=True)
        if mask is None:
            return pattern
        if self.op.mask is not None and self.op.mask.tensor.dtype == "bool":
            return self.emit.call(torch.logical_and, pattern, mask)
        return self.emit.call(torch.where, pattern, mask, float("-inf"))

    # ------------------------------------------------------------------------------------ mechanisms
    def mechanism(self, over: Mechanism, q: Value, k: Value, v: Value, prefix: str = "") -> Value:
        """Attention that forms no N x N; weights lie under `prefix`."""
        emit, op = self.emit, self.op
        core = f"{self.at}core"
        k, v = self._alone(k, v)
        if isinstance(over, Mixed):
            return self._mixed(over, q, k, v)
        seen = self._mask()
        if seen is not None:
            seen = emit.method("transpose", seen, 2, 3)  # as keys lie: B 1 M 1
            seen = emit.method("expand", seen, -1, -1, emit.size(self.keys.size), -1)
        if isinstance(over, Kernel):
            return emit.module(ChunkedAttention(over.name, over.causal), q, k, v, *_given(seen), at=core, shelved=True)
        if isinstance(over, Channels):
            scale = 1.0 if op.scale is None and op.score == "cosine" else op.scale
            fixed = None if isinstance(scale, Reference) else scale
            more = _given(self._factor() if isinstance(op.scale, Reference) else None, seen)
            return emit.module(ChannelAttention(op.score, fixed, op.drop), q, k, v, *more, at=core, shelved=True)
        if isinstance(over, Performer):
            fixed = None if isinstance(op.scale, Reference) else op.scale
            more = _given(self._factor() if isinstance(op.scale, Reference) else None, seen)
            module = PerformerAttention(over.features, over.seed, over.redraw, fixed)
            return emit.module(module, q, k, v, *more, at=core, shelved=True)
        q, scale = self._scaled(q)
        match over:
            case Linformer(_, share):
                project = emit.weight(f"{prefix}E")
                if seen is not None:
                    k, v = (emit.call(torch.where, seen, x, 0.0) for x in (k, v))
                k = self._projected(project, k)
                v = self._projected(project if share else emit.weight(f"{prefix}F"), v)
                return self._fused(q, k, v, scale)
            case Pooled(stride, by):
                pool = PooledKeys(per_axis(stride, len(self.keys.grid) or 1, str(over)), by)
                at = sequence(emit, self.keys)
                path, there = f"{prefix}pool", None
                filters = [emit.weight(f"{prefix}{x}") if by == "conv" else None for x in "KV"]
                k, v = (
                    emit.module(pool, x, at, *_given(w, seen), at=path, shelved=True)
                    for x, w in zip((k, v), filters, strict=True)
                )
                if seen is not None:
                    there = emit.method("transpose", emit.module(pool, seen, at, at=path, shelved=True), 2, 3)
                return self._fused(q, k, v, scale, mask=there)
            case Latent():
                heads = len(self.heads)
                latent, path = emit.weight(f"{prefix}latent"), f"{prefix}latents"
                more = _given(self._factor() if isinstance(op.scale, Reference) else None, seen)
                few = emit.module(Latents(heads, scale), latent, k, v, *more, at=path, shelved=True)
                d = self._width()
                return self._fused(q, emit.method("narrow", few, 3, 0, d), self._rest(few, d), scale)
            case Nystrom(landmarks, iterations, conv):
                more = _given(emit.weight(f"{prefix}conv.weight") if conv else None, seen)
                written = NystromAttention(landmarks, iterations, scale)
                return emit.module(written, q, k, v, *more, at=core, shelved=True)
        raise TypeError(f"no lowering of the mechanism `{over}`")

    def _projected(self, project: Value, x: Value) -> Value:
        """Fewer positions, by a map that all heads share: one product, not one for each."""
        emit = self.emit
        flat = emit.method("flatten", emit.method("transpose", x, 1, 2), 2)
        made = emit.method("unflatten", emit.call(torch.matmul, project, flat), 2, (len(self.heads), -1))
        return emit.method("transpose", made, 1, 2)

    def _width(self) -> int:
        """Channels of a head of q and k."""
        wide = self.emit.types(self.emit.node)[0].channels
        assert isinstance(wide, int)
        return wide // self.op.heads

    def _rest(self, few: Value, start: int) -> Value:
        return self.emit.call(operator.getitem, few, (..., slice(start, None)))

    def _mixed(self, over: Mixed, q: Value, k: Value, v: Value) -> Value:
        """Heads i, i + n, ... by the i-th of n parts."""
        emit, n = self.emit, len(over.parts)
        found: list[Value] = []
        for i, part in enumerate(over.parts):
            use = _Use(emit, self.op, self.queries, self.keys, self.given)
            use.heads, use.at, use.widths = tuple(range(i, self.op.heads, n)), f"{i}.", self.widths
            a, b, c = (emit.call(operator.getitem, x, (slice(None), slice(i, None, n))) for x in (q, k, v))
            if isinstance(part, Mechanism):
                found.append(use.mechanism(part, a, b, c, prefix=f"{i}."))
            else:
                found.append(use.pairs(part, a, b, c))
        return emit.method("flatten", emit.call(torch.stack, found, 2), 1, 2)
