"""graph -> JSON that Google's Model Explorer opens: every node, in nested layers by its path.

The form is that of its `GraphCollection` (`model_explorer/graph_builder.py` of the package `ai-edge-model-explorer`):
`label` and `graphs`, each with `id`, `nodes` and `groupNodeAttributes`. A layer is a `namespace`, its names parted by
`/`. All values are texts. Repeats are not folded: the viewer finds layers that are alike by itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from ogive.compiler.cost import costs, sizes_of
from ogive.compiler.picture.words import amount
from ogive.dsl.diagnostics import ArchError, printable
from ogive.dsl.graph import Graph, Node, Region
from ogive.dsl.ops.record import show_setting

__all__ = ["collection", "to_model_explorer"]

INPUTS: Final = "GraphInputs"
OUTPUTS: Final = "GraphOutputs"
"""Labels that the viewer knows for what goes in and comes out."""


def to_model_explorer(
    graph: Graph, *, title: str | None = None, caption: str | None = None, sizes: Mapping[str, int] | None = None
) -> str:
    """The JSON text of a network for Model Explorer.

    Args:
        title: the label of the collection; the network's name where it is None.
        caption: shown of the whole network, where no node is chosen.
        sizes: free sizes at which multiply-adds are counted. Where one is missing, there are none.

    Raises:
        ArchError: A802, a size of `sizes` that the network does not have.
    """
    return json.dumps(collection(graph, title=title, caption=caption, sizes=sizes), indent=1, ensure_ascii=False) + "\n"


def collection(
    graph: Graph, *, title: str | None = None, caption: str | None = None, sizes: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """The same as data: `{"label": ..., "graphs": [...]}`.

    Raises:
        ArchError: A802, as `to_model_explorer`.
    """
    made = _Made(graph, dict(sizes or {}))
    nodes = [made.node(node) for node in graph]
    results = [
        {"sourceNodeId": edge.node, "sourceNodeOutputId": str(edge.result), "targetNodeInputId": str(i)}
        for i, (_, edge) in enumerate(graph.outputs)
    ]
    nodes.append({
        "id": made.outputs, "label": OUTPUTS, "namespace": "", "attrs": [], "incomingEdges": results,
        "outputsMetadata": [],
        "inputsMetadata": [
            {"id": str(i), "attrs": _pairs({"__tensor_tag": name or "output"})}
            for i, (name, _) in enumerate(graph.outputs)
        ],
    })
    groups = made.groups()
    if caption:
        groups[""] = {"about": printable(caption).replace("\n", " "), **groups[""]}
    whole = {"id": printable(graph.name), "nodes": nodes, "groupNodeAttributes": groups}
    return {"label": printable(title or graph.name), "graphs": [whole]}


class _Made:
    def __init__(self, graph: Graph, given: Mapping[str, int]) -> None:
        self.graph = graph
        self.params: dict[str, int] = {}
        for p in graph.parameters.values():
            if not p.weight.buffer and p.tied is None:
                self.params[p.node] = self.params.get(p.node, 0) + p.numel
        self.macs = _macs(graph, given)
        self.layers = {region.id: self._layer(region) for region in graph.regions}
        self.outputs = OUTPUTS
        while self.outputs in graph.nodes:
            self.outputs += "_"

    def _layer(self, region: Region) -> str:
        """The namespace of a region: the names of the key path; a block's title stands with them."""
        names: list[str] = []
        at: Region | None = region
        while at is not None and at.kind != "network":
            parent = None if at.parent is None else self.graph.regions[at.parent]
            around = self._path(parent)
            if at.path and at.path != around:
                name = at.path[len(around) + 1 :] if around and at.path.startswith(around + ".") else at.path
                names.append(printable(name).replace("/", "∕"))
            at = parent
        return "/".join(reversed(names))

    def _path(self, region: Region | None) -> str:
        while region is not None and not region.path:
            region = None if region.parent is None else self.graph.regions[region.parent]
        return "" if region is None else region.path

    def node(self, node: Node) -> dict[str, Any]:
        """One node with what goes into it and what it answers."""
        attrs: dict[str, str] = {"op": node.op}
        if node.primitive is not None and not node.primitive.statement:
            attrs |= {name: show_setting(value) for name, value in node.primitive.settings().items()}
        if node.key:
            attrs["key"] = node.key
        attrs |= {f"weight {w.name}".strip(): " × ".join(map(str, w.shape)) or "number" for w in node.own}
        if node.id in self.params:
            attrs["parameters"] = f"{self.params[node.id]:,}"
        if self.macs is not None and self.macs[node.id]:
            attrs["multiply-adds"] = f"{self.macs[node.id]:,}"
        attrs["line"] = f"{node.span.source.name}:{node.span.line}"
        return {
            "id": node.id, "label": INPUTS if node.primitive is None else printable(node.name or node.op),
            "namespace": self.layers[node.region], "attrs": _pairs(attrs),
            "incomingEdges": [
                {"sourceNodeId": edge.node, "sourceNodeOutputId": str(edge.result), "targetNodeInputId": str(i)}
                for i, edge in enumerate(node.inputs)
            ],
            "outputsMetadata": [
                {"id": str(i), "attrs": _pairs({"__tensor_tag": node.id, "tensor_shape": f"{t.dtype} {t}"})}
                for i, t in enumerate(node.outputs)
            ],
        }

    def groups(self) -> dict[str, dict[str, str]]:
        """What is shown of a layer when it is chosen: its block, its parameters and multiply-adds."""
        found: dict[str, dict[str, str]] = {}
        params: dict[str, int] = {}
        macs: dict[str, int] = {}
        for region in self.graph.regions:
            layer = self.layers[region.id]
            found.setdefault(layer, {})
            if region.kind == "block" and layer:
                found[layer]["block"] = printable(region.title)
        for node in self.graph:
            names = self.layers[node.region].split("/")
            for n in range(len(names) + 1):
                layer = "/".join(names[:n])
                if n and not layer:
                    continue
                params[layer] = params.get(layer, 0) + self.params.get(node.id, 0)
                macs[layer] = macs.get(layer, 0) + (0 if self.macs is None else self.macs[node.id])
        params[""] = self.graph.parameter_count
        found = {layer: attrs for layer, attrs in found.items() if layer in params}  # a scope may be empty
        for layer, attrs in found.items():
            attrs["parameters"] = f"{params.get(layer, 0):,}"
            if self.macs is not None:
                attrs["multiply-adds"] = f"{macs.get(layer, 0):,} ({amount(macs.get(layer, 0))})"
        return found


def _macs(graph: Graph, given: Mapping[str, int]) -> dict[str, int] | None:
    try:
        values = sizes_of(graph, given)
        return {name: cost.macs for name, cost in costs(graph, values).items()}
    except ArchError:
        if given:
            raise
        return None


def _pairs(attrs: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": printable(key), "value": printable(value)} for key, value in attrs.items()]
