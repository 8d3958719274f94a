"""From lark's tree to ours: the walk, children first with an explicit stack, and what every rule needs.

Lark's trees may be as deep as a text is long. The depth of an expression is counted on the way, and what is deeper than
`limits.EXPRESSION_DEPTH` is refused before anything recurses over it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from lark import Token, Tree

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.diagnostics import fail
from ogive.dsl.source import Source, Span

__all__ = ["Walk"]


class Walk:
    """Calls `on_<rule>(children, span)` for every node of a tree; a subclass has the rules."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def convert(self, root: Tree[Token] | Token) -> Any:
        done: list[Any] = []
        todo: list[tuple[Any, bool]] = [(root, False)]
        while todo:
            item, ready = todo.pop()
            if not isinstance(item, Tree):
                done.append(item)
            elif ready:
                count = len(item.children)
                children = done[len(done) - count :] if count else []
                del done[len(done) - count :]
                done.append(self._node(item, children))
            else:
                todo.append((item, True))
                todo += [(child, False) for child in reversed(item.children)]
        result = done[0]
        return self._atom(result) if isinstance(result, Token) else result

    def _node(self, tree: Tree[Token], children: list[Any]) -> Any:
        meta = tree.meta
        start = 0 if meta.empty else meta.start_pos
        end = 0 if meta.empty else meta.end_pos
        if end > start and self._blank(end - 1):  # a statement's span ends with its last character, not with its line
            end = start + len(self.source.text[start:end].rstrip(" \t\r\n"))
        span = Span(self.source, start, end)
        rule: Callable[[list[Any], Span], Any] = getattr(self, f"on_{tree.data}")
        return rule(children, span)

    def _blank(self, offset: int) -> bool:
        return offset >= len(self.source.text) or self.source.text[offset] in " \t\r\n"

    def span(self, token: Token) -> Span:
        return Span(self.source, token.start_pos or 0, token.end_pos or 0)

    def checked(self, node: Any) -> Any:
        if node.depth > limits.EXPRESSION_DEPTH:
            raise fail(
                "A504", f"this expression is more than {limits.EXPRESSION_DEPTH} levels deep", node.span,
                help="give a part of it a name, on a line of its own",
            )
        return node

    def expr(self, x: Any) -> s.Expr:
        """A child that may still be a token: a bare name."""
        return cast(s.Expr, self._atom(x) if isinstance(x, Token) else x)

    def _atom(self, token: Token) -> s.Name:
        return s.Name(self.name(token), self.span(token))

    def name(self, token: Token) -> str:
        if len(token) > limits.NAME_LENGTH:
            raise fail("A505", f"a name has at most {limits.NAME_LENGTH} characters", self.span(token),
                       help="a shorter one; `as` gives a long key")
        return str(token)

    def text(self, token: Token) -> str:
        if len(token) > limits.STRING_LENGTH:
            raise fail("A506", f"a string has at most {limits.STRING_LENGTH:,} characters", self.span(token),
                       help="a comment, `# ...`, holds what is longer")
        return str(token)[1:-1]

    def integer(self, token: Token) -> int:
        self.digits(str(token), self.span(token))
        return int(token)

    def digits(self, text: str, span: Span) -> None:
        if len(text) > limits.LITERAL_DIGITS:
            raise fail("A507", f"a number has at most {limits.LITERAL_DIGITS} digits", span,
                       help="round it; `pi` is a name")
