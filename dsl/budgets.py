"""Budgets: `expect params <= 30M, memory <= 8GB at B=32`. What a network may cost at most, at every preset.

`params` and `macs` are those of the figures beside them. `memory` is the room of one forward without gradients, in
bytes: weights, inputs, and the most that lies there on the way. `training` is that of a forward and backward, gradients
of the weights included, an optimiser's own numbers not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ogive.dsl import memory
from ogive.dsl import syntax as s
from ogive.dsl.build import Built
from ogive.dsl.claims import pinned
from ogive.dsl.diagnostics import ArchError, Diagnostic, fail, offer
from ogive.dsl.dims import evaluate
from ogive.dsl.figures import BYTES, rounded_up
from ogive.dsl.graph import Graph
from ogive.dsl.load import Definition
from ogive.dsl.memory.ops import size_of
from ogive.dsl.source import Span
from ogive.dsl.spenders import spenders
from ogive.dsl.work import Mistakes

__all__ = ["FIGURES", "Held", "check_budgets", "exceeded"]

FIGURES: Final = {
    "params": "has {:,} parameters", "macs": "does {:,} multiply-adds", "memory": "takes {:,} bytes of memory",
    "training": "takes {:,} bytes of memory to train",
}
"""What may be bounded, in words."""

IN_BYTES: Final = frozenset({"memory", "training"})
DEFAULTS: Final = {"B": 1, "H": 224, "W": 224}


@dataclass(frozen=True, slots=True)
class Held:
    """One bound on one network: of which figure, the most it may be, what it comes to, at which sizes."""

    network: str
    figure: str
    printed: str
    most: int
    actual: int
    span: Span
    sizes: Mapping[str, int]
    graph: Graph = field(repr=False, compare=False)

    @property
    def holds(self) -> bool:
        return self.actual <= self.most


def check_budgets(definition: Definition, built: Mapping[str, Built], mistakes: Mistakes) -> list[Held]:
    """Every bound of a network, on each of its presets that is built. A bound that makes no sense goes to `mistakes`;
    whether they hold, they say themselves."""
    found: list[Held] = []
    own = {name: b for name, b in built.items() if name.partition(".")[0] == definition.name}
    for budget in _budgets(definition):
        for bound in budget.bounds:
            try:
                found += [_held(name, b, bound) for name, b in own.items()]
            except ArchError as error:
                mistakes.add(*error.diagnostics)
    return found


def exceeded(those: list[Held]) -> Iterator[Diagnostic]:
    """An error for each bound that does not hold: where it goes over the most, and which blocks spend most."""
    bounds: dict[Span, list[Held]] = {}
    for held in those:
        if not held.holds:
            bounds.setdefault(held.span, []).append(held)
    for span, over in bounds.items():
        worst = max(over, key=lambda held: held.actual)
        notes = [*spenders(worst.graph, worst.figure, worst.sizes)]
        others = [held.network for held in over if held is not worst]
        if others:
            shown = ", ".join(f"`{name}`" for name in others[:4])
            more = f" and {len(others) - 4} more" if len(others) > 4 else ""
            notes.append(f"{shown}{more} {'goes' if len(others) == 1 else 'go'} over it, too")
        needed = rounded_up(worst.printed, worst.actual)
        said = FIGURES[worst.figure].format(worst.actual) + _at(worst)
        yield Diagnostic(
            "A405", f"`{worst.network}` {said}: its budget is {worst.printed}", span, notes=tuple(notes),
            help=f"spend less there, or allow `{worst.figure} <= {needed}`",
        )


def _budgets(definition: Definition) -> Iterator[s.Budget]:
    node = definition.node
    body = node.expects if isinstance(node, s.Derived) else node.body if isinstance(node, s.Network) else ()
    yield from (x for x in body if isinstance(x, s.Budget))


def _held(name: str, made: Built, bound: s.Bound) -> Held:
    figure = bound.figure.name
    graph = memory.trained(made.graph, made.cases) if figure == "training" else made.graph
    if figure not in FIGURES:
        raise fail("A401", f"no budget can be set on `{figure}`", bound.figure.span,
                   help=offer(figure, FIGURES, "there are"))
    if bound.sign != "<=":
        raise fail("A402", "a budget says what a figure may be at most", bound.span,
                   help=f"`{figure} <= {bound.most.literal or bound.most.value}`; a figure itself stands in a table")
    _unit(figure, bound.most)
    sizes = _sizes(graph, bound)
    assert isinstance(bound.most.value, int)
    actual = _figure(graph, figure, sizes, bound)
    printed = bound.most.literal or str(bound.most.value)
    return Held(name, figure, printed, bound.most.value, actual, bound.span, sizes, graph)


def _sizes(graph: Graph, bound: s.Bound) -> dict[str, int]:
    """What stands behind `at`: free letters and inputs, each size given once."""
    found: dict[str, int] = {}
    for column, cell in bound.sizes:
        if column.name not in graph.free and column.name not in graph.inputs:
            known = [*graph.free, *graph.inputs]
            raise fail("A401", f"`{graph.name}` has no free size `{column.name}`", column.span,
                       help=offer(column.name, known, "there are"))
        sizes = pinned(column, cell, graph)
        if not all(sizes.values()):
            raise fail("A402", f"`{column.name}` is a whole number from 1", cell.span)
        twice = next((name for name in sizes if found.get(name, sizes[name]) != sizes[name]), None)
        if twice is not None:
            raise fail("A402", f"`{twice}` is {found[twice]} here, and {sizes[twice]}", cell.span, help="give it once")
        found.update(sizes)
    return found


def _unit(figure: str, most: s.Constant) -> None:
    """Demand bytes for bytes, and numbers for numbers."""
    text = most.literal
    if figure in IN_BYTES and not text.endswith("B"):
        shown = f"`{text}B`; {', '.join(BYTES)} are units" if isinstance(most.value, int) else "`8GB`, `512MiB`"
        raise fail("A402", f"`{figure}` is counted in bytes", most.span, help=shown)
    if figure not in IN_BYTES and text.endswith("B"):
        raise fail("A402", f"`{figure}` is a number, not bytes", most.span, help=f"`{text.rstrip('iB')}`")
    if not isinstance(most.value, int):
        raise fail("A402", "a budget is a whole number", most.span, help="`30M`, `86_567_656`, `8GB`")


def _figure(graph: Graph, figure: str, sizes: Mapping[str, int], bound: s.Bound) -> int:
    if figure == "params":
        return graph.parameter_count
    values = {**DEFAULTS, **sizes}
    missing = [name for name in graph.free if name not in values]
    if missing:
        raise fail("A403", f"`{figure}` depends on `{missing[0]}`, which is free", bound.span,
                   help=f"say at which size: `at {missing[0]}=...`")
    found = {name: values[name] for name in graph.free}
    for guard in graph.guards:
        if not guard.condition.holds(found):
            at = ", ".join(f"{name} = {found[name]}" for name in sorted(guard.condition.symbols) if name in found)
            raise fail("A402", f"`{graph.name}` does not work at {at}: it needs `{guard.condition.show()}`", bound.span,
                       help="say at which sizes the budget is meant: `at H=... W=...`")
    if figure == "macs":
        return graph.macs(found)
    peak = (memory.inference if figure == "memory" else memory.training)(graph, sizes=found).at(found)
    inputs = sum(evaluate(size_of(graph.nodes[name].outputs[0], 4), found) for name in graph.inputs)
    return memory.weight_bytes(graph) + inputs + peak


def _at(held: Held) -> str:
    text = ", ".join(f"{name} = {size}" for name, size in held.sizes.items())
    return f" at {text}" if text else ""
