"""Which kernels a network launches at given sizes: it is run on the meta device, and every launch is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ogive.compiler.attention_case import name_of
from ogive.compiler.kernels import int8_operator, launch, operator
from ogive.compiler.kernels.ready import DEVICE, TAKERS
from ogive.compiler.kernels.setting import Device, Setting
from ogive.compiler.module import Network
from ogive.dsl.graph import Graph

__all__ = ["Launched", "launches"]


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
    """Takes every launch and launches none. `at` is the path of the attention that runs."""

    found: dict[str, list[Launched]] = field(default_factory=dict)
    at: str = ""

    def __call__(self, kernel: str, setting: Setting, batch: int, programs: int, given: Mapping[str, Any]) -> bool:
        numbers = {name: value for name, value in given.items() if isinstance(value, int)}
        self.found.setdefault(self.at, []).append(Launched(kernel, setting, batch, programs, numbers))
        return True


class _Calls(TorchDispatchMode):
    """Runs the launches of each call of the operator, where torch would ask for shapes alone."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.ogive.attention.default:
            launch.forward(operator.call_of(*args, **(kwargs or {})))
        if func is torch.ops.ogive.attention_int8.default:
            int8_operator.launched(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def launches(
    module: Network, graph: Graph, inputs: Sequence[torch.Tensor], device: Device
) -> dict[str, list[Launched]]:
    """What each attention of a network on the meta device launches on a GPU, by its path, in the order they run."""
    recorder = _Recorder()
    names = {node.id: name_of(graph, node) for node in graph}
    hooks = []
    for node in module.graph.nodes:
        path = names.get(node.meta.get("ogive", {}).get("node"))
        if node.op == "call_module" and path is not None:
            hooks.append(module.get_submodule(node.target).register_forward_pre_hook(partial(_enter, recorder, path)))
    token = DEVICE.set(device)
    TAKERS.insert(0, recorder)
    try:
        with _Calls(), torch.no_grad():
            module(*inputs)
    finally:
        TAKERS.remove(recorder)
        DEVICE.reset(token)
        for hook in hooks:
            hook.remove()
    return recorder.found


def _enter(recorder: _Recorder, path: str, module: torch.nn.Module, inputs: Any) -> None:
    recorder.at = path
