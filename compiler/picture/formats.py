"""Drawings that are texts for other programs, by the end of a file's name: Mermaid, Model Explorer."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final

from ogive.compiler.picture.mermaid import to_mermaid
from ogive.compiler.picture.model_explorer import to_model_explorer
from ogive.compiler.picture.render import place_for, write
from ogive.dsl.diagnostics import fail
from ogive.dsl.graph import Graph

__all__ = ["EXPLORER", "MERMAID", "draw_text", "is_text"]

MERMAID: Final = ".mmd"
EXPLORER: Final = ".model-explorer.json"
MEANT: Final = {
    ".json": ("a drawing as JSON is for Model Explorer", EXPLORER), ".md": ("a drawing as text is Mermaid", MERMAID),
    ".mermaid": ("a drawing as text is Mermaid", MERMAID), ".markdown": ("a drawing as text is Mermaid", MERMAID),
}


def is_text(path: str | PathLike[str]) -> bool:
    """Whether a file of this name is one of these.

    Raises:
        ArchError: A810, its end is almost that of one.
    """
    name = Path(path).name.lower()
    if name.endswith((MERMAID, EXPLORER)):
        return True
    place = Path(path)
    if place.suffix.lower() in MEANT:
        what, end = MEANT[place.suffix.lower()]
        raise fail("A810", f"{what}, and its name ends in `{end}`; here it ends in `{place.suffix}`",
                   help=f"`{place.with_suffix(end).name}`")
    return False


def draw_text(
    graph: Graph, path: str | PathLike[str], *, title: str | None = None, caption: str | None = None,
    inset: str | None = None, legend: bool = True, sizes: Mapping[str, int] | None = None, width: str | None = None,
    **options: Any,
) -> Path:
    """Write a network as Mermaid (`.mmd`) or for Model Explorer (`.model-explorer.json`), whole or not at all.

    Args:
        title: the heading; the network's name where it is None.
        caption: words below the heading, where the format has room for them.
        inset, width: not taken.
        legend: these have none, so False says nothing.
        sizes: numbers for free sizes of the input: in Mermaid they stand in the shapes, in Model Explorer
            multiply-adds are counted at them.
        options: of Mermaid, as `draw`; Model Explorer opens, closes and colours layers itself.

    Raises:
        ArchError: A811 the folder, A815 more than Mermaid draws, A803 an option that says nothing here; else as
            `arrange`.
    """
    place = Path(path)
    place_for(place)
    if inset is not None:
        raise fail("A803", "an inset needs a picture, and this is a text", help="leave it out, or draw to .svg")
    if width is not None:
        raise fail("A803", "a width is that of a picture, and this is a text", help="leave it out, or draw to .svg")
    if place.name.lower().endswith(MERMAID):
        text = to_mermaid(graph, title=title, caption=caption, sizes=sizes, **options)
    else:
        told = [name for name, value in options.items() if value not in (None, (), "down", "light")]
        if told:
            raise fail("A803", f"`{told[0]}` says nothing to Model Explorer, which opens and colours layers itself",
                       help="leave it out")
        text = to_model_explorer(graph, title=title, caption=caption, sizes=sizes)
    return write(text.encode("utf-8"), place)
