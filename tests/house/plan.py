"""The floor plan the house rules are read from: which files the rooms hold, and what each of them imports.

Everything here reads text (`ast`), nothing is imported, so a module that cannot be imported is still held to the rules.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["ROOMS", "ROOT", "Import", "Module", "fresh", "modules"]

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {"ogive": "ogive", "ogive.dsl": "dsl", "ogive.compiler": "compiler", "ogive.library": "library"}


@dataclass(frozen=True)
class Import:
    """One module named by an import: `where` is "top", "typing" (under TYPE_CHECKING) or "inside" a function."""

    target: str
    line: int
    where: str


@dataclass(frozen=True)
class Module:
    """One Python file of a room: its import name, its text as a tree."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def place(self) -> str:
        """The path as it is written in messages."""
        return self.path.relative_to(ROOT).as_posix() if self.path.is_relative_to(ROOT) else self.path.name

    @property
    def room(self) -> str:
        return max((room for room in ROOMS if self.name == room or self.name.startswith(room + ".")), key=len)

    def imports(self, known: Mapping[str, object]) -> Iterator[Import]:
        """Every import, `from a.b import c` as `a.b.c` where `known` has a module of that name, else as `a.b`."""
        for node, where in _statements(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(alias.name, node.lineno, where)
            elif isinstance(node, ast.ImportFrom):
                base = self._base(node)
                targets = (f"{base}.{alias.name}" for alias in node.names)
                for target in dict.fromkeys(name if name in known else base for name in targets):
                    yield Import(target, node.lineno, where)

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name.split(".") if self.path.name == "__init__.py" else self.name.split(".")[:-1]
        return ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])


@cache
def modules() -> Mapping[str, Module]:
    """Every Python file of the rooms, by its import name."""
    found = {}
    for room, folder in ROOMS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join([room, *(p for p in parts if p != "__init__")])
            found[name] = Module(name, path, ast.parse(path.read_text("utf-8"), str(path)))
    return found


def fresh(code: str, *, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """What a new interpreter prints when it runs `code`; its standard error stands in the failure."""
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _statements(tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    """Every statement with where it stands; `if` and `try` at the top of a module are still the top."""
    inner = ast.stmt | ast.ExceptHandler | ast.match_case  # no statement stands inside an expression
    stack: list[tuple[ast.AST, str]] = [(node, "top") for node in reversed(tree.body)]
    while stack:
        node, where = stack.pop()
        if isinstance(node, ast.stmt):
            yield node, where
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            where = "inside"
        elif where == "top" and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            stack.extend((child, "typing") for child in node.body)
            stack.extend((child, "top") for child in node.orelse)
            continue
        stack.extend((child, where) for child in ast.iter_child_nodes(node) if isinstance(child, inner))
