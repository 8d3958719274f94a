"""`ogive diff` and `ogive.diff`: files, presets, revisions of a repository; text, JSON, pictures, exit codes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from door.command import SMALL, ogive, refused

import ogive as door
from ogive.compiler.picture.render import has_fonts, is_available
from ogive.differences import side_of
from ogive.dsl.diagnostics import ArchError

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
needs_graphviz = pytest.mark.skipif(not is_available(), reason="no Graphviz here")
EDITED = SMALL.replace("fc1  =", "wide =").replace("        gelu\n", "        relu\n")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.arch").write_text(SMALL)
    Path("edited.arch").write_text(EDITED)
    return tmp_path


@pytest.fixture
def repository(folder: Path) -> Path:
    """Two revisions of a network in a folder, whose block is imported from the file beside it."""
    block, _, network = SMALL.partition("\n# A small")
    for n, text in enumerate((block, EDITED.partition("\n# A small")[0])):
        Path("nets").mkdir(exist_ok=True)
        Path("nets/part.arch").write_text(text + "\n")
        Path("nets/small.arch").write_text("from .part import Part\n\n# A small" + network)
        _git("init", "-q") if n == 0 else None
        _git("add", "nets")
        _git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", str(n))
    return folder


def _git(*words: str) -> None:
    subprocess.run(["git", *words], check=True, capture_output=True)


def test_a_file_and_itself() -> None:
    answer = ogive("diff", "small.arch:Small", "small.arch")
    assert answer.code == 0
    assert answer.out == "small.arch:Small and small.arch are the same: nodes, settings, wiring and keys\n"
    assert json.loads(ogive("diff", "vit:ViT.S", "vit:ViT.S", "--json").out)["equal"] is True


def test_two_files() -> None:
    answer = ogive("diff", "small.arch", "edited.arch:Small")
    assert answer.code == 1
    lines = answer.out.splitlines()
    assert lines[0] == (
        "small.arch -> edited.arch:Small: 3 nodes renamed, 3 changed; keys: 6 renamed"
    )
    assert lines[2:5] == [
        "nodes", "  renamed  blocks.*.fc1   -> blocks.*.wide  (3 times)",
        "  changed  blocks.*.relu  gelu -> relu  (3 times)",
    ]
    assert '      rename "blocks.{i}.fc1" -> "blocks.{i}.wide"' in lines
    assert ogive("diff", "small.arch", "edited.arch:Small", "--exit-zero").code == 0


def test_colours_say_what_words_say(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ogive("diff", "small.arch", "edited.arch:Small").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    painted = ogive("diff", "small.arch", "edited.arch:Small").out
    assert "\033[34mrenamed\033[0m" in painted and re.sub(r"\033\[\d+m", "", painted) == plain


def test_two_presets_and_settings() -> None:
    answer = ogive("diff", "vit:ViT.S", "vit:ViT.B", "--json")
    assert answer.code == 1
    data = json.loads(answer.out)
    assert data["figures"]["params"] == [22_050_664, 86_567_656]
    assert data["figures"]["macs"] == [4_598_882_304, 17_563_828_224]
    assert {c["kind"] for c in data["changes"]} == {"changed"}
    fewer = ogive("diff", "vit:ViT.Ti", "vit:ViT.Ti", "--set-b", "depth=11")
    assert fewer.code == 1 and "removed  blocks.11:  Encoder, 11 nodes" in fewer.out
    assert ogive("diff", "small.arch:Small", "small.arch", "--set", "depth=2").code == 0


@needs_git
def test_revisions(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ogive("diff", "HEAD~1:nets/small.arch:Small", "HEAD:nets/small.arch")
    assert answer.code == 1
    assert "renamed  blocks.*.fc1   -> blocks.*.wide  (3 times)" in answer.out  # the import is of that revision too
    assert ogive("diff", "HEAD:nets/small.arch:Small", "nets/small.arch").code == 0
    monkeypatch.chdir(repository / "nets")
    assert ogive("diff", "HEAD:./small.arch:Small", "small.arch").code == 0
    Path("part.arch").write_text(Path("part.arch").read_text().replace("relu", "tanh"))
    assert "changed  blocks.*.tanh  relu -> tanh" in ogive("diff", "HEAD:./small.arch", "small.arch:Small").out


@needs_git
@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(("side", "title", "help"), [
    ("HEAD~9:nets/small.arch", "there is no revision `HEAD~9`", "git log"),
    ("--output=x:nets/small.arch", "there is no revision `--output=x`", "git log"),
    ("HEAD:small.arch", "`HEAD` has no file `small.arch`", "it has `HEAD:nets/small.arch`"),
    ("HEAD:nets", "`HEAD` has no file `nets`", "git ls-tree"),
    ("HEAD:../nets/small.arch", "`../nets/small.arch` is no path in the repository", "from its root"),
    ("HEAD:/etc/passwd", "`/etc/passwd` is no path in the repository", "from its root"),
])
def test_revisions_that_are_not_there(side: str, title: str, help: str) -> None:
    refused(ogive("diff", "--", side, "nets/small.arch:Small"), 2, title, help)


@needs_git
@pytest.mark.usefixtures("repository")
def test_a_mistake_in_a_revision_is_shown_in_it() -> None:
    Path("nets/small.arch").write_text("from ..part import Part\n\nnetwork Small:\n    input x: B 8\n    y = Part\n")
    _git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-a", "-m", "wrong")
    answer = ogive("diff", "HEAD:nets/small.arch", "small.arch:Small")
    assert answer.code != 0 and "there is no `HEAD:part.arch`" in answer.err
    assert "--> HEAD:nets/small.arch:1:" in answer.err


def test_sides() -> None:
    parts = {text: (s.revision, s.file, s.network) for text in (
        "vit", "vit:ViT.S", "a/b.arch", "HEAD~1:a/b.arch", "v1.0:a/b.arch:Net.S", "net.arch:Net", 'n.arch:N."16x"',
    ) for s in [side_of(text)]}
    assert list(parts.values()) == [
        (None, "vit", None), (None, "vit", "ViT.S"), (None, "a/b.arch", None), ("HEAD~1", "a/b.arch", None),
        ("v1.0", "a/b.arch", "Net.S"), (None, "net.arch", "Net"), (None, "n.arch", 'N."16x"'),
    ]
    Path("odd:name.arch").write_text(SMALL)
    assert side_of("odd:name.arch").file == "odd:name.arch"
    for text in ("", ":", ":net.arch", "a:b:c.arch:d.arch"):
        with pytest.raises(ArchError, match="A803"):
            side_of(text)


@pytest.mark.parametrize(("words", "title", "help"), [
    (("nothing.arch", "small.arch"), "cannot read `nothing.arch`", "small.arch"),
    (("vit", "vit"), "`vit` holds several networks", "ViT.Ti"),
    (("vit:ViT.X", "vit:ViT.S"), "`ViT` has no preset `X`", "its presets"),
    (("small.arch:Small", "small.arch", "-o", "x.gif"), "a picture's name ends in .svg", ".png"),
    (("small.arch:Small", "edited.arch", "-o", "no/x.svg"), "the folder `no` does not exist", "make it first"),
    (("small.arch:Small", "edited.arch", "--size", "K=3"), "has no free size `K`", ""),
    (("-", "-"), "`-` stands twice", "name a file"),
    (("small.arch:Small", "small.arch", "--set", "depth=2", "--set-a", "depth=3"), "`depth` is set by `--set`", "both"),
])
def test_what_is_refused(words: tuple[str, ...], title: str, help: str) -> None:
    refused(ogive("diff", *words), 2, title, help)


@needs_graphviz
def test_pictures(folder: Path) -> None:
    for suffix in ("svg", "dot", *(("png",) if has_fonts() else ())):
        answer = ogive("diff", "small.arch:Small", "edited.arch", "-o", f"x.{suffix}")
        assert answer.code == 1 and answer.err == f"wrote x.{suffix}: small.arch:Small -> edited.arch\n"
    text = Path("x.svg").read_text("utf-8")
    for words in ("was blocks.*.fc1", "gelu → relu", "~ changed", "as it was"):
        assert words in text.replace("&#45;", "-").replace("&#160;", " "), words
    assert "added" not in text  # the legend says what there is


def test_from_python() -> None:
    found = door.diff("small.arch:Small", "edited.arch", dim=16)
    assert found and len(found.keys.renamed) == 6
    assert found.before == "small.arch:Small" and str(found).startswith("small.arch:Small -> edited.arch")
    net = door.load("small.arch", "Small.S")
    assert not door.diff(net, net)
    assert door.diff(net, door.load("small.arch", "Small.L")).as_json()["keys"]["loads"] is False
    assert found._repr_mimebundle_()["text/plain"] == str(found)
