"""A sweep as a picture: a panel for each figure over the setting that is a number, a line for each other choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import floor, log10
from typing import Final

from ogive.compiler.cost.variants import Variant

__all__ = ["svg"]

COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6d5f00", "#000000")
"""Okabe and Ito's, which the colour-blind tell apart; yellow darkened to be read on white."""
DASHES: Final = ("", "5 3", "1.5 2.5", "8 3 2 3")
WIDE, HIGH = 340, 215
LEFT, TOP, RIGHT, BOTTOM = 62, 34, 14, 40
ROW: Final = 18
FONT: Final = "font-family='Helvetica, Arial, sans-serif'"


def svg(rows: Sequence[Variant], axes: Mapping[str, Sequence[str]]) -> str:
    """The plot of the variants that were built; `axes` are the settings that have several values.

    The first of them whose values are numbers runs along the panels, else the first, its values side by side.
    """
    along = next((name for name, values in axes.items() if all(map(_is_number, values))), next(iter(axes), ""))
    series: dict[str, list[Variant]] = {}
    for row in rows:
        rest = ", ".join(f"{k}={row.settings[k]}" for k in axes if k != along)
        series.setdefault(rest, []).append(row)
    panels = [
        ("parameters", [[float(r.params) for r in s] for s in series.values()], ""),
        ("multiply-adds", [[float(r.macs) for r in s] for s in series.values()], ""),
        ("memory, forward", [[float(r.forward) for r in s] for s in series.values()], "B"),
        ("memory, training", [[float(r.training) for r in s] for s in series.values()], "B"),
    ]
    if all(row.seconds is not None for row in rows):
        panels.append(("time, at least", [[r.seconds or 0.0 for r in s] for s in series.values()], "s"))
    places = [_places(along, axes, s) for s in series.values()]
    names = None if along and all(map(_is_number, axes[along])) else list(axes.get(along, [""]))
    named = [name for name in series if name]
    across = 2
    high = -(-len(panels) // across) * HIGH + (ROW * -(-len(named) // across) + 14 if named else 0)
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {across * WIDE} {high}' width='{across * WIDE}' "
        f"height='{high}' {FONT} font-size='11'>",
        "<rect width='100%' height='100%' fill='#ffffff'/>",
    ]
    for i, (title, values, unit) in enumerate(panels):
        parts.append(f"<g transform='translate({i % across * WIDE} {i // across * HIGH})'>")
        parts += _panel(title, values, places, unit, along, names)
        parts.append("</g>")
    for i, name in enumerate(named):
        x, y = i % across * WIDE + LEFT, -(-len(panels) // across) * HIGH + 10 + i // across * ROW
        parts.append(f"<path d='M{x} {y}h26' {_stroke(i)}/>{_dot(x + 13, y, i)}")
        parts.append(f"<text x='{x + 34}' y='{y + 4}'>{escape(_short(name))}</text>")
    return "\n".join([*parts, "</svg>\n"])


def _panel(
    title: str, values: Sequence[Sequence[float]], places: Sequence[Sequence[float]], unit: str, along: str,
    names: Sequence[str] | None,
) -> list[str]:
    wide, high = WIDE - LEFT - RIGHT, HIGH - TOP - BOTTOM
    flat = [x for xs in places for x in xs]
    low, last = min(flat), max(flat)
    room = (last - low) * 0.04 or 1.0
    low, last = low - room, last + room
    top, step = _ceiling(max(v for vs in values for v in vs))
    parts = [f"<text x='{LEFT}' y='{TOP - 12}' font-weight='bold'>{escape(title)}</text>"]
    for i in range(round(top / step) + 1):
        y = TOP + high - high * i * step / top
        parts.append(f"<path d='M{LEFT} {y:.1f}h{wide}' stroke='#dddddd'/>")
        parts.append(f"<text x='{LEFT - 6}' y='{y + 4:.1f}' text-anchor='end'>{_label(i * step, top, unit)}</text>")

    def at(x: float) -> float:
        return LEFT + wide * (x - low) / (last - low)

    ticks = sorted(set(flat))
    shown = ticks if len(ticks) <= 6 else [ticks[round(i * (len(ticks) - 1) / 4)] for i in range(5)]
    for x in shown:
        text = names[int(x)] if names is not None else f"{x:g}"
        text = _short(text, max(6, 46 // max(len(shown), 1)))
        parts.append(f"<path d='M{at(x):.1f} {TOP + high}v4' stroke='#666666'/>")
        parts.append(f"<text x='{at(x):.1f}' y='{TOP + high + 16}' text-anchor='middle'>{escape(text)}</text>")
    parts.append(f"<path d='M{LEFT} {TOP + high}h{wide}' stroke='#666666'/>")
    parts.append(f"<text x='{LEFT + wide / 2}' y='{HIGH - 8}' text-anchor='middle'>{escape(along)}</text>")
    for i, (xs, ys) in enumerate(zip(places, values, strict=True)):
        points = [(at(x), TOP + high - high * y / top) for x, y in sorted(zip(xs, ys, strict=True))]
        if names is None and len(points) > 1:
            parts.append(f"<path d='M{' '.join(f'{x:.1f} {y:.1f}' for x, y in points)}' {_stroke(i)}/>")
        parts += [_dot(x, y, i) for x, y in points]
    return parts


def _places(along: str, axes: Mapping[str, Sequence[str]], rows: Sequence[Variant]) -> list[float]:
    """Where the variants of a line stand along the panel: at their number, or side by side."""
    if not along:
        return [0.0] * len(rows)
    values = list(axes[along])
    if all(map(_is_number, values)):
        return [float(row.settings[along]) for row in rows]
    return [float(values.index(row.settings[along])) for row in rows]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _ceiling(value: float) -> tuple[float, float]:
    """A round number from `value` on, and a round step that it is a multiple of."""
    if value <= 0:
        return 1.0, 0.25
    size = 10.0 ** floor(log10(value))
    for step in (0.2, 0.25, 0.5, 1.0, 2.0):
        if value <= 5 * step * size:
            count = -(-value // (step * size))
            return float(count * step * size), step * size
    return 10 * size, 2 * size


def _label(value: float, top: float, unit: str) -> str:
    """A number of the scale, with the unit that the largest has."""
    if value == 0:
        return "0"
    if unit == "s":
        for size, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
            if top >= size:
                return f"{value / size:.3g} {name}"
    for size, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if top >= size:
            return f"{value / size:.3g} {name}{unit}"
    return f"{value:.3g}{' ' + unit if unit else ''}"


def _stroke(i: int) -> str:
    dash = DASHES[i // len(COLOURS) % len(DASHES)]
    return f"fill='none' stroke='{COLOURS[i % len(COLOURS)]}' stroke-width='1.8'" + (
        f" stroke-dasharray='{dash}'" if dash else ""
    )


def _dot(x: float, y: float, i: int) -> str:
    return f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='{COLOURS[i % len(COLOURS)]}'/>"


def _short(text: str, most: int = 44) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
