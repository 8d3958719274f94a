"""Two networks as one: the second, and what of the first is gone where it stood, each node and arrow with its fate.

Iterations of a repeat that share one fate are one; parts and lines to which nothing happened are closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from ogive.compiler.difference.changes import Change
from ogive.compiler.difference.match import Match
from ogive.compiler.difference.scopes import ROOT, Index, Scopes

__all__ = ["Arrow", "Block", "Fate", "Line", "Union", "union"]

Fate: TypeAlias = Literal["added", "removed", "changed", "same"]


@dataclass(slots=True)
class Line:
    """A box: one node, a closed part, or several of these in a row to which nothing happened."""

    id: str
    name: str
    op: str
    fate: Fate
    notes: tuple[str, ...] = ()
    count: int = 1


@dataclass(slots=True)
class Block:
    """An open part; `runs` says of how many iterations it is one."""

    id: str
    name: str
    title: str
    runs: int
    items: list[Line | Block] = field(default_factory=list)
    iteration: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """From box to box."""

    source: str
    target: str
    fate: Fate


@dataclass(frozen=True, slots=True)
class Union:
    """The whole."""

    items: tuple[Line | Block, ...]
    arrows: tuple[Arrow, ...]

    def lines(self) -> Iterator[Line]:
        """Every box, in the order drawn."""
        stack: list[Line | Block] = list(reversed(self.items))
        while stack:
            at = stack.pop()
            if isinstance(at, Line):
                yield at
            else:
                stack.extend(reversed(at.items))


Key: TypeAlias = tuple[bool, str]
"""Whether a node or part is of the second network, and its id or path."""


def union(found: Match, changes: Iterable[Change]) -> Union:
    """The two as one."""
    return _Union(found, changes).whole()


class _Union:
    def __init__(self, found: Match, changes: Iterable[Change]) -> None:
        self.match, self.back = found, found.back
        places = {found.after.starred(node): node for node in found.after.graph.nodes}
        self.notes: dict[str, tuple[str, ...]] = {}
        """What happened to a node of the second network, by its id."""
        self.rewired: set[str] = set()
        parts = {scope.starred: path for path, scope in found.after.of.items()}
        self.renamed: dict[str, str] = {}
        """What a part of the second network was called."""
        for change in changes:
            if change.what == "part" and change.before is not None and change.after is not None:
                self.renamed[parts[change.after]] = str(change.before.text)
            name = places.get(change.after) if change.after is not None else None
            if name is None or change.kind in ("added", "removed") or change.what != "node":
                continue
            self.notes[name] = (*self.notes.get(name, ()), _note(change))
            if change.kind == "rewired":
                self.rewired.add(name)
        self.items: dict[Key, list[tuple[Key, bool]]] = {}
        self.home: dict[Key, str] = {}
        """The box of each node."""
        self._gather()

    # ----------------------------------------------------------------------------------------------- the tree of both

    def _gather(self) -> None:
        twins = {b: a for a, b in self.match.scopes.items()}
        for path, scope in self.match.after.of.items():
            items = [_item(item, True) for item in scope.items]
            if path in twins:
                self._insert(items, twins[path])
            self.items[True, path] = items
        for path, scope in self.match.before.of.items():
            if path not in self.match.scopes:
                self.items[False, path] = [_item(item, False) for item in scope.items]

    def _insert(self, items: list[tuple[Key, bool]], twin: str) -> None:
        """What is gone stands behind what it stood behind."""
        place = 0
        for item in self.match.before.of[twin].items:
            known = self.match.nodes.get(item) if isinstance(item, str) else self.match.scopes.get(item[0])
            if known is None:
                items.insert(place, _item(item, False))
                place += 1
                continue
            key = ((True, known), not isinstance(item, str))
            place = items.index(key) + 1 if key in items else place

    def _fate(self, key: Key) -> Fate:
        after, name = key
        if not after:
            return "removed"
        return "added" if name not in self.back else "changed" if name in self.notes else "same"

    def _nodes(self, key: Key, part: bool) -> list[Key]:
        """The nodes of an item; those of a part that is gone which were moved are drawn where they are."""
        if not part:
            return [] if not key[0] and key[1] in self.match.nodes else [key]
        return [node for item in self.items[key] for node in self._nodes(*item)]

    # ------------------------------------------------------------------------------------------------------ the boxes

    def whole(self) -> Union:
        items = tuple(self._drawn((True, ROOT)))
        return Union(items, tuple(self._arrows()))

    def _scopes(self, key: Key) -> Scopes:
        return self.match.after if key[0] else self.match.before

    def _drawn(self, key: Key) -> list[Line | Block]:
        found: list[Line | Block] = []
        items = self.items[key]
        at = 0
        while at < len(items):
            item, part = items[at]
            if not self._nodes(item, part):
                at += 1
                continue
            if not part:
                found.append(self._line(item))
                at += 1
                continue
            run = 1
            if self._scopes(item).of[item[1]].is_iteration:
                sign = self._sign(item)
                while at + run < len(items) and items[at + run][1] and self._sign(items[at + run][0]) == sign:
                    run += 1
            found.append(self._part(item, [other for other, _ in items[at : at + run]]))
            at += run
        return self._merged(found)

    def _sign(self, key: Key) -> tuple[object, ...]:
        """What iterations must share to be one."""
        return tuple(
            (node[0], self._scopes(node).starred(node[1]).text, self._op(node), self._fate(node),
             self.notes.get(node[1], ()) if node[0] else ())
            for node in self._nodes(key, True)
        )

    def _part(self, key: Key, run: list[Key]) -> Line | Block:
        scope = self._scopes(key).of[key[1]]
        title, name = scope.title, scope.name
        if scope.is_iteration and len(run) > 1:
            name = f"{scope.name}..{self._scopes(run[-1]).of[run[-1][1]].name}"
        nodes = self._nodes(key, True)
        fates = {self._fate(node) for node in nodes}
        was = self.renamed.get(key[1], "") if key[0] else ""
        if len(fates) == 1 and fates <= {"same", "added", "removed"}:
            fate = fates.pop()
            line = Line(self._id(key), name, title, "changed" if was and fate == "same" else fate,
                        (f"was {was}",) if was else (), len(run))
            for other in run:
                for node in self._nodes(other, True):
                    self.home[node] = line.id
            return line
        items = self._drawn(key)
        block = Block(self._id(key), name, f"{title} (was {was})".strip() if was else title, len(run), items)
        if len(items) == 1 and isinstance(items[0], Block) and items[0].iteration:  # of a repeat the one that is drawn
            block = replace(
                items[0], name=f"{name}.{items[0].name}", title=" ".join(filter(None, (items[0].title, block.title)))
            )
        block.iteration = scope.is_iteration
        for other in run[1:]:
            for mine, theirs in zip(nodes, self._nodes(other, True), strict=True):
                self.home[theirs] = self.home[mine]
        return block

    def _line(self, key: Key) -> Line:
        scopes, node = self._scopes(key), self._scopes(key).graph.nodes[key[1]]
        self.home[key] = self._id(key)
        local, fate = scopes.local(key[1]), self._fate(key)
        op = str(node.primitive) if fate in ("added", "removed") and node.primitive is not None else self._op(key)
        return Line(
            self.home[key], local if node.name or node.own else "", op, fate,
            self.notes.get(key[1], ()) if key[0] else (),
        )

    def _op(self, key: Key) -> str:
        node = self._scopes(key).graph.nodes[key[1]]
        return "input" if node.primitive is None else node.op

    def _id(self, key: Key) -> str:
        return ("b:" if key[0] else "a:") + key[1]

    def _merged(self, items: list[Line | Block]) -> list[Line | Block]:
        """Boxes in a row to which nothing happened become one."""
        found: list[Line | Block] = []
        runs: dict[str, list[Line]] = {}
        for item in items:
            last = found[-1] if found else None
            quiet = isinstance(item, Line) and item.fate == "same" and item.op != "input"
            if quiet and isinstance(last, Line) and last.fate == "same" and last.op != "input":
                assert isinstance(item, Line)
                runs.setdefault(last.id, [last]).append(item)
                for node, home in self.home.items():
                    if home == item.id:
                        self.home[node] = last.id
            else:
                found.append(item)
        return [
            Line(item.id, _listed(runs[item.id]), "", "same") if isinstance(item, Line) and item.id in runs else item
            for item in found
        ]

    # ----------------------------------------------------------------------------------------------------- the arrows

    def _arrows(self) -> Iterator[Arrow]:
        told: dict[tuple[str, str], Fate] = {}
        a, b = self.match.before.graph, self.match.after.graph
        before = {(self._image(edge.node), self._image(node.id)) for node in a for edge in node.inputs}
        after = {((True, edge.node), (True, node.id)) for node in b for edge in node.inputs}
        order = {line: i for i, line in enumerate(dict.fromkeys(self.home.values()))}
        for node in b:
            for edge in node.inputs:
                pair = (True, edge.node), (True, node.id)
                new = not {edge.node, node.id} <= self.back.keys() or (node.id in self.rewired and pair not in before)
                self._tell(told, *pair, "added" if new else "same", order)
        for node in a:
            for edge in node.inputs:
                source, target = self._image(edge.node), self._image(node.id)
                gone = not (source[0] and target[0])
                if gone or (target[1] in self.rewired and (source, target) not in after):
                    self._tell(told, source, target, "removed", order)
        for (start, end), fate in told.items():
            yield Arrow(start, end, fate)

    def _image(self, node: str) -> Key:
        there = self.match.nodes.get(node)
        return (True, there) if there is not None else (False, node)

    def _tell(
        self, told: dict[tuple[str, str], Fate], source: Key, target: Key, fate: Fate, order: Mapping[str, int]
    ) -> None:
        start, end = self.home.get(source), self.home.get(target)
        if start is None or end is None or start == end:
            return
        if order[start] > order[end] and (fate != "removed" or self._index(source) != self._index(target)):
            return  # from one iteration into the next, which is the same box
        rank = ("same", "changed", "removed", "added")
        if (start, end) not in told or rank.index(fate) > rank.index(told[start, end]):
            told[start, end] = fate

    def _index(self, key: Key) -> Index:
        return self._scopes(key).starred(key[1]).index


def _item(item: str | tuple[str], after: bool) -> tuple[Key, bool]:
    return ((after, item), False) if isinstance(item, str) else ((after, item[0]), True)


def _note(change: Change) -> str:
    """What happened to a node, in few words."""
    if change.kind == "renamed":
        return f"was {change.before.text if change.before else ''}"
    was, now = (
        ", ".join(x if isinstance(x, str) else x.text for x in side) or "nothing" for side in (change.was, change.now)
    )
    if change.kind == "rewired":
        return f"reads {now}, read {was} before"
    return f"{was} → {now}" if change.setting == "op" else f"{change.setting} {was} → {now}"


def _listed(lines: list[Line]) -> str:
    """`norm1, attn and 3 more`."""
    names = [line.name or line.op for line in lines]
    return ", ".join(names) if len(names) <= 3 else f"{names[0]}, {names[1]} and {len(names) - 2} more"
