"""The float64 reference against numbers worked out by hand, what it must be where two ways meet, and gradcheck."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest
import torch
from attention_cases import pattern_of
from house.plan import ROOT, modules
from torch import Tensor

from ogive.compiler.reference import Spec, attention, products, rotated
from ogive.compiler.reference.biases import added
from ogive.dsl.ops.biases import Buckets, Offsets, Products, Slopes
from ogive.dsl.patterns import Mechanism
from ogive.dsl.patterns.mechanisms import Channels, Kernel, Latent, Linformer, Nystrom, Performer, Pooled
from ogive.dsl.patterns.space import Sequence, Space
from ogive.dsl.types import Axis, Role

D = torch.float64


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


def column(*numbers: float) -> Tensor:
    """One sequence of one channel."""
    return torch.tensor(numbers, dtype=D)[None, :, None]


def close(found: Tensor, wanted: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, wanted.to(D), rtol=tolerance, atol=tolerance)


Q, K, V = column(1, 2), column(1, -1, 0), column(10, 20, 40)


def test_two_queries_and_three_keys_by_hand() -> None:
    e = math.e
    wanted = [(10 * e + 20 / e + 40) / (e + 1 / e + 1), (10 * e**2 + 20 / e**2 + 40) / (e**2 + 1 / e**2 + 1)]
    close(attention(Spec(1, Space(Sequence((2,)), Sequence((3,)))), Q, K, V), column(*wanted))


def test_a_set_a_mask_and_a_query_that_sees_nothing() -> None:
    space = Space(Sequence((2,)), Sequence((3,)))
    causal = Spec(1, space, pattern_of("causal"))
    e = math.e
    close(attention(causal, Q, K, V)[:, :1], column((10 * e + 20 / e) / (e + 1 / e)))
    mask = torch.tensor([[False, True, True]])
    close(attention(causal, Q, K, V, {"mask": mask}), column(20, (20 / e**2 + 40) / (1 / e**2 + 1)))
    close(attention(causal, Q, K, V, {"mask": torch.zeros(1, 2, 3, dtype=torch.bool)}), column(0, 0))
    hidden = torch.tensor([[[0.0, -math.inf, -math.inf], [-math.inf, math.log(3), 0.0]]], dtype=D)
    near = (20 * 3 / e**2 + 40) / (3 / e**2 + 1)
    close(attention(Spec(1, space), Q, K, V, {"mask": hidden}), column(10, near))


def test_dropout_scales_what_it_keeps() -> None:
    spec = Spec(1, Space(Sequence((2,)), Sequence((3,))), drop=0.75)
    kept = torch.tensor([[[[1, 0, 0], [0, 0, 0]]]])
    close(attention(spec, Q, K, V, kept=kept), column(4 * 10 * math.e / (math.e + 1 / math.e + 1), 0))


@pytest.mark.parametrize(("score", "scores"), [
    ("dot", [2.0, -4.0]), ("cosine", [1.0, -1.0]), ("distance", [-1.0, -16.0]), ("additive", [3 * math.tanh(3), 0.0]),
])
def test_scores(score: str, scores: list[float]) -> None:
    q, k, v = column(2), column(1, -2), column(1, 0)
    spec = Spec(1, Space(Sequence((1,)), Sequence((2,))), score=score)
    found = attention(spec, q, k, v, weights={"v": torch.tensor([3.0], dtype=D)})
    close(found, column(1 / (1 + math.exp(scores[1] - scores[0]))))
    half = attention(spec, q, k, v, {"scale": torch.tensor(0.5)}, {"v": torch.tensor([3.0], dtype=D)})
    close(half, column(1 / (1 + math.exp((scores[1] - scores[0]) / 2))))


def test_heads_are_groups_of_channels_and_share_keys() -> None:
    q, k, v = random(2, 4, 12), random(2, 5, 6, seed=2), random(2, 5, 6, seed=3)
    space = Space(Sequence((4,)), Sequence((5,)))
    found = attention(Spec(4, space), q, k, v)
    for head in range(4):
        own, few = slice(3 * head, 3 * head + 3), slice(3 * (head // 2), 3 * (head // 2) + 3)
        close(found[..., own], attention(Spec(1, space), q[..., own], k[..., few], v[..., few]))


def test_heads_that_mix() -> None:
    """A mix that exchanges two heads, before: their scores; after: their weights."""
    q, k, v = random(1, 3, 4), random(1, 3, 4, seed=2), random(1, 3, 4, seed=3)
    spec, turned = Spec(2, Space.of(3)), torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], dtype=D)
    swapped = attention(spec, q.roll(2, -1), k.roll(2, -1), v)
    for name in ("before_softmax", "after_softmax"):
        close(attention(spec, q, k, v, {name: turned}), swapped)


GRID = Space.of(2, 2)
TABLE = torch.arange(9, dtype=D)


@pytest.mark.parametrize(("layout", "data", "entry"), [
    ("swin", TABLE[:, None], 2 * 3 + 1), ("tf", TABLE.view(1, 3, 3), 0 * 3 + 1),
    ("image", TABLE.view(1, 1, 3, 3), 2 * 3 + 1), ("symmetric", TABLE[None, :4], 1 * 2 + 0),
])
def test_tables_of_offsets(layout: str, data: Tensor, entry: int) -> None:
    """The query in row 1 and the key in row 0 of one column: offset (1, 0)."""
    table = Offsets(1, (2, 2), layout)  # type: ignore[arg-type]
    found = added(table, data, GRID, torch.ones(1, 4, 4, dtype=torch.bool))
    assert found.shape == (1, 4, 4) and found[0, 2, 0] == entry
    assert added(table, data, GRID, torch.zeros(1, 4, 4, dtype=torch.bool)).abs().sum() == 0
    with pytest.raises(ValueError, match="holds no offset"):
        added(table, data, Space.of(3, 2), torch.ones(1, 6, 6, dtype=torch.bool))


def test_tables_of_offsets_beside_a_prefix_with_strides_and_steps() -> None:
    data = torch.arange(12, dtype=D)[:, None]
    every = torch.ones(1, 5, 5, dtype=torch.bool)
    found = added(Offsets(1, (2, 2), "swin", 1), data, Space.of(2, 2, prefix=1), every)[0]
    assert [found[0, 1], found[1, 0], found[0, 0], found[1, 4]] == [9, 10, 11, 0]
    pooled = Space(Sequence((1, 2)), Sequence((2, 4)))
    table = Offsets(1, (2, 4), "symmetric", 0, (2, 2))
    found = added(table, torch.arange(8, dtype=D)[None], pooled, torch.ones(1, 2, 8, dtype=torch.bool))[0]
    assert found[1].tolist() == [2, 1, 0, 1, 6, 5, 4, 5]
    wide = added(Offsets(1, (2, 1), "swin", 0, (1, 1), (3, 1)), torch.arange(3, dtype=D)[:, None], Space.of(4, 1),
                 torch.tensor([[[(q - k) % 3 == 0 for k in range(4)] for q in range(4)]]))[0]
    assert wide[3].tolist() == [2, 0, 0, 1] and wide[0, 3] == 0


def test_slopes_and_buckets() -> None:
    space = Space(Sequence((2,)), Sequence((4,)))
    allowed = torch.ones(1, 2, 4, dtype=torch.bool)
    found = added(Slopes(1), torch.tensor([0.5]), space, allowed)[0]
    assert found.tolist() == [[-1, -0.5, 0, -0.5], [-1.5, -1, -0.5, 0]]
    line, data = Space.of(40), torch.arange(8, dtype=D)[:, None]
    found = added(Buckets(1, 8, 16, True), data, line, allowed)[0]
    assert [int(found[20, k]) for k in (20, 19, 18, 14, 4, 0, 21, 22, 30)] == [0, 1, 2, 3, 3, 3, 5, 6, 7]
    found = added(Buckets(1, 8, 16, False), data, line, allowed)[0]
    assert [int(found[20, k]) for k in (21, 20, 17, 0)] == [0, 0, 3, 7]


def test_decomposed_biases() -> None:
    q, rows, columns = random(1, 6, 4), random(3, 2, seed=2), random(5, 2, seed=3)
    made = products(q, [rows, columns], 2)
    space = Space.of(2, 3)
    axis = Axis(Role.POSITION, 6)
    found = added(Products(2, (3, 5), axis), made, space, torch.ones(1, 6, 6, dtype=torch.bool))
    query = q[0, 4, 2:]  # head 1, row 1, column 1
    close(found[0, 1, 4, 2], query @ rows[1 - 0 + 1] + query @ columns[1 - 2 + 2])


@pytest.mark.parametrize("layout", ["half", "pairs"])
def test_rotation(layout: str) -> None:
    x = random(1, 5, 4)
    found = rotated(x, 1, Sequence((4,), 1), 100.0, layout)
    a, b = (0, 2) if layout == "half" else (0, 1)
    turned = torch.complex(x[0, 3, a], x[0, 3, b]) * torch.exp(torch.tensor(2j, dtype=torch.complex128))
    close(found[0, 3, [a, b]], torch.stack((turned.real, turned.imag)))
    close(found[0, :2], x[0, :2])  # the token, and place 0
    close(found.norm(dim=-1), x.norm(dim=-1))


# ---------------------------------------------------------------------------------------------------------- mechanisms


@pytest.mark.parametrize(("over", "weights"), [
    (Linformer(6, share=True), {"E": torch.eye(6, dtype=D)}), (Pooled(1), {}), (Nystrom(6, 40), {}),
])
def test_mechanisms_that_leave_nothing_out_are_softmax(over: Mechanism, weights: dict[str, Tensor]) -> None:
    x = random(2, 6, 8)
    dense = attention(Spec(2, Space.of(6)), x, x, x)
    close(attention(Spec(2, Space.of(6), over), x, x, x, weights=weights), dense, 1e-9)


def test_kernels_channels_and_latents_by_hand() -> None:
    q, k, v = column(1, -1), column(2, -math.log(2)), column(10, 20)
    space = Space.of(2)
    close(attention(Spec(1, space, Kernel("elu")), q, k, v), column(*[(3 * 10 + 0.5 * 20) / 3.5] * 2))
    close(attention(Spec(1, space, Kernel("relu")), q, k, v), column(10, 0))
    x = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]], dtype=D)
    p = math.exp(4) / (math.exp(4) + 1), math.e / (math.e + 1)
    wanted = torch.tensor([[[p[1], 1 - p[0]], [2 * (1 - p[1]), 2 * p[0]]]], dtype=D)
    close(attention(Spec(1, space, Channels(), scale=1.0), x, x, x), wanted)
    one = attention(Spec(1, space, Latent(1)), q, k, v, weights={"latent": torch.zeros(1, 1, dtype=D)})
    close(one, column(15, 15))


def test_features_come_close_to_the_softmax() -> None:
    x = 0.3 * random(1, 9, 8)
    wanted = attention(Spec(1, Space.of(9)), x, x, x)
    errors = [float((attention(Spec(1, Space.of(9), Performer(n)), x, x, x) - wanted).norm() / wanted.norm())
              for n in (64, 16_384)]
    assert errors[1] < 0.02 < 5 * errors[1] < errors[0]


def test_gradients() -> None:
    q, k, v = (random(1, 4, 4, seed=s).requires_grad_() for s in (1, 2, 3))
    table, mix = random(9, 2, seed=4).requires_grad_(), random(2, 3, seed=5).requires_grad_()
    spec = Spec(2, GRID, pattern_of("window(1x2) | self"), bias=Offsets(2, (2, 2)))

    def answer(q: Tensor, k: Tensor, v: Tensor, table: Tensor, mix: Tensor) -> Tensor:
        return attention(spec, q, k, v, {"bias": table, "after_softmax": mix})

    assert torch.autograd.gradcheck(answer, (q, k, v, table, mix))


def test_the_reference_shares_nothing_with_the_lowerings() -> None:
    known = modules()
    mine = [module for name, module in known.items() if name.startswith("ogive.compiler.reference")]
    assert len(mine) == 4
    allowed = ("ogive.compiler.reference", "ogive.dsl.")
    strange = [item.target for module in mine for item in module.imports(known)
               if item.target.startswith("ogive") and not item.target.startswith(allowed)]
    assert strange == []
    text = Path(ROOT / "compiler/reference/attention.py").read_text("utf-8")
    calls = {node.func.attr for node in ast.walk(ast.parse(text))
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)}
    assert "holds" in calls and not calls & {"row", "scaled_dot_product_attention", "softmax"}
