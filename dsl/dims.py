"""Symbolic sizes: integer polynomials over symbols, with exact division and floors.

A `Dim` is a plain `int` or a `Poly`. Every operation normalises, so a constant is always an `int`, and two sizes that
are written differently but reduce to the same form are `==`. The forms that make networks come out well:

    floor((2*H + 5)/2)              ->  H + 2                  whole parts leave the floor
    floor((4*H + 3)/8)              ->  floor(H/2)             common factors cancel
    floor((floor(a/m) + c)/n)       ->  floor((a + c*m)/(m*n)) so five strided convolutions are one floor

What is known about the symbols stands in facts.py, how sizes are written in dims_text.py. Knowledge that H % 4 == 0 is
a change of variable, H = 4*H', after which `H/4` is an ordinary polynomial. The new variable is named `H'4'0`, read
"(H + 0)/4": the name says its meaning, so `evaluate`, `symbols` and `show` translate it back and nobody outside ever
sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from math import gcd, prod

__all__ = [
    "ONE", "Atom", "Dim", "Floor", "Monomial", "Poly", "TooLarge", "atom_names", "atom_poly", "ceil_div", "changed",
    "constant", "cut", "divide", "evaluate", "floor_div", "monomial_key", "names_of", "normal", "origin", "over",
    "substitute", "substituted", "symbol", "symbols", "terms_of",
]

# Guards against hostile text (`repeat 40: x = x*x + 1`); real sizes have a handful of terms.
MOST_TERMS = 1_000
LARGEST_COEFFICIENT = 1 << 512
LARGEST_POWER = 64
LONGEST_FLOOR = 10_000

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
        return self.key


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
            self._key = "+".join(sorted(f"{c}*{monomial_key(m)}" for m, c in self.terms.items()))
        return self._key

    @property
    def names(self) -> frozenset[str]:
        """The symbols as stored, changed variables included; `symbols` gives them as a user knows them."""
        if self._names is None:
            self._names = frozenset().union(*(atom_names(a) for m in self.terms for a, _ in m))
        return self._names

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Poly) and self.terms == other.terms

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def __repr__(self) -> str:
        return self.key

    def __add__(self, other: Dim) -> Dim:
        if other == 0:
            return self
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
            return self if other == 1 else _scaled(self, other)
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


def normal(terms: dict[Monomial, int]) -> Dim:
    """The Dim of `terms`, whose coefficients may be 0."""
    if 0 in terms.values():
        terms = {m: c for m, c in terms.items() if c}
    if not terms:
        return 0
    if len(terms) == 1 and ONE in terms:
        return terms[ONE]
    return Poly(terms)


def terms_of(dim: Dim) -> dict[Monomial, int]:
    return dim.terms if isinstance(dim, Poly) else ({ONE: dim} if dim else {})


def _sum(a: dict[Monomial, int], b: dict[Monomial, int]) -> Dim:
    terms = dict(a)
    for m, c in b.items():
        terms[m] = terms.get(m, 0) + c
    if len(terms) > MOST_TERMS:
        raise TooLarge(f"a size of more than {MOST_TERMS} terms")
    return normal(terms)


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
    for c in terms.values():
        if not -LARGEST_COEFFICIENT < c < LARGEST_COEFFICIENT:
            raise TooLarge("a size with an enormous coefficient")
    return normal(terms)


@lru_cache(16384)
def _times(m: Monomial, n: Monomial) -> Monomial:
    """The product of two monomials; the same few are met over and over, hence the cache."""
    powers = dict(m)
    for atom, k in n:
        powers[atom] = powers.get(atom, 0) + k
    return _monomial(powers)


def _monomial(powers: Mapping[Atom, int]) -> Monomial:
    return tuple(sorted(((a, k) for a, k in powers.items() if k), key=lambda p: _atom_key(p[0])))


def over(m: Monomial, n: Monomial) -> Monomial | None:
    """m / n, None where n does not divide m."""
    if not n:
        return m
    powers = dict(m)
    for atom, k in n:
        powers[atom] = powers.get(atom, 0) - k
        if powers[atom] < 0:
            return None
    return _monomial(powers)


def constant(dim: Dim) -> int:
    return dim if isinstance(dim, int) else dim.constant


def _atom_key(atom: Atom) -> str:
    return atom if isinstance(atom, str) else atom.key


def monomial_key(m: Monomial) -> str:
    return "*".join(f"{_atom_key(a)}^{k}" for a, k in m)


def _dim_key(dim: Dim) -> str:
    return str(dim) if isinstance(dim, int) else dim.key


def atom_names(atom: Atom) -> frozenset[str]:
    return frozenset((atom,)) if isinstance(atom, str) else names_of(atom.num) | names_of(atom.den)


def names_of(dim: Dim) -> frozenset[str]:
    return dim.names if isinstance(dim, Poly) else frozenset()


def atom_poly(atom: Atom) -> Poly:
    return symbol(atom) if isinstance(atom, str) else Poly({((atom, 1),): 1})


# ---------------------------------------------------------------------------------------------------------- division


def ceil_div(a: Dim, b: Dim) -> Dim:
    """ceil(a/b) = floor((a + b - 1)/b), for b > 0."""
    return floor_div(a + b - 1, b)


def floor_div(a: Dim, b: Dim) -> Dim:
    """floor(a/b) in canonical form, also for two ints."""
    if isinstance(b, int):
        if isinstance(a, int) or b == 0:
            return constant(a) // b
        return _floor_number(a, b) if b > 0 else _floor_number(-a, -b)
    if all(c < 0 for c in b.terms.values()):
        a, b = -a, -b
    exact = divide(a, b)
    return _floor_poly(a, b) if exact is None else exact


def _floor_number(a: Poly, n: int) -> Dim:
    """floor(a/n) for n >= 1: take whole parts out, cancel what a's other coefficients share with n, merge floors."""
    whole = normal({m: c // n for m, c in a.terms.items()})
    rest = {m: c % n for m, c in a.terms.items() if c % n}
    # floor((g*a + c)/(g*n)) = floor((a + c//g)/n)
    g = gcd(n, *(c for m, c in rest.items() if m))
    n //= g
    left = normal({m: c // g for m, c in rest.items()})
    if n == 1 or isinstance(left, int):
        return whole + left // n
    inner = _lone_floor(left)
    if inner is not None and isinstance(inner.den, int):
        return whole + floor_div(inner.num + left.constant * inner.den, inner.den * n)
    return whole + atom_poly(Floor(left, n))


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
    return whole + atom_poly(Floor(a, reduced))


def _split(a: Dim, m: Monomial, c: int) -> tuple[Dim, Dim]:
    """(Q, R) with a = c*m*Q + R, coefficients of R at multiples of m within 0 .. c-1."""
    whole: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for n, k in terms_of(a).items():
        ratio = over(n, m)
        if ratio is None:
            rest[n] = k
        else:
            whole[ratio], rest[n] = divmod(k, c)
    return normal(whole), normal(rest)


def _cancelled(a: Dim, b: Poly) -> tuple[Dim, Dim]:
    """a and b without their common content. Only symbols cancel: a floor may be 0."""
    both = [*terms_of(a).items(), *b.terms.items()]
    g = gcd(*(c for _, c in both))
    powers = {s: k for s, k in both[-1][0] if isinstance(s, str)}
    for m, _ in both:
        here = dict(m)
        powers = {s: min(k, here.get(s, 0)) for s, k in powers.items()}
    common = _monomial({s: k for s, k in powers.items()})
    if g == 1 and not common:
        return a, b
    return cut(a, common, g), cut(b, common, g)


def cut(a: Dim, m: Monomial, c: int) -> Dim:
    """a / (c*m), known to be exact."""
    return normal({over(n, m) or ONE: k // c for n, k in terms_of(a).items()})


def divide(a: Dim, b: Dim) -> Dim | None:
    """The polynomial q with a = b*q, or None: (2*h*w + 4*h) / (2*h) = w + 2."""
    if b == 0:
        return None
    if isinstance(a, int):
        return a // b if isinstance(b, int) and a % b == 0 else (0 if a == 0 else None)
    if isinstance(b, int):
        return None if any(c % b for c in a.terms.values()) else normal({m: c // b for m, c in a.terms.items()})
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
    return normal({_monomial(dict(zip(atoms, v, strict=True))): c for v, c in quotient.items()})


def _degree_first(powers: Powers) -> tuple[int, Powers]:
    """The graded lexicographic order, which products respect; that is what makes long division end."""
    return sum(powers), powers


def _vectors(poly: Poly, atoms: list[Atom]) -> dict[Powers, int]:
    rows = ((dict(m), c) for m, c in poly.terms.items())
    return {tuple(m.get(a, 0) for a in atoms): c for m, c in rows}


# ------------------------------------------------------------------------------------------------- changed variables


@cache
def origin(name: str) -> tuple[str, int, int]:
    """(H, 4, 1) for the changed variable `H'4'1`, which stands for (H + 1)/4; (H, 1, 0) for a plain H."""
    if "'" not in name:
        return name, 1, 0
    base, n, shift = name.split("'")
    return base, int(n), int(shift)


def changed(name: str, n: int, shift: int) -> Poly:
    """The variable t with name = n*t - shift, where name itself may be a changed variable; t >= 1, as name >= 1."""
    base, n0, shift0 = origin(name)
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
    base, n, shift = origin(atom)
    return (values[base] + shift) // n


def symbols(dim: Dim) -> frozenset[str]:
    """The names of the symbols that `dim` depends on, as the user wrote them."""
    return frozenset(origin(name)[0] for name in names_of(dim))


def substitute(dim: Dim, values: Mapping[str, Dim]) -> Dim:
    """`dim` with the named symbols replaced, all at once."""
    if isinstance(dim, int):
        return dim
    mapping = {name: new for name in dim.names if (new := _replacement(name, values)) is not None}
    return substituted(dim, mapping) if mapping else dim


def _replacement(name: str, values: Mapping[str, Dim]) -> Dim | None:
    if name in values:
        return values[name]
    base, n, shift = origin(name)
    return floor_div(values[base] + shift, n) if base in values else None


def substituted(dim: Dim, mapping: Mapping[str, Dim]) -> Dim:
    """`dim` with symbols replaced, floors looked into; see `substitute`."""
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
    return floor_div(substituted(atom.num, mapping), substituted(atom.den, mapping))
