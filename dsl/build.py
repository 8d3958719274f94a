"""From a definition and its settings to a checked graph: the whole of it, or every mistake that was met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ogive.dsl import syntax as s
from ogive.dsl.body import Bodies
from ogive.dsl.diagnostics import ArchError, Diagnostic, Label, fail, offer
from ogive.dsl.dims import TooLarge
from ogive.dsl.facts import Facts
from ogive.dsl.graph import Edge, Graph, Node, Parameter
from ogive.dsl.load import Definition, Unit
from ogive.dsl.names import Keys, Names, check_key
from ogive.dsl.params import presets_of
from ogive.dsl.parse import parse_expression
from ogive.dsl.runs import split_at_input
from ogive.dsl.source import Source
from ogive.dsl.types import Role
from ogive.dsl.values import Bundle, OpValue, Out, Poison, Setting, Silent
from ogive.dsl.work import Body, Frame, Mistakes, Runaway, Work

__all__ = ["Built", "build", "choose", "names_of"]


@dataclass(frozen=True, eq=False)
class Built:
    """One network, built and checked: its graph, and what of the text the graph does not need."""

    name: str
    definition: Definition
    graph: Graph
    settings: Mapping[str, Any]
    """Every parameter with the value it has here."""
    dropped: tuple[Node, ...]
    """Nodes that no result needs; they are not in the graph."""

    @property
    def doc(self) -> str:
        """The comment above the definition."""
        return self.definition.node.doc


def names_of(unit: Unit) -> list[str]:
    """What can be built from a file: `ViT.B` for each preset, the bare name where every parameter has a default."""
    found: list[str] = []
    for definition in unit.networks:
        node = definition.node
        if isinstance(node, s.Derived):
            found.append(node.name)
            continue
        assert isinstance(node, s.Network)
        table = presets_of(node)
        found += [f"{node.name}.{row.name}" for row in table.rows if row.name] if table else []
        if all(p.default is not None for p in node.params):
            found.append(node.name)
    return found


def choose(unit: Unit, name: str | None) -> tuple[Definition, str | None]:
    """The network and preset that a name means; without a name, the file's only one.

    Raises:
        ArchError: A801 no such network, or several and none chosen. A307 no such preset.
    """
    networks = {d.name: d for d in unit.networks}
    imported = {n: d for n, d in unit.names.items() if d is not None and isinstance(d.node, s.Network | s.Derived)}
    known = names_of(unit)
    if name is None:
        if len(networks) == 1:
            only = next(iter(networks.values()))
            if only.name in known or not known:  # when it needs settings, they are asked for by name
                return only, None
        if len(known) == 1:
            return choose(unit, known[0])
        what = "holds several networks" if networks else "holds no network"
        hint = f"choose one of {', '.join(known[:12])}" if known else "a file for building has a `network`"
        raise fail("A801", f"`{unit.source.name}` {what}", help=hint)
    base, _, preset = name.partition(".")
    definition = networks.get(base) or imported.get(base)
    if definition is None:
        matches = [k for k in known if k.rpartition(".")[2] == name]
        hint = f"did you mean `{matches[0]}`?" if matches else offer(name, [*known, *networks], "there are")
        raise fail("A801", f"`{unit.source.name}` has no network `{base}`", help=hint)
    return definition, preset.strip('"') or None


def build(unit: Unit, name: str | None = None, settings: Mapping[str, Any] | None = None) -> Built:
    """Build one network of a file.

    `settings` are numbers, lists, or strings holding an `.arch` expression.

    Raises:
        ArchError: everything that is wrong with this network at these settings.
    """
    definition, preset = choose(unit, name)
    found = Mistakes()
    found.add(*unit.mistakes)
    bodies = Bodies(Work(found))
    built = None
    try:
        built = _network(bodies, definition, preset, _given(bodies, definition, settings or {}))
    except ArchError as error:
        found.add(*error.diagnostics)
    except Runaway as runaway:
        found.add(*runaway.error.diagnostics)
    except TooLarge:
        found.add(Diagnostic("A509", "the sizes here grow beyond what can be followed", definition.node.name_span))
    except Silent:
        pass
    if found:
        raise found.error()
    if built is None:
        raise fail("A599", f"`{definition.name}` could not be built, and this package does not know why",
                   definition.node.name_span, help="please report it with the file")
    return built


def _given(bodies: Bodies, definition: Definition, settings: Mapping[str, Any]) -> tuple[Setting, ...]:
    """Settings from outside; a string is an expression in the words of the definition's file."""
    found: list[Setting] = []
    for name, value in settings.items():
        source = Source(f"--set {name}", value if isinstance(value, str) else repr(value))
        span = source.span(0, len(source.text))
        if isinstance(value, str):
            value = _expression(bodies, definition, source)
        elif isinstance(value, list):
            value = _tuple(value)
        found.append(Setting(name, value, span, span))
    return tuple(found)


def _expression(bodies: Bodies, definition: Definition, source: Source) -> Any:
    expr = parse_expression(source)
    try:
        return bodies.value(expr, bodies.file_frame(definition))
    except ArchError as error:
        first = error.diagnostics[0]
        if first.code != "A101" or not isinstance(expr, s.Name):
            raise
        hint = f'{first.help or ""}; a string stands in quotes: `"{expr.name}"`'.removeprefix("; ")
        raise ArchError((replace(first, help=hint),)) from None


def _tuple(value: Any) -> Any:
    return tuple(_tuple(x) for x in value) if isinstance(value, list | tuple) else value


def _network(
    bodies: Bodies, definition: Definition, preset: str | None, settings: tuple[Setting, ...]
) -> Built | None:
    node = definition.node
    span = node.value.span if isinstance(node, s.Derived) else node.name_span
    shown = f"{definition.name}.{preset}" if preset else definition.name
    base, merged, row = bodies.definition_of(OpValue(definition, settings, span, preset))
    node = base.node
    assert isinstance(node, s.Network)
    work = bodies.work
    region = work.open_region(None, "network", "", "", shown, definition.node.name_span)
    frame = Frame(Body(base.unit, (shown,), Facts(), (node,)), Names(), Keys(), region)
    bodies.bind_params(base, merged, row, frame, span)
    values = {name: entry.value for name, entry in frame.names.table.items()}
    head, rest = split_at_input(node)
    bodies.suite(head, frame)
    inputs = _inputs(bodies, node, frame)
    bodies.suite(rest, frame)
    outputs = _outputs(node, frame)
    if work.mistakes or outputs is None:
        return None
    graph, dropped = _graph(work, shown, inputs, outputs)
    return Built(shown, definition, graph, values, dropped)


def _inputs(bodies: Bodies, node: s.Network, frame: Frame) -> tuple[str, ...]:
    ids: list[str] = []
    roles: dict[str, Role] = {}
    ports = [port for x in node.body if isinstance(x, s.Input) for port in x.ports]
    if not ports:
        raise fail("A116", f"`{node.name}` has no input", node.name_span, help="`input image: B 3 H W`")
    for port in ports:
        bodies.refuse_port(port)
        check_key(port.name, port.name_span)
        node_id = bodies.work.new_id(port.name)
        tensor = bodies.port(port, node_id, roles, frame)
        bodies.work.add_node(
            Node(node_id, "input", port.name, None, (), (tensor,), frame.region, port.span, path=frame.body.trail)
        )
        value = Bundle((Out(Edge(node_id), tensor),), title=port.name)
        frame.names.bind(port.name, value, port.name_span, "input")
        ids.append(node_id)
        if len(ids) == 1:
            frame.flow = value
    return tuple(ids)


def _outputs(node: s.Network, frame: Frame) -> tuple[tuple[str, Edge], ...] | None:
    result = frame.body.returned or frame.flow
    if result is None or isinstance(result, Poison):
        return None
    if result.parts and frame.body.returned is None:
        raise fail("A120", f"`{node.name}` ends with several parts", node.name_span,
                   help="`return` those that are meant: `return parts[0], rest=parts[1]`")
    labels = result.labels or ("",) * len(result.outs)
    outs = list(zip(labels, result.outs, strict=False))
    if frame.body.returned is None:  # the flow after the last line: its first result
        outs = [("", out) for _, out in outs[:1]]
    edges: list[tuple[str, Edge]] = []
    for label, out in outs:
        if isinstance(out, Poison):
            return None
        edges.append((label, out.edge))
    return tuple(edges)


def _graph(
    work: Work, name: str, inputs: tuple[str, ...], outputs: tuple[tuple[str, Edge], ...]
) -> tuple[Graph, tuple[Node, ...]]:
    """The graph of what the results need; the rest is dropped."""
    needed: set[str] = set(inputs)
    todo = [edge.node for _, edge in outputs]
    while todo:
        node_id = todo.pop()
        if node_id not in needed:
            needed.add(node_id)
            todo += [e.node for e in work.nodes[node_id].inputs]
    _keep_sources(work, needed)
    nodes = {k: n for k, n in work.nodes.items() if k in needed}
    dropped = tuple(n for k, n in work.nodes.items() if k not in needed)
    parameters = _parameters(work, nodes)
    _check_prefixes(parameters)
    graph = Graph(
        name, nodes, inputs, outputs, tuple(work.regions), parameters, tuple(work.guards.values()),
        {k: e for k, e in work.results.items() if e.node in nodes}, dict(work.free),
    )
    return graph, dropped


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
    by_key = {n.key: n for n in work.nodes.values() if n.key}
    todo = [work.nodes[k] for k in needed]
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
