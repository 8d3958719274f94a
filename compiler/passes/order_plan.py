"""Which tokens stand in which order: the cheapest way through a network whose ops act token by token.

An order is a permutation t of positions: a tensor in order t holds token t[i] at place i. A gather by p is then no
work but a name: g = x[p] in order t is x in order p . t. What remains is to choose, for each op that acts token by
token, the order it answers in; an operand that does not exist in the order needed is gathered once, and stays for
others. `cheapest` walks through the ops in the order they run, and keeps for every way in which the values that are
still needed may stand the cheapest history that leads there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["Choice", "Order", "Orders", "Read", "Step", "cheapest"]

Order: TypeAlias = int
"""The number of a permutation in `Orders`."""

MOST_STATES: Final = 64
MOST_WANTED: Final = 6


class Orders:
    """Permutations by number, and what comes of two of them."""

    def __init__(self) -> None:
        self.known: list[tuple[int, ...]] = []
        self.numbers: dict[tuple[int, ...], Order] = {}
        self.joined: dict[tuple[Order, Order], Order] = {}
        self.between: dict[tuple[Order, Order], Order] = {}
        self.natural: dict[int, Order] = {}

    def number(self, index: tuple[int, ...]) -> Order:
        """The number of a permutation."""
        if index not in self.numbers:
            self.numbers[index] = len(self.known)
            self.known.append(index)
        return self.numbers[index]

    def identity(self, size: int) -> Order:
        """The natural order of so many positions."""
        if size not in self.natural:
            self.natural[size] = self.number(tuple(range(size)))
        return self.natural[size]

    def after(self, first: Order, then: Order) -> Order:
        """first[then[i]]: gathered by `first`, then by `then`."""
        if (first, then) not in self.joined:
            a, b = self.known[first], self.known[then]
            self.joined[first, then] = self.number(tuple([a[i] for i in b]))
        return self.joined[first, then]

    def gather(self, have: Order, want: Order) -> Order:
        """What a tensor in order `have` is gathered by to stand in order `want`: after(have, this) is `want`."""
        if (have, want) not in self.between:
            place = {token: i for i, token in enumerate(self.known[have])}
            self.between[have, want] = self.number(tuple([place[token] for token in self.known[want]]))
        return self.between[have, want]


@dataclass(frozen=True, slots=True)
class Read:
    """An operand: a value, and the gather through which it is read."""

    value: int
    by: Order


@dataclass(frozen=True, slots=True)
class Step:
    """One op, in the order they run.

    Attributes:
        kind: "source" makes a value in its natural order, "token" acts token by token, "attend" may also work in the
            order `own`, "fixed" reads what it reads in the natural order and answers none of these values.
        made: the value it answers.
        size: how many positions there are.
        dear: what it costs "attend" to work in the natural order.
    """

    kind: Literal["source", "token", "attend", "fixed"]
    made: int
    size: int
    reads: tuple[Read, ...] = ()
    own: Order = -1
    dear: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """A history: the order that each step answers in. `cost` is what is moved."""

    cost: int
    order: Order
    before: Choice | None

    def orders(self) -> list[Order]:
        """The order of each step."""
        found, at = [], self
        while at is not None:
            found.append(at.order)
            at = at.before  # type: ignore[assignment]
        return found[::-1]


State: TypeAlias = "tuple[tuple[int, frozenset[Order]], ...]"


def cheapest(steps: Sequence[Step], weights: Sequence[int], orders: Orders) -> Choice | None:
    """The history that moves least; `weights[v]` is what it costs to move value v once."""
    wanted = _wanted(steps, orders)
    last = {read.value: i for i, step in enumerate(steps) for read in step.reads}
    states: dict[State, Choice | None] = {(): None}
    for i, step in enumerate(steps):
        found: dict[State, Choice] = {}
        for state, history in states.items():
            here = dict(state)
            cost = history.cost if history else 0
            for order in _candidates(step, here, wanted, orders):
                live = dict(here)
                paid = cost + (step.dear if step.kind == "attend" and order != step.own else 0)
                for read in step.reads:
                    need = orders.after(read.by, order) if step.kind != "fixed" else read.by
                    if need not in live[read.value]:
                        paid += weights[read.value]
                        live[read.value] |= {need}
                if step.kind != "fixed":
                    live[step.made] = frozenset({order})
                kept = tuple(sorted((v, o) for v, o in live.items() if last.get(v, -1) > i))
                best = found.get(kept)
                if best is None or paid < best.cost:
                    found[kept] = Choice(paid, order, history)
        few = sorted(found.items(), key=lambda item: item[1].cost)[:MOST_STATES]
        states = dict(few)
    return min(states.values(), key=lambda c: c.cost if c else 0, default=None)


def _candidates(
    step: Step, here: dict[int, frozenset[Order]], wanted: dict[int, list[Order]], orders: Orders
) -> list[Order]:
    """The orders that a step may answer in."""
    natural = orders.identity(step.size)
    if step.kind in ("source", "fixed"):
        return [natural]
    if step.kind == "attend":
        return [natural, step.own]
    found = [natural, *wanted.get(step.made, [])]
    for read in step.reads:
        found += [orders.gather(read.by, have) for have in sorted(here[read.value])]
    return list(dict.fromkeys(found))


def _wanted(steps: Sequence[Step], orders: Orders) -> dict[int, list[Order]]:
    """The orders in which readers further on would like each value, the nearest first."""
    wanted: dict[int, list[Order]] = {}

    def add(value: int, order: Order) -> None:
        known = wanted.setdefault(value, [])
        if order in known:
            known.remove(order)
        known.insert(0, order)
        del known[MOST_WANTED:]

    for step in reversed(steps):
        natural = orders.identity(step.size)
        if step.kind == "fixed":
            after = []
        else:
            after = [natural, step.own] if step.kind == "attend" else wanted.get(step.made, [])[::-1]
        for read in step.reads:
            if step.kind == "fixed":
                add(read.value, read.by)
            for order in after:
                add(read.value, orders.after(read.by, order))
    return wanted
