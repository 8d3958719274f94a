"""The doors are pinned: what people import is written here, so that it changes on purpose and with a changelog line."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from house.plan import ROOT, fresh

DOOR = [
    "ArchError",
    "__version__",
    "check",
    "compile",
    "diff",
    "draw",
    "draw_field",
    "draw_stages",
    "dynamic_shapes",
    "features",
    "freeze",
    "fuse",
    "load",
    "load_module",
    "load_weights",
    "loads",
    "save_weights",
    "to_source",
]


def test_the_door_is_pinned() -> None:
    import ogive

    assert sorted(ogive.__all__) == DOOR
    assert set(DOOR) <= set(dir(ogive))
    for name in DOOR:
        assert getattr(ogive, name) is not None


def test_the_door_opens_without_its_rooms(tmp_path: Path) -> None:
    code = "import json, sys, ogive; print(json.dumps([m for m in ('torch', 'lark', 'networkx') if m in sys.modules]))"
    assert json.loads(fresh(code, cwd=tmp_path)) == []


def test_an_unknown_name_is_an_attribute_error(tmp_path: Path) -> None:
    code = "import ogive\ntry: ogive.lod\nexcept AttributeError as e: print(e)"
    assert re.search("ogive.*lod", fresh(code, cwd=tmp_path))


def test_there_is_one_version() -> None:
    import ogive

    written = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert ogive.__version__ == written
    assert f"## [{written}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_rooms_are_not_imported_by_their_folder_names() -> None:
    for room in ("dsl", "compiler", "library"):
        code = f"try: import {room}\nexcept ImportError as e: print(e)"
        assert fresh(code, cwd=ROOT) == f"import ogive.{room}, not {room}"
