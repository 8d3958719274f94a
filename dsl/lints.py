"""Warnings: what builds, and yet is hardly meant. A name that nothing reads, a line that no result needs, a flow that
was meant to start elsewhere.

A warning has a code of A6, a place and help, like every mistake, and refuses nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from ogive.dsl import syntax as s
from ogive.dsl.build import Built
from ogive.dsl.diagnostics import Diagnostic, Label
from ogive.dsl.load import Unit
from ogive.dsl.ops import RECORDS
from ogive.dsl.source import Span
from ogive.dsl.trees import names_read, walk

__all__ = ["lint"]

SOURCES: Final = frozenset(name for name, record in RECORDS.items() if not record.inputs)
"""Ops that take no data: nothing flows into them."""


def lint(unit: Unit, built: Mapping[str, Built]) -> list[Diagnostic]:
    """The warnings of a file, whose networks are built, in the order of the text."""
    found = [*_imports(unit)]
    for definition in unit.file.definitions:
        if isinstance(definition, s.Network | s.Block):
            found += [*_parameters(definition, unit), *_constants(definition), *_flows(definition)]
    found += _dropped(unit, built)
    return sorted(found, key=lambda d: d.order)


def _warning(code: str, title: str, span: Span, help: str, labels: Sequence[Label] = ()) -> Diagnostic:
    return Diagnostic(code, title, span, labels=tuple(labels), help=help, severity="warning")


def _imports(unit: Unit) -> Iterator[Diagnostic]:
    used = {name for definition in unit.file.definitions for name, _ in names_read(definition)}
    for statement in unit.file.imports:
        for name in statement.names:
            if name.alias not in used:
                yield _warning("A601", f"`{name.alias}` is imported, and nothing here uses it", name.span,
                               "take it out, or use it")


def _parameters(definition: s.Network | s.Block, unit: Unit) -> Iterator[Diagnostic]:
    body = tuple(x for x in definition.body if not isinstance(x, s.Presets | s.Expect | s.Budget))
    used = {name for name, _ in names_read(body)}
    defaults = [{name for name, _ in names_read(p.default)} for p in definition.params]
    reading = Counter(name for names in defaults for name in names)
    for param, own in zip(definition.params, defaults, strict=True):
        if param.name not in used and reading[param.name] == (param.name in own):
            yield _warning("A602", f"`{definition.name}` has a parameter `{param.name}`, and nothing in it reads it",
                           param.span, "take it out, or use it where it was meant: setting it changes nothing",
                           list(_not_handed_on(param.name, definition, unit)))


def _not_handed_on(name: str, definition: s.Network | s.Block, unit: Unit) -> Iterator[Label]:
    """Blocks run here that have a parameter of this name, and are not given it."""
    for line, _ in walk(definition.body):
        call = line.flow if isinstance(line, s.Line) else None
        if isinstance(call, s.Name):
            call = s.Call(call, (), call.span)
        if not isinstance(call, s.Call) or not isinstance(call.func, s.Name):
            continue
        known = unit.names.get(call.func.name)
        if known is None or not isinstance(known.node, s.Network | s.Block):
            continue
        at = next((i for i, param in enumerate(known.node.params) if param.name == name), None)
        placed = sum(arg.name is None for arg in call.args)
        if at is not None and at >= placed and all(arg.name != name for arg in call.args):
            yield Label(call.span, f"`{call.func.name}` has a parameter `{name}`, and is not given this one")


def _constants(definition: s.Network | s.Block) -> Iterator[Diagnostic]:
    """`level = levels - 1 - i` that nothing reads; what an op makes is another matter, its name is a key."""
    numbers = {p.name for p in definition.params}
    numbers |= {name for index, _ in walk(definition) if isinstance(index, s.Index) for name in index.names}
    used = {name for name, _ in names_read(tuple(_values(st) for st in _statements(definition)))}
    for line in _statements(definition):
        if not isinstance(line, s.Line) or line.label is None or line.sources is not None or line.body is not None:
            continue
        if isinstance(line.flow, s.Call | s.Name) or not {n for n, _ in names_read(line.flow)} <= numbers:
            continue
        for name in line.label.names:
            if isinstance(name, s.Name):
                numbers.add(name.name)
                if name.name not in used:
                    yield _warning("A603", f"nothing reads `{name.name}`", name.span, "take the line out, or use it")


def _statements(definition: s.Network | s.Block) -> list[s.Stmt]:
    return [st for body in _suites(definition) for st in body]


def _values(st: s.Stmt) -> tuple[object, ...]:
    """What a statement reads, without the names it gives and the statements inside it."""
    match st:
        case s.Line():
            return (st.sources, st.flow, st.shape)
        case s.Repeat():
            return (st.sources, st.count, st.carries)
        case s.Scan():
            return (st.over, st.carries)
        case s.If():
            return tuple(test for test, _ in st.branches)
    return (st,)


def _flows(definition: s.Network | s.Block) -> Iterator[Diagnostic]:
    """A named line without sources, below one that a later line joins it to: both readers are hardly meant.

    In `q = linear(C)`, `k = linear(C)`, `q, k -> ...` the line `k` reads `q`, where `x -> linear(C)` was meant. A skip
    by name (`y = relu`, `conv(...)`, `_ + y`) joins two other lines, and a `return` in the middle of a chain is a tap.
    """
    joins: dict[str, list[tuple[s.Line, dict[str, Span]]]] = defaultdict(list)
    for line, _ in walk(definition):
        if isinstance(line, s.Line) and (line.sources or isinstance(line.flow, s.Binary)):
            read = dict(names_read(line.sources if line.sources else line.flow))
            for name in read:
                joins[name].append((line, read))
    for body in _suites(definition):
        for above, line in pairwise(body):
            if not isinstance(above, s.Line) or not isinstance(line, s.Line) or line.sources is not None:
                continue
            first, second = _title(above), _title(line)
            if first is None or second is None or not _takes(above) or not _takes(line):
                continue
            for later, names in joins[second]:
                if later.span.start > line.span.start and first in names:
                    yield _warning(
                        "A604", f"`{second}` reads `{first}`, the line above it, and another line reads both",
                        line.span,
                        f"`{first} -> ...` in front of it if that is meant; else its source, as in `x -> ...`",
                        [Label(names[first], f"`{first}` and `{second}` are read here")],
                    )
                    break


def _title(line: s.Line) -> str | None:
    """The name of a line or scope; None where it has none."""
    if line.label is not None and line.label.names and isinstance(line.label.names[0], s.Name):
        return line.label.names[0].name
    if line.body is not None and line.label is None and isinstance(line.flow, s.Name) and line.flow.name not in (
        "residual", "gate", "append"
    ):
        return line.flow.name
    return None


def _takes(line: s.Line) -> bool:
    """Whether a line is an op or scope that something flows into."""
    func = line.flow.func if isinstance(line.flow, s.Call) else line.flow
    return isinstance(func, s.Name) and func.name not in SOURCES and not (
        line.body is None and line.sources is None and isinstance(line.flow, s.Name) and line.flow.name == "_"
    )


def _suites(definition: s.Network | s.Block) -> Iterator[tuple[s.Stmt, ...]]:
    for node, _ in walk(definition):
        if isinstance(node, s.If):
            yield from (body for _, body in node.branches)
        elif isinstance(node, s.Network | s.Block | s.Line | s.Repeat | s.Scan) and node.body is not None:
            yield node.body


def _dropped(unit: Unit, built: Mapping[str, Built]) -> Iterator[Diagnostic]:
    """Lines of this file that are built, and that no result of any network needs: each last of a chain once, with the
    place where the result is that does not need it."""
    needed = {node.span for network in built.values() for node in network.graph}
    seen: set[Span] = set()
    for network in built.values():
        feeding = {edge.node for node in network.dropped for edge in node.inputs}
        for node in network.dropped:
            if node.span in needed or node.span in seen or node.span.source is not unit.source:
                continue
            if node.id in feeding:
                continue
            seen.add(node.span)
            name = node.name or node.op
            result = _result_beside(node.span, unit)
            labels = [Label(result, "the result is this")] if result is not None and result != node.span else []
            yield _warning("A605", f"no result needs `{name}`: it is left out of the network", node.span,
                           "read it where it was meant, `return` it, or take the line out", labels)


def _result_beside(span: Span, unit: Unit) -> Span | None:
    """The last line of the body of the definition in which a place is."""
    for definition in unit.file.definitions:
        inside = definition.span.source is span.source and definition.span.start <= span.start < definition.span.end
        if inside and isinstance(definition, s.Network | s.Block) and definition.body:
            last = definition.body[-1].span
            end = last.source.text.find("\n", last.start)
            return Span(last.source, last.start, min(last.end, end if end >= 0 else last.end))
    return None
