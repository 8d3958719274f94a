"""Attention of a network on a GPU: the walk is made once for the sizes of a call, then it is one operator.

Where these kernels are no way, `refused` says why: other kernels of torch do it then, and `explain` tells the reason.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import torch
from torch import Tensor

from ogive.compiler.kernels.biases import Looked, unreadable
from ogive.compiler.kernels.ready import DEVICE, TAKERS, NoKernel, has_triton
from ogive.compiler.kernels.tables import Tables
from ogive.compiler.kernels.walk import Way, walk
from ogive.compiler.lower.attention_biases import Bias
from ogive.dsl.patterns import Pattern, PatternError
from ogive.dsl.patterns.space import Sequence, Space

__all__ = ["LARGEST_HEAD", "Walked", "refused"]

LARGEST_HEAD: Final = 256
MOST_WALKS: Final = 8
REACH: Final = 1 << 31
"""Numbers of one sample and head that kernels can count."""


def refused(
    width: int, values: int, dtype: torch.dtype, bias: Bias | None = None, keys: int = 1, row: int = 1
) -> str | None:
    """Why attention of such heads does not run in these kernels; None where it does.

    Args:
        width, values: channels of a head of q and k, and of v.
        row: how many numbers lie from one position to the next.
    """
    if dtype not in (torch.float16, torch.bfloat16, torch.float32):
        return f"kernels compute in float16, bfloat16 or float32, not {str(dtype).removeprefix('torch.')}"
    if max(width, values) > LARGEST_HEAD:
        return f"a head of {max(width, values)} channels is wider than {LARGEST_HEAD}"
    if keys * row >= REACH:
        return f"{keys:,} positions of {row:,} numbers are more than kernels can count"
    return unreadable(bias)


def runs_on(device: torch.device) -> str | None:
    """Why kernels do not run on a device; None where they do."""
    if DEVICE.get() is not None or (device.type == "cpu" and _interpreted()):
        return None
    if device.type != "cuda":
        return f"kernels run on a GPU, not on {device.type}"
    return None if TAKERS or has_triton() else "Triton is not installed"


@dataclass
class Walked:
    """A set of pairs, for some heads, with what is added to its scores; walks are kept by size and device.

    `way` is `walk.walk`'s.
    """

    over: Pattern
    heads: tuple[int, ...]
    bias: Bias | None
    way: Way = "cheapest"
    known: dict[Any, tuple[str, Tensor] | str] = field(default_factory=dict)
    declined: str | None = None

    def refused(self, q: Tensor, k: Tensor, v: Tensor, queries: tuple[int, ...], keys: tuple[int, ...]) -> str | None:
        """Why these tensors are not for the kernels; None where they are."""
        reason = runs_on(q.device) or refused(
            q.shape[3], v.shape[3], q.dtype, self.bias, max(q.shape[2], k.shape[2]),
            max(x.stride(2) for x in (q, k, v)))
        if reason is not None:
            return reason
        if not has_triton() and torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v)):
            return "gradients are asked for, which are in no build, and Triton is not installed"
        if len({x.dtype for x in (q, k, v)}) > 1:
            return "queries, keys and values are of different types"
        found = self.walk(queries, keys, q.shape[3], q.device)
        return found if isinstance(found, str) else None

    def tried(
        self, q: Tensor, k: Tensor, v: Tensor, queries: tuple[int, ...], keys: tuple[int, ...], mask: Tensor | None,
        values: Tensor | None, scale: float | None, rate: float, precision: str = "ieee",
    ) -> Tensor | None:
        """As `attend`; None where kernels do not take the tensors, and `declined` says why."""
        self.declined = self.refused(q, k, v, queries, keys)
        if self.declined is not None:
            return None
        try:
            return self.attend(q, k, v, queries, keys, mask, values, scale, rate, precision)
        except NoKernel as error:
            self.declined = str(error)
            return None

    def walk(
        self, queries: tuple[int, ...], keys: tuple[int, ...], width: int, device: torch.device
    ) -> tuple[str, Tensor] | str:
        """The spec and its tables; else why there are none."""
        key = queries, keys, width > 128, device
        if key not in self.known:
            if len(self.known) >= MOST_WALKS:
                self.known.clear()
            self.known[key] = self._made(queries, keys, 32 if width > 128 else 64, device)
        return self.known[key]

    def _made(
        self, queries: tuple[int, ...], keys: tuple[int, ...], tile: int, device: torch.device
    ) -> tuple[str, Tensor] | str:
        a, b = (Sequence(tuple(s[2:]), s[0], s[1]) for s in (queries, keys))
        tables = Tables()
        looked = None if self.bias is None else Looked(self.bias, queries, keys)
        try:
            spec = walk(self.over, Space(a, b), self.heads, tables, tile, looked, self.way)
        except PatternError as error:
            return error.title
        with torch.inference_mode(False):
            return spec.text(), tables.tensor().to(device)

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, queries: tuple[int, ...], keys: tuple[int, ...], mask: Tensor | None,
        values: Tensor | None, scale: float | None, rate: float, precision: str = "ieee",
    ) -> Tensor:
        """q `B H N D`, k `B H M D`, v `B H M E`, mask `B|1 H|1 N|1 M|1`, values of the bias -> `B H N E`.

        Call it where `refused` says nothing. Dropout draws a seed from torch's generator of the device.
        """
        found = self.walk(queries, keys, q.shape[3], q.device)
        assert not isinstance(found, str), found
        spec, tables = found
        added = None
        if values is not None:
            assert self.bias is not None
            added = Looked(self.bias, queries, keys).numbers(values, q.dtype)
            if added.dim() == 4 and added.shape[0] != q.shape[0]:
                added = added.expand(q.shape[0], -1, -1, -1)
        seed = torch.randint(2**31, (3,), device=q.device) if rate else None
        out, _ = _operator()(
            q, k, v, mask, added, tables, seed, spec, q.shape[3] ** -0.5 if scale is None else scale, rate, precision)
        made: Tensor = out
        return made


def _interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET") == "1" and has_triton()


@cache
def _operator() -> Callable[..., tuple[Tensor, Tensor]]:
    """The operator, by name: Triton may be missing, and takes a while to load."""
    found: Callable[..., tuple[Tensor, Tensor]] = importlib.import_module("ogive.compiler.kernels.operator").attention
    return found
