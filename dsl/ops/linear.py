"""Weights on the channel axis: linear maps, look-up tables, a factor per channel."""

from __future__ import annotations

from typing import ClassVar

from ogive.dsl.dims import Dim
from ogive.dsl.ops.plane import area
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Site, Weight, channel_place
from ogive.dsl.ops.settings import STD, Count, Filling, Positive, bias_init, floats
from ogive.dsl.types import Axis, Role, Tensor

__all__ = ["Embedding", "Linear", "Scale"]


class Linear(Primitive):
    """A linear map of the channels at every position: y = x W^T + b.

    Shapes: any layout, `... C` -> `... out`. Weights: weight [out, C] ([C, out] when transposed, as GPT-2 keeps it),
    bias [out].
    """

    op: ClassVar[str] = "linear"
    family: ClassVar[Family] = "linear"
    given: ClassVar[frozenset[str]] = frozenset({"weight", "bias"})

    out: Count
    bias: bool = True
    transposed: bool = False
    init: Filling = "torch"
    std: Positive = STD

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        floats(x, "linear")
        return (x.resized(channel_place(x, "linear"), self.out),)

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        x = inputs[0]
        width = at.number(x.shape[channel_place(x, "linear")], "the width that `linear` maps from")
        shape = (width, self.out) if self.transposed else (self.out, width)
        weight = Weight("weight", shape, self.init, std=self.std)
        return (weight, Weight("bias", (self.out,), bias_init(self.init))) if self.bias else (weight,)

    def macs(self, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Dim:
        return area(outputs[0].shape) * (inputs[0].channels or 0)


class Embedding(Primitive):
    """A table of n vectors, looked up by id.

    Shapes: ids `B N` of int -> `B N dim` (a channel axis behind any axes). `padding` is an id whose vector is zeros and
    stays so. Weight: weight [n, dim].
    """

    op: ClassVar[str] = "embedding"
    family: ClassVar[Family] = "embedding"
    inputs: ClassVar[tuple[str, ...]] = ("ids",)
    given: ClassVar[frozenset[str]] = frozenset({"weight"})

    n: Count
    dim: Count
    padding: int | None = None
    init: Filling = "torch"
    std: Positive = STD

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        ids = inputs[0]
        if ids.dtype != "int":
            raise Mismatch(
                f"`embedding` looks up ids; here come elements `{ids}`", input=0,
                help="an input of ids is `ids: B N of int`; `linear` maps vectors",
            )
        if ids.find(Role.CHANNEL) is not None:
            raise Mismatch(f"`embedding` makes the channel axis; `{ids}` has one already", input=0)
        if self.padding is not None and not -self.n <= self.padding < self.n:
            raise Mismatch(
                f"the table has {self.n} rows; there is no id {self.padding} to pad with", setting="padding",
                help=f"an id from 0 to {self.n - 1}",
            )
        return (Tensor((*ids.axes, Axis(Role.CHANNEL, self.dim))),)

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        return (Weight("weight", (self.n, self.dim), self.init, std=self.std),)


class Scale(Primitive):
    """One learned factor per channel (LayerScale, Touvron et al. 2021, arXiv:2103.17239).

    Shapes: any layout, same. Weight: one bare parameter [C], whose key is the node's.
    """

    op: ClassVar[str] = "scale"
    family: ClassVar[Family] = "linear"

    init: Filling = 1e-5

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        floats(inputs[0], "scale")
        channel_place(inputs[0], "scale")
        return (inputs[0],)

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        x = inputs[0]
        return (Weight("", (at.number(x.shape[channel_place(x, "scale")], "the width of `scale`"),), self.init),)
