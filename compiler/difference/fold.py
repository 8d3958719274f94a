"""Changes that are alike in the iterations of a repeat, told once: `blocks.*.attn.qkv`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ogive.compiler.difference.changes import KINDS, Change
from ogive.compiler.difference.match import Match
from ogive.compiler.difference.scopes import ROOT, Index, Scope, Scopes, Starred

__all__ = ["Folded", "folded"]


@dataclass(frozen=True, slots=True)
class Folded:
    """One or several changes. `change` is the first of them; `path` and `before` are those of all."""

    change: Change
    path: str
    before: str
    was: str
    now: str
    count: int


def folded(changes: Iterable[Change], found: Match) -> tuple[Folded, ...]:
    """The changes by kind, then in their order, those that are alike folded."""
    groups: dict[tuple[object, ...], list[Change]] = {}
    for change in sorted(_whole(changes, found), key=lambda c: KINDS.index(c.kind)):
        old, new = change.before, change.after
        key = (
            change.kind, change.what, old and old.text, new and new.text, change.op, change.setting,
            _read(change.was, change.path), _read(change.now, change.path),
            None if old is None or new is None or old.index == new.index else (old.index, new.index),
        )
        groups.setdefault(key, []).append(change)
    rows: list[Folded] = []
    for group in groups.values():
        first = group[0]
        scopes = found.before if first.after is None else found.after
        for label, own in _labelled(group, scopes.labels):
            one = own[0]
            there = "" if one.before is None else one.before.text if len(own) > 1 else str(one.before)
            if one.before is not None and one.after is not None and one.before.index == one.after.index:
                there = _like(one.before.text, one.after.text, label)
            rows.append(Folded(
                one, label, there, _read(one.was, one.path, len(own) == 1), _read(one.now, one.path, len(own) == 1),
                len(own),
            ))
    return tuple(rows)


def _whole(changes: Iterable[Change], found: Match) -> Iterator[Change]:
    """The changes; a part that is new or gone with all that is in it is one."""
    parts = {
        "added": _alone(found.after, set(found.nodes.values())), "removed": _alone(found.before, set(found.nodes))
    }
    told: set[tuple[str, Starred]] = set()
    for change in changes:
        part = parts[change.kind].get(change.path) if change.what == "node" and change.kind in parts else None
        if part is None:
            yield change
        elif (change.kind, part.starred) not in told:
            told.add((change.kind, part.starred))
            count = len((found.after if change.kind == "added" else found.before).inside(part.path))
            new = change.kind == "added"
            yield Change(
                change.kind, "part", None if new else part.starred, part.starred if new else None,
                f"{part.title}, {count} nodes" if part.title else f"{count} nodes",
            )


def _alone(scopes: Scopes, known: set[str]) -> dict[Starred, Scope]:
    """For the path of a node, the outermost part around it that has no node which the other network has too."""
    found: dict[Starred, Scope] = {}
    for path, scope in scopes.of.items():  # outer ones first
        inside = scopes.inside(path)
        if path == ROOT or len(inside) < 2 or not known.isdisjoint(inside):
            continue
        for node in inside:
            found.setdefault(scopes.starred(node), scope)
    return found


def _labelled(group: list[Change], labels: object) -> list[tuple[str, list[Change]]]:
    """The changes of a group under the path that stands for them."""
    assert callable(labels)
    by_index: dict[Index, Change] = {change.index: change for change in group}
    names = labels(group[0].path.text, list(by_index))
    if len(names) == 1:
        return [(names[0], group)]
    found: list[tuple[str, list[Change]]] = []
    for name in names:
        own = [change for change in group if _within(change.path, name)]
        found.append((name, own))
    return found


def _within(path: Starred, label: str) -> bool:
    """Whether a path is one of those that a label stands for."""
    numbers = iter(path.index)
    for part, word in zip(path.text.split("."), _words(label), strict=True):
        if part != "*":
            continue
        if not _holds(word, next(numbers)):
            return False
    return True


def _words(label: str) -> list[str]:
    """The parts of a label; `{0..3, 7}` is one."""
    found, depth = [""], 0
    for letter in label:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "." and not depth:
            found.append("")
        else:
            found[-1] += letter
    return found


def _holds(word: str, number: int) -> bool:
    if word == "*":
        return True
    for run in word.strip("{}").split(", "):
        first, _, last = run.partition("..")
        if int(first) <= number <= int(last or first):
            return True
    return False


def _like(text: str, other: str, label: str) -> str:
    """A path with its stars written as they are in the label of the other."""
    if text.count("*") != other.count("*"):
        return text
    words = iter(word for part, word in zip(other.split("."), _words(label), strict=True) if part == "*")
    return ".".join(next(words) if part == "*" else part for part in text.split("."))


def _read(paths: tuple[Starred | str, ...], at: Starred, alone: bool = False) -> str:
    """Paths or values in words; paths keep their stars, unless the change at `at` is told alone."""
    return ", ".join(str(x) if isinstance(x, str) or alone else _relative(x, at) for x in paths)


def _relative(path: Starred, at: Starred) -> str:
    """A path as it is read from another: of the same iteration, of the one before, or of another repeat."""
    mine = at.index[: len(path.index)]
    if not path.index or mine == path.index or path.text.partition("*")[0] != at.text.partition("*")[0]:
        return path.text
    if len(mine) == len(path.index) and (*path.index[:-1], path.index[-1] + 1) == mine:
        return f"{path.text} of the one before"
    return str(path)
