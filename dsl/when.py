"""What each call decides: `training`, and whether an optional input is given. Conditions on these are truth tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from ogive.dsl.diagnostics import ArchError
from ogive.dsl.source import Span

__all__ = ["ALWAYS", "NEVER", "TRAINING", "Case", "Partial", "When", "cases", "flag"]

TRAINING: Final = "training"
"""The flag that is true while a module trains."""

Case = Mapping[str, bool]
"""What one kind of call decides: each flag, true or not."""


@dataclass(frozen=True, slots=True)
class When:
    """A condition on flags: the assignments of `flags` (sorted) that make it true."""

    flags: tuple[str, ...]
    true: frozenset[tuple[bool, ...]]

    def __and__(self, other: When) -> When:
        return self._with(other, lambda a, b: a and b)

    def __or__(self, other: When) -> When:
        return self._with(other, lambda a, b: a or b)

    def __invert__(self) -> When:
        return _made(self.flags, lambda case: not self.holds(case))

    def holds(self, case: Case) -> bool:
        """Whether a call that decides the flags in this way meets it."""
        row: tuple[bool, ...] = tuple([case[name] for name in self.flags])
        return row in self.true

    @property
    def always(self) -> bool:
        return len(self.true) == 1 << len(self.flags)

    @property
    def never(self) -> bool:
        return not self.true

    def implies(self, other: When) -> bool:
        return (self & ~other).never

    def given(self, known: When) -> When:
        """This condition where `known` holds: ALWAYS or NEVER when that decides it."""
        return ALWAYS if known.implies(self) else NEVER if (known & self).never else self

    def said(self, known: When) -> When:
        """This condition with what `known` decides left out of its words."""
        told = {name: True for name in self.flags if known.implies(flag(name))}
        told |= {name: False for name in self.flags if known.implies(~flag(name))}
        return _made(self.flags, lambda case: self.holds({**case, **told})) if told else self

    def _with(self, other: When, join: Any) -> When:
        if self.flags == other.flags:  # the usual case, and quick
            names = self.flags
        else:
            names = tuple(sorted({*self.flags, *other.flags}))
        return _made(names, lambda case: join(self.holds(case), other.holds(case)))

    def __str__(self) -> str:
        """`training`, `not noise`, `training and noise`."""
        if self.always or self.never:
            return "always" if self.always else "never"
        lone = (~self).true
        if len(lone) == 1 and len(self.true) > 1:
            [case] = lone
            return " or ".join(f"not {name}" if on else name for name, on in zip(self.flags, case, strict=True))
        words = [
            " and ".join(name if on else f"not {name}" for name, on in zip(self.flags, case, strict=True))
            for case in sorted(self.true, reverse=True)
        ]
        return " or ".join(words)


def _made(flags: tuple[str, ...], holds: Any) -> When:
    """A condition by what it says of each case; flags that do not matter are left away."""
    rows = [dict(zip(flags, row, strict=True)) for row in product((False, True), repeat=len(flags))]
    true = {tuple(case.values()) for case in rows if holds(case)}
    kept = flags
    for name in flags:
        place = kept.index(name)
        on = {row[:place] + row[place + 1 :] for row in true if row[place]}
        off = {row[:place] + row[place + 1 :] for row in true if not row[place]}
        if on == off:
            kept, true = kept[:place] + kept[place + 1 :], on
    return When(kept, frozenset(true))


ALWAYS: Final = When((), frozenset({()}))
NEVER: Final = When((), frozenset())


def flag(name: str) -> When:
    """The condition that one flag is true."""
    return When((name,), frozenset({(True,)}))


def cases(flags: tuple[str, ...]) -> Iterator[Case]:
    """Every way to decide the flags, all of them off first."""
    for row in product((False, True), repeat=len(flags)):
        yield dict(zip(flags, row, strict=True))


@dataclass(frozen=True, slots=True)
class Partial:
    """A value that is there only when `when` holds: an optional input, a name given on one side of an `if`.

    `value` is None where it never is: an optional input of a block that this run does not give.
    """

    value: Any
    when: When
    name: str
    span: Span
    optional: bool = False
    clash: ArchError | None = None
    """Why the sides that give the name do not meet: said where it is read behind them, if it is."""
