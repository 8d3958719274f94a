"""`ogive draw`: a network, or an attention pattern, as a picture."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.commands.charting import draw_chart
from ogive.commands.failure import tell
from ogive.commands.options import Net, Root, Set, SizeOf, library_files, open_network, sizes_from
from ogive.commands.output import progress
from ogive.dsl.diagnostics import fail

if TYPE_CHECKING:
    from ogive.dsl.patterns.space import Space
    from ogive.network import Network

__all__ = ["draw"]

LARGEST_AXIS = 1_000_000


def draw(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE", help="An .arch file, a name of the library, or -. Not with --pattern.",
            autocompletion=library_files,
        ),
    ] = None,
    net: Net = None,
    output: Annotated[
        str,
        typer.Option(
            "-o", "--output", metavar="OUT",
            help="A file: .svg, .png, .pdf, .dot, .html, .mmd (Mermaid) or .model-explorer.json.",
        ),
    ] = ...,  # type: ignore[assignment]
    depth: Annotated[
        int | None, typer.Option("--depth", min=0, max=99, help="Levels of parts to open; else as many as can be read.")
    ] = None,
    expand: Annotated[
        list[str] | None,
        typer.Option("--expand", metavar="PATH", help="Open this part whatever the depth: blocks.*.attn, encoder.**."),
    ] = None,
    collapse: Annotated[
        list[str] | None, typer.Option("--collapse", metavar="PATH", help="Close this part whatever the depth.")
    ] = None,
    inset: Annotated[
        str | None,
        typer.Option("--inset", metavar="BLOCK", help="The outline, and beside it this block (or path) blown up."),
    ] = None,
    direction: Annotated[
        str | None, typer.Option("--direction", metavar="WAY", help="Where the data goes: down, up, right or left.")
    ] = None,
    theme: Annotated[
        str | None, typer.Option("--theme", metavar="NAME", help="light, dark, print (greys alone) or colour-blind.")
    ] = None,
    legend: Annotated[
        bool | None, typer.Option("--legend/--no-legend", help="Explain colours and signs below.", show_default=False)
    ] = None,
    width: Annotated[
        str | None,
        typer.Option("--width", metavar="LENGTH", help="Of the paper, as 8.5cm or 3.3in: opened as can be read."),
    ] = None,
    size: SizeOf = None,
    stages: Annotated[
        bool, typer.Option("--stages", help="Draw resolution, width and cost of each stage instead.")
    ] = False,
    field: Annotated[
        str | None, typer.Option("--field", metavar="PATH", help="Draw the receptive field of a node over the input.")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="ROW,COL", help="The position whose field it is; else the middle.")
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option("--pattern", metavar="PATTERN", help="Draw an attention pattern instead: `window(7) | prefix`."),
    ] = None,
    grid: Annotated[
        str | None, typer.Option("--grid", metavar="HxW", help="Its positions: 14x14, 64 of a sequence, or 4x7x7.")
    ] = None,
    prefix: Annotated[int, typer.Option("--prefix", min=0, max=9999, help="Tokens in front of the grid.")] = 0,
    query: Annotated[
        str | None, typer.Option("--query", metavar="ROW,COL", help="Whose keys to show on the grid; or an index.")
    ] = None,
    heads: Annotated[
        int | None, typer.Option("--heads", min=1, max=1024, help="How many heads see it, where heads differ.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="FILE", help="A file whose patterns may be named in --pattern.")
    ] = None,
    set_: Set = None,
    root: Root = None,
) -> None:
    """Draw a network, repeats folded and shapes on the arrows; or, with --pattern, which query sees which key.

    --stages and --field draw charts instead. Networks, and charts and patterns as PNG or PDF, need Graphviz: the
    program `dot`, or the package pygraphviz.
    """
    told = {"--grid": grid, "--prefix": prefix or None, "--query": query, "--heads": heads, "--from": source}
    if stages or field is not None or at is not None:
        other = {
            "--pattern": pattern, "--depth": depth, "--expand": expand, "--collapse": collapse, "--inset": inset,
            "--direction": direction, "--theme": theme, "--legend": legend, "--width": width, **told,
            "--stages": True if stages and (field is not None or at is not None) else None,
        }
        _refuse(other, "another kind", "one kind of drawing at a time")
        if file is None:
            raise fail("A803", "there is nothing to draw", help="name a FILE")
        draw_chart(open_network(file, net, set_, root), output, field, at, sizes_from(size))
        return
    if pattern is None:
        _refuse(told, "attention patterns", "say which: `--pattern 'window(7)'`")
        if file is None:
            raise fail("A803", "there is nothing to draw", help="name a FILE, or a pattern: `--pattern 'window(7)'`")
        network = open_network(file, net, set_, root)
        _draw_network(network, output, depth=depth, sizes=sizes_from(size), **{k: v for k, v in {
            "expand": expand, "collapse": collapse, "inset": inset, "direction": direction, "theme": theme,
            "legend": legend, "width": width,
        }.items() if v is not None})
        return
    if file is not None:
        raise fail("A803", f"`--pattern` draws no network, and `{file}` is given",
                   help=f"`--from {file}` takes patterns from it")
    networks = {
        "--depth": depth, "--set": set_, "--expand": expand, "--collapse": collapse, "--inset": inset, "--size": size,
        "--direction": direction, "--theme": theme, "--legend": legend, "--width": width,
    }
    _refuse(networks, "networks", "leave it out")
    if grid is None:
        raise fail("A803", "`--pattern` needs to know the positions", help="`--grid 14x14`, or `--grid 64`")
    _draw_pattern(pattern, _space(grid, prefix), query, heads, source, root, output)


def _draw_network(network: Network, output: str, **options: Any) -> None:
    from ogive.pictures import draw

    with progress(f"drawing {network.name}"), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        place = draw(network, output, **options)
    for warning in said:
        tell(f"warning: {warning.message}")
    tell(f"wrote {place}: {network.name}")


def _draw_pattern(
    text: str, space: Space, query: str | None, heads: int | None, source: str | None, root: str | None, output: str
) -> None:
    from ogive.compiler.picture import draw_pattern
    from ogive.compiler.picture.pattern import query_at
    from ogive.dsl.pattern_text import pattern_of
    from ogive.sources import check_root, open_source

    unit = open_source(source, check_root(root)) if source is not None else None
    over = pattern_of(text, unit)
    at = None if query is None else query_at(space, _numbers(query, ",", f"--query {query}", "5,7"))
    with progress(f"drawing {over}"):
        place = draw_pattern(over, space, output, query=at, heads=heads)
    tell(f"wrote {place}: {over}")


def _refuse(told: Mapping[str, object], what: str, help: str) -> None:
    """Refuse options that say nothing here.

    Raises:
        ArchError: A803.
    """
    for name, value in told.items():
        if value is not None:
            raise fail("A803", f"`{name}` is for drawings of {what}", help=help)


def _space(grid: str, prefix: int) -> Space:
    from ogive.dsl.patterns.space import AXES, Space

    sizes = _numbers(grid, "x", f"--grid {grid}", "14x14")
    if len(sizes) not in AXES or min(sizes) < 1 or max(sizes) > LARGEST_AXIS:
        raise fail("A803", f"`--grid {grid}` is no grid", help="one to three sizes from 1: 64, 14x14, 4x7x7")
    return Space.of(*sizes, prefix=prefix)


def _numbers(text: str, between: str, option: str, shown: str) -> tuple[int, ...]:
    """Whole numbers between signs.

    Raises:
        ArchError: A803 they are none.
    """
    words = [word.strip() for word in text.split(between)]
    if not all(word.isascii() and word.isdecimal() and len(word) < 10 for word in words):
        raise fail("A803", f"`{option}` does not hold whole numbers", help=f"as in `{option.split()[0]} {shown}`")
    return tuple(map(int, words))
