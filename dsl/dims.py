"""Symbolic sizes: integer polynomials over symbols, with exact division and floors.

A `Dim` is a plain `int` or a `Poly`. Every operation normalises, so a constant is always an `int`, and two sizes that
are written differently but reduce to the same form are `==`. The forms that make networks come out well:

    floor((2*H + 5)/2)              ->  H + 2                  whole parts leave the floor
    floor((4*H + 3)/8)              ->  floor(H/2)             common factors cancel
    floor((floor(a/m) + c)/n)       ->  floor((a + c*m)/(m*n)) so five strided convolutions are one floor

`Facts` is what is known about the symbols (`H % 4 == 0`, `H == W`, `H > 3`). Divisibility is turned into a change of
variable, H = 4*H', after which `H/4` is an ordinary polynomial. The new variable is named `H'4'0`, read "(H + 0)/4":
the name says its meaning, so `evaluate`, `symbols` and `show` translate it back and nobody outside ever sees it.

How sizes are written (`show`): terms by rising degree, then by name; a constant stands last (`H + 3`, `H - 1`), but
before a product (`1 + h*w`, as tokens are written); terms that are subtracted come at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice, product
from math import gcd, lcm, prod

__all__ = [
    "Condition",
    "Contradiction",
    "Dim",
    "Facts",
    "Floor",
    "Inexact",
    "Poly",
    "TooLarge",
    "ceil_div",
    "divide",
    "evaluate",
    "floor_div",
    "show",
    "substitute",
    "symbol",
    "symbols",
]

# Guards against hostile text (`repeat 40: x = x*x + 1`); real sizes have a handful of terms.
MOST_TERMS = 1_000
LARGEST_COEFFICIENT = 1 << 512
LARGEST_POWER = 64
LONGEST_FLOOR = 10_000


class Inexact(ValueError):
    """A `/` in a shape that leaves a remainder."""

    def __init__(self, a: Dim, b: Dim) -> None:
        self.a, self.b = a, b
        super().__init__(f"{_wrapped(show(a))} / {_wrapped(show(b))} is not exact: {_remainder(a, b)}")


class Contradiction(ValueError):
    """A fact that no size can obey together with the facts before it."""


class TooLarge(ValueError):
    """A size whose formula has outgrown the guards; no published network comes near."""


# ---------------------------------------------------------------------------------------------------- the polynomials


class Floor:
    """The atom floor(num/den). Made by `//` only, which keeps it canonical; equal when written the same."""

    __slots__ = ("den", "key", "num")

    def __init__(self, num: Dim, den: Dim) -> None:
        self.num, self.den = num, den
        # "~" sorts behind letters, so floors follow symbols in a product: W*floor(H/2).
        self.key = f"~({_dim_key(num)})//({_dim_key(den)})"
        if len(self.key) > LONGEST_FLOOR:
            raise TooLarge("a size with too many nested floors")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Floor) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return _atom_text(self)


Atom = str | Floor
Monomial = tuple[tuple[Atom, int], ...]
ONE: Monomial = ()


class Poly:
    """A sum of integer coefficients times products of atoms, never constant. Immutable; `==` is structural.

    `terms` maps a monomial, a tuple of (atom, power) sorted by atom, to its coefficient, never 0.
    """

    __slots__ = ("_hash", "_key", "_names", "terms")

    def __init__(self, terms: dict[Monomial, int]) -> None:
        """Takes the dict over as it is: use the operators, which normalise."""
        self.terms = terms
        self._hash: int | None = None
        self._key: str | None = None
        self._names: frozenset[str] | None = None

    @property
    def constant(self) -> int:
        return self.terms.get(ONE, 0)

    @property
    def key(self) -> str:
        """A canonical spelling, the same in every run: what floors are compared and sorted by."""
        if self._key is None:
            self._key = "+".join(sorted(f"{c}*{_monomial_key(m)}" for m, c in self.terms.items()))
        return self._key

    @property
    def names(self) -> frozenset[str]:
        """The symbols as stored, changed variables included; `symbols` gives them as a user knows them."""
        if self._names is None:
            self._names = frozenset().union(*(_atom_names(a) for m in self.terms for a, _ in m))
        return self._names

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Poly) and self.terms == other.terms

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def __repr__(self) -> str:
        return show(self)

    def __add__(self, other: Dim) -> Dim:
        return _sum(self.terms, {ONE: other} if isinstance(other, int) else other.terms)

    __radd__ = __add__

    def __neg__(self) -> Poly:
        return Poly({m: -c for m, c in self.terms.items()})

    def __sub__(self, other: Dim) -> Dim:
        return self + -other

    def __rsub__(self, other: int) -> Dim:
        return -self + other

    def __mul__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return _scaled(self, other)
        return _product(self.terms, other.terms)

    __rmul__ = __mul__

    def __pow__(self, power: int) -> Dim:
        if power < 0:
            raise ValueError("a size cannot have a negative power")
        if power > LARGEST_POWER:
            raise TooLarge(f"a power above {LARGEST_POWER}")
        return prod([self] * power, start=1)

    def __floordiv__(self, other: Dim) -> Dim:
        return floor_div(self, other)

    def __rfloordiv__(self, other: int) -> Dim:
        return floor_div(other, self)


Dim = int | Poly


@lru_cache(4096)
def symbol(name: str) -> Poly:
    """A free integer, at least 1."""
    return Poly({((name, 1),): 1})


def _normal(terms: dict[Monomial, int]) -> Dim:
    """The Dim of `terms`, whose coefficients may be 0."""
    if 0 in terms.values():
        terms = {m: c for m, c in terms.items() if c}
    if not terms:
        return 0
    if len(terms) == 1 and ONE in terms:
        return terms[ONE]
    return Poly(terms)


def _terms(dim: Dim) -> dict[Monomial, int]:
    return dim.terms if isinstance(dim, Poly) else ({ONE: dim} if dim else {})


def _sum(a: dict[Monomial, int], b: dict[Monomial, int]) -> Dim:
    terms = dict(a)
    for m, c in b.items():
        terms[m] = terms.get(m, 0) + c
    if len(terms) > MOST_TERMS:
        raise TooLarge(f"a size of more than {MOST_TERMS} terms")
    return _normal(terms)


def _scaled(poly: Poly, factor: int) -> Dim:
    return _bounded({m: c * factor for m, c in poly.terms.items()}) if factor else 0


def _product(a: dict[Monomial, int], b: dict[Monomial, int]) -> Dim:
    terms: dict[Monomial, int] = {}
    for m, c in a.items():
        for n, d in b.items():
            mn = _times(m, n)
            terms[mn] = terms.get(mn, 0) + c * d
        if len(terms) > MOST_TERMS:
            raise TooLarge(f"a size of more than {MOST_TERMS} terms")
    return _bounded(terms)


def _bounded(terms: dict[Monomial, int]) -> Dim:
    if any(not -LARGEST_COEFFICIENT < c < LARGEST_COEFFICIENT for c in terms.values()):
        raise TooLarge("a size with an enormous coefficient")
    return _normal(terms)


@lru_cache(16384)
def _times(m: Monomial, n: Monomial) -> Monomial:
    """The product of two monomials; the same few are met over and over, hence the cache."""
    powers = dict(m)
    for atom, k in n:
        powers[atom] = powers.get(atom, 0) + k
    return _monomial(powers)


def _monomial(powers: Mapping[Atom, int]) -> Monomial:
    return tuple(sorted(((a, k) for a, k in powers.items() if k), key=lambda p: _atom_key(p[0])))


def _over(m: Monomial, n: Monomial) -> Monomial | None:
    """m / n, None where n does not divide m."""
    if not n:
        return m
    powers = dict(m)
    for atom, k in n:
        powers[atom] = powers.get(atom, 0) - k
        if powers[atom] < 0:
            return None
    return _monomial(powers)


def _atom_key(atom: Atom) -> str:
    return atom if isinstance(atom, str) else atom.key


def _monomial_key(m: Monomial) -> str:
    return "*".join(f"{_atom_key(a)}^{k}" for a, k in m)


def _dim_key(dim: Dim) -> str:
    return str(dim) if isinstance(dim, int) else dim.key


def _atom_names(atom: Atom) -> frozenset[str]:
    return frozenset((atom,)) if isinstance(atom, str) else _names(atom.num) | _names(atom.den)


def _names(dim: Dim) -> frozenset[str]:
    return dim.names if isinstance(dim, Poly) else frozenset()


def _atom(atom: Atom) -> Poly:
    return symbol(atom) if isinstance(atom, str) else Poly({((atom, 1),): 1})


# ---------------------------------------------------------------------------------------------------------- division


def ceil_div(a: Dim, b: Dim) -> Dim:
    """ceil(a/b) = floor((a + b - 1)/b), for b > 0."""
    return floor_div(a + b - 1, b)


def floor_div(a: Dim, b: Dim) -> Dim:
    """floor(a/b) in canonical form, also for two ints."""
    if isinstance(b, int):
        if isinstance(a, int) or b == 0:
            return _int(a) // b
        return _floor_number(a, b) if b > 0 else _floor_number(-a, -b)
    if all(c < 0 for c in b.terms.values()):
        a, b = -a, -b
    exact = divide(a, b)
    return _floor_poly(a, b) if exact is None else exact


def _int(dim: Dim) -> int:
    return dim if isinstance(dim, int) else 0


def _floor_number(a: Poly, n: int) -> Dim:
    """floor(a/n) for n >= 1: take whole parts out, cancel what a's other coefficients share with n, merge floors."""
    whole = _normal({m: c // n for m, c in a.terms.items()})
    rest = {m: c % n for m, c in a.terms.items() if c % n}
    # floor((g*a + c)/(g*n)) = floor((a + c//g)/n)
    g = gcd(n, *(c for m, c in rest.items() if m))
    n //= g
    left = _normal({m: c // g for m, c in rest.items()})
    if n == 1 or isinstance(left, int):
        return whole + left // n
    inner = _lone_floor(left)
    if inner is not None and isinstance(inner.den, int):
        return whole + floor_div(inner.num + left.constant * inner.den, inner.den * n)
    return whole + _atom(Floor(left, n))


def _lone_floor(poly: Poly) -> Floor | None:
    """F when the polynomial is F, or F plus a constant."""
    others = [(m, c) for m, c in poly.terms.items() if m]
    if len(others) != 1 or others[0][1] != 1 or len(others[0][0]) != 1:
        return None
    atom, power = others[0][0][0]
    return atom if isinstance(atom, Floor) and power == 1 else None


def _floor_poly(a: Dim, b: Poly) -> Dim:
    """floor(a/b) for a symbolic b that does not divide a: whole multiples leave, common factors cancel."""
    whole: Dim = 0
    if len(b.terms) == 1:
        whole, a = _split(a, *next(iter(b.terms.items())))
    a, reduced = _cancelled(a, b)
    if a == 0:
        return whole
    if isinstance(reduced, int):
        return whole + floor_div(a, reduced)
    return whole + _atom(Floor(a, reduced))


def _split(a: Dim, m: Monomial, c: int) -> tuple[Dim, Dim]:
    """(Q, R) with a = c*m*Q + R, coefficients of R at multiples of m within 0 .. c-1."""
    whole: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for n, k in _terms(a).items():
        ratio = _over(n, m)
        if ratio is None:
            rest[n] = k
        else:
            whole[ratio], rest[n] = divmod(k, c)
    return _normal(whole), _normal(rest)


def _cancelled(a: Dim, b: Poly) -> tuple[Dim, Dim]:
    """a and b without their common content. Only symbols cancel: a floor may be 0."""
    both = [*_terms(a).items(), *b.terms.items()]
    g = gcd(*(c for _, c in both))
    powers = {s: k for s, k in both[-1][0] if isinstance(s, str)}
    for m, _ in both:
        here = dict(m)
        powers = {s: min(k, here.get(s, 0)) for s, k in powers.items()}
    common = _monomial({s: k for s, k in powers.items()})
    if g == 1 and not common:
        return a, b
    return _cut(a, common, g), _cut(b, common, g)


def _cut(a: Dim, m: Monomial, c: int) -> Dim:
    """a / (c*m), known to be exact."""
    return _normal({_over(n, m) or ONE: k // c for n, k in _terms(a).items()})


def divide(a: Dim, b: Dim) -> Dim | None:
    """The polynomial q with a = b*q, or None: (2*h*w + 4*h) / (2*h) = w + 2."""
    if b == 0:
        return None
    if isinstance(a, int):
        return a // b if isinstance(b, int) and a % b == 0 else (0 if a == 0 else None)
    if isinstance(b, int):
        return None if any(c % b for c in a.terms.values()) else _normal({m: c // b for m, c in a.terms.items()})
    return _long_division(a, b)


Powers = tuple[int, ...]


def _long_division(a: Poly, b: Poly) -> Dim | None:
    """Divide leading terms until nothing is left. With one divisor the first misfit proves there is no quotient."""
    atoms = sorted({x for p in (a, b) for m in p.terms for x, _ in m}, key=_atom_key)
    rest, by = _vectors(a, atoms), _vectors(b, atoms)
    top = max(by, key=_degree_first)
    quotient: dict[Powers, int] = {}
    while rest:
        lead = max(rest, key=_degree_first)
        step = tuple(x - y for x, y in zip(lead, top, strict=True))
        if min(step) < 0 or rest[lead] % by[top] or len(quotient) > MOST_TERMS:
            return None
        quotient[step] = rest[lead] // by[top]
        for vector, c in by.items():
            at = tuple(x + y for x, y in zip(step, vector, strict=True))
            rest[at] = rest.get(at, 0) - quotient[step] * c
            if not rest[at]:
                del rest[at]
    return _normal({_monomial(dict(zip(atoms, v, strict=True))): c for v, c in quotient.items()})


def _degree_first(powers: Powers) -> tuple[int, Powers]:
    """The graded lexicographic order, which products respect; that is what makes long division end."""
    return sum(powers), powers


def _vectors(poly: Poly, atoms: list[Atom]) -> dict[Powers, int]:
    rows = ((dict(m), c) for m, c in poly.terms.items())
    return {tuple(m.get(a, 0) for a in atoms): c for m, c in rows}


# ------------------------------------------------------------------------------------------------- changed variables


@cache
def _origin(name: str) -> tuple[str, int, int]:
    """(H, 4, 1) for the changed variable `H'4'1`, which stands for (H + 1)/4; (H, 1, 0) for a plain H."""
    if "'" not in name:
        return name, 1, 0
    base, n, shift = name.split("'")
    return base, int(n), int(shift)


def _changed(name: str, n: int, shift: int) -> Poly:
    """The variable t with name = n*t - shift, where name itself may be a changed variable; t >= 1, as name >= 1."""
    base, n0, shift0 = _origin(name)
    return symbol(f"{base}'{n0 * n}'{n0 * shift + shift0}")


# ------------------------------------------------------------------------------------------------------------- values


def evaluate(dim: Dim, values: Mapping[str, int]) -> int:
    """The number that `dim` is at `values`; a missing symbol is a KeyError."""
    if isinstance(dim, int):
        return dim
    total = 0
    for monomial, c in dim.terms.items():
        for atom, k in monomial:
            c *= _value(atom, values) ** k
        total += c
    return total


def _value(atom: Atom, values: Mapping[str, int]) -> int:
    if isinstance(atom, Floor):
        return evaluate(atom.num, values) // evaluate(atom.den, values)
    if atom in values:
        return values[atom]
    base, n, shift = _origin(atom)
    return (values[base] + shift) // n


def symbols(dim: Dim) -> frozenset[str]:
    """The names of the symbols that `dim` depends on, as the user wrote them."""
    return frozenset(_origin(name)[0] for name in _names(dim))


def substitute(dim: Dim, values: Mapping[str, Dim]) -> Dim:
    """`dim` with the named symbols replaced, all at once."""
    if isinstance(dim, int):
        return dim
    mapping = {name: new for name in dim.names if (new := _replacement(name, values)) is not None}
    return _substituted(dim, mapping) if mapping else dim


def _replacement(name: str, values: Mapping[str, Dim]) -> Dim | None:
    if name in values:
        return values[name]
    base, n, shift = _origin(name)
    return floor_div(values[base] + shift, n) if base in values else None


def _substituted(dim: Dim, mapping: Mapping[str, Dim]) -> Dim:
    if isinstance(dim, int) or mapping.keys().isdisjoint(dim.names):
        return dim
    total: Dim = 0
    for monomial, c in dim.terms.items():
        term: Dim = c
        for atom, k in monomial:
            term = term * _replaced(atom, mapping) ** k
        total = total + term
    return total


def _replaced(atom: Atom, mapping: Mapping[str, Dim]) -> Dim:
    if isinstance(atom, str):
        return mapping[atom] if atom in mapping else symbol(atom)
    return floor_div(_substituted(atom.num, mapping), _substituted(atom.den, mapping))


# ------------------------------------------------------------------------------------------------------------ writing


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
        if isinstance(atom, Floor) and _is_less_one(atom) and 0 < c <= _constant(rest):
            rest = rest - _atom(atom) * c - c
            text = f"ceil({_ratio(atom.num + 1, atom.den)})"
            pieces.append(_Piece(1, atom.key, False, text if c == 1 else f"{c}*{text}"))
    return pieces, rest


def _is_less_one(atom: Floor) -> bool:
    return isinstance(atom.den, Poly) and isinstance(atom.num, Poly) and atom.num.constant == -1


def _constant(dim: Dim) -> int:
    return dim if isinstance(dim, int) else dim.constant


def _back(dim: Dim) -> tuple[Dim, int, bool]:
    """`dim` in the user's symbols, as numerator and denominator; True if a variable was shifted: (H + 1)/2."""
    changed = {a for m in _terms(dim) for a, _ in m if isinstance(a, str) and "'" in a}
    total: Dim = 0
    den = 1
    for monomial, c in _terms(dim).items():
        term: Dim = c
        below = 1
        for atom, k in monomial:
            base, n, shift = _origin(atom) if isinstance(atom, str) else (atom, 1, 0)
            term, below = term * (_atom(base) + shift) ** k, below * n**k
        common = lcm(den, below)
        total, den = total * (common // den) + term * (common // below), common
    g = gcd(den, *_terms(total).values())
    total = _normal({m: c // g for m, c in _terms(total).items()})
    return total, den // g, any(_origin(a)[2] for a in changed)


def _pieces(numerator: Dim, den: int, shifted: bool) -> Iterator[_Piece]:
    """The summands of numerator/den; where a shift makes single ones fractional, these are written over one line."""
    loose: dict[Monomial, int] = {}
    for m, c in _terms(numerator).items():
        if shifted and c % den:
            loose[m] = c
        else:
            yield _piece(m, c, den)
    if loose:
        degree = max(sum(k for _, k in m) for m in loose)
        yield _Piece(degree, "", False, f"{_wrapped(_written(_normal(loose)))}/{den}")


def _piece(m: Monomial, c: int, den: int) -> _Piece:
    g = gcd(c, den)
    top, below = abs(c) // g, den // g
    factors = [_atom_text(a) if k == 1 else f"{_atom_text(a)}**{k}" for a, k in m]
    text = "*".join(factors if m and top == 1 else [str(top), *factors])
    return _Piece(sum(k for _, k in m), _monomial_key(m), c < 0, text if below == 1 else f"{text}/{below}")


def _written(numerator: Dim) -> str:
    """A polynomial whose own symbols are the user's already (its floors may still hold changed ones)."""
    return _joined(list(_pieces(numerator, 1, False)))


def _atom_text(atom: Atom) -> str:
    if isinstance(atom, str):
        return atom
    if isinstance(atom.den, int) and _constant(atom.num) == atom.den - 1:
        return f"ceil({_ratio(atom.num - _constant(atom.num), atom.den)})"
    return f"floor({_ratio(atom.num, atom.den)})"


def _ratio(num: Dim, den: Dim) -> str:
    """num/den, both led back to the user's symbols: H'/3 is H/12 where H' is H/4."""
    top, top_den, _ = _back(num)
    below, below_den, _ = _back(den)
    top, below = top * below_den, below * top_den
    g = gcd(*_terms(top).values(), *_terms(below).values())
    top, below = _cut(top, ONE, g), _cut(below, ONE, g)
    bottom = _written(below)
    return f"{_wrapped(_written(top))}/{bottom if _bare(bottom) else f'({bottom})'}"


def _wrapped(text: str) -> str:
    """In parentheses when it is a sum: spaces stand only around + and -."""
    depth = 0
    for c in text:
        depth += (c == "(") - (c == ")")
        if c == " " and depth == 0:
            return f"({text})"
    return text


def _bare(text: str) -> bool:
    """A name or a number, which needs no parentheses below a fraction."""
    return text.replace("_", "").isalnum()


def _remainder(a: Dim, b: Dim) -> str:
    if isinstance(a, int) and isinstance(b, int) and b:
        return f"the remainder is {a % b}"
    return "division by 0" if b == 0 else "there is always a remainder"


# --------------------------------------------------------------------------------------------------------- conditions

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
            return f"{_wrapped(left)} % {right if _bare(right) else f'({right})'} == 0"
        sign = _SIGNS[self.kind]
        # A person starts with what varies: H > 3, not 3 < H.
        if isinstance(self.left, int) and isinstance(self.right, Poly):
            return f"{right} {_FLIPPED[sign]} {left}"
        return f"{left} {sign} {right}"

    @property
    def symbols(self) -> frozenset[str]:
        return symbols(self.left) | symbols(self.right)


# -------------------------------------------------------------------------------------------------------------- bounds


def _positive(dim: Dim, least: Mapping[str, int]) -> bool:
    """Whether dim > 0 is certain, given symbol >= least (1 unless told).

    Floors are replaced by bounds first, (p - n + 1)/n <= floor(p/n) <= p/n, or floor(p/n) >= 0 for p >= 0. Then every
    symbol s becomes least + t with t >= 0; no negative coefficient and a positive constant make the sum positive.
    """
    if isinstance(dim, int):
        return dim > 0
    return any(_plainly_positive(_below(dim, least, drop), least) for drop in (False, True))


def _plainly_positive(dim: Dim | None, least: Mapping[str, int]) -> bool:
    if dim is None or isinstance(dim, int):
        return dim is not None and dim > 0
    raised = _substituted(dim, {s: symbol(s) + least.get(s, 1) for s in dim.names})
    return _constant(raised) > 0 and min(_terms(raised).values()) > 0


def _below(dim: Dim, least: Mapping[str, int], drop: bool) -> Dim | None:
    """A polynomial without floors that is <= a positive multiple of `dim`; None where no sign could be told."""
    for _ in range(32):
        found = next(((m, a) for m in _terms(dim) for a, _ in m if isinstance(a, Floor)), None)
        if found is None:
            return dim
        monomial, floor = found
        c = _terms(dim)[monomial]
        rest = _over(monomial, ((floor, 1),)) or ONE
        certain = all(_not_negative(a, least) for a, _ in rest if isinstance(a, Floor))
        if not certain or not _positive(floor.den, least):
            return None
        others = dim - _normal({monomial: c})
        if c > 0 and drop and _not_negative(floor, least):
            dim = others
        else:
            bound = floor.num if c < 0 else floor.num - floor.den + 1
            dim = others * floor.den + _normal({rest: c}) * bound
    return None


def _not_negative(floor: Floor, least: Mapping[str, int]) -> bool:
    return _positive(floor.num + 1, least) and _positive(floor.den, least)


# ------------------------------------------------------------------------------------------------------------- samples

# Highly composite sizes and those that networks are published with, beside 2 .. 64 and multiples of 32.
SIZES = tuple(
    sorted({*range(2, 65), *range(32, 1025, 32), 72, 80, 84, 90, 98, 112, 120, 168, 180, 196, 197, 240, 336, 360, 720})
)
FEW = (2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 16, 24, 32, 49, 56, 64, 196, 224)
STEPS = (1, 7, 17, 29, 43, 61, 79, 101)
MOST_SAMPLES = 1_500
MOST_CASES = 512


def _sizes(name: str, sizes: Iterable[int]) -> list[int]:
    """Values for a symbol; for a changed variable those that give `sizes`, then small ones."""
    _, n, shift = _origin(name)
    hit = [(v + shift) // n for v in sizes if (v + shift) % n == 0]
    return hit if n == 1 else [*dict.fromkeys([*hit, *(t for t in range(1, 65) if n * t - shift > 1)])]


def _samples(names: list[str]) -> Iterator[dict[str, int]]:
    """Assignments, the same in every run: all symbols alike, products of a few sizes, then a scattered rest."""
    if not names:
        yield {}
        return
    bases = [_origin(s) for s in names]
    for v in SIZES:
        if all((v + shift) % n == 0 for _, n, shift in bases):
            yield {s: (v + shift) // n for s, (_, n, shift) in zip(names, bases, strict=True)}
    full = [_sizes(s, SIZES) for s in names]
    if len(names) == 1:
        yield from ({names[0]: v} for v in full[0])
        return
    few = [_sizes(s, FEW)[: 18 if len(names) == 2 else 8] for s in names]
    for row in islice(product(*few), 600):
        yield dict(zip(names, row, strict=True))
    columns = list(zip(names, full, strict=True))
    for i in range(600):  # steps by different primes, so that the columns do not move together
        yield {s: col[(i * STEPS[j % len(STEPS)] + j) % len(col)] for j, (s, col) in enumerate(columns)}


def _crossings(f: Callable[[int], int], points: list[int]) -> Iterator[int]:
    """Places where f may be 0 between or beyond the points: by halving where the sign changes, then looking around."""
    points = sorted({*points, *(points[-1] << k for k in range(1, 24))}) if points else []
    values = [f(p) for p in points]
    for low, high, at_low, at_high in zip(points, points[1:], values, values[1:], strict=False):
        if (at_low < 0) != (at_high < 0):
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if (f(middle) < 0) == (at_low < 0) else (low, middle)
            yield from range(max(low - 32, points[0]), high + 33)


def _period(dim: Dim) -> int:
    """A number n such that adding n to any symbol moves every floor in `dim` by a whole amount; 0 if there is none."""
    if isinstance(dim, int):
        return 1
    floors = [a for m in dim.terms for a, _ in m if isinstance(a, Floor)]
    return lcm(*(a.den * _period(a.num) if isinstance(a.den, int) else 0 for a in floors))


# --------------------------------------------------------------------------------------------------------------- facts


class Facts:
    """What is known about the symbols. Immutable: `with_...` answers a new one and leaves this as it was.

    A fact becomes a rewrite where it can (H -> 32*H', W -> H), else a plain statement that is recognised when it is
    asked again. Answers are True (proved), False (refuted) or None (it depends: a guard at run time).
    """

    __slots__ = ("_current", "_least", "_plain", "_rewrites")

    def __init__(self) -> None:
        self._rewrites: dict[str, Dim] = {}  # user's symbol -> its value in changed variables, closed under itself
        self._current: frozenset[str] = frozenset()  # the changed variables in use
        self._least: dict[str, int] = {}  # lower bounds above 1
        self._plain: tuple[Condition, ...] = ()  # simplified; "less" has 0 on the left

    # -- learning

    def with_condition(self, condition: Condition) -> Facts:
        """These facts and the condition; `Contradiction` when it can never hold beside them."""
        a, b = condition.left, condition.right
        if self.holds(condition) is True:
            return self
        if condition.kind == "divisible":
            return self.with_divisible(a, b)
        if condition.kind == "equal":
            return self.with_equal(a, b)
        if condition.kind == "not_equal":
            return self._stated(condition)
        return self._with_positive(b - a + (condition.kind == "less_equal"), condition)

    def with_divisible(self, poly: Dim, n: Dim) -> Facts:
        """These facts and poly % n == 0. Several facts about one symbol combine, as each starts from the last."""
        asked = Condition("divisible", poly, n)
        dim, n = self.simplify(poly), self.simplify(n)
        if isinstance(n, Poly) or isinstance(dim, int):
            return self._unless_known(Condition("divisible", dim, n), asked)
        n = abs(n)
        if n == 0:
            raise Contradiction(f"{asked.show()} divides by 0")
        rest = _normal({m: c % n for m, c in dim.terms.items()})
        variable = _linear(rest)
        if variable is None:
            return self._unless_known(Condition("divisible", rest, n), asked)
        name, c = variable
        # c*s + k = 0 (mod n) has a solution iff g = gcd(c, n) divides k, and then it is one class modulo n/g.
        g = gcd(c, n)
        if _constant(rest) % g:
            raise Contradiction(f"{asked.show()} holds for no size")
        n //= g
        if n == 1:
            return self
        residue = -(_constant(rest) // g) * pow(c // g, -1, n) % n
        shift = -residue % n
        return self._rewritten(name, _changed(name, n, shift) * n - shift)

    def with_equal(self, a: Dim, b: Dim) -> Facts:
        """These facts and a == b."""
        gap = self.simplify(a - b)
        if isinstance(gap, int):
            return self._unless_known(Condition("equal", gap, 0), Condition("equal", a, b))
        g = gcd(*(c for m, c in gap.terms.items() if m))
        if gap.constant % g:
            raise Contradiction(f"{Condition('equal', a, b).show()} holds for no size")
        gap = Poly({m: c // g for m, c in gap.terms.items()})
        # The later letter goes, a changed variable only when nothing else can: H == W is written in H from here on.
        for name in sorted(gap.names, key=lambda s: (s not in self._current, s), reverse=True):
            c = gap.terms.get(((name, 1),), 0)
            rest = gap - symbol(name) * c
            if abs(c) == 1 and name not in _names(rest):
                return self._pinned(name, -rest * c)
        return self._unless_known(Condition("equal", gap, 0), Condition("equal", a, b))

    def _pinned(self, name: str, value: Dim) -> Facts:
        """name -> value, and what was known of name now known of value."""
        low = self._least.get(name, 1)
        if isinstance(value, int) and value < low:
            raise Contradiction(f"{show(symbol(name))} would be {value}, less than {low}")
        facts = self._rewritten(name, value)
        return facts if isinstance(value, int) else facts._with_positive(value - low + 1, None)

    def _with_positive(self, dim: Dim, condition: Condition | None) -> Facts:
        """dim > 0: a lower bound when dim is c*s + k with c > 0, else a statement."""
        dim = self.simplify(dim)
        if _positive(dim, self._least):
            return self
        if _positive(1 - dim, self._least):
            raise Contradiction(f"{(condition or Condition('less', 0, dim)).show()} holds for no size")
        variable = _linear(dim)
        if variable is None or variable[1] < 0:
            return self._stated(Condition("less", 0, dim))
        name, c = variable
        facts = self._copy()
        facts._least[name] = max(self._least.get(name, 1), -((_constant(dim) - 1) // c))
        return facts

    def _unless_known(self, condition: Condition, asked: Condition) -> Facts:
        known = self.holds(condition)
        if known is False:
            raise Contradiction(f"{asked.show()} holds for no size")
        return self if known else self._stated(condition)

    def _stated(self, condition: Condition) -> Facts:
        facts = self._copy()
        facts._plain = (*self._plain, facts._simplified(condition))
        return facts

    def _rewritten(self, name: str, value: Dim) -> Facts:
        """Replace `name`, a symbol or a changed variable in use, by `value` everywhere."""
        facts = self._copy()
        step = {name: value}
        facts._rewrites = {s: _substituted(v, step) for s, v in self._rewrites.items()}
        facts._rewrites.setdefault(_origin(name)[0], value)
        used = frozenset(s for v in facts._rewrites.values() for s in _names(v))
        facts._current = frozenset(s for s in used if "'" in s)
        low = facts._least.pop(name, 1)
        variable = _linear(value)
        if low > 1 and variable is not None and variable[1] > 0:
            facts._least[variable[0]] = max(
                facts._least.get(variable[0], 1), -((_constant(value) - low) // variable[1])
            )
        for condition in (plain := [facts._simplified(c) for c in self._plain]):
            if not condition.symbols and not condition.holds({}):
                raise Contradiction(f"{show(symbol(name))} = {show(value)} goes against a fact before it")
        facts._plain = tuple(c for c in plain if c.symbols)
        return facts

    def _simplified(self, c: Condition) -> Condition:
        return Condition(c.kind, self.simplify(c.left), self.simplify(c.right))

    def _copy(self) -> Facts:
        facts = Facts()
        facts._rewrites, facts._current = dict(self._rewrites), self._current
        facts._least, facts._plain = dict(self._least), self._plain
        return facts

    # -- using

    def simplify(self, dim: Dim) -> Dim:
        """`dim` with everything known put in. The answer may hold changed variables: write it with `show`."""
        if isinstance(dim, int):
            return dim
        mapping: dict[str, Dim] = {}
        for name in dim.names:
            base, n, shift = _origin(name)
            if name in self._rewrites:
                mapping[name] = self._rewrites[name]
            elif n > 1 and name not in self._current:  # from other facts: say it in the terms of these
                mapping[name] = floor_div(self._rewrites.get(base, symbol(base)) + shift, n)
        return _substituted(dim, mapping) if mapping else dim

    def show(self, dim: Dim) -> str:
        """`dim` as simple as these facts make it, in the user's symbols: `H/4` for floor(H/4) where H % 4 == 0."""
        simple = self.simplify(dim)
        plain = show(simple)
        # A shifted variable, H = 6*t - 3, can make floor(H/4) longer: then it is better left alone.
        if any(_origin(name)[2] for name in _names(simple)):
            return min(plain, show(dim), key=len)
        return plain

    def exact(self, a: Dim, b: Dim) -> tuple[Dim, Condition | None]:
        """a / b as a shape means it: the quotient, and what must be checked at run time for it to be exact."""
        x, y = self.simplify(a), self.simplify(b)
        quotient = divide(x, y)
        if quotient is not None:
            return quotient, None
        known = self.divisible(x, y)  # H*(H + 1)/2 is exact and yet no polynomial with integer coefficients
        if known is False:
            raise Inexact(a, b)
        return floor_div(x, y), None if known else Condition("divisible", a, b)

    def holds(self, condition: Condition) -> bool | None:
        """What is known of the condition."""
        a, b = condition.left, condition.right
        if condition.kind == "divisible":
            return self.divisible(a, b)
        if condition.kind == "equal":
            return self.equal(a, b)
        if condition.kind == "not_equal":
            same = self.equal(a, b)
            known = None if same is None else not same
            return True if known is None and self._simplified(condition) in self._plain else known
        return self._is_positive(b - a + (condition.kind == "less_equal"))

    def divisible(self, poly: Dim, n: Dim) -> bool | None:
        """Whether poly % n == 0."""
        dim, n = self.simplify(poly), self.simplify(n)
        if n == 0:
            return False
        if divide(dim, n) is not None:
            return True
        if isinstance(n, Poly):
            return True if Condition("divisible", dim, n) in self._plain else self._sampled_divisible(dim, n)
        n = abs(n)
        rest = _normal({m: c % n for m, c in _terms(dim).items()})
        if isinstance(rest, int):
            return rest == 0
        if any(c.kind == "divisible" and _implies(c, rest, n) for c in self._plain):
            return True
        cases = _classes(rest, n * _period(rest))
        if cases is not None:
            answers = {evaluate(rest, case) % n == 0 for case in cases}
            if len(answers) == 1:
                return answers.pop()
        return self._sampled_divisible(rest, n)

    def equal(self, a: Dim, b: Dim) -> bool | None:
        """Whether a == b: True only by proof; False by bounds, or when no sampled size that obeys the facts fits."""
        gap = self.simplify(a - b)
        if isinstance(gap, int):
            return gap == 0
        if self._proved_zero(gap):
            return True
        uneven = gap.constant % gcd(*(c for m, c in gap.terms.items() if m))
        if uneven or self._is_positive(gap) or self._is_positive(-gap):
            return False
        return self._sampled_equal(gap)

    def compare(self, a: Dim, b: Dim) -> int | None:
        """-1, 0 or 1 when a < b, a == b, a > b for all sizes; None when it depends or could not be told."""
        gap = self.simplify(a - b)
        if isinstance(gap, int):
            return (gap > 0) - (gap < 0)
        if self._is_positive(gap):
            return 1
        if self._is_positive(-gap):
            return -1
        return 0 if self._proved_zero(gap) else None

    def _proved_zero(self, gap: Poly) -> bool:
        return any(Condition("equal", d, 0) in self._plain for d in (gap, -gap)) or _is_zero(gap)

    def _is_positive(self, dim: Dim) -> bool | None:
        """Whether dim > 0, by bounds and by what is known to be positive."""
        dim = self.simplify(dim)
        if _positive(dim, self._least):
            return True
        if _positive(1 - dim, self._least):
            return False
        known = [c.right - c.left for c in self._plain if c.kind == "less"]
        if any(_positive(dim - p + 1, self._least) for p in known):
            return True
        return False if any(_positive(1 - dim - p + 1, self._least) for p in known) else None

    # -- trying sizes

    def _assignments(self, names: Iterable[str]) -> Iterator[dict[str, int]]:
        """Sampled values of the symbols, and of those that the facts tie to them, that obey the facts."""
        tied = frozenset(names).union(*(_names(c.left) | _names(c.right) for c in self._plain))
        for values in islice(_samples(sorted(tied)), MOST_SAMPLES):
            if self._obeyed(values):
                yield values

    def _obeyed(self, values: Mapping[str, int]) -> bool:
        low = all(values.get(s, n) >= n for s, n in self._least.items())
        return low and all(c.holds(values) for c in self._plain)

    def _sampled_divisible(self, dim: Dim, n: Dim) -> bool | None:
        found = None
        for values in self._assignments(_names(dim) | _names(n)):
            found = Condition("divisible", dim, n).holds(values)
            if found:
                return None
        return found

    def _sampled_equal(self, gap: Poly) -> bool | None:
        """False when no sample makes the gap 0, nor a size found by following each symbol to where the sign turns."""
        tried: list[dict[str, int]] = []
        for values in self._assignments(gap.names):
            if _safe(gap, values) == 0:
                return None
            tried.append(values)
        if not tried:
            return None
        some = tried[:: max(1, len(tried) // 12)] if len(gap.names) > 1 else tried[:1]
        for name in sorted(gap.names):
            solve, starts = (self._solves, tried) if _is_linear_in(gap, name) else (self._meets, some)
            if any(solve(gap, values, name) for values in starts):
                return None
        return False

    def _solves(self, gap: Poly, values: dict[str, int], name: str) -> bool:
        """As `_meets`, where the gap is a line in `name` and two values give its root."""
        start = _safe(gap, {**values, name: 0})
        slope = _safe(gap, {**values, name: 1}) - start
        if slope == 0 or start % slope:
            return False
        root = -start // slope
        _, n, shift = _origin(name)
        return n * root - shift > 1 and self._obeyed({**values, name: root})

    def _meets(self, gap: Poly, values: dict[str, int], name: str) -> bool:
        """Whether moving `name` alone makes the gap 0: H == 1500 is possible though 1500 is no sample."""

        def at(v: int) -> int:
            return _safe(gap, {**values, name: v})

        places = _crossings(at, sorted(_sizes(name, SIZES)))
        return any(at(v) == 0 and self._obeyed({**values, name: v}) for v in places)


def _is_linear_in(poly: Poly, name: str) -> bool:
    atoms = {(a, k) for m in poly.terms for a, k in m if name in _atom_names(a)}
    return atoms == {(name, 1)}


def _safe(dim: Dim, values: Mapping[str, int]) -> int:
    """The value, or 1 (never equal) where a divisor is 0."""
    try:
        return evaluate(dim, values)
    except ZeroDivisionError:
        return 1


def _linear(dim: Dim) -> tuple[str, int] | None:
    """(s, c) when dim is c*s plus a constant."""
    others = [(m, c) for m, c in _terms(dim).items() if m]
    if len(others) != 1 or len(others[0][0]) != 1:
        return None
    atom, power = others[0][0][0]
    return (atom, others[0][1]) if isinstance(atom, str) and power == 1 else None


def _implies(fact: Condition, rest: Poly, n: int) -> bool:
    """q % m == 0 answers rest % n == 0 where n divides m and rest is q modulo n, up to sign."""
    if not isinstance(fact.right, int) or fact.right % n:
        return False
    return divide(rest - fact.left, n) is not None or divide(rest + fact.left, n) is not None


def _classes(dim: Poly, period: int) -> list[dict[str, int]] | None:
    """One assignment per residue class of the symbols, None when there are too many."""
    names = sorted(dim.names)
    if not period or period ** len(names) > MOST_CASES:
        return None
    return [dict(zip(names, row, strict=True)) for row in product(range(1, period + 1), repeat=len(names))]


def _is_zero(gap: Poly) -> bool:
    """Whether gap is 0 for all sizes: in each residue class of the symbols every floor becomes a polynomial.

    This sees H - floor(H/2) == ceil(H/2), which the canonical form does not.
    """
    period = _period(gap)
    cases = _classes(gap, period) if period > 1 else None
    if cases is None:
        return False
    return all(_substituted(gap, {s: symbol(s) * period + r for s, r in case.items()}) == 0 for case in cases)
