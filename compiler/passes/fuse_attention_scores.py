"""Attention that is written out, read from a softmax up to the product of queries and keys, and down to the values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import torch
import torch.fx as fx
from torch import nn

from ogive.compiler.passes.fuse_attention_words import Declined, Sight, above, argument, flags, kind, leaves, number

__all__ = ["Added", "Factor", "Side", "Written", "read"]

HIDDEN: Final = -1e9
"""What a masked score is set to counts as minus infinity from here on: float32 keeps nothing of a score beside it."""


PRODUCTS: Final = ("matmul", "bmm", "einsum", "baddbmm")

_PASSED: Final = ("add", "sub", "mul", "div", "masked_fill", "view", "to", "identity")
"""What `_Up` takes off the scores, these being the first argument."""


@dataclass(frozen=True, slots=True)
class Factor:
    """A factor of the scores, or one over it: a number, a node that is one, or a tensor, the same for all keys."""

    value: float | int | fx.Node
    inverse: bool = False
    tensor: bool = False


Factors: TypeAlias = tuple[Factor, ...]


@dataclass(slots=True)
class Added:
    """What is added to the scores, times factors; or, with `fill`, what scores become where the node is `where`."""

    node: fx.Node
    factors: Factors
    sign: int = 1
    fill: float | fx.Node | None = None
    where: bool = True
    space: fx.Node | None = None
    """The view of the scores that it is added to; None where that has the shape of the product."""


@dataclass(slots=True)
class Side:
    """One factor of a product, axes (..., positions, channels) after `order`, or with the last two exchanged."""

    node: fx.Node
    turned: bool = False
    order: tuple[int, ...] | None = None


@dataclass(slots=True)
class Written:
    """softmax(q k^T * factors + added) v, with the nodes that it takes."""

    softmax: fx.Node
    q: Side
    k: Side
    v: Side
    product: fx.Node
    result: fx.Node
    answer: tuple[int, ...] | None
    factors: Factors
    added: list[Added]
    chain: list[fx.Node]
    views: list[fx.Node]
    drop: float | None
    droppers: list[fx.Node]
    unread: list[fx.Node] = field(default_factory=list)
    """Nodes that read the element type or device of a score."""


def read(softmax: fx.Node, sight: Sight) -> Written:
    """What a softmax belongs to.

    Raises:
        Declined: it is no attention, or attention that a fused call does not say.
    """
    scores = _softmax_of(softmax, sight)
    up = _Up(sight)
    up.walk(scores)
    assert up.product is not None and up.q is not None and up.k is not None
    down = _Down(sight)
    down.walk(softmax)
    assert down.result is not None and down.v is not None
    chain = [*reversed(up.chain), softmax, *down.chain]
    made = Written(
        softmax, up.q, up.k, down.v, up.product, down.result, down.answer, tuple(up.factors), up.added, chain,
        [*reversed(up.views), *down.views], down.drop, down.droppers, [*up.unread, *down.unread],
    )
    _absorb(made, sight)
    return made


def _softmax_of(node: fx.Node, sight: Sight) -> fx.Node:
    """The scores, if the softmax is over the keys and keeps their element type."""
    module = sight.module(node) if node.op == "call_module" else None
    if isinstance(module, nn.Softmax):
        axis, dtype = module.dim, None
    else:
        axis, dtype = argument(node, 1, "dim"), argument(node, 2, "dtype")
        if isinstance(node.target, torch._ops.OpOverload) and isinstance(dtype, bool):
            dtype = None  # `aten._softmax(x, dim, half_to_float)`
    scores = argument(node, 0, "input", "self")
    if not isinstance(scores, fx.Node):
        raise Declined("its scores are no tensor of the graph")
    shape = sight.shape(scores)
    last = {-1} if shape is None else {-1, len(shape) - 1}
    if axis not in last:
        raise Declined(f"the softmax goes over axis {axis}, not over the keys, the last one")
    if dtype is not None and sight.dtype(scores) is not dtype:
        raise Declined(f"its softmax is computed in {_name(dtype)}, another element type than the scores'")
    return scores


def _name(dtype: object) -> str:
    return str(dtype).removeprefix("torch.")


class _Up:
    """From the softmax up: each step takes one operation off the scores."""

    def __init__(self, sight: Sight) -> None:
        self.sight = sight
        self.factors: list[Factor] = []
        self.added: list[Added] = []
        self.chain: list[fx.Node] = []
        self.views: list[fx.Node] = []
        self.unread: list[fx.Node] = []
        self.product: fx.Node | None = None
        self.q: Side | None = None
        self.k: Side | None = None

    def walk(self, node: fx.Node) -> None:
        while self.product is None:
            read_by = _users(node, self.sight)
            self.unread += flags(node, self.sight)
            if len(read_by) > 1:
                raise Declined("its scores are read elsewhere too")
            self.chain.append(node)
            node = self.step(node)

    def step(self, node: fx.Node) -> fx.Node:
        word = kind(node, self.sight)
        if word in PRODUCTS:
            self.end(node, word)
            return node
        if word in ("add", "sub"):
            return self.sum(node, word)
        if word in ("mul", "div"):
            return self.times(node, word)
        if word in ("masked_fill", "where"):
            return self.filled(node, word)
        if word == "view":
            return self.viewed(node)
        if word in ("to", "identity"):
            return _kept(node, self.sight)
        raise Declined(_barred((node,), self.sight))

    def sum(self, node: fx.Node, word: str) -> fx.Node:
        a, b = argument(node, 0, "input"), argument(node, 1, "other")
        if argument(node, 2, "alpha", default=1) != 1:
            raise Declined(f"`{word}` with `alpha`")
        scores, other = self.apart(a, b, word)
        if not isinstance(other, fx.Node) or number(other, self.sight):
            return scores  # the same number for all keys changes no softmax
        left, right = self.sight.dtype(scores), self.sight.dtype(other)
        if left is not right and None not in (left, right):
            raise Declined(f"what is added is {_name(right)} and the scores are {_name(left)}")
        self.added.append(Added(other, tuple(self.factors), -1 if word == "sub" else 1))
        return scores

    def apart(self, a: object, b: object, word: str) -> tuple[fx.Node, Any]:
        """The scores, and what stands beside them."""
        if isinstance(a, fx.Node) and _leads(a, self.sight):
            return a, b
        if word == "add" and isinstance(b, fx.Node) and _leads(b, self.sight):
            return b, a
        raise Declined(_barred((a, b), self.sight))

    def times(self, node: fx.Node, word: str) -> fx.Node:
        a, b = argument(node, 0, "input"), argument(node, 1, "other")
        if argument(node, 2, "rounding_mode") is not None:
            raise Declined("its scores are divided to whole numbers")
        if word == "mul" and not (isinstance(a, fx.Node) and _leads(a, self.sight)):
            a, b = b, a
        if not (isinstance(a, fx.Node) and _leads(a, self.sight)):
            raise Declined(_barred((a, b), self.sight))
        self.factors.append(self.factor(b, word == "div"))
        return a

    def factor(self, value: object, inverse: bool) -> Factor:
        if number(value, self.sight):
            return Factor(value, inverse)  # type: ignore[arg-type]
        if not isinstance(value, fx.Node):
            raise Declined(f"its scores are scaled by `{value}`")
        if any(x.op == "placeholder" for x in leaves(value, self.sight.number)):
            raise Declined("the scale of its scores depends on data")
        shape = self.sight.shape(value)
        if shape is None or (shape and str(shape[-1]) != "1"):
            raise Declined("the scale of its scores is not known to be the same for all keys")
        return Factor(value, inverse, tensor=True)

    def filled(self, node: fx.Node, word: str) -> fx.Node:
        if word == "masked_fill":
            scores, mask, fill = (argument(node, i, *names) for i, names in enumerate(
                (("input", "self"), ("mask",), ("value",))
            ))
            where = True
        else:
            mask, a, b = (argument(node, i, *names) for i, names in enumerate(
                (("condition",), ("input", "self"), ("other",))
            ))
            where = not (isinstance(a, fx.Node) and _leads(a, self.sight))
            scores, fill = (b, a) if where else (a, b)
        if not (isinstance(scores, fx.Node) and _leads(scores, self.sight)):
            raise Declined(_barred((scores,), self.sight))
        if not isinstance(mask, fx.Node):
            raise Declined(f"its mask is `{mask}`")
        value = self.constant(fill)
        if value is None or math.isnan(value) or value > HIDDEN:
            shown = "a tensor" if value is None else f"{value:g}"
            raise Declined(f"scores that are masked become {shown}, which is not minus infinity for all of them")
        outer = tuple(self.factors)
        if any(f.tensor or (isinstance(f.value, int | float) and f.value <= 0) for f in outer):
            raise Declined(f"scores that are masked become {value:g}, and are then scaled by what need not be positive")
        self.added.append(Added(mask, outer, fill=value, where=where))
        return scores

    def constant(self, value: object) -> float | None:
        """The number that a fill is, also as a tensor `torch.full((), number)`."""
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, fx.Node) and kind(value, self.sight) in ("full", "tensor", "to", "scalar_tensor"):
            return self.constant(value.args[1] if kind(value, self.sight) == "full" else value.args[0])
        return None

    def viewed(self, node: fx.Node) -> fx.Node:
        source = _regrouped(node, self.sight)
        for item in self.added:
            if item.space is None:
                item.space = node
        self.views.append(node)
        return source

    def end(self, node: fx.Node, word: str) -> None:
        """The product of queries and keys."""
        self.product = node
        if word == "baddbmm":
            self.baddbmm(node)
        elif word == "einsum":
            equation, (a, b) = _equation(node)
            (left, right), out = equation
            self.q, self.k = _sides(left, right, out, a, b)
        else:
            a, b = argument(node, 0, "input", "self"), argument(node, 1, "other", "mat2", "tensor2")
            self.q, self.k = _pair(a, b, self.sight)
        mine = self.sight.shape(node)
        for item in self.added:
            if item.space is not None and mine is not None and self.sight.shape(item.space) == mine:
                item.space = None

    def baddbmm(self, node: fx.Node) -> None:
        """beta * input + alpha * a b."""
        bias, a, b = (argument(node, i, name) for i, name in enumerate(("input", "batch1", "batch2")))
        beta, alpha = node.kwargs.get("beta", 1), node.kwargs.get("alpha", 1)
        outer = tuple(self.factors)
        if isinstance(bias, fx.Node) and beta != 0:
            if not number(beta, self.sight):
                raise Declined("the scale of its scores depends on data")
            self.added.append(Added(bias, (*outer, self.factor(beta, False)) if beta != 1 else outer))
        if alpha != 1:
            self.factors.append(self.factor(alpha, False))
        self.q, self.k = _pair(a, b, self.sight)


class _Down:
    """From the softmax down to the product with the values."""

    def __init__(self, sight: Sight) -> None:
        self.sight = sight
        self.chain: list[fx.Node] = []
        self.views: list[fx.Node] = []
        self.unread: list[fx.Node] = []
        self.drop: float | None = None
        self.droppers: list[fx.Node] = []
        self.v: Side | None = None
        self.result: fx.Node | None = None
        self.answer: tuple[int, ...] | None = None

    def walk(self, node: fx.Node) -> None:
        while self.result is None:
            read_by = _users(node, self.sight)
            self.unread += flags(node, self.sight)
            if any(user.op == "output" for user in read_by):
                raise Declined("its weights are returned")
            if len(read_by) != 1:
                raise Declined("its weights are read elsewhere too" if read_by else "nothing reads its weights")
            node = self.step(node, read_by[0])

    def step(self, weights: fx.Node, node: fx.Node) -> fx.Node:
        word = kind(node, self.sight)
        if word in ("matmul", "bmm"):
            a, b = argument(node, 0, "input", "self"), argument(node, 1, "other", "mat2", "tensor2")
            if a is not weights or b is weights or not isinstance(b, fx.Node):
                raise Declined("its weights do not stand left in the product with the values")
            self.v, self.result = Side(b), node
        elif word == "einsum":
            self.einsum(node, weights)
        elif word == "dropout":
            self.dropped(node)
        elif word == "view":
            _regrouped(node, self.sight)
            self.views.append(node)
        elif word in ("to", "identity"):
            _kept(node, self.sight)
        else:
            raise Declined(_strange(node, self.sight, "the softmax and the values"))
        self.chain.append(node)
        return node

    def dropped(self, node: fx.Node) -> None:
        if self.droppers:
            raise Declined("its weights are dropped twice")
        self.droppers.append(node)
        if node.op == "call_module":
            return
        rate, on = argument(node, 1, "p", default=0.5), argument(node, 2, "training", "train", default=True)
        if not isinstance(rate, int | float) or not isinstance(on, bool):
            raise Declined("the rate of its dropout is no number")
        self.drop = float(rate) if on else 0.0

    def einsum(self, node: fx.Node, weights: fx.Node) -> None:
        ((left, right), out), (a, b) = _equation(node)
        if b is weights:
            (left, right), (a, b) = (right, left), (b, a)
        if a is not weights or b is weights:
            raise Declined("its weights are multiplied with themselves")
        keys = left[-1]
        channels = [c for c in right if c not in left]
        shared = left[:-2]
        if keys not in right or keys in out or len(channels) != 1 or left[-2] in right or not set(shared) <= set(right):
            raise Declined(f"`{left}, {right} -> {out}` is no product of weights and values")
        made = shared + left[-2] + channels[0]
        if sorted(made) != sorted(out):
            raise Declined(f"`{left}, {right} -> {out}` is no product of weights and values")
        order = tuple(right.index(c) for c in (*shared, keys, channels[0]))
        self.v = Side(b, order=None if order == tuple(range(len(order))) else order)
        back = tuple(made.index(c) for c in out)
        self.answer = None if back == tuple(range(len(back))) else back
        self.result = node


def _users(node: fx.Node, sight: Sight) -> list[fx.Node]:
    passed = flags(node, sight)
    return [user for user in node.users if user not in passed]


def _leads(node: fx.Node, sight: Sight) -> bool:
    """Whether the operations that `_Up` takes off lead from here to a product of two tensors."""
    word = kind(node, sight)
    if word in PRODUCTS:
        return True
    if word in ("add", "sub", "mul", "div", "where"):
        return any(isinstance(x, fx.Node) and _leads(x, sight) for x in node.args)
    first = node.args[0] if node.args else None
    passes = word in ("masked_fill", "view", "to", "identity")
    return passes and isinstance(first, fx.Node) and _leads(first, sight)


def _kept(node: fx.Node, sight: Sight) -> fx.Node:
    """What a copy or a cast is made of, if it keeps the element type."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    if kind(node, sight) == "to":
        before, after = sight.dtype(source), sight.dtype(node)
        if before is None or before is not after:
            words = f" from {_name(before)} to {_name(after)}" if before and after else ""
            raise Declined(f"a cast{words} stands between the product and the values")
    return source


def _regrouped(node: fx.Node, sight: Sight) -> fx.Node:
    """What a view is made of, if it keeps the axes of queries and keys."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    before, after = sight.shape(source), sight.shape(node)
    if before is None or after is None or before[-2:] != after[-2:]:
        raise Declined("its scores are reshaped, and the axes of queries and keys are not known to stay")
    return source


def _barred(nodes: tuple[Any, ...], sight: Sight) -> str:
    """What stands between the softmax and a product above it."""
    for node in nodes:
        if not isinstance(node, fx.Node):
            continue
        while kind(node, sight) in _PASSED and isinstance(node.args[0], fx.Node):
            node = node.args[0]
        if any(kind(x, sight) in PRODUCTS for x in above(node)):
            return _strange(node, sight, "the product and the softmax")
    return "there is no product of queries and keys above it"


def _strange(node: fx.Node, sight: Sight, between: str) -> str:
    word = kind(node, sight)
    if node.op == "call_module":
        word = word or f"{type(sight.module(node)).__name__} (`{node.target}`)"
    return f"`{word or getattr(node.target, '__name__', node.target)}` stands between {between}"


def _pair(a: Any, b: Any, sight: Sight) -> tuple[Side, Side]:
    """q and k of `a @ b`, where b holds the keys as columns."""
    if not isinstance(a, fx.Node) or not isinstance(b, fx.Node):
        raise Declined("its product is not one of two tensors of the graph")
    return Side(a), Side(_untransposed(b, sight) or b, turned=_untransposed(b, sight) is None)


def _untransposed(node: fx.Node, sight: Sight) -> fx.Node | None:
    """x of `x.transpose(-1, -2)`, which exchanges rows and columns."""
    source = node.args[0] if node.args else None
    if not isinstance(source, fx.Node):
        return None
    word = kind(node, sight)
    if word == "getattr" and node.args[1] == "mT":
        return source
    if word != "transpose":
        return None
    axes = {argument(node, 1, "dim0"), argument(node, 2, "dim1")}
    shape = sight.shape(source)
    if axes == {-1, -2}:
        return source
    if shape is not None and axes <= set(range(-len(shape), len(shape))):
        return source if {axis % len(shape) for axis in axes} == {len(shape) - 1, len(shape) - 2} else None
    return None


def _equation(node: fx.Node) -> tuple[tuple[tuple[str, str], str], tuple[Any, Any]]:
    """Letters of the two factors and of the result, and the factors."""
    text = node.args[0]
    given = node.args[1:]
    if len(given) == 1 and isinstance(given[0], list | tuple):
        given = tuple(given[0])
    if not isinstance(text, str) or "->" not in text or "..." in text or len(given) != 2:
        raise Declined(f"`einsum({text!r})` is not read")
    sources, out = text.replace(" ", "").split("->")
    left, right = sources.split(",")
    if any(len(set(x)) != len(x) for x in (left, right, out)):
        raise Declined(f"`einsum({text!r})` takes a diagonal")
    return ((left, right), out), (given[0], given[1])


def _sides(left: str, right: str, out: str, a: fx.Node, b: fx.Node) -> tuple[Side, Side]:
    """q and k of an einsum whose last two axes are queries and keys."""
    if len(out) < 2:
        raise Declined(f"`{left}, {right} -> {out}` is no product of queries and keys")
    query, key, shared = out[-2], out[-1], out[:-2]
    if query in right:
        left, right, a, b = right, left, b, a
    summed = [c for c in left if c not in out]
    fits = query in left and query not in right and key in right and key not in left and len(summed) == 1
    wanted = (sorted(shared + side + summed[0]) for side in (query, key)) if fits else ([], [])
    if not fits or [sorted(left), sorted(right)] != list(wanted):
        raise Declined(f"`{left}, {right} -> {out}` is no product of queries and keys")
    sides = []
    for letters, place, node in ((left, query, a), (right, key, b)):
        order = tuple(letters.index(c) for c in (*shared, place, summed[0]))
        sides.append(Side(node, order=None if order == tuple(range(len(order))) else order))
    return sides[0], sides[1]


def _absorb(made: Written, sight: Sight) -> None:
    """A number that q or k was multiplied with is a factor of the scores."""
    for side in (made.q, made.k):
        while kind(side.node, sight) in ("mul", "div"):
            word, (a, b) = kind(side.node, sight), (argument(side.node, 0, "input"), argument(side.node, 1, "other"))
            if word == "mul" and number(a, sight):
                a, b = b, a
            if not isinstance(a, fx.Node) or not number(b, sight) or sight.number(a) or len(side.node.users) > 1:
                break
            if argument(side.node, 2, "rounding_mode") is not None or not _writes_nothing(side.node):
                break
            made.factors = (*made.factors, Factor(b, word == "div"))
            side.node = a


def _writes_nothing(node: fx.Node) -> bool:
    name = str(node.target) if node.op == "call_method" else getattr(node.target, "__name__", "")
    return not name.endswith("_") and name not in ("imul", "itruediv")
