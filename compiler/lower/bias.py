"""Biases of attention: what each holds, and how `attend` reads it; heads that mix; rotations by place."""

from __future__ import annotations

import torch

from ogive.compiler.lower.attention_biases import BucketBias, OffsetBias, ProductBias, Rotary, SlopeBias, Slopes
from ogive.compiler.lower.attention_spelling import sequence
from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.biases import Buckets, Products, offsets_of
from ogive.dsl.biases import Slopes as SlopesOf
from ogive.dsl.graph import Node
from ogive.dsl.ops.attention import Attend
from ogive.dsl.ops.bias import Alibi, DecomposedRelative, Rope
from ogive.dsl.types import Axis

__all__ = ["added", "alibi", "decomposed_relative", "head_mix", "relative_bias", "rope", "t5_bias"]


def added(
    emit: Emit, op: Attend, value: Value | None, q: Value, k: Value, queries: Axis, keys: Axis
) -> Value | None:
    """What a structure adds to the scores: [heads, N, M] or [B, heads, N, M], in the element type of q."""
    if value is None or op.bias is None:
        return None
    structure = op.bias.tensor.structure
    ends = (sequence(emit, queries), sequence(emit, keys))
    if isinstance(structure, SlopesOf):
        found = emit.module(SlopeBias(), value, q, k, at="bias", shelved=True)
    elif isinstance(structure, Buckets):
        buckets = BucketBias(structure.buckets, structure.reach, structure.bidirectional)
        found = emit.module(buckets, value, q, k, at="bias", shelved=True)
    elif isinstance(structure, Products):
        found = emit.module(ProductBias(structure.rows), value, *ends, at="bias", shelved=True)
    else:
        table = offsets_of(op.bias.tensor)
        assert table is not None
        module = OffsetBias(table.heads, table.size, table.layout, table.prefix, table.stride, table.step)
        found = emit.module(module, value, *ends, at="bias", shelved=True)
    return emit.method("type_as", found, q)


@lowers("relative_bias")
def relative_bias(emit: Emit, node: Node) -> Value:
    return emit.weight("")


@lowers("t5_bias")
def t5_bias(emit: Emit, node: Node) -> Value:
    return emit.weight("weight")


@lowers("alibi")
def alibi(emit: Emit, node: Node) -> Value:
    return emit.module(Slopes(settings(node, Alibi).slopes()), shelved=True)


@lowers("head_mix")
def head_mix(emit: Emit, node: Node) -> Value:
    """The matrix with its bias as one more column."""
    return emit.call(torch.cat, (emit.weight("weight"), emit.method("unsqueeze", emit.weight("bias"), 1)), 1)


@lowers("decomposed_relative")
def decomposed_relative(emit: Emit, node: Node, q: Value, *tables: Value) -> Value:
    """Each query with every row of the tables: B heads N rows."""
    heads = settings(node, DecomposedRelative).heads
    q = emit.method("transpose", emit.method("unflatten", q, 2, (heads, -1)), 1, 2)
    rows = emit.call(torch.cat, tables, 0) if len(tables) > 1 else tables[0]
    return emit.call(torch.matmul, q, emit.method("t", rows))


@lowers("rope")
def rope(emit: Emit, node: Node, *xs: Value) -> tuple[Value, ...]:
    """Each input turned by its own places; what is cached for equal sizes serves all of them."""
    op = settings(node, Rope)
    module = Rotary(op.heads, op.base, op.layout)
    types = emit.types(node)
    return tuple(
        emit.module(module, x, sequence(emit, t.axes[1])) for x, t in zip(xs, types, strict=True)
    )
