"""Attention that was read is written as one call, before the product that it takes the place of."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.fx as fx
from torch import Tensor, nn

from ogive.compiler.lower.core import core
from ogive.compiler.passes.fuse_attention_masks import is_causal
from ogive.compiler.passes.fuse_attention_parts import rate, regrouped, same_shape
from ogive.compiler.passes.fuse_attention_scores import Added, Factor, Factors, Side, Written
from ogive.compiler.passes.fuse_attention_words import Declined, Sight, above, leaves, written

__all__ = ["Place", "apply", "holds"]

Core = Callable[..., fx.Node]


@dataclass(frozen=True, slots=True)
class Place:
    """One softmax: what was found around it, or why it was left."""

    node: str
    found: tuple[str, ...] = ()
    reason: str | None = None


class _Writer:
    """Writes nodes in front of one node."""

    def __init__(self, at: fx.Node, module_core: Core | None) -> None:
        self.at = at
        self.module_core = module_core

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> fx.Node:
        return self.marked(self.at.graph.call_function(function, args, kwargs))

    def method(self, name: str, *args: Any, **kwargs: Any) -> fx.Node:
        return self.marked(self.at.graph.call_method(name, args, kwargs))

    def kept(self, module: nn.Module, *inputs: fx.Node) -> fx.Node:
        assert self.module_core is not None
        return self.marked(self.module_core(module, *inputs))

    def marked(self, node: fx.Node) -> fx.Node:
        """The node with the place in the file of the one it stands in front of."""
        if "ogive" in self.at.meta:
            node.meta["ogive"] = self.at.meta["ogive"]
        return node


def holds(made: Written, sight: Sight, free: bool) -> tuple[int, ...] | None:
    """Check what the pieces must have in common; the shape of q is the answer, where it is known.

    `free` says that the graph may call functions of this package.

    Raises:
        Declined: ranks, leading axes or element types do not fit one call; a score is reshaped where that cannot be
            followed; something between is written in place.
    """
    shapes = [_laid(side, sight) for side in (made.q, made.k, made.v)]
    q, k, v = shapes
    known = [s for s in shapes if s is not None]
    if any(len(s) < 3 for s in known):
        raise Declined("q, k and v are single matrices, without a batch")
    if len(known) == 3 and not (q[:-2] == k[:-2] == v[:-2]):  # type: ignore[index]
        raise Declined("the leading axes of q, k and v differ: one is stretched to the others")
    if not free and len(known) < 3:
        raise Declined("the shapes of q, k and v are not known")
    types = {sight.dtype(side.node) for side in (made.q, made.k, made.v)} - {None}
    if len(types) > 1:
        raise Declined("q, k and v are of different element types")
    if made.views and not free:
        raise Declined("its scores are reshaped")
    if not free and any(isinstance(f.value, fx.Node) and not f.tensor for f in made.factors):
        raise Declined("its scale is a size that each call brings")
    if made.views:
        first, last = sight.shape(made.product), sight.shape(made.chain[-2])
        if first is None or first != last:
            raise Declined("its scores are reshaped, and not back again")
        if any(x.op != "call_method" or x.target not in ("view", "reshape") for x in made.views):
            raise Declined("its scores are reshaped by something else than `view` and `reshape`")
    _undisturbed(made)
    return q


def _laid(side: Side, sight: Sight) -> tuple[Any, ...] | None:
    """The shape of (..., positions, channels)."""
    shape = sight.shape(side.node)
    if shape is None:
        return None
    if side.order is not None:
        return tuple(shape[i] for i in side.order)
    return (*shape[:-2], shape[-1], shape[-2]) if side.turned else tuple(shape)


def _undisturbed(made: Written) -> None:
    """Nothing that attention reads is written into between its first node and its last."""
    at = {node: i for i, node in enumerate(made.softmax.graph.nodes)}
    first, last = at[made.product], at[made.result]
    readers = {item.node: min(at[n] for n in made.chain if item.node in n.all_input_nodes) for item in made.added}
    chain = set(made.chain)
    for node, origin in written(made.softmax.graph):
        if not first < at[node] < last or node in chain:
            continue
        early = at[origin] > first and all(
            at[node] < reader for value, reader in readers.items() if origin in above(value)
        )
        if not early or origin in chain:
            raise Declined(f"`{node.name}` writes in place between its products")


def apply(
    made: Written, shape: tuple[Any, ...] | None, sight: Sight, constants: Mapping[fx.Node, Tensor],
    module_core: Core | None = None,
) -> tuple[fx.Node, tuple[str, ...]]:
    """Write the call, in front of the product with the values: the new node, and what was found in words.

    `module_core` writes a call of a module that keeps the rate of dropout, where the graph is not to read it from
    the module's own.
    """
    graph, found = made.softmax.graph, []
    writer = _Writer(made.result, module_core)
    with graph.inserting_before(made.result):
        q, k, v = (_side(writer, side) for side in (made.q, made.k, made.v))
        plain, tensors = [f for f in made.factors if not f.tensor], [f for f in made.factors if f.tensor]
        for f in tensors:
            q = writer.call(operator.truediv if f.inverse else operator.mul, q, f.value)
        scale = _number(writer, plain)
        shown = [f"{scale:.4g}"] if isinstance(scale, float | int) and scale != 1 else []
        shown += ["from sizes"] if isinstance(scale, fx.Node) else []
        shown += [f"learned, {_where(f.value)}" for f in tensors]
        found += [f"scale {' and '.join(shown)}"] if shown else []
        size = shape[-2] if shape is not None and isinstance(shape[-2], int) else None
        causal = len(made.added) == 1 and is_causal(made.added[0], size, sight, constants)
        mask = None
        if causal:
            found.append("causal")
        else:
            mask, words = _mask(writer, made, q, k, sight)
            found += words
        if made.views:
            for view in made.views[-1:]:
                writer.call(same_shape, tuple(view.args[1:]), q, k)
        drop, words = _drop(writer, made, sight, module_core is not None)
        found += words
        flat = shape is not None and len(shape) == 3
        if flat:
            q, k, v = (writer.method("unsqueeze", x, 0) for x in (q, k, v))
        new = core(writer.call, writer.kept, q, k, v, mask, scale=scale, causal=causal, **drop)
        if flat:
            new = writer.method("squeeze", new, 0)
        if made.answer is not None:
            new = writer.method("permute", new, *made.answer)
    for node in made.unread:  # the element type and device of scores are those of the queries
        with graph.inserting_before(node):
            node.replace_all_uses_with(writer.call(getattr, made.q.node, node.args[1]))
    return new, tuple(found)


def _side(writer: _Writer, side: Side) -> fx.Node:
    if side.order is not None:
        return writer.method("permute", side.node, *side.order)
    return writer.method("transpose", side.node, -1, -2) if side.turned else side.node


def _number(writer: _Writer, factors: list[Factor]) -> float | fx.Node:
    """The product of numbers; a node where sizes decide."""
    value: Any = 1.0
    for f in factors:
        if isinstance(f.value, fx.Node) or isinstance(value, fx.Node):
            value = writer.call(operator.truediv if f.inverse else operator.mul, value, f.value)
        else:
            value = value / f.value if f.inverse else value * f.value
    return value  # type: ignore[no-any-return]


def _scaled(writer: _Writer, node: fx.Node, factors: Factors, sign: int) -> fx.Node:
    for f in factors:
        node = writer.call(operator.truediv if f.inverse else operator.mul, node, f.value)
    return writer.call(operator.neg, node) if sign < 0 else node


def _mask(
    writer: _Writer, made: Written, q: fx.Node, k: fx.Node, sight: Sight
) -> tuple[fx.Node | None, list[str]]:
    """All that is added to the scores as one tensor, or what is hidden as truth values."""
    if not made.added:
        return None, []
    words = [_words(item, sight) for item in reversed(made.added)]
    alone = made.added[0]
    if len(made.added) == 1 and alone.fill == float("-inf") and alone.space is None:
        seen = writer.call(torch.logical_not, alone.node) if alone.where else writer.method("bool", alone.node)
        return _wide(writer, seen, alone.node, sight), words
    total: fx.Node | None = None
    for item in reversed(made.added):
        if item.fill is None:
            one = _scaled(writer, item.node, item.factors, item.sign)
        else:
            sides = (item.fill, 0.0) if item.where else (0.0, item.fill)
            one = writer.call(torch.where, writer.method("bool", item.node), *sides)
        one = writer.method("type_as", one, q)
        if item.space is not None:
            one = writer.call(regrouped, one, tuple(item.space.args[1:]), q, k)
        elif len(made.added) == 1:
            return _wide(writer, one, item.node, sight), words
        total = one if total is None else writer.call(operator.add, total, one)
    return total, words


def _wide(writer: _Writer, mask: fx.Node, like: fx.Node, sight: Sight) -> fx.Node:
    """A mask of three axes with a fourth, as the kernels want it."""
    shape = sight.shape(like)
    return writer.method("unsqueeze", mask, 0) if shape is not None and len(shape) == 3 else mask


def _words(item: Added, sight: Sight) -> str:
    origin = _where(item.node)
    if item.fill is not None:
        return f"mask {origin}, {item.fill:g}"
    from_data = any(x.op == "placeholder" for x in leaves(item.node, sight.number))
    return f"{'mask' if from_data else 'bias'} {origin}"


def _where(node: Any) -> str:
    """What a value comes from: the names of the weights and inputs that decide it."""
    if not isinstance(node, fx.Node):
        return f"{node:g}"
    found = [x for x in above(node) if x.op in ("get_attr", "placeholder")]
    order = {n: i for i, n in enumerate(node.graph.nodes)}
    names = [str(x.target) for x in sorted(found, key=order.__getitem__)]
    return ", ".join(dict.fromkeys(f"`{name}`" for name in names[:3])) or f"`{node.name}`"


def _drop(writer: _Writer, made: Written, sight: Sight, kept: bool) -> tuple[dict[str, Any], list[str]]:
    """The rate of dropout: that of a module is asked for at each call, unless a module of its own is to keep it."""
    if not made.droppers:
        return {}, []
    (node,) = made.droppers
    module = sight.module(node) if node.op == "call_module" else None
    if not isinstance(module, nn.Dropout):
        if kept:
            raise Declined("its dropout is no module")
        return ({"rate": made.drop}, [f"dropout {made.drop:g}"]) if made.drop else ({}, [])
    words = [f"dropout {module.p:g}"] if module.p else []
    if kept:
        return {"drop": float(module.p)}, words
    return {"rate": writer.call(rate, writer.at.graph.get_attr(str(node.target)))}, words
