"""One sequence, three layers: how far one place sees, and what that costs."""

from __future__ import annotations

import pytest
import torch

import ogive


def reach(preset: str, depth: int, n: int, at: int) -> list[int]:
    """The places of the input that one place of the answer has a gradient to."""
    torch.manual_seed(0)
    module = ogive.compile(ogive.load("three_layers", f"Sequence.{preset}", depth=depth, dim=8)).double()
    x = torch.randn(1, n, 8, dtype=torch.float64, requires_grad=True)
    module(x)[0, at].sum().backward()
    return x.grad[0].abs().amax(1).nonzero()[:, 0].tolist()


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_convolution_sees_one_more_place_on_each_side(depth: int) -> None:
    assert reach("convolved", depth, 20, 10) == list(range(10 - depth, 11 + depth))


def test_one_layer_of_the_others_sees_everything() -> None:
    assert reach("recurrent", 1, 20, 12) == list(range(13))  # what came before
    assert reach("attended", 1, 20, 12) == list(range(20))


def test_layers_for_512_places() -> None:
    """1 + 2 L >= 512: 256 convolutions; and what they cost."""
    depth = ogive.load("three_layers", "Sequence.convolved").settings["depth"]
    assert 1 + 2 * (depth - 1) < 512 <= 1 + 2 * depth
    costs = {name: [ogive.load("three_layers", f"Sequence.{name}", depth=1).macs(N=n) for n in (256, 512, 1024)]
             for name in ("recurrent", "convolved", "attended")}
    for name in ("recurrent", "convolved"):
        assert costs[name][1] == 2 * costs[name][0] and costs[name][2] == 4 * costs[name][0]
    pairs = [2 * n * n * 64 for n in (256, 512, 1024)]
    assert [cost - pair for cost, pair in zip(costs["attended"], pairs, strict=True)] == [
        4 * 64**2 * n for n in (256, 512, 1024)]
