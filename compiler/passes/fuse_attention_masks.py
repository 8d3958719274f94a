"""What a mask means: causal, or the shifted windows of Swin; found by working it out, at several sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
import torch.fx as fx
from torch import Tensor

from ogive.compiler.passes.fuse_attention_scores import Added
from ogive.compiler.passes.fuse_attention_words import Sight

__all__ = ["is_causal", "shifted_windows"]

_TRIED: Final = (2, 3, 7)
"""Sizes at which a mask is worked out, beside its own."""

_MOST: Final = 4096
"""The longest sequence whose mask is worked out."""


def is_causal(item: Added, size: int | None, sight: Sight, constants: Mapping[fx.Node, Tensor]) -> bool:
    """Whether a mask hides exactly the keys behind the query, whatever the number N of both.

    The mask may be made of buffers, of which `constants` has the values, and of N; at every size that is tried it must
    come out as the triangle.
    """
    if size is None or size < 2 or size > _MOST or item.factors or item.sign != 1 or item.space is not None:
        return False
    nodes = _made_of(item.node, sight, constants)
    if nodes is None:
        return False
    sizes = {n for n in nodes if sight.number(n) and not _computed(n, sight)}
    tried = (size, *_TRIED) if sizes else (size,)
    place = next((x.device for x in constants.values()), torch.device("cpu"))
    given: dict[fx.Node, Any] = {n: _flag(n, place, sight) for n in nodes if _is_flag(n)}
    given.update(constants)
    return all(_triangle(item, _value(item.node, nodes, given | dict.fromkeys(sizes, n)), n) for n in tried)


def _is_flag(node: fx.Node) -> bool:
    """Whether a node reads the element type or device of a tensor."""
    return node.target is getattr and node.args[1] in ("dtype", "device")


def _flag(node: fx.Node, place: torch.device, sight: Sight) -> Any:
    source = node.args[0]
    assert isinstance(source, fx.Node)
    return place if node.args[1] == "device" else sight.dtype(source)


def _made_of(node: fx.Node, sight: Sight, constants: Mapping[fx.Node, Tensor]) -> list[fx.Node] | None:
    """The nodes that a mask is computed from, in order; None if data are among them, or chance."""
    found: dict[fx.Node, None] = {}
    todo = [node]
    while todo:
        at = todo.pop()
        if at in found:
            continue
        found[at] = None
        if at in constants or _is_flag(at) or (sight.number(at) and not _computed(at, sight)):
            continue
        if at.op not in ("call_function", "call_method") or "rand" in str(at.target):
            return None
        if not at.all_input_nodes and not sight.number(at):
            return None
        todo += at.all_input_nodes
    order = {n: i for i, n in enumerate(node.graph.nodes)}
    return sorted(found, key=order.__getitem__)


def _computed(node: fx.Node, sight: Sight) -> bool:
    """A number that is computed from numbers alone."""
    return bool(node.all_input_nodes) and all(sight.number(x) for x in node.all_input_nodes)


def _value(node: fx.Node, nodes: list[fx.Node], given: Mapping[fx.Node, Any]) -> Tensor | None:
    """A mask, worked out from the values of its leaves."""
    env: dict[fx.Node, Any] = dict(given)
    with torch.no_grad():
        for at in nodes:
            if at in env:
                continue
            args: Any = fx.node.map_arg(at.args, env.__getitem__)
            kwargs: Any = fx.node.map_arg(at.kwargs, env.__getitem__)
            try:
                made = at.target(*args, **kwargs) if callable(at.target) else getattr(args[0], str(at.target))(
                    *args[1:], **kwargs
                )
            except (RuntimeError, TypeError, IndexError, ValueError, AttributeError):
                return None  # not a mask at this size
            env[at] = made
    found = env[node]
    return found if isinstance(found, Tensor) else None


def _triangle(item: Added, mask: Tensor | None, n: int) -> bool:
    if mask is None or mask.is_meta or mask.dim() < 2 or mask.shape[-2:] != (n, n) or mask.numel() != n * n:
        return False
    mask = mask.reshape(n, n)
    behind = torch.ones(n, n, dtype=torch.bool, device=mask.device).triu(1)
    if item.fill is not None:
        if item.fill != float("-inf") and n > 1 and bool(mask.all(-1).any()):
            return False
        hidden = mask.bool() if item.where else ~mask.bool()
        return torch.equal(hidden, behind)
    return bool((mask[~behind] == 0).all()) and bool((mask[behind] <= -1e9).all())


def shifted_windows(mask: Tensor) -> str | None:
    """The `window(n, shift=s)` whose shifted windows a mask [windows, n n, n n] keeps apart, None where it is none.

    Swin rolls the image by s and cuts it into windows; the last ones of each axis then hold what did not lie together.
    """
    if mask.dim() != 3 or mask.shape[1] != mask.shape[2]:
        return None
    windows, cells = mask.shape[:2]
    n, rows = round(cells ** 0.5), round(windows ** 0.5)
    if n * n != cells or rows * rows != windows or n < 2:
        return None
    apart = (mask != 0).cpu()
    if float(mask.max()) != 0:
        return None
    for shift in range(1, n):
        place = torch.arange(rows * n)
        region = (place >= (rows - 1) * n).long() + (place >= rows * n - shift).long()
        label = (region[:, None] * 3 + region[None]).unflatten(0, (rows, n)).unflatten(2, (rows, n))
        label = label.transpose(1, 2).reshape(windows, cells)
        if torch.equal(apart, label[:, :, None] != label[:, None]):
            return f"window({n}, shift={shift})"
    return None
