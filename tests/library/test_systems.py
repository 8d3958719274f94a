"""The table of systems is whole: its tests and networks exist, no network is missing, every reference was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from systems import Row, functions, sections

from ogive.dsl.build import names_of
from ogive.dsl.load import library_names, load_library

ROWS = [row for rows in sections().values() for row in rows]
REACHED = json.loads((Path(__file__).parents[2] / "docs" / "parity.json").read_text("utf-8"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.system[:40])
def test_a_row_names_what_exists(row: Row) -> None:
    assert row.tests
    for file, name, _ in row.tests:
        assert name == "*" or name in functions(file), f"{name} is not in {file}"
    for file, name in row.networks:
        assert name in {n.partition(".")[0] for n in names_of(load_library(file))} | set(names_of(load_library(file)))


def test_every_network_has_a_row() -> None:
    named = {(file, name.partition(".")[0]) for row in ROWS for file, name in row.networks}
    held = {(file, network.name) for file in library_names() for network in load_library(file).networks}
    assert held == named


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.system[:40])
def test_where_there_is_a_reference_an_error_was_measured(row: Row) -> None:
    """Within what the tests allow: 1e-6 in float64, 1e-4 in float32."""
    if not row.reference.startswith(("torchvision", "timm", "transformers", "torch.nn.")):
        assert row.reference
        return
    errors = REACHED[row.system]
    assert errors.get("float64", 0.0) <= 1e-6 and errors.get("float32", 0.0) <= 1e-4
    assert "float64" in errors


def test_nothing_is_measured_without_a_row() -> None:
    assert set(REACHED) <= {row.system for row in ROWS}


def test_parts_are_there_for_two_files() -> None:
    """`std` has what several families share; what one needs stands in its file."""
    taken: dict[str, set[str]] = {}
    for file in library_names():
        for statement in load_library(file).file.imports:
            for name in statement.names:
                taken.setdefault(f"{'.'.join(statement.module)} {name.name}", set()).add(file)
    std = [f"std.{path.stem}" for path in (Path(__file__).parents[2] / "library" / "std").glob("*.arch")]
    parts = [f"{file} {block.name}" for file in std for block in load_library(file).file.definitions]
    assert parts and {part: taken.get(part) for part in parts if len(taken.get(part, ())) < 2} == {}
