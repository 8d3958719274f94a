"""The DOT text of twelve networks, word for word. OGIVE_UPDATE=1 writes it anew: then look at the pictures."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from drawn_networks import TWELVE, graph_of

from ogive.compiler.picture import to_dot
from ogive.compiler.picture.render import is_available, picture_of

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("file", TWELVE)
def test_golden(file: str) -> None:
    made, place = to_dot(graph_of(file)), GOLDEN / f"{file}.dot"
    if os.environ.get("OGIVE_UPDATE"):
        GOLDEN.mkdir(exist_ok=True)
        place.write_text(made, encoding="utf-8")
    assert place.read_text(encoding="utf-8") == made, f"look at the picture of {TWELVE[file]}; OGIVE_UPDATE=1 keeps it"


@pytest.mark.skipif(not is_available(), reason="no Graphviz here")
@pytest.mark.parametrize("file", TWELVE)
def test_every_id_is_of_one_element(file: str) -> None:
    svg = picture_of((GOLDEN / f"{file}.dot").read_text(encoding="utf-8"), "svg")
    ids = [element.get("id") for element in ET.fromstring(svg).iter() if element.get("id") is not None]
    assert len(ids) > 20 and len(ids) == len(set(ids))


def test_no_golden_is_of_another_network() -> None:
    assert {place.stem for place in GOLDEN.glob("*.dot")} == set(TWELVE)
