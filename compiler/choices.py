"""The kernel and the precision of each attention of a network on a GPU, by the path where it stands."""

from __future__ import annotations

from dataclasses import dataclass

from ogive.compiler.explain import Account
from ogive.compiler.int8 import WIDEST, Reach

__all__ = ["Chosen", "chosen_of"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A kernel of `policy.KERNELS`, None for none, and a precision; None leaves q, k and v as they are.

    `reach` says of INT8 which heads get codes.
    """

    kernel: str | None
    precision: str | None
    reach: Reach = WIDEST


def chosen_of(told: tuple[Account, ...]) -> dict[str, Chosen]:
    """The choices that accounts tell of."""
    return {
        name: Chosen(one.choice.kernel, one.precision, one.reach)
        for one in told if one.choice is not None for name in one.names
    }
