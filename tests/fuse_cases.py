"""Attention written out in many ways, to be fused or to be left; and what runs when a module is called."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

HEADS, D = 4, 8


class Ran(TorchFunctionMode):
    """Counts calls of softmax and of fused attention."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (F.softmax, torch.softmax, Tensor.softmax):
            self.counts["softmax"] += 1
        if func is F.scaled_dot_product_attention:
            self.counts["fused"] += 1
            self.counts["causal"] += bool((kwargs or {}).get("is_causal"))
            self.counts["masked"] += (kwargs or {}).get("attn_mask") is not None
        return func(*args, **(kwargs or {}))


def ran(module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, Counter[str]]:
    with Ran() as seen:
        made = module(*args, **kwargs)
    return made, seen.counts


class Written(nn.Module):
    """q, k and v of `B N C`, as `core` has them, and attention between them."""

    def __init__(self, core: Callable[..., Any], drop: float = 0.0) -> None:
        super().__init__()
        self.core = core
        self.qkv = nn.Linear(HEADS * D, 3 * HEADS * D)
        self.proj = nn.Linear(HEADS * D, HEADS * D)
        self.scale = D**-0.5
        self.softmax = nn.Softmax(dim=-1)
        self.drop = nn.Dropout(drop)
        self.table = nn.Parameter(torch.randn(HEADS, 16, 16))
        self.temperature = nn.Parameter(torch.rand(HEADS, 1, 1) + 0.5)
        self.register_buffer("tril", torch.tril(torch.ones(16, 16)).view(1, 1, 16, 16))
        self.register_buffer("root", torch.tensor(math.sqrt(D)))

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        b, n, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, HEADS, D).permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Any:
        made = self.core(self, x, mask)
        return self.proj(made) if isinstance(made, Tensor) else (self.proj(made[0]), *made[1:])


class Plain(Written):
    """The same in code that asks nothing of its values."""

    def forward(self, x: Tensor) -> Any:
        return self.proj(self.core(self, x, None))


def joined(y: Tensor) -> Tensor:
    return y.transpose(1, 2).flatten(2)


def scale_on_q(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = m.heads(x)
    return joined(m.drop((q * m.scale @ k.transpose(-2, -1)).softmax(dim=-1)) @ v)


def scale_behind(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = m.heads(x)
    return joined(torch.matmul(F.softmax(torch.matmul(q, k.transpose(2, 3)) * m.scale, -1), v))


def scale_on_both(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = m.heads(x)
    root = math.sqrt(m.scale)
    return joined(m.softmax((q * root) @ (root * k).mT) @ v)


def divided_by_sizes(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = m.heads(x)
    return joined(torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(k.size(-1)), dim=3) @ v)


def divided_by_a_buffer(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = m.heads(x)
    return joined(torch.softmax((q @ k.transpose(-1, -2)).div(m.root), dim=-1) @ v)


def temperature(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = m.heads(x)
    scores = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
    return joined((scores * m.temperature.clamp(max=4.0).exp()).softmax(-1) @ v)


def keys_turned_at_once(m: Any, x: Tensor, mask: Any) -> Tensor:
    b, n, _ = x.shape
    q, k, v = (p.view(b, n, HEADS, D) for p in m.qkv(x).chunk(3, -1))
    scores = torch.matmul(q.permute(0, 2, 1, 3), k.permute(0, 2, 3, 1)) / D**0.5
    return joined(scores.softmax(-1).matmul(v.permute(0, 2, 1, 3)))


def einsum(m: Any, x: Tensor, mask: Any) -> Tensor:
    b, n, _ = x.shape
    q, k, v = m.qkv(x).view(b, n, 3, HEADS, D).unbind(2)
    weights = torch.einsum("bqhd,bkhd->bhqk", q, k).mul(m.scale).softmax(dim=-1)
    return torch.einsum("bhqk,bkhd->bqhd", m.drop(weights), v).flatten(2)


def einsum_keys_first(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = m.heads(x)
    weights = torch.einsum("b h j d, b h i d -> b h i j", k, q).softmax(dim=-1)
    return joined(torch.einsum("b h j d, b h i j -> b h i d", v, weights))


def batched(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = (p.flatten(0, 1) for p in m.heads(x))
    y = torch.bmm(F.softmax(torch.bmm(q * m.scale, k.transpose(1, 2)), dim=-1), v)
    return joined(y.unflatten(0, (-1, HEADS)))


def batched_with_mask(m: Any, x: Tensor, mask: Any) -> Tensor:
    b, n, _ = x.shape
    q, k, v = (p.reshape(b * HEADS, n, D) for p in m.heads(x))
    scores = torch.bmm(q * m.scale, k.transpose(1, 2)).view(b, HEADS, n, n)
    scores = scores.masked_fill(mask[:, None, None], float("-inf")).view(b * HEADS, n, n)
    return joined(torch.bmm(F.dropout(scores.softmax(-1), 0.0, m.training), v).view(b, HEADS, n, D))


def baddbmm(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = (p.flatten(0, 1) for p in m.heads(x))
    bias = m.table.repeat(x.shape[0], 1, 1)
    scores = torch.baddbmm(bias, q, k.transpose(1, 2), beta=0.5, alpha=m.scale)
    return joined(torch.bmm(scores.softmax(-1), v).unflatten(0, (-1, HEADS)))


def bias_then_mask(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = m.heads(x)
    scores = q @ k.transpose(-2, -1) * m.scale + m.table
    return joined(m.drop(m.softmax(scores.masked_fill(mask[:, None, None], torch.finfo(scores.dtype).min))) @ v)


def mask_in_place(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = m.heads(x)
    scores = q @ k.transpose(-2, -1)
    scores *= m.scale
    scores += m.table
    scores = scores.masked_fill_(mask[:, None, None] == 1, -1e9)
    return joined(scores.softmax(-1) @ v)


def chosen(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = m.heads(x)
    scores = torch.where(~mask[:, None, None], q @ k.transpose(-2, -1) * m.scale, -torch.inf)
    return joined(scores.softmax(-1) @ v)


def taken_away(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = m.heads(x)
    scores = (q @ k.transpose(-2, -1) - 1e4 * mask[:, None, None].to(x.dtype)) / 2
    return joined(scores.softmax(-1) @ v)


def scaled_with_bias(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = m.heads(x)
    return joined(((q @ k.transpose(-2, -1) + m.table) * m.scale).softmax(-1) @ v)


def causal_buffer(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = m.heads(x)
    n = x.size(1)
    scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
    scores = scores.masked_fill(m.tril[:, :, :n, :n] == 0, float("-inf"))
    return joined(m.drop(F.softmax(scores, dim=-1)) @ v)


def causal_made(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = m.heads(x)
    n = x.shape[1]
    behind = torch.triu(torch.full((n, n), float("-inf"), device=x.device), diagonal=1)
    return joined((q @ k.transpose(-2, -1) * m.scale + behind).softmax(-1) @ v)


def rows_in_threes(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = (p.unflatten(2, (2, -1)).transpose(1, 2) for p in m.heads(x))  # B 2 heads N/2 d
    return joined(((q @ k.transpose(-2, -1) * m.scale).softmax(-1) @ v).transpose(1, 2).flatten(2, 3))


PLAIN = [
    scale_on_q, scale_behind, scale_on_both, divided_by_sizes, divided_by_a_buffer, temperature, keys_turned_at_once,
    einsum, einsum_keys_first, batched, baddbmm, scaled_with_bias, causal_buffer, causal_made, rows_in_threes,
]
MASKED = [batched_with_mask, bias_then_mask, mask_in_place, chosen, taken_away]


# ------------------------------------------------------------------------------------------------ what is left


def over_queries(m: Any, x: Tensor, mask: Any) -> Tensor:
    q, k, v = m.heads(x)
    return joined((q @ k.transpose(-2, -1)).softmax(-2) @ v)


def returned(m: Any, x: Tensor, mask: Any) -> Any:
    q, k, v = m.heads(x)
    weights = (q @ k.transpose(-2, -1)).softmax(-1)
    return joined(weights @ v), weights


def scores_read(m: Any, x: Tensor, mask: Any) -> Any:
    q, k, v = m.heads(x)
    scores = q @ k.transpose(-2, -1)
    return joined(scores.softmax(-1) @ v) + scores.mean()


def weights_read(m: Any, x: Tensor, mask: Any) -> Any:
    q, k, v = m.heads(x)
    weights = (q @ k.transpose(-2, -1)).softmax(-1)
    return joined(weights @ v) + weights.amax()


def scaled_by_data(m: Any, x: Tensor, mask: Any) -> Any:
    q, k, v = m.heads(x)
    return joined((q @ k.transpose(-2, -1) * x.mean()).softmax(-1) @ v)


def dropped_twice(m: Any, x: Tensor, mask: Any) -> Any:
    q, k, v = m.heads(x)
    return joined(F.dropout(m.drop((q @ k.transpose(-2, -1)).softmax(-1)), 0.3, m.training) @ v)


def scores_dropped(m: Any, x: Tensor, mask: Any) -> Any:
    q, k, v = m.heads(x)
    return joined(m.drop(q @ k.transpose(-2, -1)).softmax(-1) @ v)


def cast(m: Any, x: Tensor, mask: Any) -> Any:
    q, k, v = (p.bfloat16() for p in m.heads(x))
    weights = F.softmax(q @ k.transpose(-2, -1), dim=-1, dtype=torch.float32)
    return joined(weights.to(v.dtype) @ v).to(x.dtype)


def cast_scores(m: Any, x: Tensor, mask: Any) -> Any:
    q, k, v = (p.bfloat16() for p in m.heads(x))
    return joined((q @ k.transpose(-2, -1)).float().softmax(-1).to(v.dtype) @ v).to(x.dtype)


def capped(m: Any, x: Tensor, mask: Any) -> Any:
    q, k, v = m.heads(x)
    return joined((torch.tanh(q @ k.transpose(-2, -1) / 5) * 5).softmax(-1) @ v)


def softly_masked(m: Any, x: Tensor, mask: Any) -> Any:
    q, k, v = m.heads(x)
    scores = q @ k.transpose(-2, -1)
    return joined(scores.masked_fill(x[:, None, None, :, 0] > 0, -3.0).softmax(-1) @ v)


def zeroed(m: Any, x: Tensor, mask: Any) -> Any:
    q, k, v = m.heads(x)
    weights = (q @ k.transpose(-2, -1)).softmax(-1)
    return joined(weights.masked_fill(x[:, None, None, :, 0] > 0, 0.0) @ v)


def shared_keys(m: Any, x: Tensor, mask: Any) -> Any:
    q, k, v = m.heads(x)
    return joined((q @ k[:, :1].transpose(-2, -1)).softmax(-1) @ v)


def written_between(m: Any, x: Tensor, mask: Any) -> Any:
    q, k, v = m.heads(x)
    q = q * 1
    weights = (q @ k.transpose(-2, -1)).softmax(-1)
    q.zero_()
    return joined(weights @ v) + q.sum()


def gated(m: Any, x: Tensor, mask: Any) -> Any:
    return x * m.qkv(x).chunk(3, -1)[0].softmax(-1)


def converted(m: Any, x: Tensor, mask: Any) -> Any:
    q, k, v = m.heads(x)
    y = joined((q @ k.transpose(-2, -1)).softmax(-1) @ v)
    return y * 2 if x.sum() > 0 else y


LEFT = [
    (over_queries, "the softmax goes over axis -2, not over the keys, the last one"),
    (returned, "its weights are returned"),
    (scores_read, "its scores are read elsewhere too"),
    (weights_read, "its weights are read elsewhere too"),
    (scaled_by_data, "the scale of its scores depends on data"),
    (dropped_twice, "its weights are dropped twice"),
    (scores_dropped, "`dropout` stands between the product and the softmax"),
    (cast, "its softmax is computed in float32, another element type than the scores'"),
    (cast_scores, "a cast from bfloat16 to float32 stands between the product and the values"),
    (capped, "`tanh` stands between the product and the softmax"),
    (softly_masked, "scores that are masked become -3, which is not minus infinity for all of them"),
    (zeroed, "`masked_fill` stands between the softmax and the values"),
    (shared_keys, "the leading axes of q, k and v differ: one is stretched to the others"),
    (written_between, "`zero_` writes in place between its products"),
    (gated, "there is no product of queries and keys above it"),
    (converted, "its code cannot be read: TraceError: symbolically traced variables cannot be used as inputs to "
                "control flow"),
]
