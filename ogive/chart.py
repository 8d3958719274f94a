"""The library as a picture: a disc for each network, multiply-adds from left to right, parameters as area, by year."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10, sqrt
from typing import Final

from ogive.catalogue import Entry, Variant

__all__ = ["chart"]

WIDE, LEFT, RIGHT, TOP, BOTTOM = 1100, 64, 110, 44, 44
LARGEST: Final = 1_000_000_000
"""Parameters of the largest disc; what has more is a ring of that size, and says how many."""
RADIUS: Final = 34.0
LEAST: Final = 1.5
LANE: Final = 16
CHARACTER: Final = 6.0
UNITS: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Disc:
    """A network at one preset: where it stands along the chart, its radius, and what stands beside it."""

    x: float
    radius: float
    text: str
    ring: bool

    @property
    def end(self) -> float:
        """Where its words end."""
        return self.x + self.radius + 4 + CHARACTER * len(self.text)


def chart(entries: Iterable[Entry]) -> str:
    """The chart as SVG. A network stands at the middle one of its presets, by multiply-adds; what has no figure of them
    is left out."""
    chosen = [(entry, middle) for entry in entries if (middle := _middle(entry.variants)) is not None]
    costs = [variant.macs or 1 for _, variant in chosen] or [1, 10]
    low, high = floor(log10(min(costs))), ceil(log10(max(costs)))
    high = max(high, low + 1)

    def at(macs: float) -> float:
        return LEFT + (WIDE - LEFT - RIGHT) * (log10(macs) - low) / (high - low)

    bands: dict[str, list[Disc]] = {}
    for entry, variant in sorted(chosen, key=lambda pair: pair[1].macs or 0):
        ring = variant.params > LARGEST
        radius = max(LEAST, RADIUS * sqrt(min(variant.params, LARGEST) / LARGEST))
        text = f"{variant.name} {_figure(variant.params)}" if ring else variant.name
        bands.setdefault(_year(entry), []).append(Disc(at(variant.macs or 1), radius, text, ring))
    parts: list[str] = []
    y = float(TOP)
    for year in sorted(bands):
        lanes = _lanes(bands[year])
        start = y
        for lane in lanes:
            height = max(LANE, 2 * max(disc.radius for disc in lane) + 2)
            parts += [_drawn(disc, y + height / 2) for disc in lane]
            y += height
        parts.append(f"<text x='{LEFT - 10}' y='{(start + y) / 2 + 4:.1f}' text-anchor='end'>{year or '?'}</text>")
        parts.append(f"<path d='M{LEFT} {y + 3:.1f}H{WIDE - RIGHT}' stroke='#dddddd'/>")
        y += 6
    ticks = [(at(10.0**k), _figure(10**k)) for k in range(low, high + 1)]
    axis = [f"<path d='M{x:.1f} {TOP}V{y:.1f}' stroke='#eeeeee'/>"
            f"<text x='{x:.1f}' y='{y + 16:.1f}' text-anchor='middle'>{text}</text>" for x, text in ticks]
    return "\n".join([
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDE} {y + BOTTOM:.0f}' width='{WIDE}' "
        f"height='{y + BOTTOM:.0f}' font-family='Helvetica, Arial, sans-serif' font-size='11'>",
        "<rect width='100%' height='100%' fill='#ffffff'/>",
        f"<text x='{LEFT}' y='22'>multiply-adds of one forward from left to right, parameters as area; a ring has more "
        "than 1 G of them</text>",
        *axis, *parts, "</svg>\n",
    ])


def _middle(variants: Sequence[Variant]) -> Variant | None:
    sized = sorted((v for v in variants if v.macs), key=lambda v: v.macs or 0)
    return sized[len(sized) // 2] if sized else None


def _year(entry: Entry) -> str:
    found = re.search(r"\b(?:19|20)\d\d\b", entry.paper)
    return found[0] if found else ""


def _lanes(discs: Sequence[Disc]) -> list[list[Disc]]:
    """The discs, in order, in as few lanes as it takes that none covers another or its words."""
    lanes: list[list[Disc]] = []
    for disc in sorted(discs, key=lambda disc: disc.x - disc.radius):
        free = next((lane for lane in lanes if lane[-1].end + 6 <= disc.x - disc.radius), None)
        if free is None:
            lanes.append([disc])
        else:
            free.append(disc)
    return lanes


def _drawn(disc: Disc, y: float) -> str:
    look = "fill='none' stroke-dasharray='4 2'" if disc.ring else "fill='#0072b2' fill-opacity='0.35'"
    return (f"<circle cx='{disc.x:.1f}' cy='{y:.1f}' r='{disc.radius:.1f}' stroke='#0072b2' {look}/>"
            f"<text x='{disc.x + disc.radius + 4:.1f}' y='{y + 4:.1f}'>{escape(disc.text)}</text>")


def _figure(value: float) -> str:
    size, unit = next(((size, unit) for size, unit in UNITS if value >= size), (1.0, ""))
    return f"{value / size:.3g} {unit}".strip()
