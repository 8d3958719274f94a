"""Settings of primitives: sorted by name, converted, checked by the record; what is refused says where it is from."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from ogive.dsl.diagnostics import ArchError, Label, fail, offer
from ogive.dsl.dims import Poly, symbols
from ogive.dsl.dims_text import show
from ogive.dsl.operators import is_tensor
from ogive.dsl.ops.record import Mismatch, Primitive, Reference, Size
from ogive.dsl.ports import Ports
from ogive.dsl.source import Span
from ogive.dsl.values import Bundle, OpValue, Out, ParamValue, Poison, Setting, Silent, describe, printed
from ogive.dsl.work import Frame, Unsettled

__all__ = ["NOTHING", "Settings", "fields_of"]

SHOWN: Final = 4
"""Inputs of one op whose lines an error quotes."""
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Settings(Ports):
    """What stands in the parentheses of a primitive."""

    @abstractmethod
    def one(self, value: Bundle, span: Span) -> Out | Poison:
        """The value of a node, which must not be one of several parts (`apply.py`)."""

    @abstractmethod
    def read(self, value: ParamValue, span: Span) -> Out:
        """A weight read by name as a tensor (`apply.py`)."""

    def sorted(
        self, record: type[Primitive], settings: tuple[Setting, ...], frame: Frame, span: Span
    ) -> tuple[dict[str, Setting], dict[str, Setting]]:
        """Settings by name, and apart from them the weights that are supplied."""
        wanted: dict[str, Setting] = {}
        given: dict[str, Setting] = {}
        if not settings:  # most lines
            return wanted, given
        fields = fields_of(record)
        positional = [x for x in settings if x.name is None]
        if record.spread is not None and positional:
            whole = tuple(x.value for x in positional)
            joined = positional[0].span.to(positional[-1].span)
            wanted[record.spread] = Setting(record.spread, whole, joined, joined)
            positional = []
        order = [f for f in fields if f != record.spread] if positional else []
        if len(positional) > len(order):
            takes = f"at most {len(order)} setting{'s' if len(order) > 1 else ''}: {', '.join(order)}"
            takes = takes if order else "no settings"
            hint = f"data stands left of the arrow: `x -> {record.op}`" if is_tensor(positional[0].value) else None
            raise fail("A304", f"`{record.op}` takes {takes}", positional[len(order)].span, notes=self.trail(frame),
                       help=hint)
        for field, setting in zip(order, positional, strict=False):
            wanted[field] = setting
        for setting in settings:
            name = setting.name
            if name is None:
                continue
            if name in wanted and wanted[name].name is None:
                first = Label(wanted[name].span, "first here, by its place")
                raise fail("A308", f"`{name}` is set twice", setting.span, labels=[first])
            if name in record.given and isinstance(setting.value, Bundle | Out | ParamValue):
                given[name] = setting
            elif name in wanted and name in fields:
                first = Label(wanted[name].span, "first here")
                raise fail("A308", f"`{name}` is set twice", setting.span, labels=[first])
            elif name in fields:
                wanted[name] = setting
            else:
                known = [*fields, *record.given]
                raise fail("A301", f"`{record.op}` has no setting `{name}`", setting.place,
                           notes=self.trail(frame), help=offer(name, known, "its settings"))
        return wanted, given

    def settings(
        self, record: type[Primitive], wanted: dict[str, Setting], op: OpValue, frame: Frame, span: Span,
        told: Mapping[str, Any] = NOTHING,
    ) -> Primitive:
        """The record with its settings; `told` are those that the annotations decide."""
        values = {name: self._converted(record, name, x, frame) for name, x in wanted.items()}
        try:
            return record(**values, **told) if values or told else _plain(record)
        except ValidationError as error:
            raise self._refused(record, error, wanted, op, frame) from None
        except Mismatch as error:
            raise self.mismatch(error, wanted, [], frame, span) from None

    def _converted(self, record: type[Primitive], name: str, setting: Setting, frame: Frame) -> Any:
        value = setting.value
        if isinstance(value, ParamValue) and name in record.tensors:
            value = self.read(value, setting.span)
        if isinstance(value, Bundle | Out):
            if name not in record.references and name not in record.tensors:
                raise fail("A302", f"`{name}` is a setting of `{record.op}`, and a tensor stands here", setting.span,
                           notes=self.trail(frame),
                           help=f"data stands left of the arrow: `{setting.span.text} -> {record.op}(...)`")
            out = self.one(value, setting.span) if isinstance(value, Bundle) else value
            if not isinstance(out, Out):
                raise Silent
            return Reference(out.edge.node, out.type, out.edge.result)
        if isinstance(value, OpValue) and name in record.tensors:
            raise fail("A302", f"`{name}` of `{record.op}` takes data; here is {describe(value)}", setting.span,
                       notes=self.trail(frame),
                       help=f"run it on a line above: `made = {setting.span.text}`, then `{name}=made`")
        if isinstance(value, OpValue):
            return self._nested(value, name, frame)
        if isinstance(value, ParamValue):
            raise fail("A302", f"`{name}` is no weight of `{record.op}`", setting.span,
                       help=offer(name, record.given, "weights that can be given"))
        if isinstance(value, Poly):
            settled = frame.body.facts.simplify(value)
            if isinstance(settled, int) or _takes_size(record, name):
                return settled
            raise fail("A205", f"`{name}` is `{show(value)}`, which depends on the input's size", setting.span,
                       notes=self.trail(frame),
                       help="pin the size in the network's input, as in `image: B 3 H=224 W=224`")
        if isinstance(value, float) and value.is_integer() and not _takes_float(record, name):
            return int(value)
        return value

    def _nested(self, value: OpValue, name: str, frame: Frame) -> Primitive:
        """An op as a setting: `patchify(dim, 4, norm=layernorm)`."""
        if not isinstance(value.target, type):
            raise fail("A302", f"`{name}` takes a primitive; `{value.name}` is a block", value.span,
                       notes=self.trail(frame))
        fields = value.target.model_fields
        if any(fields[x].is_required() for x in value.target.told):
            raise fail("A302", f"`{value.name}` reads the annotations of lines, and cannot be a setting", value.span,
                       notes=self.trail(frame), help=f"a line of its own: `{value.name} : B (h w) C`")
        wanted, _ = self.sorted(value.target, value.settings, frame, value.span)
        return self.settings(value.target, wanted, value, frame, value.span)

    def _refused(
        self, record: type[Primitive], error: ValidationError, wanted: dict[str, Setting], op: OpValue, frame: Frame
    ) -> ArchError:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        trail = self.trail(frame)
        if first["type"] == "missing":
            return fail("A303", f"`{record.op}` needs `{name}`", op.span, notes=trail,
                        help=f"`{record.op}({name}=...)`")
        title = f"`{name}` of `{record.op}` {_takes(first)}; here is {describe(first['input'])}"
        setting = wanted.get(name)
        if setting is None:
            return fail("A302", title, op.span, notes=trail)
        span, labels = self.place_of(setting, name)
        hint = "`//` divides whole numbers" if isinstance(setting.value, float) and "/" in setting.span.text else None
        if setting.name is None and record.model_fields[name].is_required() and type(first["input"]) is Size:
            hint = f"`{record.op}` needs `{name}` first: `{record.op}({name}=..., ...)`"
        return fail("A302", title, span, label=self.sets(setting, name) if labels else "", labels=labels, notes=trail,
                    help=hint)

    def place_of(self, setting: Setting, name: str) -> tuple[Span, list[Label]]:
        """Where to point for a wrong value: at the preset's cell or the argument it comes from, then at its use."""
        told = is_tensor(setting.value) or isinstance(setting.value, OpValue)  # a name and no value to print
        if told or setting.origin in (setting.span, None) or setting.origin.start == setting.span.start:
            return setting.span, []
        return setting.origin, [Label(setting.span, f"`{name}` here")]

    def sets(self, setting: Setting, name: str) -> str:
        """`row S sets heads = 5`."""
        return f"{self.work.cells.get(setting.origin, name)} = {printed(setting.value)}"

    def mismatch(
        self, error: Mismatch, wanted: dict[str, Setting], outs: list[Out], frame: Frame, span: Span
    ) -> ArchError:
        """A record's complaint, at the place in the file."""
        setting = wanted.get(error.setting) if error.setting else None
        at, label = span, ""
        labels: list[Label] = []
        if setting is not None and error.setting is not None:
            at, labels = self.place_of(setting, error.setting)
            label = self.sets(setting, error.setting) if labels else ""
        notes = [*error.notes]
        if isinstance(error, Unsettled):
            free = [(name, self.work.free[name][0]) for name in sorted(symbols(error.size)) if name in self.work.free]
            labels += [Label(self.work.nodes[node].span, f"`{name}` is any size here") for name, node in free]
        for i, out in enumerate(outs):
            where = self.work.nodes[out.edge.node].span
            if len(outs) == 1:
                notes.append(f"the input is `{out.type}`")
            elif len(outs) > SHOWN or where == at or any(where == label.span for label in labels):
                notes.append(f"input {i + 1}: `{out.type}`, from line {where.line}")
            else:
                labels.append(Label(where, f"input {i + 1}: `{out.type}`"))
        return fail(error.code, error.title, at, label=label, labels=labels, notes=[*notes, *self.trail(frame)],
                    help=error.help)


@cache
def fields_of(record: type[Primitive]) -> tuple[str, ...]:
    """The settings of a primitive, in order."""
    return tuple(name for name in record.model_fields if name not in record.told)


@cache
def _takes_float(record: type[Primitive], name: str) -> bool:
    return "float" in str(record.model_fields[name].annotation)


@cache
def _takes_size(record: type[Primitive], name: str) -> bool:
    """Whether a setting may be a free size."""
    return "Poly" in str(record.model_fields[name].annotation)


@cache
def _plain(record: type[Primitive]) -> Primitive:
    """The record with its defaults: one for all lines, as none is ever changed."""
    return record()


def _takes(error: Any) -> str:
    kind = error["type"]
    context = error.get("ctx", {})
    words = {
        "int_type": "takes a whole number", "int_from_float": "takes a whole number", "float_type": "takes a number",
        "bool_type": "takes True or False", "string_type": "takes a string", "tuple_type": "takes a list",
        "is_instance_of": "takes another kind of value",
    }
    if kind in words:
        return words[kind]
    if kind == "literal_error":
        return f"takes {context['expected']}"
    if kind == "value_error":
        return re.sub(r"^Value error, ", "", str(error["msg"]))
    limit = next((str(v) for k, v in context.items() if k in ("gt", "ge", "lt", "le")), "")
    bounds = {"greater_than": "is more than", "greater_than_equal": "is at least", "less_than": "is less than",
              "less_than_equal": "is at most"}
    return f"{bounds[kind]} {limit}" if kind in bounds else "takes another kind of value"
