"""How sizes are written: `1 + h*w`, `ceil(H/16)`, `floor((H + 3)/16)`; the same in every run.

Terms by rising degree, then by name; a constant stands last (`H + 3`, `H - 1`), but before a product (`1 + h*w`, as
tokens are written); terms that are subtracted come at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd, lcm

from ogive.dsl.dims import (
    ONE,
    Atom,
    Dim,
    Floor,
    Monomial,
    Poly,
    atom_poly,
    constant,
    cut,
    monomial_key,
    normal,
    origin,
    terms_of,
)

__all__ = ["bare", "remainder", "show", "wrapped"]


def show(dim: Dim) -> str:
    """`dim` as a person would write it: `1 + h*w`, `ceil(H/16)`, `floor((H + 3)/16)`; the same in every run."""
    if isinstance(dim, int):
        return str(dim)
    ceilings, dim = _ceilings(dim)
    numerator, den, shifted = _back(dim)
    pieces = [*_pieces(numerator, den, shifted), *ceilings]
    return _joined(pieces)


@dataclass(frozen=True)
class _Piece:
    """One summand: its degree, its sorting key, its sign and how it is written without it."""

    degree: int
    key: str
    negative: bool
    text: str


def _joined(pieces: list[_Piece]) -> str:
    constants = [p for p in pieces if p.degree == 0]
    others = sorted((p for p in pieces if p.degree), key=lambda p: (p.negative, p.degree, p.key))
    first = any(p.degree > 1 and not p.negative for p in others)
    ordered = sorted([*constants, *others] if first else [*others, *constants], key=lambda p: p.negative)
    text = "".join(f" {'-' if p.negative else '+'} {p.text}" for p in ordered)
    return text[3:] if text.startswith(" + ") else "-" + text[3:] if text else "0"


def _ceilings(poly: Poly) -> tuple[list[_Piece], Dim]:
    """1 + floor((H - 1)/h) is canonical for ceil(H/h) with a symbolic h: take such pairs out and write them back."""
    pieces: list[_Piece] = []
    rest: Dim = poly
    for monomial, c in poly.terms.items():
        atom = monomial[0][0] if len(monomial) == 1 and monomial[0][1] == 1 else ""
        if isinstance(atom, Floor) and _is_less_one(atom) and 0 < c <= constant(rest):
            rest = rest - atom_poly(atom) * c - c
            text = f"ceil({_ratio(atom.num + 1, atom.den)})"
            pieces.append(_Piece(1, atom.key, False, text if c == 1 else f"{c}*{text}"))
    return pieces, rest


def _is_less_one(atom: Floor) -> bool:
    return isinstance(atom.den, Poly) and isinstance(atom.num, Poly) and atom.num.constant == -1


def _back(dim: Dim) -> tuple[Dim, int, bool]:
    """`dim` in the user's symbols, as numerator and denominator; True if a variable was shifted: (H + 1)/2."""
    changed = {a for m in terms_of(dim) for a, _ in m if isinstance(a, str) and "'" in a}
    total: Dim = 0
    den = 1
    for monomial, c in terms_of(dim).items():
        term: Dim = c
        below = 1
        for atom, k in monomial:
            base, n, shift = origin(atom) if isinstance(atom, str) else (atom, 1, 0)
            term, below = term * (atom_poly(base) + shift) ** k, below * n**k
        common = lcm(den, below)
        total, den = total * (common // den) + term * (common // below), common
    g = gcd(den, *terms_of(total).values())
    total = normal({m: c // g for m, c in terms_of(total).items()})
    return total, den // g, any(origin(a)[2] for a in changed)


def _pieces(numerator: Dim, den: int, shifted: bool) -> Iterator[_Piece]:
    """The summands of numerator/den; where a shift makes single ones fractional, these are written over one line."""
    loose: dict[Monomial, int] = {}
    for m, c in terms_of(numerator).items():
        if shifted and c % den:
            loose[m] = c
        else:
            yield _piece(m, c, den)
    if loose:
        degree = max(sum(k for _, k in m) for m in loose)
        yield _Piece(degree, "", False, f"{wrapped(_written(normal(loose)))}/{den}")


def _piece(m: Monomial, c: int, den: int) -> _Piece:
    g = gcd(c, den)
    top, below = abs(c) // g, den // g
    factors = [_atom_text(a) if k == 1 else f"{_atom_text(a)}**{k}" for a, k in m]
    text = "*".join(factors if m and top == 1 else [str(top), *factors])
    return _Piece(sum(k for _, k in m), monomial_key(m), c < 0, text if below == 1 else f"{text}/{below}")


def _written(numerator: Dim) -> str:
    """A polynomial whose own symbols are the user's already (its floors may still hold changed ones)."""
    return _joined(list(_pieces(numerator, 1, False)))


def _atom_text(atom: Atom) -> str:
    if isinstance(atom, str):
        return atom
    if isinstance(atom.den, int) and constant(atom.num) == atom.den - 1:
        return f"ceil({_ratio(atom.num - constant(atom.num), atom.den)})"
    return f"floor({_ratio(atom.num, atom.den)})"


def _ratio(num: Dim, den: Dim) -> str:
    """num/den, both led back to the user's symbols: H'/3 is H/12 where H' is H/4."""
    top, top_den, _ = _back(num)
    below, below_den, _ = _back(den)
    top, below = top * below_den, below * top_den
    g = gcd(*terms_of(top).values(), *terms_of(below).values())
    top, below = cut(top, ONE, g), cut(below, ONE, g)
    bottom = _written(below)
    return f"{wrapped(_written(top))}/{bottom if bare(bottom) else f'({bottom})'}"


def wrapped(text: str) -> str:
    """In parentheses when it is a sum: spaces stand only around + and -."""
    depth = 0
    for c in text:
        depth += (c == "(") - (c == ")")
        if c == " " and depth == 0:
            return f"({text})"
    return text


def bare(text: str) -> bool:
    """A name or a number, which needs no parentheses below a fraction."""
    return text.replace("_", "").isalnum()


def remainder(a: Dim, b: Dim) -> str:
    if isinstance(a, int) and isinstance(b, int) and b:
        return f"the remainder is {a % b}"
    return "division by 0" if b == 0 else "there is always a remainder"
