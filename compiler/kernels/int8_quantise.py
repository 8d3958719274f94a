"""q, k and v as INT8 codes with scales, in two launches: what a head has in common first, then every row.

K is smoothed: mu, one mean of the keys for each (sample, head of keys), is taken off every key. A score loses q . mu,
the same for all keys of a query, so weights stay what they were; log-sum-exps get it back (Zhang et al. 2024,
arXiv:2410.02367). Codes are round(127 x / amax), amax that of a row (per token) or of 32 neighbours (per block), of v
that of a channel; with FP8 those of v are 448 x / amax in e4m3.

A flag per head says that it is left to 16 bits: a number that is not finite, or larger than the reach that was asked.
"""

from __future__ import annotations

import os

import triton
import triton.language as tl

from ogive.compiler.kernels import setting

__all__ = ["attention_int8_codes", "attention_int8_means", "fp8"]

SPLITS = tl.constexpr(setting.SPLITS)
INTERPRETED = tl.constexpr(os.environ.get("TRITON_INTERPRET") == "1")


@triton.jit
def _read(x, at, step, there, FIRST: tl.constexpr, WIDTH: tl.constexpr, ALL: tl.constexpr):
    """Channels of rows in float32, zeros where there is none."""
    channel = FIRST + tl.arange(0, WIDTH)
    real = there[:, None] & (channel[None, :] < ALL)
    return tl.load(x + at[:, None].to(tl.int64) * step + channel[None, :], mask=real, other=0.0).to(tl.float32)


@triton.jit(do_not_specialize=["heads", "keys", "splits"])
def attention_int8_means(k, v, sums, tops, heads, keys, splits, k_b, k_h, k_n, v_b, v_h, v_n,
                         D: tl.constexpr, D0: tl.constexpr, E: tl.constexpr, E0: tl.constexpr, TOKEN: tl.constexpr,
                         BLOCK_N: tl.constexpr):
    """k, v `B G M .` -> sums `B G splits D0` of the keys of a part, and with TOKEN tops `B G splits E0` of |v|."""
    program = tl.program_id(0)
    split = program % splits
    both = program // splits
    batch = (both // heads).to(tl.int64)
    head = both % heads
    each = tl.cdiv(keys, splits)
    behind = tl.minimum((split + 1) * each, keys)
    k += batch * k_b + head * k_h
    v += batch * v_b + head * v_h
    added = tl.zeros((D0,), tl.float32)
    top = tl.zeros((E0,), tl.float32)
    for start in range(split * each, behind, BLOCK_N):
        at = start + tl.arange(0, BLOCK_N)
        added += tl.sum(_read(k, at, k_n, at < behind, 0, D0, D), 0)
        if TOKEN:
            w = tl.abs(_read(v, at, v_n, at < behind, 0, E0, E))
            # a maximum passes over NaN: what is not finite counts as infinite
            top = tl.maximum(top, tl.max(tl.where(w < float("inf"), w, float("inf")), 0))
    tl.store(sums + program * D0 + tl.arange(0, D0), added)
    if TOKEN:
        tl.store(tops + program * E0 + tl.arange(0, E0), top)


@triton.jit
def _whole(parts, both, splits, W0: tl.constexpr, TOP: tl.constexpr):
    """What the parts of a head come to: a sum, or a maximum of what is not below zero."""
    part = tl.arange(0, SPLITS)[:, None]
    found = tl.load(parts + (both * splits + part) * W0 + tl.arange(0, W0)[None, :], mask=part < splits, other=0.0)
    return tl.max(found, 0) if TOP else tl.sum(found, 0)


@triton.jit
def _coded(x, scale):
    """round(x / scale), halves up; scales are zero where all of a group is."""
    inverse = tl.where(scale > 0.0, 1.0 / tl.where(scale > 0.0, scale, 1.0), 0.0)
    return tl.floor(tl.minimum(tl.maximum(x * inverse, -127.0), 127.0) + 0.5).to(tl.int8)


@triton.jit
def fp8(x):
    """x, of at most 448, in e4m3, to the nearest."""
    if INTERPRETED:  # which loses a carry: it is given what e4m3 has
        bits = x.to(tl.int32, bitcast=True)
        bits = (bits + 0x7FFFF + ((bits >> 20) & 1)) & -0x100000
        x = tl.where(tl.abs(x) < 0.015625, (x + 24576.0) - 24576.0, bits.to(tl.float32, bitcast=True))
    return x.to(tl.float8e4nv)


@triton.jit
def _store(x, at, step, there, codes, WIDTH: tl.constexpr, ALL: tl.constexpr):
    channel = tl.arange(0, WIDTH)
    real = there[:, None] & (channel[None, :] < ALL)
    tl.store(x + at[:, None].to(tl.int64) * step + channel[None, :], codes, mask=real)


@triton.jit
def _scales(x, reach, limit, GROUP: tl.constexpr):
    """The scale of each row, and whether all of them may be used. Least ones are taken for zeros: 1 / x is finite."""
    size = tl.abs(x)
    amax = tl.max(tl.where(size < float("inf"), size, float("inf")), 1)
    if GROUP > 1:
        groups: tl.constexpr = amax.shape[0] // GROUP
        each = tl.max(tl.reshape(amax, (groups, GROUP)), 1)
        amax = tl.reshape(tl.broadcast_to(each[:, None], (groups, GROUP)), (groups * GROUP,))
    good = tl.max(amax, 0) <= tl.minimum(reach, limit)
    return tl.where(amax > 1e-30, amax * (1.0 / 127.0), 0.0), good


@triton.jit
def _flag(flags, heads, good):
    """Leave some heads to 16 bits. All who write here write the same."""
    for i in range(0, heads):
        tl.store(flags + i, 1, mask=good == 0)


@triton.jit(do_not_specialize=["heads", "groups", "queries", "keys", "splits", "q_scales", "k_scales"])
def attention_int8_codes(
    q, k, v, sums, tops, q8, k8, v8, q_scale, k_scale, v_scale, shift, flags, scale, q_reach, k_reach, v_reach, heads,
    groups, queries, keys, splits, q_scales, k_scales, q_b, q_h, q_n, k_b, k_h, k_n, v_b, v_h, v_n, q8_b, q8_h, q8_n,
    k8_b, k8_h, k8_n, v8_b, v8_h, v8_n, D: tl.constexpr, D0: tl.constexpr, E: tl.constexpr, E0: tl.constexpr,
    TOKEN: tl.constexpr, FP8: tl.constexpr, GROUP: tl.constexpr, BLOCK_N: tl.constexpr,
):
    """A tile of rows of q, of k, or with TOKEN of v -> codes `B . N .`, scales of groups of rows, flags `B H`.

    `shift` `B H N` is scale q . mu. v_scale `B G E0` is of channels.
    """
    q_tiles = tl.cdiv(queries, BLOCK_N)
    k_tiles = tl.cdiv(keys, BLOCK_N)
    kv_heads = heads // groups
    each = heads * q_tiles + kv_heads * k_tiles
    if TOKEN:
        each += kv_heads * k_tiles
    program = tl.program_id(0)
    batch = program // each
    wide = batch.to(tl.int64)
    mine = program % each
    row = tl.arange(0, BLOCK_N)
    limit = 1e15  # products of two are finite in float32
    if mine < heads * q_tiles:
        head = mine // q_tiles
        at = (mine % q_tiles) * BLOCK_N + row
        there = at < queries
        x = _read(q + wide * q_b + head * q_h, at, q_n, there, 0, D0, D)
        mean = _whole(sums, batch * kv_heads + head // groups, splits, D0, False) / keys
        tl.store(shift + (wide * heads + head) * queries + at, scale * tl.sum(x * mean[None, :], 1), mask=there)
        steps, good = _scales(x, q_reach, limit, GROUP)
        _store(q8 + wide * q8_b + head * q8_h, at, q8_n, there, _coded(x, steps[:, None]), D0, D)
        tl.store(q_scale + (wide * heads + head) * q_scales + at // GROUP, steps, mask=there & (at % GROUP == 0))
        _flag(flags + batch * heads + head, 1, good)
    else:
        mine -= heads * q_tiles
        head = (mine // k_tiles) % kv_heads
        at = (mine % k_tiles) * BLOCK_N + row
        there = at < keys
        if mine < kv_heads * k_tiles:
            mean = _whole(sums, batch * kv_heads + head, splits, D0, False) / keys
            x = _read(k + wide * k_b + head * k_h, at, k_n, there, 0, D0, D) - mean[None, :]
            steps, good = _scales(tl.where(there[:, None], x, 0.0), k_reach, limit, GROUP)
            _store(k8 + wide * k8_b + head * k8_h, at, k8_n, there, _coded(x, steps[:, None]), D0, D)
            tl.store(k_scale + (wide * kv_heads + head) * k_scales + at // GROUP, steps,
                     mask=there & (at % GROUP == 0))
            _flag(flags + batch * heads + head * groups, groups, good)
        else:
            top = _whole(tops, batch * kv_heads + head, splits, E0, True)
            good = tl.max(top, 0) <= tl.minimum(v_reach, limit)
            channels = tl.where(top > 1e-30, top * (1.0 / (448.0 if FP8 else 127.0)), 0.0)
            w = _read(v + wide * v_b + head * v_h, at, v_n, there, 0, E0, E)
            if FP8:
                inverse = tl.where(channels > 0.0, 1.0 / tl.where(channels > 0.0, channels, 1.0), 0.0)
                codes = fp8(tl.minimum(tl.maximum(w * inverse[None, :], -448.0), 448.0))
                _store(v8 + wide * v8_b + head * v8_h, at, v8_n, there, codes, E0, E)
            else:
                _store(v8 + wide * v8_b + head * v8_h, at, v8_n, there, _coded(w, channels[None, :]), E0, E)
            if mine % k_tiles == 0:
                tl.store(v_scale + (wide * kv_heads + head) * E0 + tl.arange(0, E0), channels)
                _flag(flags + batch * heads + head * groups, groups, good)
