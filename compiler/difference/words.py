"""A difference as text: what happened to the nodes, to the keys, to the figures. Aligned, and to be read aloud."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from ogive.compiler.difference.changes import KINDS
from ogive.compiler.difference.fold import Folded, folded
from ogive.compiler.difference.keys import Keys
from ogive.compiler.difference.scopes import Index, labels

if TYPE_CHECKING:
    from ogive.compiler.difference.report import Difference

__all__ = ["lines", "said"]

MOST: Final = 200
"""Lines of a section."""

LONGEST: Final = 100
"""A value of a setting is cut behind so many letters."""


def lines(of: Difference) -> list[str]:
    """The lines; one where there is no difference."""
    if not of:
        return [f"{of.before} and {of.after} are the same: nodes, settings, wiring and keys"]
    found = [f"{of.before} -> {of.after}: {_summary(of)}"]
    found += _section("nodes", [said(row) for row in of.folded])
    for when, own in of.only.items():
        found += _section(f"where {when}", [said(row) for row in folded(own, of.match)])
    found += _section("keys", list(_keys(of.keys)))
    if of.keys.rules:
        found += ["", "a checkpoint from before loads through this map, in the file of the network after:",
                  f"  weights before of {of.match.after.graph.name.partition('.')[0]}:"]
        found += [f"      {rule}" for rule in of.keys.rules]
    found += _figures(of)
    return found


def said(row: Folded) -> tuple[str, str, str]:
    """A change in words: what happened, to what, how."""
    change = row.change
    path = row.path if change.what != "part" else f"{row.path}:"
    times = f"  ({row.count} times)" if row.count > 1 else ""
    if change.kind == "renamed":
        now = row.path + (f", a {change.op}" if change.what == "part" and change.op else "")
        return "renamed", row.before, f"-> {now}{times}"
    if change.kind == "rewired":
        return "rewired", path, f"reads {row.now or 'nothing'}, read {row.was or 'nothing'} before{times}"
    if change.kind == "changed":
        values = f"{_short(row.was)} -> {_short(row.now)}"
        if change.setting == "op":
            return "changed", path, f"{values}{times}"
        return "changed", path, f"{change.op}: {change.setting} {values}{times}"
    if change.what == "assumption":
        return change.kind, "assumption", row.path
    return change.kind, path, f"{_short(change.op)}{times}".strip()


def _summary(of: Difference) -> str:
    """`2 nodes added, 12 changed; 12 keys renamed, 3 of another shape`."""
    nodes: list[str] = []
    for kind in KINDS:
        own = [c for c in of.changes if c.kind == kind and c.what in ("node", "part")]
        count = len({c.path for c in own})
        if count:
            nodes.append(f"{count} {'node' if count == 1 else 'nodes'} {kind}" if not nodes else f"{count} {kind}")
    other = [c for c in of.changes if c.what in ("result", "assumption")]
    nodes += [f"{n} {what}{'s' if n > 1 else ''}" for what in ("result", "assumption")
              if (n := sum(c.what == what for c in other))]
    keys = [
        f"{len(found)} {what}" for found, what in (
            (of.keys.renamed, "renamed"), (of.keys.reshaped, "of another shape"), (of.keys.gone, "gone"),
            (of.keys.new, "new"), (of.keys.tied, "tied otherwise"),
        ) if found
    ]
    if of.only:
        nodes.append(f"more where {', '.join(of.only)}")
    first = ", ".join(nodes) or "nodes as they were"
    return f"{first}; keys: {', '.join(keys)}" if keys else f"{first}; all {len(of.keys.kept)} keys as they were"


def _section(title: str, rows: Sequence[tuple[str, str, str]]) -> list[str]:
    if not rows:
        return []
    shown = rows[:MOST]
    first, second = (max(len(row[i]) for row in shown) for i in range(2))
    second = min(second, 60)
    found = ["", title, *(f"  {a:<{first}}  {b:<{second}}  {c}".rstrip() for a, b, c in shown)]
    return found if len(rows) == len(shown) else [*found, f"  and {len(rows) - MOST:,} more, which `--json` has"]


def _keys(keys: Keys) -> Iterator[tuple[str, str, str]]:
    """The keys, those of all indices of a repeat in one line."""
    before = [*keys.kept, *keys.renamed, *keys.reshaped, *keys.gone]
    after = [*keys.kept, *keys.renamed.values(), *(now for now, _, _ in keys.reshaped.values()), *keys.new]
    for key, text in _grouped([(old, f"-> {_parallel(old, now)}") for old, now in keys.renamed.items()], before):
        yield "renamed", key, text
    reshaped = [
        (old, f"{list(was)} -> {list(is_)}{f', now {now}' if now != old else ''}")
        for old, (now, was, is_) in keys.reshaped.items()
    ]
    for key, text in _grouped(reshaped, before):
        yield "reshaped", key, text
    for what, found, known in (("gone", keys.gone, before), ("new", keys.new, after)):
        for key, text in _grouped([(key, str(list(shape))) for key, shape in found.items()], known):
            yield what, key, text
    for key, (was, now) in keys.tied.items():
        yield "tied", key, f"to {now or 'nothing'}, to {was or 'nothing'} before"


def _parallel(old: str, now: str) -> str:
    """The key now; without its last name, where that is as it was."""
    node, dot, last = now.rpartition(".")
    return node if dot and "." in old and old.rpartition(".")[2] == last else now


def _grouped(rows: Sequence[tuple[str, str]], known: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Keys with what is said of them: those that are alike but for their numbers in one line, and those of one node."""
    universe: dict[str, set[Index]] = {}
    for key in known:
        form, index = _starred(key)
        universe.setdefault(form, set()).add(index)
    groups: dict[tuple[str, str], set[Index]] = {}
    texts: dict[tuple[str, Index], str] = {}
    for key, text in rows:
        form, index = _starred(key)
        texts[form, index] = text
        groups.setdefault((form, _like(text, [str(n) for n in index])), set()).add(index)
    nodes: dict[tuple[str, str, int], list[str]] = {}
    for (form, text), found in groups.items():
        for label in labels(form, found, frozenset(universe.get(form, ()))):
            node, dot, last = label.rpartition(".")
            real = text if len(found) > 1 else texts[form, next(iter(found))]
            nodes.setdefault((node + dot, real, len(found)), []).append(last)
    for (node, text, count), names in nodes.items():
        name = names[0] if len(names) == 1 else "{" + ", ".join(names) + "}"
        yield node + name, text + (f"  ({count * len(names)} times)" if count > 1 else "")


def _starred(key: str) -> tuple[str, Index]:
    parts = key.split(".")
    return ".".join("*" if p.isdecimal() else p for p in parts), tuple(int(p) for p in parts if p.isdecimal())


def _like(text: str, numbers: list[str]) -> str:
    """What is said of a key, with stars where another key in it has the same numbers."""
    words = text.split(" ")
    for i, word in enumerate(words):
        if not word.startswith("[") and [p for p in word.split(".") if p.isdecimal()] == numbers and numbers:
            words[i] = ".".join("*" if p.isdecimal() else p for p in word.split("."))
    return " ".join(words)


def _figures(of: Difference) -> list[str]:
    parts = [part for part in of.figures.parts if part.differs]
    rows = [("", "params", "", "", "MACs", "", "")]
    for part in (*parts, of.figures.whole):
        a, b = part.before, part.after
        name = "in all" if part is of.figures.whole else b if a in (b, None) else a if b is None else f"{a} -> {b}"
        rows.append((str(name), *_pair(part.params), *_pair(part.macs)))
    if of.figures.reason:
        rows = [row[:4] for row in rows]  # type: ignore[misc]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    found = ["", "figures"]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        found.append("  " + "  ".join(cells).rstrip())
    if of.figures.reason:
        found.append(f"  no multiply-adds: {of.figures.reason}; `--size` gives it")
    else:
        at = [", ".join(f"{name}={size}" for name, size in sizes.items()) for sizes in of.figures.sizes]
        if any(at):
            found.append(f"  at {at[0]}" + (f", then {at[1]}" if at[0] != at[1] else ""))
    return found


def _pair(values: tuple[int | None, int | None]) -> tuple[str, str, str]:
    """Before, after, and by how much."""
    a, b = values
    if not a and not b:
        return "", "", ""
    if a == b:
        return f"{a:,}", "as it was", ""
    change = ""
    if a and b is not None:
        share = 100 * (b - a) / a
        change = f"x{b / a:.1f}" if b >= 10 * a else f"{share:+.1f} %" if abs(share) >= 0.1 else f"{share:+.1g} %"
    return ("" if a is None else f"{a:,}", "" if b is None else f"{b:,}", change)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
