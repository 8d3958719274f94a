"""All attention kernels, for who compiles or counts them: what each is called with, and its grid.

    for name, kernel in KERNELS.items():
        triton.compile(kernel.source(setting), target=GPUTarget("cuda", 90, 32),
                       options={"num_warps": setting.warps, "num_stages": setting.stages})

`settings_of(spec, use, device)` says which kernels a walk launches, and with which settings on a device.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any, Final

from triton.compiler import ASTSource
from triton.runtime import JITFunction

from ogive.compiler.kernels import choice
from ogive.compiler.kernels.backward import attention_backward_keys, attention_backward_queries, attention_delta
from ogive.compiler.kernels.choice import Use
from ogive.compiler.kernels.forward import attention_forward
from ogive.compiler.kernels.int8_forward import attention_int8_forward
from ogive.compiler.kernels.int8_quantise import attention_int8_codes, attention_int8_means
from ogive.compiler.kernels.scores import attention_backward_scores
from ogive.compiler.kernels.setting import Device, Setting
from ogive.compiler.kernels.spec import Spec

__all__ = ["KERNELS", "Argument", "Kernel", "settings_of"]

FLOATS: Final = frozenset({"scale", "keep_scale", "q_reach", "k_reach", "v_reach"})
ALIGNED: Final = frozenset({
    f"{x}_{y}" for x in ("q", "k", "v", "o", "g", "dq", "dk", "dv", "q8", "k8", "v8") for y in "bhn"
})
"""Strides, in elements: compiled as multiples of 16."""

POINTERS: Final[dict[str, str]] = {
    "q": "data", "k": "data", "v": "data", "grad": "data", "total": "fp32", "delta": "fp32", "ds": "fp32",
    "tables": "i32", "seed": "i64", "bias": "bias", "mask": "mask", "out": "out", "dq": "out", "dk": "out",
    "dv": "out", "q8": "i8", "k8": "i8", "v8": "i8", "q_scale": "fp32", "k_scale": "fp32", "v_scale": "fp32",
    "shift": "fp32", "flags": "i32", "sums": "fp32", "tops": "fp32",
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
    if kind == "out":  # the backward kernels read the answers of the forward one as the caller keeps them
        kind = "fp32" if setting.wide and kernel != "attention_delta" else "data"
    if kind == "bias":
        kind = "fp32" if setting.bias != "places" else "data"
    if name == "v8" and setting.int8 == "fp8":
        kind = "fp8e4nv"
    if kind == "mask":
        kind = {"none": "i8", "bool": "i8", "float": "data"}[setting.mask]
    return "*" + (setting.dtype if kind == "data" else kind)


KERNELS: Final[dict[str, Kernel]] = {
    kernel.name: kernel for kernel in (
        Kernel("attention_forward", attention_forward, "batch * heads * entries * cdiv(nq, BLOCK_M)"),
        Kernel("attention_int8_means", attention_int8_means, "batch * heads * splits"),
        Kernel("attention_int8_codes", attention_int8_codes, "batch * tiles_each"),
        Kernel("attention_int8_forward", attention_int8_forward, "batch * heads * entries * cdiv(nq, BLOCK_M)"),
        Kernel("attention_delta", attention_delta, "batch * heads * cdiv(queries, BLOCK_M)"),
        Kernel("attention_backward_queries", attention_backward_queries,
               "batch * heads * entries * cdiv(nq, BLOCK_M)"),
        Kernel("attention_backward_keys", attention_backward_keys, "batch * heads * entries * cdiv(nk, BLOCK_N)"),
        Kernel("attention_backward_scores", attention_backward_scores,
               "shares * outer * heads * cdiv(rows, BLOCK_M) * cdiv(nk, BLOCK_N)"),
    )
}
"""By name."""


def settings_of(spec: Spec, use: Use, device: Device, backward: bool = False) -> Iterator[tuple[Kernel, Setting]]:
    """The kernels that a walk launches, each with its setting, in order; a piece is a launch of each.

    With `backward` those of the gradients follow; that of scores only where a bias is learned.
    """
    for name in () if use.int8 == "none" else ("attention_int8_means", "attention_int8_codes"):
        yield KERNELS[name], choice.codes(use)
    forward = KERNELS["attention_forward" if use.int8 == "none" else "attention_int8_forward"]
    for piece in spec.pieces:
        yield forward, choice.forward(spec, piece, use, device)
    if not backward:
        return
    yield KERNELS["attention_delta"], choice.forward(spec, spec.pieces[0], use, device)
    for piece in spec.pieces:
        yield KERNELS["attention_backward_queries"], choice.backward_queries(spec, piece, use, device)
        yield KERNELS["attention_backward_keys"], choice.backward_keys(spec, piece, use, device)
        if spec.bias.kind != "none":
            yield KERNELS["attention_backward_scores"], choice.backward_scores(spec, piece, use, device)
