"""Which blocks of a network spend most of a figure: the largest parts, and the largest in the largest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ogive.dsl import memory
from ogive.dsl.graph import Graph, Node

__all__ = ["spenders"]

PARTS = 3
"""How many parts of one level are named."""


def spenders(graph: Graph, figure: str, sizes: Mapping[str, int]) -> Iterator[str]:
    """A sentence or two on the largest parts of `params`, `macs`, `memory` or `training`.

    For memory these are the weights, and the parts that hold most when there is most.
    """
    values = {"B": 1, "H": 224, "W": 224, **sizes}
    values = {name: values[name] for name in graph.free if name in values}
    if figure == "params":
        spent = {p.node: 0 for p in graph.parameters.values()}
        for p in graph.parameters.values():
            if not p.weight.buffer and p.tied is None:
                spent[p.node] += p.numel
        yield f"most are those of {_parts(graph, spent)}"
    elif figure == "macs":
        yield f"most are those of {_parts(graph, {node.id: graph.cost(node, values) for node in graph})}"
    else:
        peak = (memory.inference if figure == "memory" else memory.training)(graph, sizes=values)
        step = peak.where(values)
        yield f"weights: {memory.weight_bytes(graph):,} bytes"
        if step is not None:
            name = graph.nodes[step.node].key or step.node
            when = f"while the gradients of `{name}` are taken" if step.back else f"while `{name}` runs"
            yield f"{when}, {step.at(values):,} bytes more, most of {_parts(graph, dict(peak.holding))}"


def _parts(graph: Graph, spent: Mapping[str, int]) -> str:
    """The largest parts of the network, and where one has most of all, the largest of its own."""
    total = sum(spent.values()) or 1
    nodes = [(graph.nodes.get(name) or graph.elsewhere[name], value) for name, value in spent.items() if value]
    first = _ranked(graph, nodes, 0)
    text = _said(first, total)
    if first and first[0][1] * 2 > total:
        inside = [(node, value) for node, value in nodes if _part(graph, node, 0) == first[0][0]]
        second = _ranked(graph, inside, 1)
        if len(second) > 1:
            text += f"; in `{first[0][0]}` {_said(second, total)}"
    return text


def _ranked(graph: Graph, nodes: list[tuple[Node, int]], level: int) -> list[tuple[str, int]]:
    sums: dict[str, int] = {}
    for node, value in nodes:
        name = _part(graph, node, level)
        sums[name] = sums.get(name, 0) + value
    return sorted(sums.items(), key=lambda item: -item[1])


def _said(ranked: list[tuple[str, int]], total: int) -> str:
    return ", ".join(f"`{name}` {value:,} ({100 * value / total:.0f} %)" for name, value in ranked[:PARTS]
                     if 100 * value >= total or (name, value) == ranked[0])


def _part(graph: Graph, node: Node, level: int) -> str:
    """The part of the network that a node stands in: the level-th region that has a name, iterations left out."""
    names = [region.name or region.title for region in graph.region_chain(node)[1:] if region.kind in NAMED]
    own = node.name or node.op
    return [*names, own][level] if level < len(names) + 1 else own


NAMED = frozenset({"block", "scope", "repeat"})
