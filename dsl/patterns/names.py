"""What the language calls: each pattern and mechanism by name, its settings with types and defaults; and the joins.

`CONSTRUCTORS["window"].make([7], {"shift": 3})` is `window(7, shift=3)`. A wrong setting is a `PatternError` that names
it, so that the caller can point at the place in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ogive.dsl.diagnostics import offer
from ogive.dsl.patterns.algebra import Flat, Pattern, PerHead
from ogive.dsl.patterns.mechanisms import (
    Channels,
    Kernel,
    Latent,
    Linformer,
    Mechanism,
    Mixed,
    Nystrom,
    Performer,
    Pooled,
)
from ogive.dsl.patterns.named import (
    Axial,
    Block,
    Causal,
    Dense,
    Dilated,
    GlobalTokens,
    Prefix,
    Random,
    Self,
    Sliding,
    Strided,
    Window,
)
from ogive.dsl.patterns.sizes import shown
from ogive.dsl.patterns.space import PatternError

__all__ = ["CONSTRUCTORS", "REQUIRED", "Constructor", "Over", "Parameter", "complement", "convert", "join", "written"]

Over: TypeAlias = Pattern | Mechanism
"""What `over=` takes."""


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A setting. `type` is `int`, `float`, `bool`, `size`, `string`, `pattern`, `patterns`, or a choice of words."""

    name: str
    type: str | tuple[str, ...]
    default: Any = REQUIRED

    def __str__(self) -> str:
        kind = " | ".join(f'"{word}"' for word in self.type) if isinstance(self.type, tuple) else self.type
        kind = "[pattern]" if kind == "patterns" else kind
        return f"{self.name}: {kind}" if self.default is REQUIRED else f"{self.name}: {kind} = {written(self.default)}"


@dataclass(frozen=True, slots=True)
class Constructor:
    """A name of the language that makes a pattern or a mechanism."""

    name: str
    parameters: tuple[Parameter, ...]
    build: Callable[..., Over]

    @property
    def signature(self) -> str:
        """`window(n: size, shift: size = 0)`."""
        return f"{self.name}({', '.join(map(str, self.parameters))})" if self.parameters else self.name

    @property
    def doc(self) -> str:
        """What it is, in the words of its class."""
        return (self.build.__doc__ or "").partition("\n")[0]

    @property
    def why(self) -> str | None:
        """Why it makes no set of pairs; None where it makes one."""
        return self.build.why if isinstance(self.build, type) and issubclass(self.build, Mechanism) else None

    @property
    def bare(self) -> bool:
        """It may stand without parentheses: nothing must be set."""
        return all(p.default is not REQUIRED for p in self.parameters)

    def make(self, positional: Sequence[Any] = (), keyword: Mapping[str, Any] | None = None) -> Over:
        """The pattern with these settings.

        Raises:
            PatternError: one too many, unknown, missing, given twice, or of another type.
        """
        return self.build(**self.bound(positional, keyword or {}))

    def bound(self, positional: Sequence[Any], keyword: Mapping[str, Any]) -> dict[str, Any]:
        """Every setting by name, converted to its type.

        Raises:
            PatternError: as `make`.
        """
        names = [p.name for p in self.parameters]
        if len(positional) > len(names):
            takes = f"{len(names)} setting{'s' if len(names) != 1 else ''}" if names else "no settings"
            raise PatternError(
                f"`{self.name}` takes {takes}, here are {len(positional)}", help=f"`{self.signature}`", code="A304"
            )
        given = dict(zip(names, positional, strict=False))
        for name, value in keyword.items():
            if name not in names:
                raise PatternError(
                    f"`{self.name}` has no setting `{name}`", setting=name, code="A301",
                    help=offer(name, names, "its settings") if names else f"`{self.name}` takes no settings",
                )
            if name in given:
                raise PatternError(f"`{name}` of `{self.name}` is given twice", setting=name, code="A308")
            given[name] = value
        for p in self.parameters:
            if p.name in given:
                given[p.name] = convert(given[p.name], p, self.name)
            elif p.default is REQUIRED:
                raise PatternError(
                    f"`{self.name}` needs `{p.name}`", setting=p.name, help=f"`{self.signature}`", code="A303"
                )
            else:
                given[p.name] = p.default
        return given


def convert(value: Any, parameter: Parameter, owner: str) -> Any:
    """`value` as the type of a setting: `8.0` is an int, an int is a float.

    Raises:
        PatternError: it is none.
    """
    found = _converted(value, parameter.type)
    if value is not None and found is None:
        wanted = {
            "int": "a whole number", "float": "a number", "bool": "True or False", "size": "a size such as 7 or 7x14",
            "string": "a string", "pattern": "an attention pattern", "patterns": "a list of attention patterns",
        }
        words = parameter.type
        kind = wanted[words] if isinstance(words, str) else " or ".join(f'"{w}"' for w in words)
        raise PatternError(
            f"`{parameter.name}` of `{owner}` is {kind}; here is {written(value)}", setting=parameter.name,
            help=_repair(value, parameter),
        )
    if value is None and parameter.default is not None:
        raise PatternError(f"`{parameter.name}` of `{owner}` cannot be None", setting=parameter.name)
    return found


def _converted(value: Any, kind: str | tuple[str, ...]) -> Any:
    if isinstance(kind, tuple):
        return value if value in kind else None
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(whole, tuple) and len(whole) == 1:
        whole = whole[0]
    is_int = isinstance(whole, int) and not isinstance(whole, bool)
    match kind:
        case "int":
            return whole if is_int else None
        case "float":
            return float(value) if is_int or isinstance(value, float) else None
        case "bool":
            return value if isinstance(value, bool) else None
        case "string":
            return value if isinstance(value, str) else None
        case "pattern":
            return value if isinstance(value, Pattern) else None
        case "patterns":
            fits = isinstance(value, tuple | list) and all(isinstance(x, Pattern | Mechanism) for x in value)
            return tuple(value) if fits else None
    if isinstance(whole, tuple) and all(isinstance(n, int) for n in whole):
        return tuple(whole)
    return whole if is_int else None


def _repair(value: Any, parameter: Parameter) -> str | None:
    if parameter.name == "of" and isinstance(value, Block):
        return f"`of={value.n}`"
    if parameter.type == "pattern" and isinstance(value, Mechanism):
        return "a mechanism is no set of pairs"
    return None


def written(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, tuple) and value and all(isinstance(n, int) for n in value):
        return shown(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, Pattern | Mechanism):
        return f"`{value}`"
    return f'"{value}"' if isinstance(value, str) else str(value)


# ---------------------------------------------------------------------------------------------------------------- joins


def join(op: str, left: object, right: object) -> Pattern:
    """`left op right` for `|`, `&`, `-`.

    Raises:
        PatternError: an operand is a mechanism, or no pattern.
    """
    for side in (left, right):
        if isinstance(side, Mechanism):
            side.stands_alone()
        if not isinstance(side, Pattern):
            raise PatternError(f"`{op}` joins attention patterns; here is {written(side)}", code="A309")
    assert isinstance(left, Pattern) and isinstance(right, Pattern)
    return left | right if op == "|" else left & right if op == "&" else left - right


def complement(value: object) -> Pattern:
    """`~value`.

    Raises:
        PatternError: it is a mechanism, or no pattern.
    """
    if isinstance(value, Mechanism):
        value.stands_alone()
    if not isinstance(value, Pattern):
        raise PatternError(f"`~` takes an attention pattern; here is {written(value)}", help="`not` turns a condition")
    return ~value


# ---------------------------------------------------------------------------------------------------------------- names


def _per_head(patterns: tuple[Over, ...]) -> Over:
    """Head i takes the i-th of a list, which starts anew behind its end."""
    sets = tuple(p for p in patterns if isinstance(p, Pattern))
    return PerHead(sets) if len(sets) == len(patterns) else Mixed(patterns)


def _p(name: str, kind: str | tuple[str, ...], default: Any = REQUIRED) -> Parameter:
    return Parameter(name, kind, default)


def _renamed(build: Callable[..., Over], **names: str) -> Callable[..., Over]:
    """`build` with settings under the names of the language."""

    def made(**settings: Any) -> Over:
        return build(**{names.get(name, name): value for name, value in settings.items()})

    made.__doc__ = build.__doc__
    return made


_MADE: Final = (
    Constructor("dense", (), Dense),
    Constructor("causal", (_p("offset", "int", None),), Causal),
    Constructor("self", (), Self),
    Constructor("prefix", (), Prefix),
    Constructor("window", (_p("n", "size"), _p("shift", "size", 0)), _renamed(Window, n="size")),
    Constructor("sliding", (_p("n", "size"), _p("clamp", "bool", False)), _renamed(Sliding, n="size")),
    Constructor("axial", (_p("axis", ("row", "col", "time")),), Axial),
    Constructor("strided", (_p("n", "int"),), Strided),
    Constructor("dilated", (_p("n", "size"), _p("step", "size")), Dilated),
    Constructor("block", (_p("n", "int"), _p("near", "int", 1)), Block),
    Constructor("global_tokens", (_p("n", "int"),), GlobalTokens),
    Constructor(
        "random", (_p("n", "int"), _p("of", "int", 64), _p("seed", "int", 0), _p("per_head", "bool", False)), Random
    ),
    Constructor("flat", (_p("pattern", "pattern"),), Flat),
    Constructor("per_head", (_p("patterns", "patterns"),), _per_head),
    Constructor("linformer", (_p("rank", "int"), _p("share", "bool", False)), Linformer),
    Constructor("performer", (_p("features", "int", 256), _p("seed", "int", 0), _p("redraw", "int", 0)), Performer),
    Constructor("nystrom", (_p("landmarks", "int"), _p("iterations", "int", 6), _p("conv", "int", 0)), Nystrom),
    Constructor("kernel", (_p("name", ("elu", "relu"), "elu"), _p("causal", "bool", False)), Kernel),
    Constructor("pooled", (_p("stride", "size"), _p("by", ("mean", "max", "conv"), "mean")), Pooled),
    Constructor("latent", (_p("n", "int"),), Latent),
    Constructor("channels", (), Channels),
)

CONSTRUCTORS: Final[dict[str, Constructor]] = {c.name: c for c in _MADE}
"""Every pattern and mechanism by its name in the language."""
