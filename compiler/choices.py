"""The kernel and the precision of each attention of a network on a GPU, by the path where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ogive.compiler.explain import Account, On, Unfused, accounts
from ogive.dsl.graph import Graph

__all__ = ["Chosen", "choices", "chosen_of"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A kernel of `policy.KERNELS`, None for none, and a precision; None leaves q, k and v as they are."""

    kernel: str | None
    precision: str | None


def choices(graph: Graph, on: On, unfused: Unfused, given: Mapping[str, int] | None = None) -> dict[str, Chosen]:
    """What the policy says of each attention at sizes, as `explain` tells it.

    Raises:
        ArchError: as `accounts`.
    """
    return chosen_of(accounts(graph, given, unfused, on))


def chosen_of(told: tuple[Account, ...]) -> dict[str, Chosen]:
    """The choices that accounts tell of."""
    return {
        name: Chosen(one.choice.kernel, one.precision) for one in told if one.choice is not None for name in one.names
    }
