"""Steps in turn, and from where on one position sees the whole input: by hand, and what folded rows say of it."""

from __future__ import annotations

import pytest

import ogive
from ogive.compiler.cost import Row, costs, leaves, sight, steps, tree
from ogive.dsl.dims import evaluate
from ogive.dsl.dims_text import show

SIZES = {"B": 1, "N": 12, "T": 5}


@pytest.mark.parametrize(("lines", "wanted"), [
    ("input xs: B N 8\n    fc = linear(8)", "0"), ("input xs: B N 8\n    attend(2)", "0"),
    ("input xs: B N 8\n    a = rnn(8)", "N"), ("input xs: B N 8\n    a = lstm(8, layers=3)", "3*N"),
    ("input xs: B N 8\n    a = gru(8, bidirectional=True)", "N"),
    ("input xs: B N 8\n    a = gru(8)\n    b = gru(8)", "2*N"),
    ("input xs: B N 8\n    a = xs -> gru(8)\n    b = xs -> gru(8)\n    a + b", "N"),
    ("input xs: B N 8, ys: B T 8\n    a = xs -> gru(8)\n    b = ys -> gru(8)\n    a, b -> concat(N)", "N"),
], ids=["linear", "attention", "rnn", "layers", "both ways", "in turn", "beside", "the longer one"])
def test_layers(lines: str, wanted: str) -> None:
    graph = ogive.loads(f"network Net:\n    {lines}\n").graph
    assert show(steps(graph, SIZES)) == wanted


def _scanned(before: str = "", inside: str = "", after: str = "") -> str:
    text = f"""
network Net:
    input xs: B N 8, ys: B T 8
    start = zeros(8)
{before}
    scan x in {"a" if before else "xs"} with h = start:
        {inside or "x"}
        _, h -> concat
        cell = linear(8)
        next h = cell
        emit cell
{after}
"""
    return show(steps(ogive.loads(text).graph, SIZES))


def test_a_scan_takes_its_times_in_turn() -> None:
    assert _scanned() == "N"
    assert _scanned(before="    a = xs -> gru(8)") == "2*N"
    assert _scanned(after="    b = lstm(8)") == "2*N"


def test_networks_of_the_library() -> None:
    def of(file: str, name: str) -> str:
        return show(steps(ogive.load(file, name).graph, SIZES))

    assert of("bahdanau", "RNNSearch") == "N + T"  # the encoder reads, the decoder writes
    assert of("three_layers", "Sequence.recurrent") == "N"
    assert of("three_layers", "Sequence.convolved") == of("three_layers", "Sequence.attended") == "0"


@pytest.mark.parametrize(("name", "n", "layers"), [
    ("recurrent", 512, 1), ("convolved", 512, 256), ("convolved", 513, 256), ("convolved", 511, 255),
    ("attended", 512, 1),
])
def test_layers_until_a_position_sees_everything(name: str, n: int, layers: int) -> None:
    found = sight(ogive.load("three_layers", f"Sequence.{name}").graph, {"B": 1, "N": n})
    assert found is not None and found.layers == layers
    assert found.node.startswith(f"layers.{layers - 1}.mix")


def test_nothing_is_seen_whole_where_the_field_ends_before() -> None:
    assert sight(ogive.load("three_layers", "Sequence.convolved").graph, {"B": 1, "N": 514}) is None
    assert sight(ogive.load("unet").graph, {"B": 1, "H": 224, "W": 224}) is None
    vit = sight(ogive.load("vit", "ViT.Ti").graph, {"B": 1})
    assert vit is not None and (vit.node, vit.layers) == ("blocks.0.attn.core", 2)  # patches, then all of them


def test_a_folded_row_is_not_its_first_iteration() -> None:
    """The field grows to the last, and what the first keeps is the input, which is the caller's."""
    whole = tree(ogive.load("three_layers", "Sequence.convolved").graph, {"B": 1, "N": 512})
    folded = next(row for row in whole.children if row.times > 1)
    assert (whole.reach, folded.reach) == ("513", "513")
    assert whole.kept == 255 * 512 * 64 * 4 == _kept(whole)


def test_folded_rows_keep_what_their_iterations_keep() -> None:
    graph = ogive.load("resnet", "ResNet.r18").graph
    sizes = {"B": 1, "H": 224, "W": 224}
    assert _kept(tree(graph, sizes)) == sum(cost.kept for cost in costs(graph, sizes).values())


def _kept(whole: Row) -> int:
    return sum(row.kept * runs for row, runs in leaves(whole))


def test_the_formula_is_the_number() -> None:
    graph = ogive.load("seq2seq", "Seq2Seq").graph
    assert evaluate(steps(graph, SIZES), SIZES) == 4 * SIZES["N"] + SIZES["T"]
