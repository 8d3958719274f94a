"""DOT text: one text for one network, and nothing a file says becomes DOT, HTML or an escape."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from drawn_texts import SMALL
from hostile_names import HOSTILE, hostile

from ogive.compiler.picture import arrange, to_dot, to_svg
from ogive.compiler.picture.dot import MOST_LABELS
from ogive.compiler.picture.render import has_fonts, is_available
from ogive.dsl.graph import Graph

Make = Callable[[str], Graph]
needs_graphviz = pytest.mark.skipif(not is_available(), reason="no Graphviz here")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def small(network: Make) -> Graph:
    return network(SMALL)


@needs_graphviz
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("depth", [0, 9])
def test_hostile_names(small: Graph, text: str, depth: int) -> None:
    plain = ET.fromstring(to_svg(small, depth=depth, caption="words"))
    evil = ET.fromstring(to_svg(hostile(small, text), depth=depth, caption=text))
    for kind in ("node", "edge", "cluster"):  # as many of each: nothing was injected, nothing lost
        counts = [sum(1 for e in tree.iter(f"{SVG}g") if e.get("class") == kind) for tree in (plain, evil)]
        assert counts[0] == counts[1], kind
    tags = {e.tag.removeprefix(SVG) for e in evil.iter()}
    assert tags <= {"svg", "g", "title", "text", "path", "polygon", "polyline", "ellipse", "a"}
    assert all(e.get("{http://www.w3.org/1999/xlink}href") is None for e in evil.iter())


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_control_characters(small: Graph, text: str) -> None:
    dot = to_dot(hostile(small, text), depth=9, caption=text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", dot)
    assert max(map(len, dot.splitlines())) < 20_000


@needs_graphviz
def test_what_is_written_is_shown(small: Graph) -> None:
    """Escaping keeps the words: they can be read in the picture."""
    shown = "".join(ET.fromstring(to_svg(hostile(small, "<B>&\\n\""), depth=9)).itertext())
    assert "<B>&\\n\"" in shown.replace("\xa0", " ")


@needs_graphviz
def test_svg(drawn: Graph) -> None:
    root = ET.fromstring(to_svg(drawn))
    assert root.tag == f"{SVG}svg"
    left, top, width, height = map(float, root.get("viewBox", "").split())
    assert (left, top) == (0, 0)
    assert 200 < width < 450
    assert 600 < height < 1_500
    words = {"".join(e.itertext()).replace("\xa0", " ").strip() for e in root.iter(f"{SVG}text")}
    assert {"image", "output", drawn.name} <= words
    fonts = {e.get("font-family") for e in root.iter(f"{SVG}text")}
    assert fonts == {"Helvetica,Arial,sans-serif"}


@needs_graphviz
def test_boxes_lie_apart(drawn: Graph) -> None:
    """No box covers another, and none lies outside the page."""
    root = ET.fromstring(to_svg(drawn))
    boxes = []
    for group in root.iter(f"{SVG}g"):
        if group.get("class") == "node" and (group.get("id") or "").startswith("node-"):
            numbers = [
                tuple(map(float, pair))
                for e in group.iter() for name in ("d", "points")
                for pair in re.findall(r"(-?[\d.]+),(-?[\d.]+)", e.get(name) or "")
            ]
            if numbers:
                xs, ys = zip(*numbers, strict=True)
                boxes.append((min(xs), min(ys), max(xs), max(ys)))
    assert len(boxes) > 10
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_ids_are_stable(drawn: Graph) -> None:
    ids = re.findall(r'id="?([\w.-]+)', to_dot(drawn))
    assert len(ids) == len(set(ids))
    assert any(i.startswith("node-") for i in ids) and any(i.startswith("frame-") for i in ids)


@pytest.mark.parametrize("seed", ["0", "1", "77"])
def test_one_text_for_one_network(library: Make, seed: str, tmp_path: Path) -> None:
    code = (
        "from ogive.dsl.load import load_library; from ogive.dsl.build import build\n"
        "from ogive.compiler.picture import to_dot; import sys\n"
        "for file, name in (('vit', 'ViT.B'), ('unet', 'UNet'), ('resnet', 'ResNet.r50')):\n"
        "    sys.stdout.buffer.write(to_dot(build(load_library(file), name).graph).encode())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONHASHSEED": seed}, capture_output=True, timeout=120,
        check=True,
    )
    assert done.stdout.decode() == "".join(to_dot(library(name)) for name in ("ViT.B", "UNet", "ResNet.r50"))


def test_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from ogive.compiler.picture import draw; from ogive.dsl.load import load_library\n"
        "from ogive.dsl.build import build; draw(build(load_library('vit'), 'ViT.B').graph, 'a.dot')\n"
        "print([m for m in ('torch', 'pygraphviz', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, timeout=120, check=True)
    assert done.stdout.strip() == b"[]"


def test_many_boxes_have_no_labels(network: Make) -> None:
    body = "".join(f"    residual:\n        a{i} = linear(8)\n" for i in range(MOST_LABELS // 2))
    dot = to_dot(network(f"network N:\n    input x: B T 8\n{body}"))
    assert not re.search(r'-> .*\[label="', dot)


def test_title_and_caption(library: Make) -> None:
    graph = library("ViT.B")
    assert "<B>ViT.B</B>" in to_dot(graph)
    assert "ViT.B</B>" not in to_dot(graph, title="")
    assert "<B>Figure 1</B>" in to_dot(graph, title="Figure 1")
    assert "one two" in to_dot(graph, caption="one two")
    assert arrange(graph, title="T", caption="C").caption == "C"


def test_fonts_are_looked_for() -> None:
    assert isinstance(has_fonts(), bool)
