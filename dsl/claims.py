"""`expect` tables: the paper's figures, held against what the network comes to, to the digits that are printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ogive.dsl import syntax as s
from ogive.dsl.build import Built, build
from ogive.dsl.diagnostics import ArchError, fail, offer
from ogive.dsl.digest import PARTS, digest
from ogive.dsl.dims import Poly, symbols
from ogive.dsl.figures import bounds, like
from ogive.dsl.graph import Graph
from ogive.dsl.load import Definition
from ogive.dsl.source import Span
from ogive.dsl.types import SPATIAL
from ogive.dsl.work import Mistakes

__all__ = ["Claim", "check_claims", "claims_of"]

FIGURES = ("params", "macs", "digest")


@dataclass(frozen=True, slots=True)
class Claim:
    """One figure of a table: of which network, which figure, what is printed and what it comes to.

    `actual` is a number, or the letters of a digest.
    """

    network: str
    figure: str
    printed: str
    actual: int | str
    span: Span

    @property
    def holds(self) -> bool:
        """Whether the figure rounds to what is printed; a digest has every letter."""
        if isinstance(self.actual, str):
            return self.actual == self.printed
        low, high = bounds(self.printed)
        return low <= self.actual <= high


def claims_of(definition: Definition) -> Iterator[s.Expect]:
    """The `expect` tables of a network."""
    node = definition.node
    if isinstance(node, s.Derived):
        yield from node.expects
    elif isinstance(node, s.Network):
        yield from (x for x in node.body if isinstance(x, s.Expect))


def check_claims(definition: Definition, built: dict[str, Built], mistakes: Mistakes) -> list[Claim]:
    """Every claim of a network, its presets built on the way (or taken from `built`). What fails goes to `mistakes`."""
    found: list[Claim] = []
    for table in claims_of(definition):
        for row in table.rows:
            try:
                found += _row(definition, table, row, built)
            except ArchError as error:
                mistakes.add(*error.diagnostics)
    for claim in found:
        if not claim.holds:
            mistakes.add(*_broken(claim).diagnostics)
    return found


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
            sizes.update(_pinned(column, cell, graph))
    return [
        Claim(name, figure, cell.value if isinstance(cell.value, str) else cell.literal,
              _figure(graph, figure, sizes, cell), cell.span)
        for figure, cell in claims
    ]


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
    if figure == "digest":
        return digest(graph)
    if figure == "params":
        return graph.parameter_count
    try:
        return graph.macs(sizes)
    except KeyError as missing:
        name = missing.args[0]
        raise fail("A403", f"the MACs depend on `{name}`, which is free", cell.span,
                   help=f"add a column `{name}` to the table, or pin it in `input`") from None
    except ZeroDivisionError:
        raise fail("A403", "the MACs have no value at these sizes: one of them divides by 0", cell.span) from None


def _pinned(column: s.Name, cell: s.Expr, graph: Graph) -> dict[str, int]:
    """A column that names an input (its rows and columns: `299`, `800x1066`) or a free letter."""
    values: tuple[int, ...]
    if isinstance(cell, s.SizeExpr):
        values = cell.values
    elif isinstance(cell, s.Constant) and isinstance(cell.value, int):
        values = (cell.value,)
    else:
        raise fail("A402", "a size is a number or `800x1066`", cell.span)
    if column.name in graph.free:
        return {column.name: values[0]}
    if column.name not in graph.inputs:
        known = [*FIGURES, *graph.inputs, *graph.free]
        raise fail("A401", f"`expect` knows no figure `{column.name}`", column.span,
                   help=offer(column.name, known, "there are"))
    whole = graph.nodes[column.name].outputs[0].axes
    axes = [a for a in whole if a.role in SPATIAL]
    if len(values) == 1:
        values *= len(axes)
    if len(values) == len(whole) != len(axes):  # `1x3x256x256`: every axis
        axes = list(whole)
    if len(values) != len(axes):
        raise fail("A402", f"`{column.name}` has {len(axes)} axes to pin, or {len(whole)} with all of them; here are "
                   f"{len(values)} sizes", cell.span, help="`224`, `800x1066`, `1x3x224x224`")
    found: dict[str, int] = {}
    for axis, value in zip(axes, values, strict=True):
        if isinstance(axis.size, Poly):
            found.update(dict.fromkeys(symbols(axis.size), value))
        elif axis.size != value:
            raise fail("A402", f"`{column.name}` has {axis.size} at its {axis.role.value} axis, and is pinned to {value}",
                       cell.span, help="leave the column away, or pin what is free")
    return found


def _broken(claim: Claim) -> ArchError:
    if isinstance(claim.actual, str):
        return fail("A404", f"`{claim.network}` is another network than this digest stands for", claim.span,
                    notes=[_other(claim.printed, claim.actual)],
                    help=f'if it is meant to be another, the table would say "{claim.actual}"')
    what = {"params": "parameters", "macs": "multiply-adds"}[claim.figure]
    return fail("A404", f"`{claim.network}` has {claim.actual:,} {what}, not {claim.printed}", claim.span,
                help=f"the table would say {like(claim.printed, claim.actual)}")


def _other(printed: str, actual: str) -> str:
    """What two digests say about the difference: the first of their groups that is another one."""
    pairs = list(zip(printed.split("-"), actual.split("-"), strict=False))
    if len(pairs) != len(PARTS) or [len(p) for p, _ in pairs] != [letters for _, letters in PARTS]:
        return "what stands here is no digest: it has " + ", ".join(f"{n} letters for its {w}" for w, n in PARTS)
    weights, ops, _ = (a == b for a, b in pairs)
    if not weights:
        return "its weights are others: keys, shapes, or which of them are tied"
    if not ops:
        return "its weights are the same; its ops or their settings are others"
    return "its weights, ops and settings are the same; they are otherwise connected"
