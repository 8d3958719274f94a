"""Blocks built once: a run that equals an earlier one of the same build is a copy of it, under other names.

Most networks are a block in a `repeat`. What a run puts down stands in the journal (`journal.py`); a copy puts down the
same nodes, regions and weights with the names of its own place, and counts the same steps. Whatever could come out in
another way there (a limit is near, a key is taken, a name would be refused) is left to building it.

Where many networks are built that differ in one place (`repairs.py`), they can have their runs in common.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ogive.dsl import limits
from ogive.dsl.body import Bodies
from ogive.dsl.call_keys import key_of
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.graph import Edge, Node, Region
from ogive.dsl.journal import Declared, Mark
from ogive.dsl.load import Definition
from ogive.dsl.meter import spare, spend, spent
from ogive.dsl.names import check_key
from ogive.dsl.ops.loop import Scan
from ogive.dsl.ops.record import Primitive, Reference
from ogive.dsl.renaming import Renaming
from ogive.dsl.runs import Call
from ogive.dsl.source import Span
from ogive.dsl.types import Tensor
from ogive.dsl.values import Bundle, Module, Poison
from ogive.dsl.work import Work

__all__ = ["Common", "Copying"]

WORKS: Final = 16
"""Builds that are kept, at most, for the runs in them that others have in common."""


@dataclass(slots=True)
class _Run:
    """A run that was built: the call, the nodes named in its key, what it came to, and where it stands in the work."""

    work: Work
    call: Call
    names: tuple[str, ...]
    value: Bundle
    since: Mark
    till: Mark
    regions: tuple[int, int]
    steps: int
    calls: int
    tries: int
    plan: _Plan | None = None
    fixed: bool = False
    """Whether it cannot stand elsewhere: it has a key from the root."""


@dataclass(slots=True)
class _Plan:
    """What a copy of a run puts down; keys without the path of the run."""

    ids: list[tuple[str, str]]
    nodes: list[_Step]
    edges: list[Edge]
    tensors: list[Tensor]
    named: list[int]
    """The tensors whose types name nodes."""
    regions: list[tuple[Region, str | None]]
    """With what stands behind the path of the run; None for one that adds no key."""
    weights: list[Declared]
    results: list[tuple[str, Edge]]
    scopes: list[tuple[str, Span]]
    depth: int = 0
    """How deep its regions stand in that of the run."""
    blocks: int = 0
    """How deep the blocks in it stand in each other."""
    titles: frozenset[str] = frozenset()
    longest: int = 0
    parts: int = 0


@dataclass(slots=True)
class _Step:
    """A node, with the numbers of its edges and tensors in the plan."""

    node: Node
    inputs: list[int]
    outputs: list[int]
    names: bool
    """Whether its settings name nodes."""


class _Fixed(Exception):
    """Something of a run does not move with its path."""


@dataclass(slots=True)
class Common:
    """Runs that several builds have in common, of definitions that are the same in all of them. What runs assume of the
    input is not copied from one build to another: who finds a network in this way builds it once more."""

    definitions: dict[int, Definition]
    """By identity."""
    runs: dict[Hashable, _Run] = field(default_factory=dict)
    works: list[Work] = field(default_factory=list)

    def keep(self, key: Hashable, run: _Run) -> None:
        work = run.work
        if id(run.call.definition) not in self.definitions or work.flags or work.asked or work.answers:
            return
        if not any(x is work for x in self.works):
            if len(self.works) >= WORKS:
                return
            self.works.append(work)
        self.runs[key] = run


class Copying(Bodies):
    """Bodies that build equal runs of a block once. While there is a mistake, every run is built."""

    def __init__(self, work: Work, common: Common | None = None) -> None:
        super().__init__(work)
        self.runs: dict[Hashable, _Run] = {}
        self.common = common

    def inside(self, call: Call) -> Bundle | Poison | None:
        work = self.work
        found = None if work.mistakes or not call.path else key_of(call, work)
        if found is None:
            return super().inside(call)
        key, names = found
        known = self.runs.get(key) or (None if self.common is None else self.common.runs.get(key))
        if known is not None:
            return self._copied(known, call, names) or super().inside(call)
        facts, since, first = call.frame.body.facts, work.journal.mark, len(work.regions)
        steps, calls, tries, named = work.steps, work.calls, facts.tries, (work.made, work.modules)
        value = super().inside(call)
        if isinstance(value, Bundle) and not work.mistakes and named == (work.made, work.modules):
            run = self.runs[key] = _Run(
                work, call, names, value, since, work.journal.mark, (first, len(work.regions)), work.steps - steps,
                work.calls - calls, tries - facts.tries,
            )
            if self.common is not None:
                self.common.keep(key, run)
        return value

    def _copied(self, run: _Run, call: Call, names: tuple[str, ...]) -> Bundle | None:
        """The copy of a run; None where it must be built."""
        plan = run.plan
        if plan is None and not run.fixed:
            try:
                plan = run.plan = _planned(run)
            except _Fixed:
                run.fixed = True
        if plan is None or not self._goes_well(run, plan, call):
            return None
        return self._put_down(run, plan, call, names)

    # ------------------------------------------------------------------------------------ whether it may be copied
    def _goes_well(self, run: _Run, plan: _Plan, call: Call) -> bool:
        """Whether building it would meet no limit and no key that is taken."""
        work, path, chain = self.work, call.path, call.frame.body.chain
        count = len(plan.nodes)
        return (
            len(work.nodes) + count <= limits.NODES
            and work.calls + run.calls <= limits.CALLS
            and work.steps + run.steps <= limits.STEPS
            and spent() + run.steps + count * limits.NODE_STEPS <= limits.FILE_STEPS
            and work.depths[call.region] + plan.depth <= limits.REGION_DEPTH
            and len(chain) + plan.blocks <= limits.CALL_DEPTH
            and plan.titles.isdisjoint([node.name for node in chain])
            and call.frame.body.facts.tries >= run.tries
            and len(path) + plan.longest <= limits.KEY_LENGTH
            and path.count(".") + 1 + plan.parts <= limits.KEY_PARTS
            and _is_fine(path, call.line.span)
            and self._free(plan, path, call.shared or call.frame.body.shared)
        )

    def _free(self, plan: _Plan, path: str, shared: Module | None) -> bool:
        """Whether its keys can be had: they are new, or, in a shared module, the same weights as before."""
        work = self.work
        if shared is None:
            return not any(path + key in work.scopes for key, _ in plan.scopes) and not any(
                path + weight[0] in work.parameters for weight in plan.weights
            )
        modules = [*_around(shared)]
        for key, weight, *_ in plan.weights:
            known = work.parameters.get(path + key)
            if known is not None and known.weight.shape != weight.shape:
                return False
            if any(x.current is not x.first and path + key not in x.keys for x in modules):
                return False
        return True

    # ------------------------------------------------------------------------------------ the copy
    def _put_down(self, run: _Run, plan: _Plan, call: Call, names: tuple[str, ...]) -> Bundle:
        work, path, old = self.work, call.path, run.call
        shared = call.shared or call.frame.body.shared
        ids = dict(zip(run.names, names, strict=True))
        to = Renaming(
            ids, (old.path, path), (old.trail, call.trail), (old.region, call.region),
            (run.regions[0], len(work.regions)),
        )
        for wanted, name in plan.ids:
            ids[name] = work.new_id(path + wanted)
        for region, rest in plan.regions:
            assert region.parent is not None
            work.open_region(
                to.region(region.parent), region.kind, region.name, "" if rest is None else path + rest, region.title,
                region.span, region.index, region.count,
            )
        for key, span in plan.scopes:
            work.open_scope(path + key, span, shared is not None)
        here, there = old.line.flow.span, call.line.flow.span
        edges = [to.edge(edge) for edge in plan.edges]
        tensors = plan.tensors.copy()
        for i in plan.named:
            tensors[i] = to.tensor(tensors[i])
        for step in plan.nodes:
            x = step.node
            given = {name: to.given(g) for name, g in x.given.items()} if x.given else x.given
            work.add_node(Node(
                ids[x.id], x.op, x.name, to.primitive(x.primitive) if step.names and x.primitive else x.primitive,
                tuple([edges[i] for i in step.inputs]), tuple([tensors[i] for i in step.outputs]), to.region(x.region),
                there if x.span is here else x.span, x.key and to.key(x.key), x.own, given, x.macs, to.trail(x.path),
                x.require,
            ))
            if x.id in run.work.whens:
                work.whens[ids[x.id]] = run.work.whens[x.id]
            if x.id in run.work.unsaid:
                work.unsaid.add(ids[x.id])
        for key, weight, node, span, tied in plan.weights:
            span = there if span is here else span
            work.add_parameter(path + key, weight, ids[node], span, shared, tied and to.key(tied))
        for key, edge in plan.results:
            work.stands_for(path + key, to.edge(edge))
        work.steps += run.steps
        work.calls += run.calls
        spend(run.steps)
        spare(run.steps + len(plan.nodes) * limits.NODE_STEPS)
        call.frame.body.facts.spend(run.tries)
        return to.bundle(run.value)


def _planned(run: _Run) -> _Plan:
    """What a copy of a run puts down.

    Raises:
        _Fixed: something of it is not at its path.
    """
    work, path = run.work, run.call.path
    journal, since, till = work.journal, run.since, run.till

    def below(key: str) -> str:
        if key != path and not key.startswith(path + "."):
            raise _Fixed
        return key[len(path) :]

    ids = [(below(wanted), name) for wanted, name in journal.ids[since.ids : till.ids]]
    known = {*run.names, *(name for _, name in ids)}
    edges: dict[Edge, int] = {}
    tensors: dict[int, Tensor] = {}
    places: dict[int, int] = {}
    steps: list[_Step] = []
    for name in journal.nodes[since.nodes : till.nodes]:
        node = work.nodes[name]
        if node.key:
            below(node.key)
        for given in node.given.values():
            if given.key is not None:
                below(given.key)
        for tensor in node.outputs:
            tensors.setdefault(id(tensor), tensor)
            places.setdefault(id(tensor), len(places))
        steps.append(_Step(
            node, [edges.setdefault(edge, len(edges)) for edge in node.inputs],
            [places[id(tensor)] for tensor in node.outputs],
            node.primitive is not None and _names_nodes(node.primitive),
        ))
    if any(edge.node not in known for edge in edges):
        raise _Fixed
    declared = journal.weights[since.weights : till.weights]
    weights = [(below(key), w, node, span, tied) for key, w, node, span, tied in declared]
    for *_, tied in declared:
        if tied is not None:
            below(tied)
    results = [(below(key), edge) for key, edge in journal.results[since.results : till.results]]
    scopes = [(below(key), span) for key, span in journal.scopes[since.scopes : till.scopes]]
    regions = [(x, below(x.path) if x.path else None) for x in work.regions[slice(*run.regions)]]
    types = list(tensors.values())
    named = [i for i, tensor in enumerate(types) if tensor.renamed(lambda _: "") is not tensor]
    plan = _Plan(ids, steps, list(edges), types, named, regions, weights, results, scopes)
    keys = [key for key, *_ in weights] + [key for key, _ in scopes]
    plan.longest = max(map(len, keys), default=0)
    plan.parts = max((key.count(".") for key in keys), default=0)
    plan.titles = frozenset([x.title for x, _ in regions if x.kind == "block"])
    plan.depth, plan.blocks = _depths(run.call.region, [x for x, _ in regions])
    return plan


def _depths(top: int, regions: list[Region]) -> tuple[int, int]:
    """How deep regions stand in the one of the run, and how deep the blocks among them stand in each other."""
    found = {top: (0, 0)}
    for x in regions:
        assert x.parent is not None
        depth, blocks = found[x.parent]
        found[x.id] = (depth + 1, blocks + (x.kind == "block"))
    return max(depth for depth, _ in found.values()), max(blocks for _, blocks in found.values())


def _names_nodes(primitive: Primitive) -> bool:
    """Whether the settings of an op name nodes.

    Raises:
        _Fixed: an op among its settings may.
    """
    values = [getattr(primitive, name) for name in type(primitive).model_fields]
    if any(isinstance(x, Primitive) and (x.references or x.tensors) for x in values):
        raise _Fixed
    return isinstance(primitive, Scan) or any(isinstance(x, Reference) for x in values)


def _around(shared: Module) -> Iterator[Module]:
    """A shared module, and those in whose bodies it is declared."""
    module: Module | None = shared
    while module is not None:
        yield module
        module = module.outer


def _is_fine(path: str, span: Span) -> bool:
    try:
        check_key(path, span)
    except ArchError:
        return False
    return True
