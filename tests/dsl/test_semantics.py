"""Wrong programs beyond syntax: each has its words and its repair (see error_cases.py)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from error_cases import ErrorCase, cases, hold

from ogive.dsl.check import check
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.load import load_text
from ogive.dsl.source import Source

CASES = cases(Path(__file__).parent / "semantics")


def whole(source: Source) -> None:
    report = check(load_text(source.text, source.name))
    if report.mistakes:
        raise ArchError(report.mistakes)


def warned(source: Source) -> None:
    """The same of a file that stands: what it is warned about."""
    whole(source)
    report = check(load_text(source.text, source.name))
    if report.warnings:
        raise ArchError(tuple(report.warnings))


def held(case: ErrorCase) -> Callable[[Source], None]:
    return warned if case.code.startswith("A6") else whole


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path.stem)
def test_words(case: ErrorCase) -> None:
    hold(case, held(case))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path.stem)
def test_one_mistake_is_one_diagnostic(case: ErrorCase) -> None:
    with pytest.raises(ArchError) as error:
        held(case)(Source("case.arch", case.wrong))
    assert error.value.codes == (case.code,)
