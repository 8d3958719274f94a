"""Multiply low, add high: products of 16-bit numbers, summed in 32 bits, or, as a mistake would have it, in 16.

`added` and `attended` say what an answer is when sums are held in a type, each product added after the one before it.
What is tested may be off from float64 by no more than sums in float32 are, whatever the length.
"""

from __future__ import annotations

from typing import Final

import pytest
import torch
from torch import Tensor

__all__ = ["LENGTHS", "ROWS", "added", "apart", "attended", "holds", "queries_keys_values"]

LENGTHS: Final = [16, 128, 1024, pytest.param(4096, marks=pytest.mark.long),
                  pytest.param(16_384, marks=pytest.mark.long)]
SLACK: Final = 1.5
ROWS: Final = 4


def queries_keys_values(n: int, dtype: torch.dtype, heads: int = 2, width: int = 32) -> list[Tensor]:
    """A few queries, n keys and values as float64, rounded to a type: `1 heads . width`. Values lie around 1, so that
    sums grow with n."""
    made = torch.Generator().manual_seed(n)
    q, k, v = (torch.randn(1, heads, m, width, generator=made, dtype=torch.float64) for m in (ROWS, n, n))
    return [x.to(dtype).double() for x in (q, k, v + 1)]


def added(terms: Tensor, dtype: torch.dtype) -> Tensor:
    """The sum over the last axis, held in a type: it is rounded after each term."""
    total = torch.zeros(terms.shape[:-1], dtype=dtype)
    for term in terms.unbind(-1):
        total = (total.double() + term).to(dtype)
    return total.double()


def attended(q: Tensor, k: Tensor, v: Tensor, dtype: torch.dtype, sums: torch.dtype) -> tuple[Tensor, Tensor]:
    """Attention whose weights are rounded to a type before they meet the values, as kernels do, and the logarithm of
    each row's sum of exponentials; both sums held in `sums`, the answer in the type."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    most = scores.amax(-1, keepdim=True)
    weights = (scores - most).exp()
    total = added(weights, sums)
    mixed = added((weights.to(dtype).double()[..., None] * v[:, :, None]).movedim(-2, -1), sums)
    return (mixed / total[..., None]).to(dtype).double(), total.log() + most[..., 0]


def apart(found: Tensor, exact: Tensor) -> float:
    """|x - y| / |y|."""
    return float((found.double() - exact).norm() / exact.norm())


def holds(found: Tensor, exact: Tensor, high: Tensor, low: Tensor) -> None:
    """An answer is as near to the exact one as sums in float32 are, and sums in 16 bits would not be."""
    bound = SLACK * apart(high, exact)
    assert apart(found, exact) <= bound
    assert apart(low, exact) > bound
