"""Published figures: the values that a printed one stands for, and a value printed alike."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Final

__all__ = ["BYTES", "UNITS", "bounds", "like", "rounded_up"]

UNITS: Final = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
BYTES: Final = {
    **{f"{unit}B": size for unit, size in UNITS.items()},
    **{f"{unit.upper()}iB": 1024**power for power, unit in enumerate(UNITS, 1)},
}
"""Units of bytes: `8GB` is 8 * 10**9, `8GiB` 8 * 2**30."""


def bounds(printed: str) -> tuple[Fraction, Fraction]:
    """The values that a printed figure stands for: `86M` is 85.5M to 86.5M, `86_567_656` itself alone."""
    text = printed.replace("_", "")
    if text[-1] not in UNITS:
        return Fraction(text), Fraction(text)
    digits = text[:-1]
    step = Fraction(UNITS[text[-1]], 10 ** len(digits.partition(".")[2]))
    value = Fraction(digits) * UNITS[text[-1]]
    return value - step / 2, value + step / 2


def like(printed: str, value: int) -> str:
    """`value` printed with the unit and digits of `printed`."""
    unit = printed[-1]
    if unit not in UNITS:
        return f"{value:_}"
    places = len(printed[:-1].partition(".")[2])
    return f"{value / UNITS[unit]:.{places}f}{unit}"


def rounded_up(printed: str, value: int) -> str:
    """The least budget with the unit and digits of `printed` that leaves room for `value`."""
    unit = next((u for u in (*reversed(BYTES), *UNITS) if printed.endswith(u)), "")
    if not unit:
        return f"{value}B" if printed.endswith("B") else f"{value:_}"
    places = len(printed.removesuffix(unit).partition(".")[2])
    step = Fraction({**UNITS, **BYTES}[unit], 10**places)
    return f"{float(ceil(value / step) * Fraction(1, 10**places)):.{places}f}{unit}"
