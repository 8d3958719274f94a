"""A network of one's own in ten lines, from a file of the library: checked, drawn, trained.

    python examples/07_variant.py

examples/07_variant.arch takes the encoder of the library's ViT and has it attend in windows of 4 x 4 that move by half
a window from layer to layer, as in Swin (Liu et al. 2021, arXiv:2103.14030), a token for each pixel of a digit.
"""

from __future__ import annotations

from pathlib import Path

import torch
from training import accuracy, digits, train

import ogive

HERE = Path(__file__).parent
OUT = HERE.parent / "demo"


def main(quick: bool = False, out: Path = OUT) -> float:
    """The share of held-out digits that it reads right."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    place = str(HERE / "07_variant.arch")
    [report] = ogive.check(place)
    if not report.ok:
        raise SystemExit(report.render())
    network = ogive.load(place)
    print(f"{network.name}: {network.parameter_count:,} parameters, {network.macs():,} multiply-adds", flush=True)
    model = ogive.compile(network)
    data = digits(few=quick)
    train(model, data, 1 if quick else 15)
    share = accuracy(model, data)
    out.mkdir(parents=True, exist_ok=True)
    print(f"picture: {ogive.draw(network, out / 'variant.svg')}", flush=True)
    print(f"{share:.1%} of the held-out digits right", flush=True)
    return share


if __name__ == "__main__":
    main()
