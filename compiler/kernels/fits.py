"""Whether a compiled kernel fits a GPU: Triton launches one that spills its registers, and asks nobody."""

from __future__ import annotations

from typing import Any, Final

from ogive.compiler.aot.cubin import read_cubin
from ogive.compiler.kernels.ready import NoKernel

__all__ = ["MOST_STACK", "demand_fit", "unfit"]

MOST_STACK: Final = 256
"""Bytes of a thread that may lie in memory: what is spilled once in a while, not in each round of the loop."""


def unfit(stack: int, shared: int, most: int) -> str | None:
    """Why a kernel is not launched on a GPU; None where it may be.

    Args:
        stack: bytes of each thread that do not fit its registers.
        shared: bytes of shared memory that a block takes, of `most`.
    """
    if shared > most:
        return f"it takes {shared:,} bytes of shared memory, and a block has {most:,} there"
    if stack > MOST_STACK:
        return f"{stack} bytes of each thread do not fit its registers, and at most {MOST_STACK} are let through"
    return None


def demand_fit(kernel: str, made: Any, most: int) -> None:
    """Demand that what Triton compiled fits, before it is launched; what is interpreted (None) does.

    Raises:
        NoKernel: A744, it does not.
    """
    cubin = None if made is None else made.asm.get("cubin")
    if cubin is None:
        return
    reason = unfit(read_cubin(cubin).stack, made.metadata.shared, most)
    if reason is not None:
        raise NoKernel("A744", f"`{kernel}` does not fit this GPU: {reason}",
                       'another precision, or `kernel="sdpa-efficient"`')
