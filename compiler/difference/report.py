"""All that is different between two networks, in one place: what is printed, written as JSON and drawn."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

from ogive.compiler.difference.changes import Change, changes
from ogive.compiler.difference.figures import Figures, figures_of
from ogive.compiler.difference.fold import Folded, folded
from ogive.compiler.difference.keys import Keys, keys_of
from ogive.compiler.difference.match import Match, match
from ogive.compiler.difference.picture import to_dot
from ogive.compiler.difference.words import lines
from ogive.compiler.picture.render import picture_of, place_for, suffix_of, write
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.graph import Graph
from ogive.dsl.when import Case

__all__ = ["Difference", "compare"]


@dataclass(frozen=True, eq=False)
class Difference:
    """What a network has otherwise than another: truthy when there is something.

    Attributes:
        before, after: what the two are called.
        changes: one for each node, part, result and assumption that is not as it was.
        keys: what becomes of the weights.
        figures: parameters and multiply-adds of both.
        match: which node is which.
        only: changes in calls of one kind alone (`training`), by that kind in words.
    """

    before: str
    after: str
    changes: tuple[Change, ...]
    keys: Keys
    figures: Figures
    match: Match = field(repr=False)
    only: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.changes or self.keys or self.only)

    @cached_property
    def folded(self) -> tuple[Folded, ...]:
        """The changes with those that are alike in all iterations of a repeat told once."""
        return folded(self.changes, self.match)

    def lines(self) -> list[str]:
        """The difference as text, a line each."""
        return lines(self)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def as_json(self) -> dict[str, Any]:
        return {
            "before": self.before, "after": self.after, "equal": not self,
            "changes": [change.as_json() for change in self.changes],
            "only": {when: [change.as_json() for change in found] for when, found in self.only.items()},
            "keys": self.keys.as_json(), "figures": self.figures.as_json(),
        }

    def draw(self, path: str | PathLike[str]) -> Path:
        """Draw both networks as one, what is new and gone marked: `.svg`, `.png`, `.pdf` or `.dot` by the path's end.

        Raises:
            ArchError: A810 the end of the path, A811 its folder, A812 no Graphviz, A813 Graphviz failed, A814 no fonts
                for a PNG or PDF, A815 too many boxes.
        """
        place = Path(path)
        suffix = suffix_of(place)
        place_for(place)
        return write(picture_of(to_dot(self), suffix), place)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """For notebooks: the picture, where there is a Graphviz, and the text."""
        bundle = {"text/plain": str(self)}
        if self:
            with contextlib.suppress(ArchError):
                bundle["image/svg+xml"] = picture_of(to_dot(self), "svg").decode("utf-8")
        return bundle


def compare(
    before: Graph, after: Graph, *, names: tuple[str, str] | None = None, sizes: Mapping[str, int] | None = None,
    cases: tuple[Sequence[tuple[Case, Graph]], Sequence[tuple[Case, Graph]]] = ((), ()),
) -> Difference:
    """Compare two networks.

    Args:
        names: what they are called; their own names where it is None.
        sizes: at which multiply-adds are taken; else B = 1 and H = W = 224.
        cases: the graphs of each kind of call, where calls decide something (`Network.cases`).

    Raises:
        ArchError: A802, one of the `sizes` is in neither, or one of them does not work at it.
    """
    found = match(before, after)
    every = tuple(changes(found))
    called = names or (before.name, after.name)
    only = dict(_only(before, after, cases, set(every)))
    return Difference(*called, every, keys_of(found), figures_of(found, sizes), found, only)


def _only(
    before: Graph, after: Graph, cases: tuple[Sequence[tuple[Case, Graph]], Sequence[tuple[Case, Graph]]],
    told: set[Change],
) -> Iterator[tuple[str, tuple[Change, ...]]]:
    """The changes of each kind of call that are not told yet."""
    left, right = ({tuple(sorted(case.items())): graph for case, graph in side} for side in cases)
    for case in dict.fromkeys([*left, *right]):
        a, b = left.get(case, before), right.get(case, after)
        if a is before and b is after:
            continue
        more = tuple(c for c in changes(match(a, b)) if c not in told)
        told = told | set(more)
        if more:
            yield " and ".join(name if on else f"not {name}" for name, on in case) or "always", more
