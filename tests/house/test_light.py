"""What must load without torch loads without torch, and `ogive --help` loads next to nothing."""

from __future__ import annotations

import json
from pathlib import Path

from house.plan import fresh, modules

# Imports the names one by one and answers with the first after which the package was loaded.
CULPRIT = """
import importlib, sys
for name in {names!r}:
    importlib.import_module(name)
    if "torch" in sys.modules:
        print(name)
        break
"""

HELP = """
import contextlib, io, json, sys
sys.argv = ["ogive", "--help"]
with contextlib.redirect_stdout(io.StringIO()) as out:
    try:
        from ogive.cli import main
        main()
    except SystemExit as end:
        assert not end.code, end.code
print(json.dumps(dict(said=out.getvalue(), loaded=[m for m in {heavy!r} if m in sys.modules])))
"""

LIGHT = ("ogive.dsl", "ogive.library", "ogive.cli", "ogive.compiler.picture", "ogive.compiler.cost")


def _light() -> list[str]:
    inside = tuple(f"{name}." for name in LIGHT)
    return ["ogive", *(name for name in modules() if name in LIGHT or name.startswith(inside))]


def test_the_language_loads_without_torch(tmp_path: Path) -> None:
    names = _light()
    assert {"ogive.dsl.parse", "ogive.dsl.graph", "ogive.dsl.ops.record", "ogive.cli"} <= set(names)
    assert fresh(CULPRIT.format(names=names), cwd=tmp_path) == "", "this module brings torch in"


def test_a_module_that_brings_torch_in_is_named(tmp_path: Path) -> None:
    (tmp_path / "heavy_one.py").write_text("import torch")
    names = ["json", "heavy_one", "csv"]
    assert fresh(CULPRIT.format(names=names), cwd=tmp_path) == "heavy_one"


def test_help_loads_no_room(tmp_path: Path) -> None:
    answer = json.loads(fresh(HELP.format(heavy=["lark", "pydantic", "networkx", "torch", "numpy"]), cwd=tmp_path))
    assert "check" in answer["said"]
    assert answer["loaded"] == []


def test_a_heavy_help_is_seen(tmp_path: Path) -> None:
    answer = json.loads(fresh(HELP.format(heavy=["json"]), cwd=tmp_path))
    assert answer["loaded"] == ["json"]
