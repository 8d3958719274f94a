"""A text, a span in it, and how both are quoted."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property

__all__ = ["Source", "Span"]


@dataclass(frozen=True, eq=False)
class Source:
    """One `.arch` text and the name it is quoted under (a path as the user gave it, `<stdin>`, `<text>`)."""

    name: str
    text: str
    quoted: str | None = None
    """Of a setting from outside, which is no file: what is shown instead of `text`, `heads=5` of `      5`. Its name
    says where it comes from, and no line or column is told."""

    @cached_property
    def starts(self) -> list[int]:
        """Offset of the first character of each line."""
        return [0, *(i + 1 for i, c in enumerate(self.text) if c == "\n")]

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of `offset`, both counted from 1, columns in code points."""
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of line `number` (from 1) without its newline."""
        start = self.starts[number - 1]
        end = self.starts[number] - 1 if number < len(self.starts) else len(self.text)
        return (self.quoted or self.text)[start:end]

    def span(self, start: int, end: int) -> Span:
        return Span(self, start, end)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a source: offsets in code points, `end` excluded."""

    source: Source = field(repr=False)
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.place(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.place(self.start)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def first(self, length: int) -> Span:
        """Its first characters."""
        return Span(self.source, self.start, self.start + length)

    @property
    def visible(self) -> int:
        """The end, without the newline: a span of what is missing at the end of a line ends there."""
        text = self.source.text[self.start : self.end]
        return min(self.start + len(text.rstrip("\n")), len(self.source.text))

    @property
    def utf16(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Start and end as (line, column) from 0, columns in UTF-16 units: what editors count in."""
        return self._utf16(self.start), self._utf16(self.end)

    def _utf16(self, offset: int) -> tuple[int, int]:
        line, column = self.source.place(offset)
        before = self.source.line(line)[: column - 1]
        return line - 1, len(before.encode("utf-16-le", "surrogatepass")) // 2

    def to(self, other: Span) -> Span:
        """From the start of this span to the end of `other`."""
        return Span(self.source, self.start, max(self.end, other.end))

    def __str__(self) -> str:
        if self.source.quoted is not None:
            return self.source.name
        line, column = self.source.place(self.start)
        return f"{self.source.name}:{line}:{column}"
