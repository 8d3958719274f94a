"""What networks of attention answer, with gradients: compiled, by the float64 reference, and by plain PyTorch.

`plain` is attention as everybody writes it (matmul, scale + bias, masked_fill, softmax, matmul) in the element type of
the scene: what is compiled may be off by twice as much. It can be given a fault, to show that it would be found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import torch
import torch.nn.functional as F
from attention_cases import seen
from attention_networks import Scene, numbers
from torch import Tensor

import ogive
from ogive.compiler.reference import Spec, attention, products, rotated, spec_of
from ogive.compiler.reference.biases import added
from ogive.compiler.reference.mechanisms import features
from ogive.dsl.graph import Graph, Node
from ogive.dsl.ops.bias import Alibi, DecomposedRelative, Rope
from ogive.dsl.ops.record import Reference
from ogive.dsl.patterns import Mechanism, Pattern
from ogive.dsl.patterns.algebra import Complement, Difference, Flat, Intersection, PerHead, Union
from ogive.dsl.patterns.mechanisms import Kernel, Performer
from ogive.dsl.patterns.named import Window
from ogive.dsl.patterns.space import Space
from ogive.dsl.types import Role

__all__ = ["FAULTS", "Found", "compiled", "expected", "held", "module_of", "plain", "shifted_back", "weights_of"]

FAULTS = (
    "bias of the wrong sign", "offsets transposed", "prefix forgotten", "shift the other way", "scale twice",
    "mask inverted", "softmax over queries", "set transposed", "heads in another order",
    "the mean where nothing is seen",
)


@dataclass(frozen=True)
class Found:
    """What a use answers, and the gradients of a sum of it: of q, k, v, and of the parameters that it reads."""

    values: Mapping[str, Tensor]


def compiled(scene: Scene) -> dict[str, Found]:
    """Through the public door: the text loaded and compiled in the scene's element type."""
    module = module_of(scene)
    leaves = {name: scene.data[name].clone().requires_grad_() for name in "qkv"}
    inputs = {**{name: _laid(scene, name, x) for name, x in leaves.items()}, **_masks_of(scene)}
    leaves |= dict(module.named_parameters())
    found = module(**inputs)
    found = found if isinstance(found, dict) else {scene.uses[0].name: found}
    return {use.name: _found(scene, _tokens(scene, found[use.name]), leaves) for use in scene.uses}


def expected(scene: Scene) -> dict[str, Found]:
    """By the float64 reference."""
    return _by(scene, attention, torch.float64)


def plain(scene: Scene, fault: str = "") -> dict[str, Found]:
    """By plain PyTorch in the scene's element type; mechanisms by their equations. `fault` is one that is planted."""

    def written(spec: Spec, q: Tensor, k: Tensor, v: Tensor, given: Any, weights: Any, dtype: Any) -> Tensor:
        if isinstance(spec.over, Kernel | Performer):
            return _linear(spec.over, spec, q, k, v, given)
        if isinstance(spec.over, Mechanism):
            return attention(spec, q, k, v, given, weights, dtype=dtype)
        return _plain(spec, q, k, v, given, weights, fault)

    return _by(scene, written, scene.dtype)


DRAWS = (6, 40)
"""Of how many numbers bf16 is asked until nothing seems wrong."""

Errors = dict[tuple[str, str], tuple[float, float]]
"""Of each use and what it answers: the largest error, and the size by which it is measured."""


def held(scene: Scene, answers: Callable[[Scene], Mapping[str, Found]] = compiled) -> dict[str, str]:
    """The uses of which `answers` are further off than twice what plain PyTorch is, each with that in words.

    Beside it there is room for 1e-5 of the largest value of the reference, 1e-9 in float64; gradients are measured by
    the largest of those of q, k and v where their own are smaller: a query that sees one key has none. In bf16 the
    largest error is an accident of the numbers: what seems wrong is asked again of other numbers, and the means count;
    of the gradient of a single number, a scale, it takes many to tell.
    """
    found, usual = _compared(scene, answers)
    if scene.dtype == torch.bfloat16 and _beyond(scene, found, usual):
        asked = [(found, usual)]
        for draws in DRAWS:
            asked += [_compared(replace(scene, draw=draw), answers) for draw in range(len(asked), draws)]
            found, usual = ({place: _mean([errors[i][place] for errors in asked]) for place in found} for i in (0, 1))
            if not _beyond(scene, found, usual):
                break
    texts = {use.name: use.text.strip() for use in scene.uses}
    return {
        use: f"{name} of {texts[use]} is off by {found[use, name][0]:.3g}, plain PyTorch by {usual[use, name][0]:.3g}, "
        f"of {usual[use, name][1]:.3g} (scene {scene.number}, {scene.dtype})\n{scene.text}"
        for use, name in reversed(_beyond(scene, found, usual))
    }


def _compared(scene: Scene, answers: Callable[[Scene], Mapping[str, Found]]) -> tuple[Errors, Errors]:
    """The errors of answers and of plain PyTorch; what is meant, and what is plain, are worked out once."""
    if "_meant" not in scene.__dict__:
        wanted = expected(scene)
        scene.__dict__["_meant"] = wanted, _errors(scene, plain(scene), wanted)
    wanted, usual = scene.__dict__["_meant"]
    return _errors(scene, answers(scene), wanted), usual


def _mean(errors: list[tuple[float, float]]) -> tuple[float, float]:
    return fmean(off for off, _ in errors), fmean(size for _, size in errors)


def _errors(scene: Scene, found: Mapping[str, Found], wanted: Mapping[str, Found]) -> Errors:
    errors: Errors = {}
    for use in scene.uses:
        a, b = found[use.name].values, wanted[use.name].values
        assert a.keys() == b.keys(), (use, a.keys(), b.keys())
        gradient = max(float(b[name].abs().max()) for name in ("dq", "dk", "dv") if name in b)
        for name, value in b.items():
            size = max(float(value.abs().max()), gradient if name != "y" else 0.0)
            errors[use.name, name] = float((a[name].double() - value).abs().max()), size
    return errors


def _beyond(scene: Scene, found: Errors, usual: Errors) -> list[tuple[str, str]]:
    """What is off by more than it may be; a number that is none is off."""
    share = 1e-9 if scene.dtype == torch.float64 else 1e-5
    return [place for place, (off, size) in usual.items() if not found[place][0] <= 2 * off + share * size]


def module_of(scene: Scene) -> Any:
    """The compiled network, its weights normal numbers."""
    module = ogive.compile(scene.net, dtype=scene.dtype).eval()
    module.load_state_dict(weights_of(scene), strict=True)
    return module


def weights_of(scene: Scene) -> dict[str, Tensor]:
    """The weights that a scene's network gets, in its element type."""
    generator = torch.Generator().manual_seed(scene.seed + 1)
    shapes = {key: p.weight.shape for key, p in scene.net.graph.parameters.items()}
    return {key: (numbers(n, generator, torch.float64) * 0.5).to(scene.dtype) for key, n in shapes.items()}


def _laid(scene: Scene, name: str, x: Tensor) -> Tensor:
    """Tokens as the network takes them: an image where the scene is one."""
    sequence = scene.space.queries if name == "q" else scene.space.keys
    return x.transpose(1, 2).unflatten(2, sequence.grid) if scene.image else x


def _tokens(scene: Scene, y: Tensor) -> Tensor:
    return y.flatten(2).transpose(1, 2) if scene.image else y


def _masks_of(scene: Scene) -> dict[str, Tensor]:
    return {name: scene.data[name] for name in scene.masks}


def _found(scene: Scene, y: Tensor, leaves: Mapping[str, Tensor]) -> Found:
    generator = torch.Generator().manual_seed(scene.seed + 2)
    weights = numbers(tuple(y.shape), generator, scene.dtype).to(y.dtype)
    grads = torch.autograd.grad(y, list(leaves.values()), weights, retain_graph=True, allow_unused=True)
    named = {f"d{name}": g for name, g in zip(leaves, grads, strict=True) if g is not None}
    return Found({"y": y.detach(), **named})


def _by(scene: Scene, written: Callable[..., Tensor], dtype: torch.dtype) -> dict[str, Found]:
    """Each use by itself, from the graph of the text: what stands around `attend` is worked out here."""
    graph = scene.net.graph
    leaves = {**{name: scene.data[name] for name in "qkv"}, **weights_of(scene)}
    leaves = {name: x.to(dtype).clone().requires_grad_() for name, x in leaves.items()}
    values = _values(graph, {**leaves, **_masks_of(scene)}, dtype)
    found = {}
    for use in scene.uses:
        node = graph.nodes[use.name]
        op: Any = node.primitive
        types = [graph.tensor(edge) for edge in node.inputs]
        spec = spec_of(op, types[0], types[1])
        q, k, v, *rest = (values[edge.node, edge.result] for edge in node.inputs)
        told = [name for name in op.tensors if isinstance(getattr(op, name), Reference)]
        weights = {w.name: leaves[f"{use.name}.{w.name}"] for w in node.own}
        y = written(spec, q, k, v, dict(zip(told, rest, strict=True)), weights, dtype=dtype)
        found[use.name] = _found(scene, y, leaves)
    return found


def _values(graph: Graph, leaves: Mapping[str, Tensor], dtype: torch.dtype) -> dict[tuple[str, int], Tensor]:
    """What every node but `attend` answers; images as their tokens."""
    values: dict[tuple[str, int], Tensor] = {}
    for node in graph:
        if node.op != "attend":
            inputs = [values[edge.node, edge.result] for edge in node.inputs]
            for i, x in enumerate(_made(graph, node, inputs, leaves, dtype)):
                values[node.id, i] = x
    return values


def _made(
    graph: Graph, node: Node, inputs: list[Tensor], leaves: Mapping[str, Tensor], dtype: torch.dtype
) -> list[Tensor]:
    op: Any = node.primitive
    if op is None:
        return [leaves[node.id]]
    if isinstance(op, Alibi):
        return [torch.tensor(op.slopes(), dtype=dtype)]
    if isinstance(op, DecomposedRelative):
        return [products(inputs[0], inputs[1:], op.heads)]
    if isinstance(op, Rope):
        axes = [graph.tensor(edge).axis(Role.POSITION) for edge in node.inputs]
        spaces = [Space.between(axis, axis) for axis in axes if axis is not None]
        return [rotated(x, op.heads, s.queries, op.base, op.layout) for x, s in zip(inputs, spaces, strict=True) if s]
    if node.op == "head_mix":
        return [torch.cat((leaves[f"{node.key}.weight"], leaves[f"{node.key}.bias"][:, None]), dim=1)]
    return [leaves[node.key + (".weight" if node.op == "t5_bias" else "")]]


# ----------------------------------------------------------------------------------------------------- plain, and wrong


def _plain(
    spec: Spec, q: Tensor, k: Tensor, v: Tensor, given: Mapping[str, Tensor], weights: Mapping[str, Tensor], fault: str
) -> Tensor:
    """matmul, scale + bias, masked_fill, softmax, matmul."""
    heads, d = spec.heads, q.shape[-1] // spec.heads
    q, k, v = _split(q, heads), *_shared(k, v, heads, d)
    if fault == "heads in another order":
        k, v = k.flip(1), v.flip(1)
    if spec.score == "cosine":
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
    scores = q @ k.transpose(-1, -2)
    if spec.score == "additive":
        scores = torch.tanh(q[..., None, :] + k[..., None, :, :]) @ weights["v"]
    elif spec.score == "distance":
        scores = -(q[..., None, :] - k[..., None, :, :]).square().sum(-1)
    scale: Any = 1.0 if spec.score in ("cosine", "additive") else d**-0.5
    scale = given["scale"].reshape(-1, 1, 1) if "scale" in given else scale if spec.scale is None else spec.scale
    scores = scores * scale * (scale if fault == "scale twice" else 1)
    over = spec.over
    assert isinstance(over, Pattern)
    over = shifted_back(over) if fault == "shift the other way" else over
    allowed = _allowed(over, spec, heads, fault)
    if "bias" in given:
        bias = added(spec.bias, given["bias"], spec.space, torch.ones_like(allowed))
        bias = -bias if fault == "bias of the wrong sign" else bias
        scores = scores + (bias.transpose(-1, -2) if fault == "offsets transposed" else bias)
    if "before_softmax" in given:
        scores = _mix(scores, given["before_softmax"])
    hidden = (~allowed).expand(scores.shape)
    mask = given.get("mask")
    if mask is not None:
        mask = mask[:, None, None] if mask.dim() == 2 else mask[:, None] if mask.dim() == 3 else mask
        inverted = fault == "mask inverted"
        if mask.dtype == torch.bool:
            hidden = hidden | (mask if inverted else ~mask)
        else:
            scores = scores - mask.clamp(min=-1e4) if inverted else scores + mask
            hidden = hidden | (scores == float("-inf"))
    axis = -2 if fault == "softmax over queries" else -1
    p = scores.masked_fill(hidden, float("-inf")).softmax(axis)
    p = p.nan_to_num(0.0) if fault else p.masked_fill(hidden.all(-1, keepdim=True), 0.0)
    if "after_softmax" in given:
        p = _mix(p, given["after_softmax"]).masked_fill(hidden, 0.0)
    if fault == "the mean where nothing is seen":
        p = torch.where(hidden.all(-1, keepdim=True), 1 / p.shape[-1], p)
    return (p @ v).transpose(1, 2).flatten(2)


def _linear(
    over: Kernel | Performer, spec: Spec, q: Tensor, k: Tensor, v: Tensor, given: Mapping[str, Tensor]
) -> Tensor:
    """f(q) (f(k)^T v) / (f(q) sum of f(k)), in this order; causal, (p v) / sum of p, p = f(q) f(k)^T below it."""
    heads, d = spec.heads, q.shape[-1] // spec.heads
    q, k, v = _split(q, heads), *_shared(k, v, heads, d)
    if isinstance(over, Kernel):
        q, k = (F.elu(x) + 1 if over.name == "elu" else F.relu(x) for x in (q, k))
    else:
        scale = given["scale"].reshape(-1, 1, 1) if "scale" in given else torch.tensor(
            d**-0.5 if spec.scale is None else spec.scale, dtype=q.dtype)
        rows, size = features(over.features, d, over.seed).to(q), scale.abs().sqrt()
        parts = (x @ rows.t() - x.square().sum(-1, keepdim=True) / 2 for x in (q * size, k * size * scale.sign()))
        q, k = parts
        q, k = (q - q.amax(-1, keepdim=True)).exp(), (k - k.amax((-1, -2), keepdim=True)).exp()
    if "mask" in given:
        k = k.masked_fill(~given["mask"].reshape(len(k), 1, -1, 1), 0.0)
    if isinstance(over, Kernel) and over.causal:
        p = (q @ k.transpose(-1, -2)).tril(k.shape[2] - q.shape[2])
        return (p @ v / p.sum(-1, keepdim=True).clamp(min=1e-15)).transpose(1, 2).flatten(2)
    total = q @ k.sum(-2, keepdim=True).transpose(-1, -2)
    return (q @ (k.transpose(-1, -2) @ v) / total.clamp(min=1e-15)).transpose(1, 2).flatten(2)


def shifted_back(p: Pattern) -> Pattern:
    """The same with every window shifted the other way; of patterns that a file defines, none."""
    match p:
        case Window():
            n, s = (x if isinstance(x, tuple) else (x,) for x in (p.size, p.shift))
            n, s = (x * max(len(n), len(s)) if len(x) == 1 else x for x in (n, s))
            return Window(n, tuple((a - b) % a for a, b in zip(n, s, strict=True)))
        case Union(parts) | Intersection(parts):
            return type(p)(tuple(map(shifted_back, parts)))
        case Difference(left, right):
            return Difference(shifted_back(left), shifted_back(right))
        case Complement(inner) | Flat(inner):
            return type(p)(shifted_back(inner))
        case PerHead(patterns):
            return PerHead(tuple(map(shifted_back, patterns)))
    return p


def _split(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def _shared(k: Tensor, v: Tensor, heads: int, d: int) -> tuple[Tensor, Tensor]:
    """Keys and values for each head of q."""
    few = k.shape[-1] // d
    return _split(k, few).repeat_interleave(heads // few, 1), _split(v, few).repeat_interleave(heads // few, 1)


def _mix(x: Tensor, mix: Tensor) -> Tensor:
    return torch.einsum("oh,bhnm->bonm", mix[:, :-1], x) + mix[:, -1][:, None, None]


def _allowed(over: Pattern, spec: Spec, heads: int, fault: str) -> Tensor:
    """The matrix of the set, heads x N x M; some faults are of the set."""
    space = spec.space
    found = torch.zeros(heads, space.queries.size, space.keys.size, dtype=torch.bool)
    for head in range(heads):
        pairs = list(seen(over, space, head))
        if fault == "prefix forgotten":
            cells = space.queries.cell, space.keys.cell
            pairs = [(q, k) for q, k in pairs if q == k or (cells[0](q) is not None and cells[1](k) is not None)]
        if pairs:
            found[head][tuple(torch.tensor(pairs).t())] = True
    return found.transpose(-1, -2) if fault == "set transposed" else found
