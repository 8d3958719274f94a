"""Looks: a colour per family, one font, a handful of lengths; a theme is one table of them.

`light` has tints of the palette of Okabe and Ito (2008); `colour-blind` has the palette itself, chosen so that the
families that stand beside each other stay apart under each of the three kinds of colour blindness; `print` is greys
alone, so that a copy without colours loses nothing. In each, every text has a contrast of 4.5 to 1 with what it stands
on (WCAG 2.1, level AA), and families are told apart by words too, never by colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ogive.dsl.diagnostics import fail, offer

__all__ = ["FAMILIES", "FONT", "LINES", "MOTIF", "SIZES", "THEMES", "Look", "Theme", "theme_of"]


@dataclass(frozen=True, slots=True)
class Look:
    """Fill, border and text of a box."""

    fill: str
    border: str
    text: str = "#1a1a1a"


@dataclass(frozen=True, slots=True)
class Theme:
    """A table of looks. `motif` goes from nothing seen to everything, in a thumbnail of a pattern."""

    name: str
    page: str
    text: str
    families: Mapping[str, Look]
    other: Look
    lines: Mapping[str, str]
    motif: tuple[str, ...]

    def look(self, family: str) -> Look:
        """How a family is drawn."""
        return self.families.get(family, self.other)


FONT: Final = "Helvetica,Arial,sans-serif"
"""One family for nodes, edges, frames and the title; wide enough text is measured where it is drawn."""

SIZES: Final = {"text": 10.0, "small": 8.0, "title": 11.0, "heading": 13.0, "symbol": 13.0}
"""Points."""

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

LINES: Final = {
    "flow": "#333333",
    "skip": "#333333",
    "tie": "#7a4a8a",
    "label": "#4d4d4d",
    "faint": "#595959",
    "frame": "#7d8894",
    "frame_fill": "#fcfcfd",
    "repeat": "#333d47",
    "stage": "#b3bac1",
    "stage_fill": "#ffffff",
    "leader": "#6b7681",
}

MOTIF: Final = ("#ffffff", "#ead0df", "#d5a1bf", "#b7689a", "#99336f")

LIGHT: Final = Theme("light", "#ffffff", "#000000", FAMILIES, Look("#f4f4f4", "#555555"), LINES, MOTIF)

INK: Final = "#000000"
PRINT: Final = Theme(
    "print", "#ffffff", INK,
    {
        "linear": Look("#dedede", INK, INK),
        "conv": Look("#c9c9c9", INK, INK),
        "norm": Look("#f0f0f0", INK, INK),
        "activation": Look("#ffffff", INK, INK),
        "attention": Look("#b4b4b4", INK, INK),
        "pool": Look("#d3d3d3", INK, INK),
        "layout": Look("#ffffff", "#5a5a5a", INK),
        "merge": Look("#ffffff", INK, INK),
        "embedding": Look("#e7e7e7", INK, INK),
        "regularise": Look("#ffffff", "#5a5a5a", INK),
        "data": Look("#f7f7f7", INK, INK),
        "block": Look("#f7f7f7", INK, INK),
        "port": Look("#ffffff", INK, INK),
    },
    Look("#f7f7f7", INK, INK),
    {
        "flow": INK, "skip": INK, "tie": "#333333", "label": "#222222", "faint": "#333333", "frame": "#666666",
        "frame_fill": "#ffffff", "repeat": INK, "stage": "#8c8c8c", "stage_fill": "#ffffff", "leader": "#444444",
    },
    ("#ffffff", "#cccccc", "#999999", "#5c5c5c", "#1f1f1f"),
)

PALE: Final = "#eceff3"
DARK: Final = Theme(
    "dark", "#14181d", "#f4f6f8",
    {
        "linear": Look("#1d3a55", "#6fb1ea", PALE),
        "conv": Look("#4a3310", "#e8ab4f", PALE),
        "norm": Look("#143f31", "#55c79b", PALE),
        "activation": Look("#3f3b0c", "#d9cc4a", PALE),
        "attention": Look("#4d2039", "#e58cc0", PALE),
        "pool": Look("#52260f", "#ef8d5c", PALE),
        "layout": Look("#2a2f36", "#939ca6", PALE),
        "merge": Look("#14181d", "#d5dae0", PALE),
        "embedding": Look("#143c50", "#66bfe8", PALE),
        "regularise": Look("#312c26", "#b5a594", PALE),
        "data": Look("#302750", "#a995e0", PALE),
        "block": Look("#222a33", "#9db0c2", PALE),
        "port": Look("#14181d", "#d5dae0", PALE),
    },
    Look("#2a2f36", "#939ca6", PALE),
    {
        "flow": "#d5dae0", "skip": "#d5dae0", "tie": "#cf9fe0", "label": "#c3cad2", "faint": "#b9c1ca",
        "frame": "#66727f", "frame_fill": "#191e24", "repeat": "#c3cad2", "stage": "#4b5561", "stage_fill": "#171b21",
        "leader": "#9aa6b2",
    },
    ("#14181d", "#47243a", "#7d3a63", "#b45b90", "#f09bcb"),
)

COLOUR_BLIND: Final = Theme(
    "colour-blind", "#ffffff", "#000000",
    {
        "linear": Look("#8cc4ee", "#004a80", INK),
        "conv": Look("#f2b134", "#5c3a00", INK),
        "norm": Look("#a8e6cf", "#00543c", INK),
        "activation": Look("#fff7b0", "#5e5600", INK),
        "attention": Look("#d58ab4", "#5c1440", INK),
        "pool": Look("#ec8f62", "#6b2400", INK),
        "layout": Look("#ededed", "#4d4d4d", INK),
        "merge": Look("#ffffff", INK, INK),
        "embedding": Look("#cfe9fb", "#0b5275", INK),
        "regularise": Look("#f8f4ef", "#5f564c", INK),
        "data": Look("#c9bdf0", "#34226b", INK),
        "block": Look("#f4f5f7", "#2f3841", INK),
        "port": Look("#ffffff", INK, INK),
    },
    Look("#f4f4f4", "#333333", INK),
    {**LINES, "faint": "#2e2e2e", "label": "#333333", "tie": "#5c1440"},
    ("#ffffff", "#e6c3d6", "#c78aae", "#96487a", "#5c1440"),
)

THEMES: Final = {theme.name: theme for theme in (LIGHT, DARK, PRINT, COLOUR_BLIND)}


def theme_of(name: str) -> Theme:
    """The theme of this name.

    Raises:
        ArchError: A803, there is none.
    """
    if name not in THEMES:
        raise fail("A803", f"there is no theme `{name}`", help=offer(name, tuple(THEMES), "the themes"))
    return THEMES[name]
