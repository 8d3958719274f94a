"""The forms of INT8 attention: their words, what each may be off by, and which numbers get a code. No torch.

    int8        q and k in INT8, a scale for 32 neighbours; weights and v in 16 bits
    int8-token  q and k in INT8, a scale for each token; weights and v in INT8 too
    int8-fp8    q and k as in int8-token; weights and v in FP8, for GPUs that multiply it: 8.9, 9.0 and later
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

__all__ = ["BOUNDS", "GROUP", "WIDEST", "LEVELS", "WORDS", "Bound", "Form", "Reach"]

Form: TypeAlias = Literal["int8", "int8-token", "int8-fp8"]

WORDS: Final[tuple[Form, ...]] = ("int8", "int8-token", "int8-fp8")
"""The precisions that are INT8."""

LEVELS: Final = ("int8-token", "int8-fp8")
"""Those whose weights and v have 8 bits too."""

GROUP: Final = 32
"""Neighbours whose codes share a scale in `int8`: of 64 a few large ones spoil more, and nothing is saved."""

Reach: TypeAlias = tuple[float, float, float]
"""The largest size of a number of q, of k less its mean, and of v, that gets a code. Heads with larger ones, or with
what is not finite, are computed in 16 bits."""

WIDEST: Final[Reach] = (32768.0, 32768.0, 32768.0)
"""Where no plan says less."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What the answers of an attention may be off by: relative L2 at most, cosine at least."""

    l2: float
    cosine: float


BOUNDS: Final[Mapping[Form, Bound]] = MappingProxyType({
    "int8": Bound(0.016, 0.9995), "int8-token": Bound(0.02, 0.9995), "int8-fp8": Bound(0.05, 0.999),
})
"""What answers on normal numbers keep, at every length, and what calibration holds each form to, on every sample."""
