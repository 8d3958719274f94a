"""Records with weights: linear, embedding, scale, convolutions, norms."""

from __future__ import annotations

import pytest
from fakes import B, C, H, N, Spot, W, grid, ids, image, made, refused, rows, tokens, vector, weights
from pydantic import ValidationError

from ogive.dsl.ops import RECORDS
from ogive.dsl.ops.record import Primitive, Size
from ogive.dsl.types import Role


def macs(op: str, *inputs, **settings):
    record: Primitive = RECORDS[op](**settings)
    return record.macs(inputs, record.shape(Spot(), *inputs))


# ------------------------------------------------------------------------------------------------ linear


def test_linear_maps_the_channels_of_any_layout() -> None:
    assert str(made("linear", grid(H, W, 8), out=5)) == "B (H W) 5"
    assert str(made("linear", image(B, 8, H, W), out=5)) == "B 5 H W"
    assert str(made("linear", vector(B, 8), out=5)) == "B 5"
    assert weights("linear", vector(B, 8), out=5) == {"weight": ((5, 8), "torch"), "bias": ((5,), "torch")}
    assert weights("linear", vector(B, 8), out=5, transposed=True, bias=False) == {"weight": ((8, 5), "torch")}
    assert weights("linear", vector(B, 8), out=5, init="trunc_normal")["bias"] == ((5,), "zeros")
    assert macs("linear", tokens(B, N, 8), out=5) == B * N * 8 * 5


def test_linear_keeps_grid_and_segments() -> None:
    x = grid(H, W, 8, prefix=1)
    assert made("linear", x, out=3).axes[1] is x.axes[1]


def test_linear_needs_a_known_width_and_floats() -> None:
    assert refused("linear", tokens(B, N, C), out=5).code == "A205"
    assert refused("linear", ids(N), out=5).title == "`linear` works on floats; here are elements `B N of int`"
    no_channels = rows((Role.BATCH, B), (Role.POSITION, N))
    assert refused("linear", no_channels, out=5).title == "`linear` works on the channel axis; `B N` has none"


def test_embedding_adds_the_channels() -> None:
    assert str(made("embedding", ids(N), n=100, dim=8)) == "B N 8"
    assert weights("embedding", ids(N), n=100, dim=8, init="normal") == {"weight": ((100, 8), "normal")}
    assert "looks up ids" in refused("embedding", tokens(B, N, 8), n=100, dim=8).title
    assert "no id 100" in refused("embedding", ids(N), n=100, dim=8, padding=100).title
    assert "has one already" in refused("embedding", tokens(B, N, 8).of("int"), n=100, dim=8).title


def test_scale_is_one_bare_weight() -> None:
    assert weights("scale", tokens(B, N, 8)) == {"": ((8,), 1e-5)}
    assert made("scale", image(B, 8, H, W)) == image(B, 8, H, W)


@pytest.mark.parametrize("settings", [{"out": 0}, {"out": True}, {"out": 3, "init": "kaimin"}, {"out": 3, "std": 0.0}])
def test_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RECORDS["linear"](**settings)


# ------------------------------------------------------------------------------------------------ convolutions


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({}, "B 4 H W"),
        ({"size": 1}, "B 4 H W"),
        ({"size": 7, "stride": 2}, "B 4 ceil(H/2) ceil(W/2)"),
        ({"size": 2}, "B 4 (H - 1) (W - 1)"),
        ({"size": Size((1, 7))}, "B 4 H W"),
        ({"size": Size((2, 3)), "stride": Size((2, 1))}, "B 4 floor(H/2) W"),
        ({"dilation": 2}, "B 4 H W"),
        ({"pad": 0}, "B 4 (H - 2) (W - 2)"),
        ({"pad": Size((0, 3))}, "B 4 (H - 2) (W + 4)"),
        ({"size": 4, "stride": 3, "pad": "same"}, "B 4 ceil(H/3) ceil(W/3)"),
    ],
)
def test_conv_shapes(settings: dict[str, object], shape: str) -> None:
    assert str(made("conv", image(B, 6, H, W), out=4, **settings)) == shape


def test_conv_in_one_and_three_dimensions() -> None:
    assert str(made("conv", image(B, 6, W), out=4, size=5, stride=2)) == "B 4 ceil(W/2)"
    assert str(made("conv", image(B, 6, 8, H, W), out=4, size=3)) == "B 4 8 H W"
    assert weights("conv", image(B, 6, W), out=4, size=5)["weight"][0] == (4, 6, 5)


def test_conv_weights_and_macs() -> None:
    x = image(B, 6, H, W)
    assert weights("conv", x, out=4, groups=2, init="kaiming") == {
        "weight": ((4, 3, 3, 3), "kaiming"), "bias": ((4,), "zeros"),
    }
    assert weights("conv", x, out=4, bias=False, size=Size((3, 5))) == {"weight": ((4, 6, 3, 5), "torch")}
    assert macs("conv", x, out=4, groups=2) == B * H * W * 4 * 3 * 9


def test_conv_mistakes() -> None:
    x = image(B, 6, 5, 5)
    groups = refused("conv", x, out=4, groups=4)
    assert (groups.title, groups.help) == ("6 channels do not divide into 4 groups", "groups that divide 6: 1, 2, 3, 6")
    assert "makes 4 channels" in refused("conv", x, out=4, groups=3).title
    large = refused("conv", x, out=4, size=9, pad=0)
    assert large.title == "the window 9x9 of `conv` does not fit: the input is 5x5"
    assert large.help == "a window of 5 fits, or more padding"
    assert "names 3 axes" in refused("conv", x, out=4, size=Size((1, 2, 3))).title
    assert refused("conv", x, out=4, dilation=Size((1, 2, 3))).setting == "dilation"
    assert refused("conv", x, out=4, pad=6, pad_mode="circular").help == "a padding of at most 5"
    assert refused("conv", grid(H, W, 6), out=4).help == "`to_image` turns tokens with a grid into an image"
    line = refused("conv", tokens(B, N, 6), out=4)
    assert line.title == "`conv` runs along a sequence with a size of one number; here are 3x3 and `B N 6`"
    assert line.help == "`conv(4, 3)`; `patchify` makes tokens with a grid"
    assert "vector" in str(refused("conv", vector(B, 6), out=4).help)
    with pytest.raises(ValidationError, match="takes numbers from 1 on"):
        RECORDS["conv"](out=4, stride=0)
    with pytest.raises(ValidationError, match='or "same"'):
        RECORDS["conv"](out=4, pad="valid")


def test_transpose_conv() -> None:
    x = image(B, 6, H, W)
    assert str(made("transpose_conv", x, out=4, size=2, stride=2)) == "B 4 2*H 2*W"
    assert str(made("transpose_conv", image(B, 1, 2, 2), out=1, size=3, stride=2, pad=1)) == "B 1 3 3"
    assert str(made("transpose_conv", image(B, 1, 2, 2), out=1, size=3, stride=2, pad=1, output_pad=1)) == "B 1 4 4"
    assert weights("transpose_conv", x, out=4, size=2, groups=2)["weight"][0] == (6, 2, 2, 2)
    assert macs("transpose_conv", x, out=4, size=2, stride=2) == B * H * W * 6 * 4 * 4
    assert refused("transpose_conv", x, out=4, size=2, stride=2, output_pad=2).help == "a number from 0 to 1"
    assert refused("transpose_conv", image(B, 1, 1, 1), out=1, size=1, pad=1).setting == "pad"
    assert refused("transpose_conv", x, out=3, size=2, groups=2).code == "A203"


def test_patchify_makes_a_grid() -> None:
    x = image(B, 3, 224, 224)
    made_ = made("patchify", x, out=8, size=16)
    assert str(made_) == "B (14 14) 8"
    assert made_.axes[1].segments[0].origin == "made"
    assert str(made("patchify", image(B, 3, H, W), out=8, size=7, stride=4, pad=3)) == "B (ceil(H/4) ceil(W/4)) 8"
    assert list(weights("patchify", x, out=8, size=16)) == ["proj.weight", "proj.bias"]
    norm = RECORDS["layernorm"](eps=1e-6)
    assert weights("patchify", x, out=8, size=16, norm=norm, bias=False) == {
        "proj.weight": ((8, 3, 16, 16), "torch"), "norm.weight": ((8,), "ones"), "norm.bias": ((8,), "zeros"),
    }
    assert list(weights("patchify", x, out=8, size=16, norm=RECORDS["identity"]())) == ["proj.weight", "proj.bias"]
    assert macs("patchify", x, out=8, size=16) == B * 196 * 8 * 3 * 256
    assert refused("patchify", x, out=8, size=16, norm=RECORDS["relu"]()).setting == "norm"
    assert "does not fit" in refused("patchify", x, out=8, size=300).title


# ------------------------------------------------------------------------------------------------ norms


@pytest.mark.parametrize("op", ["batchnorm", "frozen_batchnorm", "layernorm", "rmsnorm"])
@pytest.mark.parametrize("x", [image(B, 8, H, W), grid(H, W, 8), vector(B, 8)], ids=str)
def test_norms_keep_the_shape(op: str, x) -> None:
    assert made(op, x) is x
    assert all(shape in ((8,), ()) for shape, _ in weights(op, x).values())


def test_weights_of_norms() -> None:
    x = image(B, 8, H, W)
    assert weights("batchnorm", x, init="zeros") == {
        "weight": ((8,), "zeros"), "bias": ((8,), "zeros"), "running_mean": ((8,), "zeros"),
        "running_var": ((8,), "ones"), "num_batches_tracked": ((), "zeros"),
    }
    assert list(weights("batchnorm", x, affine=False)) == ["running_mean", "running_var", "num_batches_tracked"]
    assert list(weights("frozen_batchnorm", x)) == ["weight", "bias", "running_mean", "running_var"]
    assert weights("layernorm", x, per_head=2) == {"weight": ((4,), "ones"), "bias": ((4,), "zeros")}
    assert list(weights("layernorm", x, bias=False)) == ["weight"]
    assert list(weights("rmsnorm", x)) == ["weight"]
    assert weights("instancenorm", x) == {}
    buffers = [w.buffer for w in RECORDS["frozen_batchnorm"]().weights(Spot(), x)]
    assert buffers == [True] * 4


def test_mistakes_of_norms() -> None:
    assert refused("layernorm", tokens(B, N, 384), per_head=5).title == "width 384 does not divide into 5 heads"
    assert refused("layernorm", tokens(B, N, 12), per_head=5).help == "heads that divide 12: 1, 2, 3, 4, 6, 12"
    assert refused("groupnorm", image(B, 8, H, W), groups=3).help == "groups that divide 8: 1, 2, 4, 8"
    assert "positions" not in refused("instancenorm", vector(B, 8)).title
    assert "the answer is 0" in refused("instancenorm", image(B, 8, 1, 1)).title
    assert "no batch axis" in refused("batchnorm", rows((Role.POSITION, 4), (Role.CHANNEL, 8))).title
    assert refused("layernorm", tokens(B, N, C)).code == "A205"
    assert "floats" in refused("layernorm", tokens(B, N, 8).of("int")).title
