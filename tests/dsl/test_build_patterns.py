"""Patterns and mechanisms as values of the language: joined, named, given, imported, counted; what biases demand."""

from __future__ import annotations

from pathlib import Path

import pytest
from building import built, checked, graph, wrong

from ogive.compiler.cost import tree
from ogive.dsl.build import build
from ogive.dsl.load import load_file
from ogive.dsl.patterns.count import pairs
from ogive.dsl.patterns.named import Sliding, Window
from ogive.dsl.patterns.space import Space

GRID = "input x: B (1 + h=14 w=14) 64"


def over(text: str, head: str = GRID, above: str = "", params: str = "") -> str:
    found = graph(f"y = attend(4, over={text})", head, above, params)
    return str(found.nodes["y" if "y" in found.nodes else "attend"].primitive.over)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("window(7) | prefix", "window(7) | prefix"), ("window(7, shift=3) | self", "window(7, shift=3) | self"),
        ("(dense - sliding(3)) & causal | prefix", "dense - sliding(3) & causal | prefix"),
        ("~self", "~self"), ("per_head([dense, sliding(5) | prefix])", "per_head([dense, sliding(5) | prefix])"),
        ("linformer(rank=64)", "linformer(64)"), ('kernel("relu")', 'kernel("relu")'), ("kernel", 'kernel("elu")'),
        ("window(7) | prefix if 1 < 2 else dense", "window(7) | prefix"), ("channels", "channels"),
        ("sliding(2 * 3 + 1.0) | prefix", "sliding(7) | prefix"), ("window(7x14) | prefix", "window(7x14) | prefix"),
    ],
)
def test_values(text: str, shown: str) -> None:
    assert over(text) == shown


def test_names_lists_parameters_and_presets() -> None:
    text = """
    block Part(over: pattern = dense):
        input x: ... C
        core = attend(4, over=over)

    network N(far: pattern, near: [pattern] = [sliding(3), causal], n=5):
        presets  far:
            a    sliding(7)
            b    linformer(8)
            c    per_head([dense, causal])

        input x: B 16 64
        both = near[0] | sliding(n)
        x -> Part(both)
        attn = Part(far)
    """
    report = checked(text)
    assert report.ok and set(report.built) == {"N.a", "N.b", "N.c"}
    overs = {name: [str(n.primitive.over) for n in b.graph if n.op == "attend"] for name, b in report.built.items()}
    assert overs["N.a"] == ["sliding(3) | sliding(5)", "sliding(7)"] and overs["N.b"][1] == "linformer(8)"
    assert list(report.built["N.b"].graph.parameters) == ["attn.core.E", "attn.core.F"]


def test_another_set_never_renames_a_key() -> None:
    text = "from vit import ViT\n\nnetwork V = ViT.Ti(depth=2, over={})\n"
    dense = built(text.format("dense")).graph.parameters
    for p in ("window(7) | prefix", "per_head([dense, sliding(3) | prefix, causal])", 'kernel("elu")', "performer",
              "random(3, of=16) | prefix"):
        assert list(built(text.format(p)).graph.parameters) == list(dense), p
    more = built(text.format("linformer(64)")).graph.parameters
    assert set(more) - set(dense) == {f"blocks.{i}.attn.core.{w}" for i in (0, 1) for w in "EF"}


def test_patterns_are_imported(tmp_path: Path) -> None:
    (tmp_path / "sets.arch").write_text(
        "pattern disc(r=2.0):\n    allow (q.row - k.row) ** 2 + (q.col - k.col) ** 2 <= r ** 2\n"
        "pattern ring(a=1.0, b=3.0):\n    allow disc(b) - disc(a)\n", encoding="utf-8")
    (tmp_path / "net.arch").write_text(
        "from .sets import ring as halo\n\nnetwork N:\n    input x: B 8 6 6\n    attend(2, over=halo(b=2.5) | self)\n",
        encoding="utf-8")
    found = build(load_file(str(tmp_path / "net.arch"), tmp_path)).graph
    assert [str(n.primitive.over) for n in found if n.op == "attend"] == ["ring(b=2.5) | self"]


def test_a_pattern_that_nothing_uses_is_checked() -> None:
    report = checked("pattern p:\n    allow q.rwo == 1\nnetwork N:\n    input x: B 8\n    relu\n")
    assert [d.code for d in report.mistakes] == ["A130"]


def test_products_are_those_of_the_set() -> None:
    found = graph("attend(4, over=window(7) | prefix)", GRID)
    space = Space.of(14, 14, prefix=1)
    wanted = sum((Window(7)).row(q, space).bit_count() for q in range(197)) + 2 * 196 + 1
    assert found.macs({"B": 1}) == wanted * 128
    assert found.nodes["attend"].primitive.macs_dense(
        (found.tensor(found.nodes["attend"].inputs[0]),), found.nodes["attend"].outputs
    ) == found.tensor(found.nodes["attend"].inputs[0]).shape[0] * 197 * 197 * 128


def test_a_free_grid_is_counted_once_it_is_known() -> None:
    found = graph("attend(4, over=sliding(3))", "input x: B 8 H W")
    for h, w in ((5, 9), (2, 2)):
        assert found.macs({"B": 2, "H": h, "W": w}) == 2 * pairs(Sliding(3), Space.of(h, w)) * 16
    row = tree(found, {"B": 1, "H": 8, "W": 8}).children[-1]
    assert row.density == pairs(Sliding(3), Space.of(8, 8)) / 64**2
    assert tree(graph("attend(4)", GRID)).children[-1].density is None


def test_biases_do_not_move_the_flow() -> None:
    body = "near = relative_bias(4, 14, prefix=1)\na = alibi(4)\nb = t5_bias(4)\nm = head_mix(4)\nattend(4, bias=near)"
    found = graph(body, GRID)
    assert found.nodes["attend"].inputs[0].node == "x"
    found = graph("r = learned(27, 16)\nnear = x, r, r -> decomposed_relative(4)\nattend(4, bias=near)",
                  "input x: B (h=14 w=14) 64")
    assert found.nodes["attend"].inputs[0].node == "x"
    assert found.nodes["attend"].macs == found.tensor(found.nodes["attend"].inputs[0]).shape[0] * (
        196 * 196 * 128 + 196 * 28 * 64)


def test_a_decomposed_table_ends_where_the_pattern_does() -> None:
    head = "input x: B (h=14 w=14) 64"
    body = "r = learned({}, 16)\nnear = x, r, r -> decomposed_relative(4)\nattend(4, over={}, bias=near)"
    found = graph(body.format(13, "window(7)"), head)
    assert found.macs({"B": 1}) == 4 * 49 * 49 * 128 + 196 * 14 * 64
    assert graph(body.format(5, "sliding(5)"), head).macs({"B": 1}) == pairs(Sliding(5), Space.of(14, 14)) * 128 + (
        196 * 10 * 64)
    graph(body.format(27, "window(7)"), head)
    wrong(body.format(11, "window(7)"), head, code="A201", words="14 places along its axis under `window(7)` need 13")
    wrong(body.format(13, "dense"), head, code="A201", words="14 places along its axis under `dense` need 27")
    wrong(body.format(29, "dense"), head, code="A201", words="need 27")


def test_what_biases_demand() -> None:
    head = "input x: B (h=8 w=8) 16"
    near = "near = relative_bias(2, {})\nx -> attend(2, over={}, bias=near)"
    graph(near.format(4, "window(4) | sliding(3)"), head)
    graph(near.format("8x1", 'axial("col")'), head)
    wrong(near.format(4, "dense"), head, code="A201", words="up to 7 rows, and the table holds up to 3")
    wrong(near.format("4x2", "window(4)"), head, code="A201", words="up to 3 columns, and the table holds up to 1")
    wrong(near.format("3, step=2", "sliding(3)"), head, code="A201", words="leaves out offsets")
    graph(near.format("2, step=2", "dilated(3, step=2) | self"), head)
    wrong(near.format(4, "window(4)"), "input x: B N 16", code="A201")
    disc = "pattern disc(r=2):\n    allow (q.row - k.row) ** 2 + (q.col - k.col) ** 2 <= r * r"
    graph(near.format(3, "disc"), head, disc)
    wrong(near.format(2, "disc"), head, disc, code="A201", words="up to 2 rows, and the table holds up to 1")
    free = graph(near.format(4, "window(4)"), "input x: B 16 H W")
    assert free.guards == ()
    (guard,) = graph(near.format(4, 'axial("row")'), "input x: B 16 H W").guards
    assert guard.condition.show() == "W - 1 <= 3"
