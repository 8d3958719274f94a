"""A call of the kernels for each piece of a walk: arguments in order, tiles for the device, nothing by data.

Tensors are `B H N D`, q, k and v of any strides whose last is 1; what is made lies as `B N H E` in memory, as linear
maps around it want it.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final, Literal

import torch
from torch import Tensor

from ogive.compiler.kernels import choice
from ogive.compiler.kernels.fits import demand_fit
from ogive.compiler.kernels.ready import DEVICE, taken
from ogive.compiler.kernels.setting import Device, Given, Setting, halves
from ogive.compiler.kernels.spec import Piece, Spec

__all__ = ["Call", "backward", "by_queries", "forward", "launch", "room", "start", "strides"]

DTYPES: Final[dict[torch.dtype, Literal["fp16", "bf16", "fp32"]]] = {
    torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32",
}
STRIDES: Final = {"q": "q", "k": "k", "v": "v", "o": "out", "g": "grad", "dq": "dq", "dk": "dk", "dv": "dv",
                  "q8": "q8", "k8": "k8", "v8": "v8"}
"""The first part of the names of strides, and the tensor that they are of."""

FIT: Final[set[tuple[str, Setting, torch.device]]] = set()
"""Kernels that were seen to fit a device, as Triton compiled them."""


@dataclass(frozen=True)
class _Device:
    """As `setting.Device`."""

    capability: int
    shared: int


@dataclass(frozen=True)
class Call:
    """What a walk is used on.

    Shapes: q `B H N D`, k `B H/g M D`, v `B H/g M E`; mask `B|1 H|1 N|1 M|1`, bool or as q; bias as biases.py makes it;
    seed three int64 numbers.
    """

    spec: Spec
    q: Tensor
    k: Tensor
    v: Tensor
    mask: Tensor | None
    bias: Tensor | None
    tables: Tensor
    seed: Tensor | None
    scale: float
    rate: float
    precision: Literal["ieee", "tf32", "tf32x3"] = "ieee"

    @property
    def device(self) -> torch.device:
        return self.q.device

    @property
    def target(self) -> Device:
        """What decides about tiles; that of an A100 where kernels are interpreted."""
        return DEVICE.get() or _device(self.device.index if self.device.type == "cuda" else None)

    @property
    def use(self) -> choice.Use:
        """What kernels are compiled for."""
        mask = self.mask
        given: Given = "none" if mask is None else "bool" if mask.dtype == torch.bool else "float"
        return choice.Use(DTYPES[self.q.dtype], self.q.shape[3], self.v.shape[3], given,
                          mask is not None and mask.shape[2] == 1, self.rate > 0, self.precision)

    @property
    def groups(self) -> int:
        """How many heads of q share one of k and v."""
        return self.q.shape[1] // self.k.shape[1]


@cache
def _function(kernel: str) -> Any:
    """The Triton function of that name; whoever has compiled kernels needs no Triton."""
    return importlib.import_module("ogive.compiler.kernels.registry").KERNELS[kernel].function


@lru_cache(8)
def _device(index: int | None) -> _Device:
    if index is None:
        return _Device(80, 100 << 10)
    about = torch.cuda.get_device_properties(index)
    shared = getattr(about, "shared_memory_per_block_optin", about.shared_memory_per_block)
    return _Device(about.major * 10 + about.minor, shared)


def forward(call: Call) -> tuple[Tensor, Tensor]:
    """Answers `B H N E` and natural log-sum-exps `B H N` in float32; 0 and -inf for a query that sees no key."""
    spec = call.spec
    out, total = room(call)
    for piece in spec.pieces:
        setting = choice.forward(spec, piece, call.use, call.target)
        launch("attention_forward", setting, piece, call, by_queries(call, piece, setting), out=out, total=total)
    return out.to(call.q.dtype), total


def room(call: Call) -> tuple[Tensor, Tensor]:
    """Where forward kernels write: answers `B H N E` and log-sum-exps `B H N`; 0 and -inf where none may come by."""
    q, spec = call.q, call.spec
    batch, heads, n, _ = q.shape
    wide = torch.float32 if not spec.once else q.dtype
    make = torch.empty if spec.complete else torch.zeros
    out = make(batch, n, heads, call.v.shape[3], dtype=wide, device=q.device).transpose(1, 2)
    total = torch.empty(batch, heads, n, dtype=torch.float32, device=q.device)
    if not spec.complete:
        total.fill_(float("-inf"))
    return out, total


def backward(call: Call, grad: Tensor, out: Tensor, total: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of q, k and v, and delta = rowsum(dO O), which `scores` wants too."""
    spec, wide = call.spec, torch.float32
    known = {"grad": grad, "total": total, "delta": _delta(call, grad, out, total)}
    heads, alone = call.q.shape[1], choice.alone(spec)
    dq = _zeros(call.q, heads, call.q.dtype if spec.once else wide)
    dk, dv = (_zeros(x, heads, x.dtype if alone else wide) for x in (call.k, call.v))
    for piece in spec.pieces:
        setting = choice.backward_queries(spec, piece, call.use, call.target)
        launch("attention_backward_queries", setting, piece, call, by_queries(call, piece, setting), False, **known,
               dq=dq)
        setting = choice.backward_keys(spec, piece, call.use, call.target)
        programs = _heads(call, piece) * piece.entries * -(-piece.k.count // setting.block_n)
        if not piece.keys_shared:
            launch("attention_backward_keys", setting, piece, call, programs, True, **known, dk=dk, dv=dv)
            continue
        rows = piece.entries * piece.k.count
        at = call.tables[piece.key_rows : piece.key_rows + rows].long()
        slots = [torch.zeros(x.shape[0], rows, x.shape[1], x.shape[3], dtype=wide, device=x.device).transpose(1, 2)
                 for x in (dk, dv)]
        launch("attention_backward_keys", setting, piece, call, programs, True, **known, dk=slots[0], dv=slots[1])
        for into, x in zip((dk, dv), slots, strict=True):
            into.transpose(1, 2).index_add_(1, at, x.transpose(1, 2))
    if call.groups > 1:
        dk, dv = (x.transpose(1, 2).unflatten(2, (-1, call.groups)).sum(3, dtype=wide).transpose(1, 2)
                  for x in (dk, dv))
    return dq.to(call.q.dtype), dk.to(call.k.dtype), dv.to(call.v.dtype), known["delta"]


def _heads(call: Call, piece: Piece) -> int:
    """How many heads of samples a piece has."""
    return call.q.shape[0] * (call.spec.heads if piece.heads is None else piece.heads[1])


def by_queries(call: Call, piece: Piece, setting: Setting) -> int:
    """Programs of a kernel that has one for each tile of queries."""
    return _heads(call, piece) * piece.entries * -(-piece.q.count // setting.block_m)


def _zeros(x: Tensor, heads: int, kind: torch.dtype) -> Tensor:
    return torch.zeros(x.shape[0], x.shape[2], heads, x.shape[3], dtype=kind, device=x.device).transpose(1, 2)


def _delta(call: Call, grad: Tensor, out: Tensor, total: Tensor) -> Tensor:
    delta = torch.empty_like(total)
    width = out.shape[3]
    first, second = halves(width)
    heads, n = out.shape[1:3]
    grid = (out.shape[0] * heads * -(-n // 64),)
    _function("attention_delta")[grid](
        out, grad, delta, n, heads, *out.stride()[:3], *grad.stride()[:3], E=width, E1=first, E2=second, BLOCK_M=64
    )
    return delta


def launch(
    kernel: str, setting: Setting, piece: Piece, call: Call, programs: int, by_keys: bool = False, **more: Any
) -> None:
    """One kernel on one piece. `more` are the tensors that it has of its own, and numbers."""
    tensors = {"q": call.q, "k": call.k, "v": call.v} | {x: y for x, y in more.items() if isinstance(y, Tensor)}
    given: dict[str, Any] = tensors | _numbers(call, piece, by_keys) | setting.constants() | more | strides(tensors)
    start(kernel, setting, call.q.shape[0], programs, given)


def strides(tensors: dict[str, Tensor]) -> dict[str, int]:
    """The strides of `B H N .` as kernels call them."""
    found: dict[str, int] = {}
    for name, of in STRIDES.items():
        if of in tensors:
            found |= dict(zip((f"{name}_b", f"{name}_h", f"{name}_n"), tensors[of].stride()[:3], strict=True))
    return found


def start(kernel: str, setting: Setting, batch: int, programs: int, given: dict[str, Any]) -> None:
    """A launch with arguments by name: by a build that has the kernel, else by Triton.

    Raises:
        NoKernel: A747, Triton is not installed; A744, the kernel as it compiled it does not fit the GPU.
    """
    if taken(kernel, setting, batch, programs, given):
        return
    function = _function(kernel)
    told = {name: given[name] for name in function.arg_names} | {
        "num_warps": setting.warps, "num_stages": setting.stages}
    device = given["k"].device
    if (kernel, setting, device) not in FIT:
        demand_fit(kernel, function.warmup(**told, grid=(programs,)), _device(device.index).shared)
        FIT.add((kernel, setting, device))
    function[(programs,)](**told)


def _numbers(call: Call, piece: Piece, by_keys: bool) -> dict[str, Any]:
    """The arguments that all kernels share, by name. What a kernel does not look at is `tables` or 0."""
    spec, bias, lists = call.spec, call.spec.bias, piece.lists
    heads_at, heads = (0, spec.heads) if piece.heads is None else piece.heads
    mask, added, none = call.mask, call.bias, call.tables
    steps_mask = (0, 0, 0, 0) if mask is None else tuple(0 if n == 1 else s for n, s in zip(
        mask.shape, mask.stride(), strict=True))
    steps_bias = (0, 0, 0) if added is None else added.stride()[:3] if bias.kind == "places" else (
        0, added.stride(0), 0)
    given: dict[str, Any] = {
        "tables": call.tables, "seed": none if call.seed is None else call.seed,
        "mask": none if mask is None else mask.view(torch.int8) if mask.dtype == torch.bool else mask,
        "bias": none if added is None else added, "scale": call.scale, "threshold": round(call.rate * 2**32) - 2**31,
        "keep_scale": 1 / (1 - call.rate), "heads": heads, "groups": call.groups, "heads_at": heads_at,
        "drop_at": spec.drop_at, "t_b": spec.heads * spec.queries, "entries": piece.entries, "nq": piece.q.count,
        "nk": piece.k.count, "queries": spec.queries, "keys": spec.keys, "lower": piece.lower, "upper": piece.upper,
        "lists": 0, "items": 0, "bits": 0, "each": 0, "b0": bias.b0, "b1": bias.b1, "gap": bias.gap,
    }
    for side, places in (("q", piece.q), ("k", piece.k)):
        given |= {f"{side}{i}": number for i, number in enumerate(places.numbers)}
    if lists is not None:
        given |= {"bits": lists.bits, "each": lists.each, "lists": lists.columns if by_keys else lists.rows,
                  "items": lists.column_items if by_keys else lists.row_items}
    given |= dict(zip(("mask_b", "mask_h", "mask_q", "mask_k"), steps_mask, strict=True))
    given |= dict(zip(("bias_b", "bias_h", "bias_q"), steps_bias, strict=True))
    return given
