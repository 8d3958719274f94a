"""Hostile imports: circles of every length, ways out of the root, and what is no file."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ogive.dsl.check import check
from ogive.dsl.diagnostics import ArchError, Diagnostic
from ogive.dsl.load import load_file, load_text

BLOCK = "block {name}:\n    input x: B C\n    relu\n"


def said(path: Path, root: Path | None = None) -> tuple[Diagnostic, ...]:
    try:
        return check(load_file(path, root)).mistakes
    except ArchError as error:
        return error.diagnostics


def places(found: tuple[Diagnostic, ...]) -> list[str]:
    return [f"{d.code} {Path(d.span.source.name).name}:{d.span.line}" if d.span else d.code for d in found]


def importing(folder: Path, target: str, name: str = "a") -> Path:
    path = folder / f"{name}.arch"
    path.write_text(f"from {target} import Part\n" + BLOCK.format(name=f"Of_{name}"), encoding="utf-8")
    return path


@pytest.mark.parametrize("length", [1, 2, 3, 5, 9, 15])
def test_circles_are_named_once_where_they_close(tmp_path: Path, length: int) -> None:
    for i in range(length):
        other = (i + 1) % length
        text = f"from .f{other} import P{other} as Q\n" + BLOCK.format(name=f"P{i}")
        (tmp_path / f"f{i}.arch").write_text(text, encoding="utf-8")
    found = said(tmp_path / "f0.arch")
    assert places(found) == [f"A109 f{length - 1}.arch:1"]
    assert found[0].title.count(" -> ") == length


def test_a_circle_beside_the_way(tmp_path: Path) -> None:
    """a imports b, and b and c import each other: the circle is b and c."""
    for name, other in {"a": "b", "b": "c", "c": "b"}.items():
        text = f"from .{other} import P{other} as Q\n" + BLOCK.format(name=f"P{name}")
        (tmp_path / f"{name}.arch").write_text(text, encoding="utf-8")
    (found,) = said(tmp_path / "a.arch")
    assert places((found,)) == ["A109 c.arch:1"]
    assert found.title.count("a.arch") == 0


def test_a_circle_by_a_link(tmp_path: Path) -> None:
    path = importing(tmp_path, ".b")
    os.symlink(path, tmp_path / "b.arch")
    assert places(said(path)) == ["A109 a.arch:1"]


@pytest.mark.parametrize("target", ["..secret", "...secret", "." * 60 + "secret", "..inside2.secret"])
def test_up_and_out(tmp_path: Path, target: str) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside2").mkdir()
    for place in (tmp_path, tmp_path / "inside2"):
        (place / "secret.arch").write_text(BLOCK.format(name="Part"), encoding="utf-8")
    path = importing(tmp_path / "inside", target)
    assert places(said(path, tmp_path / "inside")) == ["A109 a.arch:1"]


def test_links_out(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "part.arch").write_text(BLOCK.format(name="Part"), encoding="utf-8")
    os.symlink(tmp_path / "outside", inside / "folder")
    os.symlink(tmp_path / "outside" / "part.arch", inside / "file.arch")
    os.symlink(inside / "file.arch", inside / "twice.arch")
    os.symlink("/etc/passwd", inside / "passwd.arch")
    os.symlink("/dev/zero", inside / "zero.arch")
    for target in (".folder.part", ".file", ".twice", ".passwd", ".zero"):
        (found,) = said(importing(inside, target), inside)
        assert places((found,)) == ["A109 a.arch:1"], target
        assert "lies outside the root" in found.title and "root:" not in found.render()


def test_links_in_a_circle_and_to_nothing(tmp_path: Path) -> None:
    os.symlink(tmp_path / "x.arch", tmp_path / "y.arch")
    os.symlink(tmp_path / "y.arch", tmp_path / "x.arch")
    os.symlink(tmp_path / "gone.arch", tmp_path / "dead.arch")
    assert places(said(importing(tmp_path, ".x"))) == ["A109 a.arch:1"]
    assert places(said(importing(tmp_path, ".dead"))) == ["A109 a.arch:1"]
    assert [d.code for d in said(tmp_path / "x.arch")] == ["A800"]


def test_what_is_no_file(tmp_path: Path) -> None:
    """A pipe would wait for a writer, a device would never end."""
    (tmp_path / "folder.arch").mkdir()
    os.mkfifo(tmp_path / "pipe.arch")
    with socket.socket(socket.AF_UNIX) as door:
        here = Path.cwd()
        os.chdir(tmp_path)  # the path of a socket is short
        try:
            door.bind("door.arch")
        finally:
            os.chdir(here)
        for name in ("folder", "pipe", "door"):
            assert [d.code for d in said(importing(tmp_path, f".{name}"))] == ["A800"], name
            assert [d.code for d in said(tmp_path / f"{name}.arch")] == ["A800"], name
    for path in ("/dev/null", "/dev/zero", "/dev/stdin", "/proc/self/mem", "\0", "a" * 5000, ""):
        assert [d.code for d in said(Path(path))] == ["A800"], path


def test_what_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "b.arch").write_bytes(b"\xff\xfe")
    assert places(said(importing(tmp_path, ".b"))) == ["A800 b.arch:1"]
    (tmp_path / "b.arch").write_text("network N:\n    relu(\n")
    assert places(said(importing(tmp_path, ".b"))) == ["A011 b.arch:2"]


@pytest.mark.parametrize("target", [
    "os", "std", "std.__init__", "__init__", "__pycache__", "vit.arch", "std.timm.Mlp", "std.std.timm", "VIT",
])
def test_the_library_is_left_by_no_name(target: str) -> None:
    found = load_text(f"from {target} import Part\n").mistakes
    assert [d.code for d in found] == ["A109"]
