"""Which setting each kernel gets for a piece of a walk: asked by who launches kernels and by who compiles them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ogive.compiler.kernels.setting import ROWS, Device, Given, Int8, Setting, tiled
from ogive.compiler.kernels.spec import Piece, Spec
from ogive.compiler.kernels.tuned import best

__all__ = ["Use", "alone", "backward_keys", "backward_queries", "backward_scores", "codes", "forward"]


@dataclass(frozen=True)
class Use:
    """What a walk is used on: types and widths of heads, and what stands beside q, k and v."""

    dtype: Literal["fp16", "bf16", "fp32"]
    width: int
    values: int
    mask: Given = "none"
    mask_rows: bool = False
    dropout: bool = False
    precision: Literal["ieee", "tf32", "tf32x3"] = "ieee"
    int8: Int8 = "none"


def forward(spec: Spec, piece: Piece, use: Use, device: Device) -> Setting:
    """Answers are float32 where several pieces answer a query, and are merged from the second on."""
    made = replace(_plain(spec, piece, use), merge=piece.merge, wide=not spec.once)
    kernel = "attention_forward" if use.int8 == "none" else "attention_int8_forward"
    return best(kernel, tiled(made, device, piece.q.count, piece.k.count))


def codes(use: Use) -> Setting:
    """Of the kernels that make INT8 codes: they go row by row."""
    return Setting(use.dtype, use.width, use.values, block_m=ROWS, block_n=ROWS, stages=1, int8=use.int8)


def backward_queries(spec: Spec, piece: Piece, use: Use, device: Device) -> Setting:
    """As `forward`: gradients of a query that several pieces answer are added up."""
    made = replace(_plain(spec, piece, use), merge=piece.merge, wide=not spec.once)
    return best("attention_backward_queries", tiled(made, device, piece.q.count, piece.k.count, backward=True))


def backward_keys(spec: Spec, piece: Piece, use: Use, device: Device) -> Setting:
    """Pieces add to the gradients of keys where a head has several; keys that entries share get rows of their own."""
    added = not piece.keys_shared and not alone(spec)
    made = replace(_plain(spec, piece, use), slots=piece.keys_shared, merge=added, wide=piece.keys_shared or added)
    made = tiled(made, device, piece.q.count, piece.k.count, backward=True, by_keys=True)
    return best("attention_backward_keys", made)


def backward_scores(spec: Spec, piece: Piece, use: Use, device: Device) -> Setting:
    """The gradient of scores, for biases and masks."""
    return tiled(_plain(spec, piece, use), device, piece.q.count, piece.k.count, backward=True)


def alone(spec: Spec) -> bool:
    """Whether every head has one piece, whose entries share no key: gradients of keys are written once."""
    heads = [piece.heads for piece in spec.pieces]
    return len(set(heads)) == len(heads) and (None not in heads or len(heads) == 1) and not any(
        piece.keys_shared for piece in spec.pieces)


def _plain(spec: Spec, piece: Piece, use: Use) -> Setting:
    bias = spec.bias
    made = Setting(
        use.dtype, use.width, use.values, q_map=piece.q.map, k_map=piece.k.map, keep=piece.keep, bias=bias.kind,
        axes=bias.axes, prefix=bias.prefix, mask=use.mask, mask_rows=use.mask_rows, dropout=use.dropout,
        heads_listed=piece.heads is not None, precision=use.precision,
        int8=use.int8,
    )
    if piece.lists is None:
        return made
    return replace(made, block_m=piece.lists.block_m, block_n=piece.lists.block_n)
