"""Commands that write text: `fmt --shapes`, `fmt --solve`, `expand`, `rename`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from door.command import SMALL, ogive

ASKED = "network Net:\n    input x: B 8\n    fc = linear(?)" + " " * 42 + ": B 64\n    relu\n"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small.arch").write_text(SMALL, encoding="utf-8")
    Path("asked.arch").write_text(ASKED, encoding="utf-8")


def text(name):
    return Path(name).read_text(encoding="utf-8")


def test_check_says_what_a_question_mark_is():
    answer = ogive("check", "asked.arch")
    assert answer.code == 0
    assert "  ? = 64 (asked.arch:3:17)\n" in answer.out


def test_solve_writes_it():
    assert ogive("fmt", "--check", "asked.arch").code == 0
    assert ogive("fmt", "--solve", "--check", "asked.arch").code == 1
    assert text("asked.arch") == ASKED
    answer = ogive("fmt", "--solve", "asked.arch")
    assert answer.code == 0 and "asked.arch:3:17: ? = 64" in answer.err
    assert "fc = linear(64)" in text("asked.arch")
    assert ogive("fmt", "--solve", "-", input=ASKED).out == text("asked.arch")


def test_solve_leaves_what_nothing_decides():
    Path("open.arch").write_text("network Net:\n    input x: B 8\n    fc = linear(?)\n", encoding="utf-8")
    answer = ogive("fmt", "--solve", "open.arch")
    assert answer.code == 1 and "error[A312]" in answer.err and "1 left alone" in answer.err
    assert "linear(?)" in text("open.arch")


def test_shapes_are_written_once():
    assert ogive("fmt", "--shapes", "small.arch").code == 0
    once = text("small.arch")
    assert "stem  = patchify(dim, 4)                                : B (H/4 W/4) dim\n" in once
    assert ogive("fmt", "--shapes", "--check", "small.arch").code == 0
    assert ogive("check", "small.arch").code == 0
    assert ogive("fmt", "--shapes", "-", input=SMALL).out == once


def test_expand_to_a_file():
    answer = ogive("expand", "small.arch", "Small.S", "--keep-repeats", "-o", "out.arch")
    assert answer.code == 0 and answer.err.startswith("wrote out.arch: Small.S")
    assert "repeat 3 as blocks[i]:" in text("out.arch")
    assert ogive("keys", "out.arch").out == ogive("keys", "small.arch", "Small.S").out
    assert ogive("expand", "small.arch", "Small.S").out.startswith("# Small.S, written out.\n# A small network")


def test_rename_writes_and_says_the_keys():
    before = text("small.arch")
    answer = ogive("rename", "small.arch", "head", "fc", "--dry-run")
    assert answer.code == 0 and text("small.arch") == before
    assert "node Small.head would be fc: 1 places" in answer.out and "+    fc = linear(classes)" in answer.out
    answer = ogive("rename", "small.arch", "head", "fc")
    assert "  Small.S: head.weight -> fc.weight\n" in answer.out
    assert text("small.arch") == before.replace("head = ", "fc = ")


def test_rename_as_json_names_importers():
    Path("user.arch").write_text("from .small import Small\n\nnetwork X = Small.S(depth=1)\n", encoding="utf-8")
    answer = ogive("rename", "small.arch", "Small.depth", "layers", "--json")
    found = json.loads(answer.out)
    assert answer.code == 1 and found["written"] is True and found["keys"] == {}
    assert found["importers"] == [{"file": "user.arch", "line": 1}]
    assert (found["kind"], found["old"], len(found["places"])) == ("parameter", "Small.depth", 2)


def test_rename_keeps_the_line_ends():
    Path("small.arch").write_bytes(SMALL.replace("\n", "\r\n").encode())
    assert ogive("rename", "small.arch", "head", "fc").code == 0
    assert Path("small.arch").read_bytes() == SMALL.replace("head = ", "fc = ").replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    ("words", "code"),
    [(("nothing", "x"), "A816"), (("head", "stem"), "A817"), (("head", "if"), "A817")],
)
def test_a_rename_that_is_refused_writes_nothing(words, code):
    before = text("small.arch")
    answer = ogive("rename", "small.arch", *words)
    assert answer.code == 2 and f"error[{code}]" in answer.err
    assert text("small.arch") == before
