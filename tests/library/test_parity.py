"""The library against its references: same keys, shapes, outputs, gradients, cost and first weights."""

from __future__ import annotations

import gc

import peers
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

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

RUN = {key: name for key, name in FULL.items() if key not in SHALLOW}


def name_of(key: tuple[str, str]) -> str:
    return key[1]


def close(ours: torch.Tensor, theirs: torch.Tensor, most: float) -> None:
    """The largest difference, relative to the largest value of the reference."""
    error = (ours - theirs).abs().max() / theirs.abs().max()
    assert error <= most, f"relative error {error:.2e} is above {most:.0e}"


def hold(ours: torch.nn.Module, theirs: torch.nn.Module, batch: int = 2) -> None:
    """Strict load, float64 outputs to 1e-6, gradients of every parameter and of the image to 1e-5."""
    ours, theirs = ours.double().eval(), stirred(theirs.double().eval())
    ours.load_state_dict(theirs.state_dict(), strict=True)
    image = torch.randn(batch, 3, 224, 224, dtype=torch.float64)
    left, right = image.clone().requires_grad_(), image.clone().requires_grad_()
    mine, reference = ours(left), theirs(right)
    close(mine, reference, 1e-6)
    pull = torch.randn_like(reference)
    (mine * pull).sum().backward()
    (reference * pull).sum().backward()
    close(left.grad, right.grad, 1e-5)
    gradients = {key: p.grad for key, p in theirs.named_parameters()}
    scale = max(g.abs().max() for g in gradients.values())
    for key, p in ours.named_parameters():
        error = (p.grad - gradients[key]).abs().max() / max(gradients[key].abs().max(), 1e-3 * scale)
        assert error <= 1e-5, f"the gradient of {key} differs by {error:.2e}"


def stirred(module: torch.nn.Module) -> torch.nn.Module:
    """No tensor left at zeros or ones: a weight that is never read, or read in the wrong place, must show."""
    torch.manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn_like(p), alpha=0.02)
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.8, 1.2)
    return module


@pytest.mark.parametrize("key", FULL, ids=name_of)
def test_keys_shapes_and_cost(key: tuple[str, str]) -> None:
    """On the meta device: every key and shape, parameters and MACs, the dtype of buffers."""
    network = ogive.load(*key)
    with torch.device("meta"):
        ours, theirs = ogive.compile(network), peers.create(FULL[key])
    hold_table(network, ours, theirs)


def test_keys_shapes_and_cost_of_the_largest() -> None:
    (key, (name, settings)), *_ = HUGE.items()
    network = ogive.load(*key)
    with torch.device("meta"):
        ours, theirs = ogive.compile(network), peers.create(name, **settings)
    hold_table(network, ours, theirs)


def hold_table(network: ogive.network.Network, ours: torch.nn.Module, theirs: torch.nn.Module) -> None:
    mine, reference = ours.state_dict(), theirs.state_dict()
    assert set(mine) == set(reference)
    for name, tensor in reference.items():
        assert (mine[name].shape, mine[name].dtype) == (tensor.shape, tensor.dtype), name
    trained = {name for name, p in theirs.named_parameters() if p.requires_grad}
    assert trained == {name for name, p in ours.named_parameters() if p.requires_grad}
    assert network.parameter_count == sum(p.numel() for p in theirs.parameters())
    assert network.macs() == counted(theirs)


def counted(module: torch.nn.Module) -> int:
    """Multiply-adds by torch's own counter, attention as two products."""
    module = module.eval()
    for part in module.modules():
        if hasattr(part, "fused_attn"):
            part.fused_attn = False
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        module(torch.empty(1, 3, 224, 224))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("key", RUN, ids=name_of)
def test_outputs_and_gradients(key: tuple[str, str]) -> None:
    hold(ogive.compile(ogive.load(*key)), peers.create(FULL[key]), batch=1 if key[1] == "ResNet.r152" else 2)


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


@pytest.mark.parametrize("key", [key for key in FULL if key[1] in DRAWN], ids=name_of)
def test_first_weights(key: tuple[str, str]) -> None:
    """Mean and standard deviation of each initial tensor are the reference's, within what chance allows."""
    torch.manual_seed(0)
    ours, theirs = ogive.compile(ogive.load(*key)).state_dict(), peers.create(FULL[key]).state_dict()
    for name, reference in theirs.items():
        mine, reference = ours[name].double(), reference.double()
        if mine.numel() == 1:
            assert torch.equal(mine, reference), name
            continue
        spread = reference.std().item()
        few = 6 / mine.numel() ** 0.5  # six standard errors
        assert abs(mine.mean().item() - reference.mean().item()) <= max(2 * few * spread, 1e-5), f"mean of {name}"
        assert abs(mine.std().item() - spread) <= max(2 * few * spread, 1e-5), f"std of {name}"
