"""pattern -> page: the matrix of all pairs and, beside it, what one query sees on the grid of the image.

A union is drawn in the colours of its parts, each pair in that of the first part that holds it, as surveys draw Big
Bird; every other pattern has one colour. Heads that see differently stand one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Final

from ogive.compiler.picture.pattern_page import Area, Cells, Mark, Page, Words, rectangles, width_of
from ogive.dsl.diagnostics import fail
from ogive.dsl.patterns import Pattern, PatternError
from ogive.dsl.patterns.algebra import Union
from ogive.dsl.patterns.count import distinct, pairs, total
from ogive.dsl.patterns.normal import heads_of, of_head
from ogive.dsl.patterns.space import Space, raveled

__all__ = ["COLORS", "MOST_PAIRS", "lay_out", "query_at"]

COLORS: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#a34100")
"""Of the parts of a union, in order (Okabe and Ito 2008); they differ in a grey print, too."""
OTHERS: Final = "#6b6b6b"
UNSEEN: Final = "#eef0f2"
GAP_LINE: Final = "#ffffff"
EDGE: Final = "#7d8894"
MARKED: Final = "#111111"
FAINT: Final = "#5a5a5a"

MOST_PAIRS: Final = 1 << 21
"""Above so many pairs no cell can be told from its neighbour."""
MOST_HEADS: Final = 12
SIDE: Final = 176.0      # of a matrix
MARGIN: Final = 10.0
BETWEEN: Final = 30.0
LABEL: Final = 34.0      # left of a matrix: the name of its axis
TITLE, TEXT, SMALL = 11.0, 9.0, 8.0
LEAST: Final = 3.0       # of a cell that has lines around it
LARGEST: Final = 22.0    # of a cell


def lay_out(over: Pattern, space: Space, *, query: int | None = None, heads: int | None = None) -> Page:
    """The page of a pattern on a space.

    Args:
        query: the position whose keys are drawn on the grid; the middle of the grid where it is None.
        heads: how many heads there are; as many as the pattern tells apart where it is None.

    Raises:
        ArchError: A815 too many pairs or heads to be told apart, A803 no such query, A302 and others: the pattern means
            nothing on this grid.
    """
    count = heads_of(over) if heads is None else heads
    shown = distinct(over, count)
    if space.size * shown > MOST_PAIRS or shown > MOST_HEADS:
        what = f"{shown} heads" if shown > MOST_HEADS else f"{space.size * shown:,} pairs"
        most = f"{MOST_HEADS} heads" if shown > MOST_HEADS else f"{MOST_PAIRS:,} pairs"
        raise fail("A815", f"`{over}` would be a picture of {what}; at most {most} can be told apart",
                   help="fewer heads show it as well" if shown > MOST_HEADS else "a smaller grid shows it as well")
    if query is not None and not 0 <= query < space.queries.size:
        raise fail("A803", f"there is no query {query} here", help=f"they run from 0 to {space.queries.size - 1}")
    try:
        return _Page(over, space, _middle(space) if query is None else query, query is not None, count, shown).page()
    except PatternError as error:
        raise fail(error.code, error.title, help=error.help) from None


def query_at(space: Space, place: tuple[int, ...]) -> int:
    """The position of a query by its place: (5, 7) on a grid of rows and columns, (12,) in a whole sequence.

    Raises:
        ArchError: A803 there is no such place.
    """
    grid = space.queries.grid
    if len(place) == 1:
        return place[0]
    if len(place) != len(grid) or any(not 0 <= i < n for i, n in zip(place, grid, strict=True)):
        shown, size = ",".join(map(str, place)), "x".join(map(str, grid))
        raise fail("A803", f"there is no query at {shown} of a grid of {size}",
                   help="its row and column, counted from 0, or one number: its place in the whole sequence")
    return space.queries.prefix + raveled(place, grid)


def _middle(space: Space) -> int:
    return space.queries.prefix + raveled(tuple(n // 2 for n in space.queries.grid), space.queries.grid)


class _Page:
    def __init__(self, over: Pattern, space: Space, query: int, asked: bool, heads: int, shown: int) -> None:
        self.over, self.space, self.query, self.heads, self.shown = over, space, query, heads, shown
        self.on_grid = len(space.keys.grid) > 1
        self.marked = asked or self.on_grid
        self.colors: dict[str, str] = {}
        self.right = MARGIN

    def page(self) -> Page:
        marks: list[Mark] = []
        y = MARGIN + 42.0
        panels = list(self._panels())
        left = MARGIN
        tall = 0.0
        for panel in panels:
            wide, high = self._size(panel)
            full = left > (MARGIN if self.on_grid else 2 * SIDE)
            if panel.starts and full:
                left, y, tall = MARGIN, y + tall + 16.0, 0.0
            marks += self._drawn(panel, left, y)
            self.right = max(self.right, left + wide)
            left, tall = left + wide + BETWEEN, max(tall, high)
        bottom = y + tall + 8.0
        marks += self._legend(bottom)
        bottom += 14.0 * len(self._legend_lines()) + MARGIN
        head, wide = self._heading()
        width = max(self.right, wide) + MARGIN
        return Page(str(self.over), self._about(), width, bottom, (*head, *marks))

    # ---------------------------------------------------------------------------------------------------------- words

    def _heading(self) -> tuple[list[Mark], float]:
        title = _shortened(str(self.over), 76)
        facts = self._facts()
        marks: list[Mark] = [
            Words(MARGIN, MARGIN + 10, title, TITLE, bold=True), Words(MARGIN, MARGIN + 23, facts, TEXT, color=FAINT),
        ]
        return marks, MARGIN + max(width_of(title, TITLE, True), width_of(facts, TEXT))

    def _facts(self) -> str:
        """Where it is drawn, and its density."""
        space, words = self.space, []
        for name, sequence in (("queries", space.queries), ("keys", space.keys)):
            size = "×".join(map(str, sequence.grid))
            text = f"grid {size}" if len(sequence.grid) > 1 else f"{size} positions"
            text += f" and {sequence.outside} outside it" if sequence.outside else ""
            words.append(text if space.square else f"{name}: {text}")
        held, whole = total(self.over, space, self.heads), self.heads * space.size
        words = words[:1] if space.square else words
        share = f"density {held / whole:.3g}" if held in (0, whole) else f"density {held / whole:.1%}"
        over = f" in {self.heads} heads" if self.heads > 1 else ""
        return " · ".join([*words, f"{held:,} of {whole:,} pairs{over}", share])

    def _about(self) -> str:
        return f"Which query sees which key: {self._facts()}."

    def _legend_lines(self) -> list[list[tuple[str, str]]]:
        """The parts of a union and their colours, in lines that are no wider than the picture."""
        lines: list[list[tuple[str, str]]] = []
        used = 0.0
        for text, color in self.colors.items() if len(self.colors) > 1 else ():
            wide = 24.0 + width_of(_shortened(text, 44), SMALL)
            if not lines or used + wide > max(self.right, 2 * SIDE):
                lines.append([])
                used = MARGIN
            lines[-1].append((_shortened(text, 44), color))
            used += wide
        return lines

    def _legend(self, y: float) -> list[Mark]:
        marks: list[Mark] = []
        for i, line in enumerate(self._legend_lines()):
            x = MARGIN
            for text, color in line:
                marks += [Area(x, y + 14 * i, 8, 8, fill=color), Words(x + 12, y + 14 * i + 7, text, SMALL)]
                x += 24.0 + width_of(text, SMALL)
        return marks

    # --------------------------------------------------------------------------------------------------------- panels

    def _panels(self) -> Iterator[_Panel]:
        for head in range(self.shown):
            over = of_head(self.over, head)
            layers = self._layers(over, head)
            title = self._head_title(over, head)
            yield _Panel("matrix", title, head, layers, starts=True)
            if self.on_grid:
                yield _Panel("grid", f"what query {self._place()} sees", head, layers, starts=False)

    def _head_title(self, over: Pattern, head: int) -> str:
        if self.shown == 1:
            return "all pairs"
        more = ", ..." if head + self.shown < self.heads else ""
        share = pairs(self.over, self.space, head) / self.space.size
        return f"head {head}{more}: {_shortened(str(over), 30)}, {share:.1%}"

    def _place(self) -> str:
        cell = self.space.queries.cell(self.query)
        if cell is None:
            return f"{self.query}, outside the grid,"
        place = []
        for n in reversed(self.space.queries.grid):
            cell, i = divmod(cell, n)
            place.append(str(i))
        return f"({', '.join(reversed(place))})" if len(place) > 1 else place[0]

    def _layers(self, over: Pattern, head: int) -> list[tuple[str, list[int]]]:
        """A colour and the rows of pairs that are drawn in it, for each part of a union."""
        space = self.space
        parts = over.expanded.inner if isinstance(over.expanded, Union) else (over,)
        rows = [over.row(q, space, head) for q in range(space.queries.size)]
        found = []
        for part in parts:
            color = self.colors.get(str(part))
            if color is None:
                color = COLORS[len(self.colors)] if len(self.colors) < len(COLORS) else OTHERS
                self.colors[str(part)] = color
            own = [part.row(q, space, head) & row for q, row in enumerate(rows)] if len(parts) > 1 else rows
            rows = [row & ~mine for row, mine in zip(rows, own, strict=True)]
            found.append((color, own))
        return found

    def _size(self, panel: _Panel) -> tuple[float, float]:
        if panel.kind == "matrix":
            side = self._side()
            wide = LABEL + side * self.space.keys.size
            return max(wide, width_of(panel.title, TEXT)), 26.0 + side * self.space.queries.size
        side, across, down, extra = self._grid()
        return max(LABEL + side * across, width_of(panel.title, TEXT)), 26.0 + side * down + (extra * (side + 6))

    def _side(self) -> float:
        return SIDE / max(self.space.queries.size, self.space.keys.size)

    def _grid(self) -> tuple[float, float, int, int]:
        """Points of a cell, columns with the gaps between frames, rows, and how many rows of tokens stand outside."""
        keys = self.space.keys
        frames = keys.grid[0] if len(keys.grid) == 3 else 1
        across = frames * keys.grid[-1] + 0.6 * (frames - 1)
        side = SIDE / max(across, keys.grid[-2], keys.prefix, keys.suffix)
        return min(side, LARGEST), across, keys.grid[-2], (keys.prefix > 0) + (keys.suffix > 0)

    def _drawn(self, panel: _Panel, x: float, y: float) -> list[Mark]:
        title = Words(x, y + 8, panel.title, TEXT, bold=True)
        return [title, *(self._matrix(panel, x, y + 26) if panel.kind == "matrix" else self._image(panel, x, y + 14))]

    def _matrix(self, panel: _Panel, x: float, y: float) -> list[Mark]:
        space, side = self.space, self._side()
        n, m = space.queries.size, space.keys.size
        x += LABEL
        wide, high = m * side, n * side
        marks: list[Mark] = [Area(x, y, wide, high, fill=UNSEEN)]
        for color, rows in panel.layers:
            if rects := rectangles(rows):
                marks.append(Cells("pairs", x, y, side, rects, color))
        marks += _lines(x, y, side, m, n)
        marks.append(Area(x, y, wide, high, stroke=EDGE))
        if self.marked:  # beside its row, which stays to be seen
            at = y + self.query * side
            marks += [Area(left, at, 5, max(side, 1.2), fill=MARKED) for left in (x - 6, x + wide + 1)]
        return [*marks, *_axes(x, y, wide, high, ("key", m), ("query", n))]

    def _image(self, panel: _Panel, x: float, y: float) -> list[Mark]:
        """The grid of the keys with those that the query sees; tokens outside it stand above and below."""
        x += LABEL
        keys, (side, _, down, _) = self.space.keys, self._grid()
        marks = list[Mark]()
        width, area = keys.grid[-1], prod(keys.grid[-2:])
        if keys.prefix:
            marks += self._strip(panel, x, y + 2, side, 0, keys.prefix)
            y += side + 4
        top, wide = y + 12, width * side
        marks += _axes(x, top, wide, down * side, ("col", width), ("row", down))
        for frame in range(keys.cells // area):
            left, first = x + frame * (width + 0.6) * side, keys.prefix + frame * area
            if len(keys.grid) == 3:
                below = Words(left + wide / 2, top + down * side + 10, f"frame {frame}", SMALL, "middle", color=FAINT)
                marks.append(below)
            marks += self._field(panel, left, top, side, first, width, down)
        if keys.suffix:
            marks += self._strip(panel, x, top + down * side + 14, side, keys.prefix + keys.cells, keys.suffix)
        return marks

    def _strip(self, panel: _Panel, x: float, y: float, side: float, first: int, count: int) -> list[Mark]:
        """Tokens outside the grid, in a row."""
        words = Words(x + count * side + 4, y + side / 2 + 3, "outside the grid", SMALL, color=FAINT)
        return [*self._field(panel, x, y, side, first, count, 1), words]

    def _field(
        self, panel: _Panel, x: float, y: float, side: float, first: int, width: int, height: int
    ) -> list[Mark]:
        """The keys from `first` on, row by row."""
        marks: list[Mark] = [Area(x, y, width * side, height * side, fill=UNSEEN)]
        low = (1 << width) - 1
        for color, rows in panel.layers:
            seen = rows[self.query] >> first
            if rects := rectangles(seen >> (i * width) & low for i in range(height)):
                marks.append(Cells("keys", x, y, side, rects, color))
        marks += _lines(x, y, side, width, height)
        marks.append(Area(x, y, width * side, height * side, stroke=EDGE))
        at = self.query - first
        if self.space.square and 0 <= at < width * height:
            row, col = divmod(at, width)
            marks.append(Area(x + col * side, y + row * side, side, side, stroke=MARKED, line=1.4))
            dot = side * 0.34
            marks.append(Area(x + (col + 0.5) * side - dot / 2, y + (row + 0.5) * side - dot / 2, dot, dot, MARKED))
        return marks


class _Panel:
    """A matrix or a grid of one head, not yet placed. `starts` where it may begin a line of panels."""

    def __init__(
        self, kind: str, title: str, head: int, layers: list[tuple[str, list[int]]], *, starts: bool
    ) -> None:
        self.kind, self.title, self.head, self.layers, self.starts = kind, title, head, layers, starts


def _axes(x: float, y: float, wide: float, high: float, across: tuple[str, int], down: tuple[str, int]) -> list[Mark]:
    """The names of both axes, with the first and the last place along each."""
    found: list[Mark] = [Words(x + wide / 2, y - 4, across[0], SMALL, "middle", color=FAINT)]
    found.append(Words(x - 8, y + high / 2 + 3, down[0], SMALL, "end", color=FAINT))
    if wide > 50:
        found += [Words(x, y - 4, "0", SMALL, color=FAINT),
                  Words(x + wide, y - 4, str(across[1] - 1), SMALL, "end", color=FAINT)]
    if high > 36:
        found += [Words(x - 8, y + 7, "0", SMALL, "end", color=FAINT),
                  Words(x - 8, y + high, str(down[1] - 1), SMALL, "end", color=FAINT)]
    return found


def _lines(x: float, y: float, side: float, columns: int, rows: int) -> list[Mark]:
    """The lines between cells, where cells are large enough to have some."""
    if side < LEAST:
        return []
    line = min(0.6, side / 12)
    return [
        *(Area(x + i * side, y, 0, rows * side, stroke=GAP_LINE, line=line) for i in range(1, columns)),
        *(Area(x, y + i * side, columns * side, 0, stroke=GAP_LINE, line=line) for i in range(1, rows)),
    ]


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
