"""Attention patterns as data: sets of (query, key) pairs. This version knows the dense and the causal one;
the algebra of the others (window, sliding, axial, unions, ...) has its place here and is refused by name until then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["LATER_MECHANISMS", "LATER_PATTERNS", "Causal", "Dense", "Pattern"]


@dataclass(frozen=True, slots=True)
class Dense:
    """Every query sees every key."""

    def __str__(self) -> str:
        return "dense"

    def pairs(self, queries: int, keys: int) -> int:
        """How many (query, key) pairs are in the set."""
        return queries * keys


@dataclass(frozen=True, slots=True)
class Causal:
    """Query q sees key k when k <= q + (keys - queries): the last query sees the last key."""

    def __str__(self) -> str:
        return "causal"

    def pairs(self, queries: int, keys: int) -> int:
        """How many (query, key) pairs are in the set."""
        offset = keys - queries
        return sum(max(0, min(keys, q + offset + 1)) for q in range(queries))


Pattern = Dense | Causal

LATER_PATTERNS: Final = frozenset(
    ["self", "prefix", "window", "sliding", "axial", "strided", "dilated", "block", "global_tokens", "random",
     "per_head", "flat"]
)
LATER_MECHANISMS: Final = frozenset(["linformer", "kernel", "performer", "nystrom", "pooled", "latent"])
