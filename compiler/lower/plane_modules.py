"""Modules that make or move what stands on a plane. Each stands on torch alone, as those of `modules.py`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Constant", "Coordinates", "Offsets", "Shift", "SinePosition"]


class Constant(nn.Module):
    """A tensor of one value; it moves and is cast with the network and is no part of the state_dict."""

    value: Tensor

    def __init__(self, size: tuple[int, ...], number: float) -> None:
        super().__init__()
        self.size = size
        self.number = number
        self.register_buffer("value", torch.full(size, number), persistent=False)

    def forward(self) -> Tensor:
        return self.value

    def extra_repr(self) -> str:
        return f"{self.size}, {self.number}"


class Offsets(nn.Module):
    """How far each cell of a window lies from its centre: [1, 2, rows, columns]; no part of the state_dict."""

    value: Tensor

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        away = [torch.arange(n) - (n - 1) / 2 for n in size]
        self.register_buffer("value", torch.stack(torch.meshgrid(*away, indexing="ij"))[None], persistent=False)

    def forward(self) -> Tensor:
        return self.value

    def extra_repr(self) -> str:
        return f"{self.size}"


class Coordinates(nn.Module):
    """The centres of h x w cells between 0 and 1, on the device of `like`: [1, h * w, 2]."""

    def __init__(self, order: str = "xy") -> None:
        super().__init__()
        self.order = order

    def forward(self, like: Tensor, h: int, w: int) -> Tensor:
        y = (torch.arange(h, device=like.device, dtype=like.dtype) + 0.5) / h
        x = (torch.arange(w, device=like.device, dtype=like.dtype) + 0.5) / w
        places = [x[None].expand(h, w), y[:, None].expand(h, w)]
        return torch.stack(places if self.order == "xy" else places[::-1], -1).reshape(1, -1, 2)

    def extra_repr(self) -> str:
        return f"order={self.order!r}"


class SinePosition(nn.Module):
    """DETR's code of rows (first half of the channels) and columns (second half), of the shape of the input."""

    def __init__(self, temperature: float = 10000.0, normalize: bool = True) -> None:
        super().__init__()
        self.temperature = temperature
        self.normalize = normalize

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        rows = self.code(x, h, c // 2)[:, None].expand(h, w, c // 2)
        columns = self.code(x, w, c // 2)[None].expand(h, w, c // 2)
        return torch.cat([rows, columns], -1).permute(2, 0, 1).to(x.dtype)[None].expand(b, c, h, w)

    def code(self, x: Tensor, n: int, width: int) -> Tensor:
        """The places 1 .. n, sine and cosine in turn: [n, width]."""
        dtype = torch.promote_types(x.dtype, torch.float32)
        places = torch.arange(1, n + 1, device=x.device, dtype=dtype)
        if self.normalize:
            places = places / (n + 1e-6) * (2 * torch.pi)
        i = torch.arange(0, width, 2, device=x.device, dtype=dtype)
        angles = places[:, None] / self.temperature ** (i / width)
        return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}, normalize={self.normalize}"


class Shift(nn.Module):
    """Moves channel c of an image by rows[c mod n] and cols[c mod n]; what stands at j comes to j + cols."""

    def __init__(self, rows: tuple[int, ...], cols: tuple[int, ...], border: str = "zero") -> None:
        super().__init__()
        self.rows = rows
        self.cols = cols
        self.border = border

    def forward(self, x: Tensor) -> Tensor:
        for axis, steps in ((2, self.rows), (3, self.cols)):
            if any(steps):
                x = self.moved(x, axis, steps)
        return x

    def moved(self, x: Tensor, axis: int, steps: tuple[int, ...]) -> Tensor:
        """`x` along one axis: each place reads the one `steps` before it."""
        n, channels = x.shape[axis], x.shape[1] if len(steps) > 1 else 1
        turn = torch.arange(channels, device=x.device) % len(steps)
        places = torch.arange(n, device=x.device) - torch.tensor(steps, device=x.device)[turn][:, None]
        read = places % n if self.border == "wrap" else places.clamp(0, n - 1)
        shape = (1, channels, n, 1) if axis == 2 else (1, channels, 1, n)
        moved = x.gather(axis, read.reshape(shape).expand(x.shape))
        if self.border == "zero":
            moved = moved * ((places >= 0) & (places < n)).reshape(shape)
        return moved

    def extra_repr(self) -> str:
        return f"rows={self.rows}, cols={self.cols}, border={self.border!r}"
