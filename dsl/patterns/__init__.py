"""Attention patterns as data: sets of (query, key) pairs."""

from __future__ import annotations

from typing import Final

from ogive.dsl.patterns.algebra import Pattern
from ogive.dsl.patterns.named import Causal, Dense

__all__ = ["LATER_MECHANISMS", "LATER_PATTERNS", "Causal", "Dense", "Pattern"]

LATER_PATTERNS: Final = frozenset(
    ["self", "prefix", "window", "sliding", "axial", "strided", "dilated", "block", "global_tokens", "random",
     "per_head", "flat"]
)
LATER_MECHANISMS: Final = frozenset(["linformer", "kernel", "performer", "nystrom", "pooled", "latent"])
