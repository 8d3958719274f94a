"""The wheel holds what the tree holds, and runs where there is nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from house.plan import ROOMS, ROOT, fresh

CARRIED = {".py", ".arch", ".lark", ".typed", ".html", ".css", ".js", ".svg", ".json"}


def carried(root: Path) -> set[str]:
    """The files of the rooms of a checkout, as they are named in a wheel."""
    found = set()
    for room, folder in ROOMS.items():
        for path in (root / folder).rglob("*"):
            if path.suffix in CARRIED and path.is_file():
                found.add("/".join([*room.split("."), *path.relative_to(root / folder).parts]))
    return found


def build(root: Path, out: Path) -> Path:
    """A wheel of a copy of the rooms, so that nothing an earlier build left behind is in it."""
    copy = out / "tree"
    for folder in ROOMS.values():
        shutil.copytree(root / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(root / name, copy / name)
    _pip("wheel", copy, "--no-deps", "--no-build-isolation", "--wheel-dir", out)
    (wheel,) = out.glob("ogive-*.whl")
    return wheel


def listed(wheel: Path) -> set[str]:
    """The files in a wheel, without its own records."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def _pip(*words: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    target = wheel.parent / "installed"
    _pip("install", "--no-deps", "--no-index", "--target", target, wheel)
    return target


def _missing(names: Iterable[str], wheel: Path) -> list[str]:
    return sorted(set(names) - listed(wheel))


def test_the_wheel_holds_every_file_of_the_rooms(wheel: Path) -> None:
    wanted = {"ogive/py.typed", "ogive/dsl/grammar.lark", "ogive/dsl/grammar.json", "ogive/library/vit.arch"}
    assert wanted <= carried(ROOT)
    assert _missing(carried(ROOT), wheel) == []


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    strangers = {name for name in listed(wheel) - carried(ROOT) if Path(name).suffix in CARRIED}
    assert sorted(strangers) == []
    assert {name.split("/")[0] for name in listed(wheel)} == {"ogive"}


def test_the_wheel_carries_the_licence_and_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert any(name.endswith("licenses/LICENSE") for name in names)
        (entry,) = (name for name in names if name.endswith("entry_points.txt"))
        assert b"ogive = ogive.cli:main" in archive.read(entry)


def test_the_installed_wheel_checks_vit_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(installed)}
    where = fresh("import ogive.dsl, ogive.library; print(ogive.dsl.__file__)", cwd=tmp_path, env=env)
    assert where.startswith(str(installed)), "another ogive shadows the installed one"
    command = [sys.executable, "-m", "ogive", "check", "vit"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    command = [sys.executable, "-m", "ogive", "explain-error", "A203"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "Repaired:" in done.stdout, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_setup_does_not_list_is_seen(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    root = tmp_path / "tree"
    for room, folder in ROOMS.items():
        (root / folder / "sub").mkdir(parents=True)
        (root / folder / "__init__.py").write_text("")
        (root / folder / "sub" / "lost.py").write_text(f'"""In {room}, in a folder without __init__.py."""')
    for name in ("pyproject.toml", "setup.py", "LICENSE"):
        shutil.copy(ROOT / name, root / name)
    (root / "README.md").write_text("")
    wheel = build(root, tmp_path / "out")
    assert _missing(carried(root), wheel) == sorted(f"{room.replace('.', '/')}/sub/lost.py" for room in ROOMS)
