"""The graph: what a network is once names, presets, repeats and shapes are settled. Immutable and ordered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from ogive.dsl.conditions import Condition
from ogive.dsl.diagnostics import fail
from ogive.dsl.dims import Dim, evaluate
from ogive.dsl.dims_text import show
from ogive.dsl.ops.record import Mismatch, Primitive, Reference, Weight
from ogive.dsl.source import Span
from ogive.dsl.types import Tensor, sized
from ogive.dsl.when import ALWAYS, When

__all__ = [
    "COUNTED_AT", "Edge", "Given", "Graph", "Guard", "Node", "Parameter", "Region", "RegionKind", "Returned",
    "edges_of",
]

COUNTED_AT: Final[Mapping[str, int]] = MappingProxyType({"B": 1, "H": 224, "W": 224})
"""The sizes at which multiply-adds are counted, where nothing else says them."""

RegionKind = Literal["network", "block", "scope", "residual", "gate", "append", "repeat", "iteration", "scan"]


@dataclass(frozen=True, slots=True)
class Edge:
    """One result of a node."""

    node: str
    result: int = 0


Returned: TypeAlias = "Edge | tuple[Returned, ...]"
"""A result of a network: an edge, or a list of them."""


def edges_of(value: Returned) -> Iterator[Edge]:
    """The edges of a result, in order."""
    if isinstance(value, tuple):
        for item in value:
            yield from edges_of(item)
    else:
        yield value


@dataclass(frozen=True, slots=True)
class Region:
    """A titled part of the network: a block's run, a scope, a residual, a repeat and each of its iterations.

    `path` is its key path ("" where it adds no key: then `name` is empty too), `title` what the figure writes on it
    (the block's name), `index` the number of an iteration, `count` how many a repeat has.
    """

    id: int
    parent: int | None
    kind: RegionKind
    name: str
    path: str
    title: str
    span: Span
    index: int | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """A weight that is supplied: by key (`weight=wte.weight`, a tie) or by the result of a node."""

    key: str | None = None
    edge: Edge | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One op. `primitive` is None for an input of the network.

    `key` is the prefix of its state_dict keys ("" for none), `own` the weights under it; `given` the supplied ones.
    """

    id: str
    op: str
    name: str
    primitive: Primitive | None
    inputs: tuple[Edge, ...]
    outputs: tuple[Tensor, ...]
    region: int
    span: Span
    key: str = ""
    own: tuple[Weight, ...] = ()
    given: Mapping[str, Given] = field(default_factory=dict)
    macs: Dim = 0
    path: tuple[str, ...] = ()
    require: str = ""
    """What compiling must keep: "fused"."""

    @property
    def data(self) -> tuple[Edge, ...]:
        """What stands left of the arrow: the inputs without those that settings bring, and supplied weights."""
        brought = sum(g.edge is not None for g in self.given.values())
        if self.primitive is not None:
            brought += sum(isinstance(getattr(self.primitive, name), Reference) for name in self.primitive.tensors)
        return self.inputs[: len(self.inputs) - brought]

    def __str__(self) -> str:
        inputs = ", ".join(e.node if e.result == 0 else f"{e.node}[{e.result}]" for e in self.inputs)
        shapes = ", ".join(map(str, self.outputs))
        flow = f"{inputs} -> " if inputs else ""
        return f"{self.id} = {flow}{self.primitive or self.op} : {shapes}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One entry of the state_dict. `tied` names the key whose storage it shares."""

    key: str
    weight: Weight
    node: str
    span: Span
    tied: str | None = None

    @property
    def numel(self) -> int:
        total = 1
        for n in self.weight.shape:
            total *= n
        return total


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition on the input sizes that the file assumes: checked in front of the graph, once per call.

    `when` says which calls it is for.
    """

    condition: Condition
    text: str
    span: Span
    when: When = ALWAYS


@dataclass(frozen=True, eq=False)
class Graph:
    """The nodes of one network in the order they run, its regions, parameters and guards.

    `nodes` is ordered by execution; `inputs` are ids of input nodes, `returns` the results by name, lists among them;
    `results` maps a key path (`blocks.3`, `head`) to the edge that path stands for, the last run where there are
    several. `digraph.py` has it as a networkx graph, for algorithms.
    """

    name: str
    nodes: Mapping[str, Node]
    inputs: tuple[str, ...]
    returns: tuple[tuple[str, Returned], ...]
    regions: tuple[Region, ...]
    parameters: Mapping[str, Parameter]
    guards: tuple[Guard, ...]
    results: Mapping[str, Edge]
    free: Mapping[str, tuple[str, int]]
    """Each free symbol and where a call shows its size: (input node, axis)."""
    elsewhere: Mapping[str, Node] = field(default_factory=dict)
    """Nodes that own parameters and run in other kinds of calls only."""

    @cached_property
    def outputs(self) -> tuple[tuple[str, Edge], ...]:
        """The results one by one, (name, edge); the items of a list are `maps[0]`, `maps[1]`."""
        return tuple(pair for name, value in self.returns for pair in _named(name, value))

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def __len__(self) -> int:
        return len(self.nodes)

    def tensor(self, edge: Edge) -> Tensor:
        return self.nodes[edge.node].outputs[edge.result]

    def owner(self, parameter: Parameter) -> Node:
        """The node that declares a parameter."""
        return self.nodes.get(parameter.node) or self.elsewhere[parameter.node]

    def region_chain(self, node: Node) -> list[Region]:
        """The regions around a node, outermost first."""
        chain: list[Region] = []
        at: int | None = node.region
        while at is not None:
            chain.append(self.regions[at])
            at = self.regions[at].parent
        return chain[::-1]

    @cached_property
    def parameter_count(self) -> int:
        """Learnable and frozen parameters, each storage once; no buffers."""
        return sum(p.numel for p in self.parameters.values() if not p.weight.buffer and p.tied is None)

    def macs(self, sizes: Mapping[str, int] | None = None) -> int:
        """Multiply-adds of one forward at `sizes` (symbol -> size; B = 1 and H = W = 224 where not given).

        Raises:
            KeyError: a free symbol other than B, H, W has no size.
        """
        values = {**COUNTED_AT, **(sizes or {})}
        return sum(self.cost(node, values) for node in self)

    def cost(self, node: Node, sizes: Mapping[str, int]) -> int:
        """Multiply-adds of one node, a number for each free symbol given.

        Raises:
            ArchError: A802, its attention has no meaning at these sizes, or too many pairs to be counted.
        """
        if node.primitive is None or not node.primitive.late:
            return evaluate(node.macs, sizes)
        inputs = tuple(sized(self.tensor(edge), sizes) for edge in node.data)
        try:
            return evaluate(node.primitive.macs(inputs, tuple(sized(t, sizes) for t in node.outputs)), sizes)
        except Mismatch as error:
            raise fail("A802", error.title, node.span, help=error.help) from None

    def __str__(self) -> str:
        head = [f"network {self.name}"]
        body = [f"  {node}" for node in self]
        tail = ["  return " + ", ".join(_result(name, edge) for name, edge in self.outputs)]
        guards = [f"  guard {guard.condition.show()}" for guard in self.guards]
        return "\n".join(head + body + tail + guards)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "nodes": [
                {
                    "id": n.id, "op": n.op, "settings": {} if n.primitive is None else {
                        k: str(v) for k, v in n.primitive.settings().items()
                    },
                    "inputs": [[e.node, e.result] for e in n.inputs],
                    "outputs": [[show(d) for d in t.shape] for t in n.outputs],
                    "key": n.key, "line": n.span.line,
                }
                for n in self
            ],
            "outputs": [[name, edge.node, edge.result] for name, edge in self.outputs],
        }


def _named(name: str, value: Returned) -> Iterator[tuple[str, Edge]]:
    if isinstance(value, tuple):
        for i, item in enumerate(value):
            yield from _named(f"{name}[{i}]", item)
    else:
        yield name, value


def _result(name: str, edge: Edge) -> str:
    text = edge.node if edge.result == 0 else f"{edge.node}[{edge.result}]"
    return f"{name}={text}" if name else text
