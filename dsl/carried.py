"""Carried values: `repeat ... with y = start:` and `scan ... with state = s0:`, and the `next` that changes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ogive.dsl import syntax as s
from ogive.dsl.containers import Containers
from ogive.dsl.diagnostics import Label, fail, offer
from ogive.dsl.names import Names
from ogive.dsl.source import Span
from ogive.dsl.types import Tensor
from ogive.dsl.values import POISON, Bundle, OpValue, Out, Poison, describe, flat, is_list
from ogive.dsl.work import Carrying, Frame

__all__ = ["Carried", "Loop"]


@dataclass(slots=True)
class Loop(Carrying):
    """The carried names of one loop, their values now, and those that `next` has set for the time after."""

    word: str
    names: dict[str, Span]
    values: dict[str, Any]
    following: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Span] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    def turn(self) -> None:
        """The next iteration begins: what `next` has set is the value now."""
        self.changed |= set(self.following)
        self.values.update(self.following)
        self.following = {}


class Carried(Containers):
    """What `next` does, and what stays of a loop."""

    def loop(self, word: str, carries: Sequence[s.Carry], frame: Frame) -> Loop:
        """The carried names with their first values.

        Raises:
            ArchError: A103 a name stands twice.
        """
        names: dict[str, Span] = {}
        values: dict[str, Any] = {}
        for carry in carries:
            if carry.name in names:
                raise fail("A103", f"`{carry.name}` is carried twice", carry.span,
                           labels=[Label(names[carry.name], "first here")], help="a name for each value")
            frame.names.refuse(carry.name, carry.span, "carried")
            names[carry.name] = carry.span
            values[carry.name] = self.there(self.operand(carry.start, frame), carry.start.span)
        return Loop(word, names, values)

    def begin_iteration(self, loop: Loop, names: Names) -> None:
        """Bind the carried names to their values in one iteration."""
        for name, value in loop.values.items():
            names.bind(name, value, loop.names[name], "carried")

    def next(self, st: s.Next, frame: Frame) -> None:
        """`next y = value`: what `y` is in the next iteration.

        Raises:
            ArchError: A141 no loop here carries the name, or it is set twice; A142 another kind of value.
        """
        loop = frame.loop
        if not isinstance(loop, Loop):
            raise fail("A141", "`next` stands outside a loop that carries values", st.span,
                       help=f"`repeat n with {st.name} = start:` around it")
        if st.name not in loop.names:
            loop.changed |= set(loop.names)  # one of them is meant: one mistake
            raise fail("A141", f"this `{loop.word}` carries no `{st.name}`", st.span,
                       labels=[Label(span, "carried") for span in loop.names.values()],
                       help=offer(st.name, loop.names, "it carries") if loop.names
                       else f"`with {st.name} = start` in the line of the `{loop.word}`")
        if st.name in loop.following:
            raise fail("A141", f"`next {st.name}` stands twice", st.span,
                       labels=[Label(loop.places[st.name], "first here")], help="one value goes on to the next time")
        loop.following[st.name] = POISON
        loop.places[st.name] = st.span
        loop.following[st.name] = value = self.there(self.operand(st.value, frame), st.value.span)
        self._alike(st, loop, value, frame)

    def _alike(self, st: s.Next, loop: Loop, value: Any, frame: Frame) -> None:
        """The next value is of the kind of the one before: numbers stay numbers, images images.

        A `repeat` is written out, so a list may grow in it; the body of a `scan` is one for all times.
        """
        before = loop.values[st.name]
        if _poisonous(before) or _poisonous(value):
            return
        old, new = _kind(before), _kind(value)
        if old == new or (loop.word == "repeat" and is_list(before) and isinstance(value, tuple)):
            return
        loop.following[st.name] = POISON
        hint = "a carried value keeps its kind: a tensor its axes, a number a number"
        if loop.word == "scan":
            hint += ", a list its length"
        if isinstance(value, OpValue) and not isinstance(before, OpValue):
            hint = f"an op runs on a line of its own: `new_{st.name} = {st.value.span.text}`, then " \
                f"`next {st.name} = new_{st.name}`"
        raise fail(
            "A142", f"`{st.name}` is {describe(before)}, and next would be {describe(value)}", st.value.span,
            labels=[Label(loop.names[st.name], "carried")], notes=self.trail(frame), help=hint,
        )

    def unchanged(self, loop: Loop, frame: Frame) -> None:
        """Refuse a carried name that no iteration changes.

        Raises:
            ArchError: A141.
        """
        for name, span in loop.names.items():
            if name not in loop.changed:
                others = [Label(place, "this one is carried on") for place in loop.places.values()]
                raise fail("A141", f"`{name}` is carried, and nothing changes it", span, labels=others[:3],
                           notes=self.trail(frame),
                           help=f"`next {name} = ...` in the body; a value that stays needs no `with`")

    def after_loop(self, loop: Loop, frame: Frame) -> Bundle | Poison | None:
        """The names keep the last values; the first of them that is a tensor is the flow."""
        flow: Bundle | Poison | None = None
        for name, value in loop.values.items():
            frame.names.bind(name, value, loop.names[name], "carried")
            if flow is None and (isinstance(value, (Bundle, Out, Poison)) or is_list(value)):
                flow = self.as_flow(value, name, loop.names[name])
        return flow

    def as_flow(self, value: Any, title: str, span: Span) -> Bundle | Poison:
        """A tensor or a list of them as what flows on."""
        if isinstance(value, Bundle | Poison):
            return value
        if isinstance(value, Out):
            return Bundle((value,), title=title)
        return Bundle((self.listed(value, span),), title=title)


def _poisonous(value: Any) -> bool:
    if isinstance(value, Bundle):
        return any(isinstance(x, Poison) for x in flat(value.first))
    return isinstance(value, Poison) or (isinstance(value, tuple) and any(map(_poisonous, value)))


def _kind(value: Any) -> Any:
    """What must not change from one iteration to the next."""
    if isinstance(value, Bundle):
        return _kind(value.first)
    if isinstance(value, Out):
        return _kind(value.type)
    if isinstance(value, Tensor):
        return ("tensor", value.roles, value.dtype)
    if is_list(value):
        return ("list", tuple(map(_kind, value)))
    if isinstance(value, bool | str):
        return type(value).__name__
    return "number" if isinstance(value, int | float) else type(value).__name__
