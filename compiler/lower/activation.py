"""Functions of each element, as calls of torch."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.activation import Elu, Gelu, LeakyRelu, Softmax, axis_place

__all__ = ["elu", "gelu", "identity", "leaky_relu", "quick_gelu", "softmax"]

PLAIN: dict[str, Callable[..., Any]] = {
    "relu": F.relu, "relu6": F.relu6, "silu": F.silu, "hard_swish": F.hardswish, "hard_sigmoid": F.hardsigmoid,
    "softplus": F.softplus, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "exp": torch.exp, "log": torch.log,
    "log2": torch.log2, "sqrt": torch.sqrt, "abs": torch.abs, "sign": torch.sign, "sin": torch.sin,
    "cos": torch.cos,
}


def _plain(function: Callable[..., Any]) -> Callable[..., Value]:
    def lowering(emit: Emit, node: Node, x: Value) -> Value:
        return emit.call(function, x)

    return lowering


for _op, _function in PLAIN.items():
    lowers(_op)(_plain(_function))


@lowers("leaky_relu")
def leaky_relu(emit: Emit, node: Node, x: Value) -> Value:
    return emit.call(F.leaky_relu, x, settings(node, LeakyRelu).slope)


@lowers("elu")
def elu(emit: Emit, node: Node, x: Value) -> Value:
    return emit.call(F.elu, x, settings(node, Elu).alpha)


@lowers("gelu")
def gelu(emit: Emit, node: Node, x: Value) -> Value:
    if settings(node, Gelu).approximate:
        return emit.call(F.gelu, x, approximate="tanh")
    return emit.call(F.gelu, x)


@lowers("quick_gelu")
def quick_gelu(emit: Emit, node: Node, x: Value) -> Value:
    return emit.call(operator.mul, x, emit.call(torch.sigmoid, emit.call(operator.mul, x, 1.702)))


@lowers("softmax")
def softmax(emit: Emit, node: Node, x: Value) -> Value:
    return emit.call(torch.softmax, x, axis_place(emit.types(node)[0], settings(node, Softmax).axis, "softmax"))


@lowers("identity")
def identity(emit: Emit, node: Node, x: Value) -> Value:
    return x
