"""First values: each initialisation's numbers, one draw per weight, and reproducibility."""

from __future__ import annotations

import math

import pytest
import torch
from fakes import B, H, W, graph_of, grid, ids, image, tokens
from torch import nn

import ogive
from ogive.compiler.pipeline import compile

WIDE = tokens(B, 7, 400)


def weight(init: object, **more: object) -> torch.Tensor:
    torch.manual_seed(0)
    return compile(graph_of("linear", WIDE, out=300, init=init, **more)).made.weight


@pytest.mark.parametrize(
    ("init", "std", "bound"),
    [
        ("torch", 1 / math.sqrt(3 * 400), 1 / math.sqrt(400)),
        ("trunc_normal", 0.02, 0.12),
        ("normal", 0.02, 0.12),
        ("kaiming", math.sqrt(2 / 300), 0.5),
        ("kaiming_in", math.sqrt(2 / 400), 0.5),
        ("xavier", math.sqrt(2 / 700), math.sqrt(6 / 700)),
    ],
)
def test_spread(init: str, std: float, bound: float) -> None:
    drawn = weight(init)
    assert abs(drawn.mean().item()) < std / 50
    assert abs(drawn.std().item() / std - 1) < 0.02
    assert drawn.abs().max() <= bound


def test_constants() -> None:
    assert weight("zeros").abs().sum() == 0
    assert torch.equal(weight("ones"), torch.ones(300, 400))
    assert torch.equal(weight(0.25), torch.full((300, 400), 0.25))
    assert torch.equal(weight("identity"), torch.eye(300, 400))


def test_biases() -> None:
    drawn = compile(graph_of("linear", WIDE, out=300)).made.bias
    assert 0.8 / 20 < drawn.abs().max() <= 1 / 20
    assert compile(graph_of("linear", WIDE, out=300, init="trunc_normal")).made.bias.abs().sum() == 0


def test_as_torch_draws_convolutions() -> None:
    ours = compile(graph_of("conv", image(B, 64, H, W), out=128, size=3)).made
    theirs = nn.Conv2d(64, 128, 3)
    for name in ("weight", "bias"):
        a, b = getattr(ours, name), getattr(theirs, name)
        assert abs(a.std() / b.std() - 1) < 0.15
        assert a.abs().max() <= 1 / math.sqrt(64 * 9)


def test_padding_row_of_an_embedding() -> None:
    table = compile(graph_of("embedding", ids(B, 5), n=50, dim=200, padding=3)).made.weight
    assert table[3].abs().sum() == 0
    assert abs(table.std().item() - math.sqrt(49 / 50)) < 0.03


def test_sincos_is_mae_s() -> None:
    table = compile(graph_of("position", grid(2, 3, 8, prefix=1), size=_size(2, 3), prefix=1, init="sincos")).made
    assert table.shape == (1, 7, 8)
    assert table[0, 0].abs().sum() == 0
    row, col = 1, 2
    omega = [1.0, 0.01]
    wanted = [f(p * w) for p in (col, row) for f in (math.sin, math.cos) for w in omega]
    torch.testing.assert_close(table[0, 1 + 3 * row + col].detach(), torch.tensor(wanted))


def _size(*n: int) -> object:
    from ogive.dsl.ops.record import Size

    return Size(n)


def test_one_seed_one_network() -> None:
    net = ogive.load("resnet", "ResNet.r18")
    torch.manual_seed(3)
    a = ogive.compile(net)
    torch.manual_seed(3)
    b = ogive.compile(net)
    c = ogive.compile(net, generator=torch.Generator().manual_seed(3))
    for key, tensor in a.state_dict().items():
        assert torch.equal(tensor, b.state_dict()[key]), key
        assert torch.equal(tensor, c.state_dict()[key]), key
