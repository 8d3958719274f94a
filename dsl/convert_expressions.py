"""Expressions, from lark's tree to ours."""

from __future__ import annotations

from math import isfinite
from typing import Any, cast

from lark import Token

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.convert_walk import Walk
from ogive.dsl.diagnostics import fail
from ogive.dsl.source import Span

__all__ = ["Expressions"]


class Expressions(Walk):
    """The rules below `expr`."""

    def on_name(self, c: list[Any], span: Span) -> s.Name:
        return s.Name(self.name(c[0]), span)

    def on_ref(self, c: list[Any], span: Span) -> s.Name | s.Made:
        if len(c) == 1 or c[1] is None:
            return s.Name(self.name(c[0]), span)
        number = self.expr(c[1])
        made: s.Made = self.checked(s.Made(self.name(c[0]), number, span, depth=number.depth + 1))
        return made

    def on_int(self, c: list[Any], span: Span) -> s.Constant:
        return s.Constant(self.integer(c[0]), span, literal=str(c[0]))

    def on_float(self, c: list[Any], span: Span) -> s.Constant:
        self.digits(str(c[0]), span)
        value = float(c[0])
        if not isfinite(value):
            raise fail("A509", f"`{c[0]}` goes beyond the largest number here", span)
        return s.Constant(value, span, literal=str(c[0]))

    def on_string(self, c: list[Any], span: Span) -> s.Constant:
        return s.Constant(self.text(c[0]), span)

    def on_true(self, c: list[Any], span: Span) -> s.Constant:
        return s.Constant(True, span)

    def on_false(self, c: list[Any], span: Span) -> s.Constant:
        return s.Constant(False, span)

    def on_none(self, c: list[Any], span: Span) -> s.Constant:
        return s.Constant(None, span)

    def on_size(self, c: list[Any], span: Span) -> s.SizeExpr:
        parts = str(c[0]).split("x")
        if len(parts) > limits.SIZE_PARTS:
            raise fail("A507", f"a size has at most {limits.SIZE_PARTS} numbers, as in `3x3x3`", span)
        for part in parts:
            self.digits(part, span)
        return s.SizeExpr(tuple(map(int, parts)), span)

    def on_ask(self, c: list[Any], span: Span) -> s.Ask:
        return s.Ask(span)

    def on_group(self, c: list[Any], span: Span) -> s.Expr:
        return self.expr(c[0])

    def on_list(self, c: list[Any], span: Span) -> s.ListExpr:
        items = tuple(self.expr(x) for x in c if x is not None)
        depth = 1 + max((x.depth for x in items), default=0)
        made: s.ListExpr = self.checked(s.ListExpr(items, span, depth=depth))
        return made

    def on_attr(self, c: list[Any], span: Span) -> s.Attr:
        return self._attr(c[0], self.name(c[-1]), c[-1], span, False)

    def on_attr_string(self, c: list[Any], span: Span) -> s.Attr:
        return self._attr(c[0], self.text(c[-1]), c[-1], span, True)

    def _attr(self, base: Any, name: str, token: Token, span: Span, quoted: bool) -> s.Attr:
        left = self.expr(base)
        made: s.Attr = self.checked(
            s.Attr(left, name, span, depth=left.depth + 1, name_span=self.span(token), quoted=quoted)
        )
        return made

    def on_item(self, c: list[Any], span: Span) -> s.Item:
        base = self.expr(c[0])
        index = c[1] if isinstance(c[1], s.Slice) else self.expr(c[1])
        made: s.Item = self.checked(s.Item(base, index, span, depth=1 + max(base.depth, index.depth)))
        return made

    def on_slice(self, c: list[Any], span: Span) -> s.Slice:
        start, stop = (None if x is None else self.expr(x) for x in c)
        depth = 1 + max((x.depth for x in (start, stop) if x is not None), default=0)
        return s.Slice(start, stop, span, depth=depth)

    def on_args(self, c: list[Any], span: Span) -> tuple[s.Arg, ...]:
        return tuple(x for x in c if x is not None)

    def on_arg(self, c: list[Any], span: Span) -> s.Arg:
        return s.Arg(None if c[0] is None else self.name(c[0]), self.expr(c[1]), span)

    def on_call(self, c: list[Any], span: Span) -> s.Call:
        func, args = self.expr(c[0]), c[1]
        depth = 1 + max((func.depth, *(a.value.depth for a in args)))
        made: s.Call = self.checked(s.Call(func, args, span, depth=depth))
        return made

    def _binary(self, op: s.BinaryOp, c: list[Any], span: Span) -> s.Binary:
        left, right = self.expr(c[0]), self.expr(c[-1])
        made: s.Binary = self.checked(s.Binary(op, left, right, span, depth=1 + max(left.depth, right.depth)))
        return made

    def on_binary_or(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("or", c, span)

    def on_binary_and(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("and", c, span)

    def on_binary_union(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("|", c, span)

    def on_binary_inter(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("&", c, span)

    def on_binary_add(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("+", c, span)

    def on_binary_sub(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("-", c, span)

    def on_binary_mul(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("*", c, span)

    def on_binary_div(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("/", c, span)

    def on_binary_floordiv(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("//", c, span)

    def on_binary_mod(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("%", c, span)

    def on_binary_pow(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("**", c, span)

    def _unary(self, op: s.UnaryOp, c: list[Any], span: Span) -> s.Unary:
        value = self.expr(c[-1])
        made: s.Unary = self.checked(s.Unary(op, value, span, depth=value.depth + 1))
        return made

    def on_unary_not(self, c: list[Any], span: Span) -> s.Unary:
        return self._unary("not", c, span)

    def on_unary_neg(self, c: list[Any], span: Span) -> s.Unary:
        return self._unary("-", c, span)

    def on_unary_complement(self, c: list[Any], span: Span) -> s.Unary:
        return self._unary("~", c, span)

    def on_compare(self, c: list[Any], span: Span) -> s.Compare:
        left, right = self.expr(c[0]), self.expr(c[2])
        if isinstance(left, s.Compare) and ")" not in self.source.text[left.span.end : c[1].start_pos]:
            raise fail(
                "A025", "comparisons do not chain", span,
                help=f"write `{left.span.text} and {left.right.span.text} {c[1]} {right.span.text}`",
            )
        op = cast(s.CompareOp, str(c[1]))
        made: s.Compare = self.checked(s.Compare(op, left, right, span, depth=1 + max(left.depth, right.depth)))
        return made

    def on_cond(self, c: list[Any], span: Span) -> s.Conditional:
        then, test, other = (self.expr(x) for x in c)
        depth = 1 + max(then.depth, test.depth, other.depth)
        made: s.Conditional = self.checked(s.Conditional(then, test, other, span, depth=depth))
        return made
