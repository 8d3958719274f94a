"""What parts of a set of pairs cost, on a processor and on a GPU: the cheapest way through the set is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ogive.dsl.patterns.part import ALL, TRIANGLE, Part

__all__ = ["GPU", "PROCESSOR", "Costs"]


@dataclass(frozen=True)
class Costs:
    """What parts cost, in pairs that a dense kernel goes through meanwhile (one head of 64 channels).

    Attributes:
        few: fifths of a pair's cost where fewer than 192 queries are taken at once.
        entry: what an entry of a batch costs besides its pairs.
    """

    few: int
    entry: int

    def __call__(self, made: Sequence[Part]) -> int:
        """Few queries at a time use a kernel badly, a triangle is gone through by half, another mask is read, what is
        no view is copied, each entry and each call take a while, and answers that are not the first of their queries
        are merged.
        """
        total, answered = 0, 0
        for part in made:
            n, m, entries = part.q.count, part.k.count, part.batch
            rate = 5 if part.keep == ALL else 3 if part.keep == TRIANGLE else 6
            rate *= self.few if n < 192 else 5
            total += entries * (max(n, 8) * m * rate // 25 + self.entry) + 4_000
            total += 0 if part.q.is_view else 30 * entries * n
            total += 0 if part.k.is_view else 30 * entries * m
            answered += entries * n
        most = max((part.batch * part.q.count for part in made), default=0)
        return total + 40 * (answered - most)


PROCESSOR: Final = Costs(few=7, entry=800)
"""Measured: torch takes 32, 64 or 256 queries at once, and 32 nearly as well."""

GPU: Final = Costs(few=10, entry=100)
"""Tiles have 64 queries and more; each program has an entry of its own."""
