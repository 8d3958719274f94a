"""The few words a picture has for things: an op with its settings, a shape, a number, a list of what varies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from ogive.dsl.conditions import Contradiction
from ogive.dsl.dims import Poly
from ogive.dsl.dims_text import show
from ogive.dsl.facts import Facts
from ogive.dsl.graph import Graph
from ogive.dsl.ops.record import Primitive, Size
from ogive.dsl.types import Role, Tensor, sized

__all__ = ["Shapes", "amount", "describe", "op_name", "varied"]

# Settings that say nothing about what is computed from what, or that only matter while training.
UNSAID: Final = frozenset(
    {"init", "std", "bias", "eps", "momentum", "affine", "trainable", "pad", "pad_mode", "ceil", "count_pad", "score",
     "padding", "transposed", "axis", "layout", "prefix", "reverse", "indices", "mode", "corners", "approximate"}
)
LONGEST: Final = 40
STATEMENTS: Final = {"in": "one after the other", "with": "from the time before", "scan": "all positions"}
"""What stands in the boxes of a recurrence."""

Say = Callable[[str], str]


def describe(primitive: Primitive, varying: Mapping[str, Sequence[Any]] | None = None) -> str:
    """The settings of an op in few words: `3×3 /2, 64` of a convolution. What varies is written as a range."""
    if primitive.statement:
        return STATEMENTS.get(primitive.op, "")
    values = {k: getattr(primitive, k) for k in type(primitive).model_fields if k not in primitive.told}
    fields = type(primitive).model_fields

    def say(name: str) -> str:
        if varying and name in varying:
            return varied(varying[name])
        return _value(values[name])

    def differs(name: str) -> bool:
        return name in values and (values[name] != fields[name].default or bool(varying and name in varying))

    maker = _WORDS.get(primitive.op)
    return _short(maker(say, differs, values) if maker else _plain(say, differs, values, fields))


def op_name(op: str) -> str:
    """`transpose_conv` as it stands in a box."""
    return op.replace("_", " ")


def _plain(say: Say, differs: Callable[[str], bool], values: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    """Any op: required settings bare, the others that differ from their defaults by name."""
    words = []
    if isinstance(values.get("number"), int | float | Poly):
        symbol = say("number")
        return f"{symbol} -" if values.get("reverse") else symbol
    for name, value in values.items():
        if name in UNSAID or value is None or not differs(name):
            continue
        if fields[name].is_required() or name in ("dims", "by"):
            words.append(say(name))
        elif value is True:
            words.append(name)
        elif isinstance(value, Primitive):
            words.append(op_name(value.op))
        else:
            words.append(f"{name} {say(name)}")
    return ", ".join(words)


def _window(say: Say, differs: Callable[[str], bool], values: Mapping[str, Any]) -> str:
    """`3×3 /2` of anything that slides."""
    size = values["size"]
    text = say("size")
    if isinstance(size, Size) and len(size) == 1 and "×" not in text and ".." not in text:
        text = f"{text}×{text}"
    words = [text]
    if values.get("stride") is not None and values["stride"] not in (Size((1,)), size) and differs("stride"):
        words.append("/" + say("stride"))
    return " ".join(words)


def _conv(say: Say, differs: Callable[[str], bool], values: Mapping[str, Any]) -> str:
    words = [_window(say, differs, values), say("out")]
    words += [f"{name} {say(name)}" for name in ("dilation", "groups") if differs(name)]
    return ", ".join(words)


def _attend(say: Say, differs: Callable[[str], bool], values: Mapping[str, Any]) -> str:
    heads = say("heads")
    words = [f"{heads} head" if heads == "1" else f"{heads} heads"]
    words += [say(name) for name in ("over", "score") if differs(name)]
    return ", ".join(words)


def _position(say: Say, differs: Callable[[str], bool], values: Mapping[str, Any]) -> str:
    grid = _window(say, differs, values)
    return f"{values['prefix']} + {grid}" if values["prefix"] else grid


_WORDS: Final[dict[str, Callable[[Say, Callable[[str], bool], Mapping[str, Any]], str]]] = {
    "conv": _conv,
    "transpose_conv": _conv,
    "patchify": _conv,
    "max_pool": _window,
    "avg_pool": _window,
    "adaptive_pool": _window,
    "attend": _attend,
    "position": _position,
    "embedding": lambda say, _differs, _values: f"{say('n')} × {say('dim')}",
}


def _value(value: Any) -> str:
    if isinstance(value, Size):
        return "×".join(map(str, value))
    if isinstance(value, tuple):
        return "×".join(map(_value, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Poly):
        return show(value)
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Primitive):
        return op_name(value.op)
    return str(value)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def varied(values: Sequence[Any]) -> str:
    """What a setting is over the iterations: `0 .. 0.1` where it goes steadily, `0, 3 in turn`."""
    texts = [_value(v) for v in values]
    if len(set(texts)) == 1:
        return texts[0]
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values) and len(values) > 2:
        steps = [b - a for a, b in pairwise(values)]
        if all(s >= 0 for s in steps) or all(s <= 0 for s in steps):
            return f"{texts[0]} .. {texts[-1]}"
    if len(texts) <= 4 and texts[:2] != texts[2:]:
        return ", ".join(texts)
    for period in (2, 3):
        if all(text == texts[i % period] for i, text in enumerate(texts)):
            return f"{', '.join(texts[:period])} in turn"
    return ", ".join(texts[:3]) + ", …"


def amount(n: int) -> str:
    """A count in three digits: `2.36M`; exact below 1,000."""
    if n < 1_000:
        return str(n)
    for unit, size in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if n >= size * 0.9995:
            return f"{n / size:.3g}{unit}" if n < 999.5 * size else f"{n / size:.0f}{unit}"
    raise AssertionError(n)


class Shapes:
    """How shapes are written: the batch is left out, sizes as simple as the network's guards make them.

    `64 × H/2 × W/2` for an image, `(1 + 14·14) × 768` for tokens on a grid, `768` for a vector. With `sizes` letters of
    the input are numbers.
    """

    def __init__(self, graph: Graph, sizes: Mapping[str, int] | None = None) -> None:
        self.sizes = sizes
        self.said: dict[Tensor, str] = {}
        self.facts = Facts()
        for guard in graph.guards:
            try:
                self.facts = self.facts.with_condition(guard.condition)
            except Contradiction:
                continue

    def __call__(self, tensor: Tensor) -> str:
        """The shape of one tensor."""
        if tensor not in self.said:
            self.said[tensor] = self._say(tensor)
        return self.said[tensor]

    def _say(self, tensor: Tensor) -> str:
        if self.sizes:
            tensor = sized(tensor, self.sizes)
        axes = [a for a in tensor.axes if a.role is not Role.BATCH or (a.size == 1 and tensor.rank < 3)]
        words = []
        for axis in axes:
            if axis.role is Role.POSITION and axis.grid:
                parts = ["·".join(self._size(d, True) for d in s.grid) or self._size(s.size) for s in axis.segments]
                text = " + ".join(parts)
                words.append(f"({text})" if len(parts) > 1 and len(axes) > 1 else text)
            else:
                words.append(self._size(axis.size, len(axes) > 1))
        return " × ".join(words) or "number"

    def _size(self, size: Any, inside: bool = False) -> str:
        text = self.facts.show(size).replace("*", "·")
        text = _rounding(text)
        whole = text[0] in "⌈⌊" and text[-1] in "⌉⌋" and not {"⌈", "⌊"} & set(text[1:])
        return f"({text})" if inside and " " in text and not whole else text


def _rounding(text: str) -> str:
    """`ceil(H/4)` as ⌈H/4⌉ and `floor(...)` as ⌊...⌋."""
    for word, left, right in (("ceil(", "⌈", "⌉"), ("floor(", "⌊", "⌋")):
        while (start := text.find(word)) >= 0:
            end, open_ones = start + len(word), 1
            while end < len(text) and open_ones:
                open_ones += {"(": 1, ")": -1}.get(text[end], 0)
                end += 1
            text = text[:start] + left + text[start + len(word) : end - 1] + right + text[end:]
    return text
