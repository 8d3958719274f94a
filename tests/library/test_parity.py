"""The library against its references: same keys, shapes, outputs, gradients, cost and first weights."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import Any

import peers
import pytest
import torch
from parity import close, hold, hold_first_weights, hold_table

import ogive

FULL = {
    ("vit", "ViT.Ti"): "vit_tiny_patch16_224",
    ("vit", "ViT.S"): "vit_small_patch16_224",
    ("vit", "ViT.B"): "vit_base_patch16_224",
    ("vit", "ViT.L"): "vit_large_patch16_224",
    ("resnet", "ResNet.r18"): "torchvision.resnet18",
    ("resnet", "ResNet.r34"): "torchvision.resnet34",
    ("resnet", "ResNet.r50"): "torchvision.resnet50",
    ("resnet", "ResNet.r101"): "torchvision.resnet101",
    ("resnet", "ResNet.r152"): "torchvision.resnet152",
    ("mixer", "MLPMixer.B16"): "mixer_b16_224",
}
"""Networks that are built whole; ViT-H has its own place, for want of memory."""

SHALLOW = [("vit", "ViT.L"), ("vit", "ViT.H")]
"""Run at full width and depth 2."""

HUGE = {("vit", "ViT.H"): ("vit_huge_patch14_224", {"num_classes": 1000})}

QUICK = ("ViT.Ti", "ResNet.r18")
"""Of each way of building one; the others are run in the long suite."""

RUN = [key for key in FULL if key not in SHALLOW]


def name_of(key: tuple[str, str]) -> str:
    return key[1]


def shared_out(keys: Iterable[tuple[str, str]]) -> list[Any]:
    return [pytest.param(key, id=key[1], marks=[] if key[1] in QUICK else [pytest.mark.long]) for key in keys]


@pytest.mark.parametrize("key", FULL, ids=name_of)
def test_keys_shapes_and_cost(key: tuple[str, str]) -> None:
    """On the meta device: every key and shape, parameters and MACs, the dtype of buffers."""
    network = ogive.load(*key)
    with torch.device("meta"):
        ours, theirs = ogive.compile(network), peers.create(FULL[key])
    hold_table(network, ours, theirs)


@pytest.mark.long
def test_keys_shapes_and_cost_of_the_largest() -> None:
    (key, (name, settings)), *_ = HUGE.items()
    network = ogive.load(*key)
    with torch.device("meta"):
        ours, theirs = ogive.compile(network), peers.create(name, **settings)
    hold_table(network, ours, theirs)


@pytest.mark.parametrize("key", shared_out(RUN))
def test_outputs_and_gradients(key: tuple[str, str]) -> None:
    hold(ogive.compile(ogive.load(*key)), peers.create(FULL[key]), batch=1 if key[1] == "ResNet.r152" else 2)


@pytest.mark.long
@pytest.mark.parametrize("key", SHALLOW, ids=name_of)
def test_outputs_and_gradients_at_depth_2(key: tuple[str, str]) -> None:
    name, settings = HUGE.get(key) or (FULL[key], {})
    hold(ogive.compile(ogive.load(*key, depth=2)), peers.create(name, depth=2, **settings), batch=1)


@pytest.mark.long
@pytest.mark.parametrize("key", SHALLOW, ids=name_of)
def test_outputs_at_full_size(key: tuple[str, str]) -> None:
    """All of ViT-L and ViT-H in float32, the weights held once by both."""
    name, settings = HUGE.get(key) or (FULL[key], {})
    theirs = peers.create(name, **settings).eval()
    with torch.device("meta"):
        ours = ogive.compile(ogive.load(*key)).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    image = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        close(ours(image), theirs(image), 1e-4)
    del ours, theirs
    gc.collect()


DRAWN = ("ViT.Ti", "ViT.S", "ResNet.r18", "ResNet.r50", "MLPMixer.B16")


@pytest.mark.parametrize("key", shared_out(key for key in FULL if key[1] in DRAWN))
def test_first_weights(key: tuple[str, str]) -> None:
    """Mean and standard deviation of each initial tensor are the reference's, within what chance allows."""
    hold_first_weights(lambda: ogive.compile(ogive.load(*key)), lambda: peers.create(FULL[key]))
