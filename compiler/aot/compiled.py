"""One kernel compiled for one GPU by Triton, on any machine: its cubin, and what the compiler made of it."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import triton
from triton import knobs
from triton.backends.compiler import GPUTarget

from ogive.compiler.aot.cubin import read_cubin
from ogive.compiler.kernels.fits import unfit
from ogive.compiler.kernels.registry import Kernel
from ogive.compiler.kernels.setting import Setting

__all__ = ["Compiled", "Facts", "compile_kernel", "refused"]

Matrix = Literal["wgmma", "tcgen05", "mma", "fma"]

MATRIX: Final[tuple[tuple[Matrix, re.Pattern[str]], ...]] = (
    ("wgmma", re.compile(r"\bwgmma\.mma_async\b")), ("tcgen05", re.compile(r"\btcgen05\.mma\b")),
    ("mma", re.compile(r"\bmma\.sync\b")),
)
"""Matrix instructions by what PTX calls them: of 9.0, of 10.0, and of all generations."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a compiled kernel takes.

    Attributes:
        registers: of a thread. stack: bytes of a thread that are in memory instead.
        shared: bytes of shared memory of a block. warps: of a block.
        matrix: the matrix instruction its products are: "wgmma", "tcgen05", "mma", or "fma" for none.
    """

    registers: int
    stack: int
    shared: int
    warps: int
    matrix: Matrix


@dataclass(frozen=True, slots=True)
class Compiled:
    """A cubin, the text it was made of, and facts. `scratch` are bytes a program that hidden parameters point to."""

    symbol: str
    cubin: bytes
    ptx: str
    facts: Facts
    scratch: tuple[int, int]


def compile_kernel(kernel: Kernel, setting: Setting, capability: int, loose: Container[str] = ()) -> Compiled:
    """A kernel for a compute capability (90 for 9.0); Triton keeps what it compiled once.

    `loose` are the arguments that are not multiples of 16, among those that usually are.
    """
    with _without_lines():
        made = triton.compile(
            kernel.source(setting, loose), target=GPUTarget("cuda", capability, 32),
            options={"num_warps": setting.warps, "num_stages": setting.stages},
        )
    about: Any = made.metadata
    read = read_cubin(made.asm["cubin"])
    ptx = made.asm["ptx"]
    matrix: Matrix = next((name for name, pattern in MATRIX if pattern.search(ptx)), "fma")
    facts = Facts(read.registers, read.stack, about.shared, about.num_warps, matrix)
    scratch = about.global_scratch_size, about.profile_scratch_size
    return Compiled(read.symbol, made.asm["cubin"], ptx, facts, scratch)


def refused(facts: Facts, shared: int) -> str | None:
    """Why a compiled kernel is not launched on a GPU with so much shared memory a block; None where it may be."""
    return unfit(facts.stack, facts.shared, shared)


@contextmanager
def _without_lines() -> Iterator[None]:
    """Without the places of lines: they are paths of this machine, and make equal kernels differ."""
    before = knobs.compilation.disable_line_info
    knobs.compilation.disable_line_info = True
    try:
        yield
    finally:
        knobs.compilation.disable_line_info = before
