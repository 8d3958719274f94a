"""Wrong programs with their words, one Markdown file each: what is wrong, what is said, and the repaired program.

A file holds a title and three fenced blocks: ```arch (wrong), ```text (the rendered error), ```arch (repaired). Blocks
with the name of a file, ```arch other.arch, may stand beside them for what they import; they come as `case.beside`.
`hold` compares; with OGIVE_UPDATE=1 in the environment it writes the words into the middle block instead, for a person
to read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ogive.dsl.diagnostics import ArchError
from ogive.dsl.source import Source

__all__ = ["ErrorCase", "cases", "hold"]

FENCE = re.compile(r"^```(arch|text)(?: +(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class ErrorCase:
    """One file: its code (from its name), the wrong text, the words, the repaired text, and files beside them."""

    path: Path
    wrong: str
    words: str
    repaired: str
    beside: dict[str, str]

    @property
    def code(self) -> str:
        return self.path.stem.partition("-")[0]

    @staticmethod
    def read(path: Path) -> ErrorCase:
        blocks = [match.groups() for match in FENCE.finditer(path.read_text(encoding="utf-8"))]
        beside = {name: body for kind, name, body in blocks if kind == "arch" and name}
        arch = [body for kind, name, body in blocks if kind == "arch" and not name]
        text = [body for kind, name, body in blocks if kind == "text"]
        if len(arch) != 2 or len(text) != 1:
            raise ValueError(f"{path.name}: a case has a wrong program, one block of words, and a repaired program")
        return ErrorCase(path, arch[0], text[0].rstrip("\n"), arch[1], beside)

    def update(self, words: str) -> None:
        """Write `words` into the middle block."""
        whole = self.path.read_text(encoding="utf-8")
        match = next(m for m in FENCE.finditer(whole) if m[1] == "text")
        self.path.write_text(f"{whole[: match.start()]}```text\n{words}\n```{whole[match.end() :]}", encoding="utf-8")


def cases(folder: Path) -> list[ErrorCase]:
    """Every case of a folder, by name."""
    return [ErrorCase.read(path) for path in sorted(folder.glob("*.md"))]


def hold(case: ErrorCase, check: Callable[[Source], object]) -> None:
    """`check` refuses the wrong program in these words, with the code of the file's name, and takes the repaired one.

    `check` raises ArchError for a text that is wrong. It is given the text under the name `case.arch`.
    """
    words, codes = _said(check, case.wrong)
    if os.environ.get("OGIVE_UPDATE"):
        case.update(words)
    else:
        assert words == case.words, f"{case.path.name} says something else; OGIVE_UPDATE=1 writes the new words"
    assert case.code in codes, f"{case.path.name} is named after {case.code}, but gives {', '.join(codes) or 'nothing'}"
    check(Source("case.arch", case.repaired))


def _said(check: Callable[[Source], object], text: str) -> tuple[str, Iterable[str]]:
    try:
        check(Source("case.arch", text))
    except ArchError as error:
        return error.render(), error.codes
    return "", ()
