"""A call of the INT8 kernels: codes and scales of q, k and v first, then a launch for each piece of a walk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ogive.compiler.int8 import GROUP, Reach
from ogive.compiler.kernels import choice
from ogive.compiler.kernels.launch import Call, by_queries, launch, room, start, strides
from ogive.compiler.kernels.setting import ROWS, SPLITS, Int8, power

__all__ = ["forward"]


def forward(call: Call, int8: Int8, reach: Reach) -> tuple[Tensor, Tensor, Tensor]:
    """As `launch.forward`, and the flags of heads `B H` in int32: 1 where a head was computed in 16 bits.

    Nothing waits for the flags: kernels read them on the device.
    """
    spec = call.spec
    use = replace(call.use, int8=int8)
    made = _codes(call, use, reach)
    out, total = room(call)
    for piece in spec.pieces:
        setting = choice.forward(spec, piece, use, call.target)
        launch("attention_int8_forward", setting, piece, call, by_queries(call, piece, setting), out=out, total=total,
               **made)
    return out.to(call.q.dtype), total, made["flags"]


def _codes(call: Call, use: choice.Use, reach: Reach) -> dict[str, Any]:
    """Codes, scales, q . mu and flags: what the forward kernel has besides."""
    q, k, v = call.q, call.k, call.v
    setting, device = choice.codes(use), q.device
    batch, heads, n, _ = q.shape
    kv_heads, m = k.shape[1:3]
    token = use.int8 in ("token", "fp8")
    splits = min(SPLITS, -(-m // ROWS))  # a program sums up a tile of keys at least

    def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.empty(*shape, dtype=dtype, device=device)

    def codes(x: Tensor, dtype: torch.dtype = torch.int8) -> Tensor:  # rows begin at 16 bytes
        return empty(*x.shape[:3], -(-x.shape[3] // 16) * 16, dtype=dtype)[..., : x.shape[3]]

    def groups(count: int) -> int:
        return count if token else -(-count // GROUP)

    sums = empty(batch, kv_heads, splits, power(q.shape[3]))
    tops = empty(batch, kv_heads, splits, power(v.shape[3]) if token else 1)
    made: dict[str, Any] = {
        "q8": codes(q), "k8": codes(k),
        "v8": codes(v, torch.float8_e4m3fn if use.int8 == "fp8" else torch.int8) if token else (
            empty(1, 1, 1, 16, dtype=torch.int8)),
        "q_scale": empty(batch, heads, groups(n)), "k_scale": empty(batch, kv_heads, groups(m)),
        "v_scale": empty(batch, kv_heads, power(v.shape[3]) if token else 1), "shift": empty(batch, heads, n),
        "flags": torch.zeros(batch, heads, dtype=torch.int32, device=device),
        "q_scales": groups(n), "k_scales": groups(m), "of_heads": heads, "kv_heads": kv_heads,
    }
    tensors = {"q": q, "k": k, "v": v, "sums": sums, "tops": tops} | {
        name: x for name, x in made.items() if isinstance(x, Tensor)}
    given: dict[str, Any] = tensors | made | setting.constants() | strides(tensors) | {
        "scale": call.scale, "q_reach": reach[0], "k_reach": reach[1], "v_reach": reach[2], "groups": call.groups,
        "queries": n, "keys": m, "splits": splits}
    start("attention_int8_means", setting, batch, batch * kv_heads * splits, given | {"heads": kv_heads})
    tiles = heads * -(-n // ROWS) + kv_heads * -(-m // ROWS) * (2 if token else 1)
    start("attention_int8_codes", setting, batch, batch * tiles, given | {"heads": heads, "tiles_each": tiles})
    return made
