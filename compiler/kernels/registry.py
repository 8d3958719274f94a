"""All attention kernels, for who compiles or counts them: what each is called with, and its grid.

    for name, kernel in KERNELS.items():
        triton.compile(kernel.source(setting), target=GPUTarget("cuda", 90, 32),
                       options={"num_warps": setting.warps, "num_stages": setting.stages})

`settings_of(spec, ...)` says which settings a walk needs; `setting.tiled` gives them tiles and warps on a device.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from triton.compiler import ASTSource
from triton.runtime import JITFunction

from ogive.compiler.kernels.backward import attention_backward_keys, attention_backward_queries, attention_delta
from ogive.compiler.kernels.forward import attention_forward
from ogive.compiler.kernels.scores import attention_backward_scores
from ogive.compiler.kernels.setting import Device, Given, Setting, tiled
from ogive.compiler.kernels.spec import Spec

__all__ = ["KERNELS", "Argument", "Kernel", "settings_of"]

FLOATS: Final = frozenset({"scale", "keep_scale"})
ALIGNED: Final = frozenset({f"{x}_{y}" for x in ("q", "k", "v", "o", "g", "dq", "dk", "dv") for y in "bhn"})
"""Strides, in elements: compiled as multiples of 16."""

POINTERS: Final[dict[str, str]] = {
    "q": "data", "k": "data", "v": "data", "grad": "data", "total": "fp32", "delta": "fp32", "ds": "fp32",
    "tables": "i32", "seed": "i64", "bias": "bias", "mask": "mask", "out": "out", "dq": "fp32", "dk": "fp32",
    "dv": "fp32",
}


@dataclass(frozen=True)
class Argument:
    """A parameter at run time: its name, its type as Triton spells it ("*fp16", "i32", "fp32"), and whether its value
    must be a multiple of 16 (of bytes for a pointer, of elements for a stride)."""

    name: str
    type: str
    aligned: bool


@dataclass(frozen=True)
class Kernel:
    """A Triton function and what it is called with.

    Attributes:
        function: the function.
        grid: how many programs there are, over the names of its arguments, `batch` and the tiles.
    """

    name: str
    function: JITFunction[Any]
    grid: str

    def constants(self, setting: Setting) -> dict[str, Any]:
        """The constexpr parameters by name."""
        wanted = {p.name for p in self.function.params if p.is_constexpr}
        return {name: value for name, value in setting.constants().items() if name in wanted}

    def arguments(self, setting: Setting) -> tuple[Argument, ...]:
        """The parameters at run time, in order."""
        names = [p.name for p in self.function.params if not p.is_constexpr]
        return tuple(Argument(x, _type(self.name, x, setting), x in POINTERS or x in ALIGNED) for x in names)

    def source(self, setting: Setting, loose: Container[str] = ()) -> ASTSource:
        """What `triton.compile` takes; `loose` are arguments that are no multiples of 16 although they may be."""
        arguments = self.arguments(setting)
        constants = self.constants(setting)
        places = {p.name: (i,) for i, p in enumerate(self.function.params)}
        signature = {p.name: "constexpr" for p in self.function.params} | {x.name: x.type for x in arguments}
        attributes = {
            places[x.name]: [["tt.divisibility", 16]] for x in arguments if x.aligned and x.name not in loose
        }
        return ASTSource(self.function, signature, {places[x]: value for x, value in constants.items()}, attributes)


def _type(kernel: str, name: str, setting: Setting) -> str:
    if name in FLOATS:
        return "fp32"
    if name not in POINTERS:
        return "i32"
    kind = POINTERS[name]
    if kind == "out":
        kind = "fp32" if setting.wide else "data"
    if kind == "bias":
        kind = "fp32" if setting.bias != "places" else "data"
    if kind == "mask":
        kind = {"none": "i8", "bool": "i8", "float": "data"}[setting.mask]
    return "*" + (setting.dtype if kind == "data" else kind)


KERNELS: Final[dict[str, Kernel]] = {
    kernel.name: kernel for kernel in (
        Kernel("attention_forward", attention_forward, "batch * heads * entries * cdiv(nq, BLOCK_M)"),
        Kernel("attention_delta", attention_delta, "batch * heads * cdiv(queries, BLOCK_M)"),
        Kernel("attention_backward_queries", attention_backward_queries,
               "batch * heads * entries * cdiv(nq, BLOCK_M)"),
        Kernel("attention_backward_keys", attention_backward_keys, "batch * heads * entries * cdiv(nk, BLOCK_N)"),
        Kernel("attention_backward_scores", attention_backward_scores,
               "shares * outer * heads * cdiv(rows, BLOCK_M) * cdiv(nk, BLOCK_N)"),
    )
}
"""By name."""


def settings_of(
    spec: Spec, device: Device, dtype: Literal["fp16", "bf16", "fp32"], width: int, values: int | None = None,
    mask: Given = "none", mask_rows: bool = False, dropout: bool = False,
    precision: Literal["ieee", "tf32", "tf32x3"] = "ieee", backward: bool = False,
) -> Iterator[tuple[Kernel, Setting]]:
    """The kernels that a walk launches for a call, each with its setting; a piece is a launch of each."""
    first = KERNELS["attention_forward"]
    for piece in spec.pieces:
        made = Setting(
            dtype, width, width if values is None else values, q_map=piece.q.map, k_map=piece.k.map, keep=piece.keep,
            bias=spec.bias.kind, axes=spec.bias.axes, prefix=spec.bias.prefix, mask=mask, mask_rows=mask_rows,
            dropout=dropout, heads_listed=piece.heads is not None, merge=piece.merge, wide=not spec.once,
            precision=precision,
        )
        if piece.lists is not None:
            made = replace(made, block_m=piece.lists.block_m, block_n=piece.lists.block_n)
        yield first, tiled(made, device, piece.q.count, piece.k.count)
        if backward:
            made = tiled(made, device, piece.q.count, piece.k.count, backward=True)
            yield KERNELS["attention_backward_queries"], made
            yield KERNELS["attention_backward_keys"], replace(made, slots=piece.keys_shared)
