"""graph -> what the page knows: parts with their DOT, facts about each, texts, and the first picture. Plain JSON.

Labels are made and escaped by `dot.py`, here as for every other picture; the page only puts them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from graphviz.quoting import quote

from ogive.compiler.picture.dot import MOST_LABELS, Pieces, dot_text
from ogive.compiler.picture.fold import Folding, Run, fold
from ogive.compiler.picture.layout import MOST_BOXES, arrange, whole
from ogive.compiler.picture.model import Box, Drawing, Frame, Item
from ogive.compiler.picture.page.closing import closed, closed_box
from ogive.compiler.picture.page.details import Details, drawn_nodes
from ogive.compiler.picture.render import is_available, picture_of
from ogive.compiler.picture.style import LINES
from ogive.compiler.picture.words import Shapes, amount
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.graph import Graph

__all__ = ["model_of", "unfolded"]

DEEPEST: Final = 64
"""No network has frames so deep in each other."""


def model_of(
    graph: Graph, first: Drawing | None = None, *, title: str = "", caption: str = "",
    sizes: Mapping[str, int] | None = None, picture: bool = True, unfold: bool = True,
) -> dict[str, Any]:
    """Everything that the page of a network shows.

    Args:
        graph: the network.
        first: the frames that are open in it are open at first; those of `arrange` where it is None.
        title: the heading; the network's name where it is "".
        caption: a sentence about it.
        sizes: numbers for free sizes of the input.
        picture: whether the first picture is laid out here; else, and where there is no Graphviz, the page does it.
        unfold: whether each iteration of a repeat for itself is among it; else the page asks for that when it needs it.

    Raises:
        ArchError: A815, even closed and folded it has more boxes than are drawn; A813, Graphviz failed.
    """
    folding = fold(graph)
    details = Details(graph, sizes)
    details.texts.file(graph.regions[0].span.source)  # the network's own text stands first
    drawing, depth = _whole(graph, folding, details.shapes)
    labels: dict[str, int] = {}
    folded = _View(drawing, folding, details, labels)
    opened = [frame.id for frame in (first or arrange(graph)).frames() if frame.id in folded.frames]
    model: dict[str, Any] = {
        "name": title or graph.name,
        "caption": caption,
        "params": amount(graph.parameter_count),
        "macs": amount(sum(details.macs.values())).replace("B", "G") if details.macs else "",
        "at": details.at,
        "most": {"boxes": MOST_BOXES, "labels": MOST_LABELS},
        "colours": {"skip": LINES["skip"], "tie": LINES["tie"]},
        "cut": depth,
        "opened": opened,
        "folded": folded.as_json(),
        "unfolded": None,
        "svg": "",
    }
    folds = any(len(run.iterations) > 1 for runs in folding.runs.values() for run in runs)
    if folds and not unfold:
        model["unfolded"] = {"later": True}
    elif folds:
        single = unfolded(graph)
        try:
            model["unfolded"] = _View(whole(graph, single, DEEPEST, details.shapes), single, details, labels).as_json()
        except ArchError:  # A815: the page says why it cannot
            model["unfolded"] = {"boxes": len(graph)}
    if picture and is_available():
        model["svg"] = picture_of(folded.pieces.text(closed(drawing, opened)), "svg").decode("utf-8")
    model["labels"] = list(labels)
    model["files"] = details.texts.as_json()
    return model


def _whole(graph: Graph, folding: Folding, shapes: Shapes) -> tuple[Drawing, int | None]:
    """The network with all frames open; of one with too many boxes, as deep as can be, and how deep that is."""
    try:
        return whole(graph, folding, DEEPEST, shapes), None
    except ArchError:
        drawing, depth = whole(graph, folding, 0, shapes), 0
    while True:
        try:
            drawing, depth = whole(graph, folding, depth + 1, shapes), depth + 1
        except ArchError:
            return drawing, depth


def unfolded(graph: Graph) -> Folding:
    """A folding that folds nothing: each iteration of a repeat stands for itself."""
    folding = Folding(members={node: (node,) for node in graph.nodes}, times=dict.fromkeys(graph.nodes, 1))
    for region in graph.regions:
        if region.kind == "iteration" and region.parent is not None:
            runs = folding.runs.get(region.parent, ())
            folding.runs[region.parent] = (*runs, Run((region.id,), region.id, {}, (), False))
    return folding


class _View:
    """One way to show a network: its repeats folded, or not."""

    def __init__(self, drawing: Drawing, folding: Folding, details: Details, labels: dict[str, int]) -> None:
        self.drawing, self.folding, self.details, self.labels = drawing, folding, details, labels
        self.pieces = Pieces(drawing)
        self.frames = {frame.id for frame in drawing.frames()}

    def as_json(self) -> dict[str, Any]:
        drawing = self.drawing
        head = dot_text(Drawing(drawing.name, "", "", (), (), 0, 0))
        return {
            "head": head[: head.rindex("}")],
            "items": [self._item(item, None) for item in drawing.items],
            "links": [
                [x.source, x.target, x.kind, x.label, x.tail, x.head, x.shape, list(x.frames)] for x in drawing.links
            ],
            "rising": sorted(drawing.rising),
            "levels": [list(pair) for pair in drawing.levels],
            "boxes": sum(1 for box in drawing.boxes() if box.kind != "entry"),
        }

    def _item(self, item: Item, frame: Frame | None) -> dict[str, Any]:
        if isinstance(item, Box):
            return {
                "id": item.id, "kind": item.kind, "name": self.pieces.name(item.id), **self._dot(item, frame),
                "rows": [self.details.node(node, self.folding) for node in drawn_nodes(item, self.folding)],
            }
        return {
            "id": item.id, "kind": "frame", "name": self.pieces.name(item.id),
            "repeat": item.count, "open": self._tokens(self.pieces.frame(item)),
            **self._dot(closed_box(item), frame), "rows": [self.details.frame(item, self.folding)],
            "items": [self._item(child, item) for child in item.items],
        }

    def _dot(self, box: Box, frame: Frame | None) -> dict[str, Any]:
        return {"dot": self._tokens(self.pieces.box(box, frame))}

    def _tokens(self, attributes: Mapping[str, str]) -> dict[str, Any]:
        """The attributes as DOT, the label as its number in the table of labels, and the id in the SVG."""
        label = attributes.get("label", "")
        rest = " ".join(f"{name}={quote(value)}" for name, value in attributes.items() if name != "label")
        return {
            "id": attributes["id"], "rest": rest,
            "label": self.labels.setdefault(quote(label), len(self.labels)),
        }
