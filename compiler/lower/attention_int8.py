"""What INT8 attention means, in plain torch: for a processor, and what the kernels are compared with.

    int8        q and k less its mean over the keys as INT8 codes, a scale for 32 neighbours; weights and v as they are
    int8-token  a scale for each token; v as codes with a scale for each channel; weights of 255 levels, before the sum
                divides: p = exp(score - largest of the tile), code = round(255 p), tiles of 64 keys one after the other
    int8-fp8    a scale for each token; v / scale of its channel and 448 p, p = exp(score - largest so far), rounded to
                FP8 (e4m3: four bits of exponent, three of mantissa, 448 the largest)

It is right here, and no faster. Products of codes are integers below 2^24, so float32 multiplies them exactly.
(Zhang et al. 2025, SageAttention, arXiv:2410.02367; Zhang et al. 2024, SageAttention2, arXiv:2411.10958.)
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from ogive.compiler.int8 import GROUP, LEVELS, WIDEST, Reach
from ogive.dsl.diagnostics import ArchError, fail

__all__ = ["by_levels", "no_gradients", "rounded"]

TILE: Final = 64
FP8: Final = 448.0
"""The largest number of e4m3."""
ROWS: Final = 1 << 24
"""Scores of a sample that are written out at a time, at most."""


def no_gradients() -> ArchError:
    """A749, for whoever asks for gradients."""
    return fail("A749", "INT8 attention has no gradients: its codes are rounded",
                help='train with `precision="bf16"`, and compile the trained weights with INT8')


class _Rounded(torch.autograd.Function):
    """Marks what was rounded: whoever asks for its gradient is told that there is none."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, given: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        raise no_gradients()


def _codes(x: Tensor, scale: Tensor) -> Tensor:
    """round(x / scale), halves up, of at most 127."""
    shown = torch.where(scale > 0, scale, 1.0)
    return (torch.where(scale > 0, x / shown, 0.0).clamp(-127, 127) + 0.5).floor()


def _fp8(x: Tensor) -> Tensor:
    """x as e4m3 has it, to the nearest, halves to the even one."""
    return x.clamp(-FP8, FP8).to(torch.float8_e4m3fn).to(x.dtype)


def _scale(amax: Tensor, largest: float = 127.0) -> Tensor:
    return torch.where(amax > 1e-30, amax / largest, 0.0)


def _per(x: Tensor, group: int) -> Tensor:
    """The scale of each row `B H N 1`: that of `group` neighbours."""
    n, top = x.shape[2], x.abs().amax(-1, keepdim=True)
    if group == 1:
        return _scale(top)
    spare = -n % group
    whole = torch.nn.functional.pad(top, (0, 0, 0, spare)).unflatten(2, (-1, group)).amax(3, keepdim=True)
    return _scale(whole).expand(-1, -1, -1, group, -1).flatten(2, 3)[:, :, :n]


def rounded(q: Tensor, k: Tensor, precision: str, reach: Reach = WIDEST) -> tuple[Tensor, Tensor]:
    """q `B H N D` and k `B G M D` as their codes times their scales, in float32; k without its mean.

    Attention over these is that over the codes: scores lose q . mu, the same for every key of a query. A head with a
    number beyond `reach` stays as it is.
    """
    group = 1 if precision in LEVELS else GROUP
    made, fine = [], []
    for x, mean, most in ((q, 0.0, reach[0]), (k, k.float().mean(2, keepdim=True), reach[1])):
        wide = x.float() - mean
        scale = _per(wide, group)
        made.append(_Rounded.apply(_codes(wide, scale) * scale, x))
        fine.append(wide.abs().flatten(2).amax(-1) <= most)
    both = fine[0] & fine[1].repeat_interleave(q.shape[1] // k.shape[1], 1)
    keys = both.unflatten(1, (k.shape[1], -1)).all(2)
    return (torch.where(both[..., None, None], made[0], q.float()),
            torch.where(keys[..., None, None], made[1], k.float()))


def by_levels(
    q: Tensor, k: Tensor, v: Tensor, added: Tensor | None, scale: float | None, causal: bool,
    precision: str = "int8-token", reach: Reach = WIDEST,
) -> Tensor:
    """softmax(q k^T scale + added) v with weights and v of 8 bits, one of `LEVELS`, of q and k from `rounded`.

    `added` is True where a query may see a key, or added, `B|1 H|1 N|1 M`, or less on the left. A query that sees
    nothing answers zeros.
    """
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    wide = v.float()
    most, eighths = wide.abs().amax(2, keepdim=True), precision == "int8-fp8"
    channel = _scale(most, FP8 if eighths else 127.0)
    fine = most <= reach[2]
    codes = _fp8(wide / torch.where(channel > 0, channel, 1.0)) if eighths else _codes(wide, channel)
    w = torch.where(fine, _Rounded.apply(codes, v), wide)
    channel = torch.where(fine, channel, 1.0)
    groups = q.shape[1] // k.shape[1]
    k, w, channel = (x.repeat_interleave(groups, 1) if groups > 1 else x for x in (k, w, channel))
    if causal:
        seen = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).tril()[None, None]
        added = seen if added is None else added & seen if added.dtype == torch.bool else (
            added.masked_fill(~seen, float("-inf")))
    if added is not None:
        added = added.reshape(*[1] * (4 - added.dim()), *added.shape)
    each = max(1, ROWS // max(1, k.shape[2]))
    found = [
        _rows(q[:, :, at : at + each], k, w, added if added is None or added.shape[2] == 1 else
              added[:, :, at : at + each], scale, eighths)
        for at in range(0, q.shape[2], each)
    ]
    return (torch.cat(found, 2) * channel).to(v.dtype)


def _rows(q: Tensor, k: Tensor, w: Tensor, added: Tensor | None, scale: float, eighths: bool) -> Tensor:
    """Some queries, tile of keys by tile of keys, as the kernels go."""
    top = q.new_full((*q.shape[:3], 1), float("-inf"))
    total, out = torch.zeros_like(top), q.new_zeros(*q.shape[:3], w.shape[3])
    for at in range(0, k.shape[2], TILE):
        scores = q @ k[:, :, at : at + TILE].transpose(-1, -2) * scale
        if added is not None:
            some = added[..., at : at + TILE] if added.shape[3] > 1 else added
            scores = scores.masked_fill(~some, float("-inf")) if some.dtype == torch.bool else scores + some
        here = scores.amax(-1, keepdim=True)
        higher = torch.maximum(top, here)
        base = torch.where(higher == float("-inf"), 0.0, higher)
        fade = (top - base).exp()
        if eighths:
            level, share = _fp8((scores - base).exp() * FP8), torch.ones_like(fade)
        else:
            own = torch.where(here == float("-inf"), 0.0, here)
            level, share = ((scores - own).exp() * 255 + 0.5).floor(), (here - base).exp()
        out = out * fade + level @ w[:, :, at : at + TILE] * share
        total = total * fade + level.sum(-1, keepdim=True) * share
        top = higher
    return torch.where(total > 0, out / torch.where(total > 0, total, 1.0), 0.0)
