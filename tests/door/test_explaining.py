"""`ogive explain-error`: every code, what it means, an example and its repair."""

from __future__ import annotations

import json

import pytest
from door.command import ogive, refused
from error_cases import every_case

from ogive.dsl.codes import CODES, RANGES


def test_a_code_is_explained_with_its_first_example() -> None:
    answer = ogive("explain-error", "A203")
    assert answer.code == 0 and answer.err == ""
    assert answer.out.startswith(f"A203: {CODES['A203']}\n\n")
    first, *more = every_case()["A203"]
    for text in (first.wrong, first.words, first.repaired):
        assert all(line.strip() in answer.out for line in text.splitlines())
    assert first.title in answer.out and more[0].title not in answer.out
    assert f"{len(more)} more example" in answer.out


def test_all_examples() -> None:
    out = ogive("explain-error", "A203", "--all").out
    assert all(f"-- {case.title}\n" in out for case in every_case()["A203"])
    assert "more example" not in out


def test_files_beside_an_example_are_shown() -> None:
    out = ogive("explain-error", "A703").out
    assert "With `small.arch`:" in out and "    model(torch.randn(3, 8, 8)[None])" in out


@pytest.mark.parametrize("word", ["a203", "203", "error[A203]", "error[A203]:"])
def test_a_code_may_be_written_as_it_is_shown(word: str) -> None:
    assert ogive("explain-error", word).out == ogive("explain-error", "A203").out


def test_every_code_can_be_explained() -> None:
    for code in CODES:
        answer = ogive("explain-error", code)
        assert answer.code == 0 and ("Repaired:" in answer.out or "There is no example:" in answer.out), code


def test_all_codes_are_listed_by_range() -> None:
    lines = ogive("explain-error").out.splitlines()
    assert [line[:4] for line in lines if line[:1] == "A"] == [f"{start}xx" for start in RANGES]
    assert [line.split()[0] for line in lines if line.startswith("  A")] == sorted(CODES)


def test_json() -> None:
    entry = json.loads(ogive("explain-error", "A101", "--json").out)
    assert (entry["code"], entry["title"]) == ("A101", CODES["A101"])
    assert [case["words"] for case in entry["cases"]] == [case.words for case in every_case()["A101"]]
    assert json.loads(ogive("explain-error", "--json").out) == dict(sorted(CODES.items()))


def test_an_unknown_code_is_refused_and_the_nearest_offered() -> None:
    refused(ogive("explain-error", "A2O3"), 2, "there is no error `A2O3`", "did you mean `A2")
    refused(ogive("explain-error", "nonsense"), 2, "there is no error `nonsense`", "lists all codes")
    refused(ogive("explain-error", "--all"), 2, "`--all` is for one code")
