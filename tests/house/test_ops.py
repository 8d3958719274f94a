"""One op, one record, and a twin of the same file name: dsl/ops/<family>.py and compiler/lower/<family>.py."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from house.plan import ROOT, fresh


def unpaired(records: Mapping[str, type], lowerings: Mapping[str, Callable[..., Any]]) -> list[str]:
    """What has no twin, or a twin in a file of another name."""
    found = [f"{name}: no lowering" for name in sorted(set(records) - set(lowerings))]
    found += [f"{name}: no record" for name in sorted(set(lowerings) - set(records))]
    for name in sorted(set(records) & set(lowerings)):
        families = [_family(records[name].__module__), _family(lowerings[name].__module__)]
        if families[0] != families[1]:
            found.append(f"{name}: record in {families[0]}.py, lowering in {families[1]}.py")
    return found


def _family(module: str) -> str:
    return module.rsplit(".", 1)[-1]


def _families(folder: str) -> set[str]:
    return {path.stem for path in (ROOT / folder).glob("*.py")}


def test_every_record_has_its_twin() -> None:
    importlib.import_module("ogive.dsl.ops")
    from ogive.compiler.lower import LOWERINGS
    from ogive.dsl.ops.record import RECORDS

    assert {"linear", "conv", "attend", "layernorm"} <= set(RECORDS)
    assert unpaired(RECORDS, LOWERINGS) == []
    assert all(name == record.op for name, record in RECORDS.items())


def test_every_family_is_loaded_with_its_room(tmp_path: Path) -> None:
    for package, folder in {"ogive.dsl.ops": "dsl/ops", "ogive.compiler.lower": "compiler/lower"}.items():
        loaded = fresh(f"import sys, {package}; print(*sys.modules)", cwd=tmp_path).split()
        missing = {name for name in _families(folder) if f"{package}.{name}" not in loaded} - {"__init__"}
        assert not missing, f"import {package} leaves out {sorted(missing)}"


def test_what_has_no_twin_is_seen() -> None:
    def thing(family: str) -> Any:
        return SimpleNamespace(__module__=f"ogive.somewhere.{family}")

    records = {"conv": thing("convs"), "relu": thing("activations"), "pool": thing("pools")}
    lowerings = {"conv": thing("linear"), "relu": thing("activations"), "gelu": thing("activations")}
    assert unpaired(records, lowerings) == [
        "pool: no lowering",
        "gelu: no record",
        "conv: record in convs.py, lowering in linear.py",
    ]
