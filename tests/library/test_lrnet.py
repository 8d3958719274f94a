"""LR-Net has no published code: the layer against its equation, and the figures of the paper."""

from __future__ import annotations

import pytest
import torch

import ogive

TEXT = """
from lrnet import LocalRelation

network Layer(stride=1, size: size = 3x3):
    input x: B 16 H W
    assert H % 2 == 0 and W % 2 == 0, "the stride divides the image"
    relation = LocalRelation(size, stride, share=4)
"""


def by_hand(state: dict[str, torch.Tensor], x: torch.Tensor, size: int, stride: int) -> torch.Tensor:
    """Equations 1 to 6 of the paper, place by place; neighbours outside the image do not count."""
    w = {key.removeprefix("relation."): value.flatten(1) if value.dim() > 1 else value for key, value in state.items()}
    batch, channels, height, width = x.shape
    groups, reach = w["query.weight"].shape[0], size // 2
    q, k = (
        torch.einsum("gc,bchw->bghw", w[f"{n}.weight"], x) + w[f"{n}.bias"][:, None, None] for n in ("query", "key")
    )
    out = torch.zeros(batch, channels, height // stride, width // stride, dtype=x.dtype)
    for i in range(0, height, stride):
        for j in range(0, width, stride):
            scores, values = [], []
            for a in range(max(0, i - reach), min(height, i + reach + 1)):
                for b in range(max(0, j - reach), min(width, j + reach + 1)):
                    offset = torch.tensor([i - a, j - b], dtype=x.dtype)
                    hidden = torch.relu(w["prior.fc1.weight"] @ offset + w["prior.fc1.bias"])
                    prior = w["prior.fc2.weight"] @ hidden + w["prior.fc2.bias"]
                    scores.append(-((q[:, :, i, j] - k[:, :, a, b]) ** 2) + prior)
                    values.append(x[:, :, a, b].view(batch, groups, -1))
            weights = torch.stack(scores).softmax(0)
            out[:, :, i // stride, j // stride] = (weights[..., None] * torch.stack(values)).sum(0).flatten(1)
    return torch.einsum("dc,bchw->bdhw", w["final.weight"], out)


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (5, 2), (7, 1)])
def test_the_layer_is_its_equation(size: int, stride: int) -> None:
    torch.manual_seed(0)
    module = ogive.compile(ogive.loads(TEXT, "Layer", stride=stride, size=size)).double().eval()
    x = torch.randn(2, 16, 6, 8, dtype=torch.float64)
    with torch.inference_mode():
        assert torch.allclose(module(x), by_hand(module.state_dict(), x, size, stride), rtol=1e-10, atol=1e-12)


def test_groups_share_their_weights() -> None:
    """Channels of a group that are equal before aggregation are equal behind it, whatever the image."""
    text = TEXT.replace("relation = LocalRelation(size, stride, share=4)", "relation = LocalRelation(size, 1, share=4)")
    module = ogive.compile(ogive.loads(text, "Layer")).eval()
    with torch.no_grad():
        module.get_parameter("relation.final.weight").copy_(torch.eye(16)[..., None, None])
    x = torch.randn(1, 4, 6, 8).repeat_interleave(4, dim=1)
    y = module(x).unflatten(1, (4, 4))
    assert torch.allclose(y, y[:, :, :1].expand_as(y), atol=1e-6)
    assert not torch.allclose(y[:, 0], y[:, 1], atol=1e-2)


def test_the_figures_of_the_paper() -> None:
    """23.3 M weights without those of norms, and no more multiply-adds than ResNet-50 (4.3 G are printed for both)."""
    network = ogive.load("lrnet", "LRNet.r50")
    with torch.device("meta"):
        parts = [m for m in ogive.compile(network).modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(parts) == 1 + 3 * 16 + 4
    norms = sum(p.numel() for m in parts for p in m.parameters())
    assert round((network.parameter_count - norms) / 1e6, 1) == 23.3
    assert network.macs() < ogive.load("resnet", "ResNet.r50").macs()


def test_an_image_that_the_stages_do_not_halve_is_refused_at_its_line() -> None:
    module = ogive.compile(ogive.load("lrnet", "LRNet.r26", depths=[1, 1, 1, 1], classes=10))
    with pytest.raises(ogive.ArchError) as caught:
        module(torch.randn(1, 3, 40, 64))
    assert "40 % 32 = 8" in str(caught.value)
    assert "lrnet.arch" in str(caught.value)
