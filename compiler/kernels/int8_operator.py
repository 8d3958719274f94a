"""INT8 attention over a walk as a torch operator: forwards alone. Importing this file registers it."""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from torch import Tensor

from ogive.compiler.kernels import int8_launch
from ogive.compiler.kernels.operator import call_of
from ogive.compiler.kernels.setting import Int8
from ogive.compiler.lower.attention_int8 import no_gradients

__all__ = ["attention_int8", "launched"]

FORMS: dict[str, Int8] = {"int8": "block", "int8-token": "token", "int8-fp8": "fp8"}
"""The words of a precision, and what the kernels call them."""


@torch.library.custom_op("ogive::attention_int8", mutates_args=())
def attention_int8(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, bias: Tensor | None, tables: Tensor, spec: str, scale: float,
    form: str, q_reach: float, k_reach: float, v_reach: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """As `ogive::attention` without dropout, scores from INT8 codes; the third answer are the flags of heads `B H`.

    Args:
        form: "int8": q and k per block of 32, v in 16 bits; "int8-token": q and k per token, v and weights in INT8;
            "int8-fp8": these in FP8.
        q_reach, k_reach, v_reach: heads with larger numbers, of k without its mean, are computed in 16 bits, and
            flagged with 1.
    """
    return launched(q, k, v, mask, bias, tables, spec, scale, form, q_reach, k_reach, v_reach)


def launched(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, bias: Tensor | None, tables: Tensor, spec: str, scale: float,
    form: str, q_reach: float, k_reach: float, v_reach: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The launches of a call of the operator."""
    call = call_of(q, k, v, mask, bias, tables, None, spec, scale, 0.0, "ieee")
    return int8_launch.forward(call, FORMS[form], (q_reach, k_reach, v_reach))


@attention_int8.register_fake
def _(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, bias: Tensor | None, tables: Tensor, spec: str, scale: float,
    form: str, q_reach: float, k_reach: float, v_reach: float,
) -> tuple[Tensor, Tensor, Tensor]:
    batch, heads, n, _ = q.shape
    return (q.new_empty(batch, n, heads, v.shape[3]).transpose(1, 2),
            q.new_empty(batch, heads, n, dtype=torch.float32), q.new_empty(batch, heads, dtype=torch.int32))


def _refused(ctx: Any, *grads: Tensor) -> NoReturn:
    raise no_gradients()


attention_int8.register_autograd(_refused)
