"""Time: checking takes time in proportion to the nodes, whatever they are nested in."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import pytest

from ogive.dsl.check import check
from ogive.dsl.load import load_text

SIZES = (250, 500, 1000, 2000)


def repeated(nodes: int) -> str:
    return f"""
network N:
    input x: B 8 H W
    repeat {nodes // 5} as b[i]:
        residual:
            c = conv(8, 3x3)
            n = batchnorm
            relu
            d = conv(8, 1x1)              : B C H W
"""


def written_out(nodes: int) -> str:
    lines = [f"    c{i} = conv(8, 3x3)\n    relu\n    c{i} + _\n" for i in range(nodes // 3)]
    return "network N:\n    input x: B 8 H W\n" + "".join(lines)


def weightless(nodes: int) -> str:
    return f"""
network N:
    input x: B (h=4 w=4) 8
    repeat {nodes // 4} as i:
        relu
        tanh
        _ * 2
        _ + x
"""


@pytest.mark.parametrize("text", [repeated, written_out, weightless])
def test_checking_is_linear(text: Callable[[int], str]) -> None:
    points: list[tuple[float, float]] = []
    for nodes in SIZES:
        unit = load_text(text(nodes))
        best = math.inf
        for _ in range(3):
            started = time.process_time()
            report = check(unit)
            best = min(best, time.process_time() - started)
        assert report.ok, [d.render() for d in report.mistakes]
        points.append((math.log(nodes), math.log(best)))
    x = sum(p[0] for p in points) / len(points)
    y = sum(p[1] for p in points) / len(points)
    exponent = sum((p[0] - x) * (p[1] - y) for p in points) / sum((p[0] - x) ** 2 for p in points)
    assert exponent <= 1.15, [f"{math.exp(p[1]) * 1e3:.0f} ms" for p in points]
