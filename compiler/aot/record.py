"""Which kernels a network launches at given sizes: it is run on the meta device, and every launch is written down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ogive.compiler.kernels import launch, operator
from ogive.compiler.kernels.ready import DEVICE, TAKERS
from ogive.compiler.kernels.setting import Device, Setting

__all__ = ["Launched", "recording"]


@dataclass(frozen=True)
class Launched:
    """One launch: the kernel, its setting, how many programs, and its numbers (strides, sizes) by name."""

    kernel: str
    setting: Setting
    batch: int
    programs: int
    numbers: Mapping[str, int]


@dataclass
class _Recorder:
    """Takes every launch and launches none."""

    found: list[Launched] = field(default_factory=list)

    def __call__(self, kernel: str, setting: Setting, batch: int, programs: int, given: Mapping[str, Any]) -> bool:
        numbers = {name: value for name, value in given.items() if isinstance(value, int)}
        self.found.append(Launched(kernel, setting, batch, programs, numbers))
        return True


class _Calls(TorchDispatchMode):
    """Runs the launches of each call of the operator, where torch would ask for shapes alone."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.ogive.attention.default:
            launch.forward(operator.call_of(*args, **(kwargs or {})))
        return func(*args, **(kwargs or {}))


@contextmanager
def recording(device: Device) -> Iterator[list[Launched]]:
    """Inside, networks on the meta device call the kernels of a GPU; the list fills with what they would launch."""
    recorder = _Recorder()
    token = DEVICE.set(device)
    TAKERS.insert(0, recorder)
    try:
        with _Calls():
            yield recorder.found
    finally:
        TAKERS.remove(recorder)
        DEVICE.reset(token)
