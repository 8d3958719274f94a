"""A difference as DOT text: what is new, gone and changed stands out by its colour, its sign and its border.

The colours are tints of the palette of Okabe and Ito (2008). Nobody needs them: what is new has a `+` and a heavy
border, what is gone a `−` and a dashed one, what is changed a `~` and a double one.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import graphviz

from ogive.compiler.difference.union import Block, Fate, Line, union
from ogive.compiler.picture.layout import MOST_BOXES
from ogive.compiler.picture.style import FONT
from ogive.dsl.diagnostics import fail, printable

if TYPE_CHECKING:
    from ogive.compiler.difference.report import Difference

__all__ = ["to_dot"]

LONGEST: Final = 46


@dataclass(frozen=True, slots=True)
class _Look:
    sign: str
    word: str
    fill: str
    line: str
    style: str
    width: str
    borders: str = "1"


LOOKS: Final[dict[Fate, _Look]] = {
    "added": _Look("+", "added", "#d3efe5", "#00694d", "filled", "2.2"),
    "removed": _Look("−", "removed", "#fbddd0", "#b03a00", "filled,dashed", "1.4"),
    "changed": _Look("~", "changed", "#fdf0c8", "#8a6200", "filled", "1.1", "2"),
    "same": _Look("", "as it was", "#f6f6f6", "#8c8c8c", "filled", "0.8"),
}
ARROWS: Final[dict[Fate, dict[str, str]]] = {
    "added": {"color": "#00694d", "penwidth": "2.0"},
    "removed": {"color": "#b03a00", "penwidth": "1.4", "style": "dashed"},
    "changed": {},
    "same": {},
}


def to_dot(of: Difference) -> str:
    """The DOT text of a difference.

    Raises:
        ArchError: A815, the picture would have more than `MOST_BOXES` boxes.
    """
    whole = union(of.match, of.changes)
    boxes = list(whole.lines())
    if len(boxes) > MOST_BOXES:
        raise fail(
            "A815", f"the difference would be a picture of {len(boxes):,} boxes; at most {MOST_BOXES:,} are drawn",
            help="without `-o` it is told in words, and with `--json` whole",
        )
    page = graphviz.Digraph("difference")
    page.attr(
        "graph", bgcolor="white", fontname=FONT, fontsize="12", nodesep="0.3", ranksep="0.28", pad="0.15",
        labelloc="t", newrank="true", compound="true", tooltip="difference", label=_heading(of, boxes),
    )
    page.attr("node", fontname=FONT, fontsize="10", shape="box", margin="0.12,0.06", height="0.3")
    page.attr("edge", fontname=FONT, fontsize="8", color="#8c8c8c", arrowsize="0.6", penwidth="0.9")
    names: dict[str, str] = {}
    _items(page, whole.items, names)
    gone = {line.id for line in boxes if line.fate == "removed"}
    for arrow in whole.arrows:
        kept = arrow.fate == "removed" and gone.isdisjoint((arrow.source, arrow.target))
        more = {"constraint": "false"} if kept else {}  # what is there decides where things stand
        page.edge(names[arrow.source], names[arrow.target], **ARROWS[arrow.fate], **more)
    return page.source


def _items(page: Any, items: Iterable[Line | Block], names: dict[str, str]) -> None:
    for item in items:
        if isinstance(item, Line):
            names[item.id] = f"n{len(names)}"
            look = LOOKS[item.fate]
            page.node(
                names[item.id], label=f"<{_label(item)}>", style=look.style, fillcolor=look.fill, color=look.line,
                penwidth=look.width, peripheries=look.borders, tooltip=_plain(f"{item.id[2:]}: {look.word}"),
            )
            continue
        with page.subgraph(name=f"cluster_{len(names)}_{item.runs}") as inner:
            times = f" ×{item.runs}" if item.runs > 1 else ""
            title = f"<B>{_safe(item.name)}</B>{_safe(times)}" + (f"  {_safe(item.title)}" if item.title else "")
            inner.attr(
                label=f"<{title}>", labeljust="l", fontname=FONT, fontsize="10", style="rounded", color="#7d8894",
                penwidth="1.4" if item.runs > 1 else "0.8", margin="10", tooltip=_plain(item.id[2:]) or "part",
            )
            _items(inner, item.items, names)


def _label(line: Line) -> str:
    look = LOOKS[line.fate]
    words = [f"<B>{look.sign}</B>"] if look.sign else []
    words += [f"<B>{_safe(line.name)}</B>"] if line.name else []
    words += [_safe(_cut(line.op))] if line.op else []
    words += [f"×{line.count}"] if line.count > 1 else []
    rows = [" ".join(words)]
    rows += [f'<FONT POINT-SIZE="8">{_safe(part)}</FONT>' for note in line.notes for part in _wrapped(note)]
    color = "#5c5c5c" if line.fate == "same" else "#1a1a1a"
    return f'<FONT COLOR="{color}">{"<BR/>".join(rows)}</FONT>'


def _heading(of: Difference, boxes: Iterable[Line]) -> str:
    """What is compared, the figures, and a legend of what occurs."""
    there = {line.fate for line in boxes}
    cells = "".join(
        f'<TD BGCOLOR="{look.fill}" COLOR="{look.line}" BORDER="{2 if fate == "added" else 1}"'
        f'{" STYLE=" + chr(34) + "DASHED" + chr(34) if fate == "removed" else ""}>'
        f'<FONT POINT-SIZE="9">{look.sign} {look.word}</FONT></TD>'
        for fate, look in LOOKS.items() if fate in there
    )
    whole = of.figures.whole
    facts = " · ".join(filter(None, (
        _figure("parameters", whole.params), "" if of.figures.reason else _figure("multiply-adds", whole.macs)
    )))
    title = f"<B>{_safe(_cut(of.before))}  →  {_safe(_cut(of.after))}</B>"
    return (
        f'<<TABLE BORDER="0" CELLSPACING="5" CELLPADDING="3"><TR><TD>{title}</TD></TR>'
        f'<TR><TD><FONT POINT-SIZE="9">{_safe(facts)}</FONT></TD></TR>'
        f'<TR><TD><TABLE BORDER="0" CELLSPACING="6" CELLPADDING="4"><TR>{cells}</TR></TABLE></TD></TR></TABLE>>'
    )


def _figure(what: str, values: tuple[int | None, int | None]) -> str:
    a, b = values
    return f"{a:,} {what}, as before" if a == b else f"{a or 0:,} → {b or 0:,} {what}"


def _wrapped(text: str) -> Iterator[str]:
    """A note in lines that fit a box."""
    line = ""
    for word in text.split(" "):
        if line and len(line) + len(word) >= LONGEST:
            yield line
            line = ""
        line = f"{line} {_cut(word)}".strip()
    yield line


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _plain(text: str) -> str:
    """Text for a tooltip, which is no HTML: nothing in it is an escape."""
    return graphviz.escape(printable(text).replace("\n", " "))


def _safe(text: str) -> str:
    """Text for an HTML-like label."""
    return html.escape(printable(text).replace("\n", " "), quote=True)
