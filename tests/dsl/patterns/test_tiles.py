"""Tiles of a set against every pair asked; arithmetic is asked of boxes, and of few pairs where it can be."""

from __future__ import annotations

import random

import pytest
from attention_cases import SPACES, pattern_of, seen, user_cases
from drawn_patterns import patterns, spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from ogive.dsl.patterns import Pattern, tiles
from ogive.dsl.patterns.count import empty_row, pairs, symmetric
from ogive.dsl.patterns.reach import reach
from ogive.dsl.patterns.space import Space
from ogive.dsl.patterns.tiles import TooMuch, by_offset, kind, row_bits, tile_bits


def right(p: Pattern, space: Space, queries: range, keys: range, head: int, pairs: frozenset[tuple[int, int]]) -> None:
    wanted = {(q, k) for q, k in pairs if q in queries and k in keys}
    rows = tile_bits(p, space, queries, keys, head)
    found = {(q, keys[j]) for q, row in zip(queries, rows, strict=True) for j in range(len(keys)) if row >> j & 1}
    assert found == wanted, (str(p), space, queries, keys)
    name = "empty" if not wanted else "full" if len(wanted) == len(queries) * len(keys) else "partial"
    assert kind(p, space, queries, keys, head) == name


def some(draw: random.Random, size: int) -> range:
    first = draw.randrange(size)
    return range(first, draw.randint(first + 1, size))


@settings(max_examples=80, deadline=None)
@given(patterns(), spaces(), st.integers(0, 2), st.integers(0, 1000))
def test_tiles_of_drawn_patterns(p: Pattern, space: Space, head: int, seed: int) -> None:
    draw = random.Random(seed)
    pairs = seen(p, space, head)
    for _ in range(3):
        right(p, space, some(draw, space.queries.size), some(draw, space.keys.size), head, pairs)


@pytest.mark.parametrize("start", range(0, 500, 100))
def test_tiles_of_500_predicates(start: int) -> None:
    for i, (text, where) in enumerate(user_cases(500)[start : start + 100]):
        draw, p, space = random.Random(i), pattern_of("drawn", text), SPACES[where]
        pairs = seen(p, space, i % 2)
        for _ in range(3):
            right(p, space, some(draw, space.queries.size), some(draw, space.keys.size), i % 2, pairs)


def test_what_goes_by_differences_is_asked_once_for_each_offset() -> None:
    """A disc on 128 x 128 has 268 million pairs and 65,025 offsets; its pairs are those of each offset."""
    p = pattern_of("disc", "pattern disc:\n    allow (q.row - k.row) ** 2 + (q.col - k.col) ** 2 <= 6\n")
    n, near = 128, range(-2, 3)
    space = Space.of(n, n)
    offsets = [(a, b) for a in near for b in near if a * a + b * b <= 6]
    assert pairs(p, space) == sum((n - abs(a)) * (n - abs(b)) for a, b in offsets)
    assert reach(p, (n, n), space) == (2, 2) and symmetric(p, Space.of(20, 20)) and empty_row(p, space) is None


@pytest.mark.parametrize(("allow", "by"), [
    ("abs(q.row - k.row) <= 1", True), ("q.row == k.row or q.col < k.col", True), ("k.index <= q.index", True),
    ("q.row - k.row == 1 if q.head % 2 == 0 else q.col == k.col", True), ("q.row + k.row <= 3", False),
    ("q.row - 1 <= k.row", False), ("q.row - k.col == 0", False), ("max(q.row, k.row) == 1", False),
    ("self if q.row == k.row else dense", False), ("q.row == 0", False),
])
def test_which_arithmetic_goes_by_differences(allow: str, by: bool) -> None:
    p, space = pattern_of("mine", f"pattern mine:\n    allow {allow}\n"), Space.of(4, 5, prefix=1)
    assert by_offset(p, space) is by
    for head in (0, 1):
        right(p, space, range(21), range(21), head, seen(p, space, head))


def test_boxes_are_decided_without_asking_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disc on 48 x 48 has 5.3 million pairs; a few for each place of its rim are asked."""
    disc = "(q.row - k.row) ** 2 + (q.col - k.col) ** 2 <= 16 + 0 * q.row"  # not by differences alone
    p = pattern_of("disc", f"pattern disc:\n    allow {disc}\n")
    space = Space.of(48, 48)
    asked = 0
    holds = type(p).holds

    def counted(self: Pattern, *args: object) -> bool:
        nonlocal asked
        asked += 1
        return bool(holds(self, *args))  # type: ignore[arg-type]

    monkeypatch.setattr(type(p), "holds", counted)
    rows = row_bits(p, space)
    assert not isinstance(rows, str)
    assert rows[24 * 48 + 24].bit_count() == 49 and rows[0].bit_count() == 17
    assert asked < space.size / 20
    assert kind(p, space, range(0, 48), range(10 * 48, 20 * 48)) == "empty"


def test_arithmetic_that_says_nothing_for_boxes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    p = pattern_of("odd", "pattern odd:\n    allow (q.index * 7 + k.index * 5) % 11 == 3\n")
    monkeypatch.setattr(tiles, "MOST_ASKED", 1000)
    monkeypatch.setattr(tiles._Budget.__init__, "__defaults__", (1000,))
    found = row_bits(p, Space.of(64))
    assert found == "`odd` would be asked of more than 1,000 pairs"
    with pytest.raises(TooMuch):
        kind(p, Space.of(64), range(64), range(64))
