"""What one call may do in all: the steps of every network that is built on the way, each preset and each try counted.

The limits of one network do not bound a file: a table has as many rows as it likes. The count belongs to the outermost
call in hand, so it lies beside the call (a context variable) and not in what is passed down.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from ogive.dsl import limits

__all__ = ["aside", "exhausted", "metered", "spare", "spend", "spent", "taken"]

COPIED: Final = 4
"""Of steps that are copied from an equal run, how many take the time of one that is taken."""


class _Meter:
    __slots__ = ("aside", "spared", "steps")

    def __init__(self) -> None:
        self.steps = 0
        self.spared = 0
        self.aside = 0


_METER: Final[ContextVar[_Meter | None]] = ContextVar("ogive.meter", default=None)


@contextmanager
def metered() -> Iterator[None]:
    """Count from here on; inside another such block, go on with its count."""
    if _METER.get() is not None:
        yield
        return
    token = _METER.set(_Meter())
    try:
        yield
    finally:
        _METER.reset(token)


def spend(steps: int) -> int:
    """Add to the count, where there is one; what it is then."""
    meter = _METER.get()
    if meter is None:
        return 0
    meter.steps += steps
    return meter.steps


def spent() -> int:
    """The count so far."""
    meter = _METER.get()
    return 0 if meter is None else meter.steps


def spare(steps: int) -> None:
    """Say of steps that were counted that they were not taken: what they come to was copied."""
    meter = _METER.get()
    if meter is not None:
        meter.spared += steps


def aside(steps: int) -> None:
    """Say of what no limit of a file counts how many steps would take that time: sizes that are tried, many weights."""
    meter = _METER.get()
    if meter is not None:
        meter.aside += steps


def taken() -> int:
    """The time that all of it took so far, in steps: what was copied takes a part of what it counts for."""
    meter = _METER.get()
    return 0 if meter is None else meter.steps - meter.spared + meter.spared // COPIED + meter.aside


def exhausted() -> bool:
    """Whether the count is above `limits.FILE_STEPS`."""
    return spent() > limits.FILE_STEPS
