"""Arithmetic over a query q and a key k, from the tree to functions: typed first, then asked pair by pair.

An expression becomes a `Code`: its type, the fields of q and k it reads, and a function of one pair. No text is ever
run: a function is put together from those of its parts. Types are `int float bool pattern size string`; `wrong` stands
for what is reported already. A pattern inside is a set again (`disc(6.0) - disc(3.0)`), as long as it does not depend
on the pair. Integers are bounded by `limits.INTEGER`, the work for one pair by `MOST_NODES`, its depth by `DEEPEST`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.diagnostics import fail, offer
from ogive.dsl.patterns.algebra import Pattern
from ogive.dsl.patterns.names import join
from ogive.dsl.patterns.space import PatternError
from ogive.dsl.source import Span

__all__ = ["FIELDS", "FUNCTIONS", "SLOTS", "Code", "Compiler", "Env", "Outside", "constant", "put"]

Env = list[Any]
"""The values of one pair, by slot: fields of q, of k, what both share, then the lets of the pattern."""

OWN: Final = ("index", "row", "col", "frame", "is_prefix")
SHARED: Final = ("head", "height", "width")
FIELDS: Final = (*OWN, *SHARED)
PLACES: Final = frozenset(["index", "row", "col", "frame"])
Q, K, SPACE = 13, 14, 15
SLOTS: Final = 16
UNSET: Final = object()

MOST_NODES: Final = 20_000
DEEPEST: Final = 200


class Outside(Exception):
    """A place was read of a token that has none: the comparison around it does not hold."""


@dataclass(frozen=True, slots=True)
class Code:
    """An expression that is ready to be asked. `pattern` is the set, where the type is `pattern` and it is one set."""

    kind: str
    run: Callable[[Env], Any]
    reads: frozenset[str] = frozenset()
    pattern: Pattern | None = None
    depth: int = 1

    @property
    def varies(self) -> bool:
        """It depends on the pair, the head or the grid."""
        return bool(self.reads)

    @property
    def is_number(self) -> bool:
        return self.kind in ("int", "float")


def _never(env: Env) -> Any:
    raise AssertionError("a name that is reported as wrong is never asked")


WRONG: Final = Code("wrong", _never)


def constant(value: Any, kind: str) -> Code:
    """A value that is the same for all pairs."""
    if isinstance(value, Pattern):
        return put(value)
    return Code(kind, lambda env: value)


def put(p: Pattern, depth: int = 1) -> Code:
    """A pattern as a condition on the pair."""
    return Code("pattern", lambda env: p.holds(env[Q], env[K], env[SPACE], env[10]), pattern=p, depth=depth)


@dataclass
class Compiler:
    """Expressions of one pattern. `call` makes the patterns that it names.

    `guarded`: the body asks for `is_prefix` somewhere, and may read the place of a token outside the grid. `known`: the
    settings have values; else only types are checked.
    """

    names: dict[str, Code]
    call: Callable[[str, s.Expr, tuple[s.Arg, ...], Compiler], Code]
    guarded: bool = False
    known: bool = True
    fields: dict[str, Span] = field(default_factory=dict)
    nodes: int = 0

    def code(self, expr: s.Expr) -> Code:
        """The code of an expression.

        Raises:
            ArchError: A130, A134, A135, A138, A139.
        """
        self.nodes += 1
        found = self._code(expr)
        if self.nodes > MOST_NODES or found.depth > DEEPEST:
            raise fail("A139", "this pattern does too much for one pair of positions", expr.span,
                       help=f"at most {MOST_NODES:,} operations, {DEEPEST} inside each other")
        return found

    def _code(self, expr: s.Expr) -> Code:
        match expr:
            case s.Constant(bool() as value):
                return constant(value, "bool")
            case s.Constant(int() as value):
                return constant(value, "int")
            case s.Constant(float() as value):
                return constant(value, "float")
            case s.Constant(str() as value):
                return constant(value, "string")
            case s.SizeExpr(values):
                return constant(values, "size")
            case s.Name(name):
                return self._name(name, expr)
            case s.Attr(s.Name("q" | "k" as side), name):
                return self._field(side, name, expr)
            case s.Call(s.Name(name), args):
                return self._function(name, expr) if name in FUNCTIONS else self.call(name, expr, args, self)
            case s.Unary():
                return self._unary(expr)
            case s.Binary():
                return self._binary(expr)
            case s.Compare():
                return self._compare(expr)
            case s.Conditional():
                return self._conditional(expr)
        raise fail("A134", "a pattern is made of arithmetic over `q.` and `k.`, conditions and patterns", expr.span,
                   help="as in `allow abs(q.row - k.row) <= 3`")

    def _name(self, name: str, expr: s.Expr) -> Code:
        if name in self.names:
            return self.names[name]
        if name == "pi":
            return constant(math.pi, "float")
        if name in ("q", "k"):
            raise fail("A130", f"`{name}` is a position; a pattern reads its fields", expr.span,
                       help=f"{', '.join(f'`{name}.{f}`' for f in FIELDS)}")
        return self.call(name, expr, (), self)

    def _field(self, side: str, name: str, expr: s.Attr) -> Code:
        if name not in FIELDS:
            raise fail("A130", f"a position has no `{name}`", expr.name_span, help=offer(name, FIELDS, "its fields"))
        self.fields.setdefault(name, expr.span)
        slot = 10 + SHARED.index(name) if name in SHARED else OWN.index(name) + (5 if side == "k" else 0)
        kind = "bool" if name == "is_prefix" else "int"
        if not self.guarded or name not in PLACES:
            return Code(kind, operator.itemgetter(slot), frozenset([name]))

        def place(env: Env) -> Any:
            value = env[slot]
            if value is None:
                raise Outside
            return value

        return Code(kind, place, frozenset([name]))

    # ------------------------------------------------------------------------------------ operators
    def _unary(self, expr: s.Unary) -> Code:
        x = self.code(expr.value)
        if x.kind == "wrong":
            return WRONG
        run = x.run
        match expr.op:
            case "-" if x.is_number:
                return _of(x.kind, lambda env: -run(env), x)
            case "not" if x.kind == "bool":
                return _of("bool", lambda env: not run(env), x)
            case "~" if x.kind == "pattern":
                if x.pattern is not None:
                    return self._joined(lambda: ~_set(x), expr.span, x)
                return _of("pattern", lambda env: not run(env), x)
        takes = {"-": "a number", "not": "a condition", "~": "a pattern"}[expr.op]
        other = {"pattern": "`~` is everything but a pattern", "bool": "`not` turns a condition"}.get(x.kind)
        raise fail("A134", f"`{expr.op}` takes {takes}; here is {_a(x)}", expr.span, help=other)

    def _binary(self, expr: s.Binary) -> Code:
        a, b = self.code(expr.left), self.code(expr.right)
        if "wrong" in (a.kind, b.kind):
            return WRONG
        if a.kind == b.kind == "pattern" and expr.op in ("|", "&", "-"):
            return self._sets(expr, a, b)
        if expr.op in ("and", "or"):
            return self._logic(expr, a, b)
        if expr.op in ("|", "&"):
            why = "conditions are joined with `and` and `or`" if "bool" in (a.kind, b.kind) else None
            raise fail("A134", f"`{expr.op}` joins patterns; here are {_a(a)} and {_a(b)}", expr.span, help=why)
        if not a.is_number or not b.is_number:
            raise fail("A134", f"`{expr.op}` takes numbers; here are {_a(a)} and {_a(b)}", expr.span)
        whole = a.kind == b.kind == "int" and expr.op != "/"
        if expr.op == "**":
            whole = whole and isinstance(expr.right, s.Constant)
        return _of("int" if whole else "float", _arithmetic(expr.op, a.run, b.run, expr.span), a, b)

    def _logic(self, expr: s.Binary, a: Code, b: Code) -> Code:
        if a.kind != "bool" or b.kind != "bool":
            why = "patterns are joined with `|` and `&`" if "pattern" in (a.kind, b.kind) else "compare numbers first"
            raise fail("A134", f"`{expr.op}` joins conditions; here are {_a(a)} and {_a(b)}", expr.span, help=why)
        left, right = a.run, b.run
        if expr.op == "and":
            return _of("bool", lambda env: left(env) and right(env), a, b)
        return _of("bool", lambda env: left(env) or right(env), a, b)

    def _sets(self, expr: s.Binary, a: Code, b: Code) -> Code:
        left, right = a.run, b.run
        if a.pattern is not None and b.pattern is not None:
            return self._joined(lambda: join(expr.op, a.pattern, b.pattern), expr.span, a, b)
        match expr.op:
            case "|":
                return _of("pattern", lambda env: left(env) or right(env), a, b)
            case "&":
                return _of("pattern", lambda env: left(env) and right(env), a, b)
        return _of("pattern", lambda env: left(env) and not right(env), a, b)

    def _joined(self, make: Callable[[], Pattern], span: Span, *parts: Code) -> Code:
        try:
            return put(make(), 1 + max(x.depth for x in parts))
        except PatternError as error:
            raise fail("A139", error.title, span, help=error.help) from None

    def _compare(self, expr: s.Compare) -> Code:
        a, b = self.code(expr.left), self.code(expr.right)
        if "wrong" in (a.kind, b.kind):
            return WRONG
        equality = expr.op in ("==", "!=") and a.kind == b.kind in ("bool", "string")
        if not equality and not (a.is_number and b.is_number):
            raise fail("A134", f"`{expr.op}` compares numbers; here are {_a(a)} and {_a(b)}", expr.span)
        left, right, test = a.run, b.run, COMPARE[expr.op]
        if not self.guarded:
            return _of("bool", lambda env: test(left(env), right(env)), a, b)

        def holds(env: Env) -> bool:
            try:
                return bool(test(left(env), right(env)))
            except Outside:
                return False

        return _of("bool", holds, a, b)

    def _conditional(self, expr: s.Conditional) -> Code:
        test, a, b = self.code(expr.test), self.code(expr.then), self.code(expr.other)
        if "wrong" in (test.kind, a.kind, b.kind):
            return WRONG
        if test.kind != "bool":
            raise fail("A134", f"`if` takes a condition; here is {_a(test)}", expr.test.span)
        kind = a.kind if a.kind == b.kind else "float" if a.is_number and b.is_number else None
        if kind is None:
            raise fail("A134", f"the two sides are {_a(a)} and {_a(b)}", expr.span,
                       help="both are numbers, or conditions, or patterns")
        asked, left, right = test.run, a.run, b.run
        if kind == "pattern" and not test.varies and a.pattern is not None and b.pattern is not None:
            return a if not self.known or asked([]) else b
        return _of(kind, lambda env: left(env) if asked(env) else right(env), test, a, b)

    def _function(self, name: str, expr: s.Call) -> Code:
        function, fewest, most, kind = FUNCTIONS[name]
        if any(arg.name is not None for arg in expr.args) or not fewest <= len(expr.args) <= most:
            takes = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            raise fail("A134", f"`{name}` takes {takes} number{'s' if most > 1 else ''}, in order", expr.span)
        args = [self.code(arg.value) for arg in expr.args]
        if any(x.kind == "wrong" for x in args):
            return WRONG
        for x, arg in zip(args, expr.args, strict=True):
            if not x.is_number:
                raise fail("A134", f"`{name}` takes numbers; here is {_a(x)}", arg.span)
        kinds = {x.kind for x in args}
        runs, span = [x.run for x in args], expr.span

        def value(env: Env) -> Any:
            numbers = [run(env) for run in runs]
            try:
                return function(*numbers)
            except (ValueError, ZeroDivisionError, OverflowError):
                shown = ", ".join(map(str, numbers))
                raise fail("A137", f"`{name}({shown})` has no value", span, notes=_where(env)) from None

        return _of(kind or ("int" if kinds == {"int"} else "float"), value, *args)


def _of(kind: str, run: Callable[[Env], Any], *parts: Code) -> Code:
    return Code(kind, run, frozenset().union(*(x.reads for x in parts)), None, 1 + max(x.depth for x in parts))


def _set(code: Code) -> Pattern:
    assert code.pattern is not None
    return code.pattern


def _a(code: Code) -> str:
    return {
        "int": "a whole number", "float": "a number", "bool": "a condition", "pattern": "a pattern", "size": "a size",
        "string": "a string",
    }[code.kind]


def _where(env: Env) -> list[str]:
    return [f"at query {env[Q]} and key {env[K]}"] if env else []


def _arithmetic(op: str, left: Callable[[Env], Any], right: Callable[[Env], Any], span: Span) -> Callable[[Env], Any]:
    """`left op right`. `0 / 0` is 0, as everywhere in the language."""
    match op:
        case "+":
            return lambda env: left(env) + right(env)
        case "-":
            return lambda env: left(env) - right(env)

    def bounded(env: Env) -> Any:
        a, b = left(env), right(env)
        try:
            value = _power(a, b) if op == "**" else a * b
        except ZeroDivisionError:
            raise fail("A137", f"`{a} ** {b}` divides by zero", span, notes=_where(env)) from None
        except OverflowError:
            value = math.inf
        if isinstance(value, complex):
            raise fail("A137", f"`{a} ** {b}` is no real number", span, notes=_where(env))
        if not -limits.INTEGER <= value <= limits.INTEGER and (isinstance(value, int) or not math.isfinite(value)):
            raise fail("A509", f"`{op}` goes beyond {limits.INTEGER:,} here", span, notes=_where(env))
        return value

    def divided(env: Env) -> Any:
        a, b = left(env), right(env)
        if b == 0:
            if a == 0 and op == "/":
                return 0.0
            raise fail("A137", f"`{op}` divides {a} by zero here", span, notes=_where(env),
                       help="ask first: `a / b > 1 if b != 0 else False`")
        return DIVIDE[op](a, b)

    return bounded if op in ("*", "**") else divided


def _power(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int) and b > 0 and abs(a) > 1 and b * abs(a).bit_length() > 128:
        raise OverflowError
    return a**b


def _round_to(value: float, divisor: int) -> int:
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return int(rounded + divisor if rounded < 0.9 * value else rounded)


COMPARE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}
DIVIDE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "/": operator.truediv, "//": operator.floordiv, "%": operator.mod,
}
FUNCTIONS: Final[Mapping[str, tuple[Callable[..., Any], int, int, str | None]]] = {
    "abs": (abs, 1, 1, None),
    "min": (min, 2, 16, None),
    "max": (max, 2, 16, None),
    "sign": (lambda x: (x > 0) - (x < 0), 1, 1, "int"),
    "int": (int, 1, 1, "int"),
    "ceil": (math.ceil, 1, 1, "int"),
    "floor": (math.floor, 1, 1, "int"),
    "round_to": (_round_to, 2, 2, "int"),
    "sqrt": (math.sqrt, 1, 1, "float"),
    "exp": (math.exp, 1, 1, "float"),
    "log": (math.log, 1, 1, "float"),
    "log2": (math.log2, 1, 1, "float"),
    "sin": (math.sin, 1, 1, "float"),
    "cos": (math.cos, 1, 1, "float"),
}
"""Functions of numbers: what they do, the fewest and most arguments, the type (None: that of the arguments)."""


