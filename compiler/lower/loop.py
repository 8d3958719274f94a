"""The module that runs the body of a `scan` for each position."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Loop"]


class Loop(nn.Module):
    """`body(*items, *states, *rest)` for each position, on the states that the position before left.

    `body` answers the next states, then what it emits; it is a graph over the weights of the whole network, so this
    module has none. Inputs: the sequences, the first states, then what the body reads from outside. Answers the last
    states, then each emitted tensor with the positions as its second axis.
    """

    def __init__(self, axes: tuple[int, ...], states: int, emits: int) -> None:
        super().__init__()
        self.axes = axes
        self.states = states
        self.emits = emits

    @property
    def body(self) -> Any:
        """The graph that runs for each position. It is no child: its weights are those of the network."""
        return self.__dict__["_body"]

    def bind(self, body: nn.Module) -> None:
        self.__dict__["_body"] = body

    def forward(self, *args: Tensor) -> tuple[Tensor, ...]:
        many = len(self.axes)
        sequences, rest = args[:many], args[many + self.states :]
        states = args[many : many + self.states]
        emitted: list[tuple[Tensor, ...]] = []
        for t in range(sequences[0].shape[self.axes[0]]):
            items = [x.select(axis, t) for x, axis in zip(sequences, self.axes, strict=True)]
            made = self.body.forward(*items, *states, *rest)  # not called: the network's hooks are its own as well
            states = made[: self.states]
            emitted.append(made[self.states :])
        return (*states, *(torch.stack(parts, 1) for parts in zip(*emitted, strict=True)))

    def extra_repr(self) -> str:
        return f"sequences={len(self.axes)}, states={self.states}, emits={self.emits}"
