"""The core of attention, as one call of torch's fused attention on views of q, k and v."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F

from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.modules import Attention, CausalMask
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.dims import Dim
from ogive.dsl.graph import Node
from ogive.dsl.ops.attention import Attend, positions
from ogive.dsl.ops.plane import is_image
from ogive.dsl.patterns import Causal
from ogive.dsl.types import Tensor

__all__ = ["attend"]


@lowers("attend")
def attend(emit: Emit, node: Node, *xs: Value) -> Value:
    """q, k, v as views `B heads N d`: three parts of one `linear` stay where they are, nothing is copied."""
    op, types, made = settings(node, Attend), emit.types(node), node.outputs[0]
    heads = [_heads(emit, op.heads, x, t, made.shape[0]) for x, t in zip(xs, types, strict=True)]
    q, k, v = heads * 3 if len(heads) == 1 else heads
    q_type, k_type, _ = op.qkv(types)
    causal = isinstance(op.over, Causal) and positions(q_type) != 1
    square = positions(q_type) == positions(k_type)
    mask = emit.module(CausalMask(), q, k, at="mask") if causal and not square else None
    y = _core(emit, op, q, k, v, mask, causal and square)
    if not is_image(q_type):
        return emit.method("flatten", emit.method("transpose", y, 1, 2), 2)
    y = emit.method("flatten", emit.method("transpose", y, 2, 3), 1, 2)
    return emit.method("unflatten", y, 2, tuple(emit.size(n) for n in q_type.shape[2:]))


def _heads(emit: Emit, heads: int, x: Value, t: Tensor, batch: Dim) -> Value:
    """`B N (heads d)` or `B (heads d) H W` as `B heads N d`."""
    if t.shape[0] == 1 and batch != 1:
        x = emit.method("expand", x, emit.size(batch), *[-1] * (t.rank - 1))
    if is_image(t):
        x = emit.method("flatten", emit.method("unflatten", x, 1, (heads, -1)), 3)
        return emit.method("transpose", x, 2, 3)
    return emit.method("transpose", emit.method("unflatten", x, 2, (heads, -1)), 1, 2)


def _core(emit: Emit, op: Attend, q: Value, k: Value, v: Value, mask: Value | None, causal: bool) -> Value:
    if op.drop:
        module = Attention(op.drop, causal, op.scale)
        return emit.module(module, q, k, v, *(() if mask is None else (mask,)))
    more: dict[str, Any] = {"scale": op.scale} if op.scale is not None else {}
    if mask is not None:
        more["attn_mask"] = mask
    if causal:
        more["is_causal"] = True
    return emit.call(F.scaled_dot_product_attention, q, k, v, **more)
