"""`ogive keys`: what a network's state_dict holds, and whether a checkpoint fits it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.commands.failure import FINDINGS, say
from ogive.commands.options import AsJson, File, Net, Root, Set, open_network
from ogive.commands.output import as_json, result, table

if TYPE_CHECKING:
    from ogive.dsl.weight_maps import WeightMap

__all__ = ["keys"]


def keys(
    file: File,
    net: Net = None,
    against: Annotated[
        str | None, typer.Option("--against", metavar="CHECKPOINT", help="A .safetensors file to compare with.")
    ] = None,
    map_: Annotated[
        str | None, typer.Option("--map", metavar="NAME", help="The keys that a map of weights gives them.")
    ] = None,
    set_: Set = None,
    root: Root = None,
    json: AsJson = False,
) -> int:
    """List the keys of the state_dict, or compare a checkpoint.

    Only the header of the checkpoint is read. Exits with 1 when it differs.
    """
    from ogive.checkpoint import Difference, read_header, renamed

    network = open_network(file, net, set_, root)
    names = None if map_ is None else network.weight_map(map_)
    if against is None:
        _list(network.graph.parameters, names, json)
        return 0
    header = read_header(against)
    difference = Difference(network, against, header if names is None else renamed(header, names), names)
    if json:
        as_json(difference.as_json())
    else:
        for line in difference.lines():
            result(line)
    if difference:
        say(difference.error())
    return FINDINGS if difference else 0


def _list(parameters: Any, names: WeightMap | None, json: bool) -> None:
    rows = [
        {"key": key, "shape": list(p.weight.shape), "buffer": p.weight.buffer, "tied": p.tied}
        for key, p in parameters.items()
    ]
    if names is not None:
        there = {key: move for move in names.moves for key in move.ours}
        rows = [{**row, "rule": there[row["key"]].word, "there": list(there[row["key"]].theirs)} for row in rows]
    if json:
        as_json(rows)
        return
    marks = [f"= {r['tied']}" if r["tied"] else "buffer" if r["buffer"] else "" for r in rows]
    if names is None:
        table(("key", "shape", ""), [[r["key"], str(r["shape"]), mark] for r, mark in zip(rows, marks, strict=True)])
        return
    lines = [[r["key"], str(r["shape"]), mark, r["rule"], ", ".join(r["there"])]
             for r, mark in zip(rows, marks, strict=True)]
    table(("key", "shape", "", "rule", names.name), lines)
