"""What stands in a drawing: every parameter once, every link between boxes that are there, few enough boxes to read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ogive.compiler.picture import arrange
from ogive.compiler.picture.model import Box, Drawing
from ogive.compiler.picture.words import amount, varied
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.graph import Graph

Make = Callable[[str], Graph]


def visible(drawing: Drawing) -> list[Box]:
    return [box for box in drawing.boxes() if box.kind != "entry"]


def labels(drawing: Drawing) -> set[str]:
    return {link.label for link in drawing.links if link.label}


@pytest.mark.parametrize("depth", [None, 0, 1, 2, 9])
def test_every_node_and_parameter_once(drawn: Graph, depth: int | None) -> None:
    drawing = arrange(drawn, depth=depth)
    nodes = [node for box in drawing.boxes() for node in box.nodes]
    assert sorted(nodes) == sorted(drawn.nodes)
    assert sum(box.params for box in drawing.boxes()) == drawn.parameter_count == drawing.params
    for frame in drawing.frames():
        assert frame.params == sum(box.params for box in frame.boxes())


@pytest.mark.parametrize("depth", [None, 0, 1, 2, 9])
def test_links_connect(drawn: Graph, depth: int | None) -> None:
    drawing = arrange(drawn, depth=depth)
    boxes = {box.id: box for box in drawing.boxes()}
    assert len(boxes) == len(list(drawing.boxes()))
    assert all(link.source in boxes and link.target in boxes for link in drawing.links)
    flow = [link for link in drawing.links if link.kind != "tie"]
    assert {box.id for box in boxes.values() if box.kind != "input"} - {link.target for link in flow} <= {"cls_token"}
    assert {box.id for box in boxes.values() if box.kind != "output"} == {link.source for link in flow}
    assert len(set(flow)) == len(flow)


def test_readable(drawn: Graph) -> None:
    assert len(visible(arrange(drawn))) <= 30


def test_depth_closes_blocks(library: Make) -> None:
    sizes = [len(visible(arrange(library("ViT.B"), depth=depth))) for depth in range(4)]
    assert sizes[0] < sizes[1] < sizes[2] == sizes[3]
    closed = [box for box in arrange(library("ViT.B"), depth=0).boxes() if box.kind == "closed"]
    assert [(box.rows[0].op, box.rows[0].detail, box.params) for box in closed] == [("Encoder", "×12", 85_054_464)]


def test_vit_is_one_block_twelve_times(library: Make) -> None:
    drawing = arrange(library("ViT.B"))
    frames = {frame.title: frame for frame in drawing.frames()}
    assert {t: f.count for t, f in frames.items()} == {"Encoder": 12, "Attention": 1, "Mlp": 1}
    assert frames["Encoder"].times == 12
    assert [box.symbol for box in drawing.boxes() if box.kind == "merge"] == ["‖", "+", "+"]
    assert sum(link.kind == "skip" for link in drawing.links) == 2
    assert {"3 × 224 × 224", "(1 + 14·14) × 768", "1000"} <= labels(drawing)
    qkv = [(link.tail, link.head) for link in drawing.links if link.tail is not None]
    assert qkv == [(0, 0), (1, 1), (2, 2)]


def test_resnet_has_stages_and_counts(library: Make) -> None:
    drawing = arrange(library("ResNet.r50"), depth=1)
    assert [frame.name for frame in drawing.frames()] == ["layer1", "layer2", "layer3", "layer4"]
    rows = [box.rows[0] for box in drawing.boxes() if box.kind == "closed"]
    assert [(row.name, row.detail) for row in rows[:4]] == [
        ("layer1.0", ""), ("layer1.1–2", "×2"), ("layer2.0", ""), ("layer2.1–3", "×3"),
    ]
    assert {"256 × ⌈H/4⌉ × ⌈W/4⌉", "2048 × ⌈H/32⌉ × ⌈W/32⌉"} <= labels(drawing)


def test_resnet_shows_each_kind_of_block_once(library: Make) -> None:
    drawing = arrange(library("ResNet.r50"))
    assert [f.name for f in drawing.frames() if f.title == "Bottleneck"] == ["layer1.0", "layer1.1–2"]
    assert sum(box.kind == "closed" for box in drawing.boxes()) == 6


def test_resnet_in_full_has_a_column_for_each_stage(library: Make) -> None:
    drawing = arrange(library("ResNet.r50"), depth=9)
    assert len(drawing.columns) == 4  # what stands before is in the first, the head in the last
    assert not any(box.kind == "closed" for box in drawing.boxes())


@pytest.mark.parametrize("depth", [None, 0, 9])
def test_unet_is_a_u(library: Make, depth: int | None) -> None:
    drawing = arrange(library("UNet"), depth=depth)
    assert len(drawing.levels) == 4
    assert all(a not in drawing.rising and b in drawing.rising for a, b in drawing.levels)
    assert {"64 × H × W", "512 × H/8 × W/8"} <= labels(drawing)
    planes = {box.id: box.area for box in drawing.boxes()}
    assert min(a for a in planes.values() if a) == 1 / 256


def test_what_varies_is_said(network: Make) -> None:
    text = "block E(p=0.0):\n    input x: B T C\n    residual(drop_path=p):\n        a = linear(C)\n"
    text += "network N:\n    input x: B T 8\n    repeat 11 as b[i]:\n        E(i / 100)\n"
    for depth in (0, 1):
        drawing = arrange(network(text), depth=depth)
        notes = [f.note for f in drawing.frames()] + [box.note for box in drawing.boxes()]
        assert "drop path 0 .. 0.1" in notes


def test_ties_are_dashed_lines(network: Make) -> None:
    text = """
network N(d=16):
    input ids: B T of int
    wte = embedding(50, d)
    shared g = linear(d)
    a = layernorm
    _ -> g
    b = layernorm
    _ -> g
    head = linear(50, bias=False, weight=wte.weight)
"""
    graph = network(text)
    drawing = arrange(graph)
    ties = [(link.source, link.target) for link in drawing.links if link.kind == "tie"]
    assert ties == [("wte", "head"), ("g", "g_2")]
    assert sum(box.params for box in drawing.boxes()) == graph.parameter_count


def test_weights_of_one_set_are_told_in_all(network: Make) -> None:
    body = "shared g = linear(d)\n    repeat 5 as b[i]:\n        _ -> g\n        relu\n"
    (frame,) = arrange(network(f"network N(d=4):\n    input x: B T d\n    {body}")).frames()
    assert (frame.count, frame.params, frame.times, frame.note) == (5, 20, 1, "one set of weights")


def test_settings_in_few_words(network: Make) -> None:
    text = """
network N:
    input image: B 3 H W
    a = conv(64, 3x3, stride=2)
    b = conv(64, 1x7, groups=8)
    max_pool(2x2)
    upsample(by=2)
    to_tokens
    c = linear(64)
    attend(4, over=causal)
    dropout(0.5)
"""
    rows = [row for box in arrange(network(text)).boxes() for row in box.rows]
    said = {row.op: f"{row.op} {row.detail}".strip() for row in rows if row.op}
    assert [row.detail for row in rows if row.op == "conv"] == ["3×3 /2, 64", "1×7, 64, groups 8"]
    assert said["max pool"] == "max pool 2×2"
    assert said["upsample"] == "upsample 2"
    assert said["linear"] == "linear 64"
    assert said["attend"] == "attend 4 heads, causal"
    assert said["dropout"] == "dropout 0.5"


def test_outputs_are_named(network: Make) -> None:
    text = "network N:\n    input left: B T 8\n    input right: B T 8\n    left + right\n    a = linear(3)\n"
    boxes = list(arrange(network(text)).boxes())
    assert [box.rows[0].name for box in boxes if box.kind == "input"] == ["left", "right"]
    assert [box.rows[0].name for box in boxes if box.kind == "output"] == ["output"]


def test_too_many_boxes_are_refused(network: Make) -> None:
    body = "".join(f"    residual:\n        a{i} = linear(8)\n" for i in range(1_100))
    with pytest.raises(ArchError) as caught:
        arrange(network(f"network N:\n    input x: B T 8\n{body}"))
    assert caught.value.codes == ("A815",)


def test_a_long_chain_is_glued(network: Make) -> None:
    body = "".join(f"    a{i} = linear({8 + i % 2})\n" for i in range(2_400))
    drawing = arrange(network(f"network N:\n    input x: B T 8\n{body}"))
    assert len(list(drawing.boxes())) == 202


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0"), (999, "999"), (1_000, "1k"), (12_345, "12.3k"), (999_600, "1M"), (86_567_656, "86.6M"),
        (7 * 10**9, "7B"), (999_400, "999k"), (99_960, "100k"), (10**13, "10000B"),
    ],
)
def test_amounts(n: int, text: str) -> None:
    assert amount(n) == text


def test_ranges() -> None:
    assert varied((0.0, 0.05, 0.1)) == "0 .. 0.1"
    assert varied((0, 3)) == "0, 3"
    assert varied((0, 3, 0, 3)) == "0, 3 in turn"
    assert varied((0, 3) * 5) == "0, 3 in turn"
    assert varied((1, 2, 4, 1, 2, 4)) == "1, 2, 4 in turn"
    assert varied((0, 3, 5, 0, 1)) == "0, 3, 5, …"
    assert varied((7, 7, 7)) == "7"
