"""`ogive sweep`: what variants of a network cost, as a table and as a plot."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ogive.commands.costing import PrecisionWord, TargetOf, machine_from
from ogive.commands.failure import tell
from ogive.commands.options import AsJson, File, Net, Root, SizeOf, settings_of, sizes_from
from ogive.commands.output import as_json, human, memory_of, progress, result, table, time_of, write_whole
from ogive.dsl.diagnostics import ArchError, fail

if TYPE_CHECKING:
    from ogive.compiler.cost import Variant

__all__ = ["sweep", "values_of"]

MOST: Final = 500
"""Variants of one sweep."""

RANGE: Final = re.compile(r"(-?[\d.]+):(-?[\d.]+)(?::([\d.]+))?")


def sweep(
    file: File,
    net: Net = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUES", help="width=192:768:64 (from, to, step); over=dense,window(7)."),
    ] = None,
    target: TargetOf = None,
    precision: PrecisionWord = "float32",
    size: SizeOf = None,
    root: Root = None,
    plot: Annotated[str | None, typer.Option("--plot", "-o", metavar="FILE.svg", help="Draw it, as SVG.")] = None,
    csv_: Annotated[bool, typer.Option("--csv", help="The table as CSV.")] = False,
    json: AsJson = False,
) -> None:
    """Compare variants of a network: parameters, multiply-adds, memory, and the time on a target.

    Each `--set` may have several values: every combination is one variant. One that cannot be built is listed with the
    reason. Memory is that of `--precision`; times are the least that the target can take.
    """
    from ogive.compiler.cost import width_of
    from ogive.compiler.cost.plot import svg

    if csv_ and json:
        raise fail("A803", "`--csv` and `--json` are two forms", help="one of them")
    if plot is not None and not plot.endswith(".svg"):
        raise fail("A803", f"a plot is an SVG file, and `{plot}` is none", help="as in `--plot sweep.svg`")
    axes = {name: values_of(name, text) for name, text in settings_of(set_).items()}
    many = prod(map(len, axes.values()))
    if many > MOST:
        raise fail("A803", f"a sweep has at most {MOST} variants; here are {many:,}", help="fewer values")
    machine, width, sizes = machine_from(target, precision), width_of(precision), sizes_from(size)
    rows = list(_variants(file, net, axes, sizes, root, machine, width))
    good = [row for row in rows if row.error is None]
    if plot is not None and good:
        with write_whole(plot) as path:
            path.write_text(svg(good, {name: values for name, values in axes.items() if len(values) > 1}), "utf-8")
    if json:
        as_json([row.as_json() for row in rows])
    elif csv_:
        _csv(rows)
    else:
        _show(rows, axes, target)
    if plot is not None and good:
        tell(f"wrote {plot}")


def values_of(name: str, text: str) -> tuple[str, ...]:
    """The values of one `--set`: `192:768:64` counts, the end included; commas outside brackets part.

    Raises:
        ArchError: A803, a range that never ends, or an empty value.
    """
    found = RANGE.fullmatch(text)
    if found is None:
        parts = _parted(text)
        if not all(parts):
            raise fail("A803", f"`--set {name}={text}` has an empty value", help="one value between two commas")
        return tuple(dict.fromkeys(parts))
    try:
        first, last, step = (Decimal(x) if x else Decimal(1) for x in found.groups())
    except InvalidOperation:
        raise fail("A803", f"`--set {name}={text}` is no range", help=f"as in `--set {name}=192:768:64`") from None
    if step == 0 or last < first:
        raise fail("A803", f"`--set {name}={text}` counts nowhere", help="from the smaller to the larger, by a step")
    count = int((last - first) / step) + 1
    if count > MOST:
        raise fail("A803", f"`--set {name}={text}` has {count:,} values; {MOST} at most", help="a wider step")
    return tuple(str(first + i * step) for i in range(count))


def _parted(text: str) -> list[str]:
    """Cut at commas that stand in no bracket and in no string."""
    parts, depth, quoted, start = [], 0, False, 0
    for i, sign in enumerate(text):
        quoted ^= sign == '"'
        depth += 0 if quoted else (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0 and not quoted:
            parts.append(text[start:i].strip())
            start = i + 1
    return [*parts, text[start:].strip()]


def _variants(
    file: str, net: str | None, axes: dict[str, tuple[str, ...]], sizes: dict[str, int], root: str | None, machine: Any,
    width: int,
) -> Iterator[Variant]:
    """Every combination, built and counted; the file is read once."""
    from ogive.compiler.cost import Variant, trained, variant
    from ogive.network import network_of
    from ogive.sources import check_root, open_source

    unit = open_source(file, check_root(root))
    those = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    first: ArchError | None = None
    found: list[Variant] = []
    with progress("building", after=0.5) as step:
        for i, settings in enumerate(those):
            step(", ".join(f"{k}={v}" for k, v in settings.items()) or "building", i, len(those))
            try:
                network = network_of(unit, net, settings)
                graph = network.graph
                trains = trained(graph, network.cases)
                found.append(variant(graph, settings, sizes, width, machine, trains))
            except ArchError as error:
                first = first or error
                diagnostic = error.diagnostics[0]
                found.append(Variant(settings, error=f"{diagnostic.code}: {diagnostic.title}"))
    if first is not None and all(row.error is not None for row in found):
        raise first
    yield from found


def _show(rows: list[Variant], axes: dict[str, tuple[str, ...]], target: str | None) -> None:
    heads = [*axes, "params", "MACs", "dense", "forward", "training", *([f"time, {target}"] if target else [])]
    dense = any(row.macs != row.macs_dense for row in rows)
    failed = any(row.error for row in rows)
    if not dense:
        heads.remove("dense")
    cells = []
    for row in rows:
        line = [row.settings[name] for name in axes]
        if row.error is not None:
            line += [""] * (len(heads) - len(axes)) + [row.error]
        else:
            line += [f"{row.params:,}", human(row.macs), *([human(row.macs_dense)] if dense else []),
                     memory_of(row.forward), memory_of(row.training),
                     *([time_of(row.seconds)] if row.seconds is not None else []), *([""] if failed else [])]
        cells.append(line)
    table([*heads, *(["cannot be built"] if failed else [])], cells, right=range(len(axes), len(heads)))
    result("")
    if dense:
        result("dense: the multiply-adds if all attention were dense.")


def _csv(rows: list[Variant]) -> None:
    out = csv.writer(sys.stdout, lineterminator="\n")
    for i, row in enumerate(rows):
        found = row.as_json()
        settings = found.pop("settings")
        if i == 0:
            out.writerow([*settings, *found])
        out.writerow([*settings.values(), *found.values()])
