"""Definitions and statements, from lark's tree to ours."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

from lark import Token

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.convert_expressions import Expressions
from ogive.dsl.convert_shapes import Shapes
from ogive.dsl.diagnostics import fail
from ogive.dsl.source import Span

__all__ = ["Converter"]

CONTAINERS = ("residual", "gate", "append")


@dataclass(frozen=True, slots=True)
class _Arrow:
    """`sources -> target`, on its way into a `Line`."""

    sources: tuple[s.Expr, ...]
    target: s.Expr


class Converter(Expressions, Shapes):
    """The rules of the file, its definitions and their statements. One per source."""

    # ------------------------------------------------------------------------------------ top level
    def on_start(self, c: list[Any], span: Span) -> s.File:
        imports = tuple(x for x in c if isinstance(x, s.Import))
        weights = tuple(x for x in c if isinstance(x, s.Weights))
        if sum(len(x.rules) for x in weights) > limits.RULES:
            raise fail("A517", f"a file has at most {limits.RULES} rules of `weights`", weights[-1].name_span,
                       help="`{i}` stands for any number, and a key for all weights below it")
        rest = tuple(x for x in c if not isinstance(x, s.Import | s.Weights | Token))
        return s.File(self.source, imports, rest, weights)

    def on_import_(self, c: list[Any], span: Span) -> s.Import:
        (dots, module), *names = c
        return s.Import(dots, module, tuple(names), span)

    def on_module(self, c: list[Any], span: Span) -> tuple[int, tuple[str, ...]]:
        first = next(i for i, t in enumerate(c) if t.type == "NAME")
        return first, tuple(str(t) for t in c[first:] if t.type == "NAME")

    def on_import_name(self, c: list[Any], span: Span) -> s.ImportName:
        return s.ImportName(self.name(c[0]), self.name(c[1] or c[0]), span)

    def on_network(self, c: list[Any], span: Span) -> s.Network:
        name, params, body = c
        return s.Network(self.name(name), params or (), body, span, name_span=self.span(name), doc=self._doc(span))

    def on_block(self, c: list[Any], span: Span) -> s.Block:
        name, params, body = c
        return s.Block(self.name(name), params or (), body, span, name_span=self.span(name), doc=self._doc(span))

    def on_derive(self, c: list[Any], span: Span) -> s.Derived:
        name, value, *expects = c
        return s.Derived(
            self.name(name), self.expr(value), tuple(expects), span, name_span=self.span(name), doc=self._doc(span)
        )

    def on_pattern(self, c: list[Any], span: Span) -> s.Pattern:
        name, params, *body = c
        return s.Pattern(
            self.name(name), params or (), tuple(body), span, name_span=self.span(name), doc=self._doc(span)
        )

    def on_let(self, c: list[Any], span: Span) -> s.Let:
        return s.Let(self.name(c[0]), self.expr(c[1]), span)

    def on_allow(self, c: list[Any], span: Span) -> s.Allow:
        return s.Allow(self.expr(c[0]), span)

    def on_weights(self, c: list[Any], span: Span) -> s.Weights:
        name, *rest = c
        networks = tuple(s.Name(self.name(t), self.span(t)) for t in rest if isinstance(t, Token))
        rules = tuple(x for x in rest if isinstance(x, s.KeyRule))
        return s.Weights(self.name(name), networks, rules, span, name_span=self.span(name), doc=self._doc(span))

    def on_key_rule(self, c: list[Any], span: Span) -> s.KeyRule:
        word, args, theirs, ours = c
        return s.KeyRule(self.name(word), args or (), theirs, ours or (), span)

    def on_keys(self, c: list[Any], span: Span) -> tuple[s.Constant, ...]:
        return tuple(s.Constant(self.text(t), self.span(t)) for t in c if t is not None)

    def on_params(self, c: list[Any], span: Span) -> tuple[s.Param, ...]:
        return tuple(x for x in c if x is not None)

    def on_param(self, c: list[Any], span: Span) -> s.Param:
        return s.Param(self.name(c[0]), c[1], None if c[2] is None else self.expr(c[2]), span)

    def on_type_name(self, c: list[Any], span: Span) -> s.TypeRef:
        return s.TypeRef("name", (self.name(c[0]),), span)

    def on_type_list(self, c: list[Any], span: Span) -> s.TypeRef:
        return s.TypeRef("list", (self.name(c[0]),), span)

    def on_type_choice(self, c: list[Any], span: Span) -> s.TypeRef:
        return s.TypeRef("choice", tuple(self.text(t) for t in c), span)

    def _doc(self, span: Span) -> str:
        """The comment block that stands directly above a definition."""
        number = self.source.place(span.start)[0] - 1
        lines: list[str] = []
        while number >= 1 and self.source.line(number).startswith("#"):
            lines.append(self.source.line(number)[1:].strip())
            number -= 1
        return "\n".join(reversed(lines))

    # ------------------------------------------------------------------------------------ statements
    def on_suite(self, c: list[Any], span: Span) -> tuple[s.Stmt, ...]:
        return tuple(c)

    def on_input(self, c: list[Any], span: Span) -> s.Input:
        return s.Input(tuple(c), span)

    def on_port(self, c: list[Any], span: Span) -> s.Port:
        name, optional, shape, dtype = c
        return self._port(name, optional, self._typed(shape, dtype), False, span)

    def on_port_list(self, c: list[Any], span: Span) -> s.Port:
        name, optional, shape = c
        return self._port(name, optional, shape, True, span)

    def _port(self, name: Token, optional: Token | None, shape: s.Shape, is_list: bool, span: Span) -> s.Port:
        return s.Port(self.name(name), shape, optional is not None, is_list, span, name_span=self.span(name))

    def _typed(self, shape: s.Shape, dtype: Token | None) -> s.Shape:
        return shape if dtype is None else s.Shape(shape.dims, shape.span, dtype=self.name(dtype))

    def on_return_(self, c: list[Any], span: Span) -> s.Return:
        return s.Return(tuple(c), span)

    def on_result(self, c: list[Any], span: Span) -> s.Result:
        return s.Result(None if c[0] is None else self.name(c[0]), self.expr(c[1]), span)

    def on_assert_(self, c: list[Any], span: Span) -> s.Assert:
        return s.Assert(self.expr(c[0]), None if c[1] is None else self.text(c[1]), span)

    def on_presets(self, c: list[Any], span: Span) -> s.Presets:
        return s.Presets(c[0], tuple(c[1:]), span)

    def on_expect(self, c: list[Any], span: Span) -> s.Expect:
        return s.Expect(c[0], tuple(c[1:]), span)

    def on_budget(self, c: list[Any], span: Span) -> s.Budget:
        return s.Budget(tuple(c), span)

    def on_bound(self, c: list[Any], span: Span) -> s.Bound:
        name, sign, most, *pins = c
        figure = s.Name(self.name(name), self.span(name))
        return s.Bound(figure, str(sign), most, tuple(x for x in pins if x is not None), span)

    def on_pin(self, c: list[Any], span: Span) -> tuple[s.Name, s.Constant | s.SizeExpr]:
        name, size = cast(Token, c[0]), cast(Token, c[1])
        at = self.span(size)
        value = self.on_size([size], at) if size.type == "SIZE" else self.on_int([size], at)
        return s.Name(self.name(name), self.span(name)), value

    def on_header(self, c: list[Any], span: Span) -> tuple[s.Name, ...]:
        return tuple(s.Name(self.name(t), self.span(t)) for t in c)

    def on_row(self, c: list[Any], span: Span) -> s.Row:
        return self._row(c, span)

    def on_claim(self, c: list[Any], span: Span) -> s.Row:
        return self._row(c, span)

    def _row(self, c: list[Any], span: Span) -> s.Row:
        head = cast(Token, c[0])
        name = None if head.type == "BULLET" else self.text(head) if head.type == "STRING" else self.name(head)
        return s.Row(name, tuple(c[1:]), span, name_span=self.span(head))

    def on_quantity(self, c: list[Any], span: Span) -> s.Constant:
        text = str(c[0])
        scale = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}[text[-1]]
        self.digits(text[:-1], span)
        whole, _, part = text[:-1].partition(".")
        value = int(whole + part) * scale // 10 ** len(part)
        if value > limits.INTEGER:
            raise fail("A509", f"`{text}` goes beyond {limits.INTEGER:,}", span)
        return s.Constant(value, span, literal=text)

    def on_bytes(self, c: list[Any], span: Span) -> s.Constant:
        """`8GB` is 8 * 10**9, `8GiB` 8 * 2**30."""
        text = str(c[0])
        digits, unit = text.rstrip("kKMGTiB"), text.lstrip("0123456789.")
        self.digits(digits, span)
        whole, _, part = digits.partition(".")
        power = " KMGT".index(unit[0].upper()) if len(unit) > 1 else 0
        value = int(whole + part) * (1024 if "i" in unit else 1000) ** power // 10 ** len(part)
        if value > limits.INTEGER:
            raise fail("A509", f"`{text}` goes beyond {limits.INTEGER:,}", span)
        return s.Constant(value, span, literal=text)

    def on_cell_call(self, c: list[Any], span: Span) -> s.Call:
        return s.Call(s.Name(self.name(c[0]), self.span(c[0])), c[1], span, depth=2)

    def on_cell_default(self, c: list[Any], span: Span) -> s.DefaultCell:
        return s.DefaultCell(span)

    def on_cell_negative(self, c: list[Any], span: Span) -> s.Unary:
        number = self.on_int([c[1]], span) if c[1].type == "INT" else self.on_float([c[1]], span)
        return s.Unary("-", number, span, depth=2)

    def on_shared(self, c: list[Any], span: Span) -> s.Shared:
        key = None if c[2] is None else self.text(c[2])
        return s.Shared(self.name(c[0]), self.expr(c[1]), key, span, name_span=self.span(c[0]))

    def on_repeat(self, c: list[Any], span: Span) -> s.Repeat:
        count, index, *carries, body = c
        return self._repeat(None, count, index, carries, body, span)

    def on_repeat_from(self, c: list[Any], span: Span) -> s.Repeat:
        sources, count, index, *carries, body = c
        return self._repeat(sources, count, index, carries, body, span)

    def _repeat(
        self, sources: tuple[s.Expr, ...] | None, count: Any, index: s.Index | None, carries: list[Any],
        body: tuple[s.Stmt, ...], span: Span,
    ) -> s.Repeat:
        kept = tuple(x for x in carries if x is not None)
        return s.Repeat(sources, self.expr(count), index, kept, body, self._head(span))

    def on_index_plain(self, c: list[Any], span: Span) -> s.Index:
        return s.Index(None, tuple(self.name(t) for t in c), span)

    def on_index_scoped(self, c: list[Any], span: Span) -> s.Index:
        return s.Index(c[0], tuple(self.name(t) for t in c[1:]), span)

    def on_carry(self, c: list[Any], span: Span) -> s.Carry:
        return s.Carry(self.name(c[0]), self.expr(c[1]), span)

    def on_if_(self, c: list[Any], span: Span) -> s.If:
        test, body, *rest = c
        branches = [(self.expr(test), body), *(x for x in rest if x is not None)]
        return s.If(tuple(branches), self._head(span))

    def on_elif_(self, c: list[Any], span: Span) -> tuple[s.Expr, tuple[s.Stmt, ...]]:
        return self.expr(c[0]), c[1]

    def on_else_(self, c: list[Any], span: Span) -> tuple[None, tuple[s.Stmt, ...]]:
        return None, c[0]

    def on_scan(self, c: list[Any], span: Span) -> s.Scan:
        label, *rest, body = c
        over = tuple(x for x in rest if isinstance(x, tuple))
        carries = tuple(x for x in rest if isinstance(x, s.Carry))
        return s.Scan(label, over, carries, body, self._head(span))

    def on_scan_in(self, c: list[Any], span: Span) -> tuple[str, s.Expr]:
        return self.name(c[0]), self.expr(c[1])

    def on_next_(self, c: list[Any], span: Span) -> s.Next:
        return s.Next(self.name(c[0]), self.expr(c[1]), span)

    def on_emit(self, c: list[Any], span: Span) -> s.Emit:
        return s.Emit(tuple(c), span)

    def on_line(self, c: list[Any], span: Span) -> s.Line:
        label, flow, key, require, shape, dtype = c
        sources, flow = self._flow(flow)
        if shape is not None:
            self._no_body(flow, shape)
        return s.Line(
            label, sources, flow, None if key is None else self.text(key), None if require is None else str(require),
            None if shape is None else self._typed(shape, dtype), None, span,
            key_span=None if key is None else self.span(key),
        )

    def on_line_body(self, c: list[Any], span: Span) -> s.Line:
        label, flow, key, body = c
        sources, flow = self._flow(flow)
        if isinstance(flow, s.Name) and flow.name == "else" and label is None and sources is None:
            raise fail(
                "A021", "`else` without an `if` above it", flow.span,
                help="`else` stands below the body of an `if`, as deep as the `if`",
            )
        return s.Line(
            label, sources, flow, None if key is None else self.text(key), None, None, body, self._head(span),
            key_span=None if key is None else self.span(key),
        )

    def _no_body(self, flow: s.Expr, shape: s.Shape) -> None:
        """`residual: relu` and `head: linear(3)` read like a promised shape, and are meant as a body."""
        head = flow.func if isinstance(flow, s.Call) else flow
        container = isinstance(head, s.Name) and head.name in CONTAINERS
        called = any(
            isinstance(a, s.NameDim) and isinstance(b, s.GroupDim) and a.span.end == b.span.start
            for a, b in pairwise(shape.dims)
        )
        if container or called:
            header = self.source.text[flow.span.start : flow.span.end]
            raise fail(
                "A005", "a body starts on its own line", shape.span,
                help=f"put `{shape.span.text}` on the next line, 4 spaces deeper than `{header}:`",
            )

    def _flow(self, flow: Any) -> tuple[tuple[s.Expr, ...] | None, s.Expr]:
        if isinstance(flow, _Arrow):
            return flow.sources, flow.target
        return None, self.expr(flow)

    def _head(self, span: Span) -> Span:
        """The first line of a statement that has a body: what an error about the statement itself points at."""
        line_end = self.source.text.find("\n", span.start)
        end = span.end if line_end < 0 else min(line_end, span.end)
        text = self.source.text[span.start : end]
        return Span(self.source, span.start, span.start + len(text.partition("#")[0].rstrip()))

    def on_arrow(self, c: list[Any], span: Span) -> _Arrow:
        return _Arrow(c[0], self.expr(c[1]))

    def on_sources(self, c: list[Any], span: Span) -> tuple[s.Expr, ...]:
        return tuple(self.expr(x) for x in c)

    def on_label(self, c: list[Any], span: Span) -> s.Label:
        for name in c[0]:
            if not isinstance(name, s.Name | s.Made | s.Item):
                raise fail(
                    "A014", "only names stand left of `=`", name.span,
                    help="a name is given without `self.`" if name.span.text.startswith("self.") else
                    "`name = op(...)`, or several names for several results: `q, k, v = split(3)`",
                )
        return s.Label(c[0], False, span)

    def on_bullet(self, c: list[Any], span: Span) -> s.Label:
        return s.Label((), True, span)
