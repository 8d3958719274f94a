"""How many pairs attention looks at as images grow: the exponent of the exact count over the number of positions.

    python bench/pairs.py [--gate]

Grids are square, N = 1,024 to 65,536 positions. Windows and sliding windows grow with N, rows and columns with N ** 1.5
(Ho et al. 2019, arXiv:1912.12180), strides of sqrt N too (Child et al. 2019, arXiv:1904.10509), dense with N ** 2.
Nothing is measured: the counts are exact, and the same everywhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from math import log
from statistics import linear_regression

from ogive.dsl.patterns import Pattern
from ogive.dsl.patterns.algebra import Flat, union
from ogive.dsl.patterns.count import pairs
from ogive.dsl.patterns.named import Axial, Dense, Sliding, Strided, Window
from ogive.dsl.patterns.space import Space

__all__ = ["KINDS", "SIDES", "exponent"]

SIDES = (32, 64, 128, 256)

KINDS: dict[str, tuple[Callable[[int], Pattern], float, float]] = {
    "window(8)": (lambda side: Window(8), 1.0, 0.005),
    "window(7)": (lambda side: Window(7), 1.0, 0.03),
    "window(8, shift=4)": (lambda side: Window(8, 4), 1.0, 0.06),
    "sliding(7)": (lambda side: Sliding(7), 1.0, 0.03),
    'axial("row") | axial("col")': (lambda side: union((Axial("row"), Axial("col"))), 1.5, 0.02),
    "strided(sqrt N) | flat(sliding(sqrt N))": (
        lambda side: union((Strided(side), Flat(Sliding(side + 1)))), 1.5, 0.05,
    ),
    "dense": (lambda side: Dense(), 2.0, 0.0),
}
"""Each pattern as a function of the side of the grid, its exponent, and how far that may be off: windows that are cut
at the border weigh more in small grids."""


def main() -> int:
    parser = argparse.ArgumentParser(description="the exponent of the exact pair count")
    parser.add_argument("--gate", action="store_true", help="exit 1 where an exponent is another than stated")
    settings = parser.parse_args()

    off = False
    print(f"{'pattern':<42}" + "".join(f"{side * side:>16,}" for side in SIDES) + f"{'exponent':>10}")
    for name, (pattern, wanted, room) in KINDS.items():
        counts = [pairs(pattern(side), Space.of(side, side)) for side in SIDES]
        found = slope(SIDES, counts)
        off |= abs(found - wanted) > room + 1e-9
        print(f"{name:<42}" + "".join(f"{count:>16,}" for count in counts) + f"{found:>10.2f}")
    return int(off and settings.gate)


def exponent(pattern: Callable[[int], Pattern], sides: Sequence[int] = SIDES) -> float:
    """The exponent of the pair count over the number of positions, on square grids."""
    return slope(sides, [pairs(pattern(side), Space.of(side, side)) for side in sides])


def slope(sides: Sequence[int], counts: Sequence[int]) -> float:
    """The exponent that fits best."""
    return linear_regression([log(side * side) for side in sides], [log(count) for count in counts]).slope


if __name__ == "__main__":
    sys.exit(main())
