"""Free sizes as `torch.export` wants them."""

from __future__ import annotations

import math
from typing import Any, Final

import torch

from ogive.compiler.guards import Contract
from ogive.compiler.module import Network
from ogive.dsl.conditions import Condition
from ogive.dsl.dims import Dim, evaluate, symbols

__all__ = ["dynamic_shapes"]

MOST: Final = 4096
"""Where the search for the smallest size gives up: an axis that stays at one element whatever the input."""


def dynamic_shapes(model: Network) -> dict[str, dict[int, Any]]:
    """The `dynamic_shapes` of `torch.export.export(model, (x,), dynamic_shapes=...)`: what the file leaves free.

    Each free letter is a `torch.export.Dim` of that name, shared by all inputs that have it; where the file promises
    that it divides (`H % 32 == 0`), a multiple of one. An axis that is computed of letters is left to torch
    (`Dim.AUTO`); pinned axes are not mentioned. Of a network where calls decide something, the kind of call of
    `model.graph`: evaluation without optional inputs.
    """
    contract = model.meta["ogive"]["contract"]
    made: dict[str, Any] = {}
    found: dict[str, dict[int, Any]] = {}
    for x in contract.inputs:
        axes = {i: _axis(dim, made, contract) for i, dim in enumerate(x.shape) if not isinstance(dim, int)}
        found[x.name] = axes
    return found


def _axis(dim: Dim, made: dict[str, Any], contract: Contract) -> Any:
    names = symbols(dim)
    name = next(iter(names))
    if len(names) != 1 or any(evaluate(dim, {name: n}) != n for n in (2, 3, 5)):
        return torch.export.Dim.AUTO
    if name not in made:
        step = _step(name, [guard.condition for guard in contract.guards])
        least = _least(name, step, contract)
        made[name] = torch.export.Dim(name, min=least) if step == 1 else (
            step * torch.export.Dim(f"{name}_{step}", min=least)
        )
    return made[name]


def _least(name: str, step: int, contract: Contract) -> int:
    """The smallest multiple of `step`, in steps, where no axis has one element: torch compiles such an axis apart."""
    axes = [dim for dim in contract.axes if symbols(dim) == {name}]
    least = 2 if step == 1 else 1
    while least < MOST and any(evaluate(dim, {name: least * step}) < 2 for dim in axes):
        least += 1
    return least if least < MOST else 2


def _step(name: str, conditions: list[Condition]) -> int:
    """What a letter is a multiple of."""
    step = 1
    for condition in conditions:
        whole = isinstance(condition.right, int) and condition.kind == "divisible" and symbols(condition.left) == {name}
        if whole and evaluate(condition.left, {name: 1}) == 1 and evaluate(condition.left, {name: 2}) == 2:
            step = math.lcm(step, evaluate(condition.right, {}))
    return step
