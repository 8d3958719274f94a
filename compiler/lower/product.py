"""Products of tensors that sum over an axis."""

from __future__ import annotations

import string

import torch

from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.product import Dot

__all__ = ["dot", "matmul"]


@lowers("dot")
def dot(emit: Emit, node: Node, a: Value, b: Value) -> Value:
    """One `einsum`: a letter for each axis, the same one for axes that are one."""
    x, y = emit.types(node)
    (i, j), pairs = settings(node, Dot).plan(x, y)
    first = string.ascii_lowercase[: x.rank]
    same = {**pairs, j: i}
    second = "".join(first[same[k]] if k in same else string.ascii_lowercase[x.rank + k] for k in range(y.rank))
    left = "".join(c for c in first if c != first[i]) + "".join(c for k, c in enumerate(second) if k not in same)
    return emit.call(torch.einsum, f"{first},{second}->{left}", a, b)


@lowers("matmul")
def matmul(emit: Emit, node: Node, a: Value, b: Value) -> Value:
    return emit.call(torch.matmul, a, b)
