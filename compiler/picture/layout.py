"""graph -> drawing: regions become frames and closed boxes, ops become rows of boxes, edges become links.

- What becomes a frame or a box is told in `regions`; here, how deep a network is opened.
- A shape stands on an arrow where it is not the shape of the arrow before; the batch is left out.
- What several parts of a frame read from outside enters the frame once, at a point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ogive.compiler.cost.sizes import check_sizes
from ogive.compiler.picture.choice import Choice, choice_of
from ogive.compiler.picture.fold import Folding, fold
from ogive.compiler.picture.measure import PAGE, scale
from ogive.compiler.picture.model import DIRECTIONS, Direction, Drawing
from ogive.compiler.picture.regions import MOST_BOXES, Layout
from ogive.compiler.picture.rise import columns
from ogive.compiler.picture.words import Shapes
from ogive.dsl.diagnostics import ArchError, fail, offer
from ogive.dsl.graph import Graph

__all__ = ["MOST", "MOST_BOXES", "Arranger", "arrange", "arranger", "direction_of", "size_of", "whole"]

MOST: Final = 60
"""How many boxes a picture has at most where `depth` is not given: what a page holds."""

AIRY: Final = 22
"""Up to so many boxes there is room for an arrow between any two ops."""

SMALLEST: Final = 0.42
"""How much smaller a picture is made at most to fit a page, where `depth` is not given: words have 4.2 points then."""


def arrange(
    graph: Graph, *, depth: int | None = None, title: str | None = None, caption: str | None = None,
    expand: Sequence[str] = (), collapse: Sequence[str] = (), direction: str = "down",
    sizes: Mapping[str, int] | None = None,
) -> Drawing:
    """The drawing of a graph.

    `depth` counts the frames that are opened inside each other, from 0 (the outline), all of them. Without it the
    deepest that keeps the picture under `MOST` boxes, and its words readable on a page, is taken, and in a picture of
    more than `AIRY` boxes a block that is built like one that stands open before it is closed: each kind is shown once.
    `expand` and `collapse` are paths of parts that are opened and closed whatever the depth is (see `choice`), `sizes`
    numbers for the letters of the input.

    Raises:
        ArchError: A815 there would be more than `MOST_BOXES` boxes, A818 there is no part of such a path, A803 there is
            no such direction, or one path is to be opened and closed, A802 the input has no such size.
    """
    make = arranger(
        graph, title=title, caption=caption, expand=expand, collapse=collapse, direction=direction, sizes=sizes,
    )
    return make.automatic() if depth is None else make.at(depth)


def arranger(
    graph: Graph, *, title: str | None = None, caption: str | None = None, expand: Sequence[str] = (),
    collapse: Sequence[str] = (), direction: str = "down", sizes: Mapping[str, int] | None = None,
) -> Arranger:
    """What makes the drawings of a graph, at any depth.

    Raises:
        ArchError: as `arrange`.
    """
    way = direction_of(direction)
    check_sizes(graph, sizes or {})
    folding = fold(graph)
    return Arranger(
        graph, folding, choice_of(graph, folding, expand, collapse), title=title, caption=caption, direction=way,
        shapes=Shapes(graph, sizes),
    )


def direction_of(direction: str) -> Direction:
    """The direction of this name.

    Raises:
        ArchError: A803, there is none.
    """
    for found in DIRECTIONS:
        if direction == found:
            return found
    raise fail("A803", f"there is no direction `{direction}`", help=offer(direction, DIRECTIONS, "the directions"))


@dataclass(slots=True)
class Arranger:
    """Makes drawings of one graph at one depth after the other. `shut` are titles of blocks that stay closed."""

    graph: Graph
    folding: Folding
    choice: Choice = field(default_factory=Choice)
    title: str | None = None
    caption: str | None = None
    direction: Direction = "down"
    shapes: Shapes | None = None
    shut: frozenset[str] = frozenset()
    hints: dict[str, str] = field(default_factory=dict)
    page: tuple[float, float] = PAGE
    """Points across and down that a picture may take."""
    smallest: float = SMALLEST

    def layout(self, level: int, *, once: bool, dense: bool) -> Layout:
        """The parts at one depth."""
        return Layout(
            self.graph, self.folding, level, once=once, dense=dense, choice=self.choice, shut=self.shut,
            shapes=self.shapes, hints=self.hints,
        )

    def first(self, level: int, *ways: tuple[bool, bool]) -> tuple[Drawing, bool]:
        """The first of the ways, each (once, dense), that leaves room; the last where none does."""
        for i, (once, dense) in enumerate(ways):
            layout = self.layout(level, once=once, dense=dense)
            if i == len(ways) - 1 or layout.size() <= AIRY:
                break
        heading = self.graph.name if self.title is None else self.title
        return layout.drawing(heading, self.caption or "", self.direction), layout.cut

    def at(self, level: int) -> Drawing:
        """Everything open down to this depth."""
        drawing, _ = self.first(level, (False, False), (False, True))
        return self.beside(drawing, AIRY)

    def deepest(self, level: int, most: int = MOST_BOXES) -> tuple[Drawing, int]:
        """Everything open down to the last depth before `level` at which there are at most so many boxes; and which.

        Raises:
            ArchError: A815, even the outline has more.
        """
        best, depth = self.at(0), 0
        while depth + 1 < level:
            try:
                drawing = self.at(depth + 1)
            except ArchError:
                break
            if size_of(drawing) > most:
                break
            best, depth = drawing, depth + 1
        return best, depth

    def readable(self) -> list[Drawing]:
        """The outline, and what is opened deeper step by step, as long as it can be read."""
        found: list[Drawing] = []
        while True:
            try:
                drawing, cut = self.first(len(found), (False, False), (True, False), (True, True))
            except ArchError:
                if not found:
                    raise
                return found
            drawing = self.beside(drawing)
            if found and (size_of(drawing) > MOST or scale(drawing, self.page) < self.smallest):
                return found
            found.append(drawing)
            if not cut:
                return found

    def automatic(self) -> Drawing:
        """As deep as can be read."""
        return self.readable()[-1]

    def beside(self, drawing: Drawing, most: int = MOST) -> Drawing:
        """The drawing with its stages side by side: where it is large, and where a page shows them larger so."""
        if drawing.direction in ("left", "right"):
            return drawing
        wide = columns(drawing)
        larger = scale(wide, self.page) > scale(drawing, self.page)
        return wide if wide.columns and (size_of(drawing) > most or larger) else drawing


def whole(graph: Graph, folding: Folding, depth: int, shapes: Shapes | None = None) -> Drawing:
    """Every frame down to `depth` open, with an arrow between any two ops: what the page opens and closes parts of.

    Raises:
        ArchError: A815, there would be more than `MOST_BOXES` boxes.
    """
    return Layout(graph, folding, depth, once=False, dense=False, shapes=shapes).drawing("", "")


def size_of(drawing: Drawing) -> int:
    """How many boxes are seen."""
    return sum(1 for box in drawing.boxes() if box.kind != "entry")
