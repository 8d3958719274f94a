"""`ogive list`: what the library holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ogive.commands.failure import tell
from ogive.commands.options import AsJson
from ogive.commands.output import as_json, human, progress, table, write_whole
from ogive.dsl.diagnostics import fail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ogive.catalogue import Entry, Variant

__all__ = ["cells", "list_library", "spans"]


def list_library(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Only these files, a line for every preset.")
    ] = None,
    chart: Annotated[
        str | None, typer.Option("--chart", metavar="FILE.svg", help="Draw them: multiply-adds, parameters, years.")
    ] = None,
    json: AsJson = False,
) -> None:
    """List the networks of the library.

    Multiply-adds are at the sizes that the network's own figures name, else of one image, of 224 x 224 where it takes
    any size.
    """
    from ogive.catalogue import catalogue
    from ogive.chart import chart as drawn
    from ogive.dsl.load import library_names
    from ogive.sources import open_source

    if chart is not None and not chart.endswith(".svg"):
        raise fail("A803", f"a chart is an SVG file, and `{chart}` is none", help="as in `--chart library.svg`")
    files = names or list(library_names())
    found: list[Entry] = []
    with progress("reading the library", after=0.5) as step:
        for i, name in enumerate(files):
            step(f"reading {name}", i, len(files))
            found += catalogue(name, open_source(name))
    if json:
        as_json([entry.as_json() for entry in found])
    elif names:
        rows = [[e.file, v.name, _figure(v.params), _figure(v.macs), v.at, e.paper] for e in found for v in e.variants]
        table(("file", "network", "params", "MACs", "at", "paper"), rows, right=(2, 3), give=5)
    else:
        heads = ("file", "network", "presets", "params", "MACs", "paper")
        table(heads, [cells(entry) for entry in found], right=(3, 4), wrap=5)
    if chart is not None:
        with write_whole(chart) as path:
            path.write_text(drawn(found), encoding="utf-8")
        tell(f"wrote {chart}")


def cells(entry: Entry) -> list[str]:
    """The cells of a network's line: file, name, presets, the spans of parameters and multiply-adds, paper."""
    return [entry.file, entry.network, " ".join(entry.presets), *spans(entry.variants), entry.paper]


def spans(variants: Sequence[Variant]) -> list[str]:
    """From the least to the most of parameters, and of multiply-adds: `5.72 - 632 M`; `-` where there are none."""
    found = []
    for values in ([v.params for v in variants], [v.macs for v in variants if v.macs is not None]):
        low, high = (_figure(min(values)), _figure(max(values))) if values else ("-", "-")
        found.append(low if low == high else f"{low.removesuffix(high[-2:])} - {high}")
    return found


def _figure(value: int | None) -> str:
    return "-" if value is None else human(value)
