"""Equal runs of a block are copied (`dsl/copies.py`): the network is the one that building each of them gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hostile.generator import network

from ogive.dsl import limits
from ogive.dsl.body import Bodies
from ogive.dsl.build import attempt, choose, names_of
from ogive.dsl.built import Attempt
from ogive.dsl.copies import Copying
from ogive.dsl.graph import Graph
from ogive.dsl.load import Unit, load_file, load_text
from ogive.dsl.meter import metered, spent

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("library/**/*.arch"), *ROOT.glob("examples/**/*.arch")])


def parts(graph: Graph) -> dict[str, Any]:
    """All that a graph says, in its order."""
    return {
        "nodes": list(graph.nodes.items()), "primitives": [str(node.primitive) for node in graph],
        "inputs": graph.inputs, "returns": graph.returns, "regions": graph.regions,
        "parameters": list(graph.parameters.items()), "guards": graph.guards, "results": list(graph.results.items()),
        "free": list(graph.free.items()), "elsewhere": list(graph.elsewhere.items()),
    }


def told(made: Attempt, steps: int) -> dict[str, Any]:
    """All that a build comes to, what it counts, and its mistakes in words."""
    work, built = made.work, made.built
    found: dict[str, Any] = {
        "mistakes": [d.render() for d in work.mistakes.found.values()], "steps": (work.steps, steps),
        "calls": work.calls, "whens": work.whens, "unsaid": work.unsaid, "scopes": work.scopes, "depths": work.depths,
        "rooms": work.rooms, "cells": work.cells, "flags": work.flags, "taken": work.taken, "journal": work.journal,
    }
    if built is None:
        return found
    found |= {"graph": parts(built.graph), "dropped": built.dropped, "solved": built.solved, "read": built.read}
    found["cases"] = [(dict(case), parts(graph)) for case, graph in built.cases]
    if built.undecided is not None:
        found["undecided"] = parts(built.undecided.graph)
    return found


def both(unit: Unit, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a network comes to when each run is built, and when equal ones are copied."""
    definition, preset = choose(unit, name)
    found = []
    for kind in (Bodies, Copying):
        with metered():
            made = attempt(definition, preset, {}, {}, kind)
            found.append(told(made, spent()))
    return found[0], found[1]


def same(unit: Unit, name: str) -> None:
    built, copied = both(unit, name)
    for what, value in built.items():
        assert copied[what] == value, what


def copies_in(text: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many runs of the network of a text are copied; that the network is the same."""
    count = 0
    put_down = Copying._put_down

    def counted(self: Copying, *given: Any) -> Any:
        nonlocal count
        count += 1
        return put_down(self, *given)

    monkeypatch.setattr(Copying, "_put_down", counted)
    unit = load_text(text)
    built, copied = both(unit, names_of(unit)[0])
    assert built["mistakes"] == []
    assert copied == built
    return count


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_library_network_is_the_same(file: Path) -> None:
    unit = load_file(file)
    for name in names_of(unit)[:1]:
        same(unit, name)


@pytest.mark.long
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_library_network_is_the_same(file: Path) -> None:
    unit = load_file(file)
    for name in names_of(unit)[1:]:
        same(unit, name)


@pytest.mark.parametrize("seed", range(25))
def test_a_generated_network_is_the_same(seed: int) -> None:
    made = network(seed, lines=30)
    same(load_text(made.text, "made.arch"), made.name)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(25, 1000))
def test_generated_networks_are_the_same(seed: int) -> None:
    made = network(seed, lines=40)
    same(load_text(made.text, "made.arch"), made.name)


BLOCK = """
block Part(width=8, rate=0.0):
    input x: B N C
    residual(drop_path=rate):
        norm = layernorm
        fc = linear(width)
        gelu
        out = linear(C)
"""


def text(body: str, blocks: str = BLOCK) -> str:
    return f"{blocks}\nnetwork N:\n    input x: B (h=4 w=4) 8\n" + "\n".join(f"    {x}" for x in body.split("\n"))


CASES = {
    "a repeat": ("repeat 5 as blocks[i]:\n    Part", 3),  # to the first, the input made its positions
    "names of a copy": ("repeat 3 as b[i]:\n    p = Part\nb[2].p.norm -> relu\nb[0].p.fc.weight -> abs", 1),
    "other settings": ("repeat 3 as b[i]:\n    Part(width=8 + i)", 0),
    "rates": ("repeat 6 as b[i]:\n    Part(rate = 0.1 if i % 2 == 0 else 0.2)", 3),
    "1 and 1.0": ("a = x -> Kind(1)\nb = x -> Kind(1.0)\nc = x -> Kind(1)", 1),
    "another shape": ("a = Part\nlinear(12) as \"wide\"\nb = Part", 0),
    "another origin": ("a = Cut\nb = Cut\nc = x -> Cut", 1),
    "in a block": ("repeat 3 as b[i]:\n    Two", 3),
    "a shared module": ("shared g = Two\nx -> g\n_ -> g\ny = g", 3),
    "a key from the root": ("a = Rooted(0)\nb = Rooted(1)", 0),
    "an optional input": ("repeat 3 as b[i]:\n    x -> Maybe\nx, _ -> Maybe as \"m\"", 2),
    "training": ("if training:\n    repeat 3 as b[i]:\n        Part\nrepeat 2 as c[i]:\n    Part", 2),
    "learned data": ("t = learned(16, 8)\na = t -> Cut2\nb = t -> Cut2", 0),
    "scan": ("repeat 4 as b[i]:\n    Cell", 2),
    "a list": ("repeat 3 as b[i]:\n    [x, _] -> Join", 1),
    "op parameters": ("repeat 6 as b[i]:\n    Norm(layernorm(eps=1e-6) if i % 2 == 0 else rmsnorm)", 3),
    "patterns": ("repeat 6 as b[i]:\n    Att(over = window(2, shift=i % 2))", 3),
}

MORE = BLOCK + """
block Kind(factor=1.0):
    input x: B N C
    fc = linear(8)
    _ * factor

block Cut:
    input x: B N C
    cls = learned(1, 1, C)
    cls, x -> concat
    take(cls)
    _ + x

block Cut2:
    input x: N C
    _ * 2

block Two:
    input x: B N C
    a = Part
    b = Part
    _ + a

block Rooted(i):
    input x: B N C
    fc = linear(8) as "/root.{i}"

block Maybe:
    input x: B N C
    input m?: B N C
    fc = linear(8)
    if m:
        _ + m

block Cell:
    input xs: B N C
    scan x in xs with s = zeros(8):
        x + s
        tanh
        next s = _
        emit s

block Join:
    input xs: [B N C]
    concat(C)
    fc = linear(8)

block Norm(norm: op):
    input x: B N C
    n = norm

block Att(over: pattern):
    input x: B N C
    qkv = linear(3 * C)
    split(3)
    attend(2, over=over)
    proj = linear(C)
"""


@pytest.mark.parametrize("case", CASES)
def test_what_is_copied(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body, copies = CASES[case]
    assert copies_in(text(body, MORE), monkeypatch) == copies


HALVES = """
block Half:
    input x: B C H W
    c = conv(C, 3x3, stride=2)         : B C H/2 W/2
    up = upsample(2)                   : B C H W

network N:
    input image: B 3 H W
    repeat 4 as b[i]:
        Half
"""


def test_what_is_assumed_is_assumed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert copies_in(HALVES, monkeypatch) == 2
    assert len(both(load_text(HALVES), "N")[1]["graph"]["guards"]) == 2


def wrong(text: str, code: str) -> None:
    """Both ways give the same mistakes, the first of them of this code."""
    unit = load_text(text)
    built, copied = both(unit, names_of(unit)[0])
    assert built["mistakes"] and built["mistakes"][0].startswith(f"error[{code}]"), built["mistakes"]
    assert copied["mistakes"] == built["mistakes"]


LIMITS = [
    ("NODES", 40, "A511"), ("CALLS", 5, "A512"), ("STEPS", 60, "A513"), ("FILE_STEPS", 500, "A515"),
    ("KEY_LENGTH", 15, "A505"),
]


@pytest.mark.parametrize(("limit", "most", "code"), LIMITS)
def test_limits_are_met_at_the_same_line(limit: str, most: int, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, limit, most)
    wrong(text("repeat 20 as blocks[i]:\n    Part"), code)


def test_a_block_around_itself_is_refused() -> None:
    blocks = """
block A(go):
    input x: B N C
    if go > 0:
        b = B(0)
    relu

block B(go):
    input x: B N C
    if go > 0:
        a = A(go)
    relu
"""
    wrong(text("a = A(1)\nrelu\na2 = A(1)\nb = B(1)", blocks), "A113")


def test_a_key_that_is_taken_is_refused() -> None:
    wrong(text('repeat 2 as b[i]:\n    Part\na = Part as "b.2"\nc = Part as "b.1"'), "A107")
    wrong(text('repeat 2 as b[i]:\n    Part\nfc = linear(8) as "c.fc"\nc = Part'), "A107")


def test_a_shared_module_of_another_width_is_refused() -> None:
    wrong(text("shared g = Part\nx -> g\n_ -> g\nlinear(12) as \"wide\"\n_ -> g"), "A211")
