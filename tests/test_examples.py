"""The examples run: each shortened in the quick suite, in full, and to what it should come to, in the long one."""

from __future__ import annotations

import importlib.util
import math
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import ogive

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
    answer = named(name).main(quick=quick, out=folder)
    [picture] = folder.glob("*.svg")
    assert ET.parse(picture).getroot().tag.endswith("svg")
    return answer


def test_they_are_numbered() -> None:
    assert [p.name[:2] for p in SCRIPTS] == [f"{i + 1:02}" for i in range(len(SCRIPTS))]


@pytest.mark.parametrize("name", [p.stem for p in SCRIPTS])
def test_shortened(name: str, tmp_path: Path) -> None:
    assert run(name, tmp_path, quick=True) is not None


def named(name: str) -> ModuleType:
    [place] = [p for p in SCRIPTS if p.stem == name]
    return script(place)


def test_the_loss_of_masked_words() -> None:
    """Minus the mean log p of the true word at masked places: 1/2 and 1/8 give 2 log 2; the place in plain sight, 1e-9
    there, does not count."""
    said = torch.tensor([[[0.5, 0.5], [1e-9, 1.0], [0.125, 0.875]]]).log()
    ids, hidden = torch.zeros(1, 3, dtype=torch.long), torch.tensor([[True, False, True]])
    assert float(named("08_masked_words").loss_of(said, ids, hidden)) == pytest.approx(2 * math.log(2))


def test_a_share_of_the_known_words_is_masked() -> None:
    module = named("08_masked_words")
    torch.manual_seed(0)
    ids = torch.full((400, 50), 7)
    ids[:, :10] = module.UNKNOWN
    seen, hidden = module.masked(ids)
    assert not hidden[:, :10].any() and abs(float(hidden[:, 10:].float().mean()) - 0.15) < 0.01
    assert (seen[hidden] == module.MASK).all() and (seen[~hidden] == ids[~hidden]).all()


def test_offsets_lead_from_box_to_box() -> None:
    boxes = importlib.import_module("boxes")
    a, b = torch.tensor([[2.0, 3.0, 6.0, 11.0]]), torch.tensor([[3.0, 3.0, 11.0, 7.0]])
    assert boxes.offsets(a, b).tolist()[0] == pytest.approx([3 / 4, -2 / 8, math.log(2), math.log(0.5)])
    assert torch.allclose(boxes.moved(a, boxes.offsets(a, b)), b)
    assert boxes.overlaps(a, b)[0].item() == pytest.approx(12 / (32 + 32 - 12))


def test_the_strongest_of_boxes_that_overlap() -> None:
    boxes = importlib.import_module("boxes")
    three = torch.tensor([[[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 5.0], [8.0, 8.0, 12.0, 12.0]]])
    assert boxes.strongest(three, torch.tensor([[0.8, 0.9, 0.1]]), 2).tolist() == [[1, 2]]


def test_the_head_at_the_class_token_is_the_answer() -> None:
    module = named("10_similarity")
    model = ogive.compile(ogive.load(str(FOLDER / "01_digits.arch"), "Digits")).eval()
    images, labels = torch.rand(3, 1, 8, 8), torch.tensor([4, 0, 9])
    told, over = module.told(model, images, labels)
    with torch.inference_mode():
        assert torch.allclose(told, model(images)[torch.arange(3), labels], atol=1e-6)
    assert over.shape == (3, 4, 4)


def test_similarity_does_not_see_turns_and_sizes() -> None:
    """Linear CKA of a value with itself, turned and scaled, is 1, and near 0 with noise."""
    torch.manual_seed(0)
    x, turn = torch.randn(500, 6), torch.linalg.qr(torch.randn(6, 6)).Q
    found = named("10_similarity").similarity([x], [3 * x @ turn + 1, torch.randn(500, 6)])
    assert found[0, 0].item() == pytest.approx(1) and found[0, 1] < 0.05


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


@pytest.mark.long
def test_masked_words(tmp_path: Path) -> None:
    """In modules that it never saw it names twice as many as the commonest word would, at least."""
    shares = run("08_masked_words", tmp_path, quick=False)
    assert shares["guessed"] > 2 * shares["commonest word"]


@pytest.mark.long
def test_two_stages(tmp_path: Path) -> None:
    shares = run("09_two_stages", tmp_path, quick=False)
    assert shares["found"] > 0.9 and shares["right"] > 0.9


@pytest.mark.long
def test_similarity(tmp_path: Path) -> None:
    """Nodes beside each other are more alike than first and last; so are positions beside each other."""
    found = run("10_similarity", tmp_path, quick=False)
    position = found.pop("position")
    for table in list(found.values())[:2]:
        assert torch.allclose(table.diagonal(), torch.ones(len(table)).double())
    conv = found["conv net"]
    assert conv.diagonal(1).mean() > 0.8 > conv[0, -1]
    far = torch.cdist(*[torch.cartesian_prod(torch.arange(4.0), torch.arange(4.0))] * 2)
    likeness = position.flatten(1)
    assert likeness[far == 1].mean() > 0.1 > likeness[far > 2].mean()
