"""How near the library comes to its references: the errors that the tests of docs/systems.md reach.

    python bench/parity.py [--only PATTERN]

Every test that tests/library/systems.toml names is run, those of the long suite too (about half an hour on 2 cores).
For each row are printed the largest errors, relative to the largest value of the reference: answers in float64, in
float32 with networks at full size, and gradients. All are written to docs/parity.json, from which docs/generate.py
writes the columns of docs/systems.md; with --only, rows of other systems keep what they had. A row that fails keeps it
too, and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import sys
from collections.abc import Generator
from contextlib import redirect_stdout
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "docs" / "parity.json"
sys.path.append(str(ROOT / "tests"))  # for systems, and parity, which tests count in

KINDS = ("float64", "float32", "gradients")


class Recorder:
    """A plugin of pytest: picks the tests of one row, and keeps the largest errors that they reach."""

    def __init__(self, row: Any) -> None:
        self.row = row
        self.errors: dict[str, float] = {}
        self.run = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if self._wanted(item)]

    def _wanted(self, item: pytest.Item) -> bool:
        name, _, case = item.name.partition("[")
        return self.row.holds(str(item.path.relative_to(ROOT)), name, case.removesuffix("]"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, None, None]:
        reached = importlib.import_module("parity").reached
        reached.clear()
        yield
        self.run += 1
        for kind, error in reached.items():
            self.errors[kind] = max(self.errors.get(kind, 0.0), error)


def main() -> int:
    parser = argparse.ArgumentParser(description="the errors that the library's tests reach")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="systems whose name matches")
    settings = parser.parse_args()

    found = json.loads(PLACE.read_text("utf-8")) if PLACE.exists() else {}
    failed = False
    rows = [row for section in importlib.import_module("systems").sections().values() for row in section
            if fnmatchcase(row.system, settings.only)]
    if not rows:
        parser.error(f"no system of tests/library/systems.toml is called {settings.only}")
    print(f"{'system':<64}{'tests':>6}" + "".join(f"{kind:>11}" for kind in KINDS), flush=True)
    for row in rows:
        recorder = Recorder(row)
        files = sorted({str(ROOT / file) for file, _, _ in row.tests})
        with redirect_stdout(io.StringIO()) as said:
            code = pytest.main(["-q", "--no-header", "-m", "long or not long", *files], [recorder])
        failed |= code != 0
        errors = "".join(f"{recorder.errors.get(kind, float('nan')):>11.1e}" for kind in KINDS).replace("nan", "  -")
        print(f"{row.system[:62]:<64}{recorder.run:>6}{errors}{'' if code == 0 else '  FAILED'}", flush=True)
        if code != 0:
            print(said.getvalue())
        else:
            found[row.system] = {kind: float(f"{error:.1e}") for kind, error in recorder.errors.items()}
            _write(found, [r.system for r in rows])
    return int(failed)


def _write(found: dict[str, dict[str, float]], order: list[str]) -> None:
    kept = {system: found[system] for system in order if found.get(system)}
    PLACE.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
