"""`dropout(x)`, `drop_path(x)`, `identity(x)` -> `x`: what does nothing outside training."""

from __future__ import annotations

from torch import nn

from ogive.compiler.module import Network
from ogive.compiler.passes.reading import called, remove

__all__ = ["bake_eval"]

_OPS = frozenset({"dropout", "drop_path", "identity", "stop_gradient"})


def bake_eval(module: Network) -> Network:
    """`dropout(x)`, `drop_path(x)`, `identity(x)` -> `x`.

    The attention's own dropout stands in the arguments of `scaled_dot_product_attention`; its rate becomes 0.
    """
    kinds = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
    for node in list(module.graph.nodes):
        made = called(module, node)
        about = node.meta.get("ogive", {})
        if isinstance(made, kinds) or (made is not None and about.get("op") in _OPS):
            remove(module, node)
        elif "dropout_p" in node.kwargs:
            node.update_kwarg("dropout_p", 0.0)
    return module
