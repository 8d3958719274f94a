"""Comparisons, element by element: truth values, and the smaller or the larger of two."""

from __future__ import annotations

from typing import ClassVar

from ogive.dsl.ops.merge import Arithmetic, broadcast
from ogive.dsl.ops.record import Mismatch, Site
from ogive.dsl.types import Tensor

__all__ = ["Comparison", "Max", "Min"]


class Comparison(Arithmetic):
    """Truth values: one tensor beside another, or beside a number."""

    ordered: ClassVar[bool] = True
    """Whether it asks what is larger: truth values have no order."""

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        kinds = {x.dtype for x in inputs}
        if "bool" in kinds and (self.ordered or self.number is not None or len(kinds) > 1):
            i = next(i for i, x in enumerate(inputs) if x.dtype == "bool")
            raise Mismatch(f"`{self.op}` compares numbers; here are elements `{inputs[i]}`", input=i)
        if kinds == {"bool"} and len(inputs) == 2:
            return (broadcast(at, self.op, *inputs).of("bool"),)
        return super().shape(at, *inputs)

    def answer(self, made: Tensor) -> Tensor:
        return made.of("bool")


class Less(Comparison):
    """a < b, element by element.

    Shapes: as `add`, of bool.
    """

    op: ClassVar[str] = "less"


class LessEqual(Comparison):
    """a <= b, element by element.

    Shapes: as `add`, of bool.
    """

    op: ClassVar[str] = "less_equal"


class Greater(Comparison):
    """a > b, element by element.

    Shapes: as `add`, of bool.
    """

    op: ClassVar[str] = "greater"


class GreaterEqual(Comparison):
    """a >= b, element by element.

    Shapes: as `add`, of bool.
    """

    op: ClassVar[str] = "greater_equal"


class Equal(Comparison):
    """a == b, element by element. Truth values are compared with truth values.

    Shapes: as `add`, of bool.
    """

    op: ClassVar[str] = "equal"
    ordered: ClassVar[bool] = False


class NotEqual(Comparison):
    """a != b, element by element. Truth values are compared with truth values.

    Shapes: as `add`, of bool.
    """

    op: ClassVar[str] = "not_equal"
    ordered: ClassVar[bool] = False


class Min(Arithmetic):
    """The smaller of a and b, element by element.

    Shapes: as `add`.
    """

    op: ClassVar[str] = "min"


class Max(Arithmetic):
    """The larger of a and b, element by element.

    Shapes: as `add`.
    """

    op: ClassVar[str] = "max"
