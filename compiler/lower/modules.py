"""Small modules that torch.nn lacks. Each stands on torch alone: an exported file carries a copy of its source."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "Arange", "Attention", "DropPath", "FrozenBatchNorm", "RelativeShift", "SamePad", "SineCode", "TransposedLinear",
    "Uniform",
]


class DropPath(nn.Module):
    """Sets samples to 0 at rate p while training, and scales the others by 1 / (1 - p); "batch" draws once for all."""

    def __init__(self, p: float, mode: str = "row") -> None:
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        if self.p == 0 or not self.training:
            return x
        shape = (x.shape[0] if self.mode == "row" else 1,) + (1,) * (x.ndim - 1)
        keep = 1 - self.p
        return x * x.new_empty(shape).bernoulli_(keep).div_(keep)

    def extra_repr(self) -> str:
        return f"p={self.p}, mode={self.mode!r}"


class FrozenBatchNorm(nn.Module):
    """Batch normalisation by numbers that stand still: x * w / sqrt(var + eps) + (b - mean * w / sqrt(var + eps))."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(width))
        self.register_buffer("bias", torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        shape = (1, -1) + (1,) * (x.ndim - 2)
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale.reshape(shape) + shift.reshape(shape)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, eps={self.eps}"


class TransposedLinear(nn.Module):
    """A linear map whose weight is kept as [in, out], as GPT-2's checkpoints have it."""

    def __init__(self, width: int, out: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, out))
        self.bias = nn.Parameter(torch.zeros(out)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.t(), self.bias)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}, bias={self.bias is not None}"


class SamePad(nn.Module):
    """Pads so that a window lands ceil(n / stride) times along each axis; the odd position comes last (TensorFlow)."""

    def __init__(
        self, size: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], mode: str = "constant",
        value: float = 0.0,
    ) -> None:
        super().__init__()
        self.size = size
        self.stride = stride
        self.dilation = dilation
        self.mode = mode
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        axes = list(zip(x.shape[2:], self.size, self.stride, self.dilation, strict=True))
        for n, k, s, d in reversed(axes):
            total = max(((n + s - 1) // s - 1) * s + (k - 1) * d + 1 - n, 0)
            pads += [total // 2, total - total // 2]
        return F.pad(x, pads, self.mode, self.value if self.mode == "constant" else None)

    def extra_repr(self) -> str:
        return f"size={self.size}, stride={self.stride}, dilation={self.dilation}"


class Arange(nn.Module):
    """The places 0, 1, 2, ... along axis `axis` of the input, as a row of ids."""

    def __init__(self, axis: int = 1) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        return torch.arange(x.shape[self.axis], device=x.device)[None]


class Uniform(nn.Module):
    """A number from 0 to 1 for each place of axis `axis` of each sample of the input, drawn anew at each call."""

    def __init__(self, axis: int = 1) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        dtype = x.dtype if x.is_floating_point() else None
        return torch.rand((x.shape[0], x.shape[self.axis]), dtype=dtype, device=x.device)


class Attention(nn.Module):
    """softmax(q k^T * scale) v, dropping weights at rate `drop` while training."""

    def __init__(self, drop: float, causal: bool = False, scale: float | None = None) -> None:
        super().__init__()
        self.drop = drop
        self.causal = causal
        self.scale = scale

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        drop = self.drop if self.training else 0.0
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=drop, is_causal=self.causal, scale=self.scale
        )

    def extra_repr(self) -> str:
        return f"drop={self.drop}, causal={self.causal}, scale={self.scale}"


class SineCode(nn.Module):
    """Sine and cosine of the places 0 .. n-1 of `x` [b, n, width], or of the offsets n-1 .. 1-n: [1, ., width]."""

    def __init__(self, temperature: float = 10000.0, layout: str = "pairs", offsets: bool = False) -> None:
        super().__init__()
        self.temperature = temperature
        self.layout = layout
        self.offsets = offsets

    def forward(self, x: Tensor) -> Tensor:
        n, width = x.shape[1], x.shape[2]
        dtype = torch.promote_types(x.dtype, torch.float32)
        i = torch.arange(0, width, 2, device=x.device, dtype=dtype)
        if self.offsets:
            places = (n - 1) - torch.arange(2 * n - 1, device=x.device, dtype=dtype)
        else:
            places = torch.arange(n, device=x.device, dtype=dtype)
        angles = places[:, None] / self.temperature ** (i / width)
        code = torch.stack([angles.sin(), angles.cos()], 2 if self.layout == "pairs" else 1)
        return code.flatten(1).to(x.dtype)[None]

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}, layout={self.layout!r}, offsets={self.offsets}"


class RelativeShift(nn.Module):
    """y[i, j] = x[i, n - 1 - i + j] of `x` [b, heads, n, 2 n - 1]: each row moves by one more than the row above."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[2]
        rows = F.pad(x, (0, 1)).flatten(2)
        return F.pad(rows, (0, n - 1)).unflatten(2, (n + 1, 2 * n - 1))[:, :, :n, n - 1 :]
