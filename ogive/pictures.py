"""Drawing a network that was loaded: the picture's caption is what the file says above it."""

from __future__ import annotations

import os
from pathlib import Path

from ogive.compiler import picture
from ogive.dsl.graph import Graph
from ogive.network import Network

__all__ = ["draw"]


def draw(
    net: Network | Graph, path: str | os.PathLike[str], *, depth: int | None = None, title: str | None = None,
    caption: str | None = None,
) -> Path:
    """Draw a network to a file: `.svg`, `.png`, `.pdf` or `.dot` by the path's end, written whole or not at all.

    Args:
        net: what `ogive.load` returned.
        path: where to; its folder must exist.
        depth: how many frames are opened inside each other, from 0 (the outline). Without it, as many as can be read.
        title: the heading; the network's name where it is None, nothing where it is "".
        caption: words below the heading; the first sentence of the comment above the network where it is None.

    Raises:
        ArchError: A810 the end of the path, A811 its folder, A812 no Graphviz (the DOT text is then left beside),
            A813 Graphviz failed, A814 no fonts for a PNG or PDF, A815 too many boxes.
    """
    if isinstance(net, Network) and caption is None:
        caption = net.caption
    graph = net.graph if isinstance(net, Network) else net
    return picture.draw(graph, path, depth=depth, title=title, caption=caption or None)
