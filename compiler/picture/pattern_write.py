"""page -> SVG text; page -> DOT text, from which Graphviz makes PNG and PDF.

The SVG needs no other program. In the DOT text everything is background drawing at fixed places, between two points
that nobody sees at the corners of the page: Graphviz lays nothing out. Texts are escaped here, and nowhere else.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Final

from ogive.compiler.picture.pattern_page import Area, Cells, Page, Words
from ogive.compiler.picture.style import FONT
from ogive.dsl.diagnostics import printable

__all__ = ["page_dot", "page_svg"]

FACE: Final = "Helvetica"
CHUNK: Final = 8_000
"""Characters of a line of DOT text; older Graphviz reads no longer strings in one piece."""


def page_svg(page: Page) -> str:
    """The page as an SVG document. Cells of one kind and colour are one path of class `pairs` or `keys`."""
    w, h = _number(page.width), _number(page.height)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}pt" height="{h}pt" viewBox="0 0 {w} {h}" role="img" '
        f'font-family="{_escaped(FONT)}">',
        f"<title>{_escaped(page.title)}</title>",
        f"<desc>{_escaped(page.about)}</desc>",
        f'<rect width="{w}" height="{h}" fill="#ffffff"/>',
    ]
    return "\n".join([*lines, *(_svg(mark) for mark in page.marks), "</svg>", ""])


def _svg(mark: Cells | Area | Words) -> str:
    match mark:
        case Cells(what, x, y, side, rects, fill):
            path = "".join(f"M{c} {r}h{w}v{h}h-{w}z" for c, r, w, h in rects)
            place = f"translate({_number(x)} {_number(y)}) scale({_number(side, 5)})"
            return f'<path class="{what}" fill="{fill}" shape-rendering="crispEdges" transform="{place}" d="{path}"/>'
        case Area(x, y, width, height, fill, stroke, line):
            look = f'fill="{fill or "none"}"' + (f' stroke="{stroke}" stroke-width="{_number(line)}"' if stroke else "")
            if not (width and height):
                ends = f'x1="{_number(x)}" y1="{_number(y)}" x2="{_number(x + width)}" y2="{_number(y + height)}"'
                return f"<line {ends} {look}/>"
            size = f'width="{_number(width)}" height="{_number(height)}"'
            return f'<rect x="{_number(x)}" y="{_number(y)}" {size} {look}/>'
        case Words(x, y, text, size, anchor, bold, color):
            more = (f' text-anchor="{anchor}"' if anchor != "start" else "") + (' font-weight="bold"' if bold else "")
            place = f'x="{_number(x)}" y="{_number(y)}" font-size="{_number(size)}"'
            return f'<text {place}{more} fill="{color}">{_escaped(text)}</text>'


def page_dot(page: Page) -> str:
    """The page as a DOT text."""
    w, h = _number(page.width), _number(page.height)
    drawn = " ".join(word for mark in page.marks for word in _xdot(mark, page.height))
    pieces = [drawn[i : i + CHUNK] for i in range(0, len(drawn), CHUNK)]
    background = " +\n".join(f'"{_quoted(piece)}"' for piece in pieces)
    corner = 'shape=point, style=invis, width=0.001, height=0.001, label=""'
    return (
        f'digraph pattern {{\ngraph [layout=nop2, bgcolor="white", pad=0, margin=0, '
        f'tooltip="{_quoted(_plain(page.title))}", _background={background}];\n'
        f'a [pos="0,0", {corner}];\nb [pos="{w},{h}", {corner}];\n}}\n'
    )


def _xdot(mark: Cells | Area | Words, height: float) -> Iterator[str]:
    """A mark in the drawing language of Graphviz, whose y grows upwards."""
    match mark:
        case Cells(_, x, y, side, rects, fill):
            yield f"S 15 -setlinewidth(0) {_text('C', fill)} {_text('c', fill)}"
            for c, r, w, h in rects:
                yield _polygon("P", x + c * side, height - y - r * side, w * side, h * side)
        case Area(x, y, width, high, fill, stroke, line):
            style = f"setlinewidth({_number(line if stroke else 0)})"
            yield f"{_text('S', style)} {_text('c', stroke or fill)}"
            if fill:
                yield f"{_text('C', fill)} {_polygon('P', x, height - y, width, high)}"
            elif width and high:
                yield _polygon("p", x, height - y, width, high)
            else:
                ends = (x, height - y, x + width, height - y - high)
                yield f"L 2 {' '.join(map(_number, ends))}"
        case Words(x, y, text, size, anchor, bold, color):
            yield f"{_text('c', color)} F {_number(size)} {_counted(FACE + ('-Bold' if bold else ''))}"
            side = {"start": -1, "middle": 0, "end": 1}[anchor]
            place = f"{_number(x)} {_number(height - y)} {side} {_number(len(text) * size / 2)}"
            yield f"T {place} {_counted(_plain(text))}"


def _polygon(kind: str, x: float, y: float, width: float, height: float) -> str:
    corners = (x, y, x + width, y, x + width, y - height, x, y - height)
    return f"{kind} 4 {' '.join(map(_number, corners))}"


def _text(kind: str, text: str) -> str:
    return f"{kind} {_counted(text)}"


def _counted(text: str) -> str:
    """A text behind the number of its bytes."""
    return f"{len(text.encode())} -{text}"


def _said(text: str) -> str:
    """A text without control characters."""
    return printable(text).replace("\n", " ")


def _plain(text: str) -> str:
    """A text without backslashes, which DOT would read as the start of something: a sign that looks the same."""
    return _said(text).replace("\\", "\u2216")


def _quoted(text: str) -> str:
    """A text within the quotes of DOT."""
    return text.replace('"', '\\"')


def _escaped(text: str) -> str:
    """A text within SVG: no tag, no attribute, no control character."""
    return html.escape(_said(text), quote=True)


def _number(value: float, digits: int = 2) -> str:
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
