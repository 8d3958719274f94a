"""Where things stand on the page: a network that goes down to a coarse plane and up again with skips across is a U;
a long one with stages has a column for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ogive.compiler.picture.model import Box, Drawing, Frame, Item
from ogive.compiler.picture.resolution import plane, side
from ogive.dsl.graph import Graph

__all__ = ["columns", "rise"]

FEW = 3
"""Boxes before the first stage, or behind the last, that stand in its column."""


def rise(drawing: Drawing, graph: Graph) -> Drawing:
    """The drawing with the planes of its boxes, and its right arm and levels where it is a U."""
    whole = max((side(graph.nodes[i].outputs[0], graph) or 0 for i in graph.inputs), default=0)
    planes = {box.id: plane(box, graph, whole) for box in drawing.boxes()}
    points = {box.id for box in drawing.boxes() if box.kind == "entry"}
    for link in drawing.links:  # they stand in the order drawn: what leads to a point comes before what leaves it
        if link.target in points:
            planes[link.target] = planes[link.source]
    drawing = replace(drawing, items=tuple(_measured(item, planes) for item in drawing.items))
    rising = _arm(drawing, planes)
    if not rising:
        return drawing
    levels = tuple(
        (link.source, link.target) for link in drawing.links
        if link.kind == "skip" and link.source not in rising and link.target in rising
    )
    return replace(drawing, rising=rising, levels=levels)


def columns(drawing: Drawing) -> Drawing:
    """The drawing with its stages side by side, where it has several and is no U. What stands before them and behind
    them is in the column of the first and the last where it is little, else in one of its own."""
    stages = [i for i, item in enumerate(drawing.items) if isinstance(item, Frame) and item.kind == "stage"]
    if len(stages) < 2 or drawing.rising or stages != list(range(stages[0], stages[-1] + 1)):
        return drawing
    first, behind = stages[0], stages[-1] + 1
    starts = [0, *(stages[1:] if _few(drawing.items[:first]) else stages if first else stages[1:])]
    starts += [] if _few(drawing.items[behind:]) else [behind]
    tops = [next(_boxes(drawing.items[i])).id for i in starts if i < len(drawing.items)]
    into = [link for link in drawing.links if link.target in tops[1:]]
    if len(into) != len(tops) - 1:  # a skip from stage to stage: one column is clearer
        return drawing
    return replace(drawing, columns=tuple(tops))


def _few(items: tuple[Item, ...]) -> bool:
    return sum(1 for item in items for _ in _boxes(item)) <= FEW


def _boxes(item: Item) -> Iterator[Box]:
    return iter((item,)) if isinstance(item, Box) else item.boxes()


def _arm(drawing: Drawing, planes: dict[str, float | None]) -> frozenset[str]:
    """The boxes from the first one that enlarges its plane on; empty where the drawing is not one U."""
    after: dict[str, list[str]] = {}
    grows = shrinks = ""
    flow = [link for link in drawing.links if link.kind != "tie"]
    for link in flow:
        after.setdefault(link.source, []).append(link.target)
    for link in flow:
        small, large = planes.get(link.source), planes.get(link.target)
        if small and large and link.kind == "flow":
            if large > small * 1.5:
                grows = grows or link.target
            elif small > large * 1.5:
                shrinks = shrinks or link.target
    if not grows or not shrinks:
        return frozenset()
    found, stack = {grows}, [grows]
    while stack:
        for target in after.get(stack.pop(), []):
            if target not in found:
                found.add(target)
                stack.append(target)
    across = [x for x in flow if x.kind == "skip" and x.source not in found and x.target in found]
    falls_again = any(
        (planes.get(x.source) or 0) > 1.5 * (planes.get(x.target) or 1e9) for x in flow if x.source in found
    )
    sources, targets = [x.source for x in across], [x.target for x in across]
    one_each = len(set(sources)) == len(sources) and len(set(targets)) == len(targets)
    if len(across) < 2 or falls_again or not one_each or _mixed(drawing, found):
        return frozenset()
    return frozenset(found)


def _mixed(drawing: Drawing, rising: set[str]) -> bool:
    """Whether a frame holds boxes of both arms."""
    for frame in drawing.frames():
        inside = {box.id for box in frame.boxes()}
        if inside & rising and inside - rising:
            return True
    return False


def _measured(item: Item, planes: dict[str, float | None]) -> Item:
    if isinstance(item, Frame):
        return replace(item, items=tuple(_measured(i, planes) for i in item.items))
    return replace(item, area=planes[item.id])
