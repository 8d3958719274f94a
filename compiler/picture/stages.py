"""A network as its stages: resolution, width, multiply-adds and parameters of each, from left to right.

A stage is what runs at one resolution, one line after the other. Each has a stack of planes, as high as its resolution
and as deep as its width, on scales by which the smallest can still be seen, and two bars: its share of the
multiply-adds and of the parameters. The shares add up to the network's figures exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import log2, prod
from os import PathLike
from pathlib import Path
from typing import Any, Final, TypeAlias

from ogive.compiler.cost import sizes_of
from ogive.compiler.picture.pattern_page import Area, Mark, Page, Words, width_of
from ogive.compiler.picture.pattern_write import page_dot, page_svg
from ogive.compiler.picture.render import picture_of, place_for, suffix_of, write
from ogive.compiler.picture.words import amount
from ogive.dsl.diagnostics import fail
from ogive.dsl.graph import Graph, Node
from ogive.dsl.types import Role, Tensor, sized

__all__ = ["MOST_STAGES", "Stage", "draw_stages", "grid_of", "stages", "stages_page"]

Grid: TypeAlias = tuple[int, ...]

MOST_STAGES: Final = 40
"""More columns are wider than a page can show."""

PLANE, MACS, PARAMS = "#d9eefa", "#d55e00", "#0072b2"
EDGE, FAINT, LINE = "#2b7ca8", "#5c5c5c", "#b3bac1"
HIGH, LOW = 96.0, 7.0
"""Points of the side of a plane, of the largest and the smallest."""
BAR, GAP = 66.0, 22.0


@dataclass(frozen=True, slots=True)
class Stage:
    """What runs at one resolution.

    Attributes:
        grid: rows and columns, or positions; () of a vector.
        width: channels of what the stage answers with; None where these have no number.
        parts: the outermost names of what is in it, in order.
        macs, params: of all of it.
    """

    grid: Grid
    width: int | None
    parts: tuple[str, ...]
    macs: int
    params: int
    nodes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"grid": list(self.grid), "width": self.width, "parts": list(self.parts), "macs": self.macs,
                "params": self.params}


def stages(graph: Graph, sizes: Mapping[str, int] | None = None) -> tuple[Stage, ...]:
    """The stages of a network, in the order they run.

    What has no input, as a learned tensor, belongs to the stage that reads it. Neighbouring stages differ.

    Raises:
        ArchError: A802, as `sizes_of`.
    """
    values = sizes_of(graph, sizes)
    owned: dict[str, int] = {}
    for p in graph.parameters.values():
        if not p.weight.buffer and p.tied is None:
            owned[p.node] = owned.get(p.node, 0) + p.numel
    depends = _depends(graph)
    found: list[Stage] = []
    waiting: list[Node] = []
    for node in graph:
        if node.id not in depends:
            waiting.append(node)
            continue
        tensor = sized(node.outputs[0], values)
        grid = grid_of(tensor)
        here = [*waiting, node]
        waiting = []
        name = _outer(graph, node)
        new = Stage(
            grid, _width(tensor), (name,), sum(graph.cost(n, values) for n in here),
            sum(owned.get(n.id, 0) for n in here), tuple(n.id for n in here),
        )
        found.append(new if not found or found[-1].grid != grid else _joined(found.pop(), new))
    for node in [n for n in graph.elsewhere.values() if n.id in owned] + waiting:
        found[-1] = replace(found[-1], params=found[-1].params + owned.get(node.id, 0))
    return tuple(_settled(found))


def draw_stages(
    graph: Graph, path: str | PathLike[str], *, sizes: Mapping[str, int] | None = None, title: str | None = None
) -> Path:
    """Draw the stages of a network to a file: `.svg`, `.png`, `.pdf` or `.dot` by the path's end.

    Args:
        graph: the network.
        path: where to; its folder must exist. `.svg` needs no Graphviz.
        sizes: free sizes of the input; else B = 1 and H = W = 224.
        title: the heading; the network's name where it is None.

    Raises:
        ArchError: A802 a size, A810 the end of the path, A811 its folder, A812 no Graphviz, A813 Graphviz failed, A814
            no fonts for a PNG or PDF, A815 more than `MOST_STAGES` stages.
    """
    place = Path(path)
    suffix = suffix_of(place)
    place_for(place)
    page = stages_page(graph, sizes, title)
    data = page_svg(page).encode("utf-8") if suffix == "svg" else picture_of(page_dot(page), suffix)
    return write(data, place)


def stages_page(graph: Graph, sizes: Mapping[str, int] | None = None, title: str | None = None) -> Page:
    """The picture of the stages, before anything knows of SVG or DOT.

    Raises:
        ArchError: A802, as `stages`; A815, more than `MOST_STAGES` stages.
    """
    found = stages(graph, sizes)
    if len(found) > MOST_STAGES:
        raise fail(
            "A815", f"`{graph.name}` has {len(found)} stages: its resolution changes to and fro; at most {MOST_STAGES} "
            "are drawn", help="`ogive summary` tells the cost part by part",
        )
    values = sizes_of(graph, sizes)
    heading = graph.name if title is None else title
    at = ", ".join(f"{name} = {size}" for name, size in values.items())
    macs, params = sum(s.macs for s in found), sum(s.params for s in found)
    facts = f"{_giga(macs)} multiply-adds, {amount(params)} parameters" + (f", at {at}" if at else "")
    columns = [max(78.0, _deep(s) + _side(s, found), *(width_of(w, 8) + 6 for w in _below(s))) for s in found]
    wide = max(sum(columns) + GAP * (len(found) - 1) + 40, width_of(facts, 9) + 40, width_of(heading, 13, True) + 40)
    floor = 52 + HIGH + 26
    marks: list[Mark] = [
        Words(20, 24, heading, 13, bold=True), Words(20, 39, facts, 9, color=FAINT),
    ]
    x = 20.0
    for stage, column in zip(found, columns, strict=True):
        marks += _stack(stage, x + column / 2, floor, _side(stage, found))
        for i, words in enumerate(_below(stage)):
            marks.append(Words(x + column / 2, floor + 16 + 11 * i, words, 9 if i == 0 else 8, "middle", i == 0,
                               "#1a1a1a" if i == 0 else FAINT))
        x += column + GAP
    top = floor + 16 + 11 * 3 + 18
    base = top + BAR
    largest = max(max(s.macs / macs if macs else 0.0, s.params / params if params else 0.0) for s in found) or 1.0
    x = 20.0
    marks.append(Area(20, base, wide - 40, 0, stroke=LINE))
    for stage, column in zip(found, columns, strict=True):
        marks += _bars(stage, x + column / 2, base, (macs, params), largest)
        x += column + GAP
    marks += [
        Area(20, base + 14, 8, 8, MACS), Words(32, base + 21, "share of the multiply-adds", 8),
        Area(150, base + 14, 8, 8, PARAMS), Words(162, base + 21, "share of the parameters", 8),
    ]
    about = "; ".join(
        f"{_size(s)} {s.width or ''}: {s.macs:,} multiply-adds, {s.params:,} parameters".strip() for s in found
    )
    return Page(f"{heading}: stages", about, wide, base + 34, tuple(marks))


# ------------------------------------------------------------------------------------------------------- what they are


def _depends(graph: Graph) -> set[str]:
    """Nodes that an input of the network reaches."""
    found = set(graph.inputs)
    for node in graph:
        if node.id in found or any(edge.node in found for edge in node.inputs):
            found.add(node.id)
    return found


def grid_of(tensor: Tensor) -> Grid:
    """Rows and columns of an image or of tokens with a grid; else how many positions there are."""
    if tensor.spatial:
        return tuple(size for place in tensor.spatial if isinstance(size := tensor.shape[place], int))
    axis = tensor.axis(Role.POSITION)
    if axis is None:
        return ()
    inner = tuple(n for n in axis.grid if isinstance(n, int)) if axis.grid else ()
    return inner or ((axis.size,) if isinstance(axis.size, int) else ())


def _width(tensor: Tensor) -> int | None:
    return tensor.channels if isinstance(tensor.channels, int) else None


def _outer(graph: Graph, node: Node) -> str:
    """The outermost named part around a node; its own name where it stands in none."""
    for region in graph.region_chain(node):
        if region.path:
            return region.path.split(".")[0]
    return node.name or node.op


def _settled(found: Sequence[Stage]) -> list[Stage]:
    """Stages without interludes: keys of an image that a part makes for its queries are no stage of their own."""
    done: list[Stage] = []
    for stage in found:
        within = len(done) > 1 and done[-2].grid == stage.grid and len(stage.grid) != len(done[-1].grid)
        if within and set(done[-1].parts) <= set(stage.parts):
            between, before = done.pop(), done.pop()
            done.append(_joined(_joined(before, replace(between, width=None)), stage))
        else:
            done.append(stage)
    return done


def _joined(stage: Stage, new: Stage) -> Stage:
    parts = stage.parts if new.parts[0] in stage.parts else (*stage.parts, *new.parts)
    return Stage(stage.grid, new.width if new.width is not None else stage.width, parts, stage.macs + new.macs,
                 stage.params + new.params, (*stage.nodes, *new.nodes))


# ------------------------------------------------------------------------------------------------------ what is drawn


def _size(stage: Stage) -> str:
    return " × ".join(map(str, stage.grid)) if stage.grid else "vector"


def _below(stage: Stage) -> tuple[str, ...]:
    """What stands below a stack: resolution, width, names."""
    names = [name for name in stage.parts if name not in PLAIN] or list(stage.parts)
    said = ", ".join(names[:2]) + (f" + {len(names) - 2}" if len(names) > 2 else "")
    said = said if len(said) <= 30 else said[:29] + "…"
    return _size(stage), "" if stage.width is None else f"{stage.width} wide", said


PLAIN: Final = frozenset({"relu", "gelu", "add", "concat", "dropout", "identity", "flatten", "split"})
"""Ops without a name that say little of a stage."""


def _side(stage: Stage, every: Sequence[Stage]) -> float:
    """How high a plane is: by the root of its resolution, so that a quarter of a side is half as high."""
    largest = max((prod(s.grid) for s in every if s.grid), default=1)
    if not stage.grid:
        return LOW
    return max(LOW, HIGH * (prod(stage.grid) / largest) ** 0.25)


def _deep(stage: Stage) -> float:
    return 2.4 * (_sheets(stage) - 1)


def _sheets(stage: Stage) -> int:
    """How many planes stand behind each other: one more for each doubling of the width."""
    return max(2, min(14, round(log2(max(stage.width or 2, 2)))))


def _stack(stage: Stage, x: float, floor: float, side: float) -> list[Mark]:
    """The planes, the hindmost first; of a vector a bar."""
    count, step = _sheets(stage), 2.4
    if not stage.grid:
        high = 5.0 * count
        return [Area(x - LOW / 2, floor - high, LOW, high, PLANE, EDGE)]
    tall = len(stage.grid) > 1
    wide = side if tall else 10.0
    if tall and stage.grid[-1] != stage.grid[-2]:
        wide = max(LOW, side * (stage.grid[-1] / stage.grid[-2]) ** 0.5)
    left = x - (wide + step * (count - 1)) / 2
    return [
        Area(left + step * i, floor - side - step * i, wide, side, PLANE, EDGE, 0.5) for i in range(count - 1, -1, -1)
    ]


def _bars(stage: Stage, x: float, base: float, totals: tuple[int, int], largest: float) -> list[Mark]:
    """The two shares of a stage; the largest share of all is as high as there is room."""
    marks: list[Mark] = []
    bars = (x - 19, stage.macs, totals[0], MACS, _giga), (x + 19, stage.params, totals[1], PARAMS, amount)
    for place, value, total, fill, said in bars:
        high = (BAR - 14) * value / total / largest if total else 0.0
        if high:
            marks.append(Area(place - 9, base - high, 18, high, fill))
        marks.append(Words(place, base - high - 3, said(value) if value else "–", 7.5, "middle", color=FAINT))
    return marks


def _giga(macs: int) -> str:
    """Multiply-adds: 10^9 of them are G, where parameters are B."""
    return amount(macs).replace("B", "G")
