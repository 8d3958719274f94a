"""Many files checked on all cores, by copies of this process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from typing import TypeVar

from ogive import checking
from ogive.checking import File, FileReport

__all__ = ["viewed"]

T = TypeVar("T")


def viewed(
    files: Iterable[File | FileReport], view: Callable[[FileReport], T], claims: bool, root: File | None
) -> Iterator[T]:
    """As `ogive.checking.viewed`. What comes back from a copy is what `view` made, which should be small: a graph takes
    as long to send as to build."""
    files, done = list(files), 0
    if _cores() > 1 and "-" not in files:
        try:
            with ProcessPoolExecutor(_cores(), get_context("fork"), _deaf) as pool:
                for one in pool.map(partial(_viewed, view, claims, root), files):
                    done += 1
                    yield one
        except BrokenProcessPool:  # one was killed, for want of memory as a rule: this process goes on alone
            pass
    yield from checking.viewed(files[done:], view, claims, root)


def _viewed(view: Callable[[FileReport], T], claims: bool, root: File | None, file: File | FileReport) -> T:
    return view(checking.report(file, claims, root))


def _cores() -> int:
    """Those that this process may use; 1 where a process cannot be copied safely."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def _deaf() -> None:
    """Ctrl-C is for the process that waits for the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
