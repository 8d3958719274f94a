"""A transformer on pixels: transformers' numbers, and how much memory its attention would take."""

from __future__ import annotations

import peers
import pytest
import torch
from parity import Calling, hold, hold_first_weights, quickly

import ogive
from ogive.dsl.dims import evaluate
from ogive.dsl.ops.attention import Attend

GIB, MIB = 2**30, 2**20


def reference(**settings: int) -> torch.nn.Module:
    tf = peers.transformers()
    return tf.ImageGPTForCausalImageModeling(tf.ImageGPTConfig(**settings))


def test_outputs_and_gradients() -> None:
    ours = ogive.load("image_gpt", "ImageGPT.S", dim=32, depth=2, heads=4, colours=16, side=4)
    theirs = reference(n_embd=32, n_layer=2, n_head=4, vocab_size=17, n_positions=16)
    ids = torch.randint(17, (2, 16))
    hold(ogive.compile(ours), Calling(theirs, lambda module, x: module(x, use_cache=False).logits), ids)


def test_first_weights() -> None:
    ours = ogive.load("image_gpt", "ImageGPT.S", dim=64, depth=3, heads=4, colours=16, side=4)
    theirs = reference(n_embd=64, n_layer=3, n_head=4, vocab_size=17, n_positions=16)
    hold_first_weights(lambda: ogive.compile(ours), lambda: theirs)


def numbers(network: ogive.network.Network, **sizes: int) -> int:
    """Of all matrices of attention together, pairs that are masked included, for one image."""
    found = 0
    for node in network.graph.nodes.values():
        if isinstance(node.primitive, Attend):
            queries, keys = (evaluate(network.graph.tensor(edge).shape[1], sizes) for edge in node.inputs[:2])
            found += node.primitive.heads * queries * keys
    return found


def test_pixels_and_patches() -> None:
    """R^4 numbers in each of 48 x 16 matrices: 768 GiB for 128 x 128 pixels, 112.5 MiB for 14 x 14 patches."""
    network = ogive.load("image_gpt", "ImageGPT.L128")
    whole = numbers(network, B=1, N=128 * 128)
    assert whole == 48 * 16 * 128**4 and 128**4 == 268_435_456
    assert 4 * whole == 768 * GIB
    assert round(4 * numbers(network, B=1, N=14 * 14) / MIB, 1) == 112.5


@pytest.mark.parametrize("preset", quickly(["S", "M", "L"]))
def test_keys_and_shapes(preset: str) -> None:
    network = ogive.load("image_gpt", f"ImageGPT.{preset}")
    dim, depth, heads = (network.settings[k] for k in ("dim", "depth", "heads"))
    with torch.device("meta"):
        ours, theirs = ogive.compile(network), reference(n_embd=dim, n_layer=depth, n_head=heads)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}
    assert network.parameter_count == sum(p.numel() for p in theirs.parameters())
