"""Layers on planes, each alone: the worked examples of convolution, its transpose, pooling and upsampling."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import ogive


def layer(line: str, head: str = "B 1 H W", *, fill: float | None = None) -> torch.nn.Module:
    """A network of these lines, separated by semicolons; every weight filled with one number if asked."""
    body = "".join(f"    {part.strip()}\n" for part in line.split(";"))
    module = ogive.compile(ogive.loads(f"network N:\n    input x: {head}\n{body}", "N")).eval()
    if fill is not None:
        with torch.no_grad():
            for p in module.parameters():
                p.fill_(fill)
    return module


def plane(text: str) -> torch.Tensor:
    """`1 2 / 3 4` as an image of one channel."""
    rows = [[float(n) for n in row.split()] for row in text.split("/")]
    return torch.tensor(rows)[None, None]


def held(line: str, given: str, expected: str, **more: float) -> None:
    assert torch.equal(layer(line, **more)(plane(given)), plane(expected))


ONES = "1 1 1 1 / 1 1 1 1 / 1 1 1 1 / 1 1 1 1"


def test_transpose_convolution_in_one_dimension() -> None:
    """Each number writes its copy of the filter two places on; where copies overlap they are summed."""
    module = layer("y = transpose_conv(1, 3, stride=2, bias=False)", "B N 1")
    with torch.no_grad():
        module.get_parameter("y.weight").copy_(torch.tensor([1.0, 10.0, 100.0]).view(1, 1, 3))
    assert module(torch.tensor([2.0, 3.0]).view(1, 2, 1)).flatten().tolist() == [2, 20, 203, 30, 300]
    network = ogive.loads("network N:\n    input x: B N 4\n    y = transpose_conv(5, 3, stride=2)\n", "N")
    assert network.macs(N=7) == 7 * 3 * 4 * 5


def test_what_a_transpose_convolution_mirrors() -> None:
    """3x3 with a border of 1 on 4x4: stride 1 keeps the size, stride 2 halves it."""
    assert layer("y = conv(1, 3x3, pad=1)")(plane(ONES)).shape == (1, 1, 4, 4)
    held("y = conv(1, 3x3, stride=2, pad=1, bias=False)", ONES, "4 6 / 6 9", fill=1.0)


def test_back_from_2x2_to_4x4() -> None:
    """Both 3x3 and 4x4 halve to 2x2: which one it was must be said."""
    ones = "y = transpose_conv(1, 3x3, stride=2, pad=1, {}bias=False)"
    held(ones.format(""), "1 2 / 3 4", "1 3 2 / 4 10 6 / 3 7 4", fill=1.0)
    held(ones.format("output_pad=1, "), "1 2 / 3 4", "1 3 2 2 / 4 10 6 6 / 3 7 4 4 / 3 7 4 4", fill=1.0)


def test_a_transpose_convolution_is_the_gradient_of_its_convolution() -> None:
    """With the weights of the convolution: what a unit of the output sends back to the input."""
    module = layer("y = transpose_conv(3, 3x3, stride=2, pad=1, output_pad=1, bias=False)", "B 5 H W")
    weight = module.get_parameter("y.weight")
    x = torch.zeros(1, 3, 8, 6, requires_grad=True)
    pull = torch.randn(1, 5, 4, 3)
    (F.conv2d(x, weight, stride=2, padding=1) * pull).sum().backward()
    assert torch.allclose(module(pull), x.grad, atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("nearest", "1 1 2 2 / 1 1 2 2 / 3 3 4 4 / 3 3 4 4"),
        ("nails", "1 0 2 0 / 0 0 0 0 / 3 0 4 0 / 0 0 0 0"),
        ("bilinear", "1 1.25 1.75 2 / 1.5 1.75 2.25 2.5 / 2.5 2.75 3.25 3.5 / 3 3.25 3.75 4"),
    ],
)
def test_upsampling(mode: str, expected: str) -> None:
    held(f'upsample(by=2, mode="{mode}")', "1 2 / 3 4", expected)


def test_max_pooling_and_the_way_back() -> None:
    """The largest of each 2x2; and later numbers written where the largest stood."""
    given = "1 2 6 3 / 3 5 2 1 / 1 2 2 1 / 7 3 4 8"
    held("max_pool(2x2)", given, "5 6 / 7 8")
    pair = layer("pool = max_pool(2x2, indices=True); pool - 4; max_unpool(2x2, indices=pool.indices, like=x)")
    assert torch.equal(pair(plane(given)), plane("0 0 2 0 / 0 1 0 0 / 0 0 0 0 / 3 0 0 4"))


def test_pooling() -> None:
    given = "1 2 6 3 / 3 5 2 1 / 1 2 2 1 / 7 3 4 8"
    held("avg_pool(2x2)", given, "2.75 3 / 3.25 3.75")
    assert layer("global_pool")(plane(given)).item() == 51 / 16
    assert layer("global_max_pool")(plane(given)).item() == 8


def test_spatial_pyramid_pooling() -> None:
    """Adaptive max pooling to 1, 2, 3 and 6 cells along each side, joined: 50 cells of 256 numbers from any image."""
    text = """
block Cells(n):
    input x: B C H W
    adaptive_pool(n, kind="max")                            : B C n n
    rearrange                                               : B (C n n)

network SPP:
    input x: B 256 H W
    repeat [1, 2, 3, 6] as level[n]:
        x -> Cells(n)
    level[:] -> concat                                      : B 12800
"""
    module = ogive.compile(ogive.loads(text, "SPP"))
    for height, width in ((13, 13), (10, 17), (6, 6)):
        x = torch.randn(2, 256, height, width)
        cells = [F.adaptive_max_pool2d(x, n).flatten(1) for n in (1, 2, 3, 6)]
        assert torch.equal(module(x), torch.cat(cells, 1))
    assert 12_800 == 256 * (1 + 4 + 9 + 36)


KINDS = {
    "pointwise": ("y = conv(6, 1x1)", "B 4 H W", {}),
    "dilated": ("y = conv(6, 3x3, dilation=2)", "B 4 H W", {"padding": 2, "dilation": 2}),
    "grouped": ("y = conv(6, 3x3, groups=2)", "B 4 H W", {"padding": 1, "groups": 2}),
    "depthwise": ("y = conv(4, 3x3, groups=4)", "B 4 H W", {"padding": 1, "groups": 4}),
    "strided": ("y = conv(6, 5x3, stride=2x1)", "B 4 H W", {"padding": (2, 1), "stride": (2, 1)}),
    "sequence": ("y = conv(6, 3)", "B N 4", {"padding": 1}),
    "video": ("y = conv(6, 3x3x3, stride=1x2x2)", "B 4 T H W", {"padding": 1, "stride": (1, 2, 2)}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_convolutions(kind: str) -> None:
    line, head, settings = KINDS[kind]
    module = layer(line, head)
    weight, bias = module.get_parameter("y.weight"), module.get_parameter("y.bias")
    x = torch.randn(2, *([9, 4] if kind == "sequence" else [4, *[7, 8, 9][-weight.dim() + 2 :]]))
    convolve = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[weight.dim()]
    given = x.mT if kind == "sequence" else x
    expected = convolve(given, weight, bias, **settings)
    assert torch.allclose(module(x), expected.mT if kind == "sequence" else expected, atol=1e-5)


def test_depthwise_separable_is_cheaper() -> None:
    """3x3 for each channel, then 1x1: 1/out + 1/9 of the multiply-adds (Howard et al. 2017, arXiv:1704.04861)."""
    text = "network N:\n    input x: B 32 16 16\n    a = conv({}\n"
    full = ogive.loads(text.format("64, 3x3)"), "N").macs()
    apart = ogive.loads(text.format("32, 3x3, groups=32)\n    b = conv(64, 1x1)"), "N").macs()
    assert apart / full == pytest.approx(1 / 64 + 1 / 9)


def test_channels_of_groups_meet_by_shuffling() -> None:
    """Two grouped convolutions keep groups apart; with a shuffle between them each output sees every group."""
    for shuffle, seen in (("", 2), ("channel_shuffle(2);", 4)):
        grouped = "conv(4, 1x1, groups=2, bias=False)"
        module = layer(f"a = {grouped}; {shuffle} b = {grouped}", "B 4 H W", fill=1)
        x = torch.randn(1, 4, 1, 1, requires_grad=True)
        module(x)[0, 0].sum().backward()
        assert (x.grad != 0).sum() == seen
    assert layer("channel_shuffle(2)", "B 4 H W")(torch.arange(4.0).view(1, 4, 1, 1)).flatten().tolist() == [0, 2, 1, 3]
