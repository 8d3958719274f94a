"""The sizes of ViT, DeiT with its second token, and the hybrids, against timm; patches that are left out."""

from __future__ import annotations

import peers
import pytest
import torch
from parity import close, hold, hold_first_weights, hold_table, quickly

import ogive

SIZES = {
    "ViT.S32": "vit_small_patch32_224", "ViT.B32": "vit_base_patch32_224", "ViT.L32": "vit_large_patch32_224",
    "ViT.B384": "vit_base_patch16_384", "ViT.L384": "vit_large_patch16_384",
    "DistilledDeiT.Ti": "deit_tiny_distilled_patch16_224", "DistilledDeiT.S": "deit_small_distilled_patch16_224",
    "DistilledDeiT.B": "deit_base_distilled_patch16_224", "DistilledDeiT.B384": "deit_base_distilled_patch16_384",
    "DeiTTi": "deit_tiny_patch16_224", "DeiTS": "deit_small_patch16_224", "DeiTB": "deit_base_patch16_224",
    "HybridViT.Ti": "vit_tiny_r_s16_p8_224", "HybridViT.S": "vit_small_r26_s32_224",
    "HybridViT.B": "vit_base_r50_s16_224", "HybridViT.L": "vit_large_r50_s32_224",
}


def load(name: str, **settings: object) -> ogive.network.Network:
    kind = name.split(".")[0]
    return ogive.load("vit" if kind == "ViT" else "hybrid" if kind == "HybridViT" else "deit", name, **settings)


@pytest.mark.parametrize("name", quickly(SIZES, "ViT.S32", "DistilledDeiT.Ti", "HybridViT.S"))
def test_keys_shapes_and_cost(name: str) -> None:
    network = load(name)
    with torch.device("meta"):
        ours, theirs = ogive.compile(network), peers.create(SIZES[name], num_classes=1000)
    side = network.settings["size"]
    hold_table(network, ours, theirs, (1, 3, side, side))


@pytest.mark.parametrize(("name", "settings", "theirs"), [
    ("ViT.S32", {"dim": 48, "depth": 2, "heads": 3, "size": 64}, {"embed_dim": 48, "depth": 2, "num_heads": 3}),
    ("DistilledDeiT.Ti", {"dim": 48, "depth": 2, "size": 64}, {"embed_dim": 48, "depth": 2}),
    ("HybridViT.Ti", {"dim": 48, "depth": 2, "size": 64}, {"embed_dim": 48, "depth": 2}),
    pytest.param("HybridViT.S", {"dim": 48, "depth": 2, "heads": 3, "size": 64},
                 {"embed_dim": 48, "depth": 2, "num_heads": 3}, marks=pytest.mark.long),
])
def test_outputs_and_gradients(name: str, settings: dict[str, object], theirs: dict[str, object]) -> None:
    reference = peers.create(SIZES[name], img_size=64, num_classes=10, **theirs)
    hold(ogive.compile(load(name, classes=10, **settings)), reference, 64)


@pytest.mark.long
@pytest.mark.parametrize("name", ["HybridViT.Ti", "HybridViT.S", "HybridViT.B", "DistilledDeiT.S", "ViT.B32"])
def test_outputs_and_gradients_at_full_size(name: str) -> None:
    hold(ogive.compile(load(name)), peers.create(SIZES[name], num_classes=1000), 224, batch=1)


@pytest.mark.long
@pytest.mark.parametrize("name", ["HybridViT.L", "ViT.L32", "ViT.B384"])
def test_outputs_at_full_size(name: str) -> None:
    network = load(name)
    theirs = peers.create(SIZES[name], num_classes=1000).eval()
    with torch.device("meta"):
        ours = ogive.compile(network).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    image = torch.randn(1, 3, network.settings["size"], network.settings["size"])
    with torch.inference_mode():
        close(ours(image), theirs(image), 1e-4)


def test_distillation_has_two_answers_while_training() -> None:
    """One head for the label, one for what the teacher says; afterwards their mean."""
    torch.manual_seed(0)
    ours = ogive.compile(load("DistilledDeiT.Ti", dim=48, depth=2, size=64, classes=10, path=0))
    theirs = peers.create(SIZES["DistilledDeiT.Ti"], img_size=64, embed_dim=48, depth=2, num_classes=10)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    theirs.set_distilled_training(True)
    image = torch.randn(2, 3, 64, 64)
    found, (label, teacher) = ours.train()(image), theirs.train()(image)
    close(found["head"], label, 1e-5)
    close(found["head_dist"], teacher, 1e-5)
    close(ours.eval()(image), (label + teacher) / 2, 1e-5)


@pytest.mark.parametrize("name", quickly(["HybridViT.Ti", "DistilledDeiT.Ti"]))
def test_first_weights(name: str) -> None:
    hold_first_weights(lambda: ogive.compile(load(name)), lambda: peers.create(SIZES[name], num_classes=1000))


def test_regularisation_of_the_recipe() -> None:
    """Dropout in the MLPs and stochastic depth, 0.1 each: they act while training, and only then."""
    torch.manual_seed(0)
    plain, recipe = (ogive.compile(load("ViT.Ti", depth=3, size=32, **rates))
                     for rates in ({}, {"drop": 0.1, "path": 0.1}))
    recipe.load_state_dict(plain.state_dict(), strict=True)
    image = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(plain.eval()(image), recipe.eval()(image))
        assert not torch.equal(recipe.train()(image), recipe(image))
