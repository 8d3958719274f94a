"""Every module says what it is in a docstring, and what it gives away in `__all__`."""

from __future__ import annotations

import ast

import pytest
from house.plan import modules


def undocumented(tree: ast.Module) -> list[str]:
    """What a module fails to say about itself."""
    found = []
    if not (ast.get_docstring(tree) or "").strip():
        found.append("no docstring")
    public, given = _public(tree), _all(tree)
    if public and given is None:
        found.append(f"no __all__, but {', '.join(sorted(public))}")
    if given is not None and len(given) != len(set(given)):
        found.append("a name twice in __all__")
    for node in tree.body:
        named = isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in (given or [])
        if named and isinstance(node, ast.FunctionDef) and not ast.get_docstring(node) and _long(node):
            found.append(f"{node.name}: no docstring")
    return found


def _public(tree: ast.Module) -> set[str]:
    """The names defined at the top of a module, without what is imported."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def _all(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            words = (leaf.value for leaf in ast.walk(node.value) if isinstance(leaf, ast.Constant))
            return [word for word in words if isinstance(word, str)]
    return None


def _long(node: ast.FunctionDef) -> bool:
    """A function of one or two statements is read as fast as its docstring."""
    return len(node.body) > 2


@pytest.mark.parametrize("module", modules().values(), ids=lambda module: module.place)
def test_a_module_says_what_it_is(module) -> None:
    assert undocumented(module.tree) == []


def test_silence_is_seen() -> None:
    assert undocumented(ast.parse("def f(): ...\nA = 1\n_b = 2")) == ["no docstring", "no __all__, but A, f"]
    assert undocumented(ast.parse('"""It."""\n__all__ = ["f", "f"]\ndef f(): ...')) == ["a name twice in __all__"]
    assert undocumented(ast.parse('"""It."""\n__all__ = ["f"]\ndef f():\n    a\n    b\n    c')) == ["f: no docstring"]
    assert undocumented(ast.parse('"""It."""\nimport json\nfrom a import b\n_private = 1')) == []
