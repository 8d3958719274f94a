"""edges -> links: between boxes, each pair once, skips and ties told apart, shapes where they change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ogive.compiler.picture.fold import Folding
from ogive.compiler.picture.model import Box, Frame, Item, Link
from ogive.compiler.picture.words import Shapes
from ogive.dsl.graph import Edge, Graph

__all__ = ["connect"]


@dataclass(slots=True)
class _Arrow:
    """A link in the making."""

    source: str
    target: str
    edge: Edge
    tail: int | None = None
    head: int | None = None
    skip: bool = False


def connect(
    items: Sequence[Item], graph: Graph, folding: Folding, reads: Mapping[str, tuple[Edge, ...]],
    outputs: Iterable[tuple[str, Edge]], shapes: Shapes,
) -> tuple[tuple[Item, ...], tuple[Link, ...]]:
    """The items with their entry points, and the links between all boxes.

    `reads` says what each drawn node reads; `outputs` which edge ends in which output box.
    """
    boxes = {box.id: box for item in items for box in _boxes(item)}
    home = {folding.drawn(node): box.id for box in boxes.values() for node in box.nodes}
    arrows = _arrows(reads, home, boxes)
    arrows += [_Arrow(home[edge.node], box, edge, _tail(boxes[home[edge.node]], edge)) for box, edge in outputs]
    items = _entries(items, arrows)
    _mark_skips(arrows)
    items = _branches(items, arrows)
    links = _links(arrows, graph, boxes, shapes, _stages(items))
    return tuple(items), (*links, *_ties(items, graph, folding, home))


def _boxes(item: Item) -> Iterable[Box]:
    return (item,) if isinstance(item, Box) else item.boxes()


def _arrows(reads: Mapping[str, tuple[Edge, ...]], home: Mapping[str, str], boxes: Mapping[str, Box]) -> list[_Arrow]:
    found: dict[tuple[object, ...], _Arrow] = {}
    for node, edges in reads.items():
        for slot, edge in enumerate(edges):
            source, target = home[edge.node], home[node]
            if source == target:
                continue
            tail, head = _tail(boxes[source], edge), slot if boxes[target].heads and slot < 3 else None
            found.setdefault((source, target, edge, head), _Arrow(source, target, edge, tail, head))
    return list(found.values())


def _tail(box: Box, edge: Edge) -> int | None:
    return edge.result if box.rows and box.rows[-1].ports else None


def _entries(items: Sequence[Item], arrows: list[_Arrow]) -> list[Item]:
    """Give each frame a point for every outside source that several of its parts read; outer frames first."""
    found: list[Item] = []
    for item in items:
        if isinstance(item, Box):
            found.append(item)
            continue
        inside = {box.id: part for part, child in enumerate(item.items) for box in _boxes(child)}
        sources: dict[tuple[str, Edge], list[_Arrow]] = {}
        for arrow in arrows:
            if arrow.target in inside and arrow.source not in inside:
                sources.setdefault((arrow.source, arrow.edge), []).append(arrow)
        points = []
        for (source, edge), group in sources.items():
            if len({inside[arrow.target] for arrow in group}) < 2:
                continue
            point = Box(f"{item.id} in {source}", "entry", ())
            points.append(point)
            arrows.insert(arrows.index(group[0]), _Arrow(source, point.id, edge, group[0].tail))
            for arrow in group:
                arrow.source, arrow.tail = point.id, None
        found.append(replace(item, items=(*points, *_entries(item.items, arrows))))
    return found


def _branches(items: Sequence[Item], arrows: list[_Arrow]) -> list[Item]:
    """Put a point behind each box that both goes on and skips to a merge beside it: there the line branches."""
    leaving: dict[str, list[_Arrow]] = {}
    for arrow in arrows:
        leaving.setdefault(arrow.source, []).append(arrow)
    return _branched(items, arrows, leaving)


def _branched(items: Sequence[Item], arrows: list[_Arrow], leaving: Mapping[str, list[_Arrow]]) -> list[Item]:
    beside = {item.id for item in items if isinstance(item, Box)}
    found: list[Item] = []
    for item in items:
        if not isinstance(item, Box):
            found.append(replace(item, items=tuple(_branched(item.items, arrows, leaving))))
            continue
        found.append(item)
        out = leaving.get(item.id, []) if item.kind != "entry" else []
        edges = {arrow.edge for arrow in out}
        if len(edges) != 1 or not any(arrow.skip and arrow.target in beside for arrow in out):
            continue
        point = Box(f"{item.id} out", "entry", ())
        found.append(point)
        arrows.insert(arrows.index(out[0]), _Arrow(item.id, point.id, out[0].edge))
        for arrow in out:
            arrow.source, arrow.tail = point.id, None
    return found


def _mark_skips(arrows: list[_Arrow]) -> None:
    """An arrow skips where there is a longer way from its source to its target, which is a merge of several."""
    after: dict[str, list[str]] = {}
    before: dict[str, set[str]] = {}
    for arrow in arrows:
        after.setdefault(arrow.source, []).append(arrow.target)
        before.setdefault(arrow.target, set()).add(arrow.source)
    for a in arrows:
        joins = len(before[a.target]) > 1 and len(after[a.source]) > 1 and a.head is None
        a.skip = joins and _reaches(a.source, a.target, after)


def _links(
    arrows: list[_Arrow], graph: Graph, boxes: Mapping[str, Box], shapes: Shapes, stages: Mapping[str, str],
) -> list[Link]:
    found: list[Link] = []
    said: set[tuple[str, Edge]] = set()
    goes_on = {arrow.source for arrow in arrows if not arrow.skip}
    for arrow in arrows:
        label, out = "", (arrow.source, arrow.edge)
        if out not in said and arrow.source in boxes and not (arrow.skip and arrow.source in goes_on):
            said.add(out)
            label = _label(boxes[arrow.source], arrow.edge, graph, shapes)
            if stages.get(arrow.source, "") != stages.get(arrow.target, "") and not boxes[arrow.source].rows[-1].ports:
                label = shapes(graph.tensor(arrow.edge))
        found.append(Link(
            arrow.source, arrow.target, "skip" if arrow.skip else "flow", label, arrow.tail, arrow.head,
            shape=shapes(graph.tensor(arrow.edge)),
        ))
    return found


def _stages(items: Sequence[Item]) -> dict[str, str]:
    """The stage of each box that is in one: between stages the shape is always said."""
    stages = [item for item in items if isinstance(item, Frame) and item.kind == "stage" and not item.note]
    return {box.id: stage.id for stage in stages for box in stage.boxes()}


def _reaches(source: str, target: str, after: Mapping[str, list[str]]) -> bool:
    """Whether there is a way from source to target besides the direct one."""
    stack = [n for n in after.get(source, []) if n != target]
    seen = set(stack)
    while stack:
        for n in after.get(stack.pop(), []):
            if n == target:
                return True
            if n not in seen:
                seen.add(n)
                stack.append(n)
    return False


def _label(box: Box, edge: Edge, graph: Graph, shapes: Shapes) -> str:
    """The shape on the first arrow out of a box; "" where it is a shape that went in."""
    text = shapes(graph.tensor(edge))
    if box.rows and box.rows[-1].ports:
        return ""
    inside = set(box.nodes)
    for name in box.nodes:
        for came in graph.nodes[name].inputs:
            if came.node not in inside and shapes(graph.tensor(came)) == text:
                return ""
    return text


def _ties(items: Sequence[Item], graph: Graph, folding: Folding, home: Mapping[str, str]) -> list[Link]:
    """Dashed lines between what holds a weight and what uses it too; of shared modules, one per pair of frames."""
    chains: dict[str, tuple[str, ...]] = {}

    def walk(level: Sequence[Item], chain: tuple[str, ...]) -> None:
        for item in level:
            if isinstance(item, Frame):
                walk(item.items, (*chain, item.id))
            else:
                chains[item.id] = chain

    walk(items, ())
    pairs: list[tuple[str, str]] = []
    ties: set[tuple[str, str]] = set()
    for p in graph.parameters.values():
        if p.tied is not None and p.tied in graph.parameters:
            ties.add((graph.parameters[p.tied].node, p.node))
    for node in graph:  # a whole parameter that is given without a key of its own
        for given in node.given.values():
            whole = graph.parameters.get(given.key or "") if given.edge is None else None
            if whole is not None and whole.node != node.id:
                ties.add((whole.node, node.id))
    owner: dict[str, str] = {}
    for node in graph:
        if node.own and owner.setdefault(node.key, node.id) != node.id:
            pairs.append((owner[node.key], node.id))
    found: dict[tuple[str, str], Link] = {}
    for a, b in [*sorted(ties), *pairs]:
        left, right = home[folding.drawn(a)], home[folding.drawn(b)]
        if left == right:
            continue
        outer_left, outer_right = chains[left], chains[right]
        common = 0
        if (a, b) in ties:  # one weight of an op: the line ends there
            outer_left = outer_right = ()
        while common < min(len(outer_left), len(outer_right)) and outer_left[common] == outer_right[common]:
            common += 1
        ends = ((*outer_left[common:], "")[0], (*outer_right[common:], "")[0])
        found.setdefault((ends[0] or left, ends[1] or right), Link(left, right, "tie", "same weights", frames=ends))
    return list(found.values())
