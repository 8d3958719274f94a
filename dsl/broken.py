"""Figures that do not hold: one error for each cause, with the place that would mend it where one can be found."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ogive.dsl.built import Built
from ogive.dsl.diagnostics import ArchError, Diagnostic, Label
from ogive.dsl.digest import PARTS, digest
from ogive.dsl.figures import UNITS, bounds, like
from ogive.dsl.graph import COUNTED_AT, Graph, Guard
from ogive.dsl.load import Unit
from ogive.dsl.repairs import Repair, Row, repairs
from ogive.dsl.source import Span

__all__ = ["Claim", "actual", "broken", "cause"]

ROWS = 6
"""Rows of a table that one error spells out."""


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
    sizes: Mapping[str, int]
    """What the row pins: the sizes at which multiply-adds are counted."""
    graph: Graph | None = field(repr=False, compare=False)
    """The network; None where it does not build."""

    @property
    def holds(self) -> bool:
        """Whether the figure rounds to what is printed; a digest has every letter."""
        if isinstance(self.actual, str):
            return self.actual == self.printed
        low, high = bounds(self.printed)
        return low <= self.actual <= high


def broken(claims: Sequence[Claim], unit: Unit, built: Mapping[str, Built]) -> Iterator[Diagnostic]:
    """What is wrong with the claims of one network. A digest that holds says that the network is right and the figure
    is not; else all figures of the table that are off have one cause, which is looked for in the text."""
    rows: dict[str, list[Claim]] = {}
    for claim in claims:
        rows.setdefault(claim.network, []).append(claim)
    changed: dict[str, list[Claim]] = {}
    for network, row in rows.items():
        if any(c.figure == "digest" and c.holds for c in row):
            yield from (_misprint(c) for c in row if not c.holds)
        elif not all(c.holds for c in row):
            changed[network] = row
    if changed:
        yield _changed(rows, changed, unit, built)


def cause(
    tables: Sequence[tuple[str, Sequence[Claim]]], stands: Container[str], unit: Unit, near: Sequence[Span]
) -> list[Repair]:
    """Where a change would make every network of a table build, and have its digest. Networks that do not build now
    stand first; `stands` are the others, `near` is where mistakes show. Without a digest nothing is looked for: figures
    alone fit too many changes."""
    if not all(any(c.figure == "digest" for c in claims) for _, claims in tables):
        return []
    rows = [replace(_row(name, claims, None), wrong=name not in stands) for name, claims in tables]
    return repairs(unit, rows, None, near)


def _misprint(claim: Claim) -> Diagnostic:
    notes = ("the digest holds: the network is the one it was",)
    guards = _refused(claim)
    if guards:
        labels = tuple(Label(g.span, f"only where `{g.condition.show()}`, which is not so here") for g in guards)
        return Diagnostic("A404", _title(claim), claim.span, labels=labels, notes=notes,
                          help="say there what holds of a batch of 1, for which multiply-adds are counted")
    sizes = ", if the sizes in this row are right" if claim.figure == "macs" and claim.sizes else ""
    return Diagnostic("A404", _title(claim), claim.span, notes=notes,
                      help=f"`{_printed(claim)}` instead of `{claim.printed}`{sizes}")


def _refused(claim: Claim) -> list[Guard]:
    """What the network assumes, and is not so at the sizes at which a figure is counted."""
    if claim.figure != "macs" or claim.graph is None:
        return []
    sizes = {**COUNTED_AT, **claim.sizes}
    known = [g for g in claim.graph.guards if g.condition.symbols <= sizes.keys()]
    return [g for g in known if not g.condition.holds(sizes)][:2]


def _changed(
    rows: Mapping[str, Sequence[Claim]], changed: Mapping[str, Sequence[Claim]], unit: Unit, built: Mapping[str, Built]
) -> Diagnostic:
    first = next(c for row in changed.values() for c in row if not c.holds)
    notes = [_other(c.printed, c.actual) for c in (first,) if isinstance(c.actual, str)]
    others = [c for row in changed.values() for c in row if not c.holds and c is not first]
    if len(others) > 1:
        notes.append(f"{len(others)} more figures of this table do not hold")
    elif others:
        notes.append(_title(others[0]))
    found = _repairs(rows, changed, unit, built)
    labels = tuple(Label(r.span, f"{r.words} {_held(r)}") for r in found)
    said = [f"{network.rpartition('.')[2]}: " + "  ".join(_printed(c) for c in row if not c.holds)
            for network, row in changed.items()]
    more = f", and {len(said) - ROWS} more rows" if len(said) > ROWS else ""
    table = "; ".join(said[:ROWS]) + more if len(changed) > 1 else said[0].partition(": ")[2]
    where = " or ".join(dict.fromkeys(f"line {r.span.line}: {r.words}" for r in found))
    hint = f"the table would say {table}"
    if found:
        hint = f"{where}; if another network is meant, {hint}"
    return Diagnostic("A404", _title(first), first.span, labels=labels, notes=tuple(notes), help=hint)


def _held(repair: Repair) -> str:
    return "every figure of the table holds" if repair.digest else "all figures but the digest hold: it has a name"


def _repairs(
    rows: Mapping[str, Sequence[Claim]], changed: Mapping[str, Sequence[Claim]], unit: Unit, built: Mapping[str, Built]
) -> list[Repair]:
    graphs = {n: row[0].graph for n, row in rows.items()}
    order = [*sorted(changed, key=lambda n: len(graphs[n] or ())), *(n for n in rows if n not in changed)]
    tried, first = [_row(n, rows[n], graphs[n]) for n in order], graphs[order[0]]
    return repairs(unit, tried, first, (), _unread(built.get(order[0])))


def _unread(built: Built | None) -> set[str]:
    """The names of lines and scopes that no result of a network needs; `_` stands for all that have none."""
    if built is None:
        return set()
    names = {node.name for node in built.dropped}
    kept = {region.id for node in built.graph for region in built.graph.region_chain(node)}
    scopes = {r for node in built.dropped for r in built.graph.region_chain(node) if r.id not in kept}
    return {name or "_" for name in names} | {r.name for r in scopes} - {""}


def _row(network: str, claims: Sequence[Claim], graph: Graph | None) -> Row:
    """A row of the table, as the search for a repair wants it."""
    params = next((c.printed for c in claims if c.figure == "params" and c.printed[-1] not in UNITS), None)

    def stands(graph: Graph, c: Claim) -> bool:
        value = _tried(graph, c)
        return value is not None and replace(c, actual=value).holds

    def holds(graph: Graph) -> bool:
        printed = [c for c in claims if c.figure == "digest"]  # it says all, at any sizes that the row pins
        return all(stands(graph, c) for c in printed or claims)

    def features(graph: Graph) -> dict[str, object]:
        found: dict[str, object] = {}
        for c in claims:
            value = _tried(graph, c)
            found |= _parts(value) if isinstance(value, str) else {c.figure: value}
        return found

    off: dict[str, bool] = {}
    now = features(graph) if graph is not None else {}
    for c in claims if graph is not None else ():
        if isinstance(c.actual, str):
            off |= {part: now[part] != printed for part, printed in _parts(c.printed).items()}
        elif not c.holds or (c.figure == "params" and params is not None):  # rounded, a figure moves unseen
            off[c.figure] = not c.holds

    def figures(graph: Graph) -> bool:
        others = [c for c in claims if c.figure != "digest"]
        return bool(others) and all(stands(graph, c) for c in others)

    wrong = graph is None or not all(c.holds for c in claims)
    digests = [c.printed for c in claims if c.figure == "digest"]
    printed = digests[0] if digests and _is_digest(digests[0]) else ""
    number = None if params is None else int(params.replace("_", ""))
    return Row(network, holds, features, off, number, wrong, bool(digests), printed, figures)


def _parts(printed: str) -> dict[str, object]:
    """The groups of a digest by what they are of."""
    return dict(zip((name for name, _ in PARTS), printed.split("-"), strict=False))


def actual(graph: Graph, figure: str, sizes: Mapping[str, int]) -> int | str:
    """What a figure comes to.

    Raises:
        KeyError: multiply-adds depend on a free size that `sizes` does not have.
        ZeroDivisionError: they have no value at these sizes.
    """
    if figure == "digest":
        return digest(graph)
    return graph.parameter_count if figure == "params" else graph.macs(sizes)


def _tried(graph: Graph, claim: Claim) -> int | str | None:
    """What a figure comes to in a network that is tried; None where it has no value: grids that do not fit at the sizes
    of the row, letters that it does not pin."""
    try:
        return actual(graph, claim.figure, claim.sizes)
    except (ArchError, KeyError, ZeroDivisionError):
        return None


def _title(claim: Claim) -> str:
    if isinstance(claim.actual, str):
        return f"`{claim.network}` is another network than this digest stands for"
    what = {"params": "parameters", "macs": "multiply-adds"}[claim.figure]
    return f"`{claim.network}` has {claim.actual:,} {what}, not {claim.printed}"


def _is_digest(printed: str) -> bool:
    return [len(p) for p in printed.split("-")] == [letters for _, letters in PARTS]


def _printed(claim: Claim) -> str:
    """What the cell would say."""
    return f'"{claim.actual}"' if isinstance(claim.actual, str) else like(claim.printed, claim.actual)


def _other(printed: str, actual: str) -> str:
    """What two digests say about the difference: the first of their groups that is another one."""
    pairs = list(zip(printed.split("-"), actual.split("-"), strict=False))
    if not _is_digest(printed):
        return "what stands here is no digest: it has " + ", ".join(f"{n} letters for its {w}" for w, n in PARTS)
    weights, ops, _ = (a == b for a, b in pairs)
    if not weights:
        return "its weights are others: keys, shapes, or which of them are tied"
    if not ops:
        return "its weights are the same; its ops or their settings are others"
    return "its weights, ops and settings are the same; they are otherwise connected"
