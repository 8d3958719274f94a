"""Where a `?` stands: what it is the number of, and the numbers that the definitions around it name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from ogive.dsl import syntax as s
from ogive.dsl.load import Definition
from ogive.dsl.ops import RECORDS
from ogive.dsl.source import Span

__all__ = ["inside", "numbers_in", "title_of"]


def inside(tree: Any) -> Iterator[Any]:
    """Every node of a tree, from the outside in."""
    todo = [tree]
    while todo:
        at = todo.pop()
        if isinstance(at, tuple):
            todo += reversed(at)
        elif dataclasses.is_dataclass(at) and not isinstance(at, Span):
            yield at
            todo += [getattr(at, f.name) for f in reversed(dataclasses.fields(at)) if f.compare]


def title_of(definition: Definition, span: Span) -> str:
    """What a `?` is the number of: the setting, parameter, column or constant that it stands for, as it is called."""
    files = {id(d.unit): d.unit for d in (definition, *definition.unit.names.values()) if d is not None}
    for unit in files.values():
        if unit.source is span.source:
            named = [name for node in inside(unit.file.definitions) for name in _names(node, span, definition)]
            return named[-1] if named else "?"
    return "?"


def _names(node: Any, span: Span, definition: Definition) -> Iterator[str]:
    match node:
        case s.Call():
            for i, arg in enumerate(node.args):
                if _holds(arg.value, span):
                    yield arg.name or _positional(node.func, i, definition)
        case s.Presets():
            for row in node.rows:
                for column, cell in zip(node.columns, row.cells, strict=False):
                    if _holds(cell, span):
                        yield column.name
        case s.Param() if node.default is not None and _holds(node.default, span):
            yield node.name
        case s.Line() if node.label is not None and node.label.names and isinstance(node.flow, s.Ask):
            if node.flow.span == span:
                yield node.label.names[0].span.text
        case s.Repeat() if _holds(node.count, span):
            yield "repeat"


def _positional(func: s.Expr, place: int, definition: Definition) -> str:
    """The setting at a place of a call."""
    name = func.name if isinstance(func, s.Name) else func.base.name if (
        isinstance(func, s.Attr) and isinstance(func.base, s.Name)
    ) else ""
    known = definition.unit.names.get(name)
    names: list[str] = []
    if known is not None and isinstance(known.node, s.Network | s.Block):
        names = [p.name for p in known.node.params]
    elif name in RECORDS:
        record = RECORDS[name]
        names = [record.spread] if record.spread else list(record.model_fields)
    return names[min(place, len(names) - 1)] if names else "?"


def _holds(node: Any, span: Span) -> bool:
    at = node.span
    return bool(at.source is span.source and at.start <= span.start and span.end <= at.end)


def numbers_in(definition: Definition) -> list[int]:
    """The whole numbers that a file names, in order."""
    return [
        node.value for node in inside(definition.unit.file.definitions)
        if isinstance(node, s.Constant | s.NumberDim) and type(node.value) is int and node.value > 0
    ]
