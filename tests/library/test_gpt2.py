"""GPT-2 against transformers, and the giants by their sizes."""

from __future__ import annotations

import peers
import pytest
import torch
from mapped import Mapped, ours
from parity import hold, hold_first_weights, quickly

import ogive

GIANTS = {"Megatron": 8.317e9, "TuringNLG": 17.18e9, "GPT3": 174.6e9}
PRINTED = {"Megatron": 8.3e9, "TuringNLG": 17e9, "GPT3": 175e9}


def reference(**settings: int) -> torch.nn.Module:
    tf = peers.transformers()
    return tf.GPT2LMHeadModel(tf.GPT2Config(**settings, attn_implementation="eager"))


def test_outputs_and_gradients() -> None:
    network = ogive.load("gpt2", "GPT2.small", dim=32, depth=2, heads=4, vocab=50, length=16)
    theirs = reference(n_embd=32, n_layer=2, n_head=4, vocab_size=50, n_positions=16)
    ids = torch.randint(50, (2, 11))
    seen = Mapped(network.weight_map("hf"), theirs, lambda module, x: module(x, use_cache=False).logits)
    hold(ogive.compile(network), seen, ids)


def test_first_weights() -> None:
    """What is added to the sum of the branches starts smaller the more layers there are."""
    network = ogive.load("gpt2", "GPT2.small", dim=64, depth=3, heads=4, vocab=50, length=16)
    theirs = reference(n_embd=64, n_layer=3, n_head=4, vocab_size=50, n_positions=16)
    seen = Mapped(network.weight_map("hf"), theirs, lambda module, x: module(x))
    hold_first_weights(lambda: ogive.compile(network), lambda: seen)
    added, inside = (network.graph.parameters[f"h.0.attn.{name}.weight"].weight.std for name in ("c_proj", "c_attn"))
    assert added == pytest.approx(inside / 6**0.5)


@pytest.mark.parametrize(("preset", "params"), quickly([("small", 124_439_808), ("xl", 1_557_611_200)]))
def test_keys_shapes_and_cost(preset: str, params: int) -> None:
    network = ogive.load("gpt2", f"GPT2.{preset}")
    width, depth, heads = (network.settings[k] for k in ("dim", "depth", "heads"))
    with torch.device("meta"):
        theirs, model = reference(n_embd=width, n_layer=depth, n_head=heads), ogive.compile(network)
        keys = ours(network.weight_map("hf"), theirs.state_dict())
    assert {k: v.shape for k, v in model.state_dict().items()} == {k: v.shape for k, v in keys.items()}
    assert network.parameter_count == params == sum(p.numel() for p in theirs.parameters())


@pytest.mark.long
@pytest.mark.parametrize("name", GIANTS)
def test_the_giants(name: str) -> None:
    """On the meta device: as many numbers as the papers print, within 1 %, and an answer of the right shape."""
    network = ogive.load("gpt2", name)
    assert abs(network.parameter_count / GIANTS[name] - 1) < 5e-4
    assert abs(network.parameter_count / PRINTED[name] - 1) < 0.0105
    with torch.device("meta"):
        module = ogive.compile(network)
        assert sum(p.numel() for p in module.parameters()) == network.parameter_count
        assert module(torch.zeros(1, 8, dtype=torch.long)).shape == (1, 8, network.settings["vocab"])


def test_nothing_ahead_is_seen() -> None:
    torch.manual_seed(0)
    module = ogive.compile(ogive.load("gpt2", "GPT2.small", dim=32, depth=2, heads=4, vocab=50, length=16)).eval()
    ids = torch.randint(50, (1, 9))
    changed = ids.clone()
    changed[0, 5] = (ids[0, 5] + 1) % 50
    with torch.inference_mode():
        before, after = module(ids), module(changed)
    assert torch.allclose(before[:, :5], after[:, :5], atol=1e-6)
    assert not torch.allclose(before[:, 5:], after[:, 5:], atol=1e-3)
