"""Kernels of a build, ready to be launched: which of them takes a launch, and the bytes that it is launched with."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import torch

from ogive.compiler.aot.driver import Driver, Launch
from ogive.compiler.aot.manifest import Entry, Guard, Manifest, programs
from ogive.compiler.kernels.setting import Setting

__all__ = ["Loaded", "block_of", "setting_key"]

DTYPES: Final = {
    "bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32, "i8": torch.int8, "i32": torch.int32,
    "i64": torch.int64,
}
FORMATS: Final = {"i32": "<i", "i64": "<q", "fp32": "<f"}


def setting_key(kernel: str, setting: Mapping[str, Any]) -> str:
    """What a kernel was compiled of and for, as one text."""
    return f"{kernel} {json.dumps(dict(setting), sort_keys=True)}"


class Loaded:
    """The cubins of a build. Called for each launch, it launches what one of them takes.

    `misses` keeps, for each launch that none took, the reason.
    """

    def __init__(self, manifest: Manifest, cubins: Mapping[str, bytes], driver: Driver) -> None:
        self.manifest = manifest
        self.cubins = dict(cubins)
        self.driver = driver
        self.misses: dict[str, str] = {}
        self.entries: dict[str, list[Entry]] = {}
        for entry in manifest.kernels:
            self.entries.setdefault(setting_key(entry.kernel, entry.setting), []).append(entry)

    def __call__(self, kernel: str, setting: Setting, batch: int, programs: int, given: Mapping[str, Any]) -> bool:
        key = setting_key(kernel, asdict(setting))
        device = next(x.device for x in given.values() if isinstance(x, torch.Tensor))
        reason = self._elsewhere(device) or "it was not built for these settings"
        for entry in self.entries.get(key, ()) if not self._elsewhere(device) else ():
            broken = next((guard for guard in entry.guards if not _holds(guard, given)), None)
            if broken is None:
                self._launch(entry, batch, given, device)
                return True
            reason = f"`{broken.of}` is not {'' if broken.rule == 'is' else 'a '}{_told(broken)}"
        self.misses[key] = reason
        return False

    def takes(self, device: torch.device) -> bool:
        """Whether it holds kernels for a device."""
        return self._elsewhere(device) is None

    def _elsewhere(self, device: torch.device) -> str | None:
        if device.type != "cuda":
            return f"the tensors are on {device.type}"
        major, minor = torch.cuda.get_device_capability(device)
        if major * 10 + minor != self.manifest.capability:
            return f"the device is sm_{major}{minor}, and the build is for {self.manifest.arch}"
        return None

    def _launch(self, entry: Entry, batch: int, given: Mapping[str, Any], device: torch.device) -> None:
        index = torch.cuda.current_device() if device.index is None else device.index
        count = programs(entry.grid, {"batch": batch, **{k: v for k, v in given.items() if isinstance(v, int)}})
        if count == 0:
            return
        with torch.cuda.device(index):
            kept = {p.name: torch.empty(p.scratch * count, dtype=torch.uint8, device=device)
                    for p in entry.parameters if p.scratch}
            function = self.driver.function(
                index, bytes.fromhex(entry.sha256), self.cubins[entry.file], entry.symbol, entry.shared
            )
            launch = Launch(count, entry.warps, entry.shared, block_of(entry, {**given, **kept}))
            self.driver.launch(function, launch, torch.cuda.current_stream(index).cuda_stream)


def block_of(entry: Entry, given: Mapping[str, Any]) -> bytes:
    """The block of parameters of a launch: each number or address where the kernel looks for it."""
    size = max((p.offset + p.size for p in entry.parameters), default=0)
    block = bytearray(size)
    for p in entry.parameters:
        value = 0 if p.scratch == 0 else given[p.name]
        if p.type.startswith("*"):
            struct.pack_into("<Q", block, p.offset, value.data_ptr() if isinstance(value, torch.Tensor) else 0)
        else:
            struct.pack_into(FORMATS[p.type], block, p.offset, value)
    return bytes(block)


def _holds(guard: Guard, given: Mapping[str, Any]) -> bool:
    value = given.get(guard.of)
    if guard.rule == "is":
        return isinstance(value, torch.Tensor) and value.dtype == DTYPES.get(str(guard.value))
    number = value.data_ptr() if isinstance(value, torch.Tensor) else value
    return isinstance(number, int) and isinstance(guard.value, int) and number % guard.value == 0


def _told(guard: Guard) -> str:
    return str(guard.value) if guard.rule == "is" else f"multiple of {guard.value}"
