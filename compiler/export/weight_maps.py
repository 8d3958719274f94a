"""The weights of a checkpoint under the names of a network, and back: what a `WeightMap` says, done with tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ogive.dsl.diagnostics import fail
from ogive.dsl.weight_maps import Move, Rule, WeightMap

__all__ = ["Arrived", "arrive", "depart", "equal"]


@dataclass
class Arrived:
    """A checkpoint in the names of a network. Shapes are those of the file: they are not held against the network."""

    state: dict[str, Tensor] = field(default_factory=dict)
    there: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The keys of the file that each weight is made of."""
    lacking: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Weights that are not in the file, with the keys that were looked for."""
    unused: list[str] = field(default_factory=list)
    """Keys of the file that the map does not speak of."""
    skipped: list[str] = field(default_factory=list)
    """Those that the map says hold no weights."""
    wrong: dict[str, str] = field(default_factory=dict)
    """Weights that a rule cannot make of the tensors of the file, with the reason."""
    twice: list[tuple[str, str]] = field(default_factory=list)
    """Two names there of one weight, with different numbers."""


def equal(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold the same numbers; NaN is itself."""
    alike = a.shape == b.shape and a.dtype == b.dtype
    if a is b or a.is_meta or not alike:  # on the meta device there are no numbers
        return alike
    return bool(((a == b) | ((a != a) & (b != b))).all())


def arrive(plan: WeightMap, found: Mapping[str, Tensor]) -> Arrived:
    """A checkpoint's tensors, by its own keys, as weights of the network."""
    got = Arrived()
    left = dict(found)
    at = {key: move.theirs[0] for move in plan.moves for key in move.ours}
    for second, key in plan.second.items():
        if second not in left:
            continue
        tensor, first = left.pop(second), at[key]
        if first not in left:
            left[first] = tensor
        elif not equal(left[first], tensor):
            got.twice.append((first, second))
    for move in plan.moves:
        lacking = tuple(key for key in move.theirs if key not in left)
        if lacking:
            got.lacking.update(dict.fromkeys(move.ours, lacking))
        tensors = [left.pop(key) for key in move.theirs if key in left]
        if not lacking:
            got.there.update(dict.fromkeys(move.ours, move.theirs))
            _forwards(move, tensors, got)
    for key in left:
        (got.skipped if plan.skipped(key) else got.unused).append(key)
    return got


def _forwards(move: Move, tensors: list[Tensor], got: Arrived) -> None:
    """There to here: the tensors of one move."""
    rule = move.rule
    if rule is None or rule.word == "rename":
        got.state[move.ours[0]] = tensors[0]
        return
    shapes = [list(t.shape) for t in tensors]

    def refuse(why: str) -> None:
        made = f"of {', '.join(move.theirs)}: {why}"
        got.wrong.update({key: f"{key} {made}" for key in move.ours})

    if any(len(shape) <= rule.axis for shape in shapes) or (rule.word == "transpose" and len(shapes[0]) != 2):
        refuse(f"{shapes[0]} has too few axes for `{rule.word}`")
    elif rule.word == "fuse" and any(shape != shapes[0] for shape in shapes):
        refuse(f"they differ in shape, {', '.join(map(str, shapes))}")
    elif rule.word == "fuse":
        got.state[move.ours[0]] = torch.cat(tensors, rule.axis)
    elif rule.word == "transpose":
        got.state[move.ours[0]] = tensors[0].t().contiguous()
    elif rule.word == "slice":
        stop = shapes[0][rule.axis] if rule.stop is None else rule.stop
        if stop > shapes[0][rule.axis]:
            refuse(f"{shapes[0]} ends before {stop}")
            return
        got.state[move.ours[0]] = tensors[0].narrow(rule.axis, rule.start, max(stop - rule.start, 0)).contiguous()
    else:
        sizes = [shape[rule.axis] for shape in move.here]
        if sum(sizes) != shapes[0][rule.axis]:
            refuse(f"{shapes[0]} has not {' + '.join(map(str, sizes))} along axis {rule.axis}")
            return
        parts = tensors[0].split(sizes, rule.axis)
        got.state.update({key: part.contiguous() for key, part in zip(move.ours, parts, strict=True)})


def depart(plan: WeightMap, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the network under the checkpoint's keys; second names stand beside the first, same tensor.

    Raises:
        ArchError: A737, a `slice` has left something out, and no `fill` says what stood there.
    """
    made: dict[str, Tensor] = {}
    for move in plan.moves:
        rule = move.rule
        first = state[move.ours[0]]
        if rule is None or rule.word == "rename":
            made[move.theirs[0]] = first
        elif rule.word == "fuse":
            parts = first.chunk(len(move.theirs), rule.axis)
            made.update({key: part.contiguous() for key, part in zip(move.theirs, parts, strict=True)})
        elif rule.word == "split":
            made[move.theirs[0]] = torch.cat([state[key] for key in move.ours], rule.axis)
        elif rule.word == "transpose":
            made[move.theirs[0]] = first.t().contiguous()
        else:
            made[move.theirs[0]] = _widened(move, rule, first)
    for second, key in plan.second.items():
        made[second] = made[next(move.theirs[0] for move in plan.moves if key in move.ours)]
    return made


def _widened(move: Move, rule: Rule, tensor: Tensor) -> Tensor:
    """What a slice was cut from, as far as it is known."""
    if rule.start and rule.fill is None:
        raise fail(
            "A737", f"`{move.theirs[0]}` has {rule.start} places in front that the network does not keep",
            rule.node.span, help="`slice(start, stop, fill=0)` writes zeros there",
        )
    front = tensor.new_full((*tensor.shape[: rule.axis], rule.start, *tensor.shape[rule.axis + 1 :]), rule.fill or 0)
    return torch.cat([front, tensor], rule.axis)
