"""What each attention of a network is computed in: one word for all of them, or a word for those a path names.

    float32    products in float32, no tensor cores        bf16, fp16    products of halves, sums in float32
    tf32       float32 whose products are rounded to 10 bits: asked for by name alone
    int8, ...  the forms of `compiler/int8.py`: for inference, by name alone
    auto       bf16, or the form of INT8 that should be fastest, where the policy of the target says that it pays
    plan.json  what calibration wrote down for this network; with `auto`, the forms that it allows
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, TypeAlias

from ogive.compiler.calibrate.plan import KEPT, Plan, read_plan
from ogive.compiler.int8 import WIDEST, WORDS, Form, Reach
from ogive.compiler.targets import IN_ATTENTION
from ogive.dsl.diagnostics import fail, offer
from ogive.dsl.graph import Graph

__all__ = ["AUTO", "DEFAULT", "Given", "Precision", "precision_of"]

DEFAULT: Final = "bf16"
"""On a GPU, where nothing is said."""

AUTO: Final = "auto"

Given: TypeAlias = "str | os.PathLike[str] | Plan | Mapping[str, str] | Sequence[str] | None"
"""A word, the file of a plan, a plan, a mapping of path patterns to words, or words of a command line."""


@dataclass(frozen=True)
class Precision:
    """Rules from the first to the last: (path pattern, precision). The last that matches a path holds."""

    rules: tuple[tuple[str, str], ...]
    default: str = DEFAULT
    plan: Plan | None = None

    def at(self, path: str) -> str:
        """The precision of what stands at a path, as `blocks.0.attn.core`."""
        found = next((word for pattern, word in reversed(self.rules) if _matches(path, pattern)), None)
        if found is None and self.plan is not None and self.default != AUTO:
            return self.plan.attentions[path].form
        return self.default if found is None else found

    @property
    def plain(self) -> str:
        """The precision of everything that no rule and no plan is about."""
        return DEFAULT if self.default == AUTO else self.default

    def allowed(self, path: str) -> tuple[Form, ...]:
        """The forms of INT8 that `auto` may take there: those that a plan found good, else the first, which is least
        often far off."""
        return WORDS[:1] if self.plan is None else self.plan.attentions[path].good

    def reach(self, path: str) -> Reach:
        """Which numbers of q, k and v get codes there."""
        return WIDEST if self.plan is None else self.plan.attentions[path].reach

    @property
    def words(self) -> frozenset[str]:
        """Every precision that may come of it without a policy: what a plan keeps as it is counts as nothing."""
        planned = {layer.form for layer in self.plan.attentions.values()} - {KEPT} if self.plan is not None else set()
        own = set() if self.plan is not None and self.default != AUTO else {self.default}
        return frozenset({*own, *planned, *(word for _, word in self.rules)})

    def covers(self, paths: Sequence[str], graph: Graph | None = None) -> None:
        """Demand that every rule is about something, and that a plan is of this network.

        Raises:
            ArchError: A743, a pattern that matches none of the paths; A750, a plan of another network.
        """
        for pattern, _ in self.rules:
            if not any(_matches(path, pattern) for path in paths):
                help = f"the first stands at `{paths[0]}`; `*` matches any part of a path" if paths else (
                    "the network has no attention: leave it away"
                )
                raise fail("A743", f"no attention stands at `{pattern}`", help=help)
        if self.plan is not None and graph is not None:
            self.plan.fits(graph, list(paths))


def _matches(path: str, pattern: str) -> bool:
    """Whether the pattern is about the path itself, or about a scope around it."""
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}.*")


def precision_of(given: Given, default: str = DEFAULT) -> Precision:
    """Rules as they are given.

    `bf16` is for everything, and then the default; `blocks.*.attn=bf16` for what stands there. Of a plan and `bf16` for
    everything the plan holds, of a plan and a word for a path the word.

    Raises:
        ArchError: A742, a precision that is not there; A750, a plan that cannot be read; A803, two plans, or a plan for
            a path.
    """
    if given is None:
        return Precision((), default)
    pairs, plans = _pairs(given)
    if len(plans) > 1:
        raise fail("A803", "two plans are given, and a network has one", help="leave one of them out")
    known = (*IN_ATTENTION, AUTO)
    for _, word in pairs:
        if word not in known:
            raise fail("A742", f"there is no precision `{word}`", help=offer(word, known, "precisions"))
    for path, word in pairs:
        default = word if path == "*" else default
    return Precision(tuple((path, word) for path, word in pairs if path != "*"), default, *plans)


def _pairs(given: Any) -> tuple[list[tuple[str, str]], list[Plan]]:
    """Path patterns with their words, and plans."""
    if isinstance(given, Plan):
        return [], [given]
    if isinstance(given, Mapping):
        found = list(given.items())
    else:
        texts = [given] if isinstance(given, str | os.PathLike) else list(given)
        found = [(path or "*", word) for path, _, word in (_split(os.fspath(text)) for text in texts)]
    plans = [(path, word) for path, word in found if word.endswith(".json")]
    for path, word in plans:
        if path != "*":
            raise fail("A803", f"the plan `{word}` is for the whole network, and here it is for `{path}`",
                       help=f"`--precision {word}`")
    return [pair for pair in found if pair not in plans], [read_plan(Path(word)) for _, word in plans]


def _split(text: str) -> tuple[str, str, str]:
    """A word as (path pattern, sign, precision); the name of a file may hold the sign."""
    return ("", "", text) if text.endswith(".json") and Path(text).exists() else text.rpartition("=")
