"""Which node of one network is which of the other: by path first, then by what is built alike and wired alike.

1. Parts with one path are one; of the others, those that are built alike (`Scopes.look`), so that a part that was
   renamed or moved is found again.
2. Within two parts that are one, the lines are aligned in their order (Needleman and Wunsch 1970): equal names weigh
   most, then equal ops with equal settings and weights. Lines without a name have nothing else to be known by.
3. What is left is one where it has one name in one part, or the same op on the same inputs or for the same readers.

Two graphs are always compared in one order, whichever is given first, so that A to B mirrors B to A.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

from ogive.compiler.difference.scopes import ROOT, Scopes
from ogive.dsl.digest import digest, text_of
from ogive.dsl.graph import Edge, Graph, Node

__all__ = ["Match", "match"]

ALIKE: Final = 0.5
"""The share of two parts that must be equal for one to be the other under another name."""

MOST: Final = 1_000_000
"""Pairs of lines that are weighed for one alignment; longer parts are compared by equal lines alone."""


@dataclass(frozen=True, eq=False)
class Match:
    """`nodes` and `scopes` go from the first network to the second; what is in neither stands alone."""

    before: Scopes
    after: Scopes
    nodes: Mapping[str, str]
    scopes: Mapping[str, str]

    @property
    def back(self) -> dict[str, str]:
        """From the second to the first."""
        return {b: a for a, b in self.nodes.items()}


def match(before: Graph, after: Graph) -> Match:
    """Match the nodes and parts of two graphs."""
    if _rank(before) <= _rank(after):
        found = _Matcher(Scopes(before), Scopes(after))
        return Match(found.a, found.b, found.nodes, found.scopes)
    found = _Matcher(Scopes(after), Scopes(before))
    return Match(
        found.b, found.a, {b: a for a, b in found.nodes.items()}, {b: a for a, b in found.scopes.items()}
    )


def _rank(graph: Graph) -> tuple[int, str, list[str]]:
    return len(graph), digest(graph), list(graph.nodes)


class _Matcher:
    def __init__(self, a: Scopes, b: Scopes) -> None:
        self.a, self.b = a, b
        self.nodes: dict[str, str] = {}
        self.taken: set[str] = set()
        self.scopes: dict[str, str] = {ROOT: ROOT}
        self.texts: dict[int, str] = {}
        self._find_scopes()
        for left, right in list(self.scopes.items()):
            self._align(left, right)
        for left, right in list(self.scopes.items()):
            self._by_name(left, right)
        self._by_wiring()
        self._by_weights()

    def _pair(self, a: str, b: str) -> None:
        self.nodes[a] = b
        self.taken.add(b)

    # ------------------------------------------------------------------------------------------------------- parts

    def _find_scopes(self) -> None:
        taken = {ROOT}
        for path in self.a.of:
            if path in self.b.of:
                self.scopes[path] = path
                taken.add(path)
        looks: dict[str, tuple[Counter[Any], Counter[Any]]] = {}
        for path, scope in self.a.of.items():  # outer ones first
            if path in self.scopes:
                continue
            parent = self.scopes.get(scope.parent)
            free = [p for p in self.b.of if p not in taken]
            own = [p for p in free if parent is not None and self.b.of[p].parent == parent]
            same = next((p for p in own if self.b.of[p].name == scope.name), None)
            if same is None and scope.is_iteration and parent is not None:
                continue  # an index of its own: it is new, or gone
            if same is None:
                mine = self.a.look(path)
                size = sum(mine[1].values())
                best = ALIKE
                for other in free:
                    if self.b.of[other].is_iteration != scope.is_iteration:
                        continue
                    if other not in looks:
                        looks[other] = self.b.look(other)
                    there = sum(looks[other][1].values())
                    if not ALIKE <= size / max(there, 1) <= 1 / ALIKE:
                        continue
                    score = _share(mine, looks[other]) + 0.1 * (other in own)
                    there_ = self.b.of[other]
                    score += 0.05 * (there_.title == scope.title) + 0.01 * (there_.name == scope.name)
                    if score > best:
                        best, same = score, other
            if same is not None:
                self.scopes[path] = same
                taken.add(same)

    # ------------------------------------------------------------------------------------------------------- lines

    def _align(self, left: str, right: str) -> None:
        ours = list(self.a.of[left].items)
        theirs = list(self.b.of[right].items)
        start, end = 0, 0
        while start < min(len(ours), len(theirs)) and self._equal(ours[start], theirs[start]):
            self._take(ours[start], theirs[start])
            start += 1
        while end < min(len(ours), len(theirs)) - start and self._equal(ours[-1 - end], theirs[-1 - end]):
            self._take(ours[-1 - end], theirs[-1 - end])
            end += 1
        ours, theirs = ours[start : len(ours) - end], theirs[start : len(theirs) - end]
        if len(ours) * len(theirs) > MOST:
            self._long(ours, theirs)
            return
        best = [[0] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
        weigh: dict[tuple[int, int], int] = {}
        for i in range(len(ours) - 1, -1, -1):
            row, below = best[i], best[i + 1]
            for j in range(len(theirs) - 1, -1, -1):
                weight = self._weight(ours[i], theirs[j])
                if weight > 0:
                    weigh[i, j] = weight
                    row[j] = max(below[j], row[j + 1], below[j + 1] + weight)
                else:
                    row[j] = max(below[j], row[j + 1])
        i = j = 0
        while i < len(ours) and j < len(theirs):
            if (i, j) in weigh and best[i][j] == best[i + 1][j + 1] + weigh[i, j]:
                self._take(ours[i], theirs[j])
                i, j = i + 1, j + 1
            elif best[i][j] == best[i + 1][j]:
                i += 1
            else:
                j += 1

    def _long(self, ours: list[str | tuple[str]], theirs: list[str | tuple[str]]) -> None:
        """Parts of very many lines: equal ones in their order, those between in turn."""
        left = [self._sign(self.a, x) for x in ours]
        right = [self._sign(self.b, x) for x in theirs]
        a = b = 0
        for block in SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks():
            if block.a - a == block.b - b:  # as many lines on both sides: one for one
                for x, y in zip(ours[a : block.a], theirs[b : block.b], strict=True):
                    if self._weight(x, y):
                        self._take(x, y)
            a, b = block.a + block.size, block.b + block.size
            for k in range(block.size):
                self._take(ours[block.a + k], theirs[block.b + k])

    def _sign(self, scopes: Scopes, item: str | tuple[str]) -> tuple[str, ...]:
        if isinstance(item, tuple):
            return ("", self.scopes.get(item[0], "") if scopes is self.a else item[0])
        node = scopes.graph.nodes[item]
        return node.name, node.op, self._text(node)

    def _take(self, x: str | tuple[str], y: str | tuple[str]) -> None:
        if isinstance(x, str) and isinstance(y, str):
            self._pair(x, y)

    def _equal(self, x: str | tuple[str], y: str | tuple[str]) -> bool:
        """Whether two items are beyond doubt the same."""
        if isinstance(x, tuple) or isinstance(y, tuple):
            return isinstance(x, tuple) and isinstance(y, tuple) and self.scopes.get(x[0]) == y[0]
        a, b = self.a.graph.nodes[x], self.b.graph.nodes[y]
        return a.op == b.op and a.name == b.name and (bool(a.name) or self._text(a) == self._text(b))

    def _weight(self, x: str | tuple[str], y: str | tuple[str]) -> int:
        """How much speaks for two items being one; 0 where they are not."""
        if isinstance(x, tuple) or isinstance(y, tuple):
            return 24 if self._equal(x, y) else 0
        a, b = self.a.graph.nodes[x], self.b.graph.nodes[y]
        named = bool(a.name) and a.name == b.name
        if a.op != b.op:
            if a.primitive is None or b.primitive is None or _family(a) != _family(b):
                return 10 if named and a.primitive is not None and b.primitive is not None else 0
            return 12 if named else 2 if not (a.name or b.name) and _family(a) in SWAPPED else 0
        text, weights = self._text(a) == self._text(b), _weights(a) == _weights(b)
        if a.name != b.name and not (text or (weights and a.own)):
            return 0
        return 4 + 16 * named + (not a.name and not b.name) + 2 * text + weights

    def _text(self, node: Node) -> str:
        """An op with its settings; nodes that settings name are left out, since their ids may differ."""
        if id(node) not in self.texts:
            primitive = node.primitive
            self.texts[id(node)] = node.op if primitive is None else (
                node.op if primitive.references or primitive.statement else text_of(primitive)
            )
        return self.texts[id(node)]

    # ---------------------------------------------------------------------------------------------- what is left

    def _by_name(self, left: str, right: str) -> None:
        """Lines that have changed places: one name in one part."""
        free = {
            self.b.graph.nodes[y].name: y for y in self.b.of[right].items
            if isinstance(y, str) and y not in self.taken and self.b.graph.nodes[y].name
        }
        for x in self.a.of[left].items:
            if isinstance(x, str) and x not in self.nodes and (name := self.a.graph.nodes[x].name) in free:
                y = free[name]
                inputs = self.a.graph.nodes[x].primitive is None, self.b.graph.nodes[y].primitive is None
                if inputs[0] == inputs[1]:
                    self._pair(x, free.pop(name))

    def _by_wiring(self) -> None:
        """The same op on the same inputs, or read by the same nodes."""
        a, b = self.a.graph, self.b.graph
        ours, theirs = _readers(a), _readers(b)
        changed = True
        while changed:
            changed = False
            for node in a:
                if node.id in self.nodes or node.primitive is None:
                    continue
                found = self._reading(node, theirs) or self._read(node, ours)
                if found is not None:
                    self._pair(node.id, found)
                    changed = True

    def _reading(self, node: Node, readers: Mapping[str, list[str]]) -> str | None:
        inputs = [Edge(self.nodes.get(e.node, ""), e.result) for e in node.inputs]
        if not inputs or any(not e.node for e in inputs):
            return None
        for name in readers[inputs[0].node]:
            if name not in self.taken and list(self.b.graph.nodes[name].inputs) == inputs and self._likely(node, name):
                return name
        return None

    def _read(self, node: Node, readers: Mapping[str, list[str]]) -> str | None:
        """What the first reader's counterpart reads at the same place."""
        for reader in readers[node.id]:
            there = self.nodes.get(reader)
            if there is None:
                continue
            mine, other = self.a.graph.nodes[reader].inputs, self.b.graph.nodes[there].inputs
            if len(mine) != len(other):
                continue
            for edge, found in zip(mine, other, strict=True):
                if edge.node == node.id and found.node not in self.taken and self._likely(node, found.node):
                    return found.node
        return None

    def _likely(self, node: Node, name: str) -> bool:
        other = self.b.graph.nodes[name]
        if node.op != other.op or other.primitive is None:
            return False
        return self._text(node) == self._text(other) or (bool(node.own) and _weights(node) == _weights(other))

    def _by_weights(self) -> None:
        """A line that was moved: its name, op and weights, and no other has these."""
        def sign(node: Node) -> tuple[Any, ...]:
            return node.name, node.op, self._text(node), _weights(node)

        left = [n for n in self.a.graph if n.id not in self.nodes and n.own and n.name]
        right = [n for n in self.b.graph if n.id not in self.taken and n.own and n.name]
        ours, theirs = Counter(map(sign, left)), Counter(map(sign, right))
        places = {sign(n): n.id for n in right}
        for node in left:
            if ours[sign(node)] == 1 == theirs[sign(node)]:
                self._pair(node.id, places[sign(node)])


SWAPPED: Final = frozenset({"activation", "norm", "pool", "regularise", "merge"})
"""Families of ops of which one may stand for another in a line without a name."""


def _family(node: Node) -> str:
    return node.primitive.family if node.primitive is not None else ""


def _weights(node: Node) -> tuple[Any, ...]:
    return tuple((w.name, w.shape) for w in node.own)


def _readers(graph: Graph) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for node in graph:
        for name in dict.fromkeys(e.node for e in node.inputs):
            if name in found:
                found[name].append(node.id)
    return found


def _share(a: tuple[Counter[Any], Counter[Any]], b: tuple[Counter[Any], Counter[Any]]) -> float:
    """The share of two parts that is equal, by names and by weights, half each."""
    shares = [sum((x & y).values()) / max(sum(x.values()), sum(y.values()), 1) for x, y in zip(a, b, strict=True)]
    return sum(shares) / 2
