"""Multiply low, add high: what the kernel for 16 bits answers is off by what sums in 32 bits are, at every length."""

from __future__ import annotations

import pytest
import torch
from sums import LENGTHS, ROWS, apart, attended, holds, queries_keys_values

from ogive.compiler.kernels.attention import Walked
from ogive.dsl.pattern_text import pattern_of

HALF = torch.float16  # the interpreter multiplies bfloat16 wrongly


@pytest.mark.parametrize("n", LENGTHS)
def test_attention(n: int) -> None:
    """The answer, and the logarithm of each row's sum, which stays in 32 bits."""
    q, k, v = queries_keys_values(n, HALF)
    core = Walked(pattern_of("dense"), (0, 1), None)
    ends = (0, 0, ROWS), (0, 0, n)
    made = core.known[core.prepared(*ends, q.shape[3], v.shape[3], HALF, "cpu")]
    assert not isinstance(made, str)
    spec, tables = made
    found, sums = torch.ops.ogive.attention(
        *(x.to(HALF) for x in (q, k, v)), None, None, tables, None, spec, q.shape[3] ** -0.5, 0.0, "ieee")
    scores = q @ k.mT / q.shape[3] ** 0.5
    high, low = (attended(q, k, v, HALF, held) for held in (torch.float32, HALF))
    holds(found, scores.softmax(-1) @ v, high[0], low[0])
    exact = scores.logsumexp(-1)
    assert apart(sums, exact) <= 1e-6 < apart(low[1], exact)
