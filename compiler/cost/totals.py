"""The figures of a whole network: what it holds, does, and needs room for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ogive.compiler.cost.sizes import macs, sizes_of
from ogive.dsl.dims import evaluate
from ogive.dsl.graph import Graph
from ogive.dsl.memory import Step, inference, training, weight_bytes
from ogive.dsl.memory.ops import size_of

__all__ = ["Memory", "figures", "memory"]


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of one call.

    Attributes:
        weights: parameters and buffers, what is tied once.
        inputs: what the caller brings.
        forward: the most that lies there besides in a forward without gradients, and `at` the node where.
        backward: the same in a forward and backward, the gradients of the weights included, and `back_at`.
    """

    weights: int
    inputs: int
    forward: int
    backward: int
    at: str
    back_at: str

    @property
    def inference(self) -> int:
        """All of a forward."""
        return self.weights + self.inputs + self.forward

    @property
    def training(self) -> int:
        """All of a forward and backward; an optimiser's own numbers come on top (Adam: twice the weights)."""
        return self.weights + self.inputs + self.backward

    def as_json(self) -> dict[str, Any]:
        return {
            "weights": self.weights, "inputs": self.inputs, "inference": self.inference, "inference_at": self.at,
            "training": self.training, "training_at": self.back_at,
        }


def memory(
    graph: Graph, given: Mapping[str, int] | None = None, width: int = 4, trains: Graph | None = None
) -> Memory:
    """What a network needs room for; floats have `width` bytes. `trains` is the graph of training where it differs.

    Raises:
        ArchError: A802, as `sizes_of`.
    """
    values = sizes_of(graph, given)
    forward, backward = inference(graph, width, values), training(trains or graph, width, values)
    inputs = sum(evaluate(size_of(graph.nodes[name].outputs[0], width), values) for name in graph.inputs)
    return Memory(
        weight_bytes(graph, width), inputs, forward.at(values), backward.at(values),
        _name(graph, forward.where(values)), _name(trains or graph, backward.where(values)),
    )


def _name(graph: Graph, step: Step | None) -> str:
    if step is None:
        return ""
    node = graph.nodes[step.node]
    return node.key or node.id


def figures(graph: Graph, given: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The totals: name, parameters, multiply-adds, number of nodes, and the sizes they are taken at.

    Raises:
        ArchError: A802, as `sizes_of`.
    """
    return {
        "name": graph.name, "params": graph.parameter_count, "macs": macs(graph, given), "nodes": len(graph),
        "sizes": sizes_of(graph, given),
    }
