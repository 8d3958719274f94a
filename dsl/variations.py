"""Definitions with one thing otherwise, as they are easily written by accident: a setting more or less, a line more or
less, two lines exchanged, another source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from ogive.dsl import syntax as s
from ogive.dsl.load import Unit
from ogive.dsl.ops import RECORDS
from ogive.dsl.ops.record import Size
from ogive.dsl.source import Source, Span
from ogive.dsl.trees import Around, exchanged, walk

__all__ = ["Variation", "inputs_varied", "lines_varied", "numbers", "settings_guessed", "settings_varied"]

INITS: Final = ("torch", "trunc_normal", "kaiming", "kaiming_in", "xavier", "lecun", "zeros", "ones", "normal")
"""Ways to start a weight."""

Suite: TypeAlias = tuple[s.Stmt, ...]


@dataclass(frozen=True)
class Variation:
    """A changed definition: where, and in words that stand after "holds"."""

    tree: s.Definition
    span: Span
    words: str


def numbers(definition: s.Definition) -> Iterator[tuple[s.Constant, str | None]]:
    """The whole numbers that stand in a definition, its `expect` tables left out; and the preset that each is of."""
    for value, around in walk(definition):
        inside = any(isinstance(a, s.Expect | s.Shape) for a in around)
        if isinstance(value, s.Constant) and type(value.value) is int and not inside:
            yield value, next((a.name for a in around if isinstance(a, s.Row)), None)


# ------------------------------------------------------------------------------------------------ settings
def settings_varied(definition: s.Definition, unit: Unit) -> Iterator[Variation]:
    """Settings of lines: one that other lines give to the same op, one less, another value of theirs; kernels."""
    said, sizes = _settings_said(unit), _sizes(unit)
    for call, around in walk(definition):
        if isinstance(call, s.Name) and isinstance(around[-1], s.Row):
            yield from _cells_varied(definition, call, around)
        if not any(isinstance(a, s.Line) for a in around):
            continue
        if isinstance(call, s.Call) and isinstance(call.func, s.Name):
            yield from _call_varied(definition, call, said.get(call.func.name, {}))
        elif isinstance(call, s.Name) and _is_op(call, around):
            for arg in said.get(call.name, {}).values():
                yield _exchange(definition, call, s.Call(call, (arg,), call.span), call.span, arg)
        elif isinstance(call, s.SizeExpr):
            for size in sizes:
                if size != call.values:
                    new = replace(call, values=size)
                    words = f"with `{'x'.join(map(str, size))}` here"
                    yield Variation(exchanged(definition, call, new), call.span, words)


def settings_guessed(definition: s.Definition, unit: Unit) -> Iterator[Variation]:
    """Another op of the family, and settings that no line says: those that are easily forgotten."""
    for call, around in walk(definition):
        if not any(isinstance(a, s.Line) for a in around):
            continue
        if isinstance(call, s.Name) and (_is_op(call, around) or isinstance(around[-1], s.Call)):
            yield from _ops_varied(definition, call)
        if isinstance(call, s.Call) and isinstance(call.func, s.Name):
            given = {a.name for a in call.args}
            for arg in _settings_of(call.func.name, unit):
                if arg.name not in given:
                    yield _exchange(definition, call, replace(call, args=(*call.args, arg)), call.span, arg)
        elif isinstance(call, s.Name) and _is_op(call, around):
            for arg in _settings_of(call.name, unit):
                yield _exchange(definition, call, s.Call(call, (arg,), call.span), call.span, arg)


def _cells_varied(definition: s.Definition, cell: s.Name, around: Around) -> Iterator[Variation]:
    """What the other rows of the table have in this column."""
    table, row = around[-2], around[-1]
    if isinstance(table, s.Presets) and any(c is cell for c in row.cells):
        at = next(i for i, c in enumerate(row.cells) if c is cell)
        for other in table.rows:
            new = other.cells[at] if at < len(other.cells) else None
            if isinstance(new, s.Name) and new != cell:
                yield Variation(exchanged(definition, cell, new), cell.span, f"with `{new.name}` here")


def _ops_varied(definition: s.Definition, name: s.Name) -> Iterator[Variation]:
    """Another activation, another norm: the ops of one family."""
    record = RECORDS.get(name.name)
    if record is not None and record.family in ("activation", "norm", "pool"):
        for other, found in RECORDS.items():
            if found.family == record.family and other != name.name:
                new = replace(name, name=other)
                yield Variation(exchanged(definition, name, new), name.span, f"with `{other}` here")


def _call_varied(definition: s.Definition, call: s.Call, said: dict[str, s.Arg]) -> Iterator[Variation]:
    given = {a.name for a in call.args}
    for text, arg in said.items():
        if arg.name not in given:
            yield _exchange(definition, call, replace(call, args=(*call.args, arg)), call.span, arg)
        else:
            mine = next(a for a in call.args if a.name == arg.name)
            if mine.span.text != text:
                new = replace(call, args=tuple(arg if a is mine else a for a in call.args))
                yield Variation(exchanged(definition, call, new), mine.span, f"with `{text}` here")
    for arg in call.args:
        if isinstance(arg.value, s.Constant) and isinstance(arg.value.value, bool):
            other = replace(arg, value=replace(arg.value, value=not arg.value.value))
            new = replace(call, args=tuple(other if a is arg else a for a in call.args))
            yield Variation(exchanged(definition, call, new), arg.value.span, f"with `{not arg.value.value}` here")
        if arg.name is not None:
            less = replace(call, args=tuple(a for a in call.args if a is not arg))
            yield Variation(exchanged(definition, call, less), arg.span, f"without `{arg.span.text}`")


def _exchange(definition: s.Definition, old: s.Expr, new: s.Call, span: Span, arg: s.Arg) -> Variation:
    return Variation(exchanged(definition, old, new), span, f"with `{arg.span.text}` here")


def _settings_of(op: str, unit: Unit) -> Iterator[s.Arg]:
    """Settings that are easily forgotten: of a primitive, its switches turned, its small numbers and ways to start; of
    a block, a value of the same name from around it."""
    known = unit.names.get(op)
    if known is not None and isinstance(known.node, s.Block | s.Network):
        for param in known.node.params:
            yield _argument(param.name, param.name, s.Name(param.name, param.span))
            if param.name == "init":
                yield from (_argument("init", f'"{word}"', s.Constant(word, param.span)) for word in INITS)
        return
    for name, field in RECORDS[op].model_fields.items() if op in RECORDS else ():
        span = Source("", "").span(0, 0)
        values: list[bool | int | float | str] = []
        if isinstance(field.default, bool):
            values = [not field.default]
        elif isinstance(field.default, int | Size) or (field.default is None and "Size" in str(field.annotation)):
            values = [n for n in range(4) if field.default not in (n, (n,))]
        elif name == "eps":
            values = [1e-6, 1e-5, 1e-3, 1e-12]
        elif name == "init":
            values = [word for word in INITS if word != field.default]
        elif name in ("pad", "padding"):
            values = [0, 1, 2, 3]
        for value in values:
            yield _argument(name, f'"{value}"' if isinstance(value, str) else str(value), s.Constant(value, span))


def _argument(name: str, text: str, value: s.Expr) -> s.Arg:
    """An argument that stands nowhere: its own little text."""
    source = Source("", f"{name}={text}")
    return s.Arg(name, value, source.span(0, len(source.text)))


def _is_op(name: s.Name, around: Around) -> bool:
    return isinstance(around[-1], s.Line) and around[-1].flow is name


def _settings_said(unit: Unit) -> dict[str, dict[str, s.Arg]]:
    """What the lines of a file say to each op by name: its settings by their text."""
    found: dict[str, dict[str, s.Arg]] = {}
    for call, _ in walk(unit.file.definitions):
        if isinstance(call, s.Call) and isinstance(call.func, s.Name):
            for arg in call.args:
                if arg.name is not None:
                    found.setdefault(call.func.name, {})[arg.span.text] = arg
    return found


def _sizes(unit: Unit) -> list[tuple[int, ...]]:
    """The sizes of a file, and the usual ones."""
    found = [node.values for node, _ in walk(unit.file.definitions) if isinstance(node, s.SizeExpr)]
    return list(dict.fromkeys([*found, (1, 1), (2, 2), (3, 3), (5, 5), (7, 7)]))


# ------------------------------------------------------------------------------------------------ inputs
def inputs_varied(definition: s.Definition, unit: Unit) -> Iterator[Variation]:
    """The shape of an input with another number, with two axes exchanged, or with an axis more."""
    for port, _ in walk(definition):
        if not isinstance(port, s.Port):
            continue
        dims, span = port.shape.dims, port.shape.span
        for i, dim in enumerate(dims):
            if isinstance(dim, s.NumberDim):
                for number in (1, 3, 4):
                    if number != dim.value:
                        other = replace(dim, value=number)
                        yield Variation(exchanged(definition, dim, other), dim.span, f"with `{number}` here")
            if i + 1 < len(dims):
                turned = (*dims[:i], dims[i + 1], dim, *dims[i + 2 :])
                yield _input(definition, port, turned, span, f"with `{dim.span.text}` behind the axis after it")
        more: list[s.Dim] = [s.NameDim(letter, span) for letter in "BCNHW"]
        more += [s.NumberDim(number, span) for number in (1, 3)]
        more += [s.NameDim(p.name, span) for p in definition.params] if isinstance(definition, s.Network) else []
        for i in range(len(dims) + 1):
            for dim in more:
                text = dim.name if isinstance(dim, s.NameDim) else getattr(dim, "value", "")
                yield _input(definition, port, (*dims[:i], dim, *dims[i:]), span, f"with an axis `{text}` more here")


def _input(definition: s.Definition, port: s.Port, dims: tuple[s.Dim, ...], span: Span, words: str) -> Variation:
    return Variation(exchanged(definition, port.shape, replace(port.shape, dims=dims)), span, words)


# ------------------------------------------------------------------------------------------------ lines
def lines_varied(definition: s.Definition, unit: Unit) -> Iterator[Variation]:
    """Another source; two lines exchanged; a line less; a line without a name more, as it stands elsewhere."""
    yield from _sources(definition)
    suites = list(_suites(definition))
    for body in suites:
        for i in range(len(body) - 1):
            a, b = body[i : i + 2]
            if _is_plain(a) and _is_plain(b):
                new = (*body[:i], b, a, *body[i + 2 :])
                yield Variation(exchanged(definition, body, new), b.span, "with this line above the one before it")
    yield from _moved(definition, suites)
    bare = _bare_lines(unit)
    for body in suites:
        for i, st in enumerate(body):
            if isinstance(st, s.Line) and st.body is None:
                less = (*body[:i], *body[i + 1 :])
                if less:
                    yield Variation(exchanged(definition, body, less), st.span, "without this line")
            for text, line in bare.items():
                if isinstance(st, s.Line | s.Repeat | s.If):
                    more = (*body[: i + 1], line, *body[i + 1 :])
                    yield Variation(exchanged(definition, body, more), _head(st), f"with a line `{text}` below this")
                first = next((k for k, x in enumerate(body) if isinstance(x, s.Line | s.Repeat | s.If)), None)
                if i == first:
                    more = (*body[:i], line, *body[i:])
                    yield Variation(exchanged(definition, body, more), _head(st), f"with a line `{text}` above this")


def _moved(definition: s.Definition, suites: list[Suite]) -> Iterator[Variation]:
    """The line below a body as its last, and the last of a body as the line below it."""
    for body in suites:
        for i, st in enumerate(body):
            if not isinstance(st, s.Line | s.Repeat) or not st.body:
                continue
            rest = body[i + 1 :]
            if rest and _is_plain(rest[0]):
                longer = replace(st, body=(*st.body, rest[0]))
                yield Variation(exchanged(definition, body, (*body[:i], longer, *rest[1:])), rest[0].span,
                                "with this line in the body above it")
            if len(st.body) > 1:
                shorter = replace(st, body=st.body[:-1])
                yield Variation(exchanged(definition, body, (*body[:i], shorter, st.body[-1], *rest)), st.body[-1].span,
                                "with this line below the body that it ends")


def _sources(definition: s.Definition) -> Iterator[Variation]:
    names = [p.name for p, _ in walk(definition) if isinstance(p, s.Port)]
    names += [n.name for label, _ in walk(definition) if isinstance(label, s.Label)
              for n in label.names if isinstance(n, s.Name)]
    for line, _ in walk(definition):
        if not isinstance(line, s.Line):
            continue
        places = list(line.sources or ())
        if isinstance(line.flow, s.Binary):
            places += [line.flow.left, line.flow.right]
        for place in places:
            for name in dict.fromkeys(names):
                if isinstance(place, s.Name) and place.name != name:
                    yield Variation(exchanged(definition, place, replace(place, name=name)), place.span,
                                    f"with `{name}` here")
        if line.sources is None and (line.body is not None or isinstance(line.flow, s.Call | s.Name)):
            for name in dict.fromkeys(names):
                new = replace(line, sources=(s.Name(name, line.span),))
                yield Variation(exchanged(definition, line, new), _head(line), f"with `{name} ->` in front")


def _bare_lines(unit: Unit) -> dict[str, s.Line]:
    """The usual activations; the lines of a file that are an op without a name; and those with one, under the names
    beside it in a count: beside `norm2 = layernorm` may have stood `norm1 = layernorm`."""
    found: dict[str, s.Line] = {}
    for word in ("relu", "gelu", "silu"):
        source = Source("", word)
        span = source.span(0, len(word))
        found[word] = s.Line(None, None, s.Name(word, span), None, None, None, None, span)
    for line, _ in walk(unit.file.definitions):
        if isinstance(line, s.Line) and line.label is not None and line.body is None and line.key is None:
            for name in line.label.names if len(line.label.names) == 1 else ():
                base = name.name.rstrip("0123456789") if isinstance(name, s.Name) else ""
                for other in dict.fromkeys([base, *(f"{base}{n}" for n in (1, 2, 3))] if base else []):
                    label = replace(line.label, names=(s.Name(other, line.span),))
                    text = f"{other} = {line.flow.span.text}"
                    found.setdefault(text, replace(line, label=label, shape=None))
    for line, _ in walk(unit.file.definitions):
        if isinstance(line, s.Line) and line.label is None and line.body is None and line.sources is None:
            plain = replace(line, shape=None)
            found.setdefault(line.flow.span.text, plain)
    return found


def _is_plain(st: s.Stmt) -> bool:
    return isinstance(st, s.Line) and st.body is None


def _suites(definition: s.Definition) -> Iterator[Suite]:
    for node, _ in walk(definition):
        if isinstance(node, s.If):
            yield from (body for _, body in node.branches)
        elif isinstance(node, s.Network | s.Block | s.Line | s.Repeat | s.Scan) and node.body:
            yield node.body


def _head(st: s.Stmt) -> Span:
    """The first line of a statement."""
    end = st.span.source.text.find("\n", st.span.start)
    return Span(st.span.source, st.span.start, min(st.span.end, end if end >= 0 else st.span.end))
