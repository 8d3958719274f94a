"""How wide things will be, in points, before Graphviz lays them out: letters of Helvetica, boxes, a whole drawing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ogive.compiler.picture.model import Box, Drawing, Frame, Item, Row
from ogive.compiler.picture.style import SIZES

__all__ = ["NARROW_WIDTH", "PAGE", "WIDTH", "extent", "is_wide", "row_width", "scale", "text_width"]

WIDTH: Final = 132
"""Of a box at least."""

NARROW_WIDTH: Final = 84
"""The same where the data goes sideways: there the length of the picture is that of its words."""

WIDEST: Final = 176
"""Of the words of a row that stand on one line."""

PAGE: Final = (482.0, 700.0)
"""What a picture may take of an A4 page: 17 cm across, and below it room for its caption."""

GAP: Final = 22
MARGIN: Final = 9
RANK: Final = 30
TITLE: Final = 40

# Thousandths of the size, from the metrics of Helvetica (Adobe); what is not here is as wide as a digit.
NARROW: Final = {
    **dict.fromkeys("ijl'|", 222), **dict.fromkeys(" !,./:;I[]\\ft·", 278), **dict.fromkeys("()-r`", 333),
    **dict.fromkeys("ckJsvxyz", 500), **dict.fromkeys("ABEKPSVXY&", 667), **dict.fromkeys("CDHNRUw", 722),
    **dict.fromkeys("GOQ", 778), **dict.fromkeys("FTZ", 611), **dict.fromkeys("MmW", 850),
    **dict.fromkeys("+<=>×−", 584), **dict.fromkeys("…—", 1000),
}


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """How wide a text is."""
    return sum(NARROW.get(c, 556) for c in text) * size / 1000 * (1.06 if bold else 1.0)


def row_width(row: Row, params: str) -> float:
    """How wide the words of a row are on one line."""
    size = SIZES["small"] if row.small else SIZES["text"]
    words = [text_width(row.op, size, bold=not row.small)]
    words += [text_width(row.name, SIZES["small"])] if row.name and row.name != row.op else []
    words += [text_width(row.detail, size)] if row.detail else []
    words += [text_width(params, SIZES["small"])] if params else []
    return sum(words) + 2 * text_width("  ", size) * (len(words) - 1) / 2 + 8


def is_wide(row: Row, params: str) -> bool:
    """Whether the name of a row stands on a line of its own."""
    return bool(row.name) and row.name != row.op and not row.small and row_width(row, params) > WIDEST


def scale(drawing: Drawing, page: tuple[float, float] = PAGE) -> float:
    """How far a drawing must be made smaller to fit a page of these points: 1 where it need not."""
    across, along = extent(drawing)
    if drawing.direction in ("left", "right"):
        across, along = along, across
    return min(1.0, page[0] / max(across, 1.0), page[1] / max(along, 1.0))


def extent(drawing: Drawing) -> tuple[float, float]:
    """About how far a drawing will go across the way of the data, and along it; columns stand side by side."""
    columns: list[list[Item]] = [[]]
    for item in drawing.items:
        if next(_boxes(item)).id in drawing.columns[1:]:
            columns.append([])
        columns[-1].append(item)
    sizes = [_extent(drawing, column) for column in columns]
    if drawing.rising:  # two arms beside each other
        return sizes[0][0] * 2, sizes[0][1] / 2
    return sum(w for w, _ in sizes) + 2 * GAP * (len(sizes) - 1), max(h for _, h in sizes)


def _extent(drawing: Drawing, items: Sequence[Item]) -> tuple[float, float]:
    boxes = {box.id: box for item in items for box in _boxes(item)}
    into: dict[str, list[str]] = {}
    for link in drawing.links:
        if link.kind != "tie" and link.source in boxes and link.target in boxes:
            into.setdefault(link.target, []).append(link.source)
    rank: dict[str, int] = {}
    for id in boxes:  # in the order they run: what leads to a box comes before it
        rank[id] = max((rank.get(source, -1) for source in into.get(id, ())), default=-1) + 1
    wide: dict[int, float] = {}
    high: dict[int, float] = {}
    inside, sideways = _depths(items), drawing.direction in ("left", "right")
    for id, box in boxes.items():
        across, along = (_height(box), _width(box)) if sideways else (_width(box), _height(box))
        wide[rank[id]] = wide.get(rank[id], 0.0) + across + 2 * MARGIN * inside[id] + GAP
        high[rank[id]] = max(high.get(rank[id], 0.0), along)
    frames = [frame for item in items if isinstance(item, Frame) for frame in _frames(item)]
    titles = sum(2 * MARGIN if sideways else TITLE for frame in frames)
    return max(wide.values(), default=0.0), sum(high.values()) + RANK * len(high) + titles


def _frames(frame: Frame) -> Iterator[Frame]:
    yield frame
    for item in frame.items:
        if isinstance(item, Frame):
            yield from _frames(item)


def _height(box: Box) -> float:
    if box.kind == "entry":
        return 4.0
    if box.kind not in ("ops", "closed"):
        return 19.0
    rows = sum(14 if row.small else 20 for row in box.rows) + 13 * sum(is_wide(row, "12.3M") for row in box.rows)
    return rows + 50 * any(row.motifs for row in box.rows) + (11 * (box.note.count(";") + 1) if box.note else 0)


def _depths(items: Iterable[Item], depth: int = 0) -> dict[str, int]:
    found: dict[str, int] = {}
    for item in items:
        found |= _depths(item.items, depth + 1) if isinstance(item, Frame) else {item.id: depth}
    return found


def _width(box: Box) -> float:
    if box.kind == "entry":
        return 4.0
    if box.kind == "merge":
        return 19.0
    if box.kind in ("input", "output"):
        return text_width(box.rows[0].name, SIZES["text"], bold=True) + 20
    return max([WIDTH, *(min(row_width(row, "12.3M"), WIDEST) for row in box.rows)])


def _boxes(item: Item) -> Iterator[Box]:
    return iter((item,)) if isinstance(item, Box) else item.boxes()
