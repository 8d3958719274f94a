"""What torch's CPU allocator has handed out at most while something runs, above what lay there before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile

__all__ = ["peak_of"]


def peak_of(run: Callable[[], Any]) -> int:
    """Bytes at the highest point; what `run` answers is held until the end. The first run is not counted: it fills
    the caches that later ones find."""
    run()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        held = run()
    found = seen.profiler.kineto_results.events()  # type: ignore[union-attr]
    records = sorted((e.start_ns(), e.nbytes()) for e in found if e.name() == "[memory]")
    assert records, "the profiler saw no allocation"
    live = peak = 0
    for _, change in records:
        live += change
        peak = max(peak, live)
    del held
    return peak
