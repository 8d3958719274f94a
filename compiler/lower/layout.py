"""Changes of layout, as views where torch can."""

from __future__ import annotations

from ogive.compiler.lower.axes import cut, to_grid
from ogive.compiler.lower.emit import Emit, Value
from ogive.compiler.lower.register import lowers, settings
from ogive.dsl.graph import Node
from ogive.dsl.ops.layout import ChannelShuffle, DepthToSpace, SpaceToDepth, SplitHeads, Take
from ogive.dsl.types import Role

__all__ = [
    "channel_shuffle", "depth_to_space", "drop_prefix", "merge_heads", "space_to_depth", "split_heads", "take",
    "to_image", "to_tokens", "transpose",
]


@lowers("to_tokens")
def to_tokens(emit: Emit, node: Node, x: Value) -> Value:
    return emit.method("transpose", emit.method("flatten", x, 2), 1, 2)


@lowers("to_image")
def to_image(emit: Emit, node: Node, x: Value) -> Value:
    return to_grid(emit, x, emit.types(node)[0])


@lowers("transpose")
def transpose(emit: Emit, node: Node, x: Value) -> Value:
    return emit.method("transpose", x, 1, 2)


@lowers("space_to_depth")
def space_to_depth(emit: Emit, node: Node, x: Value) -> Value:
    """Image: `B C (h n) (w n) -> B (nw nh C) h w`; tokens: `B (h n w n) C -> B (h w) (nw nh C)`."""
    op, (t,) = settings(node, SpaceToDepth), emit.types(node)
    if t.layout == "tokens":
        rank = len(t.axes[1].grid)
        grid = node.outputs[0].axes[1].grid
        sizes = [size for n in grid for size in (emit.size(n), op.n)]
        x = emit.method("unflatten", x, 1, sizes)
        near = [2 * i + 2 for i in reversed(range(rank))]
        x = emit.method("permute", x, 0, *range(1, 2 * rank, 2), *near, 2 * rank + 1)
        return emit.method("flatten", emit.method("flatten", x, rank + 1), 1, rank)
    rank = t.rank - 2
    for place in reversed(range(2, t.rank)):
        x = emit.method("unflatten", x, place, (-1, op.n))
    near = [2 * i + 3 for i in reversed(range(rank))]
    x = emit.method("permute", x, 0, *near, 1, *range(2, 2 * rank + 1, 2))
    return emit.method("flatten", x, 1, rank + 1)


@lowers("depth_to_space")
def depth_to_space(emit: Emit, node: Node, x: Value) -> Value:
    """Image: `B (nw nh C) h w -> B C (h n) (w n)`; tokens: `B (h w) (nw nh C) -> B (h n w n) C`."""
    op, (t,) = settings(node, DepthToSpace), emit.types(node)
    if t.layout == "tokens":
        grid = t.axes[1].grid
        rank = len(grid)
        x = emit.method("unflatten", x, 2, (*[op.n] * rank, -1))
        x = emit.method("unflatten", x, 1, tuple(emit.size(n) for n in grid))
        pairs = [place for i in range(rank) for place in (1 + i, 2 * rank - i)]
        x = emit.method("permute", x, 0, *pairs, 2 * rank + 1)
        return emit.method("flatten", x, 1, 2 * rank)
    rank = t.rank - 2
    x = emit.method("unflatten", x, 1, (*[op.n] * rank, -1))
    pairs = [place for i in range(rank) for place in (rank + 2 + i, rank - i)]
    x = emit.method("permute", x, 0, rank + 1, *pairs)
    for place in reversed(range(2, 2 + rank)):
        x = emit.method("flatten", x, 2 * place - 2, 2 * place - 1)
    return x


@lowers("channel_shuffle")
def channel_shuffle(emit: Emit, node: Node, x: Value) -> Value:
    apart = emit.method("unflatten", x, 1, (settings(node, ChannelShuffle).groups, -1))
    return emit.method("flatten", emit.method("transpose", apart, 1, 2), 1, 2)


@lowers("split_heads")
def split_heads(emit: Emit, node: Node, x: Value) -> Value:
    return emit.method("transpose", emit.method("unflatten", x, 2, (settings(node, SplitHeads).heads, -1)), 1, 2)


@lowers("merge_heads")
def merge_heads(emit: Emit, node: Node, x: Value) -> Value:
    return emit.method("flatten", emit.method("transpose", x, 1, 2), 2)


@lowers("drop_prefix")
def drop_prefix(emit: Emit, node: Node, x: Value) -> Value:
    return cut(emit, x, 1, emit.types(node)[0].axes[1].prefix, None)


@lowers("take")
def take(emit: Emit, node: Node, x: Value) -> Value:
    """One position is selected, several are a slice; a slice to the end names no size."""
    op, (t,) = settings(node, Take), emit.types(node)
    place = t.find(Role.POSITION)
    axis = t.axes[place]
    start, size = op.span(axis)
    if op.drops(size):
        return emit.method("select", x, place, emit.size(start))
    stop = start + size
    return cut(emit, x, place, start, None if stop in (0, axis.size) else stop)
