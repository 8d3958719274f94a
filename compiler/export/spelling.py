"""How modules, functions and values are spelled in a Python file. What cannot be spelled safely is refused."""

from __future__ import annotations

import inspect
import keyword
import math
import operator
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import torch
import torch.fx as fx
import torch.nn.functional as F
from torch import Tensor, nn

from ogive.compiler.lower import (
    attention_biases,
    attention_cores,
    attention_masks,
    modules,
    plane_modules,
    region_modules,
)
from ogive.dsl.diagnostics import ArchError, fail, printable

__all__ = [
    "access", "argument", "comment", "constructor", "expression", "is_plain", "own_names", "own_source",
    "plain_kind", "value",
]

_INFIX: Final[dict[Any, str]] = {
    operator.add: "+", operator.sub: "-", operator.mul: "*", operator.truediv: "/", operator.floordiv: "//",
    operator.pow: "**", operator.matmul: "@", operator.mod: "%", operator.lt: "<", operator.le: "<=",
    operator.gt: ">", operator.ge: ">=", operator.eq: "==", operator.ne: "!=", torch.add: "+", torch.mul: "*",
}
_PREFIX: Final[dict[Any, str]] = {operator.neg: "-", operator.invert: "~"}

_OWN: Final = frozenset(room.__name__ for room in (
    modules, plane_modules, region_modules, attention_masks, attention_biases, attention_cores,
))
"""Where the classes stand that are copied into the file."""

_LOST: Final[dict[tuple[type, str], Callable[[Any], object]]] = {
    (modules.FrozenBatchNorm, "width"): lambda m: m.weight.shape[0],
    (modules.TransposedLinear, "width"): lambda m: m.weight.shape[0],
    (modules.TransposedLinear, "out"): lambda m: m.weight.shape[1],
}
"""Arguments of `__init__` that a module does not keep under their own name."""


def is_plain(name: str) -> bool:
    """Whether a part of a key can stand behind a dot."""
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name)


def access(root: str, path: str, lists: frozenset[str], dicts: frozenset[str], at: str = "") -> str:
    """The expression for what lies at `path` below `root`, which is itself at the key path `at`.

    `lists` and `dicts` are the full paths of containers that are `nn.ModuleList` and `nn.ModuleDict`.
    """
    text = root
    for name in filter(None, path.split(".")):
        if at in lists:
            text = f"{text}[{int(name)}]"
        elif at in dicts:
            text = f"{text}[{name!r}]"
        elif is_plain(name):
            text = f"{text}.{name}"
        else:
            text = f"getattr({text}, {name!r})"
        at = f"{at}.{name}" if at else name
    return text


def plain_kind(module: nn.Module) -> type:
    """The class that a module is written as: its own, or the one on torch alone that answers the same."""
    kind: type = getattr(type(module), "plain", type(module))
    return kind


def constructor(module: nn.Module, path: str) -> str:
    """`nn.Linear(768, 3072)`: the call that makes a module like this one.

    Raises:
        ArchError: A720, its class is neither torch's nor one that can be copied into the file.
    """
    kind = plain_kind(module)
    if getattr(nn, kind.__name__, None) is kind:
        name = f"nn.{kind.__name__}"
    elif kind.__module__ in _OWN:
        name = kind.__name__
    else:
        raise _refused(path, f"a `{kind.__name__}` has no plain counterpart")
    arguments = []
    plain = True  # positional until one is left out
    made_by = nn.RNNBase if issubclass(kind, nn.RNNBase) else kind  # recurrent layers hide their arguments
    for argument in inspect.signature(made_by).parameters.values():
        if argument.name in ("device", "dtype", "mode") or argument.name.startswith("_"):
            continue
        found = _argument(module, argument.name, path)
        if argument.default is not argument.empty and _same(found, argument.default):
            plain = False
        else:
            plain = plain and argument.default is argument.empty
            text = value(_short(found) if name.startswith("nn.") else found, path)
            arguments.append(text if plain else f"{argument.name}={text}")
    return f"{name}({', '.join(arguments)})"


def _argument(module: nn.Module, name: str, path: str) -> object:
    lost = _LOST.get((type(module), name))
    if lost is not None:
        return lost(module)
    if name == "bias" and not isinstance(getattr(module, name, None), bool):
        return getattr(module, "bias", None) is not None
    try:
        return getattr(module, name)
    except AttributeError:
        raise _refused(path, f"it is not known with which `{name}` it was made") from None


def _same(found: object, default: object) -> bool:
    if isinstance(found, tuple) and not isinstance(default, tuple):
        return all(n == default for n in found)
    return type(found) is type(default) and found == default


def _short(found: object) -> object:
    """`3` for `(3, 3)`, as torch's own examples are written."""
    if isinstance(found, tuple) and found and all(n == found[0] for n in found):
        return found[0]
    return found


def expression(node: fx.Node, name: Callable[[fx.Node], str]) -> str:
    """What a function or method node computes; `name` spells the nodes it reads.

    Raises:
        ArchError: A720, a function that is not torch's.
    """
    path = str(node.meta.get("ogive", {}).get("node", node.name))
    if node.target is operator.getitem:
        return f"{_value(node.args[0], path, name)}[{_index(node.args[1], path, name)}]"
    args = [_value(a, path, name) for a in node.args]
    named = [f"{k}={_value(v, path, name)}" for k, v in node.kwargs.items()]
    if node.op == "call_method":
        method = str(node.target)
        if not is_plain(method) or not hasattr(Tensor, method):
            raise _refused(path, f"`{method}` is no method of a tensor")
        return f"{args[0]}.{method}({', '.join([*args[1:], *named])})"
    if node.target in _INFIX and len(args) == 2 and not named:
        return f"{_atom(args[0])} {_INFIX[node.target]} {_atom(args[1])}"
    if node.target in _PREFIX and len(args) == 1:
        return f"{_PREFIX[node.target]}{_atom(args[0])}"
    function = _functions().get(node.target)
    if function is None:
        raise _refused(path, f"the function `{getattr(node.target, '__name__', node.target)}` is not torch's")
    return f"{function}({', '.join([*args, *named])})"


@cache
def _functions() -> dict[Any, str]:
    """Every public function of torch and torch.nn.functional -> how it is written."""
    found: dict[Any, str] = {}
    for prefix, room in (("torch", torch), ("F", F)):
        for name in dir(room):
            thing = getattr(room, name)
            if not name.startswith("_") and callable(thing) and not isinstance(thing, type):
                found[thing] = f"{prefix}.{name}"
    return found


def _atom(text: str) -> str:
    return text if text.replace("_", "a").replace(".", "a").isalnum() else f"({text})"


def _index(index: object, path: str, name: Callable[[fx.Node], str]) -> str:
    parts = index if isinstance(index, tuple) else (index,)
    text = ", ".join(_part(i, path, name) for i in parts)
    return f"{text}," if isinstance(index, tuple) and len(parts) == 1 else text


def _part(i: object, path: str, name: Callable[[fx.Node], str]) -> str:
    if not isinstance(i, slice):
        return "..." if i is ... else _value(i, path, name)
    start, stop, step = ("" if n is None else _value(n, path, name) for n in (i.start, i.stop, i.step))
    return f"{start}:{stop}" + (f":{step}" if step else "")


def argument(v: object, node: fx.Node, name: Callable[[fx.Node], str]) -> str:
    """An argument of a module that is called."""
    return _value(v, str(node.meta.get("ogive", {}).get("node", node.name)), name)


def _value(v: object, path: str, name: Callable[[fx.Node], str]) -> str:
    if isinstance(v, fx.Node):
        return name(v)
    if isinstance(v, list | fx.immutable_collections.immutable_list):
        return f"[{', '.join(_value(x, path, name) for x in v)}]"
    if isinstance(v, tuple):
        inside = ", ".join(_value(x, path, name) for x in v)
        return f"({inside},)" if len(v) == 1 else f"({inside})"
    return value(v, path)


def value(v: object, path: str) -> str:
    """A constant as Python text.

    Raises:
        ArchError: A720, it is no number, text, size or dtype.
    """
    if isinstance(v, float) and not math.isfinite(v):
        return f'float("{v}")'
    if v is None or isinstance(v, bool | int | float | str):
        return repr(v) if type(v) in (bool, int, float, str, type(None)) else repr(_base(v))
    if isinstance(v, tuple | list | torch.Size):
        inside = [value(x, path) for x in v]
        return f"({', '.join(inside)}{',' if len(inside) == 1 else ''})"
    if isinstance(v, torch.dtype | torch.memory_format):
        return str(v)
    if isinstance(v, torch.device):
        return f"torch.device({str(v)!r})"
    raise _refused(path, f"it holds a {type(v).__name__}")


def _base(v: object) -> object:
    """A number or text of a subclass as the plain thing: a subclass could spell itself as anything."""
    for kind in (int, float, str):
        if isinstance(v, kind):
            return kind(v)
    return None


def own_names(module: nn.Module) -> set[str]:
    """What the classes of ours are called that a file for this module may hold: no block's class has such a name."""
    kinds = {base for part in module.modules() for base in plain_kind(part).__mro__}
    return {kind.__name__ for kind in kinds if kind.__module__ in _OWN}


def own_source(kinds: set[type]) -> list[str]:
    """Those among these that are classes of ours, as they stand in `compiler/lower/`, behind those they build upon."""
    found: dict[type, str] = {}
    for kind in sorted((kind for kind in kinds if kind.__module__ in _OWN), key=lambda kind: kind.__name__):
        for base in reversed(kind.__mro__):
            if base.__module__ in _OWN:
                found.setdefault(base, inspect.getsource(base).rstrip())
    return list(found.values())


def comment(text: str) -> str:
    """Text that may stand behind a `#`: one line, without characters that would steer a terminal."""
    return " ".join(printable(text).split())


def _refused(path: str, why: str) -> ArchError:
    return fail("A720", f"`{printable(path)}` cannot be written as plain PyTorch: {why}",
                help="a frozen module is written as the module it was frozen from")
