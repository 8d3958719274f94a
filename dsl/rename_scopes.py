"""Which name means what: every place in a file where a name is given or read, by the thing that it names.

The scopes are those of the language: a file, each definition, `scope:` and `repeat ... as x[i]:`. Names are met in the
order in which they are bound while a network is built. What only building can tell, `x.name` of something that is
passed around and settings of an op parameter, is kept apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ogive.dsl import syntax as s
from ogive.dsl.containers import CONTAINERS
from ogive.dsl.rename_bindings import Binding, Kind, Places, Scope
from ogive.dsl.source import Span

__all__ = ["places"]


def places(file: s.File) -> Places:
    """Every binding of a file with its places."""
    found = _Finder(file)
    found.run()
    return found.places


class _Finder:
    def __init__(self, file: s.File) -> None:
        self.tree = file
        self.file = Scope("")
        self.places = Places(self.file)
        self.bodies: dict[str, Scope] = {}

    def run(self) -> None:
        for statement in self.tree.imports:
            for name in statement.names:
                self._give("import", name.alias, name.span, self.file).node = name
        for definition in self.tree.definitions:
            kind: Kind = "block" if isinstance(definition, s.Block) else "pattern" if isinstance(
                definition, s.Pattern) else "network"
            body = Scope(definition.name, self.file)
            self.file.inner.append(body)
            self.bodies[definition.name] = body
            made = self._give(kind, definition.name, definition.name_span, self.file)
            made.node, made.opens = definition, body
            for param in () if isinstance(definition, s.Derived) else definition.params:
                self._give("parameter", param.name, _start(param.span, param.name), body)
            for table in getattr(definition, "body", ()):
                for row in table.rows if isinstance(table, s.Presets) else ():
                    if row.name:
                        given = Binding("preset", row.name, body, [row.name_span])
                        body.presets[row.name] = given
                        self.places.bindings.append(given)
        for definition in self.tree.definitions:  # what a derived network derives from is known before it is called
            if isinstance(definition, s.Derived):
                base = _base(definition.value)
                self.bodies[definition.name].derives = self.bodies.get(base.name) if base else None
        for definition in self.tree.definitions:
            self._definition(definition, self.bodies[definition.name])
        for weights in self.tree.weights:
            for network in weights.networks:
                self._read(network.name, network.span, self.file)

    # ------------------------------------------------------------------------------------ giving and reading
    def _give(self, kind: Kind, name: str, span: Span, scope: Scope) -> Binding:
        while scope.lends and kind not in ("size", "index") and scope.parent is not None:
            scope = scope.parent
        known = scope.table.get(name)
        if known is None:
            known = scope.table[name] = Binding(kind, name, scope)
            self.places.bindings.append(known)
        known.spans.append(span)
        return known

    def _read(self, name: str, span: Span, scope: Scope, op: bool = False) -> Binding | None:
        """The thing that a name means here; at an op place nodes are passed over."""
        found = scope.find(name)
        if found is None or (op and found.kind in ("node", "scope", "input", "size", "index")):
            outer = self.file.table.get(name)
            found = outer if outer is not None else found
        if found is not None:
            found.spans.append(span)
            return found
        base = scope.made(name)
        if base is not None:
            base.spans.append(_start(span, base.name.removesuffix("{}")))
        return base

    def _definition(self, definition: s.Definition, body: Scope) -> None:
        if isinstance(definition, s.Derived):
            self._expr(definition.value, body)
            self._expects(definition.expects, body)
            return
        for param in definition.params:
            if param.default is not None:
                self._expr(param.default, body)
        if isinstance(definition, s.Pattern):
            for let in definition.body:
                self._expr(let.value if isinstance(let, s.Let) else let.test, body)
                if isinstance(let, s.Let):
                    self._give("constant", let.name, _start(let.span, let.name), body)
            return
        head = [x for x in definition.body if not isinstance(x, s.Expect | s.Budget)]
        self._suite(tuple(head), body)
        self._expects([x for x in definition.body if isinstance(x, s.Expect | s.Budget)], body)

    def _expects(self, tables: Sequence[s.Expect | s.Budget], body: Scope) -> None:
        at = body
        while at.derives is not None:
            at = at.derives
        for table in tables:
            if isinstance(table, s.Budget):
                columns = tuple(name for bound in table.bounds for name, _ in bound.sizes)
            else:
                columns = table.columns
            for column in columns:
                known = at.table.get(column.name)
                if known is not None and known.kind in ("input", "size"):
                    known.spans.append(column.span)
            for row in table.rows if isinstance(table, s.Expect) else ():
                if row.name in body.presets:
                    body.presets[row.name].spans.append(row.name_span)

    # ------------------------------------------------------------------------------------ statements
    def _suite(self, body: tuple[s.Stmt, ...], scope: Scope) -> None:
        for statement in body:
            self._statement(statement, scope)

    def _statement(self, st: s.Stmt, scope: Scope) -> None:
        match st:
            case s.Input():
                for port in st.ports:
                    self._give("input", port.name, port.name_span, scope)
                    self._shape(port.shape, scope)
            case s.Presets():
                self._presets(st, scope)
            case s.Line():
                self._line(st, scope)
            case s.Repeat():
                self._repeat(st, scope)
            case s.If():
                for test, inner in st.branches:
                    if test is not None:
                        self._expr(test, scope)
                    self._suite(inner, scope)
            case s.Shared():
                opens = self._expr(st.value, scope)
                self._key(st.key, st.span, scope)
                self._give("shared", st.name, st.name_span, scope).opens = opens
            case s.Return() | s.Emit():
                self._results(st, scope)
            case s.Assert():
                self._expr(st.test, scope)
            case s.Scan():
                self._scan(st, scope)
            case s.Next():
                self._expr(st.value, scope)
                found = re.match(r"next\s+", st.span.text)
                if found:
                    self._read(st.name, _part(st.span, found.end(), len(st.name)), scope)

    def _presets(self, st: s.Presets, scope: Scope) -> None:
        for column in st.columns:
            self._read(column.name, column.span, scope)
        for row in st.rows:
            for cell in row.cells:
                if not isinstance(cell, s.DefaultCell):
                    self._expr(cell, scope)

    def _line(self, line: s.Line, scope: Scope) -> None:
        for source in line.sources or ():
            self._expr(source, scope)
        self._key(line.key, line.key_span or line.span, scope)
        if line.body is None:
            func = line.flow.func if isinstance(line.flow, s.Call) else line.flow
            op = line.sources is not None or isinstance(line.flow, s.Call) or isinstance(func, s.Name)
            opens = self._expr(line.flow, scope, op)
            numbers = line.sources is None and isinstance(line.flow, s.Constant | s.SizeExpr | s.ListExpr)
            self._labels(line.label, scope, opens, "constant" if numbers else "node")
        else:
            self._body(line, line.body, scope)
        if line.shape is not None:
            self._shape(line.shape, scope)

    def _body(self, line: s.Line, body: tuple[s.Stmt, ...], scope: Scope) -> None:
        func = line.flow.func if isinstance(line.flow, s.Call) else line.flow
        for arg in line.flow.args if isinstance(line.flow, s.Call) else ():
            self._expr(arg.value, scope)
        if isinstance(func, s.Name) and func.name in CONTAINERS:
            self._suite(body, scope)
            self._labels(line.label, scope, None)
            return
        if not isinstance(func, s.Name | s.Made):
            return
        inner = Scope(func.name, scope)
        scope.inner.append(inner)
        self._suite(body, inner)
        self._labels(line.label, scope, inner)
        self._named(func, scope, inner, "scope")

    def _labels(self, label: s.Label | None, scope: Scope, opens: Scope | None, kind: Kind = "node") -> None:
        for name in label.names if label is not None else ():
            self._named(name, scope, opens, kind)

    def _named(self, name: s.Name | s.Made | s.Item, scope: Scope, opens: Scope | None, kind: Kind) -> None:
        if isinstance(name, s.Item):
            if not isinstance(name.index, s.Slice):
                self._expr(name.index, scope)
            if isinstance(name.base, s.Name):
                self._give(kind, name.base.name, name.base.span, scope).opens = opens
        elif isinstance(name, s.Made):
            self._expr(name.number, scope)
            self._give(kind, name.name + "{}", _start(name.span, name.name), scope).opens = opens
        else:
            self._give(kind, name.name, name.span, scope).opens = opens

    def _repeat(self, st: s.Repeat, scope: Scope) -> None:
        for source in st.sources or ():
            self._expr(source, scope)
        self._expr(st.count, scope)
        index = st.index
        head = index.scope if index is not None else None
        inner = Scope("" if head is None else head.name, scope, lends=head is None)
        scope.inner.append(inner)
        for carry in st.carries:
            self._expr(carry.start, scope)
            self._give("node", carry.name, _start(carry.span, carry.name), scope)
        if index is not None:
            start = 0 if head is None else head.span.end - index.span.start
            text = index.span.text[start:]
            found = list(re.finditer(r"[A-Za-z_]\w*", text))
            for i, (name, match) in enumerate(zip(index.names, found, strict=False)):
                span = _part(index.span, start + match.start(), len(name))
                if head is not None and i < len(index.names) - 1:
                    self._read(name, span, scope)
                else:
                    self._give("index", name, span, inner)
        self._suite(st.body, inner)
        if head is not None:
            self._named(head, scope, inner, "scope")

    def _scan(self, st: s.Scan, scope: Scope) -> None:
        inner = Scope("", scope)
        scope.inner.append(inner)
        for name, over in st.over:
            self._expr(over, scope)
            before = re.search(rf"\b{name}(?=\s+in\s*$)", over.span.source.text[: over.span.start])
            if before:
                self._give("node", name, Span(over.span.source, before.start(), before.end()), inner)
        for carry in st.carries:
            self._expr(carry.start, scope)
            self._give("node", carry.name, _start(carry.span, carry.name), inner)
        self._suite(st.body, inner)
        self._labels(st.label, scope, inner)

    def _results(self, st: s.Return | s.Emit, scope: Scope) -> None:
        body = scope
        while body.parent is not None and body.parent is not self.file:
            body = body.parent
        for result in st.results:
            self._expr(result.value, scope)
            if result.name and isinstance(st, s.Return):
                known = body.results.get(result.name)
                if known is None:
                    known = body.results[result.name] = Binding("result", result.name, body)
                    self.places.bindings.append(known)
                known.spans.append(_start(result.span, result.name))

    # ------------------------------------------------------------------------------------ shapes, keys
    def _shape(self, shape: s.Shape, scope: Scope) -> None:
        todo: list[s.Dim] = list(reversed(shape.dims))
        while todo:
            dim = todo.pop()
            match dim:
                case s.NameDim():
                    self._letter(dim.name, dim.span, scope)
                case s.PinDim():
                    self._letter(dim.name, _start(dim.span, dim.name), scope)
                    todo.append(dim.value)
                case s.ItemDim():
                    self._read(dim.name, _start(dim.span, dim.name), scope)
                    found = re.search(r"\[\s*", dim.span.text)
                    if isinstance(dim.index, str) and found:
                        self._read(dim.index, _part(dim.span, found.end(), len(dim.index)), scope)
                case s.OpDim():
                    todo += [dim.right, dim.left]
                case s.CeilDim():
                    todo.append(dim.value)
                case s.GroupDim():
                    todo += [d for segment in reversed(dim.segments) for d in reversed(segment)]

    def _letter(self, name: str, span: Span, scope: Scope) -> None:
        if scope.find(name) is None or scope.find(name) in self.file.table.values():
            self._give("size", name, span, scope)
        else:
            self._read(name, span, scope)

    def _key(self, key: str | None, span: Span, scope: Scope) -> None:
        """`as "/mlp.{i}"`: the names in braces."""
        if key is None or "{" not in key:
            return
        start = span.text.find(key)
        for found in re.finditer(r"\{\s*([A-Za-z_]\w*)\s*\}", key):
            self._read(found[1], _part(span, start + found.start(1), len(found[1])), scope)

    # ------------------------------------------------------------------------------------ expressions
    def _expr(self, expr: s.Expr, scope: Scope, op: bool = False) -> Scope | None:
        """Note the names of an expression; the scope that `.name` of its value looks into, where that is known."""
        match expr:
            case s.Name():
                found = self._read(expr.name, expr.span, scope, op)
                return found.opens if found is not None else None
            case s.Made():
                self._expr(expr.number, scope)
                found = scope.find(expr.name + "{}")
                if found is not None:
                    found.spans.append(_start(expr.span, expr.name))
                return found.opens if found is not None else None
            case s.Attr():
                return self._attr(expr, self._expr(expr.base, scope, op))
            case s.Item():
                opens = self._expr(expr.base, scope)
                for end in (expr.index.start, expr.index.stop) if isinstance(expr.index, s.Slice) else (expr.index,):
                    if end is not None:
                        self._expr(end, scope)
                return opens
            case s.Call():
                return self._call(expr, scope)
            case s.ListExpr():
                for item in expr.items:
                    self._expr(item, scope)
            case s.Unary():
                self._expr(expr.value, scope)
            case s.Binary() | s.Compare():
                self._expr(expr.left, scope)
                self._expr(expr.right, scope)
            case s.Conditional():
                for part in (expr.then, expr.test, expr.other):
                    self._expr(part, scope)
        return None

    def _attr(self, expr: s.Attr, base: Scope | None) -> Scope | None:
        if base is None:
            self.places.attributes.append(expr)
            return None
        at: Scope | None = base
        while at is not None:
            for table in (at.presets, at.results, at.table):
                if expr.name in table:
                    table[expr.name].spans.append(expr.name_span)
                    return base if table is at.presets else table[expr.name].opens
            made = at.made(expr.name)
            if made is not None and made.scope is at:
                made.spans.append(_start(expr.name_span, made.name.removesuffix("{}")))
                return made.opens
            at = at.derives
        return None

    def _call(self, expr: s.Call, scope: Scope) -> Scope | None:
        opens = self._expr(expr.func, scope, op=True)
        root = expr.func.base if isinstance(expr.func, s.Attr) else expr.func
        known = scope.find(root.name) if isinstance(root, s.Name) else None
        for arg in expr.args:
            self._expr(arg.value, scope)
            if arg.name is None:
                continue
            at = opens
            while at is not None and at.derives is not None:
                at = at.derives
            if at is not None and arg.name in at.table:
                at.table[arg.name].spans.append(_start(arg.span, arg.name))
            elif at is None and known is not None and known.kind != "import":
                self.places.settings.append((expr, arg))
        return opens


def _base(expr: s.Expr) -> s.Name | None:
    """The network that a derived one starts from."""
    if isinstance(expr, s.Call):
        expr = expr.func
    if isinstance(expr, s.Attr):
        expr = expr.base
    return expr if isinstance(expr, s.Name) else None


def _start(span: Span, name: str) -> Span:
    """The name at the start of a span."""
    return Span(span.source, span.start, span.start + len(name))


def _part(span: Span, offset: int, length: int) -> Span:
    return Span(span.source, span.start + offset, span.start + offset + length)
