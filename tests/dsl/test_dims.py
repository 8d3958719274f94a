"""Symbolic sizes: canonical forms, agreement with plain arithmetic, and that facts prove and refute nothing wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ogive.dsl.conditions import Condition, Contradiction, Inexact
from ogive.dsl.dims import (
    Dim,
    Floor,
    Poly,
    TooLarge,
    ceil_div,
    divide,
    evaluate,
    floor_div,
    substitute,
    symbol,
    symbols,
)
from ogive.dsl.dims_text import show
from ogive.dsl.facts import Facts

B, H, W, h, w, n = map(symbol, ("B", "H", "W", "h", "w", "n"))
Values = Mapping[str, int]
Twin = tuple[Dim, Callable[[Values], int]]

# ------------------------------------------------------------------------------------------------ random expressions


def twin_sum(a: Twin, b: Twin) -> Twin:
    return a[0] + b[0], lambda v: a[1](v) + b[1](v)


def twin_difference(a: Twin, b: Twin) -> Twin:
    return a[0] - b[0], lambda v: a[1](v) - b[1](v)


def twin_product(a: Twin, b: Twin) -> Twin:
    return a[0] * b[0], lambda v: a[1](v) * b[1](v)


def twin_floor(a: Twin, k: int) -> Twin:
    return floor_div(a[0], k), lambda v: a[1](v) // k


def twin_ceil(a: Twin, k: int) -> Twin:
    return ceil_div(a[0], k), lambda v: -(-a[1](v) // k)


def twin_ratio(a: Twin, name: str, k: int) -> Twin:
    return a[0] // (symbol(name) * k), lambda v: a[1](v) // (v[name] * k)


def twins(names: str = "HWn") -> st.SearchStrategy[Twin]:
    """A Dim beside the same expression in plain Python."""

    def name(s: str) -> Twin:
        return symbol(s), lambda v: v[s]

    def number(k: int) -> Twin:
        return k, lambda v: k

    divisors = st.integers(1, 6)
    leaves = st.one_of(st.sampled_from(names).map(name), st.integers(-5, 9).map(number))
    return st.recursive(
        leaves,
        lambda t: st.one_of(
            st.builds(twin_sum, t, t),
            st.builds(twin_difference, t, t),
            st.builds(twin_product, t, t),
            st.builds(twin_floor, t, divisors),
            st.builds(twin_ceil, t, divisors),
            st.builds(twin_ratio, t, st.sampled_from(names), st.integers(1, 4)),
        ),
        max_leaves=8,
    )


def values_of(names: str = "HWn", most: int = 70) -> st.SearchStrategy[dict[str, int]]:
    return st.fixed_dictionaries({s: st.integers(1, most) for s in names})


@settings(max_examples=500, deadline=None)
@given(twins(), values_of())
def test_a_dim_is_the_number_that_plain_arithmetic_gives(twin: Twin, values: dict[str, int]) -> None:
    dim, plain = twin
    assert evaluate(dim, values) == plain(values)
    assert isinstance(dim, int) or set(dim.terms) != {()}, "a constant must be an int"
    assert substitute(dim, dict(values)) == plain(values)
    assert symbols(dim) <= set("HWn")


@settings(max_examples=300, deadline=None)
@given(twins(), values_of())
def test_what_is_written_is_what_is_meant(twin: Twin, values: dict[str, int]) -> None:
    assert read(show(twin[0]), values) == twin[1](values)


def read(text: str, values: Values) -> int:
    """The value of a written size: `/` stands only inside floor and ceil, or is exact."""
    names = {s: Fraction(v) for s, v in values.items()}
    value = eval(text, {"floor": lambda x: Fraction(floor(x)), "ceil": lambda x: Fraction(ceil(x)), **names})
    assert Fraction(value).denominator == 1
    return int(value)


@settings(max_examples=300, deadline=None)
@given(twins(), twins(), twins())
def test_the_ring_is_a_ring_and_equal_dims_hash_alike(a: Twin, b: Twin, c: Twin) -> None:
    x, y, z = a[0], b[0], c[0]
    assert x + y == y + x and x * y == y * x
    assert (x + y) * z == x * z + y * z and (x + y) - y == x
    assert hash((x + y) * z) == hash(x * z + y * z)


@settings(max_examples=300, deadline=None)
@given(twins(), twins())
def test_division_undoes_multiplication(a: Twin, b: Twin) -> None:
    assume(b[0] != 0)
    assert divide(a[0] * b[0], b[0]) == a[0]


# ---------------------------------------------------------------------------------------------------- canonical forms


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((2 * H + 5) // 2, H + 2),
        ((4 * H + 3) // 8, H // 2),
        ((4 * H + 6) // 8, (2 * H + 3) // 4),
        ((H // 3 + 2) // 4, (H + 6) // 12),
        ((2 * H // 3) // 2, H // 3),
        ((H * W) // W, H),
        ((H * W + H) // (H * W), 1 + 1 // W),
        ((H * h + 3) // h, H + 3 // h),
        ((-H) // 2, H // 2 - H),
        ((H + 1) * (H - 1), H**2 - 1),
        (H - H, 0),
        (H**0, 1),
        (ceil_div(H, 1), H),
        (H // -2, (-H) // 2),
    ],
)
def test_canonical_forms(left: Dim, right: Dim) -> None:
    assert left == right


def test_constants_are_ints() -> None:
    for dim in (H - H + 3, (H * 0) + 1, (H + W) - H - W, (H + 1) // 1 - H, floor_div(7, 2), ceil_div(7, 2)):
        assert type(dim) is int
    assert (floor_div(7, 2), ceil_div(7, 2), floor_div(-7, 2)) == (3, 4, -4)
    with pytest.raises(ZeroDivisionError):
        H // 0


def test_five_strided_convolutions_are_one_floor() -> None:
    x: Dim = H
    for _ in range(5):
        x = (x + 2 * 1 - 1 * (3 - 1) - 1) // 2 + 1
    assert x == (H + 31) // 32
    assert isinstance(x, Poly)
    assert [type(a) for m in x.terms for a, _ in m] == [Floor]
    assert show(x) == "ceil(H/32)"


@pytest.mark.parametrize(
    ("dim", "text"),
    [
        (7, "7"),
        (H, "H"),
        (2 * h, "2*h"),
        (W * H, "H*W"),
        (h * w + 1, "1 + h*w"),
        (H - 1, "H - 1"),
        (3 + H, "H + 3"),
        (3 - H, "3 - H"),
        (-H, "-H"),
        (H**2 * 3 + H, "H + 3*H**2"),
        ((H + 15) // 16, "ceil(H/16)"),
        (H // 16, "floor(H/16)"),
        ((H + 3) // 16, "floor((H + 3)/16)"),
        (ceil_div(H, h), "ceil(H/h)"),
        (H // (2 * h), "floor(H/(2*h))"),
        (W * (H // 2), "W*floor(H/2)"),
        (3 * ((H + W) // 7) + 2, "3*floor((H + W)/7) + 2"),
        (H // symbol("h_1"), "floor(H/h_1)"),
    ],
)
def test_show(dim: Dim, text: str) -> None:
    assert show(dim) == text


def test_show_is_the_same_in_every_run() -> None:
    imports = "from ogive.dsl.dims import symbol; from ogive.dsl.dims_text import show; "
    text = imports + "a, b, c = map(symbol, 'abc'); print(show((a + b*c + (c + a)//b + b//3)**2))"
    command = [sys.executable, "-c", text]
    outputs = {
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in "012"
    }
    assert len(outputs) == 1


@pytest.mark.parametrize(
    ("a", "b", "quotient"),
    [
        (2 * h * w + 4 * h, 2 * h, w + 2),
        (h * w, h, w),
        (h * w, 2 * h, None),
        ((h + w) * (h - 2 * w + 3), h + w, h - 2 * w + 3),
        (h * h + w, h + w, None),
        (12, 4, 3),
        (13, 4, None),
        (0, h, 0),
        (5, h, None),
        (6 * H + 3, 3, 2 * H + 1),
        (H, 0, None),
        (W * (H // 2), H // 2, W),
    ],
)
def test_divide(a: Dim, b: Dim, quotient: Dim | None) -> None:
    assert divide(a, b) == quotient


def test_substitute_and_evaluate() -> None:
    assert substitute((H + 3) // 4 * W, {"H": 4 * h + 1}) == (h + 1) * W
    assert substitute(H + W, {"H": W, "W": H}) == H + W
    assert symbols((H + 3) // 4 * W + 1) == {"H", "W"}
    assert symbols(3) == frozenset()
    with pytest.raises(KeyError):
        evaluate(H + W, {"H": 1})


# --------------------------------------------------------------------------------------------------------------- facts


def test_a_residual_over_a_strided_convolution_is_refuted() -> None:
    assert Facts().equal(H, (H + 1) // 2) is False


def test_u_net() -> None:
    assert Facts().equal(2 * (H // 2), H) is None
    assert Facts().with_divisible(H, 2).equal(2 * (H // 2), H) is True
    assert Facts().with_divisible(H + 1, 2).equal(2 * (H // 2), H) is False


def test_a_promised_quarter_is_what_convolutions_give() -> None:
    facts = Facts().with_divisible(H, 4)
    quarter, guard = facts.exact(H, 4)
    assert guard is None
    assert facts.equal(quarter, (H + 3) // 4) is True
    assert facts.show((H + 3) // 4) == facts.show(H // 4) == facts.show(quarter) == "H/4"
    assert facts.show(W * (H // 4) + 1) == "1 + H*W/4"
    assert facts.show(ceil_div(H, 12)) == "ceil(H/12)"
    assert evaluate(quarter, {"H": 12}) == 3
    assert symbols(quarter) == {"H"}
    assert substitute(quarter, {"H": 8 * n}) == 2 * n


def test_facts_about_one_symbol_combine() -> None:
    four = Facts().with_divisible(H, 4)
    twelve = four.with_divisible(H, 6)
    assert twelve.divisible(H, 12) is True and four.divisible(H, 12) is None
    assert twelve.equal(four.simplify(H // 4), 3 * (H // 12)) is True, "dims from earlier facts stay good"
    assert twelve.show(H // 12) == "H/12"
    with pytest.raises(Contradiction, match=r"\(H \+ 1\) % 2 == 0 holds for no size"):
        four.with_divisible(H + 1, 2)
    odd = Facts().with_divisible(H + 1, 2).with_divisible(H, 3)
    assert odd.divisible(H + 3, 6) is True
    assert odd.show((H + 1) // 2) == "(H + 1)/2"
    assert odd.show(H // 4) == "floor(H/4)"


def test_facts_that_are_no_rewrite_are_recognised() -> None:
    facts = Facts().with_divisible(h * w, 4)
    assert facts.divisible(w * h, 4) is True and facts.divisible(h * w + 8, 2) is True
    assert facts.divisible(h, 4) is None
    assert Facts().with_divisible(H, n).divisible(H, n) is True
    assert Facts().divisible(H, n) is None
    assert Facts().with_equal(h * w, H // 3).equal(H // 3, h * w) is True


def test_divisible() -> None:
    facts = Facts()
    assert facts.divisible(H * (H + 1), 2) is True
    assert facts.divisible(2 * H + 1, 2) is False
    assert facts.divisible(H, 2) is None
    assert facts.divisible(6, 4) is False and facts.divisible(6, 0) is False
    assert facts.divisible(6 * H * W, 3 * W) is True


def test_equal_sizes_become_one() -> None:
    facts = Facts().with_divisible(H, 4).with_equal(H, W)
    assert facts.divisible(W, 4) is True and facts.equal(H * W, H * H) is True
    assert facts.show(W // 4) == "H/4"
    assert facts.with_equal(H, 224).simplify(W) == 224
    with pytest.raises(Contradiction):
        facts.with_equal(W, 225)


def test_sizes_that_are_no_sample_are_not_refuted() -> None:
    facts = Facts()
    assert facts.equal(H, 1500) is None
    assert facts.equal(H * W, 1499 * 1501) is None
    assert facts.equal(ceil_div(H, 16), 75) is None
    assert facts.equal(2 * H, 1501) is False
    assert facts.equal(2 * H, 2 * W + 1) is False
    assert facts.equal(H, W) is None
    assert facts.equal(H * W, (H // 2) * (W // 2)) is False
    assert facts.equal(H - H // 2, ceil_div(H, 2)) is True


def test_compare() -> None:
    facts = Facts()
    assert facts.compare(H, H + 1) == -1 and facts.compare(H, 0) == 1 and facts.compare(H // 4, H // 4) == 0
    assert facts.compare(2 * H, H) == 1 and facts.compare(H, H // 2) == 1
    assert facts.compare(H * W + 1, H) == 1
    assert facts.compare(H, 3) is None and facts.compare(H, W) is None
    assert facts.with_divisible(H, 4).compare(H, 3) == 1
    more = facts.with_condition(Condition("less", 3, H))
    assert more.compare(H, 3) == 1 and more.compare(H, 2) == 1 and more.compare(H, 4) is None
    assert more.with_divisible(H, 3).compare(H, 5) == 1, "a multiple of 3 above 3 is at least 6"
    assert facts.with_condition(Condition("less", H, W)).compare(H, W + 1) == -1
    with pytest.raises(Contradiction):
        more.with_condition(Condition("less", H, 4))


def test_exact() -> None:
    assert Facts().exact(2 * h * w, h) == (2 * w, None)
    assert Facts().exact(H * (H + 1), 2)[1] is None
    value, guard = Facts().exact(H, 16)
    assert value == H // 16 and guard == Condition("divisible", H, 16)
    for a, b in ((7, 2), (2 * H + 1, 2), (H, 0)):
        with pytest.raises(Inexact) as caught:
            Facts().exact(a, b)
        assert (caught.value.a, caught.value.b) == (a, b)
    with pytest.raises(Inexact, match="7 / 2 is not exact: the remainder is 1"):
        Facts().exact(7, 2)


def test_conditions() -> None:
    guard = Condition("divisible", H + W, 16)
    assert guard.show() == "(H + W) % 16 == 0" and guard.symbols == {"H", "W"}
    assert guard.holds({"H": 10, "W": 6}) and not guard.holds({"H": 10, "W": 7})
    assert Condition("divisible", H, 16).show() == "H % 16 == 0"
    assert Condition("equal", H, W).show() == "H == W" and Condition("less", 3, H).show() == "H > 3"
    assert Condition("less_equal", H, 4).holds({"H": 4}) and not Condition("less", H, 4).holds({"H": 4})
    assert Condition("not_equal", H, 4).holds({"H": 5})
    assert hash(guard) == hash(Condition("divisible", W + H, 16))
    for condition in (guard, Condition("equal", H, W), Condition("less", H, W), Condition("not_equal", H, W)):
        assert Facts().holds(condition) is None
        assert Facts().with_condition(condition).holds(condition) is True


def test_learning_leaves_the_old_facts_alone() -> None:
    facts = Facts()
    facts.with_divisible(H, 4).with_equal(H, W).with_condition(Condition("less", 9, H))
    assert facts.divisible(H, 4) is None and facts.equal(H, W) is None and facts.compare(H, 9) is None


@settings(max_examples=250, deadline=None)
@given(twins("HW"), twins("HW"), st.lists(st.tuples(twins("HW"), st.integers(2, 6)), max_size=2), st.integers(0, 40))
def test_answers_are_sound(a: Twin, b: Twin, given_facts: list[tuple[Twin, int]], low: int) -> None:
    facts = Facts()
    try:
        for (dim, _), k in given_facts:
            facts = facts.with_divisible(dim, k)
        facts = facts.with_condition(Condition("less", low - 30, H))
    except Contradiction:
        assume(False)
    obeying = [v for v in grid() if all(t[1](v) % k == 0 for t, k in given_facts) and v["H"] > low - 30]
    gaps = [a[1](v) - b[1](v) for v in obeying]
    assert all(evaluate(facts.simplify(a[0]), v) == a[1](v) for v in obeying)
    assert all(read(facts.show(a[0]), v) == a[1](v) for v in obeying[:3])
    same = facts.equal(a[0], b[0])
    assert same is not True or not any(gaps)
    # Size 1 is left out of the sample as degenerate; refutation is claimed for sizes in the sample.
    assert same is not False or all(g for g, v in zip(gaps, obeying, strict=True) if sampled(v))
    order = facts.compare(a[0], b[0])
    assert order is None or all((g > 0) - (g < 0) == order for g in gaps)
    for k in (2, 3):
        divides = facts.divisible(a[0], k)
        rests = [a[1](v) % k for v in obeying if sampled(v)]
        assert divides is not True or not any(rests)
        assert divides is not False or all(rests)


def sampled(values: Values) -> bool:
    return all(1 < v < 10 or v in (12, 14) for v in values.values())


def grid() -> Iterator[dict[str, int]]:
    return ({"H": x, "W": y} for x in range(1, 15) for y in (*range(1, 8), 12))


# ---------------------------------------------------------------------------------------------------- speed and guards


def test_ten_thousand_operations_take_well_under_a_second() -> None:
    start = time.perf_counter()
    for i in range(10_000):
        _ = (H + i) * (W + 1) + h * w
    assert time.perf_counter() - start < 1


def test_answers_come_quickly() -> None:
    start = time.perf_counter()
    for _ in range(20):
        Facts().equal(H * W * n, h * w * B + 1)
        Facts().equal(H, (W + 31) // 32)
    assert time.perf_counter() - start < 2


def test_hostile_sizes_are_refused() -> None:
    def square() -> Dim:
        x: Dim = H + W + 1
        for _ in range(40):
            x = x * x
        return x

    def tower() -> Dim:
        x: Dim = 2 * H
        for _ in range(40):
            x = x**2
        return x

    def nest() -> Dim:
        x, y = H + 0, W + 0
        for _ in range(60):
            x, y = x * y // 3 + 1, (x + y) // 5
        return x

    for build in (square, tower, nest, lambda: H**65):
        with pytest.raises(TooLarge):
            build()
