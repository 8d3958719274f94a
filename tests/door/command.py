"""The command as a user types it: in this process for most tests, as a process of its own where that matters."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from ogive.cli import app

__all__ = ["SMALL", "Answer", "ogive", "process", "refused"]

SMALL = """\
block Part(ratio=2):
    input x: B N C
    residual:
        norm = layernorm
        fc1  = linear(ratio * C)
        gelu
        fc2 = linear(C)

# A small network for tests.
# It has a second line.
network Small(dim=8, depth=3, classes=10):
    presets  dim:
        S    8
        L    16
    expect   params:
        S    1_370

    input image: B 3 H W
    assert H % 4 == 0 and W % 4 == 0
    stem  = patchify(dim, 4)
    spare = layernorm
    stem -> repeat depth as blocks[i]:
        Part
    global_pool
    head = linear(classes)
"""


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


def ogive(*words: str | Path, input: str | bytes | None = None) -> Answer:
    """Exit code, stdout and stderr of a command."""
    done = CliRunner().invoke(app, [str(word) for word in words], input=input)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return Answer(done.exit_code, done.stdout, done.stderr)


def process(*words: str | Path, cwd: Path, **env: str) -> Answer:
    """The same in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "ogive", *map(str, words)], cwd=cwd, env={**os.environ, **env}, capture_output=True,
        text=True, timeout=120,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def refused(answer: Answer, code: int, title: str, *more: str) -> None:
    """One error on stderr with this title and these words, this exit code, and nothing that looks like a bug."""
    assert answer.code == code, answer
    assert answer.err.count("error[A") == 1, answer.err
    assert title in answer.err.splitlines()[0], answer.err
    for words in more:
        assert words in answer.err, answer.err
    assert "Traceback" not in answer.err + answer.out
    assert "bug" not in answer.err
