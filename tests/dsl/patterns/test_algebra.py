"""Normal forms, counts, texts and bounds, each by example."""

from __future__ import annotations

import pytest

from ogive.dsl.dims import evaluate, symbol
from ogive.dsl.dims_text import show
from ogive.dsl.patterns.algebra import (
    Difference,
    Flat,
    Intersection,
    Pattern,
    PerHead,
    Union,
    leaves,
    weight,
)
from ogive.dsl.patterns.count import density, empty_row, pairs, symmetric
from ogive.dsl.patterns.named import (
    Axial,
    Block,
    Causal,
    Dense,
    GlobalTokens,
    Prefix,
    Random,
    Self,
    Sliding,
    Strided,
    Window,
)
from ogive.dsl.patterns.normal import NOTHING, heads_of, normal
from ogive.dsl.patterns.space import PatternError, Sequence, Space
from ogive.dsl.patterns.symbolic import formula
from ogive.dsl.types import Axis, Role, Segment


def seen(p: Pattern, space: Space, head: int = 0) -> set[tuple[int, int]]:
    """The pairs, asked one by one."""
    return {
        (q, k) for q in range(space.queries.size) for k in range(space.keys.size) if p.holds(q, k, space, head)
    }


@pytest.mark.parametrize(("written", "form"), [
    (Window(7) | Window(7), "window(7)"),
    (Window(7) | Dense(), "dense"),
    (Window(7) & Dense(), "window(7)"),
    (Window(7) | ~Window(7), "dense"),
    (Window(7) & ~Window(7), "~dense"),
    (Window(7) - Window(7), "~dense"),
    (~(Window(7) | Prefix()), "~prefix & ~window(7)"),
    (~(Window(7) & Causal()), "~causal | ~window(7)"),
    (~~Causal(), "causal"),
    (Prefix() | (Window(7) | Axial("row")), 'axial("row") | prefix | window(7)'),
    (Sliding(3) | Sliding(5), "sliding(5)"),
    (Sliding(3) & Sliding(5), "sliding(3)"),
    (Sliding(5) - Sliding(3), "~sliding(3) & sliding(5)"),
    (Sliding(3) - Sliding(5), "~dense"),
    (Window(4) | Sliding(7), "sliding(7)"),
    (Window(4) | Window(8), "window(8)"),
    (Window(4) | Window(6), "window(4) | window(6)"),
    (Strided(4) | Strided(8), "strided(4)"),
    (Block(4, 0) | Block(4, 2), "block(4, near=2)"),
    (GlobalTokens(2) | GlobalTokens(3), "global_tokens(3)"),
    (Causal(0) | Causal(2), "causal(offset=2)"),
    (Window(7) - Prefix(), "window(7)"),
    (Window(7) & Prefix(), "~dense"),
    (Window(7) | (Window(7) & Causal()), "window(7)"),
    (Window(7) & (Window(7) | Causal()), "window(7)"),
    (Flat(Block(4)), "block(4)"),
    (Flat(Flat(Sliding(3))), "flat(sliding(3))"),
    (Flat(Sliding(3) | Block(4)), "block(4) | flat(sliding(3))"),
    (Flat(~Sliding(3)), "flat(dense) & ~flat(sliding(3))"),
    (Flat(Prefix()), "~dense"),
    (PerHead((Causal(), Causal())), "causal"),
    (PerHead((Causal(), Dense(), Causal(), Dense())), "per_head([causal, dense])"),
    (PerHead((Causal(), Window(7))) | Prefix(), "per_head([causal | prefix, prefix | window(7)])"),
    (PerHead((Causal(), Dense())) & PerHead((Dense(), Causal())), "causal"),
    (PerHead((Causal(), PerHead((Dense(), Self())))), "per_head([causal, self])"),
])
def test_normal_forms(written: Pattern, form: str) -> None:
    assert str(normal(written)) == form


@pytest.mark.parametrize(("written", "space", "form"), [
    (Window(7) | Prefix(), Space.of(14, 14), "window(7)"),
    (Window(7) | Prefix(), Space.of(14, 14, prefix=1), "prefix | window(7)"),
    (Window(7, 3), Space.of(7, 7), "dense"),
    (Window(7, 3), Space.of(7, 7, prefix=1), "window(7)"),
    (Window(7, 3), Space.of(7, 14), "window(7, shift=3)"),
    (Window(7) | Self(), Space.of(14, 14), "window(7)"),
    (Window(7) | Self(), Space.of(14, 14, prefix=1), "self | window(7)"),
    (Causal(), Space.of(4), "causal(offset=0)"),
    (Causal(3), Space.of(4), "dense"),
    (Sliding(13), Space.of(7, 7), "dense"),
    (Sliding(11), Space.of(7, 7), "sliding(11)"),
    (Sliding(7, clamp=True), Space.of(7, 7), "dense"),
    (Flat(Sliding(3)), Space.of(9), "sliding(3)"),
    (Flat(Sliding(3)), Space.of(3, 3), "flat(sliding(3))"),
    (Block(4), Space.of(2, 4), "block(4)"),
    (Block(8), Space.of(2, 4), "dense"),
])
def test_a_space_says_more(written: Pattern, space: Space, form: str) -> None:
    assert seen(normal(written, space), space) == seen(written, space)
    assert str(normal(written, space)) == form


def test_the_figures_of_the_lectures() -> None:
    space = Space.of(56, 56)
    assert pairs(Dense(), space) == 9_834_496
    assert pairs(Window(7), space) == 153_664
    assert density(Window(7), space) == 1 / 64
    assert pairs(Window(7) | Prefix(), Space.of(14, 14, prefix=1)) == 4 * 49 * 49 + 197 + 196


@pytest.mark.parametrize(("p", "grid"), [
    (Window(7), (23, 30)), (Window(7, 3), (28, 21)), (Window(7, 3), (23, 30)), (Sliding(9), (600,)),
    (Sliding(5), (20, 30)), (Sliding(5, clamp=True), (20, 30)), (Axial("row"), (20, 30)), (Axial("col"), (20, 30)),
    (Block(64), (600,)), (Block(7, 2), (20, 30)), (Strided(24), (24, 24)), (GlobalTokens(40), (20, 30)),
    (Random(3, 16), (20, 30)), (Causal(), (600,)),
    (Axial("row") | Axial("col"), (24, 24)), (Strided(24) | Flat(Sliding(23)), (24, 24)),
    (Block(64) | GlobalTokens(128) | Random(3), (600,)),
], ids=str)
@pytest.mark.parametrize("extra", [None, Prefix(), Self()], ids=str)
def test_formulas_on_larger_grids(p: Pattern, grid: tuple[int, ...], extra: Pattern | None) -> None:
    space = Space.of(*grid) if extra is None else Space.of(*grid, prefix=2)
    p = p if extra is None else p | extra
    by_rows = sum(p.row(q, space).bit_count() for q in range(space.queries.size))
    assert pairs(p, space) == by_rows


def test_a_million_positions_are_counted_by_formula() -> None:
    space = Space.of(1024, 1024, prefix=1)
    assert pairs(Window(8) | Prefix(), space) == 1024 * 1024 * 64 + 2 * 1024 * 1024 + 1
    assert pairs(Axial("row") | Self(), space) == 1024**3 + 1
    assert empty_row(Window(8) | Prefix(), space) is None
    assert symmetric(Window(8, 4) | Axial("row") | Prefix(), space)
    with pytest.raises(PatternError, match=r"counted pair by pair; 1,048,577 queries times 1,048,577 keys"):
        pairs(Window(8) & Causal(), space)


def test_a_row_may_be_empty() -> None:
    assert empty_row(Window(7), Space.of(14, 14, prefix=1)) == 0
    assert empty_row(Window(7) | Prefix(), Space.of(14, 14, prefix=1)) is None
    assert empty_row(Causal(), Space(Sequence((5,)), Sequence((3,)))) == 0
    assert empty_row(Sliding(5) - Self(), Space.of(9)) is None
    assert empty_row(Sliding(1) - Self(), Space.of(9)) == 0
    assert empty_row(Causal() - Self(), Space.of(9)) == 0


# ------------------------------------------------------------------------------------------------------ structure, text


def test_unions_are_flat_however_they_are_written() -> None:
    a, b, c = Window(7), Causal(), Prefix()
    assert (a | b) | c == a | (b | c) == Union((a, b, c))
    assert (a & b) & c == a & (b & c) == Intersection((a, b, c))
    assert a | b != b | a and a - b - c == Difference(Difference(a, b), c)
    assert [str(x) for x in leaves((a | b) - c)] == ["window(7)", "causal", "prefix"]


@pytest.mark.parametrize(("p", "text"), [
    (Window(7) | Prefix() | Self(), "window(7) | prefix | self"),
    ((Window(7) | Prefix()) & Causal(), "(window(7) | prefix) & causal"),
    (Window(7) | Prefix() & Causal(), "window(7) | prefix & causal"),
    (Window(7) - Self() - Prefix(), "window(7) - self - prefix"),
    (Window(7) - (Self() - Prefix()), "window(7) - (self - prefix)"),
    (Window(7) - (Self() | Prefix()), "window(7) - (self | prefix)"),
    ((Window(7) & Self()) - Prefix(), "(window(7) & self) - prefix"),
    (Window(7) & Self() - Prefix(), "window(7) & self - prefix"),
    (~Window(7) | ~(Self() | Prefix()), "~window(7) | ~(self | prefix)"),
    (~~Self(), "~~self"), (~Self() - ~Prefix(), "~self - ~prefix"),
    (PerHead((Window(7) | Prefix(), ~Self())), "per_head([window(7) | prefix, ~self])"),
])
def test_brackets_stand_where_the_grammar_needs_them(p: Pattern, text: str) -> None:
    assert str(p) == text


def test_a_pattern_has_bounds() -> None:
    many: Pattern = Window(1)
    for n in range(2, 1_023):
        many = many | Window(n)
    assert weight(many) == (1_023, 2)
    with pytest.raises(PatternError, match="a pattern of more than 1,024 patterns"):
        many | Window(1_023) | Window(1_024)
    deep: Pattern = Self()
    for _ in range(47):
        deep = ~deep
    assert normal(deep) == NOTHING or str(normal(deep)) == "~self"
    with pytest.raises(PatternError, match="patterns stand at most 48 deep in each other"):
        _ = ~deep


def test_heads_repeat() -> None:
    assert heads_of(Window(7)) == 1
    assert heads_of(PerHead((Self(), Dense())) | PerHead((Self(), Dense(), Causal()))) == 6
    long: Pattern = PerHead(tuple(Window(n) for n in range(1, 32))) | PerHead(tuple(Window(n) for n in range(1, 38)))
    assert normal(long) == long
    assert len(normal(PerHead(tuple(Window(n) for n in range(1, 1_000)))).inner) == 999


# ----------------------------------------------------------------------------------------------------- symbolic counts

h, w, N, M = map(symbol, ("h", "w", "N", "M"))


def plain(size: object) -> Axis:
    return Axis(Role.POSITION, size)  # type: ignore[arg-type]


def gridded(*grid: object, prefix: int = 0) -> Axis:
    cells: object = 1
    for n in grid:
        cells = cells * n  # type: ignore[operator]
    segments = (*([Segment(prefix)] if prefix else []), Segment(cells, grid))  # type: ignore[arg-type]
    return Axis(Role.POSITION, prefix + cells, segments)  # type: ignore[operator]


@pytest.mark.parametrize(("p", "axis"), [
    (Dense(), gridded(7 * h, 14 * w)), (Causal(), gridded(7 * h, 14 * w)), (Causal(0), plain(N)),
    (Window(7), gridded(7 * h, 14 * w)), (Window(7) | Prefix(), gridded(7 * h, 14 * w, prefix=1)),
    (Window(7) | Self(), gridded(7 * h, 14 * w, prefix=2)),
    (Window(5) | Prefix() | Self(), gridded(5 * h, 5, prefix=1)),
    (~Window(7), gridded(7 * h, 7 * w)), (Window(7), gridded(23, 14 * w)), (Axial("row"), gridded(h, w)),
    (Axial("col") | Prefix(), gridded(h, w, prefix=1)), (Strided(6), gridded(2 * h, 3 * w)),
    (Block(4, 0), plain(4 * N)), (Block(4), plain(4 * N)),
    (Sliding(3), gridded(5, 6)), (Prefix(), gridded(h, w, prefix=3)), (Self(), plain(N)),
    (Axial("time"), gridded(h, w, N)), (Window((1, 7)), gridded(h, 7 * w)), (Causal() - Prefix(), gridded(h, w)),
], ids=str)
def test_symbolic_counts_are_counts(p: Pattern, axis: Axis) -> None:
    found = formula(p, axis, axis)
    if str(p) == "causal - prefix":
        assert found is None
        return
    assert found is not None
    for values in ({"h": 1, "w": 1, "N": 1}, {"h": 2, "w": 1, "N": 3}, {"h": 3, "w": 2, "N": 2}):
        numbers = tuple(evaluate(n, values) for n in axis.grid or (axis.size,))
        space = Space.of(*numbers, prefix=axis.prefix if isinstance(axis.prefix, int) else 0)
        assert evaluate(found, values) == sum(p.row(q, space).bit_count() for q in range(space.queries.size)), values


def test_symbolic_counts_in_words() -> None:
    assert show(formula(Dense(), plain(N), plain(M)) or 0) == "M*N"
    assert show(formula(Window(7), gridded(7 * h, 7 * w), gridded(7 * h, 7 * w)) or 0) == "2401*h*w"
    assert evaluate(formula(Causal(), plain(N), plain(N)) or 0, {"N": 9}) == 45
    for p in (Window(7), Window(7, 3), Sliding(3), GlobalTokens(3), Strided(3), Block(7, 2), Random(3)):
        assert formula(p, gridded(h, w), gridded(h, w)) is None
    assert formula(PerHead((Dense(), Causal())), plain(N), plain(N)) is None
    assert formula(Window(7), plain(7 * N), plain(M)) is None


