"""`ogive view`: a network as a page that follows its file while it is written."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated

import typer

from ogive.commands.failure import say, tell
from ogive.commands.options import File, Net, Root, Set, network_in, settings_of
from ogive.commands.output import result
from ogive.dsl.diagnostics import fail

if TYPE_CHECKING:
    from ogive.dsl.load import Unit
    from ogive.network import Network

__all__ = ["view"]


def view(
    file: File,
    net: Net = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, metavar="N", help="The port to listen on; else a free one.")
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open it in the browser, or only say where it is.")
    ] = True,
    set_: Set = None,
    root: Root = None,
) -> None:
    """Show a network as a page that redraws, or shows what is wrong, whenever the file is saved. Ctrl-C ends it."""
    from ogive.sources import check_root, in_library, open_source
    from ogive.viewer import Viewer

    settings = settings_of(set_)
    check_root(root)

    if file == "-":
        raise fail("A803", "`view` follows a file, and standard input is read once",
                   help="save it to a file; `ogive draw - -o net.html` makes a page that does not change")
    unit = open_source(file, root) if in_library(file) else None
    place = str(unit.path) if unit is not None and unit.path is not None else file

    def look() -> tuple[Unit, Network]:
        unit = open_source(file, root)
        return unit, network_in(unit, net, settings)

    with Viewer(place, look, port) as viewer:
        try:
            if viewer.error is not None:
                say(viewer.error)
            result(viewer.address)
            tell("it follows the file; Ctrl-C ends it")
            if browser:
                _open(viewer.address)
            threading.Event().wait()
        except KeyboardInterrupt:
            tell("ended")


def _open(address: str) -> None:
    import webbrowser

    if not webbrowser.open(address):
        tell("no browser could be opened: open the address yourself")
