"""The graph on networkx, for graph algorithms. A room of its own, so that checking a file need not import networkx."""

from __future__ import annotations

import networkx as nx

from ogive.dsl.graph import Graph

__all__ = ["digraph"]


def digraph(graph: Graph) -> nx.MultiDiGraph[str]:
    """The same graph, frozen: node ids as nodes with their `node`, edges with `result` and `slot`, both in order."""
    made: nx.MultiDiGraph[str] = nx.MultiDiGraph(name=graph.name)
    made.add_nodes_from((node.id, {"node": node}) for node in graph)
    made.add_edges_from(
        (edge.node, node.id, {"result": edge.result, "slot": slot})
        for node in graph
        for slot, edge in enumerate(node.inputs)
    )
    return nx.freeze(made)  # type: ignore[no-any-return]
