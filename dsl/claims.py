"""`expect` tables: the paper's figures, held against what the network comes to, to the digits that are printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ogive.dsl import syntax as s
from ogive.dsl.broken import Claim, actual, cause
from ogive.dsl.build import Built, build
from ogive.dsl.diagnostics import ArchError, fail, offer
from ogive.dsl.dims import Poly, symbols
from ogive.dsl.graph import Graph
from ogive.dsl.load import Definition
from ogive.dsl.repairs import Repair
from ogive.dsl.source import Span
from ogive.dsl.types import SPATIAL
from ogive.dsl.work import Mistakes

__all__ = ["FIGURES", "caused", "check_claims", "claims_of", "pinned"]

FIGURES = ("params", "macs", "digest")


def claims_of(definition: Definition) -> Iterator[s.Expect]:
    """The `expect` tables of a network."""
    node = definition.node
    if isinstance(node, s.Derived):
        yield from (x for x in node.expects if isinstance(x, s.Expect))
    elif isinstance(node, s.Network):
        yield from (x for x in node.body if isinstance(x, s.Expect))


def check_claims(definition: Definition, built: dict[str, Built], mistakes: Mistakes) -> list[Claim]:
    """Every claim of a network, its presets built on the way (or taken from `built`). A row that makes no sense goes to
    `mistakes`; whether the figures hold, the claims say themselves."""
    found: list[Claim] = []
    for table in claims_of(definition):
        for row in table.rows:
            try:
                found += _row(definition, table, row, built)
            except ArchError as error:
                mistakes.add(*error.diagnostics)
    return found


def caused(definition: Definition, built: Mapping[str, Built], near: Sequence[Span]) -> list[Repair]:
    """Where a change would mend a network that does not build, by the digests of its table; `near` is where its
    mistakes show."""
    rows: list[tuple[str, list[Claim]]] = []
    for table in claims_of(definition):
        for row in table.rows:
            name = definition.name if row.name is None else f"{definition.name}.{row.name}"
            printed = [
                Claim(name, column.name, _text(cell), "", cell.span, {}, None)
                for column, cell in zip(table.columns, row.cells, strict=False)
                if column.name == "digest" and isinstance(cell, s.Constant)
            ]
            if printed:
                rows.append((name, printed))
    rows.sort(key=lambda row: row[0] in built)
    return cause(rows, built, definition.unit, near) if rows and rows[0][0] not in built else []


def _row(definition: Definition, table: s.Expect, row: s.Row, built: dict[str, Built]) -> list[Claim]:
    if len(row.cells) != len(table.columns):
        cells, columns = len(row.cells), len(table.columns)
        title = f"this row has {cells} cell{'s' if cells != 1 else ''}, and the table {columns} columns"
        raise fail("A306", title, row.span, help="`-` where there is no figure" if cells < columns else None)
    name = definition.name if row.name is None else f"{definition.name}.{row.name}"
    network = built.get(name) or build(definition.unit, name)
    graph = network.graph
    sizes: dict[str, int] = {}
    claims: list[tuple[str, s.Constant]] = []
    for column, cell in zip(table.columns, row.cells, strict=True):
        if isinstance(cell, s.DefaultCell):
            continue
        if column.name in FIGURES:
            claims.append((column.name, _figure_cell(column.name, cell)))
        else:
            sizes.update(pinned(column, cell, graph))
    return [
        Claim(name, figure, _text(cell), _figure(graph, figure, sizes, cell), cell.span, sizes, graph)
        for figure, cell in claims
    ]


def _text(cell: s.Constant) -> str:
    return cell.value if isinstance(cell.value, str) else cell.literal


def _figure_cell(figure: str, cell: s.Expr) -> s.Constant:
    if figure == "digest":
        if isinstance(cell, s.Constant) and isinstance(cell.value, str):
            return cell
        raise fail("A402", "a digest is a string: `\"3fa9-11c2-9e0b77d1\"`", cell.span,
                   help="with any string there, `ogive check` says what to write")
    if isinstance(cell, s.Constant) and cell.literal and not isinstance(cell.value, str):
        return cell
    raise fail("A402", "a figure is a number: `86_567_656`, `17.6G`", cell.span)


def _figure(graph: Graph, figure: str, sizes: Mapping[str, int], cell: s.Constant) -> int | str:
    try:
        return actual(graph, figure, sizes)
    except KeyError as missing:
        name = missing.args[0]
        raise fail("A403", f"the MACs depend on `{name}`, which is free", cell.span,
                   help=f"add a column `{name}` to the table, or pin it in `input`") from None
    except ZeroDivisionError:
        raise fail("A403", "the MACs have no value at these sizes: one of them divides by 0", cell.span) from None


def pinned(column: s.Name, cell: s.Expr, graph: Graph) -> dict[str, int]:
    """A column that names an input (its rows and columns: `299`, `800x1066`) or a free letter."""
    if column.name not in graph.free and column.name not in graph.inputs:
        known = [*FIGURES, *graph.inputs, *graph.free]
        raise fail("A401", f"`expect` knows no figure `{column.name}`", column.span,
                   help=offer(column.name, known, "there are"))
    values: tuple[int, ...]
    if isinstance(cell, s.SizeExpr):
        values = cell.values
    elif isinstance(cell, s.Constant) and type(cell.value) is int:
        values = (cell.value,)
    else:
        raise fail("A402", "a size is a number or `800x1066`", cell.span)
    if column.name in graph.free:
        return {column.name: values[0]}
    whole = graph.nodes[column.name].outputs[0].axes
    axes = [a for a in whole if a.role in SPATIAL]
    if len(values) == 1:
        values *= len(axes)
    if len(values) == len(whole) != len(axes):  # `1x3x256x256`: every axis
        axes = list(whole)
    if len(values) != len(axes) and not axes:
        sizes = "x".join(str(a.size) if isinstance(a.size, int) else "1" for a in whole)
        here = f"are {len(values)} sizes" if len(values) > 1 else "is one size"
        raise fail("A402", f"`{column.name}` has {len(whole)} axes, and here {here}", cell.span,
                   help=f"one size for each axis, as in `{sizes}`")
    if len(values) != len(axes):
        raise fail("A402", f"`{column.name}` has {len(axes)} axes to pin, or {len(whole)} with all of them; here are "
                   f"{len(values)} sizes", cell.span, help="`224`, `800x1066`, `1x3x224x224`")
    found: dict[str, int] = {}
    for axis, value in zip(axes, values, strict=True):
        if isinstance(axis.size, Poly):
            found.update(dict.fromkeys(symbols(axis.size), value))
        elif axis.size != value:
            where = f"`{column.name}` has {axis.size} at its {axis.role.value} axis"
            raise fail("A402", f"{where}, and is pinned to {value}",
                       cell.span, help="leave the column away, or pin what is free")
    return found
