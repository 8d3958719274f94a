"""Shape rules of products, reductions, choice and regrouping: shapes by role, and what each refuses."""

from __future__ import annotations

from typing import Any

import pytest
from building import graph, keys, shapes, wrong
from fakes import B, H, M, N, Spot, W, graph_of, grid, ids, image, made, refused, rows, tokens, vector

from ogive.dsl.ops import RECORDS
from ogive.dsl.ops.record import Size
from ogive.dsl.types import Role, Tensor


@pytest.mark.parametrize(
    ("op", "inputs", "settings", "shape"),
    [
        ("sum_over", (tokens(B, N, 8).of("bool"),), {"axis": "N"}, "B 8 of int"),
        ("cumsum", (tokens(B, N, 8).of("bool"),), {}, "B N 8 of int"),
        ("max_over", (ids(N),), {"axis": "N", "keep": True}, "B 1 of int"),
        ("mean_over", (image(B, 8, H, W),), {"axis": "C"}, "B H W"),
        ("norm", (rows((Role.POSITION, 4), (Role.CHANNEL, 8)),), {"keep": True}, "4 1"),
        ("argmax", (ids(N),), {"axis": "N"}, "B of int"),
        ("argsort", (grid(7, 7, 8),), {}, "B 49 8 of int"),
        ("top_k", (tokens(B, 9, 8),), {"n": 3}, "B 3 8"),
        ("gather", (grid(7, 7, 8), ids(5)), {}, "B 5 8"),
        ("gather", (tokens(1, 9, 8), ids(5)), {}, "B 5 8"),
        ("where", (ids(N).of("bool"), tokens(B, N, 8), vector(B, 8)), {}, "B N 8"),
        ("masked_fill", (ids(N), ids(N).of("bool")), {"value": 0}, "B N of int"),
        ("maxout", (image(B, 8, H, W),), {"n": 4}, "B 2 H W"),
        ("subsample", (grid(7, 7, 8),), {"step": 2}, "B (4 4) 8"),
        ("subsample", (image(B, 8, H, W),), {"step": Size((1, 3))}, "B 8 H ceil(W/3)"),
        ("repeat_to", (tokens(1, 1, 8),), {"n": N}, "1 N 8"),
        ("unstack", (tokens(B, 3, 8),), {"axis": "N"}, "B 8"),
        ("matmul", (tokens(B, N, 8), tokens(B, 8, 5)), {}, "B N 5"),
        ("less", (tokens(B, N, 8), vector(B, 8)), {}, "B N 8 of bool"),
        ("equal", (ids(N).of("bool"), ids(N).of("bool")), {}, "B N of bool"),
        ("max", (ids(N),), {"number": 0.5}, "B N"),
        ("sign", (ids(N),), {}, "B N of int"),
    ],
)
def test_shapes(op: str, inputs: tuple[Tensor, ...], settings: dict[str, Any], shape: str) -> None:
    assert str(made(op, *inputs, **settings)) == shape


@pytest.mark.parametrize(
    ("op", "inputs", "settings", "words"),
    [
        ("mean_over", (ids(N),), {"axis": "N"}, "works on floats"),
        ("sum_over", (vector(B, 8),), {"axis": "N"}, "`B 8` has no axis `N` for `sum_over`"),
        ("cumsum", (vector(B, 8),), {}, "`B 8` has no axis `N` for `cumsum`"),
        ("argmax", (ids(N).of("bool"),), {"axis": "N"}, "compares numbers"),
        ("argsort", (vector(B, 8),), {}, "has no axis `N`"),
        ("top_k", (tokens(B, 4, 8),), {"n": 5}, "`top_k(5)` of 4 values"),
        ("gather", (image(B, 8, H, W), ids(4)), {}, "picks positions of `B N C`"),
        ("gather", (tokens(B, N, 8), tokens(B, N, 8)), {}, "takes ids"),
        ("where", (tokens(B, N, 8), tokens(B, N, 8), tokens(B, N, 8)), {}, "told by truth values"),
        ("where", (ids(N).of("bool"), ids(N).of("bool"), ids(N)), {}, "elements of two kinds"),
        ("masked_fill", (ids(N), ids(N).of("bool")), {}, "`masked_fill` puts -inf among elements `B N of int`"),
        ("masked_fill", (vector(B, 8), tokens(B, N, 8).of("bool")), {}, "is larger than `B 8`"),
        ("maxout", (vector(B, 8),), {"n": 3}, "8 channels do not divide into groups of 3"),
        ("subsample", (tokens(B, N, 8),), {"step": 2}, "needs a grid"),
        ("repeat_to", (tokens(B, 2, 8),), {"n": 3}, "repeats one position"),
        ("repeat_to", (tokens(B, 1, 8),), {"n": 0}, "one position or more, not 0"),
        ("unstack", (tokens(B, N, 8),), {"axis": "N"}, "one result per index, and `N` is free"),
        ("unstack", (tokens(B, 9999, 8),), {"axis": "N"}, "makes at most 4,096 results"),
        ("matmul", (tokens(B, N, 8), tokens(B, 7, 5)), {}, "rows of 8 and columns of 7"),
        ("matmul", (tokens(B, N, 8), vector(B, 8)), {}, "no two matrices"),
        ("dot", (vector(B, 8), tokens(B, N, 7)), {}, "the axis it sums over has 8 and 7"),
        ("dot", (ids(N), vector(B, 8)), {}, "works on floats"),
        ("less", (ids(N).of("bool"),), {"number": 1}, "`less` compares numbers"),
        ("equal", (ids(N).of("bool"), ids(N)), {}, "`equal` compares numbers"),
        ("sign", (ids(N).of("bool"),), {}, "works on floats"),
    ],
)
def test_mistakes(op: str, inputs: tuple[Tensor, ...], settings: dict[str, Any], words: str) -> None:
    assert words in refused(op, *inputs, **settings).title


def test_sizes_that_a_call_must_have_are_guarded() -> None:
    at = Spot()
    made("top_k", tokens(B, N, 8), n=5, at=at)
    made("take", tokens(B, N, 8), what=-3, at=at)
    made("take", tokens(B, N, 8), what=2, count=M, at=at)
    assert at.guards == [(5, N), (3, N), (2 + M, N)]


def test_products_are_counted() -> None:
    assert graph_of("matmul", tokens(B, N, 8), tokens(B, 8, 5)).nodes["made"].macs == B * N * 40
    assert graph_of("dot", tokens(B, N, 8), vector(B, 8)).nodes["made"].macs == B * N * 8
    assert graph_of("maxout", vector(B, 8), n=2).nodes["made"].macs == 0


def test_letters_say_which_axes_of_a_product_are_one() -> None:
    assert shapes("a, b -> dot", "input a: B N 8, b: B N 8") == ["B N"]
    assert shapes("a, b -> dot", "input a: B N 8, b: B M 8") == ["B N M"]
    assert shapes("q = x -> linear(8)\nx, q -> dot", "input x: B N=4 8") == ["B 4"]
    assert shapes("q = relu : B m 8\nx, q -> dot", "input x: B N=4 8") == ["B 4 4"]


def test_axes_by_letter() -> None:
    assert shapes("sum_over(T)", "input ids: T N of int") == ["N of int"]
    assert shapes("transpose : B D N\nsum_over(N)", "input x: B N 8") == ["B 8"]
    assert shapes("relu : B ... C\nsum_over(C)", "input x: B N 8") == ["B N"]
    assert shapes("k = 1\nsum_over(k)", "input x: B N 8") == ["B 8"]
    wrong("relu : B h h 8\nsum_over(h)", "input x: B 3 3 8", code="A202", words="`h` names 2 axes")


def test_a_rearrange_reads_its_own_block() -> None:
    part = "block P:\n    input x: B N C\n    rearrange : B C N\n"
    assert shapes("relu : B M 8\nP", "input x: B M 8", above=part) == ["B 8 M"]
    wrong("P : B D M\nP\nrearrange : B (M D)", "input x: B M 8", above=part, code="A214", words="has none")


def test_roles_of_a_regrouped_tensor() -> None:
    def roles(head: str, pattern: str) -> list[str]:
        found = graph(f"y = rearrange : {pattern}", f"input x: {head}")
        return [role.value for role in found.nodes["y"].outputs[0].roles]

    assert roles("B N 1", "B N") == ["batch", "position"]
    assert roles("B T 1", "B T") == ["batch", "position"]
    assert roles("B T C", "B (T C)") == ["batch", "channel"]
    assert roles("B C h w", "B (h w) C") == ["batch", "position", "channel"]
    assert roles("B N (heads=2 d=4)", "B heads N d") == ["batch", "head", "position", "channel"]
    assert roles("B C (h=2 w=3)", "B C h w") == ["batch", "channel", "row", "column"]


def test_a_part_of_an_axis_is_found_or_pinned_by_an_expression() -> None:
    four = "size = 8\nrelu : {}\nrearrange : {}"
    for left, right, shape in [
        ("B (a 4) h w", "B (h w a) 4", "B (2 H W) 4"), ("B (a r=size/4) h w", "B a r (h w)", "B 4 2 H*W"),
        ("B (r=size*2/4 a) h w", "B (a r) h w", "B (2 4) H W"), ("B C (h r=size/4) w", "B (r C) h w", "B 16 H/2 W"),
        ("B C (2 k) 2*j", "B (C k) 2 2*j", "B 4*H 2 W"), ("B C=4*c h w", "B C (h w)", "B 8 H*W"),
    ]:
        assert shapes(four.format(left, right) + f"\nrelu : {shape}", "input x: B 8 H W")
    [guard] = graph("relu : B C (2 k) w", "input x: B 8 H W").guards
    assert guard.condition.show() == "H % 2 == 0"
    assert shapes("relu : B (a 4) h w\nlinear(a) as \"fc\"", "input x: B 12 H W") == ["B 3 H W"]
    assert keys("size = 8\nrelu : B r=size/4 H W\nlinear(r) as \"fc\"", "input x: B 2 H W") == ["fc.weight", "fc.bias"]
    wrong("relu : B (a 4) h w", "input x: B 18 H W", code="A202", words="18 is no multiple of 4")
    wrong("relu : B (a b) h w", "input x: B 18 H W", code="A202", words="2 parts that are new")
    wrong("relu : B (2 3) h w", "input x: B 18 H W", code="A202", words="this is 6, here it is 18")
    wrong("relu : B 2*k h w", "input x: B 9 H W", code="A202", words="9 gives no whole number for `k`")


def test_a_learned_tensor_states_its_roles() -> None:
    found = graph("t = learned(2, 1, 1) : head . .\nx -> split_heads(2)\n_ * t", "input x: B N 4")
    assert [role.value for role in found.nodes["t"].outputs[0].roles] == ["head", "axis", "axis"]
    wrong("t = learned(2, 1) : head . .\nx * t", code="A201", words="2 axes here, and its annotation says 3 roles")


def test_every_op_here_says_how_it_is_written() -> None:
    assert str(RECORDS["mul"](number=N)) == "mul(number=N)"
    found = graph("y = rearrange : B (h w) C", "input x: B C h w")
    assert str(found.nodes["y"].primitive) == 'rearrange("B C h w -> B (h w) C")'
