"""Wrong programs with their words, one Markdown file each: what is wrong, what is said, and the repaired program.

A file is named after its code (`A203-heads.md`), and holds a title and three fenced blocks: wrong, ```text (the words),
repaired. Wrong and repaired are of one kind:

```arch       a file; `hold` is given what checks it
```python     a program that ends with an ArchError; the repaired one ends
```console    `$ ogive ...`, a command a line; the words are what stands on stderr

A block with the name of a file, ```arch other.arch, is written beside them, for what they import or read. These cases
are documentation too: docs/generate.py makes docs/errors.md and what `ogive explain-error` shows of them.

`hold` and `hold_run` compare; with OGIVE_UPDATE=1 in the environment they write the words into the middle block
instead, for a person to read.
"""

from __future__ import annotations

import os
import re
import runpy
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast

from typer.testing import CliRunner

from ogive.cli import app
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.source import Source

__all__ = ["FOLDERS", "ErrorCase", "Kind", "cases", "every_case", "hold", "hold_run", "run_console", "run_python"]

Kind: TypeAlias = Literal["arch", "python", "console"]
Said: TypeAlias = tuple[str, tuple[str, ...]]
"""The words of an error and its codes; no codes when nothing is wrong."""

FOLDERS: Final = tuple(Path(__file__).parent / name for name in ("dsl/errors", "dsl/semantics", "door/errors"))
FENCE: Final = re.compile(r"^```(\w+)(?: +(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE: Final = re.compile(r"^error\[(A\d{3})\]", re.MULTILINE)


@dataclass(frozen=True)
class ErrorCase:
    """One file: its title, the wrong text, the words, the repaired text, and files beside them."""

    path: Path
    title: str
    kind: Kind
    wrong: str
    words: str
    repaired: str
    beside: dict[str, str]

    @property
    def code(self) -> str:
        return self.path.stem.partition("-")[0]

    @staticmethod
    def read(path: Path) -> ErrorCase:
        text = path.read_text(encoding="utf-8")
        blocks = [match.groups() for match in FENCE.finditer(text)]
        beside = {name: body for _, name, body in blocks if name}
        own = [(kind, body) for kind, name, body in blocks if not name]
        kinds = [kind for kind, _ in own]
        if len(own) != 3 or kinds[1] != "text" or kinds[0] != kinds[2] or kinds[0] not in ("arch", "python", "console"):
            raise ValueError(f"{path.name}: a case has a wrong program, one block of words, and a repaired program")
        (kind, wrong), (_, words), (_, repaired) = own
        title = text.partition("\n")[0].removeprefix("# ").strip()
        return ErrorCase(path, title, cast(Kind, kind), wrong, words.rstrip("\n"), repaired, beside)

    def update(self, words: str) -> None:
        """Write `words` into the middle block."""
        whole = self.path.read_text(encoding="utf-8")
        match = next(m for m in FENCE.finditer(whole) if m[1] == "text" and not m[2])
        self.path.write_text(f"{whole[: match.start()]}```text\n{words}\n```{whole[match.end() :]}", encoding="utf-8")

    def write_beside(self) -> None:
        """The files beside the case, into the current folder."""
        for name, body in self.beside.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(body, encoding="utf-8")


def cases(folder: Path) -> list[ErrorCase]:
    """Every case of a folder, by name."""
    return [ErrorCase.read(path) for path in sorted(folder.glob("*.md"))]


def every_case() -> dict[str, list[ErrorCase]]:
    """The cases of all folders by their code, in order."""
    found: dict[str, list[ErrorCase]] = {}
    for case in sorted((case for folder in FOLDERS for case in cases(folder)), key=lambda case: case.path.name):
        found.setdefault(case.code, []).append(case)
    return found


def hold(case: ErrorCase, check: Callable[[Source], object]) -> None:
    """`check` refuses the wrong program in these words, with the code of the file's name, and takes the repaired one.

    `check` raises ArchError for a text that is wrong. It is given the text under the name `case.arch`.
    """

    def run(text: str) -> Said:
        try:
            check(Source("case.arch", text))
        except ArchError as error:
            return error.render(), error.codes
        return "", ()

    hold_run(case, run)


def hold_run(case: ErrorCase, run: Callable[[str], Said]) -> None:
    """`hold` for what is run: `run` tells what was said of a text."""
    words, codes = run(case.wrong)
    if os.environ.get("OGIVE_UPDATE"):
        case.update(words)
    else:
        assert words == case.words, f"{case.path.name} says something else; OGIVE_UPDATE=1 writes the new words"
    assert case.code in codes, f"{case.path.name} is named after {case.code}, but gives {', '.join(codes) or 'nothing'}"
    words, codes = run(case.repaired)
    assert not codes, f"{case.path.name}: the repaired program is wrong\n{words}"


def run_python(text: str) -> Said:
    """What a program of the current folder ends with."""
    Path("case.py").write_text(text, encoding="utf-8")
    try:
        runpy.run_path("case.py")
    except ArchError as error:
        return error.render(), error.codes
    finally:
        Path("case.py").unlink()
    return "", ()


def run_console(text: str) -> Said:
    """What commands say on stderr in the current folder."""
    said = ""
    for line in text.splitlines():
        program, *words = shlex.split(line.removeprefix("$ "))
        if program != "ogive":
            raise ValueError(f"a case runs `ogive`, not `{program}`")
        done = CliRunner().invoke(app, words)
        codes = CODE.findall(done.stderr)
        if bool(done.exit_code) != bool(codes):
            raise ValueError(f"`{line}` exits with {done.exit_code}: {done.output}")
        said += done.stderr if codes else ""
    return said.rstrip("\n"), tuple(CODE.findall(said))
