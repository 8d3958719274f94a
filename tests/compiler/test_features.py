"""Values on the way, by key path."""

from __future__ import annotations

import copy

import pytest
import torch

import ogive
from ogive import ArchError

TEXT = """
block Part(width):
    input x: ... C
    norm = layernorm
    fc = linear(width)
    gelu

network Net:
    input x: B 4
    shared g = Part(4)
    x -> g
    _ -> g
    repeat 3 as blocks[i]:
        residual:
            fc = linear(4)
    body = Part(6)
    head = linear(2)
"""


def test_values_are_those_of_the_run() -> None:
    module = ogive.compile(ogive.loads(TEXT))
    x = torch.randn(3, 4)
    found = ogive.features(module, x, ["head", "blocks.1", "body", "g"])
    assert list(found) == ["head", "blocks.1", "body", "g"]
    torch.testing.assert_close(found["head"], module(x))
    once = torch.nn.functional.gelu(module.g.fc(module.g.norm(x)))
    twice = torch.nn.functional.gelu(module.g.fc(module.g.norm(once)))
    torch.testing.assert_close(found["g"], twice)
    y = twice
    for i in range(2):
        y = y + getattr(module.blocks, str(i)).fc(y)
    torch.testing.assert_close(found["blocks.1"], y)
    torch.testing.assert_close(module.head(found["body"]), found["head"])


def test_gradients_flow_and_copies_answer() -> None:
    module = ogive.compile(ogive.loads(TEXT))
    x = torch.randn(3, 4)
    ogive.features(module, x, ["blocks.0"])["blocks.0"].sum().backward()
    assert module.g.fc.weight.grad is not None
    assert module.head.weight.grad is None
    other = copy.deepcopy(module).eval()
    torch.testing.assert_close(ogive.features(other, x, ["body"])["body"], ogive.features(module, x, ["body"])["body"])


def test_stops_at_the_last_value() -> None:
    module = ogive.compile(ogive.loads(TEXT))
    module.head.register_forward_hook(lambda *_: pytest.fail("the head ran"))
    ogive.features(module, torch.randn(3, 4), ["blocks.2"])
    assert ogive.features(module, torch.randn(3, 4), []) == {}


def test_an_unknown_path_offers_the_nearest() -> None:
    module = ogive.compile(ogive.loads(TEXT))
    with pytest.raises(ArchError, match=r"A711[\s\S]*did you mean `blocks\.2`"):
        ogive.features(module, torch.randn(3, 4), ["blocks.22"])
    with pytest.raises(ArchError, match="A703"):
        ogive.features(module, torch.randn(4), ["head"])


def test_frozen_values_are_right_or_refused() -> None:
    module = ogive.compile(ogive.load("resnet", "ResNet.r18")).eval()
    for name, buffer in module.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    frozen = ogive.freeze(module)
    x = torch.randn(1, 3, 64, 64)
    kept = list(frozen.meta["ogive"]["results"])
    assert {"layer1", "layer3.1", "fc"} <= set(kept)
    wanted, found = ogive.features(module, x, kept), ogive.features(frozen, x, kept)
    for path in kept:
        assert (found[path] - wanted[path]).abs().max() <= 1e-4 * wanted[path].abs().max(), path
    with pytest.raises(ArchError, match="folded"):
        ogive.features(frozen, x, ["layer1.0.conv1"])
