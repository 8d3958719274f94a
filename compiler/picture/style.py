"""One table of looks: a colour per family, one font, a handful of lengths. White ground, light fills, dark borders.

The fills are tints of the palette of Okabe and Ito (2008), which the colour-blind can tell apart; every border is dark
enough to part two boxes in a grey print. Families are told apart by words too, never by colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["FAMILIES", "FONT", "LINES", "MOTIF", "SIZES", "Look", "look"]


@dataclass(frozen=True, slots=True)
class Look:
    """Fill, border and text of a box."""

    fill: str
    border: str
    text: str = "#1a1a1a"


FONT: Final = "Helvetica,Arial,sans-serif"
"""One family for nodes, edges, frames and the title; wide enough text is measured where it is drawn."""

FAMILIES: Final[dict[str, Look]] = {
    "linear": Look("#d6e6f5", "#1f5f99"),
    "conv": Look("#fbe3c4", "#9a5b00"),
    "norm": Look("#d9f0e4", "#1b7352"),
    "activation": Look("#fbf6c9", "#857a00"),
    "attention": Look("#f6dbe9", "#99336f"),
    "pool": Look("#f8d9cc", "#a34100"),
    "layout": Look("#efefef", "#6b6b6b"),
    "merge": Look("#ffffff", "#333333"),
    "embedding": Look("#d9eefa", "#2b7ca8"),
    "regularise": Look("#f7f3ee", "#8a7f73"),
    "data": Look("#eae4f4", "#5d4a8a"),
    "block": Look("#f4f5f7", "#4a5560"),
    "port": Look("#ffffff", "#333333"),
}
OTHER: Final = Look("#f4f4f4", "#555555")

LINES: Final = {
    "flow": "#333333",
    "skip": "#333333",
    "tie": "#8a5a9a",
    "label": "#4d4d4d",
    "faint": "#6a6a6a",
    "frame": "#7d8894",
    "frame_fill": "#fcfcfd",
    "repeat": "#333d47",
    "stage": "#b3bac1",
}

MOTIF: Final = ("#ffffff", "#ead0df", "#d5a1bf", "#b7689a", "#99336f")
"""Of a thumbnail of a pattern: from nothing seen to everything, in the colour of attention."""

SIZES: Final = {"text": 10.0, "small": 8.0, "title": 11.0, "heading": 13.0, "symbol": 13.0}
"""Points."""


def look(family: str) -> Look:
    """How a family is drawn."""
    return FAMILIES.get(family, OTHER)
