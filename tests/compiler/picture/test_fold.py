"""Repeats are folded exactly: what is drawn once is the same each time, and what differs is said."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ogive.compiler.picture.fold import fold
from ogive.dsl.graph import Graph

Make = Callable[[str], Graph]


def lengths(graph: Graph) -> list[list[int]]:
    """How many iterations each run of each repeat has; repeats that are not drawn are left out."""
    return [[len(run.iterations) for run in runs] for _, runs in sorted(fold(graph).runs.items())]


def stack(body: str, n: int = 4, head: str = "", after: str = "") -> str:
    lines = "\n        ".join(body.strip().split("\n"))
    repeat = f"    repeat {n} as b[i]:\n        {lines}\n"
    return f"network N(d=16):\n    input x: B T d\n{head}{repeat}{after}    end = linear(3)\n"


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("ViT.B", [[12]]),
        ("ViT.L", [[24]]),
        ("MLPMixer.B16", [[12]]),
        ("UNet", [[1, 1, 1, 1], [1, 1, 1, 1]]),
        ("ResNet.r50", [[1, 1, 1, 1], [1, 2], [1, 3], [1, 5], [1, 2]]),
        ("ResNet.r18", [[1, 1, 1, 1], [2], [1, 1], [1, 1], [1, 1]]),
    ],
)
def test_library(library: Make, name: str, runs: list[list[int]]) -> None:
    assert lengths(library(name)) == runs


def test_each_node_is_drawn_once(drawn: Graph) -> None:
    folding = fold(drawn)
    names = {folding.drawn(node) for node in drawn.nodes}
    members = [m for name in names for m in folding.members[name]]
    assert sorted(members) == sorted(drawn.nodes)
    assert all(folding.drawn(m) == name for name in names for m in folding.members[name])


def test_a_rate_that_varies_folds_and_is_listed(network: Make) -> None:
    graph = network(stack("residual(drop_path=0.3 * i / 3):\n    a = linear(d)"))
    (run,) = fold(graph).runs[1]
    assert len(run.iterations) == 4
    ((settings),) = run.varying.values()
    assert settings["p"] == pytest.approx((0.0, 0.1, 0.2, 0.3))  # the first was left out: it is 0


def test_a_drawn_iteration_that_is_not_the_first_is_fed_as_the_first(network: Make) -> None:
    graph = network(stack("residual(drop_path=0.3 * i / 3):\n    a = linear(d)"))
    folding = fold(graph)
    drawn = [n for n in graph if folding.drawn(n.id) == n.id]
    sources = {folding.source(n.id, i, e).node for n in drawn for i, e in enumerate(n.inputs)}
    assert sources <= {n.id for n in drawn}
    first = next(n for n in drawn if n.op == "linear")
    assert folding.source(first.id, 0, first.inputs[0]).node == "x"


def test_a_drop_in_front_is_fed_as_the_first(network: Make) -> None:
    graph = network(stack("dropout(0.1 * i)\na = linear(d)"))
    folding = fold(graph)
    drop = next(n for n in graph if n.op == "dropout" and folding.drawn(n.id) == n.id)
    assert folding.source(drop.id, 0, drop.inputs[0]).node == "x"


def test_other_settings_fold_too(network: Make) -> None:
    body = "repeat 3 as b[i]:\n        a = conv(8, 3x3, dilation=2**i)"
    graph = network(f"network N:\n    input x: B 8 H W\n    {body}\n")
    (run,) = fold(graph).runs[1]
    ((settings),) = run.varying.values()
    assert [str(v) for v in settings["dilation"]] == ["1", "2", "4"]


@pytest.mark.parametrize(
    ("body", "runs"),
    [
        ("a = linear(d if i < 2 else 2 * d)", [2, 1, 1]),  # other widths: other weights
        ("if i == 2:\n    relu\na = linear(d)", [2, 1, 1]),  # an op more
        ("if i % 2 == 0:\n    relu\nelse:\n    gelu\na = linear(d)", [1, 1, 1, 1]),
        ("append:\n    a = linear(d)", [1, 1, 1, 1]),
    ],
)
def test_what_differs_stands_apart(network: Make, body: str, runs: list[int]) -> None:
    assert lengths(network(stack(body)))[0] == runs


def test_what_is_read_from_the_middle_stands_apart(network: Make) -> None:
    """A reader outside sees the end of the second iteration: the run must end there."""
    graph = network(stack("a = linear(d)\nrelu", after="    _ + b[1]\n"))
    assert lengths(graph) == [[2, 2]]


def test_what_all_read_from_outside_is_no_difference(network: Make) -> None:
    graph = network(stack("a = linear(d)\n_ + memory", head="    memory = linear(d)\n"))
    assert lengths(graph) == [[4]]


def test_skips_between_two_repeats_keep_both_apart(network: Make) -> None:
    """The same shapes everywhere, as in U-ViT, but each iteration reads its own partner."""
    down = "repeat 3 as down[i]:\n        a = linear(d)\n"
    up = "repeat 3 as up[i]:\n        _ + down[2 - i].a\n        b = linear(d)\n"
    assert lengths(network(f"network N(d=16):\n    input x: B T d\n    {down}    {up}")) == [[1, 1, 1], [1, 1, 1]]


def test_a_repeat_in_a_repeat(network: Make) -> None:
    body = "repeat 3 as b[i]:\n        repeat 2 as c[j]:\n            a = linear(d)\n"
    graph = network(f"network N(d=16):\n    input x: B T d\n    {body}")
    folding = fold(graph)
    assert lengths(graph) == [[3], [2]]
    drawn = {folding.drawn(node) for node in graph.nodes}
    assert len(drawn) == 2  # the input and one linear
    assert folding.times["b.0.c.0.a"] == 6


def test_shared_weights_are_told(network: Make) -> None:
    text = """
network N(d=16):
    input x: B T d
    shared g = linear(d)
    repeat 3 as b[i]:
        n = layernorm
        _ -> g
    repeat 2 as c[i]:
        _ -> g
"""
    first, second = (runs[0] for _, runs in sorted(fold(network(text)).runs.items()))
    assert (first.shared, first.whole) == (("g",), False)
    assert (second.shared, second.whole) == (("g",), True)
