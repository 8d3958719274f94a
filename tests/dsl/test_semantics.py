"""Wrong programs beyond syntax: each has its words and its repair (see error_cases.py)."""

from __future__ import annotations

from pathlib import Path

import pytest
from error_cases import ErrorCase, cases, hold

from ogive.dsl.check import check
from ogive.dsl.codes import CODES
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.load import load_text
from ogive.dsl.mistakes import CODES as SYNTAX
from ogive.dsl.source import Source

CASES = cases(Path(__file__).parent / "semantics")
ELSEWHERE = {
    "A307", "A508", "A512", "A599",  # tested by hand: files beside each other, presets from outside, deep blocks
    "A800", "A801", "A501", "A502", "A503", "A504", "A505", "A506", "A507", "A514",
}


def whole(source: Source) -> None:
    report = check(load_text(source.text, source.name))
    if report.mistakes:
        raise ArchError(report.mistakes)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path.stem)
def test_words(case: ErrorCase) -> None:
    hold(case, whole)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path.stem)
def test_one_mistake_is_one_diagnostic(case: ErrorCase) -> None:
    with pytest.raises(ArchError) as error:
        whole(Source("case.arch", case.wrong))
    assert error.value.codes == (case.code,)


def test_every_code_has_a_case() -> None:
    shown = {case.code for case in CASES}
    assert set(CODES) - set(SYNTAX) - ELSEWHERE - shown == set()
    assert shown <= set(CODES)
