"""Scopes that are written alike and have the keys `blocks.0`, `blocks.1`, ... as one `repeat`."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["folded"]

HEAD: Final = re.compile(r'( *)(\w+) as "(\w+)\.(\d+)":')


def folded(text: str) -> str:
    """`blocks_0 as "blocks.0":`, `blocks_1 as "blocks.1":`, ... -> `repeat n as blocks[i]:`, innermost ones first.

    Only runs that start at 0 and whose names nobody reads are folded.
    """
    lines = text.splitlines()
    places = [i for i, line in enumerate(lines) if HEAD.fullmatch(line)]
    for place in reversed(places):
        _fold(lines, place)
    return "\n".join(lines) + "\n"


def _fold(lines: list[str], place: int) -> None:
    """Fold the run whose first scope stands at `place`."""
    first = HEAD.fullmatch(lines[place])
    if first is None or first[4] != "0":
        return
    body = _body(lines, place)
    count, at = 1, place + 1 + len(body)
    names = [first[2]]
    while at < len(lines) and (found := HEAD.fullmatch(lines[at])) is not None:
        same = found[1] == first[1] and found[3] == first[3] and int(found[4]) == count
        if not same or _body(lines, at) != body:
            break
        names.append(found[2])
        count, at = count + 1, at + 1 + len(body)
    read = any(re.search(rf"\b{name}\b(?! as )", line) for name in names for line in lines)
    absolute = any(' as "/' in line for line in body)
    taken = any(re.match(rf" *{first[3]} =", line) for line in lines)
    if count > 1 and not (read or absolute or taken):
        lines[place:at] = [f"{first[1]}repeat {count} as {first[3]}[i]:", *body]


def _body(lines: list[str], head: int) -> list[str]:
    """The lines under a head: those that stand deeper."""
    depth = len(lines[head]) - len(lines[head].lstrip())
    end = head + 1
    while end < len(lines) and len(lines[end]) - len(lines[end].lstrip()) > depth:
        end += 1
    return lines[head + 1 : end]
