"""Multiply low, add high, on the processor: 16-bit networks are off by what sums in 32 bits are, at every length."""

from __future__ import annotations

import pytest
import torch
from sums import LENGTHS, added, attended, holds, queries_keys_values

import ogive

TYPES = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["fp16", "bf16"])


@TYPES
@pytest.mark.parametrize("n", LENGTHS)
def test_attention(n: int, dtype: torch.dtype) -> None:
    text = "network N:\n    input q: B N 64, k: B M 64, v: B M 64\n    q, k, v -> attend(2)\n"
    q, k, v = queries_keys_values(n, dtype)
    with torch.inference_mode():
        found = ogive.compile(ogive.loads(text, "N")).to(dtype)(*(x.transpose(1, 2).flatten(2).to(dtype)
                                                                  for x in (q, k, v)))
    exact = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
    high, low = (attended(q, k, v, dtype, sums)[0] for sums in (torch.float32, dtype))
    holds(found.unflatten(2, (2, -1)).transpose(1, 2), exact, high, low)


@TYPES
@pytest.mark.parametrize("n", LENGTHS)
def test_linear(n: int, dtype: torch.dtype) -> None:
    made = torch.Generator().manual_seed(n)
    x, weight = ((torch.randn(rows, n, generator=made, dtype=torch.float64) + 1).to(dtype).double() for rows in (4, 8))
    model = ogive.compile(ogive.loads(f"network N:\n    input x: B {n}\n    fc = linear(8, bias=False)\n", "N"))
    model.load_state_dict({"fc.weight": weight})
    with torch.inference_mode():
        found = model.to(dtype)(x.to(dtype))
    terms = x[:, None] * weight
    high, low = (added(terms, sums).to(dtype).double() for sums in (torch.float32, dtype))
    holds(found, terms.sum(-1), high, low)
