"""Choosing: elements by a condition, positions by their number, the largest and their order."""

from __future__ import annotations

from typing import ClassVar

from ogive.dsl.ops.activation import axis_place
from ogive.dsl.ops.merge import broadcast
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Site
from ogive.dsl.ops.settings import Count
from ogive.dsl.types import Axis, Role, Segment, Tensor

__all__ = ["Argsort", "Gather", "MaskedFill", "TopK", "Where"]


def _mask(x: Tensor, op: str, input: int) -> None:
    """Demand truth values.

    Raises:
        Mismatch: the elements are numbers.
    """
    if x.dtype != "bool":
        raise Mismatch(f"`{op}` is told by truth values; here are elements `{x}`", input=input,
                       help="a comparison makes them: `x > 0`")


class Where(Primitive):
    """`a` where the condition holds, `b` elsewhere.

    Shapes: `condition` of bool, `a` and `b`, broadcast as `add` does.
    """

    op: ClassVar[str] = "where"
    family: ClassVar[Family] = "merge"
    inputs: ClassVar[tuple[str, ...]] = ("condition", "a", "b")

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        condition, a, b = inputs
        _mask(condition, self.op, 0)
        if "bool" in (a.dtype, b.dtype) and a.dtype != b.dtype:
            raise Mismatch(f"`where` chooses between `{a}` and `{b}`: elements of two kinds", input=2)
        dtype = a.dtype if a.dtype == b.dtype else "float"
        return (broadcast(at, self.op, condition, broadcast(at, self.op, a, b)).of(dtype),)


class MaskedFill(Primitive):
    """`value` where the mask holds, `x` elsewhere. Minus infinity is what `softmax` gives no weight.

    Shapes: `x`, and `mask` of bool, which stretches to `x`; same as `x`.
    """

    op: ClassVar[str] = "masked_fill"
    family: ClassVar[Family] = "merge"
    inputs: ClassVar[tuple[str, ...]] = ("x", "mask")

    value: float | int = float("-inf")

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x, mask = inputs
        _mask(mask, self.op, 1)
        if x.dtype == "bool" or (x.dtype == "int" and not isinstance(self.value, int)):
            raise Mismatch(f"`masked_fill` puts {self.value} among elements `{x}`", setting="value", input=0,
                           help="a whole number goes among whole numbers" if x.dtype == "int" else None)
        made = broadcast(at, self.op, x, mask)
        if made.rank != x.rank or any(m.size != n.size for m, n in zip(made.axes, x.axes, strict=True)):
            raise Mismatch(f"the mask `{mask}` is larger than `{x}`, which it masks", input=1)
        return (x,)


class Gather(Primitive):
    """The positions that ids name, in their order: `x[b, ids[b, k]]`. Ids count from 0.

    Shapes: `B N C`, ids `B K` -> `B K C`; one id each, `B` of int -> `B C`. `B N` likewise. An input with a batch of 1
    serves every row of ids.
    """

    op: ClassVar[str] = "gather"
    family: ClassVar[Family] = "layout"
    inputs: ClassVar[tuple[str, ...]] = ("x", "ids")

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x, ids = inputs
        if x.roles[:2] != (Role.BATCH, Role.POSITION):
            raise Mismatch(
                f"`gather` picks positions of `B N C`; here comes `{x}`", input=0,
                help="`to_tokens` turns an image into tokens" if x.layout == "image" else None,
            )
        if ids.dtype != "int" or ids.roles not in ((Role.BATCH,), (Role.BATCH, Role.POSITION)):
            raise Mismatch(f"`gather` takes ids, `B K` or `B` of int; here comes `{ids}`", input=1,
                           help="`argsort`, `argmax`, `top_k` and `arange` make them")
        batch = x.axes[0]
        if batch.size == 1:
            batch = ids.axes[0]
        elif ids.shape[0] != 1:
            at.same(batch.size, ids.shape[0], f"the batch of `{x}` and of the ids `{ids}`")
        if ids.rank == 1:
            return (Tensor((batch, *x.axes[2:]), x.dtype),)
        count = ids.shape[1]
        chosen = Axis(Role.POSITION, count, (Segment(count, (), at.node),), at.node if x.axes[1].grid else "")
        return (Tensor((batch, chosen, *x.axes[2:]), x.dtype),)


class Argsort(Primitive):
    """The places of the values along an axis from the smallest on; `descending=True`, from the largest on.

    Shapes: any, same, of int. The positions unless `axis` says otherwise. Equal values stay in order. Of a permutation
    it is the inverse.
    """

    op: ClassVar[str] = "argsort"
    family: ClassVar[Family] = "layout"

    axis: str | int = "N"
    descending: bool = False

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        _numbers(x, self.op)
        place = axis_place(x, self.axis, self.op)
        return (x.with_axis(place, _fresh(x.axes[place], at.node)).of("int"),)


class TopK(Primitive):
    """The n largest values along an axis, the largest first; `.indices` are their places.

    Shapes: any, with n on the axis; `.indices` the same of int. The positions unless `axis` says otherwise.
    """

    op: ClassVar[str] = "top_k"
    family: ClassVar[Family] = "layout"
    results: ClassVar[tuple[str, ...]] = ("", "indices")

    n: Count
    axis: str | int = "N"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        _numbers(x, self.op)
        place = axis_place(x, self.axis, self.op)
        size = x.shape[place]
        if isinstance(size, int) and size < self.n:
            raise Mismatch(f"`top_k({self.n})` of {size} values", setting="n", input=0, help=f"a number up to {size}")
        at.most(self.n, size, f"`top_k({self.n})` of `{x}`")
        axis = x.axes[place]
        made = x.with_axis(place, _fresh(Axis(axis.role, self.n, axis.segments, axis.lost), at.node))
        return (made, made.of("int"))


def _numbers(x: Tensor, op: str) -> None:
    if x.dtype == "bool":
        raise Mismatch(f"`{op}` compares numbers; here are elements `{x}`", input=0)


def _fresh(axis: Axis, node: str) -> Axis:
    """The axis in another order: no segments of before, and no grid."""
    if axis.role is not Role.POSITION:
        return Axis(axis.role, axis.size)
    return Axis(Role.POSITION, axis.size, (Segment(axis.size, (), node),), node if axis.grid else "")
