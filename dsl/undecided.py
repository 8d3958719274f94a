"""A network before calls decide: every side of every `if`, and where sides meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ogive.dsl.graph import Graph, Returned
from ogive.dsl.when import When

__all__ = ["Undecided"]


@dataclass(frozen=True, eq=False)
class Undecided:
    """The nodes of all kinds of calls in the order they were built; an `if` node stands where two sides meet."""

    graph: Graph
    """No call runs it: `Built.cases` holds what calls run. Its results are those of `returns`' last."""
    whens: Mapping[str, When]
    """The calls that come to a node, by its id; a node that is not here is met by all."""
    unsaid: frozenset[str]
    """Nodes that no line says: a batch of one, laid out where two sides meet."""
    returns: tuple[tuple[When, tuple[tuple[str, Returned], ...]], ...]
    """What is returned: the first whose condition holds."""
