"""How far the predicted times of `ogive summary --target` are from the clock: by network, and by kind of node.

    python bench/roofline.py                    the processor here, one thread
    python bench/roofline.py --rates            what it does in a second: the figures of PROCESSOR in clock.py
    python bench/roofline.py --device cuda --target h100 --precision bf16

Prediction is held against the whole forward, and node by node against fx's interpreter with a clock around each
node. A ratio is measured over predicted: 1 is exact, 2 is twice as slow as was said. What is predicted is a floor, so
ratios below 1 mean that a rate is set too low. Of several runs the shortest
counts; on the processor, of the time that the thread itself has run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
import torch.fx as fx
import torch.nn.functional as F

import ogive
from ogive.compiler.cost import Machine, costs, machine_of, sizes_of
from ogive.compiler.cost.clock import KINDS, PROCESSOR, kind_of, seconds

NETWORKS = (
    ("resnet", "ResNet.r18"), ("resnet", "ResNet.r50"), ("mobilenet", "MobileNetV2"), ("vit", "ViT.Ti"),
    ("vit", "ViT.S"), ("swin", "Swin.T"), ("mixer", "MLPMixer.S16"), ("unet", "UNet"),
)
ROUNDS = 40
DTYPES = {"float32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def now(device: str) -> float:
    """Seconds: on the processor those that this thread has run, so that other work on the machine does not count."""
    return time.thread_time() if device == "cpu" else time.perf_counter()


def clock(run: Callable[[], Any], device: str, rounds: int) -> float:
    """The shortest of some runs, in seconds: what others do on the machine only ever adds."""
    found = []
    for _ in range(rounds + 1):
        if device == "cuda":
            torch.cuda.synchronize()
        start = now(device)
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        found.append(now(device) - start)
    return min(found[1:])


# ---------------------------------------------------------------------------------------------------------- rates


def rates() -> Machine:
    """What this processor does in a second, with one thread."""
    with torch.inference_mode():
        a, b = torch.randn(197, 384), torch.randn(1536, 384)
        image, filters = torch.randn(1, 64, 56, 56), torch.randn(64, 64, 3, 3)
        wide, single = torch.randn(1, 192, 28, 28), torch.randn(192, 1, 3, 3)
        q = torch.randn(2, 6, 384, 64)
        flat, small = torch.randn(2, 197, 3072), torch.randn(1, 8)
        moved = torch.randn(4 << 20)
        norm = torch.randn(8, 197, 768)
        linear = 2 * 197 * 384 * 1536 / clock(lambda: F.linear(a, b), "cpu", ROUNDS)
        conv = 2 * 56 * 56 * 64 * 64 * 9 / clock(lambda: F.conv2d(image, filters, padding=1), "cpu", ROUNDS)
        depthwise = 2 * 28 * 28 * 192 * 9 / clock(
            lambda: F.conv2d(wide, single, padding=1, groups=192), "cpu", ROUNDS)
        attention = 4 * 2 * 6 * 384 * 384 * 64 / clock(lambda: F.scaled_dot_product_attention(q, q, q), "cpu", ROUNDS)
        functions = flat.numel() / clock(lambda: F.gelu(flat), "cpu", ROUNDS)
        bandwidth = 3 * 4 * moved.numel() / clock(lambda: moved + moved, "cpu", ROUNDS)
        norms = 2 * 4 * norm.numel() / clock(lambda: F.layer_norm(norm, (768,)), "cpu", ROUNDS)
        tiny = torch.nn.Linear(8, 8)
        launch = clock(lambda: [tiny(small) for _ in range(1000)], "cpu", 5) / 1000
    products = {"linear": linear, "conv": conv, "depthwise": depthwise, "attention": attention}
    return replace(
        PROCESSOR, products=MappingProxyType(products), functions=functions, bandwidth=bandwidth, norms=norms,
        launch=launch, source="measured now",
    )


# ------------------------------------------------------------------------------------------------------ node by node


class Clocked(fx.Interpreter):
    """Runs a module node by node and adds up the time of each node of the checked graph."""

    def __init__(self, module: fx.GraphModule, device: str) -> None:
        super().__init__(module)
        self.device = device
        self.spent: dict[str, list[float]] = {}

    def run_node(self, n: fx.Node) -> Any:
        if self.device == "cuda":
            torch.cuda.synchronize()
        start = now(self.device)
        found = super().run_node(n)
        if self.device == "cuda":
            torch.cuda.synchronize()
        name = n.meta.get("ogive", {}).get("node")
        if name is not None:
            self.times[name] = self.times.get(name, 0.0) + now(self.device) - start
        return found

    def take(self, x: torch.Tensor) -> None:
        self.times: dict[str, float] = {}
        self.run(x)
        for name, value in self.times.items():
            self.spent.setdefault(name, []).append(value)


def compare(file: str, name: str, machine: Machine, device: str, precision: str, rounds: int) -> Mapping[str, Any]:
    """One network: predicted and measured seconds, whole and by kind of node."""
    network = ogive.load(file, name)
    graph, dtype = network.graph, DTYPES[precision]
    sizes = sizes_of(graph)
    cost = costs(graph, sizes, 4 if dtype is torch.float32 else 2)
    said = seconds(graph, cost, sizes, machine)
    module = ogive.compile(network).to(device, dtype).eval()
    shape = [1, *[224 if not isinstance(n, int) else n for n in graph.nodes[graph.inputs[0]].outputs[0].shape[1:]]]
    x = torch.randn(shape, device=device, dtype=dtype)
    with torch.inference_mode():
        whole = clock(lambda: module(x), device, rounds)
        clocked = Clocked(module, device)
        for _ in range(rounds + 1):
            clocked.take(x)
    kinds: dict[str, list[float]] = {kind: [0.0, 0.0] for kind in KINDS}
    for node in graph:
        kind = kind_of(node)
        if kind in kinds and node.id in clocked.spent:
            kinds[kind][0] += said[node.id]
            kinds[kind][1] += min(clocked.spent[node.id][1:])
    return {"said": sum(said.values()), "whole": whole, "kinds": kinds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--target", default="cpu", help="whose figures predict; on the processor: measured now")
    parser.add_argument("--precision", default="float32", choices=list(DTYPES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rates", action="store_true", help="only what the processor does in a second")
    parser.add_argument("--stored", action="store_true", help="on the processor: the figures of clock.py, not new ones")
    given = parser.parse_args()
    torch.set_num_threads(1)
    stored = given.device == "cuda" or given.stored
    machine = machine_of(given.target, given.precision) if stored else rates()
    if not stored:
        shown = {**machine.products, "functions": machine.functions, "bandwidth": machine.bandwidth,
                 "norms": machine.norms, "launch": machine.launch}
        print("  ".join(f"{name} {value:.3g}" for name, value in shown.items()))
    if given.rates:
        return
    print(f"{'network':<16}{'said ms':>9}{'ms':>9}{'ratio':>7}   " + "".join(f"{kind:>11}" for kind in KINDS))
    every: dict[str, list[float]] = {kind: [0.0, 0.0] for kind in KINDS}
    ratios = []
    for file, name in NETWORKS:
        found = compare(file, name, machine, given.device, given.precision, given.rounds)
        ratios.append(found["whole"] / found["said"])
        cells = ""
        for kind, (said, measured) in found["kinds"].items():
            every[kind][0] += said
            every[kind][1] += measured
            cells += f"{measured / said:>11.2f}" if said else f"{'':>11}"
        print(f"{name:<16}{found['said'] * 1e3:>9.2f}{found['whole'] * 1e3:>9.2f}{ratios[-1]:>7.2f}   {cells}")
    cells = "".join(f"{m / s:>11.2f}" if s else f"{'':>11}" for s, m in every.values())
    print(f"{'all':<34}{statistics.geometric_mean(ratios):>7.2f}   {cells}")


if __name__ == "__main__":
    main()
