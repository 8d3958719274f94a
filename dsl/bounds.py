"""What can be told of a size without knowing it: bounds by sign, residue classes, and samples that refute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice, product
from math import lcm

from ogive.dsl.conditions import Condition
from ogive.dsl.dims import (
    ONE,
    Dim,
    Floor,
    Poly,
    atom_names,
    constant,
    divide,
    evaluate,
    normal,
    origin,
    over,
    substituted,
    symbol,
    terms_of,
)

__all__ = [
    "SIZES", "classes", "crossings", "implies", "is_linear_in", "is_zero", "linear", "period_of", "positive", "safe",
    "samples", "sizes_of",
]

# -------------------------------------------------------------------------------------------------------------- bounds


def positive(dim: Dim, least: Mapping[str, int]) -> bool:
    """Whether dim > 0 is certain, given symbol >= least (1 unless told).

    Floors are replaced by bounds first, (p - n + 1)/n <= floor(p/n) <= p/n, or floor(p/n) >= 0 for p >= 0. Then every
    symbol s becomes least + t with t >= 0; no negative coefficient and a positive constant make the sum positive.
    """
    if isinstance(dim, int):
        return dim > 0
    return any(_plainly_positive(_below(dim, least, drop), least) for drop in (False, True))


def _plainly_positive(dim: Dim | None, least: Mapping[str, int]) -> bool:
    if dim is None or isinstance(dim, int):
        return dim is not None and dim > 0
    raised = substituted(dim, {s: symbol(s) + least.get(s, 1) for s in dim.names})
    return constant(raised) > 0 and min(terms_of(raised).values()) > 0


def _below(dim: Dim, least: Mapping[str, int], drop: bool) -> Dim | None:
    """A polynomial without floors that is <= a positive multiple of `dim`; None where no sign could be told."""
    for _ in range(32):
        found = next(((m, a) for m in terms_of(dim) for a, _ in m if isinstance(a, Floor)), None)
        if found is None:
            return dim
        monomial, floor = found
        c = terms_of(dim)[monomial]
        rest = over(monomial, ((floor, 1),)) or ONE
        certain = all(_not_negative(a, least) for a, _ in rest if isinstance(a, Floor))
        if not certain or not positive(floor.den, least):
            return None
        others = dim - normal({monomial: c})
        if c > 0 and drop and _not_negative(floor, least):
            dim = others
        else:
            bound = floor.num if c < 0 else floor.num - floor.den + 1
            dim = others * floor.den + normal({rest: c}) * bound
    return None


def _not_negative(floor: Floor, least: Mapping[str, int]) -> bool:
    return positive(floor.num + 1, least) and positive(floor.den, least)


# ------------------------------------------------------------------------------------------------------------- samples

# Highly composite sizes and those that networks are published with, beside 2 .. 64 and multiples of 32.
SIZES = tuple(
    sorted({*range(2, 65), *range(32, 1025, 32), 72, 80, 84, 90, 98, 112, 120, 168, 180, 196, 197, 240, 336, 360, 720})
)
FEW = (2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 16, 24, 32, 49, 56, 64, 196, 224)
STEPS = (1, 7, 17, 29, 43, 61, 79, 101)
MOST_CASES = 512


def sizes_of(name: str, sizes: Iterable[int]) -> list[int]:
    """Values for a symbol; for a changed variable those that give `sizes`, then small ones."""
    _, n, shift = origin(name)
    hit = [(v + shift) // n for v in sizes if (v + shift) % n == 0]
    return hit if n == 1 else [*dict.fromkeys([*hit, *(t for t in range(1, 65) if n * t - shift > 1)])]


def samples(names: list[str]) -> Iterator[dict[str, int]]:
    """Assignments, the same in every run: all symbols alike, products of a few sizes, then a scattered rest."""
    if not names:
        yield {}
        return
    bases = [origin(s) for s in names]
    for v in SIZES:
        if all((v + shift) % n == 0 for _, n, shift in bases):
            yield {s: (v + shift) // n for s, (_, n, shift) in zip(names, bases, strict=True)}
    full = [sizes_of(s, SIZES) for s in names]
    if len(names) == 1:
        yield from ({names[0]: v} for v in full[0])
        return
    few = [sizes_of(s, FEW)[: 18 if len(names) == 2 else 8] for s in names]
    for row in islice(product(*few), 600):
        yield dict(zip(names, row, strict=True))
    columns = list(zip(names, full, strict=True))
    for i in range(600):  # steps by different primes, so that the columns do not move together
        yield {s: col[(i * STEPS[j % len(STEPS)] + j) % len(col)] for j, (s, col) in enumerate(columns)}


def crossings(f: Callable[[int], int], points: list[int]) -> Iterator[int]:
    """Places where f may be 0 between or beyond the points: by halving where the sign changes, then looking around."""
    points = sorted({*points, *(points[-1] << k for k in range(1, 24))}) if points else []
    values = [f(p) for p in points]
    for low, high, at_low, at_high in zip(points, points[1:], values, values[1:], strict=False):
        if (at_low < 0) != (at_high < 0):
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if (f(middle) < 0) == (at_low < 0) else (low, middle)
            yield from range(max(low - 32, points[0]), high + 33)


def period_of(dim: Dim) -> int:
    """A number n such that adding n to any symbol moves every floor in `dim` by a whole amount; 0 if there is none."""
    if isinstance(dim, int):
        return 1
    floors = [a for m in dim.terms for a, _ in m if isinstance(a, Floor)]
    return lcm(*(a.den * period_of(a.num) if isinstance(a.den, int) else 0 for a in floors))


def is_linear_in(poly: Poly, name: str) -> bool:
    atoms = {(a, k) for m in poly.terms for a, k in m if name in atom_names(a)}
    return atoms == {(name, 1)}


def safe(dim: Dim, values: Mapping[str, int]) -> int:
    """The value, or 1 (never equal) where a divisor is 0."""
    try:
        return evaluate(dim, values)
    except ZeroDivisionError:
        return 1


def linear(dim: Dim) -> tuple[str, int] | None:
    """(s, c) when dim is c*s plus a constant."""
    others = [(m, c) for m, c in terms_of(dim).items() if m]
    if len(others) != 1 or len(others[0][0]) != 1:
        return None
    atom, power = others[0][0][0]
    return (atom, others[0][1]) if isinstance(atom, str) and power == 1 else None


def implies(fact: Condition, rest: Poly, n: int) -> bool:
    """q % m == 0 answers rest % n == 0 where n divides m and rest is q modulo n, up to sign."""
    if not isinstance(fact.right, int) or fact.right % n:
        return False
    return divide(rest - fact.left, n) is not None or divide(rest + fact.left, n) is not None


def classes(dim: Poly, period: int) -> list[dict[str, int]] | None:
    """One assignment per residue class of the symbols, None when there are too many."""
    names = sorted(dim.names)
    if not period or period ** len(names) > MOST_CASES:
        return None
    return [dict(zip(names, row, strict=True)) for row in product(range(1, period + 1), repeat=len(names))]


def is_zero(gap: Poly) -> bool:
    """Whether gap is 0 for all sizes: in each residue class of the symbols every floor becomes a polynomial.

    This sees H - floor(H/2) == ceil(H/2), which the canonical form does not.
    """
    period = period_of(gap)
    cases = classes(gap, period) if period > 1 else None
    if cases is None:
        return False
    return all(substituted(gap, {s: symbol(s) * period + r for s, r in case.items()}) == 0 for case in cases)
