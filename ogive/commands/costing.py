"""`ogive summary`: what a network is made of, and what each part costs."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.commands.options import AsJson, File, Net, Root, Set, SizeOf, open_network, sizes_from
from ogive.commands.output import as_json, human, memory_of, result, table, time_of
from ogive.dsl.diagnostics import fail

if TYPE_CHECKING:
    from ogive.compiler.cost import Machine, Memory, Row

__all__ = ["By", "Figure", "PrecisionWord", "TargetOf", "machine_from", "summary"]


class Figure(StrEnum):
    """What rows may be sorted by, the largest first."""

    PARAMS = "params"
    MACS = "macs"
    MEMORY = "memory"
    TIME = "time"


class By(StrEnum):
    """What rows may be summed over."""

    OP = "op"
    BLOCK = "block"


TargetOf = Annotated[
    str | None, typer.Option("--target", metavar="NAME", help="Predict times: cpu, h100, a100, rtx4090 and others.")
]
PrecisionWord = Annotated[
    str, typer.Option("--precision", metavar="WORD", help="float32, tf32, bf16 or fp16: of times and of memory.")
]


def summary(
    file: File,
    net: Net = None,
    depth: Annotated[int, typer.Option("--depth", min=0, max=99, help="How many levels of parts to show.")] = 2,
    sort: Annotated[Figure | None, typer.Option("--sort", help="The largest first, within each part.")] = None,
    by: Annotated[By | None, typer.Option("--by", help="One row for each op, or for each block definition.")] = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="Memory, receptive field, stride and FLOP per byte as well.")
    ] = False,
    formula: Annotated[bool, typer.Option("--formula", help="Figures as formulas in the sizes of the input.")] = False,
    target: TargetOf = None,
    precision: PrecisionWord = "float32",
    size: SizeOf = None,
    set_: Set = None,
    root: Root = None,
    csv_: Annotated[bool, typer.Option("--csv", help="Every row with every figure, as CSV.")] = False,
    json: AsJson = False,
) -> None:
    """Show a network part by part: shapes, parameters, cost.

    Equal iterations of a repeat are one line, `x12`: its figures, and those below it, are of one iteration, the share
    is of all of them. Memory is that of float32, unless `--precision` says otherwise. Times are the least that the
    target can take, kernel by kernel.
    """
    from ogive.compiler.cost import figures, memory, sight, steps, trained, tree, width_of
    from ogive.dsl.dims import evaluate

    if csv_ and json:
        raise fail("A803", "`--csv` and `--json` are two forms", help="one of them")
    network = open_network(file, net, set_, root)
    sizes, width, machine = sizes_from(size), width_of(precision), machine_from(target, precision)
    if sort is Figure.TIME and machine is None:
        raise fail("A803", "`--sort time` needs a target", help="as in `--target h100`")
    graph = network.graph
    totals = figures(graph, sizes)
    seen, turns = sight(graph, totals["sizes"]), evaluate(steps(graph, totals["sizes"]), totals["sizes"])
    if formula:
        _formulas(network, sizes, width, json)
        return
    whole, room = tree(graph, sizes, width=width, machine=machine), memory(
        graph, sizes, width, trained(graph, network.cases)
    )
    if sort is not None:
        whole = _sorted(whole, sort)
    if json:
        as_json({**totals, "macs_dense": whole.macs_dense, "memory": room.as_json(), "steps": turns,
                 "sight": None if seen is None else seen.as_json(),
                 **({} if whole.seconds is None else {"seconds": whole.seconds}),
                 "rows": [row.as_json() for row in whole.children]})
    elif csv_:
        _csv(whole)
    elif by is not None:
        _grouped(whole, by, sort or Figure.MACS, totals)
        _foot(totals, whole, room, turns, target, precision)
    else:
        _tree(whole, depth, wide, totals)
        if wide and seen is not None:
            layers = "1 layer that looks" if seen.layers == 1 else f"{seen.layers} layers that look"
            result(f"One position sees the whole input from `{seen.node}` on, through {layers} at others.")
        _foot(totals, whole, room, turns, target, precision)


def machine_from(target: str | None, precision: str) -> Machine | None:
    """The machine of `--target`.

    Raises:
        ArchError: A708, A742, an unknown target or precision.
    """
    from ogive.compiler.cost import machine_of

    return None if target is None else machine_of(target, precision)


# ------------------------------------------------------------------------------------------------------ the tree


def _tree(whole: Row, depth: int, wide: bool, totals: dict[str, Any]) -> None:
    shown = list(_walk(whole, depth))
    timed = whole.seconds is not None
    heads = ["", "op", "output", "params", "MACs", "share"]
    heads += ["time"] if timed else []
    heads += ["live", "kept", "field", "stride", "FLOP/B"] if wide else []
    table(heads, [_line(*at, totals, timed, wide) for at in shown], right=range(3, len(heads)), give=1)
    result("")
    if any(row.times > 1 for row, _, _ in shown):
        result("A line with an x and those below it: figures of one iteration, share of all.")
    if wide:
        result("live: bytes there in a forward; kept: bytes that training keeps; field: positions of the input seen.")


def _walk(row: Row, depth: int, level: int = 0, runs: int = 1) -> Iterator[tuple[Row, int, int]]:
    """The rows down to a depth, each with its level and how often it runs."""
    runs *= row.times
    yield row, level, runs
    if level < depth:
        for child in row.children:
            yield from _walk(child, depth, level + 1, runs)


def _line(row: Row, level: int, runs: int, totals: dict[str, Any], timed: bool, wide: bool) -> list[str]:
    name = "  " * level + row.name + (f" x{row.times}" if row.times > 1 else "")
    text = row.text if row.text != row.name else ""
    text += "" if row.density is None else f"  {row.density:.1%} of pairs"
    cells = [name, text, row.shape, f"{row.params:,}" if row.params else "", human(row.macs) if row.macs else "",
             _share(row.macs * runs, totals["macs"])]
    if timed:
        cells.append(time_of(row.seconds) if row.seconds else "")
    if wide:
        cells += [memory_of(row.live) if row.live else "", memory_of(row.kept) if row.kept else "", row.reach,
                  row.stride, f"{row.intensity:.1f}" if row.macs else ""]
    return cells


def _share(value: int, of: int) -> str:
    return f"{100 * value / of:.1f} %" if value and of else ""


def _sorted(row: Row, by: Figure) -> Row:
    """The same, in each part the largest first."""
    from dataclasses import replace

    children = sorted(row.children, key=lambda child: -_value(child, by))
    return replace(row, children=tuple(_sorted(child, by) for child in children))


def _value(row: Row, by: Figure) -> float:
    match by:
        case Figure.PARAMS:
            return row.params * row.times
        case Figure.MACS:
            return row.macs * row.times
        case Figure.MEMORY:
            return row.live
        case Figure.TIME:
            return (row.seconds or 0.0) * row.times


def _foot(totals: dict[str, Any], whole: Row, room: Memory, turns: int, target: str | None, precision: str) -> None:
    at = ", ".join(f"{name}={value}" for name, value in totals["sizes"].items())
    dense = f" ({human(whole.macs_dense, 4)} if all attention were dense)" if whole.macs_dense != whole.macs else ""
    result(f"memory: {memory_of(room.inference)} for a forward, {memory_of(room.training)} to train, in {precision};"
           f" {memory_of(room.weights)} are weights; the most lies there at `{room.at}`")
    if turns:
        result(f"steps: {turns:,} in turn, each waits for the one before")
    if whole.seconds is not None:
        result(f"time: at least {time_of(whole.seconds)} on {target} in {precision}")
    result(f"{totals['name']}: {totals['params']:,} parameters, {human(totals['macs'], 4)} multiply-adds"
           f"{dense}{f' at {at}' if at else ''}, {totals['nodes']} nodes")


# -------------------------------------------------------------------------------------------- other forms of it


def _grouped(whole: Row, by: By, sort: Figure, totals: dict[str, Any]) -> None:
    """A row for each op; or for each block, with all that is in it: blocks in blocks count in both."""
    from ogive.compiler.cost import grouped

    rows = sorted(grouped(whole, by.value), key=lambda row: -_value(row, sort))
    timed = whole.seconds is not None
    heads = [by.value, "runs", "params", "MACs", "share", *(["time"] if timed else []), "kept"]
    cells = [
        [row.name, str(row.nodes), f"{row.params:,}" if row.params else "", human(row.macs) if row.macs else "",
         _share(row.macs, totals["macs"]), *([time_of(row.seconds) if row.seconds else ""] if timed else []),
         memory_of(row.kept) if row.kept else ""]
        for row in rows
    ]
    table(heads, cells, right=range(1, len(heads)))
    result("")
    if by is By.BLOCK:
        result("A block's figures hold those of the blocks in it.")


def _csv(whole: Row) -> None:
    """Every row of the tree, the deepest too."""
    out = csv.writer(sys.stdout, lineterminator="\n")
    heads: list[str] | None = None
    for row, level, runs in _walk(whole, 99):
        found = {k: v for k, v in row.as_json().items() if k not in ("rows", "density")}
        found = {"level": level, "runs": runs, **found, "density": 1 if row.density is None else row.density}
        if heads is None:
            heads = list(found)
            out.writerow(heads)
        out.writerow([found[head] for head in heads])


def _formulas(network: Any, sizes: dict[str, int], width: int, json: bool) -> None:
    from ogive.compiler.cost import formulas, sizes_of, steps, weight_bytes
    from ogive.dsl.dims_text import show

    graph = network.graph
    values, made = sizes_of(graph, sizes), formulas(graph, width)
    turns = show(steps(graph, values))
    if json:
        as_json({"name": graph.name, **made.as_json(values), "steps": turns})
        return
    shown = made.as_json(values)
    none = f"no formula: `{made.without[0]}` is counted pair by pair" if made.without else ""
    result(f"{graph.name}, for any size of its input")
    rows = [
        ("parameters", shown["params"]), ("multiply-adds", shown["macs"] or none),
        ("bytes of weights", str(weight_bytes(graph, width))),
        ("bytes on the way, forward", shown["inference"]), ("bytes on the way, training", shown["training"]),
        *([] if turns == "0" else [("steps in turn", turns)]),
    ]
    for name, text in rows:
        result(f"  {name:<27}{text}")
