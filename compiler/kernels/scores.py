"""The gradient of what is added to scores: dS of some tiles, summed over samples and entries that share it.

A table, slopes or a mask add the same number to many scores; what each of their numbers gets is a sum over tiles of dS.
Tiles are summed over samples (and entries) in registers, a share of them for each program, and written to rows of a
buffer that is as small as wanted: never N x N at a time. Who calls adds the shares up, in order.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ogive.compiler.kernels.backward import gradient_of_scores, sums_of
from ogive.compiler.kernels.tiles import positions, rows_of, seen_of

__all__ = ["attention_backward_scores"]


@triton.jit(do_not_specialize=[
    "threshold", "heads", "groups", "heads_at", "drop_at", "t_b", "mask_b", "mask_h", "mask_q", "mask_k", "bias_b",
    "bias_h", "bias_q", "entries", "nq", "nk", "queries", "keys", "q0", "q1", "q2", "k0", "k1", "k2", "lower", "upper",
    "lists", "items", "bits", "each", "b0", "b1", "gap", "first", "rows", "outer", "inner", "shares",
])
def attention_backward_scores(
    q, k, v, grad, total, delta, ds, mask, bias, tables, seed, scale, threshold, keep_scale, heads, groups, heads_at,
    drop_at, q_b, q_h, q_n, k_b, k_h, k_n, v_b, v_h, v_n, g_b, g_h, g_n, t_b, mask_b, mask_h, mask_q, mask_k, bias_b,
    bias_h, bias_q, entries, nq, nk, queries, keys, q0, q1, q2, k0, k1, k2, lower, upper, lists, items, bits, each, b0,
    b1, gap, first, rows, outer, inner, shares,
    D: tl.constexpr, D1: tl.constexpr, D2: tl.constexpr, E: tl.constexpr, E1: tl.constexpr, E2: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, Q_MAP: tl.constexpr, K_MAP: tl.constexpr, KEEP: tl.constexpr,
    BIAS: tl.constexpr, AXES: tl.constexpr, PREFIX: tl.constexpr, MASK: tl.constexpr, MASK_ROWS: tl.constexpr,
    DROPOUT: tl.constexpr, HEADS_LISTED: tl.constexpr, PRECISION: tl.constexpr,
):
    """Rows first to first + rows of dS, `shares outer heads rows nk` in float32.

    Samples and entries are numbered batch entries + entry; a sum holds `inner` of them, `outer` apart: all (outer 1),
    those of an entry (outer = entries), or one alone. Share s of a sum holds every `shares`-th of these.
    """
    k_tiles = tl.cdiv(nk, BLOCK_N)
    q_tiles = tl.cdiv(rows, BLOCK_M)
    program = tl.program_id(0)
    k_tile = program % k_tiles
    q_tile = (program // k_tiles) % q_tiles
    rest = program // k_tiles // q_tiles
    local = rest % heads
    head = local
    if HEADS_LISTED:
        head = tl.load(tables + heads_at + local)
    sum_of = (rest // heads) % outer
    share = rest // heads // outer
    drop_head = head
    if DROPOUT:
        drop_head = tl.load(tables + drop_at + head)

    row = tl.arange(0, BLOCK_M)
    places = first + q_tile * BLOCK_M + row
    columns = k_tile * BLOCK_N + tl.arange(0, BLOCK_N)
    made = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for i in range(share, inner, shares):
        number = i * outer + sum_of
        batch = (number // entries).to(tl.int64)
        entry = number % entries
        # what the tile is: -1 nothing, -2 full or a band, else its bits
        block = -2
        if KEEP == 2:
            block = -1
            at = tables + lists + 4 * (entry * each * tl.cdiv(nq, BLOCK_M) + first // BLOCK_M + q_tile)
            for t in range(tl.load(at), tl.load(at + 1)):
                block = tl.where(tl.load(tables + items + 2 * t) == k_tile, -2, block)
            for t in range(tl.load(at + 2), tl.load(at + 3)):
                block = tl.where(tl.load(tables + items + 2 * t) == k_tile, tl.load(tables + items + 2 * t + 1), block)
        if block != -1:
            q_at = positions(tables, q0, q1, q2, entry, places, nq, Q_MAP)
            k_at = positions(tables, k0, k1, k2, entry, columns, nk, K_MAP)
            x = q + batch * q_b + head * q_h
            a = k + batch * k_b + (head // groups) * k_h
            w = v + batch * v_b + (head // groups) * v_h
            y = grad + batch * g_b + head * g_h
            x1 = rows_of(x, q_at, q_n, 0, D1, D)
            a1 = rows_of(a, k_at, k_n, 0, D1, D)
            x2 = x1
            a2 = a1
            if D2 > 0:
                x2 = rows_of(x, q_at, q_n, D1, D2, D)
                a2 = rows_of(a, k_at, k_n, D1, D2, D)
            y1 = rows_of(y, q_at, g_n, 0, E1, E)
            w1 = rows_of(w, k_at, v_n, 0, E1, E)
            y2 = y1
            w2 = w1
            if E2 > 0:
                y2 = rows_of(y, q_at, g_n, E1, E2, E)
                w2 = rows_of(w, k_at, v_n, E1, E2, E)
            seen = (columns[None, :] < nk) & (places[:, None] < nq)
            if KEEP == 1:
                seen = seen_of(tables, bits, 0, places, columns, row, nq, nk, lower, upper, KEEP, BLOCK_N)
            if KEEP == 2:
                asked = seen_of(tables, bits, tl.maximum(block, 0), places, columns, row, nq, nk, lower, upper, KEEP,
                                BLOCK_N)
                seen = seen & (asked | (block == -2))
            line = batch * t_b + head * queries + q_at
            found, _ = gradient_of_scores(
                x1, x2, y1, y2, a1, a2, w1, w2, sums_of(total, line), tl.load(delta + line), seen, mask, bias, tables,
                seed, scale, threshold, keep_scale, batch, head, q_at, k_at, keys, mask_b, mask_h, mask_q, mask_k,
                bias_b, bias_h, bias_q, b0, b1, gap, drop_head, True, D2, E2, BIAS, AXES, PREFIX, MASK, MASK_ROWS,
                DROPOUT, PRECISION)
            made += found
    at_row = q_tile * BLOCK_M + row
    base = ds + (((share * outer + sum_of).to(tl.int64) * heads + local) * rows) * nk
    tl.store(base + at_row[:, None].to(tl.int64) * nk + columns[None, :], made,
             mask=(at_row[:, None] < rows) & (columns[None, :] < nk))
