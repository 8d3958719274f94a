"""The first values of weights: every `init=` of the language, each tensor written once.

A module is built with uninitialised storage, so nothing is drawn twice. Draws come in the order of the state_dict from
one generator: `torch.manual_seed` before `ogive.compile` gives the same weights again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from ogive.compiler.module import Network
from ogive.dsl.diagnostics import fail, offer
from ogive.dsl.graph import Graph, Node, Parameter
from ogive.dsl.ops.record import Size, Weight

__all__ = ["INITS", "initialise"]


def initialise(module: Network, graph: Graph, generator: torch.Generator | None = None) -> Network:
    """Fill every parameter and buffer in place, a tied one once; weights on the meta device stay as they are.

    Raises:
        ArchError: A710, a weight names an initialisation that does not exist.
    """
    state = module.state_dict(keep_vars=True)
    with torch.no_grad():
        for key, parameter in graph.parameters.items():
            if parameter.tied is None:
                _fill(state[key], parameter, graph.owner(parameter), generator)
    return module


def _fill(tensor: Tensor, parameter: Parameter, node: Node, generator: torch.Generator | None) -> None:
    init = parameter.weight.init
    if not isinstance(init, str):
        if not tensor.is_meta:
            tensor.fill_(init)
        return
    if init not in INITS:
        raise fail("A710", f"there is no initialisation `{init}`", parameter.span, help=offer(init, INITS))
    if not tensor.is_meta:
        INITS[init](tensor, parameter.weight, node, generator)


Draw = Callable[[Tensor, Weight, Node, torch.Generator | None], object]


def _torch(x: Tensor, weight: Weight, node: Node, generator: torch.Generator | None) -> None:
    """torch's own reset: normal(0, 1) for an embedding, else uniform within 1/sqrt(fan_in), which is what
    kaiming_uniform with a = sqrt(5) comes to; a bias has the fan_in of the weight beside it."""
    if node.op == "embedding":
        x.normal_(generator=generator)
        padding = getattr(node.primitive, "padding", None)
        if padding is not None:
            x[padding].zero_()
        return
    hidden = getattr(node.primitive, "hidden", None)
    if hidden is not None:  # recurrent layers: all weights within 1/sqrt(hidden)
        x.uniform_(-1 / math.sqrt(hidden), 1 / math.sqrt(hidden), generator=generator)
        return
    shape = weight.shape if len(weight.shape) > 1 else _beside(weight, node)
    fan_in = shape[0] if getattr(node.primitive, "transposed", False) else math.prod(shape[1:])
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    x.uniform_(-bound, bound, generator=generator)


def _trunc_normal(x: Tensor, weight: Weight, node: Node, generator: torch.Generator | None) -> None:
    """normal(0, std) cut at -2 and 2, as timm's `trunc_normal_` cuts: with a std of 0.02 there is nothing to cut."""
    if weight.std <= 0.25:
        x.normal_(0.0, weight.std, generator=generator)
    else:
        torch.nn.init.trunc_normal_(x, 0.0, weight.std, -2.0, 2.0, generator=generator)


def _kaiming(x: Tensor, weight: Weight, node: Node, generator: torch.Generator | None) -> None:
    """normal with std sqrt(2 / fan_out): He et al. 2015 for relu; biases zero."""
    if x.dim() < 2:
        x.zero_()
    else:
        x.normal_(0.0, math.sqrt(2 / (weight.shape[0] * math.prod(weight.shape[2:]))), generator=generator)


def _kaiming_in(x: Tensor, weight: Weight, node: Node, generator: torch.Generator | None) -> None:
    """normal with std sqrt(2 / fan_in), torch's own `kaiming_normal_`: He et al. 2015 for relu; biases zero."""
    if x.dim() < 2:
        x.zero_()
    else:
        x.normal_(0.0, math.sqrt(2 / math.prod(weight.shape[1:])), generator=generator)


def _xavier(x: Tensor, weight: Weight, node: Node, generator: torch.Generator | None) -> None:
    """uniform within sqrt(6 / (fan_in + fan_out)): Glorot & Bengio 2010; biases zero."""
    if x.dim() < 2:
        x.zero_()
    else:
        bound = math.sqrt(6 / ((weight.shape[0] + weight.shape[1]) * math.prod(weight.shape[2:])))
        x.uniform_(-bound, bound, generator=generator)


def _lecun(x: Tensor, weight: Weight, node: Node, generator: torch.Generator | None) -> None:
    """normal with variance 1 / fan_in, cut at two deviations (LeCun et al. 1998), as Flax and timm do; biases zero."""
    if x.dim() < 2:
        x.zero_()
    else:
        std = math.sqrt(1 / math.prod(weight.shape[1:])) / 0.87962566103423978  # what cutting takes away
        torch.nn.init.trunc_normal_(x, 0.0, std, -2 * std, 2 * std, generator=generator)


def _normal(x: Tensor, weight: Weight, node: Node, generator: torch.Generator | None) -> None:
    x.normal_(0.0, weight.std, generator=generator)


def _zeros(x: Tensor, weight: Weight, node: Node, generator: torch.Generator | None) -> None:
    x.zero_()


def _ones(x: Tensor, weight: Weight, node: Node, generator: torch.Generator | None) -> None:
    x.fill_(1)


def _identity(x: Tensor, weight: Weight, node: Node, generator: torch.Generator | None) -> None:
    """The identity map: ones on the diagonal, at the middle tap of a convolution; biases zero."""
    x.zero_()
    if x.dim() >= 2:
        middle = tuple(n // 2 for n in weight.shape[2:])
        for i in range(min(weight.shape[:2])):
            x[(i, i, *middle)] = 1


def _sincos(x: Tensor, weight: Weight, node: Node, generator: torch.Generator | None) -> None:
    """MAE's fixed position table (He et al. 2021): half the channels for the column, half for the row; prefix 0."""
    rows, cols, prefix = _grid(weight, node)
    channels = weight.shape[-1]
    omega = 10000.0 ** -(torch.arange(channels // 4, dtype=torch.float64) / (channels // 4))
    halves = []
    for positions in (torch.arange(cols).repeat(rows), torch.arange(rows).repeat_interleave(cols)):
        angle = positions[:, None].double() * omega
        halves += [angle.sin(), angle.cos()]
    table = torch.cat(halves, dim=1)
    x.zero_()
    x.view(-1, channels)[prefix : prefix + rows * cols, : table.shape[1]].copy_(table)


INITS: Final[dict[str, Draw]] = {
    "torch": _torch,
    "trunc_normal": _trunc_normal,
    "kaiming": _kaiming,
    "kaiming_in": _kaiming_in,
    "xavier": _xavier,
    "lecun": _lecun,
    "normal": _normal,
    "zeros": _zeros,
    "ones": _ones,
    "sincos": _sincos,
    "identity": _identity,
}
"""Every initialisation by its name in the language; a number fills the weight with itself."""


def _beside(weight: Weight, node: Node) -> tuple[int, ...]:
    """The shape of the matrix that a vector goes with: `bias` with `weight`, `bias_ih_l0` with `weight_ih_l0`."""
    partner = weight.name.replace("bias", "weight")
    matrices = [w for w in node.own if len(w.shape) > 1]
    named = [w for w in matrices if w.name == partner]
    return (named or matrices or [weight])[0].shape


def _grid(weight: Weight, node: Node) -> tuple[int, int, int]:
    """Rows, columns and prefix of a position table; a square behind a prefix where its op does not say."""
    size = getattr(node.primitive, "size", None)
    if isinstance(size, Size) and len(size) <= 2:
        rows, cols = size.over(2)
        return rows, cols, getattr(node.primitive, "prefix", 0)
    side = math.isqrt(weight.shape[-2])
    return side, side, weight.shape[-2] - side * side
