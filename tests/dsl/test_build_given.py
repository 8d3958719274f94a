"""Given weights: read by name, cut, computed with; tied where a named op takes a whole one, and listed nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from building import graph, keys, shapes, wrong

from ogive.compiler.pipeline import compile
from ogive.dsl.graph import Graph

HEAD = "input x: B N 8"
X = torch.randn(2, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def module(body: str, head: str = HEAD, above: str = "") -> Any:
    return compile(graph(body, head, above), dtype=torch.float64)


def ties(found: Graph) -> dict[str, str | None]:
    return {key: p.tied for key, p in found.parameters.items()}


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


# ------------------------------------------------------------------------------------------------ listing


def test_a_whole_weight_given_to_a_named_op_is_tied() -> None:
    found = graph("q = linear(8)\ny = linear(8, weight=q.weight, bias=q.bias)", HEAD)
    assert ties(found) == {"q.weight": None, "q.bias": None, "y.weight": "q.weight", "y.bias": "q.bias"}
    assert found.parameter_count == 72
    ours = module("q = linear(8)\ny = linear(8, weight=q.weight, bias=q.bias)")
    assert ours.q.weight is ours.y.weight


def test_to_an_op_without_a_name_it_lists_nothing() -> None:
    assert keys("q = linear(8)\nlinear(8, weight=q.weight, bias=False)", HEAD) == ["q.weight", "q.bias"]
    assert keys("w = learned(8, 8)\nlinear(8, transposed=True, weight=w, bias=False)", HEAD) == ["w"]


def test_a_constant_is_no_second_name() -> None:
    """`w = q.weight` names the weight itself: given whole, it ties."""
    found = graph("q = linear(8)\nw = q.weight\ny = x -> linear(8, weight=w, bias=False)", HEAD)
    assert ties(found)["y.weight"] == "q.weight"


@pytest.mark.parametrize("weight", ["w[0:8]", "w[8:]", "w[:8]", "w[-8:]", "2 * w[0:8]", "w[0:8] + w[8:16]", "v[1]"])
def test_a_part_or_a_computed_one_lists_nothing(weight: str) -> None:
    body = f"w = learned(16, 8)\nv = learned(2, 8, 8)\ny = linear(8, weight={weight}, bias=False)\nreturn y"
    assert [k for k in keys(body, HEAD) if k.startswith("y")] == []


# ------------------------------------------------------------------------------------------------ numbers


def test_projections_out_of_one_matrix() -> None:
    """torch.nn.MultiheadAttention keeps three projections in one parameter."""
    ours = module(
        "in_proj_weight = learned(24, 8)\nin_proj_bias = learned(24)\n"
        "wq = x -> linear(8, weight=in_proj_weight[0 : 8], bias=in_proj_bias[0 : 8])\n"
        "wk = x -> linear(8, weight=in_proj_weight[8 : 16], bias=in_proj_bias[8 : 16])\n"
        "wv = x -> linear(8, weight=in_proj_weight[16 : 24], bias=in_proj_bias[16 : 24])\n"
        "return wq, wk, wv"
    )
    assert list(ours.state_dict()) == ["in_proj_weight", "in_proj_bias"]
    wanted = F.linear(X, ours.in_proj_weight, ours.in_proj_bias).chunk(3, -1)
    for mine, theirs in zip(ours(X), wanted, strict=True):
        close(mine, theirs)


def test_weight_normalisation_written_out() -> None:
    ours = module("weight_g = learned(4, 1, init=\"ones\")\nweight_v = learned(4, 8, init=\"normal\")\n"
                  "w = weight_v * weight_v\nx -> linear(4, weight=weight_g * weight_v / (1 + w), bias=False)")
    v = ours.weight_v
    close(ours(X), F.linear(X, ours.weight_g * v / (1 + v * v)))
    ours(X).sum().backward()
    assert ours.weight_g.grad.abs().sum() > 0 < ours.weight_v.grad.abs().sum()


def test_a_weight_is_a_tensor() -> None:
    ours = module("q = linear(8)\nw = q.weight\nx + w[0] * q.bias")
    close(ours(X), X + ours.q.weight[0] * ours.q.bias)
    ours = module("q = linear(8)\nq.weight -> gelu\n_ * 2")
    close(ours(X), 2 * F.gelu(ours.q.weight))
    ours = module("b = conv(4, 1x1)\nb.weight[1:3] ** 2", "input x: B 8 H W")
    close(ours(X[..., None].transpose(1, 2)), ours.b.weight[1:3] ** 2)


def test_a_bias_made_of_pieces() -> None:
    """Swin v2: keys have no bias."""
    ours = module("q_bias = learned(4)\nv_bias = learned(4)\njoined = q_bias, zeros(4), v_bias -> concat\n"
                  "qkv = x -> linear(12, bias=joined)")
    assert list(ours.state_dict()) == ["q_bias", "v_bias", "qkv.weight"]
    bias = torch.cat([ours.q_bias, torch.zeros(4, dtype=torch.float64), ours.v_bias])
    close(ours(X), F.linear(X, ours.qkv.weight, bias))


def test_a_weight_of_a_block_and_of_a_shared_module() -> None:
    above = "block Own(out):\n    input x: B N C\n    fc = linear(out)\n"
    ours = module("own = Own(8)\nx * own.fc.bias", above=above)
    close(ours(X), X * ours.own.fc.bias)
    ours = module("shared g = linear(8, bias=False)\nx -> g\n_ + g.weight[3]")
    close(ours(X), F.linear(X, ours.g.weight) + ours.g.weight[3])


def test_learned_of_every_rank() -> None:
    for dims, shape in {"": (), "8, ": (8,), "5, 8, ": (5, 8), "1, 5, 8, ": (1, 5, 8)}.items():
        ours = module(f"g = learned({dims}init=0.5, trainable=False)\nx * g + g")
        assert ours.g.shape == shape
        assert not ours.g.requires_grad
        close(ours(X), X * 0.5 + 0.5)
    assert graph("g = learned(8, trainable=False)\nx + g", HEAD).parameter_count == 8


# ------------------------------------------------------------------------------------------------ words


def test_shapes_of_parts() -> None:
    assert shapes("w = learned(16, 8)\nw[4:]", HEAD) == ["12 8"]
    assert shapes("w = learned(16, 8)\nw[-1]", HEAD) == ["8"]
    assert shapes("q = linear(16)\nq.weight[2:4]", HEAD) == ["2 8"]


def test_wrong_uses() -> None:
    wrong("w = learned(16, 8)\ny = linear(8, weight=w[0:9], bias=False)", HEAD, code="A212",
          words="`weight` of `linear` is [8, 8]; the given one is [9, 8]")
    wrong("w = learned(16, 8)\nw[0:17]", HEAD, code="A201", words="`16 8` has 16 elements; 17 lies outside")
    wrong("w = learned(16, 8)\nw[16]", HEAD, code="A201", words="a number from 0 to 15")
    wrong("w = learned(16, 8)\nw[4:4]", HEAD, code="A201", words="nothing is left of 16 elements")
    wrong("w = learned(16, 8)\nw[0.5:4]", HEAD, code="A309", words="a weight is cut at whole numbers")
    wrong("x[0:2]", HEAD, code="A309", words="cannot be cut with `:`")
    wrong("y = linear(8, weight=x, bias=False)", HEAD, code="A212")


# ------------------------------------------------------------------------------------------------ one row for all

CROSS = """
block Cross(heads):
    input q: B Q C, x: B N C
    q, x, x -> attend(heads)
"""


@pytest.mark.parametrize("dims", ["5, 8", "1, 5, 8"])
def test_learned_queries_go_into_a_block_that_asks_for_a_batch(dims: str) -> None:
    ours = module(f'w = learned({dims}, init="normal")\nw, x -> Cross(2)', above=CROSS)
    queries = ours.w.reshape(1, 5, 8).expand(2, -1, -1)
    heads = [t.unflatten(2, (2, 4)).transpose(1, 2) for t in (queries, X, X)]
    close(ours(X), F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))
    assert shapes(f"w = learned({dims})\nw, x -> Cross(2)", HEAD, CROSS) == ["B 5 8"]


def test_a_batch_of_one_is_a_batch_where_nothing_else_shows_it() -> None:
    above = "block Own:\n    input q: B Q C\n    fc = linear(C)    : B Q C\n"
    assert shapes("w = learned(5, 8)\nown = w -> Own", HEAD, above) == ["1 5 8"]
    wrong("w = learned(2, 5, 8)\nw, x -> Cross(2)", "input x: 3 N 8", CROSS, code="A213", words="takes `B N C`")


def test_torch_s_own_attention() -> None:
    """`torch.nn.MultiheadAttention`, its keys and its numbers, from blocks of one parameter."""
    ours = module(
        'in_proj_weight = learned(24, 8, init="xavier")\nin_proj_bias = learned(24, init="normal")\n'
        "wq = x -> linear(8, weight=in_proj_weight[0 : 8], bias=in_proj_bias[0 : 8])\n"
        "wk = m -> linear(8, weight=in_proj_weight[8 : 16], bias=in_proj_bias[8 : 16])\n"
        "wv = m -> linear(8, weight=in_proj_weight[16 : 24], bias=in_proj_bias[16 : 24])\n"
        "wq, wk, wv -> attend(2)\nout_proj = linear(8)", "input x: B N 8, m: B M 8",
    )
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True).double()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    memory = X.flip(1)[:, :3]
    close(ours(X, memory), theirs(X, memory, memory, need_weights=False)[0])
