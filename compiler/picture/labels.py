"""What is written in boxes, frames, the heading and the legend, as HTML-like labels of Graphviz."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ogive.compiler.picture.escape import escaped, wrapped
from ogive.compiler.picture.measure import NARROW_WIDTH, WIDTH, is_wide, text_width
from ogive.compiler.picture.model import Box, Direction, Drawing, Frame, Row
from ogive.compiler.picture.style import SIZES, Look, Theme
from ogive.compiler.picture.words import amount

__all__ = ["CELL", "Labels", "frame_width"]

CELL: Final = 3
"""Points of a cell of a thumbnail."""

NOTE: Final = 30
"""Letters of a line below a title."""

SWATCH: Final = 16

KEYS: Final = 4
"""Colours of the legend on one line."""

FAMILY_WORDS: Final = {
    "linear": "linear", "conv": "convolution", "norm": "norm", "activation": "activation", "attention": "attention",
    "pool": "pooling", "layout": "layout", "embedding": "embedding", "regularise": "dropout", "data": "source",
    "block": "closed block",
}
SYMBOL_WORDS: Final = {
    "+": "add", "−": "subtract", "×": "multiply", "÷": "divide", "‖": "concatenate", "≡": "stack",
}


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels in one theme; `total` are the parameters of the network, of which parts are shares."""

    theme: Theme
    direction: Direction
    total: int

    @property
    def sideways(self) -> bool:
        return self.direction in ("left", "right")

    @property
    def width(self) -> int:
        """How wide a box is at least."""
        return NARROW_WIDTH if self.sideways else WIDTH

    # ------------------------------------------------------------------------------------------------------- boxes

    def table(self, box: Box, width: int) -> str:
        """A box: its rows below each other, in the way of the data."""
        rows = box.rows[::-1] if self.direction == "up" else box.rows
        cells = "".join(f"<TR><TD>{self._row(row, box, width)}</TD></TR>" for row in rows)
        return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="1" CELLPADDING="0">{cells}</TABLE>'

    def _row(self, row: Row, box: Box, width: int) -> str:
        look, closed = self.theme.look(row.family), box.kind == "closed"
        words = self._words(row, closed)
        pad = 1 if row.small else 2 if len(words) > 1 else 4 if closed else 3
        lines = [f'<TR><TD CELLPADDING="{pad}" WIDTH="{width}">{text}</TD></TR>' for text in words]
        notes = [part for line in box.note.split("; ") for part in wrapped(line, NOTE)] if box.note else []
        lines += [f'<TR><TD CELLPADDING="1"> {self.faint(escaped(part))} </TD></TR>' for part in notes]
        if row.motifs:
            lines.append(f"<TR><TD>{self._motifs(row.motifs)}</TD></TR>")
        heads = box.heads if row is box.rows[0] else 0
        inner = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{"".join(lines)}</TABLE>'
        body = self._between(
            f"<TD>{inner}</TD>" if heads or row.ports else "",
            self._cells("h", heads, width, ("q", "k", "v")), self._cells("t", row.ports, width, ()),
        ) if heads or row.ports else "".join(lines)
        return (
            f'<TABLE STYLE="ROUNDED" BORDER="{2 if closed and row.detail else 1}" COLOR="{look.border}" '
            f'BGCOLOR="{look.fill}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0" '
            f'WIDTH="{width}">{body}</TABLE>'
        )

    def _words(self, row: Row, closed: bool) -> list[str]:
        """The words of a row, line by line: two where one would be too wide, three where the data goes sideways."""
        look, size = self.theme.look(row.family), SIZES["small"] if row.small else SIZES["text"]
        share = self.share(row.params, row.times, row.times if closed else 0)
        name = self.faint(escaped(row.name)) if row.name and row.name != row.op else ""
        words = [escaped(row.op) if row.small else f"<B>{escaped(row.op)}</B>"]
        words += [escaped(row.detail)] if row.detail else []
        if self.sideways and not row.small:
            lines = [line for line in ([name], words, [self.faint(share)]) if line[0]]
            return [self._line(line, look, size) for line in lines]
        beside = [*words, *([self.faint(share)] if share else [])]
        lines = [[name], beside] if is_wide(row, share) else [[name, *beside] if name else beside]
        return [self._line(line, look, size) for line in lines]

    def _line(self, words: list[str], look: Look, size: float) -> str:
        return f'<FONT POINT-SIZE="{size:g}" COLOR="{look.text}">{"  ".join(words)}</FONT>'

    def _between(self, middle: str, heads: str, ports: str) -> str:
        """Cells at the side where data comes in, and at the side where it goes out."""
        first, last = (heads, ports) if self.direction in ("down", "right") else (ports, heads)
        if self.direction in ("down", "up"):
            return f"<TR>{first}</TR>" * bool(first) + f"<TR>{middle}</TR>" + f"<TR>{last}</TR>" * bool(last)
        return f"<TR>{first}{middle}{last}</TR>"

    def _cells(self, letter: str, count: int, width: int, names: tuple[str, ...]) -> str:
        """A thin table of cells for arrows to end at."""
        if not count:
            return ""
        across = self.direction in ("down", "up")
        cells = []
        for i in range(count):
            faint = self.theme.lines["faint"]
            text = f'<FONT POINT-SIZE="7" COLOR="{faint}">{names[i]}</FONT>' if i < len(names) else ""
            size = f'WIDTH="{width // count}"' if across else f'WIDTH="{8 if text else 2}" HEIGHT="12"'
            height = ' HEIGHT="1"' if across and not text else ""
            cell = f'<TD PORT="{letter}{i}" {size}{height}>{text}</TD>'
            cells.append(cell if across else f"<TR>{cell}</TR>")
        inside = f"<TR>{''.join(cells)}</TR>" if across else "".join(cells)
        return f'<TD><TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{inside}</TABLE></TD>'

    def _motifs(self, motifs: tuple[tuple[str, ...], ...]) -> str:
        """Thumbnails of patterns beside each other; a table of fixed size, which Graphviz does not stretch."""
        return _plain_table("".join(self._motif(motif) for motif in motifs))

    def _motif(self, motif: tuple[str, ...]) -> str:
        wide, high = len(motif[0]) * CELL, len(motif) * CELL
        size = f'FIXEDSIZE="TRUE" WIDTH="{CELL}" HEIGHT="{CELL}"'
        colors = self.theme.motif
        rows = "".join(
            "<TR>" + "".join(f'<TD {size} BGCOLOR="{colors[int(digit)]}"></TD>' for digit in line) + "</TR>"
            for line in motif
        )
        frame = f'FIXEDSIZE="TRUE" WIDTH="{wide + 2}" HEIGHT="{high + 2}" COLOR="{self.theme.lines["stage"]}"'
        return (f'<TD FIXEDSIZE="TRUE" WIDTH="{wide + 8}" HEIGHT="{high + 8}"><TABLE {frame} BORDER="1" '
                f'CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{rows}</TABLE></TD>')

    # ------------------------------------------------------------------------------------------------------ frames

    def title(self, frame: Frame) -> str:
        """The block's name, and below it, small, its key and parameters; short lines, so that arrows pass beside."""
        big, small = self._lines(frame)
        text = f'<FONT COLOR="{self.theme.text}"><B>{escaped(big)}</B></FONT>'
        return text + "".join(f'<BR ALIGN="LEFT"/>{self.faint(escaped(line))}' for line in small) + '<BR ALIGN="LEFT"/>'

    def _lines(self, frame: Frame) -> tuple[str, list[str]]:
        """The title of a frame: its big line and its small ones."""
        big = frame.title or frame.name
        if frame.count > 1:
            big += f"  ×{frame.count}"
        second = [frame.name] if frame.title and frame.name else []
        in_all = " in all" if frame.count > 1 and frame.times == 1 else ""
        second += [self.share(frame.params, frame.times, frame.times) + in_all] if frame.params else []
        notes = [line for note in frame.note.split("; ") for line in wrapped(note, NOTE)] if frame.note else []
        if frame.kind == "stage":
            return big, [" · ".join([*second, *notes])]
        return big, ([" · ".join(second)] if second else []) + notes

    def share(self, params: int, times: int, each: int = 0) -> str:
        """Parameters of one run, and of a part what all its runs hold of the network: `7.09M each, 98 %`."""
        if not params:
            return ""
        text = amount(params // times if params % times == 0 else params)
        percent = 100 * params / self.total if self.total and each else 0
        if percent < 0.95 or params == self.total:
            return text
        return f"{text} each, {percent:.0f} %" if each > 1 else f"{text}, {percent:.0f} %"

    # ------------------------------------------------------------------------------------------- heading and legend

    def heading(self, drawing: Drawing, *, legend: bool = False) -> str:
        """The title, the parameters, the caption, and what colours and signs mean."""
        lines = []
        if drawing.title:
            lines.append(f'<FONT COLOR="{self.theme.text}"><B>{escaped(drawing.title)}</B></FONT>')
            facts = [f"{amount(drawing.params)} parameters"] if drawing.params else []
            lines.append(self.faint(" · ".join([*facts, "shapes of one sample"])))
        if drawing.caption:
            words = "<BR/>".join(escaped(line) for line in wrapped(drawing.caption, 64))
            lines.append(f"<FONT POINT-SIZE=\"{SIZES['text']:g}\" COLOR=\"{self.theme.text}\">{words}</FONT>")
        text = f"{'<BR/>'.join(lines)}<BR/> " if lines else ""
        below = self.legend(drawing) if legend else ""
        if not below:
            return f"<{text}>" if text else ""
        rows = "".join(f"<TR><TD>{part}</TD></TR>" for part in (text, below, " ") if part)
        return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{rows}</TABLE>>'

    def legend(self, drawing: Drawing) -> str:
        """What colours, circles and lines mean that are in the picture; nothing where there are none."""
        rows = [row for box in drawing.boxes() for row in box.rows]
        families = {row.family for row in rows if row.op}
        named = [(name, words) for name, words in FAMILY_WORDS.items() if name in families]
        wide = max((round(text_width(words, SIZES["small"])) for _, words in named), default=0) + 8
        keys = [self._key(name, words, wide) for name, words in named]
        symbols = {box.symbol for box in drawing.boxes() if box.symbol}
        said = [f"{symbol} {words}" for symbol, words in SYMBOL_WORDS.items() if symbol in symbols]
        if any(frame.count > 1 for frame in drawing.frames()) or any(row.detail.startswith("×") for row in rows):
            said.append("×n drawn once for n")
        if any(link.kind == "tie" for link in drawing.links):
            said.append("dashed: the same weights")
        if any(row.motifs for row in rows):
            said.append("squares: which query (row) sees which key")
        most = 2 * KEYS if self.sideways else KEYS
        lines = [f"<TR>{''.join(keys[i : i + most])}</TR>" for i in range(0, len(keys), most)]
        across = min(most, len(keys)) * (wide + SWATCH)  # of a fixed size: else Graphviz spreads it over the page
        table = (f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0" FIXEDSIZE="TRUE" WIDTH="{across}" '
                 f'HEIGHT="{14 * len(lines)}">{"".join(lines)}</TABLE>')
        words = "".join(
            f"<TR><TD>{self.faint(escaped(line))}</TD></TR>" for line in wrapped(" · ".join(said), 72) if line
        ) if said else ""
        rest = f"<TR><TD>{table}</TD></TR>" if keys else ""
        if not rest and not words:
            return ""
        return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{rest}{words}</TABLE>'

    def _key(self, family: str, words: str, wide: int) -> str:
        look = self.theme.look(family)
        swatch = (f'<TABLE BORDER="1" COLOR="{look.border}" BGCOLOR="{look.fill}" CELLBORDER="0" CELLSPACING="0" '
                  f'CELLPADDING="0" FIXEDSIZE="TRUE" WIDTH="12" HEIGHT="8"><TR><TD></TD></TR></TABLE>')
        return (f'<TD FIXEDSIZE="TRUE" WIDTH="{SWATCH}" HEIGHT="14">{swatch}</TD>'
                f'<TD FIXEDSIZE="TRUE" WIDTH="{wide}" HEIGHT="14" ALIGN="LEFT">{self.faint(words)}</TD>')

    def faint(self, text: str) -> str:
        """Small words beside the large ones."""
        faint = self.theme.lines["faint"]
        return f'<FONT POINT-SIZE="{SIZES["small"]:g}" COLOR="{faint}">{text}</FONT>' if text else ""


def frame_width(labels: Labels, frame: Frame) -> int:
    """How wide boxes are in a frame: so that an arrow in their middle misses the title at the left."""
    if labels.sideways:
        return labels.width
    big, small = labels._lines(frame)
    longest = max([text_width(big, SIZES["text"], bold=True), *(text_width(line, SIZES["small"]) for line in small)])
    return max(WIDTH, min(round(2 * longest) + 10, 2 * WIDTH))


def _plain_table(cells: str) -> str:
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>{cells}</TR></TABLE>'
