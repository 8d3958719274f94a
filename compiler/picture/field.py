"""The receptive field of a node, drawn over the input: which pixels one position of it can depend on.

How large it is and how far its neighbours stand apart comes from `ogive.compiler.cost`; where it lies follows from the
paddings on the way (Araujo et al. 2019, doi:10.23915/distill.00021): each window moves the centre of the first position
by half of what it is larger than its padding on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Any, Final

from ogive.compiler.cost import sizes_of
from ogive.compiler.cost.field import Field, fields
from ogive.compiler.picture.pattern_page import Area, Mark, Page, Words, width_of
from ogive.compiler.picture.pattern_write import page_dot, page_svg
from ogive.compiler.picture.render import picture_of, place_for, suffix_of, write
from ogive.compiler.picture.stages import grid_of
from ogive.dsl.diagnostics import fail, offer
from ogive.dsl.graph import Graph, Node
from ogive.dsl.ops.conv import Conv, Patchify, paddings
from ogive.dsl.ops.pool import AvgPool, MaxPool
from ogive.dsl.ops.settings import each
from ogive.dsl.types import sized

__all__ = ["Seen", "draw_field", "field_page", "seen"]

SIDE: Final = 300.0
"""Points of the longer side of the input."""

GROUND, FILL, EDGE, NEXT, FAINT = "#f4f5f7", "#f6dbe9", "#99336f", "#2b7ca8", "#5c5c5c"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one position of a node sees of an input.

    Attributes:
        node: its id.
        grid: rows and columns of the input, or its positions.
        own: the grid of the node; () of a vector.
        at: the position that is looked from; () of a vector.
        first, last: the field along each axis, both ends within; beyond the input where padding is seen.
        size: how many positions that is before it is cut at the border; None is all.
        stride: how far the fields of neighbours stand apart.
    """

    node: str
    grid: tuple[int, ...]
    own: tuple[int, ...]
    at: tuple[int, ...]
    first: tuple[int, ...]
    last: tuple[int, ...]
    size: tuple[int | None, ...]
    stride: tuple[Fraction, ...]

    @property
    def whole(self) -> bool:
        """Whether every position of the input is seen."""
        return all(a <= 0 and b >= n - 1 for a, b, n in zip(self.first, self.last, self.grid, strict=True))

    @property
    def shown(self) -> tuple[tuple[int, int], ...]:
        """The part of it that lies in the input: first and last along each axis."""
        return tuple((max(a, 0), min(b, n - 1)) for a, b, n in zip(self.first, self.last, self.grid, strict=True))


def seen(
    graph: Graph, path: str, sizes: Mapping[str, int] | None = None, at: tuple[int, ...] | None = None
) -> Seen:
    """The receptive field of one position of a node.

    Args:
        path: a node (`layer4.1.conv2`), or a part, which stands for what it answers (`layer4`, `blocks.3`).
        at: the position, as (row, column); the middle one where it is None.

    Raises:
        ArchError: A818 there is no such path, A802 a size, A803 there is no such position, or the node sees no input
            that has positions.
    """
    node = _node(graph, path)
    values = sizes_of(graph, sizes)
    field = fields(graph, values)[node.id]
    grid = grid_of(sized(graph.nodes[graph.inputs[0]].outputs[0], values)) if graph.inputs else ()
    if not field.size or len(field.size) != len(grid):
        raise fail(
            "A803", f"`{path}` has no receptive field: it sees nothing of an input that has positions",
            help="a node behind the image, or behind the tokens",
        )
    own = grid_of(sized(node.outputs[0], values)) if field.stride else ()
    own = own if len(own) == len(grid) else ()
    if at is not None and (len(at) != len(own) or any(not 0 <= a < n for a, n in zip(at, own, strict=True))):
        told = "×".join(map(str, own)) or "none"
        raise fail("A803", f"`{path}` has no position {', '.join(map(str, at))}", help=f"its positions: {told}")
    place = at if at is not None else tuple(n // 2 for n in own)
    centres = _first(graph, values)[node.id] if own else ()
    first, last = [], []
    for i, (size, n) in enumerate(zip(field.size, grid, strict=True)):
        if size is None or not own or not centres:
            first.append(0)
            last.append(n - 1)
            continue
        start = centres[i] + place[i] * field.stride[i] - Fraction(size - 1, 2)
        first.append(start.__floor__())
        last.append(first[-1] + size - 1)
    return Seen(node.id, grid, own, place, tuple(first), tuple(last), field.size, field.stride)


def draw_field(
    graph: Graph, path: str, place: str | PathLike[str], *, sizes: Mapping[str, int] | None = None,
    at: tuple[int, ...] | None = None,
) -> Path:
    """Draw the receptive field of a node over the input, to `.svg`, `.png`, `.pdf` or `.dot` by the end of `place`.

    Args:
        graph: the network.
        path: a node or a part, as `seen`.
        place: the file; its folder must exist. `.svg` needs no Graphviz.
        sizes: free sizes of the input; else B = 1 and H = W = 224.
        at: the position that is looked from; the middle one where it is None.

    Raises:
        ArchError: as `seen`, and A810 the end of the path, A811 its folder, A812 no Graphviz, A813 Graphviz failed,
            A814 no fonts for a PNG or PDF.
    """
    target = Path(place)
    suffix = suffix_of(target)
    place_for(target)
    page = field_page(graph, path, sizes, at)
    data = page_svg(page).encode("utf-8") if suffix == "svg" else picture_of(page_dot(page), suffix)
    return write(data, target)


def field_page(
    graph: Graph, path: str, sizes: Mapping[str, int] | None = None, at: tuple[int, ...] | None = None
) -> Page:
    """The picture of a receptive field, before anything knows of SVG or DOT.

    Raises:
        ArchError: as `seen`.
    """
    found = seen(graph, path, sizes, at)
    high, wide = (found.grid[-2], found.grid[-1]) if len(found.grid) > 1 else (1, found.grid[-1])
    scale = SIDE / max(high, wide)
    tall = max(high * scale, 24.0) if len(found.grid) == 1 else high * scale
    left, top = 24.0, 66.0
    rows = found.shown[-2] if len(found.grid) > 1 else (0, 0)
    columns = found.shown[-1]

    def box(rows: tuple[int, int], columns: tuple[int, int]) -> tuple[float, float, float, float]:
        up = tall if len(found.grid) == 1 else (rows[1] - rows[0] + 1) * scale
        return left + columns[0] * scale, top + rows[0] * scale, (columns[1] - columns[0] + 1) * scale, up

    marks: list[Mark] = [
        Words(left, 22, f"{graph.name}: {path}", 12, bold=True), *_facts(found, left),
        Area(left, top, wide * scale, tall, GROUND, "#8c8c8c", 0.8),
        Area(*box(rows, columns), FILL, EDGE, 1.4),
    ]
    legend: list[tuple[str, str]] = [(EDGE, "what one position sees")]
    beside = _neighbour(found)
    if beside is not None:
        marks.append(Area(*box(beside[0], beside[1]), "", NEXT, 1.0))
        legend.append((NEXT, "and its neighbour to the right"))
    if found.own and not found.whole and len(found.own) > 1:
        x, y = ((sum(ends) + 1) / 2 * scale for ends in _centre(found))
        marks.append(Area(left + x - 1.5, top + y - 1.5, 3, 3, EDGE))
    base = top + tall
    told = f"{high} × {wide}" if len(found.grid) > 1 else f"{wide} positions"
    marks.append(Words(left + wide * scale / 2, base + 13, f"input, {told}", 8, "middle", color=FAINT))
    for i, (color, words) in enumerate(legend):
        marks += [Area(left, base + 22 + 13 * i, 8, 8, "", color, 1.3), Words(left + 13, base + 29 + 13 * i, words, 8)]
    width = max([left * 2 + wide * scale, *(m.x + width_of(m.text, m.size, m.bold) + left for m in marks
                                           if isinstance(m, Words) and m.anchor == "start")])
    about = ", ".join(f"{a} to {b} of {n}" for (a, b), n in zip(found.shown, found.grid, strict=True))
    return Page(
        f"{graph.name}: receptive field of {path}", f"sees {about}", width, base + 30 + 13 * len(legend), tuple(marks)
    )


# -------------------------------------------------------------------------------------------------------- what is told


def _facts(found: Seen, x: float) -> list[Mark]:
    size = ["all" if n is None else str(n) for n in found.size]
    field = size[0] if len(set(size)) == 1 else " × ".join(size)
    words = "sees the whole input" if found.whole and None in found.size else f"field {field}" + (
        ", which is larger than the input" if found.whole else ""
    )
    steps = [str(s) for s in found.stride]
    if found.own:
        words += f", stride {steps[0] if len(set(steps)) == 1 else ' × '.join(steps)}"
    own = " × ".join(map(str, found.own))
    where = f"position {', '.join(map(str, found.at))} of {own}" if found.own else "one vector"
    return [Words(x, 38, words, 9.5), Words(x, 52, where, 8.5, color=FAINT)]


def _neighbour(found: Seen) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """The field of the next position along the last axis; None where there is none to show."""
    if not found.own or found.whole or found.at[-1] + 1 >= found.own[-1] or found.size[-1] is None:
        return None
    step = found.stride[-1]
    start = (Fraction(found.first[-1]) + step).__floor__()
    n = found.grid[-1]
    columns = max(start, 0), min(start + found.size[-1] - 1, n - 1)
    return (found.shown[-2] if len(found.grid) > 1 else (0, 0)), columns


def _centre(found: Seen) -> tuple[tuple[int, int], tuple[int, int]]:
    """The ends of the field, uncut, along columns and rows: its centre is where the position stands."""
    return (found.first[-1], found.last[-1]), (found.first[-2], found.last[-2])


# -------------------------------------------------------------------------------------------------------- where it lies


def _node(graph: Graph, path: str) -> Node:
    """The node of a path: its id, its key, or what a part answers.

    Raises:
        ArchError: A818.
    """
    if path in graph.nodes:
        return graph.nodes[path]
    by_key = next((node for node in graph if path and node.key == path), None)
    if by_key is not None:
        return by_key
    if path in graph.results:
        return graph.nodes[graph.results[path].node]
    names = [*dict.fromkeys([*graph.results, *graph.nodes])]
    raise fail("A818", f"`{graph.name}` has no node or part `{path}`", help=offer(path, names, "there are"))


def _first(graph: Graph, sizes: Mapping[str, int]) -> dict[str, tuple[Fraction, ...]]:
    """Where the centre of the first position of each node stands in the input, along each axis; () where there is
    none."""
    every = fields(graph, sizes)
    found: dict[str, tuple[Fraction, ...]] = {}
    for node in graph:
        made = grid_of(sized(node.outputs[0], sizes))
        if node.primitive is None:
            found[node.id] = (Fraction(0),) * len(made)
            continue
        source = next((e for e in node.inputs if len(found.get(e.node, ())) == len(made) and made), None)
        if source is None:
            found[node.id] = ()
            continue
        found[node.id] = _moved(
            node, found[source.node], every[source.node], every[node.id],
            grid_of(sized(graph.tensor(source), sizes)), made,
        )
    return found


def _moved(
    node: Node, before: tuple[Fraction, ...], came: Field, own: Field, grid: tuple[int, ...], made: tuple[int, ...],
) -> tuple[Fraction, ...]:
    op: Any = node.primitive
    rank = len(made)
    if len(came.stride) != rank or len(own.stride) != rank:
        return ()
    windows = _windows(op, rank, grid, made)
    if windows is not None:
        return tuple(
            c + (Fraction(k - 1, 2) - p) * j for c, (k, p), j in zip(before, windows, came.stride, strict=True)
        )
    if grid == made:
        return before
    return tuple(  # what changes the grid otherwise keeps the middle where it is
        c + Fraction(n - 1, 2) * j - Fraction(m - 1, 2) * s
        for c, n, m, j, s in zip(before, grid, made, came.stride, own.stride, strict=True)
    )


def _windows(
    op: Any, rank: int, grid: tuple[int, ...], made: tuple[int, ...]
) -> list[tuple[int, int]] | None:
    """How wide a window is and how much padding stands in front, along each axis; None of what is no window."""
    if isinstance(op, Patchify):
        kernel, pad = each(op.size, rank, "size"), each(op.pad, rank, "pad")
        return list(zip(kernel, pad, strict=True))
    if not isinstance(op, Conv | MaxPool | AvgPool):
        return None
    kernel, stride = op.windows(rank)[:2]
    dilation = (1,) * rank if isinstance(op, AvgPool) else each(op.dilation, rank, "dilation")
    wide = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    around = paddings(op.pad, kernel, dilation) if isinstance(op, Conv) else op.windows(rank)[2]
    if around is None:  # "same": the odd pixel stands behind
        around = tuple(
            max((m - 1) * s + k - n, 0) // 2 for n, m, s, k in zip(grid, made, stride, wide, strict=True)
        )
    return list(zip(wide, around, strict=True))
