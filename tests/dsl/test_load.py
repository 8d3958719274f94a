"""Files and imports: what is read, what is found, what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ogive.dsl import limits
from ogive.dsl.build import build, choose, names_of
from ogive.dsl.check import check
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.load import Unit, library_names, load_file, load_library, load_text

PART = "block Part:\n    input x: B C\n    relu\n"
NET = "network Net:\n    input x: B C\n    Part\n"


def write(folder: Path, **files: str) -> Path:
    """Write `a__b` to a/b.arch."""
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".arch")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def codes(unit: Unit) -> list[str]:
    return [d.code for d in check(unit).mistakes]


def refused(path: Path | str, root: Path | None = None) -> str:
    """What is said where a file or its imports cannot be loaded."""
    try:
        unit = load_file(path, root)
    except ArchError as error:
        return str(error)
    return "\n".join(d.render() for d in unit.mistakes)


# ---------------------------------------------------------------------------------------------- imports
def test_the_file_beside_and_folders_up(tmp_path: Path) -> None:
    write(tmp_path, part=PART, net="from .part import Part\n" + NET, deep__down__net="from ...part import Part\n" + NET)
    (tmp_path / "ogive.toml").touch()
    assert codes(load_file(tmp_path / "net.arch")) == []
    assert codes(load_file(tmp_path / "deep/down/net.arch")) == []


def test_a_folder_in_the_name(tmp_path: Path) -> None:
    write(tmp_path, parts__part=PART, net="from .parts.part import Part as P\n" + NET.replace("Part", "P"))
    assert codes(load_file(tmp_path / "net.arch")) == []


def test_never_above_the_root(tmp_path: Path) -> None:
    write(tmp_path, part=PART, inside__net="from ..part import Part\n" + NET)
    assert "lies outside the root" in refused(tmp_path / "inside/net.arch")
    assert refused(tmp_path / "inside/net.arch", root=tmp_path) == ""
    (tmp_path / "pyproject.toml").touch()
    assert refused(tmp_path / "inside/net.arch") == ""


def test_links_do_not_leave_the_root(tmp_path: Path) -> None:
    write(tmp_path, secret=PART, inside__net="from .link import Part\n" + NET)
    os.symlink(tmp_path / "secret.arch", tmp_path / "inside/link.arch")
    assert "lies outside the root" in refused(tmp_path / "inside/net.arch")


def test_the_library_is_found_without_dots() -> None:
    assert codes(load_text("from std.timm import Mlp\nnetwork N:\n    input x: B N 8\n    mlp = Mlp(4)\n")) == []
    assert {"vit", "resnet", "unet", "mixer"} <= set(library_names())
    with pytest.raises(ArchError, match="did you mean `resnet`"):
        load_library("resnte")


@pytest.mark.parametrize("module", ["os", "..", "std.timm.x", "vit.arch"])
def test_the_library_is_not_left(module: str) -> None:
    with pytest.raises(ArchError, match="A109"):
        load_library(module)


def test_circles(tmp_path: Path) -> None:
    write(tmp_path, a="from .b import B\n" + PART, b="from .a import A\n" + PART)
    assert "imports run in a circle: " in refused(tmp_path / "a.arch")
    write(tmp_path, c="from .c import C\n" + PART.replace("Part", "D"))
    assert "imports run in a circle: " in refused(tmp_path / "c.arch")


def test_a_file_is_read_once(tmp_path: Path) -> None:
    write(tmp_path, part=PART, left="from .part import Part\n" + PART.replace("Part", "L"),
          right="from .part import Part\n" + PART.replace("Part", "R"),
          net="from .left import Part\nfrom .right import Part as P\nfrom .part import Part as Q\n" + NET)
    unit = load_file(tmp_path / "net.arch")
    parts = {id(unit.names[name].node) for name in ("Part", "P", "Q") if unit.names[name]}  # type: ignore[union-attr]
    assert len(parts) == 1 and not unit.mistakes


def test_names_that_are_not_there_or_taken(tmp_path: Path) -> None:
    write(tmp_path, part=PART, a="from .part import Prt\n" + NET, b="from .part import Part\n" + PART + NET,
          c="from .missing import Part\n" + NET, prat=PART)
    assert "did you mean `Part`?" in refused(tmp_path / "a.arch")
    assert "`Part` has a meaning in this file already" in refused(tmp_path / "b.arch")
    assert "there is no `missing.arch` in that folder" in refused(tmp_path / "c.arch")


def test_mistakes_of_an_imported_file_are_told_with_its_name(tmp_path: Path) -> None:
    write(tmp_path, part=PART.replace("relu", "relux"), net="from .part import Part\n" + NET)
    found = check(load_file(tmp_path / "net.arch")).mistakes
    assert [d.code for d in found] == ["A101"]
    assert "part.arch:3:5" in found[0].render()
    write(tmp_path, part=PART + "    ) \n")
    assert "part.arch" in refused(tmp_path / "net.arch")


def test_definitions_may_be_used_before_they_stand() -> None:
    assert codes(load_text(NET + PART)) == []


def test_too_many_imports(tmp_path: Path) -> None:
    write(tmp_path, **{f"f{i}": f"from .f{i + 1} import P{i + 1}\n" + PART.replace("Part", f"P{i}") for i in range(30)})
    assert "A508" in refused(tmp_path / "f0.arch")


# ---------------------------------------------------------------------------------------------- files
def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path, net=NET)
    (tmp_path / "binary.arch").write_bytes(b"\x89PNG\x00\xff")
    (tmp_path / "large.arch").write_bytes(b"# " + b"x" * limits.FILE_BYTES)
    assert "A800" in refused(tmp_path / "nte.arch") and "did you mean `net.arch`?" in refused(tmp_path / "nte.arch")
    assert "is a folder" in refused(tmp_path)
    assert "is not UTF-8 text: byte 0 in line 1" in refused(tmp_path / "binary.arch")
    assert "A501" in refused(tmp_path / "large.arch")
    assert "A800" in refused("/dev/null") and "A800" in refused("a\0b")


def test_a_mark_and_other_line_ends(tmp_path: Path) -> None:
    (tmp_path / "net.arch").write_bytes(b"\xef\xbb\xbf" + (PART + NET).replace("\n", "\r\n").encode())
    assert codes(load_file(tmp_path / "net.arch")) == []


# ---------------------------------------------------------------------------------------------- choosing
def test_choosing_a_network() -> None:
    unit = load_library("vit")
    assert names_of(unit)[:5] == ["ViT.Ti", "ViT.S", "ViT.B", "ViT.L", "ViT.H"]
    assert choose(unit, "ViT.S")[1] == "S"
    for name, words in (("VIT", "did you mean `ViT`?"), ("S", "did you mean `ViT.S`?"), (None, "choose one of ViT.Ti")):
        with pytest.raises(ArchError) as error:
            choose(unit, name)
        assert error.value.codes == ("A801",) and words in str(error.value)


def test_the_only_network_needs_no_name() -> None:
    assert build(load_text(PART + NET)).name == "Net"
    assert build(load_text(PART + NET.replace("Net:", "Net(n):\n    presets n:\n        S 1"))).name == "Net.S"
    with pytest.raises(ArchError, match="holds no network"):
        build(load_text(PART))


def test_an_imported_network_can_be_built() -> None:
    assert build(load_text("from vit import ViT\n"), "ViT.Ti").graph.parameter_count == 5717416
