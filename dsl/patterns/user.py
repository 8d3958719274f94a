"""Patterns that a file defines: `pattern disc(radius=4.0): allow (q.row - k.row) ** 2 + ... <= radius ** 2`.

    pattern near_far(near=7, far=4):                # odd heads look far, even heads near
        close = abs(q.row - k.row) <= near // 2 and abs(q.col - k.col) <= near // 2
        grid  = (q.row - k.row) % far == 0 and (q.col - k.col) % far == 0
        allow close if q.head % 2 == 0 else grid

A pair is in the set when one `allow` says so. Fields: `index` (row-major, without tokens outside the grid), `row`,
`col`, `frame`, `head`, `height` and `width` of the common grid, `is_prefix`. What reads a place is about cells of the
grid, as `window` is; an `allow` that asks for `is_prefix` speaks of tokens outside, too: a comparison that reads the
place of one does not hold. Lines with a name are worked out when they are asked for, once per pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ogive.dsl import syntax as s
from ogive.dsl.diagnostics import ArchError, fail
from ogive.dsl.patterns.algebra import Pattern
from ogive.dsl.patterns.predicate import FIELDS, PLACES, SLOTS, UNSET, Code, Env
from ogive.dsl.patterns.space import AXES, Space, raveled
from ogive.dsl.source import Span

__all__ = ["Program", "User"]


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """What `allow` lines have become. `inside` says of each that it is about cells of the grid alone."""

    allows: tuple[Code, ...]
    inside: tuple[bool, ...]
    slots: int
    fields: Mapping[str, Span]
    depth: int
    algebra: Pattern | None

    @property
    def rank(self) -> int:
        """How many axes the grid must have."""
        return 3 if "frame" in self.fields else 2 if self.fields.keys() & {"row", "col", "height", "width"} else 1


@dataclass(frozen=True, slots=True)
class User(Pattern):
    """A pattern of a file with its settings; equal when name, settings, lines and the patterns it uses are."""

    name: str
    settings: tuple[tuple[str, Any], ...]
    lets: tuple[s.Let, ...]
    allows: tuple[s.Allow, ...]
    uses: tuple[Pattern, ...]
    text: str = field(compare=False)
    program: Program = field(compare=False, repr=False)

    @property
    def expanded(self) -> Pattern:
        return self.program.algebra or self

    @property
    def inner(self) -> tuple[Pattern, ...]:
        return () if self.program.algebra is None else (self.program.algebra,)

    @property
    def slow(self) -> bool:
        return self.program.algebra is None or self.program.algebra.slow

    @property
    def places(self) -> bool:
        """It asks where positions stand, so queries and keys must stand on one grid."""
        return bool(self.program.fields.keys() & {*PLACES, "height", "width"})

    @property
    def inside(self) -> bool:
        """It is about cells of the grid alone."""
        return all(self.program.inside)

    def holds(self, q: int, k: int, space: Space, head: int = 0) -> bool:
        program = self.program
        if program.algebra is not None:
            return program.algebra.holds(q, k, space, head)
        env = self._env(q, space, head)
        env[5:10] = _fields(space, False)[k]
        env[14] = k
        cells = space.queries.cell(q) is not None and space.keys.cell(k) is not None
        return self._asked(env, cells)

    def row(self, q: int, space: Space, head: int = 0) -> int:
        program = self.program
        if program.algebra is not None:
            return program.algebra.row(q, space, head)
        env, keys = self._env(q, space, head), _fields(space, False)
        unset, cell, bits = [UNSET] * (program.slots - SLOTS), space.queries.cell(q) is not None, 0
        for k, values in enumerate(keys):
            env[5:10] = values
            env[14] = k
            env[SLOTS:] = unset
            if self._asked(env, cell and values[0] is not None):
                bits |= 1 << k
        return bits

    def _asked(self, env: Env, cells: bool) -> bool:
        program = self.program
        for code, inside in zip(program.allows, program.inside, strict=True):
            if (cells or not inside) and code.run(env):
                return True
        return False

    def _env(self, q: int, space: Space, head: int) -> Env:
        program = self.program
        if space.rank < program.rank:
            raise self.misfit(space.rank)
        env: Env = [UNSET] * program.slots
        env[:5] = _fields(space, True)[q]
        lengths = space.lengths if self.places else ()
        env[10:16] = head, *(lengths[-2:] if len(lengths) > 1 else (None, None)), q, None, space
        return env

    def misfit(self, rank: int) -> ArchError:
        """The error for a grid with too few axes."""
        names, program = AXES[rank], self.program
        name = next(f for f in FIELDS if f in program.fields and _needs(f) > rank)
        grid = f"has {' and '.join(names)}" if names else "has an index only"
        return fail(
            "A131", f"`{self}` reads `{name}`, and the {'grid' if names else 'sequence'} it is used on {grid}",
            program.fields[name], help=None if names else "name the grid of the tokens, as in `: B (h w) C`",
        )

    def __str__(self) -> str:
        return self.text


def _needs(name: str) -> int:
    return 3 if name == "frame" else 2 if name in ("row", "col", "height", "width") else 1


@lru_cache(16)
def _fields(space: Space, queries: bool) -> list[tuple[Any, ...]]:
    """index, row, col, frame, is_prefix of every position."""
    sequence, place = (space.queries, space.query) if queries else (space.keys, space.key)
    found: list[tuple[Any, ...]] = []
    for position in range(sequence.size):
        at = place(position) if space.steps is not None else None
        if sequence.cell(position) is None or at is None:
            found.append((None, None, None, None, sequence.cell(position) is None))
            continue
        row, col = (at[-2], at[-1]) if len(at) > 1 else (None, None)
        found.append((raveled(at, space.lengths), row, col, at[0] if len(at) > 2 else None, False))
    return found
