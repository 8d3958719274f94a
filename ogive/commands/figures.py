"""`ogive summary` and `ogive keys`: what a network is made of, and what its state_dict holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.commands.failure import FINDINGS, say
from ogive.commands.options import AsJson, File, Net, Root, Set, SizeOf, open_network, sizes_from
from ogive.commands.output import as_json, human, result, table

if TYPE_CHECKING:
    from ogive.compiler.cost import Row
    from ogive.dsl.weight_maps import WeightMap

__all__ = ["keys", "summary"]


def summary(
    file: File,
    net: Net = None,
    depth: Annotated[int, typer.Option("--depth", min=0, max=99, help="How many levels of parts to show.")] = 2,
    size: SizeOf = None,
    set_: Set = None,
    root: Root = None,
    json: AsJson = False,
) -> None:
    """Show a network part by part: shapes, parameters, cost.

    Equal iterations of a repeat are one line, `x12`: its figures, and those below it, are of one iteration, the share
    is of all of them.
    """
    from ogive.compiler.cost import figures, tree

    network = open_network(file, net, set_, root)
    sizes = sizes_from(size)
    totals, whole = figures(network.graph, sizes), tree(network.graph, sizes)
    if json:
        as_json({**totals, "rows": [row.as_json() for row in whole.children]})
        return
    shown = list(_walk(whole, depth))
    rows = [_line(*at, totals) for at in shown]
    table(("", "op", "output", "params", "MACs", "share"), rows, right=(3, 4, 5), give=1)
    at = ", ".join(f"{name}={value}" for name, value in totals["sizes"].items())
    result("")
    if any(row.times > 1 for row, _, _ in shown):
        result("A line with an x and those below it: figures of one iteration, share of all.")
    result(f"{totals['name']}: {totals['params']:,} parameters, {human(totals['macs'], 4)} multiply-adds"
           f"{f' at {at}' if at else ''}, {totals['nodes']} nodes")


def _walk(row: Row, depth: int, level: int = 0, runs: int = 1) -> Iterator[tuple[Row, int, int]]:
    """The rows down to a depth, each with its level and how often it runs."""
    runs *= row.times
    yield row, level, runs
    if level < depth:
        for child in row.children:
            yield from _walk(child, depth, level + 1, runs)


def _line(row: Row, level: int, runs: int, totals: dict[str, Any]) -> list[str]:
    name = "  " * level + row.name + (f" x{row.times}" if row.times > 1 else "")
    share = f"{100 * row.macs * runs / totals['macs']:.1f} %" if row.macs and totals["macs"] else ""
    text = row.text if row.text != row.name else ""
    text += "" if row.density is None else f"  {row.density:.1%} of pairs"
    return [name, text, row.shape, f"{row.params:,}" if row.params else "", human(row.macs) if row.macs else "", share]


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
