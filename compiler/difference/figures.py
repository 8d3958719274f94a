"""Parameters and multiply-adds of the parts of two networks, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ogive.compiler.cost import sizes_of
from ogive.compiler.difference.match import Match
from ogive.compiler.difference.scopes import ROOT, Scopes
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.graph import Graph

__all__ = ["Figures", "Part", "figures_of"]

DEEP = 3
"""How many names a path has at most: `blocks.*.attn`."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part, all iterations of a repeat together; figures are None in a network that does not have it."""

    before: str | None
    after: str | None
    params: tuple[int | None, int | None]
    macs: tuple[int | None, int | None]

    @property
    def differs(self) -> bool:
        return self.params[0] != self.params[1] or self.macs[0] != self.macs[1]

    @property
    def path(self) -> str:
        return self.after or self.before or ""

    def as_json(self) -> dict[str, Any]:
        return {"before": self.before, "after": self.after, "params": list(self.params), "macs": list(self.macs)}


@dataclass(frozen=True, slots=True)
class Figures:
    """`whole` is the network, `parts` those of its parts, outer ones before what is in them.

    `sizes` are those that multiply-adds are taken at; `reason` says why there are none, where there are none.
    """

    whole: Part
    parts: tuple[Part, ...]
    sizes: tuple[Mapping[str, int], Mapping[str, int]]
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "params": list(self.whole.params), "macs": list(self.whole.macs),
            "sizes": [dict(sizes) for sizes in self.sizes], "reason": self.reason,
            "parts": [part.as_json() for part in self.parts],
        }


def figures_of(found: Match, sizes: Mapping[str, int] | None = None) -> Figures:
    """The figures of two networks, at `sizes` where their multiply-adds depend on them.

    Where a size is missing and has no default, there are no multiply-adds, and `reason` says which it is.

    Raises:
        ArchError: A802, one of the `sizes` belongs to neither network.
    """
    a, b = found.before.graph, found.after.graph
    known = {*a.free, *b.free}
    given = dict(sizes or {})
    for name in given:
        if name not in known:
            sizes_of(b, given)  # says so
    mine, reason = _sizes(a, {k: v for k, v in given.items() if k in a.free})
    other, more = _sizes(b, {k: v for k, v in given.items() if k in b.free})
    reason = reason or more
    left, right = _Sums(found.before, mine), _Sums(found.after, other)
    whole = _part(None, None, left, right, "", "", reason)
    parts = []
    twins = _twins(found)
    for path in right.params:
        if path:
            parts.append(_part(twins.get(path), path, left, right, twins.get(path, "-"), path, reason))
    used = set(twins.values())
    for path in left.params:
        if path and path not in used:
            parts.append(_part(path, None, left, right, path, "-", reason))
    return Figures(whole, tuple(p for p in parts if any(p.params) or any(p.macs)), (mine or {}, other or {}), reason)


def _sizes(graph: Graph, given: Mapping[str, int]) -> tuple[Mapping[str, int] | None, str]:
    try:
        found = sizes_of(graph, given)
        for node in graph:
            graph.cost(node, found)
    except ArchError as error:
        if given:
            raise
        return None, error.diagnostics[0].title
    return found, ""


class _Sums:
    """What each path with stars comes to."""

    def __init__(self, scopes: Scopes, sizes: Mapping[str, int] | None) -> None:
        graph = scopes.graph
        owned: dict[str, int] = {}
        for p in graph.parameters.values():
            if not p.weight.buffer and p.tied is None:
                owned[p.node] = owned.get(p.node, 0) + p.numel
        self.params: dict[str, int] = {"": graph.parameter_count}
        self.macs: dict[str, int] = {"": 0}
        for node in graph:
            macs = 0 if sizes is None else graph.cost(node, sizes)
            self.macs[""] += macs
            for path in _paths(scopes, node.id):
                self.params[path] = self.params.get(path, 0) + owned.get(node.id, 0)
                self.macs[path] = self.macs.get(path, 0) + macs


def _paths(scopes: Scopes, node: str) -> list[str]:
    """The parts that a node counts in: those around it, not too deep; itself where it stands in no other."""
    at = scopes.scope[node]
    if at == ROOT:
        return [scopes.starred(node).text]
    found = []
    while at != ROOT:
        scope = scopes.of[at]
        if not scope.is_iteration and len(scope.starred.text.split(".")) <= DEEP:
            found.append(scope.starred.text)
        at = scope.parent
    return found[::-1]


def _twins(found: Match) -> dict[str, str]:
    """The path in the first network of each path in the second."""
    twins = {}
    for old, new in found.scopes.items():
        twins[found.after.of[new].starred.text] = found.before.of[old].starred.text
    for old, new in found.nodes.items():
        if found.before.scope[old] == found.after.scope[new] == ROOT:
            twins[found.after.starred(new).text] = found.before.starred(old).text
    return twins


def _part(
    before: str | None, after: str | None, left: _Sums, right: _Sums, a: str, b: str, reason: str
) -> Part:
    macs = (None, None) if reason else (left.macs.get(a), right.macs.get(b))
    return Part(before, after, (left.params.get(a), right.params.get(b)), macs)
