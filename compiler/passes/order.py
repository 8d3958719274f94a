"""`gather(f(gather(x)))` -> `f(x)`: tokens stay in the order in which attention works, until that changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any, Final

import torch.fx as fx

from ogive.compiler.module import Network
from ogive.compiler.passes.order_modules import OrderedParts, Reorder, own_order, plan_of
from ogive.compiler.passes.order_plan import Choice, Order, Orders, Read, Step, cheapest
from ogive.compiler.passes.order_read import Chain, Shapes, attends, chain_from, shapes_of, token_axis
from ogive.compiler.passes.reading import lose, set_module
from ogive.dsl.patterns import PatternError

__all__ = ["gathers", "gathers_saved", "order"]

REASON: Final = "it is computed with its positions in another order"
SHELF: Final = "_order"


def order(module: Network) -> Network:
    """f(x[p]) -> f(x)[p], x[p][q] -> x[p . q], x[p][p^-1] -> x, for every f that acts token by token.

    A permutation of positions is a layout. Norms, linear maps, MLPs, sums and activations work in any, attention over
    windows best in that of its windows; what mixes positions otherwise, and what the network answers, has the natural
    one. The cheapest choice is looked for (`order_plan`), and what is left of the moves is one gather each. Keys stay,
    and so does every number.

    Declines where nothing moves tokens, where the sizes of a call decide where they go, and where it would save
    nothing; single attentions that keep their own gathers are told, too.
    """
    found = _Reading(module)
    if isinstance(found.why, str):
        module.meta["ogive"]["declined"]["order"] = [found.why]
        return module
    history = cheapest(found.steps, found.weights, found.orders)
    if history is None or history.cost >= found.moved:
        found.declined.append("every order of tokens moves as much as the one that stands there")
    else:
        _Rewrite(module, found, history).run()
    if found.declined:
        module.meta["ogive"]["declined"]["order"] = found.declined
    return module


def gathers(module: Network) -> int | None:
    """How often a forward brings tokens into another order: each tensor that is gathered; None where sizes are free.

    Attention over windows gathers q, k and v, and puts its answer back.
    """
    found = _Reading(module)
    return None if found.shapes is None else found.count


def gathers_saved(module: Network) -> tuple[int, int] | str:
    """How often a network in evaluation gathers tokens as it is lowered, and how often behind `order`.

    `module` is changed: it is one to look at. Where the sizes of a call decide, the words that say so.
    """
    before = gathers(module)
    after = gathers(order(module))
    if before is None or after is None:
        return str(module.meta["ogive"]["declined"]["order"][0])
    return before, after


@dataclass
class _Reading:
    """A graph as steps: which values there are, who reads them through which gather."""

    module: Network
    steps: list[Step] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    declined: list[str] = field(default_factory=list)
    orders: Orders = field(default_factory=Orders)
    count: int = 0
    moved: int = 0
    """What is moved as the graph stands."""
    why: str | None = None
    shapes: Shapes | None = None

    def __post_init__(self) -> None:
        self.axes: dict[fx.Node, int] = {}
        self.reads: dict[fx.Node, Read] = {}
        self.nodes: list[fx.Node | None] = []
        self.chains: dict[fx.Node, Chain] = {}
        self.views: dict[fx.Node, Chain] = {}
        nodes = list(self.module.graph.nodes)
        if not any(attends(self.module, n) or isinstance(self._called(n), Reorder) or _may_move(n) for n in nodes):
            self.why, self.shapes = "nothing here moves tokens", Shapes()
            return
        shapes = shapes_of(self.module)
        if isinstance(shapes, str):
            self.why = shapes
            return
        self.shapes = shapes
        inside: set[fx.Node] = set()
        for node in nodes:
            if node in inside or node.op in ("placeholder", "get_attr"):
                continue
            chain = chain_from(self.module, node, shapes)
            if chain is not None:
                inside.update(chain.nodes)
                self._chain(chain)
            elif attends(self.module, node) is not None:
                self._attend(node)
            else:
                self._other(node)
        if not self.count:
            self.why = "nothing here moves tokens"

    def _called(self, node: fx.Node) -> object:
        return self.module.get_submodule(str(node.target)) if node.op == "call_module" else None

    # ------------------------------------------------------------------------------------ kinds of nodes
    def _chain(self, chain: Chain) -> None:
        """A gather is another name for what it reads; where it comes with a reshape, it is one end of these values."""
        assert self.shapes is not None
        by = self.orders.number(chain.by)
        size = len(chain.by)
        weight = prod(self.shapes[chain.end])
        self.count += 1
        self.moved += weight
        if chain.before is None:
            read = self._value(chain.source, 1)
        else:  # out of windows: what stands there is reshaped to tokens, and these are gathered
            read = self._new("source", chain.end, 1, size, weight)
        through = Read(read.value, self.orders.after(read.by, by))
        if chain.after is None:
            self.reads[chain.end], self.axes[chain.end] = through, 1
            self.chains[chain.end] = chain
        else:
            self._fixed(chain.end, [through], size)
            self.views[chain.end] = chain

    def _attend(self, node: fx.Node) -> None:
        assert self.shapes is not None
        made = attends(self.module, node)
        assert made is not None
        q, k, v, queries, keys = node.args[:5]
        tokens = [x for x in (q, k, v) if isinstance(x, fx.Node)]
        sizes = [self._numbers(x) for x in (queries, keys)]
        size = self.shapes[tokens[0]][2]
        why: str | tuple[int, ...] = "its sizes are those of a call"
        dear = 0
        if sizes[0] is not None and sizes[1] is not None and len(tokens) == 3:
            try:
                walked = plan_of(made, sizes[0], sizes[1])
                why = own_order(walked, made.of, size)
            except PatternError as error:
                why = str(error)
            else:
                moving = not (len(walked.parts) == 1 and why == tuple(range(size)))
                moving = moving and any(not p.q.is_view or not p.k.is_view for p in walked.parts)
                dear = sum(prod(self.shapes[x]) for x in (*tokens, node)) if moving else 0
        self.count += 4 if dear else 0
        self.moved += dear
        axis = {self.axes.get(x) for x in tokens}
        if isinstance(why, str) or axis != {2}:
            if not isinstance(why, str):
                why = "its queries, keys and values are no token tensors"
            if dear:
                self.declined.append(f"{node.name}: {why}")
            self._other(node)
            return
        reads = [self.reads[x] for x in tokens]
        self._new("attend", node, 2, size, prod(self.shapes[node]), reads, self.orders.number(why), dear)

    def _numbers(self, value: Any) -> tuple[int, ...] | None:
        assert self.shapes is not None
        found = tuple(self.shapes.get(x) if isinstance(x, fx.Node) else x for x in value)
        return found if all(isinstance(n, int) for n in found) else None  # type: ignore[return-value]

    def _other(self, node: fx.Node) -> None:
        """An op that acts token by token, or one that reads the natural order."""
        assert self.shapes is not None
        found = None if node.op == "output" else token_axis(self.module, node, self.axes, self.shapes)
        if found is None or not self._even(found[0], node):
            self._fixed(node, [self.reads[x] for x in node.all_input_nodes if x in self.reads])
            return
        tokens, axis = found
        reads = [self._value(x, self.axes.get(x, 1)) for x in tokens]
        shape = self.shapes.get(node)
        weight = prod(shape) if isinstance(shape, tuple) else 2 * self.weights[reads[0].value]
        self._new("token", node, axis, self._size(reads[0]), weight, reads)

    def _even(self, tokens: list[fx.Node], node: fx.Node) -> bool:
        """All have as many positions."""
        assert self.shapes is not None
        known = {self._size(self.reads[x]) if x in self.reads else self.shapes[x][1] for x in tokens}
        return len(known) == 1

    def _size(self, read: Read) -> int:
        return len(self.orders.known[read.by])

    # ------------------------------------------------------------------------------------ steps
    def _value(self, node: fx.Node, axis: int) -> Read:
        """How a node's tensor is read; one that was no token tensor so far is one from here on."""
        assert self.shapes is not None
        if node not in self.reads:
            return self._new("source", node, axis, self.shapes[node][axis], prod(self.shapes[node]))
        return self.reads[node]

    def _new(
        self, kind: Any, node: fx.Node, axis: int, size: int, weight: int, reads: list[Read] | None = None,
        own: Order = -1, dear: int = 0,
    ) -> Read:
        value = len(self.weights)
        self.weights.append(weight)
        self.steps.append(Step(kind, value, size, tuple(reads or ()), own, dear))
        self.nodes.append(node)
        read = Read(value, self.orders.identity(size))
        self.reads[node], self.axes[node] = read, axis
        return read

    def _fixed(self, node: fx.Node, reads: list[Read], size: int = 0) -> None:
        if reads:
            self.steps.append(Step("fixed", -1, size or self._size(reads[0]), tuple(reads)))
            self.nodes.append(node)


def _may_move(node: fx.Node) -> bool:
    return node.op in ("call_method", "call_function") and getattr(node.target, "__name__", node.target) in (
        "permute", "transpose", "index_select", "roll",
    )


class _Rewrite:
    """The graph of a history."""

    def __init__(self, module: Network, found: _Reading, history: Choice) -> None:
        self.module, self.found = module, found
        self.history = history.orders()
        self.have: dict[int, dict[Order, fx.Node]] = {}
        self.axis: dict[int, int] = {}
        self.made = 0

    def run(self) -> None:
        found, graph = self.found, self.module.graph
        for step, node, chosen in zip(found.steps, list(found.nodes), self.history, strict=True):
            assert node is not None
            natural = found.orders.identity(step.size)
            if step.kind == "source":
                self._source(step, node)
                continue
            if step.kind == "fixed":
                self._settle(node, step)
                continue
            olds = [x for x in node.all_input_nodes if x in found.reads]
            for old in olds:
                read = found.reads[old]
                need = found.orders.after(read.by, chosen)
                node.replace_input_with(old, self._get(read.value, need, node))
            if step.kind == "attend" and chosen == step.own and chosen != natural:
                like = attends(self.module, node)
                assert like is not None
                set_module(self.module, str(node.target), OrderedParts(like, found.orders.known[chosen]))
            self.have[step.made] = {chosen: node}
            self.axis[step.made] = found.axes[node]
            if chosen != natural:
                lose(self.module, node, REASON)
        for chain in [*found.chains.values(), *found.views.values()]:
            for node in reversed(chain.nodes):
                if not node.users:
                    self._forget(node)
                    graph.erase_node(node)
        graph.lint()
        self.module.recompile()

    def _source(self, step: Step, node: fx.Node) -> None:
        """A value in its natural order; out of windows, the reshape in front of the gather."""
        natural = self.found.orders.identity(step.size)
        chain = self.found.chains.get(node) or self.found.views.get(node)
        if chain is not None and chain.before is not None:
            assert self.found.shapes is not None
            with node.graph.inserting_after(node):
                whole = node.graph.call_method("reshape", (chain.source, -1, step.size, self._width(chain)))
            node = self._about(whole, node)
        self.have[step.made], self.axis[step.made] = {natural: node}, self.found.axes.get(node, 1)

    def _settle(self, node: fx.Node, step: Step) -> None:
        """An op that reads the natural order; into windows, the reshape behind the gather."""
        chain = self.found.views.get(node)
        if chain is None:
            for old in node.all_input_nodes:
                read = self.found.reads.get(old)
                if read is not None:
                    node.replace_input_with(old, self._get(read.value, read.by, node))
            return
        (read,) = step.reads
        assert chain.after is not None
        source = self._get(read.value, read.by, node)
        with node.graph.inserting_before(node):
            made = self._about(node.graph.call_method("reshape", (source, -1, *chain.after[1:])), node)
        node.replace_all_uses_with(made)
        self._moved(node, made)

    def _width(self, chain: Chain) -> int:
        assert self.found.shapes is not None
        given, made = self.found.shapes[chain.source], self.found.shapes[chain.end]
        return int(min(given[2], made[2]))

    def _get(self, value: int, need: Order, before: fx.Node) -> fx.Node:
        """A value in an order: as it stands, or gathered in front of a node."""
        have = self.have[value]
        if need not in have:
            first = next(iter(have))
            index = self.found.orders.known[self.found.orders.gather(first, need)]
            path = f"{SHELF}.{self.made}"
            self.made += 1
            set_module(self.module, path, Reorder(index, self.axis[value]).to(_device(self.module)))
            with before.graph.inserting_before(before):
                made = before.graph.call_module(path, (have[first],))
            have[need] = self._about(made, before)
        return have[need]

    def _about(self, made: fx.Node, like: fx.Node) -> fx.Node:
        made.meta["ogive"] = {**like.meta.get("ogive", {}), "op": "order"}
        return made

    def _moved(self, node: fx.Node, to: fx.Node) -> None:
        results: dict[str, str] = self.module.meta["ogive"]["results"]
        for path, name in results.items():
            if name == node.name:
                results[path] = to.name

    def _forget(self, node: fx.Node) -> None:
        lose(self.module, node, REASON)


def _device(module: Network) -> Any:
    return next((p.device for p in module.parameters()), None)
