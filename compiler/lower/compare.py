"""Comparisons, element by element."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch

from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.merge import beside, binary
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.merge import Arithmetic

__all__ = ["COMPARISONS"]

COMPARISONS: dict[str, Callable[..., Any]] = {
    "less": operator.lt, "less_equal": operator.le, "greater": operator.gt, "greater_equal": operator.ge,
    "equal": operator.eq, "not_equal": operator.ne,
}
"""What each comparison is in Python."""

def _compared(function: Callable[..., Any]) -> Callable[..., Value]:
    arithmetic = binary(function)

    def lowering(emit: Emit, node: Node, *xs: Value) -> Value:
        return arithmetic(emit, node, *xs)

    return lowering


for _op, _function in COMPARISONS.items():
    lowers(_op)(_compared(_function))


def _extreme(function: Callable[..., Any], limit: str) -> Callable[..., Value]:
    """Of two tensors `function`; beside a number a limit from below or above."""

    def lowering(emit: Emit, node: Node, *xs: Value) -> Value:
        number = settings(node, Arithmetic).number
        if number is not None:
            return emit.method("clamp", xs[0], **{limit: number if isinstance(number, float) else emit.size(number)})
        made, types = node.outputs[0], emit.types(node)
        return emit.call(function, *(beside(emit, x, t, made) for x, t in zip(xs, types, strict=True)))

    return lowering


lowers("min")(_extreme(torch.minimum, "max"))
lowers("max")(_extreme(torch.maximum, "min"))
