"""Which nodes of an fx graph stand together under one key path, and so can be a class of their own."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch.fx as fx
from torch import nn

from ogive.compiler.lower.loop import Loop
from ogive.compiler.module import Network

__all__ = ["Scope", "scopes"]

_QUIET = ("placeholder", "output", "get_attr")


@dataclass(eq=False)
class Scope:
    """The nodes under `path`, in order: own ones and whole scopes.

    `loose` are the modules without weights that are called here, with a name for each.
    """

    path: str
    items: list[fx.Node | Scope]
    loose: dict[fx.Node, str] = field(default_factory=dict)

    @property
    def nodes(self) -> list[fx.Node]:
        """Own nodes."""
        return [i for i in self.items if isinstance(i, fx.Node)]

    @cached_property
    def all_nodes(self) -> dict[fx.Node, None]:
        """Own nodes and those of the scopes inside, in order."""
        found: dict[fx.Node, None] = {}
        for item in self.items:
            found.update(item.all_nodes if isinstance(item, Scope) else {item: None})
        return found

    @cached_property
    def inputs(self) -> list[fx.Node]:
        """What is read here and made elsewhere; a weight counts where its key lies outside."""
        if not self.path:
            return [n for n in self.all_nodes if n.op == "placeholder"]
        found: dict[fx.Node, None] = {}
        for node in self.all_nodes:
            for used in node.all_input_nodes:
                if used.op == "get_attr":
                    if not str(used.target).startswith(self.path + "."):
                        found[used] = None
                elif used not in self.all_nodes:
                    found[used] = None
        return list(found)

    @cached_property
    def outputs(self) -> list[fx.Node]:
        """What is made here and read elsewhere."""
        return [n for n in self.all_nodes if n.op != "get_attr" and any(u not in self.all_nodes for u in n.users)]

    def child(self, path: str) -> Scope | None:
        """The scope at exactly `path` inside this one."""
        return next((i for i in self.items if isinstance(i, Scope) and i.path == path), None)

    def parts(self, node: fx.Node) -> list[fx.Node]:
        """The nodes that take a tuple apart, when they follow it here and nothing else reads it."""
        users = list(node.users)
        if not users or any(u.target is not operator.getitem or u.args[0] is not node for u in users):
            return []
        at = self.items.index(node) + 1
        following = self.items[at : at + len(users)]
        parts = [i for i in following if isinstance(i, fx.Node) and i in node.users]
        whole = len(parts) == len(users) and [p.args[1] for p in parts] == list(range(len(parts)))
        chunks = node.op == "call_method" and node.target in ("chunk", "split", "unbind")
        return parts if whole and chunks and _count(node, len(parts)) else []

    def flows_on(self, node: fx.Node, after: fx.Node | Scope | None) -> bool:
        """Whether a node is one link of a chain, `x.transpose(1, 2).flatten(2)`, that the next line goes on with."""
        if not isinstance(after, fx.Node) or after.op != "call_method" or node.op not in ("call_method", "call_module"):
            return False
        same = node.meta.get("ogive", {}).get("node") == after.meta.get("ogive", {}).get("node")
        alone = list(node.users) == [after] and after.args[0] is node and after.all_input_nodes.count(node) == 1
        return same and alone


def _count(node: fx.Node, parts: int) -> bool:
    """Whether the tuple is known to have exactly so many parts."""
    n = node.args[1] if len(node.args) > 1 else None
    return len(n) == parts if isinstance(n, list | tuple) else bool(n == parts) and node.target == "chunk"


def scopes(module: Network) -> Scope:
    """The tree of scopes that can be classes; the root holds everything.

    A network with a recurrence, or where calls decide something, is one class.
    """
    order = [n for n in module.graph.nodes]
    further = list(_further(module))
    if further:
        flat = Scope("", list(order))
        _name_loose(module, flat, [*order, *further])
        return flat
    home = {n: _home(module, n) for n in order}
    refused: set[str] = {path for path in _paths(home.values()) if not _is_container(module, path)}
    while True:
        root = _tree(order, {n: _lifted(path, refused) for n, path in home.items()})
        bad = _invalid(root, set())
        if not bad:
            break
        refused |= bad
    _name_loose(module, root, root.items)
    return root


def _further(module: Network) -> Iterator[fx.Node]:
    """Nodes beside those of the graph: bodies of recurrences, and what other kinds of calls run. One class has all."""
    for sub in module.__dict__.get("_cases", {}).values():
        if sub.graph is not module.graph:
            yield from sub.graph.nodes
        yield from _bodies(sub)
    yield from _bodies(module)


def _bodies(module: fx.GraphModule) -> Iterator[fx.Node]:
    for node in module.graph.nodes:
        made = module.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(made, Loop):
            yield from made.body.graph.nodes
            yield from _bodies(made.body)


def _home(module: Network, node: fx.Node) -> str:
    """The scope that a node's id puts it in; a weighted module's is where its key lies."""
    if node.op in _QUIET or node.meta.get("ogive", {}).get("op") == "size":
        return ""
    path = str(node.meta["ogive"]["node"]).rpartition(".")[0]
    if node.op == "call_module" and not _is_loose(module, node):
        target = str(node.target)
        while path and not target.startswith(path + "."):
            path = path.rpartition(".")[0]
    return path


def _is_loose(module: Network, node: fx.Node) -> bool:
    """Whether the module that is called has no weights: then it may stand anywhere."""
    return not module.get_submodule(str(node.target)).state_dict()


def _paths(homes: object) -> set[str]:
    found: set[str] = set()
    for path in homes:  # type: ignore[attr-defined]
        while path:
            found.add(path)
            path = path.rpartition(".")[0]
    return found


def _is_container(module: nn.Module, path: str) -> bool:
    """A plain module that is no list: lists are written where they are used."""
    at: nn.Module | None = module
    for name in path.split("."):
        at = at._modules.get(name) if at is not None else None
    if at is None or type(at) is not nn.Module:
        return False
    return not (at._modules and not at._parameters and not at._buffers and all(k.isdecimal() for k in at._modules))


def _lifted(path: str, refused: set[str]) -> str:
    while path in refused:
        path = path.rpartition(".")[0]
    return path


def _tree(order: list[fx.Node], home: dict[fx.Node, str]) -> Scope:
    root = Scope("", [])
    made: dict[str, Scope] = {"": root}

    def at(path: str) -> Scope:
        if path not in made:
            above = path.rpartition(".")[0]
            while above and above not in known:
                above = above.rpartition(".")[0]
            made[path] = Scope(path, [])
            at(above).items.append(made[path])
        return made[path]

    known = set(home.values())
    for node in order:
        at(home[node]).items.append(node)
    return root


def _invalid(scope: Scope, bad: set[str]) -> set[str]:
    """Scopes that read, before they are done, something that is made outside after they began; and empty ones."""
    for item in scope.items:
        if isinstance(item, Scope):
            _invalid(item, bad)
    if scope.path:
        own = list(scope.all_nodes)
        loud = [n for n in own if n.op not in _QUIET]
        if not scope.outputs or not loud or any(n is m for n in scope.inputs for m in _between(loud)):
            bad.add(scope.path)
    return bad


def _between(own: list[fx.Node]) -> list[fx.Node]:
    """The nodes that stand between the first and the last of these and are none of them."""
    inside, found = set(own), []
    node = own[0]
    while node is not own[-1]:
        if node not in inside:
            found.append(node)
        node = node.next
    return found


def _name_loose(module: Network, scope: Scope, items: Sequence[fx.Node | Scope]) -> None:
    held = module.get_submodule(scope.path)
    taken = {*held._modules, *held._parameters, *held._buffers, *dir(nn.Module), "training"}
    for item in items:
        if isinstance(item, Scope):
            _name_loose(module, item, item.items)
        elif item.op == "call_module" and _is_loose(module, item) and item not in scope.loose:
            if isinstance(module.get_submodule(str(item.target)), Loop):
                continue
            word = str(item.meta["ogive"]["node"]).rpartition(".")[2]
            name = "".join(c if c.isascii() and c.isalnum() else "_" for c in word) or "op"
            name = f"op_{name}" if not name.isidentifier() else name
            free, n = name, 2
            while free in taken:
                free, n = f"{name}_{n}", n + 1
            taken.add(free)
            scope.loose[item] = free
