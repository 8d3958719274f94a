"""Between lexer and parser: line breaks and indentation become _NL, _INDENT and _DEDENT; brackets are held to account.

Inside brackets a line break means nothing, but the lines that follow must be indented deeper than the statement they
belong to. That is how an unclosed bracket is met where it stands, not at the end of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lark import Token
from lark.exceptions import UnexpectedInput

from ogive.dsl import limits
from ogive.dsl.diagnostics import ArchError, Label, fail
from ogive.dsl.source import Source, Span

__all__ = ["TAB", "Layout", "never_closed", "unclosed"]

OPEN = {"LPAR": ")", "LSQB": "]", "LBRACE": "}"}
CLOSE = {"RPAR": "(", "RSQB": "[", "RBRACE": "{"}
PAIRS = {"(": ")", "[": "]", "{": "}"}
TAB = 4
TOP = ("NETWORK", "BLOCK", "PATTERN", "WEIGHTS")
HEADED = re.compile(r"[ \t]+(?!(?:as|require)\b)[A-Za-z_]")  # a name behind `block`: the header of a definition
QUIET = re.compile(r'"[^"\n]*"|#[^\n]*|([()\[\]{}])')  # strings and comments, in which brackets are no brackets


class Layout:
    """The `postlex` of the parser. One per parse: it knows the source to point at."""

    always_accept = ("_NL",)

    def __init__(self) -> None:
        self.source = Source("", "")
        self.opened: dict[int, int] = {}
        """Where the last line begins that opened a level, by its columns."""

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        levels = [0]
        brackets: list[Token] = []
        continued = -1  # indentation of the line after a break inside brackets; -1: no such break is pending
        tokens = iter(stream)
        while True:
            try:
                token = next(tokens)
            except StopIteration:
                break
            except UnexpectedInput:
                if brackets and 0 <= continued <= levels[-1]:
                    raise unclosed(self._span(brackets[-1])) from None
                raise
            if token.type == "_NL":
                indent = _indent(token)
                if brackets:
                    continued = indent
                    continue
                yield token
                yield from self._indentation(token, indent, levels)
                continue
            if continued >= 0:
                if token.type not in CLOSE and continued <= levels[-1]:
                    raise unclosed(self._span(brackets[-1]))
                continued = -1
            if token.type in TOP and len(levels) > 1 and not HEADED.match(self.source.text, token.end_pos or 0):
                token = Token.new_borrow_pos("NAME", str(token), token)  # `block:` behind a body: a scope, and a key
            if token.type in OPEN:
                brackets.append(token)
                if len(brackets) > limits.BRACKET_DEPTH:
                    raise fail("A503", f"brackets stand more than {limits.BRACKET_DEPTH} deep", self._span(token),
                               help="give a part of it a name, on a line of its own")
            elif token.type in CLOSE:
                self._close(token, brackets)
            yield token
        if brackets:
            raise unclosed(self._span(brackets[-1]))
        while len(levels) > 1:
            levels.pop()
            yield Token("_DEDENT", "")

    def _indentation(self, token: Token, indent: int, levels: list[int]) -> Iterator[Token]:
        if indent > levels[-1]:
            levels.append(indent)
            self.opened[indent] = token.end_pos or 0
            if len(levels) > limits.INDENT_DEPTH + 1:
                end = token.end_pos or 0
                first = self.source.span(end, end + 1)
                raise fail(
                    "A514", f"bodies stand more than {limits.INDENT_DEPTH} deep in each other", first,
                    help="put a part of it into a `block` of its own",
                )
            yield Token.new_borrow_pos("_INDENT", "", token)
            return
        above = levels[-1]
        while indent < levels[-1]:
            above = levels.pop()
            yield Token.new_borrow_pos("_DEDENT", "", token)
        if indent != levels[-1]:
            end = token.end_pos or 0
            line = self.source.span(end, end + 1)
            raise fail(
                "A012", "this line is indented to no level that is open", line,
                label=f"{indent} columns", labels=[self._level(n) for n in (levels[-1], above) if n],
                help=f"open levels here: {', '.join(map(str, levels))} columns",
            )

    def _level(self, columns: int) -> Label:
        """The line that opened a level."""
        at = self.opened[columns]
        return Label(self.source.span(at, at + 1), f"{columns} columns")

    def _close(self, token: Token, brackets: list[Token]) -> None:
        if not brackets:
            raise fail("A013", f"`{token}` closes nothing", self._span(token),
                       help=f"put its `{CLOSE[token.type]}` in, or take it out")
        opened = brackets.pop()
        if OPEN[opened.type] != str(token):
            raise fail(
                "A013", f"`{token}` closes a `{opened}`", self._span(token),
                labels=[Label(self._span(opened), "opened here")], help=f"close it with `{OPEN[opened.type]}`",
            )

    def _span(self, token: Token) -> Span:
        start = token.start_pos or 0
        return self.source.span(start, token.end_pos or start + 1)


def unclosed(bracket: Span) -> ArchError:
    """A011 at a bracket."""
    return fail(
        "A011", f"`{bracket.text}` is never closed", bracket,
        help=f"close it with `{PAIRS[bracket.text]}`; lines inside brackets are indented deeper than their first",
    )


def never_closed(source: Source, offset: int) -> Span | None:
    """The bracket that stands open at `offset` and is not closed in all of the text."""
    stack: list[int] = []
    for found in QUIET.finditer(source.text):
        sign = found[1]
        if sign in PAIRS:
            stack.append(found.start())
        elif sign and (not stack or PAIRS[source.text[stack.pop()]] != sign):
            return None
    inside = [at for at in stack if at < offset]
    return source.span(inside[-1], inside[-1] + 1) if inside else None


def _indent(token: Token) -> int:
    line = str(token).rpartition("\n")[2]
    return line.count(" ") + TAB * line.count("\t")
