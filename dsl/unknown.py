"""The unknown that a `?` in place of a number is, while it is solved for: a size of its own, from 1 on."""

from __future__ import annotations

from typing import Final

from ogive.dsl.dims import Dim, Poly, symbol, symbols

__all__ = ["is_unknown", "unknown"]

MARK: Final = "?"  # no name of a file starts so


def unknown(number: int) -> Poly:
    """The unknown of the `?` that is met at this place, counted from 0."""
    return symbol(f"{MARK}{number + 1}")


def is_unknown(dim: Dim) -> bool:
    """Whether a size is made of unknowns alone: a number once these are known."""
    return isinstance(dim, Poly) and all(name.startswith(MARK) for name in symbols(dim))
