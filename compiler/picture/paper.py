"""A picture of a physical width: a column of 8.5 cm, a page of 17 cm; and whether its words can be read there.

The picture is made smaller until it fits, never larger: one that is narrower stands in the middle. How small its words
then are is taken from what Graphviz made of it, not foretold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ogive.compiler.picture.measure import PAGE
from ogive.compiler.picture.render import run
from ogive.dsl.diagnostics import fail, offer, printable

__all__ = ["CM", "LEAST", "PRINTED", "Paper", "on_paper", "points_of", "sized", "unmeasured"]

LEAST: Final = 5.0
"""Points of the smallest words that can be read on paper."""

PRINTED: Final = 300
"""Dots to the inch of a PNG that is to be printed."""

CM: Final = 72 / 2.54
UNITS: Final = {"cm": CM, "mm": CM / 10, "in": 72.0, "pt": 1.0}
LENGTH: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-z]*)\s*")
NARROWEST: Final = 2 * CM
WIDEST: Final = 200 * CM
PAD: Final = 0.12
"""Inches around a picture, as `dot` writes them."""

BOX: Final = re.compile(r'<svg width="[^"]*" height="[^"]*"\s+viewBox="\S+ \S+ (\S+) (\S+)"')
FONT_SIZE: Final = re.compile(r'font-size="([\d.]+)"')


@dataclass(frozen=True, slots=True)
class Paper:
    """A picture on paper, as DOT text: `text` says its size, `full` leaves it as large as it is, with the same room
    around. `smallest` are the points of its smallest words on the paper; `needs` the width in points from which they
    can be read, None where the height of a page is what makes them small."""

    text: str
    full: str
    smallest: float
    needs: float | None

    @property
    def is_readable(self) -> bool:
        return self.smallest > LEAST - 0.01


def points_of(width: str) -> float:
    """A length on paper in points: `8.5cm`, `85mm`, `3.3in`, `240pt`.

    Raises:
        ArchError: A803, it is no length, or none that a picture can have.
    """
    if not isinstance(width, str):
        raise fail("A803", f"a width is a number with its unit, and this is {printable(repr(width))[:40]}",
                   help='`width="8.5cm"`')
    found, said = LENGTH.fullmatch(width), printable(width)[:40]
    if found is None:
        raise fail("A803", f"`{said}` is no width", help="a number and its unit: `8.5cm`, `85mm` or `3.3in`")
    number, unit = found[1], found[2].lower()
    if not unit:
        raise fail("A803", f"the width `{said}` has no unit", help=f"`{number[:12]}cm`, `{number[:12]}mm` or "
                   f"`{number[:12]}in`")
    if unit not in UNITS:
        raise fail("A803", f"the width `{said}` has a unit that paper has not, `{unit}`",
                   help=offer(unit, tuple(UNITS), "the units"))
    points = float(number) * UNITS[unit]
    if not NARROWEST <= points <= WIDEST:
        raise fail("A803", f"a picture cannot be `{said}` wide", help="from `2cm` to `200cm`, a poster")
    return points


def on_paper(text: str, width: float) -> Paper:
    """A picture as it stands on paper of this width, in points, and no higher than a page.

    Raises:
        ArchError: A812, A813 about Graphviz.
    """
    svg = run(text, "svg").decode("utf-8")
    wide, high = _extent(svg)
    fitting = min(1.0, width / wide, PAGE[1] / high)
    smallest = min((float(size) for size in FONT_SIZE.findall(svg)), default=LEAST)
    needs = wide * LEAST / smallest if high * LEAST / smallest <= PAGE[1] and smallest >= LEAST else None
    aside = PAD + (width / fitting - wide) / 2 / 72
    pad = f'pad="{aside:.5f},{PAD}"'
    return Paper(_with(text, f"{_size(width)}, {pad}"), _with(text, pad), smallest * fitting, needs)


def unmeasured(text: str, width: float) -> str:
    """The DOT text of a picture of at most this width, where there is no Graphviz to measure it with."""
    return _with(text, _size(width))


def sized(svg: bytes, width: float) -> bytes:
    """An SVG in its full size as one that is so wide on paper. Graphviz itself would round the scale to a percent."""
    text = svg.decode("utf-8")
    wide, high = _extent(text)
    head = (f'<svg width="{width / CM:.3f}cm" height="{width * high / wide / CM:.3f}cm"\n'
            f' viewBox="0.00 0.00 {wide:.2f} {high:.2f}"')
    return BOX.sub(lambda _: head, text, count=1).encode("utf-8")


def _size(width: float) -> str:
    return f'size="{width / 72:.5f},{PAGE[1] / 72:.5f}"'


def _with(text: str, attributes: str) -> str:
    return f"{text[: text.rindex('}')]}\tgraph [{attributes}];\n}}\n"


def _extent(svg: str) -> tuple[float, float]:
    found = BOX.search(svg)
    assert found is not None, "Graphviz writes so"
    return float(found[1]), float(found[2])
