"""A name that is read above the line that makes it: the order of two lines, or a circle."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from ogive.dsl import syntax as s
from ogive.dsl.diagnostics import ArchError, Label, fail
from ogive.dsl.source import Span
from ogive.dsl.trees import names_read

__all__ = ["made_further_down"]


def made_further_down(name: str, span: Span, body: tuple[s.Stmt, ...], notes: list[str]) -> ArchError | None:
    """The mistake of reading `name` at `span`, where a later line of the body, or of one around it, makes it."""
    for suite, inside in _around(body, span):
        reader = next(i for i, statement in enumerate(suite) if _holds(statement, span))
        maker = next((i for i in range(reader + 1, len(suite)) if name in _made(suite[i])), None)
        if maker is None:
            continue
        circle = _way(suite, maker, reader)
        if circle is None:
            labels = [Label(suite[maker].span.first(len(name)), "here")]
            return fail("A101", f"`{name}` is made further down", span, notes=notes, labels=labels,
                        help="move that line above this one")
        hint = "read what the step before left: a value that the loop carries (`with`, `next`)" if inside else \
            "one of these lines has to do without the other"
        labels = [Label(_name_of(suite[i]), f"needs {_needs(suite, i, circle)}") for i in circle[1:]]
        return fail("A101", f"`{name}` is made from itself", span, label="needed here", notes=notes, labels=labels,
                    help=hint)
    return None


def _around(body: tuple[s.Stmt, ...], span: Span, inside: bool = False) -> Iterator[tuple[tuple[s.Stmt, ...], bool]]:
    """The suites that hold a place, the innermost first, each with whether a loop carries values around it."""
    for statement in body:
        if _holds(statement, span):
            carries = inside or isinstance(statement, s.Repeat | s.Scan)
            for suite in _suites(statement):
                if any(_holds(x, span) for x in suite):
                    yield from _around(suite, span, carries)
            yield body, inside


def _suites(statement: s.Stmt) -> Iterator[tuple[s.Stmt, ...]]:
    if isinstance(statement, s.If):
        yield from (suite for _, suite in statement.branches)
    elif isinstance(statement, s.Repeat | s.Scan | s.Line) and statement.body is not None:
        yield statement.body


def _holds(statement: s.Stmt, span: Span) -> bool:
    """Whether a place stands in a statement: its header or its bodies."""
    here = statement.span.start <= span.start < statement.span.end
    return here or any(_holds(x, span) for suite in _suites(statement) for x in suite)


def _made(statement: s.Stmt) -> tuple[str, ...]:
    """The names that a statement gives."""
    if isinstance(statement, s.Line | s.Scan) and statement.label is not None:
        return tuple(x.name for x in statement.label.names if isinstance(x, s.Name))
    return (statement.name,) if isinstance(statement, s.Shared) else ()


def _sources(suite: tuple[s.Stmt, ...], i: int) -> set[int]:
    """The statements above the i-th that it reads: by name, or as the line above."""
    read = {name for name, _ in names_read(suite[i])}
    found = {next((j for j in range(i - 1, -1, -1) if name in _made(suite[j])), -1) for name in read} - {-1}
    flows = isinstance(suite[i], s.Line) and suite[i].sources is None and not found  # type: ignore[union-attr]
    return found | ({i - 1} if i and (flows or "_" in read) else set())


def _way(suite: tuple[s.Stmt, ...], start: int, goal: int) -> list[int] | None:
    """The shortest way from a statement up to one that it is made from, in the order of the text."""
    before = {start: start}
    waiting = deque([start])
    while waiting:
        here = waiting.popleft()
        if here == goal:
            way = [goal]
            while way[-1] != start:
                way.append(before[way[-1]])
            return way
        for i in sorted(_sources(suite, here), reverse=True):
            if i >= goal and i not in before:
                before[i] = here
                waiting.append(i)
    return None


def _name_of(statement: s.Stmt) -> Span:
    """The place of the name that a statement gives, or its first word."""
    names = _made(statement)
    return statement.span.first(len(names[0]) if names else len(statement.span.text.split()[0]))


def _needs(suite: tuple[s.Stmt, ...], i: int, circle: list[int]) -> str:
    """What the i-th statement reads of the one before it on the circle, the last one for the first."""
    before = suite[circle[circle.index(i) - 1]]
    names = _made(before)
    read = {name for name, _ in names_read(suite[i])}
    return next((f"`{name}`" for name in names if name in read), "the line above")
