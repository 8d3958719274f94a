"""Codes: the table holds what is raised, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from ogive.dsl.codes import CODES, meaning

DSL = Path(__file__).parents[2] / "dsl"
CODE = re.compile(r'"(A\d{3})"')


def raised() -> set[str]:
    found: set[str] = set()
    for path in DSL.rglob("*.py"):
        # dsl/patterns is not reached by the builder yet: its codes come into the table with it.
        if path.name not in ("codes.py", "mistakes.py") and path.parent.name != "patterns":
            found |= set(CODE.findall(path.read_text(encoding="utf-8")))
    syntax = (DSL / "mistakes.py").read_text(encoding="utf-8")
    table = syntax[syntax.index("CODES: Final") :]
    return found | set(CODE.findall(table[table.index("}") :]))


def test_every_code_has_a_meaning() -> None:
    assert raised() - set(CODES) == set()


def test_no_code_is_dead() -> None:
    assert set(CODES) - raised() == set()


def test_meanings_are_lines() -> None:
    assert all(len(text) < 90 and not text.endswith(".") for text in CODES.values())
    assert len(set(CODES.values())) == len(CODES)
    assert meaning("A101") and not meaning("A999")
