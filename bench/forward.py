"""Float32 inference on the processor: a frozen network against timm's, both eager, in one process.

    python bench/forward.py [--rounds 30] [--only vit_base] [--gate]

Rounds are interleaved (timm, frozen, compiled, timm, ...), so a busy machine slows all alike; figures are medians. The
rate is that of the network's multiply-adds (two operations each), beside that of one large matrix product.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from math import exp, log
from pathlib import Path
from statistics import median
from typing import Any

import torch

import ogive

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import peers

NETWORKS = {
    "resnet50": ("resnet", "ResNet.r50"),
    "vit_small_patch16_224": ("vit", "ViT.S"),
    "vit_base_patch16_224": ("vit", "ViT.B"),
    "mixer_b16_224": ("mixer", "MLPMixer.B16"),
}
MOST, MOST_RESNET, MOST_MEAN = 1.03, 0.85, 0.97


def main() -> int:
    parser = argparse.ArgumentParser(description="frozen networks against timm")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--only", default="", help="networks whose name holds this")
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--gate", action="store_true", help="exit 1 where a ratio is above its limit")
    settings = parser.parse_args()

    rate = matrix_rate()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, matrix product {rate:.0f} GFLOP/s")
    print(f"{'network':<24}{'batch':>6}{'timm ms':>10}{'frozen ms':>11}{'ratio':>8}{'of rate':>9}{'compiled':>10}")
    ratios: dict[tuple[str, int], float] = {}
    for name, (file, network) in NETWORKS.items():
        if settings.only not in name:
            continue
        net, timm, compiled, frozen = models(name, file, network)
        for batch in settings.batch:
            x = torch.randn(batch, 3, 224, 224)
            runs = {"timm": lambda m=timm, x=x: m(x), "frozen": lambda m=frozen, x=x: m(x),
                    "compiled": lambda m=compiled, x=x: m(x)}
            ms = interleaved(runs, settings.rounds)
            ratios[name, batch] = ratio = ms["frozen"] / ms["timm"]
            share = 2 * net.macs() * batch / (ms["frozen"] * 1e6) / rate
            print(f"{name:<24}{batch:>6}{ms['timm']:>10.1f}{ms['frozen']:>11.1f}{ratio:>8.3f}{share:>9.0%}"
                  f"{ms['compiled'] / ms['timm']:>10.3f}", flush=True)
    mean = exp(sum(map(log, ratios.values())) / len(ratios))
    print(f"geometric mean of the ratios {mean:.3f}; matrix product afterwards {matrix_rate():.0f} GFLOP/s")
    failed = [key for key, r in ratios.items() if r > (MOST_RESNET if key[0] == "resnet50" else MOST)]
    if settings.gate and (failed or mean > MOST_MEAN):
        print(f"above the limit: {failed or 'the mean'}")
        return 1
    return 0


def models(name: str, file: str, network: str) -> tuple[Any, torch.nn.Module, torch.nn.Module, torch.nn.Module]:
    """The checked network, timm's, ours with the same weights, and ours frozen.

    Raises:
        SystemExit: the three do not answer alike.
    """
    timm = peers.create(name).eval()
    redraw(timm)
    net = ogive.load(file, network)
    compiled = ogive.compile(net).eval()
    compiled.load_state_dict(timm.state_dict())
    frozen = ogive.freeze(compiled)
    x = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        expected = timm(x)
        for module in (compiled, frozen):
            error = ((module(x) - expected).abs().max() / expected.abs().max()).item()
            if not error < 1e-4:
                raise SystemExit(f"{name}: answers differ by {error:.1e}")
    return net, timm, compiled, frozen


def redraw(module: torch.nn.Module) -> None:
    """Weights that let something through: a head of zeros or norms of zeros would make every answer equal."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, parameter[0].numel() ** -0.5)
            else:
                parameter.uniform_(0.5, 1.0)
        for name, buffer in module.named_buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 1.5) if name.endswith("var") else buffer.normal_(0.0, 0.1)


CLOCKS = {"wall": time.perf_counter, "thread": time.thread_time}
"""By name: the clock on the wall, or, of one thread, the time that it ran itself, for a machine that others use too."""


def clocked(name: str) -> Callable[[], float]:
    """The clock of this name; of `thread`, torch is given one."""
    if name == "thread":
        torch.set_num_threads(1)
    return CLOCKS[name]


@torch.inference_mode()
def interleaved(
    runs: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median milliseconds of each, one after the other in every round."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in [*runs.values()] * 2:
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            start = clock()
            run()
            times[name].append(clock() - start)
    return {name: median(t) * 1e3 for name, t in times.items()}


@torch.inference_mode()
def matrix_rate(n: int = 2048, rounds: int = 15, clock: Callable[[], float] = time.perf_counter) -> float:
    """GFLOP/s of an n x n product, the best of several: what the machine can do."""
    a, b = torch.randn(n, n), torch.randn(n, n)
    best = float("inf")
    for _ in range(rounds):
        start = clock()
        a @ b
        best = min(best, clock() - start)
    return 2 * n**3 / best / 1e9


if __name__ == "__main__":
    sys.exit(main())
