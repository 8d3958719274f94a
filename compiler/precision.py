"""What each attention of a network is computed in: one word for all of them, or a word for those a path names.

    float32    products in float32, no tensor cores        bf16, fp16    products of halves, sums in float32
    tf32       float32 whose products are rounded to 10 bits: asked for by name alone
    int8       scores from INT8 codes of q and k per block of 64, weights and v in fp16
    int8-token the same per token, weights and v in INT8 too: both for inference, both by name alone
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from ogive.compiler.targets import IN_ATTENTION
from ogive.dsl.diagnostics import fail, offer

__all__ = ["DEFAULT", "Precision", "precision_of"]

DEFAULT: Final = "bf16"
"""On a GPU, where nothing is said."""


@dataclass(frozen=True, slots=True)
class Precision:
    """Rules from the first to the last: (path pattern, precision). The last that matches a path holds."""

    rules: tuple[tuple[str, str], ...]
    default: str = DEFAULT

    def at(self, path: str) -> str:
        """The precision of what stands at a path, as `blocks.0.attn.core`."""
        return next((word for pattern, word in reversed(self.rules) if _matches(path, pattern)), self.default)

    def covers(self, paths: Sequence[str]) -> None:
        """Demand that every rule is about something.

        Raises:
            ArchError: A743, a pattern that matches none of the paths.
        """
        for pattern, _ in self.rules:
            if not any(_matches(path, pattern) for path in paths):
                help = f"the first stands at `{paths[0]}`; `*` matches any part of a path" if paths else (
                    "the network has no attention: leave it away"
                )
                raise fail("A743", f"no attention stands at `{pattern}`", help=help)


def _matches(path: str, pattern: str) -> bool:
    """Whether the pattern is about the path itself, or about a scope around it."""
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}.*")


def precision_of(given: str | Mapping[str, str] | Sequence[str] | None, default: str = DEFAULT) -> Precision:
    """Rules as they are given: a word, a mapping of path patterns to words, or words of a command line.

    `bf16` is for everything, and then the default; `blocks.*.attn=bf16` for what stands there.

    Raises:
        ArchError: A742, a precision that is not there.
    """
    if given is None:
        return Precision((), default)
    if isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        words = [given] if isinstance(given, str) else list(given)
        pairs = [(path or "*", word) for path, _, word in (text.rpartition("=") for text in words)]
    for _, word in pairs:
        if word not in IN_ATTENTION:
            raise fail("A742", f"there is no precision `{word}`", help=offer(word, IN_ATTENTION, "precisions"))
    for path, word in pairs:
        default = word if path == "*" else default
    return Precision(tuple((path, word) for path, word in pairs if path != "*"), default)
