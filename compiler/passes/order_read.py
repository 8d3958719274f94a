"""How the pass `order` reads a graph: shapes at a batch of two, which ops act token by token, which chains only move.

A chain of `unflatten`, `permute`, `reshape` and the like from tokens to tokens is run on numbered tokens: what comes
out says whether it is a gather, followed at most by a reshape (to windows as a batch, four neighbours as one token).
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.fx as fx
import torch.nn.functional as F
from torch import nn

from ogive.compiler.lower.attention_parts import PartsAttention
from ogive.compiler.module import Network
from ogive.compiler.passes.order_modules import Reorder
from ogive.compiler.passes.packed import PackedLinear
from ogive.compiler.passes.reading import activation, called
from ogive.dsl.dims import evaluate

__all__ = ["BATCH", "Chain", "Shapes", "attends", "chain_from", "shapes_of", "token_axis"]

BATCH: Final = 2
Shape = tuple[int, ...]

MOVES: Final = frozenset({
    "unflatten", "flatten", "reshape", "view", "permute", "transpose", "contiguous", "roll", "index_select",
})
FUNCTIONS: Final[dict[Any, str]] = {
    torch.roll: "roll", torch.permute: "permute", torch.reshape: "reshape", torch.flatten: "flatten",
    torch.transpose: "transpose", torch.index_select: "index_select",
}
LONGEST: Final = 12
SUMS: Final = frozenset({operator.add, operator.sub, operator.mul, operator.truediv, torch.add, torch.sub, torch.mul})
NORMS: Final = (nn.LayerNorm, nn.RMSNorm)
POINTWISE: Final = (
    nn.Identity, nn.Dropout, nn.GELU, nn.ReLU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Hardswish, nn.ELU, nn.Softplus,
    nn.LeakyReLU, nn.ReLU6, nn.Hardsigmoid,
)


class Shapes(dict[fx.Node, Any]):
    """What each node answers: the shape of a tensor, a number, or None."""


class _Sizes(fx.Interpreter):
    """Runs a graph for its shapes; what costs most is left out. (Torch needs seconds to load what runs on meta.)"""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found = Shapes()

    def run_node(self, n: fx.Node) -> Any:
        made = super().run_node(n)
        if isinstance(made, torch.Tensor):
            self.found[n] = tuple(made.shape)
        elif isinstance(made, int):
            self.found[n] = made
        return made

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        made = self.fetch_attr(target)
        if isinstance(made, PartsAttention):
            return _blank(args[0], (*args[0].shape[:-1], args[2].shape[-1]))
        if isinstance(made, (*NORMS, *POINTWISE)):
            return args[0]
        if isinstance(made, nn.Linear):
            return _blank(args[0], (*args[0].shape[:-1], made.out_features))
        return super().call_module(target, args, kwargs)

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if target is F.scaled_dot_product_attention:
            return _blank(args[0], (*args[0].shape[:-1], args[2].shape[-1]))
        return super().call_function(target, args, kwargs)


def _blank(like: torch.Tensor, shape: Shape) -> torch.Tensor:
    """A tensor of one number."""
    return like.new_zeros(()).expand(shape)


def shapes_of(module: Network) -> Shapes | str:
    """The shapes in a graph at a batch of `BATCH`; where they cannot be known before a call, why."""
    rule = module.meta["ogive"]["contract"]
    free = [name for name, (_, axis) in rule.free.items() if axis]
    if free:
        return f"the size `{free[0]}` is free: an order is made for fixed sizes"
    values = dict.fromkeys(rule.free, BATCH)
    kinds = {"int": torch.int64, "bool": torch.bool}
    weight = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    given = [
        torch.zeros((), dtype=kinds.get(x.dtype, weight.dtype), device=weight.device)
        .expand([evaluate(n, values) for n in x.shape])
        for x in rule.inputs
    ]
    sizes = _Sizes(module)
    with torch.inference_mode():
        sizes.run(*given)
    return sizes.found


# ------------------------------------------------------------------------------------------------------- token by token


def token_axis(
    module: Network, node: fx.Node, axes: dict[fx.Node, int], shapes: Shapes
) -> tuple[list[fx.Node], int] | None:
    """The token tensors that a node reads and the axis of positions in its answer; None where it mixes positions.

    An operand is a token tensor where `axes` has it, or where it is `B N C` and not made of one.
    """
    read = [x for x in node.all_input_nodes if isinstance(shapes.get(x), tuple) or x in axes]
    tokens = [x for x in read if x in axes or len(shapes.get(x, ())) == 3]
    if not tokens:
        return None
    axis = axes.get(tokens[0], 1)
    if any(axes.get(x, 1) != axis for x in tokens):
        return None
    made = called(module, node)
    if made is not None:
        return (tokens, axis) if axis == 1 and _by_token(made) and read == tokens else None
    target = node.target
    if node.op == "call_function" and target in SUMS:
        return _sum(node, tokens, axis, shapes)
    if read != tokens or len(tokens) != 1:
        return None
    if activation(module, node) is not None:
        return tokens, axis
    if node.op == "call_function" and target is operator.getitem:
        return (tokens, axis) if isinstance(node.args[1], int) and tokens[0] not in shapes else None
    if node.op == "call_function" and target is F.layer_norm and axis == 1:
        return (tokens, axis) if len(node.args[1]) == 1 else None  # type: ignore[arg-type]
    return _method(node, tokens, axis, shapes)


def _by_token(made: nn.Module) -> bool:
    if isinstance(made, NORMS):
        return len(made.normalized_shape) == 1
    return isinstance(made, (nn.Linear, PackedLinear, *POINTWISE))


def _sum(node: fx.Node, tokens: list[fx.Node], axis: int, shapes: Shapes) -> tuple[list[fx.Node], int] | None:
    """Operands of one shape, or such that have no positions: a number, `C`, `B 1 C`."""
    whole = shapes.get(node)
    if not isinstance(whole, tuple) or node.kwargs:
        return None
    kept = []
    for x in node.all_input_nodes:
        shape = shapes.get(x)
        at = axis - (len(whole) - len(shape)) if isinstance(shape, tuple) else -1
        if not isinstance(shape, tuple) or at < 0 or shape[at] == 1 != whole[axis]:
            continue
        if len(shape) != len(whole) or shape[axis] != whole[axis]:
            return None
        kept.append(x)
    return (kept, axis) if kept else None


def _method(node: fx.Node, tokens: list[fx.Node], axis: int, shapes: Shapes) -> tuple[list[fx.Node], int] | None:
    """Methods that leave positions where they are, or exchange them with the axis behind."""
    if node.op != "call_method" or node.kwargs or any(isinstance(a, fx.Node) for a in node.args[1:]):
        return None
    shape, args = shapes.get(tokens[0]), node.args[1:]
    if not isinstance(shape, tuple):
        return None
    rank = len(shape)
    dims = [a % rank if isinstance(a, int) else -1 for a in args]
    match node.target:
        case "chunk" | "split" if len(args) == 2 and dims[1] > axis:
            return tokens, axis
        case "unflatten" if dims and dims[0] > axis:
            return tokens, axis
        case "flatten" if rank == 4 and axis == 1 and args == (2,):
            return tokens, axis
        case "transpose" if rank == 4 and sorted(dims) == [1, 2]:
            return tokens, 3 - axis
        case "contiguous" if not args:
            return tokens, axis
    return None


# --------------------------------------------------------------------------------------------------------------- chains


@dataclass(frozen=True, slots=True)
class Chain:
    """Nodes that only move tokens: x[by] of the first's input, then `shape` where it is another than `B N C`."""

    nodes: tuple[fx.Node, ...]
    by: tuple[int, ...]
    before: Shape | None
    after: Shape | None

    @property
    def source(self) -> fx.Node:
        found = self.nodes[0].args[0]
        assert isinstance(found, fx.Node)
        return found

    @property
    def end(self) -> fx.Node:
        return self.nodes[-1]


def chain_from(module: Network, node: fx.Node, shapes: Shapes) -> Chain | None:
    """The longest chain that starts with a node and is a gather of tokens."""
    source = node.args[0] if node.args else None
    if not isinstance(source, fx.Node) or not isinstance(shapes.get(source), tuple) or len(shapes[source]) != 3:
        return None
    nodes: list[fx.Node] = []
    at: fx.Node | None = node
    while at is not None and len(nodes) < LONGEST and _moves(module, at) and at.args[0] in (source, *nodes[-1:]):
        nodes.append(at)
        user = next(iter(at.users), None)
        at = user if len(at.users) == 1 and user is not None and user.args and user.args[0] is at else None
    for count in range(len(nodes), 0, -1):
        if len(shapes.get(nodes[count - 1], ())) == 3:
            found = _read(module, tuple(nodes[:count]), shapes)
            if found is not None:
                return found
    return None


def _moves(module: Network, node: fx.Node) -> bool:
    made = called(module, node)
    if isinstance(made, Reorder):
        return True
    name = node.target if node.op == "call_method" else FUNCTIONS.get(node.target) if node.op == "call_function" else ""
    return name in MOVES


def _read(module: Network, nodes: tuple[fx.Node, ...], shapes: Shapes) -> Chain | None:
    """What a chain does to numbered tokens."""
    source = nodes[0].args[0]
    assert isinstance(source, fx.Node)
    given, made = shapes[source], shapes[nodes[-1]]
    batch, width = min(given[0], made[0]), min(given[2], made[2])
    if batch % BATCH or given[2] % width or made[2] % width:
        return None
    numbers = torch.arange(torch.Size(given).numel()).view(given)
    known: dict[fx.Node, Any] = {source: numbers}
    for node in nodes:
        try:
            known[node] = _run(module, node, known, shapes)
        except (RuntimeError, TypeError, KeyError):
            return None
    flat = known[nodes[-1]].reshape(-1, width)
    first = flat[:, 0]
    if not bool((flat == first[:, None] + torch.arange(width)).all()) or bool((first % width).any()):
        return None
    rows = (first // width).view(BATCH, -1)
    size = rows.shape[1]
    if not bool((rows[1] == rows[0] + size).all()) or sorted(by := rows[0].tolist()) != list(range(size)):
        return None
    if by == list(range(size)):
        return None
    whole = (BATCH, size, width)
    before, after = (None if shape == whole else shape for shape in (tuple(given), tuple(made)))
    return Chain(nodes, tuple(by), before, after)


def _run(module: Network, node: fx.Node, known: dict[fx.Node, Any], shapes: Shapes) -> Any:
    """What a node of a chain answers on numbered tokens."""
    def value(x: fx.Node) -> Any:
        return known[x] if x in known else _constant(module, x, shapes)

    args: Any = fx.map_arg(node.args, value)
    kwargs: Any = fx.map_arg(node.kwargs, value)
    made = called(module, node)
    if made is not None:
        return made(*args)
    if node.op == "call_method":
        return getattr(args[0], str(node.target))(*args[1:], **kwargs)
    target: Any = node.target
    return target(*args, **kwargs)


def _constant(module: Network, node: fx.Node, shapes: Shapes) -> Any:
    """A number, or a constant of the module."""
    if isinstance(shapes.get(node), int):
        return shapes[node]
    if node.op == "get_attr":
        found = module
        for name in str(node.target).split("."):
            found = getattr(found, name)
        return found
    raise KeyError(node.name)


def attends(module: Network, node: fx.Node) -> PartsAttention | None:
    """The attention part by part that a node calls."""
    made = called(module, node)
    return made if type(made) is PartsAttention else None
