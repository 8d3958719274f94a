"""What each op does to memory: what it makes, what it works with, what it keeps until the gradients have been taken.

These are facts of torch's own operators on a processor, as the lowerings call them: which answer with a view, which
read their input again in the backward pass, and which their result. An op that is not named here makes its results
anew, works with nothing beside them and reads its inputs again: what most do.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final

from ogive.dsl.dims import Dim
from ogive.dsl.graph import Node
from ogive.dsl.memory.attention import at_work
from ogive.dsl.ops.attention import Attend
from ogive.dsl.ops.conv import Conv
from ogive.dsl.ops.merge import Arithmetic, Split
from ogive.dsl.ops.pool import AdaptivePool
from ogive.dsl.types import Tensor

__all__ = ["WIDTHS", "Held", "held", "size_of"]

WIDTHS: Final = {"int": 8, "bool": 1}
"""Bytes of a number that is no float."""

VIEWS: Final = frozenset({
    "to_tokens", "to_image", "transpose", "identity", "stop_gradient", "regrid", "split_heads", "one_row",
})
"""Every number of the input, where it lies."""
PARTS: Final = frozenset({"take", "drop_prefix", "split", "unstack", "slice", "subsample", "repeat_to", "in"})
"""Some numbers of the input, where they lie."""
TURNS: Final = frozenset({"to_tokens", "to_image", "transpose", "split_heads"})
"""Views whose axes lie in another order than before."""
WEIGHTS: Final = frozenset({"learned", "relative_bias", "t5_bias", "alibi", "zeros", "ones", "offsets", "head_mix"})
"""What lies in the weights and buffers of the network."""
ORDERLY: Final = frozenset({
    "relu", "relu6", "leaky_relu", "gelu", "quick_gelu", "silu", "hard_swish", "hard_sigmoid", "sigmoid", "tanh",
    "softplus", "elu", "exp", "log", "log2", "sqrt", "abs", "sign", "sin", "cos", "neg", "add", "sub", "mul", "div",
    "pow", "scale", "dropout", "drop_path", "batchnorm", "frozen_batchnorm", "conv", "max_pool", "avg_pool",
    "upsample", "position", "identity", "stop_gradient", "regrid", "take", "drop_prefix", "split", "subsample",
    "groupnorm", "adaptive_pool", "pad_grid",
})
"""Ops that answer in the order in which their input lies."""
RESULT: Final = frozenset({"relu", "sigmoid", "tanh", "exp", "sqrt", "softmax"})
"""Ops whose gradient is a function of their result."""
NOTHING: Final = frozenset({
    *VIEWS, *PARTS, *WEIGHTS, "add", "sub", "neg", "concat", "stack", "rearrange", "merge_heads", "space_to_depth",
    "depth_to_space", "channel_shuffle", "global_pool", "mean_over", "sum_over", "upsample", "position", "pad_grid",
    "crop_grid", "shift", "sign", "dropout", "drop_path", "argmax", "argsort", "zeros_like", "arange", "uniform",
    "coordinates", "sine_position", "less", "less_equal", "greater", "greater_equal", "equal", "not_equal",
    "frozen_batchnorm", "embedding", "cumsum", "with", "scan", "masked_fill", "rope", "top_k", "gather",
})
"""Ops whose gradient needs neither their inputs nor their results."""
BLOCK: Final = 8
"""Channels from which convolutions go by blocks of them."""
PASSING: Final = frozenset({*VIEWS, "add", "concat", "position", "merge_heads", "with"})
"""Ops that hand the gradient on as it lies."""


@dataclass(frozen=True, slots=True)
class Held:
    """What one op does to memory, in bytes.

    Attributes:
        shares: its results lie in the storage of its first input.
        turned: their axes do not lie in order, which some ops must mend before they read.
        scratch: what it works with, gone when it is done; `capped` are sizes that stop growing at a number of bytes.
        swapped: what it works with after `scratch` is gone: the result in another order.
        inputs, results: whether it keeps them for the gradients; `inputs` by place.
        keeps: what it keeps besides.
        passes: whether the gradient of its inputs lies where that of its result does.
        back: what it works with when gradients are taken.
    """

    shares: bool = False
    turned: bool = False
    scratch: Dim = 0
    swapped: Dim = 0
    capped: tuple[tuple[Dim, int], ...] = ()
    inputs: tuple[int, ...] = ()
    results: bool = False
    keeps: Dim = 0
    passes: bool = False
    back: Dim = 0


def size_of(x: Tensor, width: int) -> Dim:
    """Bytes of a tensor whose floats have so many."""
    return prod(x.shape, start=1) * WIDTHS.get(x.dtype, width)


def held(
    node: Node, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], turned: tuple[bool, ...], width: int,
    training: bool,
) -> Held:
    """What a node does to memory; `turned` says which of its inputs do not lie in order."""
    op = node.op
    first = turned[0] if turned else False
    if op in WEIGHTS or node.primitive is None:
        return Held(shares=True)
    if op in VIEWS:
        return Held(True, first is not (op in TURNS), passes=True)
    if op in ("dropout", "drop_path"):
        if not training:
            return Held(True, first, passes=True)
        made = size_of(outputs[0], width)
        return Held(turned=first, keeps=made if op == "dropout" else 0)
    if op in PARTS and not (isinstance(node.primitive, Split) and node.primitive.per_head > 1):
        return Held(True, first if op in ORDERLY else False)
    if isinstance(node.primitive, Attend):
        return _attend(node.primitive, inputs[: len(node.data)], outputs[0], turned, width, training)
    sized = tuple(size_of(x, width) for x in inputs)
    made = sum((size_of(x, width) for x in outputs), start=0)
    order = first if op in ORDERLY else False
    special = _special(node, inputs, sized, made, first, training)
    if special is not None:
        return special
    if op in RESULT:
        return Held(turned=order, results=True)
    return Held(turned=order, inputs=_kept(node, inputs), passes=op in PASSING)


def _kept(node: Node, inputs: tuple[Tensor, ...]) -> tuple[int, ...]:
    """The inputs that the gradients read again."""
    if node.op in NOTHING:
        return ()
    if isinstance(node.primitive, Arithmetic) and node.primitive.number is not None:
        return (0,) if node.op in ("pow", "div") and (node.op == "pow" or node.primitive.reverse) else ()
    return tuple(i for i, x in enumerate(inputs) if x.dtype == "float")


def _special(
    node: Node, inputs: tuple[Tensor, ...], sized: tuple[Dim, ...], made: Dim, first: bool, training: bool
) -> Held | None:
    """Ops that work with more than their inputs and results, or answer in an order of their own."""
    kept = _kept(node, inputs)
    match node.op:
        case "scan":  # what each time emits, before it is stacked
            return Held(scratch=made)
        case "linear":
            image = inputs[0].layout == "image"
            copied = first is not image  # a matrix product reads rows
            return Held(
                turned=image, scratch=sized[0] if copied else 0, inputs=() if copied else kept,
                keeps=sized[0] if copied else 0,
            )
        case "layernorm" | "rmsnorm":
            image = inputs[0].layout == "image"
            rows = first is image
            more = made if node.op == "rmsnorm" else 0
            return Held(
                turned=image, scratch=more if rows else sized[0] + more, inputs=kept, keeps=more,
            )
        case "patchify":
            return Held(turned=True, inputs=kept)
        case "conv" | "transpose_conv" if inputs[0].layout == "tokens":
            return Held(turned=True, inputs=kept)
        case "conv" if isinstance(node.primitive, Conv) and node.primitive.standardize is not None:
            weights = sum((prod(w.shape) for w in node.own), start=0)
            return Held(turned=first, scratch=4 * weights, inputs=kept, keeps=8 * weights)
        case "conv" | "transpose_conv" if not first and _blocked(node, inputs[0]):
            return Held(scratch=sized[0], swapped=made, inputs=kept)
        case "max_pool":
            places = made * 2 if len(node.outputs) == 1 else 0  # places are int64, made in any case
            return Held(turned=first, scratch=places, inputs=kept, keeps=places)
        case "adaptive_pool" if isinstance(node.primitive, AdaptivePool) and node.primitive.kind == "max":
            return Held(turned=first, scratch=made * 2, inputs=kept, keeps=made * 2)
        case "frozen_batchnorm":
            return Held(turned=first, scratch=made)
        case "quick_gelu":
            return Held(turned=first, scratch=made, inputs=kept, keeps=made)
        case "l2_normalize" | "instancenorm":
            return Held(scratch=made, inputs=kept)
        case "rope":
            return Held(scratch=made, keeps=made)
        case "rnn" | "gru" | "lstm":
            gates = {"rnn": 1, "gru": 3, "lstm": 4}[node.op]
            return Held(scratch=made * gates, inputs=kept, keeps=made * (gates + 1))
    return None


def _blocked(node: Node, x: Tensor) -> bool:
    """Whether a convolution copies what it reads into blocks of channels, and its result out of them."""
    op = node.primitive
    pointwise = isinstance(op, Conv) and set(op.size) | set(op.stride) == {1}
    return isinstance(x.channels, int) and x.channels >= BLOCK and not pointwise


def _attend(
    op: Attend, inputs: tuple[Tensor, ...], made: Tensor, turned: tuple[bool, ...], width: int, training: bool
) -> Held:
    q, k, v = op.qkv(inputs)
    lie = turned[:3] if len(inputs) == 3 else turned[:1] * 3
    rows = tuple(state is (x.layout == "image") for x, state in zip((q, k, v), lie, strict=True))
    work = at_work(op, (q, k, v), made, all(rows), width, training)
    places = tuple(range(len(inputs)))
    return Held(
        turned=made.layout == "image", scratch=work.scratch, capped=work.capped, inputs=places, results=work.result,
        keeps=work.keeps, back=work.back,
    )
