"""Gopher: attention by content and by distance against its equation, and its size."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

import ogive

TEXT = """
from gopher import RelativeAttention

network One:
    input x: B N 8
    attn = RelativeAttention(2)
"""


def test_attention_by_content_and_distance() -> None:
    """Equation 5 of Transformer-XL: (q + u) k_j + (q + v) W r_{i - j}, term by term."""
    torch.manual_seed(0)
    module = ogive.compile(ogive.loads(TEXT, "One")).double().eval()
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn_like(p), alpha=0.3)
    w = {key.removeprefix("attn."): value for key, value in module.state_dict().items()}
    x = torch.randn(1, 5, 8, dtype=torch.float64)
    q, k, v = (F.linear(x[0], w[f"{n}.weight"], w[f"{n}.bias"]) for n in ("query", "key", "value"))
    mixed = torch.zeros(5, 8, dtype=torch.float64)
    for head in (slice(0, 4), slice(4, 8)):
        for i in range(5):
            scores = []
            for j in range(i + 1):
                turns = [(i - j) / 10000 ** (2 * pair / 8) for pair in range(4)]
                code = torch.tensor([*map(math.sin, turns), *map(math.cos, turns)], dtype=torch.float64)
                far = F.linear(code, w["distance.weight"])[head]
                near = (q[i] + w["content_bias"])[head] @ k[j, head] + (q[i] + w["position_bias"])[head] @ far
                scores.append(near / 2)
            mixed[i, head] = torch.stack(scores).softmax(0) @ v[: i + 1, head]
    answer = F.linear(mixed, w["proj.weight"], w["proj.bias"])
    with torch.inference_mode():
        assert torch.allclose(module(x)[0], answer, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("preset", "printed"), [
    ("M44", 44e6), ("M117", 117e6), ("M417", 417e6), ("B1", 1.4e9), ("B7", 7.1e9), ("B280", 280e9)])
def test_sizes(preset: str, printed: float) -> None:
    count = ogive.load("gopher", f"Gopher.{preset}").parameter_count
    assert abs(count / printed - 1) < 0.02


@pytest.mark.long
def test_the_largest_on_the_meta_device() -> None:
    network = ogive.load("gopher", "Gopher.B280")
    assert round(network.parameter_count / 1e9, 1) == 279.7
    with torch.device("meta"):
        module = ogive.compile(network)
        assert module(torch.zeros(1, 8, dtype=torch.long)).shape == (1, 8, 32_000)
        assert sum(p.numel() for p in module.parameters()) == network.parameter_count
