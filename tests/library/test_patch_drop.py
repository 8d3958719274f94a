"""Patches that are left out while training: which, how many, and what that saves."""

from __future__ import annotations

import pytest
import torch

import ogive
from ogive.compiler.cost import macs

SMALL = {"dim": 32, "depth": 2, "heads": 2, "size": 64, "classes": 5}


def test_evaluation_is_vit() -> None:
    torch.manual_seed(0)
    plain = ogive.compile(ogive.load("vit", "ViT.Ti", **SMALL)).eval()
    dropping = ogive.compile(ogive.load("patch_drop", "PatchDropViT.Ti", **SMALL)).eval()
    dropping.load_state_dict(plain.state_dict(), strict=True)
    image = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(dropping(image), plain(image), rtol=1e-5, atol=1e-6)


def test_training_sees_half_of_the_patches() -> None:
    """Every patch matters to some draw and none to all; the image gets a gradient in half of its patches."""
    torch.manual_seed(0)
    module = ogive.compile(ogive.load("patch_drop", "PatchDropViT.Ti", **SMALL)).train()
    reached = []
    for _ in range(8):
        image = torch.randn(3, 3, 64, 64, requires_grad=True)
        module(image).square().sum().backward()
        patches = image.grad.unflatten(2, (4, 16)).unflatten(4, (4, 16)).abs().amax((1, 3, 5)).flatten(1) > 0
        assert patches.sum(1).tolist() == [8, 8, 8]
        reached.append(patches)
    drawn = torch.cat(reached)
    assert drawn.any(0).all() and not drawn.all(0).any()
    assert len({tuple(row.tolist()) for row in drawn}) > 12  # rows are drawn apart


@pytest.mark.parametrize(("name", "half", "whole", "share"), [("S", 2.251, 4.599, 0.489), ("B", 8.706, 17.564, 0.496)])
def test_what_it_saves(name: str, half: float, whole: float, share: float) -> None:
    """98 of 196 patches and the class token: 99 of 197 tokens."""
    network = ogive.load("patch_drop", f"PatchDropViT.{name}")
    training = next(graph for case, graph in network.cases if case["training"])
    assert round(macs(training) / 1e9, 3) == half
    assert round(network.macs() / 1e9, 3) == whole
    assert round(macs(training) / network.macs(), 3) == share
