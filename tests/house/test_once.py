"""A name is given once: no module defines one twice, no mixin of the builder takes a method that another one has."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict

import pytest
from house.plan import modules

from ogive.dsl.body import Bodies


def twice(tree: ast.Module) -> list[str]:
    """Names that the top of a module defines more than once; `_` is for what registers itself."""
    names: Counter[str] = Counter()
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names.update(target.id for target in targets if isinstance(target, ast.Name))
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] += 1
    return [name for name, count in names.items() if count > 1 and name != "_"]


@pytest.mark.parametrize("module", modules().values(), ids=lambda module: module.place)
def test_no_name_is_defined_twice(module) -> None:
    assert twice(module.tree) == []


def test_what_is_defined_twice_is_seen() -> None:
    code = "A = 1\nB: int = 2\nA = 3\ndef B(): ...\n_ = 1\n_ = 2\nif A:\n    C = 1\nelse:\n    C = 2\n"
    assert twice(ast.parse(code)) == ["A", "B"]


def test_no_method_hides_another() -> None:
    owners: dict[str, list[str]] = defaultdict(list)
    for kind in Bodies.__mro__:
        for name, value in vars(kind).items():
            if callable(value) and not name.startswith("__") and not getattr(value, "__isabstractmethod__", False):
                owners[name].append(kind.__module__)
    assert {name: where for name, where in owners.items() if len(where) > 1} == {}
