"""Pictures of a physical width: how wide they are on paper, and that their words can be read there."""

from __future__ import annotations

import re
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from door.command import SMALL, ogive, refused
from drawn_networks import TWELVE, graph_of

from ogive.compiler.picture import draw, to_dot, to_svg
from ogive.compiler.picture.paper import CM, LEAST, points_of
from ogive.compiler.picture.render import has_fonts, is_available
from ogive.dsl.diagnostics import ArchError

needs_graphviz = pytest.mark.skipif(not is_available(), reason="no Graphviz here")
QUICK = {"swin", "unet", "gpt2"}
FILES = [pytest.param(file, marks=[] if file in QUICK else [pytest.mark.long]) for file in TWELVE]


def measured(svg: str) -> tuple[float, float, float]:
    """Width and height of a picture in centimetres, and the points of its smallest words."""
    root = ET.fromstring(svg)
    wide, high = (float((root.get(side) or "").removesuffix("cm")) for side in ("width", "height"))
    _, _, inner, _ = map(float, (root.get("viewBox") or "").split())
    words = [e for e in root.iter() if e.tag.endswith("}text")]
    assert len(words) > 4
    return wide, high, min(float(e.get("font-size") or 0) for e in words) * wide * CM / inner


@pytest.mark.parametrize(
    ("text", "points"),
    [("8.5cm", 240.94), ("85mm", 240.94), ("3.3in", 237.6), ("240pt", 240), (" 8.5 CM ", 240.94), ("17.cm", 481.89)],
)
def test_lengths(text: str, points: float) -> None:
    assert points_of(text) == pytest.approx(points, abs=0.01)


@pytest.mark.parametrize(
    ("width", "words", "help"),
    [
        ("8.5", "the width `8.5` has no unit", "`8.5cm`, `8.5mm` or `8.5in`"),
        ("8.5px", "has a unit that paper has not, `px`", "the units: cm, mm, in, pt"),
        ("8,5cm", "`8,5cm` is no width", "`8.5cm`, `85mm` or `3.3in`"), ("", "`` is no width", "its unit"),
        ("-8cm", "`-8cm` is no width", "its unit"), ("1e3cm", "`1e3cm` is no width", "its unit"),
        ("1mm", "cannot be `1mm` wide", "from `2cm`"), ("0cm", "cannot be `0cm` wide", "from `2cm`"),
        (f"{'9' * 400}cm", "cannot be `9999", "to `200cm`"), ("٣cm", "is no width", "its unit"),
        (8.5, "this is 8.5", '`width="8.5cm"`'), (True, "this is True", '`width="8.5cm"`'),
    ],
)
def test_what_is_no_width(width: Any, words: str, help: str) -> None:
    with pytest.raises(ArchError) as caught:
        to_dot(graph_of("vit"), width=width)
    assert caught.value.codes == ("A803",)
    assert words in str(caught.value) and help in str(caught.value)


@needs_graphviz
@pytest.mark.parametrize("file", FILES)
def test_a_column_can_be_read(file: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wide, high, smallest = measured(to_svg(graph_of(file), width="8.5cm"))
    assert wide == 8.5 and high < 24.71
    assert smallest > LEAST - 0.02


@needs_graphviz
def test_as_much_is_opened_as_can_be_read() -> None:
    """In a column the outline, on a page the parts; where even the outline is too small, that is said."""
    narrow, wide = (ids(to_svg(graph_of("detr"), width=width)) for width in ("8.5cm", "17cm"))
    assert {"node-transformer"} <= narrow - wide and {"frame-transformer"} <= wide - narrow
    with pytest.warns(UserWarning, match=r"at 4cm .* have 2\.\d points even with all blocks closed; from 6\.\dcm on"):
        assert ids(to_svg(graph_of("detr"), width="4cm")) == narrow


@needs_graphviz
@pytest.mark.parametrize("opening", [{"depth": 1}, {"expand": ["layers.*.blocks.*"]}, {"inset": "SwinBlock"}], ids=str)
def test_what_is_asked_for_stays_and_its_words_are_told(opening: dict[str, Any]) -> None:
    with pytest.warns(UserWarning, match=r"at 85mm the smallest words of `Swin\.T` have [1-4]\.\d points"):
        svg = to_svg(graph_of("swin"), width="85mm", **opening)
    assert measured(svg)[0] == 8.5
    asked = ids(to_svg(graph_of("swin"), **{"depth": 0, **opening}))
    frames = {id for id in asked if "frame-" in id}
    assert frames and frames <= ids(svg)


@needs_graphviz
def test_a_small_picture_is_not_made_larger() -> None:
    """It stands in the middle of the paper, on its own ground."""
    svg = to_svg(graph_of("bert"), width="15cm", depth=0, theme="dark")
    assert measured(svg)[::2] == pytest.approx((15, 8), abs=0.01)
    ground = next(e for e in ET.fromstring(svg).iter() if e.tag.endswith("}polygon"))
    across = [float(point.split(",")[0]) for point in (ground.get("points") or "").split()]
    assert max(across) - min(across) == pytest.approx(15 * CM, abs=9)


@needs_graphviz
@pytest.mark.skipif(not has_fonts(), reason="no fonts here")
def test_other_files_are_as_wide(tmp_path: Path) -> None:
    graph = graph_of("vit")
    pdf = draw(graph, tmp_path / "a.pdf", width="8.5cm").read_bytes()
    found = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+)", pdf)
    assert found is None or (abs(float(found[1]) - 240.94) < 1 and float(found[2]) < 701)
    png = draw(graph, tmp_path / "a.png", width="8.5cm").read_bytes()
    assert int.from_bytes(png[16:20], "big") == pytest.approx(8.5 / 2.54 * 300, abs=4)
    assert 'size="3.34646,9.72222"' in draw(graph, tmp_path / "a.dot", width="8.5cm").read_text("utf-8")


@needs_graphviz
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.arch").write_text(SMALL, "utf-8")
    answer = ogive("draw", "small.arch", "Small.S", "--width", "8.5cm", "-o", "a.svg")
    assert (answer.code, answer.err) == (0, "wrote a.svg: Small.S\n")
    answer = ogive("draw", "small.arch", "Small.S", "--width", "2cm", "--depth", 9, "-o", "b.svg")
    assert answer.code == 0
    warning, wrote = answer.err.splitlines()
    assert warning.startswith("warning: at 2cm the smallest words of `Small.S` have ")
    assert wrote == "wrote b.svg: Small.S"
    for width, file in (("8.5cm", "a.html"), ("8.5cm", "a.mmd"), ("8.5", "c.svg")):
        refused(ogive("draw", "small.arch", "Small.S", "--width", width, "-o", file), 2, "error[A803]")


def ids(svg: str) -> set[str]:
    """Of boxes and frames; edges have numbers."""
    found = {e.get("id") or "" for e in ET.fromstring(svg).iter()}
    return {id for id in found if id.removeprefix("p-").startswith(("node-", "frame-"))}
