"""What convolutional networks are known for: how far they see, that they move with their input, how gradients fade."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import ogive

LIBRARY = Path(__file__).parents[2] / "library"
STACK = """
network Stack(dilations: [int]):
    input x: B 1 H W
    repeat len(dilations) as convs[i]:
        conv(1, 3x3, dilation=dilations[i])
"""


def evened(module: torch.nn.Module) -> torch.nn.Module:
    """Float64, every weight positive and alike: no path from the input is cut off, and none cancels another."""
    module = module.double().eval()
    with torch.no_grad():
        for name, p in module.named_parameters():
            p.fill_(0 if name.endswith("bias") else 1 / max(p[0].numel(), 1))
    return module


def thin(name: str, *changes: tuple[str, str]) -> str:
    """A library file with other words in places, each of which must be there."""
    text = (LIBRARY / f"{name}.arch").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def reach(module: torch.nn.Module, shape: tuple[int, int], at: str = "") -> tuple[int, int]:
    """How many columns of the input one unit in the middle sees, and by how many its neighbour sees further."""
    channels = next(p.shape[1] for p in module.parameters() if p.dim() == 4)
    image = torch.ones(1, channels, *shape, dtype=torch.float64, requires_grad=True)
    answer = ogive.features(module, image, [at])[at] if at else module(image)
    seen = []
    for step in (0, 1):
        unit = answer[0, 0, answer.shape[2] // 2, answer.shape[3] // 2 + step]
        (gradient,) = torch.autograd.grad(unit, image, retain_graph=True)
        columns = gradient[0].abs().sum((0, 1)).nonzero().flatten()
        seen.append((int(columns[0]), int(columns[-1])))
    (first, last), (_, further) = seen
    assert first > 0 and further < shape[1] - 1, "the border cuts the field off"
    return last - first + 1, further - last


@pytest.mark.parametrize(
    ("dilations", "field"), [([1, 1], 5), ([1, 1, 1], 7), ([2], 5), ([1, 2, 4], 15)],
)
def test_stacks_of_3x3(dilations: list[int], field: int) -> None:
    module = evened(ogive.compile(ogive.loads(STACK, "Stack", dilations=dilations)))
    assert reach(module, (21, 21)) == (field, 1)


def test_the_field_of_alexnet() -> None:
    """Of its last pooling: 195 pixels at a stride of 32."""
    thinner = [(f"conv({width}", "conv(2") for width in (64, 192, 384, 256)]
    text = thin("alexnet", ("max_pool", "avg_pool"), *thinner)
    text = text[: text.index("    adaptive_pool")].replace(expectation(text), "")
    assert reach(evened(ogive.compile(ogive.loads(text, "AlexNet"))), (96, 420)) == (195, 32)


def test_the_field_of_vgg() -> None:
    """Of VGG-16's last pooling: 212 pixels at a stride of 32."""
    text = thin("vgg", ("max_pool", "avg_pool"), ("min(64 * 2**s, 512)", "2"))
    text = text[: text.index("# Very Deep")]
    text += "network N:\n    input image: B 3 H W\n    f = Features([2, 2, 3, 3, 3])\n"
    assert reach(evened(ogive.compile(ogive.loads(text, "N"))), (64, 420)) == (212, 32)


FIELDS = {"r18": 435, "r34": 899, "r50": 427, "r101": 971, "r152": 1451}


@pytest.mark.parametrize("preset", FIELDS)
def test_the_field_of_resnets(preset: str) -> None:
    """At a stride of 32; from 50 layers on the stride stands in the 3x3, as torchvision has it."""
    text = thin("resnet", ("max_pool", "avg_pool"), ("unit(64 * 2**s", "unit(2"))
    text = text.replace(expectation(text), "")
    module = evened(ogive.compile(ogive.loads(text, f"ResNet.{preset}", classes=0)))
    assert reach(module, (1, FIELDS[preset] + 160)) == (FIELDS[preset], 32)


def test_the_field_grows_from_stage_to_stage() -> None:
    """The grid is kept throughout, at 4, 8, 16 and 32 pixels."""
    text = thin("resnet", ("max_pool", "avg_pool"), ("unit(64 * 2**s", "unit(2"))
    module = evened(ogive.compile(ogive.loads(text.replace(expectation(text), ""), "ResNet.r18", classes=0)))
    found = [reach(module, (1, 640), f"layer{s}.1") for s in (1, 2, 3, 4)]
    assert found == [(43, 4), (99, 8), (211, 16), (435, 32)]


def test_a_convolution_costs_as_much_as_there_are_places() -> None:
    """Multiply-adds grow with the number of pixels, to the power 1; self-attention's with its square."""
    conv = ogive.loads("network N:\n    input x: B 8 H W\n    c = conv(8, 3x3)\n", "N")
    attention = ogive.loads("network N:\n    input x: B 8 H W\n    attend(1)\n", "N")
    for network, exponent in ((conv, 1), (attention, 2)):
        few, many = (network.macs(H=n, W=n) for n in (32, 64))
        assert math.log(many / few, 4) == pytest.approx(exponent)


def expectation(text: str) -> str:
    """The `expect` table of a text, which holds for other widths than a test has."""
    start = text.index("    expect")
    return text[start : text.index("\n\n", start)]


def test_a_block_of_vit_sees_the_whole_image() -> None:
    """At the first block already, from every token."""
    torch.manual_seed(0)
    vit = ogive.compile(ogive.load("vit", "ViT.Ti", depth=1)).double().eval()
    image = torch.randn(1, 3, 224, 224, dtype=torch.float64, requires_grad=True)
    token = ogive.features(vit, image, ["blocks.0"])["blocks.0"][0, 1 + 14 * 7 + 7].sum()
    (gradient,) = torch.autograd.grad(token, image)
    assert (gradient != 0).any(1).all()


def test_a_resnet_moves_with_its_input() -> None:
    """Circular padding, moved by the stride: the last map moves by one place. By less it does not, nor with zeros."""
    zeros = thin("resnet", ("    max_pool(3x3, stride=2, pad=1)\n", ""))
    zeros = zeros.replace(expectation(zeros), "")
    circular = zeros.replace('init="kaiming")', 'init="kaiming", pad_mode="circular")')
    image = torch.randn(1, 3, 96, 96, dtype=torch.float64)
    for text, holds in ((circular, True), (zeros, False)):
        torch.manual_seed(0)
        module = ogive.compile(ogive.loads(text, "ResNet.r18", classes=0)).double().eval()
        with torch.inference_mode():
            before = module(image)
            assert before.shape == (1, 512, 6, 6)
            moved = module(image.roll((16, 32), (2, 3)))
            assert torch.allclose(moved, before.roll((1, 2), (2, 3)), rtol=1e-9, atol=1e-12) == holds
            slightly = module(image.roll(3, 3))
            assert not torch.allclose(slightly, before, atol=1e-3)


def test_a_vit_does_not() -> None:
    """Its positions are learned; without them the tokens move as the patches do."""
    image = torch.randn(1, 3, 224, 224, dtype=torch.float64)
    placed = thin("vit")
    placed = placed.replace(expectation(placed), "")
    placeless = "\n".join(line for line in placed.split("\n") if "pos_embed" not in line)
    for text, moves in ((placed, False), (placeless, True)):
        torch.manual_seed(0)
        module = ogive.compile(ogive.loads(text, "ViT.Ti", depth=2)).double().eval()
        with torch.inference_mode():
            here, there = (
                ogive.features(module, x, ["norm"])["norm"][:, 1:].unflatten(1, (14, 14))
                for x in (image, image.roll((16, 32), (2, 3)))
            )
        assert torch.allclose(there, here.roll((1, 2), (1, 2)), rtol=1e-9, atol=1e-12) == moves


NEURONS = """
network Neurons(skip: bool):
    input x: B 1
    repeat 4 as n[i]:
        if skip and i > 0:
            residual:
                z = linear(1)
                sigmoid
        else:
            z = linear(1)
            sigmoid
"""


@pytest.mark.parametrize(
    ("skip", "shares"), [(False, {0: 1 / 256, 2: 1 / 16}), (True, {0: 0.25 * 1.25**3})],
)
def test_gradients_fade_through_sigmoids(skip: bool, shares: dict[int, float]) -> None:
    """Four neurons in a row, w = 1, every z = 0: each passes on a quarter, and with a line past it five quarters."""
    module = ogive.compile(ogive.loads(NEURONS, "Neurons", skip=skip)).double()
    x = torch.zeros(1, 1, dtype=torch.float64)
    with torch.no_grad():
        for i in range(4):
            module.get_parameter(f"n.{i}.z.weight").fill_(1)
            before = ogive.features(module, x, [f"n.{i - 1}"])[f"n.{i - 1}"] if i else x
            module.get_parameter(f"n.{i}.z.bias").copy_(-before[0])
    module(x).sum().backward()
    for i, share in shares.items():
        assert module.get_parameter(f"n.{i}.z.bias").grad.item() == pytest.approx(share, rel=1e-12)
    assert round(0.25 * 1.25**3, 3) == 0.488


DISTILLATION = """
network Distillation:
    input teacher: B C=2, student: B C=2, label: B C=2
    said   = teacher -> log
    copied = student -> log
    right     = label, said -> dot
    own       = label, copied -> dot
    gap       = said - copied
    divergence = teacher, gap -> dot
    return teacher=-right, student=-own, divergence=divergence
"""


def test_distillation() -> None:
    """Teacher (0.1, 0.9), student (0.2, 0.8), the second class: cross entropies, and KL(teacher, student)."""
    module = ogive.compile(ogive.loads(DISTILLATION, "Distillation")).double()
    teacher, student, label = (torch.tensor([x], dtype=torch.float64) for x in ((0.1, 0.9), (0.2, 0.8), (0.0, 1.0)))
    losses = {name: round(value.item(), 5) for name, value in module(teacher, student, label).items()}
    assert losses == {"teacher": 0.10536, "student": 0.22314, "divergence": 0.03669}
    assert losses["teacher"] == round(-math.log(0.9), 5)
