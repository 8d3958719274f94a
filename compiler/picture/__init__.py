"""Networks as pictures; needs no torch.

The way: graph --layout--> drawing (`model`) --dot--> DOT text --render--> SVG, PNG, PDF; `page` makes HTML of it.
That of an attention pattern: pattern --> page (`pattern_page`) --write--> SVG, or DOT text --render--> PNG, PDF.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict, Unpack

from ogive.compiler.picture.layout import MOST_BOXES, Arranger, arrange, arranger
from ogive.compiler.picture.model import DIRECTIONS, Drawing
from ogive.compiler.picture.page import html_of, model_of
from ogive.compiler.picture.pattern import lay_out
from ogive.compiler.picture.pattern_write import page_dot, page_svg
from ogive.compiler.picture.render import INSTALL, is_available, picture_of, place_for, suffix_of, write
from ogive.compiler.picture.static import Wish, drawing_of, rendered
from ogive.compiler.picture.style import THEMES, theme_of
from ogive.dsl.diagnostics import fail
from ogive.dsl.graph import Graph
from ogive.dsl.patterns import Pattern
from ogive.dsl.patterns.space import Space

__all__ = [
    "DIRECTIONS", "MOST_BOXES", "THEMES", "Drawing", "Options", "arrange", "draw", "draw_pattern", "pattern_svg",
    "to_dot", "to_svg",
]


class Options(TypedDict, total=False):
    """How a network is drawn; `draw` says what each means."""

    depth: int | None
    title: str | None
    caption: str | None
    expand: Sequence[str]
    collapse: Sequence[str]
    direction: str
    theme: str
    inset: str | None
    sizes: Mapping[str, int] | None
    legend: bool
    width: str | None


def draw(graph: Graph, path: str | PathLike[str], **options: Unpack[Options]) -> Path:
    """Draw a network to a file: `.svg`, `.png`, `.pdf` or `.dot` by the path's end, written whole or not at all; or
    `.html`, a page that opens and closes its blocks (see `page`), for which no Graphviz is needed.

    Args:
        graph: the network.
        path: where to; its folder must exist.
        depth: how many frames are opened inside each other, from 0 (the outline). Without it, as many as can be read;
            in a large network each kind of block is then opened once.
        title: the heading; the network's name where it is None, nothing where it is "".
        caption: words below the heading.
        expand, collapse: parts that are opened and closed whatever the depth is, by their paths: `blocks.*.attn`.
        direction: where the data goes: down, up, right or left.
        theme: light, dark, print (greys alone) or colour-blind.
        inset: a block, by its name or path, that is blown up beside the outline, as papers do.
        sizes: numbers for free sizes of the input, to stand in the shapes.
        legend: whether colours and signs are explained below.
        width: that of the paper, `8.5cm`, `85mm` or `3.3in`: so wide the picture is made, and without a `depth` opened
            as deep as its smallest words have 5 points there.

    Warns where a picture to the depth that was asked for cannot be drawn, and is closed to one that can; and where
    words come out smaller than 5 points on paper of the width.

    Raises:
        ArchError: A810 the end of the path, A811 its folder, A812 no Graphviz (the DOT text is then left beside),
            A813 Graphviz failed, A814 no fonts for a PNG or PDF, A815 even the outline has too many boxes, A818 no such
            part or block, A803 no such direction, theme or width, or a part both opened and closed, A802 no such size.
    """
    place = Path(path)
    if place.suffix.lower() == ".html":
        place_for(place)
        for name, plain in (("inset", None), ("theme", "light"), ("direction", "down"), ("width", None)):
            if options.get(name, plain) != plain:
                what = f"`{name}` says nothing of a page"
                notes = ("a page goes down, its blocks open, and its colours follow the reader's system",)
                raise fail("A803", what, notes=notes, help=f"leave `{name}` out, or draw to .svg, .png, .pdf or .dot")
        drawing = drawing_of(arranger(graph, **_arranged(options)), options.get("depth"))
        model = model_of(
            graph, drawing, title=options.get("title") or "", caption=options.get("caption") or "",
            sizes=options.get("sizes"),
        )
        return write(html_of(model).encode("utf-8"), place)
    if place.suffix.lower() == ".htm":
        raise fail("A810", "a page's name ends in `.html`; here it ends in `.htm`",
                   help=f"`{place.with_suffix('.html').name}`")
    suffix = suffix_of(place)
    place_for(place)
    make, wish = _wished(graph, options)
    if suffix != "dot" and not is_available():
        beside = write(rendered(make, wish, "dot"), place.with_suffix(".dot"))
        raise fail(
            "A812", f"there is no Graphviz here to draw a .{suffix} with", help=INSTALL,
            notes=(f"the drawing was left in `{beside}`, which Graphviz can draw elsewhere",),
        )
    return write(rendered(make, wish, suffix), place)


def to_dot(graph: Graph, **options: Unpack[Options]) -> str:
    """The DOT text of a network; the same graph gives the same text in every run. With `inset` it holds the places of
    everything, which Graphviz has to find first; with `width`, Graphviz has measured it.

    Raises:
        ArchError: as `draw`, save for the file.
    """
    return rendered(*_wished(graph, options), "dot").decode("utf-8")


def _wished(graph: Graph, options: Options) -> tuple[Arranger, Wish]:
    theme = options.get("theme", "light")
    theme_of(theme)
    wish = Wish(options.get("depth"), options.get("inset"), theme, options.get("legend", True), options.get("width"))
    return arranger(graph, **_arranged(options)), wish


def _arranged(options: Options) -> Any:
    """Those of the options that say what stands in a drawing, and not how it looks."""
    look = ("theme", "inset", "legend", "depth", "width")
    return {name: value for name, value in options.items() if name not in look}


def to_svg(graph: Graph, **options: Unpack[Options]) -> str:
    """The SVG text of a network, for a notebook.

    Raises:
        ArchError: as `draw`, save for the file.
    """
    return rendered(*_wished(graph, options), "svg").decode("utf-8")


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
