"""Numbers that kernels look up, as one int32 tensor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

__all__ = ["Tables"]


class Tables:
    """One int32 tensor in the making; equal tables stand there once."""

    def __init__(self) -> None:
        self.pieces: list[np.ndarray] = []
        self.size = 0
        self.known: dict[bytes, int] = {}

    def add(self, numbers: Sequence[int] | np.ndarray) -> int:
        """The place where these numbers stand."""
        made = np.ascontiguousarray(np.asarray(numbers, dtype=np.int32).reshape(-1))
        key = made.tobytes()
        if key not in self.known:
            self.known[key] = self.size
            filled = np.zeros(-(-max(len(made), 1) // 4) * 4, np.int32)  # each starts at 16 bytes
            filled[: len(made)] = made
            self.pieces.append(filled)
            self.size += len(filled)
        return self.known[key]

    def tensor(self) -> torch.Tensor:
        """All of them, and four zeros: who walks through a list reads the item behind the one at hand."""
        return torch.from_numpy(np.concatenate([*self.pieces, np.zeros(4, np.int32)]))
