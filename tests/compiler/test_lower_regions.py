"""Regions and deformable convolutions: against torchvision's Python, slow loops of the published rules, and by hand."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import peers
import pytest
import torch
import torch.nn.functional as F
from building import graph, shapes, wrong

from ogive.compiler.lower.region_modules import RoiAlign, RoiPool
from ogive.compiler.pipeline import compile

DRAW = torch.Generator().manual_seed(5)
MAP = torch.randn(2, 3, 9, 13, dtype=torch.float64, generator=DRAW)
BOXES = torch.tensor([
    [[0.0, 0, 31, 17], [10, 4, 30, 31], [-20, -9, 8, 60], [3, 3, 3.2, 3.1], [49, 33, 80, 70]],
    [[12.5, 7.25, 40.125, 30], [51, 35, 52, 36], [90, 90, 99, 99], [0, 0, 52, 36], [7, 9, 5, 2]],
], dtype=torch.float64)
HEAD = "input x: B 8 H W, boxes: B K 4"


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


# ------------------------------------------------------------------------------------------------ roi_align


def rows(boxes: torch.Tensor) -> torch.Tensor:
    """torchvision's form: the image's number before each box."""
    image = torch.arange(boxes.shape[0], dtype=boxes.dtype)[:, None, None].expand(-1, boxes.shape[1], 1)
    return torch.cat([image, boxes], 2).reshape(-1, 5)


def slow_roi_align(
    x: torch.Tensor, boxes: torch.Tensor, size: tuple[int, int], stride: float, samples: int, aligned: bool
) -> torch.Tensor:
    """The rule of the compiled operator, sample by sample: one that lies more than a cell outside is 0."""
    b, c, h, w = x.shape
    out = torch.zeros(b, boxes.shape[1], c, *size, dtype=x.dtype)

    def at(i: int, y: float, z: float) -> torch.Tensor:
        if not (-1 <= y <= h and -1 <= z <= w):
            return torch.zeros(c, dtype=x.dtype)
        y, z = min(max(y, 0), h - 1), min(max(z, 0), w - 1)
        top, left = int(y), int(z)
        bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
        upper = x[i, :, top, left] * (1 - z + left) + x[i, :, top, right] * (z - left)
        lower = x[i, :, bottom, left] * (1 - z + left) + x[i, :, bottom, right] * (z - left)
        return upper * (1 - y + top) + lower * (y - top)

    for i, k in product(range(b), range(boxes.shape[1])):
        x1, y1, x2, y2 = ((boxes[i, k] / stride) - 0.5 * aligned).tolist()
        least = -math.inf if aligned else 1.0
        tall, wide = max(y2 - y1, least) / size[0], max(x2 - x1, least) / size[1]
        for p, q, s, t in product(range(size[0]), range(size[1]), range(samples), range(samples)):
            y, z = y1 + p * tall + (s + 0.5) * tall / samples, x1 + q * wide + (t + 0.5) * wide / samples
            out[i, k, :, p, q] += at(i, y, z) / samples**2
    return out.flatten(0, 1)


SETTINGS = [((3, 2), 2, 4.0), ((7, 7), 1, 3.0), ((2, 5), 3, 8.0)]


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("size", "samples", "stride"), SETTINGS)
def test_roi_align_is_the_rule(aligned: bool, size: tuple[int, int], samples: int, stride: float) -> None:
    found = RoiAlign(size, (stride,), samples, aligned)(MAP, BOXES)
    close(found, slow_roi_align(MAP, BOXES, size, stride, samples, aligned))


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("size", "samples", "stride"), SETTINGS)
def test_roi_align_is_torchvision_s(aligned: bool, size: tuple[int, int], samples: int, stride: float) -> None:
    """Their Python knows no outside: all boxes lie on the map."""
    peers.torchvision()
    from torchvision.ops.roi_align import _roi_align

    boxes = BOXES[:, [0, 1, 3]].clamp(0, 7.5 * stride)
    ours = MAP.clone().requires_grad_()
    theirs = MAP.clone().requires_grad_()
    found = RoiAlign(size, (stride,), samples, aligned)(ours, boxes)
    wanted = _roi_align.__wrapped__(theirs, rows(boxes), 1 / stride, *size, samples, aligned)
    close(found, wanted)
    found.sin().sum().backward()
    wanted.sin().sum().backward()
    assert ours.grad is not None and theirs.grad is not None
    close(ours.grad, theirs.grad)


def test_roi_align_by_hand() -> None:
    """A ramp is read at the middle of each quarter of the box: x = 1.5 and 2.5, y = 1 and 2 in cells."""
    ramp = torch.arange(8.0)[None] + 10 * torch.arange(8.0)[:, None]
    found = RoiAlign((2, 2), (2.0,), samples=1)(ramp[None, None], torch.tensor([[[2.0, 1.0, 6.0, 5.0]]]))
    assert found.flatten().tolist() == [11.5, 12.5, 21.5, 22.5]


def test_levels_are_torchvision_s() -> None:
    peers.torchvision()
    from torchvision.ops.poolers import LevelMapper

    sides = torch.tensor([1.0, 55.9, 56, 111.99, 112, 223.9, 224, 300, 447.9, 448, 895, 896, 5000], dtype=torch.float64)
    boxes = torch.stack([sides * 0, sides * 0, sides, sides], 1)
    wanted = LevelMapper(2, 5)([boxes])
    assert torch.equal(RoiAlign((7, 7), (4.0, 8.0, 16.0, 32.0)).levels(boxes), wanted)
    assert wanted.tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3, 3]  # a side of 224 is level 4, the third
    empty = torch.tensor([[5.0, 5, 5, 5], [5, 5, 1, 9]])
    assert RoiAlign((7, 7), (4.0, 8.0)).levels(empty).tolist() == [0, 0]


def test_each_box_comes_from_its_level() -> None:
    maps = [torch.full((2, 3, 64 // s, 64 // s), float(s)) for s in (4, 8, 16, 32)]
    sides = torch.tensor([20.0, 120.0, 230.0, 460.0])
    boxes = torch.stack([sides * 0, sides * 0, sides, sides], 1)[None].expand(2, 4, 4)
    found = RoiAlign((1, 1), (4.0, 8.0, 16.0, 32.0))(*maps, boxes).reshape(2, 4, 3)
    inside = found[:, 0]
    assert torch.equal(inside, torch.full((2, 3), 4.0))
    single = [RoiAlign((2, 2), (float(s),))(m, boxes) for s, m in zip((4, 8, 16, 32), maps, strict=True)]
    all_levels = RoiAlign((2, 2), (4.0, 8.0, 16.0, 32.0))(*maps, boxes)
    for k, (box, level) in enumerate(zip(range(4), (0, 1, 2, 3), strict=True)):
        close(all_levels.reshape(2, 4, 3, 2, 2)[:, box], single[level].reshape(2, 4, 3, 2, 2)[:, k])


# ------------------------------------------------------------------------------------------------ roi_pool


def away(value: float) -> int:
    """Rounded, halves away from zero."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def slow_roi_pool(x: torch.Tensor, boxes: torch.Tensor, size: tuple[int, int], stride: float) -> torch.Tensor:
    """Fast R-CNN's rule, bin by bin."""
    b, c, h, w = x.shape
    out = torch.zeros(b, boxes.shape[1], c, *size, dtype=x.dtype)
    for i, k in product(range(b), range(boxes.shape[1])):
        x1, y1, x2, y2 = (away(v / stride) for v in boxes[i, k].tolist())
        tall, wide = max(y2 - y1 + 1, 1) / size[0], max(x2 - x1 + 1, 1) / size[1]
        for p, q in product(range(size[0]), range(size[1])):
            top, bottom = (min(max(v + y1, 0), h) for v in (math.floor(p * tall), math.ceil((p + 1) * tall)))
            left, right = (min(max(v + x1, 0), w) for v in (math.floor(q * wide), math.ceil((q + 1) * wide)))
            if bottom > top and right > left:
                out[i, k, :, p, q] = x[i, :, top:bottom, left:right].amax((1, 2))
    return out.flatten(0, 1)


@pytest.mark.parametrize(("size", "stride"), [((3, 2), 4.0), ((7, 7), 4.0), ((1, 1), 2.0), ((2, 5), 3.0)])
def test_roi_pool_is_the_rule(size: tuple[int, int], stride: float) -> None:
    ours = MAP.clone().requires_grad_()
    theirs = MAP.clone().requires_grad_()
    found, wanted = RoiPool(size, stride)(ours, BOXES), slow_roi_pool(theirs, BOXES, size, stride)
    assert torch.equal(found, wanted)
    found.sin().sum().backward()
    wanted.sin().sum().backward()
    assert ours.grad is not None and theirs.grad is not None
    close(ours.grad, theirs.grad)


def test_roi_pool_by_hand() -> None:
    cells = torch.tensor([[1.0, 2, 6, 3], [3, 5, 2, 1], [1, 2, 2, 1], [7, 3, 4, 8]])[None, None]
    whole = torch.tensor([[[0.0, 0, 3, 3]]])
    assert RoiPool((2, 2), 1.0)(cells, whole).flatten().tolist() == [5, 6, 7, 8]
    assert RoiPool((1, 1), 1.0)(cells, torch.tensor([[[1.0, 1, 2, 2]]])).item() == 5
    assert RoiPool((2, 2), 1.0)(cells, torch.tensor([[[8.0, 8, 9, 9]]])).abs().sum() == 0


# ------------------------------------------------------------------------------------------------ deform_conv


def slow_deform(
    x: torch.Tensor, offset: torch.Tensor, mask: torch.Tensor | None, weight: torch.Tensor, stride: int, pad: int,
    dilation: int, groups: int, offset_groups: int,
) -> torch.Tensor:
    """Dai et al. 2017: y(p) = sum over taps of w(tap) x(p + tap + offset) mask, x bilinear and 0 outside."""
    b, c, h, w = x.shape
    out, per_group, kh, kw = weight.shape
    made = torch.zeros(b, out, *offset.shape[2:], dtype=x.dtype)

    def at(n: int, channel: int, y: float, z: float) -> torch.Tensor:
        total = torch.zeros((), dtype=x.dtype)
        for i, j in product((math.floor(y), math.floor(y) + 1), (math.floor(z), math.floor(z) + 1)):
            if 0 <= i < h and 0 <= j < w:
                total = total + x[n, channel, i, j] * (1 - abs(y - i)) * (1 - abs(z - j))
        return total

    places = product(range(b), range(out), range(made.shape[2]), range(made.shape[3]))
    for n, o, p, q in places:
        for local, i, j in product(range(per_group), range(kh), range(kw)):
            channel = o // (out // groups) * per_group + local
            tap = channel // (c // offset_groups) * kh * kw + i * kw + j
            dy, dz = offset[n, 2 * tap : 2 * tap + 2, p, q].tolist()
            seen = at(n, channel, p * stride - pad + i * dilation + dy, q * stride - pad + j * dilation + dz)
            made[n, o, p, q] += weight[o, local, i, j] * seen * (1 if mask is None else mask[n, tap, p, q])
    return made


CASES = {
    "v1": "offset -> deform_conv(4, 3x2, pad=1)",
    "v2": "offset, mask -> deform_conv(4, 3x2, pad=1, stride=2, bias=False)",
    "groups": "offset, mask -> deform_conv(4, 3x2, pad=1, dilation=2, groups=2, offset_groups=2)",
}


@pytest.mark.parametrize("name", CASES)
def test_deform_conv_is_the_rule(name: str) -> None:
    line = CASES[name]
    stride, dilation = (2 if "stride=2" in line else 1), (2 if "dilation=2" in line else 1)
    groups = 2 if "groups=2" in line else 1
    rows_, columns = ((6 + 2 - dilation * 2 - 1) // stride + 1, (5 + 2 - dilation - 1) // stride + 1)
    x = torch.randn(2, 4, 6, 5, dtype=torch.float64, generator=DRAW)
    offset = 2 * torch.randn(2, 12 * groups, rows_, columns, dtype=torch.float64, generator=DRAW)
    mask = torch.rand(2, 6 * groups, rows_, columns, dtype=torch.float64, generator=DRAW)
    both = "mask" in line
    head = f"input x: B 4 6 5, offset: B {12 * groups} {rows_} {columns}"
    head += f", mask: B {6 * groups} {rows_} {columns}" if both else ""
    ours = compile(graph(f"y = x, {line}", head), dtype=torch.float64)
    found = ours(x, offset, mask) if both else ours(x, offset)
    settings = (stride, 1, dilation, groups, groups)
    wanted = slow_deform(x, offset, mask if both else None, ours.y.weight.detach(), *settings)
    if ours.y.bias is not None:
        wanted = wanted + ours.y.bias[:, None, None]
    close(found, wanted)


def test_a_deformable_convolution_that_stands_still_is_a_convolution() -> None:
    ours = compile(graph("o = conv(18, init=\"zeros\")\ny = x, o -> deform_conv(6)"), dtype=torch.float64)
    x = torch.randn(2, 8, 7, 9, dtype=torch.float64, requires_grad=True)
    found = ours(x)
    close(found, F.conv2d(x, ours.y.weight, ours.y.bias, padding=1))
    found.sum().backward()
    assert ours.o.weight.grad.abs().sum() > 0  # the offsets learn


def test_a_whole_step_of_offset_is_a_shifted_image() -> None:
    x = torch.randn(1, 1, 5, 5, dtype=torch.float64)
    ours: Any = compile(graph("y = x, o -> deform_conv(1, 1x1, bias=False)", "input x: B 1 5 5, o: B 2 5 5"),
                        dtype=torch.float64)
    ours.y.weight.data.fill_(1)
    offset = torch.stack([torch.ones(5, 5), torch.zeros(5, 5)])[None].double()  # first the rows
    found = ours(x, offset)
    close(found[..., :4, :], x[..., 1:, :])
    assert found[..., 4, :].abs().sum() == 0


# ------------------------------------------------------------------------------------------------ words


def test_shapes() -> None:
    assert shapes("x, boxes -> roi_align(7x7, strides=4) : (B K) 8 7 7", HEAD) == ["B*K 8 7 7"]
    assert shapes("l = x -> max_pool(2)\n[x, l], boxes -> roi_align(7, strides=[4, 8])", HEAD) == ["B*K 8 7 7"]
    assert shapes("x, boxes -> roi_pool(3x2, strides=[16])", HEAD) == ["B*K 8 3 2"]
    one = graph("y = x, o -> deform_conv(16)", "input x: B 8 9 9, o: B 18 9 9")
    assert one.macs() == 81 * 16 * 8 * 9


def test_wrong_uses() -> None:
    wrong("x, x -> roi_align(7, strides=4)", code="A201", words="boxes are `B K 4`, x1 y1 x2 y2 in pixels")
    wrong("x, boxes -> roi_align(7, strides=[4, 8])", HEAD, code="A201", words="here are 1 map and 2 strides")
    wrong("l = x -> max_pool(2)\nx, l, boxes -> roi_align(7, strides=[4, 12])", HEAD, code="A201",
          words="the strides of several maps double from one to the next")
    wrong("boxes -> roi_align(7, strides=4)", HEAD, code="A207", words="takes one or more maps and boxes; here is 1")
    wrong("x, boxes -> roi_align(7)", HEAD, code="A303", words="`roi_align` needs `strides`")
    wrong("y = x, x -> deform_conv(4)", code="A201", words="the offset of `deform_conv` has 18 channels for 3x3 taps")
    wrong("o = conv(18, stride=2)\ny = x, o -> deform_conv(4)", "input x: B 8 9 9", code="A201",
          words="the offset has a place for each place of the result, `9 9`")
    wrong("y = x -> deform_conv(4)", code="A207", words="takes 2 tensors (x, offset, and mask if wanted); here is 1")
