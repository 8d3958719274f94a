"""What commands print: results on stdout, as text, tables or JSON; progress on stderr, on a terminal only."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ogive.commands.failure import coloured
from ogive.dsl.diagnostics import fail, printable

__all__ = ["as_json", "human", "progress", "result", "table", "write_whole"]

UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


def result(text: str) -> None:
    """A line of the result."""
    print(printable(text))


def as_json(value: Any) -> None:
    """The result as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def human(number: int, digits: int = 3) -> str:
    """A figure to `digits` digits: `86.6 M`, `17.6 G`; small ones whole."""
    for size, unit in UNITS:
        if number >= size:
            value = number / size
            places = max(0, digits - len(str(int(value))))
            return f"{value:.{places}f} {unit}"
    return str(number)


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = (), wrap: int | None = None
) -> None:
    """Columns, `right` ones to the right. On a terminal rich draws them and folds column `wrap` to the width."""
    rows = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _rich(heads, rows, right, wrap)
        return
    widths = [max(len(head), *(len(row[i]) for row in rows)) if rows else len(head) for i, head in enumerate(heads)]
    for line in [list(heads), *rows]:
        cells = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))]
        print("  ".join(cells).rstrip())


def _rich(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int], wrap: int | None) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for i, head in enumerate(heads):
        drawn.add_column(head, justify="right" if i in right else "left", no_wrap=i != wrap, overflow="ellipsis")
    for row in rows:
        drawn.add_row(*map(Text, row))
    Console(no_color=not coloured(sys.stdout), highlight=False).print(drawn)


@contextlib.contextmanager
def progress(what: str) -> Iterator[Any]:
    """A bar on stderr while something takes long; the value yielded is called as `step("what", done, of)`."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda text, done=0, of=0: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, no_color=not coloured(sys.stderr))
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def step(text: str, done: int = 0, of: int = 0) -> None:
            bar.update(task, description=text, completed=done, total=of or None)

        yield step


@contextlib.contextmanager
def write_whole(path: str) -> Iterator[Path]:
    """A place to write to; it becomes `path` when all went well, and otherwise nothing is left behind.

    Raises:
        ArchError: A804 the folder does not exist, or it cannot be written there.
    """
    target = Path(path).resolve()
    if target.is_dir():
        raise fail("A804", f"cannot write `{path}`: it is a folder", help="name a file in it")
    if not target.parent.is_dir():
        raise fail("A804", f"cannot write `{path}`: there is no such folder", help=f"make `{Path(path).parent}` first")
    special = target.exists() and not target.is_file()
    if target.exists() and not os.access(target, os.W_OK):
        raise fail("A804", f"cannot write `{path}`: it is protected")
    folder = None
    try:
        folder = tempfile.mkdtemp(prefix=".ogive-", dir=None if special else target.parent)
        draft = Path(folder, target.name)
        yield draft
        if special:  # a device or a pipe is written to, not replaced
            target.write_bytes(draft.read_bytes())
        else:
            draft.replace(target)
    except OSError as error:
        raise fail("A804", f"cannot write `{path}`: {(error.strerror or str(error)).lower()}") from None
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
