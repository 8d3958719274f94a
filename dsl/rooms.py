"""What windows need of free sizes: `H >= 32`, the strongest demand of all windows on each letter of the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ogive.dsl import limits
from ogive.dsl.conditions import Condition, Contradiction
from ogive.dsl.diagnostics import Label, fail
from ogive.dsl.dims import Dim, evaluate, symbol, symbols
from ogive.dsl.facts import Facts
from ogive.dsl.graph import Guard
from ogive.dsl.source import Span
from ogive.dsl.when import When

__all__ = ["Room", "guards_of"]


@dataclass(frozen=True, slots=True)
class Room:
    """An axis that a window slides along has `need` elements at least: the first line that asks so, and in which
    calls."""

    need: int
    size: Dim
    text: str
    span: Span
    when: When


def guards_of(rooms: Sequence[Room], guards: Sequence[Guard]) -> list[Guard]:
    """The demands as guards: for each letter the strongest, unless the other guards say it already.

    Raises:
        ArchError: A206, no size that the other guards allow is large enough, or no size satisfies these.
    """
    facts = _together(guards)
    least: dict[str, int] = {}
    strongest: dict[str, Room] = {}
    other: list[tuple[Condition, Room]] = []
    for room in rooms:
        names = symbols(room.size)
        name = next(iter(names), "")
        found = _least(room, name, least.get(name, 1)) if len(names) == 1 else None
        if found is None:
            other.append((Condition("less_equal", room.need, room.size), room))
        elif found > least.get(name, 1):
            least[name] = found
            strongest[name] = room
    asked = [(Condition("less_equal", least[name], symbol(name)), room) for name, room in strongest.items()]
    if not asked and not other:
        return []
    made: list[Guard] = []
    for condition, room in (*asked, *other):
        holds = facts.holds(condition)
        if holds is None:
            try:
                facts = facts.with_condition(condition)
            except Contradiction:
                holds = False
        if holds is False:
            raise fail("A206", f"{room.text} needs `{condition.show()}`, which never holds here", room.span,
                       help="a smaller window, or more padding")
        if holds is None:
            made.append(Guard(condition, room.text, room.span, room.when))
    return made


def _together(guards: Sequence[Guard]) -> Facts:
    """What the guards say together. Each run of a block knows its own: here they meet for the first time.

    Raises:
        ArchError: A206, one contradicts those above it.
    """
    facts = Facts()
    for i, guard in enumerate(guards):
        try:
            facts = facts.with_condition(guard.condition)
        except Contradiction:
            shared = [g for g in guards[:i] if g.condition.symbols & guard.condition.symbols]
            labels = [Label(g.span, f"this needs `{g.condition.show()}`") for g in shared[:1] if g.span != guard.span]
            said = " and ".join(f"`{g.condition.show()}`" for g in (*shared[:1], guard))
            raise fail("A206", f"no input satisfies {said}", guard.span, label=f"this needs `{guard.condition.show()}`",
                       labels=labels, help="each run of a block reads its sizes anew: see that its inputs fit each time"
                       ) from None
    return facts


def _least(room: Room, name: str, known: int) -> int | None:
    """The smallest value of the letter, from `known` on, with which the axis is large enough; None where a larger
    letter can make a smaller axis."""

    def size(value: int) -> int:
        return evaluate(room.size, {name: value})

    if size(known) >= room.need:
        return known if size(2 * known) >= size(known) else None
    low, high = known, 2 * known
    while size(high) < room.need:
        if size(high) < size(low) or high > limits.DIM:
            return None
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if size(middle) >= room.need else (middle, high)
    return high if size(high + 1) >= room.need else None
