"""Attention on the processor: sets of pairs, linear mechanisms, a whole Swin; one command, beside what others have.

    python bench/attention_cpu.py [--flex] [--only PART ...] [--rounds 9] [--threads 1 2] [--gate]

The parts, all of them unless `--only` names some:

    patterns    8 heads of 64 channels, batch 1, float32 and bf16. q, k and v are slices of one `B N 3 H D`, tokens row-
                major, the answer is `B N C`: all copies count. Beside them torch's fused attention under a float mask
                that is made before, and with `--flex` compiled FlexAttention (up to half a minute for each pattern).
                Also how long the plan takes to make, beside `create_block_mask` (its first answer is thrown away).
    mechanisms  the same with linear attention, causal too, and Linformer with its projections, beside torch's
                fused attention over all pairs (causal beside causal)
    memory      peak above the inputs, sliding +-128 at N = 16,384, in processes of their own
    exponents   of the exact pair count, N = 1,024 to 65,536 (`bench/pairs.py`)
    swin        Swin-T at 224 x 224 as a whole, float32, batch 1 and 8, beside timm's as it comes, with
                TIMM_FUSED_ATTN=2, and compiled by torch

Rounds are interleaved, figures are medians; with one thread of processor time, which other programs take no part of.
Limits hold for the first number of threads; patterns and mechanisms are measured with the others too. The last part
needs timm.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F

import ogive
from ogive.compiler.lower.attention_parts import PartsAttention
from ogive.compiler.pipeline import compile
from ogive.dsl.build import build
from ogive.dsl.load import load_text
from ogive.dsl.patterns.parts import plan

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import peers

HEADS, WIDTH = 8, 64
PARTS = ("patterns", "mechanisms", "memory", "exponents", "swin")
TYPES = (torch.float32, torch.bfloat16)
WIDE = "{:<28}{:>9}{:>4}{:>10}{:>9}{:>7}{:>7}{:>9}{:>7}{:>7}{:>9}{:>9}"


@dataclass(frozen=True)
class Case:
    """Attention, its positions, and the least ratio to the dense run and to FlexAttention: float32, bf16."""

    name: str
    positions: str
    over: str
    least: tuple[float, float]
    flex: tuple[float, float] = (0, 0)
    beside: str = ""
    """The case that does the same with positions in another order."""


CASES = (
    Case("windows 7 of 56x56", "(h=56 w=56)", "window(7)", (12, 7.5), (15, 15)),
    Case("shifted windows 7", "(h=56 w=56)", "window(7, shift=3)", (0, 0)),
    Case("windows 7, in window order", "N=3136", "block(49, near=0)", (1.4, 1.15), beside="windows 7 of 56x56"),
    Case("windows 8 of 64x64", "(h=64 w=64)", "window(8)", (16, 11), (15, 15)),
    Case("windows 8, in window order", "N=4096", "block(64, near=0)", (1.4, 1.15), beside="windows 8 of 64x64"),
    Case("sliding +-128", "N=4096", "sliding(257)", (7.5, 5.5), (2.0, 1.05)),
    Case("rows and columns of 64x64", "(h=64 w=64)", 'axial("row") | axial("col")', (10, 8), (20, 20)),
    Case("BigBird", "N=4096", "block(64, near=1) | global_tokens(128) | random(3, of=64)", (3.5, 2.8), (3, 3)),
    Case("causal", "N=4096", "causal", (0.95, 0.95)),
    Case("dense", "N=4096", "dense", (0.95, 0.95)),
)
MECHANISMS = (
    Case("linformer(128)", "N=4096", "linformer(128)", (10, 10)),
    Case("linformer(256)", "N=4096", "linformer(256)", (6, 6)),
    Case("linear", "N=4096", "kernel", (12, 6)),
    Case("causal linear", "N=4096", 'kernel("elu", causal=True)', (3, 2)),
)


def main() -> int:
    parser = argparse.ArgumentParser(description="attention on the processor")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="the limits hold for the first")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--flex", action="store_true", help="compiled FlexAttention as well")
    parser.add_argument("--gate", action="store_true", help="exit 1 where a limit is missed")
    settings = parser.parse_args()
    print(f"torch {torch.__version__}, {settings.threads[0]} threads, {settings.rounds} rounds")
    missed: list[str] = []
    for part, cases in (("patterns", CASES), ("mechanisms", MECHANISMS)):
        if part not in settings.only:
            continue
        print(WIDE.format(part, "", "thr", "dense ms", "here ms", "ratio", "least", "flex ms", "ratio", "least",
                          "plan ms", "mask ms"))
        for threads in settings.threads:
            first = threads == settings.threads[0]
            torch.set_num_threads(threads)
            found = compared(cases, settings.rounds if first else 3, settings.flex and first, threads)
            missed += found if first else []
    torch.set_num_threads(settings.threads[0])
    missed += memory() if "memory" in settings.only else []
    missed += exponents() if "exponents" in settings.only else []
    missed += swin(settings.rounds) if "swin" in settings.only else []
    for line in missed:
        print("missed:", line)
    return int(settings.gate and bool(missed))


def compared(cases: tuple[Case, ...], rounds: int, flex: bool, threads: int) -> list[str]:
    """Measure and print each case; the limits that are missed."""
    times: dict[tuple[str, torch.dtype], float] = {}
    missed: list[str] = []
    for case in cases:
        for at, dtype in enumerate(TYPES):
            ms, made = measured(case, dtype, rounds, flex and any(case.flex))
            times[case.name, dtype] = ms["here"]
            base = times[case.beside, dtype] if case.beside else ms["dense"]
            ratio, least = base / ms["here"], case.least[at]
            other = ms.get("flex", 0.0) / ms["here"]
            kind = str(dtype)[6:]
            if ratio < least:
                missed.append(f"{case.name}, {kind}: {ratio:.2f}, not {least}")
            if "flex" in ms and other < case.flex[at]:
                missed.append(f"{case.name}, {kind}, beside FlexAttention: {other:.2f}, not {case.flex[at]}")
            shown = [f"{ms['flex']:.1f}", f"{other:.2f}", f"{case.flex[at]:g}"] if "flex" in ms else [""] * 3
            print(WIDE.format(case.name, kind, threads, f"{ms['dense']:.1f}", f"{ms['here']:.1f}", f"{ratio:.2f}",
                              f"{least:g}" if least else "", *shown,
                              *(f"{x:.1f}" if x else "" for x in made)), flush=True)
    return missed


def measured(case: Case, dtype: torch.dtype, rounds: int, flex: bool) -> tuple[dict[str, float], tuple[float, float]]:
    """Milliseconds: here, dense, FlexAttention; of making the plan, and of FlexAttention's block mask."""
    text = (f"network N:\n    input x: B {case.positions} {3 * HEADS * WIDTH}\n    q, k, v = split(3)\n"
            f"    attn = q, k, v -> attend({HEADS}, over={case.over})\n")
    graph = build(load_text(text, "bench.arch"), None, {}).graph
    torch.manual_seed(0)
    net = compile(graph, dtype=dtype).eval()
    n = graph.nodes[graph.inputs[0]].outputs[0].shape[1]
    x = torch.randn(1, n, 3 * HEADS * WIDTH).to(dtype)
    core = next((m for m in net.modules() if isinstance(m, PartsAttention)), None)
    causal = "causal" in case.over
    made = [0.0, 0.0]
    with torch.inference_mode():
        plan.cache_clear()
        start = time.perf_counter()
        found = net(x)
        if core is not None:
            made[0] = 1e3 * (time.perf_counter() - start)
        seen = None if core is None else core.seen(x, *_ends(case, n))
        mask = None if seen is None else torch.zeros(n, n, dtype=dtype).masked_fill_(~seen, float("-inf"))

        def dense() -> torch.Tensor:
            q, k, v = _qkv(x)
            answer = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
            return answer.transpose(1, 2).flatten(2)

        runs: dict[str, Callable[[], Any]] = {"dense": dense, "here": lambda: net(x)}
        if case in CASES:
            torch.testing.assert_close(found.float(), dense().float(), rtol=2e-2, atol=2e-2)
        if seen is not None:
            blocks, made[1] = _blocks(seen, n)
            if flex:
                runs["flex"] = _flex(x, blocks)
        ms = interleaved(runs, rounds)
    made[0] = max(made[0] - ms["here"], 0.0)
    return ms, (made[0], made[1])


def _ends(case: Case, n: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    grid = (n,) if "h=" not in case.positions else (round(n**0.5),) * 2
    return (0, 0, *grid), (0, 0, *grid)


def _qkv(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    q, k, v = x.unflatten(2, (3, HEADS, WIDTH)).permute(2, 0, 3, 1, 4).unbind(0)
    return q, k, v


def _blocks(seen: torch.Tensor, n: int) -> tuple[Any, float]:
    """FlexAttention's block mask of a set, and the milliseconds of making it, once torch is warm."""
    from torch.nn.attention.flex_attention import create_block_mask

    def allowed(b: Any, h: Any, q: Any, k: Any) -> Any:
        return seen[q, k]

    create_block_mask(allowed, None, None, 256, 256, device="cpu")
    start = time.perf_counter()
    blocks = create_block_mask(allowed, None, None, n, n, device="cpu")
    return blocks, 1e3 * (time.perf_counter() - start)


def _flex(x: torch.Tensor, blocks: Any) -> Callable[[], Any]:
    from torch.nn.attention.flex_attention import flex_attention

    torch.compiler.reset()
    fast = torch.compile(flex_attention, dynamic=False)

    def run() -> torch.Tensor:
        q, k, v = _qkv(x)
        return fast(q, k, v, block_mask=blocks).transpose(1, 2).flatten(2)

    run()
    return run


def interleaved(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The median milliseconds of each, one round of all after the other."""
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            start = clock()
            run()
            found[name].append(1e3 * (clock() - start))
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
with torch.inference_mode():
    with open("/proc/self/statm") as file:  # what is held now: earlier peaks count against the run
        before = int(file.read().split()[1]) * resource.getpagesize() / 2**20
    if sys.argv[1] == "here":
        net(x)
    else:
        q, k, v = x.unflatten(2, (3, 8, 64)).permute(2, 0, 3, 1, 4).unbind(0)
        at = torch.arange(n)
        mask = torch.full((n, n), float("-inf")).masked_fill_((at[:, None] - at[None]).abs() <= 128, 0.0)
        F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
with open("/proc/self/status") as file:  # ru_maxrss would count what the parent held when it began this process
    peak = next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))
print(peak - before)
'''


def memory() -> list[str]:
    """Peak MiB above the inputs, each in a process of its own: less than a twentieth of the masked run."""
    found = {}
    for name in ("here", "dense"):
        done = subprocess.run([sys.executable, "-c", ALONE, name], capture_output=True, text=True, check=True)
        found[name] = float(done.stdout)
    share = found["here"] / found["dense"]
    about = f"{found['here']:.0f} MiB here, {found['dense']:.0f} MiB under a mask"
    print(f"memory, sliding +-128 at N = 16,384: {about}: {share:.3f}, at most 0.05")
    return [] if share < 1 / 20 else [f"memory: {share:.3f} of the masked run, not 0.05"]


def exponents() -> list[str]:
    """Those of the exact pair counts."""
    done = subprocess.run([sys.executable, str(Path(__file__).with_name("pairs.py")), "--gate"], capture_output=True,
                          text=True)
    print(done.stdout, end="")
    return ["an exponent of the pair count"] if done.returncode else []


def swin(rounds: int) -> list[str]:
    """Swin-T as a whole: frozen here, timm's as it comes, with fused attention, and compiled; the same weights."""
    layers = peers.timm().layers
    torch.manual_seed(0)
    missed: list[str] = []
    made = {}
    for name, fused in (("timm", False), ("timm, fused", True)):
        layers.set_fused_attn(fused, experimental=fused)
        made[name] = peers.create("swin_tiny_patch4_window7_224").eval()
    layers.set_fused_attn(False)
    made["timm, fused"].load_state_dict(made["timm"].state_dict())
    net = ogive.compile(ogive.load("swin", "Swin.T"))
    net.load_state_dict(made["timm"].state_dict(), strict=True)
    ours = ogive.freeze(net.eval())
    print(f"{'Swin-T, float32':<28}{'here ms':>9}" + "".join(f"{name:>16}" for name in (*made, "timm, compiled")))
    for batch in (1, 8):
        x = torch.randn(batch, 3, 224, 224)
        with torch.inference_mode():
            torch.compiler.reset()
            fast = torch.compile(made["timm"], dynamic=False)
            models = {"here": ours, **made, "timm, compiled": fast}
            for name, model in models.items():
                torch.testing.assert_close(model(x), made["timm"](x), rtol=1e-3, atol=1e-3, msg=lambda m, n=name: n + m)
            ms = interleaved({name: partial(model, x) for name, model in models.items()}, rounds)
        ratios = {name: ms[name] / ms["here"] for name in ms}
        print(f"{f'batch {batch}':<28}{ms['here']:>9.1f}" + "".join(
            f"{f'{ms[n]:.1f} ({ratios[n]:.2f})':>16}" for n in ms if n != "here"), flush=True)
        for name, least in (("timm", 1.25), ("timm, fused", 1.05)):
            if ratios[name] < least:
                missed.append(f"Swin-T, batch {batch}, beside {name}: {ratios[name]:.2f}, not {least}")
    return missed


if __name__ == "__main__":
    sys.exit(main())
