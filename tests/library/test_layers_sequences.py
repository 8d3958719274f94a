"""Layers on vectors and sequences, each alone: norms, recurrent cells, attention in its steps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import ogive

NORMS = {
    "batch": ("batchnorm", (0, 2, 3)),
    "layer": ("layernorm", (1,)),
    "group": ("groupnorm(4)", None),
    "instance": ("instancenorm(affine=True)", (2, 3)),
}


def network(text: str, name: str = "N", **settings: object) -> torch.nn.Module:
    """Compiled in float64, with weights that are not those of the start."""
    torch.manual_seed(0)
    module = ogive.compile(ogive.loads(text, name, **settings)).double()
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn_like(p), alpha=0.3)
    return module.eval()


@pytest.mark.parametrize("name", NORMS)
def test_what_each_norm_averages_over(name: str) -> None:
    """(x - mean) / sqrt(var + eps), over: batch and places; channels; places and a group of channels; places."""
    line, axes = NORMS[name]
    module = network(f"network N:\n    input x: B 8 H W\n    n = {line}\n").train()
    x = torch.randn(3, 8, 4, 5, dtype=torch.float64) * 2 + 1
    groups = x.view(3, 4, 2, 4, 5) if axes is None else x
    over = (2, 3, 4) if axes is None else axes
    even = (groups - groups.mean(over, keepdim=True)) / (groups.var(over, keepdim=True, correction=0) + 1e-5).sqrt()
    weight, bias = (module.get_parameter(f"n.{p}")[:, None, None] for p in ("weight", "bias"))
    assert torch.allclose(module(x), even.view_as(x) * weight + bias, rtol=1e-10)


def test_rms_norm() -> None:
    """x / sqrt(mean of squares + eps): no mean is taken off."""
    module = network("network N:\n    input x: B N 8\n    n = rmsnorm\n")
    x = torch.randn(3, 5, 8, dtype=torch.float64) + 1
    expected = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * module.get_parameter("n.weight")
    assert torch.allclose(module(x), expected, rtol=1e-10)


WRITTEN = """
network Rnn:
    input x: B 4, h: B 6
    a = x -> linear(6)
    b = h -> linear(6)
    a + b
    tanh

network Gru:
    input x: B 4, h: B 6
    a          = x -> linear(18)
    b          = h -> linear(18)
    ar, az, an = a -> split(3)
    br, bz, bn = b -> split(3)
    open       = ar + br
    r          = sigmoid
    keep       = az + bz
    z          = sigmoid
    fresh      = an + r * bn
    n          = tanh
    (1 - z) * n + z * h

network Lstm:
    input x: B 4, h: B 6, c: B 6
    a = x -> linear(24)
    b = h -> linear(24)
    gates      = a + b
    i, f, g, o = split(4)
    taken  = i -> sigmoid
    kept   = f -> sigmoid
    new    = g -> tanh
    opened = o -> sigmoid
    cell   = kept * c + taken * new
    bent   = cell -> tanh
    return opened * bent, cell
"""


@pytest.mark.parametrize(("name", "cell"), [("Rnn", nn.RNNCell), ("Gru", nn.GRUCell), ("Lstm", nn.LSTMCell)])
def test_a_recurrent_cell_written_out(name: str, cell: type[nn.RNNCellBase]) -> None:
    """The lines of each cell against torch's, and the primitive of that name against both."""
    theirs = cell(4, 6).double()
    module = network(WRITTEN, name)
    names = {"a.weight": "weight_ih", "b.weight": "weight_hh", "a.bias": "bias_ih", "b.bias": "bias_hh"}
    state = theirs.state_dict()
    module.load_state_dict({ours: state[key] for ours, key in names.items()}, strict=True)
    x, h, c = (torch.randn(3, n, dtype=torch.float64) for n in (4, 6, 6))
    given = (x, h, c) if name == "Lstm" else (x, h)
    head, line = ("x: B 4, h: B 6, c: B 6", "x, h, c") if name == "Lstm" else ("x: B 4, h: B 6", "x, h")
    built_in = network(f"network N:\n    input {head}\n    cell = {line} -> {name.lower()}_cell(6)\n")
    built_in.load_state_dict({f"cell.{key}": tensor for key, tensor in state.items()}, strict=True)
    wanted = theirs(x, (h, c))[0] if name == "Lstm" else theirs(x, h)
    answer = module(*given)
    assert torch.allclose(answer[0] if name == "Lstm" else answer, wanted, rtol=1e-12, atol=1e-12)
    assert torch.allclose(built_in(*given), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "layer"), [("rnn", nn.RNN), ("gru", nn.GRU)])
def test_a_layer_is_its_cell_step_by_step(name: str, layer: type[nn.RNNBase]) -> None:
    theirs = layer(4, 6, batch_first=True).double()
    text = (
        f"network N:\n    input xs: B N 4\n    layer = scan x in xs with h = zeros(6):\n"
        f"        cell = x, h -> {name}_cell(6)\n        next h = cell\n        emit cell\n"
    )
    module = network(text)
    state = {f"layer.cell.{key.removesuffix('_l0')}": tensor for key, tensor in theirs.state_dict().items()}
    module.load_state_dict(state, strict=True)
    for n in (1, 7):
        xs = torch.randn(2, n, 4, dtype=torch.float64)
        assert torch.allclose(module(xs), theirs(xs)[0], rtol=1e-12, atol=1e-12)


ATTENTION = """
block Head(size):
    input x: B N H
    q = linear(size)
    k = x -> linear(size)
    v = x -> linear(size)
    q, k, v -> attend(1)

network Given(dq, dv):
    input q: B NQ dq, x: B NX dx=7
    k = x -> linear(dq, bias=False)
    v = x -> linear(dv, bias=False)
    q, k, v -> attend(1)

network ByHand(dq, dv):
    input q: B NQ dq, x: B NX dx=7
    k = x -> linear(dq, bias=False)
    v = x -> linear(dv, bias=False)
    q, k -> dot                                             : B NQ NX
    _ / sqrt(dq)
    weights = softmax
    weights, v -> matmul                                    : B NQ dv

network Self(out):
    input x: B N De=7
    qkv = linear(3 * out)
    split(3)
    attend(1)

network Fused(heads, size):
    input x: B N H=24
    qkv = linear(3 * heads * size)
    split(3)
    attend(heads)
    proj = linear(H)

network HeadByHead(heads, size):
    input x: B N H=24
    repeat heads as head[i]:
        x -> Head(size)
    head[:] -> concat(C)
    proj = linear(H)

network FeedForward(inner):
    input x: B N C=6
    fc1 = linear(inner)
    relu
    fc2 = linear(C)
"""


def test_attention_with_given_queries() -> None:
    """Four queries on three inputs: softmax(Q (X W_K)^T / sqrt(D_Q)) X W_V is `N_Q D_V`, D_V unlike D_Q."""
    layer, steps = (network(ATTENTION, name, dq=5, dv=9) for name in ("Given", "ByHand"))
    q, x = torch.randn(2, 4, 5, dtype=torch.float64), torch.randn(2, 3, 7, dtype=torch.float64)
    answer = layer(q, x)
    assert answer.shape == (2, 4, 9)
    keys, values = (x @ layer.get_parameter(f"{n}.weight").T for n in "kv")
    scores = q @ keys.mT / 5**0.5
    assert torch.allclose(answer, scores.softmax(-1) @ values, rtol=1e-10, atol=1e-12)
    assert torch.allclose(steps(q, x), answer, rtol=1e-10, atol=1e-12)


def test_self_attention() -> None:
    """D_e comes in, D goes out; queries, keys and values are made of the same input."""
    module = network(ATTENTION, "Self", out=4)
    x = torch.randn(2, 5, 7, dtype=torch.float64)
    q, k, v = (x @ module.get_parameter("qkv.weight").T + module.get_parameter("qkv.bias")).chunk(3, -1)
    expected = (q @ k.mT / 2).softmax(-1) @ v
    assert module(x).shape == (2, 5, 4)
    assert torch.allclose(module(x), expected, rtol=1e-10, atol=1e-12)


def test_head_by_head_is_the_fused_projection() -> None:
    """A heads of H -> S, joined, and the output: the rows of the fused weight are q, k and v, head after head."""
    heads, size = 4, 6
    fused, apart = (network(ATTENTION, name, heads=heads, size=size) for name in ("Fused", "HeadByHead"))
    state = {key: tensor for key, tensor in fused.state_dict().items() if key.startswith("proj")}
    for kind in ("weight", "bias"):
        parts = fused.get_parameter(f"qkv.{kind}").detach().unflatten(0, (3, heads, size))
        state |= {f"head.{i}.{n}.{kind}": parts[j, i] for i in range(heads) for j, n in enumerate("qkv")}
    apart.load_state_dict(state, strict=True)
    x = torch.randn(2, 5, 24, dtype=torch.float64)
    assert torch.allclose(apart(x), fused(x), rtol=1e-10, atol=1e-12)


def test_masked_attention_sees_nothing_ahead() -> None:
    """The lower triangle of the scores alone: what a later position says does not reach an earlier one."""
    module = network(ATTENTION.replace("attend(heads)", "attend(heads, over=causal)"), "Fused", heads=4, size=6)
    x = torch.randn(1, 6, 24, dtype=torch.float64, requires_grad=True)
    for i in range(6):
        (reached,) = torch.autograd.grad(module(x)[0, i].sum(), x)
        assert reached[0].abs().sum(-1).gt(0).tolist() == [j <= i for j in range(6)]


def test_feed_forward() -> None:
    """Linear, nonlinearity, linear, at each position by itself."""
    module = network(ATTENTION, "FeedForward", inner=11)
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    w1, b1, w2, b2 = (module.get_parameter(f"fc{i}.{n}") for i in (1, 2) for n in ("weight", "bias"))
    assert torch.allclose(module(x), F.relu(x @ w1.T + b1) @ w2.T + b2, rtol=1e-10, atol=1e-12)
    assert torch.allclose(module(x[:, 2:3]), module(x)[:, 2:3], rtol=1e-10, atol=1e-12)


def test_dropout_keeps_the_expectation() -> None:
    module = ogive.compile(ogive.loads("network N:\n    input x: B 8\n    dropout(0.2)\n", "N")).train()
    torch.manual_seed(0)
    y = module(torch.ones(50_000, 8))
    assert sorted(set(y.flatten().tolist())) == pytest.approx([0, 1.25])
    assert abs(y.mean().item() - 1) < 4 * (0.25 / y.numel()) ** 0.5
    assert torch.equal(module.eval()(torch.ones(4, 8)), torch.ones(4, 8))


def test_embedding() -> None:
    """A row for each id; `padding` is a row that never learns."""
    text = "network N:\n    input ids: B N of int\n    e = embedding(10, 4, padding=0)\n"
    module = ogive.compile(ogive.loads(text, "N"))
    ids = torch.tensor([[0, 3, 3]])
    table = module.get_parameter("e.weight")
    assert torch.equal(module(ids), table[ids])
    module(ids).sum().backward()
    assert table.grad.sum(1).tolist() == [0, 0, 0, 8, 0, 0, 0, 0, 0, 0]
