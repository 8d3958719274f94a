"""Parts that the reader opens or closes by their paths: `blocks.3.attn`, `blocks.*`, `encoder.**`.

A path is that of the keys. `*` stands for any one word of it, `**` at the end for all that lies deeper. What is open
needs what it lies in to be open; what is closed hides what it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ogive.compiler.picture.fold import Folding
from ogive.dsl.diagnostics import fail, offer
from ogive.dsl.graph import Graph

__all__ = ["Choice", "choice_of", "general"]

Words: TypeAlias = tuple[str, ...]

DEEPER: Final = "**"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is opened and what is closed whatever the depth is."""

    expand: tuple[Words, ...] = ()
    collapse: tuple[Words, ...] = ()

    def opens(self, paths: Iterable[str]) -> bool:
        """Whether the part of one of these paths stands open: it is asked for, or holds what is."""
        return any(_holds(path.split("."), wish) for path in paths if path for wish in self.expand)

    def closes(self, paths: Iterable[str]) -> bool:
        """Whether the part of one of these paths is closed."""
        return any(_is(path.split("."), wish) for path in paths if path for wish in self.collapse)


def choice_of(graph: Graph, folding: Folding, expand: Sequence[str], collapse: Sequence[str]) -> Choice:
    """The choice by these paths.

    Raises:
        ArchError: A818 the network has no such part, A803 a path is both opened and closed.
    """
    expand, collapse = _listed(expand), _listed(collapse)
    if both := [path for path in expand if path in collapse]:
        raise fail("A803", f"`{both[0]}` is opened and closed", help="`expand` opens a part, `collapse` closes it")
    for path in (*expand, *collapse):
        _check(graph, path)
    runs = [run for all_of_them in folding.runs.values() for run in all_of_them if len(run.iterations) > 1]
    folds = [
        (graph.regions[run.drawn].path.split("."), [graph.regions[i].path.split(".") for i in run.iterations])
        for run in runs if graph.regions[run.drawn].path
    ]
    return Choice(_drawn(expand, folds), _drawn(collapse, folds))


def general(path: str) -> str:
    """A path with its numbers left open: `blocks.*.attn`."""
    return re.sub(r"(?<=\.)\d+(?=\.|$)", "*", path)


def _listed(paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((paths,) if isinstance(paths, str) else paths))


def _check(graph: Graph, path: str) -> None:
    parts = [region for region in graph.regions if region.path]
    wish = tuple(path.split("."))
    if any(_is(region.path.split("."), wish) for region in parts):
        return
    node = graph.nodes.get(path) or next((n for n in graph if n.key == path and path), None)
    if node is not None and node.primitive is not None:
        raise fail("A818", f"`{path}` is one op, `{node.op}`, which cannot be opened or closed",
                   help="name a block, a scope or a repeat that it lies in")
    names = dict.fromkeys(name for region in parts for name in (general(region.path), region.path))
    raise fail("A818", f"`{graph.name}` has no part `{path}`", help=offer(path, _outer(names), "its parts"))


def _outer(names: Iterable[str]) -> list[str]:
    """Outer parts first, those that stand for many before the many."""
    return sorted(names, key=lambda name: (name.count("."), any(word.isdecimal() for word in name.split("."))))


def _drawn(paths: Sequence[str], folds: list[tuple[list[str], list[list[str]]]]) -> tuple[Words, ...]:
    """The paths, and what they are in the iteration that is drawn for the one they name; outer repeats come first."""
    wishes = [tuple(path.split(".")) for path in paths]
    for drawn, iterations in folds:
        for wish in tuple(wishes):
            if len(wish) >= len(drawn) and any(_is(path, wish[: len(path)]) for path in iterations):
                wishes.append((*drawn, *wish[len(drawn) :]))
    return tuple(dict.fromkeys(wishes))


def _is(path: Sequence[str], wish: Words) -> bool:
    """Whether a path is what a wish names."""
    if wish and wish[-1] == DEEPER:
        return len(path) >= len(wish) - 1 and _is(path[: len(wish) - 1], wish[:-1])
    return len(path) == len(wish) and all(w in ("*", word) for word, w in zip(path, wish, strict=True))


def _holds(path: Sequence[str], wish: Words) -> bool:
    """Whether what a wish names lies at a path or deeper."""
    return _is(path, wish) or (len(path) < len(wish) and _is(path, wish[: len(path)]))

