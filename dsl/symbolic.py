"""Building with an unknown in place of a number: it is carried through settings, shapes and weights as a size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from ogive.dsl.body import Bodies
from ogive.dsl.dims import Poly
from ogive.dsl.ops.record import Mismatch, Primitive, Weight
from ogive.dsl.settings import NOTHING
from ogive.dsl.source import Span
from ogive.dsl.unknown import is_unknown
from ogive.dsl.values import Bundle, OpValue, Out, ParamValue, Setting
from ogive.dsl.work import Frame, Place, Work

__all__ = ["CARRIES_NO_FURTHER", "Symbolic"]

CARRIES_NO_FURTHER: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a shape rule that needs a number raises when it meets an unknown: then nothing is proved."""

STAND_IN: Final = 1


class Symbolic(Bodies):
    """Bodies in which a setting may be an unknown. A record is checked with 1 in its place, then given the unknown."""

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self.held: dict[str, Any] = {}

    def settings(
        self, record: type[Primitive], wanted: dict[str, Setting], op: OpValue, frame: Frame, span: Span,
        told: Mapping[str, Any] = NOTHING,
    ) -> Primitive:
        outer, self.held = self.held, {}
        try:
            made = super().settings(record, wanted, op, frame, span, told)
            for name in self.held:
                if type(getattr(made, name)) not in (int, tuple):
                    raise TypeError(f"`{name}` is no plain number")
            return made.model_copy(update=self.held) if self.held else made
        finally:
            self.held = outer

    def _converted(self, record: type[Primitive], name: str, setting: Setting, frame: Frame) -> Any:
        value = self._simplest(setting.value, frame)
        if _has_unknown(value):
            self.held[name] = value
            setting = replace(setting, value=_without(value))
        return super()._converted(record, name, setting, frame)

    def _simplest(self, value: Any, frame: Frame) -> Any:
        if isinstance(value, tuple) and type(value) is tuple:
            return tuple(self._simplest(x, frame) for x in value)
        return frame.body.facts.simplify(value) if isinstance(value, Poly) else value

    def _given(
        self, weights: tuple[Weight, ...], given: dict[str, Setting], frame: Frame, op: str
    ) -> Any:
        return super()._given(tuple(self._tied(w, given.get(w.name), frame) for w in weights), given, frame, op)

    def _tied(self, weight: Weight, setting: Setting | None, frame: Frame) -> Weight:
        """A weight that is supplied has the shape of what is given: an equation for each axis."""
        value = setting.value if setting is not None else None
        shape: tuple[Any, ...] = ()
        if isinstance(value, ParamValue):
            shape = value.shape
        elif isinstance(value, Bundle) and isinstance(value.first, Out):
            shape = value.first.type.shape
        if setting is None or len(shape) != len(weight.shape):
            return weight
        place = Place(self.work, frame, "", setting.span)
        for own, other in zip(weight.shape, shape, strict=True):
            try:
                place.same(own, other, "a weight that is given")
            except Mismatch:
                return weight
        return replace(weight, shape=shape)


def _has_unknown(value: Any) -> bool:
    return is_unknown(value) or (type(value) is tuple and any(_has_unknown(x) for x in value))


def _without(value: Any) -> Any:
    if type(value) is tuple:
        return tuple(_without(x) for x in value)
    return STAND_IN if is_unknown(value) else value
