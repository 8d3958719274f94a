"""Kernels compiled ahead of time: cubins and what says how they are launched, without a GPU and without a compiler."""

from __future__ import annotations

from importlib.util import find_spec

from ogive.dsl.diagnostics import fail

__all__ = ["need_triton"]


def need_triton() -> None:
    """Demand Triton, which compiles kernels; launching a build needs none.

    Raises:
        ArchError: A747, it is not installed.
    """
    if find_spec("triton") is None:
        raise fail("A747", "kernels are compiled by Triton, which is not installed",
                   help="`pip install triton`, on Linux")
