"""`ogive expand`: a network with everything resolved, as text."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ogive.commands.failure import tell
from ogive.commands.options import File, Net, Root, Set, open_network
from ogive.commands.output import write_whole

__all__ = ["expand"]


def expand(
    file: File,
    net: Net = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="OUT.arch", help="The file to write, or - for stdout.")
    ] = "-",
    keep_repeats: Annotated[
        bool, typer.Option("--keep-repeats", help="Leave iterations that are alike in one `repeat`.")
    ] = False,
    set_: Set = None,
    root: Root = None,
) -> None:
    """Write a network out: presets, imports, derivations, blocks and repeats resolved, numbers computed.

    What is written is valid, imports nothing, and is the same network: keys, shapes, multiply-adds.
    """
    network = open_network(file, net, set_, root)
    text = network.expand(keep_repeats=keep_repeats)
    if output == "-":
        sys.stdout.write(text)
        return
    with write_whole(output) as draft:
        draft.write_text(text, encoding="utf-8")
    tell(f"wrote {output}: {network.name}, {text.count(chr(10)):,} lines")
