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


_FIELDS: Final[dict[type, tuple[str, ...]]] = {}


def _fields(kind: type) -> tuple[str, ...]:
    """The fields of a class of nodes that may hold nodes."""
    if kind not in _FIELDS:
        names = (f.name for f in fields(kind))
        _FIELDS[kind] = tuple(n for n in names if not n.endswith("span") and n not in ("source", "depth"))
    return _FIELDS[kind]


def _is_node(value: object) -> bool:
    return is_dataclass(value) and not isinstance(value, Source | Span)


def walk(node: Any, around: Around = ()) -> Iterator[tuple[Any, Around]]:
    """A node and every node inside it, in the order of the text, each with the nodes around it."""
    if isinstance(node, tuple):
        for item in node:
            yield from walk(item, around)
    elif _is_node(node):
        yield node, around
        for name in _fields(type(node)):
            yield from walk(getattr(node, name), (*around, node))


def exchanged(tree: Any, old: Any, new: Any) -> Any:
    """`tree` with the node (or tuple of nodes) `old`, by identity, exchanged for `new`; all else is shared."""
    if tree is old:
        return new
    if isinstance(tree, tuple):
        items = tuple(exchanged(item, old, new) for item in tree)
        return items if any(a is not b for a, b in zip(items, tree, strict=True)) else tree
    if not _is_node(tree):
        return tree
    changed = {}
    for name in _fields(type(tree)):
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
