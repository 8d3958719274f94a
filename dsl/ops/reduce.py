"""What an axis comes to: its sum, mean, largest value or length; channels that compete in groups."""

from __future__ import annotations

from typing import ClassVar

from ogive.dsl.ops.activation import axis_place
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Site, channel_place
from ogive.dsl.ops.settings import Count, Positive, divisors, floats
from ogive.dsl.types import Axis, Role, Segment, Tensor

__all__ = ["Argmax", "Cumsum", "L2Normalize", "MaxOver", "Maxout", "MeanOver", "Norm", "Reduction", "SumOver"]


class Reduction(Primitive):
    """One number in place of an axis."""

    family: ClassVar[Family] = "pool"
    whole: ClassVar[bool] = False
    """Whether whole numbers and truth values are taken as well."""

    axis: str | int
    keep: bool = False

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        if not self.whole:
            floats(x, self.op)
        return (self.reduced(x, at.node),)

    def reduced(self, x: Tensor, node: str) -> Tensor:
        """`x` without the axis; with `keep`, the axis has size 1."""
        place = axis_place(x, self.axis, self.op)
        if not self.keep:
            return x.without(place)
        role = x.roles[place]
        return x.with_axis(place, Axis(role, 1, (Segment(1, (), node),) if role is Role.POSITION else ()))


class SumOver(Reduction):
    """The sum along an axis. Truth values count as 0 and 1.

    Shapes: any, without the axis; `keep=True` leaves it with size 1. `axis` is a letter of the input's annotation, `C`
    (channels) or `N` (positions).
    """

    op: ClassVar[str] = "sum_over"
    whole: ClassVar[bool] = True

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        made = self.reduced(inputs[0], at.node)
        return (made.of("int") if made.dtype == "bool" else made,)


class Cumsum(Primitive):
    """The sum of an axis up to each place, that place included. Truth values count as 0 and 1.

    Shapes: any, same. The positions unless `axis` says otherwise.
    """

    op: ClassVar[str] = "cumsum"
    family: ClassVar[Family] = "pool"

    axis: str | int = "N"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        axis_place(x, self.axis, self.op)
        return (x.of("int") if x.dtype == "bool" else x,)


class MeanOver(Reduction):
    """The mean along an axis.

    Shapes: any, without the axis; `keep=True` leaves it with size 1. `axis` as for `sum_over`.
    """

    op: ClassVar[str] = "mean_over"


class MaxOver(Reduction):
    """The largest value along an axis.

    Shapes: any, without the axis; `keep=True` leaves it with size 1. `axis` as for `sum_over`.
    """

    op: ClassVar[str] = "max_over"
    whole: ClassVar[bool] = True


class Norm(Reduction):
    """The Euclidean length along an axis, the channels unless said otherwise: sqrt of the sum of squares.

    Shapes: any, without the axis; `keep=True` leaves it with size 1. The gradient at a vector of zeros is 0.
    """

    op: ClassVar[str] = "norm"

    axis: str | int = "C"


class Argmax(Reduction):
    """The place of the largest value along an axis, counted from 0; the first of equal ones.

    Shapes: any, without the axis, of int; `keep=True` leaves it with size 1. The channels unless said otherwise.
    """

    op: ClassVar[str] = "argmax"
    family: ClassVar[Family] = "layout"
    whole: ClassVar[bool] = True

    axis: str | int = "C"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        if inputs[0].dtype == "bool":
            raise Mismatch(f"`argmax` compares numbers; here are elements `{inputs[0]}`", input=0)
        return (self.reduced(inputs[0], at.node).of("int"),)


class L2Normalize(Primitive):
    """Each vector over its length, which is at least eps: x / max(norm(x), eps).

    Shapes: any, same. Along the channels unless `axis` says otherwise.
    """

    op: ClassVar[str] = "l2_normalize"
    family: ClassVar[Family] = "norm"

    eps: Positive = 1e-12
    axis: str | int = "C"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        floats(inputs[0], self.op)
        axis_place(inputs[0], self.axis, self.op)
        return (inputs[0],)


class Maxout(Primitive):
    """The largest of each n channels that follow each other (Goodfellow et al. 2013, arXiv:1302.4389).

    Shapes: any layout, `... C` -> `... C/n`.
    """

    op: ClassVar[str] = "maxout"
    family: ClassVar[Family] = "activation"

    n: Count

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        floats(x, self.op)
        place = channel_place(x, self.op)
        width = x.shape[place]
        if isinstance(width, int) and width % self.n:
            raise Mismatch(
                f"{width} channels do not divide into groups of {self.n}", setting="n", input=0, code="A203",
                help=f"numbers that divide {width}: {divisors(width)}",
            )
        return (x.resized(place, at.divide(width, self.n, f"the groups of `maxout({self.n})`")),)
