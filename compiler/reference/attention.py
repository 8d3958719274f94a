"""The meaning of `attend`, in float64: loops over heads, the set asked pair by pair, the softmax written out.

For a query n and the keys m of its set, per head (Vaswani et al. 2017, arXiv:1706.03762):

    s[n, m] = scale score(q[n], k[m]) + bias[n, m]
    s       = before s                      heads mixed (talking heads, arXiv:2003.02436)
    s[n, m] = s[n, m] + mask[n, m]          a mask of floats
    p[n, m] = exp(s[n, m]) / sum over the m' that n sees of exp(s[n, m']), 0 where n does not see m
    p       = after p, again 0 where n does not see m
    y[n]    = sum over m of p[n, m] kept[n, m] / (1 - drop) v[m]

A query that sees no key answers zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor

from ogive.compiler.reference.biases import added
from ogive.compiler.reference.mechanisms import answer
from ogive.dsl.ops.attention import Attend, position_axis
from ogive.dsl.ops.biases import offsets_of
from ogive.dsl.patterns import Dense, Mechanism, Pattern
from ogive.dsl.patterns.mechanisms import Mixed
from ogive.dsl.patterns.space import Space
from ogive.dsl.types import Structure
from ogive.dsl.types import Tensor as Type

__all__ = ["Spec", "attention", "spec_of"]

NOTHING: Final[Mapping[str, Tensor]] = MappingProxyType({})


@dataclass(frozen=True)
class Spec:
    """One attention: what its line says, and the positions that it is used on.

    `scale` None is d ** -0.5, or 1 for "cosine" and "additive"; a scale that is a tensor is given with the data.
    `bias` is the structure of the bias that is given with the data.
    """

    heads: int
    space: Space
    over: Pattern | Mechanism = Dense()
    score: str = "dot"
    scale: float | None = None
    drop: float = 0.0
    bias: Structure | None = None


def spec_of(op: Attend, q: Type, k: Type) -> Spec:
    """The attention of a record with queries and keys of these types.

    Raises:
        ValueError: a size is free.
    """
    space = Space.between(position_axis(q), position_axis(k))
    if space is None:
        raise ValueError(f"the sizes of {q} and {k} are not known")
    bias = None if op.bias is None else offsets_of(op.bias.tensor) or op.bias.tensor.structure
    scale = op.scale if isinstance(op.scale, float) else None
    return Spec(op.heads, space, op.over, op.score, scale, op.drop, bias)


def attention(
    spec: Spec, q: Tensor, k: Tensor, v: Tensor, given: Mapping[str, Tensor] = NOTHING,
    weights: Mapping[str, Tensor] = NOTHING, kept: Tensor | None = None, dtype: torch.dtype = torch.float64,
) -> Tensor:
    """What `attend` answers, every step in `dtype`; gradients flow to all that is given.

    Shapes: q `B N C`, k `B M .`, v `B M .` -> `B N D`, 1 for any batch. Head i of q reads head i // g of k and v, where
    these have 1/g as many (grouped queries, arXiv:2305.13245).

    Args:
        given: data that settings name: `bias` (table, slopes or products), `mask`, `scale`, `before_softmax` and
            `after_softmax` ([heads, heads + 1], a matrix and its bias).
        weights: those of the attend node: of a mechanism, and `v` [d] of the score "additive".
        kept: which weights dropout keeps, `B heads N M` of 0 and 1; None keeps all and divides by nothing.
    """
    q, k, v = (x.to(dtype) for x in (q, k, v))
    given = {name: x if x.dtype == torch.bool else x.to(dtype) for name, x in given.items()}
    weights = {name: x.to(dtype) for name, x in weights.items()}
    d = q.shape[-1] // spec.heads
    groups = _groups(spec.heads, d, k, v)
    queries = [_head(q, i, spec.heads) for i in range(spec.heads)]
    keys = [_head(k, i // groups, spec.heads // groups) for i in range(spec.heads)]
    values = [_head(v, i // groups, spec.heads // groups) for i in range(spec.heads)]
    if isinstance(spec.over, Mechanism) and not isinstance(spec.over, Mixed):
        found = [
            answer(spec.over, a, b, c, _scale(spec, given, i, d), weights, i, spec.space.keys, spec.score,
                   _kept(spec, kept, i), _of_keys(given))
            for i, (a, b, c) in enumerate(zip(queries, keys, values, strict=True))
        ]
        return torch.cat(found, dim=-1)
    if isinstance(spec.over, Mixed):
        return torch.cat([
            _of_part(spec, i, a, b, c, given, weights, _kept(spec, kept, i))
            for i, (a, b, c) in enumerate(zip(queries, keys, values, strict=True))
        ], dim=-1)
    scores = torch.stack([
        _scores(spec, a, b, weights) * _scale(spec, given, i, d)
        for i, (a, b) in enumerate(zip(queries, keys, strict=True))
    ], dim=1)
    allowed = torch.stack([_set(spec.over, spec.space, i).to(q.device) for i in range(spec.heads)])
    p = _weights(spec, scores, allowed, given)
    if kept is not None:
        p = p * kept.to(dtype) / (1 - spec.drop)
    return torch.cat([p[:, i] @ value for i, value in enumerate(values)], dim=-1)


def _of_part(
    spec: Spec, head: int, q: Tensor, k: Tensor, v: Tensor, given: Mapping[str, Tensor], weights: Mapping[str, Tensor],
    kept: Tensor | None,
) -> Tensor:
    """One head of `per_head([...])` with a mechanism among its parts; weights lie under the number of the part."""
    assert isinstance(spec.over, Mixed)
    count = len(spec.over.parts)
    own = head % count
    part, scale = spec.over.parts[own], _scale(spec, given, head, q.shape[-1])
    if isinstance(part, Mechanism):
        named = {name.removeprefix(f"{own}."): x for name, x in weights.items() if name.startswith(f"{own}.")}
        return answer(part, q, k, v, scale, named, head // count, spec.space.keys, spec.score, kept, _of_keys(given))
    scores = (_scores(spec, q, k, weights) * scale)[:, None]
    masks = {name: x for name, x in given.items() if name == "mask"}
    p = _weights(spec, scores, _set(part, spec.space, head)[None].to(q.device), masks)[:, 0]
    return (p if kept is None else p * kept) @ v


def _of_keys(given: Mapping[str, Tensor]) -> Tensor | None:
    """A mask of keys, `B M`."""
    mask = given.get("mask")
    return None if mask is None else mask.reshape(mask.shape[0], mask.shape[-1])


# ----------------------------------------------------------------------------------------------------------- the pieces


def _weights(spec: Spec, scores: Tensor, allowed: Tensor, given: Mapping[str, Tensor]) -> Tensor:
    """The softmax of scores `B heads N M` over what is `allowed`, `heads N M`, with all that stands around it."""
    if "bias" in given:
        scores = scores + added(spec.bias, given["bias"], spec.space, allowed)
    if "before_softmax" in given:
        scores = _mixed(scores, given["before_softmax"])
    mask, seen = given.get("mask"), allowed
    if mask is not None:
        mask = mask[:, None, None] if mask.dim() == 2 else mask[:, None] if mask.dim() == 3 else mask
        seen = seen & (mask if mask.dtype == torch.bool else mask != float("-inf"))
        if mask.dtype != torch.bool:
            scores = scores + torch.where(mask == float("-inf"), torch.zeros_like(mask), mask)
    p = _softmax(scores, seen.expand(scores.shape))
    return _mixed(p, given["after_softmax"]) * seen if "after_softmax" in given else p


def _softmax(scores: Tensor, seen: Tensor) -> Tensor:
    """exp(s - max) / sum exp(s - max) over the keys that each query sees; zeros where it sees none."""
    scores = scores.masked_fill(~seen, float("-inf"))
    top = scores.detach().amax(-1, keepdim=True)
    grown = (scores - torch.where(top == float("-inf"), torch.zeros_like(top), top)).exp()
    total = grown.sum(-1, keepdim=True)
    return grown / torch.where(total == 0, torch.ones_like(total), total)


def _scores(spec: Spec, q: Tensor, k: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """One score for each query and key of a head, `B N M`.

    "dot" q k; "cosine" q k / (|q| |k|) (arXiv:2111.09883); "additive" v tanh(q + k) (arXiv:1409.0473); "distance"
    -|q - k|^2 (arXiv:1904.11491).
    """
    if spec.score == "additive":
        return (torch.tanh(q[:, :, None] + k[:, None]) * weights["v"]).sum(-1)
    if spec.score == "distance":
        return -(q[:, :, None] - k[:, None]).square().sum(-1)
    if spec.score == "cosine":
        q, k = (x / x.square().sum(-1, keepdim=True).sqrt().clamp(min=1e-12) for x in (q, k))
    return q @ k.transpose(-1, -2)


def _scale(spec: Spec, given: Mapping[str, Tensor], head: int, d: int) -> Any:
    if "scale" in given:
        factor = given["scale"].reshape(-1)
        return factor[head if len(factor) > 1 else 0]
    if spec.scale is not None:
        return spec.scale
    return 1.0 if spec.score in ("cosine", "additive") else d**-0.5


def _mixed(x: Tensor, mix: Tensor) -> Tensor:
    """Each head a sum of all heads, and a number: the matrix is `mix` without its last column."""
    heads = range(x.shape[1])
    return torch.stack([sum((mix[o, i] * x[:, i] for i in heads), mix[o, -1]) for o in heads], dim=1)


def _head(x: Tensor, i: int, heads: int) -> Tensor:
    d = x.shape[-1] // heads
    return x[..., i * d : (i + 1) * d]


def _groups(heads: int, d: int, k: Tensor, v: Tensor) -> int:
    """How many heads of q share one of k and v, which is as wide as theirs."""
    narrow = k.shape[-1]
    return heads * d // narrow if v.shape[-1] == narrow and narrow % d == 0 and heads % (narrow // d) == 0 else 1


def _kept(spec: Spec, kept: Tensor | None, head: int) -> Tensor | None:
    return None if kept is None else kept[:, head] / (1 - spec.drop)


@lru_cache(4096)
def _set(p: Pattern, space: Space, head: int) -> Tensor:
    """The matrix of the set, N x M: every pair is asked."""
    queries, keys = range(space.queries.size), range(space.keys.size)
    return torch.tensor([[p.holds(q, k, space, head) for k in keys] for q in queries])
