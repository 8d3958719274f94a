"""Shapes, from lark's tree to ours."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

from lark import Token

from ogive.dsl import syntax as s
from ogive.dsl.convert_walk import Walk
from ogive.dsl.source import Span

__all__ = ["Shapes"]


class Shapes(Walk):
    """The rules below `shape`."""

    def on_shape(self, c: list[Any], span: Span) -> s.Shape:
        return s.Shape(tuple(self.dim(x) for x in c), span)

    def dim(self, x: Any) -> s.Dim:
        if isinstance(x, Token):
            return s.NameDim(self.name(x), self.span(x))
        return cast(s.Dim, x)

    def on_dim_name(self, c: list[Any], span: Span) -> s.NameDim:
        return s.NameDim(self.name(c[0]), span)

    def on_dim_item(self, c: list[Any], span: Span) -> s.ItemDim:
        return s.ItemDim(self.name(c[0]), c[1], span)

    def on_dim_index(self, c: list[Any], span: Span) -> str | int:
        if c[0].type == "NAME":
            return self.name(c[0])
        number = self.integer(c[-1])
        return -number if c[0].type == "MINUS" else number

    def on_dim_int(self, c: list[Any], span: Span) -> s.NumberDim:
        return s.NumberDim(self.integer(c[0]), span)

    def _op(self, op: s.DimOp, c: list[Any], span: Span) -> s.OpDim:
        left, right = self.dim(c[0]), self.dim(c[-1])
        made: s.OpDim = self.checked(s.OpDim(op, left, right, span, depth=1 + max(left.depth, right.depth)))
        return made

    def on_dim_add(self, c: list[Any], span: Span) -> s.OpDim:
        return self._op("+", c, span)

    def on_dim_sub(self, c: list[Any], span: Span) -> s.OpDim:
        return self._op("-", c, span)

    def on_dim_mul(self, c: list[Any], span: Span) -> s.OpDim:
        return self._op("*", c, span)

    def on_dim_div(self, c: list[Any], span: Span) -> s.OpDim:
        return self._op("/", c, span)

    def on_dim_pow(self, c: list[Any], span: Span) -> s.OpDim:
        return self._op("**", c, span)

    def on_dim_ceil(self, c: list[Any], span: Span) -> s.CeilDim:
        value = self.dim(c[0])
        made: s.CeilDim = self.checked(s.CeilDim(value, span, depth=value.depth + 1))
        return made

    def on_dim_pin(self, c: list[Any], span: Span) -> s.PinDim:
        value = self.dim(c[1])
        made: s.PinDim = self.checked(s.PinDim(self.name(c[0]), value, span, depth=value.depth + 1))
        return made

    def on_dim_any(self, c: list[Any], span: Span) -> s.AnyDim:
        return s.AnyDim(span)

    def on_dim_rest(self, c: list[Any], span: Span) -> s.RestDim:
        return s.RestDim(span)

    def on_dim_ask(self, c: list[Any], span: Span) -> s.AskDim:
        return s.AskDim(span)

    def on_dim_group(self, c: list[Any], span: Span) -> s.GroupDim:
        segments = tuple(x for x in c if isinstance(x, tuple))
        signs: list[Any] = []
        for before, item in pairwise(c):
            if isinstance(item, tuple):
                signs.append("-" if isinstance(before, Token) else "+")
        depth = 1 + max(dim.depth for segment in segments for dim in segment)
        made: s.GroupDim = self.checked(s.GroupDim(segments, tuple(signs), span, depth=depth))
        return made

    def on_segment(self, c: list[Any], span: Span) -> tuple[s.Dim, ...]:
        return tuple(self.dim(x) for x in c)
