"""How the time of a check grows with the network: 250 to 2,000 nodes, in a file written out and in one that repeats.

    python bench/linear.py [--rounds 5] [--gate]

The exponent is the slope of log(seconds) over log(nodes): 1 is linear. It is taken over the whole range and over its
last doubling, where something quadratic would show first.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable
from math import log
from statistics import linear_regression, median

import ogive.dsl.check
from ogive.dsl.load import load_text

NODES = (250, 500, 1000, 2000)
MOST = 1.15
WIDTH = 64


def written(nodes: int) -> str:
    """Every line written out: residual pairs of norm and linear, each with names of its own."""
    lines = ["network Long:", f"    input x: B N {WIDTH}"]
    for i in range(nodes // 4):
        lines += [
            "    residual:",
            f"        norm{i} = layernorm",
            f"        fc{i} = linear({WIDTH})",
            "        gelu",
        ]
    return "\n".join(lines) + "\n"


def repeated(nodes: int) -> str:
    """The same from a block in a repeat."""
    return f"""
block Part:
    input x: B N C
    residual:
        norm = layernorm
        fc = linear(C)
        gelu

network Long(depth={nodes // 4}):
    input x: B N {WIDTH}
    repeat depth as blocks[i]:
        Part
"""


def skips(nodes: int) -> str:
    """Every block reads all of its stage so far, as in a DenseNet: stages of 8."""
    lines = ["network Long:", "    input x: B 16 H W"]
    before = "x"
    for i in range(nodes // 16):
        names = [before]
        for j in range(8):
            lines += [f"    {', '.join(names)} -> concat" if len(names) > 1 else f"    {names[0]} -> relu",
                      f"    a{i}_{j} = conv(8, 3x3)", "    relu"]
            names.append(f"a{i}_{j}")
        before = names[-1]
    return "\n".join(lines) + "\n"


FORMS: dict[str, Callable[[int], str]] = {"written out": written, "repeated": repeated, "dense": skips}


def main() -> int:
    parser = argparse.ArgumentParser(description="seconds of a check over nodes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gate", action="store_true", help=f"exit 1 where an exponent is above {MOST}")
    settings = parser.parse_args()

    check(written(50))  # the grammar's tables are made at the first parse
    worst = 0.0
    print(f"{'network':<14}{'nodes':>8}{'seconds':>10}{'us a node':>11}")
    for form, text in FORMS.items():
        points = [measured(text(nodes), settings.rounds) for nodes in NODES]
        for nodes, seconds in points:
            print(f"{form:<14}{nodes:>8,}{seconds:>10.3f}{1e6 * seconds / nodes:>11.0f}")
        whole, last = slope(points), slope(points[-2:])
        print(f"{form:<14}exponent {whole:.2f} from {points[0][0]} to {points[-1][0]:,} nodes, {last:.2f} at the end")
        worst = max(worst, whole)
    if settings.gate and worst > MOST:
        print(f"above the limit of {MOST}")
        return 1
    return 0


def measured(text: str, rounds: int) -> tuple[int, float]:
    """The nodes of the network, and the median of the processor's seconds for reading and checking it."""
    times = []
    for _ in range(rounds):
        gc.collect()
        start = time.process_time()
        nodes = check(text)
        times.append(time.process_time() - start)
    return nodes, median(times)


def check(text: str) -> int:
    """Parse, build and check; the number of nodes.

    Raises:
        SystemExit: the text has a mistake.
    """
    report = ogive.dsl.check.check(load_text(text))
    if not report.ok:
        raise SystemExit(report.mistakes[0].render())
    (built,) = report.built.values()
    return len(built.graph)


def slope(points: list[tuple[int, float]]) -> float:
    """The exponent that fits best."""
    return linear_regression([log(n) for n, _ in points], [log(s) for _, s in points]).slope


if __name__ == "__main__":
    sys.exit(main())
