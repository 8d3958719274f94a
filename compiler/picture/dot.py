"""drawing -> DOT text, through the `graphviz` package. The same drawing gives the same text in every run.

Whatever comes from a file goes through `escape`, once, where it is put into a label; what a label says is in
`labels`. Names of nodes are made of plain letters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final

import graphviz

from ogive.compiler.picture.escape import LONGEST, escaped, quoted
from ogive.compiler.picture.labels import Labels, frame_width
from ogive.compiler.picture.model import Box, Drawing, Frame, Item, Link
from ogive.compiler.picture.style import FONT, SIZES, Look, theme_of

__all__ = ["MOST_LABELS", "Pieces", "dot_text", "named_text"]

MOST_LABELS: Final = 1_000
"""Above so many boxes the shapes are left off the arrows: each is a node for the layout, which takes minutes then."""

RANKS: Final = {"down": "TB", "up": "BT", "right": "LR", "left": "RL"}
SIDES: Final = {"down": ("n", "s", "e"), "up": ("s", "n", "e"), "right": ("w", "e", "s"), "left": ("e", "w", "s")}
"""Where data comes in, where it goes out, and at which side skips go round."""


def dot_text(drawing: Drawing, theme: str = "light", *, legend: bool = False, prefix: str = "n") -> str:
    """The DOT text of a drawing. Names of nodes begin with `prefix`, so that two texts can stand in one.

    Raises:
        ArchError: A803, there is no such theme.
    """
    return _Writer(drawing, theme, legend=legend, prefix=prefix).text()


def named_text(drawing: Drawing, theme: str = "light", *, prefix: str = "n") -> tuple[str, Callable[[str], str]]:
    """The DOT text of a drawing, and what the box or frame of an id is called in it.

    Raises:
        ArchError: A803, there is no such theme.
    """
    writer = _Writer(drawing, theme, prefix=prefix)
    return writer.text(), writer._name


class Pieces:
    """Boxes and frames one by one, for the page, which puts them together itself as parts are opened and closed.

    A thing has one name in all texts that come from here: `name` in the DOT, the attribute `id` in the SVG.
    """

    def __init__(self, drawing: Drawing) -> None:
        self._writer = _Writer(drawing)

    def name(self, id: str) -> str:
        """What a box is called; its frame is called the same with `cluster_` in front."""
        return self._writer._name(id)

    def box(self, box: Box, frame: Frame | None) -> dict[str, str]:
        """The attributes of a box that stands in `frame`."""
        page = graphviz.Digraph()
        found: dict[str, str] = {}
        page.node = lambda name, label=None, **rest: found.update(rest, label=label or "")  # type: ignore[method-assign]
        labels = self._writer.labels
        self._writer._box(page, box, labels.width if frame is None else frame_width(labels, frame))
        return found

    def frame(self, frame: Frame) -> dict[str, str]:
        """The attributes of a frame."""
        return self._writer._frame(frame)

    def text(self, drawing: Drawing) -> str:
        """The DOT text of a drawing of the same things."""
        writer = _Writer(drawing)
        writer.names, writer.taken = self._writer.names, self._writer.taken
        return writer.text()


class _Writer:
    def __init__(self, drawing: Drawing, theme: str = "light", *, legend: bool = False, prefix: str = "n") -> None:
        self.drawing, self.theme, self.prefix, self.legend = drawing, theme_of(theme), prefix, legend
        self.look, self.lines = self.theme.look, self.theme.lines
        self.labels = Labels(self.theme, drawing.direction, drawing.params)
        self.start, self.end, self.side = SIDES[drawing.direction]
        self.names: dict[tuple[str, str], str] = {}
        self.taken: set[str] = set()
        self.boxes = {box.id: box for box in drawing.boxes()}
        self.vias: set[tuple[str, str]] = set()
        """Skips that are drawn with the frame around them."""
        self.labelled = len(self.boxes) <= MOST_LABELS

    def text(self) -> str:
        drawing = self.drawing
        page = graphviz.Digraph(self._name(drawing.name))
        page.attr(
            "graph", bgcolor=self.theme.page, fontcolor=self.theme.text, fontname=FONT, fontsize=str(SIZES["heading"]),
            rankdir=RANKS[drawing.direction], compound="true", newrank="true", nodesep="0.28", ranksep="0.26",
            splines="true", margin="0", pad="0.12", labelloc="t",
            forcelabels="true", tooltip=quoted(drawing.name) or "network",
        )
        page.attr("node", fontname=FONT, fontsize=str(SIZES["text"]), shape="plain", margin="0")
        page.attr(
            "edge", fontname=FONT, fontsize=str(SIZES["small"]), fontcolor=self.lines["label"],
            color=self.lines["flow"], arrowsize="0.55", penwidth="0.9",
        )
        if heading := self.labels.heading(drawing, legend=self.legend):
            page.attr("graph", label=heading)
        columns = self._split()
        for column in columns:
            if len(column) == len(drawing.items):
                self._items(page, column)
                continue
            if column is not columns[0]:
                with page.subgraph(name=f"cluster_turn_{self._name(column[0].id)}") as inner:
                    inner.attr(style="invis", label="", margin="0")
                    self._turn(inner, column)
            with page.subgraph(name=f"cluster_column_{self._name(column[0].id)}") as inner:
                inner.attr(style="invis", label="", margin="0")
                self._end(inner, column)
                self._items(inner, column)
        self._arcs(page, drawing.items)
        self._turns(page)
        for pair in drawing.levels:
            with page.subgraph(graph_attr={"rank": "same"}) as level:
                for name in pair:
                    level.node(self._name(name))
        for link in drawing.links:
            self._link(page, link)
        return page.source

    # ------------------------------------------------------------------------------------------------ frames, boxes

    def _items(self, page: Any, items: tuple[Item, ...], width: int | None = None) -> None:
        for item in items:
            if isinstance(item, Box):
                self._box(page, item, self.labels.width if width is None else width)
                continue
            with page.subgraph(name=f"cluster_{self._name(item.id)}") as inner:
                inner.attr(**self._frame(item))
                self._items(inner, item.items, frame_width(self.labels, item))
                self._arcs(inner, item.items)

    def _frame(self, frame: Frame) -> dict[str, str]:
        repeated = frame.count > 1
        kind = "repeat" if repeated else "stage" if frame.kind in ("stage", "scope") else "frame"
        return {
            "label": _html(self.labels.title(frame)), "labeljust": "l",
            "fontname": FONT, "fontsize": str(SIZES["text"]),
            # Graphviz turns a page that goes up upside down, labels of frames too.
            "labelloc": "b" if self.drawing.direction == "up" else "t",
            "style": "rounded,filled" if frame.kind != "scope" else "rounded,filled,dashed",
            "color": self.lines[kind], "penwidth": "1.6" if repeated else "0.9", "margin": "9",
            "fillcolor": self.lines["stage_fill" if frame.kind == "stage" else "frame_fill"],
            "id": self._identity("frame", frame.id),
            "tooltip": quoted(" ".join((frame.name, frame.title, frame.note)).strip()) or "frame",
        }

    def _box(self, page: Any, box: Box, width: int) -> None:
        common = {"id": self._identity("node", box.id), "tooltip": quoted(_hint(box)) or box.kind}
        name = self._name(box.id)
        if box.kind == "entry":
            page.node(name, shape="point", width="0.05", color=self.lines["flow"], label="", **common)
        elif box.kind == "merge":
            page.node(
                name, label=_html(escaped(box.symbol)), shape="circle", width="0.26", fixedsize="true",
                fontsize=str(SIZES["symbol"]), style="filled", penwidth="1.1", **_colors(self.look("merge")), **common,
            )
        elif box.kind in ("input", "output"):
            page.node(
                name, label=_html(f"<B>{escaped(box.rows[0].name)}</B>"), shape="box", style="rounded,filled",
                margin="0.14,0.05", height="0.26", penwidth="1.1", **_colors(self.look("port")), **common,
            )
        else:
            page.node(name, label=_html(self.labels.table(box, width)), **common)

    # -------------------------------------------------------------------------------------------------------- links

    def _split(self) -> list[tuple[Item, ...]]:
        """The items by column; all in one where there are no columns."""
        found: list[list[Item]] = [[]]
        for item in self.drawing.items:
            if next(_boxes(item)).id in self.drawing.columns[1:]:
                found.append([])
            found[-1].append(item)
        return [tuple(column) for column in found]

    def _end(self, page: Any, column: tuple[Item, ...]) -> None:
        """The point below a column from where the line goes to the next."""
        boxes = {box.id for item in column for box in _boxes(item)}
        for link in self.drawing.links:
            if link.target in self.drawing.columns[1:] and link.source in boxes:
                point = self._point(page, f"end {link.target}")
                page.edge(self._name(link.source), point, arrowhead="none", weight="300")

    def _turn(self, page: Any, column: tuple[Item, ...]) -> None:
        """The points at the left of a column between which the line that comes from the column before goes up."""
        for right in self.drawing.columns[1:]:
            if right in {box.id for item in column for box in _boxes(item)}:
                link = next(link for link in self.drawing.links if link.target == right)
                up, down = self._point(page, f"up {right}"), self._point(page, f"down {right}")
                label = {"label": quoted(f" {link.label} ")} if link.label and self.labelled else {}
                page.edge(up, down, arrowhead="none", weight="300", **label)

    def _turns(self, page: Any) -> None:
        """Columns begin at one height; the lines between them run right, up and right again."""
        tops = self.drawing.columns
        with page.subgraph(graph_attr={"rank": "same"}) as rank:
            for left, right in pairwise(tops):
                rank.edge(self._name(left), self._name(f"up {right}"), style="invis")
                rank.edge(self._name(f"up {right}"), self._name(right))
        for right in tops[1:]:
            with page.subgraph(graph_attr={"rank": "same"}) as rank:
                rank.edge(self._name(f"end {right}"), self._name(f"down {right}"), arrowhead="none")

    def _arcs(self, page: Any, items: tuple[Item, ...]) -> None:
        """The skips between boxes of one frame, each led round by two points at its side."""
        here = {item.id for item in items if isinstance(item, Box)}
        skips = [x for x in self.drawing.links if x.kind == "skip" and x.source in here and x.target in here]
        ends = [x.source for x in skips] + [x.target for x in skips]
        for link in skips:
            if ends.count(link.source) > 1 or ends.count(link.target) > 1 or link.target in self.drawing.rising:
                continue
            self.vias.add((link.source, link.target))
            names = [self._point(page, f"{link.source} {link.target} {end}") for end in ("from", "to")]
            page.edge(*names, arrowhead="none", weight="50")
            # What stands first of a rank is left of the second, in every Graphviz; a weight of 0 would undo that.
            with page.subgraph(graph_attr={"rank": "same"}) as rank:
                rank.edge(self._name(link.source), names[0], arrowhead="none")
            with page.subgraph(graph_attr={"rank": "same"}) as rank:
                rank.edge(self._name(link.target), names[1], dir="back")

    def _point(self, page: Any, wish: str) -> str:
        """A bend of a line: a point without size."""
        name = self._name(wish)
        page.node(name, shape="point", width="0.012", height="0.012", color=self.lines["skip"], label="")
        return name

    def _link(self, page: Any, link: Link) -> None:
        source, target = self._name(link.source), self._name(link.target)
        attrs = {"label": quoted(f" {link.label} ")} if link.label and self.labelled else {}
        if link.kind == "tie":
            attrs |= {"style": "dashed", "color": self.lines["tie"], "fontcolor": self.lines["tie"], "dir": "none",
                      "constraint": "false", "label": quoted(link.label)}
            attrs |= {k: f"cluster_{self._name(v)}" for k, v in zip(("ltail", "lhead"), link.frames, strict=True) if v}
            page.edge(source, target, **attrs)
            return
        rising = self.drawing.rising
        if link.kind == "skip":
            attrs |= {"weight": "0", "color": self.lines["skip"]}
            if (link.source, link.target) in self.drawing.levels:
                page.edge(source, target, constraint="false", **attrs)
            elif link.target in rising:
                page.edge(f"{target}:{self.side}", f"{source}:{self.side}", dir="back", **attrs)
            elif (link.source, link.target) not in self.vias:
                ends = (source, target) if self.labels.sideways else (f"{source}:{self.side}", f"{target}:{self.side}")
                page.edge(*ends, **attrs)
            return
        attrs["weight"] = "300"
        if link.target in self.drawing.columns[1:]:
            return
        tail = f"{source}:t{link.tail}:{self.end}" if link.tail is not None else source
        head = f"{target}:h{link.head}:{self.start}" if link.head is not None else target
        if link.target in rising:
            page.edge(head, tail, dir="back", **attrs)
        else:
            page.edge(tail, head, **attrs)

    def _name(self, wish: str) -> str:
        """The name of a thing in the DOT text: plain letters, the same for the same thing."""
        return self._unique(f"{self.prefix}_", re.sub(r"[^A-Za-z0-9_]", "_", wish), wish)

    def _identity(self, kind: str, wish: str) -> str:
        """The id of an element in the SVG."""
        start = f"{kind}-" if self.prefix == "n" else f"{self.prefix}-{kind}-"
        return self._unique(start, re.sub(r"[^A-Za-z0-9_.-]", "_", wish), wish)

    def _unique(self, start: str, plain: str, wish: str) -> str:
        if (start, wish) not in self.names:
            name, n = f"{start}{plain[:LONGEST]}", 1
            while name in self.taken:
                n += 1
                name = f"{start}{plain[:LONGEST]}__{n}"
            self.taken.add(name)
            self.names[start, wish] = name
        return self.names[start, wish]


def _boxes(item: Item) -> Iterator[Box]:
    return iter((item,)) if isinstance(item, Box) else item.boxes()


def _hint(box: Box) -> str:
    return "; ".join(row.hint or row.op for row in box.rows)


def _colors(look: Look) -> dict[str, str]:
    return {"fillcolor": look.fill, "color": look.border, "fontcolor": look.text}


def _html(text: str) -> str:
    return f"<{text}>"
