"""`ogive calibrate`: pictures, arrays, what is written, and what reads it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from door.command import ogive as run
from PIL import Image

import ogive
from ogive.compiler.calibrate.plan import read_plan

NET = """network Small:
    input image: B 3 H=8 W=8
    patches = patchify(32, 2x2)
    qkv     = linear(96)
    q, k, v = split(3)
    q, k, v -> attend(2)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network, its weights, and a folder of two pictures and an array."""
    monkeypatch.chdir(tmp_path)
    Path("small.arch").write_text(NET, "utf-8")
    ogive.save_weights(ogive.compile(ogive.load("small.arch")), "w.safetensors")
    Path("data").mkdir()
    draw = np.random.default_rng(0)
    for i in range(2):
        Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(f"data/{i}.png")
    np.save("data/2.npy", draw.standard_normal((3, 8, 8)).astype("float32"))
    Path("data/notes.txt").write_text("no input", "utf-8")
    return tmp_path


def test_a_folder_becomes_a_plan(folder: Path) -> None:
    done = run("calibrate", "small.arch", "--data", "data", "--weights", "w.safetensors", "-o", "plan.json", "--plot",
               "errors.svg")
    assert done.code == 0 and done.err.splitlines() == ["wrote plan.json", "wrote errors.svg"]
    assert done.out.splitlines()[0].split() == ["attention", "int8", "int8-token", "int8-fp8", "bf16", "plan", "why"]
    assert "INT8 at 1 of 1 attentions, worst of 3 samples" in done.out
    plan = read_plan("plan.json")
    assert plan.samples == 3 and len(plan.weights) == 64 and list(plan.attentions) == ["attend"]
    assert ElementTree.fromstring(Path("errors.svg").read_text("utf-8")).tag.endswith("svg")
    assert not [x for x in folder.iterdir() if x.name.startswith(".ogive")]
    told = run("explain", "small.arch", "--target", "cpu", "--precision", "plan.json")
    assert told.code == 0 and f"kernel   torch's own, from codes: {plan.attentions['attend'].form}" in told.out
    assert f"measured off by {plan.attentions['attend'].told()}" in told.out


def test_the_worst_sample_counts_and_a_limit_leaves_some_out(folder: Path) -> None:
    rows = np.random.default_rng(1).standard_normal((3, 3, 8, 8)).astype("float32")
    rows[2] *= 10  # one whose attention is sharp
    np.savez("x.npz", image=rows)

    def worst(*more: str) -> float:
        done = run("calibrate", "small.arch", "--data", "x.npz", "--weights", "w.safetensors", "--json", *more)
        assert done.code == 0
        return float(json.loads(done.out)["attentions"]["attend"]["errors"]["int8"]["l2"])

    assert worst() > 2 * worst("--limit", "2") > 0


@pytest.mark.parametrize(("words", "code"), [
    (("--data", "nowhere"), "A751"), (("--data", "small.arch"), "A751"), (("--data", "broken.npz"), "A751"),
    (("--data", "objects.npz"), "A751"), (("--data", "wide"), "A751"), ((), "A803"),
    (("--data", "data", "-o", "plan.txt"), "A803"), (("--data", "data", "--weights", "none.safetensors"), "A731"),
    (("--data", "data", "-o", "nowhere/plan.json"), "A804"), (("--data", "uneven.npz"), "A751"),
])
def test_what_does_not_go_is_an_error(folder: Path, words: tuple[str, ...], code: str) -> None:
    Path("broken.npz").write_bytes(b"PK\x03\x04 no archive")
    np.savez("objects.npz", image=np.array([{}], dtype=object))
    np.savez("uneven.npz", image=np.zeros((0, 3, 8, 8), np.float32))
    Path("wide").mkdir()
    Image.new("RGB", (9, 8)).save("wide/0.png")
    given = words if "--weights" in words else (*words, "--weights", "w.safetensors")
    done = run("calibrate", "small.arch", *given)
    assert done.code in (1, 2) and f"error[{code}]" in done.err and "Traceback" not in done.err
    assert "= help: " in done.err or code in ("A804", "A731")
