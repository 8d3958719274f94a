"""Definitions with a setting, a cell or an input otherwise, as they are easily written by accident."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin

from ogive.dsl import syntax as s
from ogive.dsl.ops import RECORDS
from ogive.dsl.ops.record import Size
from ogive.dsl.predicted import Effect, More, Other, Set
from ogive.dsl.source import Source, Span
from ogive.dsl.trees import Around, exchanged, names_read, walk

__all__ = [
    "Direct", "Number", "Variation", "cells_beside", "cells_varied", "inputs_turned", "inputs_varied", "names_of",
    "numbers", "settings_fewer", "settings_guessed", "settings_varied", "variation",
]

INITS: Final = ("torch", "trunc_normal", "kaiming", "kaiming_in", "xavier", "lecun", "zeros", "ones", "normal")
"""Ways to start a weight."""

FLOATS: Final = (1, 0.1, 0.01, 0.02, 0.2, 0.5, 0)
"""Numbers that settings which may be broken ones often have."""

SHAPELESS: Final = ("init", "std", "bias", "eps", "momentum", "trainable", "scale")
"""Settings that move no shape."""

Direct: TypeAlias = Callable[[int], Effect | None]
"""What becomes of the ops with another number as a setting."""


@dataclass(frozen=True)
class Variation:
    """A changed definition: where, in words that stand in front of "every figure holds", and what becomes of the ops
    by it, where that can be told."""

    make: Callable[[], s.Definition]
    span: Span
    words: str
    effect: Effect | None = None
    reads: str = ""
    """The name that a line reads then, and did not."""

    @property
    def shapeless(self) -> bool:
        """Whether this is of a setting that moves no shape, or of an op that leaves its input's."""
        if isinstance(self.effect, Set):
            return self.effect.setting in SHAPELESS
        if not isinstance(self.effect, More):
            return False
        flow = self.effect.line.flow
        name = flow.func if isinstance(flow, s.Call) else flow
        record = RECORDS.get(name.name) if isinstance(name, s.Name) else None
        return record is not None and record.family in ("activation", "norm", "regularise")


def variation(
    definition: s.Definition, old: Any, new: Any, span: Span, words: str, effect: Effect | None = None
) -> Variation:
    """The definition with `old`, a node or a suite in it, exchanged for `new`; made when it is asked for."""
    return Variation(lambda: exchanged(definition, old, new), span, words, effect)


@dataclass(frozen=True)
class Number:
    """A whole number that stands in a definition: of which preset it is; what becomes of the ops with another one, for
    a setting of a line's op; whether something is compared to it, and whether a name is made with it."""

    node: s.Constant
    preset: str | None
    effect: Direct | None
    compared: bool
    named: bool


def numbers(definition: s.Definition) -> Iterator[Number]:
    """The whole numbers that stand in a definition, its `expect` tables left out."""
    for value, around in walk(definition):
        inside = any(isinstance(a, s.Expect | s.Budget | s.Shape) for a in around)
        if isinstance(value, s.Constant) and type(value.value) is int and not inside:
            preset = next((a.name for a in around if isinstance(a, s.Row)), None)
            named = any(isinstance(a, s.Made) for a in around)
            yield Number(value, preset, _of_number(value, around), isinstance(around[-1], s.Compare), named)


def _of_number(value: s.Constant, around: Around) -> Direct | None:
    return None if _of_argument(value, value, around) is None else lambda n: _of_argument(
        value, replace(value, value=n), around)


# ------------------------------------------------------------------------------------------------ settings
def settings_varied(definition: s.Definition, known: Sequence[s.Definition]) -> Iterator[Variation]:
    """Settings of lines: one that other lines give to the same op, another value of theirs; kernels."""
    sizes, names = _sizes(known), names_of(definition)
    said = {op: {text: arg for text, arg in args.items() if {n for n, _ in names_read(arg)} <= names}
            for op, args in _settings_said(known).items()}
    placed = _places_said(known)
    for call, around in walk(definition):
        if not any(isinstance(a, s.Line) for a in around):
            continue
        if isinstance(call, s.Call) and isinstance(call.func, s.Name):
            yield from _call_varied(definition, call, said.get(call.func.name, {}))
            at = next((i for i, arg in enumerate(call.args) if arg.name is not None), len(call.args))
            for arg in placed.get((call.func.name, at), {}).values():
                longer = replace(call, args=(*call.args[:at], arg, *call.args[at:]))
                effect = Set(call, at, arg.value)
                yield variation(definition, call, longer, call.span, f"with `{arg.span.text}` here", effect)
        elif isinstance(call, s.Name) and _is_op(call, around):
            for arg in said.get(call.name, {}).values():
                yield _exchange(definition, call, s.Call(call, (arg,), call.span), arg)
        elif isinstance(call, s.SizeExpr):
            for size in sizes:
                if size != call.values:
                    new = replace(call, values=size)
                    words = f"with `{'x'.join(map(str, size))}` here"
                    yield variation(definition, call, new, call.span, words, _of_argument(call, new, around))


def settings_fewer(definition: s.Definition) -> Iterator[Variation]:
    """A call with one setting less: one with a name, or the last of an op."""
    for call, around in walk(definition):
        if not isinstance(call, s.Call) or not isinstance(call.func, s.Name) or not any(
            isinstance(a, s.Line) for a in around
        ):
            continue
        for i, arg in enumerate(call.args):
            if arg.name is not None or (i + 1 == len(call.args) and call.func.name in RECORDS):
                less = replace(call, args=tuple(a for a in call.args if a is not arg))
                effect = Set(call, i if arg.name is None else arg.name, None)
                yield variation(definition, call, less, arg.span, f"without `{arg.span.text}`", effect)


def settings_guessed(definition: s.Definition, known: Sequence[s.Definition]) -> Iterator[Variation]:
    """Another op of the family, and settings that no line says: those that are easily forgotten."""
    said = _settings_said(known)
    for call, around in walk(definition):
        if not any(isinstance(a, s.Line) for a in around):
            continue
        if isinstance(call, s.Name) and (_is_op(call, around) or isinstance(around[-1], s.Call)):
            yield from _ops_varied(definition, call, around)
        op = call.func if isinstance(call, s.Call) else call
        if isinstance(op, s.Name) and (isinstance(call, s.Call) or _is_op(op, around)):
            args = call.args if isinstance(call, s.Call) else ()
            for arg in _alike(op.name, said.get(op.name, {})):
                if all(a.name != arg.name for a in args):
                    yield _exchange(definition, call, s.Call(op, (*args, arg), call.span), arg)
        if isinstance(call, s.Call) and isinstance(call.func, s.Name):
            given = {a.name for a in call.args}
            for arg in _settings_of(call.func.name, known):
                if arg.name not in given:
                    yield _exchange(definition, call, replace(call, args=(*call.args, arg)), arg)
        elif isinstance(call, s.Name) and _is_op(call, around):
            for arg in _settings_of(call.name, known):
                yield _exchange(definition, call, s.Call(call, (arg,), call.span), arg)


def cells_beside(definition: s.Definition, presets: Container[str]) -> Iterator[tuple[s.Constant, list[int]]]:
    """The numbers of some presets, each with those that other rows have in its place, where they are others."""
    for row, around in walk(definition):
        if not isinstance(row, s.Row) or not isinstance(around[-1], s.Presets) or row.name not in presets:
            continue
        others = [_places(other) for other in around[-1].rows if other is not row]
        for place, cell in _places(row).items():
            found = [x[place].value for x in others if place in x]
            values = [n for n in dict.fromkeys(found) if type(n) is int and n != cell.value]
            if values:
                yield cell, values


def _places(row: s.Row) -> dict[tuple[int, int], s.Constant]:
    """The whole numbers of a row by their cell, and by their place in it where that is a list."""
    found: dict[tuple[int, int], s.Constant] = {}
    for at, cell in enumerate(row.cells):
        for i, item in enumerate(cell.items if isinstance(cell, s.ListExpr) else (cell,)):
            if isinstance(item, s.Constant) and type(item.value) is int:
                found[at, i] = item
    return found


def cells_varied(definition: s.Definition, presets: Container[str]) -> Iterator[Variation]:
    """What the other rows of a table have in a column, for the cells of some presets that are names or lists."""
    for row, around in walk(definition):
        if not isinstance(row, s.Row) or not isinstance(around[-1], s.Presets) or row.name not in presets:
            continue
        for at, cell in enumerate(row.cells):
            others = [other.cells[at] for other in around[-1].rows if at < len(other.cells)]
            for new in {x.span.text: x for x in others if isinstance(x, s.Name | s.ListExpr) and x != cell}.values():
                if type(new) is type(cell):
                    yield variation(definition, cell, new, cell.span, f"with `{new.span.text}` here")


def _ops_varied(definition: s.Definition, name: s.Name, around: Around) -> Iterator[Variation]:
    """Another activation, another norm: the ops of one family."""
    record = RECORDS.get(name.name)
    if record is not None and record.family in ("activation", "norm", "pool"):
        for other, found in RECORDS.items():
            if found.family == record.family and other != name.name:
                new = replace(name, name=other)
                effect = Other(name, other) if _is_op(name, around) else None
                yield variation(definition, name, new, name.span, f"with `{other}` here", effect)


def _call_varied(definition: s.Definition, call: s.Call, said: dict[str, s.Arg]) -> Iterator[Variation]:
    given = {a.name for a in call.args}
    for text, arg in said.items():
        if arg.name not in given:
            yield _exchange(definition, call, replace(call, args=(*call.args, arg)), arg)
        else:
            mine = next(a for a in call.args if a.name == arg.name)
            if mine.span.text != text and arg.name is not None:
                new = replace(call, args=tuple(arg if a is mine else a for a in call.args))
                effect = Set(call, arg.name, arg.value)
                yield variation(definition, call, new, mine.span, f"with `{text}` here", effect)
    for i, arg in enumerate(call.args):
        if isinstance(arg.value, s.Constant) and isinstance(arg.value.value, bool):
            other = replace(arg, value=replace(arg.value, value=not arg.value.value))
            new = replace(call, args=tuple(other if a is arg else a for a in call.args))
            effect = Set(call, i if arg.name is None else arg.name, other.value)
            yield variation(definition, call, new, arg.value.span, f"with `{not arg.value.value}` here", effect)


def _exchange(definition: s.Definition, old: s.Expr, new: s.Call, arg: s.Arg) -> Variation:
    effect = Set(old, arg.name, arg.value) if arg.name is not None else None
    return variation(definition, old, new, old.span, f"with `{arg.span.text}` here", effect)


def _of_argument(old: s.Expr, new: s.Expr, around: Around) -> Effect | None:
    """What becomes of the ops where an argument of a line's op is another one."""
    call = around[-2] if around and isinstance(around[-1], s.Arg) else None
    if not isinstance(call, s.Call) or around[-1].value is not old:
        return None
    at = next(i for i, arg in enumerate(call.args) if arg is around[-1])
    return Set(call, around[-1].name or at, new)


def _alike(op: str, said: dict[str, s.Arg]) -> Iterator[s.Arg]:
    """What lines say to a primitive under one name, under others that take the same: `rows` for `cols`."""
    fields = RECORDS[op].model_fields if op in RECORDS else {}
    for arg in said.values():
        kind = fields[arg.name].annotation if arg.name in fields else None
        if isinstance(arg.value, s.ListExpr):  # what is shorter is guessed by its type
            for name, field in fields.items():
                if name != arg.name and kind is not None and field.annotation == kind:
                    yield _argument(name, arg.value.span.text, arg.value)


def _settings_of(op: str, known: Sequence[s.Definition]) -> Iterator[s.Arg]:
    """Settings that are easily forgotten: of a primitive, its switches turned, its small numbers and ways to start; of
    a block, a value of the same name from around it."""
    block = next((d for d in known if d.name == op), None)
    if isinstance(block, s.Block | s.Network):
        for param in block.params:
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
        elif get_origin(field.annotation) is Literal:
            values = [word for word in get_args(field.annotation) if word != field.default]
        elif name == "init":
            values = [word for word in INITS if word != field.default]
        elif name in ("pad", "padding"):
            values = [0, 1, 2, 3]
        elif "float" in str(field.annotation):
            values = [number for number in FLOATS if number != field.default]
        if "Primitive" in str(field.annotation):
            for norm in ("layernorm", "batchnorm"):
                yield _argument(name, norm, s.Name(norm, span))
        for value in values:
            yield _argument(name, f'"{value}"' if isinstance(value, str) else str(value), s.Constant(value, span))


def _argument(name: str, text: str, value: s.Expr) -> s.Arg:
    """An argument that stands nowhere: its own little text."""
    source = Source("", f"{name}={text}")
    return s.Arg(name, value, source.span(0, len(source.text)))


def _is_op(name: s.Name, around: Around) -> bool:
    return isinstance(around[-1], s.Line) and around[-1].flow is name


def _settings_said(known: Sequence[s.Definition]) -> dict[str, dict[str, s.Arg]]:
    """What the lines of some definitions say to each op by name: its settings by their text."""
    found: dict[str, dict[str, s.Arg]] = {}
    for call, _ in walk(tuple(known)):
        if isinstance(call, s.Call) and isinstance(call.func, s.Name):
            for arg in call.args:
                if arg.name is not None:
                    found.setdefault(call.func.name, {})[arg.span.text] = arg
    return found


def _places_said(known: Sequence[s.Definition]) -> dict[tuple[str, int], dict[str, s.Arg]]:
    """The sizes that lines of some definitions give to each op by place, `1x1` in `conv(64, 1x1)`, by their text."""
    found: dict[tuple[str, int], dict[str, s.Arg]] = {}
    for call, _ in walk(tuple(known)):
        if isinstance(call, s.Call) and isinstance(call.func, s.Name):
            for at, arg in enumerate(call.args):
                if arg.name is None and isinstance(arg.value, s.SizeExpr):
                    found.setdefault((call.func.name, at), {})[arg.span.text] = arg
    return found


def names_of(definition: s.Definition) -> set[str]:
    """The names that the lines of a definition may read, ops among them."""
    found = set(RECORDS)
    for node, _ in walk(definition):
        if isinstance(node, s.Param | s.Port | s.NameDim | s.Carry | s.Shared):
            found.add(node.name)
        elif isinstance(node, s.Label):
            found |= {name.name for name in node.names if isinstance(name, s.Name)}
        elif isinstance(node, s.Index):
            found |= set(node.names)
    return found


def _sizes(known: Sequence[s.Definition]) -> list[tuple[int, ...]]:
    """The sizes of some definitions, and the usual ones."""
    found = [node.values for node, _ in walk(tuple(known)) if isinstance(node, s.SizeExpr)]
    return list(dict.fromkeys([*found, (1, 1), (2, 2), (3, 3), (5, 5), (7, 7)]))


# ------------------------------------------------------------------------------------------------ inputs
def inputs_varied(definition: s.Definition, broken: bool) -> Iterator[Variation]:
    """The shape of an input of a network with another number; of any input, where it is `broken`, with an axis more."""
    for port, _ in walk(definition):
        if not isinstance(port, s.Port):
            continue
        dims, span = port.shape.dims, port.shape.span
        for dim in dims:
            if isinstance(dim, s.NumberDim) and isinstance(definition, s.Network):
                for number in (1, 3, 4):
                    if number != dim.value:
                        other = replace(dim, value=number)
                        yield variation(definition, dim, other, dim.span, f"with `{number}` here")
        if not broken or not isinstance(definition, s.Network):  # the input of a block promises, and makes nothing
            continue
        more: list[s.Dim] = [s.NameDim(letter, span) for letter in "BCNHW"]
        more += [s.NumberDim(number, span) for number in (1, 3)]
        more += [s.NameDim(p.name, span) for p in definition.params]
        for i in range(len(dims) + 1):
            for dim in more:
                text = dim.name if isinstance(dim, s.NameDim) else getattr(dim, "value", "")
                yield _input(definition, port, (*dims[:i], dim, *dims[i:]), span, f"with an axis `{text}` more here")


def inputs_turned(definition: s.Definition) -> Iterator[Variation]:
    """The shape of an input with two axes exchanged."""
    for port, _ in walk(definition):
        if isinstance(port, s.Port):
            dims = port.shape.dims
            for i, (dim, after) in enumerate(pairwise(dims)):
                turned = (*dims[:i], after, dim, *dims[i + 2 :])
                words = f"with `{dim.span.text}` behind the axis after it"
                yield _input(definition, port, turned, port.shape.span, words)


def _input(definition: s.Definition, port: s.Port, dims: tuple[s.Dim, ...], span: Span, words: str) -> Variation:
    return variation(definition, port.shape, replace(port.shape, dims=dims), span, words)
