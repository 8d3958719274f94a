"""Arithmetic on the numbers of a file: bounded before it is computed, symbolic where a size is free."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from ogive.dsl import limits
from ogive.dsl.diagnostics import fail
from ogive.dsl.dims import Poly, TooLarge, divide, floor_div
from ogive.dsl.ops.record import Size
from ogive.dsl.source import Span
from ogive.dsl.values import describe, printed

__all__ = ["CONSTANTS", "FUNCTIONS", "binary", "bounded_list", "call", "is_number", "negative"]

CONSTANTS: Final = {"pi": math.pi}
NUMBERS: Final = frozenset({int, float, Poly})


def is_number(value: Any) -> bool:
    """Numbers and free sizes; True and False are none."""
    return type(value) in NUMBERS


def binary(op: str, left: Any, right: Any, span: Span) -> Any:
    """`left op right` for `+ - * / // % **`. `0 / 0` is 0: a schedule over one step stays at its start.

    Raises:
        ArchError: A309 no numbers, a division by zero, or a result beyond `limits.INTEGER`.
    """
    lists = isinstance(left, tuple) and isinstance(right, tuple)
    if lists and op == "+" and not isinstance(left, Size) and not isinstance(right, Size):
        return bounded_list((*left, *right), span)
    left, right = (x[0] if isinstance(x, Size) and len(x) == 1 else x for x in (left, right))
    for value in (left, right):
        if not is_number(value):
            numeric = isinstance(value, str) and value.replace(".", "").isdigit()
            raise fail("A309", f"`{op}` takes numbers; here is {describe(value)}", span,
                       help="a number stands without quotes" if numeric else None)
    try:
        if isinstance(left, Poly) or isinstance(right, Poly):
            return _symbolic(op, left, right, span)
        return _bounded(_plain(op, left, right, span), span)
    except ZeroDivisionError:
        raise fail("A309", f"`{printed(left)} {op} {printed(right)}` divides by zero", span,
                   help="say what it is then: `a / b if b > 0 else 0`") from None
    except (OverflowError, TooLarge):
        raise fail("A509", f"`{op}` goes beyond {limits.INTEGER:,} here", span) from None


def _plain(op: str, left: float, right: float, span: Span) -> Any:
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return 0.0 if left == 0 and right == 0 else left / right
        case "//":
            return left // right
        case "%":
            return left % right
    whole = isinstance(left, int) and isinstance(right, int) and right > 0
    if whole and abs(left) > 1 and right * int(abs(left)).bit_length() > 128:
        raise OverflowError
    result = left**right
    if isinstance(result, complex):
        raise fail("A309", f"`{left} ** {right}` is no real number", span)
    return result


def _symbolic(op: str, left: Any, right: Any, span: Span) -> Any:
    left, right = (int(x) if isinstance(x, float) and x.is_integer() else x for x in (left, right))
    if isinstance(left, float) or isinstance(right, float):
        number = left if isinstance(left, float) else right
        raise fail("A309", f"`{op}` joins a free size and the number {number}", span,
                   help="sizes are whole numbers; pin the size in `input`, as in `H=224`")
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "//":
            return floor_div(left, right)
        case "%":
            return left - right * floor_div(left, right)
        case "/":
            exact = divide(left, right)
            if exact is None:
                raise fail("A309", "this size is free and `/` does not come out exactly", span,
                           help="`//` rounds down, `ceil(a / b)` in a shape rounds up")
            return exact
    if isinstance(left, Poly) and isinstance(right, int) and 0 <= right <= 8:
        return left**right
    raise fail("A309", "a free size takes a small whole power only", span)


def negative(value: Any, span: Span) -> Any:
    if not is_number(value):
        raise fail("A309", f"`-` takes a number; here is {describe(value)}", span)
    return -value


def _bounded(value: Any, span: Span) -> Any:
    if isinstance(value, int) and abs(value) > limits.INTEGER:
        raise OverflowError
    if isinstance(value, float) and not math.isfinite(value):
        raise OverflowError
    return value


def bounded_list(value: tuple[Any, ...], span: Span) -> tuple[Any, ...]:
    """A list of at most `limits.LIST` items, those of the lists in it counted too.

    Raises:
        ArchError: A509 it is longer.
    """
    count = 0
    todo: list[tuple[Any, ...]] = [value]
    while todo:
        items = todo.pop()
        count += max(len(items), 1)
        if count > limits.LIST:
            raise fail("A509", f"a list has at most {limits.LIST:,} items, inner ones counted", span)
        todo += [x for x in items if isinstance(x, tuple) and not isinstance(x, Size)]
    return value


def _round_to(value: float, divisor: int) -> int:
    """The nearest multiple of `divisor`, never below 90 % of `value` (MobileNet's rule)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _ceil(value: Any) -> Any:
    return value if isinstance(value, int | Poly) else math.ceil(value)


def _floor(value: Any) -> Any:
    return value if isinstance(value, int | Poly) else math.floor(value)


FUNCTIONS: Final[dict[str, tuple[Callable[..., Any], int, int]]] = {
    "len": (len, 1, 1),
    "sum": (sum, 1, 1),
    "min": (min, 1, 16),
    "max": (max, 1, 16),
    "abs": (abs, 1, 1),
    "sign": (_sign, 1, 1),
    "int": (int, 1, 1),
    "ceil": (_ceil, 1, 1),
    "floor": (_floor, 1, 1),
    "round_to": (_round_to, 2, 2),
    "sqrt": (math.sqrt, 1, 1),
    "exp": (math.exp, 1, 1),
    "log": (math.log, 1, 1),
    "log2": (math.log2, 1, 1),
    "sin": (math.sin, 1, 1),
    "cos": (math.cos, 1, 1),
    "reversed": (lambda items: tuple(reversed(items)), 1, 1),
}
"""Functions of numbers and lists, with the fewest and most arguments they take."""


def call(name: str, args: list[Any], span: Span) -> Any:
    """A function of numbers.

    Raises:
        ArchError: A309 another number of arguments, an argument it does not take, or no result.
    """
    function, fewest, most = FUNCTIONS[name]
    if not fewest <= len(args) <= most:
        takes = str(fewest) if fewest == most else f"{fewest} to {most}"
        hint = f"it needs {takes}: `{name}({', '.join('abc'[:fewest])})`" if len(args) < fewest else None
        here = f"here {'is' if len(args) == 1 else 'are'} {len(args) or 'none'}"
        raise fail("A309", f"`{name}` takes {takes} argument{'s' if takes != '1' else ''}, {here}", span, help=hint)
    lists = name in {"len", "sum", "reversed"} or (name in {"min", "max"} and len(args) == 1)
    if lists and (not isinstance(args[0], tuple) or isinstance(args[0], Size)):
        raise fail("A309", f"`{name}` takes a list; here is {describe(args[0])}", span)
    numbers = args[0] if lists else args
    for value in numbers if name not in {"len", "reversed"} else ():
        if not is_number(value) or (isinstance(value, Poly) and name not in {"ceil", "floor", "sum"}):
            raise fail("A309", f"`{name}` takes numbers; here is {describe(value)}", span)
    try:
        return _bounded(function(*args), span)
    except (ValueError, ZeroDivisionError):
        shown = ", ".join(map(printed, args))
        raise fail("A309", f"`{name}({shown})` has no value", span) from None
    except OverflowError:
        raise fail("A509", f"`{name}` goes beyond the largest number here", span) from None
