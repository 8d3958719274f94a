"""The patterns that have a name, each with its formula and its paper.

Those in `PerAxis` and `AlongSequence` hold between cells of the grid only: a token outside it (a class token) neither
sees nor is seen until `| prefix` or `| self` says so. An integer size means that many along every axis, a tuple one
number per axis. Positions on two grids are compared where they stand (`space.py`).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from ogive.dsl.patterns.algebra import Pattern
from ogive.dsl.patterns.draws import drawn
from ogive.dsl.patterns.sizes import LARGEST, Sizes, axis_bits, bits, odd, per_axis, shown, sizes, whole
from ogive.dsl.patterns.space import AXES, PatternError, Place, Space

__all__ = [
    "AlongSequence", "Axial", "AxisName", "Block", "Causal", "Dense", "Dilated", "GlobalTokens", "PerAxis", "Prefix",
    "Random", "Self", "Sliding", "Strided", "Window",
]

AxisName: TypeAlias = Literal["row", "col", "time"]

# ---------------------------------------------------------------------------------------------------- whole sequences


@dataclass(frozen=True, slots=True)
class Dense(Pattern):
    """Every query sees every key. (Vaswani et al. 2017, arXiv:1706.03762.)"""

    def holds(self, q: int, k: int, space: Space, head: int = 0) -> bool:
        return True

    def row(self, q: int, space: Space, head: int = 0) -> int:
        return (1 << space.keys.size) - 1

    def __str__(self) -> str:
        return "dense"

    def pairs(self, queries: int, keys: int) -> int:
        """How many (query, key) pairs are in the set."""
        return queries * keys


@dataclass(frozen=True, slots=True)
class Causal(Pattern):
    """k <= q + offset, counted in whole sequences. Unless given, offset is keys - queries: the last sees the last."""

    offset: int | None = None

    def __post_init__(self) -> None:
        if self.offset is not None:
            whole(self.offset, "causal", "offset", -LARGEST)

    def shift(self, queries: int, keys: int) -> int:
        """The offset for so many queries and keys."""
        return keys - queries if self.offset is None else self.offset

    def holds(self, q: int, k: int, space: Space, head: int = 0) -> bool:
        return k <= q + self.shift(space.queries.size, space.keys.size)

    def row(self, q: int, space: Space, head: int = 0) -> int:
        n, m = space.queries.size, space.keys.size
        return (1 << max(0, min(m, q + self.shift(n, m) + 1))) - 1

    def __str__(self) -> str:
        return "causal" if self.offset is None else f"causal(offset={self.offset})"

    def pairs(self, queries: int, keys: int) -> int:
        """How many (query, key) pairs are in the set: the sum of min(keys, max(0, q + offset + 1)) over q."""
        first = self.shift(queries, keys) + 1
        last = first + queries - 1
        low, high = max(first, 1), min(last, keys)
        rising = (low + high) * (high - low + 1) // 2 if high >= low else 0
        return rising + keys * max(0, last - max(keys, first - 1))


@dataclass(frozen=True, slots=True)
class Self(Pattern):
    """q = k: the same place of the grid, or the same token outside it."""

    def holds(self, q: int, k: int, space: Space, head: int = 0) -> bool:
        a, b = space.query(q), space.key(k)
        if a is None and b is None:
            return space.queries.extra(q) == space.keys.extra(k)
        return a == b

    def row(self, q: int, space: Space, head: int = 0) -> int:
        if space.square:
            return 1 << q
        return Pattern.row(self, q, space, head)

    def __str__(self) -> str:
        return "self"


@dataclass(frozen=True, slots=True)
class Prefix(Pattern):
    """Tokens outside the grid see all and are seen by all. (Child et al. 2019; the class token of ViT.)"""

    def holds(self, q: int, k: int, space: Space, head: int = 0) -> bool:
        return space.queries.cell(q) is None or space.keys.cell(k) is None

    def row(self, q: int, space: Space, head: int = 0) -> int:
        keys = space.keys
        everything = (1 << keys.size) - 1
        if space.queries.cell(q) is None:
            return everything
        return everything & ~bits(range(keys.prefix, keys.prefix + keys.cells))

    def __str__(self) -> str:
        return "prefix"


# -------------------------------------------------------------------------------------------------------- axis by axis


class PerAxis(Pattern):
    """A set of pairs of cells that asks of each axis by itself: there, a query sees a range of places."""

    __slots__ = ()

    @abstractmethod
    def span(self, axis: int, x: int, lengths: Place) -> range:
        """The places along one axis that a query at x sees."""

    def spans(self, at: Place, lengths: Place) -> list[range]:
        """The places that a query sees along each axis."""
        return [self.span(axis, x, lengths) for axis, x in enumerate(at)]

    def holds(self, q: int, k: int, space: Space, head: int = 0) -> bool:
        a, b = space.query(q), space.key(k)
        if a is None or b is None:
            return False
        return all(y in self.span(axis, x, space.lengths) for axis, (x, y) in enumerate(zip(a, b, strict=True)))

    def row(self, q: int, space: Space, head: int = 0) -> int:
        at, steps = space.query(q), space.key_steps
        if at is None:
            return 0
        if steps is None:
            return Pattern.row(self, q, space, head)
        found, gap = 1, 1
        sizes = (space.keys.cells,) if space.flat else space.keys.grid
        for span, step, n in reversed(list(zip(self.spans(at, space.lengths), steps, sizes, strict=True))):
            found *= axis_bits(span, step, gap)
            gap *= n
        return found << space.keys.prefix


@dataclass(frozen=True, slots=True)
class Window(PerAxis):
    """floor((x + n - s) / n) is the same for q and k on each axis: windows of n, moved back by s at the border.

    On an axis no longer than n there is one window and no shift, as in published Swin code; windows that are cut at
    the border are smaller. Equals rolling by s and masking what was wrapped. (Liu et al. 2021, arXiv:2103.14030.)
    """

    size: Sizes
    shift: Sizes = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", sizes(self.size, "window", "n"))
        shift = sizes(self.shift, "window", "shift", 0)
        object.__setattr__(self, "shift", shift if isinstance(shift, int) or any(shift) else 0)
        rank = max(len(s) if isinstance(s, tuple) else 1 for s in (self.size, self.shift))
        ns, shifts = (per_axis(s, rank, f"window({shown(self.size)})") for s in (self.size, self.shift))
        if any(s >= n for n, s in zip(ns, shifts, strict=True)):
            raise PatternError(
                f"windows of {shown(self.size)} are shifted by less than that, here by {shown(self.shift)}",
                setting="shift", help=f"`{self._half()}`: Swin shifts by half a window",
            )

    def _half(self) -> str:
        half = tuple(n // 2 for n in self.size) if isinstance(self.size, tuple) else self.size // 2
        return f"window({shown(self.size)}, shift={shown(half)})"

    def span(self, axis: int, x: int, lengths: Place) -> range:
        n = per_axis(self.size, len(lengths), str(self))[axis]
        length = lengths[axis]
        if length <= n:
            return range(length)
        first = per_axis(self.shift, len(lengths), str(self))[axis] - n
        start = (x - first) // n * n + first
        return range(max(0, start), min(length, start + n))

    def __str__(self) -> str:
        shift = "" if self.shift == 0 else f", shift={shown(self.shift)}"
        return f"window({shown(self.size)}{shift})"


@dataclass(frozen=True, slots=True)
class Sliding(PerAxis):
    """abs(q - k) <= n // 2 on each axis, n odd, cut at the border. With `clamp` the window is moved inwards there.

    With `clamp` every query sees n keys along an axis (all, where it has fewer), as NATTEN does.
    (Parmar et al. 2018, arXiv:1802.05751; Beltagy et al. 2020, arXiv:2004.05150;
    Hassani et al. 2022, arXiv:2204.07143.)
    """

    size: Sizes
    clamp: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", sizes(self.size, "sliding", "n"))
        odd(self.size, "sliding")

    def span(self, axis: int, x: int, lengths: Place) -> range:
        n, length = per_axis(self.size, len(lengths), str(self))[axis], lengths[axis]
        start = x - n // 2
        if self.clamp:
            start = max(0, min(start, length - n))
        return range(max(0, start), min(length, start + n))

    def __str__(self) -> str:
        return f"sliding({shown(self.size)}{', clamp=True' if self.clamp else ''})"


@dataclass(frozen=True, slots=True)
class Axial(PerAxis):
    """`row`: same row and frame; `col`: same column and frame; `time`: same row and column.

    (Ho et al. 2019, arXiv:1912.12180; `time`: Bertasius et al. 2021, arXiv:2102.05095.)
    """

    axis: AxisName

    def __post_init__(self) -> None:
        if self.axis not in get_args(AxisName):
            raise PatternError(
                f'`axial` runs along "row", "col" or "time", here is {self.axis!r}', setting="axis",
                help='`axial("row")`: a position sees its own row',
            )

    @property
    def along(self) -> str:
        """The axis that is free."""
        return {"row": "col", "col": "row", "time": "frame"}[self.axis]

    def span(self, axis: int, x: int, lengths: Place) -> range:
        names = AXES[len(lengths)]
        if self.along not in names:
            what = "a sequence" if len(lengths) == 1 else "a grid of rows and columns"
            free = {"row": "rows", "col": "columns", "time": "frames"}[self.axis]
            raise PatternError(f"`{self}` on {what}, which has no {free}", setting="axis")
        return range(lengths[axis]) if names[axis] == self.along else range(x, x + 1)

    def __str__(self) -> str:
        return f'axial("{self.axis}")'


@dataclass(frozen=True, slots=True)
class Dilated(PerAxis):
    """abs(q - k) <= step (n // 2) and (q - k) mod step = 0 on each axis, n odd: a sliding window with gaps.

    On a grid the gaps run along every axis; `flat(dilated(n, step))` runs along the sequence.
    (Beltagy et al. 2020, arXiv:2004.05150; Hassani and Shi 2022, arXiv:2209.15001.)
    """

    n: Sizes
    step: Sizes

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", sizes(self.n, "dilated", "n"))
        object.__setattr__(self, "step", sizes(self.step, "dilated", "step"))
        odd(self.n, "dilated")
        if isinstance(self.n, tuple) and isinstance(self.step, tuple):
            per_axis(self.step, len(self.n), str(self))

    def span(self, axis: int, x: int, lengths: Place) -> range:
        n, length = per_axis(self.n, len(lengths), str(self))[axis], lengths[axis]
        step = per_axis(self.step, len(lengths), str(self))[axis]
        return range(x - min(x // step, n // 2) * step, min(length, x + n // 2 * step + 1), step)

    def __str__(self) -> str:
        return f"dilated({shown(self.n)}, step={shown(self.step)})"


# --------------------------------------------------------------------------------------------------- along the sequence


class AlongSequence(Pattern):
    """A set of pairs of cells that goes by their row-major numbers: tokens outside the grid do not count."""

    __slots__ = ()

    @abstractmethod
    def ranges(self, q: int, length: int, head: int) -> tuple[range, ...]:
        """The numbers that a query at number q sees, as ranges that do not overlap; the sequence has `length`."""

    def holds(self, q: int, k: int, space: Space, head: int = 0) -> bool:
        a, b = space.queries.cell(q), space.keys.cell(k)
        if a is None or b is None:
            return False
        flat = space.flattened
        at, to = flat.query(a), flat.key(b)
        assert at is not None and to is not None
        return any(to[0] in r for r in self.ranges(at[0], flat.lengths[0], head))

    def row(self, q: int, space: Space, head: int = 0) -> int:
        cell, flat = space.queries.cell(q), space.flattened
        if cell is None:
            return 0
        if flat.key_steps is None:
            return Pattern.row(self, q, space, head)
        at = flat.query(cell)
        assert at is not None
        ranges = self.ranges(at[0], flat.lengths[0], head)
        return sum(axis_bits(r, flat.key_steps[0], 1) for r in ranges) << space.keys.prefix


@dataclass(frozen=True, slots=True)
class Strided(AlongSequence):
    """(q - k) mod n = 0. (Child et al. 2019, arXiv:1904.10509.)"""

    n: int

    def __post_init__(self) -> None:
        whole(self.n, "strided", "n")

    def ranges(self, q: int, length: int, head: int) -> tuple[range, ...]:
        return (range(q % self.n, length, self.n),)

    def __str__(self) -> str:
        return f"strided({self.n})"


@dataclass(frozen=True, slots=True)
class Block(AlongSequence):
    """abs(q // n - k // n) <= near: blocks of n, each with its neighbours. (Zaheer et al. 2020, arXiv:2007.14062.)"""

    n: int
    near: int = 1

    def __post_init__(self) -> None:
        whole(self.n, "block", "n")
        whole(self.near, "block", "near", 0)

    def ranges(self, q: int, length: int, head: int) -> tuple[range, ...]:
        at = q // self.n
        return (range(max(0, at - self.near) * self.n, min(length, (at + self.near + 1) * self.n)),)

    def __str__(self) -> str:
        return f"block({self.n})" if self.near == 1 else f"block({self.n}, near={self.near})"


@dataclass(frozen=True, slots=True)
class GlobalTokens(AlongSequence):
    """q < n or k < n: the first n cells of the grid see all cells and are seen by them. (arXiv:2004.05150.)"""

    n: int

    def __post_init__(self) -> None:
        whole(self.n, "global_tokens", "n")

    def ranges(self, q: int, length: int, head: int) -> tuple[range, ...]:
        return (range(length) if q < self.n else range(min(self.n, length)),)

    def __str__(self) -> str:
        return f"global_tokens({self.n})"


@dataclass(frozen=True, slots=True)
class Random(AlongSequence):
    """k // of is one of n distinct blocks drawn for q // of (`draws.py`), the same everywhere; all, where fewer exist.

    All heads draw alike unless `per_head`. (Zaheer et al. 2020, arXiv:2007.14062.)
    """

    n: int
    of: int = 64
    seed: int = 0
    per_head: bool = False

    def __post_init__(self) -> None:
        whole(self.n, "random", "n")
        whole(self.of, "random", "of")
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or not 0 <= self.seed < 2**63:
            raise PatternError(
                f"`seed` of `random` is a whole number from 0 to 2**63 - 1; here is {self.seed!r}", setting="seed"
            )

    def blocks(self, block: int, length: int, head: int = 0) -> tuple[int, ...]:
        """The blocks that the queries of one block see, in the order they are drawn."""
        return drawn(self.n, -(-length // self.of), self.seed, block, head + 1 if self.per_head else 0)

    def ranges(self, q: int, length: int, head: int) -> tuple[range, ...]:
        b = self.of
        return tuple(range(j * b, min(length, j * b + b)) for j in self.blocks(q // b, length, head))

    def __str__(self) -> str:
        seed = f", seed={self.seed}" if self.seed else ""
        return f"random({self.n}, of={self.of}{seed}{', per_head=True' if self.per_head else ''})"
