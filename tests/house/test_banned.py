"""No `.arch` file, checkpoint or cache may make Python run code: the calls that would are in none of the rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from house.plan import modules

# Full names as they are after following the file's imports; a value says what to do instead.
CALLS = {
    "eval": "evaluate the tree",
    "exec": "torch.fx writes the code",
    "__import__": "import at the top",
    "sympy.sympify": "it evaluates its text: use dims",
    "sympy.parsing.sympy_parser.parse_expr": "it evaluates its text: use dims",
    "sys.setrecursionlimit": "guard the depth in limits",
    "torch.export.load": "it unpickles: write .pt2, never read one",
    "torch.jit.load": "it runs what it reads",
    "torch.hub.load": "it runs what it reads",
    "os.system": "only picture/render starts programs, without a shell",
    "os.popen": "only picture/render starts programs, without a shell",
    "tempfile.mktemp": "mkstemp",
    "yaml.load": "safe_load",
}
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "_pickle"}


def banned(tree: ast.Module) -> list[str]:
    """The forbidden calls and imports of one file, as `line: what`."""
    names = _names(tree)
    return [f"{line}: {what}" for line, what in sorted({*_imports(tree), *_calls(tree, names)})]


def _names(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for: `import torch as t` is {"t": "torch"}."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.name if alias.asname else alias.name.split(".")[0]
                names[alias.asname or bound] = bound
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        targets = []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            targets = [node.module or ""]
        for target in targets:
            if target.split(".")[0] in MODULES:
                yield node.lineno, target


def _calls(tree: ast.Module, names: dict[str, str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name = _dotted(node, names)
            # a name that is passed on is as bad as one that is called
            if name in CALLS or name.removeprefix("builtins.") in CALLS:
                yield node.lineno, name.removeprefix("builtins.")
        if not isinstance(node, ast.Call):
            continue
        name, given = _dotted(node.func, names), {k.arg: k.value for k in node.keywords}
        if name == "torch.load" and not _is(given.get("weights_only"), True):
            yield node.lineno, "torch.load without weights_only=True"
        if name.split(".")[-1] == "Lark" and "cache" in given and not _is(given["cache"], False):
            yield node.lineno, "Lark with a cache"
        if name.split(".")[-1] == "sympify":
            yield node.lineno, "sympify"
        if "shell" in given and not _is(given["shell"], False):
            yield node.lineno, "a shell"


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def _is(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


@pytest.mark.parametrize("module", modules().values(), ids=lambda module: module.place)
def test_nothing_banned(module) -> None:
    assert banned(module.tree) == []


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("eval('1')", "1: eval"),
        ("exec('x = 1')", "1: exec"),
        ("run = eval", "1: eval"),
        ("import builtins\nbuiltins.eval('1')", "2: eval"),
        ("import pickle", "1: pickle"),
        ("from pickle import loads", "1: pickle"),
        ("def f():\n    import joblib.numpy_pickle", "2: joblib.numpy_pickle"),
        ("from sympy import sympify\nsympify('1')", "2: sympify"),
        ("import sympy as s\ns.sympify('1')", "2: sympify"),
        ("import sys\nsys.setrecursionlimit(9)", "2: sys.setrecursionlimit"),
        ("import torch as t\nt.load('a')", "2: torch.load without weights_only=True"),
        ("import torch\ntorch.load('a', weights_only=False)", "2: torch.load without weights_only=True"),
        ("from torch import load\nload('a')", "2: torch.load without weights_only=True"),
        ("from torch.export import load as read\nread('a')", "2: torch.export.load"),
        ("import torch.export\ntorch.export.load('a')", "2: torch.export.load"),
        ("from lark import Lark\nLark('', cache=True)", "2: Lark with a cache"),
        ("import lark\nlark.Lark('', cache='x')", "2: Lark with a cache"),
        ("import subprocess\nsubprocess.run('ls', shell=True)", "2: a shell"),
    ],
)
def test_a_banned_call_is_seen(code: str, seen: str) -> None:
    assert any(found.startswith(seen) for found in banned(ast.parse(code)))


def test_what_only_looks_alike_is_left_alone() -> None:
    code = """
import torch, json, lark
model.eval(); torch.load("a", weights_only=True); json.load(file); lark.Lark("", parser="lalr", cache=False)
torch.export.export(model); cursor.exec("x")
"""
    assert banned(ast.parse(code)) == []
