"""Patterns that a file defines: what they hold, how they compose, every mistake word for word, and what bounds them."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable

import pytest

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.parse import parse
from ogive.dsl.patterns.algebra import Flat, Pattern, PerHead
from ogive.dsl.patterns.count import density, pairs, same, symmetric
from ogive.dsl.patterns.definitions import Definition
from ogive.dsl.patterns.named import Axial, Causal, Dense, GlobalTokens, Prefix, Random, Self, Sliding, Strided, Window
from ogive.dsl.patterns.normal import normal
from ogive.dsl.patterns.space import PatternError, Sequence, Space
from ogive.dsl.patterns.user import User
from ogive.dsl.source import Source

CHESS = """
pattern knight(radius=2):
    dr = abs(q.row - k.row)
    dc = abs(q.col - k.col)
    allow dr * dc == radius or q.index == k.index

pattern disc(radius=4.0):
    allow (q.row - k.row) ** 2 + (q.col - k.col) ** 2 <= radius ** 2

pattern near_far(near=7, far=4):
    close = abs(q.row - k.row) <= near // 2 and abs(q.col - k.col) <= near // 2
    grid  = (q.row - k.row) % far == 0 and (q.col - k.col) % far == 0
    allow close if q.head % 2 == 0 else grid

pattern ring(inner=3.0, outer=6.0):
    allow disc(outer) - disc(inner)
"""


def defined(text: str) -> dict[str, Definition]:
    """The patterns of a text, each seeing the others."""
    found: dict[str, Definition] = {}
    for node in parse(Source("p.arch", text.lstrip("\n"))).definitions:
        assert isinstance(node, s.Pattern)
        found[node.name] = Definition(node, found.get, lambda: set(found))
    return found


def only(text: str) -> Definition:
    return list(defined(text).values())[-1]


def allowing(test: str, params: str = "") -> Definition:
    return only(f"pattern p{params}:\n    allow {test}\n")


Cell = tuple[int, int]


def on_grid(p: Pattern, rule: Callable[[Cell, Cell], bool], h: int, w: int, prefix: int = 0, head: int = 0) -> None:
    """`p` holds what `rule` says of (row, col), and nothing outside the grid."""
    space = Space.of(h, w, prefix=prefix)
    cells: list[Cell | None] = [None] * prefix + [(r, c) for r in range(h) for c in range(w)]
    for i, q in enumerate(cells):
        expected = [q is not None and k is not None and rule(q, k) for k in cells]
        assert [p.holds(i, j, space, head) for j in range(len(cells))] == expected
        assert p.row(i, space, head) == sum(1 << j for j, seen in enumerate(expected) if seen)


@pytest.mark.parametrize("prefix", [0, 1])
def test_patterns_of_the_sample(prefix: int) -> None:
    chess = defined(CHESS)
    on_grid(chess["knight"].make(), lambda q, k: abs(q[0] - k[0]) * abs(q[1] - k[1]) == 2 or q == k, 5, 6, prefix)
    on_grid(chess["disc"].make([2]), lambda q, k: (q[0] - k[0]) ** 2 + (q[1] - k[1]) ** 2 <= 4, 5, 6, prefix)
    near_far = chess["near_far"].make([3], {"far": 2})
    on_grid(near_far, lambda q, k: max(abs(q[0] - k[0]), abs(q[1] - k[1])) <= 1, 5, 6, prefix)
    on_grid(near_far, lambda q, k: (q[0] - k[0]) % 2 == (q[1] - k[1]) % 2 == 0, 5, 6, prefix, head=1)
    ring = chess["ring"].make([1, 2.5])
    on_grid(ring, lambda q, k: 1 < (q[0] - k[0]) ** 2 + (q[1] - k[1]) ** 2 <= 6.25, 5, 6, prefix)


def test_a_user_pattern_is_a_pattern() -> None:
    chess = defined(CHESS)
    knight, ring, space = chess["knight"].make(), chess["ring"].make(), Space.of(8, 8, prefix=1)
    assert pairs(knight, Space.of(8, 8)) == 336 + 64  # a knight's moves on a chess board, and staying
    assert pairs(knight | Prefix(), space) == 400 + 2 * 65 - 1
    assert symmetric(knight, space) and symmetric(ring | Prefix(), space)
    assert str(knight | Prefix()) == "knight | prefix" and str(chess["knight"].make([3])) == "knight(radius=3)"
    assert str(normal(ring)) == "~disc(radius=3.0) & disc(radius=6.0)"
    assert same(ring, chess["disc"].make([6]) - chess["disc"].make([3]), space)
    assert density(chess["near_far"].make(), Space.of(8, 8), heads=2) < 1


def test_equality_is_of_lines_settings_and_what_is_used() -> None:
    one, two = defined(CHESS), defined("# another file\n" + CHESS)
    assert one["knight"].make() == two["knight"].make([2.0]) and hash(one["ring"].make()) == hash(two["ring"].make())
    assert one["knight"].make() != one["knight"].make([3])
    other = defined(CHESS.replace("<= radius ** 2", "< radius ** 2"))
    assert other["ring"].make() != one["ring"].make() and other["knight"].make() == one["knight"].make()


@pytest.mark.parametrize(("test", "expected"), [
    ("window(3) | causal", Window(3) | Causal()),
    ("window(3, shift=1) & ~self", Window(3, 1) & ~Self()),
    ("window(2x3) - self - prefix", Window((2, 3)) - Self() - Prefix()),
    ('axial("row") | axial("col") | prefix', Axial("row") | Axial("col") | Prefix()),
    ("flat(sliding(3)) | global_tokens(2)", Flat(Sliding(3)) | GlobalTokens(2)),
    ("per_head([causal, dense | self])", PerHead((Causal(), Dense() | Self()))),
    ("random(2, of=4, seed=3, per_head=True)", Random(2, 4, 3, True)),
    ("window(3) if 2 > 1 else dense", Window(3)),
    ("strided(4 // 2)", Strided(2)), ("sliding(2 * 1.5)", Sliding(3)),
])
def test_patterns_of_the_language_inside(test: str, expected: Pattern) -> None:
    made = allowing(test).make()
    assert made.expanded == expected
    space = Space.of(3, 4, prefix=1)
    assert [made.row(q, space) for q in range(13)] == [expected.row(q, space) for q in range(13)]


@pytest.mark.parametrize("p", [
    Dense(), Causal(), Causal(-2), Self(), Prefix(), Window(7), Window(7, 3), Window((7, 14), (3, 0)), Sliding(5, True),
    Axial("time"), Strided(8), Random(3, 16, 5, True), Flat(Sliding((3, 5)) | Prefix()),
    (Window(7) | Prefix()) & Causal() - Self(), ~(Window(7) & ~Causal()) | Self(), Window(7) - (Self() - Prefix()),
    PerHead((Window(7) | Prefix(), ~~Self())), GlobalTokens(4) | (Strided(2) | Self()), (~Self() - ~Prefix()) & Dense(),
], ids=str)
def test_texts_are_read_back(p: Pattern) -> None:
    assert allowing(str(p)).make().expanded == p


@pytest.mark.parametrize(("test", "rule"), [
    ("q.height - 1 - q.row == k.row and q.col == k.col", lambda q, k: (2 - q[0], q[1]) == k),
    ("q.width == 4 and k.height == 3 and q.index >= 0", lambda q, k: True),
    ("max(abs(q.row - k.row), abs(q.col - k.col)) < 2", lambda q, k: max(abs(q[0] - k[0]), abs(q[1] - k[1])) < 2),
    ("not q.index > k.index", lambda q, k: q <= k),
    ("sqrt((q.row - k.row) ** 2 + (q.col - k.col) ** 2) <= sqrt(2)",
     lambda q, k: max(abs(q[0] - k[0]), abs(q[1] - k[1])) < 2),
    ("-q.row + 2 == k.row", lambda q, k: 2 - q[0] == k[0]),
    ("q.row / 2 == k.row", lambda q, k: q[0] == 2 * k[0]),
    ("q.row // 2 == k.row // 2 and ceil(q.col / 3) == ceil(k.col / 3)",
     lambda q, k: q[0] // 2 == k[0] // 2 and -(-q[1] // 3) == -(-k[1] // 3)),
    ("(q.row == k.row) == (q.col == k.col)", lambda q, k: (q[0] == k[0]) == (q[1] == k[1])),
    ("q.row / k.row > 1 if k.row != 0 else False", lambda q, k: k[0] != 0 and q[0] > k[0]),
    ("cos(2 * pi * (q.col - k.col) / 2) > 0", lambda q, k: (q[1] - k[1]) % 2 == 0),
])
def test_arithmetic(test: str, rule: Callable[[Cell, Cell], bool]) -> None:
    for prefix in (0, 2):
        on_grid(allowing(test).make(), rule, 3, 4, prefix)


def test_a_line_is_worked_out_only_when_it_is_asked_for() -> None:
    p = only("pattern p:\n    ratio = q.row / (k.row - 1)\n    allow k.row != 1 and ratio > 1\n").make()
    space = Space.of(4, 1)
    assert [p.holds(3, k, space) for k in range(4)] == [False, False, True, True]


def test_several_allows_are_a_union() -> None:
    p = only("pattern p(n=2):\n    allow q.row == k.row\n    allow window(n)\n    allow prefix\n").make()
    space = Space.of(4, 4, prefix=1)
    expected = Axial("row") | Window(2) | Prefix()
    assert [p.row(q, space) for q in range(17)] == [expected.row(q, space) for q in range(17)]
    assert [[p.holds(q, k, space) for k in range(17)] for q in range(17)] == [
        [expected.holds(q, k, space) for k in range(17)] for q in range(17)
    ]


def test_a_pattern_may_be_chosen_by_the_pair() -> None:
    p = allowing("window(2) if q.head % 2 == 0 else strided(3) | self").make()
    space = Space.of(4, 4, prefix=1)
    for head, expected in enumerate((Window(2), Strided(3) | Self())):
        assert [p.row(q, space, head) for q in range(17)] == [expected.row(q, space) for q in range(17)]
    assert isinstance(p, User) and p.expanded is p and not p.inside


def test_tokens_outside_the_grid() -> None:
    space = Space.of(2, 2, prefix=1)
    grid_only, spoken = allowing("q.row == k.row").make(), allowing("k.is_prefix or q.row == k.row").make()
    assert [grid_only.row(q, space) for q in range(5)] == [0, 0b00110, 0b00110, 0b11000, 0b11000]
    assert [spoken.row(q, space) for q in range(5)] == [1, 0b00111, 0b00111, 0b11001, 0b11001]
    negated = allowing("not q.is_prefix and not (q.row == k.row)").make()
    assert [negated.row(q, space) for q in range(5)] == [0, 0b11001, 0b11001, 0b00111, 0b00111]
    assert allowing("q.head == 1").make().row(0, space, head=1) == 0b11111
    assert allowing("True").make().row(0, space) == 0b11111


def test_grids_of_one_and_three_axes_and_pooled_ones() -> None:
    near = allowing("abs(q.index - k.index) <= 1").make()
    assert [near.row(q, Space.of(4)) for q in range(4)] == [0b0011, 0b0111, 0b1110, 0b1100]
    still = allowing("q.frame == k.frame").make()
    assert [still.row(q, Space.of(2, 1, 2)) for q in range(4)] == [0b0011, 0b0011, 0b1100, 0b1100]
    pooled = Space(Sequence((2, 2)), Sequence((4, 4)))
    own = allowing("q.row == k.row and q.col == k.col and q.width == 4").make()
    assert [own.row(q, pooled) for q in range(4)] == [1, 1 << 2, 1 << 8, 1 << 10]
    assert [own.row(q, pooled) for q in range(4)] == [Self().row(q, pooled) for q in range(4)]


def test_parameters_have_types() -> None:
    p = only("""
pattern p(a, b: float, c=True, d=1.5, over: pattern = window(2), size: size = 2x3, way: "row" | "col" = "row"):
    allow over | axial(way) | window(size)
    allow c and a + b + d > 100
""")
    assert p.constructor.signature == (
        'p(a: int, b: float, c: bool = True, d: float = 1.5, over: pattern = `window(2)`, size: size = 2x3, '
        'way: "row" | "col" = "row")'
    )
    made = p.make([3.0, 2], {"way": "col"})
    assert made.settings[:2] == (("a", 3), ("b", 2.0)) and str(made) == 'p(a=3, b=2.0, way="col")'
    assert p.check() == ()


@pytest.mark.parametrize(("positional", "keyword", "title", "setting", "help"), [
    ([], {}, "`p` needs `a`", "a", "`p(a: int, b: float = 1.0)`"),
    ([1, 2, 3], {}, "`p` takes 2 settings, here are 3", None, "`p(a: int, b: float = 1.0)`"),
    ([1], {"a": 2}, "`a` of `p` is given twice", "a", None),
    ([1], {"bb": 2}, "`p` has no setting `bb`", "bb", "did you mean `b`?"),
    ([1.5], {}, "`a` of `p` is a whole number; here is 1.5", "a", None),
    ([True], {}, "`a` of `p` is a whole number; here is True", "a", None),
    ([1, "x"], {}, '`b` of `p` is a number; here is "x"', "b", None),
    ([Dense()], {}, "`a` of `p` is a whole number; here is `dense`", "a", None),
])
def test_settings_that_do_not_fit(
    positional: list[object], keyword: dict[str, object], title: str, setting: str | None, help: str | None
) -> None:
    p = allowing("q.index <= k.index + a * b", "(a, b=1.0)")
    with pytest.raises(PatternError) as caught:
        p.make(positional, keyword)
    assert (caught.value.title, caught.value.setting, caught.value.help) == (title, setting, help)


# ------------------------------------------------------------------------------------------------------------ mistakes

MISTAKES = [
    ("allow q.rows == k.row", "A130", "a position has no `rows`", "rows", "did you mean `row`?"),
    ("allow q.x == k.row", "A130", "a position has no `x`", "x",
     "its fields: index, row, col, frame, is_prefix, head, height, width"),
    ("allow q == k", "A130", "`q` is a position; a pattern reads its fields", "q",
     "`q.index`, `q.row`, `q.col`, `q.frame`, `q.is_prefix`, `q.head`, `q.height`, `q.width`"),
    ("allow q.row - k.row", "A132", "`allow` takes a condition or a pattern; here is a whole number", "q.row - k.row",
     "compare it: `allow q.row - k.row <= 3`"),
    ('allow "row"', "A132", "`allow` takes a condition or a pattern; here is a string", '"row"',
     'compare it: `allow "row" <= 3`'),
    ("allow window()", "A133", "`window` needs `n`", "window()", "`window(n: size, shift: size = 0)`"),
    ("allow window(7, shft=3)", "A133", "`window` has no setting `shft`", "shft", "did you mean `shift`?"),
    ("allow window(7, shift=9)", "A133", "windows of 7 are shifted by less than that, here by 9", "9",
     "`window(7, shift=3)`: Swin shifts by half a window"),
    ("allow sliding(4)", "A133", "`sliding` needs an odd size, here is 4: a query stands in the middle", "4",
     "`sliding(3)` or `sliding(5)`"),
    ('allow axial("rows")', "A133", '`axis` of `axial` is "row" or "col" or "time"; here is "rows"', '"rows"', None),
    ("allow random(3, of=block(16))", "A133", "`of` of `random` is a whole number; here is `block(16)`", "block(16)",
     "`of=16`"),
    ("allow other()", "A133", "`other` needs `n`", "other()", "`other(n: int)`"),
    ("allow other(True)", "A133", "`n` of `other` is a whole number; here is True", "True", None),
    ("allow q.row + True == 1", "A134", "`+` takes numbers; here are a whole number and a condition", "q.row + True",
     None),
    ("allow (q.row == k.row) | (q.col == k.col)", "A134", "`|` joins patterns; here are a condition and a condition",
     "(q.row == k.row) | (q.col == k.col)", "conditions are joined with `and` and `or`"),
    ("allow window(7) and q.row == 1", "A134", "`and` joins conditions; here are a pattern and a condition",
     "window(7) and q.row == 1", "patterns are joined with `|` and `&`"),
    ("allow window(7) | q.row == 1", "A134", None, None, None),
    ("allow q.row and k.row", "A134", "`and` joins conditions; here are a whole number and a whole number",
     "q.row and k.row", "compare numbers first"),
    ("allow not q.row", "A134", "`not` takes a condition; here is a whole number", "not q.row", None),
    ("allow not window(7)", "A134", "`not` takes a condition; here is a pattern", "not window(7)",
     "`~` is everything but a pattern"),
    ("allow ~(q.row == 1)", "A134", "`~` takes a pattern; here is a condition", "~(q.row == 1)",
     "`not` turns a condition"),
    ("allow q.is_prefix < 1", "A134", "`<` compares numbers; here are a condition and a whole number",
     "q.is_prefix < 1", None),
    ("allow dense if q.row else causal", "A134", "`if` takes a condition; here is a whole number", "q.row", None),
    ("allow dense if q.row > 1 else True", "A134", "the two sides are a pattern and a condition",
     "dense if q.row > 1 else True", "both are numbers, or conditions, or patterns"),
    ("allow abs(q.row, 2) == 1", "A134", "`abs` takes 1 number, in order", "abs(q.row, 2)", None),
    ("allow min(q.row) == 1", "A134", "`min` takes 2 to 16 numbers, in order", "min(q.row)", None),
    ("allow abs(dense) == 1", "A134", "`abs` takes numbers; here is a pattern", "dense", None),
    ("allow [q.row] == 1", "A134", "a pattern is made of arithmetic over `q.` and `k.`, conditions and patterns",
     "[q.row]", "as in `allow abs(q.row - k.row) <= 3`"),
    ("allow ?", "A134", "a pattern is made of arithmetic over `q.` and `k.`, conditions and patterns", "?",
     "as in `allow abs(q.row - k.row) <= 3`"),
    ("allow radus == 1", "A135", "nothing here is called `radus`", "radus", "did you mean `radius`?"),
    ("allow windw(7)", "A135", "nothing here is called `windw`", "windw(7)", "did you mean `window`?"),
    ("allow row == 1", "A135", "`row` is a field of a position", "row", "`q.row` or `k.row`"),
    ("allow p(3)", "A136", "`p` is made of itself", "p(3)", "a pattern must end somewhere"),
    ("allow linformer(7)", "A138", "`linformer` is no set of pairs: it mixes the keys before any query sees them",
     "linformer(7)", "a mechanism stands alone in `over=`"),
    ("allow window(q.row)", "A138", "a setting of a pattern is the same for all pairs; here it depends on the pair",
     "q.row", "write the condition itself, without the pattern around it"),
    ("allow flat(dense if q.row > 1 else causal)", "A138",
     "a setting of a pattern is the same for all pairs; here it depends on the pair",
     "dense if q.row > 1 else causal", "write the condition itself, without the pattern around it"),
]


@pytest.mark.parametrize(("line", "code", "title", "place", "help"), MISTAKES, ids=[m[0] for m in MISTAKES])
@pytest.mark.parametrize("params", ["(radius=2)", "(radius)"], ids=["settings known", "settings unknown"])
def test_mistakes(line: str, code: str, title: str | None, place: str | None, help: str | None, params: str) -> None:
    p = only(f"pattern other(n):\n    allow q.index == n\n\npattern p{params}:\n    {line}\n")
    found = p.check()
    if params == "(radius)" and code == "A133":
        return  # settings have no values yet: seen where the pattern is used
    assert [d.code for d in found] == [code]
    if title is not None:
        assert (found[0].title, found[0].help) == (title, help)
        assert found[0].span is not None and found[0].span.text == place
    if params == "(radius=2)":
        with pytest.raises(ArchError) as caught:
            p.make()
        assert caught.value.diagnostics == found


def test_settings_are_checked_where_a_pattern_is_used() -> None:
    p = allowing("sliding(radius)", "(radius)")
    assert p.check() == () and p.make([3]).expanded == Sliding(3)
    with pytest.raises(ArchError, match="`sliding` needs an odd size, here is 4"):
        p.make([4])


@pytest.mark.parametrize(("text", "title", "place"), [
    ("pattern window(n=2):\n    allow self\n", "`window` is a pattern of the language", "window"),
    ("pattern abs(n=2):\n    allow self\n", "`abs` is a function of the language", "abs"),
    ("pattern Disc(n=2):\n    allow self\n", "`Disc` is a pattern, and patterns are lower case", "Disc"),
    ("pattern p(q=2):\n    allow self\n", "`q` is a query here", "q=2"),
    ("pattern p(n=2):\n    n = 3\n    allow self\n", "`n` is set above here", "n = 3"),
    ("pattern p(n=2):\n    window = 3\n    allow self\n", "`window` has a meaning in the language", "window = 3"),
    ("pattern p(n=2):\n    m = n\n", "`p` allows nothing", "p"),
    ("pattern p(n: op):\n    allow self\n", "a pattern takes no `op`", "op"),
    ("pattern p(n: [int]):\n    allow self\n", "a pattern takes no `[int]`", "[int]"),
    ("pattern p(n: int = 2.5):\n    allow self\n", "`n` of `p` is a whole number; here is 2.5", "2.5"),
    ('pattern p(n: "a" | "b" = "c"):\n    allow self\n', '`n` of `p` is "a" or "b"; here is "c"', '"c"'),
    ("pattern p(n=q.row):\n    allow self\n", "a default does not depend on q and k", "q.row"),
])
def test_declarations(text: str, title: str, place: str) -> None:
    found = only(text).check()
    assert [(d.code, d.title) for d in found] == [("A136", title)]
    assert found[0].span is not None and found[0].span.text.strip() == place


def test_all_mistakes_of_a_pattern_at_once_and_each_once() -> None:
    found = only("""
pattern p(n=2):
    a = q.rows
    b = a + 1
    allow b == 1 and a == 2
    allow k.cols == 3
""").check()
    assert [d.title for d in found] == ["a position has no `rows`", "a position has no `cols`"]


def test_patterns_made_of_each_other() -> None:
    loop = defined("pattern a:\n    allow b\n\npattern b:\n    allow c | self\n\npattern c:\n    allow a\n")
    (found,) = loop["a"].check()
    assert (found.code, found.title, found.notes) == ("A136", "`a` is made of itself", ("a > b > c > a",))


def test_defaults_made_of_each_other() -> None:
    loop = defined("pattern a(x: pattern = b):\n    allow x\n\npattern b(x: pattern = a):\n    allow x\n")
    (found,) = loop["a"].check()
    assert (found.code, found.title, found.notes) == ("A136", "`a` is made of itself", ("a > b > a",))


@pytest.mark.parametrize(("test", "grid", "code", "title", "place"), [
    ("q.row == k.row", (9,), "A131", "`p` reads `row`, and the sequence it is used on has an index only", "q.row"),
    ("q.width == k.index", (9,), "A131", "`p` reads `width`, and the sequence it is used on has an index only",
     "q.width"),
    ("q.index < k.frame", (3, 3), "A131", "`p` reads `frame`, and the grid it is used on has row and col", "k.frame"),
    ("q.row % k.row == 0", (3, 3), "A137", "`%` divides 0 by zero here", "q.row % k.row"),
    ("1 / (q.row - 1) > 0", (3, 3), "A137", "`/` divides 1 by zero here", "1 / (q.row - 1)"),
    ("sqrt(q.row - 1) > 0", (3, 3), "A137", "`sqrt(-1)` has no value", "sqrt(q.row - 1)"),
    ("(q.row - 1) ** 0.5 > 0", (3, 3), "A137", "`-1 ** 0.5` is no real number", "(q.row - 1) ** 0.5"),
    ("q.row ** -1 > 0", (3, 3), "A137", "`0 ** -1` divides by zero", "q.row ** -1"),
    ("9 ** (9 + q.row) * 9 ** 9 * 9 ** 9 > 0", (3, 3), "A509",
     f"`*` goes beyond {limits.INTEGER:,} here", "9 ** (9 + q.row) * 9 ** 9 * 9 ** 9"),
    ("10.0 ** (400 + q.row) > 0", (3, 3), "A509", f"`**` goes beyond {limits.INTEGER:,} here", "10.0 ** (400 + q.row)"),
    ("exp(1000 + q.row) > 0", (3, 3), "A137", "`exp(1000)` has no value", "exp(1000 + q.row)"),
])
def test_mistakes_that_the_grid_shows(test: str, grid: tuple[int, ...], code: str, title: str, place: str) -> None:
    p, space = allowing(test).make(), Space.of(*grid)
    with pytest.raises(ArchError) as caught:
        [p.row(q, space) for q in range(space.queries.size)]
    (found,) = caught.value.diagnostics
    assert (found.code, found.title) == (code, title)
    assert found.span is not None and found.span.text == place


def test_a_mistake_says_at_which_pair() -> None:
    p = allowing("q.row % (k.col - 1) == 0").make()
    with pytest.raises(ArchError) as caught:
        p.row(4, Space.of(3, 3))
    assert caught.value.diagnostics[0].notes == ("at query 4 and key 1",)
    assert caught.value.diagnostics[0].help == "ask first: `a / b > 1 if b != 0 else False`"


def test_zero_by_zero_is_zero_as_everywhere() -> None:
    assert allowing("q.row / k.row == 0").make().holds(0, 0, Space.of(1, 1))


# -------------------------------------------------------------------------------------------------------------- bounds


def test_patterns_that_double_are_bounded() -> None:
    text = "pattern p0:\n    allow q.index == k.index\n\n" + "".join(
        f"pattern p{i}:\n    allow p{i - 1} if q.index > {i} else ~p{i - 1}\n\n" for i in range(1, 40)
    )
    started = time.perf_counter()
    found = defined(text)["p39"].check()
    assert [d.code for d in found] == ["A139"] and time.perf_counter() - started < 5


def test_defaults_that_double_are_bounded() -> None:
    text = "pattern p0:\n    allow q.index == k.index\n\n" + "".join(
        f"pattern p{i}(x: pattern = p{i - 1} | p{i - 1}):\n    allow x\n\n" for i in range(1, 30)
    )
    started = time.perf_counter()
    assert [d.code for d in defined(text)["p29"].check()] == ["A139"] and time.perf_counter() - started < 5


def test_random_lines_end_in_a_pattern_or_an_error() -> None:
    """Nothing but `ArchError` and `PatternError` leaves, whatever is written."""
    any_of = random.Random(4).choice
    places = ["q.row", "k.row", "q.index", "k.index", "q.col", "k.col", "k.head", "q.width", "n", "x", "2", "-3", "0.5"]

    def number(depth: int) -> str:
        if depth == 0:
            return any_of(places)
        a, b, c = number(depth - 1), number(depth - 1), condition(depth - 1)
        form = any_of(["({a} {op} {b})", "({a} {op} {b})", "({a} if {c} else {b})", "abs({a})", "-{a}", "{c}",
                       "max({a}, {b})", "sqrt({a})", "exp({a})", "floor({a})", "round_to({a}, {b})"])
        return form.format(a=a, b=b, c=c, op=any_of(["+", "-", "*", "/", "//", "%", "**"]))

    def condition(depth: int) -> str:
        if depth == 0:
            return any_of(["q.is_prefix", "k.is_prefix", "True", "q.row == k.row", "q.col > k.col", "q"])
        a, b, x, y = condition(depth - 1), condition(depth - 1), number(depth - 1), number(depth - 1)
        form = any_of(["({x} {op} {y})", "({x} {op} {y})", "({a} and {b})", "({a} or {b})", "(not {a})", "({a} == {b})",
                       "({a} if {b} else {a})", "{x}"])
        return form.format(a=a, b=b, x=x, y=y, op=any_of(["==", "!=", "<", "<=", ">", ">="]))

    def pattern(depth: int) -> str:
        if depth == 0:
            return any_of(["dense", "causal", "prefix", "self", "window(n)", "sliding(n)", "other(2)", "other(n + 1)"])
        a, b, c = pattern(depth - 1), pattern(depth - 1), condition(depth - 1)
        form = any_of(["({a} | {b})", "({a} & {b})", "({a} - {b})", "~{a}", "({a} if {c} else {b})", "flat({a})",
                       "per_head([{a}, {b}])", "{c}"])
        return form.format(a=a, b=b, c=c)

    asked = 0
    for _ in range(800):
        text = (f"pattern other(n):\n    allow q.index == n\n\npattern p(n=3, x=0.5):\n    a = {number(2)}\n"
                f"    allow {any_of([condition, pattern])(3)}\n    allow {condition(2)} and a > 1\n")
        try:
            p = only(text)
            assert isinstance(p.check(), tuple)
            made_here = p.make()
            for space in (Space.of(2, 3, prefix=1), Space.of(4), Space(Sequence((3,)), Sequence((2, 2)))):
                with contextlib.suppress(ArchError, PatternError):
                    rows = [made_here.row(i, space) for i in range(space.queries.size)]
                    for i, row in enumerate(rows):
                        assert row == sum(1 << j for j in range(space.keys.size) if made_here.holds(i, j, space))
                    assert pairs(made_here, space) == sum(row.bit_count() for row in rows)
                    asked += any(rows)
        except (ArchError, PatternError):
            continue
    assert asked > 50


def test_lines_upon_lines_are_bounded() -> None:
    text = "pattern p:\n    a0 = q.index\n" + "".join(f"    a{i} = a{i - 1} + a{i - 1}\n" for i in range(1, 400))
    found = only(text + "    allow a399 > 1\n").check()
    assert [(d.code, d.title) for d in found] == [("A139", "this pattern does too much for one pair of positions")]
    shallow = only("pattern p:\n    a0 = q.index\n" + "".join(f"    a{i} = a{i - 1} + a{i - 1}\n" for i in range(1, 90))
                   + "    allow a89 > 1\n").make()
    assert shallow.row(1, Space.of(2)) == 0b11


def test_large_grids_are_refused_in_words() -> None:
    text = "pattern odd:\n    allow (q.index * 7 + k.index * 5) % 11 == 3\n"
    with pytest.raises(PatternError, match=r"`odd` is counted pair by pair; 3,136 queries times 3,136 keys"):
        pairs(defined(text)["odd"].make(), Space.of(56, 56))
