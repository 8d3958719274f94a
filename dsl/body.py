"""Bodies of networks and blocks, statement by statement; a mistake is kept, and work goes on around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.asserts import Asserts
from ogive.dsl.containers import CONTAINERS
from ogive.dsl.diagnostics import ArchError, Diagnostic, Label, fail
from ogive.dsl.dims import TooLarge
from ogive.dsl.facts import Facts
from ogive.dsl.load import Definition
from ogive.dsl.names import Keys, Names
from ogive.dsl.source import Span
from ogive.dsl.values import POISON, Bundle, Module, OpValue, Out, Poison, Result, Silent, describe, is_list
from ogive.dsl.work import Body, Frame

__all__ = ["Bodies"]

SIZES: Final = ("A2", "A309")
"""Codes of mistakes that come of the sizes and numbers that a block is given."""
CALLS: Final = 3
"""Runs around a mistake that it labels: the outermost, and the innermost."""


class Bodies(Asserts):
    """Statements."""

    def suite(self, body: Sequence[s.Stmt], frame: Frame) -> None:
        """Run statements in order. A mistake is kept, its line's names and the flow become POISON, and work goes on."""
        for i, statement in enumerate(body):
            self.work.step(statement.span)
            try:
                self._statement(statement, frame)
            except ArchError as error:
                self.work.mistakes.add(*[_called(d, frame.body) for d in error.diagnostics])
                self.work.step(statement.span, limits.MISTAKE_STEPS)
                self._poison(statement, frame)
            except Silent:
                self._poison(statement, frame)
            except TooLarge:
                self.work.mistakes.add(
                    *fail("A509", "the sizes here grow beyond what can be followed", statement.span).diagnostics
                )
                self._poison(statement, frame)
            if frame.body.returned is not None:
                if isinstance(statement, s.Return) and i + 1 < len(body):
                    label = Label(statement.span, "the return")
                    after = fail("A115", "nothing follows a `return`", body[i + 1].span, labels=[label],
                                 help="a body ends with its `return`")
                    self.work.mistakes.add(*after.diagnostics)
                return

    def _statement(self, st: s.Stmt, frame: Frame) -> None:
        match st:
            case s.Line():
                if st.body is None:
                    self.line(st, frame)
                else:
                    self.container(st, frame)
            case s.Repeat():
                self.repeat(st, frame)
            case s.If():
                self.decide(st, frame)
            case s.Return():
                self._return(st, frame)
            case s.Assert():
                self.hold(st, frame)
            case s.Shared():
                self._shared(st, frame)
            case s.Next():
                self.next(st, frame)
            case s.Scan():
                self.scan(st, frame)
            case s.Emit():
                self.emit(st, frame)
            case s.Input():
                raise fail("A116", "an `input` stands at the head of a body", st.span,
                           help="above the lines that use it; under an `if` on parameters it may stand there too")
            case s.Presets() | s.Expect() | s.Budget():
                pass

    # ------------------------------------------------------------------------------------ after a mistake
    def _poison(self, statement: s.Stmt, frame: Frame) -> None:
        """What a statement would have named is known and wrong: its use says nothing."""
        frame.flow = POISON
        if isinstance(statement, s.Return):
            frame.body.returned = Bundle((POISON,))
        for name in _named(statement):
            try:
                word = self.made_name(name, frame)
            except (ArchError, Silent):
                continue
            if word not in frame.names.table:
                frame.names.table[word] = frame.names.entry(POISON, name.span, "node")
        for shape in _shapes(statement):
            self.unknown_letters(shape, frame)

    # ------------------------------------------------------------------------------------ statements
    def _return(self, st: s.Return, frame: Frame) -> None:
        self._refuse_inside(st, frame)
        outs: list[Result] = []
        labels: list[str] = []
        for result in st.results:
            value = self.there(self.value(result.value, frame), result.value.span)
            self.tensor_meant(value, result.value.span)
            if is_list(value):
                outs.append(self.listed(value, result.value.span))
            elif isinstance(value, Bundle):
                outs.append(self.result_of(value, result.value.span))
            elif isinstance(value, Out | Poison):
                outs.append(value)
            else:
                hint = f"run it on a line of its own: `y = x -> {value.name}`" if isinstance(value, OpValue) else None
                raise fail("A120", f"a result is a tensor; here is {describe(value)}", result.value.span, help=hint)
            if result.name and result.name in labels:
                raise fail("A103", f"two results are called `{result.name}`", result.span)
            labels.append(result.name or "")
        frame.body.returned = Bundle(tuple(outs), tuple(labels))

    def _refuse_inside(self, st: s.Return, frame: Frame) -> None:
        region = self.work.regions[frame.region]
        if region.kind not in ("block", "network"):
            what = "a repeat" if region.kind in ("repeat", "iteration") else f"`{region.title or region.kind}`"
            raise fail("A115", f"`return` stands inside {what}", st.span,
                       help="it ends the whole block: write it at the block's own level, last")

    def _shared(self, st: s.Shared, frame: Frame) -> None:
        value = self.value(st.value, frame)
        if isinstance(value, Poison):
            raise Silent
        if not isinstance(value, OpValue):
            raise fail("A121", f"`shared` declares a module; here is {describe(value)}", st.value.span,
                       help=f"`shared {st.name} = Block(...)`")
        key = frame.keys.under(st.name) if st.key is None else self.as_key(st.key, st.span, frame)
        module = value.module
        if module is None:
            module = Module(st.name, key, st.span, outer=frame.body.shared)
            self.work.modules += 1
            self.work.open_scope(key, st.span, frame.body.shared is not None)
        else:
            module.aliases.append((key, st.span))
            self.listed_again(module, key, st.span)
        made = OpValue(value.target, value.settings, value.span, value.preset, module)
        frame.names.bind(st.name, made, st.name_span, "shared")

    def file_frame(self, definition: Definition) -> Frame:
        """A frame with nothing but the names of a file."""
        body = Body(definition.unit, (definition.name,), Facts(), (definition.node,))
        return Frame(body, Names(), Keys(), 0)


def _called(d: Diagnostic, body: Body) -> Diagnostic:
    """A mistake of sizes in a block, with the runs that gave it these sizes: one of them may be the cause."""
    if not body.calls or not d.code.startswith(SIZES):
        return d
    places = [x for x in (d.span, *(label.span for label in d.labels)) if x is not None]
    calls = body.calls if len(body.calls) <= CALLS else (*body.calls[: CALLS - 1], body.calls[-1])
    runs = [Label(span, f"`{name}` runs here") for name, span in calls if all(_apart(x, span) for x in places)]
    return replace(d, labels=(*d.labels, *runs))


def _apart(a: Span, b: Span) -> bool:
    return a.source is not b.source or a.line != b.line


def _inner(statement: s.Stmt) -> Iterator[s.Stmt]:
    """The statements inside one whose names are handed out to its surroundings."""
    match statement:
        case s.If():
            for _, body in statement.branches:
                yield from body
        case s.Repeat() if statement.index is None or statement.index.scope is None:
            yield from statement.body
        case s.Line() if statement.body is not None and _word(statement) in CONTAINERS:
            yield from statement.body


def _word(line: s.Line) -> str:
    func = line.flow.func if isinstance(line.flow, s.Call) else line.flow
    return func.name if isinstance(func, s.Name) else ""


def _named(statement: s.Stmt) -> Iterator[s.Name | s.Made]:
    """The names that a statement gives to what stands below it."""
    match statement:
        case s.Line():
            for name in statement.label.names if statement.label else ():
                if isinstance(name, s.Name | s.Made):
                    yield name
                elif isinstance(name.base, s.Name):
                    yield name.base
            scope = statement.flow.func if isinstance(statement.flow, s.Call) else statement.flow
            if statement.body is not None and isinstance(scope, s.Name | s.Made) and _word(statement) not in CONTAINERS:
                yield scope
        case s.Repeat():
            if statement.index is not None and statement.index.scope is not None:
                yield statement.index.scope
            yield from (s.Name(c.name, c.span) for c in statement.carries)
        case s.Scan():
            for name in statement.label.names if statement.label else ():
                if isinstance(name, s.Name | s.Made):
                    yield name
            yield from (s.Name(c.name, c.span) for c in statement.carries)
        case s.Shared():
            yield s.Name(statement.name, statement.name_span)
        case s.Input():
            yield from (s.Name(p.name, p.name_span) for p in statement.ports)
    for inner in _inner(statement):
        yield from _named(inner)


def _shapes(statement: s.Stmt) -> Iterator[s.Shape]:
    """The annotations whose new letters stay known below a statement."""
    if isinstance(statement, s.Line) and statement.shape is not None:
        yield statement.shape
    if isinstance(statement, s.Input):
        yield from (p.shape for p in statement.ports)
    if not isinstance(statement, s.Repeat):
        for inner in _inner(statement):
            yield from _shapes(inner)
