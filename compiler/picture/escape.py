"""What comes from a file, made safe for a DOT text: the one place where it is.

After it nothing of a name or caption is DOT, an HTML-like tag, an escape sequence or a control character any more.
"""

from __future__ import annotations

import html
import unicodedata
from typing import Final

import graphviz

__all__ = ["LONGEST", "escaped", "plain", "quoted", "wrapped"]

LONGEST: Final = 120


def escaped(text: str) -> str:
    """Text for an HTML-like label. Backslashes are no escapes there; `&` of an entity is written out."""
    return html.escape(plain(text), quote=True)


def quoted(text: str) -> str:
    """Text for a plain label or tooltip: no escape, and no HTML-like label."""
    return graphviz.escape(plain(text))


def plain(text: str) -> str:
    """One line of bounded length without control, bidirectional or unassigned characters."""
    kept = "".join(" " if c in "\n\t" else c for c in text if c in "\n\t" or unicodedata.category(c)[0] != "C")
    return kept if len(kept) <= LONGEST else kept[: LONGEST - 1] + "…"


def wrapped(text: str, width: int) -> list[str]:
    """Lines of about so many letters."""
    lines, line = [], ""
    for word in plain(text).split():
        if line and len(line) + len(word) >= width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, line]
