"""Themes: every text can be read on what it stands on, greys survive a copy, colours survive colour blindness."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest

from ogive.compiler.picture.style import FAMILIES, LINES, MOTIF, THEMES, Theme
from ogive.dsl.ops import RECORDS

THEME = pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)
MAIN = ("linear", "conv", "norm", "activation", "attention", "pool")
"""The families that stand beside each other in most pictures."""

# What a reader without one kind of cones sees of linear red, green and blue (Machado et al. 2009, severity 1).
BLIND = {
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def linear(color: str) -> tuple[float, float, float]:
    assert len(color) == 7 and color[0] == "#"
    r, g, b = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return lift(r), lift(g), lift(b)


def lift(c: float) -> float:
    return c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4


def luminance(color: str) -> float:
    r, g, b = linear(color)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    """As WCAG 2.1 defines it."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: tuple[float, float, float]) -> tuple[float, float, float]:
    r, g, b = (min(max(c, 0.0), 1.0) for c in rgb)
    x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089
    fx, fy, fz = (c ** (1 / 3) if c > 0.008856 else 7.787 * c + 16 / 116 for c in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def seen(color: str, kind: str) -> tuple[float, float, float]:
    rgb = linear(color)
    r, g, b = (sum(m * c for m, c in zip(row, rgb, strict=True)) for row in BLIND[kind])
    return lab((r, g, b))


@THEME
def test_every_text_can_be_read(theme: Theme) -> None:
    for name, box in theme.families.items():
        for color in (box.text, theme.lines["faint"]):
            assert contrast(color, box.fill) >= 4.5, (name, color)
    for ground in (theme.page, theme.lines["frame_fill"], theme.lines["stage_fill"]):
        for color in (theme.text, theme.lines["faint"], theme.lines["label"], theme.lines["tie"]):
            assert contrast(color, ground) >= 4.5, (ground, color)
    assert contrast(theme.other.text, theme.other.fill) >= 4.5


@THEME
def test_lines_can_be_seen(theme: Theme) -> None:
    """3 to 1, as WCAG 2.1 asks of what is no text; the rims of stages only accompany their titles."""
    for kind in ("flow", "skip", "repeat", "frame", "leader"):
        assert contrast(theme.lines[kind], theme.page) >= 3, kind
    for name, box in theme.families.items():
        assert contrast(box.border, theme.page) >= 3, name


@THEME
def test_a_thumbnail_goes_from_nothing_to_everything(theme: Theme) -> None:
    steps = [contrast(color, theme.motif[0]) for color in theme.motif]
    assert steps == sorted(steps) and steps[-1] > 4.5
    assert all(b / a > 1.2 for a, b in pairwise(steps))


@THEME
def test_every_family_and_line_has_a_look(theme: Theme) -> None:
    assert set(theme.families) == set(FAMILIES) >= {record.family for record in RECORDS.values()}
    assert set(theme.lines) == set(LINES)
    assert len(theme.motif) == len(MOTIF)


def test_print_is_grey() -> None:
    theme = THEMES["print"]
    colors = [c for box in theme.families.values() for c in (box.fill, box.border, box.text)]
    for color in (*colors, *theme.lines.values(), *theme.motif, theme.page, theme.text):
        assert color[1:3] == color[3:5] == color[5:7], color
    fills = [100 * luminance(theme.families[name].fill) for name in MAIN]
    assert all(abs(a - b) > 4 for a, b in combinations(fills, 2))


@pytest.mark.parametrize("kind", BLIND)
def test_the_colour_blind_tell_families_apart(kind: str) -> None:
    """At least 10 in CIELAB (Delta E 1976): some four times what can just be seen."""
    theme = THEMES["colour-blind"]
    for a, b in combinations(MAIN, 2):
        left, right = (seen(theme.families[name].fill, kind) for name in (a, b))
        apart = sum((x - y) ** 2 for x, y in zip(left, right, strict=True)) ** 0.5
        assert apart >= 10, (a, b, apart)


def test_light_is_what_is_taken() -> None:
    assert next(iter(THEMES)) == "light"
    assert THEMES["light"].look("conv") == FAMILIES["conv"]
    assert THEMES["light"].look("no such family") == THEMES["light"].other
