"""A U-Net tells the digits of an image apart, pixel by pixel.

    python examples/03_segmentation.py

Images of 24 x 24 are made of one to three of scikit-learn's digits on a noisy ground; the mask of each is known. The
network is the library's U-Net, small: background and ten digits, two levels.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from pictures import Figure
from torch import Tensor, nn
from training import Scenes, batches, digits, fit, scenes

import ogive

HERE = Path(__file__).parent
OUT = HERE.parent / "demo"


@torch.inference_mode()
def overlap(model: nn.Module, held_out: Scenes) -> float:
    """Intersection over union of what is a digit and of what is said to be that digit, in the mean over the ten."""
    read = model.eval()(held_out.images).argmax(1)
    both = [((read == c) & (held_out.masks == c)).sum() for c in range(1, 11)]
    either = [((read == c) | (held_out.masks == c)).sum() for c in range(1, 11)]
    return float(torch.stack([b / e.clamp(min=1) for b, e in zip(both, either, strict=True)]).mean())


def main(quick: bool = False, out: Path = OUT) -> float:
    """The mean overlap on images of digits that were held out."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = digits(few=quick)
    learned = scenes(data.images, data.labels, 64 if quick else 2000)
    held_out = scenes(data.held_out_images, data.held_out_labels, 16 if quick else 200)
    network = ogive.load("unet", "UNet", channels=1, classes=11, base=16, levels=2)
    macs = network.macs(H=24, W=24)
    print(f"{network.name}: {network.parameter_count:,} parameters, {macs:,} multiply-adds", flush=True)
    model = ogive.compile(network)
    chosen = batches(len(learned.images), 32)

    def loss(step: int) -> Tensor:
        places = chosen(step)
        return F.cross_entropy(model(learned.images[places]), learned.masks[places])

    fit(model, loss, 6 if quick else 700, news=lambda: f"overlap {overlap(model, held_out):.1%}")
    share = overlap(model, held_out)
    print(f"mean overlap with the digits of held-out images: {share:.1%}", flush=True)
    draw(model, held_out).save(out / "segmentation.svg")
    return share


@torch.inference_mode()
def draw(model: nn.Module, held_out: Scenes, count: int = 6) -> Figure:
    """Images, what each pixel is, and what the network says; a colour for each digit."""
    palette = torch.cat([torch.ones(1, 3), torch.rand(10, 3, generator=torch.Generator().manual_seed(4)) * 0.8])
    read = model.eval()(held_out.images[:count]).argmax(1)
    figure = Figure(side=110)
    for words, pictures in (
        ("image", list(1 - held_out.images[:count, 0])),
        ("what it is", [palette[mask].permute(2, 0, 1) for mask in held_out.masks[:count]]),
        ("what is read", [palette[mask].permute(2, 0, 1) for mask in read]),
    ):
        for picture in pictures:
            figure.cell(picture, words)
        figure.row()
    return figure


if __name__ == "__main__":
    main()
