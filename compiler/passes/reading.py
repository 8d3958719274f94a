"""How passes read an fx graph: what a node calls, who uses it, and how one is taken out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import torch
import torch.fx as fx
import torch.nn.functional as F
from torch import nn

from ogive.compiler.lower.loop import Loop
from ogive.compiler.module import Network

__all__ = [
    "ACTIVATIONS", "activation", "called", "calls", "is_sum", "lose", "only_user", "remove", "replace", "set_module",
    "wipe",
]

ACTIVATIONS: Final[dict[str, Callable[[torch.Tensor], torch.Tensor]]] = {
    "none": lambda x: x,
    "relu": torch.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "hardswish": F.hardswish,
}
"""Functions of each element that a convolution or linear map can end with."""

_FUNCTIONS: Final[dict[Any, str]] = {
    F.relu: "relu", torch.relu: "relu", torch.relu_: "relu", F.gelu: "gelu", F.silu: "silu",
    torch.sigmoid: "sigmoid", F.sigmoid: "sigmoid", torch.tanh: "tanh", F.tanh: "tanh", F.hardswish: "hardswish",
}
_MODULES: Final[dict[type, str]] = {
    nn.ReLU: "relu", nn.GELU: "gelu", nn.SiLU: "silu", nn.Sigmoid: "sigmoid", nn.Tanh: "tanh",
    nn.Hardswish: "hardswish",
}
_METHODS: Final = {"relu": "relu", "relu_": "relu", "sigmoid": "sigmoid", "tanh": "tanh"}


def called(module: nn.Module, node: object) -> nn.Module | None:
    """The module that a node calls, None when it calls none."""
    if isinstance(node, fx.Node) and node.op == "call_module" and isinstance(node.target, str):
        return module.get_submodule(node.target)
    return None


def calls(module: fx.GraphModule, target: str) -> int:
    """How often the graph reads a path: a module's calls and whoever reads a weight below it."""
    return sum(path == target or path.startswith(target + ".") for path in _read(module))


def _read(module: fx.GraphModule) -> Iterator[str]:
    """The paths of modules and weights that the graph reads, and the bodies of recurrences in it."""
    for node in module.graph.nodes:
        if node.op in ("call_module", "get_attr"):
            yield str(node.target)
        made = called(module, node)
        if isinstance(made, Loop):
            yield from _read(made.body)


def only_user(node: fx.Node) -> fx.Node | None:
    """The one node that reads `node`, None when several do or the output does."""
    user = next(iter(node.users), None)
    return user if len(node.users) == 1 and user is not None and user.op != "output" else None


def activation(module: nn.Module, node: object) -> str | None:
    """The name in `ACTIVATIONS` of what a node does to its one input."""
    if not isinstance(node, fx.Node) or not node.args or not isinstance(node.args[0], fx.Node):
        return None
    made = called(module, node)
    if made is not None:
        if isinstance(made, nn.GELU) and made.approximate == "tanh":
            return "gelu_tanh"
        return _MODULES.get(type(made))
    if node.op == "call_method":
        return _METHODS.get(str(node.target))
    if node.op != "call_function":
        return None
    if node.target is F.gelu:
        approximate = node.kwargs.get("approximate", node.args[1] if len(node.args) > 1 else "none")
        return "gelu_tanh" if approximate == "tanh" else "gelu"
    return _FUNCTIONS.get(node.target)


def is_sum(node: object) -> bool:
    """Whether a node adds two tensors and nothing else (no `alpha`)."""
    if not isinstance(node, fx.Node) or len(node.args) != 2 or node.kwargs:
        return False
    if not all(isinstance(a, fx.Node) for a in node.args):
        return False
    if node.op == "call_method":
        return node.target in ("add", "add_")
    return node.op == "call_function" and getattr(node.target, "__name__", "") in ("add", "iadd", "add_")


def set_module(module: nn.Module, path: str, child: nn.Module) -> None:
    """Put `child` at `path`, in place of what was there or beside it."""
    parent, _, name = path.rpartition(".")
    at = module
    for part in filter(None, parent.split(".")):
        if part not in at._modules:
            at.add_module(part, nn.Module())
        at = at.get_submodule(part)
    at._modules[name] = child


def replace(module: Network, node: fx.Node, by: fx.Node) -> None:
    """Let `by` take the place of `node` and of its results, its record in `meta` included, and take `node` out."""
    about = node.meta.get("ogive")
    node.replace_all_uses_with(by)
    node.graph.erase_node(node)
    _results_move(module, node, by)
    if about is not None:
        by.meta["ogive"] = about


def remove(module: Network, node: fx.Node) -> None:
    """Take out a node that is the identity: its first input goes where it went."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    node.replace_all_uses_with(source)
    node.graph.erase_node(node)
    _results_move(module, node, source)


def lose(module: Network, node: fx.Node, reason: str) -> None:
    """From here on `node` computes something else than its key path says: no path stands for it any more."""
    about = module.meta["ogive"]
    gone = [path for path, name in about["results"].items() if name == node.name]
    about.setdefault("lost", {}).update(dict.fromkeys(gone, reason))
    for path in gone:
        del about["results"][path]


def _results_move(module: Network, node: fx.Node, to: fx.Node) -> None:
    results: dict[str, str] = module.meta["ogive"]["results"]
    for path, name in results.items():
        if name == node.name:
            results[path] = to.name


def wipe(module: fx.GraphModule) -> None:
    """Drop what nothing reads any more: dead nodes, then modules and weights that no node names."""
    module.graph.eliminate_dead_code()
    used = set(_read(module))
    _prune(module, "", used)
    module.recompile()


def _prune(at: nn.Module, path: str, used: set[str]) -> bool:
    """Whether anything at or below `path` is used."""
    if path and path in used:
        return True
    for held in (at._parameters, at._buffers):
        for name in [n for n in held if path + ("." if path else "") + n not in used]:
            del held[name]
    for name, child in list(at._modules.items()):
        if child is None or not _prune(child, f"{path}.{name}" if path else name, used):
            del at._modules[name]
    return bool(at._parameters or at._buffers or at._modules)
