"""`ogive.fuse` on networks of timm, torchvision and transformers: all of it fused, answers and gradients the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import peers
import pytest
import torch
from fuse_cases import ran
from torch import nn

import ogive
from ogive.compiler.fuse import Report

pytestmark = pytest.mark.peer


@pytest.fixture
def written() -> Iterator[None]:
    """timm's attention written out, as it is where torch has no fused one."""
    layers = peers.timm().layers
    before = layers.use_fused_attn()
    layers.set_fused_attn(False)
    yield
    layers.set_fused_attn(bool(before))


def redrawn(module: nn.Module) -> nn.Module:
    """Weights that tell attention apart: biases, temperatures and last norms that are not nothing."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, p in module.named_parameters():
            if p.dim() > 1:
                p.normal_(0, 0.5 if "table" in name else p[0].numel() ** -0.5)
            elif p.dim():
                p.uniform_(0.5, 1.0)
    return module


def held(module: nn.Module, given: dict[str, Any], places: int) -> Report:
    """All places fused; answers and gradients to rounding."""
    fused, report = ogive.fuse(module, given)
    assert len(report.fused) == places and not report.left, report
    assert list(fused.state_dict()) == list(module.state_dict())
    module.eval(), fused.eval()
    found = []
    for m in (module, fused):
        m.zero_grad()
        made, counts = ran(m, **given)
        made = made if isinstance(made, torch.Tensor) else made[0]
        made.square().mean().backward()
        found.append((made.detach(), [None if p.grad is None else p.grad.clone() for p in m.parameters()], counts))
    (y, grads, before), (z, own, after) = found
    assert before["softmax"] == places and after["softmax"] == 0
    assert after["fused"] == before["fused"] + places
    assert ((z - y).abs().max() / y.abs().max()).item() < 1e-5
    for a, b in zip(own, grads, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert (a - b).abs().max() <= 1e-3 * b.abs().max() + 1e-6
    return report


def test_vit(written: None) -> None:
    module = redrawn(peers.create("vit_tiny_patch16_224", depth=3, img_size=64, attn_drop_rate=0.1))
    report = held(module, {"x": torch.randn(2, 3, 64, 64)}, 3)
    assert report.fused[0].path == "blocks.0.attn" and report.fused[0].found == ("scale 0.125", "dropout 0.1")


def test_swin(written: None) -> None:
    sizes = {"img_size": 56, "depths": (2, 2), "num_heads": (2, 4), "embed_dim": 32, "window_size": 7}
    module = redrawn(peers.create("swin_tiny_patch4_window7_224", **sizes))
    report = held(module, {"x": torch.randn(2, 3, 56, 56)}, 4)
    bias = "bias `relative_position_bias_table`, `relative_position_index`"
    assert report.fused[0].found == ("scale 0.25", bias)
    assert report.fused[1].found == ("scale 0.25", bias, "mask window(7, shift=3)")


def test_swin_serves_other_batches_and_its_own_code_other_sizes(written: None) -> None:
    sizes = {"img_size": 56, "depths": (2,), "num_heads": (2,), "embed_dim": 32, "strict_img_size": False}
    module = redrawn(peers.create("swin_tiny_patch4_window7_224", **sizes)).eval()
    fused, _ = ogive.fuse(module, torch.randn(2, 3, 56, 56))
    x = torch.randn(3, 3, 56, 56)
    made, counts = ran(fused, x)
    assert counts["fused"] == 2 and counts["softmax"] == 0
    torch.testing.assert_close(made, module(x), rtol=1e-4, atol=1e-4)


def test_swin_v2(written: None) -> None:
    sizes = {"img_size": 64, "depths": (2,), "num_heads": (2,), "embed_dim": 32, "window_size": 8}
    report = held(redrawn(peers.create("swinv2_tiny_window8_256", **sizes)), {"x": torch.randn(1, 3, 64, 64)}, 2)
    assert report.fused[0].found[0] == "scale learned, `logit_scale`"


@pytest.mark.parametrize("version", ["swin_t", "swin_v2_t"])
def test_torchvision_swin(version: str) -> None:
    kind = peers.torchvision().models.swin_transformer
    block = kind.SwinTransformerBlock if version == "swin_t" else kind.SwinTransformerBlockV2
    merging = kind.PatchMerging if version == "swin_t" else kind.PatchMergingV2
    module = redrawn(kind.SwinTransformer(
        [4, 4], 32, [2], [2], [7, 7], attention_dropout=0.1, num_classes=5, block=block, downsample_layer=merging,
    ))
    report = held(module, {"x": torch.randn(2, 3, 60, 60)}, 2)
    assert "dropout 0.1" not in report.fused[0].found  # it is an argument of a function: what it says in evaluation
    fused, _ = ogive.fuse(module, torch.randn(2, 3, 60, 60))
    fused.train()
    x = torch.randn(2, 3, 60, 60)
    assert ran(fused, x)[1] == {"fused": 2, "causal": 0, "masked": 2}
    smaller = torch.randn(2, 3, 28, 28)  # no larger than a window: the code decides otherwise
    torch.testing.assert_close(fused.eval()(smaller), module.eval()(smaller), rtol=1e-5, atol=1e-5)


def test_torchvision_vit_is_fused_already() -> None:
    kind = peers.torchvision().models.vision_transformer.VisionTransformer
    module = kind(image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=16, num_classes=3)
    _, report = ogive.fuse(module, torch.randn(1, 3, 32, 32))
    assert report.places == () and report.already == 2


def bert() -> nn.Module:
    peers.torchvision()  # transformers imports it
    transformers = pytest.importorskip("transformers", reason="pip install transformers")
    config = transformers.BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32, vocab_size=50,
        attn_implementation="eager",
    )
    return redrawn(transformers.BertModel(config))


def test_bert() -> None:
    module = bert()
    ids = torch.randint(0, 50, (2, 9))
    mask = torch.ones(2, 9, dtype=torch.long)
    mask[1, 5:] = 0
    report = held(module, {"input_ids": ids, "attention_mask": mask}, 2)
    assert [p.path for p in report.fused] == ["encoder.layer.0.attention.self", "encoder.layer.1.attention.self"]
    assert report.fused[0].found[0].startswith("scale 0.35")


def test_bert_still_answers_its_weights() -> None:
    module = bert().eval()
    ids = torch.randint(0, 50, (2, 9))
    fused, report = ogive.fuse(module, {"input_ids": ids})
    assert len(report.fused) == 2
    ours, theirs = (m(input_ids=ids, output_attentions=True) for m in (fused, module))
    assert len(ours.attentions) == 2
    for a, b in zip(ours.attentions, theirs.attentions, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
