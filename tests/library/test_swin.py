"""Both Swin transformers against timm's: keys, outputs, gradients, first weights, the pairs that shifts leave out."""

from __future__ import annotations

import peers
import pytest
import torch
from parity import close, hold, hold_first_weights, hold_table

import ogive

PEERS = {
    "Swin.T": "swin_tiny_patch4_window7_224",
    "Swin.S": "swin_small_patch4_window7_224",
    "Swin.B": "swin_base_patch4_window7_224",
    "Swin.L": "swin_large_patch4_window7_224",
    "Swin.B384": "swin_base_patch4_window12_384",
    "Swin.L384": "swin_large_patch4_window12_384",
    "SwinV2.T": "swinv2_tiny_window8_256",
    "SwinV2.S": "swinv2_small_window8_256",
    "SwinV2.B": "swinv2_base_window8_256",
    "SwinV2.T16": "swinv2_tiny_window16_256",
    "SwinV2.S16": "swinv2_small_window16_256",
    "SwinV2.B16": "swinv2_base_window16_256",
    "SwinV2.L16": "swinv2_large_window12to16_192to256",
}
SMALL = {"depths": [2, 2, 2, 2], "heads": [1, 2, 4, 8], "dim": 16, "classes": 10}
THEIRS = {"depths": [2, 2, 2, 2], "num_heads": [1, 2, 4, 8], "embed_dim": 16, "num_classes": 10}


def load(name: str, **settings: object) -> ogive.network.Network:
    return ogive.load(name.split(".")[0].lower(), name, **settings)


def small(name: str, size: int, window: int) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Both at 16 to 128 channels, so that every part of the full one is there and quick."""
    ours = ogive.compile(load(name, **SMALL, size=size, window_size=window))
    return ours, peers.create(PEERS[name], **THEIRS, img_size=size, window_size=window)


def unseen(network: ogive.network.Network) -> int:
    """Multiply-adds of the pairs that timm computes in shifted windows and then masks: wrapped places.

    Along an axis of g places in windows of n, moved by s, the groups are s, then n, n, ..., and n - s places.
    """
    size, window, patch = (network.settings[k] for k in ("size", "window_size", "patch"))
    count = 0
    for stage, depth in enumerate(network.settings["depths"]):
        g = size // patch // 2**stage
        n = min(window, g)
        s = n // 2
        if g > n:
            together = s**2 + (n - s) ** 2 + (g // n - 1) * n**2
            count += depth // 2 * 2 * network.settings["dim"] * 2**stage * ((g * n) ** 2 - together**2)
    return count


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[] if name.endswith((".T", "384")) else [pytest.mark.long]) for name in PEERS
])
def test_keys_shapes_and_cost(name: str) -> None:
    """All variants on the meta device. timm counts masked pairs as well: 4.491 G in place of 4.474 G for Swin-T."""
    network = load(name)
    with torch.device("meta"):
        ours, theirs = ogive.compile(network), peers.create(PEERS[name], num_classes=1000)
    side = network.settings["size"]
    hold_table(network, ours, theirs, (1, 3, side, side), unseen=unseen(network))


@pytest.mark.parametrize(("name", "size", "window"), [("Swin.T", 128, 4), ("SwinV2.T", 64, 4)])
def test_what_is_unseen_is_what_timm_masks(name: str, size: int, window: int) -> None:
    network = load(name, **SMALL, size=size, window_size=window)
    blocks = [m for m in peers.create(PEERS[name], **THEIRS, img_size=size, window_size=window).modules()
              if getattr(m, "attn_mask", None) is not None]
    assert blocks
    assert unseen(network) == sum(2 * b.dim * int((b.attn_mask != 0).sum()) for b in blocks)


@pytest.mark.parametrize(("name", "size", "window"), [
    ("Swin.T", 128, 4),  # the last grid is one window: its shift goes
    ("Swin.T", 160, 5),  # windows without a middle, moved by 2
    ("SwinV2.T", 64, 4),  # the last grids are smaller than a window
])
def test_outputs_and_gradients(name: str, size: int, window: int) -> None:
    hold(*small(name, size, window), size)


def test_a_window_trained_at_another_size_looks_up_its_offsets_by_that_size() -> None:
    """SwinV2 with `trained` is timm's with `pretrained_window_sizes`, and not the one without."""
    theirs = {**THEIRS, "img_size": 64, "window_size": 8}
    plain = ogive.compile(load("SwinV2.T", **SMALL, size=64, window_size=8)).double().eval()
    tuned = ogive.compile(load("SwinV2.T", **SMALL, size=64, window_size=8, trained=[6, 6, 4, 3]))
    reference = peers.create(PEERS["SwinV2.T"], **theirs, pretrained_window_sizes=(6, 6, 4, 3))
    hold(tuned, reference, 64)
    plain.load_state_dict(reference.state_dict(), strict=True)
    image = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with torch.inference_mode(), pytest.raises(AssertionError, match="relative error"):
        close(plain(image), reference(image), 1e-6)


@pytest.mark.parametrize("name", ["Swin.T", "SwinV2.T"])
def test_first_weights(name: str) -> None:
    hold_first_weights(lambda: ogive.compile(load(name)), lambda: peers.create(PEERS[name]))


@pytest.mark.long
@pytest.mark.parametrize("name", PEERS)
def test_outputs_at_full_size(name: str) -> None:
    """Every variant as it is published, in float64, the weights held once by both; offsets are numbers of our own."""
    side = load(name).settings["size"]
    theirs = peers.create(PEERS[name], num_classes=1000).double().eval()
    ours = ogive.compile(load(name), dtype=torch.float64).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    image = torch.randn(1, 3, side, side, dtype=torch.float64)
    with torch.inference_mode():
        close(ours(image), theirs(image), 1e-6)


@pytest.mark.long
@pytest.mark.parametrize("name", ["Swin.T", "SwinV2.T"])
def test_gradients_at_full_size(name: str) -> None:
    hold(ogive.compile(load(name)), peers.create(PEERS[name]), load(name).settings["size"], batch=1)


def test_attention_sizes_of_the_paper() -> None:
    """M^2 h w numbers in place of (h w)^2 for windows of 7 on 56 x 56: 153,664 against 9,834,496 for each head."""
    first = next(n for n in load("Swin.T").graph.nodes.values() if n.op == "attend")
    axis = first.outputs[0].axes[1]
    assert first.primitive.pairs(axis, axis) == 3 * 153_664
    assert axis.size**2 == 9_834_496
