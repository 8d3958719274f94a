"""A checkpoint made into weights of a network: by a map, at another size, with some weights drawn anew. Nothing is
changed or left out that was not asked for, and every weight is accounted for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from ogive.compiler.export.refit import rechannelled, resampled
from ogive.compiler.export.weight_checks import (
    Problem,
    check_dtypes,
    check_finite,
    check_keys,
    check_map,
    check_shapes,
    check_ties,
    refused,
    size,
)
from ogive.compiler.export.weight_maps import Arrived, arrive
from ogive.compiler.pipeline import compile
from ogive.dsl.diagnostics import fail, offer
from ogive.dsl.graph import Graph, Parameter
from ogive.dsl.weight_maps import Move, WeightMap

__all__ = ["Conversion", "Line", "Wishes", "convert"]

Status = Literal["loaded", "reshaped", "fresh", "unused"]
KINDS = {"float": torch.float32, "int": torch.int64, "bool": torch.bool}


@dataclass(frozen=True)
class Wishes:
    """What may be done beside renaming. `fresh` are keys of the network, or what stands above them, that are drawn
    anew; `drop` keys of the file that are left out; `grid` that of the file's positions, where it is no square."""

    resize: bool = False
    channels: bool = False
    grid: tuple[int, int] | None = None
    fresh: Sequence[str] = ()
    drop: Sequence[str] = ()
    seed: int = 0


@dataclass(frozen=True)
class Line:
    """One weight of the network, or one tensor of the file that became none: what happened to it, and how."""

    key: str
    status: Status
    shape: tuple[int, ...]
    there: tuple[str, ...] = ()
    how: str = ""

    def as_json(self) -> dict[str, Any]:
        about = {"key": self.key, "status": self.status, "shape": list(self.shape)}
        return {**about, "from": list(self.there), "how": self.how}


@dataclass
class Conversion:
    """The weights of the network by key, and what became of every weight and every tensor."""

    state: dict[str, Tensor] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)

    def count(self, status: Status) -> int:
        return sum(line.status == status for line in self.lines)


def convert(network: Any, found: Mapping[str, Tensor], plan: WeightMap | None, wishes: Wishes, name: str) -> Conversion:
    """The tensors of a file, called `name` in errors, as weights of `network`.

    Raises:
        ArchError: A732 weights are missing or tensors left over; A733 another shape, with what would make it fit; A734
            another element type; A735 numbers that are not finite; A736 two keys of one weight that differ; A737 the
            map, or the resampling, cannot be followed; A803 a wish for a key that is not there.
    """
    graph: Graph = network.graph
    plan = plan or _as_it_is(graph)
    left = {key: tensor for key, tensor in found.items() if not _below(key, wishes.drop)}
    _there("--drop", wishes.drop, found)
    _there("--fresh", wishes.fresh, graph.parameters)
    arrived = arrive(plan, left)
    made = Conversion()
    ties = _ties(graph)
    chosen = {key for key in graph.parameters if _below(key, wishes.fresh)}
    chosen.update(key for group in ties if chosen & set(group) for key in group)
    fresh = [key for key in graph.parameters if key in chosen]
    problems = [*check_map(arrived), *check_ties(arrived.state, ties)]
    for group in ties:  # where the file has one of several keys, it stands for all
        first = next((key for key in group if key in arrived.state), None)
        for key in group if first else ():
            arrived.state.setdefault(key, arrived.state[first or key])
    _fitted(graph, arrived, fresh, wishes, made)
    problems += _checked(graph, arrived, fresh, made)
    if problems:
        note = f"`{name}` has {len(found)} tensors, the network {len(graph.parameters)}; nothing was written"
        raise refused(problems, note, _help(graph, arrived, fresh, wishes, made, problems))
    _drawn(network, fresh, arrived, wishes, made)
    unused = [(key, "by --drop") for key in found if _below(key, wishes.drop)]
    unused += [(key, "no weight, says the map") for key in arrived.skipped]
    made.lines += [Line(key, "unused", tuple(found[key].shape), (key,), how) for key, how in unused]
    made.state = {key: made.state[key] for key in graph.parameters}
    for group in ties:  # one storage, so that it is written once
        made.state.update(dict.fromkeys(group[1:], made.state[group[0]]))
    return made


def _as_it_is(graph: Graph) -> WeightMap:
    """The map of a file that has the network's own keys."""
    shapes = {key: parameter.weight.shape for key, parameter in graph.parameters.items()}
    moves = tuple(Move((key,), (key,), (shape,), (shape,)) for key, shape in shapes.items())
    return WeightMap("", graph.name, moves, {}, ())


def _below(key: str, tops: Sequence[str]) -> bool:
    return any(key == top or key.startswith(f"{top}.") for top in tops)


def _there(option: str, tops: Sequence[str], keys: Mapping[str, object]) -> None:
    for top in tops:
        if not any(_below(key, [top]) for key in keys):
            raise fail("A803", f"`{option} {top}`: there is no such key", help=offer(top, keys))


def _ties(graph: Graph) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for key, parameter in graph.parameters.items():
        groups.setdefault(parameter.tied or key, []).append(key)
    return [group for group in groups.values() if len(group) > 1]


def _fitted(graph: Graph, arrived: Arrived, fresh: Sequence[str], wishes: Wishes, made: Conversion) -> None:
    """Every weight that is there, made to fit where that was asked for."""
    for key, parameter in graph.parameters.items():
        if key in fresh or key not in arrived.state:
            continue
        tensor, want, how = arrived.state[key], parameter.weight.shape, ""
        status: Status = "loaded"
        if tuple(tensor.shape) != want:
            fitted = _refit(graph, parameter, tensor, wishes)
            if fitted is not None:
                (tensor, how), status = fitted, "reshaped"
        kind = KINDS[parameter.weight.dtype]
        if tensor.dtype != kind and tensor.is_floating_point() == kind.is_floating_point:
            how = "; ".join(filter(None, (how, f"{_name(tensor.dtype)} to {_name(kind)}")))
            tensor = tensor.to(kind)
        made.state[key] = tensor
        made.lines.append(Line(key, status, want, arrived.there.get(key, ()), how))


def _refit(graph: Graph, parameter: Parameter, tensor: Tensor, wishes: Wishes) -> tuple[Tensor, str] | None:
    found = resampled(graph, parameter, tensor, wishes.grid) if wishes.resize else None
    return found or (rechannelled(graph, parameter, tensor) if wishes.channels else None)


def _checked(graph: Graph, arrived: Arrived, fresh: Sequence[str], made: Conversion) -> list[Problem]:
    wanted = [key for key in graph.parameters if key not in fresh and key not in arrived.wrong]
    there = {**made.state, **dict.fromkeys(arrived.unused, torch.zeros(0))}
    problems = check_keys(there, wanted, arrived.lacking)
    problems += check_shapes(made.state, {key: graph.parameters[key].weight.shape for key in wanted})
    problems += check_dtypes(made.state, {key: KINDS[graph.parameters[key].weight.dtype] for key in wanted})
    return problems + check_finite(made.state)


def _help(
    graph: Graph, arrived: Arrived, fresh: Sequence[str], wishes: Wishes, made: Conversion, problems: Sequence[Problem]
) -> str | None:
    """The option that would make the first misfit fit."""
    codes = {code for code, _, _ in problems}
    for key, tensor in made.state.items() if "A733" in codes else ():
        parameter = graph.parameters[key]
        if tuple(tensor.shape) == parameter.weight.shape:
            continue
        if not wishes.channels and rechannelled(graph, parameter, tensor):
            return f"`--channels` sums up what `{key}` has for other channels"
        if not wishes.resize and resampled(graph, parameter, tensor, wishes.grid):
            return f"`--resize` interpolates `{key}`, and others like it"
    top = next((key for key in graph.parameters if key not in made.state and key not in fresh), None) or next(
        (k for k, t in made.state.items() if tuple(t.shape) != graph.parameters[k].weight.shape), None)
    if top is not None and codes & {"A732", "A733"}:
        return f"`--fresh {top.rpartition('.')[0] or top}` draws what is missing or does not fit anew"
    if arrived.unused:
        return f"`--drop {arrived.unused[0]}` leaves it out"
    return None


def _drawn(network: Any, fresh: Sequence[str], arrived: Arrived, wishes: Wishes, made: Conversion) -> None:
    """The weights that are drawn anew, as the network draws them."""
    if not fresh:
        return
    with torch.random.fork_rng():
        torch.manual_seed(wishes.seed)
        drawn = compile(network).state_dict()
    for key in fresh:
        made.state[key] = drawn[key].detach()
        tensor = arrived.state.get(key)
        how = f"seed {wishes.seed}" + (f"; the file has {size(tensor.shape)}" if tensor is not None else "")
        made.lines.append(Line(key, "fresh", tuple(drawn[key].shape), (), how))


def _name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")
