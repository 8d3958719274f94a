"""A double of the CUDA driver: it takes what ctypes hands over, and writes down what would be launched."""

from __future__ import annotations

import contextlib
import ctypes
from dataclasses import dataclass, field
from typing import Any

import torch

from ogive.compiler.aot.driver import Driver

__all__ = ["FakeDriver", "FakeLibrary"]


@dataclass
class FakeLibrary:
    """The functions of libcuda. `refuse` maps a function to the code that it answers."""

    modules: list[bytes] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)
    shared: dict[int, int] = field(default_factory=dict)
    launches: list[dict[str, Any]] = field(default_factory=list)
    refuse: dict[str, int] = field(default_factory=dict)

    def cuModuleLoadData(self, module: Any, image: Any) -> int:
        self.modules.append(image.value)
        module._obj.value = len(self.modules)
        return self.refuse.get("cuModuleLoadData", 0)

    def cuModuleGetFunction(self, function: Any, module: Any, name: Any) -> int:
        self.symbols.append(name.value.decode())
        function._obj.value = 1000 + module.value
        return self.refuse.get("cuModuleGetFunction", 0)

    def cuFuncSetAttribute(self, function: Any, attribute: Any, value: Any) -> int:
        assert attribute.value == 8
        self.shared[function.value] = value.value
        return self.refuse.get("cuFuncSetAttribute", 0)

    def cuLaunchKernel(self, function: Any, *rest: Any) -> int:
        *sizes, stream, parameters, extra = rest
        assert parameters is None and (extra[0], extra[2], extra[4]) == (1, 2, None)
        size = ctypes.cast(extra[3], ctypes.POINTER(ctypes.c_size_t)).contents.value
        self.launches.append({
            "function": function.value, "grid": tuple(x.value for x in sizes[:3]),
            "block": tuple(x.value for x in sizes[3:6]), "shared": sizes[6].value, "stream": stream.value,
            "parameters": ctypes.string_at(extra[1], size),
        })
        return self.refuse.get("cuLaunchKernel", 0)

    def cuGetErrorString(self, code: Any, text: Any) -> int:
        text._obj.value = b"out of something"
        return 0


class FakeDriver(Driver):
    """The driver over the double; tensors of the processor pass for those of a GPU of a capability."""

    def __init__(self, capability: int | None = 90) -> None:
        super().__init__(FakeLibrary())
        self.fake = capability

    def capability(self, device: torch.device) -> int | None:
        return self.fake

    def at(self, device: torch.device) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext()

    def stream(self, device: torch.device) -> int:
        return 77
