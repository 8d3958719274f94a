"""Expressions: numbers are computed, names looked up, ops taken as values; tensors become nodes (`apply.py`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from ogive.dsl import syntax as s
from ogive.dsl.conditions import Condition
from ogive.dsl.diagnostics import fail, offer
from ogive.dsl.dims import Poly
from ogive.dsl.dims_text import show
from ogive.dsl.later import LATER_OPS, later
from ogive.dsl.load import Definition
from ogive.dsl.numbers import CONSTANTS, FUNCTIONS, binary, call, is_number, negative
from ogive.dsl.ops import RECORDS
from ogive.dsl.ops.record import Size
from ogive.dsl.patterns import Causal, Dense, Pattern
from ogive.dsl.source import Span
from ogive.dsl.values import POISON, Bundle, OpValue, Out, ParamValue, Poison, Setting, describe
from ogive.dsl.work import Frame, Work

__all__ = ["Evaluator", "is_tensor"]

PATTERNS: dict[str, Pattern] = {"dense": Dense(), "causal": Causal()}
ARITHMETIC = {"+": "add", "-": "sub", "*": "mul", "/": "div", "**": "pow"}


def is_tensor(value: Any) -> bool:
    return isinstance(value, Bundle | Out)


class Evaluator(ABC):
    """Values of expressions in a frame."""

    def __init__(self, work: Work) -> None:
        self.work = work

    @abstractmethod
    def primitive(
        self, op: str, inputs: list[Any], settings: tuple[Setting, ...], frame: Frame, span: Span
    ) -> Bundle | Poison:
        """Make an unnamed node of a weightless primitive (`apply.py`)."""

    # ------------------------------------------------------------------------------------ values
    def value(self, expr: s.Expr, frame: Frame) -> Any:
        """What an expression stands for."""
        match expr:
            case s.Constant():
                return expr.value
            case s.SizeExpr():
                return Size(expr.values)
            case s.Name():
                return self._name(expr, frame)
            case s.Made():
                return self._made(expr, frame)
            case s.ListExpr():
                items = tuple(self.value(item, frame) for item in expr.items)
                return POISON if any(isinstance(x, Poison) for x in items) else items
            case s.Attr():
                return self._attr(expr, frame)
            case s.Item():
                return self._item(expr, frame)
            case s.Call():
                return self._call(expr, frame)
            case s.Unary():
                return self._unary(expr, frame)
            case s.Binary():
                return self._binary(expr, frame)
            case s.Compare():
                return self._decided(expr, frame)
            case s.Conditional():
                test = self.truth(expr.test, frame)
                if isinstance(test, Poison):
                    return POISON
                return self.value(expr.then if test else expr.other, frame)
            case s.Ask():
                raise later("`?` in place of a number", expr.span)

    def _name(self, expr: s.Name, frame: Frame) -> Any:
        if expr.name == "_":
            if frame.flow is None:
                raise fail("A110", "`_` is the line above, and nothing flows here yet", expr.span)
            return frame.flow
        entry = frame.names.find(expr.name)
        if entry is not None:
            return entry.value
        if expr.name in PATTERNS:
            return PATTERNS[expr.name]
        if expr.name in CONSTANTS:
            return CONSTANTS[expr.name]
        if expr.name == "training":
            raise later("`training`", expr.span)
        found = self.op(expr, frame)
        if found is not None:
            return found
        known = {*frame.names.visible(), *frame.body.unit.names, *PATTERNS}
        raise fail(
            "A101", f"nothing here is called `{expr.name}`", expr.span,
            help=offer(expr.name, known | set(RECORDS) if expr.name not in known else known, "names here"),
        )

    def made_name(self, expr: s.Name | s.Made, frame: Frame) -> str:
        """`layer{s + 1}` as text."""
        if isinstance(expr, s.Name):
            return expr.name
        number = self.value(expr.number, frame)
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise fail("A309", f"a name is made with a whole number; here is {describe(number)}", expr.number.span)
        return f"{expr.name}{number}"

    def _made(self, expr: s.Made, frame: Frame) -> Any:
        name = self.made_name(expr, frame)
        return self._name(s.Name(name, expr.span), frame)

    def _attr(self, expr: s.Attr, frame: Frame) -> Any:
        found = self.op(expr, frame)
        if found is not None:
            return found
        base = self.value(expr.base, frame)
        if isinstance(base, Poison):
            return POISON
        if isinstance(base, Bundle):
            return self._member(base, expr)
        raise fail("A110", f"{describe(base)} has no `.{expr.name}`", expr.name_span)

    def _member(self, base: Bundle, expr: s.Attr) -> Any:
        if expr.name in base.labels:
            return Bundle((base.outs[base.labels.index(expr.name)],))
        if base.inner is not None and expr.name in base.inner.table:
            return base.inner.table[expr.name].value
        if expr.name in base.weights:
            return base.weights[expr.name]
        if any(isinstance(out, Poison) for out in base.outs):
            return POISON
        known = [name for name in base.labels if name] + list(base.weights)
        if base.inner is not None:
            known += list(base.inner.table)
        what = f" of `{base.title}`" if base.title else ""
        raise fail("A110", f"nothing{what} is called `{expr.name}`", expr.name_span, help=offer(expr.name, known, "there are"))

    def _item(self, expr: s.Item, frame: Frame) -> Any:
        base = self.value(expr.base, frame)
        if isinstance(base, Poison):
            return POISON
        if isinstance(base, ParamValue):
            raise later("a slice of a weight", expr.span)
        if isinstance(expr.index, s.Slice):
            return self._slice(base, expr.index, frame)
        index = self.value(expr.index, frame)
        if isinstance(index, Poison):
            return POISON
        if isinstance(index, bool) or not isinstance(index, int):
            raise fail("A309", f"a place in a list is a whole number; here is {describe(index)}", expr.index.span)
        if isinstance(base, tuple):
            return self._at(base, index, expr.index.span)
        if isinstance(base, Bundle) and base.items is not None:
            place = index if index >= 0 else len(base.items) + index
            if place not in base.items:
                raise fail("A309", f"there is no iteration {index}", expr.index.span,
                           help=f"iterations 0 to {len(base.items) - 1} stand above this line")
            return base.items[place]
        if isinstance(base, Bundle) and len(base.outs) > 1:
            return Bundle((self._at(base.outs, index, expr.index.span),))
        raise fail("A309", f"{describe(base)} has no parts to choose from", expr.base.span)

    def _at(self, items: tuple[Any, ...], index: int, span: Span) -> Any:
        if not -len(items) <= index < len(items):
            raise fail("A309", f"place {index} of a list of {len(items)}", span, help=f"places run from 0 to {len(items) - 1}")
        return items[index]

    def _slice(self, base: Any, index: s.Slice, frame: Frame) -> Any:
        if not isinstance(base, tuple) or isinstance(base, Size):
            raise fail("A309", f"{describe(base)} cannot be cut with `:`", index.span)
        ends: list[int | None] = []
        for end in (index.start, index.stop):
            value = None if end is None else self.value(end, frame)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise fail("A309", f"a list is cut at whole numbers; here is {describe(value)}", index.span)
            ends.append(value)
        return base[ends[0] : ends[1]]

    # ------------------------------------------------------------------------------------ operators
    def _unary(self, expr: s.Unary, frame: Frame) -> Any:
        if expr.op == "not":
            truth = self.truth(expr.value, frame)
            return truth if isinstance(truth, Poison) else not truth
        value = self.value(expr.value, frame)
        if isinstance(value, Poison):
            return POISON
        if expr.op == "~" or isinstance(value, Pattern):
            raise later("the complement of a pattern", expr.span)
        if is_tensor(value):
            return self.primitive("neg", [value], (), frame, expr.span)
        return negative(value, expr.span)

    def _binary(self, expr: s.Binary, frame: Frame) -> Any:
        if expr.op in ("and", "or"):
            return self._logic(expr, frame)
        left, right = self.value(expr.left, frame), self.value(expr.right, frame)
        if isinstance(left, Poison) or isinstance(right, Poison):
            return POISON
        if isinstance(left, Pattern) or isinstance(right, Pattern) or expr.op in ("|", "&"):
            raise later("joining attention patterns", expr.span)
        if is_tensor(left) or is_tensor(right):
            return self.arithmetic(expr, left, right, frame)
        return binary(expr.op, left, right, expr.span)

    def arithmetic(self, expr: s.Binary, left: Any, right: Any, frame: Frame) -> Bundle | Poison:
        """A node for arithmetic on tensors."""
        if expr.op not in ARITHMETIC:
            raise fail("A309", f"`{expr.op}` is no arithmetic on tensors", expr.span, help="tensors take + - * / **")
        op = ARITHMETIC[expr.op]
        if is_tensor(left) and is_tensor(right):
            return self.primitive(op, [left, right], (), frame, expr.span)
        tensor, other, side = (left, right, expr.right) if is_tensor(left) else (right, left, expr.left)
        if not is_number(other) or isinstance(other, Poly):
            raise fail("A309", f"`{expr.op}` joins tensors and numbers; here is {describe(other)}", side.span)
        settings = [Setting("number", other, side.span, side.span)]
        if tensor is right:
            settings.append(Setting("reverse", True, side.span, side.span))
        return self.primitive(op, [tensor], tuple(settings), frame, expr.span)

    def _logic(self, expr: s.Binary, frame: Frame) -> bool | Poison:
        left = self.truth(expr.left, frame)
        if isinstance(left, Poison) or left == (expr.op == "or"):
            return left
        return self.truth(expr.right, frame)

    def truth(self, expr: s.Expr, frame: Frame) -> bool | Poison:
        """A condition that is decided while building."""
        value = self.value(expr, frame)
        if isinstance(value, Poison | bool):
            return value
        if is_tensor(value):
            raise later("a condition on a tensor", expr.span)
        raise fail("A309", f"a condition is True or False; here is {describe(value)}", expr.span,
                   help="compare it: `x > 0`, `x != None`")

    def _decided(self, expr: s.Compare, frame: Frame) -> bool | Poison:
        verdict = self.comparison(expr, frame)
        if isinstance(verdict, Condition):
            names = ", ".join(sorted(verdict.symbols))
            raise fail(
                "A210", f"this depends on {names}, which is free; it is decided while building", expr.span,
                help="pin the size in `input` (`H=224`), or `assert` it above",
            )
        return verdict

    def comparison(self, expr: s.Compare, frame: Frame) -> bool | Condition | Poison:
        """A comparison: True, False, or a condition on free sizes that is neither yet."""
        left, right = self.value(expr.left, frame), self.value(expr.right, frame)
        if isinstance(left, Poison) or isinstance(right, Poison):
            return POISON
        if isinstance(left, Poly) or isinstance(right, Poly):
            return self._sizes(expr, left, right, frame)
        for value, side in ((left, expr.left), (right, expr.right)):
            if is_tensor(value):
                raise later("a comparison of tensors", side.span)
        if expr.op in ("==", "!="):
            same = _equal(left, right)
            return same if expr.op == "==" else not same
        if not is_number(left) or not is_number(right):
            raise fail("A309", f"`{expr.op}` orders numbers; here are {describe(left)} and {describe(right)}", expr.span)
        match expr.op:
            case "<":
                return bool(left < right)
            case "<=":
                return bool(left <= right)
            case ">":
                return bool(left > right)
            case _:
                return bool(left >= right)

    def _sizes(self, expr: s.Compare, left: Any, right: Any, frame: Frame) -> bool | Condition | Poison:
        for value in (left, right):
            if not isinstance(value, int | Poly) or isinstance(value, bool):
                raise fail("A309", f"a size is compared with whole numbers; here is {describe(value)}", expr.span)
        condition = self._condition(expr, left, right, frame)
        known = frame.body.facts.holds(condition)
        return condition if known is None else known

    def _condition(self, expr: s.Compare, left: Any, right: Any, frame: Frame) -> Condition:
        remainder = expr.left
        if expr.op == "==" and right == 0 and isinstance(remainder, s.Binary) and remainder.op == "%":
            divisor = self.value(remainder.right, frame)
            return Condition("divisible", self.value(remainder.left, frame), divisor)
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

    # ------------------------------------------------------------------------------------ calls and ops
    def _call(self, expr: s.Call, frame: Frame) -> Any:
        name = expr.func.name if isinstance(expr.func, s.Name) else None
        if name in FUNCTIONS and not isinstance(self._bound(name, frame), OpValue):
            return self._function(name, expr, frame)
        if name in PATTERNS:
            if expr.args:
                raise later(f"settings of the pattern `{name}`", expr.span)
            return PATTERNS[name]
        found = self.op(expr.func, frame)
        if found is None:
            raise self.unknown_op(expr.func, frame)
        return self.with_settings(found, expr, frame)

    def _bound(self, name: str, frame: Frame) -> Any:
        entry = frame.names.find(name)
        return None if entry is None else entry.value

    def _function(self, name: str, expr: s.Call, frame: Frame) -> Any:
        for arg in expr.args:
            if arg.name is not None:
                raise fail("A301", f"`{name}` takes no setting `{arg.name}`", arg.span)
        args = [self.value(arg.value, frame) for arg in expr.args]
        if any(isinstance(x, Poison) for x in args):
            return POISON
        if args and is_tensor(args[0]):
            if name not in RECORDS:
                raise later(f"`{name}` of a tensor", expr.span)
            return self.primitive(name, args, (), frame, expr.span)
        return call(name, args, expr.span)

    def with_settings(self, op: OpValue, expr: s.Call, frame: Frame) -> OpValue:
        """`op(args)`: the settings of this use come on top of those it carries."""
        settings = tuple(self.setting(arg, frame) for arg in expr.args)
        positional = [x for x in settings if x.name is None]
        carried = op.settings if not positional else tuple(x for x in op.settings if x.name is not None)
        names = {x.name for x in settings if x.name is not None}
        kept = tuple(x for x in carried if x.name is None or x.name not in names)
        return OpValue(op.target, (*kept, *settings), expr.span, op.preset, op.module)

    def setting(self, arg: s.Arg, frame: Frame) -> Setting:
        value = self.value(arg.value, frame)
        origin = arg.value.span
        if isinstance(arg.value, s.Name):
            entry = frame.names.find(arg.value.name)
            if entry is not None:
                origin = entry.origin
        return Setting(arg.name, value, arg.value.span, origin)

    def op(self, expr: s.Expr, frame: Frame) -> OpValue | None:
        """What an expression means at an op place: op parameter, shared module, definition, primitive; else None."""
        if isinstance(expr, s.Name):
            return self._op_named(expr, frame)
        if isinstance(expr, s.Attr) and isinstance(expr.base, s.Name):
            entry = frame.names.find(expr.base.name)
            if entry is not None and not isinstance(entry.value, OpValue):
                return None
            base = self.op(expr.base, frame)
            if base is None:
                return None
            if isinstance(base.target, Definition) and isinstance(base.target.node, s.Network | s.Derived):
                return OpValue(base.target, base.settings, expr.span, expr.name, base.module)
            raise fail("A110", f"`{base.name}` has no presets", expr.name_span)
        return None

    def _op_named(self, expr: s.Name, frame: Frame) -> OpValue | None:
        value = self._bound(expr.name, frame)
        if isinstance(value, OpValue):
            return OpValue(value.target, value.settings, expr.span, value.preset, value.module)
        if expr.name in frame.body.unit.names:
            definition = frame.body.unit.names[expr.name]
            if definition is None:
                raise PoisonedName
            if isinstance(definition.node, s.Pattern):
                raise later("a pattern of one's own", expr.span)
            return OpValue(definition, (), expr.span)
        if expr.name in RECORDS:
            return OpValue(RECORDS[expr.name], (), expr.span)
        if expr.name in LATER_OPS:
            raise later(f"`{expr.name}`, {LATER_OPS[expr.name]}", expr.span)
        return None

    def unknown_op(self, expr: s.Expr, frame: Frame) -> Exception:
        name = expr.name if isinstance(expr, s.Name) else expr.span.text
        ops = {*RECORDS, *frame.body.unit.names}
        ops |= {n for n in frame.names.visible() if isinstance(self._bound(n, frame), OpValue)}
        value = self._bound(name, frame)
        if value is not None and not isinstance(value, OpValue | Poison):
            return fail("A102", f"`{name}` is {describe(value)}, not an op", expr.span, help=offer(name, ops - {name}, "ops"))
        return fail("A102", f"there is no op `{name}`", expr.span, help=offer(name, ops, "ops"))


class PoisonedName(Exception):
    """A definition whose import failed: that is reported already, so its use says nothing."""


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, OpValue) and isinstance(right, OpValue):
        return left.target == right.target and left.preset == right.preset
    return bool(left == right)


def shown(value: Any) -> str:
    """A value as a person would type it."""
    return show(value) if isinstance(value, Poly) else str(value)
