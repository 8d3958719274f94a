"""The laws of the algebra on random patterns and small grids: sets, normal forms, counts against counting."""

from __future__ import annotations

import pytest
from drawn_patterns import leaves, patterns, seen, spaces
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ogive.dsl.patterns.algebra import Complement, Difference, Flat, Pattern, PerHead
from ogive.dsl.patterns.count import density, empty_row, pairs, same, symmetric
from ogive.dsl.patterns.named import (
    Dense,
)
from ogive.dsl.patterns.normal import includes, normal
from ogive.dsl.patterns.space import Space
from ogive.dsl.patterns.symbolic import formula
from ogive.dsl.types import Axis, Role, Segment

EVERYTHING = Dense()


@given(patterns(), patterns(), spaces(), st.integers(0, 3))
def test_joining_is_joining_of_sets(p: Pattern, q: Pattern, space: Space, head: int) -> None:
    a, b, everything = seen(p, space, head), seen(q, space, head), seen(EVERYTHING, space)
    assert seen(p | q, space, head) == a | b
    assert seen(p & q, space, head) == a & b
    assert seen(p - q, space, head) == a - b
    assert seen(~p, space, head) == everything - a
    assert seen(PerHead((p, q)), space, head) == seen((p, q)[head % 2], space, head)


@given(patterns(), spaces(), st.integers(0, 3))
def test_rows_are_pairs(p: Pattern, space: Space, head: int) -> None:
    rows = [p.row(q, space, head) for q in range(space.queries.size)]
    found = {(q, k) for q, row in enumerate(rows) for k in range(space.keys.size) if row >> k & 1}
    assert found == seen(p, space, head)
    assert all(0 <= row < 1 << space.keys.size for row in rows)


@settings(max_examples=400)
@given(patterns(), spaces(), st.integers(0, 6))
def test_a_normal_form_holds_the_same_pairs(p: Pattern, space: Space, head: int) -> None:
    expected = seen(p, space, head)
    assert seen(normal(p), space, head) == expected
    assert seen(normal(p, space), space, head) == expected


@settings(max_examples=300)
@given(patterns(), spaces())
def test_a_normal_form_is_its_own(p: Pattern, space: Space) -> None:
    assert normal(normal(p)) == normal(p)
    assert normal(normal(p, space), space) == normal(p, space)


@given(patterns(heads=False))
def test_in_a_normal_form_complements_stand_on_single_patterns(p: Pattern) -> None:
    todo = [normal(p)]
    while todo:
        one = todo.pop()
        assert not isinstance(one, Difference)
        if isinstance(one, Complement):
            assert isinstance(one.pattern, Flat) or not one.pattern.inner
        todo += one.inner


@settings(max_examples=400)
@given(leaves(), leaves(), spaces())
def test_what_is_said_to_lie_in_another_does(p: Pattern, q: Pattern, space: Space) -> None:
    if includes(p, q):
        assert seen(q, space) <= seen(p, space)
    if includes(p, q, space):
        assert seen(q, space) <= seen(p, space)


@settings(max_examples=400)
@given(patterns(), spaces(), st.integers(0, 3))
def test_counts_are_counted(p: Pattern, space: Space, head: int) -> None:
    found = seen(p, space, head)
    assert pairs(p, space, head) == len(found)
    rows = {q for q, _ in found}
    assert empty_row(p, space, head) == next((q for q in range(space.queries.size) if q not in rows), None)
    assert symmetric(p, space, head) == (space.square and found == {(k, q) for q, k in found})


@given(patterns(), patterns(), spaces())
def test_sameness_is_of_the_sets(p: Pattern, q: Pattern, space: Space) -> None:
    heads = range(4)
    assert same(p, q, space, 4) == all(seen(p, space, h) == seen(q, space, h) for h in heads)
    assert same(p, p | p, space) and same(p, ~~p, space)


@given(patterns(), spaces())
def test_density_is_the_mean_over_the_heads(p: Pattern, space: Space) -> None:
    counts = [len(seen(p, space, head)) for head in range(6)]
    assert density(p, space, 6) == pytest.approx(sum(counts) / 6 / space.size)




def gridded(*grid: object, prefix: int = 0) -> Axis:
    cells: object = 1
    for n in grid:
        cells = cells * n  # type: ignore[operator]
    segments = (*([Segment(prefix)] if prefix else []), Segment(cells, grid))  # type: ignore[arg-type]
    return Axis(Role.POSITION, prefix + cells, segments)  # type: ignore[operator]


@given(patterns(heads=False), spaces())
def test_formula_is_exact_where_sizes_are_known(p: Pattern, space: Space) -> None:
    assume(not space.queries.suffix and not space.keys.suffix)
    axes = [gridded(*s.grid, prefix=s.prefix) for s in (space.queries, space.keys)]
    assert formula(p, axes[0], axes[1]) == len(seen(p, space))
