"""The most memory that lies there at once, by how long each value is needed.

The nodes run in the file's order. A result is there from the node that makes it to the last that reads it; views live
in the storage they look at. Training goes through the nodes a second time, backwards: what the gradients read again is
kept until then, each value has a gradient from the first that adds to it to the node that takes it on, and the
gradients of the weights stay. What is said is what torch's allocator hands out on a processor, without what its
libraries keep for themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ogive.dsl.dims import Dim, evaluate, terms_of
from ogive.dsl.graph import Edge, Graph, Node
from ogive.dsl.memory.ops import Held, held, size_of
from ogive.dsl.ops.loop import Scan
from ogive.dsl.types import Tensor, sized
from ogive.dsl.when import TRAINING, Case

__all__ = ["Peak", "Step", "inference", "trained", "training", "weight_bytes"]

WIDTH = 4
"""Bytes of a float, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Step:
    """What lies there while one node runs: `total` bytes, and `capped` ones that stop growing at a number of them."""

    node: str
    total: Dim
    capped: tuple[tuple[Dim, int], ...] = ()
    back: bool = False
    least: int = 0
    """The sum of its factors: a step with a smaller one cannot cover it."""

    def at(self, sizes: Mapping[str, int]) -> int:
        """Bytes at these sizes."""
        return evaluate(self.total, sizes) + sum(min(evaluate(size, sizes), most) for size, most in self.capped)


@dataclass(frozen=True, slots=True)
class Peak:
    """What lies there step by step.

    Attributes:
        steps: those that can be the largest: whatever the sizes are, the peak is at one of them.
        nodes: every node's forward step.
        kept: bytes that a node was the first to keep for the gradients.
        holding: where sizes were given, what lies there at the peak: bytes by the node that made them.
    """

    steps: tuple[Step, ...]
    nodes: Mapping[str, Step] = field(default_factory=dict)
    kept: Mapping[str, Dim] = field(default_factory=dict)
    holding: tuple[tuple[str, int], ...] = ()

    def at(self, sizes: Mapping[str, int]) -> int:
        """Bytes at the highest point."""
        return max((step.at(sizes) for step in self.steps), default=0)

    def where(self, sizes: Mapping[str, int]) -> Step | None:
        """The step at which it is reached; None of a network that makes nothing."""
        return max(self.steps, key=lambda step: step.at(sizes), default=None)


def weight_bytes(graph: Graph, width: int = WIDTH) -> int:
    """Bytes of all parameters and buffers, what is tied once."""
    widths = {"int": 8, "bool": 1}
    return sum(p.numel * widths.get(p.weight.dtype, width) for p in graph.parameters.values() if p.tied is None)


def inference(graph: Graph, width: int = WIDTH, sizes: Mapping[str, int] | None = None) -> Peak:
    """The peak of one forward without gradients: what is made on the way, without weights and inputs. With `sizes` the
    steps are numbers at these; else formulas."""
    run = _Run(graph, width, False, sizes or {})
    run.forward()
    return Peak(tuple(run.top), run.steps, run.news, run.holding())


def training(graph: Graph, width: int = WIDTH, sizes: Mapping[str, int] | None = None) -> Peak:
    """The peak of one forward and backward, the gradients of the weights included; without weights, inputs and what an
    optimiser keeps (Adam: twice the weights). `sizes` as in `inference`."""
    run = _Run(graph, width, True, sizes or {})
    run.forward()
    run.backward()
    return Peak(tuple(run.top), run.steps, run.news, run.holding())


def trained(graph: Graph, cases: Sequence[tuple[Case, Graph]]) -> Graph:
    """The graph that a training step runs: where calls decide something, that of training with all that is optional."""
    return next((one for case, one in reversed(cases) if case.get(TRAINING, True)), graph)


@dataclass(slots=True)
class _Store:
    """A stretch of memory, the node that made it, and how many hold it."""

    size: Dim
    maker: str
    holders: int = 0
    lasting: bool = False
    kept: bool = False


@dataclass(slots=True)
class _Run:
    """One walk over the nodes."""

    graph: Graph
    width: int
    trains: bool
    sizes: Mapping[str, int]
    live: Dim = 0
    types: dict[Edge, Tensor] = field(default_factory=dict)
    top: list[Step] = field(default_factory=list)
    stores: dict[Edge, _Store] = field(default_factory=dict)
    turned: dict[Edge, bool] = field(default_factory=dict)
    uses: dict[Edge, int] = field(default_factory=dict)
    grads: dict[Edge, _Store] = field(default_factory=dict)
    facts: dict[str, Held] = field(default_factory=dict)
    kept: dict[str, list[_Store]] = field(default_factory=dict)
    learns: set[Edge] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    steps: dict[str, Step] = field(default_factory=dict)
    news: dict[str, Dim] = field(default_factory=dict)
    carried: set[str] = field(default_factory=set)
    scans: dict[int, Dim] = field(default_factory=dict)
    log: list[_Store] = field(default_factory=list)
    best: tuple[int, int] = (-1, 0)

    # ------------------------------------------------------------------------------------ forwards
    def forward(self) -> None:
        """Values come and go; what the gradients read again stays."""
        for node in self.graph:
            for edge in node.inputs:
                self.uses[edge] = self.uses.get(edge, 0) + 1
            if isinstance(node.primitive, Scan):
                first = sized(self.graph.tensor(node.inputs[0]), self.sizes)
                self.scans[node.primitive.body] = first.shape[node.primitive.axes[0]]
        for _, edge in self.graph.outputs:
            self.uses[edge] = self.uses.get(edge, 0) + 1
        for node in self.graph:
            self._run(node)

    def _run(self, node: Node) -> None:
        outputs = tuple(sized(t, self.sizes) for t in node.outputs) if self.sizes else node.outputs
        edges = [Edge(node.id, i) for i in range(len(outputs))]
        self.types.update(zip(edges, outputs, strict=True))
        turned = tuple(self.turned.get(edge, False) for edge in node.inputs)
        inputs = tuple(self.types[edge] for edge in node.inputs)
        fact = held(node, inputs, outputs, turned, self.width, self.trains)
        op = node.primitive
        if isinstance(op, Scan) and all(self.stores[e].kept for e in node.inputs[len(node.inputs) - op.emits :]):
            fact = replace(fact, scratch=0)  # what it emits lies there already
        self.facts[node.id] = fact
        learns = self._learns(node)
        base = self.stores.get(node.inputs[0]) if fact.shares and node.inputs else None
        for edge, made in zip(edges, outputs, strict=True):
            if base is None:
                lasting = fact.shares  # a weight, a buffer, an input
                self._hold(edge, _Store(0 if lasting else size_of(made, self.width), node.id, lasting=lasting))
            else:
                self._hold(edge, base)
            self.turned[edge] = fact.turned
            if learns and made.dtype == "float":
                self.learns.add(edge)
        self.steps[node.id] = self._top(node, self.live + fact.scratch, fact.capped)
        if fact.swapped != 0:
            self._top(node, self.live + fact.swapped, ())
        if learns:
            self._keep(node, fact, edges)
        for edge in (*edges, *node.inputs):
            if edge in edges and self.uses.get(edge, 0) == 0:
                self._drop(self.stores[edge])
            elif edge not in edges:
                self.uses[edge] -= 1
                if self.uses[edge] == 0:
                    self._drop(self.stores[edge])

    def _learns(self, node: Node) -> bool:
        """Whether gradients go through a node."""
        own = any(w.trainable and not w.buffer for w in node.own) or bool(node.given)
        return self.trains and node.op != "stop_gradient" and (own or any(e in self.learns for e in node.inputs))

    def _hold(self, edge: Edge, store: _Store) -> None:
        self._take(store)
        self.stores[edge] = store

    def _take(self, store: _Store) -> None:
        if store.holders == 0 and not store.lasting:
            self.live = self.live + store.size
            self.log.append(store)
        store.holders += 1

    def _drop(self, store: _Store) -> None:
        store.holders -= 1
        if store.holders == 0 and not store.lasting:
            self.live = self.live - store.size
            self.log.append(store)

    def _keep(self, node: Node, fact: Held, edges: list[Edge]) -> None:
        read = [node.inputs[i] for i in fact.inputs if i < len(node.inputs)]
        carried = [edge for edge in read if self.graph.nodes[edge.node].op == "with"]
        self.carried.update(edge.node for edge in carried)  # what the time before left: its scan keeps it
        kept = [self.stores[edge] for edge in read if edge not in carried]
        kept += [self.stores[edge] for edge in edges] if fact.results else []
        new: Dim = fact.keeps
        for store in kept:
            store.holders += 1
            if not store.kept and not store.lasting:
                store.kept, new = True, new + store.size
        times = self._times(node)
        if times != 1 and new != 0:  # each time of a recurrence keeps its own
            store = _Store(new * (times - 1), node.id)
            self._take(store)
            kept.append(store)
            new = new * times
        if fact.keeps != 0:
            store = _Store(fact.keeps, node.id)
            self._take(store)
            kept.append(store)
        if isinstance(node.primitive, Scan):
            new = new + self._left(node, node.primitive, kept)
        self.kept[node.id], self.news[node.id] = kept, new

    def _left(self, node: Node, op: Scan, kept: list[_Store]) -> Dim:
        """The states that the body reads again, one for each time, where the op that made them does not keep them."""
        total: Dim = 0
        many, states = len(op.items), len(op.states)
        for id, edge in zip(op.states, node.inputs[many + states : many + 2 * states], strict=True):
            if id in self.carried and not self.stores[edge].kept:
                store = _Store(size_of(self.types[edge], self.width) * self.scans[op.body], node.id)
                self._take(store)
                kept.append(store)
                total = total + store.size
        return total

    def _times(self, node: Node) -> Dim:
        """How often a node runs: once for each position of a `scan` that it stands in."""
        times: Dim = 1
        for region in self.graph.region_chain(node) if self.scans else ():
            times = times * self.scans.get(region.id, 1)
        return times

    # ------------------------------------------------------------------------------------ backwards
    def backward(self) -> None:
        """Gradients come and go; those of the weights stay."""
        for _, edge in self.graph.outputs:
            if edge in self.learns:
                self._add(edge, _Store(size_of(self.types[edge], self.width), edge.node))
        for node in reversed(list(self.graph)):
            if node.id in self.kept:
                self._back(node)

    def _back(self, node: Node) -> None:
        fact = self.facts[node.id]
        edges = [Edge(node.id, i) for i in range(len(node.outputs))]
        given = [self.grads.pop(edge) for edge in edges if edge in self.grads]
        if not given:
            self._let_go(node)
            return
        self._weights(node)
        wanted = [edge for edge in node.inputs if edge in self.learns]
        made = [
            given[0] if fact.passes and len(given) == 1 else _Store(size_of(self.types[edge], self.width), edge.node)
            for edge in wanted
        ]
        fresh = sum((store.size for store in made if store.holders == 0), start=0)
        self._top(node, self.live + fresh + fact.back, (), True)
        for edge, store in zip(wanted, made, strict=True):
            self._add(edge, store)
        for store in given:
            self._drop(store)
        self._let_go(node)

    def _let_go(self, node: Node) -> None:
        for store in self.kept.pop(node.id):
            self._drop(store)

    def _add(self, edge: Edge, store: _Store) -> None:
        """A gradient for a value: the first is taken as it is, a further one is added to it."""
        self._take(store)
        before = self.grads.get(edge)
        if before is None:
            self.grads[edge] = store
            return
        if before.holders == 1:  # nobody else reads it: added in place
            self._drop(store)
            return
        total = _Store(size_of(self.types[edge], self.width), edge.node)
        self._take(total)
        self._top(self.graph.nodes[edge.node], self.live, (), True)
        self._drop(before)
        self._drop(store)
        self.grads[edge] = total

    def _weights(self, node: Node) -> None:
        """The gradients of a node's weights: made at the last run of it, added to by those before."""
        prefix = f"{node.key}." if node.key else ""
        for weight in node.own:
            if weight.buffer or not weight.trainable or weight.dtype != "float":
                continue
            size = self.width
            for n in weight.shape:
                size *= n
            key = (prefix + weight.name) if weight.name else node.key
            if key not in self.seen:
                self._take(_Store(size, node.id))
                self.seen.add(key)

    # ------------------------------------------------------------------------------------ the highest point
    def holding(self) -> tuple[tuple[str, int], ...]:
        """What lies there where the number was the largest: bytes by the node that made them."""
        there: dict[int, _Store] = {}
        for store in self.log[: self.best[1]]:  # each stands there twice: when it comes, and when it goes
            if there.pop(id(store), None) is None:
                there[id(store)] = store
        sums: dict[str, int] = {}
        for store in there.values():
            if isinstance(store.size, int):
                sums[store.maker] = sums.get(store.maker, 0) + store.size
        return tuple(sorted(sums.items(), key=lambda item: -item[1]))

    def _top(self, node: Node, total: Dim, capped: tuple[tuple[Dim, int], ...], back: bool = False) -> Step:
        """Keep a step unless another is at least as large at all sizes; leave out those that it makes needless."""
        capped = tuple((size, most) for size, most in capped if size != 0)
        step = Step(node.id, total, capped, back, sum(terms_of(total).values()))
        if isinstance(total, int) and total > self.best[0]:
            self.best = total, len(self.log)
        if not any(_covers(other, step) for other in self.top):
            self.top = [other for other in self.top if not _covers(step, other)]
            self.top.append(step)
        return step


def _covers(a: Step, b: Step) -> bool:
    """Whether `a` is certainly as large as `b`, whatever the sizes are."""
    if a.least < b.least and not a.capped:
        return False
    if a.capped == b.capped:
        return _not_below(a.total, b.total)
    if any(not isinstance(size, int) for size, _ in b.capped):
        return False
    ahead = sum(min(size, most) for size, most in b.capped if isinstance(size, int))
    behind = sum(min(size, most) for size, most in a.capped if isinstance(size, int))
    return _not_below(a.total + behind, b.total + ahead)


def _not_below(a: Dim, b: Dim) -> bool:
    """a >= b by each term: sizes and floors are never below 0."""
    if isinstance(a, int) and isinstance(b, int):
        return a >= b
    more, less = terms_of(a), terms_of(b)
    return all(more.get(m, 0) >= c for m, c in less.items()) and all(c >= 0 for m, c in more.items() if m not in less)
