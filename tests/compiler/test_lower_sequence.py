"""Codes of places and scores by offsets against their definitions."""

from __future__ import annotations

import math

import pytest
import torch

import ogive
from ogive.dsl.diagnostics import ArchError

TEXT = "network N:\n    input x: B N 8\n    {}\n"
SCORES = """
network Scores:
    input x: B N 8
    q = split_heads(2)                     : B heads N d
    x -> sine_code(offsets=True)
    r = split_heads(2)                     : 1 heads R d
    q, r -> dot                            : B heads N R
    relative_shift
"""


def angle(place: int, pair: int, temperature: float = 10000) -> float:
    return place / temperature ** (2 * pair / 8)


@pytest.mark.parametrize("temperature", [10000, 50])
@pytest.mark.parametrize("layout", ["pairs", "half"])
def test_the_code_of_places(layout: str, temperature: float) -> None:
    text = TEXT.format(f'sine_code({temperature}, layout="{layout}")')
    found = ogive.compile(ogive.loads(text, "N"))(torch.randn(3, 5, 8).double())
    assert found.shape == (1, 5, 8) and found.dtype == torch.float64
    for place in range(5):
        for pair in range(4):
            sine, cosine = (2 * pair, 2 * pair + 1) if layout == "pairs" else (pair, 4 + pair)
            assert found[0, place, sine].item() == pytest.approx(math.sin(angle(place, pair, temperature)))
            assert found[0, place, cosine].item() == pytest.approx(math.cos(angle(place, pair, temperature)))


def test_the_code_of_offsets() -> None:
    """From N - 1 down to 1 - N; the middle one is 0."""
    net = ogive.loads(TEXT.format("sine_code(offsets=True)"), "N")
    found = ogive.compile(net)(torch.randn(3, 4, 8))
    assert found.shape == (1, 7, 8)
    assert found[0, :, 0].tolist() == pytest.approx([math.sin(3 - r) for r in range(7)], abs=1e-6)
    assert found[0, 3].tolist() == [0, 1] * 4


@pytest.mark.parametrize("n", [1, 2, 5])
def test_scores_by_offset(n: int) -> None:
    """Query i and key j meet at the code of i - j."""
    x = torch.randn(2, n, 8, dtype=torch.float64, requires_grad=True)
    found = ogive.compile(ogive.loads(SCORES, "Scores"))(x)
    assert found.shape == (2, 2, n, n)
    for i in range(n):
        for j in range(n):
            code = [f(angle(i - j, pair)) for pair in range(4) for f in (math.sin, math.cos)]
            products = x[:, i] * torch.tensor(code, dtype=torch.float64)
            assert torch.allclose(found[:, :, i, j], products.unflatten(1, (2, 4)).sum(2), rtol=1e-10, atol=1e-12)
    assert torch.autograd.gradcheck(ogive.compile(ogive.loads(SCORES, "Scores")), (x,))


@pytest.mark.parametrize(("text", "code", "words"), [
    ("network N:\n    input x: B N 7\n    sine_code\n", "A203", "`sine_code` needs channels in pairs"),
    ("network N:\n    input x: B 8 H W\n    sine_code\n", "A201", "tokens"),
    ("network N:\n    input x: B N 8\n    relative_shift\n", "A201", "`relative_shift` takes scores with offsets"),
    ("network N:\n    input x: B 2 4 6\n    relative_shift\n", "A201", "`relative_shift` takes scores with offsets"),
    ("network N:\n    input x: B 4 8, y: B 6 8\n    a = x -> split_heads(2) : B heads N d\n"
     "    b = y -> split_heads(2) : B heads M d\n    a, b -> dot : B heads N M\n    relative_shift\n",
     "A206", "the offsets of `relative_shift` and 2 N - 1: 6 is not 7"),
])
def test_what_does_not_fit(text: str, code: str, words: str) -> None:
    with pytest.raises(ArchError) as raised:
        ogive.loads(text, "N")
    assert f"error[{code}]" in str(raised.value) and words in str(raised.value)
