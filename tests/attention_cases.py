"""Sets of pairs by brute force, and patterns to hold against them: the named ones, and user predicates drawn at random.

`seen` is the oracle: it asks `holds` of every pair and nothing else. Whatever is faster (rows of bits, counts, tiles,
parts, masks, kernels) is right when it names the same pairs.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import Any

from ogive.dsl.build import build
from ogive.dsl.load import load_text
from ogive.dsl.patterns import Pattern
from ogive.dsl.patterns.space import Sequence, Space

__all__ = ["SPACES", "named", "pattern_of", "predicates", "seen", "user_cases"]

SPACES: dict[str, Space] = {
    "sequence": Space.of(11),
    "ends": Space(Sequence((3,)), Sequence((9,))),
    "even": Space.of(16),
    "grid": Space.of(4, 6),
    "square": Space.of(8, 8),
    "token": Space.of(5, 4, prefix=1),
    "two tokens": Space.of(7, 5, prefix=2),
    "tokens around": Space.of(3, 5, prefix=1, suffix=2),
    "pooled keys": Space(Sequence((4, 6), 1), Sequence((2, 3), 1)),
    "pooled queries": Space(Sequence((2, 3)), Sequence((4, 6))),
    "frames": Space.of(2, 3, 4),
    "frames and a token": Space.of(3, 2, 3, prefix=1),
}
"""Small spaces of every kind; each query of a pooled grid stands apart on the grid of the keys, and the reverse."""

_SEQUENCE = (
    "dense", "causal", "causal(offset=-1)", "causal(offset=2)", "self", "sliding(3)", "sliding(7)",
    "sliding(5, clamp=True)", "window(3)", "window(4, shift=1)", "window(4, shift=3)", "dilated(3, step=2)",
    "dilated(5, step=3)", "strided(1)", "strided(3)", "block(3)", "block(2, near=0)", "block(4, near=2)",
    "global_tokens(1)", "global_tokens(3)", "random(2, of=3, seed=4)", "random(1, of=1)",
    "random(1, of=2, per_head=True)", "flat(window(4, shift=2))", "flat(dilated(3, step=2))", "~self", "~causal",
    "dense - sliding(3)", "causal & sliding(5)", "causal & sliding(5) | self", "strided(3) | sliding(3)",
    "block(2, near=0) | global_tokens(2) | random(1, of=2)", "window(4) & window(4, shift=2)",
    "~(block(3) | strided(2))", "per_head([causal, sliding(3)])", "per_head([window(2), dense, self])",
    "causal - block(2, near=0) | self",
)
_GRID = (
    *_SEQUENCE, 'axial("row")', 'axial("col")', 'axial("row") | axial("col")', "window(2x3)", "window(2x3, shift=1x0)",
    "window(3, shift=2)", "sliding(3x1)", "sliding(5x3, clamp=True)", "dilated(3x1, step=2x1)", "prefix",
    "window(2) | prefix", "window(3, shift=1) | self", "sliding(3) | prefix | global_tokens(2)",
    "flat(window(4, shift=2)) | prefix", "~(window(2) | prefix)", 'axial("row") - window(2) | prefix',
    "per_head([window(2), window(2, shift=1)]) | prefix", 'per_head([axial("row"), axial("col")]) | self',
    "flat(sliding(5)) & window(3)", "causal & (window(3) | prefix)",
)
_FRAMES = (
    "dense", "causal", "window(2)", "window(1x2x2, shift=0x1x1)", 'axial("time")', 'axial("row")', 'axial("col")',
    'axial("time") | axial("row") | axial("col")', "sliding(3)", "sliding(3x1x3, clamp=True)", "dilated(3, step=2)",
    "strided(4)", "block(4)", "random(1, of=4)", "~sliding(3)", "flat(sliding(5)) | prefix",
)


def named(space: Space) -> tuple[str, ...]:
    """Patterns of the language that mean something on a space, as text; grouped and joined ones among them."""
    return {1: _SEQUENCE, 2: _GRID, 3: _FRAMES}[len(space.queries.grid)]


@lru_cache(2048)
def pattern_of(text: str, above: str = "") -> Pattern:
    """The value that `over=` takes: `text` as the language reads it, below the definitions of `above`."""
    unit = load_text(f"{above}\nnetwork N(over: pattern = {text}):\n    input x: B 4 8\n    x * 1\n", "case.arch")
    found: Any = build(unit).settings["over"]
    return found


@lru_cache(32)  # one is as large as the square of the positions
def seen(p: Pattern, space: Space, head: int = 0) -> frozenset[tuple[int, int]]:
    """The (query, key) pairs of one head, by asking each."""
    queries, keys = range(space.queries.size), range(space.keys.size)
    return frozenset((q, k) for q in queries for k in keys if p.holds(q, k, space, head))


# ------------------------------------------------------------------------------------------------------ user predicates


def predicates(count: int, rank: int, seed: int = 0, heads: bool = True) -> list[str]:
    """Definitions of patterns called `drawn`, for grids of `rank` axes: no two alike, the same for the same seed.

    They are arithmetic over the fields of q and k (also of `is_prefix`, and of `head` unless `heads` is False), names
    on lines of their own, conditions, choices, other patterns, several `allow`. None divides by what may be zero.
    """
    draw, found = Random(f"{seed} {rank}"), dict[str, None]()
    while len(found) < count:
        found[_Draw(draw, rank, heads).definition()] = None
    return list(found)


def user_cases(count: int = 500) -> list[tuple[str, str]]:
    """So many user predicates, each with the name of a space of `SPACES`, all spaces in turn."""
    places = list(SPACES)
    drawn = {rank: iter(predicates(count, rank, seed=rank)) for rank in (1, 2, 3)}
    return [(next(drawn[len(SPACES[w].queries.grid)]), w) for w in (places[i % len(places)] for i in range(count))]


class _Draw:
    """One pattern in the making."""

    def __init__(self, random: Random, rank: int, heads: bool) -> None:
        self.random = random
        self.heads = heads
        self.fields = {1: ("index",), 2: ("row", "col", "index"), 3: ("frame", "row", "col", "index")}[rank]
        self.lengths = ("height", "width") if rank > 1 else ()
        self.numbers: list[str] = []
        self.truths: list[str] = []

    def definition(self) -> str:
        """The text of the pattern."""
        lines = ["pattern drawn(n=3, far=2.5):"]
        for i in range(self.random.choice((0, 0, 1, 2))):
            if self.random.random() < 0.5:
                lines.append(f"    number{i} = {self.number(2)}")
                self.numbers.append(f"number{i}")
            else:
                lines.append(f"    truth{i} = {self.truth(1)}")
                self.truths.append(f"truth{i}")
        for _ in range(self.random.choice((1, 1, 1, 2))):
            lines.append(f"    allow {self.allowed()}")
        return "\n".join(lines) + "\n"

    def allowed(self) -> str:
        kind = self.random.random()
        if kind < 0.8:
            return self.truth(2)
        if kind < 0.9:
            return f"{self.pattern()} if ({self.truth(1)}) else {self.pattern()}"
        return self.pattern()

    def pattern(self) -> str:
        patterns = ("self", "causal", "window(2)", "sliding(n)", "strided(n)", "block(2)", "~self | prefix")
        return self.random.choice(patterns)

    def truth(self, depth: int) -> str:
        draw = self.random.random()
        if depth == 0 or draw < 0.5:
            return self.comparison(max(depth, 1))
        if draw < 0.8:
            word = self.random.choice(("and", "or"))
            return f"({self.truth(depth - 1)}) {word} ({self.truth(depth - 1)})"
        if draw < 0.88:
            return f"not ({self.truth(depth - 1)})"
        if draw < 0.93:
            return f"({self.truth(depth - 1)}) if ({self.truth(0)}) else ({self.truth(depth - 1)})"
        if self.truths and draw < 0.97:
            return self.random.choice(self.truths)
        return self.random.choice(("q", "k")) + ".is_prefix"

    def comparison(self, depth: int) -> str:
        sign = self.random.choice(("<=", "<", "==", ">=", ">", "!=", "<=", "=="))
        right = self.random.choice(("0", "1", "n", "far", str(self.random.randint(2, 9)), self.number(0)))
        return f"{self.number(depth)} {sign} {right}"

    def number(self, depth: int) -> str:
        draw, n = self.random.random(), self.random.randint(2, 5)
        if depth == 0:
            return self.atom()
        if draw < 0.35:
            field = self.random.choice(self.fields)
            return f"abs(q.{field} - k.{field})" if self.random.random() < 0.6 else f"(q.{field} - k.{field})"
        inner = self.number(depth - 1)
        if draw < 0.55:
            return f"({inner} {self.random.choice('+-')} {self.number(depth - 1)})"
        if draw < 0.65:
            return f"({inner} % {n})"
        if draw < 0.75:
            return f"({inner} // {n})"
        if draw < 0.81:
            return f"({inner} * {self.random.choice(('-1', '2', 'n', '0.5'))})"
        if draw < 0.86:
            return f"{self.random.choice(('min', 'max'))}({inner}, {self.number(depth - 1)})"
        if draw < 0.91:
            return f"({inner} ** 2)"
        if draw < 0.95:
            return f"sqrt(abs({inner}))"
        return f"({inner} / {n})"

    def atom(self) -> str:
        draw = self.random.random()
        if self.numbers and draw < 0.2:
            return self.random.choice(self.numbers)
        if self.lengths and draw < 0.25:
            return f"q.{self.random.choice(self.lengths)}"
        if self.heads and draw < 0.32:
            return "q.head"
        return f"{self.random.choice('qk')}.{self.random.choice(self.fields)}"
