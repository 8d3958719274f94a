"""Settings that are sizes, checked; and ranges of places as the bits of integers."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, TypeAlias

from ogive.dsl.patterns.space import PatternError

__all__ = ["LARGEST", "Sizes", "among", "axis_bits", "bits", "odd", "per_axis", "shown", "sizes", "whole"]

Sizes: TypeAlias = int | tuple[int, ...]
"""`7` is 7 along every axis, `(7, 14)` names two."""

LARGEST: Final = 2**31 - 1


def per_axis(size: Sizes, rank: int, called: str) -> tuple[int, ...]:
    """One number per axis.

    Raises:
        PatternError: the size names another number of axes than the grid has.
    """
    if isinstance(size, int):
        return (size,) * rank
    if len(size) != rank:
        grid = {1: "a sequence has one axis", 2: "the grid has two axes", 3: "the grid has three axes"}[rank]
        raise PatternError(
            f"`{called}` names {len(size)} axes; {grid}", setting="n",
            help=f"one number is that many along every axis: `{called.split('(')[0]}({size[0]})`",
        )
    return size


def sizes(value: Sizes, op: str, setting: str, least: int = 1) -> Sizes:
    """`value` with one number unpacked, and every number checked."""
    numbers = value if isinstance(value, tuple) else (value,)
    if not 1 <= len(numbers) <= 3:
        raise PatternError(f"`{setting}` of `{op}` names one to three axes, here are {len(numbers)}", setting=setting)
    for n in numbers:
        whole(n, op, setting, least)
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


def whole(value: int, op: str, setting: str, least: int = 1) -> None:
    """Refuse what is no whole number, or none in range."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise PatternError(f"`{setting}` of `{op}` is a whole number; here is {value!r}", setting=setting)
    if not least <= value <= LARGEST:
        bound = f"at least {least}" if value < least else f"at most {LARGEST:,}"
        raise PatternError(f"`{setting}` of `{op}` is {bound}; here is {value}", setting=setting)


def odd(value: Sizes, op: str) -> None:
    """Refuse sizes without a middle."""
    for n in value if isinstance(value, tuple) else (value,):
        if n % 2 == 0:
            raise PatternError(
                f"`{op}` needs an odd size, here is {n}: a query stands in the middle", setting="n",
                help=f"`{op}({n - 1})` or `{op}({n + 1})`",
            )


def shown(size: Sizes) -> str:
    """A size as it is written: `7` or `7x14`."""
    return str(size) if isinstance(size, int) else "x".join(map(str, size))


@lru_cache(4096)
def bits(span: range, gap: int = 1) -> int:
    """The integer with bit i * gap set for each i of `span`."""
    count, step = len(span), span.step * gap
    if count == 0:
        return 0
    have, found = 1, 1
    while have < count:
        more = min(have, count - have)
        found |= (found & ((1 << (more * step)) - 1)) << (have * step)
        have += more
    return found << (span.start * gap)


def among(span: range, step: int) -> range | tuple[int, ...]:
    """The i with step * i in `span`: which keys stand on those places."""
    if step == 1:
        return span
    if span.step == 1:
        return range(-(-span.start // step), -(-span.stop // step))
    return tuple(i for i in range(-(-span.start // step), -(-span.stop // step)) if i * step in span)


def axis_bits(span: range, step: int, gap: int) -> int:
    """The bits of `among(span, step)`, `gap` apart."""
    found = among(span, step)
    return bits(found, gap) if isinstance(found, range) else sum(1 << (i * gap) for i in found)
