"""The networks ours are held against: timm, torchvision and transformers, at the versions pyproject.toml names.

    import peers

    reference = peers.create("vit_small_patch16_224", num_classes=10)  # timm
    reference = peers.create("torchvision.resnet18")                   # torchvision
    reference = peers.transformers().BertModel(config)                 # transformers

A test that asks for a peer that is not installed is skipped, and says how to get it. Nothing is downloaded: weights are
random, as each library draws them.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from functools import cache
from types import ModuleType
from typing import Any

import pytest
import torch

__all__ = ["create", "timm", "torchvision", "transformers"]

_VERSIONS = {"timm": "1.0.31", "torchvision": "0.28.0"}

# What torchvision/_meta_registrations.py gives a fake kernel to (`register_fake`) whether or not the compiled operators
# could be loaded. Beside a torch of another build they cannot, and the import dies on the first of these names.
_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[torch.library.Library] = []  # a Library takes its names with it when it is collected


@cache
def torchvision() -> ModuleType:
    """torchvision, with or without its compiled operators: its models need none of them."""
    _installed("torchvision")
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
    for name in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for signature in _OPERATORS:
        library.define(signature)
    _declared.append(library)
    return importlib.import_module("torchvision")


@cache
def timm() -> ModuleType:
    """timm, which imports torchvision."""
    _installed("timm")
    torchvision()
    return importlib.import_module("timm")


@cache
def transformers() -> ModuleType:
    """transformers, which imports torchvision; any version of 5."""
    torchvision()
    try:
        version = importlib.metadata.version("transformers")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("transformers is not installed: pip install -e .[peers]")
    if version.split(".")[0] != "5":
        pytest.skip(f"transformers is {version}, the tests are written for 5: pip install -e .[peers]")
    return importlib.import_module("transformers")


def create(name: str, **settings: Any) -> torch.nn.Module:
    """The peer's network with random weights: `resnet18` is timm's, `torchvision.resnet18` is torchvision's."""
    if name.startswith("torchvision."):
        return torchvision().models.get_model(name.removeprefix("torchvision."), weights=None, **settings)
    return timm().create_model(name, pretrained=False, **settings)


def _installed(package: str) -> None:
    """Skip the test that asks when the package is not there, or is another version than the one we promise to equal."""
    wanted = _VERSIONS[package]
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{package} {wanted} is not installed: pip install -e .[peers]")
    if version.split("+")[0] != wanted:
        pytest.skip(f"{package} is {version}, the tests are written for {wanted}: pip install -e .[peers]")
