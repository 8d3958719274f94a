"""Keys of weights with counted letters in them: `blocks.{i}.norm1`, `features.{2*s + 1}.{j}`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from ogive.dsl import limits
from ogive.dsl.diagnostics import fail
from ogive.dsl.source import Span

__all__ = ["Counted", "KeyPattern", "pattern_of"]

LETTER: Final = re.compile(
    r"\s*(?:(?P<factor>[1-9][0-9]{0,3})\s*\*\s*)?(?P<name>[A-Za-z_]\w*)\s*(?:(?P<sign>[+-])\s*(?P<offset>[0-9]{1,4})\s*)?"
)
NUMBER: Final = "(0|[1-9][0-9]{0,8})"
BRACES: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Counted:
    """`{2*s + 1}`: a whole number that goes by a letter."""

    letter: str
    factor: int = 1
    offset: int = 0

    def letter_at(self, number: int) -> int | None:
        """What the letter is where this is `number`; None where it is nothing whole from 0 on."""
        value, rest = divmod(number - self.offset, self.factor)
        return value if rest == 0 and value >= 0 else None

    def number_at(self, value: int) -> int | None:
        """What this is where the letter is `value`; None below 0."""
        number = self.factor * value + self.offset
        return number if number >= 0 else None


@dataclass(frozen=True)
class KeyPattern:
    """The key of a weight, or of all weights below it: `blocks.{i}.norm1` stands for its `weight` and `bias` too."""

    parts: tuple[str | Counted, ...]
    span: Span = field(compare=False, repr=False)

    @property
    def text(self) -> str:
        return self.span.text[1:-1]

    @property
    def letters(self) -> frozenset[str]:
        return frozenset(part.letter for part in self.parts if isinstance(part, Counted))

    @cached_property
    def _form(self) -> re.Pattern[str]:
        return re.compile("".join(re.escape(p) if isinstance(p, str) else NUMBER for p in self.parts) + r"(\..*)?")

    @cached_property
    def _start(self) -> str:
        return self.parts[0] if self.parts and isinstance(self.parts[0], str) else ""

    def match(self, key: str) -> tuple[dict[str, int], str] | None:
        """The letters in `key` and what follows behind a point (".weight", or ""); None where the key is another."""
        found = self._form.fullmatch(key) if key.startswith(self._start) else None
        if found is None:
            return None
        values: dict[str, int] = {}
        numbers = [part for part in self.parts if isinstance(part, Counted)]
        for part, digits in zip(numbers, found.groups(), strict=False):
            value = part.letter_at(int(digits))
            if value is None or values.setdefault(part.letter, value) != value:
                return None
        return values, found[len(numbers) + 1] or ""

    def fill(self, letters: Mapping[str, int], rest: str) -> str | None:
        """The key that these letters give; None where a number would fall below 0."""
        words: list[str] = []
        for part in self.parts:
            word = part if isinstance(part, str) else part.number_at(letters[part.letter])
            if word is None:
                return None
            words.append(str(word))
        return "".join(words) + rest


def pattern_of(text: str, span: Span) -> KeyPattern:
    """The pattern that a string is.

    Raises:
        ArchError: A150, nothing that a key could be, or braces that hold no letter; A505, it is too long.
    """
    if len(text) > limits.KEY_LENGTH:
        raise fail("A505", f"a state_dict key has at most {limits.KEY_LENGTH:,} characters", span)
    if not re.fullmatch(r"[^\s.]+(\.[^\s.]+)*", BRACES.sub("i", text)):
        raise fail("A150", f'`"{text}"` is no key of a weight', span, help='as in `"encoder.layer.{i}.attention"`')
    parts = tuple(_parts(text, span))
    for before, part in zip(("", *parts), (*parts, ""), strict=True):
        touching = isinstance(before, Counted) and (isinstance(part, Counted) or part[:1].isdigit())
        if touching or (isinstance(part, Counted) and isinstance(before, str) and before[-1:].isdigit()):
            raise fail("A150", f'in `"{text}"` two numbers touch, and cannot be told apart', span,
                       help="put a point or another sign between them")
    return KeyPattern(parts, span)


def _parts(text: str, span: Span) -> Iterator[str | Counted]:
    if re.search(r"[{}]", BRACES.sub("", text)):
        raise fail("A150", f'a brace of `"{text}"` has no other', span, help="`{i}` stands for a number")
    for i, piece in enumerate(BRACES.split(text)):
        if i % 2 == 0:
            if piece:
                yield piece
            continue
        found = LETTER.fullmatch(piece)
        if found is None:
            raise fail(
                "A150", f"`{{{piece}}}` is no number that goes by a letter", span,
                help="write `{i}`, `{i + 1}` or `{2*i + 1}`",
            )
        offset = int(found["offset"] or 0)
        yield Counted(found["name"], int(found["factor"] or 1), -offset if found["sign"] == "-" else offset)
