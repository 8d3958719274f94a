"""Where a lowering writes: one emitter per network, turning checked nodes into `torch.fx` nodes and modules."""

from __future__ import annotations

import keyword
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import torch
import torch.fx as fx
from torch import nn

from ogive.compiler.lower.loop import Loop
from ogive.dsl.dims import Dim, Floor, Poly, origin
from ogive.dsl.graph import Edge, Graph, Node
from ogive.dsl.ops.loop import Scan, State
from ogive.dsl.types import Tensor

__all__ = ["Emit", "Lowering", "Lowerings", "Value", "lower"]

Value: TypeAlias = fx.Node
Lowering: TypeAlias = Callable[..., "Value | tuple[Value, ...]"]
"""`lowering(emit, node, *inputs)` -> one fx node, or one per result. `node.primitive` has the settings,
`node.outputs` and `emit.types(node)` the types of results and inputs."""

Lowerings: TypeAlias = Mapping[str, Lowering]


class Emit:
    """Writes fx nodes for the node at hand; `modules` collects what `call_module` needs, by path.

    Attributes:
        node: the node that is being lowered.
        modules: path -> module, filled by `module`; parameters in it are on the meta device until they are initialised.
        fx: the fx graph so far.
        values: (node id, result) -> the fx node that computes it.
        shelf: the first part of the paths of modules without weights; no key begins with it.
    """

    def __init__(self, graph: Graph, shelf: str = "_ops") -> None:
        self.graph = graph
        self.fx = fx.Graph()
        self.modules: dict[str, nn.Module] = {}
        self.values: dict[Edge, Value] = {}
        self._node: Node | None = None
        self._about: dict[str, str] = {}
        self._weights: dict[str, Value] = {}
        self._sizes: dict[object, Value] = {}
        self._texts: dict[tuple[Tensor, ...], str] = {}  # writing a size costs more than all else here
        self.shelf = _free_name(shelf, {key.split(".")[0] for key in graph.parameters})
        self._paths: dict[str, str] = {}
        self._taken: set[str] = set()
        names: set[str] = set()
        for id in graph.inputs:
            node = graph.nodes[id]
            self._at(node)
            name = _argument(node.name, names)
            names.add(name)
            self.values[Edge(id)] = self._marked(self.fx.placeholder(name))
        self._top = next(reversed(self.fx.nodes), None)
        self.loops: list[tuple[Loop, fx.Graph]] = []
        self._around: list[Body] = []

    @property
    def node(self) -> Node:
        assert self._node is not None, "no node is being lowered"
        return self._node

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Value:
        """`function(*args, **kwargs)`; functions come from torch, torch.nn.functional and operator alone."""
        return self._new("call_function", function, args, kwargs)

    def method(self, name: str, *args: Any, **kwargs: Any) -> Value:
        """`args[0].name(*args[1:], **kwargs)`."""
        return self._new("call_method", name, args, kwargs)

    def module(self, module: nn.Module, *inputs: Any, at: str = "", shelved: bool = False) -> Value:
        """Call `module`, registered under the node's key (then `.at` if given), or under the node's id without weights.

        The second run of a shared node reuses the module of the first. `shelved`: it has no weights, and is this run's
        own. Inputs may be sizes, and tuples of them.
        """
        path = self._path(at, shelved)
        self.modules.setdefault(path, module)
        return self._new("call_module", path, inputs, {})

    def weight(self, name: str) -> Value:
        """The weight `name` of the node at hand, its own or the supplied one ("" for a bare parameter)."""
        given = self.node.given.get(name)
        if given is not None and given.edge is not None:
            return self.values[given.edge]
        key = given.key if given is not None and given.key else ".".join(filter(None, (self.node.key, name)))
        if key not in self._weights:
            self._weights[key] = self._new("get_attr", key, (), {})
        return self._weights[key]

    def size(self, dim: Dim) -> int | Value:
        """A size as a number, or as integer arithmetic on the sizes of the network's inputs."""
        if isinstance(dim, int):
            return dim
        if dim not in self._sizes:
            self._sizes[dim] = self._sum(dim)
        return self._sizes[dim]

    def types(self, node: Node) -> tuple[Any, ...]:
        """The types of a node's inputs."""
        return tuple(self.graph.tensor(edge) for edge in node.inputs)

    # -- one node after the other

    def run(self, node: Node, lowering: Lowering) -> None:
        """Lower one node: its values are in `values` afterwards."""
        self._at(node)
        made = lowering(self, node, *(self.values[edge] for edge in node.inputs))
        results = made if isinstance(made, tuple) else (made,)
        if len(results) != len(node.outputs):
            raise TypeError(f"the lowering of `{node.op}` gave {len(results)} values for {len(node.outputs)} results")
        for i, value in enumerate(results):
            self.values[Edge(node.id, i)] = value

    def finish(self) -> None:
        """Write the output node: one result is a tensor, several are a dict when all have names, else a tuple."""
        outputs = [(name, _returned(value, self.values)) for name, value in self.graph.returns]
        result: Any
        if len(outputs) == 1:
            result = outputs[0][1]
        elif all(name for name, _ in outputs):
            result = dict(outputs)
        else:
            result = tuple(value for _, value in outputs)
        self.fx.output(result)
        self._sweep()

    # -- recurrence: the nodes of a scan's body go into a graph of its own

    def open_body(self, region: int, scan: Node) -> None:
        """From here on nodes are written into the body of a scan; what it reads from outside enters as an argument."""
        record = scan.primitive
        assert isinstance(record, Scan)
        self._around.append(Body(region, self.fx, self.values, self._weights, self._sizes, self._top))
        self.fx, self._weights, self._sizes = fx.Graph(), {}, {}
        inside = Inside(self)
        self.values = inside
        for id in (*record.items, *record.states):
            self._at(self.graph.nodes[id])
            self.values[Edge(id)] = self._marked(self.fx.placeholder(_identifier(id)))
        inside.last = self._top = next(reversed(self.fx.nodes), None)

    def close_body(self, node: Node) -> None:
        """The body of a scan ends: its graph answers the next states and what it emits; a module runs it."""
        record = node.primitive
        assert isinstance(record, Scan) and isinstance(self.values, Inside)
        many, states = len(record.items), len(record.states)
        self.fx.output(tuple([self.values[edge] for edge in node.inputs[many + states :]]))
        body, captured = self.fx, list(self.values.captured)
        around = self._around.pop()
        self.fx, self.values, self._weights, self._sizes, self._top = around.rest
        self._at(node)
        sources = [self.values[edge] for edge in node.inputs[:many]]
        for edge, id in zip(node.inputs[many : many + states], record.states, strict=True):
            sources.append(self._stretched(self.values[edge], self.graph.nodes[id]))
        loop = Loop(record.axes, states, record.emits)
        self.loops.append((loop, body))
        made = self.module(loop, *sources, *captured)
        for i in range(len(node.outputs)):
            self.values[Edge(node.id, i)] = self.call(operator.getitem, made, i)

    def _stretched(self, start: Value, state: Node) -> Value:
        """A start without a batch, or with one sample, stretched to the batch of the sequence."""
        record = state.primitive
        assert isinstance(record, State)
        if record.batch is None:
            return start
        shape = [self.size(dim) for dim in state.outputs[0].shape]
        return self.method("expand", start, *shape)

    # -- inside

    def _sweep(self) -> None:
        """Leave out parts of results that nothing reads: the last states of a recurrent layer, the places of a pool."""
        named = {self.values[edge] for edge in self.graph.results.values() if edge in self.values}
        for node in reversed(list(self.fx.nodes)):
            part = node.target in (operator.getitem, "select") and node.op in ("call_function", "call_method")
            if part and not node.users and node not in named:
                self.fx.erase_node(node)

    def _at(self, node: Node) -> None:
        shape = self._texts.get(node.outputs)
        if shape is None:
            self._texts[node.outputs] = shape = ", ".join(map(str, node.outputs))
        self._node = node
        self._about = {"op": node.op, "span": str(node.span), "node": node.id, "shape": shape}

    def _new(self, op: str, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
        name = _identifier(target if op == "get_attr" else self.node.id)
        return self._marked(self.fx.create_node(op, target, args, kwargs, name=name))

    def _marked(self, value: Value) -> Value:
        value.meta["ogive"] = self._about
        return value

    def _path(self, at: str, shelved: bool = False) -> str:
        node = self.node
        if not shelved and node.key and (node.own or node.given):
            return f"{node.key}.{at}" if at else node.key
        if node.id not in self._paths:
            name = _free_name(_identifier(node.id), self._taken)
            self._taken.add(name)
            self._paths[node.id] = f"{self.shelf}.{name}"
        path = self._paths[node.id]
        return f"{path}.{at}" if at else path

    def _sum(self, dim: Poly) -> Value:
        """The polynomial as integer arithmetic: what is subtracted comes last, so that no number starts below 0."""
        parts = sorted(dim.terms.items(), key=lambda term: term[1] < 0)
        total: Value | int | None = None
        for atoms, factor in parts:
            product = self._product(atoms, abs(factor) if total is not None else factor)
            if total is None:
                total = product
            else:
                total = self._arithmetic(operator.sub if factor < 0 else operator.add, total, product)
        assert isinstance(total, fx.Node)
        return total

    def _product(self, atoms: tuple[tuple[str | Floor, int], ...], factor: int) -> Value | int:
        factors: list[Value | int] = [self._atom(atom) for atom, power in atoms for _ in range(power)]
        if factor != 1 or not factors:
            factors.append(factor)
        return reduce(lambda a, b: self._arithmetic(operator.mul, a, b), factors)

    def _atom(self, atom: str | Floor) -> Value:
        if isinstance(atom, Floor):
            return self._arithmetic(operator.floordiv, self.size(atom.num), self.size(atom.den))
        base, over, shift = origin(atom)
        if over > 1 or shift:  # a changed variable: H'4'1 stands for (H + 1)/4
            return self._arithmetic(operator.floordiv, self._shifted(self._atom(base), shift), over)
        if atom not in self._sizes:
            input, axis = self.graph.free[atom]
            value = self.values[Edge(input)]
            assert self._top is not None
            with self.fx.inserting_after(self._top):
                size = self.fx.create_node("call_method", "size", (value, axis), {}, name=f"size_{_identifier(atom)}")
            size.meta["ogive"] = {**value.meta["ogive"], "op": "size", "shape": atom}
            self._sizes[atom] = self._top = size
        return self._sizes[atom]

    def _shifted(self, value: Value, by: int) -> Value:
        return self._arithmetic(operator.add, value, by) if by else value

    def _arithmetic(self, function: Callable[..., Any], a: Value | int, b: Value | int) -> Value:
        at = (function, a, b)
        if at not in self._sizes:
            assert self._top is not None
            with self.fx.inserting_after(self._top):
                made = self.fx.create_node("call_function", function, (a, b), {}, name="size")
            made.meta["ogive"] = {**self._about, "op": "size", "shape": ""}
            self._sizes[at] = self._top = made
        return self._sizes[at]


def _returned(value: Edge | tuple[Any, ...], values: Mapping[Edge, Value]) -> Any:
    """The fx node of a result; of a list, a list of them."""
    return [_returned(x, values) for x in value] if isinstance(value, tuple) else values[value]


class Inside(dict[Edge, Value]):
    """The values of a scan's body. One that is not made there comes in from outside, as a further argument."""

    def __init__(self, emit: Emit) -> None:
        super().__init__()
        self.emit = emit
        self.outside = emit.values
        self.captured: list[Value] = []
        self.last: Value | None = None

    def __missing__(self, edge: Edge) -> Value:
        value = self.outside[edge]
        assert self.last is not None
        with self.emit.fx.inserting_after(self.last):
            made = self.emit.fx.placeholder(f"outer_{value.name}")
        made.meta["ogive"] = value.meta["ogive"]
        if self.emit._top is self.last:
            self.emit._top = made
        self.last = made
        self.captured.append(value)
        self[edge] = made
        return made


@dataclass(slots=True)
class Body:
    """What an emitter goes back to when the body of a scan ends."""

    region: int
    fx: fx.Graph
    values: dict[Edge, Value]
    weights: dict[str, Value]
    sizes: dict[object, Value]
    top: Value | None

    @property
    def rest(self) -> tuple[Any, ...]:
        return self.fx, self.values, self.weights, self.sizes, self.top


def _scans(graph: Graph) -> tuple[dict[int, Node], dict[int, tuple[int, ...]]]:
    """The scan of each body's region, and for each region the bodies it lies in, outermost first."""
    scans = {n.primitive.body: n for n in graph if isinstance(n.primitive, Scan)}
    inside: dict[int, tuple[int, ...]] = {}
    for region in graph.regions:
        around = inside[region.parent] if region.parent is not None else ()
        inside[region.id] = (*around, region.id) if region.id in scans else around
    return scans, inside


def lower(graph: Graph, lowerings: Lowerings, shelf: str = "_ops") -> Emit:
    """All nodes of the graph in order, as one fx graph and the modules it calls (parameters on the meta device)."""
    emit = Emit(graph, shelf)
    scans, inside = _scans(graph)
    depth: tuple[int, ...] = ()
    with torch.device("meta"):
        for node in graph:
            if node.op == "scan":
                emit.close_body(node)
                depth = depth[:-1]
            elif node.primitive is not None:
                for region in inside[node.region][len(depth) :]:
                    emit.open_body(region, scans[region])
                depth = inside[node.region]
                if node.op not in ("in", "with"):
                    emit.run(node, lowerings[node.op])
    emit.finish()
    return emit


def _identifier(text: str) -> str:
    """A Python identifier that is no keyword, close to `text`."""
    name = re.sub(r"[^0-9a-zA-Z_]+", "_", text).strip("_") or "x"
    name = f"_{name}" if name[0].isdigit() else name
    return f"{name}_" if keyword.iskeyword(name) else name


def _free_name(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    n = 1
    while f"{name}_{n}" in taken:
        n += 1
    return f"{name}_{n}"


def _argument(name: str, taken: set[str]) -> str:
    """The input's own name as a parameter of `forward`: `self` and Python's keywords get an underscore."""
    text = name if name.isidentifier() else _identifier(name)
    if keyword.iskeyword(text) or text == "self":
        text += "_"
    return _free_name(text, taken)
