"""Functions of each element, and softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ogive.dsl.ops.record import Family, Mismatch, Primitive, Site
from ogive.dsl.ops.settings import floats
from ogive.dsl.types import Role, Tensor

__all__ = ["AXES", "Activation", "Gelu", "Softmax", "axis_place", "axis_spelled"]

AXES = {
    "B": Role.BATCH, "C": Role.CHANNEL, "N": Role.POSITION, "T": Role.FRAME, "H": Role.ROW, "W": Role.COL,
}
"""Axes by letter, for settings that name one."""


def axis_place(x: Tensor, axis: str | int, op: str) -> int:
    """The place of the axis that a setting names: a letter of `AXES`, or a place.

    Raises:
        Mismatch: there is no such axis.
    """
    place = axis if isinstance(axis, int) else x.find(AXES[axis]) if axis in AXES else None
    if place is None or not 0 <= place < x.rank:
        here = [letter for letter, role in AXES.items() if x.find(role) is not None]
        raise Mismatch(f"`{x}` has no axis `{axis}` for `{op}`", setting="axis", help=f"its axes: {', '.join(here)}")
    return place


def axis_spelled(record: Primitive, inputs: Sequence[Tensor]) -> Primitive:
    """An op with its axis by the one letter of `AXES` that it has in the inputs, else by its places: of tokens,
    `softmax(axis=2)` and `softmax(C)` are the same."""
    axis = getattr(record, "axis", None)
    if axis is None or type(record).model_fields["axis"].annotation is int:
        return record
    places = [_place(axis, x, names) for x, names in zip(inputs, getattr(record, "letters", inputs), strict=True)]
    letters = {
        next((letter for letter, role in AXES.items() if x.find(role) == place), None)
        for x, place in zip(inputs, places, strict=True) if place is not None and place < x.rank
    }
    letter = letters.pop() if len(letters) == 1 else None
    spelled = letter or "/".join(dict.fromkeys(map(str, places)))
    return record.model_copy(update={"axis": spelled})


def _place(axis: str | int, x: Tensor, names: Tensor | tuple[str, ...]) -> int | None:
    """The place of an axis that is named by place, by a letter of an annotation (its letters are `names`), or by one
    of `AXES`."""
    if isinstance(axis, int):
        return axis
    if axis != "C" and isinstance(names, tuple) and axis in names:
        return names.index(axis)
    return x.find(AXES[axis]) if axis in AXES else None


class Activation(Primitive):
    """A function of each element: the shape stays."""

    family: ClassVar[Family] = "activation"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        floats(inputs[0], self.op)
        return (inputs[0],)


class Relu(Activation):
    """max(x, 0)."""

    op: ClassVar[str] = "relu"


class Relu6(Activation):
    """min(max(x, 0), 6) (MobileNet, Howard et al. 2017)."""

    op: ClassVar[str] = "relu6"


class LeakyRelu(Activation):
    """x where x > 0, slope * x elsewhere."""

    op: ClassVar[str] = "leaky_relu"

    slope: float = 0.01


class Gelu(Activation):
    """x times the normal distribution function of x (Hendrycks and Gimpel 2016, arXiv:1606.08415).

    `approximate=True` is the tanh formula, as GPT-2 has it.
    """

    op: ClassVar[str] = "gelu"

    approximate: bool = False


class QuickGelu(Activation):
    """x * sigmoid(1.702 x) (CLIP)."""

    op: ClassVar[str] = "quick_gelu"


class Silu(Activation):
    """x * sigmoid(x), also called swish."""

    op: ClassVar[str] = "silu"


class HardSwish(Activation):
    """x * relu6(x + 3) / 6 (MobileNetV3, Howard et al. 2019)."""

    op: ClassVar[str] = "hard_swish"


class HardSigmoid(Activation):
    """relu6(x + 3) / 6."""

    op: ClassVar[str] = "hard_sigmoid"


class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""

    op: ClassVar[str] = "sigmoid"


class Tanh(Activation):
    """The hyperbolic tangent."""

    op: ClassVar[str] = "tanh"


class Softplus(Activation):
    """log(1 + exp(x))."""

    op: ClassVar[str] = "softplus"


class Elu(Activation):
    """x where x > 0, alpha * (exp(x) - 1) elsewhere (Clevert et al. 2016)."""

    op: ClassVar[str] = "elu"

    alpha: float = 1.0


class Softmax(Activation):
    """exp(x) over its sum along one axis: the channels unless said otherwise.

    `axis` is `C`, `N` (positions), `H`, `W`, `T`, or the place of an axis counted from 0.
    """

    op: ClassVar[str] = "softmax"

    axis: str | int = "C"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        axis_place(inputs[0], self.axis, self.op)
        return super().shape(at, *inputs)


class Identity(Primitive):
    """The input itself."""

    op: ClassVar[str] = "identity"
    family: ClassVar[Family] = "activation"

    def vanishes(self) -> bool:
        return True


class Exp(Activation):
    """e to the power of each element."""

    op: ClassVar[str] = "exp"


class Log(Activation):
    """The natural logarithm of each element."""

    op: ClassVar[str] = "log"


class Log2(Activation):
    """The logarithm of each element to base 2."""

    op: ClassVar[str] = "log2"


class Sqrt(Activation):
    """The square root of each element."""

    op: ClassVar[str] = "sqrt"


class Abs(Primitive):
    """Each element without its sign."""

    op: ClassVar[str] = "abs"
    family: ClassVar[Family] = "activation"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        if inputs[0].dtype == "bool":
            floats(inputs[0], self.op)
        return (inputs[0],)


class Sign(Abs):
    """-1, 0 or 1: the sign of each element."""

    op: ClassVar[str] = "sign"


class Sin(Activation):
    """The sine of each element."""

    op: ClassVar[str] = "sin"


class Cos(Activation):
    """The cosine of each element."""

    op: ClassVar[str] = "cos"
