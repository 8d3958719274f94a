"""The table of the parser (dsl/grammar.py): as it is kept, it reads what the table that Lark makes reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import lark
import pytest
from error_cases import FOLDERS, cases
from hostile.generator import network
from lark import Lark
from lark.exceptions import UnexpectedInput, UnexpectedToken

from ogive.dsl import grammar
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.layout import Layout
from ogive.dsl.parse import parse
from ogive.dsl.source import Source

ROOT = Path(__file__).parents[2]
FILES = [path for folder in ("library", "examples", "tests/dsl/corpus") for path in (ROOT / folder).rglob("*.arch")]
WRONG = [case for folder in FOLDERS for case in cases(folder) if case.kind == "arch"]


def read(parser: Lark, layout: Layout, text: str) -> object:
    """The tree with the places of its parts, or what is wrong."""
    layout.source = Source("a.arch", text)
    try:
        tree = parser.parse(text + "\n", start="start")
    except UnexpectedInput as error:
        expected = error.accepts or error.expected if isinstance(error, UnexpectedToken) else error.allowed
        return type(error), error.pos_in_stream, expected
    except ArchError as error:
        return error.codes
    return tree, [(x.data, x.meta.start_pos, x.meta.end_pos) for x in tree.iter_subtrees() if not x.meta.empty]


@pytest.fixture(scope="module")
def both() -> Iterator[list[tuple[Lark, Layout]]]:
    layouts = Layout(), Layout()
    kept = grammar.kept(layouts[0])
    if kept is None:
        kept = grammar.made(layouts[0])
        assert lark.__version__ != stored()["of"]["lark"], "`python docs/generate.py dsl/grammar.json` writes the table"
    yield [(kept, layouts[0]), (grammar.made(layouts[1]), layouts[1])]


def stored() -> dict[str, dict[str, str]]:
    return json.loads((ROOT / "dsl" / "grammar.json").read_text("utf-8"))


def test_the_table_is_fresh() -> None:
    """It is compared letter by letter with the Lark that wrote it; another one does not use it, which is all it may."""
    if stored()["of"]["lark"] == lark.__version__:
        assert (ROOT / "dsl" / "grammar.json").read_text("utf-8") == grammar.data(), \
            "`python docs/generate.py dsl/grammar.json` writes it"
    else:
        assert grammar.kept(Layout()) is None


def test_both_read_the_same(both: list[tuple[Lark, Layout]]) -> None:
    texts = [*(path.read_text("utf-8") for path in FILES), *(network(seed).text for seed in range(20))]
    texts += [text for case in WRONG for text in (case.wrong, case.repaired)]
    found = [read(*both[0], text) for text in texts]
    assert found == [read(*both[1], text) for text in texts]
    assert sum(isinstance(x[0], lark.Tree) for x in found if isinstance(x, tuple)) > 300
    assert sum(x[0] is UnexpectedToken for x in found if isinstance(x, tuple)) > 50


def test_a_table_of_another_grammar_or_lark_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar, "files", lambda package: tmp_path)
    text = (ROOT / "dsl" / "grammar.lark").read_text("utf-8")
    (tmp_path / "grammar.lark").write_text(text, encoding="utf-8")
    assert grammar.kept(Layout()) is None, "there is none"
    (tmp_path / "grammar.json").write_text(grammar.data(), encoding="utf-8")
    assert grammar.kept(Layout()) is not None
    monkeypatch.setattr(lark, "__version__", "9.9")
    assert grammar.kept(Layout()) is None
    monkeypatch.undo()
    monkeypatch.setattr(grammar, "files", lambda package: tmp_path)
    (tmp_path / "grammar.lark").write_text(text.replace('"presets"', '"variants"'), encoding="utf-8")
    assert grammar.kept(Layout()) is None
    layout = Layout()
    tree = "network N:\n    variants a:\n        S 1\n    input x: B C\n    relu\n"
    assert isinstance(read(grammar.parser(layout), layout, tree), tuple)


def test_what_is_kept_is_what_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    if stored()["of"]["lark"] != lark.__version__:
        pytest.skip("the table was made by another version of Lark")

    def never(layout: Layout) -> Lark:
        raise AssertionError("the table is made anew")

    monkeypatch.setattr(grammar, "made", never)
    assert isinstance(grammar.parser(Layout()), Lark)
    assert parse(Source("a.arch", "network N:\n    input x: B C\n    relu\n")).definitions
