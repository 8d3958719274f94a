"""What a reader asks of a picture: parts opened and closed, a direction, sizes, one block blown up."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from drawn_networks import TWELVE, graph_of, measure
from hostile_names import HOSTILE, hostile

import ogive
from ogive.compiler.picture import DIRECTIONS, THEMES, arrange, draw, regions, render, static, to_dot, to_svg
from ogive.compiler.picture.measure import PAGE, extent, scale
from ogive.compiler.picture.model import Drawing
from ogive.compiler.picture.render import is_available
from ogive.dsl.diagnostics import ArchError, fail
from ogive.dsl.graph import Graph

Make = Callable[[str], Graph]
needs_graphviz = pytest.mark.skipif(not is_available(), reason="no Graphviz here")

TEXT = """
block Attn:
    input x: B T C
    qkv = linear(3 * C)
    split(3)
    attend(2)
    proj = linear(C)

block Mlp:
    input x: B T C
    a = linear(4 * C)
    gelu
    b = linear(C)

block Layer:
    input x: B T C
    residual:
        attn = Attn
    residual:
        mlp = Mlp

network N:
    input x: B T 8
    repeat 3 as blocks[i]:
        Layer
    tail = Mlp
    head = linear(2)
"""


DIFFERING = """
block Wide(w):
    input x: B T C
    residual:
        up = linear(w)
        gelu
        down = linear(C)

block Group(w):
    input x: B T C
    a = Wide(w)
    b = Wide(w + 1)

network N:
    input x: B T 8
    repeat 12 as g[i]:
        Group(8 + i)
"""


@pytest.fixture
def net(network: Make) -> Graph:
    return network(TEXT)


def opened(drawing: Drawing) -> list[str]:
    return [frame.id for frame in drawing.frames()]


def closed(drawing: Drawing) -> list[str]:
    return [box.id for box in drawing.boxes() if box.kind == "closed"]


# --------------------------------------------------------------------------------------------------------- parts

@pytest.mark.parametrize(
    ("expand", "collapse", "frames", "boxes"),
    [
        ([], [], [], ["blocks.0", "tail"]),
        (["blocks"], [], ["blocks.0"], ["blocks.0.attn", "blocks.0.mlp", "tail"]),
        (["blocks.*"], [], ["blocks.0"], ["blocks.0.attn", "blocks.0.mlp", "tail"]),
        (["blocks.2.mlp"], [], ["blocks.0", "blocks.0.mlp"], ["blocks.0.attn", "tail"]),
        (["blocks.*.attn"], [], ["blocks.0", "blocks.0.attn"], ["blocks.0.mlp", "tail"]),
        (["blocks.**"], [], ["blocks.0", "blocks.0.attn", "blocks.0.mlp"], ["tail"]),
        (["tail", "blocks.1"], [], ["blocks.0", "tail"], ["blocks.0.attn", "blocks.0.mlp"]),
        (["blocks.**"], ["blocks.1.mlp"], ["blocks.0", "blocks.0.attn"], ["blocks.0.mlp", "tail"]),
        (["blocks.*.mlp"], ["blocks"], [], ["blocks.0", "tail"]),
    ],
)
def test_parts(net: Graph, expand: list[str], collapse: list[str], frames: list[str], boxes: list[str]) -> None:
    drawing = arrange(net, depth=0, expand=expand, collapse=collapse)
    assert (opened(drawing), closed(drawing)) == (frames, boxes)
    assert sum(box.params for box in drawing.boxes()) == net.parameter_count


def test_a_closed_part_stays_closed_at_every_depth(net: Graph) -> None:
    for depth in (None, 0, 1, 9):
        assert "tail" in closed(arrange(net, depth=depth, collapse=["tail"]))
        assert "tail" in opened(arrange(net, depth=depth, expand="tail"))


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"expand": ["block.*"]}, "A818", "did you mean `blocks.*`?"),
        ({"collapse": ["nothing"]}, "A818", "its parts: blocks, tail"),
        ({"expand": ["head"]}, "A818", "one op, `linear`"),
        ({"expand": [""]}, "A818", "no part ``"),
        ({"expand": ["blocks.3"]}, "A818", "no part `blocks.3`"),
        ({"expand": ["tail"], "collapse": ["tail"]}, "A803", "opened and closed"),
        ({"direction": "sideways"}, "A803", "the directions: down, up, right, left"),
        ({"theme": "bright"}, "A803", "no theme `bright`"),
        ({"inset": "Layr"}, "A818", "did you mean `Layer`?"),
        ({"inset": "head"}, "A818", "no block `head`"),
        ({"sizes": {"Q": 3}}, "A802", "no free size `Q`"),
        ({"sizes": {"T": 0}}, "A802", "whole number from 1"),
        ({"sizes": {"T": True}}, "A802", "whole number from 1"),
    ],
)
def test_what_is_asked_for_wrongly(net: Graph, options: dict[str, object], code: str, words: str) -> None:
    with pytest.raises(ArchError, match=re.escape(words)) as caught:
        to_dot(net, **options)  # type: ignore[arg-type]
    assert caught.value.codes == (code,)


def test_the_door_takes_every_option(tmp_path: Path) -> None:
    place = ogive.draw(
        ogive.loads(TEXT), tmp_path / "n.dot", depth=1, expand=["blocks.*.attn"], collapse=["tail"], direction="up",
        theme="dark", sizes={"T": 5}, legend=False, title="N", caption="words",
    )
    text = place.read_text("utf-8")
    assert "rankdir=BT" in text and THEMES["dark"].page in text and "5 × 8" in text and "swatch" not in text
    with pytest.raises(ArchError) as caught:
        ogive.draw(ogive.loads(TEXT), tmp_path / "n.html", inset="Layer")
    assert caught.value.codes == ("A803",)


# ------------------------------------------------------------------------------------------- directions, sizes, pages

@needs_graphviz
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_directions(net: Graph, direction: str) -> None:
    """The data goes that way: from the input, through the blocks, to the output."""
    found = measure(to_dot(net, depth=0, direction=direction))
    at = {name: ((x + right) / 2, (y + top) / 2) for name, (x, y, right, top) in found.boxes.items()}
    way = [at[name] for name in ("n_x", "n_blocks_0", "n_tail", "n_head", "n_output_out")]
    axis, sign = {"down": (1, -1), "up": (1, 1), "right": (0, 1), "left": (0, -1)}[direction]
    assert all((b[axis] - a[axis]) * sign > 10 for a, b in pairwise(way))


def test_sizes_stand_in_the_shapes() -> None:
    graph = graph_of("unet")
    labels = {link.label for link in arrange(graph, sizes={"H": 256, "W": 512}).links}
    assert {"3 × 256 × 512", "64 × 256 × 512", "1024 × 16 × 32"} <= labels
    assert "3 × H × 512" in {link.label for link in arrange(graph, sizes={"W": 512}).links}


def test_a_network_of_stages_has_a_column_for_each() -> None:
    drawing = arrange(graph_of("swin"))
    stages = [frame for frame in drawing.frames() if frame.kind == "stage"]
    assert [(frame.title, frame.note) for frame in stages] == [
        ("Stage 1", "56·56 × 96"), ("Stage 2", "28·28 × 192"), ("Stage 3", "14·14 × 384"), ("Stage 4", "7·7 × 768"),
    ]
    assert len(drawing.columns) == 4
    assert not arrange(graph_of("swin"), direction="right").columns


@pytest.mark.parametrize("file", TWELVE)
def test_words_can_be_read_on_a_page(file: str) -> None:
    drawing = arrange(graph_of(file))
    assert sum(box.kind != "entry" for box in drawing.boxes()) < 60
    assert scale(drawing) > 0.4, extent(drawing)


@needs_graphviz
@pytest.mark.parametrize("file", ["vit", "swin", "unet", "inception", "sam"])
def test_what_is_foretold_of_a_page_comes_about(file: str) -> None:
    graph = graph_of(file)
    left, low, right, top = measure(to_dot(graph, title="", legend=False)).page
    wide, high = extent(arrange(graph))
    assert 0.55 < wide / (right - left) < 1.6
    assert 0.6 < high / (top - low) < 1.6
    assert PAGE[0] < PAGE[1]


def test_varying_settings_are_listed() -> None:
    notes = [frame.note for frame in arrange(graph_of("swin"), depth=1).frames()]
    notes += [box.note for box in arrange(graph_of("swin")).boxes() if box.note]
    assert any("window(7), window(7, shift=3) in turn" in note for note in notes)
    assert any("drop path 0.0364 .. 0.0818" in note for note in notes)


def test_the_first_of_a_fold_may_have_less() -> None:
    """The queries of DETR start as one row for all samples: still six layers of one kind."""
    boxes = {box.rows[0].op: box for box in arrange(graph_of("detr")).boxes() if box.kind == "closed"}
    assert boxes["DecoderLayer"].rows[0].detail == boxes["EncoderLayer"].rows[0].detail == "×6"


def test_a_whole_weight_given_to_an_op_is_a_tie() -> None:
    ties = [(link.source, link.target) for link in arrange(graph_of("bert")).links if link.kind == "tie"]
    assert ("embeddings.words", "embeddings.embedding") in ties


# --------------------------------------------------------------------------------------------------------- insets

@needs_graphviz
def test_an_inset(net: Graph) -> None:
    root = ET.fromstring(to_svg(net, inset="Layer"))
    ids = [e.get("id") or "" for e in root.iter()]
    leaders = [i for i in ids if i.startswith("leader-")]
    assert leaders == ["leader-0", "leader-1"]
    assert {"node-blocks.0", "p-frame-blocks.0", "p-node-blocks.0.attn.attend"} <= set(ids)
    assert "node-blocks.0.attn" not in ids  # closed in the outline
    assert to_dot(net, inset="blocks.2") == to_dot(net, inset="blocks.*") == to_dot(net, inset="Layer")


@needs_graphviz
def test_an_inset_of_what_is_seen_deeper(net: Graph) -> None:
    found = measure(to_dot(net, inset="Attn"))
    assert "cluster_n_blocks_0" in found.frames and "cluster_p_blocks_0_attn" in found.frames
    with pytest.raises(ArchError) as caught:
        to_dot(net, inset="Attn", depth=0)
    assert caught.value.codes == ("A818",)


@needs_graphviz
@pytest.mark.parametrize("suffix", ["svg", "dot", "pdf"])
def test_an_inset_in_every_format(net: Graph, suffix: str, tmp_path: Path) -> None:
    assert draw(net, tmp_path / f"n.{suffix}", inset="Mlp", theme="print").stat().st_size > 2_000


@needs_graphviz
@pytest.mark.parametrize(
    "text", [HOSTILE[0], *(pytest.param(text, marks=pytest.mark.long) for text in HOSTILE[1:])],
    ids=range(len(HOSTILE)),
)
def test_hostile_names_in_an_inset(net: Graph, text: str) -> None:
    evil = hostile(net, text)
    try:
        root = ET.fromstring(to_svg(evil, inset=text, caption=text))
    except ArchError as error:  # one name for all: it may be of an op
        assert error.codes == ("A818",)
        root = ET.fromstring(to_svg(evil, depth=1, caption=text, theme="dark", direction="right"))
    tags = {e.tag.partition("}")[2] for e in root.iter()}
    assert tags <= {"svg", "g", "title", "text", "path", "polygon", "polyline", "ellipse", "a"}


# ------------------------------------------------------------------------------------------------ large networks

def test_five_thousand_nodes_fold(network: Make) -> None:
    graph = network(TEXT.replace("repeat 3", "repeat 560"))
    assert len(graph) > 5_000
    drawing = arrange(graph)
    assert sum(box.kind != "entry" for box in drawing.boxes()) < 20
    assert sum(box.params for box in drawing.boxes()) == graph.parameter_count


@pytest.mark.parametrize("opening", [{"depth": 99}, {"expand": ["g.**"]}], ids=str)
def test_opened_fully_it_is_drawn_as_deep_as_can_be(
    network: Make, opening: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 40
    monkeypatch.setattr(regions, "MOST_BOXES", most)
    monkeypatch.setattr(static, "MOST_BOXES", most)
    graph = network(DIFFERING)
    with pytest.warns(UserWarning, match=r"`N` would be a picture of \d+ boxes; at most 40 are drawn: .* to depth 2"):
        text = to_dot(graph, **opening)
    assert "cluster_n_g_0 " in text and "cluster_n_g_0_a " not in text
    assert text.count("fillcolor") < most * 3


@needs_graphviz
def test_what_graphviz_is_not_done_with_is_closed(network: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, real = network(DIFFERING), render.run

    def slow(dot: str, suffix: str, dpi: int = 0) -> bytes:
        if dot.count("linear") > 30:
            raise fail("A813", "Graphviz was not done")
        return real(dot, suffix)

    monkeypatch.setattr(render, "run", slow)
    with pytest.raises(ArchError, match="was not done"):  # few boxes: it fails for another reason
        to_svg(graph, depth=99)
    monkeypatch.setattr(static, "QUICK", 20)
    with pytest.warns(UserWarning, match=r"not done in 30 s with the \d+ boxes of `N`: it is opened to depth 1"):
        assert 'id="node&#45;g.0"' in to_svg(graph, depth=99)


@pytest.mark.long
def test_five_thousand_nodes_that_do_not_fold(network: Make) -> None:
    graph = network(DIFFERING.replace("repeat 12", "repeat 850"))
    assert len(graph) > 5_000
    with pytest.warns(UserWarning, match=r"at most 2,000 are drawn: it is opened to depth 2"):
        drawn = to_dot(graph, depth=99)
    assert drawn == to_dot(graph, depth=2)


def test_the_legend_names_what_is_there_and_nothing_else(net: Graph) -> None:
    with_it, without = to_dot(net, depth=9), to_dot(net, depth=9, legend=False)
    assert "attention" in with_it and "drawn once for" in with_it and "convolution" not in with_it
    assert "drawn once for" not in without
