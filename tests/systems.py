"""What the library must hold, row by row, and the tests that hold it: tests/library/systems.toml, read.

A row names its tests as `file::test` of tests/library, with a pattern of cases in brackets where it means some of them,
or `file::*` for all of a file; a file elsewhere stands with its path, `tests/compiler/...py`.
"""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

__all__ = ["Row", "functions", "sections"]

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Row:
    """A system: `networks` are pairs of a library file and a network, with its preset or for all of them."""

    system: str
    networks: tuple[tuple[str, str], ...]
    reference: str
    tests: tuple[tuple[str, str, str], ...]
    """File from the root, function, pattern of cases; `*` for all."""

    def holds(self, file: str, function: str, case: str) -> bool:
        """Whether a test is one of this row's."""
        return any(file == f and name in ("*", function) and fnmatchcase(case, cases) for f, name, cases in self.tests)


def sections() -> dict[str, list[Row]]:
    """The rows by their section, in order."""
    with (ROOT / "tests" / "library" / "systems.toml").open("rb") as file:
        found = tomllib.load(file)["section"]
    return {section["title"]: [_row(row) for row in section["row"]] for section in found}


def _row(row: dict[str, object]) -> Row:
    networks = row.get("networks", [])
    assert isinstance(networks, list) and isinstance(row["tests"], list)
    pairs = (name.split() for name in networks)
    return Row(
        str(row["system"]), tuple((file, name) for file, name in pairs), str(row["reference"]),
        tuple(_test(name) for name in row["tests"]),
    )


def _test(name: str) -> tuple[str, str, str]:
    file, _, rest = name.partition("::")
    function, _, cases = rest.partition("[")
    return file if "/" in file else f"tests/library/{file}.py", function, cases.removesuffix("]") or "*"


@cache
def functions(file: str) -> frozenset[str]:
    """The tests of a file, by its text."""
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return frozenset(x.name for x in tree.body if isinstance(x, ast.FunctionDef) and x.name.startswith("test_"))
