"""Free regrouping of axes: views where torch can."""

from __future__ import annotations

import operator

import torch

from ogive.compiler.lower.axes import from_grid, to_grid
from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.activation import axis_place
from ogive.dsl.ops.regroup import Atom, Rearrange, RepeatTo, Subsample, Unstack
from ogive.dsl.ops.settings import each
from ogive.dsl.types import Role

__all__ = ["rearrange", "repeat_to", "subsample", "unstack"]


@lowers("rearrange")
def rearrange(emit: Emit, node: Node, x: Value) -> Value:
    """Groups of the left come apart, names move, groups of the right are made."""
    op = settings(node, Rearrange)
    for place, atoms in reversed(list(enumerate(op.left))):
        if len(atoms) > 1:
            x = emit.method("unflatten", x, place, _sizes(emit, atoms))
        elif not atoms:
            x = emit.method("squeeze", x, place)
    before = [name for atoms in op.left for name, _ in atoms]
    after = [name for atoms in op.right for name, _ in atoms]
    if before != after:
        x = emit.method("permute", x, *(before.index(name) for name in after))
    end = len(after)
    for atoms in reversed(op.right):
        start = end - len(atoms)
        if len(atoms) > 1:
            x = emit.method("flatten", x, start, end - 1)
        elif not atoms:
            x = emit.method("unsqueeze", x, start)
        end = start
    return x


def _sizes(emit: Emit, atoms: tuple[Atom, ...]) -> tuple[int | Value, ...]:
    """The sizes of a group; one that is free follows from the others."""
    free = [k for k, (_, size) in enumerate(atoms) if not isinstance(size, int)]
    return tuple(-1 if k in free[-1:] else emit.size(size) for k, (_, size) in enumerate(atoms))


@lowers("unstack")
def unstack(emit: Emit, node: Node, x: Value) -> tuple[Value, ...]:
    """Views, no copies."""
    parts = emit.call(torch.unbind, x, axis_place(emit.types(node)[0], settings(node, Unstack).axis, "unstack"))
    return tuple(emit.call(operator.getitem, parts, i) for i in range(len(node.outputs)))


@lowers("repeat_to")
def repeat_to(emit: Emit, node: Node, x: Value) -> Value:
    """A view: the one position is read n times."""
    (t,) = emit.types(node)
    sizes: list[int | Value] = [-1] * t.rank
    sizes[t.roles.index(Role.POSITION)] = emit.size(settings(node, RepeatTo).n)
    return emit.method("expand", x, *sizes)


@lowers("subsample")
def subsample(emit: Emit, node: Node, x: Value) -> Value:
    """A slice with steps; tokens go by their grid and back."""
    (t,) = emit.types(node)
    image = to_grid(emit, x, t) if t.layout == "tokens" else x
    rank = len(t.axes[1].grid) if t.layout == "tokens" else t.rank - 2
    steps = each(settings(node, Subsample).step, rank, "step")
    places = (slice(None), slice(None), *(slice(None, None, step) for step in steps))
    image = emit.call(operator.getitem, image, places)
    return from_grid(emit, image, x, t) if t.layout == "tokens" else image
