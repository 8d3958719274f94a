"""`ogive draw`: a network as a picture."""

from __future__ import annotations

from typing import Annotated

import typer

from ogive.commands.failure import tell
from ogive.commands.options import File, Net, Root, Set, open_network
from ogive.commands.output import progress

__all__ = ["draw"]


def draw(
    file: File,
    net: Net = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="OUT", help="A file ending in .svg, .png, .pdf or .dot.")
    ] = ...,  # type: ignore[assignment]
    depth: Annotated[
        int | None, typer.Option("--depth", min=0, max=99, help="Levels of parts to open; else as many as can be read.")
    ] = None,
    set_: Set = None,
    root: Root = None,
) -> None:
    """Draw a network: repeats folded, shapes on the arrows.

    SVG, PNG and PDF need Graphviz: the program `dot`, or the package pygraphviz.
    """
    from ogive.pictures import draw

    network = open_network(file, net, set_, root)
    with progress(f"drawing {network.name}"):
        place = draw(network, output, depth=depth)
    tell(f"wrote {place}: {network.name}")
