"""What attention is given at a call and cannot take: a guard in front of the graph says so, with the file's line."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import ogive
from ogive.dsl.diagnostics import ArchError


def compiled(text: str) -> Any:
    return ogive.compile(ogive.loads(text)).eval()


@pytest.mark.parametrize(("over", "port", "shape"), [
    ("dense", "B N", (2, 8)), ("window(3)", "B N", (3, 9)), ("linformer(4)", "B 12", (2, 9)),
    ('kernel("elu", causal=True)', "B N", (2, 8)), ("dense", "B 2 N N", (2, 2, 9, 8)), ("dense", "B N N", (2, 9)),
])
def test_a_mask_of_another_shape(over: str, port: str, shape: tuple[int, ...]) -> None:
    n = 12 if "12" in port else "N"
    net = compiled(f"network Net:\n    input x: B {n} 8, seen: {port} of bool\n"
                   f"    attn = x -> attend(2, over={over}, mask=seen)\n")
    size = 12 if n == 12 else 9
    with pytest.raises(ArchError) as caught:
        net(torch.randn(2, size, 8), torch.ones(shape, dtype=torch.bool))
    (found,) = caught.value.diagnostics
    assert found.code in ("A703", "A705") and "seen" in found.title
    assert "<text>:2" in str(caught.value)


def test_grids_that_do_not_stand_on_one() -> None:
    """Keys on a grid that halves the queries': an odd one has no half, which only a call can show."""
    net = compiled("network Net:\n    input q: B 8 H W\n    assert H % 2 == 0 and W % 2 == 0\n"
                   "    few = q -> avg_pool(2)\n    q, few, few -> attend(2, over=sliding(3))\n")
    assert net(torch.randn(1, 8, 6, 4)).shape == (1, 8, 6, 4)
    with pytest.raises(ArchError) as caught:
        net(torch.randn(1, 8, 6, 5))
    assert "<text>:3" in str(caught.value)
