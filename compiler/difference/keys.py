"""What becomes of the weights: keys that are called otherwise, keys that are gone or new, weights of another shape.

From what is only called otherwise follow the rules of a map of weights (`weights before of NET:`): with them, a
checkpoint of the first network is one of the second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from ogive.compiler.difference.match import Match

__all__ = ["Keys", "keys_of"]

Shape = tuple[int, ...]
NUMBER: Final = re.compile(r"(?<=\.)\d+(?=\.|$)|^\d+(?=\.)")
LETTERS: Final = "ijklmn"


@dataclass(frozen=True, eq=False)
class Keys:
    """The state_dict of the second network against that of the first.

    Attributes:
        kept: keys that load as they are.
        renamed: the key now of each key that is called otherwise and has its shape.
        reshaped: the key now, the shape it had and the shape it has, by the key before.
        gone, new: keys of one network alone, with their shapes.
        tied: the key that a key shares its numbers with, before and now, where that is different.
    """

    kept: tuple[str, ...]
    renamed: Mapping[str, str]
    reshaped: Mapping[str, tuple[str, Shape, Shape]]
    gone: Mapping[str, Shape]
    new: Mapping[str, Shape]
    tied: Mapping[str, tuple[str | None, str | None]]

    def __bool__(self) -> bool:
        return bool(self.renamed or self.reshaped or self.gone or self.new or self.tied)

    @property
    def loads(self) -> bool:
        """Whether a checkpoint of the first network can be loaded, once its keys are renamed."""
        return not (self.reshaped or self.new)

    @cached_property
    def rules(self) -> tuple[str, ...]:
        """The rules of a map of weights from the first network's keys to the second's; none where all are the same."""
        return _Rules(self).found

    def as_json(self) -> dict[str, Any]:
        return {
            "kept": len(self.kept), "renamed": dict(self.renamed),
            "reshaped": [
                {"before": key, "after": now, "was": list(was), "is": list(shape)}
                for key, (now, was, shape) in self.reshaped.items()
            ],
            "gone": {key: list(shape) for key, shape in self.gone.items()},
            "new": {key: list(shape) for key, shape in self.new.items()},
            "tied": [{"key": key, "was": was, "is": now} for key, (was, now) in self.tied.items()],
            "loads": self.loads, "rules": list(self.rules),
        }


def keys_of(found: Match) -> Keys:
    """The keys of two networks, by the nodes that own them."""
    a, b = found.before.graph, found.after.graph
    there = {(p.node, p.weight.name): key for key, p in b.parameters.items()}
    kept: list[str] = []
    renamed: dict[str, str] = {}
    reshaped: dict[str, tuple[str, Shape, Shape]] = {}
    gone: dict[str, Shape] = {}
    tied: dict[str, tuple[str | None, str | None]] = {}
    now_of: dict[str, str] = {}
    for key, p in a.parameters.items():
        node = found.nodes.get(p.node, p.node if p.node in a.elsewhere and p.node in b.elsewhere else "")
        now = there.get((node, p.weight.name))
        if now is not None:
            now_of[key] = now
    for key, p in a.parameters.items():
        now = now_of.get(key)
        if now is None:
            gone[key] = p.weight.shape
            continue
        other = b.parameters[now]
        if other.weight.shape != p.weight.shape:
            reshaped[key] = now, p.weight.shape, other.weight.shape
        elif now != key:
            renamed[key] = now
        else:
            kept.append(key)
        if (p.tied and now_of.get(p.tied, p.tied)) != other.tied:
            tied[now] = p.tied, other.tied
    used = set(now_of.values())
    new = {key: p.weight.shape for key, p in b.parameters.items() if key not in used}
    return Keys(tuple(kept), renamed, reshaped, gone, new, tied)


class _Rules:
    """Few rules for many keys: one for a part whose name alone is another, one for all indices of a repeat."""

    def __init__(self, keys: Keys) -> None:
        self.moves = {**keys.renamed, **{old: now for old, (now, _, _) in keys.reshaped.items() if old != now}}
        still = {key: key for key in keys.kept} | {
            old: now for old, (now, _, _) in keys.reshaped.items() if old == now
        }
        self.all = {**self.moves, **still}
        rules: list[str] = []
        done: set[str] = set()
        for old, now in self.moves.items():
            if old in done:
                continue
            for rule in self._candidates(old, now):
                took = self._takes(*rule)
                if took is not None and old in took:
                    rules.append(f'rename "{rule[0]}" -> "{rule[1]}"')
                    done |= took
                    break
        lost = [key for key in keys.gone]
        skips = list(dict.fromkeys(self._pattern(key, lost) for key in lost))
        if skips and self.moves:
            rules.append("skip [" + ", ".join(f'"{key}"' for key in skips) + "]")
        self.found = tuple(rules)

    def _candidates(self, old: str, now: str) -> list[tuple[str, str]]:
        """From the widest to the key itself."""
        left, right = old.split("."), now.split(".")
        shared = 0
        while shared < min(len(left), len(right)) - 1 and left[-1 - shared] == right[-1 - shared]:
            shared += 1
        pairs = [
            (".".join(left[: len(left) - n]), ".".join(right[: len(right) - n])) for n in range(shared, -1, -1)
        ]
        return [form for pair in pairs for form in (_lettered(*pair), pair) if form is not None]

    def _takes(self, old: str, now: str) -> set[str] | None:
        """The keys that a rule renames, as they are to be; None where it would rename one otherwise."""
        names: list[str] = re.findall(r"\{(\w)\}", old)
        form = re.compile(re.sub(r"\\\{\w\\\}", r"(\\d+)", re.escape(old)) + r"(\..*)?")
        took: set[str] = set()
        for key, wanted in self.all.items():
            hit = form.fullmatch(key)
            if hit is None:
                continue
            made = now
            for name, number in zip(names, hit.groups(), strict=False):
                made = made.replace("{" + name + "}", number)
            if made + (hit[len(names) + 1] or "") != wanted:
                return None
            took.add(key)
        return took

    def _pattern(self, key: str, lost: list[str]) -> str:
        """A key that is gone, with letters where all keys of that form are."""
        form = _lettered(key, key)
        if form is None:
            return key
        pattern = re.compile(re.sub(r"\\\{\w\\\}", r"(\\d+)", re.escape(form[0])))
        return key if any(pattern.fullmatch(other) for other in self.all) else form[0]


def _lettered(old: str, now: str) -> tuple[str, str] | None:
    """`blocks.{i}.a` and `layers.{i}.a` of `blocks.3.a` and `layers.3.a`; None where the numbers are not the same."""
    left, right = NUMBER.findall(old), NUMBER.findall(now)
    if not left or left != right or len(left) > len(LETTERS):
        return None
    return _put(old), _put(now)


def _put(key: str) -> str:
    letters = iter(LETTERS)
    return NUMBER.sub(lambda _: "{" + next(letters) + "}", key)


