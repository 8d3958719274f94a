"""Attention of a network on a GPU: the walk is made once for the sizes of a call, then it is one operator.

Where these kernels are no way, `refused` says why: other kernels of torch do it then, and `explain` tells the reason.
"""

from __future__ import annotations

import importlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor
from torch.fx.experimental.symbolic_shapes import has_static_value

from ogive.compiler.int8 import WIDEST, WORDS, Reach
from ogive.compiler.kernels.biases import Looked, unreadable
from ogive.compiler.kernels.ready import DEVICE, TAKERS, NoKernel, has_triton
from ogive.compiler.kernels.setting import LARGEST_HEAD
from ogive.compiler.kernels.tables import Tables
from ogive.compiler.kernels.walk import walk
from ogive.compiler.kernels.ways import Way
from ogive.compiler.lower.attention_biases import Bias
from ogive.dsl.patterns import Pattern, PatternError
from ogive.dsl.patterns.space import Sequence, Space

__all__ = ["Walked", "refused"]

MOST_WALKS: Final = 8
REACH: Final = 1 << 31
"""Places in one sample of a tensor that kernels can count: they do so with 32 bits."""


def refused(width: int, values: int, dtype: torch.dtype, bias: Bias | None = None) -> str | None:
    """Why attention of such heads does not run in these kernels; None where it does.

    Args:
        width, values: channels of a head of q and k, and of v.
    """
    if dtype not in (torch.float16, torch.bfloat16, torch.float32):
        return f"kernels compute in float16, bfloat16 or float32, not {str(dtype).removeprefix('torch.')}"
    if max(width, values) > LARGEST_HEAD:
        return f"a head of {max(width, values)} channels is wider than {LARGEST_HEAD}"
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

    `way` is that of `ways.best`. `known` holds walks and reasons; `declined` is why the last call was not taken;
    `flags` `B H` are 1 where the last call in INT8 computed a head in 16 bits, which is where numbers are beyond
    `reach`.
    """

    over: Pattern
    heads: tuple[int, ...]
    bias: Bias | None
    way: Way = "cheapest"
    known: dict[str, tuple[str, Tensor] | str] = field(default_factory=dict)
    declined: str | None = None
    flags: Tensor | None = None
    reach: Reach = WIDEST

    def refused(
        self, q: Tensor, k: Tensor, v: Tensor, queries: tuple[int, ...], keys: tuple[int, ...],
        mask: Tensor | None = None,
    ) -> str | None:
        """Why these tensors are not for the kernels; None where they are."""
        if len({x.dtype for x in (q, k, v)}) > 1:
            return "queries, keys and values are of different types"
        given = (q, k, v) if mask is None else (q, k, v, mask)
        if max((x.shape[1] - 1) * x.stride(1) + (x.shape[2] - 1) * x.stride(2) for x in given) >= REACH:
            return "one sample is larger than kernels can count"
        found = self._walk(q, k, v, queries, keys)
        return found if isinstance(found, str) else None

    def tried(
        self, q: Tensor, k: Tensor, v: Tensor, queries: tuple[int, ...], keys: tuple[int, ...], mask: Tensor | None,
        values: Tensor | None, scale: float | None, rate: float, precision: str = "ieee",
    ) -> Tensor | None:
        """As `attend`; None where kernels do not take the tensors, and `declined` says why."""
        if torch.compiler.is_compiling():
            if not all(has_static_value(n) for n in (*queries, *keys)):
                return None  # a walk is for sizes that are known
            if self.refused(q, k, v, queries, keys, mask) is not None:
                return None
            return self.attend(q, k, v, queries, keys, mask, values, scale, rate, precision)
        self.declined = self.refused(q, k, v, queries, keys, mask)
        if self.declined is not None:
            return None
        learns = precision not in WORDS and torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v))
        if learns and not has_triton():
            self.declined = "gradients are asked for, which are in no build, and Triton is not installed"
            return None
        try:
            return self.attend(q, k, v, queries, keys, mask, values, scale, rate, precision)
        except NoKernel as error:
            self.declined = error.diagnostics[0].title
            return None

    def _walk(
        self, q: Tensor, k: Tensor, v: Tensor, queries: tuple[int, ...], keys: tuple[int, ...]
    ) -> tuple[str, Tensor] | str:
        return self.known[self.prepared(queries, keys, q.shape[3], v.shape[3], q.dtype, str(q.device))]

    @torch.compiler.assume_constant_result
    def prepared(
        self, queries: tuple[int, ...], keys: tuple[int, ...], width: int, values: int, dtype: torch.dtype,
        device: str,
    ) -> str:
        """The key in `known` of the spec and its tables, or of why there are none.

        A tracer of torch calls it once and does not look inside.
        """
        key = f"{queries} {keys} {width} {values} {dtype} {device} {DEVICE.get()} {len(TAKERS)}"
        if key not in self.known:
            if len(self.known) >= MOST_WALKS:
                self.known.clear()
            on = torch.device(device)
            reason = runs_on(on) or refused(width, values, dtype, self.bias)
            tile = 32 if width > 128 or dtype == torch.float32 else 64  # what fits in registers
            self.known[key] = self._made(queries, keys, tile, on) if reason is None else reason
            if reason is None:  # registers the operator; by name, for Triton may be missing and takes a while to load
                importlib.import_module("ogive.compiler.kernels.int8_operator")
        return key

    def _made(
        self, queries: tuple[int, ...], keys: tuple[int, ...], tile: int, device: torch.device
    ) -> tuple[str, Tensor] | str:
        """In a thread of its own, where nothing traces the caller: tables are numbers, no part of a graph."""
        a, b = (Sequence(tuple(s[2:]), s[0], s[1]) for s in (queries, keys))

        def make() -> tuple[str, Tensor]:
            tables = Tables()
            looked = None if self.bias is None else Looked(self.bias, queries, keys)
            spec = walk(self.over, Space(a, b), self.heads, tables, tile, looked, self.way)
            return spec.text(), tables.tensor().to(device)

        try:
            with ThreadPoolExecutor(1) as alone:
                return alone.submit(make).result()
        except PatternError as error:
            return error.title

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, queries: tuple[int, ...], keys: tuple[int, ...], mask: Tensor | None,
        values: Tensor | None, scale: float | None, rate: float, precision: str = "ieee",
    ) -> Tensor:
        """q `B H N D`, k `B H M D`, v `B H M E`, mask `B|1 H|1 N|1 M|1`, values of the bias -> `B H N E`.

        Call it where `refused` says nothing. Dropout draws a seed from torch's generator of the device.
        """
        found = self._walk(q, k, v, queries, keys)
        assert not isinstance(found, str), found
        spec, tables = found
        added = None
        if values is not None:
            assert self.bias is not None
            added = Looked(self.bias, queries, keys).numbers(values, q.dtype)
            if added.dim() == 4 and added.shape[0] != q.shape[0]:
                added = added.expand(q.shape[0], -1, -1, -1)
        factor = q.shape[3] ** -0.5 if scale is None else scale
        if precision in WORDS:
            out, _, flags = torch.ops.ogive.attention_int8(
                q, k, v, mask, added, tables, spec, factor, precision, *self.reach)
            if not torch.compiler.is_compiling():
                self.flags = flags
            return out  # type: ignore[no-any-return]
        seed = torch.randint(2**31, (3,), device=q.device) if rate else None
        out, _ = torch.ops.ogive.attention(
            q, k, v, mask, added, tables, seed, spec, factor, rate, precision)
        made: Tensor = out
        return made


def _interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET") == "1" and has_triton()
