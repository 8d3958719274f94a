"""Parts whose entries fit together as one: windows that a shift cut into pieces stand in one batch with whole ones.

A shifted window leaves the whole windows inside, and at the borders pieces of one: halves along each axis, quarters at
the corners. By themselves these are nine launches, most of them small. Put side by side, two halves (or the quarters)
fill a window's places, and see each other's keys nowhere:

    part 1   whole windows                            one part: entries of as many places, written out, and which pairs
    part 2   left pieces      }  fill one window  ->  they have as bits; entries without a piece have all
    part 3   right pieces     }

A piece keeps the offsets between its positions, so a table over offsets is looked up in all entries alike. No torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ogive.dsl.patterns.part import ALL, Index, Part, Strides, Table

__all__ = ["joined"]


@dataclass
class _Piece:
    """A part that may be joined: `left` of its entries are, from `next` on; the steps between its positions."""

    part: Part
    steps: list[int]
    next: int = 0

    @property
    def left(self) -> int:
        return self.part.batch - self.next


def joined(parts: Sequence[Part]) -> list[Part]:
    """The same pairs in fewer parts, where entries of some fill the places of another's; the same parts where none do.

    Queries of no two parts that are joined are equal, and every one keeps its keys; those that all entries share, such
    as tokens outside the grid, stand behind the others.
    """
    extra = next((tail for part in parts if (tail := _tail(part)) is not None), ())
    pieces = [_Piece(part, _steps(part)) for part in parts if _tail(part) == extra]
    pieces.sort(key=lambda piece: -len(piece.steps))
    if len(pieces) < 2 or len({piece.part.heads for piece in pieces}) > 1:
        return list(parts)
    whole, rest = pieces[0], pieces[1:]
    at = {step: i for i, step in enumerate(whole.steps)}
    count, shared = len(at), ((1 << len(extra)) - 1) << len(at)
    rows = [tuple(whole.part.q.row(entry)) for entry in range(whole.part.batch)]
    full = ((1 << count) - 1) | shared
    keeps = [(full,) * count for _ in rows]
    while True:
        filled = _filled([piece for piece in rest if piece.left], at)
        if filled is None:
            break
        keep = [0] * count
        for _, places in filled:
            for place in places:
                keep[place] = shared | sum(1 << other for other in places)
        used = [piece for piece, _ in filled]
        for _ in range(min(piece.left // used.count(piece) for piece in used)):
            row = [0] * count
            for piece, places in filled:
                for place, position in zip(places, piece.part.q.row(piece.next), strict=True):
                    row[place] = position
                piece.next += 1
            rows.append(tuple(row))
            keeps.append(tuple(keep))
    gone = [piece.part for piece in rest if not piece.left]
    if any(0 < piece.left < piece.part.batch for piece in rest) or not gone:
        return list(parts)
    made = Part(whole.part.heads, Index((Table(tuple(rows)),)), Index((Table(tuple(row + extra for row in rows)),)),
                tuple(keeps))
    return [made, *(part for part in parts if part is not whole.part and not any(part is x for x in gone))]


def _tail(part: Part) -> tuple[int, ...] | None:
    """The keys that all entries share behind those that are their queries; None where keys are others."""
    if part.keep != ALL or len(part.q.pieces) > 1 or not isinstance(part.q.pieces[0], Strides):
        return None
    first, *rest = part.k.pieces
    if first != part.q.pieces[0] or any(
        not isinstance(piece, Strides) or any(stride and n > 1 for n, stride in piece.batch) for piece in rest
    ):
        return None
    return tuple(at for piece in rest for at in piece.row(0))


def _steps(part: Part) -> list[int]:
    """The positions of any entry, from its first."""
    first = part.q.pieces[0]
    assert isinstance(first, Strides)
    return Strides(0, (), first.count).row(0)


def _filled(pieces: Sequence[_Piece], at: dict[int, int]) -> list[tuple[_Piece, list[int]]] | None:
    """Pieces that fill all places, the largest first, each with the places of its positions; None where none do."""
    free, found = set(at.values()), list[tuple[_Piece, list[int]]]()
    for piece in pieces:
        for _ in range(piece.left):
            places = next((those for start in at if (those := _places(piece.steps, start, at, free))), None)
            if places is None:
                break
            free -= set(places)
            found.append((piece, places))
        if not free:
            return found
    return None


def _places(steps: Sequence[int], start: int, at: dict[int, int], free: set[int]) -> list[int] | None:
    """Where positions stand when the first stands at a step; None where that is not free."""
    places = []
    for step in steps:
        place = at.get(start + step)
        if place is None or place not in free:
            return None
        places.append(place)
    return places
