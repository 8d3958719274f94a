"""The Triton kernels, run by Triton's interpreter: that is chosen when Triton is imported, so by processes apart."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "kernels"


@pytest.mark.parametrize(("file", "least"), [("test_cases.py", 30), ("test_operator.py", 20), ("test_networks.py", 3),
                                              ("test_int8.py", 48), ("test_int8_networks.py", 2),
                                              ("test_sums.py", 3)])
def test_kernels(file: str, least: int) -> None:
    assert least <= _passed(file, "not long")


@pytest.mark.long
@pytest.mark.parametrize(("file", "least"), [("test_cases.py", 300), ("test_operator.py", 6), ("test_int8.py", 90),
                                              ("test_int8_networks.py", 20), ("test_sums.py", 2)])
def test_kernels_at_length(file: str, least: int) -> None:
    assert least <= _passed(file, "long")


def test_every_file_is_run() -> None:
    named = {mark.args[1][i][0] for mark in test_kernels.pytestmark for i in range(len(mark.args[1]))}
    assert named == {path.name for path in FOLDER.glob("test_*.py")}


def _passed(file: str, chosen: str) -> int:
    """How many tests of a file pass, all of those that are chosen."""
    pytest.importorskip("triton", reason="Triton is not installed: pip install -e .[gpu], on Linux")
    told = {name: x for name, x in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", chosen,
         str(FOLDER / file)],
        env=told | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
        cwd=FOLDER.parents[2],
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout
    return int(re.findall(r"(\d+) passed", done.stdout)[-1])
