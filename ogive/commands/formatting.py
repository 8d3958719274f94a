"""`ogive fmt`: files in their canonical layout."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ogive.commands.failure import FINDINGS, exit_code, say, tell
from ogive.commands.output import write_whole
from ogive.dsl.diagnostics import ArchError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["fmt"]


def fmt(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Files and folders to rewrite, or - for stdin to stdout.")
    ],
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if a file would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; show what would change.")] = False,
) -> int:
    """Put files into their canonical layout.

    What a file says is never changed, and one with a mistake in it is left alone.
    """
    code, changed, same, left = 0, 0, 0, 0
    for file in _expanded(files):
        try:
            old, new = _formatted(file)
            if file == "-" and not (check or diff):
                sys.stdout.write(new)
            elif old == new:
                same += 1
            else:
                changed += 1
                _change(file, old, new, check, diff)
        except ArchError as error:
            say(error)
            left += 1
            code = max(code, exit_code(error.diagnostics))
    if files != ["-"]:
        what = "would change" if check or diff else "changed"
        tell(f"{changed} {what}, {same} in their layout already" + (f", {left} left alone" if left else ""))
    return max(code, FINDINGS if changed and (check or diff) else 0)


def _expanded(files: list[str]) -> Iterable[str]:
    from ogive.sources import arch_files

    for file in files:
        if file != "-" and Path(file).is_dir():
            yield from map(str, arch_files(Path(file)))
        else:
            yield file


def _formatted(file: str) -> tuple[str, str]:
    """The text as it stands, with the line ends it has, and in its layout."""
    from ogive.dsl.format import format_text
    from ogive.dsl.load import read_text
    from ogive.dsl.source import Source
    from ogive.sources import read_stdin

    if file == "-":
        source = Source("<stdin>", read_stdin())
        return source.text, format_text(source)
    source = Source(file, read_text(Path(file), file))
    return Path(file).read_bytes().decode("utf-8"), format_text(source)


def _change(file: str, old: str, new: str, check: bool, diff: bool) -> None:
    if diff:
        lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), file, file)
        sys.stdout.writelines(line if line.endswith("\n") else line + "\n" for line in lines)
    elif check:
        print(f"would change {file}")
    else:
        with write_whole(file) as draft:
            draft.write_bytes(new.encode())
            draft.chmod(Path(file).stat().st_mode & 0o7777)
        print(f"changed {file}")
