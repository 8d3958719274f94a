"""drawing -> Mermaid text: a flowchart that Markdown pages show as a picture, with frames as subgraphs.

Mermaid draws at most 500 arrows and 50,000 characters, unless a page's owner allows more; above that it shows an error
in place of the picture, so the text is refused here instead. Labels are quoted; every sign that means something in a
label (markup, entities, Markdown) is written as an entity code: https://mermaid.js.org/syntax/flowchart.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from ogive.compiler.picture.layout import arrange
from ogive.compiler.picture.model import Box, Drawing, Frame, Item, Link, Row
from ogive.compiler.picture.style import Theme, theme_of
from ogive.compiler.picture.words import amount
from ogive.dsl.diagnostics import fail, printable
from ogive.dsl.graph import Graph

__all__ = ["MOST_ARROWS", "MOST_LETTERS", "mermaid", "to_mermaid"]

MOST_ARROWS: Final = 500
MOST_LETTERS: Final = 50_000
LONGEST: Final = 80
SPECIAL: Final = re.compile(r"[^\w ×·,+/.=()\[\]:|–…⌈⌉⌊⌋−÷‖≡~%^'-]", re.ASCII)
LIST: Final = re.compile(r"^(\d+)\.(?=\s)|^([-+*])(?=\s)")
WAYS: Final = {"down": "TB", "up": "BT", "right": "LR", "left": "RL"}
ARROWS: Final = {"flow": "-->", "skip": "-->", "tie": "-.-"}


def to_mermaid(graph: Graph, theme: str = "light", **options: Any) -> str:
    """The Mermaid text of a network; the same graph gives the same text in every run.

    Args:
        theme: whose colours the boxes have.
        options: as `arrange` has them. The title stands above the chart, the caption as a comment in the text.

    Raises:
        ArchError: A815 more arrows or letters than Mermaid draws, A803 there is no such theme; else as `arrange`.
    """
    return mermaid(arrange(graph, **options), theme_of(theme))


def mermaid(drawing: Drawing, theme: Theme) -> str:
    """The Mermaid text of a drawing.

    Raises:
        ArchError: A815, more arrows or letters than Mermaid draws.
    """
    lines = list(_Chart(drawing, theme).lines())
    text = "\n".join(lines) + "\n"
    arrows = len(drawing.links)
    if arrows > MOST_ARROWS or len(text) > MOST_LETTERS:
        what = f"{arrows:,} arrows" if arrows > MOST_ARROWS else f"{len(text):,} characters"
        most = f"{MOST_ARROWS:,}" if arrows > MOST_ARROWS else f"{MOST_LETTERS:,}"
        raise fail(
            "A815", f"`{drawing.name}` would be a Mermaid chart of {what}; pages draw at most {most}",
            help="a smaller `depth` closes blocks; `.svg` holds any picture",
        )
    return text


class _Chart:
    def __init__(self, drawing: Drawing, theme: Theme) -> None:
        self.drawing, self.theme = drawing, theme
        self.names: dict[str, str] = {}
        self.families: dict[str, list[str]] = {}
        self.frames = 0

    def lines(self) -> Iterator[str]:
        drawing = self.drawing
        if drawing.title:
            params = f", {amount(drawing.params)} parameters" if drawing.params else ""
            yield "---"
            yield f"title: {json.dumps(_bare(drawing.title) + params, ensure_ascii=False)}"
            yield "---"
        yield f"flowchart {WAYS[drawing.direction]}"
        if drawing.caption:
            yield f"    %% {_bare(' '.join(drawing.caption.split()))}"
        yield from self._items(drawing.items, "    ")
        for link in drawing.links:
            yield f"    {self._link(link)}"
        for family, names in self.families.items():
            colors = self.theme.look(family)
            yield f"    classDef {family}_ fill:{colors.fill},stroke:{colors.border},color:{colors.text}"
            yield f"    class {','.join(names)} {family}_"

    def _items(self, items: tuple[Item, ...], indent: str) -> Iterator[str]:
        for item in items:
            if isinstance(item, Box):
                yield indent + self._box(item)
                continue
            self.frames += 1
            yield f'{indent}subgraph f{self.frames}["{_title(item)}"]'
            yield from self._items(item.items, indent + "    ")
            yield f"{indent}end"

    def _box(self, box: Box) -> str:
        name = self.names[box.id] = f"n{len(self.names)}"
        if box.kind == "entry":
            return f'{name}((" "))'
        if box.kind == "merge":
            return f'{name}(("{_safe(box.symbol)}"))'
        if box.kind in ("input", "output"):
            self.families.setdefault("port", []).append(name)
            return f'{name}(["{_safe(box.rows[0].name)}"])'
        self.families.setdefault(max(box.rows, key=lambda row: (row.params, not row.small)).family, []).append(name)
        label = "<br/>".join(filter(None, (*(_row(row) for row in box.rows), _safe(box.note))))
        return f'{name}[["{label}"]]' if box.kind == "closed" else f'{name}["{label}"]'

    def _link(self, link: Link) -> str:
        label = f'|"{_safe(link.label)}"|' if link.label else ""
        return f"{self.names[link.source]} {ARROWS[link.kind]}{label} {self.names[link.target]}"


def _row(row: Row) -> str:
    name = row.name if row.name != row.op else ""
    words = [_safe(name), f"<b>{_safe(row.op)}</b>" if row.op else "", _safe(row.detail)]
    if row.params:
        words.append(f"({amount(row.params // row.times)}{'' if row.times == 1 else ' each'})")
    return " ".join(filter(None, words))


def _title(frame: Frame) -> str:
    words = [frame.name, frame.title if frame.title != frame.name else "", f"×{frame.count}" if frame.count > 1 else ""]
    return _safe(" ".join(filter(None, words))) or " "


def _bare(text: str) -> str:
    """Text outside of labels, where there are no entities: braces would be read as settings, `<` as markup."""
    return printable(text).translate(str.maketrans("{}<>", "()‹›"))


def _safe(text: str) -> str:
    """Text of a label: one line, and nothing in it is markup, an entity or the start of a list."""
    text = printable(text).replace("\n", " ").strip()
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    start = LIST.match(text)
    coded = SPECIAL.sub(lambda hit: f"#{ord(hit[0])};", text)
    if start is not None:  # `1. x` would be a list
        coded = coded.replace(start[0], start[0][:-1] + f"#{ord(start[0][-1])};", 1)
    return coded
