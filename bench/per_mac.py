"""Do vision transformers with the multiply-adds of a convolutional network run faster? ResNet-50 and ViT-S/16.

    python bench/per_mac.py [--rounds 20] [--batch 1 8] [--clock wall]

Both networks, ours frozen and timm's with the same weights, in one process, float32, 224 x 224. Rounds are interleaved
(ResNet timm, ours, ViT timm, ours, ResNet timm, ...), figures are medians: milliseconds, and picoseconds for each
multiply-add. The last column is how many times longer a multiply-add of ResNet-50 takes than one of ViT-S/16 does.
"""

from __future__ import annotations

import argparse
import sys

import torch
from forward import CLOCKS, NETWORKS, clocked, interleaved, matrix_rate, models

PAIR = ("resnet50", "vit_small_patch16_224")


def main() -> int:
    parser = argparse.ArgumentParser(description="time per multiply-add of a conv net and of a ViT")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    settings = parser.parse_args()

    clock = clocked(settings.clock)
    floor = 2e3 / matrix_rate(clock=clock)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; in one large product {floor:.1f} ps for each")
    made = {name: models(name, *NETWORKS[name]) for name in PAIR}
    print(f"{'batch':>5}  {'':<10}{'network':<24}{'MACs':>9}{'ms':>9}{'ps/MAC':>9}{'ratio':>8}")
    for batch in settings.batch:
        x = torch.randn(batch, 3, 224, 224)
        runs = {}
        for name, (_, timm, _, frozen) in made.items():
            runs[name, "timm"] = lambda m=timm, x=x: m(x)
            runs[name, "ours"] = lambda m=frozen, x=x: m(x)
        ms = interleaved(runs, settings.rounds, clock)
        for whose in ("timm", "ours"):
            each = {name: ms[name, whose] * 1e9 / (made[name][0].macs() * batch) for name in PAIR}
            for name in PAIR:
                ratio = f"{each[PAIR[0]] / each[PAIR[1]]:>8.2f}" if name == PAIR[1] else ""
                macs = f"{made[name][0].macs() / 1e9:.3f} G"
                print(f"{batch:>5}  {whose:<10}{name:<24}{macs:>9}{ms[name, whose]:>9.1f}{each[name]:>9.1f}{ratio}",
                      flush=True)
    print(f"one large product afterwards {2e3 / matrix_rate(clock=clock):.1f} ps for each")
    return 0


if __name__ == "__main__":
    sys.exit(main())
