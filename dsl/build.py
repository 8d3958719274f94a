"""From a definition and its settings to a checked graph: the whole of it, or every mistake that was met."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ogive.dsl import syntax as s
from ogive.dsl.assemble import Returns, graphs
from ogive.dsl.body import Bodies
from ogive.dsl.built import Attempt, Built
from ogive.dsl.copies import Common, Copying
from ogive.dsl.diagnostics import ArchError, Diagnostic, Label, fail, offer
from ogive.dsl.dims import Dim, TooLarge
from ogive.dsl.facts import Facts
from ogive.dsl.graph import Edge, Graph, Node, Returned
from ogive.dsl.load import Definition, Unit
from ogive.dsl.names import Keys, Names, check_key
from ogive.dsl.params import presets_of
from ogive.dsl.parse import parse_expression
from ogive.dsl.runs import split_at_input
from ogive.dsl.solve import Network, Once, solve
from ogive.dsl.source import Source, Span
from ogive.dsl.types import Role
from ogive.dsl.values import Bundle, OpValue, Out, Poison, Result, Setting, Silent
from ogive.dsl.when import ALWAYS, Partial, When, flag
from ogive.dsl.work import Body, First, Frame, Mistakes, Runaway, Work, Written

__all__ = ["Attempt", "Built", "attempt", "build", "choose", "names_of", "trial"]


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
    base, _, preset = (name or "").partition(".")
    definition = unit.names.get(base)
    if definition is not None and isinstance(definition.node, s.Network | s.Derived):
        return definition, preset.strip('"') or None
    networks = {d.name: d for d in unit.networks}
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
        raise fail("A801", f"`{unit.called}` {what}", help=hint)
    matches = [k for k in known if k.rpartition(".")[2] == name]
    hint = f"did you mean `{matches[0]}`?" if matches else offer(name, [*known, *networks], "there are")
    raise fail("A801", f"`{unit.called}` has no network `{base}`", help=hint)


def build(unit: Unit, name: str | None = None, settings: Mapping[str, Any] | None = None) -> Built:
    """Build one network of a file; each `?` in it is solved for.

    `settings` are numbers, lists, or strings holding an `.arch` expression.

    Raises:
        ArchError: everything that is wrong with this network at these settings.
    """
    definition, preset = choose(unit, name)
    made = solve((definition, preset, _once(definition, preset, settings or {})), lambda: _bases(definition))
    return _standing(definition, made)


def trial(unit: Unit, name: str, common: Common) -> Graph | None:
    """The graph of a network that is one of many tries, which have runs in `common`; None at its first mistake. It may
    lack what it assumes of the input: one that is found in this way is to be built once more."""
    try:
        definition, preset = choose(unit, name)
    except ArchError:
        return None

    def once(answers: Mapping[Span, Dim], kind: Callable[[Work], Bodies] | None = None) -> Attempt:
        return attempt(definition, preset, {}, answers, kind or (lambda work: Copying(work, common)), First())

    made = solve((definition, preset, once), lambda: _bases(definition))
    return None if made.built is None or made.work.mistakes else made.built.graph


def _once(definition: Definition, preset: str | None, settings: Mapping[str, Any]) -> Once:
    def once(answers: Mapping[Span, Dim], kind: Callable[[Work], Bodies] = Copying) -> Attempt:
        return attempt(definition, preset, settings, answers, kind)

    return once


def _bases(definition: Definition) -> Iterator[Network]:
    """The networks that a network is derived from, the next one first; the network itself has no mistakes."""
    bodies = Bodies(Work(Mistakes()))
    while isinstance(definition.node, s.Derived):
        base = bodies.derived(definition)
        assert isinstance(base.target, Definition)
        definition = base.target
        yield definition, base.preset, _once(definition, base.preset, {})


def attempt(
    definition: Definition, preset: str | None, settings: Mapping[str, Any], answers: Mapping[Span, Dim],
    kind: Callable[[Work], Bodies] = Copying, found: Mistakes | None = None,
) -> Attempt:
    """One build, with `answers` in place of the `?`s; nothing is raised. `kind` may look on while it is built; its
    mistakes go to `found`."""
    found = Mistakes() if found is None else found
    found.add(*definition.unit.mistakes)
    bodies = kind(Work(found, answers=answers))
    built = None
    try:
        built = _network(bodies, definition, preset, _given(bodies, definition, settings))
    except ArchError as error:
        found.add(*error.diagnostics)
    except Runaway as runaway:
        found.add(*runaway.error.diagnostics)
    except TooLarge:
        found.add(Diagnostic("A509", "the sizes here grow beyond what can be followed", definition.node.name_span))
    except Silent:
        pass
    return Attempt(None if found else built, bodies)


def _standing(definition: Definition, made: Attempt) -> Built:
    """The network that was built, or everything that is wrong with it."""
    if made.work.mistakes:
        raise made.work.mistakes.error()
    if made.built is None:
        raise fail("A599", f"`{definition.name}` could not be built, and this package does not know why",
                   definition.node.name_span, help="please report it with the file")
    return made.built


def _given(bodies: Bodies, definition: Definition, settings: Mapping[str, Any]) -> tuple[Setting, ...]:
    """Settings from outside; a string is an expression in the words of the definition's file."""
    found: list[Setting] = []
    for name, value in settings.items():
        text = value if isinstance(value, str) else repr(value)
        lead = f"{name}="
        source = Source("settings", " " * len(lead) + text, lead + text)
        whole, span = source.span(0, len(source.text)), source.span(len(lead), len(source.text))
        if isinstance(value, str):
            value = _expression(bodies, definition, source)
        elif isinstance(value, list):
            value = _tuple(value)
        found.append(Setting(name, value, span, span, whole))
    return tuple(found)


def _expression(bodies: Bodies, definition: Definition, source: Source) -> Any:
    expr = parse_expression(source)
    try:
        return bodies.value(expr, bodies.file_frame(definition))
    except ArchError as error:
        first = error.diagnostics[0]
        if first.code != "A101" or not isinstance(expr, s.Name):
            raise
        hint = f'{first.help or ""} (a string stands in quotes: `"{expr.name}"`)'.lstrip()
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
    ports = bodies.open_ports(node, frame)
    inputs = _inputs(bodies, node, ports, frame)
    bodies.suite(rest, frame)
    variants = _variants(node, frame)
    if work.mistakes or variants is None:
        return None
    optional = [name for name, port in zip(inputs, ports, strict=True) if port.optional]
    graph, by_case, undecided, dropped = graphs(work, shown, inputs, optional, variants)
    return Built(shown, definition, graph, values, dropped, dict(work.answers), dict(work.read), by_case, undecided)


def _inputs(bodies: Bodies, node: s.Network, ports: Sequence[s.Port], frame: Frame) -> tuple[str, ...]:
    ids: list[str] = []
    roles: dict[str, Role] = {}
    if not ports:
        first = next((st.span for st in node.body if not isinstance(st, s.Presets | s.Expect | s.Budget)), None)
        raise fail("A116", f"`{node.name}` has no input", node.name_span, help="`input image: B 3 H W`",
                   labels=[Label(first, "it stands above the lines that read it")] if first else [])
    for port in ports:
        if port.is_list:
            one, two = (f"{port.name}_{i}" for i in (1, 2))
            shape = port.shape.span.text
            raise fail("A140", f"`{port.name}` is a list, and a network's inputs are single tensors", port.span,
                       help=f"as many as there are, each by its name: `input {one}: {shape}, {two}: {shape}`, and "
                            f"below it `{port.name} = [{one}, {two}]`")
        check_key(port.name, port.name_span)
        node_id = bodies.work.new_id(port.name)
        tensor = bodies.port(port, node_id, roles, frame)
        bodies.work.add_node(
            Node(node_id, "input", port.name, None, (), (tensor,), frame.region, port.span, path=frame.body.trail)
        )
        value = Bundle((Out(Edge(node_id), tensor),), title=port.name)
        frame.body.written[Edge(node_id)] = Written(port.shape, frame)
        given = Partial(value, flag(node_id), port.name, port.name_span, True) if port.optional else value
        frame.names.bind(port.name, given, port.name_span, "input")
        ids.append(node_id)
        if len(ids) == 1 and not port.optional:
            frame.flow = value
    return tuple(ids)


def _variants(node: s.Network, frame: Frame) -> list[tuple[When, Returns]] | None:
    """What each kind of call returns: one entry unless calls choose between `return`s."""
    last = frame.body.returned or frame.flow
    if last is None or isinstance(last, Poison):
        return None
    if last.parts and frame.body.returned is None:
        raise fail("A120", f"`{node.name}` ends with several parts", node.name_span,
                   help="`return` those that are meant: `return parts[0], rest=parts[1]`")
    if frame.body.returned is None:  # the flow after the last line: its first result
        last = Bundle(last.outs[:1])
    found: list[tuple[When, Returns]] = []
    for when, result in (*frame.body.pending, (ALWAYS, last)):
        outs = zip(result.labels or ("",) * len(result.outs), result.outs, strict=False)
        edges = [(label, _edges(out)) for label, out in outs]
        if any(value is None for _, value in edges):
            return None
        found.append((when, tuple((name, value) for name, value in edges if value is not None)))
    return found


def _edges(out: Result) -> Returned | None:
    """The edge of a result, those of a list; None where something in it is wrong."""
    if isinstance(out, tuple):
        found = [_edges(x) for x in out]
        return None if None in found else tuple([x for x in found if x is not None])
    return out.edge if isinstance(out, Out) else None
