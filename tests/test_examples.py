"""The examples run: each shortened in the quick suite, in full, and to what it should come to, in the long one."""

from __future__ import annotations

import importlib.util
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

FOLDER = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(FOLDER.glob("[0-9][0-9]_*.py"))


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The examples import what lies beside them, take one thread, and draw from the seed that they set."""
    monkeypatch.syspath_prepend(str(FOLDER))
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


def script(place: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{place.stem}", place)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run(name: str, folder: Path, quick: bool) -> Any:
    [place] = [p for p in SCRIPTS if p.stem == name]
    answer = script(place).main(quick=quick, out=folder)
    [picture] = folder.glob("*.svg")
    assert ET.parse(picture).getroot().tag.endswith("svg")
    return answer


def test_they_are_numbered() -> None:
    assert [p.name[:2] for p in SCRIPTS] == [f"{i + 1:02}" for i in range(len(SCRIPTS))]


@pytest.mark.parametrize("name", [p.stem for p in SCRIPTS])
def test_shortened(name: str, tmp_path: Path) -> None:
    assert run(name, tmp_path, quick=True) is not None


@pytest.mark.long
def test_digits(tmp_path: Path) -> None:
    shares = run("01_digits", tmp_path, quick=False)
    assert shares["Digits"] > 0.96 and shares["ConvDigits"] > 0.98


@pytest.mark.long
def test_distillation(tmp_path: Path) -> None:
    """Both ways of listening to the teacher end close to it, and not below the student with labels alone."""
    shares = run("02_distillation", tmp_path, quick=False)
    assert shares["teacher"] > 0.98 and min(shares["soft"], shares["hard"]) > 0.945
    assert max(shares["soft"], shares["hard"]) >= shares["labels alone"]


@pytest.mark.long
def test_segmentation(tmp_path: Path) -> None:
    assert run("03_segmentation", tmp_path, quick=False) > 0.65


@pytest.mark.long
def test_detection(tmp_path: Path) -> None:
    assert run("04_detection", tmp_path, quick=False) > 0.75


@pytest.mark.long
def test_reversing(tmp_path: Path) -> None:
    assert run("05_reversing", tmp_path, quick=False) > 0.95


@pytest.mark.long
def test_cls_attention(tmp_path: Path) -> None:
    """The class token does not look everywhere alike: its weights are a softmax, and not a flat one."""
    layers = run("06_cls_attention", tmp_path, quick=False)
    assert all((weights.sum((1, 2)) < 1).all() for weights in layers)  # the rest is what it sees of itself
    assert max(float(weights.amax((1, 2)).mean()) for weights in layers) > 2 / 17


@pytest.mark.long
def test_variant(tmp_path: Path) -> None:
    assert run("07_variant", tmp_path, quick=False) > 0.94
