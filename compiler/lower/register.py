"""The table of lowerings: one function per record, under the record's name.

A lowering is called as `(emit, node, *inputs)` while `torch.device("meta")` holds, so modules it makes own no memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from ogive.compiler.lower.emit import Lowering
from ogive.dsl.graph import Node
from ogive.dsl.ops.record import Primitive

__all__ = ["LOWERINGS", "lowers", "settings", "supplied"]

P = TypeVar("P", bound=Primitive)

LOWERINGS: Final[dict[str, Lowering]] = {}
"""Every lowering by the name of its record."""


def lowers(op: str) -> Callable[[Lowering], Lowering]:
    """Register the function below as the lowering of the record `op`."""

    def register(lowering: Lowering) -> Lowering:
        if op in LOWERINGS:
            raise TypeError(f"two lowerings of `{op}`")
        LOWERINGS[op] = lowering
        return lowering

    return register


def settings(node: Node, kind: type[P]) -> P:
    """The node's record, known to be of `kind`."""
    assert isinstance(node.primitive, kind), f"`{node.op}` is no {kind.__name__}"
    return node.primitive


def supplied(node: Node) -> bool:
    """Whether a weight is computed by another node, or read under another node's key alone: no module can own it."""
    return bool(node.given) and (not node.key or any(given.edge is not None for given in node.given.values()))
