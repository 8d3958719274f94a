"""`softmax(q k^T s + b) v`, written out -> the one call that `attend` makes."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator, Mapping

import torch.fx as fx
from torch import Tensor, nn

from ogive.compiler.module import Network
from ogive.compiler.passes.fuse_attention_call import Core, Place, apply, holds
from ogive.compiler.passes.fuse_attention_scores import read
from ogive.compiler.passes.fuse_attention_words import Declined, Sight, kind
from ogive.compiler.passes.reading import called, lose, replace, set_module

__all__ = ["fuse", "fuse_attention"]


def fuse_attention(module: Network) -> Network:
    """matmul(dropout(softmax(matmul(q s, k^T) t + b + where(m, 0, -inf))), v) -> attention(q, k, v, b + m, scale=s t).

    In any of the usual spellings: the scale on q, on k or behind the product; `dot` or `matmul`; biases and masks in
    any number and order; `where` or `masked_fill`. Numbers stay the same to rounding. The scores and their softmax have
    no value any more: their key paths are lost. A row that sees no key answers zeros, as `attend` does, where written
    out it is not a number.

    Declines, with the reason, where a fused call does not say the same: a softmax over another axis, scores or weights
    that are read elsewhere or returned, anything else between the products.
    """
    for one in module.__dict__.get("_cases", {}).values() or (module,):
        _fuse_one(one)
    return module


def _fuse_one(module: Network) -> None:
    sight = _Texts(module)
    declined: list[str] = []
    found = [n for n in module.graph.nodes if kind(n, sight) == "softmax"]
    if not found:
        return
    for softmax in found:
        name = str(softmax.meta.get("ogive", {}).get("node", softmax.name))
        try:
            made = read(softmax, sight)
            shape = holds(made, sight, free=False)
            new, _ = apply(made, shape, sight, {}, _shelved(module, made.result))
        except Declined as reason:
            declined.append(f"{name}: {reason}")
            continue
        for node in made.chain[:-1]:
            lose(module, node, "it is part of a fused attention")
        replace(module, made.result, new)
        spare = made.product.all_input_nodes
        for node in reversed(made.chain[:-1]):
            module.graph.erase_node(node)
        for node in _unused(spare, sight):
            lose(module, node, "it is part of a fused attention")
            module.graph.erase_node(node)
    if declined:
        before = module.meta["ogive"]["declined"].get("fuse_attention", [])  # of another kind of call
        module.meta["ogive"]["declined"]["fuse_attention"] = list(dict.fromkeys((*before, *declined)))
    module.recompile()


def fuse(graph: fx.Graph, sight: Sight, constants: Mapping[fx.Node, Tensor]) -> list[tuple[fx.Node, Place]]:
    """The same for the graph of somebody else's module; `constants` are the values of its buffers.

    Each softmax with what became of it. The graph may call functions of this package afterwards.
    """
    found: list[tuple[fx.Node, Place]] = []
    for softmax in [n for n in graph.nodes if kind(n, sight) == "softmax"]:
        try:
            made = read(softmax, sight)
            shape = holds(made, sight, free=True)
            new, words = apply(made, shape, sight, constants)
        except Declined as reason:
            found.append((softmax, Place(softmax.name, reason=str(reason))))
            continue
        made.result.replace_all_uses_with(new)
        spare = made.product.all_input_nodes
        for node in (*made.unread, *reversed(made.chain)):
            graph.erase_node(node)
        for node in _unused(spare, sight):
            graph.erase_node(node)
        found.append((softmax, Place(softmax.name, words)))
    return found


_PURE = frozenset({"transpose", "permute", "t", "mul", "div", "identity", "getattr", "neg"})


def _unused(nodes: Iterable[fx.Node], sight: Sight) -> Iterator[fx.Node]:
    """Of what was made for a product alone, what nothing reads now; to be erased before the next is asked for."""
    todo = list(nodes)
    while todo:
        node = todo.pop()
        inputs = node.all_input_nodes
        if not node.users and not node._erased and kind(node, sight) in _PURE:
            yield node
            todo += inputs


def _shelved(module: Network, at: fx.Node) -> Core:
    """Writes the call of a module without weights, which lies where the lowerings put theirs."""

    def write(core: nn.Module, *inputs: fx.Node) -> fx.Node:
        path, n = f"{module.meta['ogive']['shelf']}.{at.name}", 1
        while _taken(module, path):
            path, n = f"{module.meta['ogive']['shelf']}.{at.name}_{n}", n + 1
        set_module(module, path, core)
        return at.graph.call_module(path, inputs)

    return write


def _taken(module: nn.Module, path: str) -> bool:
    try:
        module.get_submodule(path)
    except AttributeError:
        return False
    return True


class _Texts:
    """What a lowered graph says of its values: shapes in the letters of the file, written at each line's last node."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.shapes: dict[fx.Node, tuple[str, ...]] = {}
        last: dict[str, fx.Node] = {}
        for node in network.graph.nodes:
            about = node.meta.get("ogive")
            if about is None or node.op == "output" or about["op"] == "size":
                continue
            parts = about["shape"].split(", ")
            first = node.args[0] if node.args else None
            if len(parts) == 1:
                last[about["node"]] = node
            elif node.target is operator.getitem and isinstance(node.args[1], int):
                self.shapes[node] = _sizes(parts[node.args[1]])
            elif node.target == "flatten" and first in self.shapes and first.meta["ogive"]["node"] == about["node"]:
                self.shapes[node] = self.shapes.pop(first)  # a part that heads cut and that is laid together again
        self.shapes.update({node: _sizes(node.meta["ogive"]["shape"]) for node in last.values()})

    def shape(self, node: fx.Node) -> tuple[str, ...] | None:
        if node in self.shapes:
            return self.shapes[node]
        if node.op == "get_attr":
            return tuple(map(str, operator.attrgetter(str(node.target))(self.network).shape))
        if node.target == "unsqueeze" and isinstance(node.args[0], fx.Node) and isinstance(node.args[1], int):
            source, place = self.shape(node.args[0]), node.args[1]
            return None if source is None or place < 0 else (*source[:place], "1", *source[place:])
        return None

    def dtype(self, node: fx.Node) -> None:
        """A network has one type of floats."""

    def module(self, node: fx.Node) -> nn.Module | None:
        return called(self.network, node)

    def number(self, node: fx.Node) -> bool:
        return node.meta.get("ogive", {}).get("op") == "size"


def _sizes(text: str) -> tuple[str, ...]:
    """The sizes of `B (1 + H/4 W/4) C`: what stands in parentheses is one."""
    text = text.partition(" of ")[0]
    if text == "number":
        return ()
    found: list[str] = []
    depth = 0
    for word in re.findall(r"[()]|[^\s()]+|\s+", text):
        if word.isspace() and not depth:
            found.append("")
            continue
        depth += (word == "(") - (word == ")")
        found[-1:] = [(found[-1] if found else "") + word]
    return tuple(found)
