"""What each attention of a network comes to: its set of pairs, how it is walked, and what was not taken and why.

Nothing is guessed: the pairs are counted, the ways and refusals are those of the plan that compiling follows
(`dsl/patterns/parts.py`), and what speaks against one call of a fused kernel is what `require fused` says. On a GPU the
kernel is the policy's choice (`policy.py`), beside what no kernel can be faster than.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ogive.compiler.attention_case import case_of, name_of
from ogive.compiler.cost import sizes_of
from ogive.compiler.int8 import WIDEST, WORDS, Reach
from ogive.compiler.policy import Case, Choice, automatic, choose, no_gain, no_int8
from ogive.compiler.precision import AUTO, Precision
from ogive.compiler.targets import Gpu
from ogive.dsl.diagnostics import fail
from ogive.dsl.dims import evaluate
from ogive.dsl.graph import Graph, Node
from ogive.dsl.ops.attention import Attend, position_axis
from ogive.dsl.ops.record import Mismatch
from ogive.dsl.patterns import Causal, Dense, Mechanism, Pattern, PatternError
from ogive.dsl.patterns.algebra import PerHead, leaves
from ogive.dsl.patterns.costs import GPU, PROCESSOR, Costs
from ogive.dsl.patterns.count import total
from ogive.dsl.patterns.named import Random
from ogive.dsl.patterns.normal import normal
from ogive.dsl.patterns.part import Plan, Refusal
from ogive.dsl.patterns.parts import plan
from ogive.dsl.patterns.space import Space
from ogive.dsl.types import Tensor, sized

__all__ = ["Account", "On", "accounts"]

SCATTERED: Final = 8
"""Blocks of `random` that are smaller fetch their keys one by one."""

DEARER: Final = 1.05

Unfused = Callable[[Attend], "str | None"]


@dataclass(frozen=True, slots=True)
class On:
    """The GPU that attentions are told for, what each is computed in, and the kernel that is asked for, if any.

    Without a GPU the precision is of INT8 alone, which goes on a processor too.
    """

    gpu: Gpu | None
    precision: Precision
    kernel: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """One attention, or several that are alike.

    Attributes:
        names: the key paths, or names, of those that are alike.
        place, line: where it stands, and the text of that line.
        over, normal: the pattern or mechanism as written, and in normal form on these positions ("" of a mechanism).
        pairs: how many pairs are in the set, all heads together; None of a mechanism. `computed` is how many are
            computed, `dense` how many there are.
        macs, macs_dense: multiply-adds that are done, and those of dense attention; of one sample or batch as sized.
        way, calls: how it is walked, and how many calls of a kernel that is.
        refused: each other way with its reason.
        notes: what else the writer should know.
        precision, choice: what q, k and v are in, and on a GPU the kernel with why.
        measured: what calibration found of the forms of INT8; `reach`, which numbers get codes.
    """

    names: tuple[str, ...]
    place: str
    line: str
    heads: int
    queries: int
    keys: int
    over: str
    normal: str
    pairs: int | None
    computed: int | None
    dense: int
    macs: int
    macs_dense: int
    way: str
    calls: int | None
    refused: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
    precision: str = ""
    choice: Choice | None = None
    measured: str = ""
    reach: Reach = WIDEST

    @property
    def density(self) -> float | None:
        """The share of all pairs that are in the set."""
        return None if self.pairs is None else self.pairs / self.dense

    def as_json(self) -> dict[str, Any]:
        return {
            "names": list(self.names), "place": self.place, "line": self.line, "heads": self.heads,
            "queries": self.queries, "keys": self.keys, "over": self.over, "normal": self.normal, "pairs": self.pairs,
            "pairs_computed": self.computed, "pairs_dense": self.dense, "density": self.density, "macs": self.macs,
            "macs_dense": self.macs_dense, "way": self.way, "calls": self.calls,
            "refused": [{"way": r.way, "reason": r.reason} for r in self.refused], "notes": list(self.notes),
            **({"precision": self.precision} if self.precision else {}),
            **({"measured": self.measured} if self.measured else {}),
            **({} if self.choice is None else {"kernel": self.choice.as_json()}),
        }


def accounts(
    graph: Graph, given: Mapping[str, int] | None, unfused: Unfused, on: On | None = None,
) -> tuple[Account, ...]:
    """An account for each attention of a network, in the order they run; those that are alike are one.

    `given` are sizes, as in `cost.sizes_of`; `unfused` says why an attention is no single call of a fused kernel.

    Raises:
        ArchError: A802 a size that is missing, or one at which a pattern means nothing or cannot be counted; A740 a
            kernel that is not there, A741 one that refuses; A743 a precision for where no attention stands; A749 INT8
            where it does not go; A750 a plan of another network.
    """
    values = sizes_of(graph, given)
    found: dict[Account, list[str]] = {}
    those = [node for node in graph if isinstance(node.primitive, Attend)]
    if on is not None:
        on.precision.covers([name_of(graph, node) for node in those], graph)
    for node in those:
        told = _account(graph, node, values, unfused, on)
        found.setdefault(replace(told, names=()), []).extend(told.names)
    return tuple(replace(told, names=tuple(names)) for told, names in found.items())


def _account(graph: Graph, node: Node, values: Mapping[str, int], unfused: Unfused, on: On | None) -> Account:
    op = node.primitive
    assert isinstance(op, Attend)
    inputs = tuple(sized(graph.tensor(edge), values) for edge in node.data)
    outputs = tuple(sized(t, values) for t in node.outputs)
    try:
        costs = PROCESSOR if on is None or on.gpu is None else GPU
        told = _told(graph, node, op, inputs, outputs, values, unfused, costs)
        if on is None:
            return told
        told = _calibrated(told, on.precision)
        if on.gpu is None:
            return _on_processor(told, on.precision.at(told.names[0]), unfused(op), node)
        precision = on.precision.at(told.names[0])
        case = case_of(graph, node, values, "bf16" if precision == AUTO else precision, unfused)
    except PatternError as error:
        raise fail("A802", error.title, node.span, help=error.help) from None
    except Mismatch as error:
        raise fail("A802", error.title, node.span, help=error.help) from None
    if precision == AUTO:
        forms = on.precision.allowed(told.names[0])
        case, choice = automatic(case, on.gpu, forms, on.kernel, node.span)
        why = () if case.precision in WORDS else (f"not INT8: {_kept(case, on.gpu, forms)}",)
        return replace(told, precision=case.precision, choice=choice, notes=(*told.notes, *why))
    choice = choose(case, on.gpu, on.kernel, node.span)
    doubts = () if choice.doubt is None else (f"INT8 does not pay here: {choice.doubt}",)
    return replace(told, precision=precision, choice=choice, notes=(*told.notes, *doubts))


def _kept(case: Case, gpu: Gpu, forms: Sequence[str]) -> str:
    """Why `auto` takes no form of INT8."""
    other = "it should be no faster" if forms else "calibration found every form too far off"
    return case.unfused or case.own or no_gain(case, gpu) or other


def _calibrated(told: Account, precision: Precision) -> Account:
    """With what a plan says of it."""
    if precision.plan is None:
        return told
    path = told.names[0]
    return replace(told, measured=precision.plan.attentions[path].told(), reach=precision.reach(path))


def _on_processor(told: Account, precision: str, reason: str | None, node: Node) -> Account:
    """INT8 on a processor: plain torch."""
    if precision not in WORDS:
        kept = ("not INT8: on a processor it is no faster",) if precision == AUTO else ()
        return replace(told, notes=(*told.notes, *kept))
    if reason is not None:
        raise no_int8(reason, node.span)
    return replace(told, precision=precision, notes=(*told.notes, "INT8 is right on a processor, and no faster there"))


def _told(
    graph: Graph, node: Node, op: Attend, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...],
    values: Mapping[str, int], unfused: Unfused, costs: Costs,
) -> Account:
    q, k, _ = op.qkv(inputs)
    space = Space.between(position_axis(q), position_axis(k))
    assert space is not None, "all sizes are numbers here"
    macs_dense = evaluate(op.macs_dense(inputs, outputs), values)
    span = node.span
    plain = Account(
        (name_of(graph, node),), f"{span.source.name}:{span.line}", span.source.line(span.line).strip(),
        op.heads, space.queries.size, space.keys.size, str(op.over), "", None, None, op.heads * space.size,
        graph.cost(node, values), macs_dense, "", None,
    )
    reason = unfused(op)
    if isinstance(op.over, Mechanism):
        return replace(plain, way=_by_mechanism(op.over, reason), refused=_one_call(reason), notes=_dearer(plain))
    return _over_pairs(plain, op, op.over, space, reason, costs)


def _over_pairs(
    plain: Account, op: Attend, over: Pattern, space: Space, reason: str | None, costs: Costs
) -> Account:
    pairs = total(over, space, op.heads)
    form = normal(over, space)
    told = replace(plain, normal=str(form), pairs=pairs)
    besides = told.macs - _share(told.macs_dense, pairs, told.dense)  # head mixes, products of a bias
    if op.score in ("additive", "distance") or op.before_softmax is not None or op.after_softmax is not None:
        return replace(told, way="written out, the scores of all pairs", computed=told.dense,
                       macs=told.macs_dense + besides, refused=_one_call(reason))
    if reason is None and (form == Dense() or (isinstance(form, Causal) and op.mask is None)):
        return replace(told, way="one call of the fused kernel", calls=1, computed=pairs)
    walk = plan(over, space, op.heads, costs)
    done = _computed(walk)
    return replace(
        told, way=_way(walk), calls=len(walk.parts), computed=done,
        macs=_share(told.macs_dense, done, told.dense) + besides,
        refused=(*_one_call(reason or _not_one(over)), *walk.refused),
        notes=_notes(over, walk.work, plan(Dense(), space, op.heads, costs).work),
    )


def _share(macs: int, part: int, whole: int) -> int:
    return macs * part // whole if whole else 0


def _way(walk: Plan) -> str:
    """The way of all heads, or that of each group."""
    ways = list(dict.fromkeys(way for _, way in walk.ways))
    if len(ways) == 1:
        return ways[0]
    return "; ".join(f"from head {head}: {way}" for head, way in walk.ways)


def _computed(walk: Plan) -> int:
    """The pairs that kernels go through: those of whole entries, whether they are seen or not."""
    return sum(len(part.heads) * part.batch * part.q.count * part.k.count for part in walk.parts)


def _one_call(reason: str | None) -> tuple[Refusal, ...]:
    return () if reason is None else (Refusal("one call of the fused kernel", reason),)


def _not_one(over: Pattern) -> str:
    return "it would compute every pair: heads see different sets" if isinstance(over, PerHead) else (
        "it would compute every pair, and read a mask of them"
    )


def _by_mechanism(over: Mechanism, reason: str | None) -> str:
    if reason is None:
        return "one call of the fused kernel, over fewer keys"
    return "written out, without a matrix of all pairs"


def _dearer(plain: Account) -> tuple[str, ...]:
    if plain.macs <= plain.macs_dense:
        return ()
    return ("it costs more multiply-adds than dense attention would with so few positions",)


def _notes(over: Pattern, work: int, dense: int) -> tuple[str, ...]:
    """What is dear: `work` is what the plan costs, `dense` what one of all pairs does."""
    found = []
    for leaf in dict.fromkeys(leaves(over)):
        if isinstance(leaf, Random) and leaf.of < SCATTERED:
            found.append(f"`{leaf}` draws keys that lie apart, which costs more than dense; "
                         f"kernels walk through blocks, as in `random({leaf.n}, of=64)`")
    if work > DEARER * dense and not found:
        found.append(f"it costs more than dense attention: {work / dense:.2f} times as much")
    return tuple(found)
