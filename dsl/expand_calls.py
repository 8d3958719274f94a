"""What calls decide, made ready to be written: which lines stand under which `if`, and where two sides meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from ogive.dsl.built import Built
from ogive.dsl.conditions import Condition
from ogive.dsl.either import Either
from ogive.dsl.graph import Edge, Given, Graph, Node, Returned
from ogive.dsl.ops.record import Primitive, Reference
from ogive.dsl.when import ALWAYS, NEVER, When, flag

__all__ = ["Calls", "calls_of", "idle", "paired", "when_missing"]


@dataclass(frozen=True, slots=True)
class Calls:
    """A network as it is written: the nodes of all kinds of calls, and the calls that come to each."""

    graph: Graph
    whens: Mapping[str, When]
    optional: frozenset[str]
    """Inputs that a call may leave away."""
    returns: tuple[tuple[When, tuple[tuple[str, Returned], ...]], ...]

    def when(self, node: Node) -> When:
        return self.whens.get(node.id, ALWAYS)


def calls_of(built: Built) -> Calls:
    """What is written of a network.

    An op with a setting that not every call has, `attend(mask=mask)`, was built with and without it: it is one line
    again. So is a batch of one that is laid out where two sides meet.
    """
    whole = built.undecided
    if whole is None:
        return Calls(built.graph, {}, frozenset(), ((ALWAYS, built.graph.returns),))
    optional = frozenset(whole.graph.inputs) - frozenset(built.cases[0][1].inputs)
    made = _Merge(whole.graph, dict(whole.whens), optional)
    for node in whole.graph:
        made.take(node, node.id in whole.unsaid)
    returns = tuple((when, tuple((name, made.result(value)) for name, value in found)) for when, found in whole.returns)
    graph = replace(whole.graph, nodes=made.nodes, returns=returns[-1][1])
    return Calls(graph, made.whens, optional, returns)


def when_missing(built: Built, again: Built | None) -> dict[Condition, When]:
    """What is assumed of the sizes in `built`, and not in `again`: the calls for which it is."""
    found: dict[Condition, When] = {}
    for case, graph, other in paired(built, again or built):
        kept = {guard.condition for guard in other.guards} if again is not None else set()
        here = reduce(lambda a, b: a & b, [flag(name) if on else ~flag(name) for name, on in case.items()], ALWAYS)
        for guard in graph.guards:
            if guard.condition not in kept:
                found[guard.condition] = found.get(guard.condition, NEVER) | here
    return found


def paired(built: Built, again: Built) -> list[tuple[Mapping[str, bool], Graph, Graph]]:
    """The graphs of both for each kind of call; what decides nothing in `again` is not asked there."""
    others = again.cases or (({}, again.graph),)
    return [
        (case, graph, next(other for known, other in others if known.items() <= case.items()))
        for case, graph in built.cases or (({}, built.graph),)
    ]


def idle(built: Built, again: Built) -> list[str]:
    """What lines of `built` ask of calls, and no line that a result needs."""
    asked = [set(x.cases[0][0]) if x.cases else set() for x in (built, again)]
    return sorted(asked[0] - asked[1])


class _Merge:
    """Nodes that one line says are one node."""

    def __init__(self, graph: Graph, whens: dict[str, When], optional: frozenset[str]) -> None:
        self.graph = graph
        self.whens = whens | {name: flag(name) for name in optional}
        self.nodes: dict[str, Node] = {}
        self.instead: dict[str, Edge] = {}   # what stands for an `if` that is not written
        self.again: dict[str, str] = {}      # the line that says an op a second time

    def take(self, node: Node, unsaid: bool) -> None:
        if unsaid:
            self.instead[node.id] = self.edge(node.inputs[0])
            return
        node = self._placed(node)
        self.nodes[node.id] = node
        if not isinstance(node.primitive, Either):
            return
        a, b = (self.nodes[edge.node] for edge in node.inputs)
        if a.id == b.id or self._is_one_line(a, b, node):
            self.instead[node.id] = node.inputs[0]
            del self.nodes[node.id]
            if a.id != b.id:
                self.again[b.id] = a.id
                del self.nodes[b.id]
            self._come(a.id, self._reach(node.id))
            return
        when = node.primitive.when
        self._come(node.id, self._reach(node.id) & ((when & self._reach(a.id)) | (~when & self._reach(b.id))))

    def _is_one_line(self, a: Node, b: Node, node: Node) -> bool:
        """Whether an op was built with an optional tensor and without it."""
        if a.primitive is None or a.op in ("if", "in", "with") or a.op != b.op or a.span != b.span:
            return False
        same = (a.key, a.region, a.data) == (b.key, b.region, b.data) and a.span == node.span
        return same and len(a.inputs) > len(b.inputs) and bool(a.primitive.tensors)

    def _reach(self, name: str) -> When:
        return self.whens.get(name, ALWAYS)

    def _come(self, name: str, when: When) -> None:
        if when.always:
            self.whens.pop(name, None)
        else:
            self.whens[name] = when

    # ------------------------------------------------------------------------------------ other ends of edges
    def edge(self, edge: Edge) -> Edge:
        edge = self.instead.get(edge.node, edge)
        return Edge(self.again[edge.node], edge.result) if edge.node in self.again else edge

    def result(self, value: Returned) -> Returned:
        return tuple(map(self.result, value)) if isinstance(value, tuple) else self.edge(value)

    def _placed(self, node: Node) -> Node:
        given = {k: g if g.edge is None else Given(g.key, self.edge(g.edge)) for k, g in node.given.items()}
        primitive = node.primitive and self._record(node.primitive)
        return replace(node, inputs=tuple(map(self.edge, node.inputs)), given=given, primitive=primitive)

    def _record(self, record: Primitive) -> Primitive:
        changed: dict[str, Any] = {}
        for name in type(record).model_fields:
            value = getattr(record, name)
            if isinstance(value, Reference):
                edge = self.edge(Edge(value.node, value.result))
                changed[name] = Reference(edge.node, value.tensor, edge.result)
        return record.model_copy(update=changed) if changed else record
