"""Receptive fields and strides: the published ones, small ones by hand, and what gradients reach."""

from __future__ import annotations

import pytest
import torch

import ogive
from ogive.compiler.cost.field import Field, fields


def _field(text: str, last: str | None = None, **sizes: int) -> Field:
    graph = ogive.loads(text).graph
    found = fields(graph, {"B": 1, "H": 64, "W": 64, **sizes})
    return found[last or next(reversed(found))]


@pytest.mark.parametrize(("file", "name", "size"), [
    ("alexnet", None, 195), ("vgg", "VGG.v16", 212), ("resnet", "ResNet.r18", 435), ("resnet", "ResNet.r34", 899),
    ("resnet", "ResNet.r50", 427), ("resnet", "ResNet.r101", 971), ("resnet", "ResNet.r152", 1451),
])
def test_published_fields(file: str, name: str | None, size: int) -> None:
    graph = ogive.load(file, name).graph
    last = [x for x in fields(graph, {"B": 1, "H": 224, "W": 224}).values() if x.stride][-1]
    assert last.size == (size, size) and last.steps == "32"


@pytest.mark.parametrize(("lines", "size", "steps"), [
    (("conv(4, 3x3)",) * 2, (5, 5), "1"), (("conv(4, 3x3)",) * 3, (7, 7), "1"),
    (("conv(4, 3x3, dilation=2)",), (5, 5), "1"),
    (("conv(4, 3x3)", "conv(4, 3x3, dilation=2)", "conv(4, 3x3, dilation=4)"), (15, 15), "1"),
    (("conv(4, 3x5, stride=2)",), (3, 5), "2"), (("max_pool(2)", "conv(4, 3x3)"), (6, 6), "2"),
    (("conv(4, 3x3)", 'upsample(by=2, mode="nearest")'), (3, 3), "1/2"), (("space_to_depth(4)",), (4, 4), "4"),
    (("subsample(2)", "conv(4, 3x3)"), (5, 5), "2"), (("global_pool(keep=True)", "relu"), (None, None), "1"),
])
def test_fields_by_hand(lines: tuple[str, ...], size: tuple[int | None, ...], steps: str) -> None:
    body = "".join(f"    a{i} = {line}\n" for i, line in enumerate(lines))
    found = _field(f"network Net:\n    input x: B 3 H W\n{body}")
    assert found.size == size and found.steps == steps


def test_attention_sees_its_set_or_all() -> None:
    text = (
        "network Net:\n    input image: B 3 H=64 W=64\n    p = patchify(8, 4)\n    qkv = linear(24)\n"
        "    q, k, v = split(3)\n    q, k, v -> attend(2, over={})\n"
    )
    assert _field(text.format("window(4)")).size == (16, 16)
    assert _field(text.format("sliding(3)")).size == (12, 12)
    assert _field(text.format('axial("row")')).size == (4, None)
    assert _field(text.format("dense")).size == (None, None)
    assert str(_field(text.format("dense"))) == "all"


def test_what_mixes_positions_by_transposing_sees_all() -> None:
    graph = ogive.load("mixer", "MLPMixer.S16").graph
    found = fields(graph, {"B": 1})
    assert str(found["blocks.0.mlp_tokens.fc1"]) == "all" and str(found["blocks.0.norm1"]) == "16"


@pytest.mark.parametrize("lines", [
    ("conv(2, 3x3)", "conv(2, 3x3, stride=2)", "conv(2, 3x3, dilation=2)"),
    ("conv(2, 5x5, stride=2)", "max_pool(3, stride=2, pad=1)", "conv(2, 1x1)"),
    ("conv(2, 3x3, stride=2)", "transpose_conv(2, 2, stride=2)"),
])
def test_gradients_reach_the_field(lines: tuple[str, ...]) -> None:
    """Of the middle of the output: the widest stretch of the input with a gradient, over its neighbours as well."""
    body = "".join(f"    a{i} = {line}\n" for i, line in enumerate(lines))
    text = f"network Net:\n    input x: 1 1 H W\n{body}"
    size = _field(text).size[0]
    torch.manual_seed(0)
    module = ogive.compile(ogive.loads(text)).double()
    widest = 0
    for _ in range(4):  # a maximum passes its gradient to one place: others may be seen with other numbers
        x = torch.randn(1, 1, 64, 64, dtype=torch.float64, requires_grad=True)
        y = module(x)
        middle = y.shape[2] // 2
        for at in (middle, middle + 1):
            (found,) = torch.autograd.grad(y[:, :, at, middle].abs().sum(), x, retain_graph=True)
            rows = found.abs().sum((0, 1, 3)).nonzero()
            widest = max(widest, int(rows[-1] - rows[0]) + 1)
    assert size is not None and size - 4 * ("max_pool(3, stride=2, pad=1)" in lines) <= widest <= size
