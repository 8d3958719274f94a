"""The lines of the text: indentation, blank lines, comments, and what stands in the margin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from ogive.dsl.format_words import CLOSERS, OPENERS, STEP, Statement

__all__ = ["lines_of", "margins"]

MARGIN = (60, 80)   # where the first and the second thing of a margin start
REACH = 20          # how far a margin moves to the right for a long line


def lines_of(statements: list[Statement]) -> Iterator[list[str]]:
    """The lines of the text, each as what stands in it and what stands in its margin."""
    previous: Statement | None = None
    for statement in statements:
        yield from ([line] for line in _above(statement, previous))
        yield from _rows(statement) if statement.words[0].text else ()
        previous = statement


def _above(statement: Statement, previous: Statement | None) -> list[str]:
    """The comment lines before a statement, indented, with the blank lines that belong there."""
    level = max(statement.level, previous.level) if previous else 0
    above = statement.words[0].above
    lines: list[str] = []
    top = -1  # where the first line of the top level is
    for text, column in above:
        while text and previous and level > statement.level and column < previous.columns[level]:
            level -= 1
        if text and level == 0 and top < 0:
            top = len(lines)
        if text or (lines and lines[-1]) or (not lines and previous and not previous.body):
            lines.append(" " * (STEP * level) + text if text else "")
    ended = statement.words[0].text == ""
    if ended and lines and not lines[-1]:
        del lines[-1]
    if previous and statement.level == 0 and (previous.level or statement.body) and not (ended and top < 0):
        top = len(lines) if top < 0 else top
        if "" not in lines[max(top - 1, 0) : top] and "" not in lines[top : top + (top == len(lines))]:
            lines.insert(top, "")
    return lines


def _rows(statement: Statement) -> Iterator[list[str]]:
    """The lines of one statement."""
    indent = STEP * statement.level
    start = indent                     # where the current line starts
    stands: list[tuple[int, int]] = []  # for each open bracket: where a line goes on, where a closing bracket goes
    pieces = [" " * indent]
    for i, word in enumerate(statement.words):
        if i and word.breaks:
            yield pieces
            yield from ([" " * stands[-1][0] + text] for text in _collapsed(word.above))
            start = stands[-1][word.type in CLOSERS]
            pieces = [" " * start + word.text]
        elif word.role == "margin":
            pieces.append(word.text)
        else:
            pieces[-1] += " " * (word.gap if i else 0) + word.text
        if word.type in OPENERS:
            hangs = i + 1 < len(statement.words) and statement.words[i + 1].breaks
            deeper = 2 * STEP if statement.body else STEP
            stands.append((start + deeper, start) if hangs else (len(pieces[-1]), len(pieces[-1]) - 1))
        elif word.type in CLOSERS:
            stands.pop()
        if word.after:
            pieces.append(word.after)
    yield pieces


def _collapsed(above: list[tuple[str, int]]) -> Iterator[str]:
    for text, group in groupby(text for text, _ in above):
        yield from [text] * len(list(group)) if text else [""]


def margins(lines: Iterable[list[str]]) -> Iterator[str]:
    """Each line with its margin where it goes."""
    for _, group in groupby(lines, key=lambda pieces: pieces[1][0] if len(pieces) > 1 else ""):
        part = list(group)
        _meet([pieces for pieces in part if len(pieces) > 1], MARGIN[0])
        _meet([pieces for pieces in part if len(pieces) > 1], MARGIN[1])
        yield from ("  ".join(pieces).rstrip() for pieces in part)


def _meet(part: list[list[str]], stop: int) -> None:
    """Join the first two pieces of neighbouring lines at one column: at `stop`, or as little behind it as fits."""
    ends = [len(pieces[0]) + 2 for pieces in part]
    column = max([stop, *(-(-end // STEP) * STEP for end in ends if end <= stop + REACH)])
    for pieces, end in zip(part, ends, strict=True):
        pieces[:2] = [pieces[0].ljust(max(column, end)) + pieces[1]]
