"""Attention inside ResNets: the identity at first, and what it computes once it is trained."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import ogive

NETWORKS = ("NonLocalResNet", "SelfAttentionResNet")
BLOCKS = """
from nonlocal import NonLocal, SelfAttention2d

network One(over: pattern = dense, subsample=True):
    input x: B 16 H W
    block = NonLocal(over, subsample)

network Two:
    input x: B 16 H W
    block = SelfAttention2d
"""


@pytest.mark.parametrize("name", NETWORKS)
def test_a_trained_resnet_answers_as_before(name: str) -> None:
    """With the plain ResNet's weights in place the outputs are equal, and only the keys of attention are fresh."""
    torch.manual_seed(0)
    plain = ogive.compile(ogive.load("resnet", "ResNet.r50", classes=10)).eval()
    mixed = ogive.compile(ogive.load("nonlocal", name, classes=10)).eval()
    missing, unexpected = mixed.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert missing and all(key.startswith(("between2.", "between3.")) for key in missing)
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(mixed(image), plain(image))


@pytest.mark.parametrize("name", NETWORKS)
def test_training_wakes_the_branch(name: str) -> None:
    """What starts at zero has a gradient, and once it has moved, so has everything in front of it."""
    torch.manual_seed(0)
    module = ogive.compile(ogive.load("nonlocal", name, classes=10)).train()
    image = torch.randn(2, 3, 64, 64)
    before = module(image).detach()
    first = "between2.gamma" if name.startswith("Self") else "between2.bn.weight"
    module(image).square().sum().backward()
    assert module.get_parameter(first).grad.abs().max() > 0
    with torch.no_grad():
        module.get_parameter(first).add_(0.5)
    module.zero_grad()
    after = module(image)
    assert not torch.allclose(after, before, atol=1e-4)
    after.square().sum().backward()
    query = "between2.query_conv.weight" if name.startswith("Self") else "between2.theta.weight"
    assert module.get_parameter(query).grad.abs().max() > 0


def compiled(name: str, **settings: object) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    module = ogive.compile(ogive.loads(BLOCKS, name, **settings)).double().eval()
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn_like(p), alpha=0.3)
    return module, {key.removeprefix("block."): value for key, value in module.state_dict().items()}


@pytest.mark.parametrize("subsample", [True, False])
def test_non_local_by_hand(subsample: bool) -> None:
    """Equations 4 and 6: y = softmax(theta^T phi) g, z = W_z y + x."""
    module, w = compiled("One", subsample=subsample)
    x = torch.randn(2, 16, 6, 8, dtype=torch.float64)
    theta, phi, g = (F.conv2d(x, w[f"{n}.weight"], w[f"{n}.bias"]) for n in ("theta", "phi", "g"))
    if subsample:
        phi, g = F.max_pool2d(phi, 2), F.max_pool2d(g, 2)
    seen = (theta.flatten(2).mT @ phi.flatten(2)).softmax(-1) @ g.flatten(2).mT
    y = F.conv2d(seen.mT.unflatten(2, (6, 8)), w["w_z.weight"], w["w_z.bias"])
    mean, var = w["bn.running_mean"], w["bn.running_var"]
    z = F.batch_norm(y, mean, var, w["bn.weight"], w["bn.bias"]) + x
    with torch.inference_mode():
        assert torch.allclose(module(x), z, rtol=1e-10, atol=1e-12)


def test_sagan_by_hand() -> None:
    """Equations 1 to 3: o = softmax(f^T g) h, y = gamma o + x."""
    module, w = compiled("Two")
    x = torch.randn(2, 16, 6, 8, dtype=torch.float64)
    q, k, v = (F.conv2d(x, w[f"{n}_conv.weight"], w[f"{n}_conv.bias"]).flatten(2) for n in ("query", "key", "value"))
    y = w["gamma"] * ((q.mT @ k).softmax(-1) @ v.mT).mT.unflatten(2, (6, 8)) + x
    with torch.inference_mode():
        assert torch.allclose(module(x), y, rtol=1e-10, atol=1e-12)


def test_a_pattern_makes_it_local() -> None:
    """Over windows of 2 a change in one corner stays there; over everything it does not."""
    x = torch.randn(1, 16, 6, 8, dtype=torch.float64)
    changed = x.clone()
    changed[..., 0, 0] += 1
    reached = []
    for text in (BLOCKS, BLOCKS.replace("dense", "window(2)")):
        module = ogive.compile(ogive.loads(text, "One", subsample=False)).double().eval()
        with torch.no_grad():
            module.get_parameter("block.bn.weight").fill_(1)
            reached.append(int((module(x) != module(changed)).any(1).sum()))
    assert reached == [48, 4]
