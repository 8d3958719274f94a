"""`?` in place of a number: filled in when the shapes leave one number, listed when they leave several."""

from __future__ import annotations

from fractions import Fraction

import pytest

from ogive.dsl.build import build
from ogive.dsl.check import check
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.dims import symbol
from ogive.dsl.fill import filled
from ogive.dsl.load import load_text
from ogive.dsl.roots import reach, roots

VIT = "from vit import ViT, Encoder\n\n"


def network(*lines, head="network Net:"):
    return head + "\n" + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("lines", "numbers"),
    [
        (["input x: B 8", "fc = linear(?) : B 64"], [64]),
        (["input x: B 8", "fc = linear(2 * ?) : B 64"], [32]),
        (["input x: B 8", "fc = linear(?)", "relu : B 64"], [64]),
        (["input x: B 8", "n = ?", "fc = linear(n * n) : B 64"], [8]),
        (["input x: B N 24", "residual:", "    a = linear(7)", "    b = linear(?)"], [24]),
        (["input x: B 3 H W", "conv(?, 3x3) as \"a\"", "b = x -> conv(10)", "_ + x"], None),
        (["input x: B 6 H W", "a = conv(?, 3x3, groups=3) : B 12 H W"], [12]),
        (["input x: B 6 H W", "a = conv(?, 1x1)", "b = x -> conv(5, 1x1)", "a, b -> concat : B 12 H W"], [7]),
        (["input ids: B N of int", "e = embedding(1000, ?) : B N 64",
          "head = linear(?, bias=False, weight=e.weight)"], [64, 1000]),
        (["input x: B 8", "fc = linear(?) : B ?"], None),
        (["input x: B 8", "a = linear(?) : B 12", "b = linear(?)", "a + b"], [12, 12]),
        (["input x: B N 12", "heads = ?", "assert C_ // heads == 4", "attend(heads)"], None),
    ],
)
def test_what_the_shapes_decide(lines, numbers):
    unit = load_text(network(*lines))
    if numbers is None:
        with pytest.raises(ArchError):
            build(unit)
        return
    solved = build(unit).solved
    assert [solved[span] for span in sorted(solved, key=lambda span: span.start)] == numbers


def test_a_figure_of_expect_decides():
    text = network("presets dim:", "    S   ?", "    L   ?", "expect params:", "    S   1_010", "    L   10.1k",
                   "input x: B 100", "a = linear(dim)", head="network Net(dim):")
    unit = load_text(text)
    assert list(build(unit, "Net.S").solved.values()) == [10]
    assert list(build(unit, "Net.L").solved.values()) == [100]


def test_a_figure_that_several_numbers_meet_decides_nothing():
    text = network("presets dim:", "    L   ?", "expect params:", "    L   0.01M", "input x: B 100", "a = linear(dim)",
                   head="network Net(dim):")
    with pytest.raises(ArchError) as error:
        build(load_text(text), "Net.L")
    assert error.value.codes == ("A312",)


def test_the_width_of_a_published_network_is_found_again():
    text = VIT + "network Net(dim=?):\n    expect  params:\n        -   5_717_416\n" \
        "    input image: B 3 H=224 W=224\n    v = ViT(dim, 12, 3)\n"
    unit = load_text(text)
    with pytest.raises(ArchError):  # the network is a class short of its head here: 0 parameters differ
        build(load_text(text.replace("5_717_416", "5_717_417")), "Net")
    assert list(build(unit, "Net").solved.values()) == [192]


@pytest.mark.parametrize(
    ("lines", "code", "words"),
    [
        (["input x: B N 12", "attend(?)"], "A312", "heads in 1, 2, 3, 4, 6, 12"),
        (["input x: B 6 H W", "a = conv(12, 3x3, groups=?)"], "A312", "groups in 1, 2, 3, 6"),
        (["input x: B 8", "fc = linear(?)"], "A312", "write the number that is meant"),
        (["input x: B 8", "a = linear(?)", "b = linear(?)"], "A312", "write the other one as a number"),
        (["input x: B 8", "a = linear(?) : B 32", "a + x"], "A313", "no number fits `out`"),
    ],
)
def test_what_they_do_not(lines, code, words):
    with pytest.raises(ArchError) as error:
        build(load_text(network(*lines)))
    assert set(error.value.codes) == {code}
    assert words in error.value.render()


def test_a_mistake_beside_it_is_said_first():
    with pytest.raises(ArchError) as error:
        build(load_text(network("input x: B 8", "a = linear(?)", "b = lineer(3)")))
    assert error.value.codes == ("A102",)


def test_heads_of_a_block_are_listed():
    with pytest.raises(ArchError, match=r"heads in 1, 2, 4, 8") as error:
        build(load_text(VIT + network("input x: B N 8", "e = Encoder(?)")))
    assert error.value.codes == ("A312",)


def test_a_size_in_a_shape_is_read():
    built = build(load_text(network("input x: B 3 H W", "a = conv(8, stride=2) : B ? ? .")))
    assert list(built.filled.values()) == ["8", "ceil(H/2)"]


def test_numbers_are_written_into_the_text():
    text = network("input x: B 3 H W", "a = conv(?, stride=2) : B 8 . .", "b = relu : B ? ? .")
    found = filled(load_text(text))
    assert found.text == text.replace("conv(?", "conv(8").replace("B ? ? .", "B 8 ? .")
    assert [number for _, number in found.written] == ["8", "8"]
    assert [why for _, why in found.left] == ["it is `ceil(H/2)`, which is no number"]
    assert not check(load_text(found.text)).mistakes


def test_a_derived_network_has_the_number_of_the_one_it_is_derived_from():
    text = network("presets depth:", "    a  1", "    b  2", "expect params:", "    a  72", "    b  81", "input x: B 8",
                   "fc = linear(dim)", "if depth == 2:", "    head = linear(1)", head="network Net(depth, dim=?):")
    text += "network Deep = Net.a(depth=3)\nnetwork Deeper = Deep(depth=5)\nnetwork Other = Deeper(dim=3)\n"
    report = check(load_text(text))
    assert report.ok, report.mistakes
    counts = {name: built.graph.parameter_count for name, built in report.built.items()}
    assert counts == {"Net.a": 72, "Net.b": 81, "Deep": 72, "Deeper": 72, "Other": 27}


def test_a_number_that_the_base_does_not_decide_is_open():
    text = network("input x: B 8", "fc = linear(dim)", head="network Net(dim=?):") + "network Same = Net\n"
    assert [d.code for d in check(load_text(text)).mistakes] == ["A312"]


def test_one_that_differs_between_presets_stays():
    text = network("presets n:", "    S   8", "    L   16", "input x: B 4", "a = linear(?)", "relu : B n",
                   head="network Net(n):")
    found = filled(load_text(text))
    assert found.text == text
    assert [why for _, why in found.left] == ["it is 8 and 16"]


def test_roots_are_all_roots():
    n = symbol("?1")
    assert roots(n - 64) == {64}
    assert roots(2 * n - 7) == set()
    assert roots(n * n - 5 * n + 6) == {2, 3}
    assert roots(n * n - 3 * n) == {3}
    assert roots(n * symbol("H") - 4) is None
    assert roots(n // 2 - 4) is None


def test_reach_knows_when_it_cannot_tell():
    n = symbol("?1")
    assert reach(101 * n, "?1", Fraction(1010), Fraction(1010)) == [10]
    assert reach(101 * n, "?1", Fraction(1000), Fraction(1300)) == [10, 11, 12]
    assert reach(n * n - 10 * n, "?1", Fraction(1), Fraction(2)) is None
    assert reach(n * symbol("H"), "?1", Fraction(1), Fraction(2)) is None
    assert reach(n, "?1", Fraction(1), Fraction(10**9)) is None


@pytest.mark.parametrize("line", [
    "? -> relu", "x, ? -> concat", "? -> P", "? -> residual:\n        relu", "? -> part:\n        relu", "return ?",
    "repeat 2:\n        ? -> relu", "scan q in ?:\n        emit q", "scan q in xs:\n        emit ?",
    "y = ?\n    y -> relu", "y = [x, ?]\n    y -> concat", "[x, ?] -> concat", "y = [?, ?]\n    y -> concat",
    "y = ?\n    return y",
])
def test_a_number_is_not_looked_for_where_a_tensor_is_meant(line: str) -> None:
    above = "block P:\n    input x: B C\n    relu\n"
    text = f"{above}network N:\n    input x: B 8, xs: B N 8\n    {line}\n"
    with pytest.raises(ArchError, match="and a tensor is meant") as error:
        build(load_text(text))
    assert error.value.codes == ("A207",)
