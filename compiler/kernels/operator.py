"""Attention over a walk as torch operators: for torch.compile, torch.export and CUDA graphs one call, no handles.

`ogive::attention` answers (out, lse), `ogive::attention_backward` its gradients. What is no tensor crosses as numbers
and one canonical string, parsed once. Importing this file registers them.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import torch
from torch import Tensor

from ogive.compiler.kernels import added, launch
from ogive.compiler.kernels.spec import parse

__all__ = ["attention", "attention_backward", "call_of"]

Precision = Literal["ieee", "tf32", "tf32x3"]


@torch.library.custom_op("ogive::attention", mutates_args=())
def attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, bias: Tensor | None, tables: Tensor, seed: Tensor | None,
    spec: str, scale: float, rate: float, precision: str,
) -> tuple[Tensor, Tensor]:
    """softmax(q k^T scale + bias + mask) v over the pairs of a walk, and the log-sum-exp of each query.

    Shapes: q `B H N D`, k `B H/g M D`, v `B H/g M E` of float16, bfloat16 or float32 -> out `B H N E`, which lies as
    `B N H E` in memory, lse `B H N` in float32. A query that sees no key answers 0, its lse is -inf.

    Args:
        mask: `B|1 H|1 N|1 M|1`, True where a query may see a key, or added.
        bias: as `biases.Looked.numbers` makes it.
        tables: int32, what the spec refers to.
        seed: with dropout, two halves of a seed and an offset, int64.
        spec: `Spec.text()`.
        rate: of dropout; 0 for none.
        precision: of products of float32: "ieee", "tf32" or "tf32x3".
    """
    return launch.forward(call_of(q, k, v, mask, bias, tables, seed, spec, scale, rate, precision))


@attention.register_fake
def _(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, bias: Tensor | None, tables: Tensor, seed: Tensor | None,
    spec: str, scale: float, rate: float, precision: str,
) -> tuple[Tensor, Tensor]:
    batch, heads, n, _ = q.shape
    return (q.new_empty(batch, n, heads, v.shape[3]).transpose(1, 2),
            q.new_empty(batch, heads, n, dtype=torch.float32))


@torch.library.custom_op("ogive::attention_backward", mutates_args=())
def attention_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, mask: Tensor | None, bias: Tensor | None,
    tables: Tensor, seed: Tensor | None, spec: str, scale: float, rate: float, precision: str, of_mask: bool,
    of_bias: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of q, k, v, the mask and the bias; those that are not asked for, or do not exist, are empty."""
    call = call_of(q, k, v, mask, bias, tables, seed, spec, scale, rate, precision)
    grad = _rows(grad)
    dq, dk, dv, delta = launch.backward(call, grad, out, lse)
    none = q.new_empty(0)
    if not of_mask and not of_bias:
        return dq, dk, dv, none, none.clone()
    known = {"grad": grad, "total": lse, "delta": delta}
    biased, masked = added.gradients(call, known, of_bias, of_mask)
    return dq, dk, dv, none if masked is None else masked, none.clone() if biased is None else biased


@attention_backward.register_fake
def _(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, mask: Tensor | None, bias: Tensor | None,
    tables: Tensor, seed: Tensor | None, spec: str, scale: float, rate: float, precision: str, of_mask: bool,
    of_bias: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    made = [x.new_empty(x.shape[0], x.shape[2], x.shape[1], x.shape[3]).transpose(1, 2) for x in (q, k, v)]
    masked = torch.empty_like(mask, memory_format=torch.contiguous_format) if of_mask and mask is not None else None
    biased = torch.empty_like(bias, memory_format=torch.contiguous_format) if of_bias and bias is not None else None
    none = q.new_empty(0)
    return made[0], made[1], made[2], none if masked is None else masked, q.new_empty(0) if biased is None else biased


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, mask, bias, tables, seed, *ctx.told = inputs
    out, lse = output
    ctx.mark_non_differentiable(lse)
    ctx.save_for_backward(q, k, v, out, lse, mask, bias, tables, seed)


def _back(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Any, ...]:
    needs = ctx.needs_input_grad
    dq, dk, dv, masked, biased = attention_backward(grad, *ctx.saved_tensors, *ctx.told, needs[3], needs[4])
    return (dq, dk, dv, masked if needs[3] else None, biased if needs[4] else None, *[None] * 6)


attention.register_autograd(_back, setup_context=_keep)


def call_of(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, bias: Tensor | None, tables: Tensor, seed: Tensor | None,
    spec: str, scale: float, rate: float, precision: str,
) -> launch.Call:
    """What the operator is called with, as kernels are launched for it."""
    q, k, v = (_rows(x) for x in (q, k, v))
    if bias is not None:
        bias = bias.contiguous()
    return launch.Call(parse(spec), q, k, v, mask, bias, tables, seed, scale, rate, cast(Precision, precision))


def _rows(x: Tensor) -> Tensor:
    """Channels side by side in memory, as kernels read them."""
    return x if x.stride(-1) == 1 else x.contiguous()
