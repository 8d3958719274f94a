"""What building a network comes to: the network that stands, or the workbench with its mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ogive.dsl.body import Bodies
from ogive.dsl.dims import Dim
from ogive.dsl.dims_text import show
from ogive.dsl.graph import Graph, Node
from ogive.dsl.load import Definition
from ogive.dsl.source import Span
from ogive.dsl.undecided import Undecided
from ogive.dsl.when import Case
from ogive.dsl.work import Work

__all__ = ["Attempt", "Built"]


@dataclass(frozen=True, eq=False)
class Built:
    """One network, built and checked: its graph, and what of the text the graph does not need."""

    name: str
    definition: Definition
    graph: Graph
    settings: Mapping[str, Any]
    """Every parameter with the value it has here."""
    dropped: tuple[Node, ...]
    """Nodes that no result needs; they are not in the graph."""
    solved: Mapping[Span, Dim] = field(default_factory=dict)
    """The number that stands for each `?` in place of a number."""
    read: Mapping[Span, frozenset[str]] = field(default_factory=dict)
    """What each `?` in a shape was found to be, in words: one size for each that a run met."""
    cases: tuple[tuple[Case, Graph], ...] = ()
    """The graph of each kind of call, where calls decide something; `graph` is the first."""
    undecided: Undecided | None = None
    """All of them in one, where calls decide something."""

    @property
    def filled(self) -> dict[Span, str]:
        """What each `?` stands for, in words; one in a shape that met several sizes is left out."""
        sizes = {span: next(iter(found)) for span, found in self.read.items() if len(found) == 1}
        return {**{span: show(number) for span, number in self.solved.items()}, **sizes}

    @property
    def doc(self) -> str:
        """The comment above the definition."""
        return self.definition.node.doc


@dataclass(frozen=True, eq=False)
class Attempt:
    """One try to build a network: the network, None when something is wrong, and what built it."""

    built: Built | None
    bodies: Bodies

    @property
    def work(self) -> Work:
        return self.bodies.work
