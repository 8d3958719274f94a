"""Parts of a set are disjoint and make up the set, whichever way is taken: against every pair asked."""

from __future__ import annotations

import pytest
from drawn_patterns import patterns, seen, spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from ogive.dsl.patterns import Pattern
from ogive.dsl.patterns.algebra import PerHead
from ogive.dsl.patterns.costs import PROCESSOR
from ogive.dsl.patterns.count import density, pairs
from ogive.dsl.patterns.named import (
    Axial,
    Block,
    Causal,
    Dense,
    Dilated,
    GlobalTokens,
    Prefix,
    Random,
    Self,
    Sliding,
    Strided,
    Window,
)
from ogive.dsl.patterns.normal import NOTHING, normal, of_head
from ogive.dsl.patterns.part import ALL, Band, Part, Strides
from ogive.dsl.patterns.parts import WAYS, parts, plan
from ogive.dsl.patterns.space import Sequence, Space

HEADS = 3


def held(made: list[Part], wanted: set[tuple[int, int]], what: object) -> None:
    found = [pair for part in made for pair in part]
    assert len(found) == len(set(found)), (what, "a pair in two parts")
    assert set(found) == wanted, (what, sorted(set(found) ^ wanted)[:9])
    assert sum(part.pairs for part in made) == len(wanted), what


@settings(max_examples=40, deadline=None)
@given(patterns(), spaces())
def test_parts_make_up_the_set(p: Pattern, space: Space) -> None:
    made = parts(p, space, HEADS)
    for head in range(HEADS):
        held([part for part in made if head in part.heads], seen(p, space, head), (str(p), space, head))


@settings(max_examples=40, deadline=None)
@given(patterns(heads=False), spaces(), st.integers(1, 5))
def test_every_way_makes_up_the_set(p: Pattern, space: Space, entries: int) -> None:
    form, wanted = normal(of_head(p, 0), space), seen(p, space)
    if form == NOTHING:
        assert not wanted
        return
    for name, way in WAYS:
        made = way(form, space, 0, PROCESSOR)
        if not isinstance(made, str):
            held(made, wanted, (name, str(p), space))
            few = [piece for part in made for piece in part.split(entries)]
            assert all(piece.batch <= entries for piece in few)
            held(few, wanted, (name, "split", str(p), space))


GRID, TOKENS, LINE = Space.of(21, 14), Space.of(21, 14, prefix=1), Space.of(197)
POOLED = Space(Sequence((10, 7), 1), Sequence((20, 21), 1))
NAMED: list[tuple[Pattern, Space]] = [
    *[(p, s) for s in (GRID, TOKENS, LINE) for p in (
        Dense(), Self(), Window(7), Window(7, 3), Window(8, 4), Sliding(9), Sliding(9, True), Dilated(5, 3),
        Strided(14), Block(16), Block(16, 0), GlobalTokens(5), Random(2, 16), Random(3, 1, 7), Causal(),
    )],
    *[(p, s) for s in (GRID, TOKENS) for p in (
        Axial("row"), Axial("col"), Axial("row") | Axial("col"), Window(7) | Prefix(), Window(7, 3) | Self(),
        Axial("col") | Prefix() | Self(), Sliding(5) & Window(7), Causal() & Sliding(9), ~Window(7),
    )],
    (Block(16) | GlobalTokens(32) | Random(3, 16), LINE), (Strided(14) | Sliding(13), LINE),
    (Causal(5), LINE), (Causal(-5), LINE), (Causal() & Sliding(33), LINE),
    (Causal(), Space(Sequence((5,)), Sequence((40,)))),
    (Window(4), POOLED), (Sliding(3), POOLED), (Sliding(3) | Prefix(), POOLED), (Strided(3), POOLED),
    (PerHead((Window(7), Axial("row"))), GRID), (Window(2), Space.of(4, 6, 5)), (Axial("time"), Space.of(4, 6, 5)),
]


@pytest.mark.parametrize(("p", "space"), [
    pytest.param(*case, marks=[pytest.mark.long] if case[1] == TOKENS or i % 2 else []) for i, case in enumerate(NAMED)
], ids=lambda x: str(x) if isinstance(x, Pattern) else "")
def test_named_patterns(p: Pattern, space: Space) -> None:
    made = parts(p, space, 2)
    for head in range(2):
        held([part for part in made if head in part.heads], seen(p, space, head), str(p))
    share = sum(len(part.heads) * part.pairs for part in made) / (2 * space.size)
    assert share == pytest.approx(density(p, space, 2), abs=1e-12)


# ------------------------------------------------------------------------------------------------- what the parts are


def shapes(p: Pattern, space: Space) -> list[tuple[int, int, int]]:
    return sorted((part.batch, part.q.count, part.k.count) for part in parts(p, space))


def test_windows_are_a_batch_and_leave_nothing_out() -> None:
    (part,) = parts(Window(7), Space.of(56, 56))
    assert (part.batch, part.q.count, part.k.count, part.keep) == (64, 49, 49, ALL)
    assert all(isinstance(piece, Strides) for index in (part.q, part.k) for piece in index.pieces)
    (alone,) = parts(Block(49, 0), Space.of(3136))
    assert alone.q.is_view and alone.k.is_view and not part.q.is_view


def test_shifted_windows_come_as_classes() -> None:
    """Inside, at each border, in each corner: no mask."""
    made = parts(Window(7, 3), Space.of(56, 56))
    assert all(part.keep == ALL for part in made)
    assert shapes(Window(7, 3), Space.of(56, 56)) == sorted(
        [(a * b, n * m, n * m) for a, n in ((1, 3), (7, 7), (1, 4)) for b, m in ((1, 3), (7, 7), (1, 4))]
    )
    assert shapes(Window(7), Space.of(38, 7)) == [(1, 21, 21), (5, 49, 49)], "the last windows are smaller"


def test_tokens_that_all_see_are_keys_of_every_entry() -> None:
    assert shapes(Window(7) | Prefix(), Space.of(14, 14, prefix=1)) == [(1, 1, 197), (4, 49, 50)]


def test_rows_and_columns_and_strides_are_batches() -> None:
    assert shapes(Axial("row"), Space.of(32, 24)) == [(32, 24, 24)]
    assert shapes(Axial("col"), Space.of(32, 24)) == [(24, 32, 32)]
    assert shapes(Strided(4), Space.of(256)) == [(4, 64, 64)]
    assert shapes(Axial("row") | Axial("col"), Space.of(40, 30)) == [(30, 40, 40), (40, 30, 30)]


def test_bands_are_told_by_two_numbers() -> None:
    (triangle,) = parts(Causal(), Space.of(50))
    assert triangle.keep == Band(None, 0)
    inner = max(parts(Sliding(129), Space.of(4096)), key=lambda part: part.batch)
    assert inner.keep == Band(0, 128) and inner.q.is_view and inner.k.is_view
    assert shapes(Causal(10), Space.of(500)) == [(1, 500, 10), (1, 500, 490)]
    assert shapes(Causal(-10), Space.of(500)) == [(1, 490, 490)]


def test_heads_that_see_alike_share_their_parts() -> None:
    made = parts(PerHead((Window(4), Dense(), Window(4))), Space.of(8, 8), 6)
    assert sorted(part.heads for part in made) == [(0, 2, 3, 5), (1, 4)]
    own = parts(Random(1, 4, 0, True), Space.of(64), 3)
    assert {part.heads for part in own} == {(0,), (1,), (2,)}


def test_every_way_that_is_not_taken_has_a_reason() -> None:
    found = plan(~Window(3), Space.of(9, 9))
    assert found.way == "a mask" or found.way == "lists of keys"
    assert {r.way for r in found.refused} | {found.way} == {name for name, _ in WAYS}
    assert "does not ask of each axis by itself" in next(r.reason for r in found.refused if r.way == "a batch")
    window = plan(Window(7), Space.of(56, 56), 8)
    assert window.way == "a batch" and window.work < window.dense / 10
    assert window.work == 8 * PROCESSOR(parts(Window(7), Space.of(56, 56)))


@pytest.mark.parametrize(("p", "most"), [
    (Sliding(257), 2.2), (Window(8), 1.0), (Axial("row") | Axial("col"), 1.1),
    (Block(64) | GlobalTokens(128) | Random(3), 1.0),
])
def test_little_is_looked_at_in_vain(p: Pattern, most: float) -> None:
    space = Space.of(64, 64) if isinstance(p, Window) or "axial" in str(p) else Space.of(4096)
    looked = sum(part.batch * part.q.count * part.k.count for part in parts(p, space))
    assert pairs(p, space) <= looked <= most * pairs(p, space)
