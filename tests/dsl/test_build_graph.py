"""The graph: immutable, ordered, printed, and seen by networkx."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import networkx as nx
import pytest
from building import graph

from ogive.dsl.digraph import digraph

BODY = "a = conv(4)\nb = x -> conv(4)\na, b -> concat\nsplit(2)\nconcat"


def test_it_prints_as_text() -> None:
    assert str(graph(BODY)).split("\n") == [
        "network N",
        "  x = input : B 8 H W",
        "  a = x -> conv(out=4) : B 4 H W",
        "  b = x -> conv(out=4) : B 4 H W",
        "  concat = a, b -> concat : B 8 H W",
        "  split = concat -> split(n=2) : B 4 H W, B 4 H W",
        "  concat_2 = split, split[1] -> concat : B 8 H W",
        "  return concat_2",
    ]


def test_it_is_ordered_and_immutable() -> None:
    found = graph(BODY)
    assert [node.id for node in found] == list(found.nodes) and len(found) == 6
    with pytest.raises(FrozenInstanceError):
        found.name = "other"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        found.nodes["a"].key = "other"  # type: ignore[misc]


def test_nodes_know_their_line_and_their_path() -> None:
    found = graph("s:\n    a = relu\nP", above="block P:\n    input x: B C H W\n    tanh")
    assert [(n.id, n.span.text, n.path) for n in found][1:] == [
        ("s.a", "relu", ("N",)), ("P.tanh", "tanh", ("N", "P"))
    ]


def test_networkx_sees_the_same_graph() -> None:
    found = digraph(graph(BODY))
    assert list(nx.topological_sort(found)) == list(found) and nx.is_frozen(found)
    assert [(a, b, d["result"], d["slot"]) for a, b, d in found.edges(data=True)] == [
        ("x", "a", 0, 0), ("x", "b", 0, 0), ("a", "concat", 0, 0), ("b", "concat", 0, 1), ("concat", "split", 0, 0),
        ("split", "concat_2", 0, 0), ("split", "concat_2", 1, 1),
    ]
    assert found.nodes["a"]["node"].op == "conv"


def test_it_goes_into_json() -> None:
    found = json.loads(json.dumps(graph(BODY).as_json()))
    assert found["nodes"][1]["settings"] == {"out": "4"} and found["outputs"] == [["", "concat_2", 0]]


def test_multiply_adds_follow_the_sizes() -> None:
    found = graph("conv(4, 1x1) as \"c\"")
    assert found.macs({"H": 2, "W": 3}) == 32 * 6 and found.macs() == 32 * 224 * 224
    assert found.free == {"B": ("x", 0), "H": ("x", 2), "W": ("x", 3)}
