"""Safetensors files: whole or not at all, ties once, and every mismatch named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import ogive
from ogive import ArchError
from ogive.compiler.export.weights import load_weights, read, save_weights

TIED = """
network Tied(vocab=11, dim=8):
    input ids: B N of int
    wte = embedding(vocab, dim)
    norm = batchnorm
    head = linear(vocab, bias=False, weight=wte.weight)
"""


def tied(**settings: Any) -> Any:
    return ogive.compile(ogive.loads(TIED, **settings))


def test_there_and_back(tmp_path: Path) -> None:
    a, b = tied(), tied()
    path = save_weights(a, tmp_path / "a.safetensors")
    load_weights(b, path)
    assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
    assert b.head.weight is b.wte.weight
    assert os.listdir(tmp_path) == ["a.safetensors"]
    assert set(read(path)) == set(a.state_dict())


def test_a_tie_is_written_once(tmp_path: Path) -> None:
    path = save_weights(tied(), tmp_path / "a.safetensors")
    with safetensors.safe_open(path, framework="pt") as file:
        assert "head.weight" not in file.keys() and "wte.weight" in file.keys()  # noqa: SIM118
        assert file.metadata() == {"format": "pt", "shared:head.weight": "wte.weight"}
    # Other programs drop one of the two without a word.
    state = {k: v.clone() for k, v in tied().state_dict().items() if k != "wte.weight"}
    safetensors.torch.save_file(state, path)
    module = tied()
    load_weights(module, path)
    assert torch.equal(module.wte.weight, state["head.weight"])


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda s: s.pop("norm.bias"), "A732", ["1 weight not in the file", "norm.bias"]),
        (lambda s: s.update({"norm.bia": s.pop("norm.bias")}), "A732", ["norm.bias (near: norm.bia)"]),
        (lambda s: s.update(extra=torch.zeros(1)), "A732", ["extra", "does not have"]),
        (lambda s: s.update({"norm.bias": torch.zeros(3)}), "A733", ["norm.bias: 3 in the file, 8 in the network"]),
        (lambda s: s.update({"norm.bias": torch.zeros(8).long()}), "A734", ["torch.int64 in the file"]),
        (lambda s: s["norm.bias"].fill_(float("nan")), "A735", ["norm.bias", "not finite"]),
    ],
)
def test_mismatches_are_named_and_nothing_is_loaded(change: Any, code: str, words: list[str], tmp_path: Path) -> None:
    state = {k: v.clone() for k, v in tied().state_dict().items() if k != "head.weight"}
    change(state)
    safetensors.torch.save_file(state, tmp_path / "a.safetensors")
    module = tied()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    with pytest.raises(ArchError) as caught:
        load_weights(module, tmp_path / "a.safetensors")
    assert code in caught.value.codes
    for word in [*words, "nothing was loaded"]:
        assert word in str(caught.value)
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


def test_files_that_are_none(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, tmp_path / "pickled.pt")
    (tmp_path / "empty").touch()
    for name in ("pickled.pt", "empty", "missing", "."):
        with pytest.raises(ArchError, match="A731"):
            load_weights(tied(), tmp_path / name)
    with pytest.raises(ArchError, match="A730"):
        save_weights(tied(), tmp_path / "nowhere" / "a.safetensors")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_weights(tied(), tmp_path / "a.safetensors")
    before = path.read_bytes()

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(ArchError, match="No space left"):
        save_weights(tied(), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.safetensors"]


def test_a_frozen_module_has_its_own_file(tmp_path: Path) -> None:
    a = ogive.freeze(ogive.compile(ogive.load("resnet", "ResNet.r18")))
    b = ogive.freeze(ogive.compile(ogive.load("resnet", "ResNet.r18")))
    x = torch.randn(1, 3, 32, 32)
    b(x)
    load_weights(b, save_weights(a, tmp_path / "a.safetensors"))
    assert torch.equal(a(x), b(x))
