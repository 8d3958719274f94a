"""`image` -> `image, channels last`: the layout in which convolutions are fastest, chosen for the whole network."""

from __future__ import annotations

import torch
import torch.fx as fx
from torch import nn

from ogive.compiler.module import Network
from ogive.compiler.passes.reading import called

__all__ = ["channels_last"]


def channels_last(module: Network) -> Network:
    """x [B, C, H, W] -> x.contiguous(channels_last), and every 2-D convolution's weight likewise.

    Declines for a network of one or two convolutions (a stem that makes patches): its images soon become tokens.
    """
    convs = [node for node in module.graph.nodes if isinstance(called(module, node), nn.Conv2d | nn.ConvTranspose2d)]
    if len(convs) < 3:
        module.meta["ogive"]["declined"]["channels_last"] = [f"{len(convs)} convolutions: not a convolutional network"]
        return module
    for node in convs:
        conv = called(module, node)
        assert isinstance(conv, nn.Conv2d | nn.ConvTranspose2d)
        conv.weight = nn.Parameter(
            conv.weight.detach().contiguous(memory_format=torch.channels_last), requires_grad=False
        )
    read: set[fx.Node] = {node.args[0] for node in convs}
    for node in list(module.graph.nodes):
        if node.op == "placeholder" and node in read:
            _lay_out(node)
    return module


def _lay_out(image: fx.Node) -> None:
    with image.graph.inserting_after(image):
        laid = image.graph.call_method("contiguous", (image,), {"memory_format": torch.channels_last})
    laid.meta["ogive"] = {**image.meta.get("ogive", {}), "op": "channels_last"}
    image.replace_all_uses_with(laid, delete_user_cb=lambda user: user is not laid and user.target != "size")
