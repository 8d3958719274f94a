"""A reference whose weights bear other names: seen through a map, it can be held like one with our keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import torch
from parity import Calling

from ogive.compiler.export.weight_maps import arrive
from ogive.dsl.weight_maps import WeightMap

__all__ = ["Mapped", "ours"]


def ours(plan: WeightMap, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A reference's state_dict under our keys: nothing is missing, left over, or put together wrongly."""
    got = arrive(plan, state)
    assert not got.lacking and not got.unused and not got.wrong and not got.twice, got
    return got.state


class Mapped(Calling):
    """A reference that is called by `call`; its state_dict and its gradients are seen through a map."""

    def __init__(self, plan: WeightMap, module: torch.nn.Module, call: Callable[..., object]) -> None:
        super().__init__(module, call)
        self.plan = plan
        self.parameters = module.parameters  # type: ignore
        self.state_dict = lambda: ours(plan, module.state_dict())  # type: ignore
        self.named_parameters = self._gradients  # type: ignore

    def _gradients(self, **_: Any) -> Iterator[tuple[str, Any]]:
        """Each weight once, with its gradient; None where one of the tensors that it is made of has none."""
        there = dict(self.module.named_parameters(remove_duplicate=False))
        kept = {key: there[key] for move in self.plan.moves for key in move.theirs if key in there}
        held = ours(self.plan, {k: torch.zeros_like(p) if p.grad is None else p.grad for k, p in kept.items()})
        seen: set[tuple[int, ...]] = set()
        for move in self.plan.moves:
            made = [kept[key] for key in move.theirs]
            if (which := tuple(map(id, made))) not in seen:
                seen.add(which)
                for key in move.ours:
                    grad = None if any(p.grad is None for p in made) else held[key]
                    yield key, SimpleNamespace(grad=grad, requires_grad=all(p.requires_grad for p in made))
