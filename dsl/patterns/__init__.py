"""Attention patterns as data: sets of (query, key) pairs, and the mechanisms that fill their place."""

from __future__ import annotations

from ogive.dsl.patterns.algebra import Pattern
from ogive.dsl.patterns.mechanisms import Mechanism
from ogive.dsl.patterns.named import Causal, Dense
from ogive.dsl.patterns.space import PatternError

__all__ = ["Causal", "Dense", "Mechanism", "Pattern", "PatternError"]
