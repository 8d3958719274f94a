"""Thumbnails of patterns in the boxes of a network: what is seen, at its place, in every renderer."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from ogive.compiler.picture import arrange, render, to_dot
from ogive.compiler.picture.labels import CELL
from ogive.compiler.picture.motif import BANDS, LEVELS, motif
from ogive.compiler.picture.style import MOTIF
from ogive.dsl.build import build
from ogive.dsl.graph import Graph
from ogive.dsl.load import load_library, load_text
from ogive.dsl.pattern_text import pattern_of
from ogive.dsl.patterns.space import Space

NET = """\
network Net(over: pattern = dense):
    input x: B (cls=1 + h=8 w=8) 16
    attend(2, over=over)
"""
Make = Callable[[str], Graph]


def seen(text: str, space: Space) -> tuple[str, ...]:
    made = motif(pattern_of(text), space)
    assert made is not None
    return made


def test_tokens_outside_the_grid_have_a_band_of_their_own() -> None:
    made = seen("window(4) | prefix", Space.of(8, 8, prefix=1))
    assert made == ("444444444", *("433330000",) * 4, *("400003333",) * 4)


def test_a_digit_is_a_share() -> None:
    assert seen("block(2, near=0)", Space.of(8)) == (
        "44000000", "44000000", "00440000", "00440000", "00004400", "00004400", "00000044", "00000044",
    )
    assert max(seen('axial("row")', Space.of(6, 6))[0]) == str(LEVELS)
    assert seen("~dense", Space.of(3)) == ("000",) * 3
    assert "1" in seen("self", Space.of(BANDS * 40))[0], "few pairs are seen, too"


def test_all_pairs_are_no_picture() -> None:
    assert motif(pattern_of("dense"), Space.of(9)) is None
    assert motif(pattern_of("causal | ~causal"), Space.of(9)) is None
    assert motif(pattern_of('axial("row")'), Space.of(9)) is None, "it means nothing there"
    assert motif(pattern_of("causal"), Space.of(1 << 14)) is None


@pytest.mark.parametrize(("over", "count"), [
    ("dense", 0), ("window(4) | prefix", 1), ('per_head([axial("row"), axial("col")]) | prefix', 2),
    ('kernel("relu")', 0),
])
def test_boxes_of_attention_have_one(over: str, count: int) -> None:
    graph = build(load_text(NET), "Net", {"over": over}).graph
    rows = [row for box in arrange(graph).boxes() for row in box.rows if row.op == "attend"]
    assert [len(row.motifs) for row in rows] == [count]


@pytest.mark.parametrize("engine", ["system", "wheel"])
def test_every_renderer_draws_every_cell(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if (render._system if engine == "system" else render._wheel)("svg") is None:
        pytest.skip(f"no {engine} Graphviz here")
    monkeypatch.setattr(render, "_wheel" if engine == "system" else "_system", lambda *_: None)
    graph = build(load_text(NET), "Net", {"over": "window(4) | prefix"}).graph
    root = ET.fromstring(render.picture_of(to_dot(graph), "svg"))
    cells = [p for p in root.iter("{http://www.w3.org/2000/svg}polygon") if p.get("fill") in MOTIF[1:]]
    made = seen("window(4) | prefix", Space.of(8, 8, prefix=1))
    assert len(cells) == sum(digit != "0" for line in made for digit in line)
    for cell in cells:
        points = [tuple(map(float, p.split(","))) for p in (cell.get("points") or "").split()]
        wide, high = (max(p[i] for p in points) - min(p[i] for p in points) for i in (0, 1))
        assert wide == pytest.approx(CELL, abs=0.6) and high == pytest.approx(CELL, abs=0.6), "nothing is stretched"


def test_iterations_that_differ_show_both_and_the_page_stays_small() -> None:
    graph = build(load_library("swin"), "Swin.T").graph
    drawing = arrange(graph)
    rows = [row for box in drawing.boxes() for row in box.rows if row.op == "attend"]
    assert [len(row.motifs) for row in rows] == [2]
    assert sum(1 for _ in drawing.boxes()) < 120
    assert len(to_dot(graph)) < 200_000
