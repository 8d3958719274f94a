"""Names for the lines of an expanded text, and how a line reads another."""

from __future__ import annotations

import re
from collections import Counter

from ogive.dsl.build import Built
from ogive.dsl.expand_calls import calls_of
from ogive.dsl.expand_tree import Container, Entry, Leaf, Loop, Place, Scope, flat, laid_out
from ogive.dsl.expand_words import in_pairs, item_of, numbered, take_out, unused, word_of
from ogive.dsl.graph import Edge, Node
from ogive.dsl.names import RESERVED
from ogive.dsl.ops import RECORDS
from ogive.dsl.ops.loop import Scan

__all__ = ["Named"]


class Named:
    """The entries of a network under names of their own. `flow` is what the next line would be fed."""

    def __init__(self, built: Built) -> None:
        self.built = built
        self.calls = calls_of(built)
        self.graph = self.calls.graph
        self.root = laid_out(self.graph)
        self.home: dict[str, tuple[Place, Entry]] = {}
        self.shared: dict[str, str] = {}   # the name of each op that runs more than once, by its key
        self.flow = ""
        self.read: set[str] = set()
        self.used: set[str] = set()
        self.deep: set[int] = set()    # what is read from a scope further inside
        self.lines: list[str] = []
        self.regrouped = 0             # how many `rearrange` were written
        self.lettered = 0              # how many tensors were given letters
        self.letters: dict[str, str] = {}  # a letter for each input, where one of its axes needs its own
        self.put_back = 0              # how many times what flowed before an `if` was put back behind it
        self._settle(self.root, (self.root,))
        self.first = self._lifted()
        self._name()

    def _settle(self, scope: Scope | Container, place: Place) -> None:
        for entry in scope.inside:
            if isinstance(entry, Scope):
                if isinstance(entry, Loop):
                    self.home[entry.node.id] = (place, entry)
                self._settle(entry, (*place, entry))
            elif isinstance(entry, Container):
                self.home[entry.join.id] = (place, entry)
                self._settle(entry, place)
            else:
                self.home[entry.node.id] = (place, entry)

    def _lifted(self) -> list[Leaf]:
        """Weights of their own that an op has which runs more than once: they stand in front of its `shared` line."""
        runs = Counter(node.key for node in self.graph)
        given = {w.key for node in self.graph if node.key and runs[node.key] > 1 for w in node.given.values()}
        found: list[Leaf] = []
        behind: list[Leaf] = []  # those that are `shared` themselves, for a second key
        for node in self.graph:
            again = node.op == "learned" and bool(self._listed_again(node))
            if node.op == "learned" and runs[node.key] == 1 and (again or node.key in given):
                place, entry = self.home[node.id]
                assert isinstance(entry, Leaf)
                take_out(place[-1].inside, entry)
                self.home[node.id] = (self.root,), entry
                (behind if again else found).append(entry)
        self.root.inside[:0] = [*found, *behind]
        return found

    def _name(self) -> None:
        """A name for each scope and each node that has weights or is read by name, never one that hides another."""
        runs: dict[str, list[Node]] = {}
        for node in self.graph:
            if node.key:
                runs.setdefault(node.key, []).append(node)
        taken = {*self.graph.free, *(self.graph.nodes[i].name for i in self.graph.inputs), *RESERVED}
        for name in self.graph.inputs:
            if in_pairs(self.graph.nodes[name].outputs[0]):
                self.letters[name] = unused("M", taken)
                taken.add(self.letters[name])
        for key, nodes in runs.items():
            if len(nodes) > 1 or self._listed_again(nodes[0]):
                self.shared[key] = unused(re.sub(r"\W", "_", key), taken)
                taken.add(self.shared[key])
        self._label(self.root, taken)

    def _label(self, scope: Scope, around: set[str]) -> None:
        """Labels of one scope, none of them one of `around`: what is read from inside must not be hidden."""
        own: set[str] = set()
        inner: list[Scope] = []
        for entry in flat(scope.inside):
            if isinstance(entry, Leaf) and entry.node.op == "with":  # it has the name that it keeps behind the loop
                own.add(entry.label)
                continue
            if isinstance(entry, Loop):
                inner.append(entry)
                wanted = entry.title or "steps"
                for state in entry.states:
                    state.label = unused(word_of(state.node.name, False), around | own)
                    own.add(state.label)
            elif isinstance(entry, Scope):
                wanted = entry.path.removeprefix(scope.path + "." if scope.path else "")
                inner.append(entry)
            elif isinstance(entry, Container):
                wanted = entry.join.name or f"{entry.word}_{len(own)}"
            else:
                node = entry.node
                own_key = node.key if node.key not in self.shared else ""
                wanted = own_key.rsplit(".", 1)[-1] or node.name or ("joined" if node.op == "if" else node.op)
            word = word_of(wanted, isinstance(entry, Scope))
            keyless = isinstance(entry, Leaf) and (not entry.node.key or entry.node.key in self.shared)
            taken = around | own
            entry.label = numbered(word, taken) if keyless and word in RECORDS else unused(word, taken)
            own.add(entry.label)
            if isinstance(entry, Loop) and entry.label != entry.title:
                entry.path, entry.opens = scope.path, ""
        found = [entry for entry in flat(scope.inside) if id(entry) in self.deep]
        deep = {entry.label for entry in found}
        deep |= {state.label for entry in found if isinstance(entry, Loop) for state in entry.states}
        for scope_inside in inner:
            self._label(scope_inside, around | deep)

    def _listed_again(self, node: Node) -> list[str]:
        """Other keys under which the weights of a node are listed."""
        keys = {n.key for n in self.graph}
        found: dict[str, None] = {}
        for parameter in self.graph.parameters.values():
            name = parameter.weight.name
            owner = parameter.key.removesuffix("." + name) if name else parameter.key
            if parameter.tied == (f"{node.key}.{name}" if name else node.key) and owner not in keys:
                found[owner] = None
        return list(found)

    def _address(self, edge: Edge, place: Place) -> str:
        """How a line in `place` reads a result."""
        node = self.graph.nodes[edge.node]
        if node.primitive is None:
            return node.name
        there, entry = self.home[edge.node]
        common = sum(1 for a, b in zip(there, place, strict=False) if a is b)
        if len(place) > common:
            self.deep.add(id([*there[common:], entry][0]))
        path = [scope.label for scope in there[common:]]
        if isinstance(entry, Loop):
            emitted = edge.result - len(entry.states)
            if emitted < 0:
                return ".".join([*path, entry.states[emitted].label])
            item = f"[{emitted}]" if entry.record.emits > 1 else ""
        else:
            item = item_of(node, edge.result) if isinstance(entry, Leaf) else ""
        self.read.add(edge.node)
        return ".".join([*path, entry.label]) + item

    def _first(self, node_id: str) -> Edge:
        """The result of a node that flows on."""
        record = self.graph.nodes[node_id].primitive
        return Edge(node_id, len(record.states) if isinstance(record, Scan) and record.emits else 0)
