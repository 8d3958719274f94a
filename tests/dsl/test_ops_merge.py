"""Records that join, cut, or leave the shape: arithmetic by role, concat, split, attend, activations, rates."""

from __future__ import annotations

import pytest
from fakes import B, C, H, M, N, Spot, W, grid, ids, image, made, refused, rows, tokens, vector
from pydantic import ValidationError

from ogive.dsl.dims import evaluate
from ogive.dsl.ops import RECORDS
from ogive.dsl.patterns import Causal, Dense
from ogive.dsl.types import Role, Segment, Tensor

# ------------------------------------------------------------------------------------------------ arithmetic


@pytest.mark.parametrize(
    ("a", "b", "shape"),
    [
        (image(B, 8, H, W), image(B, 8, H, W), "B 8 H W"),
        (image(B, 8, H, W), image(B, 8, 1, 1), "B 8 H W"),
        (image(B, 8, H, W), vector(B, 8), "B 8 H W"),
        (made("learned", dims=(8,)), image(B, 8, H, W), "B 8 H W"),
        (grid(7, 7, 8), made("learned", dims=(49, 8)), "B (7 7) 8"),
        (tokens(B, 49, 8), grid(7, 7, 8), "B (7 7) 8"),
        (tokens(1, 49, 8), grid(7, 7, 8), "B (7 7) 8"),
        (tokens(B, N, 8), vector(B, 8), "B N 8"),
        (tokens(B, N, 8), rows((Role.BATCH, B), (Role.POSITION, N)), "B N 8"),
        (vector(B, 8), made("learned"), "B 8"),
        (made("learned", dims=(1, 8)), rows((Role.BATCH, B), (Role.POSITION, N)), "B N 8"),
        (rows((Role.HEAD, 3), (Role.OTHER, 1), (Role.OTHER, 5)), rows((Role.OTHER, 4), (Role.OTHER, 1)), "3 4 5"),
    ],
)
def test_broadcasting_by_role(a: Tensor, b: Tensor, shape: str) -> None:
    assert str(made("add", a, b)) == shape
    assert str(made("mul", b, a)) == shape


def test_one_operand_brings_the_segments() -> None:
    plain, known = tokens(B, 50, 8), grid(7, 7, 8, prefix=1)
    assert made("add", plain, known).axes[1] == made("add", known, plain).axes[1] == known.axes[1]


def test_sizes_that_are_not_known_to_agree_are_guarded() -> None:
    at = Spot()
    made("add", tokens(B, N, 8), tokens(B, M, 8), at=at)
    assert at.guards == [(N, M)]
    at = Spot()
    made("add", grid(7, 7, 8), grid(H, W, 8), at=at)
    assert at.guards[:2] == [(7, H), (7, W)]


def test_mistakes_of_arithmetic() -> None:
    widths = refused("add", image(B, 64, 56, 56), image(B, 128, 56, 56))
    assert widths.title == "`add` of `B 64 56 56` and `B 128 56 56`: the channel axes have 64 and 128"
    assert "`linear(64)`" in str(widths.help)
    assert "upsample" in str(refused("add", image(B, 8, 7, 7), image(B, 8, 8, 7)).help)
    assert "two different grids: (2 8) and (4 4)" in refused("add", grid(2, 8, 8), grid(4, 4, 8)).title
    assert "two different grids" in refused("add", grid(H, W, 8), grid(W, H, 8)).title
    assert "(1 + 4 4)" in refused("add", grid(4, 4, 8, prefix=1), grid(4, 4, 8, prefix=2)).title
    assert "`to_tokens`" in str(refused("add", grid(H, W, 8), image(B, 8, H, W)).help)
    assert "in the same order" in str(refused("add", vector(B, 8), made("learned", dims=(5, 8))).help)
    assert "cannot lay `B 5 of int` beside `B 8`" in refused("add", ids(5), vector(B, 8)).title
    assert refused("add", vector(B, 8)).title == "`add` takes two tensors, or a tensor and a number; here are 1"
    assert refused("add", vector(B, 8), vector(B, 8), number=1).setting == "number"
    assert "works on numbers" in refused("add", vector(B, 8), vector(B, 8).of("bool")).title
    assert "`where`" in str(refused("mul", vector(B, 8).of("bool"), number=2).help)


def test_kinds_of_elements() -> None:
    whole = ids(N)
    assert made("add", whole, number=1).dtype == "int"
    assert made("add", whole, number=1.5).dtype == "float"
    assert made("add", whole, whole).dtype == "int"
    assert made("mul", whole, whole.of("bool")).dtype == "int"
    assert made("mul", whole.of("bool"), whole.of("bool")).dtype == "bool"
    assert made("div", whole, number=2).dtype == "float" == made("div", whole, whole).dtype
    assert refused("pow", whole, number=-1).setting == "number"
    assert "numbers" in refused("neg", whole.of("bool")).title
    assert str(RECORDS["sub"](number=1, reverse=True)) == "sub(number=1, reverse=True)"


# ------------------------------------------------------------------------------------------------ concat, stack, split


def test_concat_by_layout() -> None:
    assert str(made("concat", image(B, 8, H, W), image(B, 4, H, W))) == "B 12 H W"
    assert str(made("concat", vector(B, 8), vector(B, C))) == "B (C + 8)"
    assert str(made("concat", ids(3), ids(N))) == "B (N + 3) of int"
    assert str(made("concat", tokens(B, N, 8), tokens(B, 2, 8))) == "B (N + 2) 8"
    assert str(made("concat", tokens(B, N, 8), tokens(B, N, 4), axis="C")) == "B N 12"
    assert str(made("concat", image(B, 8, 2, W), image(B, 8, 3, W), axis="H")) == "B 8 5 W"


@pytest.mark.parametrize("dims", [(1, 1, 8), (1, 8), (8,)])
def test_a_token_joins_the_patches(dims: tuple[int, ...]) -> None:
    token = made("learned", dims=dims, at=Spot("cls"))
    x = made("concat", token, grid(7, 7, 8))
    assert str(x) == "B (1 + 7 7) 8"
    assert [s.origin for s in x.axes[1].segments] == ["cls", "patches"]
    assert x.axes[2].segments == ()


def test_positions_without_parts_are_one_segment() -> None:
    assert made("concat", tokens(B, N, 8), grid(2, 2, 8)).axes[1].segments[0] == Segment(N)


def test_mistakes_of_concat() -> None:
    error = refused("concat", image(B, 8, 7, 7), image(B, 8, 14, 14))
    assert error.title == "`concat` of `B 8 7 7` and `B 8 14 14`: the row axes have 7 and 14"
    assert "resamples" in str(error.help)
    assert "`take(..., keep=True)`" in str(refused("concat", tokens(B, N, 8), vector(B, 8)).help)
    assert "`to_tokens`" in str(refused("concat", tokens(B, N, 8), image(B, 8, H, W)).help)
    assert refused("concat", vector(B, 8), vector(B, 8), axis="N").setting == "axis"
    assert refused("concat", vector(B, 8), vector(B, 8), axis="Q").help == "its axes: B, C"
    lone = rows((Role.OTHER, 3))
    assert "along which axis" in refused("concat", lone, lone).title
    assert "two tensors or more" in refused("concat", lone).title
    assert "two kinds" in refused("concat", ids(N), rows((Role.BATCH, B), (Role.POSITION, N))).title
    at = Spot()
    made("concat", image(B, 8, H, W), image(B, 8, H, N), at=at)
    assert at.guards == [(W, N)]


def test_stack() -> None:
    assert str(made("stack", vector(B, 8), vector(B, 8), vector(B, 8))) == "B 3 8"
    assert "vectors" in refused("stack", tokens(B, N, 8)).title
    assert refused("stack", vector(B, 8), vector(B, 4)).title.startswith("`stack` of `B 8` and `B 4`")


def test_split() -> None:
    record = RECORDS["split"](n=3)
    assert [str(x) for x in record.shape(Spot(), tokens(B, N, 12))] == ["B N 4"] * 3
    parts = RECORDS["split"](n=(2, 10)).shape(Spot(), image(B, 12, H, W))
    assert [str(x) for x in parts] == ["B 2 H W", "B 10 H W"]
    parts = RECORDS["split"](n=(1, 1, 2), per_head=3).shape(Spot(), tokens(B, N, 12))
    assert [str(x) for x in parts] == ["B N 3", "B N 3", "B N 6"]
    at = Spot()
    assert str(made("split", tokens(B, N, C), at=at, n=2)) == "B N floor(C/2)"
    assert at.guards == [(C, 2)]


def test_mistakes_of_split() -> None:
    x = tokens(B, N, 12)
    assert refused("split", x, n=5).help == "numbers that divide 12: 1, 2, 3, 4, 6, 12"
    assert refused("split", x, n=(4, 4)).title == "the parts 4 + 4 = 8 are not the 12 channels"
    assert refused("split", x, n=2, per_head=5).setting == "per_head"
    assert refused("split", x, n=(4, 4), per_head=2).title.endswith("of each head")
    with pytest.raises(ValidationError):
        RECORDS["split"](n=0)


# ------------------------------------------------------------------------------------------------ attend


def test_attend_answers_in_the_layout_of_q() -> None:
    q, k, v = grid(H, W, 12), tokens(B, M, 12), tokens(B, M, 24)
    assert str(made("attend", q, k, v, heads=3)) == "B (H W) 24"
    assert made("attend", q, heads=3) == q
    assert str(made("attend", image(B, 12, H, W), k, v, heads=3)) == "B 24 H W"
    assert str(made("attend", tokens(1, 5, 12), k, v, heads=3)) == "B 5 24"


@pytest.mark.parametrize("over", [Dense(), Causal()])
def test_products_of_attention(over: object) -> None:
    record = RECORDS["attend"](heads=2, over=over)
    free = record.macs((tokens(B, N, 8), tokens(B, M, 8), tokens(B, M, 4)), (tokens(B, N, 4),))
    for n, m in [(1, 1), (3, 3), (2, 5)]:
        pairs = n * m if over == Dense() else sum(k <= q + m - n for q in range(n) for k in range(m))
        assert evaluate(free, {"B": 3, "N": n, "M": m}) == 3 * pairs * 12
        known = record.macs((tokens(3, n, 8), tokens(3, m, 8), tokens(3, m, 4)), (tokens(3, n, 4),))
        assert known == 3 * pairs * 12
    square = record.macs((tokens(B, N, 8),), (tokens(B, N, 8),))
    assert evaluate(square, {"B": 1, "N": 5}) == (25 if over == Dense() else 15) * 16


def test_mistakes_of_attend() -> None:
    x = tokens(B, N, 384)
    heads = refused("attend", x, heads=5)
    assert heads.title == "width 384 does not divide into 5 heads"
    assert heads.help == "heads that divide 384: 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, ..."
    assert (heads.code, heads.setting) == ("A203", "heads")
    assert "3 heads" in refused("attend", tokens(B, N, 12), tokens(B, N, 12), tokens(B, N, 8), heads=3).title
    assert "here are 2" in refused("attend", x, x, heads=3).title
    widths = refused("attend", x, tokens(B, M, 192), tokens(B, M, 192), heads=3)
    assert widths.title == "`attend`: the channels of q and k are 384 and 192"
    lengths = refused("attend", x, tokens(B, 4, 384), tokens(B, 5, 384), heads=3)
    assert lengths.title == "`attend`: the positions of k and v are 4 and 5"
    assert "works on tokens" in refused("attend", vector(B, 12), heads=3).title
    assert "batches of q and k" in refused("attend", tokens(2, 4, 12), *[tokens(3, 4, 12)] * 2, heads=3).title
    blind = refused("attend", tokens(B, 5, 12), *[tokens(B, 3, 12)] * 2, heads=3, over=Causal())
    assert blind.title == "causal attention of 5 queries over 3 keys: the first 2 see none"
    at = Spot()
    made("attend", x, tokens(B, M, 384), tokens(B, N, 384), at=at, heads=3)
    assert at.guards == [(M, N)]
    with pytest.raises(ValidationError):
        RECORDS["attend"](heads=3, score="likeness")


# ------------------------------------------------------------------------------------------------ the same shape

SAME = [
    "relu", "relu6", "leaky_relu", "gelu", "quick_gelu", "silu", "hard_swish", "hard_sigmoid", "sigmoid", "tanh",
    "softplus", "elu", "softmax", "exp", "log", "sqrt", "sin", "cos",
]


@pytest.mark.parametrize("op", SAME)
def test_activations(op: str) -> None:
    x = grid(H, W, 8, prefix=1)
    assert made(op, x) is x
    assert refused(op, x.of("int")).title.startswith(f"`{op}` works on floats")


def test_softmax_names_an_axis() -> None:
    assert made("softmax", image(B, 8, H, W), axis="H") == image(B, 8, H, W)
    assert refused("softmax", image(B, 8, H, W), axis="N").help == "its axes: B, C, H, W"
    assert refused("softmax", vector(B, 8), axis=2).setting == "axis"


def test_abs_and_identity() -> None:
    assert made("abs", ids(N)) == ids(N) == made("identity", ids(N)) == made("stop_gradient", ids(N))
    assert "floats" in refused("abs", ids(N).of("bool")).title


def test_rates() -> None:
    x = tokens(B, N, 8)
    assert made("dropout", x, p=0.5) is x is made("drop_path", x, p=0.1, mode="batch")
    vanishing = [RECORDS["dropout"](p=0), RECORDS["drop_path"](p=0.0), RECORDS["identity"]()]
    assert all(record.vanishes() for record in vanishing)
    assert not RECORDS["dropout"](p=0.1).vanishes()
    assert "no batch axis" in refused("drop_path", made("learned", dims=(5, 8)), p=0.1).title
    assert "floats" in refused("dropout", ids(N), p=0.1).title
    for settings in ({"p": 1.0}, {"p": -0.1}, {"p": 0.1, "mode": "column"}):
        with pytest.raises(ValidationError):
            RECORDS["drop_path"](**settings)


def test_every_record_says_what_it_is() -> None:
    for name, record in RECORDS.items():
        assert record.meaning(), name
        assert record.family, name
        assert record.references <= set(record.model_fields), name
