"""How a command ends that did not work: one error on stderr and an exit code, never a traceback."""

from __future__ import annotations

import os
import re
import sys
import traceback
from typing import Final, TextIO

from ogive.dsl.diagnostics import ArchError, Diagnostic, printable

__all__ = ["BROKEN_PIPE", "BUG", "FINDINGS", "INTERRUPTED", "WRONG_USE", "bug", "coloured", "exit_code", "say", "tell"]

FINDINGS: Final = 1
WRONG_USE: Final = 2
BUG: Final = 70
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141

CALLED_WRONG: Final = frozenset({
    "A800", "A801", "A802", "A803", "A804", "A805", "A807", "A808", "A809", "A816", "A817", "A818", "A830",
})
"""What lies in how the command was called: names, sizes, options, places to write to, inputs."""

PAINT: Final = (
    (re.compile(r"^error\[\w+\]:", re.M), "\033[1;31m"),
    (re.compile(r"^(warning|note)\[\w+\]:", re.M), "\033[1;33m"),
    (re.compile(r"^ *(-->|:::)", re.M), "\033[34m"),
    (re.compile(r"(?<=\| ) *\^+", re.M), "\033[31m"),
    (re.compile(r"(?<= = )help:", re.M), "\033[36m"),
)


def exit_code(mistakes: tuple[Diagnostic, ...]) -> int:
    """2 when the call itself is wrong (no such file, name, preset, setting or size), 1 for what stands in a file."""
    for mistake in mistakes:
        outside = mistake.span is None or mistake.span.source.quoted is not None
        if mistake.code in CALLED_WRONG or outside:
            return WRONG_USE
    return FINDINGS


def say(error: ArchError) -> None:
    """Print an error on stderr."""
    text = error.render()
    if coloured(sys.stderr):
        for pattern, paint in PAINT:
            text = pattern.sub(lambda match, paint=paint: f"{paint}{match.group()}\033[0m", text)  # type: ignore[misc]
    tell(text)


def tell(text: str) -> None:
    """A line on stderr, behind what is on stdout already."""
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)


def coloured(stream: TextIO) -> bool:
    """Whether colours are welcome: on a terminal, unless NO_COLOR says otherwise."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def bug(error: BaseException, words: list[str]) -> int:
    """Say that something happened which should not; the traceback is shown when OGIVE_TRACEBACK is set."""
    if os.environ.get("OGIVE_TRACEBACK", "0") not in {"", "0"}:
        traceback.print_exception(error)
    what = " ".join(f"{type(error).__name__}: {error}".split())
    if len(what) > 300:
        what = what[:300] + " ..."
    command = " ".join(["ogive", *words])
    tell(f"this is a bug in ogive: please report it, with `{printable(command)}` and this: {printable(what)} "
         "(OGIVE_TRACEBACK=1 shows where)")
    return BUG
