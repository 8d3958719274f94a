"""Statements about sizes, such as a run-time guard checks, and what goes wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ogive.dsl.dims import Dim, Poly, evaluate, symbols
from ogive.dsl.dims_text import bare, remainder, show, wrapped

__all__ = ["Condition", "Contradiction", "Inexact"]


class Inexact(ValueError):
    """A `/` in a shape that leaves a remainder."""

    def __init__(self, a: Dim, b: Dim) -> None:
        self.a, self.b = a, b
        super().__init__(f"{wrapped(show(a))} / {wrapped(show(b))} is not exact: {remainder(a, b)}")


class Contradiction(ValueError):
    """A fact that no size can obey together with the facts before it."""


_SIGNS = {"equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<="}
_FLIPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">="}


@dataclass(frozen=True)
class Condition:
    """A statement about sizes, such as a run-time guard checks.

    kind: "divisible" (left % right == 0), "equal", "not_equal", "less" (left < right), "less_equal".
    """

    kind: str
    left: Dim
    right: Dim

    def __post_init__(self) -> None:
        if self.kind != "divisible" and self.kind not in _SIGNS:
            raise ValueError(f"no such kind of condition: {self.kind}")

    def holds(self, values: Mapping[str, int]) -> bool:
        """Whether it is so at `values`; where a size divides by 0 nothing holds."""
        try:
            left, right = evaluate(self.left, values), evaluate(self.right, values)
        except ZeroDivisionError:
            return False
        if self.kind == "divisible":
            return right != 0 and left % right == 0
        return (
            (self.kind == "equal" and left == right)
            or (self.kind == "not_equal" and left != right)
            or (self.kind == "less" and left < right)
            or (self.kind == "less_equal" and left <= right)
        )

    def show(self) -> str:
        """`H % 16 == 0`, `H == W`, `H > 3`."""
        left, right = show(self.left), show(self.right)
        if self.kind == "divisible":
            return f"{wrapped(left)} % {right if bare(right) else f'({right})'} == 0"
        sign = _SIGNS[self.kind]
        # A person starts with what varies: H > 3, not 3 < H.
        if isinstance(self.left, int) and isinstance(self.right, Poly):
            return f"{right} {_FLIPPED[sign]} {left}"
        return f"{left} {sign} {right}"

    @property
    def symbols(self) -> frozenset[str]:
        return symbols(self.left) | symbols(self.right)
