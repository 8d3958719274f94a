"""What a primitive is: one record. A record is a pydantic model whose fields are the settings, in positional order,
and whose methods are the facts: shapes, weights, cost. Its lowering has the same name in `compiler/lower/`.

The first line of a record's docstring is its meaning in one line; it stands in the docs and in the editor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal, Protocol, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict

from ogive.dsl.dims import Dim, Poly
from ogive.dsl.dims_text import show
from ogive.dsl.types import DType, Role, Tensor

__all__ = [
    "RECORDS", "Family", "Init", "Mismatch", "Pair", "Primitive", "Reference", "Sampling", "Site", "Size", "Weight",
]

Family: TypeAlias = Literal[
    "linear", "conv", "norm", "activation", "attention", "pool", "layout", "merge", "embedding", "regularise", "data"
]
"""How it is drawn: one colour per family (see `compiler/picture/style.py`)."""

Init: TypeAlias = str | float
"""`"torch"`, `"trunc_normal"`, `"kaiming"`, `"kaiming_in"`, `"xavier"`, `"lecun"`, `"zeros"`, `"ones"`, `"normal"`,
`"sincos"`, `"identity"`, or a number that fills the weight. How each is drawn stands in `compiler/initialise.py`."""


class Size(tuple[int, ...]):
    """A window, kernel or stride per axis: `7` is `Size((7,))`, 7 along every axis; `3x5` is `Size((3, 5))`."""

    __slots__ = ()

    def over(self, rank: int) -> tuple[int, ...]:
        """One number per axis.

        Raises:
            Mismatch: the size names another number of axes.
        """
        if len(self) == 1:
            return tuple(self) * rank
        if len(self) != rank:
            raise Mismatch(f"the size `{self}` names {len(self)} axes, the input has {rank} axes to slide over")
        return tuple(self)

    def __str__(self) -> str:
        return "x".join(map(str, self))

    __repr__ = __str__


def _size(value: Any) -> Any:
    if isinstance(value, Size):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Size((value,))
    raise ValueError("takes a whole number or a size such as 3x3")


Pair = Annotated[Size, BeforeValidator(_size)]
"""The type of a setting that takes `3` or `3x5`."""

Sampling: TypeAlias = Literal["nearest", "bilinear", "bicubic"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A setting that names a node: for its segment or shape (`take(cls_token)`, `like=x`), or for its data where the
    record lists the setting among its `tensors` (`indices=pool.indices`)."""

    node: str
    tensor: Tensor
    result: int = 0

    def __str__(self) -> str:
        return self.node


@dataclass(frozen=True, slots=True)
class Weight:
    """A parameter or buffer of a primitive. `name` is its last key part; "" means that the node's key is its key.

    `std` is the standard deviation that `init` "normal" and "trunc_normal" draw with.
    """

    name: str
    shape: tuple[int, ...]
    init: Init = "torch"
    buffer: bool = False
    trainable: bool = True
    dtype: DType = "float"
    std: float = 0.02


class Mismatch(Exception):
    """Raised by a record when inputs or settings do not go together; the builder adds the place and the path.

    `setting` or `input` says what to point at; `code` is one of the A2xx codes.
    """

    def __init__(
        self, title: str, *, setting: str | None = None, input: int | None = None, help: str | None = None,
        notes: tuple[str, ...] = (), code: str = "A201",
    ) -> None:
        super().__init__(title)
        self.title = title
        self.setting = setting
        self.input = input
        self.help = help
        self.notes = notes
        self.code = code


class Site(Protocol):
    """The place in a file where a primitive is used: what a shape rule may ask and demand there."""

    node: str
    """The id of the node that is being made: the origin of the segments it makes."""

    def same(self, left: Dim, right: Dim, what: str) -> None:
        """Demand that two sizes agree: proved, refuted (`Mismatch` with `what` in its title) or kept as a guard."""

    def divide(self, left: Dim, right: Dim, what: str) -> Dim:
        """`left / right`, exactly: proved, refuted (`Mismatch`) or kept as a guard."""

    def number(self, size: Dim, what: str) -> int:
        """A size that must be known now, because a weight has it. `Mismatch` when it is free."""

    def is_same(self, left: Dim, right: Dim) -> bool:
        """Whether two sizes are known to be equal."""

    def is_multiple(self, left: Dim, right: Dim) -> bool:
        """Whether `left` is known to be a whole multiple of `right`."""

    def most(self, size: Dim, limit: Dim, what: str) -> None:
        """Demand `size <= limit`: proved, refuted (`Mismatch` with `what` in its title) or kept as a guard."""

    def fits(self, need: int, size: Dim, what: str) -> None:
        """Demand that an axis, along which a window of the op slides, has `need` elements: where its size is free, a
        guard. The op itself refuses a number that is too small."""


RECORDS: Final[dict[str, type[Primitive]]] = {}
"""Every primitive by its name in the language."""


class Primitive(BaseModel):
    """Base of all records. Fields are settings; class variables and methods are the facts."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, defer_build=True, arbitrary_types_allowed=True,
        protected_namespaces=(),
    )

    op: ClassVar[str] = ""
    statement: ClassVar[bool] = False
    """Whether a statement makes it (`scan`, `if`) and no name does: then it is not among `RECORDS`."""
    family: ClassVar[Family]
    inputs: ClassVar[tuple[str, ...]] = ("x",)
    """Names of the data inputs. One that starts with `*` takes one or more, those that end with `?` may be left out."""
    results: ClassVar[tuple[str, ...]] = ("",)
    """Names of the results: `_.indices` reads one by name. One that starts with `*` is a list: `encoder.h[0]`."""
    parts: ClassVar[bool] = False
    """Whether the results are parts that must all be consumed (`split`)."""
    spread: ClassVar[str | None] = None
    """The setting that takes all positional settings as a tuple: `learned(1, 1, dim)`."""
    references: ClassVar[frozenset[str]] = frozenset()
    """Settings that take a `Reference`."""
    tensors: ClassVar[tuple[str, ...]] = ()
    """Settings that bring data: a `Reference` each, and, where set, a further input behind those left of the arrow."""
    given: ClassVar[frozenset[str]] = frozenset()
    """Weights that may be supplied by keyword: `weight=wte.weight`."""
    told: ClassVar[frozenset[str]] = frozenset()
    """Fields that are no settings: the builder reads them off the annotations (`annotations.py`)."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if cls.op and not cls.statement:
            if cls.op in RECORDS:
                raise TypeError(f"two records are called `{cls.op}`")
            RECORDS[cls.op] = cls

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The types of the results, from the types of the inputs.

        Raises:
            Mismatch: inputs or settings do not go together.
        """
        return (inputs[0],)

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        """The parameters and buffers that this use owns. Shapes are numbers."""
        return ()

    def macs(self, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Dim:
        """Multiply-adds of one run: convolutions, linears, products of attention; not look-ups, norms or pools."""
        return 0

    @property
    def late(self) -> bool:
        """Whether `macs` is exact only once every size is a number: a pattern on a grid that is free."""
        return False

    def vanishes(self) -> bool:
        """Whether these settings make it the identity (a drop rate of 0): then no node is built."""
        return False

    @classmethod
    def meaning(cls) -> str:
        return (cls.__doc__ or "").strip().split("\n")[0]

    def settings(self) -> dict[str, Any]:
        """The settings that differ from their defaults, in order: what is worth printing."""
        fields = type(self).model_fields
        typed = [k for k in fields if k not in self.told]
        return {k: v for k in typed if (v := getattr(self, k)) != fields[k].default or fields[k].is_required()}

    def __str__(self) -> str:
        inside = ", ".join(f"{k}={show_setting(v)}" for k, v in self.settings().items())
        return f"{self.op}({inside})" if inside else self.op


def show_setting(value: Any) -> str:
    """A setting as it would be typed."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple) and not isinstance(value, Size):
        return "[" + ", ".join(map(show_setting, value)) + "]"
    return show(value) if isinstance(value, Poly) else str(value)


def channel_place(x: Tensor, op: str) -> int:
    """The place of the channel axis, by role.

    Raises:
        Mismatch: the input has none (ids).
    """
    place = x.find(Role.CHANNEL)
    if place is None:
        raise Mismatch(f"`{op}` works on the channel axis; `{x}` has none", input=0)
    return place
