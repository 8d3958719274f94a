"""Words for a size: every way to write it with the names that are known at a line, and what each way is elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from ogive.dsl import syntax as s
from ogive.dsl.dims import Dim, Poly, ceil_div, divide
from ogive.dsl.ops.record import Size
from ogive.dsl.work import Frame

__all__ = ["Joined", "Known", "Listed", "Number", "Word", "same", "text", "value", "words"]

FACTORS: Final = (2, 3, 4, 6, 8)
PARTS: Final = (2, 4, 8, 16, 32)
NAMES: Final = 24      # names of a line that are joined with each other
POWER: Final = 64


@dataclass(frozen=True, slots=True)
class Number:
    number: int


@dataclass(frozen=True, slots=True)
class Known:
    name: str


@dataclass(frozen=True, slots=True)
class Listed:
    """`widths[s]`."""

    name: str
    index: str


@dataclass(frozen=True, slots=True)
class Joined:
    sign: Literal["*", "/", "+", "-", "**", "ceil"]
    left: Word
    right: Word


Word: TypeAlias = Number | Known | Listed | Joined


def text(word: Word) -> str:
    match word:
        case Number():
            return str(word.number)
        case Known():
            return word.name
        case Listed():
            return f"{word.name}[{word.index}]"
        case Joined(sign="ceil"):
            return f"ceil({text(word.left)} / {text(word.right)})"
        case _:
            return f"{text(word.left)}{word.sign}{text(word.right)}"


def value(word: Word, frame: Frame) -> Dim | None:
    """The size that a word is at a line; None where it has none there, or only on a condition."""
    match word:
        case Number():
            return word.number
        case Known():
            entry = frame.names.find(word.name)
            found = None if entry is None else entry.value
            whole = isinstance(found, int | Poly) and not isinstance(found, bool)
            return found if whole else None
        case Listed():
            items, index = (frame.names.find(n) for n in (word.name, word.index))
            if items is None or index is None or type(items.value) is not tuple or type(index.value) is not int:
                return None
            item = items.value[index.value] if 0 <= index.value < len(items.value) else None
            return item if type(item) is int else None
        case _:
            left, right = value(word.left, frame), value(word.right, frame)
            return None if left is None or right is None else _joined(word.sign, left, right, frame)


def _joined(sign: str, left: Dim, right: Dim, frame: Frame) -> Dim | None:
    if sign == "*":
        return left * right
    if sign in ("+", "-"):
        return left + right if sign == "+" else left - right
    if sign == "**":
        return left**right if isinstance(right, int) and 0 <= right <= POWER else None
    if right == 0:
        return None
    facts = frame.body.facts
    return divide(facts.simplify(left), facts.simplify(right)) if sign == "/" else ceil_div(left, right)


def words(size: Dim, frame: Frame, own: Iterable[s.Expr] = ()) -> Iterator[Word]:
    """Every way to write a size at a line, the short ones first; `own` are expressions that stand in the line."""
    single = [word for word in _single(frame) if value(word, frame) is not None]
    said = [word for expr in own if (word := _word(expr)) is not None]
    if isinstance(size, int):
        yield Number(size)
    for word in dict.fromkeys([*single, *said, *_made(single)]):
        here = value(word, frame)
        if here is not None and same(here, size, frame):
            yield word


def _word(expr: s.Expr) -> Word | None:
    """An expression of the language as a size, where a shape can say it."""
    match expr:
        case s.Constant() if type(expr.value) is int and expr.value > 0:
            return Number(expr.value)
        case s.Name():
            return Known(expr.name)
        case s.Item(base=s.Name(name=items), index=s.Name(name=index)):
            return Listed(items, index)
        case s.Binary(op="+" | "-" | "*" | "/" | "//" | "**"):
            sign: Any = "/" if expr.op == "//" else expr.op
            left, right = _word(expr.left), _word(expr.right)
            if left is None or right is None or not _stands(left, sign, False) or not _stands(right, sign, True):
                return None
            return Joined(sign, left, right)
    return None


def _stands(word: Word, sign: str, right: bool) -> bool:
    """Whether a part needs no parentheses, which a shape has for segments only."""
    if not isinstance(word, Joined):
        return True
    weight = {"+": 0, "-": 0, "*": 1, "/": 1, "**": 2}
    return word.sign in weight and sign != "**" and weight[word.sign] >= weight[sign] + right


def same(one: Dim, other: Dim, frame: Frame) -> bool:
    """Whether two sizes are equal by proof, without a guard."""
    facts = frame.body.facts
    return one == other or facts.simplify(one) == facts.simplify(other)


def _single(frame: Frame) -> Iterator[Word]:
    seen: set[str] = set()
    lists: list[str] = []
    indices: list[str] = []
    for name in frame.names.visible():
        if name in seen or not name.isidentifier():
            continue
        seen.add(name)
        entry = frame.names.find(name)
        if entry is None or isinstance(entry.value, bool):
            continue
        if isinstance(entry.value, int | Poly):
            yield Known(name)
        if type(entry.value) is int:
            indices.append(name)
        if type(entry.value) is tuple and not isinstance(entry.value, Size):
            lists.append(name)
    yield from (Listed(items, index) for items in lists for index in indices)


def _made(single: list[Word]) -> Iterator[Word]:
    for word in single:
        yield from (Joined("*", Number(k), word) for k in FACTORS)
        yield from (Joined("/", word, Number(k)) for k in PARTS)
        yield from (Joined("ceil", word, Number(k)) for k in PARTS)
    few = single[:NAMES]
    for left in few:
        for right in few:
            if left != right:
                yield Joined("/", left, right)
                yield Joined("ceil", left, right)
    for i, left in enumerate(few):
        for right in few[i + 1 :]:
            yield Joined("*", left, right)
            yield Joined("+", left, right)
