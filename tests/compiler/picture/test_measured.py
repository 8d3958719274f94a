"""Pictures as they are laid out: words lie in their boxes, boxes lie apart, frames around what they hold."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
from drawn_networks import TWELVE, Edges, Measured, graph_of, measure

from ogive.compiler.picture import to_dot
from ogive.compiler.picture.render import is_available
from ogive.dsl.graph import Graph

Make = Callable[[str], Graph]
pytestmark = pytest.mark.skipif(not is_available(), reason="no Graphviz here")

SLACK = 1.5
"""Points: the font that measures and the font that draws are of one width, but lines have one too."""

QUICK = {"vit", "swin", "unet"}
FILES = [pytest.param(file, marks=[] if file in QUICK else [pytest.mark.long]) for file in TWELVE]
WAYS = [
    {"direction": "up"}, {"direction": "right", "theme": "dark"}, {"direction": "left", "depth": 1}, {"depth": 9},
    {"theme": "print", "sizes": {"H": 512, "W": 512}},
]


def holds(outer: Edges, inner: Edges, slack: float = SLACK) -> bool:
    return (outer[0] <= inner[0] + slack and outer[1] <= inner[1] + slack
            and outer[2] >= inner[2] - slack and outer[3] >= inner[3] - slack)


def apart(a: Edges, b: Edges) -> bool:
    return a[2] <= b[0] + 0.1 or b[2] <= a[0] + 0.1 or a[3] <= b[1] + 0.1 or b[3] <= a[1] + 0.1


def in_order(found: Measured) -> None:
    """Nothing covers anything that it should not."""
    assert len(found.boxes) > 4
    for (a, left), (b, right) in combinations(found.boxes.items(), 2):
        assert apart(left, right), (a, b)
    for box, words, edges in found.texts:
        around = [found.boxes[box]] if box in ("heading", "legend") else found.shapes[box]
        assert any(holds(shape, edges) for shape in around), (box, words)
    for (a, left), (b, right) in combinations(found.frames.items(), 2):
        assert apart(left, right) or holds(left, right) or holds(right, left), (a, b)
    for name, edges in found.frames.items():
        for box, at in found.boxes.items():
            assert holds(edges, at) if box in found.inside[name] else apart(edges, at), (name, box)
    for edges in (*found.boxes.values(), *found.frames.values()):
        assert holds(found.page, edges)


@pytest.mark.parametrize("file", FILES)
def test_everything_has_its_place(file: str) -> None:
    in_order(measure(to_dot(graph_of(file))))


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("file", ["vit", "swin", "unet", "resnet", "detr"])
def test_everything_has_its_place_in_every_direction(file: str, way: dict[str, object]) -> None:
    if "sizes" in way and file != "unet":
        way = {"theme": "print"}
    in_order(measure(to_dot(graph_of(file), **way)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("file", "block"),
    [("vit", "Encoder"), *(pytest.param(f, b, marks=pytest.mark.long) for f, b in (
        ("swin", "SwinBlock"), ("resnet", "Bottleneck"), ("inception", "Inception"), ("detr", "DecoderLayer"),
        ("bert", "BertLayer"), ("lrnet", "LocalRelation"), ("efficientnet", "MBConv"), ("unet", "DoubleConv")))],
)
@pytest.mark.parametrize("direction", ["down", pytest.param("right", marks=pytest.mark.long)])
def test_an_inset_lies_beside_its_outline(file: str, block: str, direction: str) -> None:
    found = measure(to_dot(graph_of(file), inset=block, direction=direction))
    outline = [edges for name, edges in found.boxes.items() if name.startswith("n_")]
    blown = [edges for name, edges in found.boxes.items() if name.startswith("p_")]
    assert len(outline) > 2 and len(blown) > 1
    if direction == "down":
        assert max(edges[2] for edges in outline) < min(edges[0] for edges in blown)
    else:
        assert min(edges[1] for edges in outline) > max(edges[3] for edges in blown)
    in_order(found)


@pytest.mark.parametrize("file", FILES)
def test_the_outline_can_be_read_in_a_column(file: str) -> None:
    """8.5 cm across, the ordinary text has at least 6 points."""
    left, _, right, _ = measure(to_dot(graph_of(file), depth=0)).page
    assert 10 * min(1, 241 / (right - left)) > 6


def test_labels_of_arrows_cover_no_box(network: Make) -> None:
    """Of a plain chain; where many arrows meet Graphviz may set a label close to one."""
    lines = "".join(f"    c{i} = conv({8 * i + 8}, 3x3, stride=2)\n    relu\n" for i in range(4))
    found = measure(to_dot(network(f"network N:\n    input image: B 3 H W\n{lines}")))
    assert len(found.labels) == 5
    for words, edges in found.labels:
        assert all(apart(edges, box) for box in found.boxes.values()), words
