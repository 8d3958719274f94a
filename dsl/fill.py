"""Numbers in place of `?`: what every network of a file agrees on is written into its text."""

from __future__ import annotations

from dataclasses import dataclass

from ogive.dsl import syntax as s
from ogive.dsl.asked import inside
from ogive.dsl.check import check
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.load import Unit
from ogive.dsl.source import Span

__all__ = ["Filled", "filled"]


@dataclass(frozen=True, slots=True)
class Filled:
    """A text with its `?` filled in: what was written where, and the `?` that were left, each with the reason."""

    text: str
    written: tuple[tuple[Span, str], ...]
    left: tuple[tuple[Span, str], ...]


def filled(unit: Unit) -> Filled:
    """The text of a file with the number in place of each `?`.

    One that stands for another number in another network stays, and so does a free size in a shape.

    Raises:
        ArchError: everything that is wrong with the file, a `?` that nothing decides among it.
    """
    report = check(unit, claims=False)
    if report.mistakes:
        raise ArchError(report.mistakes)
    found: dict[Span, dict[str, None]] = {}
    for built in report.built.values():
        for span, text in built.filled.items():
            found.setdefault(span, {})[text] = None
    written: list[tuple[Span, str]] = []
    left: list[tuple[Span, str]] = []
    for node in inside(unit.file.definitions):
        if not isinstance(node, s.Ask | s.AskDim):
            continue
        numbers = list(found.get(node.span, {}))
        if len(numbers) == 1 and numbers[0].isdecimal():
            written.append((node.span, numbers[0]))
        else:
            left.append((node.span, _why(numbers)))
    text = unit.source.text
    for span, number in sorted(written, key=lambda x: x[0].start, reverse=True):
        text = text[: span.start] + number + text[span.end :]
    return Filled(text, tuple(written), tuple(left))


def _why(numbers: list[str]) -> str:
    if not numbers:
        return "no network of this file reaches it, or it meets several sizes"
    return f"it is {' and '.join(numbers)}" if len(numbers) > 1 else f"it is `{numbers[0]}`, which is no number"
