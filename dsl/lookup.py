"""What stands behind a name: `scope.name`, `blocks[-1]`, `blocks[:]`, a part of a weight."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from ogive.dsl import syntax as s
from ogive.dsl.diagnostics import Label, fail, offer
from ogive.dsl.operators import Operators, is_tensor
from ogive.dsl.ops.record import Size
from ogive.dsl.trees import names_read
from ogive.dsl.types import Role
from ogive.dsl.values import POISON, Bundle, OpValue, Out, ParamValue, Poison, Setting, Silent, describe, is_list, whole
from ogive.dsl.work import Frame

__all__ = ["Lookup", "list_of", "unlisted"]


class Lookup(Operators):
    """Attributes and items."""

    @abstractmethod
    def op(self, expr: s.Expr, frame: Frame) -> OpValue | None:
        """What an expression means at an op place (`evaluate.py`)."""

    def _attr(self, expr: s.Attr, frame: Frame) -> Any:
        found = self.op(expr, frame)
        if found is not None:
            return found
        base = self.there(self.value(expr.base, frame), expr.base.span)
        if isinstance(base, Poison):
            return POISON
        if isinstance(base, OpValue) and base.module is not None:
            if base.module.value is None:
                raise fail("A121", f"`{base.module.name}` has not run yet: its weights have no size", expr.span,
                           help=f"run it above this line: `x -> {base.module.name}`")
            base = base.module.value
        if isinstance(base, Bundle):
            return self._member(base, expr, frame)
        if is_list(base):
            return self._of_each(base, expr, frame)
        raise fail("A110", f"{describe(base)} has no `.{expr.name}`", expr.name_span)

    def _member(self, base: Bundle, expr: s.Attr, frame: Frame) -> Any:
        if expr.name in base.labels:
            return unlisted(Bundle((base.outs[base.labels.index(expr.name)],)))
        if base.inner is not None and expr.name in base.inner.table:
            return base.inner.table[expr.name].value
        weight = self.work.parameters.get(f"{base.key}.{expr.name}") if base.key else None
        if weight is not None:
            return ParamValue(weight.key, weight.weight.shape, frame.region, frame.body.trail)
        if any(isinstance(out, Poison) for out in base.outs):
            return POISON
        if base.items is not None and base.inner is None:
            shown = expr.base.span.text
            what = f"`{shown}` has elements, and `.{expr.name}` is read from one or from all"
            raise fail("A110", what, expr.name_span,
                       help=f"`{shown}[-1].{expr.name}`, or the list of all: `{shown}[:].{expr.name}`")
        known = [name for name in base.labels if name]
        if base.key:
            known += [key[len(base.key) + 1 :] for key in self.work.parameters if _under(key, base.key)]
        if base.inner is not None:
            known += list(base.inner.table)
        what = f" of `{base.title}`" if base.title else ""
        notes = [] if known else [f"`{base.title or expr.base.span.text}` is a tensor, and has no names inside"]
        scope = next((r.span for r in self.work.regions if r.path == base.title and r.kind != "network"), None)
        raise fail("A110", f"nothing{what} is called `{expr.name}`", expr.name_span,
                   labels=[Label(scope, f"`{base.title}` is made here")] if scope and base.inner else [], notes=notes,
                   help=offer(expr.name, known, "there are") if known else None)

    def _of_each(self, items: tuple[Any, ...], expr: s.Attr, frame: Frame) -> Any:
        """`blocks[:].norm`: the list of what each item has under the name."""
        found: list[Any] = []
        for item in items:
            if not isinstance(item, Bundle):
                raise fail("A110", f"{describe(item)} has no `.{expr.name}`", expr.name_span)
            found.append(self._member(item, expr, frame))
        return POISON if any(isinstance(x, Poison) for x in found) else tuple(found)

    def _item(self, expr: s.Item, frame: Frame) -> Any:
        base = list_of(self.there(self.value(expr.base, frame), expr.base.span))
        if isinstance(base, Poison):
            return POISON
        if self.is_table(base):
            return self._rows(base, expr, frame)
        if isinstance(expr.index, s.Slice):
            return self._slice(base, expr.index, frame)
        found = self.value(expr.index, frame)
        if isinstance(found, Poison):
            return POISON
        index = whole(found)
        if index is None:
            raise fail("A309", f"a place in a list is a whole number; here is {describe(found)}", expr.index.span,
                       labels=self._made_of(expr, frame))
        if isinstance(base, tuple):
            return self._at(base, index, expr, frame)
        if isinstance(base, Bundle) and base.items is not None:
            place = index if index >= 0 else len(base.items) + index
            if place not in base.items:
                raise fail("A309", f"there is no `{expr.base.span.text}[{index}]`", expr.index.span,
                           labels=self._made_of(expr, frame), notes=self.trail(frame),
                           help=_ranges(expr.base.span.text, base.items))
            return base.items[place]
        if isinstance(base, Bundle) and len(base.outs) > 1:
            return unlisted(Bundle((self._at(base.outs, index, expr, frame),)))
        raise fail("A309", f"{describe(base)} has no parts to choose from", expr.base.span)

    def is_table(self, value: Any) -> bool:
        """Whether `w[0:64]` cuts its first axis: a weight, or what is made of weights and has no batch."""
        if isinstance(value, ParamValue):
            return True
        if not isinstance(value, Bundle) or len(value.outs) != 1 or value.items is not None:
            return False
        first = value.first
        if not isinstance(first, Out) or not first.type.rank:
            return False
        return self.work.nodes[first.edge.node].op == "learned" or Role.BATCH not in first.type.roles

    def _rows(self, base: Any, expr: s.Item, frame: Frame) -> Any:
        """`w[a:b]`, and `w[i]` without the axis: a node."""
        index = expr.index
        ends = {"start": index.start, "stop": index.stop} if isinstance(index, s.Slice) else {"start": index}
        settings: list[Setting] = []
        for name, end in ends.items():
            if end is None:
                continue
            found = self.value(end, frame)
            if isinstance(found, Poison):
                return POISON
            number = whole(found)
            if number is None:
                raise fail("A309", f"a weight is cut at whole numbers; here is {describe(found)}", end.span)
            settings.append(Setting(name, number, end.span, end.span))
        if not isinstance(index, s.Slice):
            settings.append(Setting("drop", True, index.span, index.span))
        return self.primitive("slice", [base], tuple(settings), frame, expr.span)

    def _made_of(self, expr: s.Item, frame: Frame) -> list[Label]:
        """Where the list and what stands in the brackets come from, as far as these are other lines."""
        found: dict[int, Label] = {}
        for name, _ in names_read(expr):
            entry = frame.names.find(name)
            place = None if entry is None else entry.origin
            if entry is None or place is None or (place.source is expr.span.source and place.line == expr.span.line):
                continue
            number = whole(entry.value)
            found.setdefault(place.line, Label(place, f"`{name}` is {'this' if number is None else number}"))
        return list(found.values())

    def _at(self, items: tuple[Any, ...], index: int, expr: s.Item, frame: Frame) -> Any:
        if not -len(items) <= index < len(items):
            places = f"places run from 0 to {len(items) - 1}" if items else "the list is empty"
            raise fail("A309", f"there is no place {index} in a list of {len(items)}", expr.index.span,
                       labels=self._made_of(expr, frame), help=places)
        return items[index]

    def _slice(self, base: Any, index: s.Slice, frame: Frame) -> Any:
        if isinstance(base, Bundle) and base.items is not None:
            base = tuple(base.items[i] for i in sorted(base.items))
        if not isinstance(base, tuple) or isinstance(base, Size):
            hint = "weights are cut so; of data, `take(i, count=n)` picks positions and `split` cuts channels"
            raise fail("A309", f"{describe(base)} cannot be cut with `:`", index.span,
                       help=hint if is_tensor(base) else None)
        ends: list[int | None] = []
        for end in (index.start, index.stop):
            value = None if end is None else self.value(end, frame)
            if isinstance(value, Poison):
                raise Silent
            ends.append(None if end is None else whole(value))
            if end is not None and ends[-1] is None:
                raise fail("A309", f"a list is cut at whole numbers; here is {describe(value)}", index.span)
        return base[ends[0] : ends[1]]


def unlisted(value: Any) -> Any:
    """A node whose one result is a list is that list."""
    if isinstance(value, Bundle) and len(value.outs) == 1 and value.inner is None and isinstance(value.first, tuple):
        return tuple(x if isinstance(x, Poison) else unlisted(Bundle((x,))) for x in value.first)
    return value


def list_of(value: Any) -> Any:
    """A value as its list, where the value of the line is one: `fpn[0]` of a block that returns a list first."""
    if isinstance(value, Bundle) and not value.parts and value.items is None and isinstance(value.first, tuple):
        return unlisted(Bundle((value.first,)))
    return value


def _under(key: str, prefix: str) -> bool:
    return key.startswith(prefix + ".") and "." not in key[len(prefix) + 1 :]


def _ranges(name: str, items: dict[int, Bundle]) -> str:
    if not items:
        return f"there is none: `{name}` repeats 0 times"
    places = sorted(items)
    if places == list(range(places[0], places[-1] + 1)) and len(places) > 1:
        return f"there are `{name}[{places[0]}]` to `{name}[{places[-1]}]`"
    return "there are " + ", ".join(f"`{name}[{i}]`" for i in places[:8])
