"""Time: twice of anything takes at most about twice as long, construct by construct, up to the limits.

For each construct three sizes, each twice the one before; the processor time of the best of some runs each; the median
of the two ratios is held to 2.5 (2 is linear, 4 is quadratic).
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import pytest

from ogive.dsl.check import check
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.format import format_text
from ogive.dsl.load import load_text
from ogive.dsl.source import Source

pytestmark = pytest.mark.long

RATIO = 2.5
SMALLEST = 0.02  # seconds: below that the clock and the caches are what is measured
Text = Callable[[int], str]


def net(body: str, head: str = "input x: B 8 H W", above: str = "") -> str:
    lines = "\n".join("    " + line for line in body.split("\n"))
    return f"{above}network N:\n    {head}\n{lines}\n"


def rows(form: str, count: int, joint: str = "\n") -> str:
    return joint.join(form.format(i=i, j=i + 1) for i in range(count))


def nested(line: str, depth: int, last: str = "relu") -> str:
    return "\n".join("    " * i + line for i in range(depth)) + "\n" + "    " * depth + last


def many(piece: Callable[[int], str], count: int) -> str:
    """Networks, each with a piece of its own: where one piece may not be large."""
    return "".join(piece(i).replace("network N", f"network N{i}") for i in range(count))


TEXTS: dict[str, tuple[int, Text]] = {
    "lines": (400, lambda n: net(rows("relu", n))),
    "weighted lines": (150, lambda n: net(rows("c{i} = conv(8, 3x3)", n))),
    "named lines": (300, lambda n: net(rows("a{i} = relu", n))),
    "sums of names": (150, lambda n: net("a0 = relu\n" + rows("a{j} = a{i} + x", n))),
    "numbers": (500, lambda n: net("k0 = 1\n" + rows("k{j} = k{i} + 1", n) + "\nrelu")),
    "scopes": (120, lambda n: net(rows("s{i}:\n    c = conv(8, 3x3)", n))),
    "nested scopes": (10, lambda n: many(lambda i: net(nested("s:", n)), 20)),
    "residuals": (120, lambda n: net(rows("residual:\n    relu", n))),
    "bullets": (200, lambda n: net(rows("- relu", n))),
    "repeats": (150, lambda n: net(rows("repeat 2 as b{i}[j]:\n    relu", n).replace("{i}", ""))),
    "times of a repeat": (600, lambda n: net(f"repeat {n} as b[i]:\n    relu")),
    "times without a key": (600, lambda n: net(f"repeat {n}:\n    relu")),
    "repeats in repeats": (12, lambda n: net(f"repeat {n} as i:\n    repeat 40 as j:\n        relu")),
    "items of a list": (1000, lambda n: net(f"k = [{rows('{i}', n, ', ')}]\nrelu")),
    "repeat over a list": (300, lambda n: net(f"repeat [{rows('{i}', n, ', ')}] as k:\n    relu")),
    "branches": (150, lambda n: net("if False:\n    relu\n" + rows("elif False:\n    relu", n))),
    "ifs": (250, lambda n: net(rows("if True:\n    relu", n))),
    "presets": (60, lambda n: f"network N(w):\n    presets w:\n{rows('        p{i} {j}', n)}\n"
                              "    input x: B 8 H W\n    c = conv(w)\n"),
    "columns": (100, lambda n: f"network N({rows('p{i}=1', n, ', ')}):\n    presets {rows('p{i}', n, ' ')}:\n"
                               f"        S {rows('{i}', n, ' ')}\n    input x: B C\n    relu\n"),
    "parameters": (250, lambda n: f"network N({rows('p{i}=1', n, ', ')}):\n    input x: B C\n    relu\n"),
    "claims": (150, lambda n: "network N:\n    expect params:\n" + "        - 584\n" * n
                              + "    input x: B 8 H W\n    c = conv(8, 3x3)\n"),
    "blocks": (80, lambda n: rows("block P{i}:\n    input x: B C H W\n    relu\n", n) + net(rows("P{i}", n))),
    "runs of a block": (150, lambda n: net(rows("P", n), above="block P:\n    input x: B C H W\n    relu\n")),
    "networks": (60, lambda n: rows("network N{i}:\n    input x: B C H W\n    relu\n", n)),
    "derived": (60, lambda n: net("relu") + rows("network M{i} = N", n) + "\n"),
    "imports": (150, lambda n: rows("from vit import ViT as V{i}", n) + "\n" + net("relu")),
    "shared runs": (150, lambda n: net("shared g = conv(8, 3x3)\n" + rows("g", n))),
    "shared modules": (100, lambda n: net(rows("shared g{i} = conv(8, 3x3)\ng{i}", n))),
    "inputs": (120, lambda n: net("relu", "input " + rows("x{i}: B C", n, ", "))),
    "results": (150, lambda n: net("return " + rows("a{i}=x", n, ", "))),
    "concat of many": (100, lambda n: net(rows("a{i} = x -> relu", n) + "\n" + rows("a{i}", n, ", ") + " -> concat")),
    "parts": (150, lambda n: net(f"split({n})\nconcat", f"input x: B {n} H W")),
    "long sums": (20, lambda n: net(rows("k{i} = 1" + " + 1" * n, 25))),
    "deep brackets": (15, lambda n: net(rows("k{i} = " + "(" * n + "1" + ")" * n, 60))),
    "deep minus": (20, lambda n: net(rows("k{i} = " + "-" * n + "1", 40))),
    "sums of tensors": (20, lambda n: net(rows("y{i} = x" + " + x" * n, 10))),
    "promises": (120, lambda n: net(rows("relu : B C H W", n))),
    "sizes in promises": (20, lambda n: net(rows("relu : B C H W" + "*1" * n, 20))),
    "sums in promises": (20, lambda n: net(rows("relu : B C H W" + "+1" * n + f"-{n}", 20))),
    "segments": (10, lambda n: net(rows("t{i} = learned(1, 1, C)", n) + "\n" + rows("t{i}", n, ", ")
                                   + ", x -> concat : B (" + rows("t{i}", n, " + ") + " + N) C" + "\nrelu" * 20,
                                   "input x: B N C=8")),
    "asserts": (100, lambda n: net(rows("assert C == 8", n) + "\nrelu")),
    "guards": (40, lambda n: net(rows("assert H > {j}", n) + "\nrelu")),
    "divisions": (12, lambda n: many(lambda i: net("max_pool(2)\n" * n + "relu", "input x: B 8 H=65536 W=65536"), 6)),
    "comments": (2500, lambda n: net(rows("# {i}", n) + "\nrelu")),
    "a long comment": (100_000, lambda n: net("# " + "x" * n + "\nrelu")),
    "empty lines": (5000, lambda n: net("\n" * n + "relu")),
    "blanks": (60_000, lambda n: net("relu" + " " * n + "\nrelu")),
    "a long string": (10_000, lambda n: net(rows(f'assert 1 == 1, "{"a" * n}"', 5) + "\nrelu")),
    "keys": (150, lambda n: net(rows('c = conv(8, 3x3) as "a.b{i}"', n).replace("c =", "_ ->"))),
    "mistakes of syntax": (15, lambda n: rows("network N{i}:\n    input x: = B\n    relu\n", n)),
    "unknown names": (20, lambda n: net(rows("a{i} = b{i} + 1", n))),
    "unknown names among many": (200, lambda n: net(rows("abcd{i} = relu", n) + "\n" + rows("k{i} = abce{i} + 1", 20))),
    "names given twice": (20, lambda n: net(rows("a = relu", n))),
    "patterns": (8, lambda n: net("attend(1, over=p)", "input x: B (h=8 w=8) 8",
                                  "pattern p:\n    allow " + rows("q.index == {i}", n, " or ") + "\n")),
    "unions": (4, lambda n: many(lambda i: net(
        "attend(1, over=" + " | ".join(f"sliding({2 * k + 1})" for k in range(1, n + 1)) + ")",
        "input x: B (h=16 w=16) 8"), 8)),
    "lists of tensors": (100, lambda n: net("l = [" + rows("x", n, ", ") + "]\nl -> concat")),
    "cuts of a list": (60, lambda n: net("l = [" + rows("x", n, ", ") + "]\n" + rows("m{i} = l[{i} :]", 40)
                                         + "\n" + rows("m{i} -> concat", 2))),
    "list ports": (60, lambda n: net(rows("[x, x, x] -> P", n),
                                     above="block P:\n    input m: [B C H W]\n    m[0] + m[1]\n")),
    "items of a list port": (60, lambda n: net("[" + rows("x", n, ", ") + "] -> P",
                                               above="block P:\n    input m: [B C H W]\n    repeat m as b[t]:\n"
                                                     "        - t -> relu\n    b[:] -> concat\n")),
    "carried values": (250, lambda n: net(f"repeat {n} with y = x:\n    next y = y + x")),
    "values carried side by side": (25, lambda n: net("repeat 4 with " + rows("y{i} = x", n, ", ") + ":\n"
                                                      + rows("    next y{i} = y{i} + x", n))),
    "scans": (30, lambda n: net(rows("s{i} = scan t in x with h{i} = zeros(8):\n    next h{i} = h{i} + t\n"
                                     "    emit t", n), "input x: B N 8")),
    "lines of a scan": (120, lambda n: net("s = scan t in x with h = zeros(8):\n" + "    _ * 2\n" * n
                                           + "    next h = _\n    emit h", "input x: B N 8")),
    "ifs on training": (40, lambda n: net(rows("if training:\n    relu\nelse:\n    tanh", n))),
    "optional inputs asked for": (30, lambda n: net(rows("if m:\n    _ + m", n), "input x: B 8, m?: B 8")),
    "one or the other": (60, lambda n: net(rows("_ + (m or x)", n), "input x: B 8, m?: B 8")),
    "patterns as values": (60, lambda n: net(rows("p{i} = sliding(3) | self", n) + "\nattend(1, over=p0)",
                                             "input x: B (h=8 w=8) 8")),
    "attends over values": (20, lambda n: net("p = sliding(3) | causal\n" + rows("attend(1, over=p)", n),
                                              "input x: B (h=8 w=8) 8")),
    "mechanisms as values": (30, lambda n: net('m = kernel("elu")\n' + rows("attend(1, over=m)", n),
                                               "input x: B (h=8 w=8) 8")),
    "pattern definitions": (30, lambda n: net("relu", above=rows("pattern p{i}(a=1):\n    d = q.row - k.row\n"
                                                                 "    allow abs(d) <= a\n", n))),
    "biases": (20, lambda n: net(rows("t{i} = relative_bias(1, 8)\nattend(1, bias=t{i})", n),
                                 "input x: B (h=8 w=8) 8")),
    "axes put otherwise": (60, lambda n: net("relu : B a b c\n" + rows("rearrange : B c a b\nrelu : B a b c", n),
                                             "input x: B 8 8 8")),
    "contractions": (60, lambda n: net("a = relu : B n c\nb = a -> tanh : B m c\n" + rows("a, b -> dot : B n m", n),
                                       "input x: B 16 8")),
    "given weights": (60, lambda n: net("w = learned(8, 8)\n" + rows("y{i} = linear(8, weight=w, bias=False)", n),
                                        "input x: B 8")),
    "cuts of a weight": (40, lambda n: net(f"w = learned({8 * n}, 8)\n" + rows(
        "y{i} = linear(8, weight=w[8 * {i} : 8 * {j}], bias=False)", n), "input x: B 8")),
    "numbers solved for": (4, lambda n: many(lambda i: net(rows("c{i} = conv(?, 1x1)\nrelu : B 4 H W", 2)), n)),
}


def checking(text: str) -> None:
    with suppress(ArchError):
        check(load_text(text))


def formatting(text: str) -> None:
    format_text(Source("doubling.arch", text))


def seconds(work: Callable[[str], None], text: str) -> float:
    """The best of three; more for what is short."""
    best = float("inf")
    spent = 0.0
    runs = 0
    while runs < 3 or (spent < 0.15 and runs < 8):
        started = time.process_time()
        work(text)
        took = time.process_time() - started
        best = min(best, took)
        spent += took
        runs += 1
    return best


def ratio(work: Callable[[str], None], text: Text, size: int) -> tuple[float, list[float]]:
    work(text(size))
    gc.collect()
    gc.disable()
    try:
        while (first := seconds(work, text(size))) < SMALLEST and fits(text, 8 * size):
            size *= 2
        times = [first, seconds(work, text(2 * size)), seconds(work, text(4 * size))]
    finally:
        gc.enable()
    return statistics.median(b / a for a, b in pairwise(times)), times


def fits(text: Text, size: int) -> bool:
    """Whether a text of this size is within the limits: one above is refused at once, which measures nothing."""
    try:
        found = check(load_text(text(size))).mistakes
    except ArchError as error:
        found = error.diagnostics
    return not any(d.code.startswith("A5") for d in found)


@pytest.mark.parametrize("name", TEXTS)
def test_twice_as_much_takes_twice_as_long(name: str) -> None:
    size, text = TEXTS[name]
    assert fits(text, 4 * size), "above a limit: nothing is measured"
    for _ in range(3):  # a loaded machine may spoil a measurement, not three
        found, times = ratio(checking, text, size)
        if found <= RATIO:
            return
    pytest.fail(f"{found:.1f} times as long: {[f'{t * 1e3:.0f} ms' for t in times]}")


@pytest.mark.parametrize("name", [
    "lines", "nested scopes", "presets", "items of a list", "long sums", "comments", "empty lines", "blanks",
    "a long comment", "promises", "parameters", "networks", "bullets",
])
def test_formatting_twice_as_much(name: str) -> None:
    size, text = TEXTS[name]
    for _ in range(3):
        found, times = ratio(formatting, text, size)
        if found <= RATIO:
            return
    pytest.fail(f"{found:.1f} times as long: {[f'{t * 1e3:.0f} ms' for t in times]}")
