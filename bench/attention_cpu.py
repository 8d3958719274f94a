"""Attention over sets of pairs on the processor, beside a dense mask and FlexAttention, in one run.

    python bench/attention_cpu.py [--rounds 9] [--threads 1] [--only windows] [--flex] [--memory] [--gate]

8 heads of 64 channels, batch 1, float32 and bf16. q, k and v are slices of one `B N 3 H D`, tokens row-major, the
answer is `B N C`: all copies count. The dense run is torch's fused attention under a float mask that is made before.
Rounds are interleaved, figures are medians; gates hold for one thread. `--flex` compiles FlexAttention (half a minute
for each pattern) and prints how long its block mask took beside the plan here. `--memory` measures processes of their
own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F

from ogive.compiler.lower.attention_parts import PartsAttention
from ogive.compiler.pipeline import compile
from ogive.dsl.build import build
from ogive.dsl.load import load_text

HEADS, WIDTH = 8, 64


@dataclass(frozen=True)
class Case:
    """A pattern, its positions, and the least ratio to the dense run: float32, bf16."""

    name: str
    positions: str
    over: str
    least: tuple[float, float]
    beside: str = ""
    """The case that does the same with positions in another order."""


CASES = (
    Case("windows 7 of 56x56", "(h=56 w=56)", "window(7)", (12, 7.5)),
    Case("shifted windows 7", "(h=56 w=56)", "window(7, shift=3)", (0, 0)),
    Case("windows 7, in window order", "N=3136", "block(49, near=0)", (1.4, 1.15), "windows 7 of 56x56"),
    Case("windows 8 of 64x64", "(h=64 w=64)", "window(8)", (16, 11)),
    Case("windows 8, in window order", "N=4096", "block(64, near=0)", (1.4, 1.15), "windows 8 of 64x64"),
    Case("sliding +-128", "N=4096", "sliding(257)", (7.5, 5.5)),
    Case("rows and columns of 64x64", "(h=64 w=64)", 'axial("row") | axial("col")', (10, 8)),
    Case("BigBird", "N=4096", "block(64, near=1) | global_tokens(128) | random(3, of=64)", (3.5, 2.8)),
    Case("causal", "N=4096", "causal", (0, 0)),
    Case("dense", "N=4096", "dense", (0, 0)),
)
EQUAL = {"causal", "dense"}
"""The same kernel as torch's own call: at least 0.95 of it."""


def main() -> int:
    parser = argparse.ArgumentParser(description="attention over sets of pairs on the processor")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--flex", action="store_true", help="compiled FlexAttention as well")
    parser.add_argument("--memory", action="store_true", help="peak memory of sliding at N = 16,384")
    parser.add_argument("--gate", action="store_true", help="exit 1 where a ratio is below its limit")
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    print(f"torch {torch.__version__}, {settings.threads} threads, {settings.rounds} rounds")
    missed = memory() if settings.memory else []
    print(f"{'pattern':<30}{'':>9}{'dense ms':>10}{'here ms':>9}{'ratio':>7}{'least':>7}{'flex ms':>9}{'ratio':>7}"
          f"{'plan ms':>9}{'mask ms':>9}")
    times: dict[tuple[str, torch.dtype], float] = {}
    for case in CASES:
        if settings.only not in case.name:
            continue
        for at, dtype in enumerate((torch.float32, torch.bfloat16)):
            ours, dense, flex, made = measured(case, dtype, settings.rounds, settings.flex)
            times[case.name, dtype] = ours
            before = times.get((case.beside, dtype))
            ratio = dense / ours if not case.beside else before / ours if before is not None else float("nan")
            least = 0.95 if case.name in EQUAL else case.least[at]
            if ratio < least:
                missed.append(f"{case.name}, {str(dtype)[6:]}: {ratio:.2f}, not {least}")
            other = f"{flex:>9.1f}{flex / ours:>7.1f}" if flex else f"{'':>16}"
            print(f"{case.name:<30}{str(dtype)[6:]:>9}{dense:>10.1f}{ours:>9.1f}{ratio:>7.2f}{least:>7.2f}{other}"
                  f"{made[0]:>9.1f}{made[1]:>9.1f}", flush=True)
    for line in missed:
        print("missed:", line)
    return int(settings.gate and bool(missed))


def measured(
    case: Case, dtype: torch.dtype, rounds: int, flex: bool
) -> tuple[float, float, float, tuple[float, float]]:
    """Milliseconds: here, dense, FlexAttention (0 without); of making the plan and FlexAttention's block mask."""
    text = (f"network N:\n    input x: B {case.positions} {3 * HEADS * WIDTH}\n    q, k, v = split(3)\n"
            f"    q, k, v -> attend({HEADS}, over={case.over})\n")
    graph = build(load_text(text, "bench.arch"), None, {}).graph
    net = compile(graph, dtype=dtype).eval()
    n = graph.nodes[graph.inputs[0]].outputs[0].shape[1]
    x = torch.randn(1, n, 3 * HEADS * WIDTH).to(dtype)
    core = next((m for m in net.modules() if isinstance(m, PartsAttention)), None)
    with torch.inference_mode():
        start = time.perf_counter()
        found = net(x)
        made = [1e3 * (time.perf_counter() - start), 0.0]
        seen = None if core is None else core.seen(x, *_ends(case, n))
        mask = None if seen is None else torch.zeros(n, n, dtype=dtype).masked_fill_(~seen, float("-inf"))
        causal = case.name == "causal"

        def dense() -> torch.Tensor:
            q, k, v = _qkv(x)
            answer = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
            return answer.transpose(1, 2).flatten(2)

        runs: dict[str, Callable[[], Any]] = {"dense": dense, "here": lambda: net(x)}
        torch.testing.assert_close(found.float(), dense().float(), rtol=2e-2, atol=2e-2)
        if flex and seen is not None:
            runs["flex"], made[1] = _flex(x, seen, n)
        ms = interleaved(runs, rounds)
    return ms["here"], ms["dense"], ms.get("flex", 0.0), (made[0], made[1])


def _ends(case: Case, n: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    grid = (n,) if "h=" not in case.positions else (round(n**0.5),) * 2
    return (0, 0, *grid), (0, 0, *grid)


def _qkv(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    q, k, v = x.unflatten(2, (3, HEADS, WIDTH)).permute(2, 0, 3, 1, 4).unbind(0)
    return q, k, v


def _flex(x: torch.Tensor, seen: torch.Tensor, n: int) -> tuple[Callable[[], Any], float]:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    def allowed(b: Any, h: Any, q: Any, k: Any) -> Any:
        return seen[q, k]

    start = time.perf_counter()
    blocks = create_block_mask(allowed, None, None, n, n, device="cpu")
    spent = 1e3 * (time.perf_counter() - start)
    fast = torch.compile(flex_attention)

    def run() -> torch.Tensor:
        q, k, v = _qkv(x)
        return fast(q, k, v, block_mask=blocks).transpose(1, 2).flatten(2)

    run()
    return run, spent


def interleaved(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The median milliseconds of each, one round of all after the other."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            found[name].append(1e3 * (time.perf_counter() - start))
    return {name: median(times[1:]) for name, times in found.items()}


ALONE = '''
import resource, sys, torch
import torch.nn.functional as F
from ogive.compiler.pipeline import compile
from ogive.dsl.build import build
from ogive.dsl.load import load_text
torch.set_num_threads(1)
n = 16384
text = f"""network N:
    input x: B N={n} 1536
    q, k, v = split(3)
    q, k, v -> attend(8, over=sliding(257))
"""
net = compile(build(load_text(text, "bench.arch"), None, {}).graph).eval()
x = torch.randn(1, n, 1536)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
with torch.inference_mode():
    before = peak()
    if sys.argv[1] == "here":
        net(x)
    else:
        q, k, v = x.unflatten(2, (3, 8, 64)).permute(2, 0, 3, 1, 4).unbind(0)
        at = torch.arange(n)
        mask = torch.full((n, n), float("-inf")).masked_fill_((at[:, None] - at[None]).abs() <= 128, 0.0)
        F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
print(peak() - before)
'''


def memory() -> list[str]:
    """Peak MiB above the inputs, each in a process of its own: less than a twentieth of the masked run."""
    found = {}
    for name in ("here", "dense"):
        done = subprocess.run([sys.executable, "-c", ALONE, name], capture_output=True, text=True, check=True)
        found[name] = float(done.stdout)
    share = found["here"] / found["dense"]
    about = f"{found['here']:.0f} MiB here, {found['dense']:.0f} MiB under a mask"
    print(f"sliding +-128 at N = 16,384: {about}: {share:.3f}")
    return [] if share < 1 / 20 else [f"memory: {share:.3f} of the masked run, not 0.05"]


if __name__ == "__main__":
    sys.exit(main())
