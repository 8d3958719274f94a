"""`ogive fmt`: files in their canonical layout, with their shapes and solved numbers written in where that is asked."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ogive.commands.failure import FINDINGS, exit_code, say, tell
from ogive.commands.options import Root
from ogive.commands.output import write_whole
from ogive.dsl.diagnostics import ArchError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ogive.dsl.load import Unit

__all__ = ["change", "fmt"]


def fmt(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Files and folders to rewrite, or - for stdin to stdout.")
    ],
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if a file would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; show what would change.")] = False,
    shapes: Annotated[
        bool, typer.Option("--shapes", help="Write the inferred shape behind each line that promises none.")
    ] = False,
    solve: Annotated[
        bool, typer.Option("--solve", help="Write the number that was found in place of each `?`.")
    ] = False,
    root: Root = None,
) -> int:
    """Put files into their canonical layout.

    What a file says is never changed, and one with a mistake in it is left alone.
    """
    from ogive.sources import check_root

    check_root(root)
    code, changed, same, left = 0, 0, 0, 0
    for file in _expanded(files):
        try:
            old, new = _formatted(file, shapes, solve, root)
            if file == "-" and not (check or diff):
                sys.stdout.write(new)
            elif old == new:
                same += 1
            else:
                changed += 1
                change(file, old, new, check, diff)
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


def _formatted(file: str, shapes: bool, solve: bool, root: str | None) -> tuple[str, str]:
    """The text as it stands, with the line ends it has, and in its layout."""
    from ogive.dsl.format import format_text
    from ogive.dsl.load import load_changed, load_file, load_text, read_text
    from ogive.dsl.source import Source
    from ogive.sources import read_stdin

    text = read_stdin() if file == "-" else read_text(Path(file), file)
    old = text if file == "-" else Path(file).read_bytes().decode("utf-8")
    name = "<stdin>" if file == "-" else file
    if solve or shapes:
        unit = load_text(text, name) if file == "-" else load_file(file, root)
        if solve:
            unit = load_changed(unit, _solved(unit), root)
        text = _shaped(unit, root) if shapes else unit.source.text
    return old, format_text(Source(name, text))


def _solved(unit: Unit) -> str:
    from ogive.dsl.fill import filled

    found = filled(unit)
    for span, number in found.written:
        tell(f"{span}: ? = {number}")
    for span, why in found.left:
        tell(f"{span}: the `?` stays: {why}")
    return found.text


def _shaped(unit: Unit, root: str | None) -> str:
    from ogive.dsl.shapes import shaped

    found = shaped(unit, root)
    for line, why in found.left:
        tell(f"{unit.source.name}:{line}: left as it is: {why}")
    return found.text


def change(file: str, old: str, new: str, check: bool, diff: bool) -> None:
    """Write the new text of a file, or show what would be other."""
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
