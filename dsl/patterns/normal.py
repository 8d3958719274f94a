"""The normal form of a pattern: another way to write the same set, the same for many ways of writing it.

    a - b            ->  a & ~b                 p | p                 ->  p
    ~(a | b)         ->  ~a & ~b                p | dense, a | ~a     ->  dense
    ~(a & b)         ->  ~a | ~b                p & ~p                ->  ~dense, the empty set
    ~~a              ->  a                      sliding(3) | sliding(5)  ->  sliding(5), as one lies in the other
    flat(a | b)      ->  flat(a) | flat(b)      flat(block(4))        ->  block(4)
    per_head([a, b]) | c  ->  per_head([a | c, b | c])                per_head([a, a])  ->  a

Complements stand on single patterns only, parts are sorted by their text. `normal(p, space)` knows more: that there are
no tokens outside the grid, or that an axis is no longer than a window. Normal forms that are equal are equal sets;
equal sets may have two normal forms (`count.same` compares the sets themselves).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import lcm
from typing import Final

from ogive.dsl.patterns.algebra import (
    LARGEST_PATTERN,
    MOST_HEADS,
    Complement,
    Difference,
    Flat,
    Intersection,
    Pattern,
    PerHead,
    Union,
    intersection,
    union,
    weight,
)
from ogive.dsl.patterns.named import (
    AlongSequence,
    Axial,
    Block,
    Causal,
    Dense,
    Dilated,
    GlobalTokens,
    PerAxis,
    Prefix,
    Self,
    Sliding,
    Strided,
    Window,
)
from ogive.dsl.patterns.sizes import Sizes, per_axis
from ogive.dsl.patterns.space import Space

__all__ = ["NOTHING", "heads_of", "includes", "is_reflexive", "negated", "normal", "of_head"]

DENSE: Final = Dense()
NOTHING: Final = Complement(DENSE)


def normal(p: Pattern, space: Space | None = None) -> Pattern:
    """The normal form of `p`: it holds exactly the same pairs, on every space or on the one given."""
    count = heads_of(p)
    if count > MOST_HEADS:
        return p
    known: dict[Pattern, Pattern] = {}
    for one in (alone := [of_head(p, head) for head in range(count)]):
        if one not in known:
            known[one] = _form(_pushed(one, False, space), space)
    each = [known[one] for one in alone]
    if sum(weight(x)[0] for x in each) >= LARGEST_PATTERN:
        return p
    period = next(n for n in range(1, count + 1) if count % n == 0 and each == each[:n] * (count // n))
    return each[0] if period == 1 else PerHead(tuple(each[:period]))


def heads_of(p: Pattern) -> int:
    """After how many heads a pattern repeats itself: 1 without `per_head`."""
    p = p.expanded
    here = lcm(*map(heads_of, p.inner))
    return min(lcm(here, len(p.patterns)), MOST_HEADS + 1) if isinstance(p, PerHead) else here


def of_head(p: Pattern, head: int) -> Pattern:
    """What `p` is for one head: no `per_head` is left in it."""
    p = p.expanded
    match p:
        case PerHead():
            return of_head(p.of(head), head)
        case Union(parts):
            return Union(tuple(of_head(x, head) for x in parts))
        case Intersection(parts):
            return Intersection(tuple(of_head(x, head) for x in parts))
        case Difference(left, right):
            return Difference(of_head(left, head), of_head(right, head))
        case Complement(inner):
            return Complement(of_head(inner, head))
        case Flat(inner):
            return Flat(of_head(inner, head))
    return p


def negated(p: Pattern) -> Pattern:
    """~p, where ~~p is p."""
    return p.pattern if isinstance(p, Complement) else Complement(p)


# ----------------------------------------------------------------------------------------------- complements to leaves


def _pushed(p: Pattern, flip: bool, space: Space | None) -> Pattern:
    """p, or ~p where `flip`, with complements on leaves only."""
    match p:
        case Complement(inner):
            return _pushed(inner, not flip, space)
        case Difference(left, right):
            return _joined(not flip, (_pushed(left, flip, space), _pushed(right, not flip, space)))
        case Union(parts) | Intersection(parts):
            return _joined(isinstance(p, Intersection) != flip, [_pushed(x, flip, space) for x in parts])
        case Flat(inner):
            found = _unflat(inner, space)
            if found is not None:
                return _pushed(found, flip, space)
            settled = inner if space is None else _settled(inner, space.flattened)
            return _pushed(Flat(settled), flip, space) if settled != inner else negated(p) if flip else p
    leaf = p if space is None else _settled(p, space)
    if leaf.inner:
        return _pushed(leaf, flip, space)
    return negated(leaf) if flip else leaf


def _joined(both: bool, parts: Iterable[Pattern]) -> Pattern:
    return intersection(parts) if both else union(parts)


def _unflat(p: Pattern, space: Space | None) -> Pattern | None:
    """flat(p) said without `flat`, or with it further inside; None where it is needed."""
    match p:
        case Flat() | AlongSequence():
            return p
        case Union(parts) | Intersection(parts):
            return type(p)(tuple(Flat(x) for x in parts))
        case Difference(left, right):
            return Difference(Flat(left), Flat(right))
        case Complement(inner):
            return Difference(Flat(DENSE), Flat(inner))
        case Prefix():
            return NOTHING
    plain = space is not None and not space.outside and space.flattened == space
    return p if plain else None


def _settled(p: Pattern, space: Space) -> Pattern:
    """A leaf on one space: what is certain there said plainly."""
    alone = not space.outside
    match p:
        case Prefix() if alone:
            return NOTHING
        case Causal():
            offset = p.shift(space.queries.size, space.keys.size)
            return DENSE if offset >= space.keys.size - 1 else Causal(offset)
        case Window() | Sliding() | Dilated() if space.steps is not None:
            return _of_axes(p, space, alone)
        case Block(n, near) if alone and space.flattened.steps is not None and n * near >= space.flattened.lengths[0]:
            return DENSE
    return p


def _of_axes(p: Window | Sliding | Dilated, space: Space, alone: bool) -> Pattern:
    lengths = space.lengths
    # the first place sees a whole axis only if all do
    if alone and all(len(p.span(axis, 0, lengths)) == n for axis, n in enumerate(lengths)):
        return DENSE
    if isinstance(p, Window) and p.shift:
        sizes = per_axis(p.size, len(lengths), str(p))
        if all(length <= n for length, n in zip(lengths, sizes, strict=True)):
            return Window(p.size)
    return p


# ------------------------------------------------------------------------------------------------ unions, intersections


def _form(p: Pattern, space: Space | None) -> Pattern:
    """p, whose complements stand on leaves, with its unions and intersections simplified from the inside out."""
    match p:
        case Union(parts):
            return _simplified([_form(x, space) for x in parts], False, space)
        case Intersection(parts):
            return _simplified([_form(x, space) for x in parts], True, space)
    return p


def _simplified(parts: list[Pattern], both: bool, space: Space | None) -> Pattern:
    """The intersection (`both`) or union of `parts`: what adds nothing is left out."""
    kind = Intersection if both else Union
    flat = {x for p in parts for x in (p.parts if isinstance(p, kind) else (p,))}
    kept = sorted(flat, key=_order)
    all_or_none = NOTHING if both else DENSE
    for a in kept:
        for b in kept:
            # a & b is empty where a lies in ~b; a | b is everything where ~a lies in b
            if includes(negated(b), a, space) if both else includes(b, negated(a), space):
                return all_or_none
    for x in list(kept):
        others = [y for y in kept if y is not x]
        if any(includes(x, y, space) if both else includes(y, x, space) for y in others):
            kept = others
    return _joined(both, kept)


def _order(p: Pattern) -> tuple[str, bool, str]:
    """By the text, a complement behind what it complements; two that are written alike by what they are."""
    base = negated(p) if isinstance(p, Complement) else p
    return str(base), base is not p, repr(base)


def includes(a: Pattern, b: Pattern, space: Space | None = None) -> bool:
    """Whether b certainly lies in a: True is a proof, False says nothing."""
    if a == b or isinstance(a, Dense) or b == NOTHING:
        return True
    if isinstance(b, Union):
        return all(includes(a, x, space) for x in b.parts)
    if isinstance(a, Intersection):
        return all(includes(x, b, space) for x in a.parts)
    if isinstance(a, Union) and any(includes(x, b, space) for x in a.parts):
        return True
    if isinstance(b, Intersection) and any(includes(a, x, space) for x in b.parts):
        return True
    if isinstance(a, Complement):
        if isinstance(b, Complement):
            return includes(b.pattern, a.pattern, space)
        return _apart(a.pattern, b) or _apart(b, a.pattern)
    return _lies_in(a, b, space)


def is_reflexive(p: Pattern) -> bool:
    """A named pattern of cells in which every cell sees itself."""
    return isinstance(p, Window | Sliding | Axial | Dilated | Strided | Block)


def _apart(a: Pattern, b: Pattern) -> bool:
    """Two leaves that share no pair."""
    return isinstance(a, Prefix) and isinstance(b, PerAxis | AlongSequence | Flat)


def _lies_in(a: Pattern, b: Pattern, space: Space | None) -> bool:
    """b in a, both leaves."""
    if isinstance(b, Self) and space is not None and space.square:
        if isinstance(a, Causal):
            return a.shift(1, 1) >= 0
        if is_reflexive(a):
            return not space.outside
    match a, b:
        case Flat(x), Flat(y):
            return includes(x, y, None if space is None else space.flattened)
        case Causal(int(m)), Causal(int(n)):
            return n <= m
        case Window(m, 0), Window(n, 0):
            return _agree(m, n, lambda x, y: x % y == 0)
        case Sliding(m, False), (Sliding(n, False) | Window(n, _)):
            return _agree(m, n, lambda x, y: x // 2 >= (y // 2 if isinstance(b, Sliding) else y - 1))
        case Dilated(m, s), Dilated(n, t):
            return s == t and _agree(m, n, lambda x, y: x >= y)
        case Sliding(m, False), Dilated(n, t) if isinstance(n, int) and isinstance(t, int):
            return _agree(m, n, lambda x, y: x // 2 >= y // 2 * t)
        case Strided(m), Strided(n):
            return n % m == 0
        case Block(m, near), Block(n, far):
            return m == n and near >= far
        case GlobalTokens(m), GlobalTokens(n):
            return m >= n
    return False


def _agree(m: Sizes, n: Sizes, test: Callable[[int, int], bool]) -> bool:
    """Whether `test` holds of each axis of two sizes; False when they name another number of axes."""
    rank = max(len(s) if isinstance(s, tuple) else 1 for s in (m, n))
    if any(isinstance(s, tuple) and len(s) != rank for s in (m, n)):
        return False
    return all(map(test, per_axis(m, rank, "n"), per_axis(n, rank, "n")))
