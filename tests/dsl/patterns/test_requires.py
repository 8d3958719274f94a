"""What patterns need of the tokens they are used on, word for word; and that what passes has a meaning."""

from __future__ import annotations

import pytest

from ogive.dsl import syntax as s
from ogive.dsl.dims import Dim, symbol
from ogive.dsl.parse import parse
from ogive.dsl.patterns.algebra import Flat, Pattern, PerHead
from ogive.dsl.patterns.definitions import Definition
from ogive.dsl.patterns.mechanisms import Linformer, Mixed
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
from ogive.dsl.patterns.names import Over
from ogive.dsl.patterns.requires import check, settles
from ogive.dsl.patterns.space import Space
from ogive.dsl.source import Source
from ogive.dsl.types import Axis, Role, Segment

h, w, N = map(symbol, "hwN")


def tokens(*grid: Dim, cls: int = 0, lost: str = "") -> Axis:
    cells: Dim = 1
    for n in grid:
        cells = n * cells
    segments = (*([Segment(cls, (), "cls_token")] if cls else []), Segment(cells, grid, "patch_embed"))
    return Axis(Role.POSITION, cells + cls, segments, lost)


def plain(n: Dim, lost: str = "") -> Axis:
    return Axis(Role.POSITION, n, (), lost)


def user(text: str) -> Pattern:
    (node,) = parse(Source("p.arch", text)).definitions
    assert isinstance(node, s.Pattern)
    return Definition(node).make()


KNIGHT = user("pattern knight:\n    allow abs(q.row - k.row) * abs(q.col - k.col) == 2\n")
NEXT = user("pattern next_one:\n    allow k.index == q.index + 1\n")
SPOKEN = user("pattern spoken:\n    allow q.is_prefix or q.row == k.row\n")
STILL = user("pattern still:\n    allow q.frame == k.frame\n")
JOIN = "`{} | prefix`: they see all and are seen by all; `| self`: they see only themselves"
GRID = "name the grid of the tokens, as in `: B (h w) C`, or make one with `patchify` or `to_tokens`"


@pytest.mark.parametrize(("over", "axis", "title", "help", "notes"), [
    (Window(7), tokens(14, 14, cls=1), "`window(7)` is about the grid, and says nothing of the tokens beside it",
     JOIN.format("window(7)"), ("outside the grid: 1 (cls_token)",)),
    (Window(7) | Axial("row"), tokens(14, 14, cls=1),
     '`window(7) | axial("row")` is about the grid, and says nothing of the tokens beside it',
     JOIN.format('window(7) | axial("row")'), ("outside the grid: 1 (cls_token)",)),
    (Block(16) | Random(3), tokens(h, w, cls=2),
     "`block(16) | random(3, of=64)` is about the grid, and says nothing of the tokens beside it",
     JOIN.format("block(16) | random(3, of=64)"), ("outside the grid: 2 (cls_token)",)),
    (KNIGHT, tokens(14, 14, cls=1), "`knight` is about the grid, and says nothing of the tokens beside it",
     JOIN.format("knight"), ("outside the grid: 1 (cls_token)",)),
    (Window((7, 7)), plain(196), "`window(7x7)` needs a grid, and these tokens are a plain sequence of 196", GRID, ()),
    (Axial("row") | Prefix(), plain(N), '`axial("row")` needs a grid, and these tokens are a plain sequence of N', GRID,
     ()),
    (KNIGHT, plain(196), "`knight` needs a grid, and these tokens are a plain sequence of 196", GRID, ()),
    (Axial("time"), tokens(14, 14), '`axial("time")` needs the axis `frame`, and the grid is 14 x 14',
     "its axes are `row` and `col`", ()),
    (STILL, tokens(14, 14), "`still` needs the axis `frame`, and the grid is 14 x 14",
     "its axes are `row` and `col`", ()),
    (Sliding((3, 3)), tokens(4, h, w), "`sliding(3x3)` names 2 axes, and the grid has 3: 4 x h x w",
     "one number is that many along every axis", ()),
    (Window(7, (3, 3, 3)), tokens(14, 14), "`window(7, shift=3x3x3)` names 3 axes, and the grid has 2: 14 x 14",
     "one number is that many along every axis", ()),
    (Window(7), plain(196, lost="blocks.0.mixed"), "`window(7)` needs the grid of its tokens, and these have lost it",
     "use it above that line, or make the grid anew; `flat(window(7))` runs along the sequence",
     ("the grid was lost at `blocks.0.mixed`",)),
    (Axial("row"), plain(196, lost="y"), '`axial("row")` needs the grid of its tokens, and these have lost it',
     "use it above that line, or make the grid anew", ("the grid was lost at `y`",)),
    (Window(7), Axis(Role.POSITION, 8, (Segment(4, (2, 2)), Segment(4, (2, 2)))),
     "`window(7)` needs one grid; these positions hold several", "`take(node)` picks the positions that one node made",
     ()),
])
def test_what_does_not_go_together(
    over: Pattern, axis: Axis, title: str, help: str, notes: tuple[str, ...]
) -> None:
    problem = check(over, axis, axis)
    assert problem is not None
    assert (problem.title, problem.help, problem.notes) == (title, help, notes)


@pytest.mark.parametrize(("over", "axis"), [
    (Dense(), tokens(14, 14, cls=1)), (Causal(), tokens(14, 14, cls=1)), (Self(), tokens(14, 14, cls=1)),
    (Window(7) | Prefix(), tokens(14, 14, cls=1)), (Window(7) | Self(), tokens(14, 14, cls=1)),
    (Window(7) | Causal(), tokens(14, 14, cls=1)), (Dense() - Window(7), tokens(14, 14, cls=1)),
    (~Window(7), tokens(14, 14, cls=1)), ((Window(7) | Prefix()) & Causal(), tokens(14, 14, cls=1)),
    (KNIGHT | Prefix(), tokens(14, 14, cls=1)), (SPOKEN, tokens(14, 14, cls=1)), (Window(7), tokens(14, 14)),
    (Window(7), plain(196)), (Sliding(257), plain(N)), (Dilated(7, 2), plain(N)), (NEXT, plain(N)),
    (Flat(Sliding(3)) | Self(), tokens(14, 14, cls=1)), (Flat(Window(7)), plain(196, lost="y")),
    (Strided(8), plain(196, lost="y")), (Block(64) | GlobalTokens(2) | Random(3), plain(N)),
    (PerHead((Window(7), KNIGHT)), tokens(14, 14)), (Linformer(64), tokens(14, 14, cls=1)),
    (Axial("time") | Prefix(), tokens(4, h, w, cls=1)), (STILL, tokens(4, 2, 2)),
])
def test_what_goes_together(over: Over, axis: Axis) -> None:
    assert check(over, axis, axis) is None
    space = Space.between(axis, axis)
    if space is not None and isinstance(over, Pattern):
        over.row(0, space)


def test_two_sequences() -> None:
    text, image, pooled = plain(10), tokens(14, 14), tokens(7, 7, cls=1)
    assert check(Dense(), text, image) is None and check(Causal(), text, image) is None
    assert check(Sliding(3) | Prefix(), pooled, image) is None and check(Sliding(3), image, tokens(7, 14)) is None
    assert check(Sliding(3), tokens(h, w), tokens(2 * h, 2 * w)) is None
    problem = check(Sliding(3), text, image)
    assert problem is not None and problem.title == (
        "`sliding(3)` compares places, and queries on 10 and keys on 14 x 14 do not stand on one grid"
    )
    assert check(Strided(3), plain(98), image) is None
    problem = check(Strided(3), text, image)
    assert problem is not None and problem.title == (
        "`strided(3)` compares places, and queries on 10 and keys on 196 do not stand on one grid"
    )
    assert problem.help == (
        "along each axis the larger is a whole multiple of the smaller; `dense` and `causal` take any sequences"
    )
    problem = check(Self(), plain(3), plain(7))
    assert problem is not None and problem.title.startswith("`self` compares places")


def test_heads_go_through_a_list_evenly() -> None:
    over, axis = PerHead((Window(7), Dense(), Causal())), tokens(14, 14)
    assert check(over, axis, axis, heads=6) is None and check(over, axis, axis) is None
    for wrong in (over, over | Prefix(), Mixed((Window(7), Linformer(3), Dense()))):
        problem = check(wrong, axis, axis, heads=4)
        assert problem is not None and problem.title == "`per_head` lists 3 patterns for 4 heads"
    problem = check(Mixed((Window(7), Linformer(3))), tokens(14, 14, cls=1), tokens(14, 14, cls=1), heads=4)
    assert problem is not None and problem.title.startswith("`window(7)` is about the grid")


def test_saying_the_same_in_two_ways_settles_the_same() -> None:
    a, b = Window(7), Axial("row")
    assert settles(~(a | b)) == settles(~a & ~b) is True
    assert settles(~(a & b)) == settles(~a | ~b) is True
    assert settles(~~a) == settles(a) is False
    assert settles(a - b) == settles(a & ~b) is False
    assert settles(Dense() - a) == settles(~a) is True
    assert settles(~(Dense() - a)) == settles(a) is False
