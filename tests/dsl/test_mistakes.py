"""Every wrong program is refused in the words of its case, and every case can be repaired."""

from __future__ import annotations

import re
import time
from pathlib import Path

import error_cases
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.check import check
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.load import load_text
from ogive.dsl.mistakes import CODES, MISTAKES, WORDS
from ogive.dsl.parse import parse, terminals
from ogive.dsl.source import Source

HERE = Path(__file__).parent


CASES = error_cases.cases(HERE / "errors")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path.stem)
def test_words(case):
    error_cases.hold(case, read)


def read(source):
    """Parse a file, and check it where it holds a whole network: what repairs a sentence must mean something, too."""
    tree = parse(source)
    if any(isinstance(d, s.Network | s.Derived) for d in tree.definitions):
        report = check(load_text(source.text, source.name))
        if report.mistakes:
            raise ArchError(report.mistakes)


def test_every_terminal_has_words():
    assert set(terminals()) | {"$END", "_INDENT", "_DEDENT"} <= set(WORDS)


def test_every_code_is_explained_and_has_a_case():
    used = {mistake.code for mistake in MISTAKES} | {"A001", "A011", "A012", "A013", "A014"}
    assert used == set(CODES)
    assert {case.code for case in CASES} == set(CODES)


def test_no_internal_name_is_shown():
    internal = re.compile(rf"__ANON|\$END|\b({'|'.join(name for name in WORDS if name[0] != '$')})\b")
    for case in CASES:
        words = re.sub(r"\([A-Z -]+, U\+[0-9A-F]+\)", "", case.words)  # the names of characters are in capitals as well
        assert not internal.search(words), case.path.name


@pytest.mark.parametrize("char", ["\u202e", "\u2067", "\x00", "\x1b", "\x85"])
def test_characters_that_nobody_sees(char):
    assert _codes(Source("x", f"block X:\n    relu  # {char}\n")) == ("A003",)


def test_one_cause_once():
    """A missing colon does not make its body an error as well; stray lines are one mistake."""
    wrong = Source("x", "block X:\n    input x: B C\n    residual\n        relu\n    head\n        relu\n")
    assert _codes(wrong) == ("A004", "A007")
    assert _codes(Source("x", "conv(3)\nrelu\nlinear(3)\n")) == ("A022",)


def test_definitions_do_not_hide_each_other():
    wrong = Source("x", "block X:\n    y = x +\n\nblock Y:\n    relu\n\nblock Z:\n    conv(3 3)\n    conv(3,, 3)\n")
    assert _codes(wrong) == ("A002", "A008", "A008")
    assert [d.span.line for d in _error(wrong).diagnostics] == [2, 8, 9]


def test_place_of_an_error_in_a_later_definition():
    wrong = Source("x", "block X:\n    relu\n\nblock Y:\n    f(a[0)\n\nblock Z:\n    y = x +\n")
    first, second = _error(wrong).diagnostics
    assert [first.span.text, first.labels[0].span.text, second.span.text] == [")", "[", "+"]


def test_many_definitions_with_one_error_take_linear_time():
    text = "block X:\n    y = x +\n" + "block Y:\n    relu\n" * 6_000
    start = time.perf_counter()
    assert _codes(Source("x", text)) == ("A002",)
    assert time.perf_counter() - start < 60


def test_number_of_errors_is_bounded():
    assert len(_codes(Source("x", "block X:\n    y = x +\n" * 1000))) <= 2 * limits.DIAGNOSTICS


PIECES = st.sampled_from([
    "block X:\n", "    ", "\n", "relu", "conv(3", ")", "=", " ", "->", "if", "else", ":", "[", "]", "{", "'", '"', "a",
    "3", ".", ",", "#", "@", "é", "×", "network ", "input ", "presets", "repeat", "-", "*", "\t", "as", "&", "for",
    "\r\n", "0x",
])


@given(st.lists(PIECES, max_size=40).map("".join))
def test_no_text_breaks_the_words(text):
    try:
        parse(Source("x", text))
    except ArchError as error:
        assert error.diagnostics
        for diagnostic in error.diagnostics:
            assert diagnostic.span is None or 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text) + 2
        error.render()


def _error(source):
    with pytest.raises(ArchError) as caught:
        parse(source)
    return caught.value


def _codes(source):
    return _error(source).codes
