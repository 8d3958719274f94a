"""The figures of one variant in a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ogive.compiler.cost.clock import Machine
from ogive.compiler.cost.totals import memory
from ogive.compiler.cost.tree import tree
from ogive.dsl.graph import Graph

__all__ = ["Variant", "variant"]


@dataclass(frozen=True, slots=True)
class Variant:
    """A network with some settings: what it holds, does, needs room for, and how long it takes at least.

    `forward` and `training` are bytes of all memory, weights included; `error` says why it cannot be built.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    params: int = 0
    macs: int = 0
    macs_dense: int = 0
    forward: int = 0
    training: int = 0
    seconds: float | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        figures = {
            "params": self.params, "macs": self.macs, "macs_dense": self.macs_dense, "forward": self.forward,
            "training": self.training, "seconds": self.seconds,
        }
        if self.error is not None:
            figures = dict.fromkeys(figures)
        return {"settings": dict(self.settings), **figures, "error": self.error}


def variant(
    graph: Graph, settings: Mapping[str, str], sizes: Mapping[str, int], width: int = 4, machine: Machine | None = None,
    trains: Graph | None = None,
) -> Variant:
    """The figures of a network at `sizes`; floats have `width` bytes. `trains` as in `memory`.

    Raises:
        ArchError: A802, as `sizes_of`.
    """
    whole, room = tree(graph, sizes, width=width, machine=machine), memory(graph, sizes, width, trains)
    return Variant(
        settings, graph.parameter_count, whole.macs, whole.macs_dense, room.inference, room.training, whole.seconds
    )
