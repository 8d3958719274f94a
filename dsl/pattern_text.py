"""An attention pattern from a text outside of any network: `window(7) | prefix` on a command line."""

from __future__ import annotations

from ogive.dsl.body import Bodies
from ogive.dsl.diagnostics import Diagnostic, fail
from ogive.dsl.dims import TooLarge
from ogive.dsl.facts import Facts
from ogive.dsl.load import Unit, load_text
from ogive.dsl.names import Keys, Names
from ogive.dsl.parse import parse_expression
from ogive.dsl.patterns import Mechanism, Pattern
from ogive.dsl.source import Source
from ogive.dsl.values import Silent, describe
from ogive.dsl.work import Body, Frame, Mistakes, Runaway, Work

__all__ = ["pattern_of"]


def pattern_of(text: str, unit: Unit | None = None, called: str = "--pattern") -> Pattern:
    """The set of pairs that an expression means, in the words of the language and of the file `unit`.

    `called` is what errors say the text is.

    Raises:
        ArchError: A0xx it does not parse, A309 it is no set of pairs, A3xx and A13x a wrong setting; what is wrong
            with the file.
    """
    unit = load_text("") if unit is None else unit
    found = Mistakes()
    found.add(*unit.mistakes)
    if found:
        raise found.error()
    source = _source(called, text)
    expr = parse_expression(source)
    try:
        value = Bodies(Work(found)).value(expr, Frame(Body(unit, (), Facts(), ()), Names(), Keys(), 0))
    except Runaway as runaway:
        raise runaway.error from None
    except TooLarge:
        found.add(Diagnostic("A509", "the sizes here grow beyond what can be followed", expr.span))
    except Silent:
        pass
    if found:
        raise found.error()
    if isinstance(value, Pattern):
        return value
    if isinstance(value, Mechanism):
        raise fail("A309", f"`{value}` is no set of pairs: {value.why}", expr.span, help="name a pattern: `window(7)`")
    raise fail("A309", f"an attention pattern is asked for; here is {describe(value)}", expr.span,
               help="as in `window(7) | prefix`")


def _source(called: str, text: str) -> Source:
    lead = f"{called} "
    return Source(called, " " * len(lead) + text, lead + text)
