"""Where launches of attention kernels pass before Triton is asked: kernels that are compiled already, and who counts.

`ogive.compiler.aot` puts loaded builds into `TAKERS`; while it makes a build it puts a recorder there, and the GPU that
is built for into `DEVICE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache
from importlib.util import find_spec
from typing import Any, Final, Protocol

from ogive.compiler.kernels.setting import Device, Setting
from ogive.dsl.diagnostics import ArchError, Diagnostic

__all__ = ["DEVICE", "TAKERS", "NoKernel", "Taker", "has_triton", "taken"]


class NoKernel(ArchError):
    """A launch that nobody takes: no build has the kernel, and Triton has none, or none that fits. Who has another way
    to compute it catches this."""

    def __init__(self, code: str, title: str, help: str) -> None:
        super().__init__((Diagnostic(code, title, help=help),))


class Taker(Protocol):
    """Takes a launch, or leaves it to the next one."""

    def __call__(self, kernel: str, setting: Setting, batch: int, programs: int, given: Mapping[str, Any]) -> bool:
        """Whether it was launched: `given` are all arguments by name, tensors and numbers; `programs` the grid."""


TAKERS: Final[list[Taker]] = []
"""Who is asked, in order."""

DEVICE: Final[ContextVar[Device | None]] = ContextVar("DEVICE", default=None)
"""The GPU that kernels are chosen for, where it is not the one at hand."""


@cache
def has_triton() -> bool:
    """Whether kernels can be compiled here."""
    return find_spec("triton") is not None


def taken(kernel: str, setting: Setting, batch: int, programs: int, given: Mapping[str, Any]) -> bool:
    """Whether somebody has launched it; if not, Triton has to.

    Raises:
        NoKernel: A747, it cannot, because it is not installed.
    """
    if any(taker(kernel, setting, batch, programs, given) for taker in TAKERS):
        return True
    if not has_triton():
        raise NoKernel("A747", f"no build has `{kernel}` for such tensors, and Triton is not installed",
                       "`pip install triton`, on Linux")
    return False
