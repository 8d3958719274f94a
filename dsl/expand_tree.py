"""What an expanded network is laid out as: nodes, scopes that open a key, and containers, in the order they run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ogive.dsl.containers import CONTAINERS
from ogive.dsl.graph import Graph, Node, Region
from ogive.dsl.ops.loop import Scan as ScanRecord

__all__ = ["Container", "Entry", "Leaf", "Loop", "Place", "Scope", "flat", "laid_out", "nodes_in"]


@dataclass(eq=False, slots=True)
class Leaf:
    """A node on a line of its own."""

    node: Node
    label: str = ""


@dataclass(eq=False, slots=True)
class Scope:
    """A scope that opens the key `path`."""

    path: str
    title: str
    inside: list[Entry] = field(default_factory=list)
    label: str = ""


@dataclass(eq=False, slots=True)
class Container:
    """`residual:`, `gate:`, `append:`, and the node that joins what went in with what came out."""

    word: str
    join: Node
    inside: list[Entry] = field(default_factory=list)
    label: str = ""


@dataclass(eq=False, slots=True)
class Loop(Scope):
    """The body of a `scan`. It opens a key, its name, or none: then `path` is that of the scope around it."""

    node: Node = field(kw_only=True)
    record: ScanRecord = field(kw_only=True)
    opens: str = ""
    """The key that it opens, "" for none."""

    @property
    def items(self) -> list[Leaf]:
        """What stands for one position of each sequence."""
        return [x for name in self.record.items for x in self._ends(name)]

    @property
    def states(self) -> list[Leaf]:
        """What stands for the carried values."""
        return [x for name in self.record.states for x in self._ends(name)]

    def _ends(self, name: str) -> list[Leaf]:
        return [x for x in self.inside if isinstance(x, Leaf) and x.node.id == name]


Entry = Leaf | Scope | Container
Place = tuple[Scope, ...]
"""The scopes around a line, from the outside in."""


def flat(entries: list[Entry]) -> Iterator[Entry]:
    """The entries of one scope: containers open none."""
    for entry in entries:
        yield entry
        if isinstance(entry, Container):
            yield from flat(entry.inside)


def nodes_in(entry: Entry) -> Iterator[Node]:
    """All nodes of an entry."""
    match entry:
        case Leaf():
            yield entry.node
        case Container():
            yield entry.join
        case Loop():
            yield entry.node
    if not isinstance(entry, Leaf):
        for inner in entry.inside:
            yield from nodes_in(inner)


def laid_out(graph: Graph) -> Scope:
    """The nodes of a graph in scopes. A key that is opened a second time (a shared block) opens no scope again."""
    return _Layout(graph).tree()


class _Layout:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.regions = graph.regions
        runs = Counter(node.key for node in graph if node.key)
        self.keys = set(runs)
        self.once = {key for key, count in runs.items() if count == 1}
        self.inside: dict[int, list[Node]] = {}
        for node in graph:
            for region in graph.region_chain(node):
                self.inside.setdefault(region.id, []).append(node)
        self.opened: set[str] = set()

    def tree(self) -> Scope:
        root = Scope("", "")
        stack: list[tuple[Region | None, Scope | Container]] = [(None, root)]
        joins = self._joins()
        self.scans = {n.primitive.body: n for n in self.graph if isinstance(n.primitive, ScanRecord)}
        ended = {join.id for join in (*joins.values(), *self.scans.values())}
        for node in self.graph:
            if node.primitive is None:
                continue
            chain = {region.id for region in self.graph.region_chain(node)}
            while stack[-1][0] is not None and stack[-1][0].id not in chain:
                stack.pop()
            known = {region.id for region, _ in stack if region is not None}
            for region in self.graph.region_chain(node):
                if region.id not in known:
                    self._open(region, stack, joins)
            if node.id not in ended:
                stack[-1][1].inside.append(Leaf(node))
        return root

    def _open(
        self, region: Region, stack: list[tuple[Region | None, Scope | Container]], joins: Mapping[int, Node]
    ) -> None:
        at = stack[-1][1].inside
        if region.id in joins:
            made: Scope | Container = Container(region.kind, joins[region.id])
        elif region.id in self.scans:
            made = self._loop(region, stack)
        elif self._opens(region, stack):
            self.opened.add(region.path)
            made = Scope(region.path, region.title or region.name)
        else:
            return
        at.append(made)
        stack.append((region, made))

    def _loop(self, region: Region, stack: list[tuple[Region | None, Scope | Container]]) -> Loop:
        around = _path_of(stack)
        node = self.scans[region.id]
        own = region.path == (f"{around}.{region.name}" if around else region.name) and region.path not in self.opened
        opens = region.path if region.name and own and region.path not in self.keys else ""
        self.opened |= {opens} - {""}
        assert isinstance(node.primitive, ScanRecord)
        return Loop(opens or around, region.name, node=node, record=node.primitive, opens=opens)

    def _opens(self, region: Region, stack: list[tuple[Region | None, Scope | Container]]) -> bool:
        """Whether a region becomes a scope: it has a key of its own, not opened yet, under the scope around it."""
        around = _path_of(stack)
        under = region.path.startswith(around + ".") if around else bool(region.path)
        fresh = region.path not in self.opened and region.path not in self.keys
        weighted = any(
            n.key in self.once and n.key.startswith(region.path + ".") for n in self.inside[region.id]
        )
        return region.kind in ("block", "scope", "iteration") and under and fresh and weighted

    def _joins(self) -> dict[int, Node]:
        """Containers that can be written as such, by their region: the last node joins x and f(x)."""
        found: dict[int, Node] = {}
        for region in self.regions:
            nodes = self.inside.get(region.id, [])
            if region.kind not in CONTAINERS or len(nodes) < 2:
                continue
            last, own = nodes[-1], {n.id for n in nodes[:-1]}
            plain = last.op == CONTAINERS[region.kind] and last.region == region.id and len(last.inputs) == 2
            if plain and not (last.primitive and last.primitive.settings()) and last.inputs[0].node not in own:
                found[region.id] = last
        return found


def _path_of(stack: list[tuple[Region | None, Scope | Container]]) -> str:
    return next((x.path for _, x in reversed(stack) if isinstance(x, Scope)), "")
