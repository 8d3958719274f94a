"""Networks without attention: ResMLP and gMLP against timm, S2-MLP and CycleMLP by hand, the Mixer as convolutions."""

from __future__ import annotations

import peers
import pytest
import torch
import torch.nn.functional as F
from parity import close, hold, hold_first_weights, hold_table, quickly

import ogive

PEERS = {
    "ResMLP.r12": "resmlp_12_224", "ResMLP.r24": "resmlp_24_224", "ResMLP.r36": "resmlp_36_224",
    "GMLP.Ti": "gmlp_ti16_224", "GMLP.S": "gmlp_s16_224", "GMLP.B": "gmlp_b16_224",
}
Weights = dict[str, torch.Tensor]


@pytest.mark.parametrize("name", quickly(PEERS, "ResMLP.r12", "GMLP.Ti"))
def test_keys_shapes_and_cost(name: str) -> None:
    network = ogive.load("mlps", name)
    with torch.device("meta"):
        ours, theirs = ogive.compile(network), peers.create(PEERS[name])
    hold_table(network, ours, theirs)


@pytest.mark.parametrize("name", quickly(["GMLP.Ti", "ResMLP.r12"]))
def test_outputs_and_gradients(name: str) -> None:
    ours = ogive.compile(ogive.load("mlps", name, size=48, classes=10))
    hold(ours, peers.create(PEERS[name], img_size=48, num_classes=10), 48)


@pytest.mark.long
@pytest.mark.parametrize("name", ["ResMLP.r12", "GMLP.S"])
def test_outputs_and_gradients_at_full_size(name: str) -> None:
    hold(ogive.compile(ogive.load("mlps", name)), peers.create(PEERS[name]), 224, batch=1)


@pytest.mark.long
@pytest.mark.parametrize("name", ["GMLP.Ti", "ResMLP.r12"])
def test_first_weights(name: str) -> None:
    hold_first_weights(lambda: ogive.compile(ogive.load("mlps", name)), lambda: peers.create(PEERS[name]))


def stirred(name: str, **settings: object) -> tuple[torch.nn.Module, Weights]:
    torch.manual_seed(0)
    module = ogive.compile(ogive.load("mlps", name, **settings)).double().eval()
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn_like(p), alpha=0.1)
    return module, dict(module.state_dict())


def norm(x: torch.Tensor, w: Weights, key: str) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], w[f"{key}.weight"], w[f"{key}.bias"])


def line(x: torch.Tensor, w: Weights, key: str) -> torch.Tensor:
    return F.linear(x, w[f"{key}.weight"].flatten(1), w.get(f"{key}.bias"))


def mlp(x: torch.Tensor, w: Weights, key: str) -> torch.Tensor:
    return line(F.gelu(line(x, w, f"{key}.fc1")), w, f"{key}.fc2")


def test_s2mlp_by_hand() -> None:
    """Figure 2 and the code of the paper's appendix: quarters of the channels take the neighbour's value."""
    module, w = stirred("S2MLP.deep", dim=16, depth=2, patch=4, size=20, classes=3)
    image = torch.randn(2, 3, 20, 20, dtype=torch.float64)
    x = F.conv2d(image, w["stem.proj.weight"], w["stem.proj.bias"], 4).permute(0, 2, 3, 1)
    for i in range(2):
        y = F.gelu(line(norm(x, w, f"blocks.{i}.norm1"), w, f"blocks.{i}.fc1"))
        z = y.clone()
        z[:, :, 1:, 0:4] = y[:, :, :-1, 0:4]
        z[:, :, :-1, 4:8] = y[:, :, 1:, 4:8]
        z[:, 1:, :, 8:12] = y[:, :-1, :, 8:12]
        z[:, :-1, :, 12:16] = y[:, 1:, :, 12:16]
        x = x + line(z, w, f"blocks.{i}.fc2")
        x = x + mlp(norm(x, w, f"blocks.{i}.norm2"), w, f"blocks.{i}.mlp")
    answer = line(norm(x, w, "norm").mean((1, 2)), w, "head")
    with torch.inference_mode():
        assert torch.allclose(module(image), answer, rtol=1e-10, atol=1e-12)


def stepped(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Channel c of `B H W C` reads the place (c + 1) % 3 - 1 steps on; outside the image stand zeros."""
    found = torch.zeros_like(x)
    for c in range(x.shape[-1]):
        step = (c + 1) % 3 - 1
        for at in range(x.shape[axis]):
            if 0 <= at + step < x.shape[axis]:
                found.select(axis, at)[..., c] = x.select(axis, at + step)[..., c]
    return found


def test_cyclemlp_by_hand() -> None:
    """The published code: steps along a row and along a column, chosen between by the mean over the image."""
    settings = {"widths": [8, 16, 24, 32], "depths": [1, 2, 1, 1], "classes": 3}
    module, w = stirred("CycleMLP.B1", **settings)
    image = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    x = F.conv2d(image, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], 4, 2).permute(0, 2, 3, 1)
    for stage, depth in enumerate(settings["depths"]):
        if stage:
            key = f"network.{2 * stage - 1}.proj"
            x = F.conv2d(x.permute(0, 3, 1, 2), w[f"{key}.weight"], w[f"{key}.bias"], 2, 1).permute(0, 2, 3, 1)
        for j in range(depth):
            at = f"network.{2 * stage}.{j}"
            y = norm(x, w, f"{at}.norm1")
            h = line(stepped(y, 2), w, f"{at}.attn.sfc_h")
            v = line(stepped(y, 1), w, f"{at}.attn.sfc_w")
            c = line(y, w, f"{at}.attn.mlp_c")
            ways = mlp((h + v + c).mean((1, 2)), w, f"{at}.attn.reweight")
            a = ways.unflatten(1, (-1, 3)).permute(2, 0, 1).softmax(0)[:, :, None, None]
            x = x + line(h * a[0] + v * a[1] + c * a[2], w, f"{at}.attn.proj")
            x = x + mlp(norm(x, w, f"{at}.norm2"), w, f"{at}.mlp")
    answer = line(norm(x, w, "norm").mean((1, 2)), w, "head")
    with torch.inference_mode():
        assert torch.allclose(module(image), answer, rtol=1e-10, atol=1e-12)


def test_the_mixer_is_convolutional() -> None:
    """The weights of the MLPs, as kernels, give the same outputs and gradients."""
    torch.manual_seed(0)
    settings = {"dim": 32, "depth": 2, "size": 64, "classes": 5}
    mixer = ogive.compile(ogive.load("mixer", "MLPMixer.S16", **settings)).double().eval()
    with torch.no_grad():
        for p in mixer.parameters():
            p.add_(torch.randn_like(p), alpha=0.1)
    convolutions = ogive.compile(ogive.load("mixer", "MixerAsConvolutions.S16", **settings)).double().eval()
    shapes = {key: value.shape for key, value in convolutions.state_dict().items()}
    convolutions.load_state_dict({k: v.reshape(shapes[k]) for k, v in mixer.state_dict().items()}, strict=True)
    image = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    mine, theirs = convolutions(image), mixer(image)
    close(mine, theirs, 1e-12)
    mine.square().sum().backward()
    theirs.square().sum().backward()
    for key, p in mixer.named_parameters():
        assert torch.allclose(convolutions.get_parameter(key).grad, p.grad.reshape(shapes[key]), 1e-10, 1e-14), key


def test_the_token_mlp_is_a_grouped_convolution_with_one_set_of_weights() -> None:
    """C groups, C -> C D, all of one weight. Untied they would be 57,802,752 for B/16 in place of 75,264."""
    torch.manual_seed(0)
    x = torch.randn(2, 6, 4, 4, dtype=torch.float64)
    weight = torch.randn(5, 16, dtype=torch.float64)
    grouped = F.conv2d(x, weight.reshape(5, 1, 4, 4).repeat(6, 1, 1, 1), groups=6).reshape(2, 6, 5)
    assert torch.allclose(grouped, x.flatten(2) @ weight.mT, rtol=1e-12)
    tied = ogive.load("mixer", "MixerAsConvolutions.B16")
    size = torch.Size(tied.parameters["blocks.0.mlp_tokens.fc1.weight"]).numel()
    untied = ogive.loads("network N:\n    input x: B 768 14 14\n    y = conv(768 * 384, 14, pad=0, groups=768)\n", "N")
    assert (size, torch.Size(untied.parameters["y.weight"]).numel()) == (75_264, 57_802_752)
