"""`attend` -> `attend` by our own kernels on a GPU; or by the kernel and in the precision that were chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
import torch.fx as fx
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ogive.compiler.attention_case import name_of
from ogive.compiler.choices import Chosen
from ogive.compiler.int8 import LEVELS, WORDS
from ogive.compiler.kernels.attention import Walked
from ogive.compiler.lower.attention_int8 import by_levels, no_gradients, rounded
from ogive.compiler.lower.attention_parts import PartsAttention
from ogive.compiler.module import Network
from ogive.compiler.passes.reading import called, replace, set_module
from ogive.dsl.graph import Graph
from ogive.dsl.patterns import Causal, Dense

__all__ = ["DTYPES", "choose_kernels", "own_kernels"]

DTYPES: Final[dict[str, torch.dtype]] = {
    "float32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16,
    **{word: torch.float16 for word in WORDS},
}
"""What q, k and v are of in each precision."""

BACKENDS: Final = {
    "sdpa-flash": SDPBackend.FLASH_ATTENTION, "sdpa-cudnn": SDPBackend.CUDNN_ATTENTION,
    "sdpa-efficient": SDPBackend.EFFICIENT_ATTENTION,
}
OTHERS: Final = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH)


def own_kernels(module: Network) -> Network:
    """attend over a set of pairs -> the same, walked by this package's kernels where its tensors are on a GPU.

    Declines nothing: what the kernels refuse, torch's attention does as before.
    """
    for one in module.__dict__.get("_cases", {}).values() or (module,):
        for node in one.graph.nodes:
            made = called(one, node)
            if isinstance(made, PartsAttention):
                made.walked = Walked(made.over, made.of, made.bias)
    return module


def choose_kernels(module: Network, graph: Graph, chosen: Mapping[str, Chosen]) -> Network:
    """attend(q, k, v) -> attend(q.to(bf16), k.to(bf16), v.to(bf16)).type_as(q), by the kernel of its path.

    Declines nothing: where a kernel does not take the tensors of a call, torch's own attention does, as without it.
    """
    paths = {node.id: name_of(graph, node) for node in graph if node.op == "attend"}
    for one in module.__dict__.get("_cases", {}).values() or (module,):
        for node in list(one.graph.nodes):
            choice = chosen.get(paths.get(node.meta.get("ogive", {}).get("node"), ""))
            if choice is not None and _is_core(one, node):
                _choose(one, node, choice)
        one.recompile()
    return module


def _is_core(module: Network, node: fx.Node) -> bool:
    """Whether a node is the fused call of an attention."""
    return node.target is F.scaled_dot_product_attention or isinstance(called(module, node), PartsAttention)


def _choose(module: Network, node: fx.Node, choice: Chosen) -> None:
    made = called(module, node)
    if isinstance(made, PartsAttention):
        if choice.kernel != "flash":
            made.walked = None
        elif made.walked is not None:
            made.walked.reach = choice.reach
        made.precision, made.reach = _products(choice), choice.reach
    elif choice.kernel is not None or choice.precision in WORDS:
        node = _by_module(module, node, choice)
    if choice.precision is not None and not (choice.precision in WORDS and choice.kernel is None):
        _cast(node, DTYPES[choice.precision])


def _products(choice: Chosen) -> str:
    """What a kernel is told of its products."""
    told = choice.precision
    return told if told is not None and told in ("tf32", *WORDS) else "ieee"


def _by_module(module: Network, node: fx.Node, choice: Chosen) -> fx.Node:
    """The call of a module that knows its kernel, in place of a call of torch's attention."""
    told: dict[str, Any] = {name: x for name, x in node.kwargs.items() if name != "enable_gqa"}
    core = PlainAttention(choice, told.pop("scale", None), bool(told.pop("is_causal", False)))
    path = f"{module.meta['ogive']['shelf']}.{node.name}"
    set_module(module, path, core)
    with node.graph.inserting_before(node):
        by = node.graph.call_module(path, node.args, told)
    replace(module, node, by)
    return by


def _cast(node: fx.Node, dtype: torch.dtype) -> None:
    graph, about = node.graph, {**node.meta.get("ogive", {}), "op": "precision"}
    first = node.args[0]
    with graph.inserting_before(node):
        cast = {x: graph.call_method("to", (x, dtype)) for x in dict.fromkeys(node.args[:3])}
    node.args = (*(cast[x] for x in node.args[:3]), *node.args[3:])
    with graph.inserting_after(node):
        back = graph.call_method("type_as", (node, first))
    for made in (*cast.values(), back):
        made.meta["ogive"] = about
    node.replace_all_uses_with(back, delete_user_cb=lambda user: user is not back)


class PlainAttention(nn.Module):
    """softmax(q k^T scale + mask) v over all pairs or the causal triangle, by a kernel that was chosen."""

    def __init__(self, choice: Chosen, scale: float | None, causal: bool) -> None:
        super().__init__()
        self.kernel = choice.kernel
        self.precision = _products(choice)
        self.reach = choice.reach
        self.scale = scale
        self.causal = causal
        self.walked: Walked | None = None

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0
    ) -> Tensor:
        if self.kernel == "flash" and not (dropout_p and self.precision in WORDS):
            ends: tuple[Any, Any] = (0, 0, q.shape[2]), (0, 0, k.shape[2])
            found = self._walked(q.shape[1]).tried(
                q, k, v, *ends, attn_mask, None, self.scale, dropout_p, self.precision)
            if found is not None:
                return found
        if self.precision in WORDS:
            return self._by_codes(q, k, v, attn_mask, dropout_p)
        groups = q.shape[1] // k.shape[1]
        if groups > 1 and self.kernel == "sdpa-efficient":  # it knows no heads that share keys
            k, v, groups = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1), 1
        more: dict[str, Any] = {"attn_mask": attn_mask, "dropout_p": dropout_p, "is_causal": self.causal,
                                "enable_gqa": groups > 1}
        backend = BACKENDS.get(self.kernel or "")
        if backend is None or not q.is_cuda:
            return F.scaled_dot_product_attention(q, k, v, scale=self.scale, **more)
        order = [backend, *(x for x in OTHERS if x is not backend)]
        with sdpa_kernel(order, set_priority=True):
            return F.scaled_dot_product_attention(q, k, v, scale=self.scale, **more)

    def _by_codes(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, rate: float) -> Tensor:
        if rate:
            raise no_gradients()
        a, b = rounded(q, k, self.precision, self.reach)
        if self.precision in LEVELS:
            return by_levels(a, b, v, mask, self.scale, self.causal, self.precision, self.reach)
        mask = mask.float() if mask is not None and mask.is_floating_point() else mask
        found = F.scaled_dot_product_attention(
            a, b, v.float(), attn_mask=mask, is_causal=self.causal, scale=self.scale,
            enable_gqa=q.shape[1] != k.shape[1])
        return found.to(v.dtype)

    def _walked(self, heads: int) -> Walked:
        if self.walked is None:
            self.walked = Walked(Causal() if self.causal else Dense(), tuple(range(heads)), None, reach=self.reach)
        return self.walked

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}, precision={self.precision}, scale={self.scale}, causal={self.causal}"
