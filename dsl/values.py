"""What a name or an expression stands for while a network is being built.

Nothing here is changed once it is made; what is made for every node is no frozen dataclass, as these take long to make.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ogive.dsl.dims import Poly
from ogive.dsl.dims_text import show
from ogive.dsl.graph import Edge
from ogive.dsl.ops.record import Primitive, Size
from ogive.dsl.patterns import Mechanism, Pattern
from ogive.dsl.source import Span
from ogive.dsl.types import Tensor
from ogive.dsl.when import Partial, When

if TYPE_CHECKING:
    from ogive.dsl.load import Definition
    from ogive.dsl.names import Names

__all__ = [
    "POISON", "Bundle", "Module", "OpValue", "Out", "ParamValue", "Poison", "Result", "Run", "Setting",
    "Silent", "Unanswered", "describe", "flat", "is_list", "printed", "whole",
]


class Poison:
    """The value of what is already reported as wrong: everything that touches it is silent."""

    def __repr__(self) -> str:
        return "POISON"


POISON: Final = Poison()


@dataclass(frozen=True, slots=True, repr=False)
class Unanswered(Poison):
    """A number that a `?` stands for, and that is not known yet."""

    span: Span


class Silent(Exception):
    """Raised where a statement cannot go on because of something that is reported already."""


@dataclass(slots=True)
class Out:
    """One tensor: a result of a node."""

    edge: Edge
    type: Tensor


Result: TypeAlias = "Out | Poison | tuple[Result, ...]"
"""What a result is: a tensor, or a list of them."""


@dataclass(frozen=True, slots=True)
class ParamValue:
    """A weight read by name: `wte.weight`. `region` and `path` say where it is read."""

    key: str
    shape: tuple[int, ...]
    region: int = 0
    path: tuple[str, ...] = ()


@dataclass(slots=True)
class Bundle:
    """What a line, scope, block run or repeat stands for.

    `outs` are its results, lists among them, the first being its value; `labels` names them. `parts` says that all are
    meant at once (`split`). `inner` are the names readable through it, `items` the iterations of `blocks[i]`, `key` the
    prefix of its own weights.
    """

    outs: tuple[Result, ...]
    labels: tuple[str, ...] = ()
    parts: bool = False
    inner: Names | None = None
    items: dict[int, Bundle] | None = None
    key: str = ""
    title: str = ""

    @property
    def first(self) -> Result:
        return self.outs[0] if self.outs else POISON


@dataclass(slots=True)
class Setting:
    """A value in parentheses: `heads`, `stride=2`. `origin` is where it comes from in the end: a preset's cell."""

    name: str | None
    value: Any
    span: Span
    origin: Span
    whole: Span | None = None
    """With its name: `stride=2`."""

    @property
    def place(self) -> Span:
        """The name, where there is one in the text."""
        return self.whole.first(len(self.name)) if self.whole and self.name else self.span


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a shared module: the line, and what flows in there."""

    span: Span
    inputs: tuple[Tensor, ...]

    def __str__(self) -> str:
        return " and ".join(f"`{x}`" for x in self.inputs) or "no data"


@dataclass(slots=True)
class Module:
    """A `shared` module: its key, other keys that its weights are listed under, and the runs that bind its sizes."""

    name: str
    key: str
    span: Span
    aliases: list[tuple[str, Span]] = field(default_factory=list)
    keys: dict[str, None] = field(default_factory=dict)
    """The keys of its weights, in order; empty before the first run."""
    outer: Module | None = None
    """The shared module in whose body it is declared."""
    first: Run | None = None
    current: Run | None = None
    value: Bundle | None = None
    """The value of its last run: what `g.weight` is read from."""


@dataclass(frozen=True, slots=True)
class OpValue:
    """An op not yet used: a primitive, a block or a network, with the settings it was given so far."""

    target: type[Primitive] | Definition
    settings: tuple[Setting, ...]
    span: Span
    preset: str | None = None
    module: Module | None = None

    @property
    def name(self) -> str:
        target = self.target
        base = target.op if isinstance(target, type) else target.node.name
        return f"{base}.{self.preset}" if self.preset else base


def is_list(value: Any) -> bool:
    """A list of tensors: `[a, b]`, `blocks[:]`."""
    return isinstance(value, tuple) and any(isinstance(x, (Bundle, Out, ParamValue)) or is_list(x) for x in value)


def flat(value: Result) -> list[Out | Poison]:
    """The tensors of a result, in order, those of lists in it as well."""
    return [x for item in value for x in flat(item)] if isinstance(value, tuple) else [value]


def whole(value: Any) -> int | None:
    """A whole number, `8.0` among them; None for everything else."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Size) and len(value) == 1:
        return value[0]
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def describe(value: Any) -> str:
    """What a value is, in a few words for an error."""
    if value is None:
        return "None"
    if isinstance(value, bool | int | float):
        return f"`{value}`"
    if isinstance(value, str):
        return f'the string "{value}"'
    if isinstance(value, Size):
        return f"the size {value}"
    if is_list(value):
        return f"a list of {len(value)} tensor{'s' if len(value) > 1 else ''}"
    if isinstance(value, tuple):
        return f"a list of {len(value)}"
    if isinstance(value, Poly):
        return f"the free size `{show(value)}`"
    if isinstance(value, Bundle):
        first = value.first
        return f"the tensor `{first.type}`" if isinstance(first, Out) else describe(first) if first else "a tensor"
    if isinstance(value, Out):
        return f"the tensor `{value.type}`"
    if isinstance(value, Partial):
        return f"`{value.name}`, which not every call has"
    if isinstance(value, When):
        return f"`{value}`, which each call decides"
    if isinstance(value, ParamValue):
        return f"the weight `{value.key}`"
    if isinstance(value, OpValue):
        return f"the op `{value.name}`"
    if isinstance(value, Pattern):
        return f"the attention pattern `{value}`"
    if isinstance(value, Mechanism):
        return f"the attention mechanism `{value}`"
    return "something else"


def printed(value: Any, most: int = 8) -> str:
    """A value as a person would type it, long lists cut short."""
    if isinstance(value, Poly):
        return show(value)
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, OpValue):
        return value.name
    if isinstance(value, tuple) and not isinstance(value, Size):
        return "[" + ", ".join(printed(x, 3) for x in value[:most]) + (", ...]" if len(value) > most else "]")
    if isinstance(value, Bundle) and isinstance(value.first, tuple):
        return printed(value.first, most)
    if isinstance(value, Bundle | Out):
        out = value.first if isinstance(value, Bundle) else value
        return str(out.type) if isinstance(out, Out) else "a tensor"
    if isinstance(value, ParamValue):
        return value.key
    if isinstance(value, Partial):
        return value.name
    return str(value)
