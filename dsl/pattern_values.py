"""Attention patterns and mechanisms as values of expressions: who makes them, how they join, where a mistake points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from ogive.dsl import syntax as s
from ogive.dsl.diagnostics import ArchError, Label, fail
from ogive.dsl.load import Definition as Loaded
from ogive.dsl.patterns import Mechanism, Pattern, PatternError
from ogive.dsl.patterns.definitions import Definition, place_of
from ogive.dsl.patterns.names import CONSTRUCTORS, Constructor, Over, complement, join
from ogive.dsl.source import Span
from ogive.dsl.values import Silent, describe, printed
from ogive.dsl.work import Frame

__all__ = ["Maker", "complemented", "definition_of_pattern", "is_over", "joined", "made", "maker_of"]

Maker: TypeAlias = Constructor | Definition
"""What makes a pattern when it is called: a name of the language, or a definition of a file."""


def is_over(value: Any) -> bool:
    """Whether a value may stand in `over=`."""
    return isinstance(value, Pattern | Mechanism)


def maker_of(name: str, span: Span, frame: Frame) -> Maker | None:
    """What a name makes at a place of a file; None where it is no pattern.

    Raises:
        ArchError: A136 the file gives the name of a built-in pattern to another.
    """
    found = frame.body.unit.names.get(name)
    if found is None or not isinstance(found.node, s.Pattern):
        return CONSTRUCTORS.get(name)
    if name in CONSTRUCTORS and found.unit is frame.body.unit:  # as checking the definition says it
        raise fail("A136", f"`{name}` is a pattern of the language", found.node.name_span, help="choose another name")
    if name in CONSTRUCTORS:
        raise fail("A136", f"`{name}` is a pattern of the language, and this file gives its name to another", span,
                   labels=[Label(found.node.name_span, "this one")], help="another name for it")
    return definition_of_pattern(found)


def definition_of_pattern(found: Loaded) -> Definition:
    """A `pattern` of a file, which sees the other patterns of that file."""
    node, names = found.node, found.unit.names
    assert isinstance(node, s.Pattern)

    def lookup(name: str) -> Definition | None:
        other = names.get(name)
        if name in names and other is None:
            raise Silent  # an import that failed is reported once
        return definition_of_pattern(other) if other is not None and isinstance(other.node, s.Pattern) else None

    def others() -> set[str]:
        return {n for n, d in names.items() if d is not None and isinstance(d.node, s.Pattern)}

    return Definition(node, lookup, others)


def made(maker: Maker, expr: s.Expr, args: Sequence[s.Arg], values: Sequence[Any], notes: list[str]) -> Over:
    """The pattern or mechanism with these settings.

    Raises:
        ArchError: A301 to A308 at the setting that is wrong; A13x in the lines of a definition.
    """
    positional = [v for a, v in zip(args, values, strict=True) if a.name is None]
    keyword: dict[str, Any] = {}
    for arg, value in zip(args, values, strict=True):
        if arg.name in keyword:
            first = next(a for a in args if a.name == arg.name)
            raise fail("A308", f"`{arg.name}` is set twice", arg.span, labels=[Label(first.span, "first here")])
        if arg.name is not None:
            keyword[arg.name] = value
    try:
        return maker.make(positional, keyword)
    except PatternError as error:
        constructor = maker if isinstance(maker, Constructor) else maker.constructor
        at = place_of(error, expr, args, constructor)
        raise fail(error.code, error.title, at, label=_shown(at, args, values), notes=notes,
                   help=error.help) from None


def _shown(at: Span, args: Sequence[s.Arg], values: Sequence[Any]) -> str:
    """What a setting is here, where the text does not say it: `size // 2` is 3."""
    for arg, value in zip(args, values, strict=True):
        if arg.value.span == at and not isinstance(arg.value, s.Constant | s.SizeExpr | s.ListExpr | s.Call):
            return f"here {printed(value)}"
    return ""


def joined(expr: s.Binary, left: Any, right: Any) -> Pattern:
    """`left op right`, where one side is a pattern or a mechanism at least.

    Raises:
        ArchError: A309 the other is none, a mechanism among them, or another operator.
    """
    if expr.op not in ("|", "&", "-"):
        over = left if is_over(left) else right
        raise fail("A309", f"`{expr.op}` does not join attention patterns; here is {describe(over)}", expr.span,
                   help="`a | b` union, `a & b` intersection, `a - b` difference, `~a` all other pairs")
    for value, side in ((left, expr.left), (right, expr.right)):
        if not is_over(value):
            raise fail("A309", f"`{expr.op}` joins attention patterns; here is {describe(value)}", side.span)
    try:
        return join(expr.op, left, right)
    except PatternError as error:
        wrong = expr.right if isinstance(right, Mechanism) and not isinstance(left, Mechanism) else expr.left
        raise _refused(error, wrong.span if isinstance(left, Mechanism) or wrong is expr.right else expr.span) from None


def complemented(expr: s.Unary, value: Any) -> Pattern:
    """`~value`.

    Raises:
        ArchError: A309 it is no pattern.
    """
    if not is_over(value):
        raise fail("A309", f"`~` takes an attention pattern; here is {describe(value)}", expr.span,
                   help="`not` turns a condition round")
    try:
        return complement(value)
    except PatternError as error:
        raise _refused(error, expr.span) from None


def _refused(error: PatternError, span: Span) -> ArchError:
    return fail(error.code, error.title, span, help=error.help)
