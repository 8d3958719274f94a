"""`batchnorm(conv(x))` -> `conv'(x)`: the norm's four vectors disappear into the convolution's weight and bias."""

from __future__ import annotations

import re
from typing import Any

import torch
import torch.fx as fx
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from ogive.compiler.module import Network
from ogive.compiler.passes.reading import called, calls, lose, only_user, remove

__all__ = ["fold_norm"]


def fold_norm(module: Network) -> Network:
    """batchnorm(W x + b) -> (s W) x + (s (b - mean) + beta), with s = gamma / sqrt(var + eps), per output channel.

    Also after a linear map on vectors, and with norms that are frozen (their four vectors are buffers). Declines where
    the convolution feeds anything else, or where either is called more than once.
    """
    declined: list[str] = []
    for node in list(module.graph.nodes):
        norm = called(module, node)
        if norm is None or not is_norm(norm):
            continue
        source = node.args[0]
        conv = called(module, source)
        reason = _refuses(module, node, norm, source, conv)
        if reason:
            declined.append(f"{node.target}: {reason}")
            continue
        assert isinstance(conv, _ConvNd | nn.Linear) and isinstance(source, fx.Node)
        fold(conv, norm)
        lose(module, source, "its norm is folded into it")
        remove(module, node)
    if declined:
        module.meta["ogive"]["declined"]["fold_norm"] = declined
    return module


def is_norm(norm: nn.Module) -> bool:
    """A batch norm whose running statistics decide, or a frozen one, which has the same four vectors."""
    if isinstance(norm, _BatchNorm):
        return norm.running_mean is not None and norm.running_var is not None
    return all(hasattr(norm, name) for name in ("weight", "bias", "running_mean", "running_var", "eps"))


def _refuses(module: Network, node: fx.Node, norm: nn.Module, source: object, conv: nn.Module | None) -> str | None:
    if not isinstance(conv, _ConvNd | nn.Linear) or not isinstance(source, fx.Node):
        return "no convolution in front of it"
    if isinstance(conv, nn.Linear) and norm.running_mean.dim() and _rank(node) != 2:  # type: ignore[operator, union-attr]
        return "its channels are not the last axis of the linear map"
    if only_user(source) is not node:
        return "the convolution's result is read elsewhere too"
    if calls(module, str(source.target)) > 1 or calls(module, str(node.target)) > 1:
        return "shared: called more than once"
    if isinstance(conv, _ConvTransposeNd) and conv.groups > 1:
        return "a grouped transpose convolution"
    return None


def _rank(node: fx.Node) -> int:
    """Axes in the shape's text, `B (1 + H/4*W/4) C`: what stands in parentheses is one."""
    text = str(node.meta.get("ogive", {}).get("shape", ""))
    while "(" in text:
        text = re.sub(r"\([^()]*\)", "x", text)
    return len(text.split())


@torch.no_grad()
def fold(conv: _ConvNd | nn.Linear, norm: Any) -> None:
    """Write the norm into the convolution, computed in float64."""
    mean, var = norm.running_mean.double(), norm.running_var.double()
    scale = torch.rsqrt(var + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -mean * scale
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    weight = conv.weight
    place = 1 if isinstance(conv, _ConvTransposeNd) else 0
    along = [1] * weight.dim()
    along[place] = -1
    bias = shift if conv.bias is None else shift + conv.bias.double() * scale
    conv.weight = _parameter(weight.double() * scale.view(along), weight)
    conv.bias = _parameter(bias, weight)


def _parameter(value: Tensor, like: Tensor) -> nn.Parameter:
    return nn.Parameter(value.to(like.dtype), requires_grad=False)
