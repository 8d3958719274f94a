"""Frozen modules: the same answers, less work, no training."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

import ogive
from ogive import ArchError
from ogive.compiler.passes.packed import PackedConv, PackedLinear

NETWORKS = {
    "resnet basic": ("resnet", "ResNet.r18", {}),
    "resnet bottleneck": ("resnet", "ResNet.r50", {}),
    "vit": ("vit", "ViT.Ti", {"depth": 3}),
    "mixer": ("mixer", "MLPMixer.B16", {"depth": 2}),
    "unet": ("unet", "UNet", {}),
}

CHAINS = """
network Chains(norm: op = batchnorm):
    input x: B 3 H W
    a = conv(8, bias=False)
    na = norm
    relu
    drop_path(0.5)
    b = conv(8)
    y = b + _
    c = conv(8, groups=8)
    nc = norm
    s = silu
    d = y -> conv(8, 1x1)
    nd = norm
    up = transpose_conv(8, 2, stride=2)
    nu = norm
    e = conv(8, 3x3, stride=2, pad=1, groups=2)
    z = e + nd
    tail = norm
    return z, tail, s
"""


def redraw(module: nn.Module) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p.normal_(0, p[0].numel() ** -0.5) if p.dim() > 1 else p.uniform_(0.5, 1)
        for name, b in module.named_buffers():
            if b.is_floating_point():
                b.uniform_(0.5, 1.5) if name.endswith(("var", "weight")) else b.normal_(0, 0.1)


def pair(file: str, network: str, settings: dict[str, Any]) -> tuple[Any, Any]:
    module = ogive.compile(ogive.load(file, network, **settings)).eval()
    redraw(module)
    return module, ogive.freeze(module, debug=True)


def far(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).abs().max() / b.abs().max()).item()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch", [1, 2])
def test_answers_are_the_same(name: str, batch: int) -> None:
    module, frozen = pair(*NETWORKS[name])
    side = 224 if name in ("vit", "mixer") else 64
    x = torch.randn(batch, 3, side, side)
    exact = copy.deepcopy(module).double()(x.double())
    ours, theirs = far(frozen(x).double(), exact), far(module(x).double(), exact)
    assert ours < 1e-5 and ours < 20 * theirs
    kept = x.clone()
    frozen(x)
    assert torch.equal(x, kept), "an input is never written into"
    assert torch.equal(frozen(x), frozen(x))


@pytest.mark.parametrize("norm", ["batchnorm", "frozen_batchnorm"])
def test_chains_of_all_kinds(norm: str) -> None:
    module = ogive.compile(ogive.loads(CHAINS, norm=norm)).eval()
    redraw(module)
    frozen = ogive.freeze(module, debug=True)
    x = torch.randn(2, 3, 10, 14)
    for ours, theirs in zip(frozen(x), module(x), strict=True):
        assert far(ours, theirs) < 1e-5
    assert not any(key.startswith(("na.", "nc.", "nd.", "nu.")) for key in frozen.state_dict())
    assert frozen.meta["ogive"]["declined"]["fold_norm"] == ["tail: no convolution in front of it"]
    assert isinstance(frozen.a, PackedConv) and frozen.a.activation == "relu"
    assert isinstance(frozen.c, PackedConv) and frozen.c.activation == "silu"


def test_what_is_fused() -> None:
    _, resnet = pair(*NETWORKS["resnet basic"])
    calls = [n for n in resnet.graph.nodes if n.op not in ("placeholder", "output")]
    assert sum(isinstance(resnet.get_submodule(n.target), PackedConv) for n in calls if n.op == "call_module") == 20
    assert not any("relu" in str(n.target) or "add" in str(n.target) for n in calls)
    _, vit = pair(*NETWORKS["vit"])
    assert isinstance(vit.blocks.get_submodule("0").mlp.fc1, PackedLinear)
    assert vit.blocks.get_submodule("0").mlp.fc1.activation == "gelu"
    assert "channels_last" in vit.meta["ogive"]["declined"]


def test_training_is_refused_with_a_reason() -> None:
    module, frozen = pair(*NETWORKS["vit"])
    with pytest.raises(ArchError, match=r"A712[\s\S]*folded"):
        frozen.train()
    assert frozen.train(False) is frozen and frozen.eval() is frozen
    assert not frozen.training and not any(p.requires_grad for p in frozen.parameters())
    assert module.train().training, "the module it came from still trains"


def test_a_shared_convolution_keeps_its_norm() -> None:
    text = """
block Pair:
    input x: B C H W
    conv = conv(C, bias=False)
    bn = batchnorm
    relu

network Twice:
    input x: B 4 H W
    shared g = Pair
    x -> g
    _ -> g
"""
    module = ogive.compile(ogive.loads(text)).eval()
    redraw(module)
    frozen = ogive.freeze(module)
    x = torch.randn(1, 4, 8, 8)
    assert far(frozen(x), module(x)) < 1e-5
    assert "shared" in frozen.meta["ogive"]["declined"]["fold_norm"][0]


def test_copies_moves_and_loads_are_followed() -> None:
    _, frozen = pair(*NETWORKS["vit"])
    x = torch.randn(1, 3, 224, 224)
    wanted = frozen(x)
    assert torch.equal(copy.deepcopy(frozen)(x), wanted)
    assert far(copy.deepcopy(frozen).double()(x.double()).float(), wanted) < 1e-5
    state = {k: v * 0 for k, v in frozen.state_dict().items()}
    other = copy.deepcopy(frozen)
    other.load_state_dict(state)
    assert other(x).abs().max() == 0
    assert torch.equal(frozen(x), wanted)
    assert far(torch.compile(frozen, backend="eager", fullgraph=True)(x), wanted) < 1e-5
    assert far(torch.export.export(frozen, (x,)).module()(x), wanted) < 1e-5
    y = x.clone().requires_grad_()
    frozen(y).sum().backward()
    assert y.grad is not None and y.grad.abs().sum() > 0, "a gradient by the input is still there for who asks"


def test_off_the_processor_and_in_float64_it_declines() -> None:
    module = ogive.compile(ogive.load("resnet", "ResNet.r18"), dtype=torch.float64).eval()
    redraw(module)
    frozen = ogive.freeze(module)
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    assert far(frozen(x), module(x)) < 1e-12
    assert "float64" in frozen.meta["ogive"]["declined"]["pack"][0]


def test_weights_are_laid_out_for_the_size_at_hand() -> None:
    """oneDNN chooses a layout by the batch; one that was chosen for another batch is converted in every call."""
    frozen = ogive.freeze(ogive.compile(ogive.load("resnet", "ResNet.r18")))
    packed = [m for m in frozen.modules() if isinstance(m, PackedConv)]
    assert packed
    with torch.inference_mode():
        for batch in (2, 1, 4):
            frozen(torch.randn(batch, 3, 64, 64))
            assert {m._laid_for[0] for m in packed} == {batch}
