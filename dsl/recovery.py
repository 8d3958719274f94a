"""Going on after a mistake of syntax: the other mistakes of a text that does not parse.

Each definition is read by itself. After a mistake its line is replaced by one that parses, and the definition is read
again, until `limits.REREAD` characters were read so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, TypeAlias

from ogive.dsl import limits
from ogive.dsl.diagnostics import ArchError, Diagnostic
from ogive.dsl.layout import TAB, never_closed, unclosed
from ogive.dsl.source import Source, Span

__all__ = ["syntax_errors"]

TRIES: Final = 10  # mended lines of one definition
FOLLOWS: Final = {"A006", "A012", "A021"}  # what a mended line may cause below it

Read: TypeAlias = Callable[[Source, str], object]


def syntax_errors(source: Source, read: Read, known: Diagnostic | None = None) -> list[Diagnostic]:
    """Every mistake of a text that does not parse: each definition by itself, going on below each mistake.

    `read(text, "start")` raises ArchError where a text does not parse. `known` is the first mistake, where the grammar
    met it: what stands above need not be read again.
    """
    found: list[Diagnostic] = []
    last = ""
    budget = _Budget()
    definitions = list(_definitions(source.text))
    if len(definitions) > 1 and known is not None and known.span is not None:
        line = known.span.line - 1
        near = max((i for i, (first, _) in enumerate(definitions) if first <= line), default=0)
        definitions = definitions[max(near - 1, 0) :]  # the mistake may be that the definition above does not end
        known = None
    for first, text in definitions:
        errors = list(_errors(source, first, text, read, budget, known))
        code = errors[0].code if errors else ""
        if not (code == last == "A022"):  # a run of stray lines is one mistake
            found += errors
        if len(found) >= limits.DIAGNOSTICS:
            break
        last = code
    return found[: limits.DIAGNOSTICS]


class _Budget:
    """Definitions are read once whatever they cost; what may be read again is counted for the whole file."""

    def __init__(self) -> None:
        self.left = limits.REREAD

    def again(self, lines: list[str]) -> bool:
        self.left -= sum(map(len, lines))
        return self.left >= 0


def _definitions(text: str) -> Iterator[tuple[int, str]]:
    """The definitions of a text, each with the number of the line (from 0) it starts on."""
    lines = text.split("\n")
    starts = [n for n, line in enumerate(lines) if n == 0 or re.match(r"[A-Za-z_]", line)]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield start, "\n".join(lines[start:end])


def _errors(
    source: Source, first: int, text: str, read: Read, budget: _Budget, known: Diagnostic | None
) -> Iterator[Diagnostic]:
    """The mistakes of one definition: after each, the line is replaced by one that parses."""
    lines = text.split("\n")
    seen: set[str] = set()
    for _ in range(TRIES):
        part = Source(source.name, "\n".join(lines))
        if known is not None:
            mistake, known = known, None
        else:
            try:
                read(part, "start")
                return
            except ArchError as error:
                mistake = error.diagnostics[0]
        if mistake.code != "A013" and mistake.span and (bracket := never_closed(part, mistake.span.start)):
            mistake = unclosed(bracket).diagnostics[0]  # what cannot stand in the brackets was not meant to
        follows = (bool(seen) and mistake.code in FOLLOWS) or ("A024" in seen and mistake.code in ("A013", "A022"))
        if not follows:
            yield _moved(mistake, source, first)
        seen.add(mistake.code)
        if not _mend(lines, mistake) or not budget.again(lines):
            return


def _moved(mistake: Diagnostic, source: Source, first: int) -> Diagnostic:
    """The diagnostic about a definition, said about the file it stands in."""
    def move(span: Span) -> Span:
        (line, column), length = span.source.place(span.start), span.end - span.start
        start = source.starts[first + line - 1] + column - 1
        return source.span(start, start + length)

    labels = tuple(replace(label, span=move(label.span)) for label in mistake.labels)
    return replace(mistake, span=mistake.span and move(mistake.span), labels=labels)


def _mend(lines: list[str], mistake: Diagnostic) -> bool:
    """Replace the line of a mistake so that what stands below can be read; False when there is no use in going on."""
    if mistake.span is None or mistake.code == "A011":
        return False
    at = mistake.span.line - 1
    if mistake.code == "A007":
        at = max((n for n in range(at) if _written(lines[n])), default=at)
    line, indent = lines[at], _depth(lines[at])
    end = at + 1
    while end < len(lines) and (not _written(lines[end]) or _depth(lines[end]) > indent):
        end += 1
    word = re.match(r"\s*(\w*)", line)
    if indent == 0 and (mistake.code in ("A007", "A010", "A022") or at + 1 == end):
        return False
    if not any(map(_written, lines[at + 1 : end])):
        lines[at] = ""
    elif mistake.code == "A012" or (word and word[1] in ("presets", "expect", "pattern" if indent else "weights")):
        lines[at:end] = [""] * (end - at)
    elif indent and lines[0].startswith("weights"):
        lines[at:end] = [" " * indent + 'skip "a"', *[""] * (end - at - 1)]
    else:
        headers = {"if": "if a:", "elif": "elif a:", "else": "else:"} if indent else {"pattern": "pattern a:"}
        lines[at] = " " * indent + headers.get(word[1] if word else "", "a:" if indent else "block A:")
    return True


def _written(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _depth(line: str) -> int:
    blank = line[: len(line) - len(line.lstrip())]
    return blank.count(" ") + TAB * blank.count("\t")
