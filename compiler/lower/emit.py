"""Where a lowering writes: one emitter per network, turning checked nodes into `torch.fx` nodes and modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch.fx as fx
from torch import nn

from ogive.dsl.dims import Dim
from ogive.dsl.graph import Graph, Node

__all__ = ["Emit", "Lowering", "Value"]

Value: TypeAlias = fx.Node
Lowering: TypeAlias = Callable[..., "Value | tuple[Value, ...]"]
"""`lowering(emit, node, *inputs)` -> one fx node, or one per result. `node.primitive` has the settings,
`node.outputs` and `emit.types(node)` the types of results and inputs."""


class Emit:
    """Writes fx nodes for the node at hand; `modules` collects what `call_module` needs, by path.

    Attributes:
        node: the node that is being lowered.
        modules: path -> module, filled by `module`; parameters in it are on the meta device until they are initialised.
    """

    def __init__(self, graph: Graph) -> None:
        raise NotImplementedError

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Value:
        """`function(*args, **kwargs)`; functions come from torch, torch.nn.functional and operator alone."""
        raise NotImplementedError

    def method(self, name: str, *args: Any, **kwargs: Any) -> Value:
        """`args[0].name(*args[1:], **kwargs)`."""
        raise NotImplementedError

    def module(self, module: nn.Module, *inputs: Value, at: str = "") -> Value:
        """Call `module`, registered under the node's key (then `.at` if given), or under the node's id without weights.

        The second run of a shared node reuses the module of the first.
        """
        raise NotImplementedError

    def weight(self, name: str) -> Value:
        """The weight `name` of the node at hand, its own or the supplied one ("" for a bare parameter)."""
        raise NotImplementedError

    def size(self, dim: Dim) -> int | Value:
        """A size as a number, or as integer arithmetic on the sizes of the network's inputs."""
        raise NotImplementedError

    def types(self, node: Node) -> tuple[Any, ...]:
        """The types of a node's inputs."""
        raise NotImplementedError


Lowerings: TypeAlias = Mapping[str, Lowering]
