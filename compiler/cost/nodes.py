"""What each node costs at given sizes: weights, multiply-adds, bytes moved, memory, matrices of attention, reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from ogive.compiler.cost.field import Field, fields
from ogive.dsl.diagnostics import fail
from ogive.dsl.dims import evaluate
from ogive.dsl.graph import Graph, Node
from ogive.dsl.memory import inference, scores_of, training, way_of
from ogive.dsl.memory.ops import VIEWS, WEIGHTS, size_of
from ogive.dsl.ops.attention import Attend
from ogive.dsl.ops.record import Mismatch
from ogive.dsl.patterns import Dense, Mechanism
from ogive.dsl.types import Tensor, sized

__all__ = ["NodeCost", "costs", "macs_dense", "owned_by"]


@dataclass(frozen=True, slots=True)
class NodeCost:
    """One node.

    Attributes:
        params: learned or frozen numbers that it owns; what is tied or shared counts where it first stands.
        weights: bytes of them and of its buffers.
        macs, macs_dense: multiply-adds that are done; those that would be if attention looked at every pair.
        moved: bytes it must read and write: inputs, weights and results, each once.
        live: bytes that lie there while it runs in a forward without gradients, weights and inputs left out.
        kept: bytes that training keeps until its gradients have been taken.
        matrix: numbers of the matrices of attention, batch x heads x queries x keys; `scores` those of them that are
            really in memory, as it is lowered.
        field: what of the input it sees.
        density: the share of the pairs that attention looks at; None of all of them, and of what has no pairs.
    """

    params: int
    weights: int
    macs: int
    macs_dense: int
    moved: int
    live: int
    kept: int
    matrix: int
    scores: int
    field: Field
    density: float | None

    @property
    def intensity(self) -> float:
        """FLOP for each byte moved, two for a multiply-add."""
        return 2 * self.macs / self.moved if self.moved else 0.0


def costs(graph: Graph, sizes: Mapping[str, int], width: int = 4) -> dict[str, NodeCost]:
    """The cost of every node, by its id; `sizes` names every free size, `width` is the bytes of a float.

    Raises:
        ArchError: A802, an attention has no meaning at these sizes, or too many pairs to be counted.
    """
    owned = owned_by(graph, width)
    forward, backward = inference(graph, width, sizes), training(graph, width, sizes)
    seen = fields(graph, sizes)
    found: dict[str, NodeCost] = {}
    for node in graph:
        params, weights = owned.get(node.id, (0, 0))
        macs = graph.cost(node, sizes)
        matrix, scores, density = _pairs(graph, node, sizes)
        found[node.id] = NodeCost(
            params, weights, macs, macs_dense(graph, node, sizes, macs), _moved(graph, node, sizes, weights, width),
            forward.nodes[node.id].at(sizes), evaluate(backward.kept.get(node.id, 0), sizes), matrix, scores,
            seen[node.id], density,
        )
    return found


def owned_by(graph: Graph, width: int = 4) -> dict[str, tuple[int, int]]:
    """The parameters of each node that owns weights, and the bytes of its weights, buffers among them."""
    found: dict[str, tuple[int, int]] = {}
    for p in graph.parameters.values():
        if p.tied is None:
            params, weights = found.get(p.node, (0, 0))
            size = p.numel * {"int": 8, "bool": 1}.get(p.weight.dtype, width)
            found[p.node] = (params + (0 if p.weight.buffer else p.numel), weights + size)
    return found


def macs_dense(graph: Graph, node: Node, sizes: Mapping[str, int], macs: int) -> int:
    """What `macs` would be if every query of an attention looked at every key; `macs` itself for all else.

    Raises:
        ArchError: A802, as `Graph.cost`.
    """
    op = node.primitive
    if not isinstance(op, Attend) or op.over == Dense():
        return macs
    inputs, outputs = _types(graph, node, sizes)
    if isinstance(op.over, Mechanism):
        return evaluate(op.macs_dense(inputs, outputs), sizes)
    dense = op.model_copy(update={"over": Dense()})
    try:
        return evaluate(dense.macs(inputs, outputs), sizes)
    except Mismatch as error:
        raise fail("A802", error.title, node.span, help=error.help) from None


def _types(graph: Graph, node: Node, sizes: Mapping[str, int]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    return tuple(sized(graph.tensor(e), sizes) for e in node.data), tuple(sized(t, sizes) for t in node.outputs)


def _pairs(graph: Graph, node: Node, sizes: Mapping[str, int]) -> tuple[int, int, float | None]:
    """Numbers of the matrices of attention, those of them in memory, and the density."""
    op = node.primitive
    if not isinstance(op, Attend):
        return 0, 0, None
    inputs, outputs = _types(graph, node, sizes)
    q, k, v = op.qkv(inputs)
    matrix = evaluate(scores_of(op, q, k, outputs[0].shape[0]), sizes)
    density = op.density(inputs)
    held = matrix if way_of(op, q, k, v) == "written" else 0
    return matrix, held, density if density is not None and density < 1 else None


def _moved(graph: Graph, node: Node, sizes: Mapping[str, int], weights: int, width: int) -> int:
    """Bytes read and written, each once; nothing of what is only looked at in another way."""
    if node.primitive is None or node.op in VIEWS or node.op in WEIGHTS:
        return 0
    those = {edge: graph.tensor(edge) for edge in node.inputs}
    total = sum(evaluate(size_of(t, width), sizes) for t in (*those.values(), *node.outputs))
    if node.op in ("take", "drop_prefix", "split", "unstack", "slice", "subsample", "dropout", "drop_path"):
        return 0
    if node.op == "embedding":  # rows of the table, not all of it
        return sum(evaluate(size_of(t, width), sizes) for t in node.outputs) * 2
    own = sum(prod(w.shape) for w in node.own if w.dtype == "float")
    return total + (weights or own * width)
