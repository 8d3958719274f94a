"""Expressions: numbers are computed, names looked up, ops taken as values; tensors become nodes (`apply.py`)."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from weakref import WeakKeyDictionary

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.diagnostics import ArchError, Label, fail, nearest, offer, slip
from ogive.dsl.dims import Poly
from ogive.dsl.further_down import made_further_down
from ogive.dsl.load import Definition
from ogive.dsl.lookup import Lookup, list_of, unlisted
from ogive.dsl.numbers import CONSTANTS, FUNCTIONS, bounded_list, call, is_number
from ogive.dsl.operators import is_tensor
from ogive.dsl.ops import RECORDS
from ogive.dsl.ops.record import Size
from ogive.dsl.pattern_values import Maker, made, maker_of
from ogive.dsl.patterns.names import CONSTRUCTORS, Constructor
from ogive.dsl.source import Source, Span
from ogive.dsl.trees import names_read, walk
from ogive.dsl.values import POISON, Bundle, OpValue, Poison, Setting, Silent, Unanswered, describe, is_list, whole
from ogive.dsl.when import TRAINING, Partial
from ogive.dsl.work import Frame

__all__ = ["Evaluator", "list_of", "no_pass", "unread", "unlisted"]

OF_AXES: Final = {
    "sum": "`x -> sum_over(N)` sums along an axis", "len": "a letter of its annotation is the size of an axis",
    "int": "element by element: abs, sign, exp, log, log2, sqrt, sin, cos, min, max",
}
"""What to write for a function of numbers that was given a tensor."""


class Evaluator(Lookup):
    """Values of expressions in a frame."""

    @abstractmethod
    def choice(self, expr: s.Conditional, frame: Frame) -> Any:
        """`a if test else b` (`either.py`)."""

    @abstractmethod
    def order_of(self, op: OpValue) -> Sequence[str]:
        """The settings that an op takes by position (`params.py`)."""

    def as_list(self, value: Any) -> Any:
        return list_of(value)

    # ------------------------------------------------------------------------------------ values
    def value(self, expr: s.Expr, frame: Frame) -> Any:
        """What an expression stands for."""
        match expr:
            case s.Constant():
                return expr.value
            case s.Name():
                return self._name(expr, frame)
            case s.SizeExpr():
                return Size(expr.values)
            case s.Made():
                return self._made(expr, frame)
            case s.ListExpr():
                return self._list(expr, frame)
            case s.Attr():
                return self._attr(expr, frame)
            case s.Item():
                return self._item(expr, frame)
            case s.Call():
                return self._call(expr, frame)
            case s.Unary():
                return self.unary(expr, frame)
            case s.Binary():
                return self.binary(expr, frame)
            case s.Compare():
                return self.decided(expr, frame)
            case s.Conditional():
                return self.choice(expr, frame)
            case s.Ask():
                return self.work.answer(expr.span)

    def _list(self, expr: s.ListExpr, frame: Frame) -> Any:
        if len(expr.items) > limits.LIST:
            raise fail("A509", f"a list has at most {limits.LIST:,} items", expr.span)
        self.work.step(expr.span, len(expr.items))
        items = tuple(self.value(item, frame) for item in expr.items)
        tensors = [is_tensor(x) or is_list(x) for x in items]
        if any(tensors):
            for x, i in zip(items, expr.items, strict=True):
                self.tensor_meant(x, i.span)
        if any(isinstance(x, Poison) for x in items):
            return next((x for x in items if isinstance(x, Unanswered)), POISON)
        if any(tensors):  # `[x, zeros(8)]`
            items = tuple([self.as_data(x, frame, i.span) for x, i in zip(items, expr.items, strict=True)])
            tensors = [is_tensor(x) or is_list(x) for x in items]
        if any(tensors) and not all(tensors):
            other = tensors.index(False)
            self.there(items[other], expr.items[other].span)
            raise fail("A140", f"a list holds tensors or other values; beside a tensor stands {describe(items[other])}",
                       expr.items[other].span, help="data and settings are kept apart: two lists")
        return bounded_list(items, expr.span)

    def _name(self, expr: s.Name, frame: Frame) -> Any:
        if expr.name == "_":
            if frame.flow is None:
                raise fail("A110", "`_` is the line above, and nothing flows here yet", expr.span,
                       help="`input` stands above the lines that use it")
            return unlisted(frame.flow)
        entry = frame.names.find(expr.name)
        if entry is not None:
            value = entry.value
            return value.value if isinstance(value, Partial) and self.work.when.implies(value.when) else value
        maker = maker_of(expr.name, expr.span, frame)
        if maker is not None:
            return self._pattern(maker, expr, (), frame)
        if expr.name in CONSTANTS:
            return CONSTANTS[expr.name]
        if expr.name == TRAINING:
            return self.condition_value(self.test(expr, frame))
        found = self.op(expr, frame)
        if found is not None:
            return found
        raise self.unknown(expr, frame)

    def unknown(self, expr: s.Name, frame: Frame) -> ArchError:
        """A name that nothing here has: where it stands instead, or the nearest one."""
        if expr.name == "pass":
            return no_pass(expr.span)
        inside = _inside(expr.name, frame)
        if inside is not None:
            return fail("A101", f"nothing here is called `{expr.name}`", expr.span, notes=self.trail(frame),
                        help=f"it stands in a scope, and is read in full: `{inside}`")
        running = frame.body.chain[-1]
        if isinstance(running, s.Network | s.Block):
            later = made_further_down(expr.name, expr.span, running.body, self.trail(frame))
            if later is not None:
                meant = sorted(n for n in frame.names.visible() if len(n) > 2 and n != expr.name and slip(n, expr.name))
                first = later.diagnostics[0]
                other = f"{first.help}; or is `{meant[0]}` meant?" if meant else first.help
                return ArchError((replace(first, help=other),))
        visible = {name for name in frame.names.visible() if name.isidentifier()}
        usable = visible | {*frame.body.unit.names, *CONSTRUCTORS}
        near = nearest(expr.name, usable) or nearest(expr.name, RECORDS)
        hint = f"did you mean `{near}`?" if near else offer("", visible, "names here") if visible else None
        return fail("A101", f"nothing here is called `{expr.name}`", expr.span, notes=self.trail(frame), help=hint,
                    labels=unread(expr.name, running))

    def _parted(self, error: ArchError, arg: s.Arg, op: OpValue | None, frame: Frame) -> ArchError:
        """A mistake of an argument; where a setting and its value stand there as one word, `stridewide`, its help."""
        first = error.diagnostics[0]
        if op is None or arg.name is not None or first.code not in ("A101", "A102") or first.span is None:
            return error
        text = arg.value.span.text
        for setting in self.order_of(op) if first.span.start == arg.value.span.start else ():
            rest = text.removeprefix(setting)
            word = re.match(r"[A-Za-z_]\w*", rest)
            known = word is None or word[0] in ("True", "False") or word[0] in RECORDS or word[0] in CONSTRUCTORS
            if rest and rest != text and (known or (word and frame.names.find(word[0]) is not None)):
                hint = f"`=` stands between a setting and its value: `{setting}={rest}`"
                return ArchError((replace(first, help=hint), *error.diagnostics[1:]))
        return error

    def made_name(self, expr: s.Name | s.Made, frame: Frame) -> str:
        """`layer{s + 1}` as text."""
        if isinstance(expr, s.Name):
            return expr.name
        return f"{expr.name}{self.natural(expr.number, frame, 'a name is made with')}"

    def natural(self, expr: s.Expr, frame: Frame, what: str) -> int:
        """A whole number from 0 on, known now; `what` begins the sentence that refuses another value."""
        value = self.value(expr, frame)
        if isinstance(value, Poison):
            raise Silent
        number = whole(value)
        if number is None or number < 0:
            raise fail("A309", f"{what} a whole number; here is {describe(value)}", expr.span)
        return number

    def _made(self, expr: s.Made, frame: Frame) -> Any:
        name = self.made_name(expr, frame)
        return self._name(s.Name(name, expr.span), frame)

    # ------------------------------------------------------------------------------------ calls and ops
    def _call(self, expr: s.Call, frame: Frame) -> Any:
        if self.is_function(expr, frame):
            assert isinstance(expr.func, s.Name)
            return self._function(expr.func.name, expr, frame)
        if isinstance(expr.func, s.Name) and not isinstance(self.bound(expr.func.name, frame), OpValue):
            maker = maker_of(expr.func.name, expr.func.span, frame)
            if maker is not None:
                return self._pattern(maker, expr, expr.args, frame)
        found = self.op(expr.func, frame)
        if found is None:
            raise self.unknown_op(expr.func, frame)
        return self.with_settings(found, expr, frame)

    def _pattern(self, maker: Maker, expr: s.Expr, args: Sequence[s.Arg], frame: Frame) -> Any:
        """`window(7, shift=3)`: an attention pattern or mechanism. Its settings are known now."""
        values = [self._settled(self.value(arg.value, frame), arg, frame) for arg in args]
        if any(isinstance(x, Poison) for x in values):
            return POISON
        self.work.step(expr.span)
        return made(maker, expr, args, values, self.trail(frame))

    def _settled(self, value: Any, arg: s.Arg, frame: Frame) -> Any:
        """A size that is known to be a number is that number."""
        if not isinstance(value, Poly):
            return value
        settled = frame.body.facts.simplify(value)
        if isinstance(settled, int):
            return settled
        raise fail("A205", f"a setting of a pattern is a number; here is {describe(value)}", arg.value.span,
                   notes=self.trail(frame), help="pin the size in the network's input, as in `image: B 3 H=224 W=224`")

    def is_function(self, expr: s.Expr, frame: Frame) -> bool:
        """Whether this is a function of numbers: `max(a, b)`. `abs()` without arguments is the op."""
        if not isinstance(expr, s.Call) or not isinstance(expr.func, s.Name):
            return False
        name = expr.func.name
        if name not in FUNCTIONS or isinstance(self.bound(name, frame), OpValue):
            return False
        return bool(expr.args) or name not in RECORDS

    def bound(self, name: str, frame: Frame) -> Any:
        """The value that a name has in the file; None where it has none."""
        entry = frame.names.find(name)
        return None if entry is None else entry.value

    def _function(self, name: str, expr: s.Call, frame: Frame) -> Any:
        for arg in expr.args:
            if arg.name is not None:
                raise fail("A301", f"`{name}` takes no setting `{arg.name}`", arg.name_span, notes=self.trail(frame),
                           help=f"its arguments stand in order: `{name}(a, b)`")
        args = [list_of(self.there(self.value(arg.value, frame), arg.value.span)) for arg in expr.args]
        if any(isinstance(x, Poison) for x in args):
            return POISON
        if any(is_tensor(x) for x in args):
            return self._of_tensors(name, args, expr, frame)
        self.work.step(expr.span, sum(len(x) for x in args if isinstance(x, tuple)))
        return call(name, args, expr.span)

    def _of_tensors(self, name: str, args: list[Any], expr: s.Call, frame: Frame) -> Any:
        """`log(x)`, `min(x, 4)`, `max(a, b, c)`: element by element."""
        if name not in RECORDS:
            raise fail("A309", f"`{name}` takes numbers and lists; here is {describe(args[0])}", expr.span,
                       notes=self.trail(frame), help=OF_AXES.get(name))
        if name not in ("min", "max"):
            return self.primitive(name, args, (), frame, expr.span)
        made, *others = sorted(args, key=lambda x: not is_tensor(x))
        for other in others:
            span = expr.span
            if is_tensor(other):
                made = self.primitive(name, [made, other], (), frame, span)
            elif is_number(other):
                made = self.primitive(name, [made], (Setting("number", other, span, span),), frame, span)
            else:
                raise fail("A309", f"`{name}` takes tensors and numbers; here is {describe(other)}", span)
        if not others:
            raise fail("A309", f"`{name}` compares two or more; here is {describe(made)}", expr.span,
                       help=f"along an axis: `{expr.args[0].span.text} -> max_over(N)`")
        return made

    def with_settings(self, op: OpValue, expr: s.Call, frame: Frame) -> OpValue:
        """`op(args)`: the settings of this use come on top of those it carries."""
        if op.module is not None and expr.args:
            raise fail("A121", f"`{op.module.name}` is shared: its settings stand where it is declared", expr.span,
                       help=f"`shared {op.module.name} = {op.name}({', '.join(a.span.text for a in expr.args)})`")
        order = self.order_of(op)
        if "axis" in order:
            settings = tuple(
                self.setting(arg, frame, arg.name or (order[i] if i < len(order) else None), op)
                for i, arg in enumerate(expr.args)
            )
        else:
            settings = tuple([self.setting(arg, frame, None, op) for arg in expr.args])
        return OpValue(op.target, self.on_top(settings, op, order), expr.span, op.preset, op.module)

    def on_top(self, settings: tuple[Setting, ...], op: OpValue, order: Sequence[str]) -> tuple[Setting, ...]:
        """The settings that `op` carries, under these: what is set here again is gone there."""
        if not op.settings:
            return settings
        positional = sum(x.name is None for x in settings)
        taken = {*order[:positional], *(x.name for x in settings if x.name is not None)}
        kept: list[Setting] = []
        place = 0
        for x in op.settings:
            name = x.name
            if name is None:
                name = order[place] if place < len(order) else None
                place += 1
            if name is None:
                if not positional:
                    kept.append(x)
            elif name not in taken:
                kept.append(Setting(name, x.value, x.span, x.origin, x.whole))
        return (*kept, *settings)

    def setting(self, arg: s.Arg, frame: Frame, field: str | None = None, op: OpValue | None = None) -> Setting:
        """One argument. An `axis` of a primitive is given by its letter: `concat(C)`."""
        expr = arg.value
        if field == "axis" and isinstance(expr, s.Name) and op is not None and isinstance(op.target, type):
            known = self.bound(expr.name, frame)
            if not isinstance(known, str):
                return Setting(arg.name, expr.name, expr.span, expr.span, arg.span)
        try:
            value = self.value(expr, frame)
        except ArchError as error:
            raise self._parted(error, arg, op, frame) from None
        if isinstance(value, Partial) and (value.clash is not None or is_number(value.value)):
            raise self.missing(value, expr.span)
        origin = expr.span
        if isinstance(expr, s.Name):
            entry = frame.names.find(expr.name)
            if entry is not None:
                origin = entry.origin
        return Setting(arg.name, value, expr.span, origin, arg.span)

    def op(self, expr: s.Expr, frame: Frame) -> OpValue | None:
        """What an expression means at an op place: op parameter, shared module, definition, primitive; else None."""
        if isinstance(expr, s.Name):
            return self._op_named(expr, frame)
        if isinstance(expr, s.Attr) and isinstance(expr.base, s.Name):
            return self._preset(expr, expr.base, frame)
        if isinstance(expr, s.Item | s.Made | s.Conditional):
            value = self.value(expr, frame)
            if isinstance(value, Poison):
                raise Silent
            if isinstance(value, OpValue):
                return OpValue(value.target, value.settings, expr.span, value.preset, value.module)
        return None

    def _preset(self, expr: s.Attr, base: s.Name, frame: Frame) -> OpValue | None:
        entry = frame.names.find(base.name)
        if entry is not None and (not isinstance(entry.value, OpValue) or entry.value.module is not None):
            return None
        found = self._op_named(base, frame)
        if found is None:
            return None
        if isinstance(found.target, Definition) and isinstance(found.target.node, s.Network | s.Derived):
            return OpValue(found.target, found.settings, expr.span, expr.name, found.module)
        what = "a block" if isinstance(found.target, Definition) else "a primitive"
        raise fail("A110", f"`{found.name}` is {what} and has no presets", expr.name_span,
                   help=f"networks have presets; settings stand in parentheses: `{found.name}(...)`")

    def _op_named(self, expr: s.Name, frame: Frame) -> OpValue | None:
        value = self.bound(expr.name, frame)
        if isinstance(value, OpValue):
            return OpValue(value.target, value.settings, expr.span, value.preset, value.module)
        if expr.name in frame.body.unit.names:
            definition = frame.body.unit.names[expr.name]
            if definition is None:
                raise Silent
            if isinstance(definition.node, s.Pattern):
                return None
            return OpValue(definition, (), expr.span)
        if expr.name in RECORDS:
            return OpValue(RECORDS[expr.name], (), expr.span)
        return None

    def unknown_op(self, expr: s.Expr, frame: Frame) -> ArchError:
        """An op place without an op: what stands there instead, or the nearest name."""
        name = expr.name if isinstance(expr, s.Name) else expr.span.text
        ops = {*RECORDS, *frame.body.unit.names}
        ops |= {n for n in frame.names.visible() if isinstance(self.bound(n, frame), OpValue)}
        value = self.bound(name, frame) if isinstance(expr, s.Name) else None
        if isinstance(value, Poison):
            raise Silent
        if value is not None:
            return fail("A102", f"`{name}` is {describe(value)}, not an op", expr.span, notes=self.trail(frame),
                        help="right of `->` and before `(` stands an op: `x -> relu`")
        maker = maker_of(name, expr.span, frame) if isinstance(expr, s.Name) else None
        if maker is not None:
            constructor = maker if isinstance(maker, Constructor) else maker.constructor
            what = "an attention mechanism" if constructor.why else "an attention pattern"
            shown = name if constructor.bare else f"{name}(...)"
            return fail("A102", f"`{name}` is {what}, not an op", expr.span,
                        help=f"`q, k, v -> attend(heads, over={shown})`")
        near = nearest(name, CONSTRUCTORS) if not nearest(name, ops) else None
        return fail("A102", f"there is no op `{name}`", expr.span, notes=self.trail(frame),
                    help=f"did you mean the attention pattern `{near}`?" if near else offer(name, ops, "ops"))


def no_pass(span: Span) -> ArchError:
    """Python's `pass`."""
    return fail("A102", "there is no `pass`", span,
                help="leave the whole container out: what is not written is the identity")


_NEVER_READ: Final[WeakKeyDictionary[Source, tuple[s.Definition, tuple[s.Param, ...]]]] = WeakKeyDictionary()
"""Of a text the definition that was asked last: to find them is to walk all of it, and many names may be unknown."""


def unread(name: str, definition: s.Definition) -> tuple[Label, ...]:
    """The parameter of a definition that nothing in it reads, where it is one alone: `name` may be what is meant."""
    known, params = _NEVER_READ.get(definition.span.source, (None, ()))
    if known is not definition:
        read = {name for name, _ in names_read(definition)}
        params = tuple(p for p, _ in walk(definition) if isinstance(p, s.Param) and p.name not in read)
        _NEVER_READ[definition.span.source] = definition, params
    if len(params) != 1:
        return ()
    (param,) = params
    rest = param.name.removeprefix(name)
    more = f"; with a default it is `{name}={rest}`" if rest.isdigit() and rest != param.name else ""
    return (Label(param.span, f"nothing reads `{param.name}`{more}"),)


def _inside(name: str, frame: Frame) -> str | None:
    """`scope.name`, where a scope or an iteration that can be read here has the name."""
    for outer in frame.names.visible():
        entry = frame.names.find(outer)
        value = entry.value if entry is not None else None
        if not isinstance(value, Bundle) or entry is None or entry.kind == "input":
            continue
        if value.items:
            last = max(value.items)
            inner = value.items[last].inner
            outer = f"{outer}[{last}]"
        else:
            inner = value.inner
        if inner is not None and name in inner.table and inner.table[name].kind in ("node", "constant"):
            return f"{outer}.{name}"
    return None
