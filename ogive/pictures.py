"""Drawing a network that was loaded: the picture's caption is what the file says above it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ogive.compiler import picture
from ogive.compiler.picture import field, stages
from ogive.compiler.picture.formats import draw_text, is_text
from ogive.dsl.graph import Graph
from ogive.network import Network

__all__ = ["draw", "draw_field", "draw_stages"]


def draw(
    net: Network | Graph, path: str | os.PathLike[str], *, depth: int | None = None, title: str | None = None,
    caption: str | None = None, expand: Sequence[str] = (), collapse: Sequence[str] = (), direction: str = "down",
    theme: str = "light", inset: str | None = None, sizes: Mapping[str, int] | None = None, legend: bool = True,
    width: str | None = None,
) -> Path:
    """Draw a network to a file: `.svg`, `.png`, `.pdf` or `.dot` by the path's end, written whole or not at all; `.mmd`
    is Mermaid for Markdown pages, `.model-explorer.json` opens in Google's Model Explorer.

    Args:
        net: what `ogive.load` returned.
        path: where to; its folder must exist.
        depth: how many frames are opened inside each other, from 0 (the outline). Without it, as many as can be read.
        title: the heading; the network's name where it is None, nothing where it is "".
        caption: words below the heading; the first sentence of the comment above the network where it is None.
        expand, collapse: parts that are opened and closed whatever the depth is, by the paths of their keys: `*` is any
            one word of it, as in `blocks.*.attn`, `**` at the end all that lies deeper.
        direction: where the data goes: `down`, `up`, `right` or `left`.
        theme: `light`, `dark`, `print` (greys alone) or `colour-blind`.
        inset: a block, by its name or path, that is blown up beside the outline, as figures of papers do.
        sizes: numbers for free sizes of the input, `{"H": 224}`, to stand in the shapes.
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
    if isinstance(net, Network) and caption is None:
        caption = net.caption
    graph = net.graph if isinstance(net, Network) else net
    write = draw_text if is_text(path) else picture.draw
    return write(
        graph, path, depth=depth, title=title, caption=caption or None, expand=expand, collapse=collapse,
        direction=direction, theme=theme, inset=inset, sizes=sizes, legend=legend, width=width,
    )


def draw_stages(
    net: Network | Graph, path: str | os.PathLike[str], *, sizes: Mapping[str, int] | None = None,
    title: str | None = None,
) -> Path:
    """Draw the stages of a network: resolution, width, multiply-adds and parameters of each, from left to right.

    Args:
        net: what `ogive.load` returned.
        path: where to: `.svg`, which needs no Graphviz, `.png`, `.pdf` or `.dot`; its folder must exist.
        sizes: free sizes of the input; else B = 1 and H = W = 224.
        title: the heading; the network's name where it is None.

    Raises:
        ArchError: A802 a size, A810 to A814 the file, A815 too many stages.
    """
    return stages.draw_stages(net.graph if isinstance(net, Network) else net, path, sizes=sizes, title=title)


def draw_field(
    net: Network | Graph, node: str, path: str | os.PathLike[str], *, sizes: Mapping[str, int] | None = None,
    at: tuple[int, ...] | None = None,
) -> Path:
    """Draw the receptive field of a node over the input: what one position of it can depend on.

    Args:
        net: what `ogive.load` returned.
        node: a node (`layer4.1.conv2`), or a part, which stands for what it answers (`layer4`, `blocks.3`).
        path: where to: `.svg`, which needs no Graphviz, `.png`, `.pdf` or `.dot`; its folder must exist.
        sizes: free sizes of the input; else B = 1 and H = W = 224.
        at: the position that is looked from, (row, column); the middle one where it is None.

    Raises:
        ArchError: A818 no such node, A802 a size, A803 a position that is not there or no field, A810 to A814 the file.
    """
    return field.draw_field(net.graph if isinstance(net, Network) else net, node, path, sizes=sizes, at=at)
