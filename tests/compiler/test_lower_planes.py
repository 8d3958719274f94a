"""Ops on planes: shifts, ragged grids, unpooling, codes of places, resized tables, standardized filters, sequences."""

from __future__ import annotations

from typing import Any

import peers
import pytest
import torch
import torch.nn.functional as F
from building import IMAGE, graph, keys, shapes, wrong

from ogive.compiler.pipeline import compile

DRAW = torch.Generator().manual_seed(7)
X = torch.randn(2, 8, 6, 5, dtype=torch.float64, generator=DRAW)


def module(body: str, head: str = IMAGE) -> Any:
    return compile(graph(body, head), dtype=torch.float64).eval()


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def table(text: str) -> torch.Tensor:
    """`1 2 / 3 4` as an image of one channel."""
    return torch.tensor([[float(n) for n in row.split()] for row in text.split("/")], dtype=torch.float64)[None, None]


# ------------------------------------------------------------------------------------------------ unpooling


def test_max_unpooling_puts_values_back() -> None:
    """The worked example of the lecture: 4x4 pools to `5 6 / 7 8`; `1 2 / 3 4` goes back to those places."""
    body = "pool = x -> max_pool(2x2, indices=True)\ny -> max_unpool(2x2, indices=pool.indices, like=x)\nreturn pool, _"
    ours = module(body, "input x: B 1 H W, y: B 1 H/2 W/2")
    pooled, back = ours(table("1 2 6 3 / 3 5 2 1 / 1 2 2 1 / 7 3 4 8"), table("1 2 / 3 4"))
    close(pooled, table("5 6 / 7 8"))
    close(back, table("0 0 2 0 / 0 1 0 0 / 0 0 0 0 / 3 0 0 4"))


def test_max_unpooling_is_torch_s() -> None:
    """With a column that no window reaches, and windows that overlap."""
    for window in ("2x2", "3x3, stride=2, pad=1"):
        ours = module(f"pool = max_pool({window}, indices=True)\nmax_unpool({window}, indices=pool.indices, like=x)")
        settings = (2, 2, 0) if window == "2x2" else (3, 2, 1)
        values, places = F.max_pool2d(X, *settings, return_indices=True)
        close(ours(X), F.max_unpool2d(values, places, *settings, output_size=(6, 5)))


def test_unpooling_wants_places() -> None:
    wrong("max_unpool(2x2, indices=x, like=x)", code="A201", words="`indices` are the places that `max_pool` noted")
    wrong("max_unpool(2x2)", code="A303", words="`max_unpool` needs `indices`")
    wrong("pool = max_pool(2x2, indices=True)\nx -> max_unpool(2x2, indices=pool.indices, like=x)",
          "input x: B 8 6 6", code="A201",
          words="each value has a place; here are values `B 8 6 6` and places `B 8 3 3 of int`")
    wrong("pool = max_pool(2x2, indices=True)\nmax_unpool(2x2, indices=pool.indices, like=pool)", "input x: B 8 6 6",
          code="A201", words="`max_pool(2x2)` of `pool` gives 1 where 3 come in")


# ------------------------------------------------------------------------------------------------ shift


@pytest.mark.parametrize(("border", "wanted"), [
    ("zero", "0 0 1 / 0 0 3"), ("edge", "1 1 1 / 3 3 3"), ("wrap", "2 9 1 / 4 9 3"),
])
def test_what_stands_at_j_comes_to_j_plus_cols(border: str, wanted: str) -> None:
    close(module(f'shift(cols=2, border="{border}")', "input x: B 1 H W")(table("1 2 9 / 3 4 9")), table(wanted))


def test_shift_takes_a_list_in_turn() -> None:
    found = module("shift(rows=[1, 0, -1], cols=[0, 2])", "input x: B 8 H W")(X)
    for c in range(8):
        wanted = torch.zeros_like(X[:, c])
        for i in range(6):
            for j in range(5):
                y, z = i - (1, 0, -1)[c % 3], j - (0, 2)[c % 2]
                if 0 <= y < 6 and 0 <= z < 5:
                    wanted[:, i, j] = X[:, c, y, z]
        close(found[:, c], wanted)


def test_shift_of_tokens_goes_through_their_grid() -> None:
    ours = module('t = to_tokens\nshift(rows=-1, border="edge")\nto_image')
    close(ours(X), torch.cat([X[:, :, 1:], X[:, :, -1:]], 2))
    assert graph("shift(rows=0)\nrelu").parameter_count == 0
    assert not [n for n in graph("shift(rows=0)\nrelu") if n.op == "shift"]
    wrong("shift(rows=1)", "input x: B N 8", code="A201", words="`shift` needs a grid")
    wrong("shift(rows=0.5)", code="A302", words="takes a whole number, or a list of them")


# ------------------------------------------------------------------------------------------------ grids


def test_ragged_windows_are_padded_and_cropped() -> None:
    ours = module("pad_grid(4)\nwide = _\ncrop_grid(like=x)\nreturn wide, _")
    wide, back = ours(X)
    close(wide, F.pad(X, (0, 3, 0, 2)))
    close(back, X)
    tokens = module("t = to_tokens\nwide = pad_grid(4)\nback = crop_grid(like=t)\nback + t\nreturn wide, _")
    wide, twice = tokens(X)
    close(wide, F.pad(X, (0, 3, 0, 2)).flatten(2).transpose(1, 2))
    close(twice, 2 * X.flatten(2).transpose(1, 2))


def test_shapes_of_grids() -> None:
    assert shapes("pad_grid(4)", "input x: B (h=14 w=13) 8") == ["B (16 16) 8"]
    assert shapes("t = to_tokens\npad_grid(4)\ncrop_grid(like=t)") == ["B (H W) 8"]
    assert shapes("pad_grid(7)", "input x: B (h=14 w=14) 8") == ["B (14 14) 8"]
    wrong("y = space_to_depth(2)\ncrop_grid(like=x)", "input x: B (h=4 w=4) 8", code="A201",
          words="`crop_grid` makes a grid smaller; 2 is less than the 4 of `x`")
    wrong("pad_grid(4)", "input x: B N 8", code="A201", words="`pad_grid` needs a grid")


def test_regrid_gives_the_grid_back() -> None:
    assert shapes("t = to_tokens\ny -> regrid(like=t)\nto_image", "input x: B 8 H W, y: B N 8") == ["B 8 H W"]
    assert shapes("y -> regrid(like=x)", "input x: B 8 3 4, y: B 12 8") == ["B (3 4) 8"]
    ours = module("y -> regrid(like=x)\nto_image", "input x: B 8 H W, y: B N 8")
    close(ours(X, X.flatten(2).transpose(1, 2)), X)
    wrong("y -> regrid(like=x)", "input x: B (h=3 w=4) 8, y: B 9 8", code="A201", words="9 positions are not the 12")


# ------------------------------------------------------------------------------------------------ codes of places


def detr(x: torch.Tensor, temperature: float, normalize: bool) -> torch.Tensor:
    """`PositionEmbeddingSine` of DETR's published code, without padding."""
    b, c, h, w = x.shape
    y, z = (torch.ones(b, h, w, dtype=x.dtype).cumsum(i) for i in (1, 2))
    if normalize:
        y, z = y / (y[:, -1:] + 1e-6) * 2 * torch.pi, z / (z[:, :, -1:] + 1e-6) * 2 * torch.pi
    i = torch.arange(c // 2, dtype=x.dtype)
    t = temperature ** (2 * torch.div(i, 2, rounding_mode="floor") / (c // 2))
    parts = []
    for place in (y, z):
        angle = place[..., None] / t
        parts.append(torch.stack((angle[..., 0::2].sin(), angle[..., 1::2].cos()), 4).flatten(3))
    return torch.cat(parts, 3).permute(0, 3, 1, 2)


@pytest.mark.parametrize(("text", "temperature", "normalize"), [
    ("sine_position", 10000, True), ("sine_position(temperature=20, normalize=False)", 20, False),
])
def test_sine_position_is_detr_s(text: str, temperature: float, normalize: bool) -> None:
    close(module(text)(X), detr(X, temperature, normalize))
    wrong("sine_position", "input x: B 6 H W", code="A203", words="here are 6")


def test_coordinates_are_the_centres_of_the_cells() -> None:
    found = module("coordinates(like=x)")(X[..., :2, :4])
    assert found.shape == (1, 8, 2)
    assert found[0, 5].tolist() == [0.375, 0.75]  # second row, second column: x, y
    turned = module('t = to_tokens\ncoordinates(like=t, order="yx")')(X[..., :2, :4])
    close(turned, found.flip(2))
    assert shapes("coordinates(like=x)") == ["1 (H W) 2"]
    wrong("coordinates()", code="A303", words="`coordinates` needs `like`")
    wrong("coordinates(like=x)", "input x: B 8", code="A201", words="a vector has no rows and columns")


def test_offsets_from_the_centre() -> None:
    found = module("o = offsets(3x2)\nx + 0\nreturn o, _")(X)[0]
    assert found[0, 0].tolist() == [[-1, -1], [0, 0], [1, 1]]
    assert found[0, 1].tolist() == [[-0.5, 0.5]] * 3
    assert found.dtype == torch.float64
    assert shapes("offsets(2 * 4 - 1) * 8 / 3") == ["1 2 7 7"]


def test_constants_move_with_the_network_and_are_in_no_state_dict() -> None:
    ours = module("z = zeros(8, 1, 1)\no = ones(8)\nx * o + o")
    assert list(ours.state_dict()) == []
    close(ours(X), X + 1)
    assert ours.float()(X.float()).dtype == torch.float32
    assert compile(graph("x + ones(8)"), device="meta")(X.to("meta", torch.float32)).is_meta


# ------------------------------------------------------------------------------------------------ position


def test_a_table_is_resized_to_the_grid() -> None:
    body = 't = to_tokens\nc = learned(1, 1, 8)\nc, t -> concat\np = position(3x4, prefix=1, resize="bicubic")'
    ours = module(body)
    assert ours.p.shape == (1, 13, 8)
    ours.c.data.zero_()
    added = ours(X) - torch.cat([torch.zeros(2, 1, 8), X.flatten(2).transpose(1, 2)], 1)
    grid = ours.p[:, 1:].reshape(1, 3, 4, 8).permute(0, 3, 1, 2)
    wanted = F.interpolate(grid, size=(6, 5), mode="bicubic", align_corners=False).flatten(2).transpose(1, 2)
    close(added[:1], torch.cat([ours.p[:, :1], wanted], 1))
    same = X[:, :, :3, :4]
    close(ours(same)[:, 1:], same.flatten(2).transpose(1, 2) + ours.p[:, 1:])


def test_a_table_of_the_grid_s_own_size_is_not_resampled() -> None:
    assert "interpolate" not in module('t = to_tokens\np = position(6x5, resize="bicubic")', "input x: B 8 6 5").code


# ------------------------------------------------------------------------------------------------ convolutions


def test_standardized_filters_are_timm_s() -> None:
    peers.timm()
    from timm.layers import StdConv2d, StdConv2dSame

    for theirs, pad in ((StdConv2d(8, 6, 3, stride=2, padding=1, bias=True, eps=1e-8), ""), (
        StdConv2dSame(8, 6, 3, stride=2, bias=True, eps=1e-8), ', pad="same"'
    )):
        ours = module(f"y = conv(6, 3x3, stride=2, standardize=1e-8{pad})")
        theirs.double().load_state_dict({k.removeprefix("y."): v for k, v in ours.state_dict().items()})
        torch.testing.assert_close(ours(X), theirs(X), rtol=1e-9, atol=1e-9)
    wrong("y = conv(8, 1x1, groups=8, standardize=1e-6)", code="A201", words="a filter of one number has no variance")


def test_a_convolution_along_a_sequence() -> None:
    ours = module("y = conv(6, 3, groups=2)", "input x: B N 8")
    x = torch.randn(2, 7, 8, dtype=torch.float64)
    close(ours(x), F.conv1d(x.transpose(1, 2), ours.y.weight, ours.y.bias, padding=1, groups=2).transpose(1, 2))
    assert keys("y = conv(6, 3)", "input x: B N 8") == ["y.weight", "y.bias"]
    assert shapes("y = conv(6, 4, stride=2)", "input x: B 20 8") == ["B 9 6"]
    assert shapes("y = conv(6, 3)\nw = conv(6, 3)", "input x: B N 8") == ["B N 6"]
    assert graph("y = conv(6, 3)", "input x: B N 8").macs({"N": 10}) == 10 * 6 * 8 * 3


def test_batch_norm_of_tokens_is_over_batch_and_positions() -> None:
    ours = module("y = batchnorm", "input x: B N 8").train()
    x = torch.randn(3, 5, 8, dtype=torch.float64)
    close(ours(x), F.batch_norm(x.flatten(0, 1), None, None, training=True).reshape(3, 5, 8))
