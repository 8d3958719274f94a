"""`relu(conv(x) + y)` -> one oneDNN kernel on a weight laid out once; likewise `gelu(linear(x))`, `linear(x) + y`."""

from __future__ import annotations

import torch
import torch.fx as fx
from torch import nn

from ogive.compiler.module import Network
from ogive.compiler.passes.packed import PackedConv, PackedLinear, available
from ogive.compiler.passes.reading import activation, called, calls, is_sum, only_user, replace, set_module

__all__ = ["pack"]


def pack(module: Network) -> Network:
    """activation(conv(x) + y) -> PackedConv(x, y); activation(linear(x)) and linear(x) + y -> PackedLinear.

    Declines where torch has no oneDNN, off the processor and for weights that are not float32; a module that is called
    more than once is packed alone, without what follows it.
    """
    reason = available()
    if reason is not None:
        module.meta["ogive"]["declined"]["pack"] = [reason]
        return module
    declined: list[str] = []
    order = {node: i for i, node in enumerate(module.graph.nodes)}
    for node in list(module.graph.nodes):
        made = called(module, node)
        if type(made) not in (nn.Conv2d, nn.Linear):
            continue
        assert isinstance(made, nn.Conv2d | nn.Linear)
        reason = _refuses(made)
        if reason is not None:
            declined.append(f"{node.target}: {reason}")
        elif isinstance(made, nn.Conv2d):
            _conv(module, node, made, order)
        else:
            _linear(module, node, made, order)
    if declined:
        module.meta["ogive"]["declined"]["pack"] = declined
    return module


def _refuses(made: nn.Conv2d | nn.Linear) -> str | None:
    if made.weight.device.type != "cpu":
        return f"its weight is on {made.weight.device.type}"
    if made.weight.dtype is not torch.float32:
        return f"its weight is of {str(made.weight.dtype).removeprefix('torch.')}"
    if isinstance(made, nn.Conv2d) and (isinstance(made.padding, str) or made.padding_mode != "zeros"):
        return "its padding is more than zeros on both sides"
    return None


def _conv(module: Network, node: fx.Node, conv: nn.Conv2d, order: dict[fx.Node, int]) -> None:
    last, other, into = node, None, False
    alone = calls(module, str(node.target)) == 1
    user = only_user(last)
    if alone and user is not None and is_sum(user):
        other = _other(user, node)
        if other is not None and _later_conv(module, other, node, order):
            other = None  # the other convolution, which runs later, takes the sum
        elif other is not None:
            last, user = user, only_user(user)
            into = _is_spare(module, other, last, order)
    name = "none"
    if alone and user is not None and (other is not None or last is node):
        found = activation(module, user)
        if found is not None:
            name, last = found, user
    set_module(module, str(node.target), PackedConv(conv, name, into))
    _fuse(module, node, last, other, order)


def _linear(module: Network, node: fx.Node, linear: nn.Linear, order: dict[fx.Node, int]) -> None:
    last, other, name = node, None, "none"
    user = only_user(node) if calls(module, str(node.target)) == 1 else None
    found = activation(module, user)
    if user is not None and found is not None:
        last, name = user, found
    elif user is not None and is_sum(user):
        other = _other(user, node)
        if other is not None:
            last = user
    set_module(module, str(node.target), PackedLinear(linear.weight, linear.bias, name))
    _fuse(module, node, last, other, order)


def _fuse(module: Network, node: fx.Node, last: fx.Node, other: fx.Node | None, order: dict[fx.Node, int]) -> None:
    """One call in the place of `last`; what stood between is dead."""
    if last is node:
        return
    with last.graph.inserting_before(last):
        made = last.graph.call_module(str(node.target), (node.args[0],) if other is None else (node.args[0], other))
    order[made] = order[last]
    replace(module, last, made)
    node.graph.eliminate_dead_code()


def _other(total: fx.Node, node: fx.Node) -> fx.Node | None:
    others = [a for a in total.args if a is not node]
    return others[0] if len(others) == 1 and isinstance(others[0], fx.Node) else None


def _later_conv(module: Network, other: fx.Node, node: fx.Node, order: dict[fx.Node, int]) -> bool:
    if type(called(module, other)) is not nn.Conv2d or len(other.users) != 1:
        return False
    return order.get(other, -1) > order.get(node, -1)


def _is_spare(module: Network, other: fx.Node, total: fx.Node, order: dict[fx.Node, int]) -> bool:
    """Whether `other` owns its memory and the sum is the last to read it."""
    fresh = isinstance(called(module, other), PackedConv | nn.Conv2d | nn.ReLU | nn.MaxPool2d)
    users = [u for u in other.users if u is not total]
    return fresh and all(u in order and order[u] < order[total] and not _views(module, u) for u in users)


def _views(module: Network, node: fx.Node) -> bool:
    """Whether a node's result may be a view of its input."""
    return not isinstance(called(module, node), PackedConv | PackedLinear | nn.Conv2d | nn.Linear)
