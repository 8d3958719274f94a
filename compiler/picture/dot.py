"""drawing -> DOT text, through the `graphviz` package. The same drawing gives the same text in every run.

Whatever comes from a file is escaped here, once, at the place where it is put into a label: nothing of it is DOT, an
HTML-like tag, an escape sequence or a control character any more. Names of nodes are made of plain letters.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import graphviz

from ogive.compiler.picture.model import Box, Drawing, Frame, Item, Link, Row
from ogive.compiler.picture.style import FONT, LINES, MOTIF, SIZES, look
from ogive.compiler.picture.words import amount

__all__ = ["MOST_LABELS", "Pieces", "dot_text"]

MOST_LABELS: Final = 1_000
"""Above so many boxes the shapes are left off the arrows: each is a node for the layout, which takes minutes then."""

LONGEST: Final = 120
CELL: Final = 3
"""Points of a cell of a thumbnail."""
WIDTH: Final = 132


def dot_text(drawing: Drawing) -> str:
    """The DOT text of a drawing."""
    return _Writer(drawing).text()


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
        self._writer._box(page, box, WIDTH if frame is None else _width(frame))
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
    def __init__(self, drawing: Drawing) -> None:
        self.drawing = drawing
        self.names: dict[tuple[str, str], str] = {}
        self.taken: set[str] = set()
        self.boxes = {box.id: box for box in drawing.boxes()}
        self.vias: set[tuple[str, str]] = set()
        """Skips that are drawn with the frame around them."""
        self.labels = len(self.boxes) <= MOST_LABELS

    def text(self) -> str:
        drawing = self.drawing
        page = graphviz.Digraph(self._name(drawing.name))
        page.attr(
            "graph", bgcolor="white", fontname=FONT, fontsize=str(SIZES["heading"]), compound="true", newrank="true",
            nodesep="0.28", ranksep="0.26", splines="true", margin="0", pad="0.12", labelloc="t",
            forcelabels="true", tooltip=_quoted(drawing.name) or "network",
        )
        page.attr("node", fontname=FONT, fontsize=str(SIZES["text"]), shape="plain", margin="0")
        page.attr(
            "edge", fontname=FONT, fontsize=str(SIZES["small"]), fontcolor=LINES["label"], color=LINES["flow"],
            arrowsize="0.55", penwidth="0.9",
        )
        if heading := self._heading():
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

    def _heading(self) -> str:
        drawing = self.drawing
        lines = []
        if drawing.title:
            lines.append(f"<B>{_escaped(drawing.title)}</B>")
            facts = [f"{amount(drawing.params)} parameters"] if drawing.params else []
            lines.append(_faint(" · ".join([*facts, "shapes of one sample"])))
        if drawing.caption:
            words = "<BR/>".join(_escaped(line) for line in _wrapped(drawing.caption))
            lines.append(f"<FONT POINT-SIZE=\"{SIZES['text']:g}\">{words}</FONT>")
        return f"<{'<BR/>'.join(lines)}<BR/> >" if lines else ""

    # ------------------------------------------------------------------------------------------------ frames, boxes

    def _items(self, page: Any, items: tuple[Item, ...], width: int = WIDTH) -> None:
        for item in items:
            if isinstance(item, Box):
                self._box(page, item, width)
                continue
            with page.subgraph(name=f"cluster_{self._name(item.id)}") as inner:
                inner.attr(**self._frame(item))
                self._items(inner, item.items, _width(item))
                self._arcs(inner, item.items)

    def _frame(self, frame: Frame) -> dict[str, str]:
        repeated = frame.count > 1
        color = LINES["repeat"] if repeated else LINES["stage"] if frame.kind in ("stage", "scope") else LINES["frame"]
        return {
            "label": _html(self._title(frame)), "labeljust": "l", "fontname": FONT, "fontsize": str(SIZES["text"]),
            "style": "rounded,filled" if frame.kind != "scope" else "rounded,filled,dashed",
            "color": color, "penwidth": "1.6" if repeated else "0.9", "margin": "9",
            "fillcolor": "#ffffff" if frame.kind == "stage" else LINES["frame_fill"],
            "id": self._identity("frame", frame.id),
            "tooltip": _quoted(" ".join((frame.name, frame.title, frame.note)).strip()) or "frame",
        }

    def _title(self, frame: Frame) -> str:
        """The block's name, and below it, small, its key and parameters; short lines, so that arrows pass beside."""
        big, small = _lines(frame)
        text = f"<B>{_escaped(big)}</B>"
        return text + "".join(f'<BR ALIGN="LEFT"/>{_faint(_escaped(line))}' for line in small) + '<BR ALIGN="LEFT"/>'

    def _box(self, page: Any, box: Box, width: int) -> None:
        common = {"id": self._identity("node", box.id), "tooltip": _quoted(_hint(box)) or box.kind}
        name = self._name(box.id)
        if box.kind == "entry":
            page.node(name, shape="point", width="0.05", color=LINES["flow"], label="", **common)
        elif box.kind == "merge":
            page.node(
                name, label=_html(_escaped(box.symbol)), shape="circle", width="0.26", fixedsize="true",
                fontsize=str(SIZES["symbol"]), style="filled", fillcolor=look("merge").fill,
                color=look("merge").border, penwidth="1.1", **common,
            )
        elif box.kind in ("input", "output"):
            page.node(
                name, label=_html(f"<B>{_escaped(box.rows[0].name)}</B>"), shape="box", style="rounded,filled",
                fillcolor=look("port").fill, color=look("port").border, margin="0.14,0.05", height="0.26",
                penwidth="1.1", **common,
            )
        else:
            page.node(name, label=_html(self._table(box, width)), **common)

    def _table(self, box: Box, width: int) -> str:
        cells = "".join(f"<TR><TD>{self._row(row, box, width)}</TD></TR>" for row in box.rows)
        return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="1" CELLPADDING="0">{cells}</TABLE>'

    def _row(self, row: Row, box: Box, width: int) -> str:
        colors = look(row.family)
        closed = box.kind == "closed"
        size = SIZES["small"] if row.small else SIZES["text"]
        words = [_faint(_escaped(row.name))] if row.name and row.name != row.op else []
        words.append(_escaped(row.op) if row.small else f"<B>{_escaped(row.op)}</B>")
        words += [_escaped(row.detail)] if row.detail else []
        words += [_faint(_share(row.params, row.times))] if row.params else []
        heads = box.heads if row is box.rows[0] else 0
        span = f' COLSPAN="{max(heads, row.ports, 1)}"'
        pad = 1 if row.small else 4 if closed else 3
        lines = [_cells("h", heads, width, ("q", "k", "v"))] if heads else []
        text = f'<FONT POINT-SIZE="{size:g}" COLOR="{colors.text}">{"  ".join(words)}</FONT>'
        lines.append(f'<TR><TD{span} CELLPADDING="{pad}" WIDTH="{width}">{text}</TD></TR>')
        if box.note:
            lines += [f"<TR><TD>{_faint(_escaped(line))}</TD></TR>" for line in box.note.split("; ")]
        if row.motifs:
            lines.append(f"<TR><TD{span}>{_motifs(row.motifs)}</TD></TR>")
        lines += [_cells("t", row.ports, width, ())] if row.ports else []
        return (
            f'<TABLE STYLE="ROUNDED" BORDER="{2 if closed and row.detail else 1}" COLOR="{colors.border}" '
            f'BGCOLOR="{colors.fill}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0" '
            f'WIDTH="{width}">{"".join(lines)}</TABLE>'
        )

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
                label = {"label": _quoted(f" {link.label} ")} if link.label and self.labels else {}
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
            # A cluster of their own: else dot lets labels beside push the line aside.
            with page.subgraph(name=f"cluster_skip_{self._name(f'{link.source} {link.target}')}") as side:
                side.attr(style="invis", label="", margin="0")
                names = [self._point(side, f"{link.source} {link.target} {end}") for end in ("from", "to")]
                side.edge(*names, arrowhead="none", weight="50")
            with page.subgraph(graph_attr={"rank": "same"}) as rank:
                rank.edge(self._name(link.source), names[0], arrowhead="none", weight="0")
            with page.subgraph(graph_attr={"rank": "same"}) as rank:
                rank.edge(self._name(link.target), names[1], dir="back", weight="0")

    def _point(self, page: Any, wish: str) -> str:
        """A bend of a line: a point without size."""
        name = self._name(wish)
        page.node(name, shape="point", width="0.012", height="0.012", color=LINES["skip"], label="")
        return name

    def _link(self, page: Any, link: Link) -> None:
        source, target = self._name(link.source), self._name(link.target)
        attrs = {"label": _quoted(f" {link.label} ")} if link.label and self.labels else {}
        if link.kind == "tie":
            attrs |= {"style": "dashed", "color": LINES["tie"], "fontcolor": LINES["tie"], "dir": "none",
                      "constraint": "false", "label": _quoted(link.label)}
            attrs |= {k: f"cluster_{self._name(v)}" for k, v in zip(("ltail", "lhead"), link.frames, strict=True) if v}
            page.edge(source, target, **attrs)
            return
        rising = self.drawing.rising
        if link.kind == "skip":
            attrs |= {"weight": "0", "color": LINES["skip"]}
            if (link.source, link.target) in self.drawing.levels:
                page.edge(source, target, constraint="false", **attrs)
            elif link.target in rising:
                page.edge(f"{target}:e", f"{source}:e", dir="back", **attrs)
            elif (link.source, link.target) not in self.vias:
                page.edge(f"{source}:e", f"{target}:e", **attrs)
            return
        attrs["weight"] = "300"
        if link.target in self.drawing.columns[1:]:
            return
        tail = f"{source}:t{link.tail}:s" if link.tail is not None else source
        head = f"{target}:h{link.head}:n" if link.head is not None else target
        if link.target in rising:
            page.edge(head, tail, dir="back", **attrs)
        else:
            page.edge(tail, head, **attrs)

    def _name(self, wish: str) -> str:
        """The name of a thing in the DOT text: plain letters, the same for the same thing."""
        return self._unique("n_", re.sub(r"[^A-Za-z0-9_]", "_", wish), wish)

    def _identity(self, kind: str, wish: str) -> str:
        """The id of an element in the SVG."""
        return self._unique(f"{kind}-", re.sub(r"[^A-Za-z0-9_.-]", "_", wish), wish)

    def _unique(self, start: str, plain: str, wish: str) -> str:
        if (start, wish) not in self.names:
            name, n = f"{start}{plain[:LONGEST]}", 1
            while name in self.taken:
                n += 1
                name = f"{start}{plain[:LONGEST]}__{n}"
            self.taken.add(name)
            self.names[start, wish] = name
        return self.names[start, wish]


def _motifs(motifs: tuple[tuple[str, ...], ...]) -> str:
    """Thumbnails of patterns beside each other; a table of fixed size, which Graphviz does not stretch."""
    found = []
    for motif in motifs:
        wide, high = len(motif[0]) * CELL, len(motif) * CELL
        size = f'FIXEDSIZE="TRUE" WIDTH="{CELL}" HEIGHT="{CELL}"'
        rows = "".join(
            "<TR>" + "".join(f'<TD {size} BGCOLOR="{MOTIF[int(digit)]}"></TD>' for digit in line) + "</TR>"
            for line in motif
        )
        frame = f'FIXEDSIZE="TRUE" WIDTH="{wide + 2}" HEIGHT="{high + 2}" COLOR="{LINES["stage"]}"'
        found.append(f'<TD FIXEDSIZE="TRUE" WIDTH="{wide + 8}" HEIGHT="{high + 8}"><TABLE {frame} BORDER="1" '
                     f'CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{rows}</TABLE></TD>')
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>{"".join(found)}</TR></TABLE>'


def _cells(letter: str, count: int, width: int, names: tuple[str, ...]) -> str:
    """A row of thin cells for arrows to end at."""
    cells = []
    for i in range(count):
        text = f'<FONT POINT-SIZE="7" COLOR="{LINES["faint"]}">{names[i]}</FONT>' if i < len(names) else ""
        height = "" if text else ' HEIGHT="1"'
        cells.append(f'<TD PORT="{letter}{i}" WIDTH="{width // count}"{height}>{text}</TD>')
    return f'<TR>{"".join(cells)}</TR>'


def _lines(frame: Frame) -> tuple[str, list[str]]:
    """The title of a frame: its big line and its small ones."""
    big = frame.title or frame.name
    if frame.count > 1:
        big += f"  ×{frame.count}"
    second = [frame.name] if frame.title and frame.name else []
    in_all = " in all" if frame.count > 1 and frame.times == 1 else ""
    second += [_share(frame.params, frame.times) + in_all] if frame.params else []
    small = [" · ".join(second)] if second else []
    return big, small + (frame.note.split("; ") if frame.note else [])


def _width(frame: Frame) -> int:
    """How wide boxes are in a frame: so that an arrow in their middle misses the title at the left."""
    big, small = _lines(frame)
    longest = max([len(big) * 0.6 * SIZES["text"], *(len(line) * 0.53 * SIZES["small"] for line in small)])
    return max(WIDTH, min(round(2 * longest) - 10, 2 * WIDTH))


def _share(params: int, times: int) -> str:
    """Parameters of one run: of a part that is drawn once for all, what each has of its own."""
    return amount(params // times if params % times == 0 else params)


def _boxes(item: Item) -> Iterator[Box]:
    return iter((item,)) if isinstance(item, Box) else item.boxes()


def _hint(box: Box) -> str:
    return "; ".join(row.hint or row.op for row in box.rows)


def _faint(text: str) -> str:
    return f'<FONT POINT-SIZE="{SIZES["small"]:g}" COLOR="{LINES["faint"]}">{text}</FONT>' if text else ""


def _html(text: str) -> str:
    return f"<{text}>"


def _escaped(text: str) -> str:
    """Text for an HTML-like label. Backslashes are no escapes there; `&` of an entity is written out."""
    return html.escape(_plain(text), quote=True)


def _quoted(text: str) -> str:
    """Text for a plain label or tooltip: no escape, and no HTML-like label."""
    return graphviz.escape(_plain(text))


def _plain(text: str) -> str:
    """One line of bounded length without control, bidirectional or unassigned characters."""
    kept = "".join(" " if c in "\n\t" else c for c in text if c in "\n\t" or unicodedata.category(c)[0] != "C")
    return kept if len(kept) <= LONGEST else kept[: LONGEST - 1] + "…"


def _wrapped(text: str, width: int = 64) -> list[str]:
    lines, line = [], ""
    for word in _plain(text).split():
        if line and len(line) + len(word) >= width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, line]
