"""`scan`: what stands in its body, what enters it, and what it leaves."""

from __future__ import annotations

import pytest
from building import graph, keys, mistakes, network, shapes, text_of, wrong

TOKENS = "input xs: B N 8"
FOLD = "scan x in xs with h = zeros(8):\n    next h = h + x\n"


def test_a_body_is_a_region_with_ends_and_one_node_that_runs_it() -> None:
    found = graph("steps = scan x in xs with h = zeros(8):\n    y = x + h\n    next h = y\n    emit y", TOKENS)
    ops = [node.op for node in found]
    assert ops.count("scan") == 1 and ops.index("in") < ops.index("add") < ops.index("scan")
    scan = next(node for node in found if node.op == "scan")
    assert scan.id == "steps"
    assert [str(t) for t in scan.outputs] == ["B 8", "B N 8"]
    assert found.regions[scan.primitive.body].kind == "scan"  # type: ignore[union-attr]
    assert str(found.tensor(found.outputs[0][1])) == "B N 8"


def test_positions_lose_their_axis() -> None:
    assert shapes("scan x in xs:\n    emit x", "input xs: B N 8") == ["B N 8"]
    assert shapes("scan x in xs:\n    e = embedding(10, 4)\n    emit e", "input xs: B N of int") == ["B N 4"]
    assert shapes("scan x in xs:\n    emit x", "input xs: B N=5 8") == ["B 5 8"]
    assert shapes("to_tokens\nscan x in _:\n    emit x", "input xs: B 3 H=4 W=5") == ["B (4 5) 3"]


def test_a_named_scan_is_a_scope_and_an_unnamed_one_is_none() -> None:
    body = "scan x in xs:\n    fc = linear(4)\n    emit fc"
    assert keys(body, TOKENS)[0] == "fc.weight"
    assert keys("steps = " + body, TOKENS)[0] == "steps.fc.weight"
    inside = "repeat 2 as layers[i]:\n    s = scan x in _:\n        fc = linear(8)\n        emit fc"
    assert keys(inside, TOKENS)[::2] == ["layers.0.s.fc.weight", "layers.1.s.fc.weight"]


def test_the_name_stands_for_what_it_emits() -> None:
    body = "s = scan x in xs with h = zeros(8):\n    next h = x\n    emit h, now=x\n"
    found = graph(body + "return s, s.now, h", TOKENS)
    assert [str(found.tensor(edge)) for _, edge in found.outputs] == ["B N 8", "B N 8", "B 8"]
    assert str(found.tensor(found.results["s"])) == "B N 8"
    found = graph("a, b = scan x in xs:\n    emit x, x\na + b", TOKENS)
    assert text_of(found)[-1] == "return add"


def test_without_emit_the_first_state_is_the_flow() -> None:
    assert shapes(FOLD, TOKENS) == ["B 8"]
    body = "scan x in xs with a = zeros(3), b = zeros(8):\n    next a = a + 1\n    next b = x\n"
    assert shapes(body, TOKENS) == ["B 3"]


def test_starts() -> None:
    for start in ("zeros(8)", "first", "t", "first + t"):
        body = f"first = xs -> take(0)\nt = learned(8)\nscan x in xs with h = {start}:\n    next h = h + x\n"
        assert shapes(body, TOKENS) == ["B 8"]
    body = "scan x in xs with h = [zeros(8), zeros(8)]:\n    next h = [h[1], x]\n    emit h[0]"
    assert shapes(body, TOKENS) == ["B N 8"]


def test_multiply_adds_and_nodes_count_once_for_each_position() -> None:
    [many] = [n.macs for n in graph("scan x in xs:\n    fc = linear(4)\n    emit fc", "input xs: B=1 N=5 8")
              if n.op == "linear"]
    assert many == 5 * 8 * 4


def test_several_sequences_are_of_one_length() -> None:
    head = "input a: B N 8, b: B M 8"
    body = "scan x in a, y in b:\n    emit x + y"
    found = graph(body, head)
    assert [guard.text for guard in found.guards] == ["the lengths of `x` and `y`"]
    wrong(body, "input a: B N=3 8, b: B M=4 8", code="A146", words="3 is not 4")


def test_names_of_a_body_stay_inside() -> None:
    wrong(FOLD.replace("    next", "    y = x * 2\n    next") + "y -> relu", TOKENS, code="A101")
    wrong("s = " + FOLD.replace("    next", "    y = x * 2\n    next") + "s.y -> relu", TOKENS, code="A110")


@pytest.mark.parametrize("source", ["xs", "[xs][0]", "xs + 1", "_"])
def test_what_a_scan_goes_over(source: str) -> None:
    assert shapes(f"scan x in {source}:\n    emit x", TOKENS) == ["B N 8"]


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("scan x in [xs, xs]:\n    emit x", "A146", "`repeat list as x:`"),
        ("scan x in 3:\n    emit x", "A146", "here is `3`"),
        ("v = xs -> take(0)\nscan x in v:\n    emit x", "A146", "`B 8` has none"),
        ("scan x in xs:\n    relu", "A141", "carries nothing and emits nothing"),
        ("scan x in xs with h = 0:\n    next h = x", "A142", "starts as `0`"),
        ("scan x in xs with h = zeros(4):\n    next h = x", "A142", "`h` is `B 4`, and next would be `B 8`"),
        ("scan x in xs with h = [x, x]:\n    next h = [x]", "A101", "called `x`"),
        ("scan x in xs with h = zeros(8):\n    next h = h + x\n    return h", "A115", "`return` stands inside"),
        ("repeat 2:\n    emit xs", "A141", "inside a `repeat`"),
        ("emit xs", "A141", "outside every `scan`"),
    ],
)
def test_wrong_uses(body: str, code: str, words: str) -> None:
    wrong(body, TOKENS, code=code, words=words)


def test_weights_without_a_name_in_a_body() -> None:
    assert [d.code for d in mistakes(network("scan x in xs:\n    linear(4)\n    emit _", TOKENS))] == ["A104"]


def test_a_repeat_in_a_body_is_written_out_once() -> None:
    body = "s = scan x in xs:\n    repeat 3 as b[i]:\n        fc = linear(8)\n    emit _"
    assert keys(body, TOKENS)[::2] == [f"s.b.{i}.fc.weight" for i in range(3)]


def test_what_nothing_reads_is_not_built() -> None:
    found = graph("s = scan x in xs:\n    fc = linear(8)\n    emit x\nxs", TOKENS)
    assert not found.parameters and [node.op for node in found] == ["input"]
