"""Files: every kind of picture, by whichever Graphviz there is, whole or not at all, and an error in words."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ogive.compiler.picture import draw, render, to_svg
from ogive.compiler.picture.render import SUFFIXES
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.graph import Graph

Make = Callable[[str], Graph]
HEADS = {"svg": b"<?xml", "png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF-", "dot": b"digraph "}
needs_fonts = pytest.mark.skipif(not render.has_fonts(), reason="no fonts here")
has_wheel = render._wheel("svg") is not None
has_system = render._system("svg") is not None


@pytest.fixture
def graph(library: Make) -> Graph:
    return library("ViT.Ti")


def refused(graph: Graph, path: Path | str) -> ArchError:
    with pytest.raises(ArchError) as caught:
        draw(graph, path)
    return caught.value


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("engine", ["system", "wheel"])
@needs_fonts
def test_every_suffix(
    graph: Graph, tmp_path: Path, suffix: str, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (has_system if engine == "system" else has_wheel):
        pytest.skip(f"no {engine} Graphviz here")
    monkeypatch.setattr(render, "_wheel" if engine == "system" else "_system", lambda *_: None)
    path = draw(graph, tmp_path / f"vit.{suffix.upper() if suffix == 'svg' else suffix}")
    assert path.read_bytes().startswith(HEADS[suffix])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_picture_is_replaced(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "a.dot"
    path.write_text("old")
    assert draw(graph, str(path)) == path
    assert path.read_text("utf-8").startswith("digraph")
    if os.name == "posix":
        mask = os.umask(0)
        os.umask(mask)
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("a.jpg", "A810", "`.jpg`"),
        ("a.sgv", "A810", "did you mean `a.svg`?"),
        ("a", "A810", "ends in nothing"),
        ("none/a.svg", "A811", "does not exist"),
        ("file/a.svg", "A811", "is a file, not a folder"),
        ("folder.svg", "A811", "is a folder"),
    ],
)
def test_places_that_do_not_do(graph: Graph, tmp_path: Path, name: str, code: str, words: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.svg").mkdir()
    error = refused(graph, tmp_path / name)
    assert error.codes == (code,)
    assert words in error.render()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.svg"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="everything may be written here")
def test_a_folder_that_may_not_be_written(graph: Graph, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert refused(graph, tmp_path / "a.dot").codes == ("A811",)


def test_nothing_is_left_when_the_disk_is_full(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    error = refused(graph, tmp_path / "a.dot")
    assert error.codes == ("A811",) and "No space left" in error.render()
    assert list(tmp_path.iterdir()) == []


def test_without_graphviz(graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(render, "find_spec", lambda *_: None)
    error = refused(graph, tmp_path / "vit.svg")
    assert error.codes == ("A812",)
    assert 'pip install "ogive[picture]"' in error.render() and "vit.dot" in error.render()
    assert [p.name for p in tmp_path.iterdir()] == ["vit.dot"]
    with pytest.raises(ArchError) as caught:
        to_svg(graph)
    assert caught.value.codes == ("A812",)


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_without_fonts(graph: Graph, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not render.is_available():
        pytest.skip("no Graphviz here")
    for name in ("FONTCONFIG_FILE", "FONTCONFIG_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path))
    error = refused(graph, tmp_path / f"a.{suffix}")
    assert error.codes == ("A814",) and ".svg" in error.render()
    assert draw(graph, tmp_path / "a.svg").is_file()
    (tmp_path / "fonts" / "deep").mkdir(parents=True)
    (tmp_path / "fonts" / "deep" / "A.TTF").write_bytes(b"")
    assert render.has_fonts()


def test_a_graphviz_that_hangs(graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "_system", lambda *_: [sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(render, "SECONDS", 0.2)
    error = refused(graph, tmp_path / "a.svg")
    assert error.codes == ("A813",) and "depth" in error.render()
    assert list(tmp_path.iterdir()) == []


def test_a_graphviz_that_fails(graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [sys.executable, "-c", "import sys; sys.exit('Format: \"svg\" not recognized')"]
    monkeypatch.setattr(render, "_system", lambda *_: broken)
    if has_wheel:  # the other one is tried
        assert draw(graph, tmp_path / "a.svg").is_file()
    monkeypatch.setattr(render, "_wheel", lambda *_: [str(tmp_path / "gone")])
    error = refused(graph, tmp_path / "b.svg")
    assert error.codes == ("A813",) and "not recognized" in error.render()


@pytest.mark.skipif(not has_wheel, reason="pygraphviz is not installed")
def test_the_wheel_is_not_looked_for_in_the_current_folder(graph: Graph, tmp_path: Path) -> None:
    (tmp_path / "pygraphviz.py").write_text("print('taken over')")
    code = "import sys; from ogive.compiler.picture.render import picture_of as p\n"
    code += "sys.stdout.buffer.write(p('graph{a}', 'svg'))"
    env = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, env=env, capture_output=True, timeout=60)
    assert done.stdout.startswith(b"<?xml"), done.stderr
