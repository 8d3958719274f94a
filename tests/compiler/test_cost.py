"""Parameters and multiply-adds part by part: the parts add up, equal iterations fold, sizes are checked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import ogive
from ogive.compiler.cost import DEFAULTS, Row, figures, grouped, macs, sizes_of, tree
from ogive.dsl.graph import Graph

LIBRARY = [("vit", "ViT.Ti"), ("vit", "ViT.B"), ("resnet", "ResNet.r18"), ("resnet", "ResNet.r50"), ("unet", None),
           ("mixer", "MLPMixer.S16")]


def _graph(text: str) -> Graph:
    return ogive.loads(text).graph


def _total(row: Row, what: str) -> int:
    """What the leaves come to, each as often as it runs."""
    inside = sum(_total(child, what) for child in row.children) if row.children else getattr(row, what)
    return int(row.times * inside)


def _rows(row: Row) -> Iterator[Row]:
    yield row
    for child in row.children:
        yield from _rows(child)


def _named(graph: Graph, name: str) -> Row:
    return next(row for row in _rows(tree(graph)) if row.name == name)


@pytest.mark.parametrize(("file", "name"), LIBRARY)
def test_the_parts_add_up(file: str, name: str | None) -> None:
    graph = ogive.load(file, name).graph
    whole = tree(graph)
    totals = figures(graph)
    assert totals == {
        "name": graph.name, "params": graph.parameter_count, "macs": macs(graph), "nodes": len(graph),
        "sizes": {name: DEFAULTS[name] for name in graph.free},
    }
    for what in ("params", "macs", "nodes"):
        assert getattr(whole, what) == totals[what]
        assert _total(whole, what) == totals[what]
    for row in _rows(whole):
        for what in ("params", "macs", "nodes"):
            if row.children:
                assert getattr(row, what) == sum(c.times * getattr(c, what) for c in row.children)


def test_equal_iterations_are_one_row() -> None:
    blocks = _named(ogive.load("vit", "ViT.B").graph, "blocks")
    assert (blocks.times, blocks.text, blocks.params) == (12, "Encoder", 7_087_872)
    assert [row.name for row in blocks.children] == ["norm1", "attn", "add", "norm2", "mlp", "add"]


def test_iterations_that_differ_stand_alone() -> None:
    layer = _named(ogive.load("resnet", "ResNet.r50").graph, "layer3")
    assert [(row.name, row.times, row.text) for row in layer.children] == [
        ("0", 1, "Bottleneck"), ("1-5", 5, "Bottleneck"),
    ]


def test_a_setting_that_changes_is_left_out() -> None:
    graph = ogive.load("vit", "ViT.Ti", path=0.1).graph
    (first, others) = _named(graph, "blocks").children
    assert (first.times, others.times) == (1, 11)
    assert {row.text for row in _rows(others) if row.name == "drop_path"} == {"drop_path(...)"}


def test_a_shared_module_counts_once_and_runs_twice() -> None:
    graph = _graph(
        "block Head(n):\n    input x: B C\n    fc = linear(n, bias=False)\n"
        "network Two:\n    input x: B 4\n    shared g = Head(4)\n    x -> g\n    g\n"
    )
    assert (tree(graph).params, tree(graph).macs) == (16, 32)


def test_weights_of_other_calls_are_counted() -> None:
    graph = _graph(
        "network Maybe:\n    input x: B 4, y?: B 4\n    fc = linear(4)\n    if y:\n"
        "        more = y -> linear(4)\n        fc + more\n    head = linear(2)\n"
    )
    whole = tree(graph)
    assert whole.params == graph.parameter_count == sum(row.params for row in whole.children) == 20 + 20 + 10
    (last,) = (row for row in whole.children if row.name == "weights of other calls")
    assert (last.params, last.macs, [row.path for row in last.children]) == (20, 0, ["more"])
    assert sum(row.params for row in grouped(whole, "op")) == 50
    assert {row.name: row.nodes for row in grouped(whole, "op")}["linear"] == 2
    assert tree(graph).weights == 4 * 50


def test_shapes_show_the_sizes_that_are_given() -> None:
    graph = ogive.load("unet").graph
    assert tree(graph, {"H": 32}).shape == "B 2 32 W"
    assert tree(graph).shape == "B 2 H W"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"N": 3}, ["`UNet` has no free size `N`", "its free sizes: B, H, W"]),
        ({"H": -1}, ["the size `H` is a whole number from 1; here is -1"]),
        ({"H": 20}, ["`UNet` does not work at H = 20", "needs `H % 16 == 0`", "library/unet.arch:"]),
    ],
)
def test_sizes_are_checked(given: dict[str, int], words: list[str]) -> None:
    graph = ogive.load("unet").graph
    with pytest.raises(ogive.ArchError) as caught:
        macs(graph, given)
    for part in words:
        assert part in str(caught.value)


def test_a_fixed_network_has_no_sizes_to_give() -> None:
    graph = _graph("network F:\n    input x: 1 4\n    fc = linear(2)\n")
    assert sizes_of(graph) == {}
    with pytest.raises(ogive.ArchError, match="all its sizes are fixed"):
        sizes_of(graph, {"B": 2})
