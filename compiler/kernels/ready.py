"""Where launches of attention kernels pass before Triton is asked: kernels that are compiled already, and who counts.

`ogive.compiler.aot` puts loaded builds into `TAKERS`; while it makes a build it puts a recorder there, and the GPU that
is built for into `DEVICE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final, Protocol

from ogive.compiler.kernels.setting import Device, Setting

__all__ = ["DEVICE", "TAKERS", "Taker", "taken"]


class Taker(Protocol):
    """Takes a launch, or leaves it to the next one."""

    def __call__(self, kernel: str, setting: Setting, batch: int, programs: int, given: Mapping[str, Any]) -> bool:
        """Whether it was launched: `given` are all arguments by name, tensors and numbers; `programs` the grid."""


TAKERS: Final[list[Taker]] = []
"""Who is asked, in order."""

DEVICE: Final[ContextVar[Device | None]] = ContextVar("DEVICE", default=None)
"""The GPU that kernels are chosen for, where it is not the one at hand."""


def taken(kernel: str, setting: Setting, batch: int, programs: int, given: Mapping[str, Any]) -> bool:
    """Whether somebody has launched it."""
    return any(taker(kernel, setting, batch, programs, given) for taker in TAKERS)
