"""The words of an expanded text: names that are free, numbers, and which result of a node is meant."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from itertools import count

from ogive.dsl import limits
from ogive.dsl.containers import CONTAINERS
from ogive.dsl.diagnostics import nearest
from ogive.dsl.expand_tree import Container, Entry, Leaf
from ogive.dsl.graph import Node
from ogive.dsl.names import MODULE_MEMBERS, RESERVED
from ogive.dsl.types import Role, Tensor

__all__ = ["in_pairs", "item_of", "number_text", "numbered", "take_out", "unused", "word_of"]


def item_of(node: Node, result: int) -> str:
    """Which result of a node: `[1]`, or `[1][0]` where results of one name are a list."""
    names = node.primitive.results if node.primitive is not None else ()
    lists = sum(name.startswith("*") for name in names)
    if not lists:
        return f"[{result}]" if len(node.outputs) > 1 else ""
    each = (len(node.outputs) - len(names) + lists) // lists
    for place, name in enumerate(names):
        count = each if name.startswith("*") else 1
        if result < count:
            return f"[{place}][{result}]" if name.startswith("*") else f"[{place}]"
        result -= count
    raise AssertionError(f"{node} has no result {result}")


def in_pairs(tensor: Tensor) -> bool:
    """Whether as many channels as positions stand behind these: an axis needs a letter of its own."""
    if tensor.roles != (Role.BATCH, Role.POSITION, Role.CHANNEL):
        return False
    return tensor.shape[1] == tensor.shape[2] and not isinstance(tensor.shape[1], int)


def take_out(entries: list[Entry], one: Leaf) -> None:
    for entry in list(entries):
        if entry is one:
            entries.remove(one)
        elif isinstance(entry, Container):
            take_out(entry.inside, one)


def number_text(value: float) -> str:
    """A number as a file may hold it, 18 signs at most: longer ones as a quotient, which comes to the same."""
    plain = repr(value)
    if len(plain.lstrip("-")) <= limits.LITERAL_DIGITS:
        return plain
    sign, digits, power = Decimal(plain).as_tuple()
    if 10 ** -int(power) > limits.INTEGER:
        near = Fraction(plain).limit_denominator(10**limits.LITERAL_DIGITS - 1)
        return f"{near.numerator} / {near.denominator}"
    return f"{'-' * sign}{''.join(map(str, digits))} / 10**{-int(power)}"


def word_of(wanted: str, scope: bool) -> str:
    """A name that may stand where this one is wanted."""
    word = re.sub(r"\W", "_", wanted) or "node"
    word = f"n{word}" if word[0].isdigit() else word
    if scope and nearest(word, CONTAINERS) is not None:  # `gat:` would be taken for a slip of `gate:`
        return f"{word}_scope"
    return f"{word}_" if word in RESERVED or word in MODULE_MEMBERS else word


def numbered(op: str, taken: set[str]) -> str:
    """A name for what an op makes, not its own: alone on a line, that would be the op."""
    return next(name for n in count(1) if (name := f"{op}_{n}") not in taken)


def unused(word: str, taken: set[str]) -> str:
    """A word, numbered where it is taken."""
    name, number = word, 1
    while name in taken:
        number += 1
        name = f"{word}_{number}"
    return name
