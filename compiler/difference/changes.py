"""What is different between two networks whose nodes are matched: one change for each node or part, and why.

A node that stands between two others changes what the second reads; that is told once, with the node that is new or
gone. `rewired` is only what reads something else that was there before, or reads more or less than it did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from ogive.compiler.difference.match import Match
from ogive.compiler.difference.scopes import Index, Starred
from ogive.dsl.digest import text_of
from ogive.dsl.graph import Edge, Given, Graph, Node
from ogive.dsl.ops.loop import Scan
from ogive.dsl.ops.record import Primitive, Reference, show_setting
from ogive.dsl.ops.regroup import Rearrange

__all__ = ["KINDS", "Change", "ChangeKind", "changes"]

ChangeKind: TypeAlias = Literal["added", "removed", "renamed", "changed", "rewired"]
KINDS: Final[tuple[ChangeKind, ...]] = ("added", "removed", "renamed", "changed", "rewired")
MIRROR: Final[Mapping[ChangeKind, ChangeKind]] = {"added": "removed", "removed": "added"}


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one node, part, result or assumption.

    Attributes:
        kind: see `KINDS`.
        what: "node", "part", "result" or "assumption".
        before, after: its path in each network; None where it is not in it.
        op: the op with its settings, of a node that is new or gone; the op alone of others, "" where it is what has
            changed; the block of a part.
        setting: what has changed, of a changed node: a setting, `op`, or `shape` of an input.
        was, now: of a change its values; of what is rewired the paths it reads.
    """

    kind: ChangeKind
    what: Literal["node", "part", "result", "assumption"]
    before: Starred | None
    after: Starred | None
    op: str = ""
    setting: str = ""
    was: tuple[Starred | str, ...] = ()
    now: tuple[Starred | str, ...] = ()

    @property
    def path(self) -> Starred:
        """Where it is now; of what is gone, where it was."""
        found = self.after if self.after is not None else self.before
        assert found is not None
        return found

    @property
    def index(self) -> Index:
        return self.path.index

    @property
    def mirrored(self) -> Change:
        """The same, seen from the other network."""
        return Change(MIRROR.get(self.kind, self.kind), self.what, self.after, self.before, self.op, self.setting,
                      self.now, self.was)

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "kind": self.kind, "what": self.what, "before": _text(self.before), "after": _text(self.after),
            "op": self.op,
        }
        if self.setting:
            found["setting"] = self.setting
        if self.was or self.now:
            found |= {"was": [str(x) for x in self.was], "now": [str(x) for x in self.now]}
        return found


def changes(found: Match) -> Iterator[Change]:
    """Every change, node by node, in the order of the second network, those that are gone first."""
    walk = _Walk(found)
    yield from walk.renamed_parts()
    yield from walk.gone()
    for node in found.after.graph:
        yield from walk.node(node)
    yield from walk.results()
    yield from walk.assumptions()


class _Walk:
    def __init__(self, found: Match) -> None:
        self.match, self.back = found, found.back
        self.a, self.b = found.before.graph, found.after.graph
        self.parts_back = {b: a for a, b in found.scopes.items()}
        self.starred: dict[tuple[bool, str], Starred] = {}

    def place(self, name: str, after: bool) -> Starred:
        key = (after, name)
        if key not in self.starred:
            self.starred[key] = (self.match.after if after else self.match.before).starred(name)
        return self.starred[key]

    # ------------------------------------------------------------------------------------------------- new and gone

    def gone(self) -> Iterator[Change]:
        for node in self.a:
            if node.id not in self.match.nodes:
                yield Change("removed", "node", self.place(node.id, False), None, _said(node))

    def renamed_parts(self) -> Iterator[Change]:
        """Parts under another name, or in another part; what is in them goes along and is not told."""
        for old, new in self.match.scopes.items():
            a, b = self.match.before.of[old], self.match.after.of[new]
            if self._moved(a.name, a.parent, b.name, b.parent) and not a.is_iteration:
                yield Change("renamed", "part", a.starred, b.starred, b.title or a.title)

    def _moved(self, name: str, parent: str, other: str, there: str) -> bool:
        return name != other or self.match.scopes.get(parent) != there

    # -------------------------------------------------------------------------------------------------------- nodes

    def node(self, node: Node) -> Iterator[Change]:
        here = self.place(node.id, True)
        if node.id not in self.back:
            yield Change("added", "node", None, here, _said(node))
            return
        twin = self.a.nodes[self.back[node.id]]
        there = self.place(twin.id, False)
        parts = self.match.before.scope[twin.id], self.match.after.scope[node.id]
        moved = (node.name or node.own) and self.match.scopes.get(parts[0]) != parts[1]
        if node.name != twin.name or moved or (twin.own and node.own and _key(twin) != _key(node)):
            yield Change("renamed", "node", there, here, node.op)
        for setting, was, now in self._settings(twin, node):
            yield Change("changed", "node", there, here, "" if setting == "op" else node.op, setting, (was,), (now,))
        if (read := self._rewired(list(twin.inputs), list(node.inputs))) is not None:
            yield Change("rewired", "node", there, here, node.op, "", *read)

    def results(self) -> Iterator[Change]:
        old, new = dict(self.a.outputs), dict(self.b.outputs)
        if len(old) == len(new) == 1 and list(old) != list(new):  # the only one, under another name
            (was,), (now,) = old, new
            yield Change("renamed", "result", Starred(_result(was)), Starred(_result(now)))
            old = {now: old[was]}
        for name in old:
            if name not in new:
                yield Change("removed", "result", Starred(_result(name)), None)
        for name, edge in new.items():
            place = Starred(_result(name))
            if name not in old:
                yield Change("added", "result", None, place)
            elif (read := self._rewired([old[name]], [edge])) is not None:
                yield Change("rewired", "result", place, place, "", "", *read)

    def assumptions(self) -> Iterator[Change]:
        old = dict.fromkeys(f"{guard.condition.show()}{_when(guard)}" for guard in self.a.guards)
        new = dict.fromkeys(f"{guard.condition.show()}{_when(guard)}" for guard in self.b.guards)
        for text in old:
            if text not in new:
                yield Change("removed", "assumption", Starred(text), None)
        for text in new:
            if text not in old:
                yield Change("added", "assumption", None, Starred(text))

    # ----------------------------------------------------------------------------------------------------- settings

    def _settings(self, old: Node, new: Node) -> Iterator[tuple[str, str, str]]:
        if old.primitive is None or new.primitive is None:
            was, now = str(old.outputs[0]), str(new.outputs[0])
            if was != now or [a.role for a in old.outputs[0].axes] != [a.role for a in new.outputs[0].axes]:
                yield "shape", was, now
            return
        if old.op != new.op:
            yield "op", str(old.primitive), str(new.primitive)
        else:
            mine, other = self._values(old.primitive, True), self._values(new.primitive, False)
            for name in other:
                if mine[name] != other[name]:
                    yield name, self._shown(old.primitive, name, False), self._shown(new.primitive, name, True)
        if old.require != new.require:
            yield "require", old.require or "nothing", new.require or "nothing"
        for name in sorted({*old.given, *new.given}):
            if self._given(old.given.get(name), True) != self._given(new.given.get(name), False):
                yield name, _weight(old.given.get(name)), _weight(new.given.get(name))

    def _values(self, primitive: Primitive, mapped: bool) -> dict[str, Any]:
        """What two ops are held together by; nodes that settings name, as those of the second network."""
        if isinstance(primitive, Rearrange):
            return {"axes": primitive.unlettered}
        if isinstance(primitive, Scan):
            ends = tuple(self._name(name, mapped) for name in (*primitive.items, *primitive.states))
            return {"body": (len(primitive.items), ends, primitive.emits, primitive.axes)}
        return {
            name: self._value(getattr(primitive, name), mapped)
            for name in type(primitive).model_fields if name not in primitive.told
        }

    def _value(self, value: Any, mapped: bool) -> Any:
        if isinstance(value, Reference):
            return self._name(value.node, mapped), value.result
        return text_of(value) if isinstance(value, Primitive) else value

    def _name(self, node: str, mapped: bool) -> str:
        return self.match.nodes.get(node, f"{node} before") if mapped else node

    def _shown(self, primitive: Primitive, name: str, after: bool) -> str:
        if name not in type(primitive).model_fields:
            return str(primitive)
        value = getattr(primitive, name)
        return str(self.place(value.node, after)) if isinstance(value, Reference) and value.node in (
            self.b if after else self.a
        ).nodes else show_setting(value)

    def _given(self, given: Given | None, mapped: bool) -> object:
        if given is None or given.edge is None:
            if given is None or given.key is None:
                return None
            graph = self.a if mapped else self.b
            owner = graph.parameters.get(given.key)
            if owner is None:
                return given.key
            return self._name(owner.node, mapped), owner.weight.name
        return self._name(given.edge.node, mapped), given.edge.result

    # ------------------------------------------------------------------------------------------------------- wiring

    def _rewired(
        self, old: list[Edge], new: list[Edge]
    ) -> tuple[tuple[Starred, ...], tuple[Starred, ...]] | None:
        """What was read and what is, where that is more than a node put between or taken out."""
        if len(old) == len(new) and all(
            self._sources(a, self.a, True) & self._sources(b, self.b, False) for a, b in zip(old, new, strict=True)
        ):
            return None
        was = tuple(self.place(e.node, False) for e in old)
        now = tuple(self.place(e.node, True) for e in new)
        return was, now

    def _sources(self, edge: Edge, graph: Graph, mapped: bool) -> set[tuple[str, int]]:
        """The nearest results that both networks have, as those of the second; through nodes that only one has."""
        known = self.match.nodes if mapped else self.back
        found: set[tuple[str, int]] = set()
        stack, seen = [edge], {edge}
        while stack:
            at = stack.pop()
            if at.node in known:
                found.add((self.match.nodes[at.node] if mapped else at.node, at.result))
                continue
            inputs = graph.nodes[at.node].inputs
            if not inputs:
                found.add(("", 0))  # made of nothing: a constant or a learned tensor stands for it
            for before in inputs:
                if before not in seen:
                    seen.add(before)
                    stack.append(before)
        return found


def _said(node: Node) -> str:
    if node.primitive is None:
        return f"input {node.outputs[0]}"
    return node.op if node.primitive.statement else str(node.primitive)


def _key(node: Node) -> str:
    """The last part of a key that a line gives its weights beside its name (`as`), "" where it has none."""
    return node.key.rpartition(".")[2] if node.own and node.name else ""


def _result(name: str) -> str:
    return f"result {name}".strip()


def _text(path: Starred | None) -> str | None:
    return None if path is None else str(path)


def _weight(given: Given | None) -> str:
    if given is None:
        return "its own"
    return given.key if given.key is not None else str(given.edge.node) if given.edge is not None else ""


def _when(guard: Any) -> str:
    return "" if guard.when.always else f" where {guard.when}"


