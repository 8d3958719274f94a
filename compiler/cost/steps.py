"""What cannot be done side by side: steps of a recurrence, and layers until one position sees the whole input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ogive.compiler.cost.field import WHOLE, Field, fields
from ogive.dsl.dims import Dim, evaluate
from ogive.dsl.graph import Graph, Node
from ogive.dsl.ops.loop import Scan
from ogive.dsl.ops.recurrent import Recurrent
from ogive.dsl.types import Role, sized

__all__ = ["Sight", "sight", "steps"]


def steps(graph: Graph, sizes: Mapping[str, int]) -> Dim:
    """How many steps of recurrences come one after the other, along the longest way through the network at these sizes;
    0 where all positions are computed at once.

    A recurrent layer takes a step for each position, and a `scan` its body; both directions of a layer run side by
    side, its layers in turn.
    """
    longest: dict[str, Dim] = {}
    before: dict[int, Dim] = {}  # what must be done before a scan's body begins
    within: dict[int, Dim] = {}  # the longest way through its body
    for node in graph:
        home = _scan_of(graph, node)
        ways: list[Dim] = [_own(graph, node)]
        for edge in node.inputs:
            from_ = graph.nodes[edge.node]
            if isinstance(node.primitive, Scan) and _scan_of(graph, from_) == node.primitive.body:
                continue  # what the body leaves counts with the body
            way, there = longest[edge.node], _scan_of(graph, from_)
            if there == home:
                ways.append(way + ways[0])
            elif home is not None:
                outer = _below(graph, home, there)
                before[outer] = _most((before.get(outer, 0), way), sizes)
        if isinstance(node.primitive, Scan):
            body = node.primitive.body
            each = within.get(body, 0)
            turns = _times(graph, node) * (each if evaluate(each, sizes) else 1)
            ways = [way + turns for way in (*ways, before.get(body, 0))]
        longest[node.id] = _most(ways, sizes)
        if home is not None:
            within[home] = _most((within.get(home, 0), longest[node.id]), sizes)
    return _most([0, *(longest[edge.node] for _, edge in graph.outputs)], sizes)


def _own(graph: Graph, node: Node) -> Dim:
    op = node.primitive
    return graph.tensor(node.inputs[0]).shape[1] * op.layers if isinstance(op, Recurrent) else 0


def _times(graph: Graph, node: Node) -> Dim:
    assert isinstance(node.primitive, Scan)
    return graph.tensor(node.inputs[0]).shape[node.primitive.axes[0]]


def _most(ways: tuple[Dim, ...] | list[Dim], sizes: Mapping[str, int]) -> Dim:
    return max(ways, key=lambda way: evaluate(way, sizes))


def _scan_of(graph: Graph, node: Node) -> int | None:
    """The body of a scan that a node stands in, the innermost."""
    return next((region.id for region in reversed(graph.region_chain(node)) if region.kind == "scan"), None)


def _below(graph: Graph, inner: int, outer: int | None) -> int:
    """Of the bodies around `inner`, itself included, the one that stands directly in `outer`."""
    at, found = graph.regions[inner].parent, inner
    while at is not None and at != outer:
        found = at if graph.regions[at].kind == "scan" else found
        at = graph.regions[at].parent
    return found


@dataclass(frozen=True, slots=True)
class Sight:
    """From where on one position, in the middle, sees the whole input: the key or name of the node, and how many layers
    that look at other positions lead to it."""

    node: str
    layers: int

    def as_json(self) -> dict[str, Any]:
        return {"node": self.node, "layers": self.layers}


def sight(graph: Graph, sizes: Mapping[str, int]) -> Sight | None:
    """The first node that sees the whole input; None where none does, or where there is nothing to slide over."""
    seen = fields(graph, sizes)
    depth: dict[str, int] = {}
    for node in graph:
        inputs = [edge.node for edge in node.inputs]
        before = [seen[x].size for x in inputs if seen[x].size]
        looked = bool(before) and seen[node.id].size not in before
        depth[node.id] = max((depth[x] for x in inputs), default=0) + looked
        if inputs and _covers(graph, seen[node.id], sizes):
            return Sight(node.key or node.id, depth[node.id])
    return None


def _covers(graph: Graph, field: Field, sizes: Mapping[str, int]) -> bool:
    extents: list[tuple[int, ...]] = []
    for name in graph.inputs:
        x = sized(graph.nodes[name].outputs[0], sizes)
        position = x.find(Role.POSITION)
        places = x.spatial or (() if position is None else (position,))
        along = tuple(n for n in (x.shape[i] for i in places) if isinstance(n, int))
        if len(along) == len(field.size) == len(places):
            extents.append(along)
    most = [max(n) for n in zip(*extents, strict=True)]
    return bool(most) and all(k is WHOLE or k >= n for k, n in zip(field.size, most, strict=True))
