"""What a source is: a file, a text on standard input, or a bare name that means the library's file."""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from ogive.dsl import limits
from ogive.dsl.diagnostics import fail, nearest
from ogive.dsl.load import Unit, library_names, load_file, load_library, load_text

__all__ = ["arch_files", "check_root", "in_library", "open_source", "read_stdin"]

BARE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def in_library(source: object) -> bool:
    """Whether a source means the library: one of its names (`vit`, `std.timm`), and no file here that is called so."""
    return isinstance(source, str) and source in _library() and not Path(source).is_file()


def open_source(source: str | os.PathLike[str], root: str | os.PathLike[str] | None = None) -> Unit:
    """The parsed file that a source means; "-" is standard input.

    Raises:
        ArchError: A800 it cannot be read, A0xx it does not parse, A109 the library has none of that name.
    """
    if not isinstance(source, str | os.PathLike):
        raise fail("A800", f"a source is a path or the name of a library file; here is a {type(source).__name__}")
    if source == "-":
        return load_text(read_stdin(), "<stdin>")
    if isinstance(source, str) and in_library(source):
        return load_library(source)
    if isinstance(source, str) and _is_name(source):
        near = nearest(source, _library())
        shown = f"did you mean `{near}`?" if near else "the library has " + ", ".join(library_names())
        raise fail(
            "A109", f"there is no file `{source}`, and the library has none of that name",
            help=f"{shown}; a file of your own ends in `.arch`",
        )
    return load_file(source, root)


def _is_name(source: str) -> bool:
    return BARE.fullmatch(source) is not None and not source.endswith(".arch") and not Path(source).exists()


def check_root(root: str | None) -> str | None:
    """`root`, when it is a folder.

    Raises:
        ArchError: A803.
    """
    if root is not None and not Path(root).is_dir():
        raise fail("A803", f"`--root {root}` is no folder")
    return root


def arch_files(folder: Path) -> list[Path]:
    """Every `.arch` file below a folder, in order; hidden folders are left out.

    Raises:
        ArchError: A800 there is none.
    """
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        found += [Path(place, f) for f in sorted(names) if f.endswith(".arch")]
    if not found:
        raise fail("A800", f"there is no `.arch` file in `{folder}` or below it")
    return found


@cache
def _library() -> frozenset[str]:
    parts = files("ogive.library").joinpath("std").iterdir()
    return frozenset([*library_names(), *(f"std.{p.name[:-5]}" for p in parts if p.name.endswith(".arch"))])


def read_stdin() -> str:
    """The text on standard input.

    Raises:
        ArchError: A501 too large, A800 not UTF-8.
    """
    data = sys.stdin.buffer.read(limits.FILE_BYTES + 1)
    if len(data) > limits.FILE_BYTES:
        raise fail("A501", f"the text on standard input is larger than {limits.FILE_BYTES:,} bytes")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise fail("A800", f"standard input is not UTF-8 text: byte {error.start} in line {line}") from None
