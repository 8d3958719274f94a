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
    "i64": torch.int64, "fp8e4nv": torch.float8_e4m3fn,
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
        reason = self.refuses(device)
        for entry in () if reason else self.entries.get(key, ()):
            broken = next((guard for guard in entry.guards if not _holds(guard, given)), None)
            if broken is None:
                self._launch(entry, batch, given, device)
                return True
            reason = f"`{broken.of}` is not {'' if broken.rule == 'is' else 'a '}{_told(broken)}"
        self.misses[key] = reason or "it was not built for such tensors"
        return False

    def refuses(self, device: torch.device) -> str | None:
        """Why nothing of it runs on a device; None where it does."""
        found = self.driver.capability(device)
        if found is None:
            return f"the tensors are on {device.type}, and the build is for {self.manifest.target}"
        if found != self.manifest.capability:
            return f"the device is sm_{found}, and the build is for {self.manifest.arch}"
        return None

    def _launch(self, entry: Entry, batch: int, given: Mapping[str, Any], device: torch.device) -> None:
        sizes = {name: value for name, value in given.items() if isinstance(value, int)}
        count = programs(entry.grid, {**sizes, "batch": batch})
        if count == 0:
            return
        with self.driver.at(device):
            kept = {p.name: torch.empty(p.scratch * count, dtype=torch.uint8, device=device)
                    for p in entry.parameters if p.scratch}
            function = self.driver.function(
                device.index or 0, bytes.fromhex(entry.sha256), self.cubins[entry.file], entry.symbol, entry.shared
            )
            launch = Launch(count, entry.warps, entry.shared, block_of(entry, {**given, **kept}))
            self.driver.launch(function, launch, self.driver.stream(device))


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
