"""What is in the repository belongs to the project: no paths of a machine, no hosts of a registry, no pickles."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from house.plan import ROOT

# Written in pieces, so that this file may be tracked too.
LEAKS = re.compile(
    "|".join(
        [
            r"(?<![\w.])/(?:wor" r"k|ro" r"ot|Use" r"rs|mn" r"t)/[\w.]+",
            r"(?<![\w.])/ho" r"me/\w+/",
            r"(?<![\w.])/op" r"t/(?:wheels|pypi)",
            r"/tm" r"p/[\w-]+/",
            r"\.\./sha" r"red\b",
            r"[A-Z]:\\Use" r"rs\\",
            r"--(?:extra-)?ind" r"ex-url",
            r"pypi\.org/sim" r"ple|files\.pythonho" r"sted|registry\.npm" r"js|download\.pyt" r"orch",
            r"https?://[^\s/\"']+:\d{2,5}\b|https?://[\w.-]+\.inter" r"nal\b|artifac" r"tory",
        ]
    )
)
WEIGHTS = {".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt", ".pt2", ".npy", ".joblib"}


def leaks(text: str) -> list[str]:
    """What in a text names the machine it was written on."""
    return [match.group() for match in LEAKS.finditer(text)]


def _tracked() -> list[Path]:
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    if done.returncode:
        pytest.skip("this is no git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_tracked_file_names_a_machine() -> None:
    found = {}
    for path in _tracked():
        data = path.read_bytes()
        if b"\0" not in data:
            found[path.relative_to(ROOT).as_posix()] = leaks(data.decode("utf-8"))
    assert {place: words for place, words in found.items() if words} == {}


def test_no_weights_are_tracked() -> None:
    assert [path.name for path in _tracked() if path.suffix in WEIGHTS] == []


def test_no_tracked_file_is_huge() -> None:
    assert [path.name for path in _tracked() if path.stat().st_size > 2_000_000] == []


@pytest.mark.parametrize(
    "text",
    [
        "see /wor" "k/main/dsl",
        "open('/ho" "me/ann/x')",
        "../sha" "red/design",
        "pip install --ind" "ex-url x",
        "ht" "tp://10.0.0.1:8081/simple",
        "https://py" "pi.org/sim" "ple/",
        "/ro" "ot/.cache",
        "C:\\Use" "rs\\ann",
        "/tm" "p/bash_jobs/1",
    ],
)
def test_a_leak_is_seen(text: str) -> None:
    assert leaks(text)


HARMLESS = ["H/2 W/2", "docs/wo" "rk/x", "https://arxiv.org/abs/2010.11929", "a/root/b", "x.internal"]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_leak(text: str) -> None:
    assert leaks(text) == []
