"""Walking a tree of syntax: every node with those around it, and a tree with one node exchanged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, TypeAlias

from ogive.dsl import syntax as s
from ogive.dsl.source import Source, Span

__all__ = ["Around", "exchanged", "names_read", "walk"]

Around: TypeAlias = tuple[Any, ...]
"""The nodes around a node, outermost first."""


_FIELDS: Final[dict[type, tuple[str, ...] | None]] = {}


def _fields(kind: type) -> tuple[str, ...] | None:
    """The fields of a class of nodes that may hold nodes, the last first; None where it is no class of nodes."""
    if kind not in _FIELDS:
        found = None
        if is_dataclass(kind) and not issubclass(kind, Source | Span):
            names = (f.name for f in fields(kind))
            found = tuple([n for n in names if not n.endswith("span") and n not in ("source", "depth")])[::-1]
        _FIELDS[kind] = found
    return _FIELDS[kind]


def walk(node: Any, around: Around = ()) -> Iterator[tuple[Any, Around]]:
    """A node and every node inside it, in the order of the text, each with the nodes around it."""
    todo: list[tuple[Any, Around]] = [(node, around)]
    while todo:
        node, around = todo.pop()
        if isinstance(node, tuple):
            todo += [(item, around) for item in reversed(node)]
        elif (names := _fields(type(node))) is not None:
            yield node, around
            inner = (*around, node)
            todo += [(x, inner) for name in names if (x := getattr(node, name)) is not None and type(x) is not str]


def exchanged(tree: Any, old: Any, new: Any) -> Any:
    """`tree` with the node (or tuple of nodes) `old`, by identity, exchanged for `new`; all else is shared."""
    if tree is old:
        return new
    if isinstance(tree, tuple):
        items = tuple(exchanged(item, old, new) for item in tree)
        return items if any(a is not b for a, b in zip(items, tree, strict=True)) else tree
    changed = {}
    for name in _fields(type(tree)) or ():
        value = getattr(tree, name)
        other = exchanged(value, old, new)
        if other is not value:
            changed[name] = other
    return replace(tree, **changed) if changed else tree


def names_read(node: Any) -> Iterator[tuple[str, Span]]:
    """Every name that stands in a node, as a value, an op or a size, with its place."""
    for inner, _ in walk(node):
        if isinstance(inner, s.Name | s.Made | s.NameDim | s.ItemDim):
            yield inner.name, inner.span
        if isinstance(inner, s.ItemDim) and isinstance(inner.index, str):
            yield inner.index, inner.span
