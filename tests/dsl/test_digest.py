"""The digest: what moves it, what does not, and where a change is looked for when it is off."""

from __future__ import annotations

from textwrap import dedent

import pytest

from ogive.dsl.build import build
from ogive.dsl.check import check
from ogive.dsl.digest import digest, same
from ogive.dsl.graph import Graph
from ogive.dsl.load import load_text

NET = """
    block Part(width):
        input x: B C H W
        conv = conv(width, 3x3, bias=False)
        norm = batchnorm
        relu

    network N(width=16):
        input x: B 3 H W
        stem = Part(width)
        one  = Part(width)
        two  = stem -> Part(width)
        one + two
        dropout(0.1)
        global_pool
        head = linear(10)
"""


def graph(text: str) -> Graph:
    return build(load_text(dedent(text))).graph


@pytest.mark.parametrize(("old", "new"), [
    ("global_pool\n        head = linear(10)", "pooled = global_pool\n        head = pooled -> linear(10)"),
    ("relu", "y = relu"),
    ("width=16", "width=8 + 8"),
    ("stem = Part(width)", "stem = Part(width) : B width . ."),
])
def test_the_same_network_has_the_same_digest(old: str, new: str) -> None:
    assert old in NET
    assert digest(graph(NET)) == digest(graph(NET.replace(old, new)))
    assert same(graph(NET), graph(NET.replace(old, new)))


@pytest.mark.parametrize(("old", "new", "parts"), [
    ("        relu\n", "", (True, False, False)),
    ("relu", "gelu", (True, False, False)),
    ("norm = batchnorm\n        relu", "relu\n        norm = batchnorm", (True, True, False)),
    ("dropout(0.1)", "dropout(0.2)", (True, False, False)),
    ("norm = batchnorm", "norm = batchnorm(eps=1e-3)", (True, False, False)),
    ("two  = stem ->", "two  =", (True, True, False)),
    ("head = linear(10)", "fc = linear(10)", (False, True, False)),
    ("linear(10)", "linear(11)", (False, False, False)),
    ("bias=False", "bias=True", (False, False, False)),
    ("one + two", "one - two", (True, False, False)),
])
def test_another_network_has_another_digest(old: str, new: str, parts: tuple[bool, bool, bool]) -> None:
    """The first part is of the weights, the second of the ops with their settings, the third of all and the wiring."""
    was, now = (digest(graph(text)).split("-") for text in (NET, NET.replace(old, new)))
    assert tuple(a == b for a, b in zip(was, now, strict=True)) == parts
    assert not same(graph(NET), graph(NET.replace(old, new)))


@pytest.mark.parametrize(("promise", "line"), [
    ("B N C", "softmax(N)"), ("B . .", "softmax(1)"), ("B places width", "softmax(places)"),
    ("B places width", "softmax(axis=1)"),
])
def test_an_axis_is_the_same_by_letter_and_by_place(promise: str, line: str) -> None:
    net = "network N:\n    input x: B 9 8\n    fc = linear(8) : {}\n    {}\n"
    said, other = (digest(graph(net.format("B . .", line))) for line in ("softmax(N)", "softmax"))
    assert digest(graph(net.format(promise, line))) == said != other
    assert digest(graph(net.format("B N width", "softmax(width)"))) == other


@pytest.mark.parametrize(("said", "same_as", "other"), [
    ("conv(4, 3)", "conv(4, 3x3)", "conv(4, 5)"),
    ("conv(4, 3x3, stride=2x2, pad=1x1)", "conv(4, 3, stride=2, pad=1)", "conv(4, 3, stride=2x1, pad=1)"),
    ("max_pool(2)", "max_pool(2x2)", "max_pool(2x1)"),
    ("adaptive_pool(2x2)", "adaptive_pool(2)", "adaptive_pool(2x4)"),
])
def test_a_size_is_the_same_by_one_number_and_by_one_for_each_axis(said: str, same_as: str, other: str) -> None:
    net = "network N:\n    input x: B 3 8 8\n    y = {}\n"
    first, second, third = (digest(graph(net.format(line))) for line in (said, same_as, other))
    assert first == second != third


def test_a_product_over_an_axis_is_the_same_by_any_letter() -> None:
    net = "network N:\n    input x: B 9, y: B 9 8\n    a = x -> relu : B {0}\n    b = y -> relu : B {0} 8\n"
    net += "    a, b -> dot({0})\n"
    found = {digest(graph(net.format(letter))) for letter in ("N", "M", "places")}
    assert len(found) == 1


def with_table(text: str) -> str:
    table = f'    expect  digest:\n            -   "{digest(graph(NET))}"\n\n'
    return text.replace("        input x: B 3", f"    {table}        input x: B 3")


def test_a_digest_holds_in_a_table() -> None:
    report = check(load_text(dedent(with_table(NET))))
    assert report.ok and [c.figure for c in report.claims] == ["digest"] and report.claims[0].holds


@pytest.mark.parametrize(("old", "new", "line", "words"), [
    ("        relu\n", "", 6 - 1, "with a line `relu` below this"),
    ("norm = batchnorm\n        relu", "relu\n        norm = batchnorm", 6, "with this line above the one before it"),
    ("two  = stem ->", "two  = one ->", 15, "with `stem` here"),
    ("width=16", "width=18", 8, "with `16` here"),
    ("conv(width, 3x3", "conv(width, 5x5", 4, "with `3x3` here"),
    ("bias=False", "bias=True", 4, "with `False` here"),
    ("input x: B 3", "input x: B 1", 12, "with `3` here"),
    ("one + two", "one - two", None, "the table would say"),
])
def test_where_a_change_would_mend_it(old: str, new: str, line: int | None, words: str) -> None:
    text = with_table(NET)
    assert old in text
    (found,) = check(load_text(dedent(text.replace(old, new)))).mistakes
    assert found.code == "A404" and words in found.render()
    if line is not None:
        assert [label.span.line for label in found.labels] == [line], found.render()


STAGES = """
    block Part(width, stride, rate=0.0, groups=1):
        input x: B C H W
        conv = conv(width, 3x3, stride=stride, groups=groups)
        if stride != 1 or C != width:
            norm = batchnorm
        dropout(rate)
        shift(cols=[0, 1])
        shift(rows=[0, 1])

    network N(width, classes=10):
        presets  width:
            S    16
            M    16
        expect  digest:
            S   "{}"
            M   "{}"

        input x: B 3 16 16
        repeat 3 as s:
            stage{{s + 1}}:
                rate = 0.1 * s
                side = 1 if s < 1 else 2
                part = Part(width, side, rate)
        global_pool
        head = linear(classes)
"""


@pytest.mark.parametrize(("old", "new", "line", "words"), [
    ("stride != 1", "stride != 2", 5, "with `1` here"),
    ("s < 1", "s <= 1", 23, "with `0` here"),
    ("{s + 1}", "{s + 2}", 21, "with `1` here"),
    ("side, rate)", "side)", 24, "with `rate` behind this"),
    ("    head = linear(classes)\n", "", 25, "with a line `head = linear(classes)` below this"),
    ("    S    16", "    S    160", 13, "with `16` here"),
    ("shift(rows=[0, 1])", "shift()", 9, "with `rows=[0, 1]` here"),
])
def test_where_a_change_would_mend_stages(old: str, new: str, line: int, words: str) -> None:
    whole = dedent(STAGES.format("", ""))
    letters = [digest(build(load_text(whole), f"N.{preset}").graph) for preset in "SM"]
    text = dedent(STAGES.format(*letters))
    assert check(load_text(text)).ok and old in text
    (found,) = check(load_text(text.replace(old, new))).mistakes
    places = [(label.span.line, label.text) for label in found.labels]
    assert any(at == line and said.startswith(words) for at, said in places), found.render()


def test_another_sign_of_a_comparison_is_found() -> None:
    text = """
        network N:
            expect  digest:
                -   "{}"

            input x: B 8, y: B 8
            x >= y
    """
    whole = text.format(digest(graph(text.format(""))))
    (found,) = check(load_text(dedent(whole.replace(">=", ">")))).mistakes
    assert [(x.span.line, x.text) for x in found.labels] == [(7, "with `>=` here every figure of the table holds")]


def test_a_mistake_of_sizes_in_a_block_shows_the_runs_that_lead_to_it() -> None:
    (found,) = check(load_text(dedent("""
        block Inner(groups):
            input x: B C H W
            conv = conv(C, 3x3, groups=groups)

        block Outer(groups):
            input x: B C H W
            inner = Inner(groups)

        network N:
            input x: B 8 H W
            outer = Outer(3)
    """))).mistakes
    runs = [(x.span.line, x.text) for x in found.labels if x.text.endswith("runs here")]
    assert found.span is not None and found.span.line == 12
    assert runs == [(8, "`Inner` runs here")], found.render()


def test_below_a_body_is_below_its_last_line_and_not_below_the_comment_of_the_next() -> None:
    text = with_table(NET).replace("        relu\n", "").replace("    network N", "    # The whole.\n    network N")
    (found,) = check(load_text(dedent(text))).mistakes
    assert [(label.span.line, label.span.text) for label in found.labels] == [(5, "norm = batchnorm")]


def test_where_nothing_builds_a_change_near_the_mistake_is_found() -> None:
    text = """
        block Down(width, stride):
            input x: B C H W
            main = conv(width, 3x3, stride=stride)
            norm = batchnorm
            short = x -> conv(width, 1x1, stride=stride)
            norm + short

        network N:
            expect  digest:
                -   "{}"

            input x: B 3 16 16
            a = Down(8, 1)
            b = Down(16, 2)
    """
    whole = text.format(digest(graph(text.format(""))))
    (found,) = check(load_text(dedent(whole.replace("x -> conv", "conv")))).mistakes
    assert found.code == "A201"
    assert (6, "with `x ->` in front every digest of `expect` holds") in [(x.span.line, x.text) for x in found.labels]


def test_what_is_tried_may_have_no_figures() -> None:
    """With another stride the grids of queries and keys are 4x4 and 7x7, which no figure can be counted of."""
    (found,) = check(load_text(dedent("""
        network N:
            expect  image  macs  digest:
                -   14     1     "0000-0000-00000000"

            input image: B 3 H W
            assert H % 2 == 0 and W % 2 == 0
            stem = conv(8, 2x2, stride=2)
            q = stem -> conv(8, 1x1)
            q, stem, stem -> attend(2, over=sliding(3))
    """))).mistakes
    assert found.code == "A404"


def test_a_wrong_figure_beside_a_digest_that_holds_is_a_misprint() -> None:
    text = with_table(NET).replace("digest:", "params  digest:").replace('-   "', '-   7       "')
    (found,) = check(load_text(dedent(text))).mistakes
    assert "the digest holds" in found.render() and found.help is not None and "`7`" in found.help


@pytest.mark.parametrize(("cell", "words"), [("12", "a digest is a string"), ('"12"', "what stands here is no digest")])
def test_what_is_no_digest(cell: str, words: str) -> None:
    text = with_table(NET).replace(f'"{digest(graph(NET))}"', cell)
    (found,) = check(load_text(dedent(text))).mistakes
    assert words in found.render()
