"""Random draws that are the same in the text, on the CPU and in a kernel: 64-bit integers, no state, no library.

To draw n distinct numbers below m for a block: apply a permutation of 0 .. m - 1 to 0 .. n - 1. The permutation is a
Feistel network of four rounds on 2 w bits, w >= 1 the least with 4 ** w >= m; a result of m or more goes through it
again until it is below m (cycle walking). Its round keys are the first four outputs of SplitMix64 from the state

    state = mix(mix(seed) + block),     state = mix(state + head) where heads draw by themselves, head from 1

with mix(x) the first output of SplitMix64 from state x, and a round is (a, b) -> (b, a xor low w bits of mix(b + key)).
(SplitMix64: Steele, Lea and Flood 2014. Cycle walking: Black and Rogaway 2002.)
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

__all__ = ["ROUNDS", "drawn", "mix", "permuted", "round_keys"]

MASK: Final = 2**64 - 1
GAMMA: Final = 0x9E3779B97F4A7C15
ROUNDS: Final = 4


def mix(x: int) -> int:
    """The first output of SplitMix64 from state x."""
    z = (x + GAMMA) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def round_keys(seed: int, block: int, head: int = 0) -> tuple[int, ...]:
    """The keys of the permutation of one block; `head` 0 is the one that all heads share."""
    state = mix((mix(seed & MASK) + block) & MASK)
    if head:
        state = mix((state + head) & MASK)
    return tuple(mix((state + r * GAMMA) & MASK) for r in range(ROUNDS))


def permuted(i: int, m: int, keys: tuple[int, ...]) -> int:
    """Where the permutation of 0 .. m - 1 takes i."""
    w = max(1, ((m - 1).bit_length() + 1) // 2)
    low = (1 << w) - 1
    while True:
        a, b = i >> w, i & low
        for key in keys:
            a, b = b, a ^ (mix((b + key) & MASK) & low)
        i = a << w | b
        if i < m:
            return i


@lru_cache(65_536)
def drawn(n: int, m: int, seed: int, block: int, head: int = 0) -> tuple[int, ...]:
    """n distinct numbers of 0 .. m - 1, in the order they are drawn; all of them where n >= m."""
    if n >= m:
        return tuple(range(m))
    keys = round_keys(seed, block, head)
    return tuple(permuted(i, m, keys) for i in range(n))
