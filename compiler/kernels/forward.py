"""Attention forwards: softmax(q k^T scale + bias, over the pairs of a part) v, tile by tile, and its log-sum-exp.

(Milakov and Gimelshein 2018, arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135.)
"""

from __future__ import annotations

import triton
import triton.language as tl

from ogive.compiler.kernels.tiles import (
    LN2,
    LOG2E,
    bounds,
    dropped,
    item,
    mine,
    placed,
    positions,
    product,
    product_back,
    put,
    rows_of,
    scored,
    seen_of,
)

__all__ = ["attention_forward", "finish", "tile_of", "weighed"]


@triton.jit
def weighed(s, top, CHECKED: tl.constexpr, MASK: tl.constexpr):
    """Weights of a tile of scores against the running maximum, by how much earlier ones fade, the new maximum."""
    higher = tl.maximum(top, tl.max(s, 1))
    base = higher
    if CHECKED or MASK > 0:  # a query that has seen nothing so far: exp2(-inf - 0), not exp2(-inf + inf)
        base = tl.where(higher == float("-inf"), 0.0, higher)
    p = tl.exp2(s - base[:, None])
    fade = tl.exp2(top - base)
    return p, fade, higher


@triton.jit
def tile_of(acc1, acc2, top, total, q1, q2, k, v, mask, bias, tables, seed, scale, threshold, keep_scale, start, block,
            batch, head, entry, rows, row, q_at, nq, nk, keys, k0, k1, k2, k_n, v_n, lower, upper, bits, mask_b, mask_h,
            mask_q, mask_k, bias_b, bias_h, bias_q, b0, b1, gap, drop_head, CHECKED: tl.constexpr, D: tl.constexpr,
            D1: tl.constexpr, D2: tl.constexpr, E: tl.constexpr, E1: tl.constexpr, E2: tl.constexpr,
            BLOCK_N: tl.constexpr, K_MAP: tl.constexpr, KEEP: tl.constexpr, BIAS: tl.constexpr, AXES: tl.constexpr,
            PREFIX: tl.constexpr, MASK: tl.constexpr, MASK_ROWS: tl.constexpr, DROPOUT: tl.constexpr,
            PRECISION: tl.constexpr):
    """One tile of keys: the running maximum, the running sum, and the answers so far."""
    column = tl.arange(0, BLOCK_N)
    columns = start * BLOCK_N + column
    k_from, k_in = placed(tables, k0, k1, k2, entry, start * BLOCK_N, column, nk, K_MAP, CHECKED)
    k_at = k_from + k_in
    k += k_from * k_n
    v += k_from * v_n
    a1 = rows_of(k, k_in, k_n, 0, D1, D)
    a2 = a1
    if D2 > 0:
        a2 = rows_of(k, k_in, k_n, D1, D2, D)
    s = product(q1, q2, a1, a2, D2, PRECISION)
    seen = columns[None, :] < nk
    if CHECKED:
        seen = seen_of(tables, bits, block, rows, columns, row, nq, nk, lower, upper, KEEP, BLOCK_N)
    s = scored(s, seen, tables, bias, mask, scale, batch, head, q_at, k_at, keys, bias_b, bias_h, bias_q, mask_b,
               mask_h, mask_q, mask_k, b0, b1, gap, CHECKED, BIAS, AXES, PREFIX, MASK, MASK_ROWS)
    p, fade, higher = weighed(s, top, CHECKED, MASK)
    total = total * fade + tl.sum(p, 1)
    if DROPOUT:
        p = tl.where(dropped(seed, threshold, batch, drop_head, q_at, k_at), p * keep_scale, 0.0)
    w1 = rows_of(v, k_in, v_n, 0, E1, E)
    w2 = w1
    if E2 > 0:
        w2 = rows_of(v, k_in, v_n, E1, E2, E)
        acc2 = acc2 * fade[:, None]
    acc1, acc2 = product_back(acc1 * fade[:, None], acc2, p, w1, w2, E2, PRECISION)
    return acc1, acc2, higher, total


@triton.jit
def finish(acc1, acc2, top, summed, out, total, wide, head, rows, nq, q_at, queries, t_b, o_b, o_h, o_n,
           E: tl.constexpr, E1: tl.constexpr, E2: tl.constexpr, MERGE: tl.constexpr):
    """The answers of a tile of queries and their log-sum-exps, written or merged with what earlier parts answered."""
    sees = summed > 0.0
    shown = tl.where(sees, summed, 1.0)
    share = tl.where(sees, 1.0 / shown, 0.0)
    sums = tl.where(sees, top * LN2 + tl.log(shown), float("-inf"))
    there = rows < nq
    at = total + wide * t_b + head * queries + q_at
    if MERGE:
        before = tl.load(at)
        most = tl.maximum(before, sums)
        most = tl.where(most == float("-inf"), 0.0, most)
        old = tl.exp2((before - most) * LOG2E)
        new = tl.exp2((sums - most) * LOG2E)
        sees = old + new > 0.0
        shown = tl.where(sees, old + new, 1.0)
        old = old / shown
        share = share * (new / shown)
        sums = tl.where(sees, most + tl.log(shown), float("-inf"))
        put(out + wide * o_b + head * o_h, q_at, o_n, acc1 * share[:, None], there, old, 0, E1, E, True)
        if E2 > 0:
            put(out + wide * o_b + head * o_h, q_at, o_n, acc2 * share[:, None], there, old, E1, E2, E, True)
    else:
        put(out + wide * o_b + head * o_h, q_at, o_n, acc1 * share[:, None], there, share, 0, E1, E, False)
        if E2 > 0:
            put(out + wide * o_b + head * o_h, q_at, o_n, acc2 * share[:, None], there, share, E1, E2, E, False)
    tl.store(at, sums, mask=there)


@triton.jit(do_not_specialize=[
    "threshold", "heads", "groups", "heads_at", "drop_at", "t_b", "mask_b", "mask_h", "mask_q", "mask_k", "bias_b",
    "bias_h", "bias_q", "entries", "nq", "nk", "queries", "keys", "q0", "q1", "q2", "k0", "k1", "k2", "lower", "upper",
    "lists", "items", "bits", "each", "b0", "b1", "gap",
])
def attention_forward(
    q, k, v, out, total, mask, bias, tables, seed, scale, threshold, keep_scale, heads, groups, heads_at, drop_at,
    q_b, q_h, q_n, k_b, k_h, k_n, v_b, v_h, v_n, o_b, o_h, o_n, t_b, mask_b, mask_h, mask_q, mask_k, bias_b, bias_h,
    bias_q, entries, nq, nk, queries, keys, q0, q1, q2, k0, k1, k2, lower, upper, lists, items, bits, each, b0, b1, gap,
    D: tl.constexpr, D1: tl.constexpr, D2: tl.constexpr, E: tl.constexpr, E1: tl.constexpr, E2: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, Q_MAP: tl.constexpr, K_MAP: tl.constexpr, KEEP: tl.constexpr,
    BIAS: tl.constexpr, AXES: tl.constexpr, PREFIX: tl.constexpr, MASK: tl.constexpr, MASK_ROWS: tl.constexpr,
    DROPOUT: tl.constexpr, HEADS_LISTED: tl.constexpr, MERGE: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """A tile of queries of an entry: q `B H N D`, k and v `B H/groups M .` -> out `B H N E`, total `B H N`.

    `total` is the natural log-sum-exp of all scores of a query, -inf where it sees no key; its answer is 0 then. With
    MERGE, what earlier parts answered is in `out` (float32) and `total` already: L = log(exp L1 + exp L2),
    O = O1 exp(L1 - L) + O2 exp(L2 - L).
    """
    tiles = tl.cdiv(nq, BLOCK_M)
    batch, head, both = mine(heads_at, tables, heads, entries * tiles, HEADS_LISTED)
    entry = both // tiles
    tile = both % tiles
    row = tl.arange(0, BLOCK_M)
    rows = tile * BLOCK_M + row
    q_at = positions(tables, q0, q1, q2, entry, rows, nq, Q_MAP)
    wide = batch.to(tl.int64)
    q += wide * q_b + head * q_h
    k += wide * k_b + (head // groups) * k_h
    v += wide * v_b + (head // groups) * v_h
    drop_head = head
    if DROPOUT:
        drop_head = tl.load(tables + drop_at + head)

    x1 = rows_of(q, q_at, q_n, 0, D1, D)
    x2 = x1
    if D2 > 0:
        x2 = rows_of(q, q_at, q_n, D1, D2, D)
    acc1 = tl.zeros((BLOCK_M, E1), tl.float32)
    acc2 = tl.zeros((BLOCK_M, 16), tl.float32)
    if E2 > 0:
        acc2 = tl.zeros((BLOCK_M, E2), tl.float32)
    top = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    summed = tl.zeros((BLOCK_M,), tl.float32)

    full, behind, a, b, c, d = bounds(tables, entry, tile, nk, tiles, lower, upper, lists, each, KEEP, BLOCK_M, BLOCK_N)
    start, block = item(tables, items, full, KEEP)
    for t in range(full, behind):
        later, _ = item(tables, items, t + 1, KEEP)
        acc1, acc2, top, summed = tile_of(
            acc1, acc2, top, summed, x1, x2, k, v, mask, bias, tables, seed, scale, threshold, keep_scale, start, block,
            wide, head, entry, rows, row, q_at, nq, nk, keys, k0, k1, k2, k_n, v_n, lower, upper, bits, mask_b, mask_h,
            mask_q, mask_k, bias_b, bias_h, bias_q, b0, b1, gap, drop_head, False, D, D1, D2, E, E1, E2, BLOCK_N, K_MAP,
            KEEP, BIAS, AXES, PREFIX, MASK, MASK_ROWS, DROPOUT, PRECISION)
        start = later
    for t in range(0, b - a + d - c):
        start, block = item(tables, items, tl.where(t < b - a, a + t, c + t - (b - a)), KEEP)
        acc1, acc2, top, summed = tile_of(
            acc1, acc2, top, summed, x1, x2, k, v, mask, bias, tables, seed, scale, threshold, keep_scale, start, block,
            wide, head, entry, rows, row, q_at, nq, nk, keys, k0, k1, k2, k_n, v_n, lower, upper, bits, mask_b, mask_h,
            mask_q, mask_k, bias_b, bias_h, bias_q, b0, b1, gap, drop_head, True, D, D1, D2, E, E1, E2, BLOCK_N, K_MAP,
            KEEP, BIAS, AXES, PREFIX, MASK, MASK_ROWS, DROPOUT, PRECISION)

    finish(acc1, acc2, top, summed, out, total, wide, head, rows, nq, q_at, queries, t_b, o_b, o_h, o_n, E, E1, E2,
           MERGE)
