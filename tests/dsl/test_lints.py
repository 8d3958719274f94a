"""Warnings: each on what is hardly meant, none on the same said rightly."""

from __future__ import annotations

from textwrap import dedent

import pytest

from ogive.dsl.check import check
from ogive.dsl.load import load_text

UNUSED_IMPORT = """
    from std.timm import Attention, Mlp
    network N:
        input x: B N 64
        mlp = Mlp(32)
"""
UNUSED_PARAMETER = """
    network N(width=8, depth=2):
        input x: B 16
        fc = linear(width)
"""
UNREAD = """
    network N(width=8):
        input x: B 16
        lost = 2 * width
        fc = linear(width)
"""
CHAINED = """
    network N:
        input x: B N 64
        q = linear(64)
        k = linear(64)
        v = x -> linear(64)
        q, k, v -> attend(4)
"""
LEFT_OUT = """
    network N:
        input x: B 16
        a = linear(8)
        b = x -> linear(8)
        c = x -> linear(8)
        b + c
"""


def warnings(text: str) -> list[tuple[str, int]]:
    report = check(load_text(dedent(text), "case.arch"))
    assert report.ok, [d.render() for d in report.mistakes]
    return [(d.code, d.span.line if d.span else 0) for d in report.warnings]


STRETCHED = """
    network N:
        input x: B N 16, m?: B N 16
        blank = learned(1, 1, 16)
        table = learned(8, 16)
        h = x -> linear(8, weight=table, bias=False)
        if m:
            over = m -> tanh
        else:
            over = blank -> repeat_to(4)
        return h, over
"""


@pytest.mark.parametrize(("text", "code", "line"), [
    (UNUSED_IMPORT, "A601", 2), (UNUSED_PARAMETER, "A602", 3 - 1), (UNREAD, "A603", 4), (CHAINED, "A604", 5),
    (LEFT_OUT, "A605", 4),
])
def test_a_warning(text: str, code: str, line: int) -> None:
    assert warnings(text) == [(code, line)]


@pytest.mark.parametrize("text", [
    UNUSED_IMPORT.replace("Attention, ", ""),
    UNUSED_PARAMETER.replace("fc = ", "repeat depth as i:\n            fc{i} = "),
    UNUSED_PARAMETER.replace("depth=2", "twice=2 * width").replace("linear(width)", "linear(twice)"),
    UNREAD.replace("linear(width)", "linear(lost)"),
    CHAINED.replace("k = linear", "k = x -> linear"),
    CHAINED.replace("k = linear", "k = q -> linear"),
    LEFT_OUT.replace("b + c", "b + c + a"),
    STRETCHED,
    LEFT_OUT.replace("b + c", "y = b + c\n        return y, a=a"),
])
def test_none_where_it_is_meant(text: str) -> None:
    assert warnings(text) == []


def test_a_skip_by_name_is_meant() -> None:
    assert warnings("""
        network N:
            input x: B 8 H W
            a = relu
            b = conv(8, 3x3)
            c = batchnorm
            c + a
    """) == []


def test_warnings_refuse_nothing_and_stand_beside_a_figure_that_is_off() -> None:
    report = check(load_text(dedent(UNREAD).replace("    input", "    expect  params:\n        -   1\n\n    input")))
    assert [d.code for d in report.mistakes] == ["A404"]
    assert [d.code for d in report.warnings] == ["A603"]
    assert report.warnings[0].severity == "warning" and report.warnings[0].render().startswith("warning[A603]")
