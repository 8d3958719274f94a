"""The operators: what torch asks of them, what tracers make of them; heads, lengths, masks, dropout, empty rows."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ogive.compiler.kernels import added
from ogive.compiler.kernels import attention as of_networks
from ogive.compiler.kernels.attention import Walked
from ogive.compiler.kernels.biases import Looked
from ogive.compiler.lower.attention_biases import Bias, OffsetBias, ProductBias, SlopeBias
from ogive.compiler.lower.attention_masks import PatternMask
from ogive.compiler.lower.attention_parts import PartsAttention
from ogive.compiler.lower.attention_spelling import spelled
from ogive.dsl.pattern_text import pattern_of
from ogive.dsl.patterns.space import Sequence, Space

HEADS = 2


class Core(nn.Module):
    """A walk, with a bias that is learned."""

    def __init__(self, over: str, *grid: int, bias: Bias | None = None, values: Tensor | None = None) -> None:
        super().__init__()
        self.walked = Walked(pattern_of(over), tuple(range(HEADS)), bias)
        self.ends = (0, 0, *grid)
        self.values = None if values is None else nn.Parameter(values)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, rate: float = 0.0) -> Tensor:
        found = self.walked.tried(q, k, v, self.ends, self.ends, mask, self.values, None, rate)
        assert found is not None, self.walked.declined
        return found


def swin() -> Core:
    return Core("window(3, shift=1)", 6, 6, bias=OffsetBias(HEADS, (3, 3)), values=torch.randn(25, HEADS))


def data(n: int, m: int | None = None, d: int = 16, heads: int = HEADS, dtype: Any = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = (n, HEADS), (m or n, heads), (m or n, heads)
    made = [torch.randn(2, n, h, d, generator=generator, dtype=torch.float64).transpose(1, 2) for n, h in shapes]
    return [x.to(dtype).requires_grad_() for x in made]


def close(found: Tensor | None, wanted: Tensor | None, bound: float = 2e-6) -> None:
    assert found is not None and wanted is not None
    assert float((found.double() - wanted.double()).detach().norm()) <= bound * float(wanted.detach().norm())


# ------------------------------------------------------------------------------------------------------ what torch asks


@pytest.mark.parametrize("about", [
    "windows", *(pytest.param(x, marks=pytest.mark.long) for x in ("lists", "places", "dropout", "mask")),
])
def test_torch_accepts_the_operators(about: str) -> None:
    torch.manual_seed(0)
    core = {
        "windows": Core("window(2)", 4, 3, bias=OffsetBias(HEADS, (2, 2)), values=torch.randn(9, HEADS)),
        "lists": Core("sliding(3) - self", 4, 3), "dropout": Core("causal", 12),
        "places": Core("dense", 4, 3, bias=ProductBias((7, 5)), values=torch.randn(2, HEADS, 12, 12)),
        "mask": Core('axial("row") | axial("col")', 4, 3, bias=SlopeBias(), values=torch.rand(HEADS)),
    }[about]
    q, k, v = data(12)
    mask = torch.randn(2, 1, 12, 12, requires_grad=True) if about == "mask" else None
    rate, seed = (0.3, torch.tensor([3, 5, 7])) if about == "dropout" else (0.0, None)
    out = core(q, k, v, mask, rate)
    found = next(iter(core.walked.known.values()))
    assert not isinstance(found, str)
    bias = None
    if core.walked.bias is not None and core.values is not None:
        bias = Looked(core.walked.bias, core.ends, core.ends).numbers(core.values.detach(), q.dtype).requires_grad_()
    spec, tables = found
    told = (q, k, v, mask, bias, tables, seed, spec, 0.25, rate, "ieee")
    torch.library.opcheck(torch.ops.ogive.attention, told)
    made, lse = torch.ops.ogive.attention(*told)
    assert made.requires_grad and not lse.requires_grad
    plain = [x.detach() if isinstance(x, Tensor) else x for x in told]
    back = (torch.randn_like(out), *plain[:3], made.detach(), lse, *plain[3:], mask is not None, bias is not None)
    torch.library.opcheck(torch.ops.ogive.attention_backward, back,
                          test_utils=("test_schema", "test_faketensor", "test_aot_dispatch_static"))


def test_one_graph_with_gradients() -> None:
    torch.manual_seed(0)
    core, (q, k, v) = swin(), data(36)
    traced = torch.compile(core, backend="aot_eager", fullgraph=True)  # before any walk is known
    traced(q, k, v).square().sum().backward()
    assert core.values is not None
    found = [x.grad for x in (q, k, v, core.values)]
    for x in (q, k, v, core.values):
        x.grad = None
    core(q, k, v).square().sum().backward()
    for x, grad in zip((q, k, v, core.values), found, strict=True):
        close(grad, x.grad, 1e-7)


def test_export_holds_one_call() -> None:
    core, given = swin(), tuple(x.detach() for x in data(36))
    exported = torch.export.export(core, given)
    calls = [n for n in exported.graph.nodes if n.target is torch.ops.ogive.attention.default]
    assert len(calls) == 1
    close(exported.module()(*given), core(*given), 1e-7)


def test_sizes_that_are_free_are_left_to_torch() -> None:
    """A walk is for known sizes: a graph for any size does without."""
    class Free(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.walked = Walked(pattern_of("sliding(3)"), (0, 1), None)

        def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            ends = (0, 0, q.shape[2])
            found = self.walked.tried(q, k, v, ends, ends, None, None, None, 0.0)
            return q * 0 if found is None else found

    given = tuple(x.detach() for x in data(36))
    free = torch.export.Dim("n", min=8, max=512)
    exported = torch.export.export(Free(), given, dynamic_shapes=[{2: free}] * 3)
    assert not any(n.target is torch.ops.ogive.attention.default for n in exported.graph.nodes)
    assert torch.compile(Free(), backend="eager", fullgraph=True)(*given).any()


# ---------------------------------------------------------------------------------------------------- heads and lengths


@pytest.mark.parametrize(("queries", "keys"), [(7, 90), (90, 7), (1, 33)])
@pytest.mark.parametrize("over", ["dense", "causal"])
def test_two_sequences(over: str, queries: int, keys: int) -> None:
    q, k, v = data(queries, keys)
    space = Space(Sequence((queries,)), Sequence((keys,)))
    walked = Walked(pattern_of(over), tuple(range(HEADS)), None)
    found = walked.tried(q, k, v, (0, 0, queries), (0, 0, keys), None, None, None, 0.0)
    seen = PatternMask(spelled(pattern_of(over), space, 1))(q, (0, 0, queries), (0, 0, keys))
    assert found is not None
    grad = torch.randn_like(found)
    own = torch.autograd.grad(found, (q, k, v), grad)
    wide = [x.detach().double().requires_grad_() for x in (q, k, v)]
    blind = ~seen.any(-1, keepdim=True)
    wanted = F.scaled_dot_product_attention(*wide, attn_mask=seen | blind).masked_fill(blind, 0.0)
    close(found, wanted)
    for x, y in zip(own, torch.autograd.grad(wanted, wide, grad.double()), strict=True):
        close(x, y)


@pytest.mark.parametrize("over", ["sliding(5)", pytest.param("per_head([causal, sliding(5)])", marks=pytest.mark.long)])
def test_heads_of_queries_may_share_keys(over: str) -> None:
    """Two heads of queries with one of keys and values are as with two equal ones."""
    core = Core(over, 40)
    q, k, v = data(40, heads=1)
    found = core(q, k, v)
    grad = torch.randn_like(found)
    own = torch.autograd.grad(found, (q, k, v), grad)
    wanted = core(q, k.repeat_interleave(HEADS, 1), v.repeat_interleave(HEADS, 1))
    close(found, wanted, 1e-7)
    for x, y in zip(own, torch.autograd.grad(wanted, (q, k, v), grad), strict=True):
        close(x, y, 1e-6)


def test_log_sum_exps() -> None:
    core = Core("sliding(5) - self", 40)
    q, k, v = (x.detach() for x in data(40))
    core(q, k, v)
    found = next(iter(core.walked.known.values()))
    spec, tables = found
    _, lse = torch.ops.ogive.attention(q, k, v, None, None, tables, None, spec, 0.25, 0.0, "ieee")
    seen = PatternMask(spelled(pattern_of("sliding(5) - self"), Space.of(40), 1))(q, core.ends, core.ends)
    scores = (q.double() @ k.double().transpose(-1, -2) * 0.25).masked_fill(~seen, -math.inf)
    close(lse, scores.logsumexp(-1))


@pytest.mark.parametrize("over", ["window(3) & causal - self", "dense"])
def test_a_query_that_sees_nothing_answers_zeros(over: str) -> None:
    core, (q, k, v) = Core(over, 12), data(12)
    mask = torch.ones(2, 1, 1, 12, dtype=torch.bool)
    mask[1] = False
    out = core(q, k, v, mask)
    out.sum().backward()
    blind = ~(PatternMask(spelled(pattern_of(over), Space.of(12), 1))(q, core.ends, core.ends) & mask).any(-1)
    assert bool((out.transpose(1, 2)[blind.transpose(1, 2).expand(2, 12, HEADS)] == 0).all()) and int(blind.sum()) >= 12
    assert all(x.grad is not None and bool(x.grad.isfinite().all()) for x in (q, k, v))
    found = next(iter(core.walked.known.values()))
    _, lse = torch.ops.ogive.attention(q, k, v, mask, None, found[1], None, found[0], 0.25, 0.0, "ieee")
    assert bool((lse.isneginf() == blind.expand(2, HEADS, 12)).all())


@pytest.mark.parametrize("layout", ["one linear map", "heads first", "every other channel"])
def test_strides_of_any_kind(layout: str) -> None:
    generator = torch.Generator().manual_seed(2)
    match layout:
        case "one linear map":
            joined = torch.randn(2, 36, 3, HEADS, 16, generator=generator)
            q, k, v = (joined[:, :, i].transpose(1, 2) for i in range(3))
        case "heads first":
            q, k, v = torch.randn(3, HEADS, 2, 36, 16, generator=generator).transpose(1, 2)
        case _:
            q, k, v = torch.randn(3, 2, HEADS, 36, 32, generator=generator)[..., ::2]
    core = swin()
    close(core(q, k, v), core(*(x.contiguous() for x in (q, k, v))), 1e-7)


@pytest.mark.parametrize("over", [
    "sliding(25) - self", *(pytest.param(x, marks=pytest.mark.long) for x in ("dense", "causal")),
])
def test_gradients_of_scores_a_few_rows_at_a_time(over: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    core, (q, k, v) = Core(over, 40, bias=SlopeBias(), values=torch.rand(HEADS)), data(40)
    assert core.values is not None
    grad, found = torch.randn(2, HEADS, 40, 16), []
    for numbers in (added.BUFFER, 64 * 40):
        monkeypatch.setattr(added, "BUFFER", numbers)
        found.append(torch.autograd.grad(core(q, k, v), core.values, grad)[0])
    close(found[1], found[0], 1e-5)


# -------------------------------------------------------------------------------------------------------------- dropout


@pytest.mark.parametrize("over", ["dense", "window(3, shift=1)", "per_head([causal, sliding(5)])"])
def test_dropout_is_that_of_the_processor(over: str) -> None:
    """One seed drops the same pairs, forwards and backwards."""
    space = Space.of(6, 6)
    core = PartsAttention(pattern_of(over), tuple(range(HEADS)), drop=0.4).train()
    core.seen = PatternMask(spelled(core.over, space, HEADS), core.of)
    ends = (0, 0, 6, 6)
    torch.manual_seed(0)
    grad = torch.randn(2, HEADS, 36, 16)
    found = []
    for walked in (None, Walked(core.over, core.of, None)):
        given = data(36, dtype=torch.float32)
        torch.manual_seed(9)
        core.walked = walked
        out = core(*given, ends, ends)
        found.append((out, *torch.autograd.grad(out, given, grad)))
    for x, y in zip(*found, strict=True):
        close(y, x)


# ------------------------------------------------------------------------------------------------------------- refusals


def test_what_kernels_do_not_take_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    core = Core("sliding(3)", 6)
    plain = torch.zeros(1, HEADS, 6, 16)
    wide = torch.zeros(1, HEADS, 6, 257)
    ends = core.ends
    assert core.walked.refused(plain, plain, plain, ends, ends) is None
    assert core.walked.refused(*[plain.double()] * 3, ends, ends) == (
        "kernels compute in float16, bfloat16 or float32, not float64")
    assert core.walked.refused(wide, wide, plain, ends, ends) == "a head of 257 channels is wider than 256"
    assert core.walked.refused(plain, plain.half(), plain, ends, ends) == (
        "queries, keys and values are of different types")
    assert core.walked.tried(*[plain.double()] * 3, ends, ends, None, None, None, 0.0) is None
    assert core.walked.declined == "kernels compute in float16, bfloat16 or float32, not float64"
    monkeypatch.setattr(of_networks, "REACH", 176)
    assert core.walked.refused(plain, plain, plain, ends, ends) == "one sample is larger than kernels can count"
    monkeypatch.setattr(of_networks, "REACH", 177)
    assert core.walked.refused(plain, plain, plain, ends, ends) is None
    mask = torch.zeros(1, HEADS, 40, 6)
    assert core.walked.refused(plain, plain, plain, ends, ends, mask) == "one sample is larger than kernels can count"
