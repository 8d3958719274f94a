"""Handwritten digits, read by a vision transformer and by a convolutional network.

    python examples/01_digits.py

Both of examples/01_digits.arch are trained on scikit-learn's 1,797 digits. The picture shows what each misreads.
"""

from __future__ import annotations

from pathlib import Path

import torch
from pictures import Figure
from training import Digits, accuracy, digits, train

import ogive

HERE = Path(__file__).parent
OUT = HERE.parent / "demo"


def main(quick: bool = False, out: Path = OUT) -> dict[str, float]:
    """The share of held-out digits that each network reads right."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = digits(few=quick)
    shares: dict[str, float] = {}
    figure = Figure(side=64)
    for name, epochs in (("Digits", 60), ("ConvDigits", 20)):
        network = ogive.load(str(HERE / "01_digits.arch"), name)
        print(f"{name}: {network.parameter_count:,} parameters, {network.macs():,} multiply-adds", flush=True)
        model = ogive.compile(network)
        train(model, data, 1 if quick else epochs)
        shares[name] = accuracy(model, data)
        print(f"  {shares[name]:.1%} of {len(data.held_out_labels)} held-out digits right", flush=True)
        draw(figure, model, data)
    figure.save(out / "digits.svg")
    return shares


@torch.inference_mode()
def draw(figure: Figure, model: torch.nn.Module, data: Digits) -> None:
    """A row of what the network misreads, the surest mistakes first."""
    surest, read = model(data.held_out_images).softmax(1).max(1)
    wrong = (read != data.held_out_labels).nonzero().flatten()
    for i in wrong[surest[wrong].argsort(descending=True)][:10].tolist():
        words = f"{int(data.held_out_labels[i])} read as {int(read[i])}"
        figure.cell(1 - data.held_out_images[i, 0], words)
    figure.row()


if __name__ == "__main__":
    main()
