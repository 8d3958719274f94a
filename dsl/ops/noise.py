"""Numbers that are drawn anew at each call."""

from __future__ import annotations

from typing import ClassVar

from ogive.dsl.ops.record import Family, Mismatch, Primitive, Reference, Site
from ogive.dsl.types import Axis, Role, Segment, Tensor

__all__ = ["Uniform"]


class Uniform(Primitive):
    """A number from 0 to 1 for each position, drawn anew at each call, in evaluation too: what is kept, what is hidden.

    Shapes: `like=` has a batch and positions; `B N`.
    """

    op: ClassVar[str] = "uniform"
    family: ClassVar[Family] = "data"
    inputs: ClassVar[tuple[str, ...]] = ()
    references: ClassVar[frozenset[str]] = frozenset({"like"})
    tensors: ClassVar[tuple[str, ...]] = ("like",)

    like: Reference

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = self.like.tensor
        place = x.find(Role.POSITION)
        if x.roles[:1] != (Role.BATCH,) or place is None:
            raise Mismatch(f"`uniform` draws a number for each position; `{x}` has none", setting="like",
                           help="`to_tokens` turns an image into tokens" if x.layout == "image" else None)
        size = x.shape[place]
        return (Tensor((Axis(Role.BATCH, x.shape[0]), Axis(Role.POSITION, size, (Segment(size, (), at.node),)))),)
