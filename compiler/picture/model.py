"""The drawing model: what stands on the page, before anything knows of Graphviz. Immutable.

A `Drawing` is a tree of frames (titled clusters) whose leaves are boxes, and links between boxes. A box is a stack of
rows, one per op that is drawn (a convolution, and the norm and activation glued below it), or one row that stands for
a whole closed block. Every parameter of the graph belongs to exactly one row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["DIRECTIONS", "Box", "BoxKind", "Direction", "Drawing", "Frame", "Item", "Link", "LinkKind", "Row"]

BoxKind: TypeAlias = Literal["input", "output", "ops", "merge", "closed", "entry"]
LinkKind: TypeAlias = Literal["flow", "skip", "tie"]
Direction: TypeAlias = Literal["down", "up", "right", "left"]

DIRECTIONS: Final = ("down", "up", "right", "left")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a box. `nodes` are the ids of the graph's nodes it stands for: more than one where it was folded.

    `params` counts all of them together; `times` is how often the row was folded, so one run has `params / times`.
    `small` rows have no weights and little to say. `ports` are the cells at its lower edge (the parts of a split).
    """

    nodes: tuple[str, ...]
    family: str
    name: str
    op: str
    detail: str = ""
    params: int = 0
    times: int = 1
    small: bool = False
    ports: int = 0
    hint: str = ""
    motifs: tuple[tuple[str, ...], ...] = ()
    """Thumbnails of what an attention sees, lines of digits (`motif.py`): one for each that differs."""


@dataclass(frozen=True, slots=True)
class Box:
    """A leaf. `symbol` is set on merges; `area` is its plane as a share of the input's (None: it has no plane)."""

    id: str
    kind: BoxKind
    rows: tuple[Row, ...]
    symbol: str = ""
    note: str = ""
    area: float | None = None
    heads: int = 0
    """How many cells stand at the upper edge: the q, k and v of an attention."""

    @property
    def params(self) -> int:
        return sum(row.params for row in self.rows)

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(node for row in self.rows for node in row.nodes)


@dataclass(frozen=True, slots=True)
class Frame:
    """A titled part: a block, a repeat of one drawn iteration (`count` > 1), a scope, a stage."""

    id: str
    kind: Literal["block", "repeat", "scope", "stage"]
    name: str
    title: str
    count: int
    note: str
    params: int
    times: int
    items: tuple[Item, ...]

    def boxes(self) -> Iterator[Box]:
        """Every box in it, in the order drawn."""
        for item in self.items:
            if isinstance(item, Box):
                yield item
            else:
                yield from item.boxes()


Item: TypeAlias = Box | Frame


@dataclass(frozen=True, slots=True)
class Link:
    """An arrow from box to box. `tail` and `head` are cells of a row of ports, from 0; `frames` clip a tie's ends."""

    source: str
    target: str
    kind: LinkKind
    label: str = ""
    tail: int | None = None
    head: int | None = None
    frames: tuple[str, str] = ("", "")
    shape: str = ""
    """What flows along it, said or not."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture. `rising` holds the boxes of a U's right arm: they are drawn from the bottom to the top.

    `levels` are pairs of boxes that stand at one height; `columns` are boxes that each start a column, left to right.
    `direction` is where the data goes.
    """

    name: str
    title: str
    caption: str
    items: tuple[Item, ...]
    links: tuple[Link, ...]
    params: int
    depth: int
    rising: frozenset[str] = frozenset()
    levels: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()
    direction: Direction = "down"

    def boxes(self) -> Iterator[Box]:
        """Every box, in the order drawn."""
        for item in self.items:
            if isinstance(item, Box):
                yield item
            else:
                yield from item.boxes()

    def frames(self) -> Iterator[Frame]:
        """Every frame, outer ones first."""
        stack = [item for item in reversed(self.items) if isinstance(item, Frame)]
        while stack:
            frame = stack.pop()
            yield frame
            stack.extend(item for item in reversed(frame.items) if isinstance(item, Frame))
