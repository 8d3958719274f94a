"""Attentions that the Triton kernels are held to: every two of pattern, bias, width, grid, type, mask and causal meet.

`covering` draws few cases in which every pair of values of every two factors occurs (all-pairs testing: Cohen et al.
1997, doi:10.1109/32.605761); a long test takes the whole product.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product
from random import Random
from typing import Any, Final

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ogive.compiler.kernels.attention import Walked
from ogive.compiler.lower.attention_biases import Bias, BucketBias, OffsetBias, ProductBias, SlopeBias
from ogive.compiler.lower.attention_masks import PatternMask
from ogive.compiler.lower.attention_spelling import spelled
from ogive.compiler.reference import Spec, attention
from ogive.dsl.ops.biases import Buckets, Offsets, Products, Slopes
from ogive.dsl.pattern_text import pattern_of
from ogive.dsl.patterns import Pattern
from ogive.dsl.patterns.space import Space
from ogive.dsl.types import Axis, Structure

__all__ = ["FACTORS", "Case", "Values", "answers", "covering", "everything", "meant", "quickly", "torchs"]

HEADS: Final = 2

FACTORS: Final[dict[str, tuple[Any, ...]]] = {
    "over": (
        "dense", "window(3)", "window(4, shift=2) | prefix", "sliding(5)", "sliding(3, clamp=True) | prefix",
        "dilated(3, step=2)", 'axial("row") | axial("col")', "strided(3)", "block(8, near=1) | global_tokens(2)",
        "random(2, of=4) | self", "~window(4)", "per_head([window(4), sliding(3)])",
    ),
    "bias": ("none", "swin", "tf", "symmetric", "image", "alibi", "t5", "decomposed"),
    "width": (16, 20, 32, 64, 72, 80, 96, 128, 256),
    "grid": ((7, 7, 0), (7, 7, 1), (6, 9, 2), (9, 11, 1)),
    "dtype": (torch.float32, torch.float16),
    "mask": ("none", "keys", "bool", "float"),
    "causal": (False, True),
}
"""The last of a grid is how many tokens stand before it."""


@dataclass(frozen=True)
class Case:
    """One attention on random data: keys stand `offset` from zero, biases spread by `spread`."""

    over: str
    bias: str
    width: int
    grid: tuple[int, ...]
    dtype: torch.dtype
    mask: str = "none"
    causal: bool = False
    batch: int = 1
    values: int | None = None
    drop: float = 0.0
    precision: str = "ieee"
    offset: float = 0.0
    spread: float = 1.0

    def __str__(self) -> str:
        told = [f"({self.over}) & causal" if self.causal else self.over, self.bias, str(self.width),
                "x".join(map(str, self.grid)), str(self.dtype).removeprefix("torch."), self.mask]
        if self.precision != "ieee":
            told += [self.precision, str(self.spread)]
        return " ".join(told)

    @property
    def space(self) -> Space:
        return Space.of(*self.grid[:-1], prefix=self.grid[-1])

    @property
    def pattern(self) -> Pattern:
        return pattern_of(f"({self.over}) & causal" if self.causal else self.over)

    @property
    def ends(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        ends = self.grid[-1], 0, *self.grid[:-1]
        return ends, ends


@dataclass
class Values:
    """What an attention answers, and the gradients of all that it is given."""

    out: Tensor
    grads: dict[str, Tensor]
    cancels: float = 0.0

    def errors(self, meant: Values) -> dict[str, float]:
        """|x - y| / |y| of each."""
        found = {"out": _apart(self.out, meant.out)}
        return found | {name: _apart(x, meant.grads[name]) for name, x in self.grads.items()}

    def wrong(self, meant: Values, peer: Values) -> dict[str, str]:
        """What is further off than it may be: twice as far as torch itself, in float32 three times or 1e-6 (scores in
        units of log 2 are larger, and so is what their rounding makes of weights).

        Gradients of biases and masks may be four times as far: few numbers are sums of many dS, which cancel. Those of
        slopes are one number for all pairs of a head; how near torch comes is luck then, so they may also be off by
        the rounding of what is summed up, `peer.cancels` times as large as the sum.
        """
        own, found, exact = peer.errors(meant), {}, self.out.dtype == torch.float32
        for name, error in self.errors(meant).items():
            factor = 4 if name in ("bias", "mask") else 3 if exact else 2
            bound = max(1e-6 if exact else 0.0, factor * own[name])
            if name == "bias":
                bound = max(bound, peer.cancels * (2**-21 if exact else 2**-11))
            if not error <= bound:
                found[name] = f"{error:.1e} > {bound:.1e}"
        return found


def _apart(x: Tensor, y: Tensor) -> float:
    size = float(y.norm())
    return float((x.double() - y).norm()) / (size or 1.0)


def quickly(cases: list[Case], each: int) -> list[Any]:
    """The interpreter is slow: a part of the cases on every run, all of them in the long one."""
    return [pytest.param(case, marks=[pytest.mark.long] if i % each else []) for i, case in enumerate(cases)]


def covering(seed: int = 0, factors: dict[str, tuple[Any, ...]] = FACTORS, **more: Any) -> list[Case]:
    """Cases in which every value of every factor meets every value of every other; each is the best of a few drawn."""
    random, names = Random(seed), list(factors)
    left = {
        (a, b, x, y) for a, b in combinations(range(len(names)), 2)
        for x in range(len(factors[names[a]])) for y in range(len(factors[names[b]]))
    }
    found: list[Case] = []
    while left:
        best: tuple[int, ...] = ()
        most: set[Any] = set()
        first = min(left)
        for _ in range(40):
            row = [random.randrange(len(factors[name])) for name in names]
            row[first[0]], row[first[1]] = first[2], first[3]
            met = {(a, b, row[a], row[b]) for a, b in combinations(range(len(names)), 2)} & left
            if len(met) > len(most):
                best, most = tuple(row), met
        left -= most
        found.append(Case(**{name: factors[name][i] for name, i in zip(names, best, strict=True)}, **more))
    return found


def everything() -> Iterator[Case]:
    """The whole product, but for grids and masks: one of them each in turn."""
    names = [name for name in FACTORS if name not in ("grid", "mask")]
    for i, row in enumerate(product(*(FACTORS[name] for name in names))):
        turn = {name: FACTORS[name][i // step % 4] for name, step in (("grid", 1), ("mask", 3))}
        yield Case(**dict(zip(names, row, strict=True)), **turn)


# ---------------------------------------------------------------------------------------------------------------- data


def _bias(case: Case) -> tuple[Bias | None, Structure | None, tuple[int, ...]]:
    """How a bias is looked up, what it means, and the shape of its values."""
    *grid, prefix = case.grid
    offsets = [2 * n - 1 for n in grid]
    one, size = (1,) * len(grid), tuple(grid)
    n = case.space.queries.size
    match case.bias:
        case "swin":
            rows = offsets[0] * (offsets[1] if len(grid) > 1 else 1) + 3 * bool(prefix)
            return OffsetBias(HEADS, size, "swin", prefix, one, one), Offsets(HEADS, size, "swin", prefix, one, one), (
                rows, HEADS)
        case "tf" | "image" as layout if not prefix:
            shape = (HEADS, *offsets) if layout == "tf" else (1, HEADS, *offsets)
            return OffsetBias(HEADS, size, layout, 0, one, one), Offsets(HEADS, size, layout, 0, one, one), shape
        case "symmetric" if not prefix:
            return OffsetBias(HEADS, size, "symmetric", 0, one, one), Offsets(HEADS, size, "symmetric", 0, one, one), (
                HEADS, *grid)
        case "alibi" | "tf" | "symmetric":  # tables without tokens outside the grid give way to what has them
            return SlopeBias(), Slopes(HEADS), (HEADS,)
        case "t5" | "image":
            return BucketBias(8, 20, True), Buckets(HEADS, 8, 20, True), (8, HEADS)
        case "decomposed":
            axis = Axis(n, tuple(grid), prefix)
            return ProductBias(tuple(offsets)), Products(HEADS, tuple(offsets), axis), (
                case.batch, HEADS, n, sum(offsets))
    return None, None, ()


@lru_cache(4)
def _data(case: Case) -> dict[str, Tensor]:
    """q, k, v and the gradient of the answer `B H N .`, the mask, the values of the bias, in float64 as they round."""
    generator = torch.Generator().manual_seed(len(str(case)))
    n, values = case.space.queries.size, case.values or case.width

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(case.dtype).double()

    widths = {"q": case.width, "k": case.width, "v": values, "grad": values}
    made = {name: drawn(case.batch, n, HEADS, d).transpose(1, 2) for name, d in widths.items()}
    _, _, shape = _bias(case)
    if case.offset:
        side = torch.randn(1, HEADS, 1, case.width, generator=generator, dtype=torch.float64).sign()
        made["k"] = (made["k"] + case.offset * side).to(case.dtype).double()
    if shape:
        made["bias"] = drawn(*shape).abs() if case.bias == "alibi" else drawn(*shape)
        made["bias"] = (made["bias"] * case.spread).to(case.dtype).double()
    shapes = {"keys": (case.batch, 1, 1, n), "bool": (1, HEADS, n, n), "float": (case.batch, 1, n, n)}
    if case.mask != "none":
        made["mask"] = drawn(*shapes[case.mask])
    return made


def _leaves(case: Case, dtype: torch.dtype) -> dict[str, Tensor]:
    """The data in a type; what has a gradient asks for it."""
    made = {name: x.detach().clone().to(dtype) for name, x in _data(case).items()}
    if case.mask in ("keys", "bool"):
        made["mask"] = made["mask"] > -0.5
    for name, x in made.items():
        if name != "grad" and x.dtype != torch.bool:
            x.requires_grad_()
    return made


def _found(given: dict[str, Tensor], out: Tensor) -> Values:
    if out.requires_grad:
        out.backward(given["grad"])
    grads = {name: x.grad for name, x in given.items() if x.grad is not None}
    return Values(out.detach(), grads)


# ------------------------------------------------------------------------------------------------------------- answers


def meant(case: Case) -> Values:
    """What the float64 reference says."""
    given = _leaves(case, torch.float64)
    flat = [given[name].transpose(1, 2).flatten(2) for name in "qkv"]
    _, structure, _ = _bias(case)
    more = {name: given[name] for name in ("bias", "mask") if name in given}
    out = attention(Spec(HEADS, case.space, case.pattern, bias=structure), *flat, more)
    return _found(given, out.unflatten(2, (HEADS, -1)).transpose(1, 2))


def answers(case: Case, way: str = "cheapest", backward: bool = True) -> Values:
    """What the kernels say."""
    given = _leaves(case, case.dtype)
    bias, _, _ = _bias(case)
    core = Walked(case.pattern, tuple(range(HEADS)), bias, way=way)
    queries, keys = case.ends
    assert core.refused(*(given[name] for name in "qkv"), queries, keys) is None
    with torch.set_grad_enabled(backward):
        out = core.attend(*(given[name] for name in "qkv"), queries, keys, given.get("mask"), given.get("bias"), None,
                          case.drop, case.precision)
    return _found(given, out)


def torchs(case: Case) -> Values:
    """What torch's own flash attention says in the type of the case, a mask of all pairs beside it."""
    given = {name: x.detach() for name, x in _leaves(case, case.dtype).items()}
    bias, _, _ = _bias(case)
    queries, keys = case.ends
    seen = PatternMask(spelled(case.pattern, case.space, HEADS), tuple(range(HEADS)))(given["q"], queries, keys)
    scores = torch.zeros(case.batch, HEADS, *seen.shape[-2:], dtype=case.dtype)
    if bias is not None:
        scores = scores + bias(given["bias"], queries, keys)
    if "mask" in given:
        mask = given["mask"]
        seen, scores = (seen & mask, scores) if mask.dtype == torch.bool else (seen, scores + mask)
    blind = ~seen.expand(scores.shape).any(-1, keepdim=True)
    added = scores.masked_fill(~seen, float("-inf")).masked_fill(blind, 0.0).to(case.dtype).contiguous()
    widths = {name: given[name].shape[3] for name in ("q", "k", "v", "grad")}
    most = max(widths.values())  # torch asks for one width
    q, k, v, grad = (F.pad(given[name], (0, most - width)) for name, width in widths.items())
    scale = case.width**-0.5
    forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    out, lse = forward(q, k, v, 0.0, False, attn_mask=added, scale=scale)
    grad = grad.masked_fill(blind, 0.0)
    grads = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
        grad, q, k, v, out, lse, 0.0, False, attn_mask=added, scale=scale)
    found = {name: x[..., : widths[name]] for name, x in zip("qkv", grads, strict=True)}
    found |= _of_what_is_added(case, given, seen, blind, out, grad, (q, k, v))
    cancels = 0.0
    if isinstance(bias, SlopeBias):
        cancels = _cancels(bias, given, scores.masked_fill(~seen, float("-inf")), case)
    return Values(out.masked_fill(blind, 0.0)[..., : widths["v"]], found, cancels)


def _of_what_is_added(
    case: Case, given: dict[str, Tensor], seen: Tensor, blind: Tensor, out: Tensor, grad: Tensor,
    heads: tuple[Tensor, ...],
) -> dict[str, Tensor]:
    """The gradients of bias and mask, which torch's flash attention has not, by its formula in float32 from what it
    answered: dS = P (dP - rowsum(dO O)), summed by torch where one number serves many scores."""
    bias, _, _ = _bias(case)
    leaves = {name: given[name].float().requires_grad_() for name in ("bias", "mask")
              if name in given and given[name].dtype != torch.bool}
    if not leaves:
        return {}
    q, k, v, out, grad = (x.float() for x in (*heads, out, grad))
    terms = ([bias(leaves["bias"], *case.ends)] if bias is not None else []) + (
        [leaves["mask"]] if "mask" in leaves else [])
    scores = q @ k.mT * case.width**-0.5 + sum(x.detach() for x in terms)
    weights = scores.masked_fill(~seen, float("-inf")).masked_fill(blind, 0.0).softmax(-1)
    ds = weights * (grad @ v.mT - (grad * out).sum(-1, keepdim=True))
    total = sum((x.expand(ds.shape) for x in terms), torch.zeros_like(ds))
    found = torch.autograd.grad(total, list(leaves.values()), ds.masked_fill(blind | ~seen, 0.0))
    return {name: x.to(case.dtype) for name, x in zip(leaves, found, strict=True)}


def _cancels(bias: Bias, given: dict[str, Tensor], added: Tensor, case: Case) -> float:
    """How many times as large as the gradients of slopes what they are sums of is: P |dP| and P |rowsum(dO O)|.

    Answers are rounded query by query: the errors of n queries add up to the root of n times one.
    """
    q, k, v, grad, added = (x.double() for x in (*(given[name] for name in ("q", "k", "v", "grad")), added))
    weights = (q @ k.mT * case.width**-0.5 + added).softmax(-1).nan_to_num()
    wanted = grad @ v.mT
    lost = (weights * wanted).sum(-1, keepdim=True)
    slopes = given["bias"].double().requires_grad_()
    term = bias(slopes, *case.ends).expand(weights.shape)
    found = [torch.autograd.grad(term, slopes, weights * x, retain_graph=True)[0]
             for x in (wanted - lost, wanted.abs() + lost.abs())]
    return float(found[1].norm() / found[0].norm()) / math.sqrt(q.shape[0] * q.shape[2])
