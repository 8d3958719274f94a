"""The figure of a paper: the outline, and beside it one block blown up, with dashed lines from the one to the other.

Each is laid out by itself; then both are put on one page whose places are all fixed, so that Graphviz only draws it
(`layout=nop2`). Where the data goes sideways the block stands below the outline.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from ogive.compiler.picture.choice import Choice, choice_of, general
from ogive.compiler.picture.dot import named_text
from ogive.compiler.picture.labels import Labels
from ogive.compiler.picture.layout import Arranger
from ogive.compiler.picture.model import Box, Drawing, Frame, Link
from ogive.compiler.picture.render import run
from ogive.compiler.picture.style import FONT, theme_of
from ogive.dsl.diagnostics import fail, offer
from ogive.dsl.graph import Graph

__all__ = ["inset_dot"]

APART: Final = 64.0
"""Points between the outline and the block."""

MOST_INSIDE: Final = 34
"""How many boxes a blown-up block has at most, where parts of it can be closed."""

DEEPEST: Final = 4
CORNER: Final = 9.0
PLACES: Final = re.compile(r'(?<=[\s\[,])(pos|lp|bb)="([^"]*)"')
PAIR: Final = re.compile(r"(-?[\d.]+(?:e[+-]?\d+)?),(-?[\d.]+(?:e[+-]?\d+)?)")


@dataclass(frozen=True, slots=True)
class _Part:
    """A drawing with its places: `where` tells the left, lower, right and upper edge of a box or frame."""

    text: str
    width: float
    height: float
    where: Callable[[str], tuple[float, float, float, float]]


def inset_dot(
    make: Arranger, block: str, theme: str = "light", *, depth: int | None = None, legend: bool = False
) -> str:
    """The DOT text of the page.

    Args:
        make: makes the drawings of the network.
        block: the name of a block, of which the first run is shown, or the path of a part.
        theme: the colours.
        depth: of the outline; without it, the outline in which the block is first seen.
        legend: whether the colours are explained.

    Raises:
        ArchError: A818 there is no such block or part, A803 no such theme, A812 to A814 about Graphviz.
    """
    colors = theme_of(theme)
    path, title = _part_of(make.graph, block)
    blown = _panel(make, path)
    outline, anchor = _outline(make, path, title, depth)
    first = _laid_out(replace(outline, title="", caption=""), theme, "n")
    second = _laid_out(blown, theme, "p")
    frame = next(item for item in blown.items if isinstance(item, Frame))
    sideways = make.direction in ("left", "right")
    if sideways:
        width, height = max(first.width, second.width), first.height + APART + second.height
        at = ((width - first.width) / 2, second.height + APART), ((width - second.width) / 2, 0.0)
    else:
        width, height = first.width + APART + second.width, max(first.height, second.height)
        at = (0.0, (height - first.height) / 2), (first.width + APART, (height - second.height) / 2)
    lines = [_shifted(first.text, *at[0], "outline"), _shifted(second.text, *at[1], "block")]
    left, low, right, high = _moved(first.where(anchor), at[0])
    frame_left, frame_low, frame_right, frame_high = _moved(second.where(frame.id), at[1])
    leaders = (
        ((left, low, frame_left + CORNER, frame_high), (right, low, frame_right - CORNER, frame_high)) if sideways
        else ((right, high, frame_left, frame_high - CORNER), (right, low, frame_left, frame_low + CORNER))
    )
    lines += [_leader(i, ends, colors.lines["leader"]) for i, ends in enumerate(leaders)]
    labels = Labels(colors, make.direction, outline.params)
    if heading := labels.heading(outline):
        lines.append(_words("heading", heading, width / 2, height + 24 + 6 * heading.count("<BR/>")))
    everything = replace(outline, items=(*outline.items, *blown.items), links=(*outline.links, *blown.links))
    if legend and (words := labels.legend(everything)):
        lines.append(_words("legend", f"<{words}>", width / 2, -32))
    return (
        f'digraph figure {{\n\tgraph [layout=nop2, outputorder=edgesfirst, bgcolor="{colors.page}", '
        f'fontname="{FONT}", pad=0.12, splines=true];\n' + "\n".join(lines) + "\n}\n"
    )


def _part_of(graph: Graph, block: str) -> tuple[str, str]:
    """The path and the title of what is blown up."""
    parts = [region for region in graph.regions if region.path]
    found = next((r for r in parts if r.kind == "block" and r.title == block), None)
    found = found or next((r for r in parts if block in (r.path, general(r.path)) and r.kind != "repeat"), None)
    if found is not None:
        same = next((r for r in parts if r.path == found.path and r.kind == "block"), found)
        return same.path, same.title
    titles = dict.fromkeys(r.title for r in parts if r.kind == "block" and r.title)
    raise fail("A818", f"`{graph.name}` has no block `{block}`", help=offer(block, titles, "its blocks"))


def _panel(make: Arranger, path: str) -> Drawing:
    """The block alone, with a point where each line comes in or goes out."""
    best = None
    whole = choice_of(make.graph, make.folding, (path,), ()).expand  # of a folded repeat another iteration is drawn
    for deeper in range(DEEPEST + 1):
        choice = Choice(tuple((*wish, *["*"] * i) for wish in whole for i in range(deeper + 1)))
        drawing, _ = replace(make, choice=choice, shut=frozenset()).first(0, (False, False))
        frame = next((f for f in drawing.frames() if tuple(f.id.split(".")) in whole), None)
        if frame is None:
            break
        size = sum(1 for box in frame.boxes() if box.kind != "entry")
        if best is not None and (size > MOST_INSIDE or size == best[2]):
            break
        best = drawing, frame, size
    if best is None:
        raise fail("A818", f"`{path}` is drawn as one box: it has nothing inside to blow up", help="name another block")
    drawing, frame, _ = best
    own = {box.id for box in frame.boxes()}
    points: dict[str, Box] = {}
    links = []
    for link in drawing.links:
        come, go = link.target in own, link.source in own
        if come and go:
            links.append(link)
        elif (come or go) and link.kind != "tie":
            end = f"{'from' if come else 'to'} {link.source}"
            points.setdefault(end, Box(end, "entry", ()))
            ends = (end, link.target) if come else (link.source, end)
            links.append(Link(*ends, "flow", link.shape, link.tail if go else None, link.head if come else None))
    comes = [box for box in points.values() if box.id.startswith("from ")]
    goes = [box for box in points.values() if box.id.startswith("to ")]
    unique = {(link.source, link.target, link.tail, link.head): link for link in reversed(links)}
    return Drawing(
        drawing.name, "", "", (*comes, frame, *goes), tuple(reversed(unique.values())), drawing.params, 0,
        direction=drawing.direction,
    )


def _outline(make: Arranger, path: str, title: str, depth: int | None) -> tuple[Drawing, str]:
    """The outline, and the box in it that is blown up."""
    graph, folding = make.graph, make.folding
    collapse = choice_of(graph, folding, (), (path,)).collapse
    closed = replace(
        make, shut=frozenset({title}) if title else frozenset(),
        choice=Choice(make.choice.expand, (*make.choice.collapse, *collapse)),
    )
    for level in (depth,) if depth is not None else range(DEEPEST * 2):
        drawing = closed.at(level)
        for box in drawing.boxes():
            if box.kind == "closed" and (box.rows[0].op == title if title else tuple(box.id.split(".")) in collapse):
                return drawing, box.id
    raise fail("A818", f"`{title or path}` is not seen in the outline", help="another `depth` opens what it lies in")


def _laid_out(drawing: Drawing, theme: str, prefix: str) -> _Part:
    text, name = named_text(drawing, theme, prefix=prefix)
    placed = run(text, "dot").decode("utf-8").replace("\\\n", "")
    objects = json.loads(run(text, "json0"))
    boxes = {thing["name"]: thing for thing in objects.get("objects", ())}
    _, _, width, height = map(float, objects["bb"].split(","))

    def where(id: str) -> tuple[float, float, float, float]:
        if f"cluster_{name(id)}" in boxes:
            left, low, right, high = map(float, boxes[f"cluster_{name(id)}"]["bb"].split(","))
            return left, low, right, high
        box = boxes[name(id)]
        x, y = map(float, box["pos"].split(","))
        w, h = float(box["width"]) * 36, float(box["height"]) * 36
        return x - w, y - h, x + w, y + h

    return _Part(placed[placed.index("{") + 1 : placed.rindex("}")], width, height, where)


def _shifted(text: str, dx: float, dy: float, name: str) -> str:
    """A laid out text as a part of the page, at another place. In labels and tooltips no quote stands bare: what looks
    like a place is one."""
    def move(pair: re.Match[str]) -> str:
        return f"{float(pair[1]) + dx:.2f},{float(pair[2]) + dy:.2f}"

    moved = PLACES.sub(lambda found: f'{found[1]}="{PAIR.sub(move, found[2])}"', text)
    return f"\tsubgraph {name} {{{moved}\t}}"


def _moved(edges: tuple[float, float, float, float], by: tuple[float, float]) -> tuple[float, float, float, float]:
    left, low, right, high = edges
    return left + by[0], low + by[1], right + by[0], high + by[1]


def _leader(number: int, ends: tuple[float, float, float, float], color: str) -> str:
    """A dashed line between two points."""
    x, y, to_x, to_y = ends
    points = [(x + (to_x - x) * i / 3, y + (to_y - y) * i / 3) for i in range(4)]
    path = " ".join(f"{a:.2f},{b:.2f}" for a, b in points)
    end = 'shape=point, style=invis, width=0.001, height=0.001, label=""'
    return (
        f'\tl{number}a [pos="{x:.2f},{y:.2f}", {end}];\n\tl{number}b [pos="{to_x:.2f},{to_y:.2f}", {end}];\n'
        f'\tl{number}a -> l{number}b [pos="{path}", style=dashed, dir=none, color="{color}", penwidth=0.9, '
        f'class=leader, id="leader-{number}"];'
    )


def _words(name: str, label: str, x: float, y: float) -> str:
    return f'\t{name} [shape=plain, fontname="{FONT}", fontsize=13, pos="{x:.2f},{y:.2f}", label={label}, id="{name}"];'
