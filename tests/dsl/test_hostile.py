"""Hostile files: each is refused with one code at one place, within a second and 512 MiB, in a process of its own.

What is said of each text of `hostile/texts.py` stands in `hostile/refused.txt`; with OGIVE_UPDATE=1 in the environment
it is written there, for a person to judge.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile.texts import texts

TESTS = Path(__file__).parents[1]
REFUSED = TESTS / "hostile" / "refused.txt"
PARTS = 4
SECONDS = 1.0
LARGE = {  # as large as a file may be before it is refused: so long takes one that is not refused
    "repeat/presets": 4.0, "repeat/nested-nothing": 2.0, "repeat/blocks-double": 2.0, "shape/guards-unequal": 2.0,
    "syntax/last-line": 2.0, "syntax/many-errors-in-one": 2.0, "definition/many-alike": 2.0,
    "table/expect-wrong-often": 4.0,
}
NOISE = 2.5  # another process on the core, a slower machine


def expected() -> dict[str, str]:
    rows = (line.partition("\t") for line in REFUSED.read_text("utf-8").splitlines())
    return {name: said for name, _, said in rows}


@pytest.mark.parametrize("part", [pytest.param(i, marks=[pytest.mark.long] if i > 1 else []) for i in range(PARTS)])
def test_hostile_files_are_refused(part: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hostile.answer", str(tmp_path), str(part), str(PARTS)], capture_output=True, text=True,
        timeout=300, env={**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"}, cwd=TESTS, check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-300:]}\n{done.stderr[-2000:]}"
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [name for name, _, _ in found] == [name for i, name in enumerate(texts()) if i % PARTS == part]
    said = {name: ", ".join(what) for name, what, _ in found}
    if os.environ.get("OGIVE_UPDATE"):
        kept = {**(expected() if REFUSED.exists() else {}), **said}
        REFUSED.write_text("".join(f"{name}\t{kept[name]}\n" for name in texts() if name in kept), encoding="utf-8")
    assert said == {name: expected()[name] for name in said}
    slow = {name: seconds for name, _, seconds in found if seconds > NOISE * LARGE.get(name, SECONDS)}
    assert not slow


def test_every_text_has_its_line_and_is_refused() -> None:
    known = expected()
    assert list(known) == list(texts())
    assert len(known) >= 450
    assert [name for name, said in known.items() if not said.startswith("A")] == []
    assert [name for name, said in known.items() if "A599" in said] == []
    placeless = {name for name, said in known.items() if ":" not in said}
    assert placeless == {"size/million-and-more-characters"}  # it is not read to its end
