"""The table of mistakes, and how a place where the parser stopped becomes a diagnostic."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ogive.dsl.diagnostics import Diagnostic, Label
from ogive.dsl.mistakes import characters, headers, lines, names, python
from ogive.dsl.mistakes.place import Mistake, Place
from ogive.dsl.mistakes.words import OPERATORS, STATEMENTS, VALUES, WORDS
from ogive.dsl.source import Source

__all__ = ["MISTAKES", "explain"]

MISTAKES: Final[tuple[Mistake, ...]] = (
    *characters.ROWS, *python.ROWS, *names.ROWS, *headers.ROWS, *lines.ROWS,
)


def explain(source: Source, at: int, kind: str, text: str, expected: Iterable[str]) -> Diagnostic:
    """The diagnostic for a token (`kind`, `text`) at offset `at` where only `expected` could stand."""
    place = Place(source, at, kind, text.strip(), frozenset(expected))
    for mistake in MISTAKES:
        found = mistake.find(place)
        if found is not None:
            (start, end), words = found
            title, help = mistake.title.format(**words), mistake.help.format(**words)
            labels: tuple[Label, ...] = ()
            if "above" in words:  # where the parser stopped: at the end of that line
                begin = place.end - len(place.line.lstrip())
                labels = (Label(source.span(begin, place.end), "the line above it"),)
            return Diagnostic(mistake.code, title, source.span(start, end), labels=labels, help=help or None)
    shown = f"`{place.text}`" if place.text else WORDS.get(kind, "this")
    start, end = place.token
    hint = _unopened(place) or _choices(place.expected)
    return Diagnostic("A001", f"{shown} cannot stand here", source.span(start, end), help=hint)


def _unopened(place: Place) -> str | None:
    """A bracket that the line closes and nothing opens."""
    above, line = (re.sub(r'"[^"\n]*"|#[^\n]*', "", x) for x in (place.source.text[: place.start], place.line))
    for left, right in ("()", "[]"):
        if above.count(left) == above.count(right) and line.count(left) < line.count(right):
            return f"a `{left}` is missing on this line: a `{right}` closes what nothing opens"
    return None


def _choices(expected: frozenset[str]) -> str | None:
    """What could stand there, in words, the likely first."""
    left = set(expected)
    words: list[str] = []
    if {"NAME", "INT", "LPAR"} <= left:
        words.append("a value")
        left -= VALUES
    if {"PLUS", "STAR"} <= left:
        left -= OPERATORS | {"DOT", "LBRACE", "LPAR", "LSQB"}
        words.append("an operator")
    if left >= {"INPUT", "RETURN"}:
        left -= {word.upper() for word in STATEMENTS} | {"BULLET", "_DEDENT"}
        words.insert(0, "a statement")
    words += sorted({WORDS[name] for name in left if name in WORDS}, key=lambda word: (word[0] != "`", word))
    return f"what can stand here: {', '.join(words[:8])}" if words else None
