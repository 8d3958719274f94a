"""How long a network takes on a target, kernel by kernel: the slowest of its products, its functions and its traffic.

    seconds = launch + max(2 macs / products, exponentials / functions, bytes / bandwidth)     (Williams et al. 2009)

It is a floor with the rates that large work reaches, not a measurement: what a kernel does besides (reordering, small
tiles, caches) is not in it. `bench/roofline.py` holds it against the clock and prints the error for each kind of node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType
from typing import Any, Final, Literal

from ogive.compiler.cost.nodes import NodeCost
from ogive.compiler.targets import PRECISIONS, check_target
from ogive.dsl.diagnostics import fail, offer
from ogive.dsl.dims import evaluate
from ogive.dsl.graph import Graph, Node
from ogive.dsl.memory.ops import VIEWS, WEIGHTS
from ogive.dsl.ops.attention import Attend
from ogive.dsl.ops.conv import Conv
from ogive.dsl.types import Tensor, sized

__all__ = ["KINDS", "PROCESSOR", "Kind", "Machine", "kind_of", "machine_of", "seconds", "width_of"]

Kind = Literal["linear", "conv", "depthwise", "attention", "function", "norm", "copy", "view"]
"""What bounds a node: products of four kinds, a function of each element, a norm, traffic alone, or nothing."""

KINDS: Final[tuple[Kind, ...]] = ("linear", "conv", "depthwise", "attention", "norm", "function", "copy")

TILE: Final = 128
"""Rows and columns of a product that one program of a GPU computes."""

FUNCTIONS: Final = frozenset({
    "gelu", "quick_gelu", "silu", "sigmoid", "tanh", "softmax", "exp", "log", "log2", "sin", "cos", "softplus", "elu",
    "pow", "sqrt",
})
LINEAR: Final = frozenset({"linear", "dot", "matmul", "rnn", "gru", "lstm", "rnn_cell", "gru_cell", "lstm_cell"})
CONVS: Final = frozenset({"conv", "patchify", "transpose_conv", "deform_conv"})
NORMS: Final = frozenset({"layernorm", "rmsnorm", "batchnorm", "frozen_batchnorm", "groupnorm", "instancenorm"})
FREE: Final = frozenset({"take", "drop_prefix", "split", "unstack", "slice", "subsample", "dropout", "drop_path", "in",
                         "with"})


@dataclass(frozen=True, slots=True)
class Machine:
    """What a device does in a second.

    Attributes:
        products: FLOP, by kind of product.
        functions: exponentials and the like.
        bandwidth: bytes between it and its memory; `norms` those that pass through a norm.
        launch: seconds that a kernel costs at least.
        programs: how many tiles of a product are computed at once; 1 of a processor.
        source: where the figures are from.
    """

    name: str
    products: Mapping[str, float]
    functions: float
    bandwidth: float
    norms: float
    launch: float
    programs: int
    source: str


PROCESSOR: Final = Machine(
    "cpu",
    MappingProxyType({"linear": 1.8e11, "conv": 1.7e11, "depthwise": 1.8e10, "attention": 1.3e11}),
    functions=2.5e9, bandwidth=2.2e10, norms=1.1e10, launch=1e-5, programs=1,
    source="measured with one thread of a Xeon with AVX-512 by `bench/roofline.py --rates`",
)
"""One thread of the processor that this was developed on: figures of yours are what `bench/roofline.py` prints."""


def machine_of(name: str, precision: str = "float32") -> Machine:
    """The machine behind a target.

    Raises:
        ArchError: A708 an unknown target, or `auto`, which is none before anything runs; A742 an unknown precision.
    """
    if precision not in PRECISIONS:
        raise fail("A742", f"there is no precision `{precision}`", help=offer(precision, PRECISIONS, "precisions"))
    target = check_target(name)
    if target.name == "cpu":
        return PROCESSOR
    if target.gpu is None:
        raise fail("A708", f"`{name}` names no device before anything runs", help="`cpu`, or a GPU by its name")
    gpu = target.gpu
    rate = gpu.rate(precision)
    slow = min(rate, gpu.rate("float32"))
    products = {"linear": rate, "conv": rate, "depthwise": slow, "attention": rate}
    return Machine(
        name, MappingProxyType(products), gpu.exp.value, gpu.bytes_a_second, gpu.bytes_a_second, gpu.launch.value,
        gpu.sms, gpu.bandwidth.source,
    )


def width_of(precision: str) -> int:
    """Bytes of a float in a precision.

    Raises:
        ArchError: A742, there is none of that name.
    """
    if precision not in PRECISIONS:
        raise fail("A742", f"there is no precision `{precision}`", help=offer(precision, PRECISIONS, "precisions"))
    return PRECISIONS[precision]


def kind_of(node: Node) -> Kind:
    """What bounds a node."""
    if node.primitive is None or node.op in VIEWS or node.op in WEIGHTS or node.op in FREE:
        return "view"
    if isinstance(node.primitive, Attend):
        return "attention"
    if node.op in CONVS:
        grouped = isinstance(node.primitive, Conv) and node.primitive.groups > 1
        few = grouped and node.own and node.own[0].shape[1] < 8
        return "depthwise" if few else "conv"
    if node.op in LINEAR:
        return "linear"
    if node.op in NORMS:
        return "norm"
    return "function" if node.op in FUNCTIONS else "copy"


def seconds(
    graph: Graph, cost: Mapping[str, NodeCost], sizes: Mapping[str, int], machine: Machine
) -> dict[str, float]:
    """The time of one forward, node by node."""
    return dict(_each(graph, cost, sizes, machine))


def _each(
    graph: Graph, cost: Mapping[str, NodeCost], sizes: Mapping[str, int], machine: Machine
) -> Iterator[tuple[str, float]]:
    for node in graph:
        kind, one = kind_of(node), cost[node.id]
        if kind == "view":
            yield node.id, 0.0
            continue
        made = tuple(sized(t, sizes) for t in node.outputs)
        products = 2 * one.macs / machine.products[kind] if kind in machine.products else 0.0
        if kind in ("linear", "conv") and machine.programs > 1:
            products *= _waves(made[0], machine.programs)
        functions = _functions(node, one, made) / machine.functions
        moved = one.moved / (machine.norms if kind == "norm" else machine.bandwidth)
        yield node.id, machine.launch + max(products, functions, moved)


def _functions(node: Node, one: NodeCost, made: tuple[Tensor, ...]) -> float:
    """How many exponentials and the like."""
    if isinstance(node.primitive, Attend):
        return one.matrix * (1.0 if one.density is None else one.density)
    return float(_numbers(made[0])) if node.op in FUNCTIONS else 0.0


def _numbers(x: Tensor) -> int:
    total = 1
    for n in x.shape:
        total *= evaluate(n, {})
    return total


def _waves(x: Tensor, programs: int) -> float:
    """How much longer a product takes than its share of the peak, because the last tiles leave programs idle."""
    channels: Any = x.channels or 1
    rows = max(1, _numbers(x) // channels)
    tiles = ceil(rows / TILE) * ceil(channels / TILE)
    return ceil(tiles / programs) * programs / tiles
