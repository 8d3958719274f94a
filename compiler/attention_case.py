"""An attention of a checked graph as the policy sees it: sizes as numbers, its set in parts, what is added."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

from ogive.compiler.kernels.setting import LARGEST_HEAD
from ogive.compiler.kernels.ways import by_parts
from ogive.compiler.policy import TILES, Case
from ogive.compiler.roofline import work_of
from ogive.dsl.dims import evaluate
from ogive.dsl.graph import Graph, Node
from ogive.dsl.ops.attention import Attend, position_axis
from ogive.dsl.ops.biases import Buckets, Offsets, Products, Slopes, offsets_of
from ogive.dsl.patterns import Dense, Mechanism
from ogive.dsl.patterns.costs import GPU
from ogive.dsl.patterns.mechanisms import Linformer, Pooled
from ogive.dsl.patterns.parts import plan
from ogive.dsl.patterns.space import Sequence, Space
from ogive.dsl.types import Tensor, sized

__all__ = ["case_of", "name_of"]

Unfused = Callable[[Attend], "str | None"]


def name_of(graph: Graph, node: Node) -> str:
    """Its key path; without weights, the path of what is around it and its name."""
    around = graph.regions[node.region]
    while not around.path and around.parent is not None:  # a residual without a name adds no key
        around = graph.regions[around.parent]
    return node.key or ".".join(filter(None, (around.path, node.name or node.op)))


def case_of(graph: Graph, node: Node, values: Mapping[str, int], precision: str, unfused: Unfused) -> Case:
    """An attention at sizes that are numbers.

    Raises:
        PatternError: its set means nothing on these sizes, or is arithmetic over too many pairs.
    """
    op = node.primitive
    assert isinstance(op, Attend)
    inputs = tuple(sized(graph.tensor(edge), values) for edge in node.data)
    q, k, v = op.qkv(inputs)
    space = Space.between(position_axis(q), position_axis(k))
    assert space is not None, "all sizes are numbers here"
    over, reason = op.over, unfused(op)
    if isinstance(over, Mechanism):
        space = Space(Sequence((space.queries.size,)), Sequence((_few(over, k, values) or space.keys.size,)))
        over = Dense()
    groups = op.groups(q, k, v)
    wide, out = op.qkv(inputs)[0].channels, op.width(q, k, v)
    assert isinstance(wide, int)
    parts, walked = plan(over, space, op.heads, GPU).parts, by_parts(over, space, op.heads, TILES["flash"][0])
    work = work_of(
        parts, batch=evaluate(node.outputs[0].shape[0], values), heads=op.heads, kv_heads=op.heads // groups,
        queries=space.queries.size, keys=space.keys.size, width=wide // op.heads,
        values=evaluate(out, values) // op.heads, bias=_bytes(op, values),
    )
    most = max(work.width, work.values)
    own = f"a head of {most} channels is wider than {LARGEST_HEAD}" if most > LARGEST_HEAD else None
    return Case(work, parts, precision, reason, _bias(op), op.mask is not None, op.drop > 0, own, walked)


def _few(over: Mechanism, keys: Tensor, values: Mapping[str, int]) -> int | None:
    """How many keys are left of those that a mechanism makes fewer; None where it does something else."""
    if isinstance(over, Linformer):
        return over.rank
    if isinstance(over, Pooled):
        return evaluate(over.kept(position_axis(keys)), values)
    return None


def _bias(op: Attend) -> str | None:
    """The kind of a bias, in words."""
    if op.bias is None:
        return None
    match offsets_of(op.bias.tensor) or op.bias.tensor.structure:
        case Offsets():
            return "a table over offsets"
        case Slopes():
            return "slopes"
        case Buckets():
            return "a table over buckets"
        case Products():
            return "the products of queries with two tables"
    return "a bias"


def _bytes(op: Attend, values: Mapping[str, int]) -> int:
    """Bytes of what a bias is read from, at 4 a number."""
    if op.bias is None:
        return 0
    return 4 * prod(evaluate(n, values) for n in op.bias.tensor.shape)
