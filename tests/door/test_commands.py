"""What each command prints when all is well."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest
from door.command import SMALL, ogive, refused
from PIL import Image

from ogive import __version__
from ogive.compiler.picture.render import is_available


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.arch").write_text(SMALL)
    return tmp_path


def _json(*words: str) -> object:
    answer = ogive(*words, "--json")
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


def test_help_names_every_command() -> None:
    answer = ogive("--help")
    assert answer.code == 0
    for name in ("list", "check", "summary", "keys", "draw", "compile", "run", "fmt"):
        assert f"\n  {name} " in answer.out
        assert ogive(name, "--help").code == 0


def test_version() -> None:
    assert ogive("--version").out == f"ogive {__version__}\n"


def test_list() -> None:
    detail = ogive("list", "vit").out.splitlines()
    assert detail[3].split()[:6] == ["vit", "ViT.B", "86.6", "M", "17.6", "G"]
    assert detail[3].endswith("Dosovitskiy et al. 2020, arXiv:2010.11929")
    assert ogive("list", "bert").out.splitlines()[1].split()[4:10] == ["11.2", "G", "ids", "1x128,", "segment", "1x128"]
    data = _json("list", "vit")
    assert isinstance(data, list) and data[0]["variants"][2] == {
        "name": "ViT.B", "params": 86_567_656, "macs": 17_563_828_224, "at": "",
    }


def test_a_chart_of_the_library() -> None:
    """A disc for each network, further right with more multiply-adds, its area the parameters, beside it its name."""
    assert "wrote chart.svg" in ogive("list", "vgg", "vit", "alexnet", "--chart", "chart.svg").err
    marks = [x for x in ET.parse("chart.svg").getroot() if x.tag.rpartition("}")[2] in ("circle", "text")]
    found = {name.text: disc for disc, name in pairwise(marks) if disc.tag.endswith("circle")}
    years = [x.text for x in marks if x.get("text-anchor") == "end"]
    assert set(found) == {"AlexNet", "VGG.v16", "ViT.B"} and years == ["2012", "2014", "2020"]
    x, r = ({name: float(disc.get(key, "")) for name, disc in found.items()} for key in ("cx", "r"))
    assert x["AlexNet"] < x["VGG.v16"] < x["ViT.B"]
    assert (r["VGG.v16"] / r["AlexNet"]) ** 2 == pytest.approx(138_357_544 / 61_100_840, rel=0.03)
    refused(ogive("list", "vit", "--chart", "chart.png"), 2, "a chart is an SVG file", "--chart library.svg")


@pytest.mark.long
def test_list_of_everything() -> None:
    answer = ogive("list")
    assert answer.out.splitlines()[0].split() == ["file", "network", "presets", "params", "MACs", "paper"]
    assert any(line.startswith("vit ") and "Ti S B L H" in line and "5.72 - 632 M" in line
               for line in answer.out.splitlines())
    assert "std" not in answer.out


def test_check() -> None:
    answer = ogive("check", "small.arch", "vit")
    assert answer.code == 0 and "no result needs `spare`: it is left out of the network" in answer.err
    assert answer.out.splitlines()[:7] == [
        "small.arch: ok, 3 networks, 1 published figure", "  Small.S  1,370 parameters",
        "  Small.L  4,266 parameters", "  Small    1,370 parameters", "  assumes H % 4 == 0, line 19",
        "  assumes W % 4 == 0, line 19", "  drops `spare`, line 21: no result needs it",
    ]
    assert "vit: ok, 10 networks" in answer.out


def test_check_reads_stdin_and_folders(folder: Path) -> None:
    assert ogive("check", "-", input=SMALL).out.startswith("<stdin>: ok, 3 networks")
    assert ogive("check", str(folder)).out.startswith(f"{folder / 'small.arch'}: ok")


def test_check_goes_on_behind_a_mistake() -> None:
    Path("wrong.arch").write_text(SMALL.replace("gelu", "gleu"))
    answer = ogive("check", "wrong.arch", "small.arch")
    assert answer.code == 1
    assert "wrong.arch: 1 mistake\n" in answer.out and "small.arch: ok" in answer.out
    assert "did you mean `gelu`?" in answer.err
    data = json.loads(ogive("check", "wrong.arch", "small.arch", "--json").out)
    assert [f["ok"] for f in data["files"]] == [False, True] and not data["ok"]
    assert data["files"][0]["mistakes"][0]["span"]["line"] == 6


def test_check_without_claims() -> None:
    Path("small.arch").write_text(SMALL.replace("1_370", "1_371"))
    assert ogive("check", "small.arch").code == 1
    assert ogive("check", "--no-claims", "small.arch").code == 0


def test_summary() -> None:
    lines = ogive("summary", "small.arch", "Small.S").out.splitlines()
    assert lines[1].split() == ["Small.S", "B", "10", "1,370", "3.61", "M", "100.0", "%"]
    assert [line.split()[0] for line in lines[2:12]] == [
        "image", "stem", "blocks", "norm", "fc1", "gelu", "fc2", "add", "global_pool", "head",
    ]
    assert "blocks x3" in lines[4] and " 66.7 %" in lines[4] and " 296 " in lines[4]
    assert lines[-1] == "Small.S: 1,370 parameters, 3.613 M multiply-adds at B=1, H=224, W=224, 19 nodes"
    short = ogive("summary", "small.arch", "Small.S", "--depth", "0").out.splitlines()
    assert len(short) == 5 and short[-2].startswith("memory: ")


def test_summary_at_other_sizes() -> None:
    answer = ogive("summary", "small.arch", "Small.S", "--size", "H=8", "--size", "W=4")
    assert "B (2 1) 8" in answer.out and "at B=1, H=8, W=4" in answer.out


def test_summary_as_json() -> None:
    data = _json("summary", "small.arch", "Small.S")
    assert isinstance(data, dict)
    assert {k: data[k] for k in ("name", "params", "macs", "nodes")} == {
        "name": "Small.S", "params": 1_370, "macs": 3_612_752, "nodes": 19,
    }
    assert sum(row["params"] * row["times"] for row in data["rows"]) == 1_370
    vit = _json("summary", "vit", "ViT.B")
    assert isinstance(vit, dict) and (vit["params"], vit["macs"]) == (86_567_656, 17_563_828_224)


def test_settings_are_expressions() -> None:
    assert ogive("summary", "small.arch", "Small.S", "--set", "depth=2 * 3").out.count("blocks x6") == 1
    data = _json("summary", "resnet", "ResNet.r18", "--set", "depths=[1, 1, 1, 1]", "--set", "norm=groupnorm(8)")
    assert isinstance(data, dict) and data["name"] == "ResNet.r18"


def test_the_only_network_needs_no_name() -> None:
    assert "UNet: 31," in ogive("summary", "unet").out
    assert ogive("summary", "small.arch").out.splitlines()[1].startswith("Small ")


def test_keys() -> None:
    lines = ogive("keys", "small.arch", "Small.S").out.splitlines()
    assert lines[0].split() == ["key", "shape"]
    assert lines[1].split(maxsplit=1) == ["stem.proj.weight", "[8, 3, 4, 4]"]
    data = _json("keys", "resnet", "ResNet.r18")
    assert isinstance(data, list) and len(data) == 122
    assert data[3] == {"key": "bn1.running_mean", "shape": [64], "buffer": True, "tied": None}


@pytest.mark.skipif(not is_available(), reason="there is no Graphviz")
def test_draw() -> None:
    for name in ("a.svg", "a.dot"):
        answer = ogive("draw", "small.arch", "Small.S", "-o", name)
        assert (answer.code, answer.out) == (0, "")
        assert answer.err == f"wrote {name}: Small.S\n"
    assert "A small network for tests." in Path("a.svg").read_text()


def test_compile_writes_plain_pytorch() -> None:
    answer = ogive("compile", "small.arch", "Small.S", "-o", "out.py")
    assert answer.code == 0 and answer.err.startswith("wrote out.py: Small.S, ")
    text = Path("out.py").read_text()
    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imports and not any("ogive" in ast.dump(node) for node in imports)
    done = subprocess.run([sys.executable, "out.py"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "(1, 10)" in done.stdout, done.stderr
    assert ogive("compile", "small.arch", "Small.S").out == text


def test_run_at_random() -> None:
    first = ogive("run", "small.arch", "Small.S", "--seed", "3")
    assert first.code == 0
    assert first.out.splitlines()[0].startswith("output: 1 x 10   from ")
    assert len(first.out.splitlines()) == 6
    assert "random weights (seed 3)" in first.err
    assert ogive("run", "small.arch", "Small.S", "--seed", "3").out == first.out
    assert ogive("run", "small.arch", "Small.S", "--seed", "4").out != first.out


def test_run_on_a_picture_with_weights() -> None:
    import torch

    from ogive import compile, load
    from ogive.compiler.export import weights

    model = compile(load("small.arch", "Small.S")).eval()
    weights.save_weights(model, "w.safetensors")
    Image.new("RGB", (12, 8), (255, 0, 51)).save("p.png")
    x = torch.tensor([1.0, 0.0, 0.2]).view(1, 3, 1, 1).expand(1, 3, 8, 12)
    expected = model(x)[0].softmax(0)
    answer = ogive("run", "small.arch", "Small.S", "--input", "p.png", "--weights", "w.safetensors", "--json")
    (output,) = json.loads(answer.out)["outputs"]
    assert output["shape"] == [1, 10] and output["finite"]
    best = output["top"][0]
    assert best["index"] == int(expected.argmax())
    assert best["softmax"] == pytest.approx(expected.max().item(), rel=1e-5)
    assert ogive("keys", "small.arch", "Small.S", "--against", "w.safetensors").out == (
        "w.safetensors fits Small.S: 22 keys of equal shapes\n"
    )


def test_run_takes_ids() -> None:
    Path("text.arch").write_text("network Text:\n    input ids: B N of int\n    emb = embedding(5, 4)\n    relu\n")
    assert ogive("run", "text.arch", "--size", "N=7").out.startswith("output: 1 x 7 x 4 ")


def test_fmt() -> None:
    messy = SMALL.replace("fc1  =", "fc1=").replace("\n", "\r\n")
    Path("messy.arch").write_bytes(messy.encode())
    os.chmod("messy.arch", 0o640)
    check = ogive("fmt", "--check", "messy.arch", "small.arch")
    assert (check.code, check.out) == (1, "would change messy.arch\n")
    diff = ogive("fmt", "--diff", "messy.arch")
    assert diff.code == 1 and "+        fc1  = linear(ratio * C)\n" in diff.out
    assert Path("messy.arch").read_bytes() == messy.encode()
    answer = ogive("fmt", "messy.arch", "small.arch")
    assert (answer.code, answer.out) == (0, "changed messy.arch\n")
    assert answer.err == "1 changed, 1 in their layout already\n"
    assert Path("messy.arch").read_bytes() == SMALL.encode()
    assert Path("messy.arch").stat().st_mode & 0o777 == 0o640
    assert ogive("fmt", "-", input=messy).out == SMALL


def test_fmt_goes_through_links() -> None:
    Path("messy.arch").write_text(SMALL.replace("fc1  =", "fc1="))
    os.symlink("messy.arch", "link.arch")
    assert ogive("fmt", "link.arch").code == 0
    assert Path("link.arch").is_symlink() and Path("messy.arch").read_text() == SMALL


def test_draw_a_pattern() -> None:
    Path("near.arch").write_text("pattern near(n=2):\n    allow abs(q.row - k.row) <= n and abs(q.col - k.col) <= n\n")
    answer = ogive("draw", "--pattern", "near(1) | prefix", "--from", "near.arch", "--grid", "5x6", "--prefix", "1",
                   "--query", "0,0", "-o", "near.svg")
    assert (answer.code, answer.out) == (0, "")
    assert answer.err == "wrote near.svg: near(n=1) | prefix\n"
    assert "what query (0, 0) sees" in Path("near.svg").read_text()
    for words in (["small.arch", "--pattern", "dense", "--grid", "3"], ["--pattern", "dense", "--grid", "3",
                  "--depth", "1"], ["small.arch", "--grid", "3"], [], ["--pattern", "dense", "--grid", "0x3"],
                  ["--pattern", "dense", "--grid", "2x2x2x2"], ["--pattern", "dense", "--grid", "٣"]):
        refused(ogive("draw", *words, "-o", "no.svg"), 2, "error[A803]")
    assert not Path("no.svg").exists()
