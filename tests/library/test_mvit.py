"""Multiscale vision transformers against timm's second version and torchvision's first."""

from __future__ import annotations

import peers
import pytest
import torch
from parity import close, hold, hold_first_weights, hold_table

import ogive

PEERS = {"T": "mvitv2_tiny", "S": "mvitv2_small", "B": "mvitv2_base", "L": "mvitv2_large"}


def small(preset: str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """24 to 192 channels on grids of 16 to 2; heads as published."""
    base = ogive.load("mvit", f"MViTv2.{preset}")
    heads = base.settings["heads"]
    ours = ogive.load("mvit", f"MViTv2.{preset}", depths=[1, 2, 2, 1], dim=24, size=64, classes=10)
    mvitv2 = peers.timm().models.mvitv2
    cfg = mvitv2.MultiScaleVitCfg(
        depths=(1, 2, 2, 1), embed_dim=24, num_heads=heads, expand_attn=base.settings["widen"] == "attention"
    )
    return ogive.compile(ours), mvitv2.MultiScaleVit(cfg, img_size=64, num_classes=10)


@pytest.mark.parametrize("preset", [
    pytest.param(preset, marks=[] if preset in "TL" else [pytest.mark.long]) for preset in PEERS
])
def test_keys_shapes_and_cost(preset: str) -> None:
    network = ogive.load("mvit", f"MViTv2.{preset}")
    with torch.device("meta"):
        ours, theirs = ogive.compile(network), peers.create(PEERS[preset])
    hold_table(network, ours, theirs)


@pytest.mark.parametrize("preset", ["T", "L"])
def test_outputs_and_gradients(preset: str) -> None:
    """T widens in the attention of a stage's first block, L in the MLP of the last block before, from two heads on."""
    hold(*small(preset), 64)


def test_first_weights() -> None:
    """0.02, as the authors and torchvision draw; timm cuts its normals at two deviations, which makes it 0.0176."""
    torch.manual_seed(0)
    for key, p in ogive.compile(ogive.load("mvit", "MViTv2.T")).named_parameters():
        if key.endswith((".qkv.weight", ".proj.weight", ".fc1.weight", ".fc2.weight", "rel_pos_h", "rel_pos_w")):
            if not key.startswith("patch_embed"):
                assert abs(p.std().item() - 0.02) <= 0.02 * 6 / p.numel() ** 0.5, key
        elif key.endswith(".bias") and "patch_embed" not in key:
            assert not p.any(), key


def video() -> torch.nn.Module:
    """torchvision's mvit_v1_b for four frames of 64 x 64: its own function fixes sixteen of 224 x 224."""
    mvit = peers.torchvision().models.video.mvit
    blocks, cube = [], [3, 3, 3]
    for stage, depth in enumerate([1, 2, 11, 2]):
        for j in range(depth):
            width, pooled = 96 * 2**stage, stage > 0 and j == 0
            wider = 2 * width if j == depth - 1 and stage < 3 else width
            blocks.append(mvit.MSBlockConfig(
                num_heads=2**stage, input_channels=width, output_channels=wider, kernel_q=cube if pooled else [],
                kernel_kv=cube, stride_q=[1, 2, 2] if pooled else [], stride_kv=[1, 8 // 2**stage, 8 // 2**stage],
            ))
    return mvit.MViT(
        spatial_size=(64, 64), temporal_size=4, block_setting=blocks, residual_pool=False, rel_pos_embed=False,
        residual_with_cls_embed=False, proj_after_attn=False, stochastic_depth_prob=0.2,
    )


def test_keys_shapes_and_cost_of_the_first() -> None:
    network = ogive.load("mvit", "MViT.B")
    with torch.device("meta"):
        ours, theirs = ogive.compile(network), peers.create("torchvision.mvit_v1_b")
    hold_table(network, ours, theirs, (1, 3, 16, 224, 224))


def test_outputs_and_gradients_of_the_first() -> None:
    """All sixteen blocks, on four frames of 64 x 64."""
    ours = ogive.compile(ogive.load("mvit", "MViT.B", frames=4, size=64))
    hold(ours, video(), torch.randn(1, 3, 4, 64, 64))


def test_first_weights_of_the_first() -> None:
    hold_first_weights(lambda: ogive.compile(ogive.load("mvit", "MViT.B", frames=4, size=64)), video)


@pytest.mark.long
@pytest.mark.parametrize("preset", PEERS)
def test_outputs_at_full_size(preset: str) -> None:
    whole(f"MViTv2.{preset}", peers.create(PEERS[preset]), (1, 3, 224, 224))


@pytest.mark.long
def test_outputs_of_the_first_at_full_size() -> None:
    whole("MViT.B", peers.create("torchvision.mvit_v1_b"), (1, 3, 16, 224, 224))


def whole(name: str, theirs: torch.nn.Module, shape: tuple[int, ...]) -> None:
    """As published, in float64, the weights held once by both."""
    theirs = theirs.double().eval()
    with torch.device("meta"):
        ours = ogive.compile(ogive.load("mvit", name)).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    x = torch.randn(shape, dtype=torch.float64)
    with torch.inference_mode():
        close(ours(x), theirs(x), 1e-6)
