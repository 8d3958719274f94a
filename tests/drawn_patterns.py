"""Patterns, grids and sequences drawn at random, and the set of a pattern: every pair asked."""

from __future__ import annotations

from hypothesis import strategies as st

from ogive.dsl.patterns.algebra import Complement, Difference, Flat, Intersection, Pattern, PerHead, Union
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
from ogive.dsl.patterns.space import Sequence, Space

__all__ = ["leaves", "patterns", "seen", "spaces"]

small = st.integers(1, 5)
odd = st.sampled_from([1, 3, 5, 7])


@st.composite
def windows(draw: st.DrawFn) -> Window:
    n = draw(small)
    return Window(n, draw(st.integers(0, n - 1)))


def leaves(grid: bool = True) -> st.SearchStrategy[Pattern]:
    """Patterns with a name; those that need rows and columns only on a grid."""
    anywhere: list[st.SearchStrategy[Pattern]] = [
        st.just(Dense()), st.just(Self()), st.just(Prefix()), st.builds(Causal, st.none() | st.integers(-4, 4)),
        windows(), st.builds(Sliding, odd, st.booleans()), st.builds(Strided, small), st.builds(Dilated, odd, small),
        st.builds(Block, small, st.integers(0, 2)), st.builds(GlobalTokens, small),
        st.builds(Random, st.integers(1, 3), small, st.integers(0, 3), st.booleans()),
    ]
    return st.one_of(*anywhere, *([st.builds(Axial, st.sampled_from(["row", "col"]))] if grid else []))


def patterns(grid: bool = True, heads: bool = True) -> st.SearchStrategy[Pattern]:
    """Patterns joined from patterns; `flat` only over what stands on a sequence."""
    flat = st.builds(Flat, leaves(grid=False))

    def joined(inner: st.SearchStrategy[Pattern]) -> st.SearchStrategy[Pattern]:
        parts = st.lists(inner, min_size=2, max_size=3).map(tuple)
        kinds: list[st.SearchStrategy[Pattern]] = [
            st.builds(Union, parts), st.builds(Intersection, parts), st.builds(Difference, inner, inner),
            st.builds(Complement, inner),
        ]
        return st.one_of(*kinds, *([st.builds(PerHead, parts)] if heads else []))

    return st.recursive(leaves(grid) | flat, joined, max_leaves=6)


grids = st.tuples(st.integers(1, 5), st.integers(1, 5))


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Self-attention on a small grid, or attention between grids that differ by a factor; tokens outside or not."""
    h, w = draw(grids)
    queries = Sequence((h, w), draw(st.integers(0, 2)), draw(st.integers(0, 1)))
    if draw(st.booleans()):
        return Space(queries, queries)
    a, b = draw(st.sampled_from([(1, 1), (2, 2), (1, 2)]))
    keys = Sequence((h * a, w * b), draw(st.integers(0, 2)))
    return Space(queries, keys) if draw(st.booleans()) else Space(keys, queries)


def seen(p: Pattern, space: Space, head: int = 0) -> set[tuple[int, int]]:
    """The pairs, asked one by one."""
    return {
        (q, k) for q in range(space.queries.size) for k in range(space.keys.size) if p.holds(q, k, space, head)
    }
