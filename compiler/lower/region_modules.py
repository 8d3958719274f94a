"""Region and deformable layers in plain torch, as torchvision defines them. Each stands on torch alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["DeformConv", "RoiAlign", "RoiPool"]


class RoiAlign(nn.Module):
    """Boxes [B, K, 4] in pixels, cut by bilinear samples from the level that fits them: [B * K, C, *size]."""

    def __init__(
        self, size: tuple[int, int], strides: tuple[float, ...], samples: int = 2, aligned: bool = False,
        level: int = 4, at: float = 224.0,
    ) -> None:
        super().__init__()
        self.size = size
        self.strides = strides
        self.samples = samples
        self.aligned = aligned
        self.level = level
        self.at = at

    def forward(self, *inputs: Tensor) -> Tensor:
        *maps, boxes = inputs
        b, k, _ = boxes.shape
        c, s = maps[0].shape[1], self.samples
        image = torch.arange(b, device=boxes.device)[:, None].expand(b, k).reshape(-1)
        boxes = boxes.reshape(-1, 4)
        level = self.levels(boxes)
        stride, height, width, first = (torch.zeros_like(level) for _ in range(4))
        stride = stride.to(boxes.dtype)
        row = 0
        for i, x in enumerate(maps):  # where each level begins in the table of all cells
            here = level == i
            stride = stride.masked_fill(here, self.strides[i])
            height, width = height.masked_fill(here, x.shape[2]), width.masked_fill(here, x.shape[3])
            first = first.masked_fill(here, row)
            row = row + b * x.shape[2] * x.shape[3]
        table = torch.cat([x.permute(0, 2, 3, 1).reshape(-1, c) for x in maps])
        x1, y1, x2, y2 = (boxes / stride[:, None] - 0.5 * self.aligned).unbind(1)
        ys = self.taps(y1, y2, self.size[0] * s, height)
        xs = self.taps(x1, x2, self.size[1] * s, width)
        first = (first + image * height * width)[:, None, None]
        made = table.new_zeros(())
        for y, wy in ys:
            for x, wx in xs:
                cells = first + y[:, :, None] * width[:, None, None] + x[:, None, :]
                made = made + table[cells] * (wy[:, :, None] * wx[:, None, :])[..., None].to(table.dtype)
        made = made.reshape(b * k, self.size[0], s, self.size[1], s, c).mean((2, 4))
        return made.permute(0, 3, 1, 2)

    def levels(self, boxes: Tensor) -> Tensor:
        """The map that each box is cut from."""
        if len(self.strides) == 1:
            return torch.zeros_like(boxes[:, 0], dtype=torch.long)
        area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).clamp(min=0)
        level = torch.floor(self.level + torch.log2(area.sqrt() / self.at) + 1e-6)
        lowest = int(self.strides[0]).bit_length() - 1
        return (level - lowest).clamp(0, len(self.strides) - 1).long()

    def taps(self, start: Tensor, stop: Tensor, n: int, size: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Along one axis, the two cells that each of n samples lies between, and their weights: [K, n] each."""
        length = stop - start if self.aligned else (stop - start).clamp(min=1)
        at = start[:, None] + (torch.arange(n, device=start.device) + 0.5) * (length / n)[:, None]
        last = (size - 1)[:, None]
        inside = (at >= -1) & (at <= size[:, None])
        at = at.clamp(min=0).minimum(last.to(at.dtype))
        low = at.floor()
        share = at - low
        high = (low.long() + 1).minimum(last)
        return [(low.long(), (1 - share) * inside), (high, share * inside)]

    def extra_repr(self) -> str:
        return f"{self.size}, {self.strides}, samples={self.samples}, aligned={self.aligned}"


class RoiPool(nn.Module):
    """Boxes [B, K, 4] in pixels, rounded to cells, the largest value of each bin: [B * K, C, *size]."""

    def __init__(self, size: tuple[int, int], stride: float) -> None:
        super().__init__()
        self.size = size
        self.stride = stride

    def forward(self, x: Tensor, boxes: Tensor) -> Tensor:
        (b, k, _), (h, w) = boxes.shape, x.shape[2:]
        image = torch.arange(b, device=boxes.device)[:, None].expand(b, k).reshape(-1)[:, None, None]
        boxes = boxes.reshape(-1, 4) / self.stride
        x1, y1, x2, y2 = ((boxes.abs() + 0.5).floor() * boxes.sign()).unbind(1)  # halves go away from zero
        top, bottom, tall = self.bins(y1, y2, self.size[0], h)
        left, right, wide = self.bins(x1, x2, self.size[1], w)
        table = self.peaks(x)
        level = (tall[:, :, None] * self.powers(w) + wide[:, None, :]) * b + image
        found = []
        for row in (top, bottom - 2**tall):  # two windows of a power of 2 cover a bin along each axis
            for column in (left, right - 2**wide):
                cell = row.clamp(0, h - 1)[:, :, None] * w + column.clamp(0, w - 1)[:, None, :]
                found.append(table[level * (h * w) + cell])
        made = torch.maximum(torch.maximum(found[0], found[1]), torch.maximum(found[2], found[3]))
        empty = (bottom <= top)[:, :, None] | (right <= left)[:, None, :]
        return made.masked_fill(empty[..., None], 0).permute(0, 3, 1, 2)

    def bins(self, start: Tensor, stop: Tensor, n: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """First cell and end of each of n bins along one axis, and the power of 2 that fits in: [K, n] each."""
        step = ((stop - start + 1).clamp(min=1) / n)[:, None]
        i = torch.arange(n, device=start.device)
        first = (torch.floor(i * step) + start[:, None]).clamp(0, size).long()
        end = (torch.ceil((i + 1) * step) + start[:, None]).clamp(0, size).long()
        power = torch.zeros_like(first)
        for e in range(1, self.powers(size)):
            power = power + (end - first >= 2**e)
        return first, end, power

    def peaks(self, x: Tensor) -> Tensor:
        """The largest value of every window of 2**i x 2**j cells, one row per window: a table to look bins up in."""
        rows = [x.permute(0, 2, 3, 1)]
        for e in range(1, self.powers(x.shape[2])):
            rows.append(self.doubled(rows[-1], 1, 2 ** (e - 1)))
        found = []
        for table in rows:
            found.append(table)
            for e in range(1, self.powers(x.shape[3])):
                found.append(self.doubled(found[-1], 2, 2 ** (e - 1)))
        return torch.stack(found).reshape(-1, x.shape[1])

    def powers(self, size: int) -> int:
        """How many powers of 2 are at most `size`. A comparison leaves a size free where a method would not."""
        count = 1
        while 2**count <= size:
            count += 1
        return count

    def doubled(self, x: Tensor, axis: int, n: int) -> Tensor:
        """Windows twice as long, from windows of n cells."""
        size = x.shape[axis]
        later = torch.cat([x.narrow(axis, n, size - n), x.narrow(axis, size - n, n)], axis)
        return torch.maximum(x, later)

    def extra_repr(self) -> str:
        return f"{self.size}, stride={self.stride}"


class DeformConv(nn.Module):
    """A convolution whose taps are moved by `offset` and weighed by `mask`, as torchvision's `deform_conv2d`."""

    def __init__(
        self, width: int, out: int, size: tuple[int, int], stride: tuple[int, int] = (1, 1),
        pad: tuple[int, int] = (0, 0), dilation: tuple[int, int] = (1, 1), groups: int = 1, offset_groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.width = width
        self.out = out
        self.size = size
        self.stride = stride
        self.pad = pad
        self.dilation = dilation
        self.groups = groups
        self.offset_groups = offset_groups
        self.weight = nn.Parameter(torch.zeros(out, width // groups, *size))
        self.bias = nn.Parameter(torch.zeros(out)) if bias else None

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        b, c, h, w = x.shape
        rows, columns = offset.shape[2:]
        g, taps = self.offset_groups, self.size[0] * self.size[1]
        y, z = offset.reshape(b, g, taps, 2, rows, columns).unbind(3)
        y = y + self.places(x, 0, rows)[:, None].expand(-1, self.size[1], -1).reshape(taps, rows, 1)
        z = z + self.places(x, 1, columns)[None].expand(self.size[0], -1, -1).reshape(taps, 1, columns)
        grid = torch.stack([(2 * z + 1) / w - 1, (2 * y + 1) / h - 1], -1).reshape(b * g, taps * rows, columns, 2)
        image = x.reshape(b * g, c // g, h, w)
        seen = F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        seen = seen.reshape(b, g, c // g, taps, rows * columns)
        if mask is not None:
            seen = seen * mask.reshape(b, g, 1, taps, rows * columns)
        seen = seen.reshape(b, self.groups, -1, rows * columns)
        made = (self.weight.reshape(self.groups, self.out // self.groups, -1) @ seen).reshape(b, -1, rows, columns)
        return made if self.bias is None else made + self.bias[:, None, None]

    def places(self, x: Tensor, axis: int, n: int) -> Tensor:
        """Along one axis, where each tap of the kernel looks for each of n results: [k, n]."""
        taps = torch.arange(self.size[axis], device=x.device) * self.dilation[axis]
        starts = torch.arange(n, device=x.device) * self.stride[axis] - self.pad[axis]
        return (taps[:, None] + starts).to(x.dtype)

    def extra_repr(self) -> str:
        return f"{self.width}, {self.out}, {self.size}, stride={self.stride}, offset_groups={self.offset_groups}"
