"""Linear maps and convolutions on weights that oneDNN has laid out once, with what follows them in the same kernel.

Each has its plain meaning beside it: off the processor, in another dtype, while compiling or where a gradient is asked
for, the same numbers come from torch's own functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ogive.compiler.passes.reading import ACTIVATIONS

__all__ = ["PackedConv", "PackedLinear", "available"]

_ONEDNN: Final[dict[str, tuple[str, str]]] = {
    "none": ("none", ""), "relu": ("relu", ""), "gelu": ("gelu", "none"), "gelu_tanh": ("gelu", "tanh"),
    "silu": ("swish", ""), "sigmoid": ("sigmoid", ""), "tanh": ("tanh", ""), "hardswish": ("hardswish", ""),
}
"""Our names -> oneDNN's attribute and algorithm."""


def available() -> str | None:
    """Why the packed kernels cannot be used in this torch, None where they can."""
    if not torch.backends.mkldnn.is_available():
        return "this torch is built without oneDNN"
    for name in ("_linear_pointwise", "_convolution_pointwise", "_reorder_linear_weight"):
        if not hasattr(torch.ops.mkldnn, name):
            return f"this torch has no mkldnn::{name}"
    if not hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight"):
        return "this torch has no mkldnn_reorder_conv2d_weight"
    return None


def _lay_out(reorder: Callable[..., Tensor], weight: Tensor, *settings: Any) -> Tensor:
    """The weight in oneDNN's layout; which kind of tensor these functions take changed between releases of torch."""
    with torch.no_grad():
        try:
            return reorder(weight.detach().contiguous(), *settings)
        except NotImplementedError:
            return reorder(weight.detach().contiguous().to_mkldnn(), *settings)


class _Packed(nn.Module):
    """Keeps the weight as oneDNN lays it out for one size of input, beside the plain one.

    It is made again when the module moves, is copied or sees another size: a layout for another batch would be undone
    and done again in every call.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.activation = activation
        self._attr, self._algorithm = _ONEDNN[activation]
        self._laid: Tensor | None = None
        self._laid_for: torch.Size | None = None

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> _Packed:
        self._laid = None
        return super()._apply(fn, recurse)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._laid = None
        super()._load_from_state_dict(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_laid": None}

    def _packable(self, x: Tensor) -> bool:
        return (
            not torch.compiler.is_compiling()
            and x.dtype is torch.float32
            and x.device.type == "cpu"
            and self.weight.dtype is torch.float32
            and not (x.requires_grad and torch.is_grad_enabled())
        )


class PackedLinear(_Packed):
    """activation(x W^T + b), or x W^T + b + other when a second input is given (then there is no activation)."""

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        if not self._packable(x) or x.numel() == 0:
            y = ACTIVATIONS[self.activation](F.linear(x, self.weight, self.bias))
            return y if other is None else y + other
        laid = self._laid
        if laid is None or self._laid_for != x.shape:
            rows = x.numel() // x.shape[-1]
            self._laid = laid = _lay_out(torch.ops.mkldnn._reorder_linear_weight, self.weight, rows)
            self._laid_for = x.shape
        if other is None:
            return torch.ops.mkldnn._linear_pointwise(x, laid, self.bias, self._attr, [], self._algorithm)
        if other.shape[:-1] == x.shape[:-1] and other.shape[-1] == self.weight.shape[0] and other.dtype is x.dtype:
            return torch.ops.mkldnn._linear_pointwise.binary(x, other, laid, self.bias, "add")
        return torch.ops.mkldnn._linear_pointwise(x, laid, self.bias, "none", [], "") + other

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, activation={self.activation}"


class PackedConv(_Packed):
    """activation(conv(x)), or activation(conv(x) + other); `into` writes that sum into `other`, which is spare then."""

    def __init__(self, conv: nn.Conv2d, activation: str, into: bool = False) -> None:
        super().__init__(conv.weight, conv.bias, activation)
        assert not isinstance(conv.padding, str)
        self.stride, self.padding, self.dilation = conv.stride, conv.padding, conv.dilation
        self.groups = conv.groups
        self.into = into

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        if not self._packable(x) or x.numel() == 0:
            y = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
            return ACTIVATIONS[self.activation](y if other is None else y + other)
        laid = self._laid
        if laid is None or self._laid_for != x.shape:
            settings = (self.padding, self.stride, self.dilation, self.groups, x.shape)
            self._laid = laid = _lay_out(torch._C._nn.mkldnn_reorder_conv2d_weight, self.weight, *settings)
            self._laid_for = x.shape
        at = (self.padding, self.stride, self.dilation, self.groups)
        run = torch.ops.mkldnn._convolution_pointwise
        if other is None:
            return run(x, laid, self.bias, *at, self._attr, [], self._algorithm)
        if not self._joins(x, other):
            return ACTIVATIONS[self.activation](run(x, laid, self.bias, *at, "none", [], "") + other)
        last = None if self.activation == "none" else self._attr
        if self.into:
            into = torch.ops.mkldnn._convolution_pointwise_.binary
            return into(other, x, laid, self.bias, *at, "add", 1.0, last, [], self._algorithm)
        return run.binary(x, other, laid, self.bias, *at, "add", 1.0, last, [], self._algorithm)

    def _joins(self, x: Tensor, other: Tensor) -> bool:
        """Whether `other` has the shape and layout of the result."""
        sizes = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(
                x.shape[2:], self.padding, self.dilation, self.weight.shape[2:], self.stride, strict=True
            )
        ]
        return (
            [*other.shape] == [x.shape[0], self.weight.shape[0], *sizes]
            and other.dtype is x.dtype
            and other.is_contiguous(memory_format=torch.channels_last)
        )

    def extra_repr(self) -> str:
        out, wide, *kernel = self.weight.shape
        return (
            f"{wide * self.groups}, {out}, kernel_size={tuple(kernel)}, stride={self.stride}, "
            f"padding={self.padding}, activation={self.activation}"
        )
