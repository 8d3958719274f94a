"""Equations in one unknown, a whole number from 1 on: all their roots, or None where that cannot be told."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from typing import Final

from ogive.dsl.dims import Dim, Floor, Poly, evaluate, symbols
from ogive.dsl.limits import LIST

__all__ = ["reach", "roots"]

LARGEST: Final = 10**10  # constants that are taken apart into their divisors


def roots(gap: Dim) -> set[int] | None:
    """Every n >= 1 at which `gap`, a polynomial in one symbol, is 0; None when it is no such polynomial.

    A root divides the constant term, so there are no others than those tried.
    """
    if isinstance(gap, int):
        return None
    found = _coefficients(gap)
    if found is None:
        return None
    name, by_degree = found
    lowest = min(by_degree)
    constant = abs(by_degree[lowest])
    if len(by_degree) == 1:
        return set()
    if set(by_degree) == {lowest, lowest + 1}:
        root, rest = divmod(-by_degree[lowest], by_degree[lowest + 1])
        return {root} if rest == 0 and root >= 1 else set()
    if constant > LARGEST:
        return None
    tried = {d for n in range(1, isqrt(constant) + 1) if constant % n == 0 for d in (n, constant // n)}
    return {n for n in tried if evaluate(gap, {name: n}) == 0}


def _coefficients(poly: Poly) -> tuple[str, dict[int, int]] | None:
    """The symbol and the coefficient of each power of it; None for two symbols, floors and changed variables."""
    by_degree: dict[int, int] = {}
    names: set[str] = set()
    for monomial, c in poly.terms.items():
        if len(monomial) > 1 or any(not isinstance(atom, str) or "'" in atom for atom, _ in monomial):
            return None
        names.update(str(atom) for atom, _ in monomial)
        by_degree[monomial[0][1] if monomial else 0] = c
    return (names.pop(), by_degree) if len(names) == 1 else None


def reach(count: Dim, name: str, low: Fraction, high: Fraction) -> list[int] | None:
    """Every n >= 1 at which `count`, which never falls as `name` grows, lies from low to high.

    None when that cannot be told: it may fall, hangs on another symbol, or there are more than can be listed.
    """
    if isinstance(count, int) or symbols(count) != {name}:
        return None
    if any(c < 0 or any(isinstance(atom, Floor) for atom, _ in m) for m, c in count.terms.items() if m):
        return None
    most = 1
    while evaluate(count, {name: most}) < low and most < LARGEST:
        most *= 2
    least = 1
    while least < most:
        middle = (least + most) // 2
        least, most = (middle + 1, most) if evaluate(count, {name: middle}) < low else (least, middle)
    found: list[int] = []
    while low <= evaluate(count, {name: least}) <= high:
        if len(found) == LIST:
            return None
        found.append(least)
        least += 1
    return found
