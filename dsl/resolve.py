"""Names without values: what is wrong with a definition whatever sizes and settings it meets.

The builder checks what it reaches. A branch not taken and a block not used are not reached; here their ops, settings
and names are looked up all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.containers import CONTAINERS
from ogive.dsl.diagnostics import Diagnostic, offer
from ogive.dsl.evaluate import no_pass, unread
from ogive.dsl.load import Definition
from ogive.dsl.numbers import CONSTANTS, FUNCTIONS
from ogive.dsl.ops import RECORDS
from ogive.dsl.ops.activation import AXES
from ogive.dsl.patterns.names import CONSTRUCTORS
from ogive.dsl.settings import fields_of

__all__ = ["resolve"]


def resolve(definition: Definition) -> list[Diagnostic]:
    """Mistakes in names of a network or block."""
    node = definition.node
    assert isinstance(node, s.Network | s.Block)
    found = _Resolver(definition)
    found.names |= {p.name for p in node.params}
    found.collect(node.body)
    found.body(node.body)
    return found.mistakes


class _Resolver:
    """Flow-insensitive: a name counts as known when any line of the definition gives it."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition.node
        self.units = definition.unit.names
        self.names: set[str] = {"_", "training", *CONSTANTS, *CONSTRUCTORS}
        self.made: set[str] = set()
        self.mistakes: list[Diagnostic] = []

    # ------------------------------------------------------------------------------------ what gives names
    def collect(self, body: tuple[s.Stmt, ...]) -> None:
        for st in body:
            match st:
                case s.Input():
                    for port in st.ports:
                        self.names.add(port.name)
                        self._letters(port.shape)
                case s.Line():
                    self._line_names(st)
                case s.Repeat():
                    if st.index:
                        self.names |= set(st.index.names)
                        self._name(st.index.scope)
                    self.names |= {c.name for c in st.carries}
                    self.collect(st.body)
                case s.If():
                    for _, inner in st.branches:
                        self.collect(inner)
                case s.Scan():
                    self.names |= {name for name, _ in st.over} | {c.name for c in st.carries}
                    for name in st.label.names if st.label else ():
                        self._name(name)
                    self.collect(st.body)
                case s.Shared():
                    self.names.add(st.name)

    def _line_names(self, line: s.Line) -> None:
        for name in line.label.names if line.label else ():
            self._name(name)
        if line.shape is not None:
            self._letters(line.shape)
        if line.body is not None:
            func = line.flow.func if isinstance(line.flow, s.Call) else line.flow
            self._name(func if isinstance(func, s.Name | s.Made) else None)
            self.collect(line.body)

    def _name(self, name: s.Expr | None) -> None:
        match name:
            case s.Name():
                self.names.add(name.name)
            case s.Made():
                self.made.add(name.name)
            case s.Item():
                self._name(name.base)

    def _letters(self, shape: s.Shape) -> None:
        todo: list[s.Dim] = list(shape.dims)
        while todo:
            dim = todo.pop()
            match dim:
                case s.NameDim():
                    self.names.add(dim.name)
                case s.PinDim():
                    self.names.add(dim.name)
                    todo.append(dim.value)
                case s.OpDim():
                    todo += [dim.left, dim.right]
                case s.CeilDim():
                    todo.append(dim.value)
                case s.GroupDim():
                    todo += [d for segment in dim.segments for d in segment]

    # ------------------------------------------------------------------------------------ what uses names
    def body(self, body: tuple[s.Stmt, ...]) -> None:
        for st in body:
            if len(self.mistakes) >= limits.DIAGNOSTICS:
                return
            for expr, is_op in _expressions(st):
                self._use(expr, is_op)
            match st:
                case s.Line() if st.body is not None:
                    self.body(st.body)
                case s.Repeat() | s.Scan():
                    self.body(st.body)
                case s.If():
                    for _, inner in st.branches:
                        self.body(inner)

    def _known(self, name: str) -> bool:
        base = name.rstrip("0123456789")
        return name in self.names or (base != name and base in self.made)

    def _is_op(self, name: str) -> bool:
        return name in RECORDS or name in self.units or self._known(name)

    def _use(self, expr: s.Expr | s.Slice | None, is_op: bool) -> None:
        match expr:
            case s.Name(name="pass") if not self._known("pass"):
                self.mistakes += no_pass(expr.span).diagnostics
            case s.Name():
                if is_op and not self._is_op(expr.name):
                    self._wrong("A102", f"there is no op `{expr.name}`", expr, {*RECORDS, *self.units})
                elif not is_op and not self._is_op(expr.name):
                    self._wrong("A101", f"nothing here is called `{expr.name}`", expr, {*self.names, *self.units})
            case s.Call():
                self._call(expr)
            case s.Attr():
                self._use(expr.base, False)
            case s.Item():
                self._use(expr.base, False)
                self._use(expr.index, False)
            case s.Slice():
                self._use(expr.start, False)
                self._use(expr.stop, False)
            case s.ListExpr():
                for item in expr.items:
                    self._use(item, False)
            case s.Unary():
                self._use(expr.value, False)
            case s.Binary() | s.Compare():
                self._use(expr.left, False)
                self._use(expr.right, False)
            case s.Conditional():
                for part in (expr.then, expr.test, expr.other):
                    self._use(part, False)

    def _call(self, expr: s.Call) -> None:
        for arg in expr.args:
            if not _names_axis(expr, arg):
                self._use(arg.value, False)
        if not isinstance(expr.func, s.Name):
            self._use(expr.func, True)
            return
        name = expr.func.name
        if name in FUNCTIONS or name in CONTAINERS:
            return
        if name not in CONSTRUCTORS:
            self._use(expr.func, True)
        allowed = self._settings(name)
        for arg in expr.args:
            if arg.name is not None and allowed is not None and arg.name not in allowed:
                self.mistakes.append(Diagnostic(
                    "A301", f"`{name}` has no setting `{arg.name}`", arg.name_span,
                    help=offer(arg.name, allowed, "its settings")))

    def _settings(self, name: str) -> set[str] | None:
        """The settings an op takes; None when the name may mean several things."""
        if name in CONSTRUCTORS:
            return {p.name for p in CONSTRUCTORS[name].parameters}
        if name in self.names:
            return None
        if name in self.units:
            found = self.units[name]
            node = found.node if found is not None else None
            return {p.name for p in node.params} if isinstance(node, s.Network | s.Block | s.Pattern) else None
        record = RECORDS.get(name)
        return None if record is None else {*fields_of(record), *record.given}

    def _wrong(self, code: str, title: str, expr: s.Expr, known: set[str]) -> None:
        name = expr.name if isinstance(expr, s.Name) else ""
        labels = unread(name, self.definition) if code == "A101" else ()
        self.mistakes.append(Diagnostic(code, title, expr.span, labels=labels, help=offer(name, known, "known")))


def _names_axis(expr: s.Call, arg: s.Arg) -> bool:
    """`softmax(N)`: an axis by its role, not the name of a value."""
    record = RECORDS.get(expr.func.name) if isinstance(expr.func, s.Name) else None
    known = record is not None and "axis" in record.model_fields
    return known and isinstance(arg.value, s.Name) and arg.value.name in AXES


def _expressions(st: s.Stmt) -> Iterator[tuple[s.Expr, bool]]:
    """The expressions of a statement, and whether each stands at an op place."""
    match st:
        case s.Line():
            yield from ((x, False) for x in st.sources or ())
            func = st.flow.func if isinstance(st.flow, s.Call) else st.flow
            if st.body is None:
                yield st.flow, isinstance(func, s.Name) and (st.sources is not None)
            elif isinstance(st.flow, s.Call):
                yield from ((a.value, False) for a in st.flow.args)
        case s.Return():
            yield from ((r.value, False) for r in st.results)
        case s.Assert():
            yield st.test, False
        case s.Shared():
            yield st.value, False
        case s.Repeat():
            yield st.count, False
            yield from ((x, False) for x in st.sources or ())
            yield from ((c.start, False) for c in st.carries)
        case s.If():
            yield from ((test, False) for test, _ in st.branches if test is not None)
        case s.Scan():
            yield from ((x, False) for _, x in st.over)
            yield from ((c.start, False) for c in st.carries)
        case s.Next():
            yield st.value, False
        case s.Emit():
            yield from ((r.value, False) for r in st.results)
