"""Operators: arithmetic on numbers and tensors, comparisons, conditions that are decided while building."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final

from ogive.dsl import syntax as s
from ogive.dsl.conditions import Condition
from ogive.dsl.diagnostics import ArchError, fail
from ogive.dsl.dims import Poly
from ogive.dsl.numbers import binary, is_number, negative
from ogive.dsl.pattern_values import complemented, is_over, joined
from ogive.dsl.source import Span
from ogive.dsl.values import POISON, Bundle, OpValue, Out, ParamValue, Poison, Setting, describe, is_list, whole
from ogive.dsl.when import ALWAYS, NEVER, TRAINING, Partial, When, flag
from ogive.dsl.work import Frame, Work

__all__ = ["Operators", "is_tensor"]

ARITHMETIC: Final = {"+": "add", "-": "sub", "*": "mul", "/": "div", "**": "pow"}

COMPARISONS: Final = {
    "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal", "==": "equal", "!=": "not_equal",
}
TURNED: Final = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def is_tensor(value: Any) -> bool:
    return isinstance(value, (Bundle, Out, ParamValue))


class Operators(ABC):
    """What operators make of values."""

    def __init__(self, work: Work) -> None:
        self.work = work

    @abstractmethod
    def value(self, expr: s.Expr, frame: Frame) -> Any:
        """What an expression stands for (`evaluate.py`)."""

    @abstractmethod
    def operand(self, expr: s.Expr, frame: Frame) -> Any:
        """The value of an expression where data is meant (`apply.py`)."""

    @abstractmethod
    def missing(self, value: Partial, span: Span) -> ArchError:
        """The refusal of data that not every call has (`apply.py`)."""

    def there(self, value: Any, span: Span) -> Any:
        """A value that every call has.

        Raises:
            ArchError: A143 an optional input, or a name given on one side of an `if`; A144 the sides do not meet.
        """
        if isinstance(value, Partial):
            raise self.missing(value, span)
        return value

    @abstractmethod
    def as_list(self, value: Any) -> Any:
        """A value as its list, where it is one (`evaluate.py`)."""

    @abstractmethod
    def tensor_meant(self, value: Any, span: Span) -> None:
        """The refusal of a `?` where data is meant (`inputs.py`)."""

    @abstractmethod
    def as_data(self, value: Any, frame: Frame, span: Span) -> Any:
        """A source op run, and those in a list of nothing else (`apply.py`)."""

    @abstractmethod
    def primitive(
        self, op: str, inputs: list[Any], settings: tuple[Setting, ...], frame: Frame, span: Span
    ) -> Bundle | Poison:
        """Make an unnamed node of a weightless primitive (`apply.py`)."""

    def trail(self, frame: Frame) -> list[str]:
        """How this line was reached, when it stands in a block: `ViT.S > blocks[0] > Encoder`."""
        return [f"in {' > '.join(frame.body.trail)}"] if len(frame.body.trail) > 1 else []

    def call_trail(self, frame: Frame) -> list[str]:
        """How the line was reached that runs this body."""
        caller = frame.body.caller
        return [f"in {' > '.join(caller)}"] if len(caller) > 1 else []

    # ------------------------------------------------------------------------------------ arithmetic
    def unary(self, expr: s.Unary, frame: Frame) -> Any:
        if expr.op == "not":
            return self.condition_value(self.test(expr, frame))
        value = self.there(self.value(expr.value, frame), expr.value.span)
        if isinstance(value, Poison):
            return POISON
        if expr.op == "~":
            return complemented(expr, value)
        if is_over(value):
            raise fail("A309", f"`{expr.op}` takes a number; here is {describe(value)}", expr.span,
                       help="`~` is all pairs that are not in a pattern")
        if is_tensor(value):
            return self.primitive("neg", [value], (), frame, expr.span)
        if isinstance(value, OpValue):
            raise _no_number(expr.op, value, expr.value.span)
        return negative(value, expr.span)

    def binary(self, expr: s.Binary, frame: Frame) -> Any:
        if expr.op in ("and", "or"):
            return self._logic(expr, frame)
        left = self.there(self.operand(expr.left, frame), expr.left.span)
        right = self.there(self.operand(expr.right, frame), expr.right.span)
        if expr.op == "+":
            left, right = self.as_list(left), self.as_list(right)
        if isinstance(left, Poison) or isinstance(right, Poison):
            return POISON
        if is_number(left) and is_number(right) and expr.op not in ("|", "&"):
            return binary(expr.op, left, right, expr.span)
        if is_over(left) or is_over(right):
            return joined(expr, left, right)
        for value, side in ((left, expr.left), (right, expr.right)):
            if isinstance(value, OpValue):
                raise _no_number(expr.op, value, side.span)
        if expr.op in ("|", "&"):
            raise fail("A309", f"`{expr.op}` joins attention patterns; here are {describe(left)} and {describe(right)}",
                       expr.span, help="conditions are joined with `and` and `or`")
        lists = [x for x in (left, right) if is_list(x)]
        if lists and not (expr.op == "+" and isinstance(left, tuple) and isinstance(right, tuple)):
            raise self._of_a_list(expr, left, right, frame)
        if is_tensor(left) or is_tensor(right):
            return self._arithmetic(expr, left, right, frame)
        if expr.op == "+" and isinstance(left, tuple) and isinstance(right, tuple):
            self.work.step(expr.span, len(left) + len(right))
        return binary(expr.op, left, right, expr.span)

    def _of_a_list(self, expr: s.Binary, left: Any, right: Any, frame: Frame) -> ArchError:
        """Arithmetic on a list of tensors as if it were one."""
        side, other = (expr.left, expr.right) if is_list(left) else (expr.right, expr.left)
        value = left if is_list(left) else right
        text = side.span.text
        return fail(
            "A140", f"`{expr.op}` takes one tensor on each side; here is {describe(value)}", side.span,
            notes=self.trail(frame),
            help=f"`[{other.span.text}]` is a list of one, and `+` joins lists" if expr.op == "+" and is_tensor(
                right if value is left else left) else f"take one, `{text}[0]`, or join them first: `{text} -> concat`",
        )

    def _arithmetic(self, expr: s.Binary, left: Any, right: Any, frame: Frame) -> Bundle | Poison:
        """A node for arithmetic on tensors."""
        if expr.op not in ARITHMETIC:
            raise fail("A309", f"`{expr.op}` is no arithmetic on tensors", expr.span, help="tensors take + - * / **")
        op = ARITHMETIC[expr.op]
        if is_tensor(left) and is_tensor(right):
            return self.primitive(op, [left, right], (), frame, expr.span)
        tensor, other, side = (left, right, expr.right) if is_tensor(left) else (right, left, expr.left)
        if not is_number(other):
            what = f"`{expr.op}` joins a tensor and a number; here is {describe(other)}"
            raise fail("A309", what, side.span, notes=self.trail(frame))
        settings = [Setting("number", other, side.span, side.span)]
        if tensor is right:
            settings.append(Setting("reverse", True, side.span, side.span))
        return self.primitive(op, [tensor], tuple(settings), frame, expr.span)

    # ------------------------------------------------------------------------------------ truth
    def _logic(self, expr: s.Binary, frame: Frame) -> Any:
        """`a and b`, `a or b`: a condition; or `x or y`, the optional input when it is given, else `y`."""
        if expr.op == "or":
            left = self.value(expr.left, frame)
            if isinstance(left, Partial | Poison) or is_tensor(left):
                return self.instead(left, expr, frame)
        return self.condition_value(self.test(expr, frame))

    @abstractmethod
    def instead(self, left: Any, expr: s.Binary, frame: Frame) -> Any:
        """`x or y` on tensors (`either.py`)."""

    def condition_value(self, truth: When | Poison) -> Any:
        """A condition as a value: True or False where it is decided."""
        if isinstance(truth, Poison):
            return POISON
        return True if truth.always else False if truth.never else truth

    def test(self, expr: s.Expr, frame: Frame) -> When | Poison:
        """A condition: decided while building (ALWAYS, NEVER), or by each call (`training`, an optional input)."""
        if isinstance(expr, s.Unary) and expr.op == "not":
            truth = self.test(expr.value, frame)
            return truth if isinstance(truth, Poison) else ~truth
        if isinstance(expr, s.Binary) and expr.op in ("and", "or"):
            left = self.test(expr.left, frame)
            if isinstance(left, Poison) or left == (ALWAYS if expr.op == "or" else NEVER):
                return left
            right = self.test(expr.right, frame)
            if isinstance(right, Poison):
                return right
            return left & right if expr.op == "and" else left | right
        given = self._given_here(expr, frame)
        if given is not None:
            return given
        value = self.value(expr, frame)
        if isinstance(value, Poison | When):
            return value
        if isinstance(value, bool):
            return ALWAYS if value else NEVER
        if is_tensor(value):
            raise self.undecided(value, expr, frame)
        raise fail("A309", f"a condition is True or False; here is {describe(value)}", expr.span,
                   help=f"compare it: `{expr.span.text} > 0`" if is_number(value) else "compare it with `==`")

    def undecided(self, value: Any, expr: s.Expr, frame: Frame) -> ArchError:
        """A tensor where a condition is asked for."""
        return fail(
            "A309", f"{describe(value)} is data, and a condition is decided before there is any", expr.span,
            notes=self.trail(frame),
            help="`cond, a, b -> where` chooses element by element; an input that a call may leave away is "
                 "`name?: ...`, and `if name:` asks for it",
        )

    def _given_here(self, expr: s.Expr, frame: Frame) -> When | None:
        """`training`, or the name of an optional input: what a call decides."""
        if not isinstance(expr, s.Name):
            return None
        if expr.name == TRAINING:
            self.work.ask(TRAINING, expr.span)
            return flag(TRAINING).given(self.work.when)
        entry = frame.names.find(expr.name)
        if entry is None or not isinstance(entry.value, Partial):
            return None
        if entry.value.clash is not None:
            raise self.missing(entry.value, expr.span)
        for name in entry.value.when.flags:
            self.work.ask(name, expr.span)
        return entry.value.when.given(self.work.when)

    def truth(self, expr: s.Expr, frame: Frame) -> bool | Poison:
        """A condition that is decided while building.

        Raises:
            ArchError: A143 each call decides it.
        """
        truth = self.test(expr, frame)
        if isinstance(truth, Poison):
            return truth
        if truth.always or truth.never:
            return truth.always
        raise self.not_yet(expr, frame)

    def not_yet(self, expr: s.Expr, frame: Frame) -> ArchError:
        """What each call decides, where it must be known now."""
        return fail("A143", f"`{expr.span.text}` is decided by each call, and must be known while building", expr.span,
                    notes=self.trail(frame),
                    help=f"`if {expr.span.text}:` with lines of its own on each side; both sides are built")

    def decided(self, expr: s.Compare, frame: Frame) -> bool | Bundle | Poison:
        """A comparison that must come out now; of tensors, a tensor of truth values."""
        verdict = self.comparison(expr, frame)
        if isinstance(verdict, Condition):
            names = ", ".join(f"`{name}`" for name in sorted(verdict.symbols))
            raise fail(
                "A210", f"this depends on {names}, free in the input, and is decided while building", expr.span,
                label=f"`{verdict.show()}` may be so or not", notes=self.trail(frame),
                help="pin the size in `input` (`H=224`), or promise it above with `assert`",
            )
        return verdict

    def comparison(self, expr: s.Compare, frame: Frame) -> bool | Condition | Bundle | Poison:
        """A comparison: True, False, a condition on free sizes that is neither yet, or a tensor."""
        left = self.there(self.value(expr.left, frame), expr.left.span)
        right = self.there(self.value(expr.right, frame), expr.right.span)
        if isinstance(left, Poison) or isinstance(right, Poison):
            return POISON
        if is_tensor(left) or is_tensor(right):
            return self._compared(expr, left, right, frame)
        if isinstance(left, Poly) or isinstance(right, Poly):
            return self._sizes(expr, left, right, frame)
        if expr.op in ("==", "!="):
            same = _equal(left, right)
            return same if expr.op == "==" else not same
        if not is_number(left) or not is_number(right):
            what = f"`{expr.op}` orders numbers; here are {describe(left)} and {describe(right)}"
            raise fail("A309", what, expr.span, notes=self.trail(frame))
        match expr.op:
            case "<":
                return bool(left < right)
            case "<=":
                return bool(left <= right)
            case ">":
                return bool(left > right)
            case _:
                return bool(left >= right)

    def _compared(self, expr: s.Compare, left: Any, right: Any, frame: Frame) -> Bundle | Poison:
        """A node for a comparison of tensors."""
        if is_tensor(left) and is_tensor(right):
            return self.primitive(COMPARISONS[expr.op], [left, right], (), frame, expr.span)
        tensor, other, side = (left, right, expr.right) if is_tensor(left) else (right, left, expr.left)
        op = expr.op if tensor is left else TURNED.get(expr.op, expr.op)
        if not is_number(other):
            raise fail("A309", f"`{expr.op}` compares a tensor with a number or a tensor; here is {describe(other)}",
                       side.span, notes=self.trail(frame))
        settings = (Setting("number", other, side.span, side.span),)
        return self.primitive(COMPARISONS[op], [tensor], settings, frame, expr.span)

    def _sizes(self, expr: s.Compare, left: Any, right: Any, frame: Frame) -> bool | Condition | Poison:
        for value in (left, right):
            if whole(value) is None and not isinstance(value, Poly):
                raise fail("A309", f"a size is compared with whole numbers; here is {describe(value)}", expr.span)
        left, right = (x if isinstance(x, Poly) else whole(x) for x in (left, right))
        condition = self._condition(expr, left, right, frame)
        known = frame.body.facts.holds(condition)
        return condition if known is None else known

    def _condition(self, expr: s.Compare, left: Any, right: Any, frame: Frame) -> Condition:
        remainder = expr.left
        if expr.op == "==" and right == 0 and isinstance(remainder, s.Binary) and remainder.op == "%":
            return Condition("divisible", self.value(remainder.left, frame), self.value(remainder.right, frame))
        match expr.op:
            case "==":
                return Condition("equal", left, right)
            case "!=":
                return Condition("not_equal", left, right)
            case "<":
                return Condition("less", left, right)
            case "<=":
                return Condition("less_equal", left, right)
            case ">":
                return Condition("less", right, left)
            case ">=":
                return Condition("less_equal", right, left)


def _no_number(op: str, value: OpValue, span: Span) -> ArchError:
    return fail(
        "A309", f"`{value.name}` is an op, and `{op}` takes tensors and numbers", span,
        help=f"run it on a line of its own and use its name: `y = x -> {value.name}`",
    )


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, OpValue) and isinstance(right, OpValue):
        return left.target == right.target and left.preset == right.preset
    if isinstance(left, tuple) != isinstance(right, tuple):
        left, right = whole(left), whole(right)
        return left is not None and bool(left == right)
    return bool(left == right)
