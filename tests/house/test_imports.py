"""Imports run downhill: ogive.dsl below ogive.compiler below ogive, without a circle, at the top of each file."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

import networkx
import pytest
from house.plan import ROOMS, ROOT, Module, fresh, modules

MAY_IMPORT = {
    "ogive.library": set(),
    "ogive.dsl": {"ogive.dsl", "ogive.library"},
    "ogive.compiler": {"ogive.dsl", "ogive.compiler", "ogive.library"},
    "ogive": {"ogive.dsl", "ogive.compiler", "ogive.library", "ogive"},
}

# Packages that may be missing. Each is imported in one file, there inside the function that needs it.
OPTIONAL = {"pygraphviz", "onnx", "onnxscript", "timm", "torchvision", "sklearn", "IPython"}

# What only one place may touch: the parser generator, and other programs.
RESERVED = {
    "lark": {
        "dsl/grammar.py", "dsl/parse.py", "dsl/layout.py", "dsl/convert.py", "dsl/convert_expressions.py",
        "dsl/convert_shapes.py", "dsl/convert_walk.py",
    },
    "subprocess": {"compiler/picture/render.py", "ogive/revisions.py"},  # Graphviz, git
    "triton": {
        "compiler/aot/compiled.py", "compiler/kernels/backward.py", "compiler/kernels/forward.py",
        "compiler/kernels/int8_forward.py", "compiler/kernels/int8_quantise.py", "compiler/kernels/registry.py",
        "compiler/kernels/scores.py", "compiler/kernels/tiles.py",
    },
}


def uphill(known: Mapping[str, Module]) -> list[str]:
    """Imports of a room that lies above, those for type checkers too."""
    return [
        f"{module.place}:{item.line}: {module.room} may not import {item.target}"
        for module in known.values()
        for item in module.imports(known)
        if item.target.split(".")[0] == "ogive" and _room(item.target) not in MAY_IMPORT[module.room]
    ]


def circles(known: Mapping[str, Module]) -> list[str]:
    """Modules that import each other while running, each circle as `a -> b -> a`.

    An import from outside a package runs the package first, so whichever module is imported first, all of them stand.
    """
    graph = networkx.DiGraph()
    for module in known.values():
        for item in module.imports(known):
            if item.target in known and item.where != "typing":
                graph.add_edge(module.name, item.target)
                packages = {".".join(item.target.split(".")[:n]) for n in range(2, item.target.count(".") + 1)}
                around = {p for p in packages & known.keys() if not f"{module.name}.".startswith(f"{p}.")}
                graph.add_edges_from((module.name, package) for package in around)
    found = []
    for group in networkx.strongly_connected_components(graph):
        if len(group) > 1 or any(graph.has_edge(name, name) for name in group):
            circle = [a for a, _ in networkx.find_cycle(graph, min(group))]
            found.append(" -> ".join([*circle, circle[0]]))
    return found


def misplaced(known: Mapping[str, Module]) -> list[str]:
    """Imports inside a function that are none of the three exceptions."""
    return [
        f"{module.place}:{item.line}: import {item.target} belongs at the top of the file"
        for module in known.values()
        for item in module.imports(known)
        if item.where == "inside" and not _lazy(module) and item.target.split(".")[0] not in OPTIONAL
    ]


def scattered(known: Mapping[str, Module]) -> list[str]:
    """Optional packages that more than one file imports."""
    users: dict[str, set[str]] = {}
    for module in known.values():
        for item in module.imports(known):
            users.setdefault(item.target.split(".")[0], set()).add(module.place)
    crowded = {package: sorted(places) for package, places in users.items() if package in OPTIONAL and len(places) > 1}
    return [f"{package}: {places}" for package, places in sorted(crowded.items())]


def trespassers(known: Mapping[str, Module]) -> list[str]:
    """Files that import what is reserved for another, or torch in ogive.dsl."""
    return [
        f"{module.place}:{item.line}: {item.target}"
        for module in known.values()
        for item in module.imports(known)
        for package in [item.target.split(".")[0]]
        if (package in RESERVED and module.place not in RESERVED[package])
        or (package == "torch" and module.room in {"ogive.dsl", "ogive.library"})
    ]


def _room(name: str) -> str:
    return max((room for room in ROOMS if name == room or name.startswith(room + ".")), key=len)


def _lazy(module: Module) -> bool:
    """The door resolves its names when they are asked for, and a command imports its room in its own function."""
    return module.name == "ogive" or module.name.startswith(("ogive.cli", "ogive.commands"))


def _plant(**files: str) -> dict[str, Module]:
    """A house of a few files: `dsl_graph="import x"` is the module ogive.dsl.graph."""
    known = {}
    for key, text in files.items():
        name = "ogive." + key.replace("_", ".") if key != "door" else "ogive"
        path = ROOT / (name.removeprefix("ogive.").replace(".", "/") + ".py")
        known[name] = Module(name, path, ast.parse(text))
    return known


def _nothing(found: Iterable[str]) -> None:
    assert list(found) == []


def test_the_rooms_are_found() -> None:
    assert {"ogive", "ogive.dsl", "ogive.compiler", "ogive.library", "ogive.dsl.ops"} <= set(modules())


def test_imports_run_downhill() -> None:
    _nothing(uphill(modules()))


def test_there_are_no_circles() -> None:
    _nothing(circles(modules()))


@pytest.mark.parametrize("name", ["ogive.dsl.ops.biases", "ogive.compiler.reference.biases"])
def test_a_module_may_be_the_first_that_is_imported(name: str, tmp_path: Path) -> None:
    """The rule of circles says so of all; these are of the knot that once was one."""
    assert fresh(f"import {name}; print('stands')", cwd=tmp_path) == "stands"


def test_imports_stand_at_the_top() -> None:
    _nothing(misplaced(modules()))


def test_an_optional_package_is_imported_in_one_file() -> None:
    _nothing(scattered(modules()))


def test_reserved_packages_stay_where_they_belong() -> None:
    _nothing(trespassers(modules()))


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {module.path.parent for module in modules().values()}
    _nothing(str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists())


def test_nothing_is_called_utils() -> None:
    vague = {"util", "utils", "helper", "helpers", "common", "manager", "misc"}
    _nothing(module.place for module in modules().values() if vague & set(Path(module.place).with_suffix("").parts))


# Each rule is shown a house that breaks it.


def test_uphill_is_seen() -> None:
    planted = _plant(dsl_a="from ogive.compiler import b", compiler_b="import ogive", door="")
    assert uphill(planted) == [
        "dsl/a.py:1: ogive.dsl may not import ogive.compiler.b",
        "compiler/b.py:1: ogive.compiler may not import ogive",
    ]


def test_uphill_is_seen_under_type_checking() -> None:
    planted = _plant(dsl_a="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ogive.compiler.b import B")
    assert uphill(planted) == ["dsl/a.py:3: ogive.dsl may not import ogive.compiler.b"]


def test_a_circle_is_seen_and_named() -> None:
    planted = _plant(dsl_a="from ogive.dsl.b import B", dsl_b="from ogive.dsl import c", dsl_c="from .a import A")
    assert circles(planted) == ["ogive.dsl.a -> ogive.dsl.b -> ogive.dsl.c -> ogive.dsl.a"]


def test_a_circle_through_a_package_is_seen() -> None:
    planted = _plant(dsl_a="from ogive.dsl.ops.b import B", dsl_ops_b="")
    planted |= _plant(dsl_ops="from ogive.dsl.ops import c", dsl_ops_c="from ogive.dsl.a import A")
    assert circles(planted) == ["ogive.dsl.a -> ogive.dsl.ops -> ogive.dsl.ops.c -> ogive.dsl.a"]


def test_a_circle_for_the_type_checker_alone_is_none() -> None:
    guarded = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ogive.dsl.a import A"
    assert circles(_plant(dsl_a="from ogive.dsl.b import B", dsl_b=guarded)) == []


def test_an_import_in_a_function_is_seen() -> None:
    inside = "def f():\n    import json\n    import pygraphviz"
    assert misplaced(_plant(dsl_a=inside)) == ["dsl/a.py:2: import json belongs at the top of the file"]
    assert misplaced(_plant(cli=inside, door=inside)) == []


def test_a_scattered_optional_package_is_seen() -> None:
    inside = "def f():\n    import pygraphviz"
    assert scattered(_plant(compiler_a=inside)) == []
    assert scattered(_plant(compiler_a=inside, cli=inside)) == ["pygraphviz: ['cli.py', 'compiler/a.py']"]


def test_trespassers_are_seen() -> None:
    planted = _plant(dsl_a="import torch.nn\nfrom lark import Lark", compiler_b="import subprocess\nimport torch")
    assert trespassers(planted) == ["dsl/a.py:1: torch.nn", "dsl/a.py:2: lark", "compiler/b.py:1: subprocess"]
