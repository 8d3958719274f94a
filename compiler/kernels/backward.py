"""Gradients of attention: of the queries, tile by tile of queries, and of keys and values, tile by tile of keys.

With P = exp(S - L) of the merged log-sum-exp L, dP = dO v^T and delta = rowsum(dO O),

    dS = P (dP - delta),    dq = scale dS k,    dk = scale dS^T q,    dv = P^T dO

where dropout multiplies dP, and P in dv (Dao et al. 2022, arXiv:2205.14135). A program writes what no other does: no
sum depends on the order in which programs run.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ogive.compiler.kernels.tiles import (
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

__all__ = ["attention_backward_keys", "attention_backward_queries", "attention_delta", "gradient_of_scores"]


@triton.jit
def attention_delta(out, grad, delta, queries, heads, o_b, o_h, o_n, g_b, g_h, g_n, E: tl.constexpr, E1: tl.constexpr,
                    E2: tl.constexpr, BLOCK_M: tl.constexpr):
    """delta = rowsum(dO O), `B H N` in float32."""
    tiles = tl.cdiv(queries, BLOCK_M)
    program = tl.program_id(0)
    head = (program // tiles) % heads
    batch = (program // tiles // heads).to(tl.int64)
    rows = (program % tiles) * BLOCK_M + tl.arange(0, BLOCK_M)
    at = tl.minimum(rows, queries - 1)
    out += batch * o_b + head * o_h
    grad += batch * g_b + head * g_h
    found = tl.sum(rows_of(out, at, o_n, 0, E1, E).to(tl.float32) * rows_of(grad, at, g_n, 0, E1, E).to(tl.float32), 1)
    if E2 > 0:
        found += tl.sum(
            rows_of(out, at, o_n, E1, E2, E).to(tl.float32) * rows_of(grad, at, g_n, E1, E2, E).to(tl.float32), 1)
    tl.store(delta + (batch * heads + head) * queries + rows, found, mask=rows < queries)


@triton.jit
def gradient_of_scores(q1, q2, g1, g2, a1, a2, w1, w2, sums, delta, seen, mask, bias, tables, seed, scale, threshold,
                       keep_scale, batch, head, q_at, k_at, keys, mask_b, mask_h, mask_q, mask_k, bias_b, bias_h,
                       bias_q, b0, b1, gap, drop_head, CHECKED: tl.constexpr, D2: tl.constexpr, E2: tl.constexpr,
                       BIAS: tl.constexpr, AXES: tl.constexpr, PREFIX: tl.constexpr, MASK: tl.constexpr,
                       MASK_ROWS: tl.constexpr, DROPOUT: tl.constexpr, PRECISION: tl.constexpr):
    """dS of a tile, and P as it weighs v. `sums` are L in units of log 2, 0 for a query that sees no key."""
    s = product(q1, q2, a1, a2, D2, PRECISION)
    s = scored(s, seen, tables, bias, mask, scale, batch, head, q_at, k_at, keys, bias_b, bias_h, bias_q, mask_b,
               mask_h, mask_q, mask_k, b0, b1, gap, CHECKED, BIAS, AXES, PREFIX, MASK, MASK_ROWS)
    p = tl.exp2(s - sums[:, None])
    wanted = product(g1, g2, w1, w2, E2, PRECISION)
    weights = p
    if DROPOUT:
        keep = dropped(seed, threshold, batch, drop_head, q_at, k_at)
        wanted = tl.where(keep, wanted * keep_scale, 0.0)
        weights = tl.where(keep, p * keep_scale, 0.0)
    return p * (wanted - delta[:, None]), weights


@triton.jit
def sums_of(total, at):
    """Log-sum-exps in units of log 2; 0 for a query that sees no key, whose scores are all -inf."""
    found = tl.load(total + at)
    return tl.where(found == float("-inf"), 0.0, found * LOG2E)


@triton.jit
def _tile_q(d1, d2, q1, q2, g1, g2, sums, delta, k, v, mask, bias, tables, seed, scale, threshold, keep_scale, start,
            block, batch, head, entry, rows, row, q_at, nq, nk, keys, k0, k1, k2, k_n, v_n, lower, upper, bits, mask_b,
            mask_h, mask_q, mask_k, bias_b, bias_h, bias_q, b0, b1, gap, drop_head, CHECKED: tl.constexpr,
            D: tl.constexpr, D1: tl.constexpr, D2: tl.constexpr, E: tl.constexpr, E1: tl.constexpr, E2: tl.constexpr,
            BLOCK_N: tl.constexpr, K_MAP: tl.constexpr, KEEP: tl.constexpr, BIAS: tl.constexpr, AXES: tl.constexpr,
            PREFIX: tl.constexpr, MASK: tl.constexpr, MASK_ROWS: tl.constexpr, DROPOUT: tl.constexpr,
            PRECISION: tl.constexpr):
    """What one tile of keys adds to dq."""
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
    w1 = rows_of(v, k_in, v_n, 0, E1, E)
    w2 = w1
    if E2 > 0:
        w2 = rows_of(v, k_in, v_n, E1, E2, E)
    seen = columns[None, :] < nk
    if CHECKED:
        seen = seen_of(tables, bits, block, rows, columns, row, nq, nk, lower, upper, KEEP, BLOCK_N)
    ds, _ = gradient_of_scores(
        q1, q2, g1, g2, a1, a2, w1, w2, sums, delta, seen, mask, bias, tables, seed, scale, threshold, keep_scale,
        batch, head, q_at, k_at, keys, mask_b, mask_h, mask_q, mask_k, bias_b, bias_h, bias_q, b0, b1, gap, drop_head,
        CHECKED, D2, E2, BIAS, AXES, PREFIX, MASK, MASK_ROWS, DROPOUT, PRECISION)
    return product_back(d1, d2, ds, a1, a2, D2, PRECISION)


@triton.jit(do_not_specialize=[
    "threshold", "heads", "groups", "heads_at", "drop_at", "t_b", "mask_b", "mask_h", "mask_q", "mask_k", "bias_b",
    "bias_h", "bias_q", "entries", "nq", "nk", "queries", "keys", "q0", "q1", "q2", "k0", "k1", "k2", "lower", "upper",
    "lists", "items", "bits", "each", "b0", "b1", "gap",
])
def attention_backward_queries(
    q, k, v, grad, total, delta, dq, mask, bias, tables, seed, scale, threshold, keep_scale, heads, groups, heads_at,
    drop_at, q_b, q_h, q_n, k_b, k_h, k_n, v_b, v_h, v_n, g_b, g_h, g_n, dq_b, dq_h, dq_n, t_b, mask_b, mask_h, mask_q,
    mask_k, bias_b, bias_h, bias_q, entries, nq, nk, queries, keys, q0, q1, q2, k0, k1, k2, lower, upper, lists, items,
    bits, each, b0, b1, gap,
    D: tl.constexpr, D1: tl.constexpr, D2: tl.constexpr, E: tl.constexpr, E1: tl.constexpr, E2: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, Q_MAP: tl.constexpr, K_MAP: tl.constexpr, KEEP: tl.constexpr,
    BIAS: tl.constexpr, AXES: tl.constexpr, PREFIX: tl.constexpr, MASK: tl.constexpr, MASK_ROWS: tl.constexpr,
    DROPOUT: tl.constexpr, HEADS_LISTED: tl.constexpr, MERGE: tl.constexpr, PRECISION: tl.constexpr,
):
    """dq of a tile of queries of an entry, `B H N D`; with MERGE added to what is there."""
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
    grad += wide * g_b + head * g_h
    drop_head = head
    if DROPOUT:
        drop_head = tl.load(tables + drop_at + head)

    x1 = rows_of(q, q_at, q_n, 0, D1, D)
    x2 = x1
    if D2 > 0:
        x2 = rows_of(q, q_at, q_n, D1, D2, D)
    y1 = rows_of(grad, q_at, g_n, 0, E1, E)
    y2 = y1
    if E2 > 0:
        y2 = rows_of(grad, q_at, g_n, E1, E2, E)
    at = wide * t_b + head * queries + q_at
    sums = sums_of(total, at)
    less = tl.load(delta + at)
    d1 = tl.zeros((BLOCK_M, D1), tl.float32)
    d2 = tl.zeros((BLOCK_M, 16), tl.float32)
    if D2 > 0:
        d2 = tl.zeros((BLOCK_M, D2), tl.float32)

    full, behind, a, b, c, d = bounds(tables, entry, tile, nk, tiles, lower, upper, lists, each, KEEP, BLOCK_M, BLOCK_N)
    start, block = item(tables, items, full, KEEP)
    for t in range(full, behind):
        later, _ = item(tables, items, t + 1, KEEP)
        d1, d2 = _tile_q(
            d1, d2, x1, x2, y1, y2, sums, less, k, v, mask, bias, tables, seed, scale, threshold, keep_scale, start,
            block, wide, head, entry, rows, row, q_at, nq, nk, keys, k0, k1, k2, k_n, v_n, lower, upper, bits, mask_b,
            mask_h, mask_q, mask_k, bias_b, bias_h, bias_q, b0, b1, gap, drop_head, False, D, D1, D2, E, E1, E2,
            BLOCK_N, K_MAP, KEEP, BIAS, AXES, PREFIX, MASK, MASK_ROWS, DROPOUT, PRECISION)
        start = later
    for t in range(0, b - a + d - c):
        start, block = item(tables, items, tl.where(t < b - a, a + t, c + t - (b - a)), KEEP)
        d1, d2 = _tile_q(
            d1, d2, x1, x2, y1, y2, sums, less, k, v, mask, bias, tables, seed, scale, threshold, keep_scale, start,
            block, wide, head, entry, rows, row, q_at, nq, nk, keys, k0, k1, k2, k_n, v_n, lower, upper, bits, mask_b,
            mask_h, mask_q, mask_k, bias_b, bias_h, bias_q, b0, b1, gap, drop_head, True, D, D1, D2, E, E1, E2,
            BLOCK_N, K_MAP, KEEP, BIAS, AXES, PREFIX, MASK, MASK_ROWS, DROPOUT, PRECISION)

    there = rows < nq
    one = tl.full((BLOCK_M,), 1.0, tl.float32)
    dq += wide * dq_b + head * dq_h
    put(dq, q_at, dq_n, d1 * scale, there, one, 0, D1, D, MERGE)
    if D2 > 0:
        put(dq, q_at, dq_n, d2 * scale, there, one, D1, D2, D, MERGE)


@triton.jit
def _tile_k(d1, d2, e1, e2, a1, a2, w1, w2, q, grad, total, delta, mask, bias, tables, seed, scale, threshold,
            keep_scale, start, block, batch, head, entry, columns, k_at, nq, nk, keys, q0, q1, q2, q_n, g_n, lower,
            upper, bits, mask_b, mask_h, mask_q, mask_k, bias_b, bias_h, bias_q, b0, b1, gap, drop_head,
            CHECKED: tl.constexpr, D: tl.constexpr, D1: tl.constexpr, D2: tl.constexpr, E: tl.constexpr,
            E1: tl.constexpr, E2: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, Q_MAP: tl.constexpr,
            KEEP: tl.constexpr, BIAS: tl.constexpr, AXES: tl.constexpr, PREFIX: tl.constexpr, MASK: tl.constexpr,
            MASK_ROWS: tl.constexpr, DROPOUT: tl.constexpr, PRECISION: tl.constexpr):
    """What one tile of queries adds to dk and dv."""
    row = tl.arange(0, BLOCK_M)
    rows = start * BLOCK_M + row
    q_from, q_in = placed(tables, q0, q1, q2, entry, start * BLOCK_M, row, nq, Q_MAP, CHECKED)
    q_at = q_from + q_in
    q += q_from * q_n
    grad += q_from * g_n
    x1 = rows_of(q, q_in, q_n, 0, D1, D)
    x2 = x1
    if D2 > 0:
        x2 = rows_of(q, q_in, q_n, D1, D2, D)
    y1 = rows_of(grad, q_in, g_n, 0, E1, E)
    y2 = y1
    if E2 > 0:
        y2 = rows_of(grad, q_in, g_n, E1, E2, E)
    seen = rows[:, None] < nq
    if CHECKED:
        seen = seen_of(tables, bits, block, rows, columns, row, nq, nk, lower, upper, KEEP, BLOCK_N)
    ds, p = gradient_of_scores(
        x1, x2, y1, y2, a1, a2, w1, w2, sums_of(total, q_at), tl.load(delta + q_at), seen, mask, bias, tables, seed,
        scale, threshold, keep_scale, batch, head, q_at, k_at, keys, mask_b, mask_h, mask_q, mask_k, bias_b, bias_h,
        bias_q, b0, b1, gap, drop_head, CHECKED, D2, E2, BIAS, AXES, PREFIX, MASK, MASK_ROWS, DROPOUT, PRECISION)
    d1, d2 = product_back(d1, d2, tl.trans(ds), x1, x2, D2, PRECISION)
    e1, e2 = product_back(e1, e2, tl.trans(p), y1, y2, E2, PRECISION)
    return d1, d2, e1, e2


@triton.jit(do_not_specialize=[
    "threshold", "heads", "groups", "heads_at", "drop_at", "t_b", "mask_b", "mask_h", "mask_q", "mask_k", "bias_b",
    "bias_h", "bias_q", "entries", "nq", "nk", "queries", "keys", "q0", "q1", "q2", "k0", "k1", "k2", "lower", "upper",
    "lists", "items", "bits", "each", "b0", "b1", "gap",
])
def attention_backward_keys(
    q, k, v, grad, total, delta, dk, dv, mask, bias, tables, seed, scale, threshold, keep_scale, heads, groups,
    heads_at, drop_at, q_b, q_h, q_n, k_b, k_h, k_n, v_b, v_h, v_n, g_b, g_h, g_n, dk_b, dk_h, dk_n, dv_b, dv_h, dv_n,
    t_b, mask_b, mask_h, mask_q, mask_k, bias_b, bias_h, bias_q, entries, nq, nk, queries, keys, q0, q1, q2, k0, k1, k2,
    lower, upper, lists, items, bits, each, b0, b1, gap,
    D: tl.constexpr, D1: tl.constexpr, D2: tl.constexpr, E: tl.constexpr, E1: tl.constexpr, E2: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, Q_MAP: tl.constexpr, K_MAP: tl.constexpr, KEEP: tl.constexpr,
    BIAS: tl.constexpr, AXES: tl.constexpr, PREFIX: tl.constexpr, MASK: tl.constexpr, MASK_ROWS: tl.constexpr,
    DROPOUT: tl.constexpr, HEADS_LISTED: tl.constexpr, MERGE: tl.constexpr, SLOTS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """dk and dv of a tile of keys of an entry, `B H M .` of every head of queries; with MERGE added to what is there.

    Lists are those of the transposed set: for each tile of keys its tiles of queries. With SLOTS, rows lie at the place
    entry nk + j, `B H entries nk .`: entries share keys, and their sums are taken afterwards, in order.
    """
    tiles = tl.cdiv(nk, BLOCK_N)
    batch, head, both = mine(heads_at, tables, heads, entries * tiles, HEADS_LISTED)
    entry = both // tiles
    tile = both % tiles
    columns = tile * BLOCK_N + tl.arange(0, BLOCK_N)
    k_at = positions(tables, k0, k1, k2, entry, columns, nk, K_MAP)
    wide = batch.to(tl.int64)
    q += wide * q_b + head * q_h
    k += wide * k_b + (head // groups) * k_h
    v += wide * v_b + (head // groups) * v_h
    grad += wide * g_b + head * g_h
    total += wide * t_b + head * queries
    delta += wide * t_b + head * queries
    drop_head = head
    if DROPOUT:
        drop_head = tl.load(tables + drop_at + head)

    a1 = rows_of(k, k_at, k_n, 0, D1, D)
    a2 = a1
    if D2 > 0:
        a2 = rows_of(k, k_at, k_n, D1, D2, D)
    w1 = rows_of(v, k_at, v_n, 0, E1, E)
    w2 = w1
    if E2 > 0:
        w2 = rows_of(v, k_at, v_n, E1, E2, E)
    d1 = tl.zeros((BLOCK_N, D1), tl.float32)
    d2 = tl.zeros((BLOCK_N, 16), tl.float32)
    if D2 > 0:
        d2 = tl.zeros((BLOCK_N, D2), tl.float32)
    e1 = tl.zeros((BLOCK_N, E1), tl.float32)
    e2 = tl.zeros((BLOCK_N, 16), tl.float32)
    if E2 > 0:
        e2 = tl.zeros((BLOCK_N, E2), tl.float32)

    full, behind, a, b, c, d = bounds(tables, entry, tile, nq, tiles, -upper, -lower, lists, each, KEEP, BLOCK_N,
                                      BLOCK_M)
    start, block = item(tables, items, full, KEEP)
    for t in range(full, behind):
        later, _ = item(tables, items, t + 1, KEEP)
        d1, d2, e1, e2 = _tile_k(
            d1, d2, e1, e2, a1, a2, w1, w2, q, grad, total, delta, mask, bias, tables, seed, scale, threshold,
            keep_scale, start, block, wide, head, entry, columns, k_at, nq, nk, keys, q0, q1, q2, q_n, g_n, lower,
            upper, bits, mask_b, mask_h, mask_q, mask_k, bias_b, bias_h, bias_q, b0, b1, gap, drop_head, False, D, D1,
            D2, E, E1, E2, BLOCK_M, BLOCK_N, Q_MAP, KEEP, BIAS, AXES, PREFIX, MASK, MASK_ROWS, DROPOUT, PRECISION)
        start = later
    for t in range(0, b - a + d - c):
        start, block = item(tables, items, tl.where(t < b - a, a + t, c + t - (b - a)), KEEP)
        d1, d2, e1, e2 = _tile_k(
            d1, d2, e1, e2, a1, a2, w1, w2, q, grad, total, delta, mask, bias, tables, seed, scale, threshold,
            keep_scale, start, block, wide, head, entry, columns, k_at, nq, nk, keys, q0, q1, q2, q_n, g_n, lower,
            upper, bits, mask_b, mask_h, mask_q, mask_k, bias_b, bias_h, bias_q, b0, b1, gap, drop_head, True, D, D1,
            D2, E, E1, E2, BLOCK_M, BLOCK_N, Q_MAP, KEEP, BIAS, AXES, PREFIX, MASK, MASK_ROWS, DROPOUT, PRECISION)

    there = columns < nk
    one = tl.full((BLOCK_N,), 1.0, tl.float32)
    place = k_at
    if SLOTS:
        place = entry * nk + columns
    dk += wide * dk_b + head * dk_h
    dv += wide * dv_b + head * dv_h
    put(dk, place, dk_n, d1 * scale, there, one, 0, D1, D, MERGE)
    put(dv, place, dv_n, e1, there, one, 0, E1, E, MERGE)
    if D2 > 0:
        put(dk, place, dk_n, d2 * scale, there, one, D1, D2, D, MERGE)
    if E2 > 0:
        put(dv, place, dv_n, e2, there, one, E1, E2, E, MERGE)
