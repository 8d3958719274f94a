"""Stages by resolution: parts of a network that work on one plane and repeat something are framed as stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final

from ogive.compiler.picture.model import Box, Frame, Item
from ogive.compiler.picture.words import Shapes
from ogive.dsl.dims import evaluate
from ogive.dsl.graph import Graph
from ogive.dsl.types import SPATIAL, Role, Tensor

__all__ = ["plane", "side", "staged"]

SIDE: Final = 3840
"""What free sizes are taken to be: it divides by 2 eight times, by 3 and by 5."""

FEWEST: Final = 3
"""Stages that make a network one of stages."""


def staged(items: Sequence[Item], graph: Graph, shapes: Shapes) -> tuple[Item, ...]:
    """The items with those that work on one plane in a frame, where at least three planes, each coarser than the one
    before, have something repeated. What stands behind the last repeat of a plane stays outside."""
    if any(isinstance(item, Frame) and item.kind == "stage" for item in items):
        return tuple(items)
    groups: list[tuple[float | None, list[Item]]] = [
        (size, list(group)) for size, group in groupby(items, lambda item: _plane_of(item, graph))
    ]
    sizes = [size for size, _ in groups if size is not None]
    main = [i for i, (size, group) in enumerate(groups) if size is not None and any(map(_repeats, group))]
    if len(main) < FEWEST or main != list(range(main[0], main[-1] + 1)) or sizes != sorted(sizes, reverse=True):
        return tuple(items)
    found: list[Item] = []
    for i, (_, group) in enumerate(groups):
        if i not in main:
            found += group
            continue
        last = max(at for at, item in enumerate(group) if _repeats(item))
        inside = tuple(group[: last + 1])
        shape = shapes(graph.nodes[_last(inside[-1])].outputs[0])
        number = i - main[0] + 1
        found.append(Frame(
            f"stage {number}", "stage", "", f"Stage {number}", 1, shape, sum(item.params for item in inside), 1, inside,
        ))
        found += group[last + 1 :]
    return tuple(found)


def plane(box: Box, graph: Graph, whole: int) -> float | None:
    """The plane of what a box answers as a share of the input's; None where it has none."""
    if not box.nodes or not whole:
        return None
    area = side(graph.nodes[box.nodes[-1]].outputs[0], graph)
    return None if area is None else area / whole


def side(tensor: Tensor, graph: Graph) -> int | None:
    """How many positions an image has, or the grid of tokens."""
    position = tensor.axis(Role.POSITION)
    sizes = [a.size for a in tensor.axes if a.role in SPATIAL] or (list(position.grid) if position else [])
    if not sizes:
        return None
    values: Mapping[str, int] = {name: SIDE for name in graph.free}
    total = 1
    try:
        for size in sizes:
            total *= evaluate(size, values)
    except (KeyError, ZeroDivisionError):
        return None
    return total


def _plane_of(item: Item, graph: Graph) -> float | None:
    node = _last(item)
    area = side(graph.nodes[node].outputs[0], graph) if node else None
    return None if area is None else float(area)


def _last(item: Item) -> str:
    """The last node of an item that a box stands for."""
    boxes = [item] if isinstance(item, Box) else list(item.boxes())
    return next((box.nodes[-1] for box in reversed(boxes) if box.nodes), "")


def _repeats(item: Item) -> bool:
    if isinstance(item, Frame):
        return item.count > 1
    return item.kind == "closed" and item.rows[0].detail.startswith("×")

