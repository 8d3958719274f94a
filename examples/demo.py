"""`make demo`: the library checked, one network summed up, three drawn, one trained on real digits and used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor
from training import accuracy, train
from training import digits as load_data

import ogive

HERE = Path(__file__).parent
OUT = HERE.parent / "demo"


def main() -> int:
    """Every step as a user would type it, the training last."""
    OUT.mkdir(exist_ok=True)
    say("The library, checked: every network at every preset, against its published figures")
    command("check", str(HERE.parent / "library"))
    say("ViT-B, summed up")
    command("summary", "vit", "ViT.B")
    say(f"Pictures, drawn to {OUT}")
    for file, network, picture in (
        ("vit", "ViT.B", "vit_b.svg"), ("resnet", "ResNet.r50", "resnet50.svg"), ("unet", "UNet", "unet.svg"),
    ):
        command("draw", file, network, "-o", str(OUT / picture))
    say("A small ViT of examples/01_digits.arch, trained on 1,797 handwritten digits")
    return digits()


def say(title: str) -> None:
    print(f"\n== {title}", flush=True)


def command(*words: str) -> None:
    """Run the command, and stop where it fails."""
    print("$ ogive " + " ".join(words), flush=True)
    done = subprocess.run([sys.executable, "-m", "ogive", *words], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def digits() -> int:
    """Train, save, load into a fresh module, classify what was held out, and show some of it."""
    torch.set_num_threads(1)  # so small a network gains nothing from a second thread, and loses much on a busy machine
    torch.manual_seed(0)
    data = load_data()
    network = ogive.load(str(HERE / "01_digits.arch"), "Digits")
    print(f"{network.name}: {network.parameter_count:,} parameters, {network.macs():,} multiply-adds", flush=True)
    model = ogive.compile(network)
    train(model, data)

    weights = OUT / "digits.safetensors"
    ogive.save_weights(model, weights)
    fresh = ogive.compile(network)
    ogive.load_weights(fresh, weights)
    share = accuracy(fresh, data)
    count = len(data.held_out_labels)
    print(f"saved to {weights}, loaded into a fresh network: {share:.1%} of {count} held-out digits right")
    with torch.inference_mode():
        show(data.held_out_images, data.held_out_labels, fresh(data.held_out_images).softmax(1))
    if share < 0.97:
        print("below 97 %: this is not what it should come to", file=sys.stderr)
        return 1
    return 0


def show(images: Tensor, labels: Tensor, shares: Tensor, columns: int = 8) -> None:
    """A row of digits as the network sees them, and what it reads in each; then every one that it misread."""
    ink = " .:-=+*#%@"
    print("\nWhat it saw:")
    for line in range(8):
        print("   ".join("".join(2 * ink[int(v * 9)] for v in image[0, line].tolist()) for image in images[:columns]))
    best = shares.max(1)
    read = [f"{int(i)} ({v:.0%})" for i, v in zip(best.indices[:columns], best.values[:columns], strict=True)]
    print("   ".join(f"{word:^16}" for word in read))
    wrong = [
        f"a {int(label)} as a {int(found)}" for label, found in zip(labels, best.indices, strict=True) if label != found
    ]
    print(f"\nMisread: {', '.join(wrong) or 'none'}")


if __name__ == "__main__":
    raise SystemExit(main())
