"""Numbers that may have stood in place of another: what is easily mistaken for it, and what a figure asks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, log, sqrt

__all__ = ["all_near", "by_parameters", "halved", "near_to", "usual_near", "where_quadratic"]


def by_parameters(found: Iterable[int], here: int, step: int, now: int, then: int, wanted: int) -> list[int]:
    """Numbers in the order in which they come near to the parameters that are wanted: by a line, and, between positive
    numbers, by a power of the number; `then` are the parameters with `here + step`."""
    if now == then:
        return list(found)
    meant = [here + step * (wanted - now) / (then - now)]
    if min(here, here + step, now, then, wanted) > 0:
        steps = log((here + step) / here) / log(then / now) * log(wanted / now)
        meant.append(here * exp(max(min(steps, 9.0), -9.0)))
    low, high = min(meant), max(meant)
    return sorted([*found, *map(round, meant)], key=lambda n: max(low - n, n - high, 0))


def near_to(number: int) -> list[int]:
    """Numbers that are easily mistaken for another: near ones, those with a digit less, doubles and halves, powers of
    ten; small ones."""
    text = str(number)
    fewer = [int(text[:i] + text[i + 1 :]) for i in range(len(text))] if number >= 10 else []
    near = [number - 1, number + 1, number * 2, number // 2, number - 2, number + 2, number * 4, number // 4]
    if number < 10:
        return [1, 2, *near, *range(10)]
    return list(dict.fromkeys([*near[:2], *fewer, *near[2:], number * 10, number - 8, number + 8]))


def halved(here: int) -> int:
    """From a number to the one that is built in its place: to its half, which costs less than twice of it."""
    return -(here // 2) if here > 2 and here % 2 == 0 else -1 if here > 2 else 1


def all_near(number: int) -> list[int]:
    """Numbers that may have stood in place of another, where trying them costs little."""
    return [*near_to(number), *range(max(number - 9, 0), number + 10), *usual_near(number), *range(10)]


def usual_near(number: int) -> list[int]:
    """Numbers that networks are often made of, within a factor of four."""
    usual = [2**n for n in range(3, 13)] + [3 * 2**n for n in range(2, 11)] + [14, 28, 56, 112, 224, 100, 1000]
    return [n for n in usual if number / 4 <= n <= 4 * number]


def where_quadratic(points: tuple[int, int, int], wanted: int) -> Sequence[float]:
    """Where the quadratic through (0, 1, 2) takes a value: parameters are quadratic in a width."""
    c = points[0] - wanted
    a = (points[2] - 2 * points[1] + points[0]) / 2
    b = points[1] - points[0] - a
    if a == 0:
        return [-c / b] if b else []
    root = b * b - 4 * a * c
    return [] if root < 0 else [x for x in ((-b + sqrt(root)) / (2 * a), (-b - sqrt(root)) / (2 * a)) if abs(x) < 1e6]
