"""`ogive compile`: a network as a Python file in plain PyTorch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ogive.commands.failure import tell
from ogive.commands.options import File, Net, Root, Set, open_network
from ogive.commands.output import progress, write_whole
from ogive.dsl.diagnostics import fail

__all__ = ["compile"]


def compile(
    file: File,
    net: Net = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="OUT.py", help="The Python file to write, or - for stdout.")
    ] = "-",
    set_: Set = None,
    root: Root = None,
) -> None:
    """Write a network as a Python file in plain PyTorch.

    It needs torch alone, not ogive, and its state_dict has the same keys.
    """
    if output != "-" and Path(output).suffix != ".py":
        raise fail("A804", f"`{output}` is no name for Python source", help=f"`{Path(output).stem or 'out'}.py`")
    network = open_network(file, net, set_, root)
    with progress(f"writing {network.name}"):
        from ogive.compiler.export.source import to_source

        text = to_source(network)
    if output == "-":
        sys.stdout.write(text)
        return
    with write_whole(output) as draft:
        draft.write_text(text, encoding="utf-8")
    tell(f"wrote {output}: {network.name}, {text.count(chr(10)):,} lines")
