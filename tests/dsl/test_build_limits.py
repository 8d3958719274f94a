"""Hostile files: what grows without end is refused soon, and what only looks so is built."""

from __future__ import annotations

import time

import pytest
from building import graph, mistakes, network

PRIMES = [p for p in range(2, 2000) if all(p % q for q in range(2, int(p**0.5) + 1))]


def lines(form: str, count: int = 300) -> str:
    return "\n".join(form.format(i=i, j=i + 1, p=PRIMES[i % len(PRIMES)]) for i in range(count))


@pytest.mark.parametrize(("body", "code"), [
    ("repeat 10000:\n    repeat 10000:\n        relu", "A511"),
    ("repeat 10000:\n    repeat 10000:\n        k = 1", "A513"),
    ("repeat 10000:\n    repeat 10000 as i:\n        if i > 10000:\n            relu", "A513"),
    ("repeat 99999:\n    relu", "A511"),
    ("a0 = [1, 2, 3, 4]\n" + lines("a{j} = a{i} + a{i}", 40), "A509"),
    ("a0 = [1, 2, 3, 4]\n" + lines("a{j} = [a{i}, a{i}, a{i}]", 40), "A509"),
    ("a0 = 3\n" + lines("a{j} = a{i} * a{i}", 40), "A509"),
    ("a0 = H + W + 1\n" + lines("a{j} = a{i} * a{i}", 40), "A509"),
    ("a0 = H\n" + lines("a{j} = (a{i} * W + {i}) // (a{i} + 3)", 40), "A509"),
    ("k = 2 ** 2 ** 2 ** 2 ** 2 ** 2", "A509"),
    ("k = 10.0 ** 400", "A509"),
    (lines("assert H % {p} == 0"), "A509"),
    (lines("assert H * W != {i} * H + {p}", 1100), "A513"),
    ("\n".join("    " * i + "s:" for i in range(60)) + "\n" + "    " * 60 + "relu", "A510"),
])
def test_what_grows_is_refused_soon(body: str, code: str) -> None:
    started = time.process_time()
    found = mistakes(network(body))
    assert time.process_time() - started < 10
    assert code in [d.code for d in found], [d.render() for d in found[:3]]


def test_blocks_that_call_two_of_the_next() -> None:
    blocks = "\n".join(
        f"block B{i}:\n    input x: B C H W\n    B{i + 1}\n    B{i + 1}\n" for i in range(25)
    ) + "block B25:\n    input x: B C H W\n    relu\n"
    started = time.process_time()
    found = mistakes(network("B0", above=blocks))
    assert {d.code for d in found} <= {"A511", "A512", "A513"} and found
    assert time.process_time() - started < 20


def test_deep_blocks() -> None:
    blocks = "\n".join(f"block B{i}:\n    input x: B C H W\n    B{i + 1}\n" for i in range(40))
    blocks += "block B40:\n    input x: B C H W\n    relu\n"
    assert [d.code for d in mistakes(network("B0", above=blocks))] == ["A512"]


def test_sizes_are_not_refuted_for_want_of_samples() -> None:
    """A size that nobody tries is still a size: 1009 does not stand in any table of samples."""
    for condition in ("H % 1009 == 0", "H * W % 1009 == 0", "H == 4093", "H > 100_000"):
        assert [g.condition.show() for g in graph(f"assert {condition}\nrelu").guards]
    body = "\n".join(f"assert H % {p} == 0" for p in PRIMES[:30]) + "\nrelu"
    assert len(graph(body).guards) == 30


def test_the_same_condition_is_one_guard() -> None:
    assert len(graph("repeat 100:\n    assert H * W > 3 * H\n    relu").guards) == 1
