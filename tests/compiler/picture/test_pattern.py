"""Pictures of patterns: every cell is a pair, what one query sees is on the grid, and text stays text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from ogive.compiler.picture import draw_pattern, pattern_svg, render
from ogive.compiler.picture.pattern import MOST_PAIRS, lay_out, query_at
from ogive.compiler.picture.pattern_page import Area, Cells, Page, Words, rectangles, runs
from ogive.compiler.picture.pattern_write import page_dot, page_svg
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.load import load_text
from ogive.dsl.pattern_text import pattern_of
from ogive.dsl.patterns.algebra import Pattern
from ogive.dsl.patterns.count import pairs, total
from ogive.dsl.patterns.named import Causal, Random, Window
from ogive.dsl.patterns.space import Sequence, Space

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = [
    ("window(7) | prefix", Space.of(14, 14, prefix=1)),
    ("window(4, shift=2)", Space.of(9, 10)),
    ("causal", Space.of(17)),
    ("block(4) | global_tokens(2) | random(2, of=4)", Space.of(30)),
    ("~sliding(3)", Space.of(5, 5, prefix=2, suffix=1)),
    ('axial("time") | self', Space.of(3, 4, 5, prefix=1)),
    ("dense", Space(Sequence((8, 8)), Sequence((4, 4)))),
    ("~dense", Space.of(6)),
    ('per_head([axial("row"), axial("col") | self])', Space.of(6, 6)),
]


def area_of(path: str) -> int:
    """How many cells the rectangles of a path are."""
    found = re.findall(r"M\d+ \d+h(\d+)v(\d+)h-(\d+)z", path)
    assert all(w == back for w, _, back in found)
    assert re.fullmatch(r"(M\d+ \d+h\d+v\d+h-\d+z)*", path)
    return sum(int(w) * int(h) for w, h, _ in found)


@pytest.mark.parametrize(("text", "space"), DRAWN)
def test_there_is_a_cell_for_each_pair(text: str, space: Space) -> None:
    over = pattern_of(text)
    root = ET.fromstring(pattern_svg(over, space))
    heads = 2 if text.startswith("per_head") else 1
    drawn = [area_of(p.get("d", "")) for p in root.iter(f"{SVG}path") if p.get("class") == "pairs"]
    assert sum(drawn) == total(over, space, heads)
    words = " ".join(t.text or "" for t in root.iter(f"{SVG}text"))
    assert f"{total(over, space, heads):,} of {heads * space.size:,} pairs" in words and "density" in words
    assert {"key", "query"} <= set(words.split())


@pytest.mark.parametrize(("text", "space"), [(t, s) for t, s in DRAWN if len(s.keys.grid) > 1])
def test_beside_it_is_what_one_query_sees(text: str, space: Space) -> None:
    over = pattern_of(text)
    query = space.queries.prefix + 1
    page = lay_out(over, space, query=query, heads=1)
    keys = sum(mark.count for mark in page.marks if isinstance(mark, Cells) and mark.what == "keys")
    assert keys == over.row(query, space, 0).bit_count()


def test_a_pair_stands_at_its_place() -> None:
    """The rectangles of one layer are the bits of its rows, each once."""
    rows = [0b1011, 0b1011, 0, 0b0100, 0b1111]
    found = rectangles(rows)
    cells = [(r + j, c + i) for c, r, w, h in found for i in range(w) for j in range(h)]
    assert len(cells) == len(set(cells))
    assert set(cells) == {(r, c) for r, row in enumerate(rows) for c in range(4) if row >> c & 1}
    assert (0, 0, 2, 2) in found, "equal runs below each other are one"
    assert runs(0b110111) == [(0, 3), (4, 2)] and runs(0) == []


def test_a_union_has_a_colour_for_each_part() -> None:
    over = pattern_of("block(4, near=0) | global_tokens(2)")
    space = Space.of(16)
    page = lay_out(over, space)
    layers = {m.fill: m.count for m in page.marks if isinstance(m, Cells)}
    block = pairs(pattern_of("block(4, near=0)"), space)
    assert list(layers.values()) == [block, total(over, space, 1) - block], "a pair in two parts is drawn once"
    legend = [m.text for m in page.marks if isinstance(m, Words)][-2:]
    assert legend == ["block(4, near=0)", "global_tokens(2)"]


def test_heads_that_differ_stand_one_after_the_other() -> None:
    over = pattern_of('per_head([axial("row"), axial("col")])')
    titles = [m.text for m in lay_out(over, Space.of(4, 4), heads=6).marks if isinstance(m, Words) and m.bold]
    assert titles == [
        'per_head([axial("row"), axial("col")])', 'head 0, ...: axial("row"), 25.0%', "what query (2, 2) sees",
        'head 1, ...: axial("col"), 25.0%', "what query (2, 2) sees",
    ]
    own = lay_out(Random(1, of=2, per_head=True), Space.of(8), heads=3)
    assert sum(isinstance(m, Words) and m.text.startswith("head ") for m in own.marks) == 3


@pytest.mark.parametrize(("text", "space"), DRAWN)
def test_nothing_stands_outside_the_page(text: str, space: Space) -> None:
    page = lay_out(pattern_of(text), space)
    for mark in page.marks:
        x, y, wide, high = _extent(mark)
        assert x >= 0 and y >= 0 and x + wide <= page.width + 0.01 and y + high <= page.height + 0.01, mark


def _extent(mark: Cells | Area | Words) -> tuple[float, float, float, float]:
    if isinstance(mark, Words):
        return mark.x, mark.y, 0, 0
    if isinstance(mark, Area):
        return mark.x, mark.y, mark.width, mark.height
    right = max(c + w for c, _, w, _ in mark.rects)
    return mark.x, mark.y, right * mark.side, max(r + h for _, r, _, h in mark.rects) * mark.side


class Hostile(Pattern):
    """A pattern whose text would like to be something else."""

    def holds(self, q: int, k: int, space: Space, head: int = 0) -> bool:
        return q == k

    def __str__(self) -> str:
        return 'a"]; evil [label=x] </text><script>alert(1)</script> \\N \\" ]]> \x00\x1b[31m‮ &amp;\n+ "'


@pytest.mark.parametrize("over", [Hostile(), Hostile() | Window(2)])
def test_hostile_text_stays_text(over: Pattern) -> None:
    page = lay_out(over, Space.of(4, 4))
    root = ET.fromstring(page_svg(page))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "desc", "rect", "line", "path", "text",
    }
    text = page_dot(page)
    assert "evil" in text and not re.search(r"[\x00-\x09\x0b-\x1f\x7f‮\\](?!\")", text)
    outside = re.sub(r'"(?:\\"|[^"])*"', "", text)
    assert "evil" not in outside and "label" in outside
    if render.is_available():
        drawn = ET.fromstring(render.picture_of(text, "svg"))
        assert not [e for e in drawn.iter() if e.tag.endswith("script")]
        words = "".join(t.text or "" for t in drawn.iter(f"{SVG}text"))
        assert "<script>alert(1)</script>" in words and "outside" not in words


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf", "dot"])
def test_every_suffix(suffix: str, tmp_path: Path) -> None:
    if suffix in ("png", "pdf") and not (render.is_available() and render.has_fonts()):
        pytest.skip("no Graphviz or no fonts here")
    head = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF-", "dot": b"digraph "}[suffix]
    path = draw_pattern(Window(3), Space.of(6, 6), tmp_path / f"w.{suffix}")
    assert path.read_bytes().startswith(head)


def test_the_picture_of_graphviz_has_the_same_cells() -> None:
    """The drawing language of DOT and the SVG say the same: as many filled rectangles, and every word."""
    if not render.is_available():
        pytest.skip("no Graphviz here")
    page = lay_out(pattern_of("window(3) | prefix"), Space.of(7, 7, prefix=1))
    drawn = ET.fromstring(render.picture_of(page_dot(page), "svg"))
    cells = sum(len(m.rects) if isinstance(m, Cells) else bool(m.fill) for m in page.marks if not isinstance(m, Words))
    filled = [p for p in drawn.iter(f"{SVG}polygon") if p.get("fill") not in ("none", "white", "transparent")]
    assert len(filled) == cells
    assert [t.text for t in drawn.iter(f"{SVG}text")] == [m.text for m in page.marks if isinstance(m, Words)]


def test_the_svg_needs_no_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "_wheel", lambda *_: None)
    monkeypatch.setattr(render, "_system", lambda *_: None)
    monkeypatch.setattr(render, "has_fonts", lambda: True)
    assert draw_pattern(Causal(), Space.of(8), tmp_path / "c.svg").exists()
    with pytest.raises(ArchError) as caught:
        draw_pattern(Causal(), Space.of(8), tmp_path / "c.png")
    assert caught.value.codes == ("A812",) and not (tmp_path / "c.png").exists()


def test_a_pattern_of_a_file() -> None:
    unit = load_text("pattern near(far=2):\n    allow abs(q.row - k.row) + abs(q.col - k.col) <= far\n")
    over, space = pattern_of("near(3) | self", unit), Space.of(6, 6)
    page: Page = lay_out(over, space, query=query_at(space, (2, 3)))
    seen = sum(abs(r - 2) + abs(c - 3) <= 3 for r in range(6) for c in range(6))
    assert sum(m.count for m in page.marks if isinstance(m, Cells) and m.what == "keys") == seen


@pytest.mark.parametrize(
    ("over", "space", "options", "code", "words"),
    [
        (Causal(), Space.of(2000), {}, "A815", f"at most {MOST_PAIRS:,} pairs"),
        (Random(1, of=2, per_head=True), Space.of(8), {"heads": 99}, "A815", "at most 12 heads"),
        (Causal(), Space.of(8), {"query": 8}, "A803", "they run from 0 to 7"),
        (pattern_of('axial("row")'), Space.of(8), {}, "A302", "has no rows"),
    ],
)
def test_what_cannot_be_drawn(over: Pattern, space: Space, options: dict[str, int], code: str, words: str) -> None:
    with pytest.raises(ArchError) as caught:
        lay_out(over, space, **options)
    assert caught.value.codes == (code,) and words in str(caught.value)
