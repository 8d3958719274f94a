"""Costs as formulas in the sizes of the input: `150528*B + 768*B*h*w`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ogive.dsl.dims import Dim
from ogive.dsl.dims_text import show
from ogive.dsl.graph import Graph, Node
from ogive.dsl.memory import Peak, Step, inference, training
from ogive.dsl.ops.attention import Attend, position_axis
from ogive.dsl.patterns import Mechanism, PatternError
from ogive.dsl.patterns.symbolic import formula

__all__ = ["Formula", "Formulas", "formulas", "macs_of"]

SHOWN = 3
"""Steps that are written out; of more, the one that is the largest at the sizes at hand."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A figure that holds whatever the sizes are: the largest of `steps`."""

    steps: tuple[Step, ...]

    def at(self, sizes: Mapping[str, int]) -> int:
        return Peak(self.steps).at(sizes)

    def text(self, sizes: Mapping[str, int]) -> str:
        """As it would be written; of very many steps the one that is the largest at these sizes."""
        written = [_written(step) for step in self.steps]
        if len(written) == 1:
            return written[0]
        if len(written) <= SHOWN:
            return f"max({', '.join(written)})"
        top = max(self.steps, key=lambda step: step.at(sizes))
        return f"{_written(top)}, at these sizes the largest of {len(self.steps)}"


@dataclass(frozen=True, slots=True)
class Formulas:
    """A network's figures as formulas.

    Attributes:
        params: a number: weights never depend on sizes.
        macs: multiply-adds; None where a pattern has no formula at free sizes, and `without` names such nodes.
        inference, training: bytes of activations at the highest point, as `memory` counts them.
    """

    params: int
    macs: Dim | None
    without: tuple[str, ...]
    inference: Formula
    training: Formula

    def as_json(self, sizes: Mapping[str, int]) -> dict[str, Any]:
        return {
            "params": str(self.params), "macs": None if self.macs is None else show(self.macs),
            "without": list(self.without), "inference": self.inference.text(sizes),
            "training": self.training.text(sizes),
        }


def formulas(graph: Graph, width: int = 4) -> Formulas:
    """The figures of a network for all sizes of its input; floats have `width` bytes."""
    total: Dim = 0
    without: list[str] = []
    for node in graph:
        each = macs_of(graph, node)
        if each is None:
            without.append(node.key or node.id)
        else:
            total = total + each
    return Formulas(
        graph.parameter_count, None if without else total, tuple(without), Formula(inference(graph, width).steps),
        Formula(training(graph, width).steps),
    )


def macs_of(graph: Graph, node: Node) -> Dim | None:
    """The multiply-adds of a node as a formula; None where only numbers tell."""
    op = node.primitive
    if op is None or not op.late:
        return node.macs
    inputs = tuple(graph.tensor(edge) for edge in node.data)
    if isinstance(op, Attend) and not isinstance(op.over, Mechanism):
        q, k, _ = op.qkv(inputs)
        try:
            if formula(op.over, position_axis(q), position_axis(k)) is None and not _are_sized(inputs):
                return None
        except PatternError:
            return None
    elif not _are_sized(inputs) and not isinstance(op, Attend):
        return None
    return op.macs(inputs, node.outputs)


def _are_sized(inputs: tuple[Any, ...]) -> bool:
    """Whether every position axis is a number."""
    return all(isinstance(position_axis(x).size, int) for x in inputs)


def _written(step: Step) -> str:
    parts = [show(step.total)] if step.total != 0 or not step.capped else []
    for (size, most), times in Counter(step.capped).items():
        parts.append(f"{times}*min({show(size)}, {most})" if times > 1 else f"min({show(size)}, {most})")
    return " + ".join(parts)
