"""The kinds of settings that several records share: counts, rates, windows, paddings and fillings of weights."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from ogive.dsl.dims import Dim
from ogive.dsl.ops.record import Init, Mismatch, Pair, Size
from ogive.dsl.types import Tensor

__all__ = [
    "STD", "Border", "Count", "Filling", "Padding", "Positive", "Rate", "Window", "bias_init", "divisors", "each",
    "floats", "shares",
]

Count: TypeAlias = Annotated[int, Field(ge=1)]
Rate: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Positive: TypeAlias = Annotated[float, Field(gt=0)]

STD: Final = 0.02
"""Standard deviation of `init="normal"` and `init="trunc_normal"` where `std=` does not say otherwise."""

WORDS: Final = (
    "torch", "trunc_normal", "normal", "kaiming", "kaiming_in", "xavier", "lecun", "zeros", "ones", "identity",
)


def _at_least(least: int, size: Size) -> Size:
    if min(size) < least:
        raise ValueError(f"takes numbers from {least} on")
    return size


def _padding(value: Any) -> Any:
    if value is None or value == "same" or isinstance(value, Size):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Size((value,))
    raise ValueError('takes a whole number, a size such as 0x3, or "same"')


def _padded(value: Any) -> Any:
    return _at_least(0, value) if isinstance(value, Size) else value


def _filling(value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number or value in WORDS:
        return value
    raise ValueError(f"takes one of {', '.join(WORDS)}, or a number")


Window: TypeAlias = Annotated[Pair, AfterValidator(lambda size: _at_least(1, size))]
"""A kernel, stride or dilation: `3` or `3x5`, from 1 on."""

Border: TypeAlias = Annotated[Pair, AfterValidator(lambda size: _at_least(0, size))]
"""A padding in numbers: `1` or `0x3`, from 0 on."""

Padding: TypeAlias = Annotated[Size | Literal["same"] | None, BeforeValidator(_padding), AfterValidator(_padded)]
"""A padding in numbers, `"same"` (TensorFlow's: ceil(n / stride) positions, the odd pixel at bottom and right), or None
for what the op does of itself."""

Filling: TypeAlias = Annotated[Init, BeforeValidator(_filling)]
"""How a weight starts: a word or a number that fills it."""


def bias_init(init: Init) -> Init:
    """How the bias beside a weight starts: torch's own reset goes for both, every other filling leaves zeros."""
    return "torch" if init == "torch" else "zeros"


def each(size: Size, rank: int, setting: str) -> tuple[int, ...]:
    """One number per axis; a `Mismatch` points at the setting."""
    try:
        return size.over(rank)
    except Mismatch as error:
        raise Mismatch(
            error.title, setting=setting, help=f"write one number for all axes, or {'x'.join(['n'] * rank)}"
        ) from None


def floats(x: Tensor, op: str, input: int = 0) -> None:
    """Demand floating point.

    Raises:
        Mismatch: the elements are whole numbers or truth values.
    """
    if x.dtype != "float":
        raise Mismatch(
            f"`{op}` works on floats; here are elements `{x}`", input=input,
            help="`embedding` turns ids into vectors" if x.dtype == "int" else None,
        )


def divisors(n: int, most: int = 12) -> str:
    """`1, 2, 3, 4, 6, 8, 12, ...`: what divides n, for the help of an error."""
    found: list[int] = []
    for d in range(1, n + 1):
        if n % d == 0:
            found.append(d)
            if len(found) > most:
                return ", ".join(map(str, found[:most])) + ", ..."
    return ", ".join(map(str, found))


def shares(size: Dim, n: int, what: str, setting: str, input: int | None = None) -> None:
    """Demand that a known size divides into n; a free one is left to `Site.divide`.

    Raises:
        Mismatch: it leaves a remainder; the help lists what divides it. `what` goes between: "width 384 does not divide
            into 5 heads".
    """
    if isinstance(size, int) and size % n:
        raise Mismatch(
            f"width {size} does not divide into {n} {what}", setting=setting, input=input, code="A203",
            help=f"{what} that divide {size}: {divisors(size)}",
        )
