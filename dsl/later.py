"""What the language holds a place for and this version refuses by name."""

from __future__ import annotations

from typing import Final

from ogive.dsl.diagnostics import ArchError, fail
from ogive.dsl.source import Span

__all__ = ["LATER_OPS", "later"]

LATER_OPS: Final = {
}
"""Ops of the language that this version does not have, with what they belong to."""


def later(what: str, span: Span, help: str | None = None) -> ArchError:
    """The refusal of something the language has a place for."""
    return fail(
        "A901", f"{what}: in the language, not in this version", span,
        help=help or "docs/language.md lists what this version takes",
    )
