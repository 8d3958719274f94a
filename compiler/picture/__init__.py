"""Networks as pictures; needs no torch.

The way: graph --layout--> drawing (`model`) --dot--> DOT text --render--> SVG, PNG, PDF.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from ogive.compiler.picture.dot import dot_text
from ogive.compiler.picture.layout import MOST_BOXES, arrange
from ogive.compiler.picture.model import Drawing
from ogive.compiler.picture.render import INSTALL, is_available, picture_of, place_for, suffix_of, write
from ogive.dsl.diagnostics import fail
from ogive.dsl.graph import Graph

__all__ = ["MOST_BOXES", "Drawing", "arrange", "draw", "to_dot", "to_svg"]


def draw(
    graph: Graph, path: str | PathLike[str], *, depth: int | None = None, title: str | None = None,
    caption: str | None = None,
) -> Path:
    """Draw a network to a file: `.svg`, `.png`, `.pdf` or `.dot` by the path's end, written whole or not at all.

    Args:
        graph: the network.
        path: where to; its folder must exist.
        depth: how many frames are opened inside each other, from 0 (the outline). Without it, as many as can be read;
            in a large network each kind of block is then opened once.
        title: the heading; the network's name where it is None, nothing where it is "".
        caption: words below the heading.

    Raises:
        ArchError: A810 the end of the path, A811 its folder, A812 no Graphviz (the DOT text is then left beside),
            A813 Graphviz failed, A814 no fonts for a PNG or PDF, A815 too many boxes.
    """
    place = Path(path)
    suffix = suffix_of(place)
    place_for(place)
    text = to_dot(graph, depth=depth, title=title, caption=caption)
    if suffix != "dot" and not is_available():
        beside = write(text.encode("utf-8"), place.with_suffix(".dot"))
        raise fail(
            "A812", f"there is no Graphviz here to draw a .{suffix} with", help=INSTALL,
            notes=(f"the drawing was left in `{beside}`, which Graphviz can draw elsewhere",),
        )
    return write(picture_of(text, suffix), place)


def to_dot(
    graph: Graph, *, depth: int | None = None, title: str | None = None, caption: str | None = None,
) -> str:
    """The DOT text of a network; the same graph gives the same text in every run.

    Raises:
        ArchError: A815, the drawing has more than `MOST_BOXES` boxes.
    """
    return dot_text(arrange(graph, depth=depth, title=title, caption=caption))


def to_svg(
    graph: Graph, *, depth: int | None = None, title: str | None = None, caption: str | None = None,
) -> str:
    """The SVG text of a network, for a notebook.

    Raises:
        ArchError: as `draw`.
    """
    return picture_of(to_dot(graph, depth=depth, title=title, caption=caption), "svg").decode("utf-8")
