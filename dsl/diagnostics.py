"""The one shape of error. Everything a user can get wrong becomes a `Diagnostic`; `ArchError` carries one or more."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from typing import Any, Final, Literal

from ogive.dsl.source import Span

__all__ = ["ArchError", "Diagnostic", "Label", "fail", "nearest", "offer", "printable", "slip"]

Severity = Literal["error", "warning", "note"]
MANY: Final = 400  # names that a word is compared to


@dataclass(frozen=True, slots=True)
class Label:
    """A second place that belongs to the same mistake, with what is true there."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake: where, what is true there, and what would help.

    `code` is stable (`A203`), `title` one sentence, `label` the words at the carets, `notes` the facts around it
    (shapes, preset, call path), `help` what to type instead.
    """

    code: str
    title: str
    span: Span | None = None
    label: str = ""
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str | None = None
    severity: Severity = "error"

    @property
    def order(self) -> tuple[str, int, str, str]:
        if self.span is None:
            return ("", -1, self.code, self.title)
        return (self.span.source.name, self.span.start, self.code, self.title)

    def render(self) -> str:
        """The diagnostic as text: title, place, source with carets, notes, help."""
        out = [f"{self.severity}[{self.code}]: {printable(self.title)}"]
        places = [Label(self.span, self.label)] if self.span else []
        places += self.labels
        width = max((len(str(p.span.line)) for p in places), default=1)
        name = None
        for place in places:
            if place.span.source is not name:
                head = "-->" if name is None else ":::"
                out.append(f"{' ' * width}{head} {place.span}")
                out.append(f"{' ' * width} |")
                name = place.span.source
            out += _quote(place, width)
        pad = " " * width
        if places and (self.notes or self.help):
            out.append(f"{pad} |")
        out += [f"{pad} = {printable(note)}" for note in self.notes]
        if self.help:
            out.append(f"{pad} = help: {printable(self.help)}")
        return "\n".join(out)

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "title": self.title,
            "span": _span_json(self.span),
            "label": self.label,
            "labels": [{"span": _span_json(x.span), "text": x.text} for x in self.labels],
            "notes": list(self.notes),
            "help": self.help,
        }


@dataclass(eq=False)
class ArchError(Exception):
    """The only way for this package to fail on what a user wrote or gave it."""

    diagnostics: tuple[Diagnostic, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        self.diagnostics = tuple(sorted(self.diagnostics, key=lambda d: d.order))
        super().__init__(self.render())

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(d.code for d in self.diagnostics)

    def render(self) -> str:
        return "\n\n".join(d.render() for d in self.diagnostics)

    def __str__(self) -> str:
        return self.render()

    def __reduce__(self) -> tuple[Any, ...]:
        return ArchError, (self.diagnostics,)


def fail(
    code: str,
    title: str,
    span: Span | None = None,
    *,
    label: str = "",
    labels: Iterable[Label] = (),
    notes: Iterable[str] = (),
    help: str | None = None,
) -> ArchError:
    """An `ArchError` of one diagnostic, to be raised by the caller."""
    return ArchError((Diagnostic(code, title, span, label, tuple(labels), tuple(notes), help),))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` is most likely a typo of, or None."""
    return _nearest(word, frozenset(known))


@lru_cache(64)  # one mistake may be met in each of thousands of iterations
def _nearest(word: str, known: frozenset[str]) -> str | None:
    names = sorted(known)
    lowered = {name.lower(): name for name in names}
    if word.lower() in lowered:
        return lowered[word.lower()]
    if len(lowered) > MANY:  # comparing takes its time: only names that begin alike and are about as long
        alike = (x for x in lowered if x[:1] == word[:1].lower() and abs(len(x) - len(word)) <= 2)
        lowered = {x: lowered[x] for x in islice(alike, MANY)}
    found = get_close_matches(word.lower(), lowered, n=4, cutoff=0.7 if len(word) > 3 else 0.6)
    slips = (name for name in found if slip(word.lower(), name))
    return lowered[next(slips, found[0])] if found else None


def slip(a: str, b: str) -> bool:
    """Whether two words differ by one letter: another, one more, one less, or two that have changed places."""
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    a, b = a[start:], b[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def offer(word: str, known: Iterable[str], what: str = "") -> str:
    """A help line: the near miss when there is one, else what there is to choose from, in the order it is given."""
    names = sorted(known) if isinstance(known, set | frozenset) else list(dict.fromkeys(known))
    near = nearest(word, names)
    if near is not None:
        return f"did you mean `{near}`?"
    if not names:
        return f"there is no {what or 'name'} to choose from"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"{what + ': ' if what else 'known here: '}{shown}"


def printable(text: str) -> str:
    """`text` without control characters, bidirectional ones included: a file must not steer the reader's terminal."""
    return "".join(c if c == "\n" or c.isprintable() or c == " " else f"\\u{ord(c):04x}" for c in text)


def _quote(place: Label, width: int) -> list[str]:
    span = place.span
    number, column = span.source.place(span.start)
    raw = span.source.line(number)
    line = printable(raw.replace("\t", " "))
    before = printable(raw.replace("\t", " ")[: column - 1])
    end = min(span.end, span.source.starts[number - 1] + len(raw))
    body = printable(raw.replace("\t", " ")[column - 1 : column - 1 + max(end - span.start, 0)])
    if len(line) > 200:  # a very long line: show the part around the carets
        cut = max(0, len(before) - 80)
        line, before, body = "..." + line[cut : cut + 160], "..." + before[cut:], body[:80]
    carets = " " * _columns(before) + "^" * max(_columns(body), 1)
    margin = f"{'' if span.source.quoted else number:>{width}}"
    text = f" {printable(place.text)}" if place.text else ""
    return [f"{margin} | {line.rstrip()}", f"{' ' * width} | {carets}{text}"]


def _columns(text: str) -> int:
    """Terminal columns that `text` takes: wide East Asian characters take two, combining ones none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _span_json(span: Span | None) -> dict[str, Any] | None:
    if span is None:
        return None
    line, column = span.source.place(span.start)
    end_line, end_column = span.source.place(span.visible)
    return {"file": span.source.name, "line": line, "column": column, "end_line": end_line, "end_column": end_column}
