"""Norms: over the batch, the channels, groups of them, or each image."""

from __future__ import annotations

from typing import ClassVar

from ogive.dsl.ops.plane import expect_image
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Site, Weight, channel_place
from ogive.dsl.ops.settings import Count, Filling, Positive, Rate, divisors, floats, shares
from ogive.dsl.types import Role, Tensor

__all__ = ["BatchNorm", "FrozenBatchNorm", "GroupNorm", "InstanceNorm", "LayerNorm", "RMSNorm"]


def _affine(width: int, init: float | str = "ones", bias: bool = True) -> tuple[Weight, ...]:
    weight = Weight("weight", (width,), init)
    return (weight, Weight("bias", (width,), "zeros")) if bias else (weight,)


class _Norm(Primitive):
    """What norms share: floats with a channel axis; the shape stays."""

    family: ClassVar[Family] = "norm"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        channel_place(inputs[0], self.op)
        floats(inputs[0], self.op)
        return (inputs[0],)

    def width(self, at: Site, x: Tensor) -> int:
        """The number of channels, which a weight has."""
        return at.number(x.shape[channel_place(x, self.op)], f"the width of `{self.op}`")


class BatchNorm(_Norm):
    """Normalises each channel over the batch and all positions (Ioffe and Szegedy 2015, arXiv:1502.03167).

    Shapes: images, tokens and vectors, same. Weights: weight [C], bias [C]; buffers running_mean [C], running_var [C],
    num_batches_tracked []. `init="zeros"` starts the last norm of a residual branch at nothing.
    """

    op: ClassVar[str] = "batchnorm"

    eps: Positive = 1e-5
    momentum: Rate = 0.1
    affine: bool = True
    init: Filling = "ones"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        _batched(inputs[0], self.op)
        return super().shape(at, *inputs)

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        width = self.width(at, inputs[0])
        return (
            *(_affine(width, self.init) if self.affine else ()),
            Weight("running_mean", (width,), "zeros", buffer=True),
            Weight("running_var", (width,), "ones", buffer=True),
            Weight("num_batches_tracked", (), "zeros", buffer=True, dtype="int"),
        )


class FrozenBatchNorm(_Norm):
    """A batch norm whose numbers stand still: detection backbones.

    Shapes: images, tokens and vectors, same. Buffers: weight, bias, running_mean, running_var, each [C].
    """

    op: ClassVar[str] = "frozen_batchnorm"

    eps: Positive = 1e-5

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        _batched(inputs[0], self.op)
        return super().shape(at, *inputs)

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        width = self.width(at, inputs[0])
        names = {"weight": "ones", "bias": "zeros", "running_mean": "zeros", "running_var": "ones"}
        return tuple(Weight(name, (width,), init, buffer=True) for name, init in names.items())


def _batched(x: Tensor, op: str) -> None:
    if x.find(Role.BATCH) != 0:
        raise Mismatch(
            f"`{op}` works over a batch; `{x}` has no batch axis first", input=0, help="`layernorm` needs no batch"
        )


class LayerNorm(_Norm):
    """Normalises the channels at each position (Ba et al. 2016, arXiv:1607.06450).

    Shapes: any layout, same. `per_head=h` normalises each of h groups of channels, all with one weight.
    Weights: weight [C / per_head], bias [C / per_head].
    """

    op: ClassVar[str] = "layernorm"
    given: ClassVar[frozenset[str]] = frozenset({"weight", "bias"})

    eps: Positive = 1e-5
    per_head: Count = 1
    bias: bool = True
    init: Filling = "ones"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        made = super().shape(at, *inputs)
        width = inputs[0].shape[channel_place(inputs[0], self.op)]
        shares(width, self.per_head, "heads", "per_head", 0)
        return made

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        return _affine(self.width(at, inputs[0]) // self.per_head, self.init, self.bias)


class RMSNorm(_Norm):
    """Divides the channels at each position by their root mean square (Zhang and Sennrich 2019, arXiv:1910.07467).

    Shapes: any layout, same. Weight: weight [C].
    """

    op: ClassVar[str] = "rmsnorm"
    given: ClassVar[frozenset[str]] = frozenset({"weight"})

    eps: Positive = 1e-6
    init: Filling = "ones"

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        return _affine(self.width(at, inputs[0]), self.init, bias=False)


class GroupNorm(_Norm):
    """Normalises groups of channels over all positions of one sample (Wu and He 2018, arXiv:1803.08494).

    Shapes: any layout with a batch, same. Weights: weight [C], bias [C].
    """

    op: ClassVar[str] = "groupnorm"
    given: ClassVar[frozenset[str]] = frozenset({"weight", "bias"})

    groups: Count
    eps: Positive = 1e-5
    init: Filling = "ones"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        made = super().shape(at, *inputs)
        _batched(inputs[0], self.op)
        width = inputs[0].shape[channel_place(inputs[0], self.op)]
        if isinstance(width, int) and width % self.groups:
            raise Mismatch(
                f"{width} channels do not divide into {self.groups} groups", setting="groups", input=0, code="A203",
                help=f"groups that divide {width}: {divisors(width)}",
            )
        return made

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        return _affine(self.width(at, inputs[0]), self.init)


class InstanceNorm(_Norm):
    """Normalises each channel of each image over its positions (Ulyanov et al. 2016, arXiv:1607.08022).

    Shapes: images, same. Weights, when affine: weight [C], bias [C].
    """

    op: ClassVar[str] = "instancenorm"

    eps: Positive = 1e-5
    affine: bool = False
    init: Filling = "ones"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        sizes = expect_image(inputs[0], self.op)
        if all(n == 1 for n in sizes):
            raise Mismatch(
                f"`{self.op}` has one position to normalise over in `{inputs[0]}`: the answer is 0", input=0,
                help="`layernorm` normalises over the channels",
            )
        return super().shape(at, *inputs)

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        return _affine(self.width(at, inputs[0]), self.init) if self.affine else ()
