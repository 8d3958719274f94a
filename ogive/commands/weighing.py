"""`ogive weights`: another program's checkpoint as weights of a network, and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.commands.failure import tell
from ogive.commands.options import AsJson, File, Net, Root, Set, open_network
from ogive.commands.output import as_json, progress, result, table
from ogive.dsl.diagnostics import fail

if TYPE_CHECKING:
    from ogive.compiler.export.conversion import Conversion

__all__ = ["weights"]


def weights(
    file: File,
    net: Net = None,
    source: Annotated[
        str, typer.Option("--from", metavar="CHECKPOINT", help="The .safetensors file to read.", show_default=False)
    ] = "",
    map_: Annotated[
        str | None, typer.Option("--map", metavar="NAME", help="The map of weights whose keys the file has.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="NAME", help="The map whose keys are written; else the network's.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="OUT", help="The .safetensors file; else only a report.")
    ] = None,
    resize: Annotated[
        bool, typer.Option("--resize", help="Interpolate positions and relative tables of another size.")
    ] = False,
    grid: Annotated[
        str | None, typer.Option("--grid", metavar="HxW", help="The file's grid of tokens, where it is no square.")
    ] = None,
    channels: Annotated[
        bool, typer.Option("--channels", help="Fit the first convolution to another number of channels.")
    ] = False,
    fresh: Annotated[
        list[str] | None, typer.Option("--fresh", metavar="KEY", help="Draw this weight, or all below it, anew.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", metavar="KEY", help="Leave out this tensor of the file, or all below.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="What fresh weights are drawn from.")] = 0,
    every: Annotated[bool, typer.Option("--all", help="Show the weights that were taken as they are, too.")] = False,
    set_: Set = None,
    root: Root = None,
    json: AsJson = False,
) -> None:
    """Convert a checkpoint into weights of a network, and say what became of each.

    Without an option nothing is changed but names: what is missing, left over, of another shape or not finite is an
    error.
    """
    if not source:
        raise fail("A803", "`--from` is missing", help="`--from other.safetensors` is the file to read")
    if output is not None and not output.endswith(".safetensors"):
        stem = output.rpartition(".")[0] or output
        raise fail("A804", f"`{output}` is no name for weights", help=f"`{stem}.safetensors`")
    sides = _sides(grid)
    network = open_network(file, net, set_, root)
    plans = [None if name is None else network.weight_map(name) for name in (map_, to)]
    with progress(f"converting {source}"):
        from ogive.compiler.export.conversion import Wishes, convert
        from ogive.compiler.export.weight_maps import depart
        from ogive.compiler.export.weights import read, write

        wishes = Wishes(resize, channels, sides, fresh or (), drop or (), seed)
        made = convert(network, read(source), plans[0], wishes, source)
        if output is not None:
            write(made.state if plans[1] is None else depart(plans[1], made.state), output)
    if json:
        as_json({"network": network.name, "from": source, "output": output,
                 "weights": [line.as_json() for line in made.lines]})
        return
    _report(made, every)
    if output is not None:
        tell(f"wrote {output}")


def _sides(grid: str | None) -> tuple[int, int] | None:
    if grid is None:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", grid)
    if found is None:
        raise fail("A803", f"`--grid {grid}` is no grid", help="as in `--grid 14x10`, rows and columns")
    return int(found[1]), int(found[2])


def _report(made: Conversion, every: bool) -> None:
    shown: list[list[str]] = []
    for line in made.lines:
        if every or line.status != "loaded" or line.how:
            there = ", ".join(line.there) if line.there != (line.key,) else ""
            shown.append([line.status, line.key, "x".join(map(str, line.shape)), there, line.how])
    if shown:
        table(("", "weight", "shape", "from", "how"), shown)
    counts: list[Any] = [f"{made.count(status)} {status}" for status in ("loaded", "reshaped", "fresh", "unused")]
    result(", ".join(counts))
