"""Papers: each network of the library names one, and the year of a paper is that of its number."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ogive.catalogue import paper_of
from ogive.dsl.load import library_names, load_library

ROOT = Path(__file__).parents[2]
FOLDERS = ("bench", "compiler", "docs", "dsl", "examples", "library", "ogive")
DATED = re.compile(r"\b(?:19|20)(\d\d),\s+(?:[#|] *)?arXiv:(\d\d)\d\d\.\d{4,5}")
"""As `2017, arXiv:1706.03762`; a comment may break the line between them."""


def test_a_year_is_that_of_the_number() -> None:
    """The first version counts, not the conference: one paper has one year everywhere."""
    files = [ROOT / "README.md", *(f for folder in FOLDERS for f in (ROOT / folder).rglob("*")
                                   if f.suffix in {".arch", ".md", ".py"})]
    found = [(path.name, *match.groups()) for path in files for match in DATED.finditer(path.read_text("utf-8"))]
    assert len(found) > 200
    assert [x for x in found if x[1] != x[2]] == []


@pytest.mark.parametrize("file", library_names())
def test_each_network_has_a_paper(file: str) -> None:
    for network in load_library(file).networks:
        assert paper_of(network), network.name
