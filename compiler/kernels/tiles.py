"""What every attention kernel shares: where a tile's queries and keys lie, which pairs it has, their scores, dropout.

Kernels walk through one part: `entries` times `nq` queries with `nk` keys. Rows of a tile behind the last query
repeat it and are never stored, keys likewise, so whatever is loaded lies inside the tensors.

`tables` is one int32 tensor for all that a part looks up; arguments such as `q0` are places in it, or numbers:

    Q_MAP, K_MAP  0   q0 + entry q1 + i                        neighbours
                  1   tables[q0 + entry] + tables[q1 + i]      strides; no base from i = q2 on (tokens of every entry)
                  2   tables[q0 + entry n + i]                 written out
    KEEP          0   every pair of an entry
                  1   lower <= j - i <= upper, places i and j within the entry
                  2   lists: tables[lists + 4 row ...] = full from, full to, partial from, partial to, where row is
                      (entry each) tiles + tile; tables[items + 2 x] = a tile and, of a partial one, its bits; -2 for
                      none: it has every pair of an entry
    BIAS          1   a number for each head and tables[b0 + q] - tables[b1 + k]; PREFIX: -1 stands beside the grid, and
                      three numbers follow the `gap` first: of queries there, of keys there, of both
                  2   - a slope for each head |q + b0 - k|
                  3   the sum over AXES of numbers for each query, at tables[b1 + axis keys + k], -1 for none
    MASK          1   truth values, 2 floats that are added

Scores are in units of log 2: log2(e) is applied here, once, to products, bias and mask alike.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = [
    "LN2", "LOG2E", "bounds", "dropped", "item", "mine", "placed", "positions", "product", "product_back", "put",
    "rows_of", "scored", "seen_of",
]

LOG2E = tl.constexpr(1.4426950408889634)
LN2 = tl.constexpr(0.6931471805599453)


@triton.jit
def mine(heads_at, tables, heads, tiles, HEADS_LISTED: tl.constexpr):
    """Sample, head and tile of this program: tiles follow each other fastest."""
    program = tl.program_id(0)
    tile = program % tiles
    rest = program // tiles
    head = rest % heads
    if HEADS_LISTED:
        head = tl.load(tables + heads_at + head)
    return rest // heads, head, tile


@triton.jit
def positions(tables, p0, p1, p2, entry, at, count, MAP: tl.constexpr):
    """Positions in the sequence of the places `at` of an entry; those behind the last repeat it."""
    return _positions(tables, p0, p1, p2, entry, tl.minimum(at, count - 1), count, MAP)


@triton.jit
def placed(tables, p0, p1, p2, entry, first, row, count, MAP: tl.constexpr, CHECKED: tl.constexpr):
    """Positions of the places `first + row` of an entry, as a number plus the rest.

    Where places are neighbours the rest is the same for all tiles, so a loop over tiles multiplies once, not for each
    row. A tile that is not CHECKED has no place behind the last.
    """
    if CHECKED:
        return 0, positions(tables, p0, p1, p2, entry, first + row, count, MAP)
    elif MAP == 0:
        return p0 + entry * p1 + first, row
    else:
        return 0, _positions(tables, p0, p1, p2, entry, first + row, count, MAP)


@triton.jit
def _positions(tables, p0, p1, p2, entry, at, count, MAP: tl.constexpr):
    if MAP == 0:
        return p0 + entry * p1 + at
    elif MAP == 1:
        base = tl.load(tables + p0 + entry)
        return tl.where(at < p2, base, 0) + tl.load(tables + p1 + at)
    else:
        return tl.load(tables + p0 + entry * count + at)


@triton.jit
def rows_of(x, position, step, FIRST: tl.constexpr, WIDTH: tl.constexpr, ALL: tl.constexpr):
    """Channels FIRST to FIRST + WIDTH of some rows; those behind the last channel are zeros."""
    channel = FIRST + tl.arange(0, WIDTH)
    at = x + position[:, None] * step + channel[None, :]
    if FIRST + WIDTH > ALL:
        return tl.load(at, mask=channel[None, :] < ALL, other=0.0)
    else:
        return tl.load(at)


@triton.jit
def put(x, position, step, value, there, old, FIRST: tl.constexpr, WIDTH: tl.constexpr, ALL: tl.constexpr,
        ADD: tl.constexpr):
    """Write rows where `there`; ADD: to `old` times what stands there."""
    channel = FIRST + tl.arange(0, WIDTH)
    at = x + position[:, None] * step + channel[None, :]
    real = there[:, None] & (channel[None, :] < ALL)
    if ADD:
        value += tl.load(at, mask=real, other=0.0).to(tl.float32) * old[:, None]
    tl.store(at, value.to(x.dtype.element_ty), mask=real)


@triton.jit
def product(a1, a2, b1, b2, SECOND: tl.constexpr, PRECISION: tl.constexpr):
    """a b^T of rows whose channels come in two pieces."""
    found = tl.dot(a1, tl.trans(b1), input_precision=PRECISION)
    if SECOND > 0:
        found = tl.dot(a2, tl.trans(b2), acc=found, input_precision=PRECISION)
    return found


@triton.jit
def product_back(acc1, acc2, p, b1, b2, SECOND: tl.constexpr, PRECISION: tl.constexpr):
    """acc + p b, for both pieces of the channels."""
    p = p.to(b1.dtype)
    acc1 = tl.dot(p, b1, acc=acc1, input_precision=PRECISION)
    if SECOND > 0:
        acc2 = tl.dot(p, b2, acc=acc2, input_precision=PRECISION)
    return acc1, acc2


@triton.jit
def bounds(tables, entry, tile, others, tiles, lower, upper, lists, each, KEEP: tl.constexpr, MINE: tl.constexpr,
           OTHER: tl.constexpr):
    """Which tiles of the other side a tile meets: (full from, full to, first from, first to, last from, last to).

    Full ones have every pair; the others are asked pair by pair. Of a band these lie before and behind the full ones,
    of lists they are items. `others` is how many places the other side has; a tile that ends behind them is not full.
    """
    if KEEP == 2:
        at = tables + lists + 4 * (entry * each * tiles + tile)
        return tl.load(at), tl.load(at + 1), tl.load(at + 2), tl.load(at + 3), 0, 0
    elif KEEP == 1:
        # place y of the other side is met where lower <= y - x <= upper
        x0 = tile * MINE
        x1 = x0 + MINE - 1
        first = tl.minimum(tl.maximum(x0 + lower, 0), others)
        behind = tl.maximum(tl.minimum(x1 + upper + 1, others), first)
        full_from = tl.maximum(x1 + lower + OTHER - 1, 0) // OTHER
        full_to = tl.maximum(tl.minimum(x0 + upper + 1, others), 0) // OTHER
        a = first // OTHER
        b = (behind + OTHER - 1) // OTHER
        full_from = tl.minimum(tl.maximum(full_from, a), b)
        full_to = tl.minimum(tl.maximum(full_to, full_from), b)
        return full_from, full_to, a, full_from, full_to, b
    else:
        whole = others // OTHER
        return 0, whole, whole, tl.cdiv(others, OTHER), 0, 0


@triton.jit
def item(tables, items, t, KEEP: tl.constexpr):
    """The t-th tile, and where its bits stand. Loops over full tiles ask for the next one while they work at one, so
    that its keys can be fetched early; behind the last they get what they do not use."""
    if KEEP == 2:
        return tl.load(tables + items + 2 * t), tl.load(tables + items + 2 * t + 1)
    else:
        return t, 0


@triton.jit
def seen_of(tables, bits, block, rows, columns, row, nq, nk, lower, upper, KEEP: tl.constexpr, N: tl.constexpr):
    """Which pairs of a tile that is not full are seen. `row` are the places of its queries within the tile."""
    seen = (columns[None, :] < nk) & (rows[:, None] < nq)
    if KEEP == 1:
        apart = columns[None, :] - rows[:, None]
        seen = seen & (apart >= lower) & (apart <= upper)
    if KEEP == 2:
        words: tl.constexpr = (N + 31) // 32
        column = tl.arange(0, N)
        at = tables + bits + (block * row.shape[0] + row) * words
        found = tl.load(at, mask=block >= 0, other=-1)[:, None]  # a branch would cost 25 registers more
        for w in tl.static_range(1, words):
            found = tl.where(column[None, :] >= 32 * w, tl.load(at + w, mask=block >= 0, other=-1)[:, None], found)
        seen = seen & (((found >> (column[None, :] % 32)) & 1) != 0)
    return seen


@triton.jit
def scored(s, seen, tables, bias, mask, scale, batch, head, q, k, keys, bias_b, bias_h, bias_q, mask_b, mask_h, mask_q,
           mask_k, b0, b1, gap, CHECKED: tl.constexpr, BIAS: tl.constexpr, AXES: tl.constexpr, PREFIX: tl.constexpr,
           MASK: tl.constexpr, MASK_ROWS: tl.constexpr):
    """Products of a tile as scores in units of log 2, minus infinity where a pair is not seen.

    `q`, `k` are positions in the sequence, `seen` is looked at where CHECKED.
    """
    s = s * scale
    if BIAS == 1:
        a = tl.load(tables + b0 + q)[:, None]
        b = tl.load(tables + b1 + k)[None, :]
        at = a - b
        if PREFIX:
            at = tl.where(a < 0, tl.where(b < 0, gap + 2, gap), tl.where(b < 0, gap + 1, at))
        place = bias + head * bias_h + at
        if CHECKED:  # pairs that are not seen may lie outside the table
            s += tl.load(place, mask=seen, other=0.0).to(tl.float32)
        else:
            s += tl.load(place).to(tl.float32)
    if BIAS == 2:
        slope = tl.load(bias + head * bias_h).to(tl.float32)
        s -= slope * tl.abs(q[:, None] + b0 - k[None, :]).to(tl.float32)
    if BIAS == 3:
        row = bias + batch * bias_b + head * bias_h + q.to(tl.int64)[:, None] * bias_q
        for axis in tl.static_range(AXES):
            at = tl.load(tables + b1 + axis * keys + k)[None, :]
            s += tl.load(row + at, mask=at >= 0, other=0.0).to(tl.float32)
    if MASK > 0:
        row = mask + batch * mask_b + head * mask_h
        if MASK_ROWS:
            given = tl.load(row + k * mask_k)[None, :]
        else:
            given = tl.load(row + q.to(tl.int64)[:, None] * mask_q + k[None, :] * mask_k)
        if MASK == 2:
            s += given.to(tl.float32)
        else:
            s = tl.where(given != 0, s, float("-inf"))
    s = s * LOG2E
    if CHECKED:
        s = tl.where(seen, s, float("-inf"))
    return s


@triton.jit
def dropped(seed, threshold, batch, head, q, k):
    """Which pairs dropout keeps: the first word of Philox4x32-10 of (key, query, head, batch), less 2^31, is not below
    `threshold`.

    `seed` holds two halves of a seed and an offset (Salmon et al. 2011, doi:10.1145/2063384.2063405).
    """
    low = tl.load(seed).to(tl.uint64)
    high = (tl.load(seed + 1) ^ tl.load(seed + 2)).to(tl.uint64)
    c0 = (k[None, :] + 0 * q[:, None]).to(tl.uint32)
    c1 = (q[:, None] + 0 * k[None, :]).to(tl.uint32)
    zero = c0 * 0
    word, _, _, _ = tl.philox(low | (high << 32), c0, c1, zero + head.to(tl.uint32), zero + batch.to(tl.uint32))
    return word.to(tl.int64) - 2147483648 >= threshold
