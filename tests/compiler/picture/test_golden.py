"""The DOT text of twelve networks, word for word. OGIVE_UPDATE=1 writes it anew: then look at the pictures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from drawn_networks import TWELVE, graph_of

from ogive.compiler.picture import to_dot

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("file", TWELVE)
def test_golden(file: str) -> None:
    made, place = to_dot(graph_of(file)), GOLDEN / f"{file}.dot"
    if os.environ.get("OGIVE_UPDATE"):
        GOLDEN.mkdir(exist_ok=True)
        place.write_text(made, encoding="utf-8")
    assert place.read_text(encoding="utf-8") == made, f"look at the picture of {TWELVE[file]}; OGIVE_UPDATE=1 keeps it"


def test_no_golden_is_of_another_network() -> None:
    assert {place.stem for place in GOLDEN.glob("*.dot")} == set(TWELVE)
