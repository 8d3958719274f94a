"""A network and what was asked for -> the DOT text, or the picture of it; what had to give way is said in a warning.

Two things may have to: so many boxes that Graphviz would take minutes, and words too small for the paper. Where nobody
said how deep to open, parts are closed until the words can be read; where somebody did, everything stays open that can
be drawn at all.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from typing import Final

from ogive.compiler.picture.choice import Choice
from ogive.compiler.picture.dot import dot_text
from ogive.compiler.picture.inset import inset_dot
from ogive.compiler.picture.layout import Arranger, size_of
from ogive.compiler.picture.measure import PAGE
from ogive.compiler.picture.model import Drawing
from ogive.compiler.picture.paper import CM, LEAST, PRINTED, Paper, on_paper, points_of, sized, unmeasured
from ogive.compiler.picture.regions import MOST_BOXES
from ogive.compiler.picture.render import SECONDS, is_available, picture_of
from ogive.compiler.picture.style import SIZES
from ogive.dsl.diagnostics import ArchError

__all__ = ["Wish", "drawing_of", "rendered"]

QUICK: Final = 500
"""Graphviz is done with so many boxes in a second: where it fails, it is not for their number."""

FORETOLD: Final = 0.6
"""How much smaller a picture may come out than was foretold: what may fit is laid out and measured."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How a drawing is to be shown. `block` is blown up beside it; `width` is that of the paper, as it was written."""

    depth: int | None = None
    block: str | None = None
    theme: str = "light"
    legend: bool = True
    width: str | None = None


def rendered(make: Arranger, wish: Wish, suffix: str) -> bytes:
    """The picture that `suffix` says: `svg`, `png`, `pdf`, or `dot`, its text.

    Warns where parts were closed that were to be open, and where words come out too small for the paper.

    Raises:
        ArchError: A803 the width, A815 even the outline has too many boxes, A818 there is no such block, A812 to A814
            about Graphviz.
    """
    points = None if wish.width is None else points_of(wish.width)
    if points is not None:
        make = replace(make, page=(points, PAGE[1]), smallest=FORETOLD * LEAST / SIZES["small"])
    most, slow = MOST_BOXES, None
    while True:
        said: list[str] = []
        shown = [] if wish.block is not None else _opened(make, wish.depth, most, said)
        if slow is not None and size_of(shown[0]) > most:
            raise slow
        try:
            if points is None:
                data = picture_of(next(_texts(make, wish, shown)), suffix)
            else:
                data = _on_paper(make, wish, shown, points, suffix, said)
            break
        except ArchError as error:
            if error.codes != ("A813",) or not shown or size_of(shown[0]) <= QUICK:
                raise
            most, slow = size_of(shown[0]) // 2, error
    _warn(said)
    return data


def drawing_of(make: Arranger, depth: int | None) -> Drawing:
    """The drawing to this depth, or as deep as can be read; warns where it is less than was asked for.

    Raises:
        ArchError: A815, even the outline has too many boxes.
    """
    said: list[str] = []
    shown = _opened(make, depth, MOST_BOXES, said)
    _warn(said)
    return shown[0]


def _opened(make: Arranger, depth: int | None, most: int, said: list[str]) -> list[Drawing]:
    """What can be shown, with the most that is open first: one drawing where a depth is asked for."""
    try:
        found = [make.at(depth)] if depth is not None else make.readable()[::-1]
    except ArchError as error:
        why = error.diagnostics[0].title
    else:
        if size_of(found[0]) <= most:
            return found
        why = f"Graphviz is not done in {SECONDS} s with the {size_of(found[0]):,} boxes of `{make.graph.name}`"
    closed = replace(make, choice=Choice((), make.choice.collapse))
    for less in (make, closed) if make.choice.expand else (make,):
        try:
            drawing, level = less.deepest(99 if depth is None else depth, most)
        except ArchError:
            if not make.choice.expand or less is closed:
                raise
            continue
        if size_of(drawing) <= most or less is closed or not make.choice.expand:
            break
    said.append(f"{why}: it is opened to depth {level}" + (", and nothing more" if less is closed else ""))
    return [drawing]


def _texts(make: Arranger, wish: Wish, shown: list[Drawing]) -> Iterator[str]:
    if wish.block is not None:
        yield inset_dot(make, wish.block, wish.theme, depth=wish.depth, legend=wish.legend)
    for drawing in shown:
        yield dot_text(drawing, wish.theme, legend=wish.legend)


def _on_paper(
    make: Arranger, wish: Wish, shown: list[Drawing], points: float, suffix: str, said: list[str]
) -> bytes:
    """The picture with the most open whose words can be read on the paper; else that with the least."""
    texts = _texts(make, wish, shown)
    if not is_available():
        return picture_of(unmeasured(next(texts), points), suffix)
    for text in texts:
        paper = on_paper(text, points)
        if paper.is_readable:
            break
    else:
        said.append(_too_small(make, wish, paper))
    if suffix == "svg":
        return sized(picture_of(paper.full, suffix), points)
    return picture_of(paper.text, suffix, PRINTED)


def _too_small(make: Arranger, wish: Wish, paper: Paper) -> str:
    words = f"at {wish.width} the smallest words of `{make.graph.name}` have {paper.smallest:.1f} points"
    if wish.depth is None and wish.block is None and not make.choice.expand:
        words += " even with all blocks closed"
    elif wish.block is None:
        words += "; without `depth` and `expand`, parts are closed until they can be read"
    if paper.needs is not None:
        words += f"; from {ceil(paper.needs / CM * 10) / 10:g}cm on they have {LEAST:g}"
    return words


def _warn(said: list[str]) -> None:
    for words in said:
        warnings.warn(words, stacklevel=4)
