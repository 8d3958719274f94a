"""Wrong programs, said in the words of the language: what stands where it cannot, and what could."""

from __future__ import annotations

from ogive.dsl.diagnostics import Diagnostic
from ogive.dsl.source import Source

__all__ = ["explain"]


def explain(source: Source, at: int, kind: str, text: str, expected: set[str]) -> Diagnostic:
    """The diagnostic for a token (`kind`, `text`) at offset `at` where only `expected` could stand."""
    shown = text.strip() or "the end of the line"
    span = source.span(at, at + max(len(text.strip()), 1))
    return Diagnostic("A001", f"`{shown}` cannot stand here", span)
