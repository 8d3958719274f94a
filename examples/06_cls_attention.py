"""What the [cls] token looks at, layer by layer.

    python examples/06_cls_attention.py

The ViT of examples/01_digits.arch is trained for a while. For some digits the picture shows, for each layer, how much
the class token attends to each place, in the mean over the heads, over the image (Dosovitskiy et al. 2020, figure 6;
Caron et al. 2021, arXiv:2104.14294, figure 1). `ogive.features` gives the queries and keys of each layer.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from pictures import Figure
from torch import Tensor, nn
from training import accuracy, digits, train

import ogive

HERE = Path(__file__).parent
OUT = HERE.parent / "demo"


@torch.inference_mode()
def looks(model: nn.Module, images: Tensor, depth: int, heads: int) -> list[Tensor]:
    """Of each layer, how the class token attends to the places of the grid: `B h w`, the mean over the heads."""
    names = [f"blocks.{i}.attn.qkv" for i in range(depth)]
    found: list[Tensor] = []
    for value in ogive.features(model, images, names).values():
        q, k, _ = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in value.chunk(3, -1))
        weight = (q[:, :, :1] @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1).mean(1)[:, 0, 1:]
        side = round(weight.shape[-1] ** 0.5)
        found.append(weight.unflatten(-1, (side, side)))
    return found


def main(quick: bool = False, out: Path = OUT) -> list[Tensor]:
    """The attention of the class token over eight held-out digits, layer by layer."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = digits(few=quick)
    network = ogive.load(str(HERE / "01_digits.arch"), "Digits")
    model = ogive.compile(network)
    train(model, data, 1 if quick else 40)
    print(f"{accuracy(model, data):.1%} of the held-out digits right", flush=True)
    images = data.held_out_images[:8]
    layers = looks(model.eval(), images, network.settings["depth"], network.settings["heads"])
    figure = Figure(side=88)
    for image in images:
        figure.cell(1 - image[0], "image")
    figure.row()
    for i, weights in enumerate(layers):
        for image, weight in zip(images, weights, strict=True):
            wide = F.interpolate(weight[None, None], size=(32, 32), mode="bilinear")[0, 0]
            ink = F.interpolate(image[None], size=(32, 32))[0, 0]
            share = wide / wide.max()
            grey = 1 - 0.3 * ink
            figure.cell(torch.stack([grey, grey - 0.7 * share, grey - 0.7 * share]), f"layer {i + 1}")
        figure.row()
    figure.save(out / "cls_attention.svg")
    return layers


if __name__ == "__main__":
    main()
