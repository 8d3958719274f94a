"""Records that change positions: pooling, resampling, layouts, picking, sources."""

from __future__ import annotations

import pytest
from fakes import B, C, H, N, Spot, W, grid, ids, image, made, refused, tokens, vector, weights
from pydantic import ValidationError

from ogive.dsl.dims import evaluate
from ogive.dsl.ops import RECORDS
from ogive.dsl.ops.record import Reference, Size
from ogive.dsl.types import Axis, Role, Segment

# ------------------------------------------------------------------------------------------------ pooling


def test_pools() -> None:
    x = image(B, 8, H, W)
    assert str(made("max_pool", x, size=3, stride=2, pad=1)) == "B 8 ceil(H/2) ceil(W/2)"
    assert str(made("avg_pool", x, size=2)) == "B 8 floor(H/2) floor(W/2)"
    assert str(made("max_pool", x, size=2, stride=2, ceil=True)) == "B 8 ceil(H/2) ceil(W/2)"
    assert str(made("max_pool", x, size=Size((1, 3)), pad="same")) == "B 8 H ceil(W/3)"
    assert str(made("max_pool", grid(14, 14, 8), size=2)) == "B (7 7) 8"
    assert str(made("avg_pool", grid(14, 14, 8, prefix=1), size=2, prefix="keep")) == "B (1 + 7 7) 8"


def test_indices_are_a_second_result() -> None:
    values, places = RECORDS["max_pool"](size=2, indices=True).shape(Spot(), image(B, 8, H, W))
    assert str(places) == "B 8 floor(H/2) floor(W/2) of int"
    assert values.dtype == "float"
    assert refused("max_pool", grid(14, 14, 8), size=2, indices=True).setting == "indices"


@pytest.mark.parametrize("size", range(3, 20))
@pytest.mark.parametrize(("k", "s", "p"), [(1, 2, 0), (2, 2, 0), (3, 2, 1), (3, 2, 0), (2, 3, 1), (3, 4, 1), (3, 3, 0)])
def test_rounding_up_is_torchs(size: int, k: int, s: int, p: int) -> None:
    wanted = -(-(size + 2 * p - k) // s) + 1
    if (wanted - 1) * s >= size + p:
        wanted -= 1
    symbolic = made("max_pool", image(B, 8, H, W), size=k, stride=s, pad=p, ceil=True).shape[2]
    assert made("max_pool", image(B, 8, size, W), size=k, stride=s, pad=p, ceil=True).shape[2] == wanted
    assert evaluate(symbolic, {"H": size}) == wanted


def test_mistakes_of_pools() -> None:
    x = image(B, 8, 6, 6)
    assert refused("max_pool", x, size=3, pad=2).help == "a padding of at most 1"
    assert "does not fit" in refused("avg_pool", x, size=7).title
    beside = refused("max_pool", grid(14, 14, 8, prefix=1), size=2)
    assert beside.title == "`max_pool` works on a grid alone; `B (1 + 14 14) 8` holds tokens beside it"
    assert (beside.notes, beside.help) == (("beside the grid: cls",), "`drop_prefix` leaves the grid alone")
    assert "needs a grid" in refused("max_pool", tokens(B, N, 8), size=2).title
    assert refused("max_pool", x, size=2, pad="same", ceil=True).setting == "ceil"
    with pytest.raises(ValidationError):
        RECORDS["max_pool"](size=2, prefix="drop")


def test_global_and_adaptive_pools() -> None:
    x = image(B, 8, H, W)
    assert made("global_pool", x) == vector(B, 8) == made("global_max_pool", tokens(B, N, 8))
    assert str(made("global_pool", x, keep=True)) == "B 8 1 1"
    assert str(made("global_pool", tokens(B, N, 8), keep=True)) == "B 1 8"
    assert str(made("adaptive_pool", x, size=Size((3, 5)), kind="max")) == "B 8 3 5"
    assert "image" in refused("global_pool", vector(B, 8)).title


def test_upsample() -> None:
    x = image(B, 8, H, W)
    like = Reference("other", image(B, 3, 5, 7))
    assert str(made("upsample", x, by=2)) == "B 8 2*H 2*W"
    assert str(made("upsample", x, size=Size((3, 5)), mode="bilinear")) == "B 8 3 5"
    assert str(made("upsample", x, like=like)) == "B 8 5 7"
    assert str(made("upsample", x, like=Reference("tokens", grid(4, 6, 8, prefix=1)))) == "B 8 4 6"
    assert refused("upsample", x).title == "`upsample` takes one of like=, by= and size=; here none"
    assert refused("upsample", x, by=2, size=3).title.endswith("here by and size")
    assert refused("upsample", x, size=4, mode="nails").setting == "mode"
    assert refused("upsample", x, by=2, corners=True).setting == "corners"
    assert refused("upsample", image(B, 8, W), by=2, mode="bicubic").setting == "mode"
    assert refused("upsample", image(B, 8, W), like=like).setting == "like"


# ------------------------------------------------------------------------------------------------ layouts


def test_images_and_tokens() -> None:
    x = made("to_tokens", image(B, 8, H, W))
    assert (str(x), x.axes[1].segments) == ("B (H W) 8", (Segment(H * W, (H, W), "made"),))
    assert made("to_image", x) == image(B, 8, H, W)
    assert "tokens beside it" in refused("to_image", grid(7, 7, 8, prefix=1)).title
    assert refused("to_image", image(B, 8, H, W)).help == "`to_tokens` turns an image into tokens"


def test_transpose_brings_the_grid_back() -> None:
    x = grid(7, 7, 8)
    turned = made("transpose", x)
    assert str(turned) == "B 8 49"
    assert turned.roles == x.roles
    assert weights("linear", turned, out=5)["weight"][0] == (5, 49)
    assert made("transpose", made("layernorm", turned)) == x
    assert "works on tokens" in refused("transpose", image(B, 8, H, W)).title


def test_who_lost_the_grid_is_said() -> None:
    wider = made("linear", made("transpose", grid(7, 7, 8), at=Spot("turn")), out=5)
    back = made("transpose", wider, at=Spot("back"))
    assert refused("to_image", back).notes == ("the grid was lost at `back`",)


def test_depth_and_space() -> None:
    assert str(made("space_to_depth", image(B, 8, 6, 4), n=2)) == "B 32 3 2"
    assert str(made("space_to_depth", grid(6, 4, 8), n=2)) == "B (3 2) 32"
    assert str(made("depth_to_space", image(B, 8, H, W), n=2)) == "B 2 2*H 2*W"
    assert str(made("depth_to_space", grid(3, 2, 8), n=2)) == "B (6 4) 2"
    at = Spot()
    assert str(made("space_to_depth", image(B, 8, H, W), at=at, n=2)) == "B 32 floor(H/2) floor(W/2)"
    assert at.guards == [(H, 2), (W, 2)]
    assert refused("space_to_depth", grid(7, 6, 8), n=2).title == "7 rows do not divide by 2"
    assert refused("depth_to_space", image(B, 6, H, W), n=2).help == "`depth_to_space(2)` needs a multiple of 4"


def test_heads_and_shuffles() -> None:
    x = tokens(B, N, 12)
    apart = made("split_heads", x, heads=3)
    assert str(apart) == "B 3 N 4"
    assert made("merge_heads", apart) == x
    assert refused("split_heads", x, heads=5).help == "heads that divide 12: 1, 2, 3, 4, 6, 12"
    assert refused("merge_heads", x).help == "`split_heads(heads)` makes the axis of heads"
    assert made("channel_shuffle", image(B, 12, H, W), groups=3) == image(B, 12, H, W)
    assert refused("channel_shuffle", image(B, 12, H, W), groups=5).code == "A203"


def test_drop_prefix() -> None:
    assert made("drop_prefix", grid(7, 7, 8, prefix=2)) == grid(7, 7, 8)
    assert "needs a grid" in refused("drop_prefix", tokens(B, N, 8)).title


# ------------------------------------------------------------------------------------------------ take


X = grid(7, 7, 8, prefix=1)
CLS = Reference("cls", tokens(1, 1, 8))
PATCHES = Reference("patches", grid(7, 7, 8))


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({"what": 0}, "B 8"),
        ({"what": -1}, "B 8"),
        ({"what": CLS}, "B 8"),
        ({"what": CLS, "keep": True}, "B 1 8"),
        ({"what": PATCHES}, "B (7 7) 8"),
        ({"what": PATCHES, "item": 3}, "B 8"),
        ({"what": 1, "count": 49}, "B (7 7) 8"),
        ({"what": 1, "count": 48}, "B 48 8"),
        ({"what": 0, "count": 1}, "B 1 8"),
    ],
)
def test_take(settings: dict[str, object], shape: str) -> None:
    assert str(made("take", X, **settings)) == shape


def test_take_of_free_sizes() -> None:
    assert str(made("take", grid(H, W, C, prefix=1), what=PATCHES)) == "B (H W) C"
    assert str(made("take", ids(N), what=-1)) == "B of int"
    assert made("take", X, what=1, count=3).axes[1].lost == "made"


def test_mistakes_of_take() -> None:
    outside = refused("take", X, what=50)
    assert (outside.title, outside.help) == ("`B (1 + 7 7) 8` has no position 50", "the positions go from 0 to 49")
    assert "no position -51" in refused("take", X, what=-51).title
    assert "no 3 positions from 48 on" in refused("take", X, what=48, count=3).title
    other = refused("take", X, what=Reference("dist", tokens(1, 1, 8)))
    assert other.title == "`dist` made none of the positions that come here"
    assert other.notes == ("they were made by `cls`, `patches`",)
    assert refused("take", X, what=PATCHES, item=49).help == "a number from 0 to 48"
    assert refused("take", X, what=0, item=1).setting == "item"
    assert "has none" in refused("take", image(B, 8, H, W), what=0).title


# ------------------------------------------------------------------------------------------------ sources


@pytest.mark.parametrize(
    ("dims", "roles"),
    [
        ((), ()),
        ((8,), (Role.CHANNEL,)),
        ((5, 8), (Role.POSITION, Role.CHANNEL)),
        ((1, 5, 8), (Role.BATCH, Role.POSITION, Role.CHANNEL)),
        ((1, 8, 7, 7), (Role.BATCH, Role.CHANNEL, Role.ROW, Role.COL)),
        ((1,) * 6, (Role.OTHER,) * 6),
    ],
)
def test_learned(dims: tuple[int, ...], roles: tuple[Role, ...]) -> None:
    x = made("learned", dims=dims)
    assert (x.shape, x.roles) == (dims, roles)
    assert weights("learned", dims=dims) == {"": (dims, "trunc_normal")}


def test_learned_says_how_it_starts() -> None:
    record = RECORDS["learned"](dims=(1, 1, 8), init="normal", std=1e-6, trainable=False)
    (weight,) = record.weights(Spot())
    assert (weight.init, weight.std, weight.trainable) == ("normal", 1e-6, False)


def test_position_proves_its_grid() -> None:
    assert made("position", X, size=7, prefix=1) is X
    assert weights("position", X, size=7, prefix=1) == {"": ((1, 50, 8), "trunc_normal")}
    assert weights("position", grid(7, 5, 8), size=Size((7, 5)), layout="grid") == {"": ((1, 7, 5, 8), "trunc_normal")}
    at = Spot()
    made("position", grid(H, W, 8), at=at, size=7)
    assert at.guards == [(H, 7), (W, 7)]


def test_mistakes_of_position() -> None:
    larger = refused("position", X, size=8, prefix=1)
    assert (larger.title, larger.help) == (
        "`position` is made for 8 rows; the grid has 7", "position(7x7, prefix=1)",
    )
    assert refused("position", X, size=7).help == "prefix=1"
    assert refused("position", X, size=7, prefix=1, layout="grid").setting == "prefix"
    assert "needs a grid" in refused("position", tokens(B, 49, 8), size=7).title
    behind = tokens(B, Axis(Role.POSITION, 50, (Segment(49, (7, 7), "p"), Segment(1, (), "end"))), 8)
    assert "positions behind it" in refused("position", behind, size=7).title
    assert refused("position", grid(7, 7, C), size=7).code == "A205"


def test_arange_and_zeros() -> None:
    assert str(made("arange", ids(N))) == "1 N of int"
    assert str(made("arange", tokens(B, N, 8))) == "1 N of int"
    assert made("zeros_like", X) is X
    assert "counts positions" in refused("arange", vector(B, 8)).title
