"""Which iterations of a repeat are one drawn iteration, exactly: same ops, weights, shapes, and wiring.

Two iterations agree when, node for node, the op, its weights and the shapes of a sample are the same, when each input
comes from the same place inside, from the same place of the iteration before, or from the same node outside, and when
nothing but the next iteration reads from the inside of the earlier one. Settings may differ: they are listed. A drop
rate of 0 builds no node, so dropout and drop path are compared apart: an iteration may lack them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ogive.dsl.dims import Dim
from ogive.dsl.graph import Edge, Graph, Node
from ogive.dsl.ops.loop import Scan
from ogive.dsl.ops.record import Reference
from ogive.dsl.types import Role, Tensor

__all__ = ["DROPS", "Folding", "Run", "fold", "slots"]

DROPS = frozenset({"dropout", "drop_path"})
LACKED = DROPS | {"one_row"}
"""What an iteration may lack: a rate of 0 builds no drop, and one row is only made of what is one for all samples."""


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive iterations (region ids) that are drawn as one, `drawn`.

    `varying` maps a drawn node to its settings that differ, with one value per iteration. `shared` holds the keys of
    the modules inside whose weights are the same ones in all of them; `whole` says that all are.
    """

    iterations: tuple[int, ...]
    drawn: int
    varying: Mapping[str, Mapping[str, tuple[Any, ...]]]
    shared: tuple[str, ...]
    whole: bool


@dataclass(slots=True)
class Folding:
    """`runs` by the region of the repeat; `members` maps a drawn node to all nodes it stands for; `times` says how
    often a drawn node was folded and `varying` which of its settings differ, one value per iteration."""

    runs: dict[int, tuple[Run, ...]] = field(default_factory=dict)
    members: dict[str, tuple[str, ...]] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    varying: dict[str, Mapping[str, tuple[Any, ...]]] = field(default_factory=dict)
    _entry: dict[tuple[str, int], Edge] = field(default_factory=dict)
    _stands: dict[str, str] = field(default_factory=dict)

    def source(self, node: str, slot: int, edge: Edge) -> Edge:
        """Where input `slot` of a drawn node comes from, among what is drawn: `edge`, or what stands for it."""
        edge = self._entry.get((node, slot), edge)
        seen = 0
        while edge.node in self._stands and seen < 64:
            edge, seen = Edge(self._stands[edge.node], edge.result), seen + 1
        return edge

    def drawn(self, node: str) -> str:
        """The drawn node that stands for this one."""
        return self.source(node, -1, Edge(node)).node


@dataclass(slots=True)
class _Iteration:
    """One iteration, described relative to itself."""

    region: int
    own: frozenset[str]
    nodes: list[str]
    local: dict[str, int]
    facts: list[tuple[Any, ...]]
    inputs: list[list[Edge]]
    drops: dict[tuple[Any, ...], str]
    keys: tuple[str, ...]


def fold(graph: Graph) -> Folding:
    """Fold every repeat of the graph, outer repeats first; inner ones inside the iteration that is drawn."""
    return _Folder(graph).run()


class _Folder:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.folding = Folding()
        self.order = {node: i for i, node in enumerate(graph.nodes)}
        self.children: dict[int | None, list[int]] = {}
        for region in graph.regions:
            self.children.setdefault(region.parent, []).append(region.id)
        self.inside: dict[int, list[str]] = {region.id: [] for region in graph.regions}
        self.readers: dict[str, list[str]] = {node: [] for node in graph.nodes}
        for node in graph:
            at: int | None = node.region
            while at is not None:
                self.inside[at].append(node.id)
                at = graph.regions[at].parent
            for edge in slots(node):
                if edge.node in self.readers:
                    self.readers[edge.node].append(node.id)
        self.results = {edge.node for _, edge in graph.outputs}

    def run(self) -> Folding:
        folding = self.folding
        for node in self.graph.nodes:
            folding.members[node], folding.times[node] = (node,), 1
        hidden: set[int] = set()
        for region in self.graph.regions:  # parents stand before their children
            if region.parent in hidden:
                hidden.add(region.id)
            elif region.kind == "repeat":
                runs = self._runs(region.id)
                folding.runs[region.id] = runs
                hidden.update(i for run in runs for i in run.iterations if i != run.drawn)
        return folding

    def _runs(self, repeat: int) -> tuple[Run, ...]:
        iterations = [i for i in self.children.get(repeat, []) if self.graph.regions[i].kind == "iteration"]
        found, at = [], 0
        described = [self._describe(i) for i in iterations]
        while at < len(iterations):
            group = [described[at]]
            while at + len(group) < len(iterations) and self._extends(group, described[at + len(group)]):
                group.append(described[at + len(group)])
            at += len(group)
            found.append(self._join(group))
        return tuple(found)

    def _describe(self, region: int) -> _Iteration:
        graph, ids = self.graph, self.inside[region]
        nodes = [i for i in ids if not (graph.nodes[i].op in LACKED and len(graph.nodes[i].inputs) == 1)]
        it = _Iteration(region, frozenset(ids), nodes, {n: i for i, n in enumerate(nodes)}, [], [], {}, ())
        places: dict[int, int] = {}
        for name in nodes:
            node = graph.nodes[name]
            it.facts.append((
                self._place(node.region, region, places), node.op, type(node.primitive), node.name,
                tuple((w.name, w.shape, w.buffer, w.trainable) for w in node.own),
                tuple((_sizes(t), t.roles, t.dtype) for t in node.outputs),
                tuple(sorted((k, self._tie(g.key, region)) for k, g in node.given.items())),
            ))
            it.inputs.append([self._through(edge, it) for edge in slots(node)])
        for name in ids:
            if name in it.local:
                continue
            node = graph.nodes[name]
            start = self._through(node.inputs[0], it)
            readers = tuple(sorted(it.local[r] for r in self.readers[name] if r in it.local))
            origin = (it.local[start.node], start.result) if start.node in it.local else None
            key: tuple[Any, ...] = (self._place(node.region, region, places), node.op, origin, readers)
            while key in it.drops:
                key = (*key, "")
            it.drops[key] = name
        it.keys = tuple(graph.nodes[n].key for n in nodes if graph.nodes[n].own)
        return it

    def _place(self, region: int, top: int, places: dict[int, int]) -> tuple[Any, ...]:
        """Where a region stands inside an iteration, the same for two iterations that are built alike."""
        chain = []
        at: int | None = region
        while at is not None and at != top:
            r = self.graph.regions[at]
            chain.append((r.kind, r.name, r.title, r.index, r.count, places.setdefault(at, len(places))))
            at = r.parent
        return tuple(chain)

    def _tie(self, key: str | None, region: int) -> str | None:
        path = self.graph.regions[region].path
        return "." + key[len(path) + 1:] if key and path and key.startswith(path + ".") else key

    def _through(self, edge: Edge, it: _Iteration) -> Edge:
        """The source of an edge, looked up through the drops of this iteration."""
        while edge.node in it.own and edge.node not in it.local:
            edge = self.graph.nodes[edge.node].inputs[0]
        return edge

    def _extends(self, group: list[_Iteration], new: _Iteration) -> bool:
        """Whether `new` may join: it is built like the first, wired to the one before as that one is to its own."""
        first, last = group[0], group[-1]
        if not first.nodes or first.facts != new.facts or not self._drops_agree(group, new):
            return False
        allowed = last.own | new.own
        for name in self.inside[last.region]:
            if name in self.results or not allowed.issuperset(self.readers[name]):
                return False
        shared = [k == f for f, k in zip(first.keys, new.keys, strict=True)]
        if len(group) > 1 and shared != [k == f for f, k in zip(first.keys, group[1].keys, strict=True)]:
            return False
        if not self._settings_fold(first, new):
            return False
        return all(
            self._wired(group, new, i, slot, edge)
            for i, edges in enumerate(new.inputs)
            for slot, edge in enumerate(edges)
        )

    def _wired(self, group: list[_Iteration], new: _Iteration, i: int, slot: int, edge: Edge) -> bool:
        if len(group[0].inputs[i]) != len(new.inputs[i]):
            return False
        if edge.node in new.local:
            there = group[0].inputs[i][slot]
            return group[0].local.get(there.node) == new.local[edge.node] and there.result == edge.result
        first = group[0].inputs[i][slot]
        if first.node in group[0].local:
            return False
        before = self._through(edge, group[-1])
        if before.node not in group[-1].local:  # from outside: the same node for all of them
            return edge == first and before == edge
        if len(group) == 1:
            return True
        earlier = self._through(group[-1].inputs[i][slot], group[-2])
        return group[-2].local.get(earlier.node) == group[-1].local[before.node] and earlier.result == before.result

    def _settings_fold(self, first: _Iteration, new: _Iteration) -> bool:
        """Settings may differ, but not what a reference means."""
        for a, b in zip(first.nodes, new.nodes, strict=True):
            for left, right in zip(self._settings(a).values(), self._settings(b).values(), strict=True):
                if isinstance(left, Reference) and isinstance(right, Reference):
                    here, there = first.local.get(left.node, left.node), new.local.get(right.node, right.node)
                    if here != there:
                        return False
        return True

    def _drops_agree(self, group: list[_Iteration], new: _Iteration) -> bool:
        most = max(group, key=lambda it: len(it.drops))
        small, large = sorted((most, new), key=lambda it: len(it.drops))
        return set(small.drops) <= set(large.drops)

    def _settings(self, name: str) -> dict[str, Any]:
        primitive = self.graph.nodes[name].primitive
        return {} if primitive is None else {k: getattr(primitive, k) for k in type(primitive).model_fields}

    def _join(self, group: list[_Iteration]) -> Run:
        """The run of a group, noting who stands for whom."""
        drawn = max(group, key=lambda it: len(it.drops))  # the first of those that have the most
        folding, varying = self.folding, {}
        for i, name in enumerate(drawn.nodes):
            self._stand(name, [it.nodes[i] for it in group])
            if found := self._differences([it.nodes[i] for it in group]):
                varying[name] = found
        for key, name in drawn.drops.items():
            has = [it.drops[key] for it in group if key in it.drops]
            self._stand(name, has, len(group))
            rates = tuple(self._settings(it.drops[key]).get("p") if key in it.drops else 0.0 for it in group)
            if self.graph.nodes[name].op in DROPS and len(set(rates)) > 1:
                varying[name] = {"p": rates}
        if drawn is not group[0]:
            self._enter(group[0], drawn)
        shared = tuple(k for i, k in enumerate(drawn.keys) if len(group) > 1 and all(it.keys[i] == k for it in group))
        if len(group) > 1:
            for key, name in group[-1].drops.items():
                folding._stands.setdefault(name, drawn.drops.get(key, name))
        folding.varying.update(varying)
        return Run(tuple(it.region for it in group), drawn.region, varying, shared, shared == drawn.keys)

    def _stand(self, name: str, all_of_them: list[str], times: int | None = None) -> None:
        folding = self.folding
        together = [m for n in all_of_them for m in folding.members[n]]
        folding.members[name] = tuple(sorted(together, key=self.order.__getitem__))
        folding.times[name] *= times or len(all_of_them)
        for other in all_of_them:
            if other != name:
                folding._stands[other] = name

    def _differences(self, names: list[str]) -> dict[str, tuple[Any, ...]]:
        if len(names) == 1:
            return {}
        all_of_them = [self._settings(n) for n in names]
        return {
            k: tuple(s[k] for s in all_of_them)
            for k, v in all_of_them[0].items()
            if not isinstance(v, Reference) and any(s[k] != v for s in all_of_them)
        }

    def _enter(self, first: _Iteration, drawn: _Iteration) -> None:
        """The drawn iteration is not the first: its inputs from outside are those of the first."""
        own = drawn.own
        for name in sorted(own):
            for slot, edge in enumerate(slots(self.graph.nodes[name])):
                if edge.node in own:
                    continue
                reader, at = name, slot
                while reader not in drawn.local:  # a drop: what the first one's reader of it is fed by
                    readers = [r for r in self.readers[reader] if r in own]
                    if not readers:
                        break
                    at = [e.node for e in slots(self.graph.nodes[readers[0]])].index(reader)
                    reader = readers[0]
                if reader in drawn.local:
                    self.folding._entry[name, slot] = first.inputs[drawn.local[reader]][at]


def _sizes(tensor: Tensor) -> tuple[Dim, ...]:
    """The shape of one sample: what is the same for all samples at first need not be so later on."""
    return tuple(axis.size for axis in tensor.axes if axis.role is not Role.BATCH)


def slots(node: Node) -> tuple[Edge, ...]:
    """What a node reads: its inputs, then the weights that are results of nodes.

    The end of a `scan` reads what its body emits; what enters the body is drawn where it enters, and what goes on to
    the next time is said there.
    """
    if isinstance(node.primitive, Scan):
        record = node.primitive
        made = node.inputs[-record.emits :] if record.emits else node.inputs[len(record.items) + len(record.states) :]
        return tuple(dict.fromkeys(made))
    given = (g.edge for _, g in sorted(node.given.items()) if g.edge is not None)
    return (*node.inputs, *(edge for edge in given if edge not in node.inputs))
