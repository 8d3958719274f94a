"""Planted mistakes: a sample with a fixed seed on every run, two thousand in the long run (bench/faults.py).

The sample is of three files that nothing imports, for its time's sake. The long run draws from every file, those that
many others import too, and says which have no digest.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench" / "faults.py"

SAMPLE = """
import sys
sys.path.insert(0, {bench!r})
import os, random
os.chdir({root!r})
import faults
files = ["examples/01_digits.arch", *(f"library/{{name}}.arch" for name in ("mixer", "unet"))]
assert all(map(faults.sealed, files))
found = [fault for name in files for fault in faults.plant(name, faults.files()[name], 0, 60)]
chosen = random.Random(7).sample(found, {count})
findings = [faults.judge(fault) for fault in chosen]
for finding in findings:
    if finding.outcome == "leaked":
        print("leaked:", finding.fault.kind, finding.fault)
every = faults.counts(findings)
seen = every["caught"] + every["digest"]
print(every)
assert "torch" not in sys.modules
assert every["leaked"] == 0
assert seen >= 0.9 * {count}
assert every["line"] >= 0.88 * seen, "too few on the right line"
assert every["help"] >= 0.8 * seen, "too few with the right help"
"""


JUDGED = """
import sys
sys.path.insert(0, {bench!r})
import os
os.chdir({root!r})
import faults
from _plant import Fault
name = "examples/01_digits.arch"
text = faults.files()[name]
def judged(new):
    assert new != text
    return faults.judge(Fault("by hand", name, new, frozenset([1]), ("`",), "", "")).outcome
start = text.index("    expect")
table = text[start : text.index("    input image")]
bare = text.replace(table, "")
assert judged(bare) == "harmless"
assert judged(bare.replace("depth=3", "depth=2")) == "leaked"
assert judged(text.replace("norm1 = layernorm", "norm1 = layernorm(eps=1e-6)")) == "digest"
assert judged(text.replace("depth=3", "depth=2")) == "caught"
"""


def test_a_sample_of_faults_is_caught_without_torch() -> None:
    code = SAMPLE.format(bench=str(BENCH.parent), root=str(ROOT), count=40)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_judge_sees_a_leak_and_an_equal_network() -> None:
    """The judge itself: a change that no one sees is a leak where it matters, and harmless where it does not."""
    code = JUDGED.format(bench=str(BENCH.parent), root=str(ROOT))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_many_faults_keep_what_is_reached() -> None:
    command = [sys.executable, str(BENCH), "--sample", "2000", "--gate"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stdout + done.stderr
