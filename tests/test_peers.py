"""The peers themselves: both import here, and make networks that run."""

from __future__ import annotations

import importlib.metadata

import peers
import pytest
import torch

pytestmark = pytest.mark.peer


@pytest.mark.parametrize("name", ["torchvision.resnet18", "resnet18", "vit_small_patch16_224"])
def test_a_peer_runs(name: str) -> None:
    model = peers.create(name, num_classes=10).eval()
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 224, 224)).shape == (1, 10)


def test_a_missing_peer_is_skipped_and_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(pytest.skip.Exception, match=r"timm 1\.0\.31 is not installed: pip install -e \.\[peers\]"):
        peers._installed("timm")


def test_another_version_of_a_peer_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda package: "1.0.30")
    with pytest.raises(pytest.skip.Exception, match=r"timm is 1\.0\.30, the tests are written for 1\.0\.31"):
        peers._installed("timm")
