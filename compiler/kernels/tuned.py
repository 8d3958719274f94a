"""Settings that were measured to be best on a device: a cache that is data, which processes share without locks.

Each setting is one small JSON file, written whole or not at all; whatever cannot be read is as if it were not there.
Its name is a hash of all that a measurement depends on: the kernels' source, torch, Triton, the driver, the device.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from ogive.compiler.kernels.setting import Device, Setting, shared_bytes

__all__ = ["BEST", "Tuned", "best", "candidates", "source_hash", "tune"]

BEST: Final[dict[tuple[str, Setting], Setting]] = {}
"""By kernel and the setting that is chosen without measuring. Looking here never measures: graphs may be captured."""

LARGEST: Final = 1 << 16
"""Bytes of a file of the cache."""

KNOWN: Final = {"block_m": (16, 32, 64, 128), "block_n": (16, 32, 64, 128), "warps": (4, 8), "stages": (1, 2, 3, 4)}
"""Values that an entry may have."""

TRIED: Final = ((128, 128), (128, 64), (128, 32), (64, 128), (64, 64), (64, 32), (32, 64), (32, 32))


def best(kernel: str, setting: Setting) -> Setting:
    """What was measured to be best in place of a setting; the setting itself where nothing was measured."""
    return BEST.get((kernel, setting), setting)


def candidates(setting: Setting, device: Device, backward: bool = False) -> Iterator[Setting]:
    """Settings that may be faster: other tiles, warps and stages that fit the device. Tiles of lists stay."""
    tiles = [(setting.block_m, setting.block_n)] if setting.keep == "list" else TRIED
    for m, n in tiles:
        for warps in (4, 8):
            for stages in (1, 2, 3, 4):
                made = replace(setting, block_m=m, block_n=n, warps=warps, stages=stages)
                if made != setting and shared_bytes(made, backward) <= device.shared:
                    yield made


@cache
def source_hash() -> str:
    """A hash of the kernels' source."""
    made = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        made.update(path.read_bytes())
    return made.hexdigest()


@dataclass(frozen=True)
class Tuned:
    """The cache in a folder; `about` names what measurements depend on besides the source: versions, driver, device."""

    folder: Path
    about: Mapping[str, str]

    def get(self, kernel: str, setting: Setting) -> Setting | None:
        """What was best in place of a setting; None where nobody measured, or the entry is damaged."""
        path = self._path(kernel, setting)
        try:
            if path.stat().st_size > LARGEST:
                return None
            told = json.loads(path.read_text("utf-8"))
            m, n, warps, stages = (_number(told[name], known) for name, known in KNOWN.items())
            found = replace(setting, block_m=m, block_n=n, warps=warps, stages=stages)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        fixed = setting.keep == "list" and (found.block_m, found.block_n) != (setting.block_m, setting.block_n)
        return None if fixed else found

    def put(self, kernel: str, setting: Setting, found: Setting, seconds: float) -> None:
        """Keep a result; where it cannot be written, it is measured again next time."""
        told = {"block_m": found.block_m, "block_n": found.block_n, "warps": found.warps, "stages": found.stages,
                "seconds": seconds, "kernel": kernel, "about": dict(self.about)}
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, draft = tempfile.mkstemp(prefix=".tuned-", dir=self.folder)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(told, file)
            os.replace(draft, self._path(kernel, setting))

    def _path(self, kernel: str, setting: Setting) -> Path:
        told = json.dumps([kernel, asdict(setting), source_hash(), sorted(self.about.items())], sort_keys=True)
        return self.folder / f"{hashlib.sha256(told.encode()).hexdigest()}.json"


def _number(value: Any, known: tuple[int, ...]) -> int:
    if isinstance(value, bool) or value not in known:
        raise ValueError(value)
    return int(value)


def tune(
    kernel: str, setting: Setting, device: Device, measure: Callable[[Setting], float], kept: Tuned, budget: float,
    step: Callable[..., None] = lambda *_: None, clock: Callable[[], float] = time.monotonic,
) -> Setting:
    """The fastest setting in place of one, from the cache or measured within `budget` seconds; `BEST` knows it then.

    `measure` gives the seconds of a candidate, infinity where it does not run.
    """
    found = kept.get(kernel, setting)
    if found is None:
        end = clock() + budget
        backward = kernel != "attention_forward"
        those = list(candidates(setting, device, backward))
        found, least, whole = setting, measure(setting), True
        for i, made in enumerate(those):
            if clock() > end:
                whole = False
                break
            step(f"tuning {kernel}", i, len(those))
            seconds = measure(made)
            if seconds < least:
                found, least = made, seconds
        if whole:  # what was cut short is measured again when there is time
            kept.put(kernel, setting, found, least)
    BEST[kernel, setting] = found
    return found
