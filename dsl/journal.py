"""What a build has put down so far, in order: what a copy of a block's run puts down again (`copies.py`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ogive.dsl.graph import Edge
from ogive.dsl.ops.record import Weight
from ogive.dsl.source import Span

__all__ = ["Declared", "Journal", "Mark"]

Declared = tuple[str, Weight, str, Span, str | None]
"""A weight as it was asked for: its key, the weight, the node, the place, the key it is tied to."""


class Mark(NamedTuple):
    """A place in the journal."""

    ids: int
    nodes: int
    weights: int
    results: int
    scopes: int


@dataclass(slots=True)
class Journal:
    ids: list[tuple[str, str]] = field(default_factory=list)
    """Ids of nodes: what was wanted, and what was given."""
    nodes: list[str] = field(default_factory=list)
    weights: list[Declared] = field(default_factory=list)
    results: list[tuple[str, Edge]] = field(default_factory=list)
    scopes: list[tuple[str, Span]] = field(default_factory=list)

    @property
    def mark(self) -> Mark:
        """The place where it ends now."""
        return Mark(len(self.ids), len(self.nodes), len(self.weights), len(self.results), len(self.scopes))
