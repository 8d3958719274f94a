"""From the workbench to graphs: what the results need, one graph for each kind of call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from ogive.dsl.conditions import Condition
from ogive.dsl.diagnostics import Label, fail
from ogive.dsl.dims import Dim, substitute, symbols
from ogive.dsl.dims_text import show
from ogive.dsl.either import Either
from ogive.dsl.facts import Facts
from ogive.dsl.graph import Edge, Given, Graph, Guard, Node, Parameter, Returned, edges_of
from ogive.dsl.ops.loop import Scan
from ogive.dsl.ops.record import Primitive, Reference
from ogive.dsl.rooms import guards_of
from ogive.dsl.types import Axis, Segment, Tensor
from ogive.dsl.undecided import Undecided
from ogive.dsl.when import TRAINING, Case, When, cases
from ogive.dsl.work import Work

__all__ = ["Returns", "graphs"]

Returns: TypeAlias = tuple[tuple[str, Returned], ...]
"""The results of one kind of call, by name."""


@dataclass(slots=True)
class _Decided:
    """One kind of call: which side of each `if` it takes, and the sizes that differ."""

    case: Case
    edges: dict[str, Edge] = field(default_factory=dict)
    sizes: dict[str, Dim] = field(default_factory=dict)
    tensors: dict[int, Tensor] = field(default_factory=dict)
    """Types of this kind of call, by the identity of those in the work, which lives longer: most nodes share theirs."""

    def holds(self, when: When) -> bool:
        return when.holds({**dict.fromkeys(when.flags, False), **self.case})

    def edge(self, edge: Edge) -> Edge:
        return self.edges.get(edge.node, edge)

    def dim(self, dim: Dim) -> Dim:
        return substitute(dim, self.sizes) if self.sizes else dim

    def node(self, node: Node) -> Node:
        """The node as this kind of call has it."""
        if not self.edges and not self.sizes:
            return node
        inputs = tuple([self.edge(e) for e in node.inputs])
        outputs = tuple([self._tensor(t) for t in node.outputs])
        macs = self.dim(node.macs)
        names = node.primitive is not None and (node.primitive.references or node.primitive.tensors)
        if not (names or node.given) and (inputs, outputs, macs) == (node.inputs, node.outputs, node.macs):
            return node
        given = {k: g if g.edge is None else Given(g.key, self.edge(g.edge)) for k, g in node.given.items()}
        primitive = node.primitive and self._record(node.primitive)
        return replace(node, primitive=primitive, inputs=inputs, outputs=outputs, given=given, macs=macs)

    def _record(self, record: Primitive) -> Primitive:
        """The settings that name a node name the one of this kind of call."""
        changed: dict[str, Any] = {}
        for name in type(record).model_fields:
            value = getattr(record, name)
            if isinstance(value, Reference):
                edge = self.edge(Edge(value.node, value.result))
                changed[name] = Reference(edge.node, self._tensor(value.tensor), edge.result)
        return record.model_copy(update=changed) if changed else record

    def _tensor(self, tensor: Tensor) -> Tensor:
        if not self.sizes:
            return tensor
        found = self.tensors.get(id(tensor))
        if found is None:
            structure = tensor.structure and tensor.structure.with_axes(self._axis)
            axes = tuple([self._axis(axis) for axis in tensor.axes])
            same = axes == tensor.axes and structure == tensor.structure
            found = self.tensors[id(tensor)] = tensor if same else Tensor(axes, tensor.dtype, structure)
        return found

    def _axis(self, axis: Axis) -> Axis:
        segments = tuple([Segment(self.dim(x.size), tuple(map(self.dim, x.grid)), x.origin) for x in axis.segments])
        return Axis(axis.role, self.dim(axis.size), segments, axis.lost)


def graphs(
    work: Work, name: str, inputs: tuple[str, ...], optional: Sequence[str], variants: Sequence[tuple[When, Returns]]
) -> tuple[Graph, tuple[tuple[Case, Graph], ...], Undecided | None, tuple[Node, ...]]:
    """The graph of a network; that of each kind of call, and of all together, where calls decide; the nodes of none.

    The first is that of evaluation without optional inputs. All have every parameter.

    Raises:
        ArchError: A107 a key is a weight and a prefix, or lies among another line's weights; A143 a size is known only
            with an optional input; A206 an assumption that one kind of call breaks.
    """
    flags = tuple(x for x in (TRAINING, *optional) if x in work.flags)
    decided = [_decided(work, case) for case in cases(flags)]
    kept: list[tuple[Case, Returns, dict[str, Node]]] = []
    needed: set[str] = set(inputs)
    for one in decided:
        returns = _returned(variants, one)
        nodes = _needed(work, inputs, returns, one)
        needed |= set(nodes)
        kept.append((one.case, returns, nodes))
    parameters = _parameters(work, {k: n for k, n in work.nodes.items() if k in needed})
    _check_prefixes(parameters)
    _check_inside(parameters, work)
    made: list[tuple[Case, Graph]] = []
    for one, (case, returns, nodes) in zip(decided, kept, strict=True):
        absent = {x for x in optional if not case.get(x, False)}
        present = tuple(x for x in inputs if x not in absent)
        nodes = {k: n for k, n in nodes.items() if k not in absent}
        free = {k: at for k, at in work.free.items() if at[0] not in absent}
        _known(work, nodes, free, absent)
        ends = {k: one.edge(e) for k, e in work.results.items()} if one.edges else work.results
        results = {k: e for k, e in ends.items() if e.node in nodes}
        elsewhere = {p.node: work.nodes[p.node] for p in parameters.values() if p.node not in nodes}
        regions, guards = tuple(work.regions), _guards(work, one)
        made.append((case, Graph(name, nodes, present, returns, regions, parameters, guards, results, free, elsewhere)))
    dropped = tuple(n for k, n in work.nodes.items() if k not in needed and _is_said(n, work, parameters))
    if not flags and not optional:
        return made[0][1], (), None, dropped
    return made[0][1], tuple(made), _undecided(work, made[0][1], inputs, variants, needed), dropped


def _undecided(
    work: Work, graph: Graph, inputs: tuple[str, ...], variants: Sequence[tuple[When, Returns]], needed: set[str]
) -> Undecided:
    """All kinds of calls in one graph, the `if` nodes among them."""
    kept = set(needed)
    todo = [edge.node for _, returns in variants for _, value in returns for edge in edges_of(value)]
    todo += [edge.node for name in needed for edge in work.nodes[name].inputs]
    while todo:
        node = work.nodes[todo.pop()]
        if node.id not in kept or node.op == "if" or node.id in work.unsaid:
            todo += [edge.node for edge in node.inputs if edge.node not in kept]
            kept.add(node.id)
    whole = replace(
        graph, nodes={k: n for k, n in work.nodes.items() if k in kept}, inputs=inputs, returns=variants[-1][1],
        guards=tuple(work.guards.values()), results=work.results, free=work.free, elsewhere={},
    )
    return Undecided(whole, work.whens, frozenset(work.unsaid), tuple(variants))


def _is_said(node: Node, work: Work, parameters: Mapping[str, Parameter]) -> bool:
    """Whether a line says this node, and in vain: a `learned` that is another op's weight is in use."""
    return node.op != "if" and node.id not in work.unsaid and not (node.op == "learned" and node.key in parameters)


def _decided(work: Work, case: Case) -> _Decided:
    one = _Decided(case)
    for node in work.nodes.values() if case else ():
        if isinstance(node.primitive, Either):
            first = node.primitive.when.holds(case)
            one.edges[node.id] = one.edge(node.inputs[0 if first else 1])
            for symbol, then, other in node.primitive.sizes:
                one.sizes[symbol] = one.dim(then if first else other)
    return one


def _returned(variants: Sequence[tuple[When, Returns]], one: _Decided) -> Returns:
    returns = next(returns for when, returns in variants if one.holds(when))
    return tuple((name, _placed(value, one)) for name, value in returns)


def _placed(value: Returned, one: _Decided) -> Returned:
    return tuple(_placed(x, one) for x in value) if isinstance(value, tuple) else one.edge(value)


def _needed(work: Work, inputs: tuple[str, ...], returns: Returns, one: _Decided) -> dict[str, Node]:
    """The nodes that the results of one kind of call need, in order."""
    needed: set[str] = set(inputs)
    todo = [edge.node for _, value in returns for edge in edges_of(value)]
    while todo:
        node_id = todo.pop()
        if node_id not in needed:
            needed.add(node_id)
            node = work.nodes[node_id]
            todo += [one.edge(e).node for e in node.inputs] if one.edges else [e.node for e in node.inputs]
            if isinstance(node.primitive, Scan):  # its body takes them, read or not
                todo += [*node.primitive.items, *node.primitive.states]
    _keep_sources(work, needed)
    return {k: one.node(n) for k, n in work.nodes.items() if k in needed and n.op != "if"}


def _known(work: Work, nodes: Mapping[str, Node], free: Mapping[str, Any], absent: set[str]) -> None:
    """Refuse a size that stands only on an input which this kind of call leaves away."""
    if not absent:
        return
    lost = {name: at[0] for name, at in work.free.items() if name not in free}
    for node in nodes.values() if lost else ():
        for tensor in node.outputs:
            for name in {x for d in tensor.shape for x in symbols(d)} & lost.keys():
                raise fail("A143", f"`{name}` is read off `{lost[name]}`, which a call may leave away", node.span,
                           labels=[Label(work.nodes[lost[name]].span, "the optional input")],
                           help=f"inside `if {lost[name]}:` it is known; pin it, or take it from another input")


def _guards(work: Work, one: _Decided) -> tuple[Guard, ...]:
    """The assumptions about one kind of call."""
    if not one.case:
        return _with_rooms(list(work.guards.values()), work, one)
    found: list[Guard] = []
    for guard in work.guards.values():
        if not one.holds(guard.when):
            continue
        old = guard.condition
        condition = Condition(old.kind, one.dim(old.left), one.dim(old.right))
        holds = None if condition == old else Facts().holds(condition)
        if holds is False:
            said = " and ".join(name if on else f"not {name}" for name, on in one.case.items())
            raise fail("A206", f"`{guard.text}` cannot hold in a call with {said}", guard.span,
                       label=f"there {show(condition.left)} and {show(condition.right)}")
        if holds is None:
            found.append(replace(guard, condition=condition))
    return _with_rooms(found, work, one)


def _with_rooms(guards: list[Guard], work: Work, one: _Decided) -> tuple[Guard, ...]:
    """The assumptions, and what windows need of the sizes."""
    rooms = [replace(room, size=one.dim(room.size)) for room in work.rooms.values() if one.holds(room.when)]
    return (*guards, *guards_of(rooms, guards))


def _parameters(work: Work, nodes: Mapping[str, Node]) -> dict[str, Parameter]:
    """The weights of the nodes that are left, and the second keys of these (`shared h = g`)."""
    owners: dict[str, str] = {}
    for node in nodes.values():
        if node.key:
            owners.setdefault(node.key, node.id)
    found: dict[str, Parameter] = {}
    for key, parameter in work.parameters.items():
        owner = owners.get(_owner(key, parameter.weight.name))
        if owner is not None:
            found[key] = parameter if parameter.node in nodes else replace(parameter, node=owner)
        elif parameter.tied in found:
            found[key] = parameter if parameter.node in nodes else replace(parameter, node=found[parameter.tied].node)
    return found


def _keep_sources(work: Work, needed: set[str]) -> None:
    """A node whose weight is tied into a needed one is needed too: its key is the one that is written."""
    todo = [node for k in needed if (node := work.nodes[k]).given]
    by_key = {n.key: n for n in work.nodes.values() if n.key} if todo else {}
    while todo:
        for given in todo.pop().given.values():
            if given.key is None:
                continue
            source = by_key.get(given.key) or by_key.get(given.key.rpartition(".")[0])
            if source is not None and source.id not in needed:
                needed.add(source.id)
                todo.append(source)
                extra = [e.node for e in source.inputs]
                while extra:
                    node_id = extra.pop()
                    if node_id not in needed:
                        needed.add(node_id)
                        todo.append(work.nodes[node_id])
                        extra += [e.node for e in work.nodes[node_id].inputs]


def _owner(key: str, weight: str) -> str:
    return key.removesuffix("." + weight) if weight else key


def _check_prefixes(parameters: Mapping[str, Parameter]) -> None:
    """A key cannot be a weight and a prefix of other weights at once."""
    seen: set[str] = set()
    for key, parameter in parameters.items():
        prefix = key.rpartition(".")[0]
        while prefix and prefix not in seen:
            if prefix in parameters:
                raise fail("A107", f"`{prefix}` is a weight, and `{key}` lies under it", parameter.span,
                           labels=[Label(parameters[prefix].span, f"`{prefix}`")], help="another name for one of them")
            seen.add(prefix)
            prefix = prefix.rpartition(".")[0]


def _check_inside(parameters: Mapping[str, Parameter], work: Work) -> None:
    """The weights of an op are its own: another line's lies among them only where the op is given it."""
    owners = {parameter.node: work.nodes[parameter.node] for parameter in parameters.values()}
    places = {node.key: node for node in owners.values() if any(weight.name for weight in node.own)}
    for key, parameter in parameters.items():
        prefix, _, name = key.rpartition(".")
        node = places.get(prefix)
        if node is None or node.id == parameter.node or name in {weight.name for weight in node.own}:
            continue
        given = node.given.get(name)
        if given is None or given.key != key:
            raise fail("A107", f"`{key}` lies among the weights of the `{node.op}` of another line", parameter.span,
                       labels=[Label(node.span, f"`{prefix}`")],
                       help=f"another key; or let the line have it: `{node.op}(..., {name}=...)`")
