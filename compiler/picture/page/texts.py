"""The texts that stand beside the picture, and places in them."""

from __future__ import annotations

from typing import Any

from ogive.dsl.diagnostics import ArchError, Diagnostic
from ogive.dsl.source import Source, Span

__all__ = ["Texts", "mistakes_of"]


class Texts:
    """Texts in the order they were first asked about.

    A place is [file, line, column, last line, end column], from 0, columns in UTF-16 units.
    """

    def __init__(self) -> None:
        self._numbers: dict[Source, int] = {}

    def place(self, span: Span) -> list[int]:
        """A span as a place; its text joins the others."""
        (line, column), (last, end) = span.first(max(len(span.text.rstrip()), 1)).utf16
        return [self.file(span.source), line, column, last, end]

    def file(self, source: Source) -> int:
        """The number of a text."""
        return self._numbers.setdefault(source, len(self._numbers))

    def as_json(self) -> list[dict[str, str]]:
        return [{"name": source.name, "text": source.text} for source in self._numbers]


def mistakes_of(error: ArchError) -> dict[str, Any]:
    """What is wrong, for the page: mistakes with their places, and the texts that they are in."""
    texts = Texts()
    return {"errors": [_mistake(one, texts) for one in error.diagnostics], "files": texts.as_json()}


def _mistake(one: Diagnostic, texts: Texts) -> dict[str, Any]:
    inside = one.span is not None and one.span.source.quoted is None
    return {
        "code": one.code, "title": one.title, "label": one.label, "notes": list(one.notes), "help": one.help or "",
        "place": texts.place(one.span) if one.span is not None and inside else None,
        "labels": [{"line": str(label.span), "text": label.text} for label in one.labels],
    }
