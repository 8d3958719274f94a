"""Networks to draw: from the library, from a text, and one whose every name is hostile."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from ogive.dsl.build import build
from ogive.dsl.graph import Graph
from ogive.dsl.load import load_library, load_text

LIBRARY = {"vit": "ViT.B", "resnet": "ResNet.r50", "unet": "UNet", "mixer": "MLPMixer.B16"}


@cache
def _library(network: str) -> Graph:
    file = next(f for f, n in LIBRARY.items() if n.split(".")[0] == network.split(".")[0])
    return build(load_library(file), network).graph


@cache
def _text(text: str) -> Graph:
    return build(load_text(text, "drawn.arch")).graph


@pytest.fixture
def library() -> Callable[[str], Graph]:
    """A network of the library, by its name."""
    return _library


@pytest.fixture
def network() -> Callable[[str], Graph]:
    """The network of a text."""
    return _text


@pytest.fixture(params=LIBRARY.values())
def drawn(request: pytest.FixtureRequest) -> Graph:
    """Each of the four networks that are looked at."""
    return _library(request.param)
