"""Recurrent layers and cells: torch's numbers and gradients, keys and first values, and sums done by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from building import graph, keys, shapes, wrong
from fakes import B, N, graph_of, tokens
from torch import nn

from ogive.compiler.pipeline import compile

X = torch.randn(3, 7, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
HEAD = "input x: B N 12"
KINDS: dict[str, Any] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
CELLS: dict[str, Any] = {"rnn_cell": nn.RNNCell, "gru_cell": nn.GRUCell, "lstm_cell": nn.LSTMCell}


def module(body: str, head: str = HEAD) -> Any:
    return compile(graph(body, head), dtype=torch.float64).eval()


@pytest.mark.parametrize("op", KINDS)
@pytest.mark.parametrize("more", [{}, {"layers": 2}, {"layers": 2, "bidirectional": True}], ids=str)
def test_layers_are_torch_s(op: str, more: dict[str, Any]) -> None:
    settings = "".join(f", {k}={v}" for k, v in more.items())
    states = more.get("layers", 1) * (2 if "bidirectional" in more else 1)
    names = ["h"] if op != "lstm" else ["h", "c"]
    reads = ", ".join(f"y.{name}[{i}]" for name in names for i in range(states))
    ours = module(f"y = {op}(5{settings})\nreturn y, {reads}")
    theirs = KINDS[op](12, 5, more.get("layers", 1), batch_first=True, bidirectional="bidirectional" in more).double()
    assert [f"y.{key}" for key in theirs.state_dict()] == list(ours.state_dict())
    theirs.load_state_dict({k.removeprefix("y."): v for k, v in ours.state_dict().items()})
    a, b = X.clone().requires_grad_(), X.clone().requires_grad_()
    sequence, *last = ours(a)
    wanted, kept = theirs(b)
    kept = torch.cat(kept) if op == "lstm" else kept
    torch.testing.assert_close(sequence, wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.stack(last), kept, rtol=1e-12, atol=1e-12)
    sequence.sin().sum().backward()
    wanted.sin().sum().backward()
    torch.testing.assert_close(a.grad, b.grad, rtol=1e-10, atol=1e-12)
    for mine, yours in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, yours.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("op", CELLS)
def test_cells_are_torch_s(op: str) -> None:
    both = op == "lstm_cell"
    ours = module(f"y = x, h{', c' if both else ''} -> {op}(5)" + ("\nreturn y.h, y.c" if both else ""),
                  "input x: B 12, h: B 5" + (", c: B 5" if both else ""))
    theirs = CELLS[op](12, 5).double()
    assert [f"y.{key}" for key in theirs.state_dict()] == list(ours.state_dict())
    theirs.load_state_dict({k.removeprefix("y."): v for k, v in ours.state_dict().items()})
    h, c = torch.randn(2, 7, 5, dtype=torch.float64)
    found = ours(X[0], h, c) if both else (ours(X[0], h),)
    wanted = theirs(X[0], (h, c)) if both else (theirs(X[0], h),)
    for mine, yours in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, yours, rtol=1e-12, atol=1e-12)


def test_an_rnn_by_hand() -> None:
    """h = tanh(2 x + h / 2 + 1), twice."""
    ours = module("y = rnn(1)", "input x: B N 1")
    for name, number in {"weight_ih_l0": 2.0, "weight_hh_l0": 0.5, "bias_ih_l0": 0.75, "bias_hh_l0": 0.25}.items():
        getattr(ours.y, name).data.fill_(number)
    first = math.tanh(2 * 0.1 + 1)
    found = ours(torch.tensor([[[0.1], [-0.3]]], dtype=torch.float64))
    assert found.flatten().tolist() == pytest.approx([first, math.tanh(-2 * 0.3 + first / 2 + 1)], rel=1e-14)


def test_steps_of_a_cell_are_the_layer() -> None:
    layer = module("y = gru(5)")
    cell = module("y = x, h -> gru_cell(5)", "input x: B 12, h: B 5")
    cell.load_state_dict({k.replace("_l0", ""): v for k, v in layer.state_dict().items()})
    h = torch.zeros(3, 5, dtype=torch.float64)
    for t in range(7):
        h = cell(X[:, t], h)
    torch.testing.assert_close(layer(X)[:, -1], h, rtol=1e-12, atol=1e-12)


def test_a_state_of_one_row_stands_for_all() -> None:
    ours = module("z = zeros(5)\ny = x, z -> gru_cell(5)", "input x: B 12")
    theirs = nn.GRUCell(12, 5).double()
    theirs.load_state_dict({k.removeprefix("y."): v for k, v in ours.state_dict().items()})
    torch.testing.assert_close(ours(X[0]), theirs(X[0]), rtol=1e-12, atol=1e-12)


def test_weights_follow_the_module_when_it_is_cast_copied_and_loaded() -> None:
    """torch's layers keep a second list of their weights: it must be the same tensors."""
    ours = module("y = lstm(5)")
    before = ours(X)
    with torch.no_grad():
        for p in ours.parameters():
            p.zero_()
    assert ours(X).abs().sum() == 0 != before.abs().sum()
    other = module("y = lstm(5)")
    ours.load_state_dict(other.state_dict())
    torch.testing.assert_close(ours(X), other(X))
    assert ours.float()(X.float()).dtype == torch.float32


@pytest.mark.parametrize("op", ["rnn", "gru", "lstm"])
def test_as_torch_draws_them(op: str) -> None:
    """All weights uniform within 1 / sqrt(hidden), whatever the width."""
    made = compile(graph_of(op, tokens(B, N, 400), hidden=64)).made
    for tensor in made.parameters():
        assert 0.8 / 8 < tensor.abs().max() <= 1 / 8
        assert abs(tensor.mean()) < 6 * (1 / 8 / 3**0.5) / tensor.numel() ** 0.5  # six deviations of a mean
    zeros = compile(graph_of(op, tokens(B, N, 400), hidden=64, init="xavier")).made
    assert zeros.bias_ih_l0.abs().sum() == 0 < zeros.weight_ih_l0.abs().sum()


def test_shapes_keys_and_costs() -> None:
    assert shapes("y = lstm(5, layers=2, bidirectional=True)\nreturn y, y.c[3]", HEAD) == ["B N 10", "B 5"]
    assert keys("y = gru(5)", HEAD) == ["y.weight_ih_l0", "y.weight_hh_l0", "y.bias_ih_l0", "y.bias_hh_l0"]
    assert graph("y = gru(5, layers=2, bidirectional=True)", HEAD).macs({"N": 7}) == 7 * 2 * 15 * (12 + 5 + 10 + 5)
    assert graph("y = x, h -> gru_cell(5)", "input x: B 12, h: B 5").macs() == 15 * (12 + 5)


def test_the_states_are_a_list() -> None:
    assert shapes("y = gru(5, layers=2)\ny.h -> concat", HEAD) == ["B 10"]
    assert shapes("y = gru(5)\nreturn y.h[0]", HEAD) == ["B 5"]
    wrong("y = gru(5)\ny.h[1]", HEAD, code="A309", words="there is no place 1 in a list of 1")
    wrong("y = gru(5)\ny.c", HEAD, code="A110", words="nothing of `y` is called `c`")


def test_wrong_uses() -> None:
    wrong("y = gru(5)", "input x: B 12", code="A201", words="`gru_cell` is one step on vectors")
    wrong("y = gru(5)", code="A201", words="`to_tokens` turns an image into tokens")
    wrong("y = gru(5, dropout=0.1)", HEAD, code="A201", words="`dropout` acts between layers; here is 1")
    wrong("y = x, x -> gru_cell(5)", "input x: B 12", code="A201", words="the state `B 12` is not 5 wide")
    wrong("y = lstm_cell(5)", "input x: B 12", code="A207", words="`lstm_cell` takes 3 tensors (x, h, c); here is 1")
    wrong("y = x, h -> gru_cell(5)", "input x: B N 12, h: B 5", code="A201", words="`gru` runs along a sequence")
    wrong("gru(5)", HEAD, code="A104", words="has weights and needs a name")
