"""`ogive.check`: a report for every file, whatever is wrong with it, and nothing raised."""

from __future__ import annotations

from pathlib import Path

import pytest
from door.command import SMALL
from door.command import ogive as command

import ogive
from ogive import side_by_side


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    for place in ("b.arch", "a.arch", "deep/er/c.arch", ".hidden/d.arch"):
        (tmp_path / place).write_text(SMALL)
    (tmp_path / "note.txt").write_text("no network")
    return tmp_path


def test_a_folder_is_every_file_below_it_in_order(folder: Path) -> None:
    reports = ogive.check(folder)
    assert [Path(r.path).name for r in reports] == ["a.arch", "b.arch", "c.arch"]
    assert all(r.ok and list(r.networks) == ["Small.S", "Small.L", "Small"] for r in reports)
    assert reports[0].render() == ""


def test_one_path_or_several(folder: Path) -> None:
    assert [r.path for r in ogive.check("vit")] == ["vit"]
    assert [r.ok for r in ogive.check(["vit", str(folder / "a.arch"), "std.timm"])] == [True] * 3


def test_what_is_wrong_stands_in_the_report(folder: Path) -> None:
    (folder / "a.arch").write_text(SMALL.replace("layernorm", "layernrom"))
    (folder / "b.arch").write_bytes(b"\xff\xfe\x00")
    wrong, binary, missing, stranger = ogive.check(
        [folder / "a.arch", folder / "b.arch", folder / "no.arch", 3]  # type: ignore[list-item]
    )
    assert not wrong.ok and "did you mean `layernorm`?" in wrong.render() and wrong.networks == {}
    assert "is not UTF-8 text: byte 0 in line 1" in binary.render()
    assert "cannot read" in missing.render()
    assert "a source is a path" in stranger.render()


def test_figures_are_claims(folder: Path) -> None:
    (folder / "a.arch").write_text(SMALL.replace("1_370", "1_371"))
    (report,) = ogive.check(folder / "a.arch")
    assert [m.code for m in report.mistakes] == ["A404"]
    assert ogive.check(folder / "a.arch", claims=False)[0].ok


def test_a_root_holds_imports_in(folder: Path) -> None:
    (folder / "deep" / "er" / "c.arch").write_text("from ...a import Small\nnetwork X = Small.S\n")
    assert ogive.check(folder / "deep" / "er" / "c.arch", root=folder)[0].ok
    (report,) = ogive.check(folder / "deep" / "er" / "c.arch", root=folder / "deep")
    assert "lies outside the root" in report.render()


def test_a_report_is_json(folder: Path) -> None:
    data = ogive.check(folder / "a.arch")[0].as_json()
    assert data["ok"] and data["mistakes"] == []
    first = data["networks"][0]
    assert (first["name"], first["params"]) == ("Small.S", 1_370)
    assert first["guards"] == ["H % 4 == 0", "W % 4 == 0"]
    assert first["dropped"] == [{"node": "spare", "line": 21}]
    assert data["claims"][0]["holds"]


def test_many_files_are_checked_side_by_side(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On all cores or on one: the same words in the same order, for right files and wrong ones."""
    for i in range(9):
        (folder / f"f{i}.arch").write_text(f"network N{i}:\n    input x: B 4\n    a = linear({i})\n")  # 0 is wrong
    told = []
    for cores in (3, 1):
        monkeypatch.setattr(side_by_side, "_cores", lambda cores=cores: cores)
        told.append([command("check", folder, *more) for more in ((), ("--json",), ("--format", "sarif"))])
    assert told[0] == told[1]
    assert told[0][0].code == 1 and "f0.arch: 1 mistake" in told[0][0].out and "N8" in told[0][0].out
