"""Where the parser stopped, and a row of the table of mistakes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ogive.dsl.source import Source

__all__ = ["Finder", "Found", "Mistake", "Place", "code_of"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the parser stopped: a token (`kind`, `text`) at offset `at`, where only `expected` could stand."""

    source: Source
    at: int
    kind: str
    text: str
    expected: frozenset[str]

    @property
    def start(self) -> int:
        """Offset of the line."""
        return self.source.text.rfind("\n", 0, self.at) + 1

    @property
    def end(self) -> int:
        """Offset behind the last character of the line that is neither a comment nor blank."""
        stop = self.source.text.find("\n", self.at)
        return self.start + len(code_of(self.source.text[self.start : stop if stop >= 0 else len(self.source.text)]))

    @property
    def line(self) -> str:
        """The line without its comment."""
        return self.source.text[self.start : self.end]

    @property
    def before(self) -> str:
        """What stands on the line before the place."""
        return self.source.text[self.start : min(self.at, max(self.end, self.start))]

    @property
    def rest(self) -> str:
        return self.source.text[self.at : self.end]

    @property
    def words(self) -> list[re.Match[str]]:
        return list(re.finditer(r"\w+", self.line))

    @property
    def first(self) -> str:
        """The word with which the line starts, if it starts with one."""
        found = re.match(r"\s*([A-Za-z_]\w*)", self.line)
        return found[1] if found else ""

    @property
    def early(self) -> bool:
        """Whether the parser stopped at the first or the second word of the line."""
        return len(re.findall(r"\w+", self.before)) <= 1

    def word(self, index: int) -> tuple[int, int]:
        found = self.words[index]
        return self.start + found.start(), self.start + found.end()

    @property
    def token(self) -> tuple[int, int]:
        """The offsets of what cannot stand here; the end of the line when that is it."""
        if self.kind in ("_NL", "_INDENT", "_DEDENT", "$END"):
            return self.end, self.end + 1
        return self.at, self.at + max(len(self.text), 1)


Found: TypeAlias = tuple[tuple[int, int], dict[str, str]]
Finder: TypeAlias = Callable[[Place], Found | None]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A row of the table. `title` and `help` are format strings over the words that `find` gives."""

    code: str
    title: str
    help: str
    find: Finder


def code_of(line: str) -> str:
    """A line without its comment and without blanks at its end."""
    kept = re.match(r'(?:"[^"\n]*"|[^#\n])*', line)
    return kept[0].rstrip() if kept else ""
