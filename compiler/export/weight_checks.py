"""What can be wrong with the tensors of a file for a network: each check answers with problems, all of them said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import torch
from torch import Tensor

from ogive.compiler.export.weight_maps import Arrived, equal
from ogive.dsl.diagnostics import ArchError, Diagnostic, nearest

__all__ = [
    "Problem", "check_dtypes", "check_finite", "check_keys", "check_map", "check_shapes", "check_ties", "of_one_weight",
    "refused",
]

Problem: TypeAlias = tuple[str, str, tuple[str, ...]]
"""The code, title and notes of an error."""

MOST_NAMED: Final = 8
"""How many tensors of a kind an error names; it counts the others."""


def refused(problems: Iterable[Problem], note: str, help: str | None = None) -> ArchError:
    """All that is wrong with a file, as one error."""
    return ArchError(tuple(Diagnostic(code, title, notes=(*notes, note), help=help) for code, title, notes in problems))


def check_map(arrived: Arrived) -> list[Problem]:
    """What the rules of a map could not do, and its second names that differ."""
    problems: list[Problem] = []
    if arrived.wrong:
        lines = list(arrived.wrong.values())
        problems.append(("A737", f"{_many(lines, 'weight')} that the map cannot make", _some(lines)))
    problems += [_differ(first, second) for first, second in arrived.twice]
    return problems


def of_one_weight(wanted: Mapping[str, Tensor]) -> list[list[str]]:
    """The keys of each weight that has several, in a state_dict of the parameters themselves."""
    groups: dict[int, list[str]] = {}
    for key, tensor in wanted.items():
        groups.setdefault(id(tensor), []).append(key)
    return [group for group in groups.values() if len(group) > 1]


def check_ties(found: Mapping[str, Tensor], groups: Iterable[Sequence[str]]) -> list[Problem]:
    """Names of one weight that stand in the file with different numbers."""
    problems: list[Problem] = []
    for group in groups:
        there = [key for key in group if key in found]
        problems += [_differ(there[0], other) for other in there[1:] if not equal(found[there[0]], found[other])]
    return problems


def _differ(first: str, second: str) -> Problem:
    return "A736", f"`{first}` and `{second}` are one weight, and differ in the file", ()


def check_keys(
    found: Mapping[str, Tensor], wanted: Iterable[str], lacking: Mapping[str, tuple[str, ...]] | None = None
) -> list[Problem]:
    """Weights that are missing and tensors that are none. `lacking` are the keys that a map looked for."""
    known = dict.fromkeys(wanted)
    missing = [k for k in known if k not in found]
    unexpected = [k for k in found if k not in known]
    looked = {k: (lacking or {}).get(k, (k,)) for k in missing}
    problems: list[Problem] = []
    if missing:
        lines = [f"{', '.join(looked[k])}{_near(looked[k][0], unexpected)}" for k in missing[:MOST_NAMED]]
        problems.append(("A732", f"{_many(missing, 'weight')} not in the file", _some(lines, missing)))
    if unexpected:
        lines = [f"{k}{_near(k, missing or known)}" for k in unexpected[:MOST_NAMED]]
        title = f"{_many(unexpected, 'tensor')} in the file that the network does not have"
        problems.append(("A732", title, _some(lines, unexpected)))
    return problems


def check_shapes(found: Mapping[str, Tensor], wanted: Mapping[str, Sequence[int]]) -> list[Problem]:
    """Weights of another shape."""
    wrong = [k for k, shape in wanted.items() if k in found and tuple(found[k].shape) != tuple(shape)]
    lines = [f"{k}: {size(found[k].shape)} in the file, {size(wanted[k])} in the network" for k in wrong[:MOST_NAMED]]
    return [("A733", f"{_many(wrong, 'tensor')} of another shape", _some(lines, wrong))] if wrong else []


def check_dtypes(found: Mapping[str, Tensor], wanted: Mapping[str, torch.dtype]) -> list[Problem]:
    """Floats of any width go over into each other; a whole number never becomes a float, nor the other way round."""
    wrong = [k for k, kind in wanted.items() if k in found and found[k].is_floating_point() != kind.is_floating_point]
    lines = [f"{k}: {found[k].dtype} in the file, {wanted[k]} in the network" for k in wrong[:MOST_NAMED]]
    return [("A734", f"{_many(wrong, 'tensor')} of another element type", _some(lines, wrong))] if wrong else []


def check_finite(found: Mapping[str, Tensor]) -> list[Problem]:
    """Numbers that are infinite or none."""
    wrong = [k for k, t in found.items() if t.is_floating_point() and not bool(torch.isfinite(t.float().sum()))]
    wrong = [k for k in wrong if not bool(torch.isfinite(found[k]).all())]  # a sum may overflow by itself
    return [("A735", f"{_many(wrong, 'tensor')} with numbers that are not finite", _some(wrong))] if wrong else []


def _near(key: str, known: Iterable[str]) -> str:
    near = nearest(key, known)
    return f" (near: {near})" if near else ""


def _many(keys: Sequence[str], word: str) -> str:
    return f"{len(keys)} {word}{'' if len(keys) == 1 else 's'}"


def _some(lines: Sequence[str], of: Sequence[str] | None = None) -> tuple[str, ...]:
    shown = tuple(lines[:MOST_NAMED])
    more = len(lines if of is None else of) - len(shown)
    return (*shown, f"and {more} more") if more > 0 else shown


def size(shape: Sequence[int]) -> str:
    """`3x4` in words; "a number" for none."""
    return "x".join(map(str, shape)) or "a number"
