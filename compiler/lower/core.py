"""The one call that attention over pairs ends in, whoever wrote it: a network's `attend`, or products and a softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.fx as fx
import torch.nn.functional as F

from ogive.compiler.lower.modules import Attention

__all__ = ["core"]


def core(
    call: Callable[..., fx.Node], keep: Callable[..., fx.Node], q: fx.Node, k: fx.Node, v: fx.Node,
    mask: fx.Node | None = None, *, scale: float | fx.Node | None = None, causal: bool = False, drop: float = 0.0,
    rate: float | fx.Node | None = None, grouped: bool = False,
) -> fx.Node:
    """softmax(q k^T scale + mask) v, of `... N d`, `... M d`, `... M e` and what broadcasts to `... N M`: `... N e`.

    `call` writes a call of a function, `keep` one of a module without weights, which it registers. `scale` is d ** -0.5
    when not given. A mask of truth values is True where a query may see a key. `drop` is the rate of dropout while
    training, which a module keeps; `rate` one that holds as it stands, or a node that says it. `grouped`: several heads
    of q, which stand in the second axis, share one of k and v.
    """
    if drop:
        assert not grouped, "heads of their own, where weights are dropped"
        assert not isinstance(scale, fx.Node), "a module keeps a number"
        return keep(Attention(drop, causal, scale), q, k, v, *(() if mask is None else (mask,)))
    more: dict[str, Any] = {} if scale is None else {"scale": scale}
    if rate is not None:
        more["dropout_p"] = rate
    if mask is not None:
        more["attn_mask"] = mask
    if causal:
        more["is_causal"] = True
    if grouped:
        more["enable_gqa"] = True
    return call(F.scaled_dot_product_attention, q, k, v, **more)
