"""From text to a module with weights, against `timm.create_model`, interleaved in one process; imports excluded.

    python bench/build.py [--rounds 5] [--gate]
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

import ogive

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import peers

NETWORKS = {
    "vit_large_patch16_224": ("vit", "ViT.L"),
    "resnet152": ("resnet", "ResNet.r152"),
}
MOST = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description="load and compile, against timm.create_model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gate", action="store_true", help="exit 1 where a ratio is above its limit")
    settings = parser.parse_args()

    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{'network':<24}{'timm s':>9}{'ours s':>9}{'load s':>9}{'ratio':>8}")
    failed = []
    for name, (file, network) in NETWORKS.items():
        loads: list[float] = []

        def ours(file: str = file, network: str = network, loads: list[float] = loads) -> object:
            start = time.perf_counter()
            net = ogive.load(file, network)
            loads.append(time.perf_counter() - start)
            return ogive.compile(net)

        times = interleaved({"timm": lambda name=name: peers.create(name), "ours": ours}, settings.rounds)
        ratio = times["ours"] / times["timm"]
        print(f"{name:<24}{times['timm']:>9.2f}{times['ours']:>9.2f}{median(loads):>9.2f}{ratio:>8.3f}", flush=True)
        failed += [name] if ratio > MOST else []
    if settings.gate and failed:
        print(f"above {MOST}: {failed}")
        return 1
    return 0


def interleaved(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, one after the other in every round; the first round warms up and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            gc.collect()
            start = time.perf_counter()
            made = run()
            times[name].append(time.perf_counter() - start)
            del made
    return {name: median(t[1:]) for name, t in times.items()}


if __name__ == "__main__":
    sys.exit(main())
