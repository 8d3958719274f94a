"""The CUDA driver by ctypes: a cubin is loaded and launched with nothing else installed."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import AbstractContextManager
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint, c_void_p
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from ogive.dsl.diagnostics import fail

__all__ = ["Driver", "Launch", "open_driver"]

BUFFER_POINTER: Final = 1
BUFFER_SIZE: Final = 2
"""CU_LAUNCH_PARAM_BUFFER_POINTER and _SIZE: all parameters are handed over as one block of bytes."""

MOST_SHARED: Final = 8
"""CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: more than 48 KB must be asked for."""

PLAIN: Final = 48 * 1024
WARP: Final = 32


@dataclass(frozen=True, slots=True)
class Launch:
    """What one launch hands to the driver: programs, threads and shared bytes of each, and the block of parameters."""

    programs: int
    warps: int
    shared: int
    block: bytes


@dataclass
class Driver:
    """libcuda, or what answers like it: `library` has the functions `cu...` of the driver.

    The context of the calling thread must be current; torch sees to that on a device it has used.
    """

    library: Any
    loaded: dict[tuple[int, bytes], tuple[c_void_p, c_void_p]] = field(default_factory=dict)

    def capability(self, device: torch.device) -> int | None:
        """The compute capability of a device, 90 for 9.0; None where it is no GPU."""
        if device.type != "cuda":
            return None
        major, minor = torch.cuda.get_device_capability(device)
        return major * 10 + minor

    def at(self, device: torch.device) -> AbstractContextManager[Any]:
        """Makes the context of a device current."""
        return torch.cuda.device(device)

    def stream(self, device: torch.device) -> int:
        """The handle of torch's current stream on a device."""
        return torch.cuda.current_stream(device).cuda_stream

    def function(self, device: int, digest: bytes, cubin: bytes, symbol: str, shared: int) -> c_void_p:
        """The kernel of a cubin on a device, loaded once; `shared` is what its blocks will ask for.

        Raises:
            ArchError: A745, the driver does not take it.
        """
        known = self.loaded.get((device, digest))
        if known is None:
            module, function = c_void_p(), c_void_p()
            self._call("cuModuleLoadData", byref(module), c_char_p(cubin))
            self._call("cuModuleGetFunction", byref(function), module, c_char_p(symbol.encode()))
            if shared > PLAIN:
                self._call("cuFuncSetAttribute", function, c_int(MOST_SHARED), c_int(shared))
            known = self.loaded[device, digest] = module, function
        return known[1]

    def launch(self, function: c_void_p, launch: Launch, stream: int) -> None:
        """Put a launch on a stream; it runs when its turn comes.

        Raises:
            ArchError: A745, the driver refuses.
        """
        block = ctypes.create_string_buffer(launch.block, len(launch.block))
        size = c_size_t(len(launch.block))
        extra = (c_void_p * 5)(
            BUFFER_POINTER, ctypes.addressof(block), BUFFER_SIZE, ctypes.addressof(size), None,
        )
        sizes = (launch.programs, 1, 1, WARP * launch.warps, 1, 1, launch.shared)
        self._call("cuLaunchKernel", function, *map(c_uint, sizes), c_void_p(stream), None, extra)

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self.library, name)(*arguments)
        if code:
            raise fail("A745", f"the CUDA driver refuses a kernel: {self._words(code)}",
                       help="make the build anew, for this GPU, with `ogive compile`")

    def _words(self, code: int) -> str:
        text = c_char_p()
        self.library.cuGetErrorString(c_int(code), byref(text))
        return text.value.decode() if text.value else f"error {code}"


def open_driver(names: Sequence[str] = ("libcuda.so.1", "nvcuda.dll")) -> Driver:
    """The driver of this machine.

    Raises:
        ArchError: A746, there is none.
    """
    for name in names:
        try:
            return Driver(ctypes.CDLL(name))
        except OSError:
            continue
    raise fail("A746", "there is no CUDA driver on this machine", help="`target=\"cpu\"` compiles for the processor")
