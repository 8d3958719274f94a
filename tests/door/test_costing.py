"""`ogive summary` in its forms and `ogive sweep`: tables that add up, CSV, JSON, formulas, times, plots."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from door.command import SMALL, ogive, refused

from ogive.commands.sweeping import values_of
from ogive.compiler.targets import TARGETS


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.arch").write_text(SMALL, encoding="utf-8")


def _rows(*words: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(ogive(*words, "--csv").out)))


def test_csv_has_every_row_and_its_leaves_add_up() -> None:
    rows = _rows("summary", "small.arch", "Small.S", "--target", "h100")
    whole, *parts = rows
    leaves = [r for r in parts if r["op"] and r["path"] != "blocks"]
    for what in ("params", "macs", "macs_dense", "weight_bytes", "bytes_moved", "kept_bytes", "nodes"):
        assert sum(int(r[what]) * int(r["runs"]) for r in leaves) == int(whole[what]), what
    spent = sum(float(r["seconds"]) * int(r["runs"]) for r in leaves)
    assert spent == pytest.approx(float(whole["seconds"])) and spent > 0
    assert {r["field"] for r in rows if r["name"] == "stem"} == {"4"}


def test_one_sequence_three_layers() -> None:
    """Steps in turn and layers to see 512 places, as they are told; what takes no steps says nothing of them."""
    steps, sight = "steps: 512 in turn", "on, through 1 layer that looks at others"
    recurrent = ogive("summary", "three_layers", "Sequence.recurrent", "--size", "N=512", "--wide").out
    attended = ogive("summary", "three_layers", "Sequence.attended", "--size", "N=512", "--wide").out
    assert steps in recurrent and f"`layers.0.mix.rnn` {sight}" in recurrent
    assert "steps:" not in attended and f"`layers.0.mix.attn.core` {sight}" in attended
    convolved = json.loads(ogive("summary", "three_layers", "Sequence.convolved", "--size", "N=512", "--json").out)
    assert convolved["steps"] == 0 and convolved["sight"] == {"node": "layers.255.mix.conv", "layers": 256}
    formulas = ogive("summary", "three_layers", "Sequence.recurrent", "--size", "N=512", "--formula").out
    assert formulas.splitlines()[-1].split() == ["steps", "in", "turn", "N"]


def test_json_holds_the_totals() -> None:
    data = json.loads(ogive("summary", "swin", "Swin.T", "--json", "--target", "a100", "--precision", "bf16").out)
    assert data["macs"] < data["macs_dense"] and data["seconds"] > 0
    assert data["memory"]["weights"] == 2 * 28_288_354
    assert data["memory"]["inference"] > data["memory"]["weights"] + data["memory"]["inputs"]


def test_sorted_the_largest_first() -> None:
    out = ogive("summary", "vit", "ViT.Ti", "--depth", "1", "--sort", "params").out.splitlines()[2:6]
    assert [line.split()[0] for line in out] == ["blocks", "head", "patch_embed", "pos_embed"]
    refused(ogive("summary", "vit", "ViT.Ti", "--sort", "time"), 2, "`--sort time` needs a target", "`--target h100`")


def test_by_op_and_by_block() -> None:
    ops = ogive("summary", "resnet", "ResNet.r18", "--by", "op").out
    assert ops.splitlines()[1].split()[:3] == ["conv", "20", "11,166,912"]
    blocks = ogive("summary", "resnet", "ResNet.r18", "--by", "block").out
    assert blocks.splitlines()[1].split()[:3] == ["BasicBlock", "8", "11,166,976"]


def test_formulas_are_shown() -> None:
    out = ogive("summary", "unet", "--formula").out
    assert "735040*B*H*W" in out and "31037698" in out
    data = json.loads(ogive("summary", "unet", "--formula", "--json").out)
    assert data["macs"] == "735040*B*H*W" and data["inference"] == "1280*B*H*W"


@pytest.mark.parametrize(("words", "part"), [
    (("--target", "h1000"), "there is no target `h1000`"), (("--target", "auto"), "names no device"),
    (("--precision", "int9"), "there is no precision `int9`"), (("--csv", "--json"), "two forms"),
])
def test_what_makes_no_sense_is_refused(words: tuple[str, ...], part: str) -> None:
    refused(ogive("summary", "small.arch", "Small.S", *words), 2, part)


@pytest.mark.parametrize("target", [t.name for t in TARGETS.values() if t.gpu is not None])
def test_halves_are_no_slower_on_any_gpu(target: str) -> None:
    words = ("summary", "small.arch", "Small.S", "--json", "--target", target, "--precision")
    wide, half = (json.loads(ogive(*words, p).out)["seconds"] for p in ("float32", "bf16"))
    assert 0 < half <= wide


# ----------------------------------------------------------------------------------------------------------- sweep


def test_every_combination_is_a_row() -> None:
    rows = _rows("sweep", "small.arch", "Small", "--set", "dim=8:16:4", "--set", "depth=1,3")
    assert [(r["dim"], r["depth"]) for r in rows] == [(d, n) for d in ("8", "12", "16") for n in ("1", "3")]
    assert [r["params"] for r in rows if r["dim"] == "8" and r["depth"] == "3"] == ["1370"]
    assert len({r["macs"] for r in rows}) == 6 and all(not r["error"] for r in rows)


def test_what_cannot_be_built_says_why() -> None:
    rows = _rows("sweep", "vit", "ViT.S", "--set", "dim=384,400", "--set", "depth=2")
    assert rows[0]["error"] == "" and int(rows[0]["params"]) > 0
    assert rows[1]["error"].startswith("A203: ") and rows[1]["params"] == ""
    assert "A203: " in ogive("sweep", "vit", "ViT.S", "--set", "dim=384,400", "--set", "depth=2").out
    assert ogive("sweep", "vit", "ViT.S", "--set", "dim=400").code == 1


def test_sets_of_pairs_are_compared() -> None:
    data = json.loads(ogive("sweep", "vit", "ViT.Ti", "--set", "over=dense,window(7) | prefix", "--set", "depth=2",
                            "--json").out)
    dense, windows = data
    assert dense["macs"] == dense["macs_dense"] == windows["macs_dense"] > windows["macs"]


def test_the_plot_has_a_line_for_each_and_escapes_what_it_says() -> None:
    sets = 'over=dense,kernel("elu"),window(7) | prefix'
    answer = ogive("sweep", "vit", "ViT.Ti", "--set", "depth=1:3", "--set", sets, "--target", "h100", "--plot", "a.svg")
    assert answer.code == 0 and "wrote a.svg" in answer.err
    tree = ET.parse("a.svg").getroot()
    space = {"s": "http://www.w3.org/2000/svg"}
    texts = ["".join(x.itertext()) for x in tree.iterfind(".//s:text", space)]
    for word in ("parameters", "multiply-adds", "memory, forward", "memory, training", "time, at least", "depth"):
        assert word in texts
    assert 'over=kernel("elu")' in texts
    assert len(tree.findall(".//s:g", space)) == 5
    assert len(tree.findall(".//s:circle", space)) == 5 * 9 + 3
    wide, high = float(tree.get("width", 0)), float(tree.get("height", 0))
    assert all(0 <= float(x.get("x", 0)) <= wide and 0 <= float(x.get("y", 0)) <= high
               for x in tree.iterfind(".//s:text", space))


@pytest.mark.parametrize(("text", "values"), [
    ("192:768:192", ("192", "384", "576", "768")), ("1:3", ("1", "2", "3")), ("0.1:0.3:0.1", ("0.1", "0.2", "0.3")),
    ("7", ("7",)), ('dense,window(7, shift=3),"a,b"', ("dense", "window(7, shift=3)", '"a,b"')),
    ("[1, 2],[3, 4]", ("[1, 2]", "[3, 4]")), ("4,4,2", ("4", "2")),
])
def test_values(text: str, values: tuple[str, ...]) -> None:
    assert values_of("x", text) == values


@pytest.mark.parametrize(("words", "part"), [
    (("--set", "dim=8:4:1"), "counts nowhere"), (("--set", "dim=8:16:0"), "counts nowhere"),
    (("--set", "dim=1:100000"), "values; 500 at most"), (("--set", "dim=8,,16"), "an empty value"),
    (("--set", "dim=1:40", "--set", "depth=1:40"), "at most 500 variants; here are 1,600"),
    (("--set", "dim=8", "--plot", "a.png"), "a plot is an SVG file"), (("--set", "dim=1.2.3:4"), "is no range"),
])
def test_a_sweep_that_makes_no_sense_is_refused(words: tuple[str, ...], part: str) -> None:
    refused(ogive("sweep", "small.arch", "Small", *words), 2, part)


# ----------------------------------------------------------------------------------------------------------- budgets


def test_check_tells_of_budgets() -> None:
    text = SMALL.replace("    input image", "    expect params <= 6k, memory <= 8MB at B=2\n\n    input image", 1)
    Path("small.arch").write_text(text, encoding="utf-8")
    assert "6 budgets" in ogive("check", "small.arch").out
    report = json.loads(ogive("check", "small.arch", "--json").out)["files"][0]
    assert {(b["figure"], b["most"]) for b in report["budgets"]} == {("params", 6000), ("memory", 8_000_000)}
    assert all(b["holds"] for b in report["budgets"])
    Path("small.arch").write_text(text.replace("6k", "1k"), encoding="utf-8")
    assert ogive("check", "small.arch").code == 1
    assert ogive("check", "--no-claims", "small.arch").code == 0
