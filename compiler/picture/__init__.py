"""Networks as pictures; needs no torch.

The way: graph --layout--> drawing (`model`) --dot--> DOT text --render--> SVG, PNG, PDF.
That of an attention pattern: pattern --> page (`pattern_page`) --write--> SVG, or DOT text --render--> PNG, PDF.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from ogive.compiler.picture.dot import dot_text
from ogive.compiler.picture.layout import MOST_BOXES, arrange
from ogive.compiler.picture.model import Drawing
from ogive.compiler.picture.pattern import lay_out
from ogive.compiler.picture.pattern_write import page_dot, page_svg
from ogive.compiler.picture.render import INSTALL, is_available, picture_of, place_for, suffix_of, write
from ogive.dsl.diagnostics import fail
from ogive.dsl.graph import Graph
from ogive.dsl.patterns import Pattern
from ogive.dsl.patterns.space import Space

__all__ = ["MOST_BOXES", "Drawing", "arrange", "draw", "draw_pattern", "pattern_svg", "to_dot", "to_svg"]


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


def draw_pattern(
    over: Pattern, space: Space, path: str | PathLike[str], *, query: int | None = None, heads: int | None = None
) -> Path:
    """Draw which query sees which key to a file: `.svg`, `.png`, `.pdf` or `.dot` by the path's end.

    Beside the matrix stands what one query sees on the grid, where the space has one. `.svg` needs no Graphviz.

    Args:
        over: the pattern.
        space: the positions of queries and keys.
        path: where to; its folder must exist.
        query: the position of the query; the middle of the grid where it is None.
        heads: how many heads there are; as many as the pattern tells apart where it is None.

    Raises:
        ArchError: as `draw`, and A803 there is no such query, A302 the pattern means nothing on this grid.
    """
    place = Path(path)
    suffix = suffix_of(place)
    place_for(place)
    page = lay_out(over, space, query=query, heads=heads)
    data = page_svg(page).encode("utf-8") if suffix == "svg" else picture_of(page_dot(page), suffix)
    return write(data, place)


def pattern_svg(over: Pattern, space: Space, *, query: int | None = None, heads: int | None = None) -> str:
    """The SVG text of a pattern.

    Raises:
        ArchError: as `draw_pattern`, save for the file.
    """
    return page_svg(lay_out(over, space, query=query, heads=heads))
