"""What a picture of a pattern is drawn with, before anything knows of SVG or DOT: cells, areas, lines and words.

Lengths are points, y grows downwards. Immutable, as the model of network drawings is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Area", "Cells", "Mark", "Page", "Rect", "Words", "rectangles", "runs", "width_of"]

Rect: TypeAlias = tuple[int, int, int, int]
"""Column, row, columns and rows of a rectangle of cells."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Squares of one colour on a raster whose top left corner stands at (x, y), as rectangles of whole cells.

    `what` says what they are: "pairs" of a matrix, "keys" on a grid, "unseen" ones, "tokens" outside the grid.
    """

    what: str
    x: float
    y: float
    side: float
    rects: tuple[Rect, ...]
    fill: str

    @property
    def count(self) -> int:
        """How many cells they are."""
        return sum(w * h for _, _, w, h in self.rects)


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle: filled, outlined, or both; without height or width it is a line."""

    x: float
    y: float
    width: float
    height: float
    fill: str = ""
    stroke: str = ""
    line: float = 0.6


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text; y is its base line."""

    x: float
    y: float
    text: str
    size: float
    anchor: Literal["start", "middle", "end"] = "start"
    bold: bool = False
    color: str = "#1a1a1a"


Mark: TypeAlias = Cells | Area | Words


@dataclass(frozen=True, slots=True)
class Page:
    """A finished picture: what is drawn, back to front. `title` and `about` are read to those who do not see it."""

    title: str
    about: str
    width: float
    height: float
    marks: tuple[Mark, ...]


def runs(row: int) -> list[tuple[int, int]]:
    """The runs of set bits of a row, as (first, length)."""
    found = []
    while row:
        first = (row & -row).bit_length() - 1
        rest = ~(row >> first)
        length = (rest & -rest).bit_length() - 1
        found.append((first, length))
        row = row >> (first + length) << (first + length)
    return found


def rectangles(rows: Iterable[int]) -> tuple[Rect, ...]:
    """The set cells of rows of bits, as rectangles that do not overlap: equal runs below each other are one."""
    found: list[Rect] = []
    open_: dict[tuple[int, int], int] = {}
    number = -1
    for number, row in enumerate(rows):
        here = set(runs(row))
        for run in [r for r in open_ if r not in here]:
            start = open_.pop(run)
            found.append((run[0], start, run[1], number - start))
        for run in here:
            open_.setdefault(run, number)
    found += [(first, start, length, number + 1 - start) for (first, length), start in open_.items()]
    return tuple(sorted(found, key=lambda r: (r[1], r[0])))


def width_of(text: str, size: float, bold: bool = False) -> float:
    """About how wide a text is, in Helvetica."""
    each = 0.58 if bold else 0.53
    return size * sum(1.0 if unicodedata.east_asian_width(c) in "WF" else each for c in text)
