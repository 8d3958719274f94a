"""Biases of attention: what each holds, and how `attend` reads it; heads that mix; rotations by place."""

from __future__ import annotations

import torch

from ogive.compiler.lower.attention_biases import (
    Bias,
    BucketBias,
    OffsetBias,
    ProductBias,
    Rotary,
    SlopeBias,
    Slopes,
)
from ogive.compiler.lower.attention_spelling import sequence
from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.attention import Attend
from ogive.dsl.ops.bias import Alibi, DecomposedRelative, Rope
from ogive.dsl.ops.biases import Buckets, Products, offsets_of
from ogive.dsl.ops.biases import Slopes as SlopesOf

__all__ = ["alibi", "decomposed_relative", "head_mix", "looked_up", "relative_bias", "rope", "t5_bias"]


def looked_up(op: Attend) -> Bias | None:
    """How the values of a structure are looked up for a query and a key."""
    if op.bias is None:
        return None
    structure = op.bias.tensor.structure
    if isinstance(structure, SlopesOf):
        return SlopeBias()
    if isinstance(structure, Buckets):
        return BucketBias(structure.buckets, structure.reach, structure.bidirectional)
    if isinstance(structure, Products):
        return ProductBias(structure.rows)
    table = offsets_of(op.bias.tensor)
    assert table is not None
    return OffsetBias(table.heads, table.size, table.layout, table.prefix, table.stride, table.step)


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
