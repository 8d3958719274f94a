"""The parts of a graph by their path: what stands in each, in the order it runs, and where an index stands in a path.

A residual, gate or append adds nothing to a path, so what is in it belongs to the part around it: a line that is
wrapped in one stays where it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any, TypeAlias

from ogive.dsl.graph import Graph, Node

__all__ = ["ROOT", "Index", "Scope", "Scopes", "Starred", "labels"]

ROOT = ""
Index: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, order=True, slots=True)
class Starred:
    """A path with a star for each index of a repeat, and these indices: `blocks.*.norm1`, (3,)."""

    text: str
    index: Index = ()

    def __str__(self) -> str:
        numbers = iter(self.index)
        return ".".join(str(next(numbers)) if part == "*" else part for part in self.text.split("."))


@dataclass(slots=True)
class Scope:
    """One part. `items` are ids of nodes and, in a tuple, paths of parts; `name` is its name in the part around it."""

    path: str
    name: str
    parent: str
    starred: Starred
    title: str = ""
    items: list[str | tuple[str]] = field(default_factory=list)

    @property
    def is_iteration(self) -> bool:
        return self.starred.text.rpartition(".")[2] == "*"


class Scopes:
    """All parts of a graph, outer ones first, and the part of each node."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.of: dict[str, Scope] = {ROOT: Scope(ROOT, "", "", Starred(""))}
        self.scope: dict[str, str] = {}
        for node in graph:
            self.scope[node.id] = self._around(node)
            self.of[self.scope[node.id]].items.append(node.id)

    def _around(self, node: Node) -> str:
        at = ROOT
        for region in self.graph.region_chain(node):
            if not region.path:
                continue
            if region.path not in self.of:
                name = region.path[len(at) + 1 :] if at and region.path.startswith(at + ".") else region.path
                index = self.of[at].starred.index
                if region.kind == "iteration" and region.index is not None and name == str(region.index):
                    star = Starred(_join(self.of[at].starred.text, "*"), (*index, region.index))
                else:
                    star = Starred(_join(self.of[at].starred.text, name), index)
                self.of[region.path] = Scope(region.path, name, at, star)
                self.of[at].items.append((region.path,))
            at = region.path
            if region.kind == "block":
                self.of[at].title = region.title
        return at

    def local(self, node: str) -> str:
        """The id of a node within its part: `relu_2`, `0`."""
        path = self.scope[node]
        return node[len(path) + 1 :] if path and node.startswith(path + ".") else node

    def starred(self, node: str) -> Starred:
        """The path of a node with its indices apart."""
        at = self.of[self.scope[node]].starred
        return Starred(_join(at.text, self.local(node)), at.index)

    @cached_property
    def indices(self) -> Mapping[str, frozenset[Index]]:
        """Every index that a path with stars has."""
        found: dict[str, set[Index]] = {}
        for scope in self.of.values():
            found.setdefault(scope.starred.text, set()).add(scope.starred.index)
        return {text: frozenset(all_of_them) for text, all_of_them in found.items()}

    def inside(self, path: str) -> list[str]:
        """Every node of a part and of the parts in it."""
        found: list[str] = []
        for item in self.of[path].items:
            found += [item] if isinstance(item, str) else self.inside(item[0])
        return found

    def look(self, path: str) -> tuple[Counter[Any], Counter[Any]]:
        """What a part is made of, twice: ops by their names in it, and ops by the shapes of their weights."""
        named: Counter[Any] = Counter()
        plain: Counter[Any] = Counter()
        for name in self.inside(path):
            node = self.graph.nodes[name]
            around = self.scope[name][len(path) :]
            named[around, node.name, node.op] += 1
            plain[node.op, tuple(w.shape for w in node.own)] += 1
        return named, plain

    def labels(self, text: str, found: Iterable[Index]) -> list[str]:
        """`labels` of a path of this network."""
        parts = text.split(".")
        around = ".".join(parts[: len(parts) - parts[::-1].index("*")]) if "*" in parts else text
        return labels(text, found, self.indices.get(around, frozenset()))


def labels(text: str, found: Iterable[Index], known: frozenset[Index]) -> list[str]:
    """A path with stars and some indices in few words: `blocks.*.norm1` where they are all that are `known`, else
    `blocks.{0..3, 7}.norm1`."""
    parts = text.split(".")
    if "*" not in parts:
        return [text]
    chosen = set(found)
    if len(chosen) == 1:
        return [str(Starred(text, *chosen))]
    if chosen == known:
        return [text]
    sets = [sorted({index[i] for index in chosen}) for i in range(parts.count("*"))]
    if set(product(*sets)) & (set(known) | chosen) == chosen:
        universe = [sorted({index[i] for index in known}) for i in range(len(sets))]
        words = iter("*" if few == every else _range(few) for few, every in zip(sets, universe, strict=True))
        return [".".join(next(words) if part == "*" else part for part in parts)]
    groups: dict[frozenset[Index], list[int]] = {}
    for first in sets[0]:
        groups.setdefault(frozenset(i[1:] for i in chosen if i[0] == first), []).append(first)
    if len(groups) == 1:
        return [str(Starred(text, index)) for index in sorted(chosen)]
    return [
        label for rest, firsts in groups.items()
        for label in labels(text, [(first, *index) for first in firsts for index in rest], known)
    ]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _range(numbers: list[int]) -> str:
    """`3`, `{0..3}`, `{0..3, 7}`."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    words = [str(r[0]) if len(r) == 1 else f"{r[0]}..{r[-1]}" if len(r) > 2 else f"{r[0]}, {r[1]}" for r in runs]
    return words[0] if len(numbers) == 1 else "{" + ", ".join(words) + "}"
