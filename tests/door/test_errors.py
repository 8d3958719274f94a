"""Errors of commands and of calls from Python: each has its words and its repair (see error_cases.py)."""

from __future__ import annotations

from pathlib import Path

import pytest
from error_cases import ErrorCase, cases, hold_run, run_console, run_python

SLOW = {"A515-presets"}
"""What counts to a million before it is refused."""

CASES = [
    pytest.param(case, id=case.path.stem, marks=[pytest.mark.long] if case.path.stem in SLOW else [])
    for case in cases(Path(__file__).parent / "errors")
]


@pytest.mark.parametrize("case", CASES)
def test_words(case: ErrorCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    case.write_beside()
    hold_run(case, run_console if case.kind == "console" else run_python)


def test_a_case_that_says_something_else_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OGIVE_UPDATE", raising=False)
    text = "# T\n```console\n$ ogive check nothing.arch\n```\n```text\nfine\n```\n```console\n$ ogive check vit\n```\n"
    place = tmp_path / "A800-x.md"
    place.write_text(text)
    with pytest.raises(AssertionError, match="says something else"):
        hold_run(ErrorCase.read(place), run_console)
    words = run_console("$ ogive check nothing.arch")[0]
    place.write_text(text.replace("fine", words))
    hold_run(ErrorCase.read(place), run_console)
    place.write_text(text.replace("fine", words).replace("check vit", "check vti"))
    with pytest.raises(AssertionError, match="the repaired program is wrong"):
        hold_run(ErrorCase.read(place), run_console)
