"""What a hostile file says never steers what it is printed into: a terminal, JSON, Python."""

from __future__ import annotations

import ast
import json
import unicodedata

import pytest
from building import mistakes
from hostile.texts import HOSTILE, texts

import ogive


def test_no_control_character_reaches_the_terminal() -> None:
    shown = 0
    for name, text in texts().items():
        if not isinstance(text, str) or len(text) > 2000 or not name.startswith(("encoding", "injection", "key")):
            continue
        for found in mistakes(text):
            words = found.render()
            bad = {c for c in words if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
            assert not bad, f"{name}: {bad}"
            json.dumps(found.as_json())
            shown += 1
    assert shown > 100


@pytest.mark.parametrize("words", HOSTILE)
def test_comments_and_strings_stay_words_in_python(words: str) -> None:
    """The comment above a network is the docstring of its source; it may close no string and start no line."""
    said = words.replace('"', "'")
    text = (f"# {words}\n# second\\\nnetwork N:\n    input x: B 8 H W\n    assert H > 2, \"{said}\"\n"
            "    a = conv(8, 3x3)\n")
    source = ogive.to_source(ogive.compile(ogive.loads(text)))
    tree = ast.parse(source)
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & {"exec", "eval", "os.system", "alert", "__import__", "open"}
    assert {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names} <= {
        "math", "torch", "torch.nn", "torch.nn.functional"}
