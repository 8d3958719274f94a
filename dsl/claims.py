"""`expect` tables: the paper's figures, held against what the network comes to, to the digits that are printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ogive.dsl import syntax as s
from ogive.dsl.build import Built, build
from ogive.dsl.diagnostics import ArchError, fail, offer
from ogive.dsl.dims import Poly, symbols
from ogive.dsl.graph import Graph
from ogive.dsl.load import Definition
from ogive.dsl.source import Span
from ogive.dsl.types import SPATIAL
from ogive.dsl.work import Mistakes

__all__ = ["Claim", "check_claims", "claims_of"]

FIGURES = ("params", "macs")
UNITS = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True, slots=True)
class Claim:
    """One figure of a table: of which network, which figure, what is printed and what it comes to."""

    network: str
    figure: str
    printed: str
    actual: int
    span: Span

    @property
    def holds(self) -> bool:
        """Whether the figure rounds to what is printed."""
        low, high = bounds(self.printed)
        return low <= self.actual <= high


def bounds(printed: str) -> tuple[Fraction, Fraction]:
    """The values that a printed figure stands for: `86M` is 85.5M to 86.5M, `86_567_656` itself alone."""
    text = printed.replace("_", "")
    if text[-1] not in UNITS:
        return Fraction(text), Fraction(text)
    digits = text[:-1]
    step = Fraction(UNITS[text[-1]], 10 ** len(digits.partition(".")[2]))
    value = Fraction(digits) * UNITS[text[-1]]
    return value - step / 2, value + step / 2


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
            if not isinstance(cell, s.Constant) or not cell.literal:
                raise fail("A402", "a figure is a number: `86_567_656`, `17.6G`", cell.span)
            claims.append((column.name, cell))
        else:
            sizes.update(_pinned(column, cell, graph))
    return [
        Claim(name, figure, cell.literal, _figure(graph, figure, sizes, cell), cell.span) for figure, cell in claims
    ]


def _figure(graph: Graph, figure: str, sizes: Mapping[str, int], cell: s.Constant) -> int:
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
    axes = [a for a in graph.nodes[column.name].outputs[0].axes if a.role in SPATIAL]
    if len(values) == 1:
        values *= len(axes)
    if len(values) != len(axes):
        raise fail("A402", f"`{column.name}` has {len(axes)} axes to pin", cell.span)
    found: dict[str, int] = {}
    for axis, value in zip(axes, values, strict=True):
        if isinstance(axis.size, Poly):
            found.update(dict.fromkeys(symbols(axis.size), value))
    return found


def _broken(claim: Claim) -> ArchError:
    what = {"params": "parameters", "macs": "multiply-adds"}[claim.figure]
    return fail("A404", f"`{claim.network}` has {claim.actual:,} {what}, not {claim.printed}", claim.span,
                help=f"the table would say {like(claim.printed, claim.actual)}")


def like(printed: str, value: int) -> str:
    """`value` printed with the unit and digits of `printed`."""
    unit = printed[-1]
    if unit not in UNITS:
        return f"{value:_}"
    places = len(printed[:-1].partition(".")[2])
    return f"{value / UNITS[unit]:.{places}f}{unit}"
