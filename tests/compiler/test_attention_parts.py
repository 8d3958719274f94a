"""Attention part by part, forwards and backwards, against a matrix of all pairs; its memory, its dropout."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from ogive.compiler.lower.attention_biases import Bias, OffsetBias, SlopeBias
from ogive.compiler.lower.attention_masks import PatternMask
from ogive.compiler.lower.attention_parts import PartsAttention, kept_pairs
from ogive.compiler.lower.attention_spelling import spelled
from ogive.dsl.patterns import Pattern
from ogive.dsl.patterns.algebra import PerHead, Union
from ogive.dsl.patterns.named import (
    Axial,
    Block,
    Causal,
    Dense,
    GlobalTokens,
    Prefix,
    Random,
    Self,
    Sliding,
    Strided,
    Window,
)
from ogive.dsl.patterns.space import Space

D = torch.float64


def module(p: Pattern, space: Space, heads: int, drop: float = 0.0, bias: Bias | None = None) -> PartsAttention:
    made = PartsAttention(p, tuple(range(heads)), None, drop)
    made.seen = PatternMask(spelled(p, space, heads), tuple(range(heads)))
    made.bias = bias
    return made.eval()


def ends(space: Space) -> tuple[tuple[int, ...], tuple[int, ...]]:
    a, b = ((s.prefix, s.suffix, *s.grid) for s in (space.queries, space.keys))
    return a, b


def data(space: Space, heads: int, d: int, e: int | None = None, batch: int = 2, dtype: Any = D) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(space.queries.size, d), (space.keys.size, d), (space.keys.size, e or d)]
    made = [torch.randn(batch, n, heads, w, generator=generator, dtype=D).to(dtype).transpose(1, 2) for n, w in shapes]
    return [x.requires_grad_() for x in made]


def written(
    core: PartsAttention, space: Space, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None,
    table: Tensor | None = None, drop: Tensor | None = None,
) -> Tensor:
    """Step by step, over all pairs."""
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    if core.bias is not None:
        scores = scores + core.bias(table, *ends(space))
    seen = core.seen(q, *ends(space)).expand(scores.shape)
    if mask is not None:
        seen = seen & mask if mask.dtype == torch.bool else seen
        scores = scores if mask.dtype == torch.bool else scores + mask
    weights = scores.masked_fill(~seen, -1e30).softmax(-1) * seen
    return (weights if drop is None else weights * drop) @ v


def alike(found: Tensor, wanted: Tensor, leaves: list[Tensor]) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-10)
    weight = torch.randn(found.shape, generator=torch.Generator().manual_seed(5), dtype=D)
    ours, theirs = (torch.autograd.grad((x * weight).sum(), leaves) for x in (found, wanted))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)


GRID, TOKENS, LINE = Space.of(9, 14), Space.of(9, 14, prefix=1), Space.of(150)
CASES: list[tuple[Pattern, Space]] = [
    (Window(7), GRID), (Window(7, 3), GRID), (Window(4, 2) | Prefix(), TOKENS), (Window(7) | Self(), TOKENS),
    (Axial("row") | Axial("col"), GRID), (Sliding(3), GRID), (Sliding(21), LINE), (Strided(10) | Sliding(9), LINE),
    (Block(16) | GlobalTokens(8) | Random(2, 16), LINE), (Causal(7), LINE), (Causal(-7), LINE), (~Sliding(101), LINE),
    (PerHead((Window(7), Sliding(3), Dense())), GRID), (Random(1, 8, 0, True) | Self(), LINE),
]
names = {"ids": lambda x: str(x) if isinstance(x, Pattern) else ""}


@pytest.mark.parametrize(("p", "space"), CASES, **names)
@pytest.mark.parametrize("batch", [1, 2])
def test_values_and_gradients(p: Pattern, space: Space, batch: int) -> None:
    core, (q, k, v) = module(p, space, 4), data(space, 4, 8, batch=batch)
    alike(core(q, k, v, *ends(space)), written(core, space, q, k, v), [q, k, v])
    assert next(iter(core.walks.values())) is not None, "walked by parts"


@pytest.mark.parametrize("width", [3, 8, 20])
@pytest.mark.parametrize("kind", ["none", "keys", "pairs", "added"])
def test_masks_of_the_file_and_values_of_another_width(width: int, kind: str) -> None:
    space, p = TOKENS, Window(4, 2) | Prefix()
    core, (q, k, v) = module(p, space, 4), data(space, 4, 8, width)
    generator, n, mask = torch.Generator().manual_seed(2), space.queries.size, None
    leaves = [q, k, v]
    if kind == "keys":
        mask = torch.rand(2, 1, 1, n, generator=generator) < 0.6
        mask[1] = False  # a sample that sees nothing
    elif kind == "pairs":
        mask = torch.rand(2, 4, n, n, generator=generator) < 0.3
    elif kind == "added":
        mask = torch.randn(2, 1, n, n, generator=generator, dtype=D).requires_grad_()
        leaves.append(mask)
    alike(core(q, k, v, *ends(space), mask), written(core, space, q, k, v, mask), leaves)


@pytest.mark.parametrize(("p", "space"), CASES[:7], **names)
def test_gradients_of_a_table_of_offsets(p: Pattern, space: Space) -> None:
    if len(space.queries.grid) < 2:
        bias, values = SlopeBias(), torch.rand(4, dtype=D).requires_grad_()
    else:
        bias = OffsetBias(4, space.queries.grid, prefix=space.queries.prefix)
        rows = (2 * 9 - 1) * (2 * 14 - 1) + (3 if space.queries.prefix else 0)
        values = torch.randn(rows, 4, generator=torch.Generator().manual_seed(4), dtype=D).requires_grad_()
    core, (q, k, v) = module(p, space, 4, bias=bias), data(space, 4, 8)
    found = core(q, k, v, *ends(space), None, values)
    alike(found, written(core, space, q, k, v, None, values), [q, k, v, values])


@pytest.mark.parametrize("order", ["qkv", "kqv", "qvk"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("p", [Window(4), Window(3, 1), Union((Window(2), Prefix()))], ids=str)
def test_what_lies_side_by_side_is_what_lies_apart(p: Pattern, batch: int, order: str) -> None:
    """q, k and v as slices of one tensor, in any order, are copied together where that is the same."""
    space, heads = Space.of(8, 8, prefix=int("prefix" in str(p))), 2
    n = space.queries.size
    generator = torch.Generator().manual_seed(3)
    joined = torch.randn(batch, n, 3, heads, 4, generator=generator).permute(2, 0, 3, 1, 4)
    q, k, v = (joined[order.index(name)] for name in "qkv")
    made = module(p, space, heads)
    with torch.inference_mode():
        wanted = made(*(x.contiguous() for x in (q, k, v)), *ends(space))
        assert torch.equal(made(q, k, v, *ends(space)), wanted)


def test_gradcheck() -> None:
    space = Space.of(4, 6, prefix=1)
    bias = OffsetBias(2, (4, 6), prefix=1)
    core = module(Window(3, 1) | Axial("row") | Prefix(), space, 2, bias=bias)
    q, k, v = data(space, 2, 3, batch=1)
    table = torch.randn(7 * 11 + 3, 2, dtype=D, generator=torch.Generator().manual_seed(1)).requires_grad_()
    assert gradcheck(lambda *x: core(*x[:3], *ends(space), None, x[3]), (q, k, v, table))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("p", "space"), CASES[:10], **names)
def test_narrow_numbers_are_as_near_as_plain_torch(p: Pattern, space: Space, dtype: torch.dtype) -> None:
    core, wide = module(p, space, 4), data(space, 4, 16)
    q, k, v = (x.detach().to(dtype).requires_grad_() for x in wide)
    exact = [x.detach().to(D).requires_grad_() for x in (q, k, v)]
    wanted, usual, found = written(core, space, *exact), written(core, space, q, k, v), core(q, k, v, *ends(space))
    assert found.dtype == dtype
    most = 2 * (usual - wanted).abs().max() + 1e-5 * wanted.abs().max()
    assert (found - wanted).abs().max() <= most
    sides = ((found, (q, k, v)), (usual, (q, k, v)), (wanted, exact))
    grads = [torch.autograd.grad(y.square().sum(), x) for y, x in sides]
    for ours, theirs, true in zip(*grads, strict=True):
        assert (ours - true).abs().max() <= 2 * (theirs - true).abs().max() + 1e-5 * true.abs().max()


# ------------------------------------------------------------------------------------------------------------- dropout


def test_philox_is_philox() -> None:
    """The first word for the counter and key of the test vectors of Random123."""
    vectors = [((0, 0, 0, 0), (0, 0), 0x6627E8D5),
               ((0xFFFFFFFF,) * 4, (0xFFFFFFFF, 0xFFFFFFFF), 0x408F276D),
               ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0), 0xD16CFE09)]
    for counter, seed, word in vectors:
        key, query, head, batch = (torch.tensor(x) for x in counter)
        for rate, kept in (((word - 1) / 2**32, True), ((word + 1) / 2**32, False)):
            assert bool(kept_pairs(rate, (*seed, 0), batch, head, query, key)) is kept


@pytest.mark.parametrize(("p", "space"), [*CASES[:5], CASES[8], CASES[12]], **names)
def test_the_same_pairs_drop_whatever_the_parts(p: Pattern, space: Space) -> None:
    core, (q, k, v) = module(p, space, 4, drop=0.3), data(space, 4, 8)
    core.train()
    torch.manual_seed(11)
    found = core(q, k, v, *ends(space))
    torch.manual_seed(11)
    seed = tuple(torch.randint(2**31, (3,)).tolist())
    n = torch.arange(space.queries.size)
    batch, head = torch.arange(2)[:, None, None, None], torch.arange(4)[:, None, None]
    keep = kept_pairs(0.3, seed, batch, head, n[:, None], n)
    assert abs(keep.double().mean() - 0.7) < 0.01
    alike(found, written(core, space, q, k, v, drop=keep.double() / 0.7), [q, k, v])
    assert not torch.equal(core(q, k, v, *ends(space)), found), "drawn anew at each call"
    core.eval()
    torch.testing.assert_close(core(q, k, v, *ends(space)), written(core, space, q, k, v))


# -------------------------------------------------------------------------------------------------------------- memory

TRAINED = """
import resource, sys, torch
from ogive.compiler.pipeline import compile
from ogive.dsl.build import build
from ogive.dsl.load import load_text
torch.set_num_threads(1)
def run(n):
    text = f'''network N:
    input x: B (h={n} w={n}) 192
    q, k, v = split(3)
    table = relative_bias(2, {n})
    q, k, v -> attend(2, over=sliding(7){sys.argv[1]})
'''
    net = compile(build(load_text(text, "c.arch"), None, {}).graph).train()
    net(torch.randn(1, n * n, 192).requires_grad_()).square().sum().backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
first = run(16)
print(run(64) - first)
"""


@pytest.mark.parametrize("more", ["", ", bias=table", ", drop=0.1"])
def test_memory_of_training_grows_with_the_positions(more: str) -> None:
    """N = 4,096: one matrix N x N of one head would be 64 MiB; what is kept is less than two of them for all heads."""
    done = subprocess.run([sys.executable, "-c", TRAINED, more], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 160, done.stdout
