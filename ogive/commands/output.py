"""What commands print: results on stdout, as text, tables or JSON; progress on stderr, on a terminal only."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ogive.commands.failure import coloured
from ogive.dsl.diagnostics import fail, printable

__all__ = ["Step", "as_json", "human", "memory_of", "progress", "result", "table", "time_of", "write_whole"]

LEAST = 24
"""Columns of a terminal that a text which is folded must have; else it is left out."""

Step: TypeAlias = Callable[..., None]
"""Called as `step("what", done, of)`."""

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


def memory_of(number: int) -> str:
    """Bytes to 3 digits, a kB being 1000 of them: `352 MB`."""
    return f"{human(number)}B" if number >= 1000 else f"{number} B"


def time_of(seconds: float) -> str:
    """A time to 3 digits: `1.25 ms`."""
    for unit, least in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= least:
            return f"{seconds / least:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = (), wrap: int | None = None,
    give: int | None = None,
) -> None:
    """Columns, `right` ones to the right. On a terminal rich draws them, folds column `wrap` to the width or leaves it
    out, and cuts column `give` short when the others need its room.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _rich(heads, rows, right, wrap, give)
        return
    widths = _widths(heads, rows)
    for line in [list(heads), *rows]:
        cells = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))]
        print("  ".join(cells).rstrip())


def _widths(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(heads, *rows, strict=True)]


def _rich(
    heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int], wrap: int | None, give: int | None
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(no_color=not coloured(sys.stdout), highlight=False)
    if wrap is not None:
        taken = sum(2 + width for i, width in enumerate(_widths(heads, rows)) if i != wrap)
        if console.width - taken < LEAST:  # no room for it
            heads = [head for i, head in enumerate(heads) if i != wrap]
            rows = [[cell for i, cell in enumerate(row) if i != wrap] for row in rows]
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    widths = _widths(heads, rows)
    if give is not None:
        widths[give] = max(LEAST, min(widths[give], console.width - sum(widths) - 3 * len(widths) + widths[give]))
    for i, head in enumerate(heads):
        width = None if i == wrap else widths[i]
        justify: Literal["left", "right"] = "right" if i in right else "left"
        drawn.add_column(head, justify=justify, no_wrap=i != wrap, overflow="ellipsis", width=width)
    for row in rows:
        drawn.add_row(*map(Text, row))
    console.print(drawn)


@contextlib.contextmanager
def progress(what: str, after: float = 0.0) -> Iterator[Step]:
    """A bar on stderr while something takes long, on a terminal only; the value yielded is called as
    `step("what", done, of)`. With `after`, the first step behind so many seconds shows it: short work shows none.
    """
    with contextlib.ExitStack() as stack:
        if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield lambda text, done=0, of=0: None
            return
        start = time.monotonic()
        shown: list[Step] = [] if after else [stack.enter_context(_bar(what))]

        def step(text: str, done: int = 0, of: int = 0) -> None:
            if not shown and time.monotonic() - start >= after:
                shown.append(stack.enter_context(_bar(what)))
            if shown:
                shown[0](text, done, of)

        yield step


@contextlib.contextmanager
def _bar(what: str) -> Iterator[Step]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, no_color=not coloured(sys.stderr))
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(printable(what), total=None)
        yield lambda text, done=0, of=0: bar.update(
            task, description=printable(text), completed=done, total=of or None
        )


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
        with draft.open("rb") as file:
            os.fsync(file.fileno())  # else a crash could leave the new name without its bytes
        if special:  # a device or a pipe is written to, not replaced
            target.write_bytes(draft.read_bytes())
        else:
            draft.replace(target)
    except OSError as error:
        raise fail("A804", f"cannot write `{path}`: {(error.strerror or str(error)).lower()}") from None
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
