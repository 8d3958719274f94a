"""Weights made to fit another size: position embeddings and relative tables resampled, input channels summed or shared.

Each answers with the tensor of the shape that is wanted and with what was done, or with None where it does not apply.
"""

from __future__ import annotations

from math import isqrt, prod

import torch
import torch.nn.functional as F
from torch import Tensor

from ogive.dsl.diagnostics import fail
from ogive.dsl.graph import Graph, Parameter
from ogive.dsl.ops.bias import BEFORE_AND_BEHIND, RelativeBias
from ogive.dsl.ops.source import Position

__all__ = ["rechannelled", "resampled"]

Grid = tuple[int, int]


def resampled(
    graph: Graph, parameter: Parameter, tensor: Tensor, grid: Grid | None = None
) -> tuple[Tensor, str] | None:
    """Positions or a relative table of another size, by bicubic interpolation (Dosovitskiy et al. 2020, Liu et al.
    2021). Positions `1 (prefix + h w) C` and `1 h w C`; tables `((2h-1)(2w-1) + 3) heads`, `heads 2h-1 2w-1` and
    `heads h w`. The prefix keeps its numbers. `grid` is that of the file, a square unless given.

    Raises:
        ArchError: A737, the file's grid is no square, and which it is was not said.
    """
    record = graph.owner(parameter).primitive
    want = parameter.weight.shape
    if isinstance(record, Position):
        return _positions(record, parameter.key, tensor, want, grid)
    if isinstance(record, RelativeBias) and len(record.lengths()) == 2:
        return _table(record, parameter.key, tensor, want, grid)
    return None


def _positions(
    record: Position, key: str, tensor: Tensor, want: tuple[int, ...], grid: Grid | None
) -> tuple[Tensor, str] | None:
    if tensor.dim() != len(want) or tensor.shape[0] != 1 or tensor.shape[-1] != want[-1]:
        return None
    if record.layout == "grid":
        if len(want) != 4:
            return None
        new, old = (want[1], want[2]), (tensor.shape[1], tensor.shape[2])
        return _bicubic(tensor.permute(0, 3, 1, 2), new, True).permute(0, 2, 3, 1).contiguous(), _said(old, new)
    sides = record.size.over(2) if len(record.size) <= 2 else ()
    if len(sides) != 2 or record.prefix + prod(sides) != want[1]:
        return None
    new = (sides[0], sides[1])
    old = _grid(key, tensor.shape[1] - record.prefix, grid, "positions")
    prefix, plane = tensor[:, : record.prefix], tensor[:, record.prefix :]
    plane = _bicubic(plane.reshape(1, *old, -1).permute(0, 3, 1, 2), new, True)
    plane = plane.permute(0, 2, 3, 1).reshape(1, prod(new), -1)
    return torch.cat([prefix, plane], 1), _said(old, new)


def _table(
    record: RelativeBias, key: str, tensor: Tensor, want: tuple[int, ...], grid: Grid | None
) -> tuple[Tensor, str] | None:
    if tensor.dim() != len(want):
        return None
    h, w = record.lengths()
    if record.layout == "tf" and not record.symmetric:
        if tensor.shape[0] != want[0]:
            return None
        return _bicubic(tensor[None], (want[1], want[2]), False)[0], _said(tuple(tensor.shape[1:]), (want[1], want[2]))
    places = 0 if record.symmetric else 1  # the axis of the heads: the other has the offsets
    if tensor.shape[places] != want[places]:
        return None
    extra = BEFORE_AND_BEHIND if record.prefix and not record.symmetric else 0
    rows = tensor if record.symmetric else tensor.t()
    count = rows.shape[1] - extra
    wide = None if grid is None else grid if record.symmetric else (2 * grid[0] - 1, 2 * grid[1] - 1)
    new = (h, w) if record.symmetric else (2 * h - 1, 2 * w - 1)
    old = _grid(key, count, wide, "offsets")
    plane = _bicubic(rows[:, :count].reshape(1, -1, *old), new, False).reshape(-1, prod(new))
    made = torch.cat([plane, rows[:, count:]], 1)
    return (made if record.symmetric else made.t()).contiguous(), _said(old, new)


def _grid(key: str, count: int, grid: Grid | None, what: str) -> Grid:
    if grid is not None and prod(grid) == count:
        return grid
    side = isqrt(max(count, 0))
    if grid is not None or side * side != count or not side:
        shape = "no square" if grid is None else f"not {grid[0]} x {grid[1]}"
        raise fail("A737", f"the {count} {what} of `{key}` are {shape}",
                   help="`--grid 14x10` is the grid of tokens that the file was trained with")
    return side, side


def _bicubic(plane: Tensor, size: Grid, smooth: bool) -> Tensor:
    """`1 C h w` to another size, as timm does it: positions smoothed, tables not."""
    made = F.interpolate(plane.float(), size=size, mode="bicubic", antialias=smooth, align_corners=False)
    return made.to(plane.dtype)


def _said(old: tuple[int, ...], new: tuple[int, ...]) -> str:
    return f"{'x'.join(map(str, old))} to {'x'.join(map(str, new))}, bicubic"


def rechannelled(graph: Graph, parameter: Parameter, tensor: Tensor) -> tuple[Tensor, str] | None:
    """The first convolution for another number of input channels: one gets the sum over all; several share the mean,
    so that an image with equal channels gives what it gave before. None for any other weight."""
    node, want = graph.owner(parameter), parameter.weight.shape
    fed = any(edge.node in graph.inputs for edge in node.data)
    same = tensor.dim() == len(want) > 2 and [n for i, n in enumerate(tensor.shape) if i != 1] == [
        n for i, n in enumerate(want) if i != 1]
    if not fed or not same or node.op not in ("conv", "patchify"):
        return None
    count = want[1]
    made = tensor.sum(1, keepdim=True).expand(want) / count
    what = "summed" if count == 1 else "their mean, scaled"
    return made.contiguous(), f"{tensor.shape[1]} input channels to {count}, {what}"
