"""Codes: the table holds what is raised, and nothing else."""

from __future__ import annotations

import re

from house.plan import ROOMS, ROOT

from ogive.dsl.codes import CODES, meaning

CODE = re.compile(r'"(A\d{3})"')
TABLES = ("dsl/codes.py", "dsl/mistakes/words.py")


def raised() -> set[str]:
    """Every code that stands in the sources, outside of the tables of codes."""
    found: set[str] = set()
    for folder in ROOMS.values():
        for path in (ROOT / folder).rglob("*.py"):
            if path.relative_to(ROOT).as_posix() not in TABLES:
                found |= set(CODE.findall(path.read_text(encoding="utf-8")))
    return found


def test_every_code_has_a_meaning() -> None:
    assert raised() - set(CODES) == set()


def test_no_code_is_dead() -> None:
    assert set(CODES) - raised() == set()


def test_meanings_are_lines() -> None:
    assert all(len(text) < 90 and not text.endswith(".") for text in CODES.values())
    assert len(set(CODES.values())) == len(CODES)
    assert meaning("A101") and not meaning("A999")
