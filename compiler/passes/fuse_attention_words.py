"""What the nodes of an fx graph say, whoever wrote them: one name for each of the many spellings of one operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

import torch
import torch.fx as fx
from torch import nn

__all__ = ["Declined", "Sight", "above", "argument", "flags", "kind", "leaves", "number", "written"]


class Declined(Exception):
    """Why attention that is written out stays as it is."""


class Sight(Protocol):
    """What is known about the values of nodes; None is unknown."""

    def shape(self, node: fx.Node) -> tuple[Any, ...] | None: ...

    def dtype(self, node: fx.Node) -> torch.dtype | None: ...

    def module(self, node: fx.Node) -> nn.Module | None: ...

    def number(self, node: fx.Node) -> bool:
        """Whether the value is a Python number, such as a size."""


_OTHER_WORDS: Final[Mapping[str, str]] = {
    "iadd": "add", "isub": "sub", "subtract": "sub", "imul": "mul", "multiply": "mul", "truediv": "div",
    "itruediv": "div", "divide": "div", "true_divide": "div", "imatmul": "matmul", "reshape": "view",
    "unflatten": "view",
    "flatten": "view", "view_as": "view", "reshape_as": "view", "_unsafe_view": "view", "swapaxes": "transpose",
    "swapdims": "transpose", "float": "to", "half": "to", "bfloat16": "to", "double": "to", "type": "to",
    "type_as": "to",
    "_to_copy": "to", "contiguous": "identity", "clone": "identity", "alias": "identity", "_softmax": "softmax",
    "native_dropout": "dropout", "alpha_dropout": "another kind of dropout",
    "feature_dropout": "another kind of dropout",
}

_MODULES: Final[Mapping[type[nn.Module], str]] = {
    nn.Softmax: "softmax", nn.Dropout: "dropout", nn.Identity: "identity",
}

_ROOMS: Final = ("torch", "_operator", "math", "builtins")


def kind(node: object, sight: Sight) -> str:
    """The operation in one word: `add` for `+`, `+=`, `torch.add`, `x.add_`, `aten.add`; "" if none of torch's."""
    if not isinstance(node, fx.Node):
        return ""
    if node.op == "call_module":
        module = sight.module(node)
        return "" if module is None else _MODULES.get(type(module), "")
    if node.op == "call_method":
        word = str(node.target)
    elif node.op != "call_function":
        return ""
    elif isinstance(node.target, torch._ops.OpOverload):
        word = node.target._schema.name.partition("::")[2]
    else:
        room = getattr(node.target, "__module__", None)
        if room is not None and not room.startswith(_ROOMS):
            return ""
        word = getattr(node.target, "__name__", "")
    if not word.startswith("__"):
        word = word.removesuffix("_")
    return _OTHER_WORDS.get(word, word)


def argument(node: fx.Node, place: int, *names: str, default: Any = None) -> Any:
    """An argument by its place, self being 0, or by one of its names."""
    for name in names:
        if name in node.kwargs:
            return node.kwargs[name]
    return node.args[place] if len(node.args) > place else default


def number(value: object, sight: Sight) -> bool:
    """Whether a value is a number that no tensor decides: a literal, or arithmetic on sizes."""
    if isinstance(value, int | float):
        return not isinstance(value, bool)
    return isinstance(value, fx.Node) and sight.number(value)


def leaves(node: fx.Node, stop: Callable[[fx.Node], bool]) -> set[fx.Node]:
    """The nodes without inputs that a value is computed from; where `stop` holds, a node is one of them."""
    found: set[fx.Node] = set()
    todo, seen = [node], {node}
    while todo:
        at = todo.pop()
        if stop(at) or not at.all_input_nodes:
            found.add(at)
            continue
        for source in at.all_input_nodes:
            if source not in seen:
                seen.add(source)
                todo.append(source)
    return found


def above(node: fx.Node) -> set[fx.Node]:
    """A node and all that it is computed from."""
    found = {node}
    todo = [node]
    while todo:
        for source in todo.pop().all_input_nodes:
            if source not in found:
                found.add(source)
                todo.append(source)
    return found


def flags(node: fx.Node, sight: Sight) -> tuple[fx.Node, ...]:
    """The users of a node that read its element type or device alone."""
    names = ("dtype", "device")
    return tuple(
        user for user in node.users
        if user.op == "call_function" and user.target is getattr and user.args[1] in names
    )


def written(graph: fx.Graph) -> Iterator[tuple[fx.Node, fx.Node]]:
    """Each node that writes in place, with the tensor that it writes into, views undone."""
    for node in graph.nodes:
        word = getattr(node.target, "__name__", str(node.target))
        inplace = node.op == "call_method" and word.endswith("_") and not word.startswith("__")
        if node.op == "call_function":
            inplace = word in _IN_PLACE or (word.endswith("_") and not word.endswith("__"))
            inplace = inplace or bool(node.kwargs.get("inplace")) or "out" in node.kwargs
        if inplace and node.args and isinstance(node.args[0], fx.Node):
            yield node, _origin(node.args[0])


_IN_PLACE: Final = frozenset({
    "setitem", "iadd", "isub", "imul", "itruediv", "ifloordiv", "imatmul", "ipow", "imod", "iand", "ior", "ixor",
})

_VIEWS: Final = frozenset({
    "view", "transpose", "permute", "unsqueeze", "squeeze", "expand", "getitem", "narrow", "select", "chunk", "split",
    "unbind", "t", "detach", "identity", "view_as", "movedim", "diagonal", "slice", "to", "getattr", "unfold",
    "expand_as",
})


class _Blind:
    """Nothing is known of any value."""

    def shape(self, node: fx.Node) -> None: ...

    def dtype(self, node: fx.Node) -> None: ...

    def module(self, node: fx.Node) -> None: ...

    def number(self, node: fx.Node) -> bool:
        return False


def _origin(node: fx.Node) -> fx.Node:
    """The tensor that a node is a view of, or may be."""
    blind = _Blind()
    while kind(node, blind) in _VIEWS and node.args and isinstance(node.args[0], fx.Node):
        node = node.args[0]
    return node
