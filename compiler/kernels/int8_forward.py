"""INT8 attention forwards, over the walk of the flash kernels: scores from INT8 codes of q and of smoothed keys.

    per block   codes of 32 neighbours share a scale; weights and v in 16 bits
    FP8         codes of a row share a scale; v in FP8, a scale for each channel, and weights: 448 p
    per token   codes of a row share a scale; v in INT8, a scale for each channel; weights too: 255 levels of what
                stands before the sum divides, code = round(255 p) - 128, and 128 column sums of v are added back

The un-normalised weight is what gets 255 levels, against the largest score of its row in the tile: the largest is 1
whatever the length, whereas the normalised one shrinks with it. Against the largest score so far, as SageAttention has
it, all weights below 1/510 would be lost, together up to a third of a row that has a few keys of large scores. Products
of codes are sums of integers and exact. Heads with a flag are computed in 16 bits.

FP8 needs no maximum of the tile: 448 p has 18 powers of two, and p below 2^-18 adds nothing. Products of a tile are
summed by themselves and then added in float32, for matrix units keep fewer bits while they sum FP8.

(Zhang et al. 2024, SageAttention, arXiv:2410.02367; Zhang et al. 2024, SageAttention2, arXiv:2411.10958.)
"""

from __future__ import annotations

import triton
import triton.language as tl

from ogive.compiler.kernels.forward import finish, tile_of, weighed
from ogive.compiler.kernels.int8_quantise import fp8
from ogive.compiler.kernels.tiles import (
    LOG2E,
    bounds,
    item,
    mine,
    placed,
    positions,
    product_back,
    rows_of,
    scored,
    seen_of,
)

__all__ = ["attention_int8_forward"]


@triton.jit
def _summed_back(acc, codes, w, share, BLOCK_N: tl.constexpr):
    """acc + share (code + 128) w, the products of codes by integers."""
    if BLOCK_N >= 32:
        found = tl.dot(codes, w, out_dtype=tl.int32).to(tl.float32)
    else:  # a matrix instruction of INT8 takes 32 keys; these sums are exact in float32 too
        found = tl.dot(codes.to(tl.float16), w.to(tl.float16))
    whole = tl.sum(w.to(tl.int32), 0).to(tl.float32)
    return acc + (found + 128.0 * whole[None, :]) * share[:, None]


@triton.jit
def _product_fp8(p, w, BLOCK_N: tl.constexpr):
    """p w of FP8, the sums of this tile alone."""
    if BLOCK_N >= 32:
        return tl.dot(p, w)
    else:  # a matrix instruction of FP8 takes 32 keys; fp16 has all that e4m3 has
        return tl.dot(p.to(tl.float16), w.to(tl.float16))


@triton.jit
def _tile(acc1, acc2, top, total, q1, q2, q_steps, k8, k_scale, v, mask, bias, tables, scale, start, block, batch, head,
          entry, rows, row, q_at, nq, nk, keys, k0, k1, k2, k8_n, v_n, lower, upper, bits, mask_b, mask_h, mask_q,
          mask_k, bias_b, bias_h, bias_q, b0, b1, gap, CHECKED: tl.constexpr, D: tl.constexpr, D1: tl.constexpr,
          D2: tl.constexpr, E: tl.constexpr, E1: tl.constexpr, E2: tl.constexpr, BLOCK_N: tl.constexpr,
          K_MAP: tl.constexpr, KEEP: tl.constexpr, BIAS: tl.constexpr, AXES: tl.constexpr, PREFIX: tl.constexpr,
          MASK: tl.constexpr, MASK_ROWS: tl.constexpr, TOKEN: tl.constexpr, FP8: tl.constexpr, GROUP: tl.constexpr):
    """As `tile_of`, q1 and q2 codes; v codes too with TOKEN."""
    column = tl.arange(0, BLOCK_N)
    columns = start * BLOCK_N + column
    k_from, k_in = placed(tables, k0, k1, k2, entry, start * BLOCK_N, column, nk, K_MAP, CHECKED)
    k_at = k_from + k_in
    k8 += k_from * k8_n
    v += k_from * v_n
    codes = tl.dot(q1, tl.trans(rows_of(k8, k_in, k8_n, 0, D1, D)), out_dtype=tl.int32)
    if D2 > 0:
        codes = tl.dot(q2, tl.trans(rows_of(k8, k_in, k8_n, D1, D2, D)), acc=codes, out_dtype=tl.int32)
    s = codes.to(tl.float32) * q_steps[:, None] * tl.load(k_scale + k_at // GROUP)[None, :]
    seen = columns[None, :] < nk
    if CHECKED:
        seen = seen_of(tables, bits, block, rows, columns, row, nq, nk, lower, upper, KEEP, BLOCK_N)
    s = scored(s, seen, tables, bias, mask, scale, batch, head, q_at, k_at, keys, bias_b, bias_h, bias_q, mask_b,
               mask_h, mask_q, mask_k, b0, b1, gap, CHECKED, BIAS, AXES, PREFIX, MASK, MASK_ROWS)
    w1 = rows_of(v, k_in, v_n, 0, E1, E)
    w2 = w1
    if E2 > 0:
        w2 = rows_of(v, k_in, v_n, E1, E2, E)
    if FP8:
        p, fade, higher = weighed(s, top, CHECKED, MASK)
        eighth = fp8(p * 448.0)
        level = eighth.to(tl.float32)
        total = total * fade + tl.sum(level, 1) * (1.0 / 448.0)  # what is multiplied is what is summed
        acc1 = acc1 * fade[:, None] + _product_fp8(eighth, w1, BLOCK_N) * (1.0 / 448.0)
        if E2 > 0:
            acc2 = acc2 * fade[:, None] + _product_fp8(eighth, w2, BLOCK_N) * (1.0 / 448.0)
    elif TOKEN:
        none = tl.full((q_steps.shape[0],), float("-inf"), tl.float32)
        p, _, here = weighed(s, none, CHECKED, MASK)  # 1 at the largest of the tile
        level = tl.floor(p * 255.0 + 0.5)
        higher = tl.maximum(top, here)
        base = tl.where(higher == float("-inf"), 0.0, higher)
        fade = tl.exp2(top - base)
        share = tl.exp2(here - base) * (1.0 / 255.0)
        total = total * fade + tl.sum(level, 1) * share  # what is multiplied is what is summed
        code = (level - 128.0).to(tl.int8)
        acc1 = _summed_back(acc1 * fade[:, None], code, w1, share, BLOCK_N)
        if E2 > 0:
            acc2 = _summed_back(acc2 * fade[:, None], code, w2, share, BLOCK_N)
    else:
        p, fade, higher = weighed(s, top, CHECKED, MASK)
        if E2 > 0:
            acc2 = acc2 * fade[:, None]
        total = total * fade + tl.sum(p, 1)
        acc1, acc2 = product_back(acc1 * fade[:, None], acc2, p, w1, w2, E2, "ieee")
    return acc1, acc2, higher, total


@triton.jit(do_not_specialize=[
    "heads", "groups", "heads_at", "kv_heads", "of_heads", "q_scales", "k_scales", "t_b", "mask_b", "mask_h", "mask_q",
    "mask_k", "bias_b", "bias_h", "bias_q", "entries", "nq", "nk", "queries", "keys", "q0", "q1", "q2", "k0", "k1",
    "k2", "lower", "upper", "lists", "items", "bits", "each", "b0", "b1", "gap",
])
def attention_int8_forward(
    q, k, v, q8, k8, v8, q_scale, k_scale, v_scale, shift, flags, out, total, mask, bias, tables, scale, heads, groups,
    heads_at, of_heads, kv_heads, q_scales, k_scales, q_b, q_h, q_n, k_b, k_h, k_n, v_b, v_h, v_n, q8_b, q8_h, q8_n,
    k8_b, k8_h, k8_n, v8_b, v8_h, v8_n, o_b, o_h, o_n, t_b, mask_b, mask_h, mask_q, mask_k, bias_b, bias_h, bias_q,
    entries, nq, nk, queries, keys, q0, q1, q2, k0, k1, k2, lower, upper, lists, items, bits, each, b0, b1, gap,
    D: tl.constexpr, D1: tl.constexpr, D2: tl.constexpr, E: tl.constexpr, E0: tl.constexpr, E1: tl.constexpr,
    E2: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, Q_MAP: tl.constexpr, K_MAP: tl.constexpr,
    KEEP: tl.constexpr, BIAS: tl.constexpr, AXES: tl.constexpr, PREFIX: tl.constexpr, MASK: tl.constexpr,
    MASK_ROWS: tl.constexpr, HEADS_LISTED: tl.constexpr, MERGE: tl.constexpr, PRECISION: tl.constexpr,
    TOKEN: tl.constexpr, FP8: tl.constexpr, GROUP: tl.constexpr,
):
    """As `attention_forward`, from the codes and scales of `attention_int8_codes`.

    Where a head's flag is set q, k and v are read as they are, by the same steps as the flash kernel's. `total` is that
    of the scores before keys were smoothed.
    """
    tiles = tl.cdiv(nq, BLOCK_M)
    batch, head, both = mine(heads_at, tables, heads, entries * tiles, HEADS_LISTED)
    entry = both // tiles
    tile = both % tiles
    row = tl.arange(0, BLOCK_M)
    rows = tile * BLOCK_M + row
    q_at = positions(tables, q0, q1, q2, entry, rows, nq, Q_MAP)
    wide = batch.to(tl.int64)
    kv_head = head // groups
    v += wide * v_b + kv_head * v_h

    acc1 = tl.zeros((BLOCK_M, E1), tl.float32)
    acc2 = tl.zeros((BLOCK_M, 16), tl.float32)
    if E2 > 0:
        acc2 = tl.zeros((BLOCK_M, E2), tl.float32)
    top = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    summed = tl.zeros((BLOCK_M,), tl.float32)
    full, behind, a, b, c, d = bounds(tables, entry, tile, nk, tiles, lower, upper, lists, each, KEEP, BLOCK_M, BLOCK_N)
    left = b - a + d - c

    if tl.load(flags + batch * of_heads + head) == 0:
        q8 += wide * q8_b + head * q8_h
        k8 += wide * k8_b + kv_head * k8_h
        k_scale += (wide * kv_heads + kv_head) * k_scales
        w, w_n = v, v_n
        if TOKEN:
            w, w_n = v8 + wide * v8_b + kv_head * v8_h, v8_n
        x1 = rows_of(q8, q_at, q8_n, 0, D1, D)
        x2 = x1
        if D2 > 0:
            x2 = rows_of(q8, q_at, q8_n, D1, D2, D)
        steps = tl.load(q_scale + (wide * of_heads + head) * q_scales + q_at // GROUP)
        start, block = item(tables, items, full, KEEP)
        for t in range(full, behind):
            later, _ = item(tables, items, t + 1, KEEP)
            acc1, acc2, top, summed = _tile(
                acc1, acc2, top, summed, x1, x2, steps, k8, k_scale, w, mask, bias, tables, scale, start, block, wide,
                head, entry, rows, row, q_at, nq, nk, keys, k0, k1, k2, k8_n, w_n, lower, upper, bits, mask_b, mask_h,
                mask_q, mask_k, bias_b, bias_h, bias_q, b0, b1, gap, False, D, D1, D2, E, E1, E2, BLOCK_N, K_MAP, KEEP,
                BIAS, AXES, PREFIX, MASK, MASK_ROWS, TOKEN, FP8, GROUP)
            start = later
        for t in range(0, left):
            start, block = item(tables, items, tl.where(t < b - a, a + t, c + t - (b - a)), KEEP)
            acc1, acc2, top, summed = _tile(
                acc1, acc2, top, summed, x1, x2, steps, k8, k_scale, w, mask, bias, tables, scale, start, block, wide,
                head, entry, rows, row, q_at, nq, nk, keys, k0, k1, k2, k8_n, w_n, lower, upper, bits, mask_b, mask_h,
                mask_q, mask_k, bias_b, bias_h, bias_q, b0, b1, gap, True, D, D1, D2, E, E1, E2, BLOCK_N, K_MAP, KEEP,
                BIAS, AXES, PREFIX, MASK, MASK_ROWS, TOKEN, FP8, GROUP)
        top += tl.load(shift + (wide * of_heads + head) * queries + q_at) * LOG2E
        if TOKEN:
            channels = v_scale + (wide * kv_heads + kv_head) * E0
            acc1 *= tl.load(channels + tl.arange(0, E1))[None, :]
            if E2 > 0:
                acc2 *= tl.load(channels + E1 + tl.arange(0, E2))[None, :]
    else:
        q += wide * q_b + head * q_h
        k += wide * k_b + kv_head * k_h
        y1 = rows_of(q, q_at, q_n, 0, D1, D)
        y2 = y1
        if D2 > 0:
            y2 = rows_of(q, q_at, q_n, D1, D2, D)
        start, block = item(tables, items, full, KEEP)
        for t in range(full, behind):
            later, _ = item(tables, items, t + 1, KEEP)
            acc1, acc2, top, summed = tile_of(
                acc1, acc2, top, summed, y1, y2, k, v, mask, bias, tables, tables, scale, 0, 1.0, start, block, wide,
                head, entry, rows, row, q_at, nq, nk, keys, k0, k1, k2, k_n, v_n, lower, upper, bits, mask_b, mask_h,
                mask_q, mask_k, bias_b, bias_h, bias_q, b0, b1, gap, head, False, D, D1, D2, E, E1, E2, BLOCK_N, K_MAP,
                KEEP, BIAS, AXES, PREFIX, MASK, MASK_ROWS, False, PRECISION)
            start = later
        for t in range(0, left):
            start, block = item(tables, items, tl.where(t < b - a, a + t, c + t - (b - a)), KEEP)
            acc1, acc2, top, summed = tile_of(
                acc1, acc2, top, summed, y1, y2, k, v, mask, bias, tables, tables, scale, 0, 1.0, start, block, wide,
                head, entry, rows, row, q_at, nq, nk, keys, k0, k1, k2, k_n, v_n, lower, upper, bits, mask_b, mask_h,
                mask_q, mask_k, bias_b, bias_h, bias_q, b0, b1, gap, head, True, D, D1, D2, E, E1, E2, BLOCK_N, K_MAP,
                KEEP, BIAS, AXES, PREFIX, MASK, MASK_ROWS, False, PRECISION)

    finish(acc1, acc2, top, summed, out, total, wide, head, rows, nq, q_at, queries, t_b, o_b, o_h, o_n, E, E1, E2,
           MERGE)
