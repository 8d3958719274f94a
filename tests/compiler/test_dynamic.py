"""Free sizes go over to torch.export: one export serves every size that the file allows."""

from __future__ import annotations

import pytest
import torch

import ogive


@pytest.mark.parametrize(("name", "network"), [("resnet", "ResNet.r18"), ("unet", None)])
def test_one_export_serves_every_size(name: str, network: str | None) -> None:
    net = ogive.load(name, network) if network else ogive.load(name)
    model = ogive.compile(net).eval()
    shapes = ogive.dynamic_shapes(model)
    small, large = torch.randn(2, 3, 64, 64), torch.randn(3, 3, 96, 128)
    exported = torch.export.export(model, (small,), dynamic_shapes=shapes)
    with torch.no_grad():
        assert torch.equal(exported.module()(large), model(large))


def test_promises_are_multiples() -> None:
    model = ogive.compile(ogive.load("unet"), device="meta")
    shapes = ogive.dynamic_shapes(model)
    assert set(shapes["image"]) == {0, 2, 3}
    assert str(shapes["image"][2]) == "16*H_16"


def test_pinned_axes_are_not_mentioned() -> None:
    net = ogive.loads("network N:\n    input x: B 3 H=32 W, y: B N 8\n    conv = x -> conv(4, 3x3)\n")
    shapes = ogive.dynamic_shapes(ogive.compile(net, device="meta"))
    assert set(shapes["x"]) == {0, 3} and set(shapes["y"]) == {0, 1}
    assert shapes["x"][0] is shapes["y"][0]
