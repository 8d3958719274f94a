"""Maps of weights after a renaming: their keys of the network follow it, those of the checkpoint stay."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ogive.dsl import syntax as s
from ogive.dsl.built import Built
from ogive.dsl.key_patterns import pattern_of
from ogive.dsl.load import Unit
from ogive.dsl.weight_maps import map_of, maps_of

__all__ = ["followed", "looks_elsewhere"]


def followed(unit: Unit, before: Mapping[str, Built], after: Mapping[str, Built]) -> str:
    """The text of `unit`, a file after a renaming, with the keys in its maps as they are now."""
    text = unit.source.text
    edits: dict[int, tuple[s.Constant, str]] = {}
    for old, new in zip(before.values(), after.values(), strict=False):
        moved = {a: b for a, b in zip(old.graph.parameters, new.graph.parameters, strict=False) if a != b}
        for node in maps_of(new.definition).values() if moved else ():
            for key in [key for rule in node.rules for key in rule.ours]:
                now = _now(key, moved) if node in unit.file.weights else None
                if now is not None:
                    edits[key.span.start] = key, now
    for key, now in sorted(edits.values(), key=lambda edit: edit[0].span.start, reverse=True):
        text = f'{text[: key.span.start]}"{now}"{text[key.span.end :]}'
    return text


def _now(key: s.Constant, moved: Mapping[str, str]) -> str | None:
    """What a key of a map is after the renaming; None where no weight that it names has another key."""
    pattern = pattern_of(str(key.value), key.span)
    for old, new in moved.items():
        if pattern.match(old) is None:
            continue
        parts, was, now = pattern.text.split("."), old.split("."), new.split(".")
        if len(was) != len(now):
            return None
        made = [
            part if a == b else b if "{" not in part else part.replace(_stem(a), _stem(b))
            for part, a, b in zip(parts, was, now, strict=False)
        ]
        return ".".join(made) if made != parts else None
    return None


def _stem(name: str) -> str:
    """`layer` of `layer3`."""
    return re.sub(r"\d+$", "", name)


def looks_elsewhere(old: Built, new: Built) -> str | None:
    """A map that would look for another key of the checkpoint than before, in words."""
    for name in maps_of(old.definition):
        for a, b in zip(map_of(old, name).moves, map_of(new, name).moves, strict=False):
            if a.theirs != b.theirs:
                return f"the map `{name}` has no rule for `{a.ours[0]}`: it would look for `{b.theirs[0]}`"
    return None
