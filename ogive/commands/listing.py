"""`ogive list`: what the library holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.commands.options import AsJson
from ogive.commands.output import as_json, human, progress, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ogive.dsl.load import Unit

__all__ = ["list_library"]


def list_library(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Only these files, a line for every preset.")
    ] = None,
    json: AsJson = False,
) -> None:
    """List the networks of the library.

    Multiply-adds are of one image, of 224 x 224 where the network takes any size.
    """
    from ogive.dsl.load import library_names
    from ogive.sources import open_source

    files = names or list(library_names())
    found: list[dict[str, Any]] = []
    with progress("reading the library", after=0.5) as step:
        for i, name in enumerate(files):
            step(f"reading {name}", i, len(files))
            found += _networks(name, open_source(name))
    if json:
        as_json(found)
    elif names:
        rows = [[n["file"], v["name"], _figure(v["params"]), _figure(v["macs"])] for n in found for v in n["variants"]]
        table(("file", "network", "params", "MACs"), rows, right=(2, 3))
    else:
        table(("file", "network", "presets", "params", "MACs", "about"), [_row(n) for n in found], right=(3, 4), wrap=5)


def _networks(file: str, unit: Unit) -> Iterable[dict[str, Any]]:
    from ogive.dsl.build import names_of

    names = names_of(unit)
    for definition in unit.networks:
        own = [name for name in names if name.partition(".")[0] == definition.name]
        variants = [_variant(unit, name) for name in own]
        presets = [name.partition(".")[2] for name in own if "." in name]
        about = definition.node.doc.strip().split("\n")[0]
        yield {"file": file, "network": definition.name, "presets": presets, "about": about, "variants": variants}


def _variant(unit: Unit, name: str) -> dict[str, Any]:
    from ogive.compiler.cost import macs
    from ogive.dsl.build import build
    from ogive.dsl.diagnostics import ArchError

    graph = build(unit, name).graph
    try:
        cost: int | None = macs(graph)
    except ArchError:  # a size without a default, or 224 does not fit
        cost = None
    return {"name": name, "params": graph.parameter_count, "macs": cost}


def _row(network: dict[str, Any]) -> list[str]:
    spans = []
    for what in ("params", "macs"):
        values = [v[what] for v in network["variants"] if v[what] is not None]
        low, high = (_figure(min(values)), _figure(max(values))) if values else ("-", "-")
        if low == high:
            spans.append(low)
        else:
            spans.append(f"{low.removesuffix(high[-2:])} - {high}")
    return [network["file"], network["network"], " ".join(network["presets"]), *spans, network["about"]]


def _figure(value: int | None) -> str:
    return "-" if value is None else human(value)
