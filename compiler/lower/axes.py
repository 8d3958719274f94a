"""Moves of axes that several lowerings need: channels to the end and back, tokens to their grid and back."""

from __future__ import annotations

import operator

import torch

from ogive.compiler.lower.emit import Emit, Value
from ogive.dsl.dims import Dim
from ogive.dsl.types import Role, Tensor

__all__ = ["channels_last", "channels_second", "cut", "from_grid", "moved", "to_grid"]


def moved(emit: Emit, x: Value, rank: int, start: int, end: int) -> Value:
    """The axis `start` at the place `end`, the others in order."""
    if start == end:
        return x
    if abs(start - end) == 1:
        return emit.method("transpose", x, start, end)
    order = [i for i in range(rank) if i != start]
    order.insert(end, start)
    return emit.method("permute", x, *order)


def channels_last(emit: Emit, x: Value, t: Tensor, back: bool = False) -> Value:
    """`... C`; with `back`, the layout of `t` again."""
    place = t.find(Role.CHANNEL)
    assert place is not None
    ends = (t.rank - 1, place) if back else (place, t.rank - 1)
    return moved(emit, x, t.rank, *ends)


def channels_second(emit: Emit, x: Value, t: Tensor, back: bool = False) -> Value:
    """`B C ...`; with `back`, the layout of `t` again."""
    place = t.find(Role.CHANNEL)
    assert place is not None
    ends = (1, place) if back else (place, 1)
    return moved(emit, x, t.rank, *ends)


def to_grid(emit: Emit, x: Value, t: Tensor) -> Value:
    """The grid of tokens as an image `B C H W`; tokens beside it are left out."""
    axis = t.axes[1]
    if len(axis.segments) > 1:
        size: Dim = next(s.size for s in axis.segments if s.grid)
        last = bool(axis.segments[-1].grid)
        x = cut(emit, x, 1, axis.prefix, None if last else axis.prefix + size)
    sizes = tuple(emit.size(n) for n in axis.grid)
    return emit.method("unflatten", emit.method("transpose", x, 1, 2), 2, sizes)


def from_grid(emit: Emit, image: Value, x: Value, t: Tensor) -> Value:
    """The image as tokens, with those tokens of `x` around it that stand beside the grid of `t`."""
    made = emit.method("transpose", emit.method("flatten", image, 2), 1, 2)
    axis = t.axes[1]
    if len(axis.segments) == 1:
        return made
    parts = [made]
    if not axis.segments[0].grid:
        parts.insert(0, cut(emit, x, 1, 0, axis.prefix))
    if not axis.segments[-1].grid:
        size: Dim = next(s.size for s in axis.segments if s.grid)
        parts.append(cut(emit, x, 1, axis.prefix + size, None))
    return emit.call(torch.cat, parts, 1)


def cut(emit: Emit, x: Value, place: int, start: Dim, stop: Dim | None) -> Value:
    """The positions `start .. stop - 1` of an axis; `stop` None is the end."""
    first = None if start == 0 else emit.size(start)
    part = slice(first, None if stop is None else emit.size(stop))
    return emit.call(operator.getitem, x, (*[slice(None)] * place, part))
