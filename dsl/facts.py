"""Facts: what is known about free sizes (`H % 4 == 0`, `H == W`, `H > 3`), and what follows."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import islice
from math import gcd
from typing import Final

from ogive.dsl.bounds import (
    SIZES,
    classes,
    crossings,
    implies,
    is_linear_in,
    is_zero,
    linear,
    period_of,
    positive,
    safe,
    samples,
    sizes_of,
)
from ogive.dsl.conditions import Condition, Contradiction, Inexact
from ogive.dsl.dims import (
    Dim,
    Poly,
    changed,
    constant,
    divide,
    evaluate,
    floor_div,
    names_of,
    normal,
    origin,
    substituted,
    symbol,
    terms_of,
)
from ogive.dsl.dims_text import show
from ogive.dsl.meter import aside

__all__ = ["Facts"]

MOST_SAMPLES: Final = 1_500
MOST_TRIES: Final = 400_000
MOST_REASONS: Final = 32
TRIES_A_STEP: Final = 4
"""Tries that take the time of one step (`meter.py`)."""


class _Spent(Exception):
    """Enough sizes were tried; what is not known by now is left to the run."""


class Facts:
    """What is known about the symbols. Immutable: `with_...` answers a new one and leaves this as it was.

    A fact becomes a rewrite where it can (H -> 32*H', W -> H), else a plain statement that is recognised when it is
    asked again. Answers are True (proved), False (refuted) or None (it depends: a guard at run time).
    """

    __slots__ = ("_budget", "_current", "_least", "_plain", "_rewrites")

    def __init__(self) -> None:
        self._rewrites: dict[str, Dim] = {}  # user's symbol -> its value in changed variables, closed under itself
        self._current: frozenset[str] = frozenset()  # the changed variables in use
        self._least: dict[str, int] = {}  # lower bounds above 1
        self._plain: tuple[Condition, ...] = ()  # simplified; "less" has 0 on the left
        self._budget = [MOST_TRIES]  # checks of a condition at a size that are left, for these facts and their heirs

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
        rest = normal({m: c % n for m, c in dim.terms.items()})
        variable = linear(rest)
        if variable is None:
            return self._unless_known(Condition("divisible", rest, n), asked)
        name, c = variable
        # c*s + k = 0 (mod n) has a solution iff g = gcd(c, n) divides k, and then it is one class modulo n/g.
        g = gcd(c, n)
        if constant(rest) % g:
            raise Contradiction(f"{asked.show()} holds for no size")
        n //= g
        if n == 1:
            return self
        residue = -(constant(rest) // g) * pow(c // g, -1, n) % n
        shift = -residue % n
        return self._rewritten(name, changed(name, n, shift) * n - shift)

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
            if abs(c) == 1 and name not in names_of(rest):
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
        if positive(dim, self._least):
            return self
        if positive(1 - dim, self._least):
            raise Contradiction(f"{(condition or Condition('less', 0, dim)).show()} holds for no size")
        variable = linear(dim)
        if variable is None or variable[1] < 0:
            return self._stated(Condition("less", 0, dim))
        name, c = variable
        facts = self._copy()
        facts._least[name] = max(self._least.get(name, 1), -((constant(dim) - 1) // c))
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
        facts._rewrites = {s: substituted(v, step) for s, v in self._rewrites.items()}
        facts._rewrites.setdefault(origin(name)[0], value)
        used = frozenset(s for v in facts._rewrites.values() for s in names_of(v))
        facts._current = frozenset(s for s in used if "'" in s)
        low = facts._least.pop(name, 1)
        variable = linear(value)
        if low > 1 and variable is not None and variable[1] > 0:
            facts._least[variable[0]] = max(
                facts._least.get(variable[0], 1), -((constant(value) - low) // variable[1])
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
        facts._least, facts._plain, facts._budget = dict(self._least), self._plain, self._budget
        return facts

    # -- what two runs of a block share (`copies.py`)

    @property
    def known(self) -> tuple[Hashable, ...]:
        """All that is known: facts with equal answers here answer alike, while enough tries are left."""
        return (*self._rewrites.items(), None, *self._least.items(), None, *self._plain)

    @property
    def tries(self) -> int:
        """How many tries of sizes are left."""
        return self._budget[0]

    def spend(self, tries: int) -> None:
        """Count what a run would try that is not built again."""
        self._budget[0] -= tries

    # -- using

    @property
    def rewrites(self) -> bool:
        """Whether anything is known that simplifies sizes."""
        return bool(self._rewrites)

    def simplify(self, dim: Dim) -> Dim:
        """`dim` with everything known put in. The answer may hold changed variables: write it with `show`."""
        if isinstance(dim, int):
            return dim
        mapping: dict[str, Dim] = {}
        for name in dim.names:
            base, n, shift = origin(name)
            if name in self._rewrites:
                mapping[name] = self._rewrites[name]
            elif n > 1 and name not in self._current:  # from other facts: say it in the terms of these
                mapping[name] = floor_div(self._rewrites.get(base, symbol(base)) + shift, n)
        return substituted(dim, mapping) if mapping else dim

    def show(self, dim: Dim) -> str:
        """`dim` as simple as these facts make it, in the user's symbols: `H/4` for floor(H/4) where H % 4 == 0."""
        simple = self.simplify(dim)
        plain = show(simple)
        # A shifted variable, H = 6*t - 3, can make floor(H/4) longer: then it is better left alone.
        if any(origin(name)[2] for name in names_of(simple)):
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
        rest = normal({m: c % n for m, c in terms_of(dim).items()})
        if isinstance(rest, int):
            return rest == 0
        if any(c.kind == "divisible" and implies(c, rest, n) for c in self._plain):
            return True
        variable = linear(rest)
        if variable is not None:  # c*s + k = 0 (mod n) has solutions iff gcd(c, n) divides k
            return None if constant(rest) % gcd(variable[1], n) == 0 else False
        cases = classes(rest, n * period_of(rest))
        if cases is not None:
            answers = {evaluate(rest, case) % n == 0 for case in cases}
            return answers.pop() if len(answers) == 1 else None
        return None

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
        before = self.tries
        try:
            return self._sampled_equal(gap)
        except _Spent:
            return None
        finally:
            aside((before - self.tries) // TRIES_A_STEP)

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
        return any(Condition("equal", d, 0) in self._plain for d in (gap, -gap)) or is_zero(gap)

    def _is_positive(self, dim: Dim) -> bool | None:
        """Whether dim > 0, by bounds and by what is known to be positive."""
        dim = self.simplify(dim)
        if positive(dim, self._least):
            return True
        if positive(1 - dim, self._least):
            return False
        known = [c.right - c.left for c in self._plain if c.kind == "less"][-MOST_REASONS:]
        if any(positive(dim - p + 1, self._least) for p in known):
            return True
        return False if any(positive(1 - dim - p + 1, self._least) for p in known) else None

    # -- trying sizes

    def _assignments(self, names: Iterable[str]) -> Iterator[dict[str, int]]:
        """Sampled values of the symbols, and of those that the facts tie to them, that obey the facts."""
        tied = frozenset(names).union(*(names_of(c.left) | names_of(c.right) for c in self._plain))
        for values in islice(samples(sorted(tied)), MOST_SAMPLES):
            if self._obeyed(values):
                yield values

    def _obeyed(self, values: Mapping[str, int]) -> bool:
        self._budget[0] -= 1 + len(self._plain)
        if self._budget[0] < 0:
            raise _Spent
        low = all(values.get(s, n) >= n for s, n in self._least.items())
        return low and all(c.holds(values) for c in self._plain)

    def _sampled_divisible(self, dim: Dim, n: Dim) -> bool | None:
        found = None
        before = self.tries
        try:
            for values in self._assignments(names_of(dim) | names_of(n)):
                found = Condition("divisible", dim, n).holds(values)
                if found:
                    return None
        except _Spent:
            return None
        finally:
            aside((before - self.tries) // TRIES_A_STEP)
        return found

    def _sampled_equal(self, gap: Poly) -> bool | None:
        """False when no sample makes the gap 0, nor a size found by following each symbol to where the sign turns."""
        tried: list[dict[str, int]] = []
        lines = [name for name in sorted(gap.names) if is_linear_in(gap, name)]
        for values in self._assignments(gap.names):
            if safe(gap, values) == 0 or (not tried and any(self._solves(gap, values, name) for name in lines)):
                return None
            tried.append(values)
        if not tried:
            return None
        some = tried[:: max(1, len(tried) // 12)] if len(gap.names) > 1 else tried[:1]
        for name in sorted(gap.names):
            solve, starts = (self._solves, tried) if is_linear_in(gap, name) else (self._meets, some)
            if any(solve(gap, values, name) for values in starts):
                return None
        return False

    def _solves(self, gap: Poly, values: dict[str, int], name: str) -> bool:
        """As `_meets`, where the gap is a line in `name` and two values give its root."""
        start = safe(gap, {**values, name: 0})
        slope = safe(gap, {**values, name: 1}) - start
        if slope == 0 or start % slope:
            return False
        root = -start // slope
        _, n, shift = origin(name)
        return n * root - shift > 1 and self._obeyed({**values, name: root})

    def _meets(self, gap: Poly, values: dict[str, int], name: str) -> bool:
        """Whether moving `name` alone makes the gap 0: H == 1500 is possible though 1500 is no sample."""

        def at(v: int) -> int:
            return safe(gap, {**values, name: v})

        places = crossings(at, sorted(sizes_of(name, SIZES)))
        return any(at(v) == 0 and self._obeyed({**values, name: v}) for v in places)
