"""Text to tree. The parser of Lark is iterative, and so is the walk to our tree."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, cast

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from ogive.dsl import syntax as s
from ogive.dsl.convert import Converter
from ogive.dsl.diagnostics import ArchError, Diagnostic, fail
from ogive.dsl.grammar import parser
from ogive.dsl.layout import Layout
from ogive.dsl.mistakes import explain
from ogive.dsl.recovery import syntax_errors
from ogive.dsl.screen import screen
from ogive.dsl.source import Source

__all__ = ["parse", "parse_expression", "terminals", "tokens"]


def parse(source: Source) -> s.File:
    """The tree of a whole file.

    Raises:
        ArchError: A0xx for every definition that does not parse, all of them at once; A5xx beyond a limit.
    """
    screen(source)
    first: Diagnostic | None = None
    try:
        tree = _tree(source, "start")
    except ArchError as error:
        if _beyond(error):
            raise
        first = error.diagnostics[0]
    if first is not None:
        raise ArchError(tuple(syntax_errors(source, _parse, first)) or (first,))
    try:
        return cast(s.File, Converter(source).convert(tree))
    except ArchError as error:
        if _beyond(error):
            raise
        raise ArchError(tuple(syntax_errors(source, _parse)) or error.diagnostics) from None


def _beyond(error: ArchError) -> bool:
    """Whether a limit was met: then nothing more is read."""
    return any(code.startswith("A5") for code in error.codes)


def parse_expression(source: Source) -> s.Expr:
    """The tree of one expression: what stands right of `=` in `--set over="window(7) | prefix"`.

    Raises:
        ArchError: A0xx.
    """
    screen(source)
    if not source.text.strip():
        raise fail("A001", "an expression is missing here", source.span(0, len(source.text)))
    return cast(s.Expr, _parse(source, "expr"))


def tokens(source: Source) -> Iterator[Token]:
    """The tokens of a text that parses, _NL, _INDENT and _DEDENT among them; comments lie between them."""
    reader, layout = _parser()
    layout.source = source
    return reader.parse_interactive(source.text + "\n", start="start").iter_parse()


def terminals() -> dict[str, str]:
    """Every terminal of the grammar, with the text or the regular expression that it stands for."""
    return {t.name: t.pattern.value for t in _parser()[0].terminals}


@cache
def _parser() -> tuple[Lark, Layout]:
    layout = Layout()
    return parser(layout), layout


def _parse(source: Source, start: str) -> Any:
    return Converter(source).convert(_tree(source, start))


def _tree(source: Source, start: str) -> Any:
    reader, layout = _parser()
    layout.source = source
    text = source.text + "\n" if start == "start" else source.text
    try:
        return reader.parse(text, start=start)
    except UnexpectedInput as error:
        raise ArchError((_explained(source, error),)) from None


def _explained(source: Source, error: UnexpectedInput) -> Diagnostic:
    at = min(error.pos_in_stream if error.pos_in_stream is not None else len(source.text), len(source.text))
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        at = len(source.text.rstrip())
    expected: set[str] = set()
    text = ""
    if isinstance(error, UnexpectedToken):
        expected = set(error.accepts or error.expected or ())
        text = str(error.token)
        kind = error.token.type
    elif isinstance(error, UnexpectedCharacters):
        expected = set(error.allowed or ())
        text = source.text[at : at + 1]
        kind = "CHARACTER"
    else:
        kind = "$END"
    return explain(source, at, kind, text, expected)
