"""Names that try to be something else, and a graph in which every name is one of them."""

from __future__ import annotations

from dataclasses import replace

from ogive.dsl.graph import Graph

__all__ = ["HOSTILE", "hostile"]

HOSTILE = [
    '"]; evil [label="x',
    "<B>bold</B>",
    "<<TABLE><TR><TD>x</TD></TR></TABLE>>",
    "a:b:c",
    "back\\slash\\",
    "\\N\\G\\n",
    "]]>&amp;&lt;",
    "line\nbreak\ttab\x00\x07\x1b[31m",
    "\u202egnp.exe\u2066",
    "{rank=same; x}",
    "--><script>alert(1)</script>",
    "%s %d ${x}",
    "graph",
    "é日本語🙂",
    "x" * 10_000,
]


def hostile(graph: Graph, text: str) -> Graph:
    """The same graph with `text` wherever a name can stand; names stay apart by a number."""
    names = {node: f"{text}{i}" for i, node in enumerate(graph.nodes)}
    nodes = {}
    for i, node in enumerate(graph):
        inputs = tuple(replace(edge, node=names[edge.node]) for edge in node.inputs)
        named = replace(node, id=names[node.id], name=text, key=f"{text}{i}" if node.key else "", inputs=inputs)
        nodes[named.id] = named
    return Graph(
        name=text, nodes=nodes, inputs=tuple(names[i] for i in graph.inputs),
        returns=tuple((text, replace(edge, node=names[edge.node])) for _, edge in graph.outputs),
        regions=tuple(replace(r, name=text, title=text, path=text) for r in graph.regions),
        parameters={
            f"{text}{i}": replace(p, key=f"{text}{i}", node=names[p.node])
            for i, p in enumerate(graph.parameters.values())
        },
        guards=graph.guards, results={}, free=graph.free,
    )
