"""What fills the slot of a pattern and is none: attention that never asks which query sees which key.

A mechanism approximates or replaces the softmax over pairs, so it holds no set: it does not join with `|`, `&`, `-` or
`~`. Each says which weights it needs (their keys stand under the attend node's name) and which products it costs.
Shapes below: N queries, M keys, C channels of q and k, D of v, h heads; one image or sequence. Multiplications by a
diagonal, sums and softmaxes are not counted, as nowhere else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Final, Literal, NoReturn, TypeAlias, get_args

from ogive.dsl.dims import Dim, ceil_div
from ogive.dsl.dims_text import show
from ogive.dsl.patterns.algebra import Pattern
from ogive.dsl.patterns.sizes import Sizes, per_axis, shown, sizes, whole
from ogive.dsl.patterns.space import PatternError
from ogive.dsl.types import Axis

__all__ = [
    "Channels", "Kernel", "KernelName", "Latent", "Linformer", "Mechanism", "Mixed", "Needed", "Nystrom", "Performer",
    "Pooled", "Pooling", "Use",
]

KernelName: TypeAlias = Literal["elu", "relu"]
Pooling: TypeAlias = Literal["mean", "max", "conv"]

LARGEST_RANK: Final = 65_536


@dataclass(frozen=True, slots=True)
class Needed:
    """A weight of a mechanism: the end of its key, its shape, and how it starts (the words of `init=`)."""

    name: str
    shape: tuple[int, ...]
    init: str = "torch"


@dataclass(frozen=True, slots=True)
class Use:
    """Where a mechanism is used: the positions of q and of k, their channels, those of v, and the heads."""

    queries: Axis
    keys: Axis
    channels: int
    values: int
    heads: int

    @property
    def width(self) -> int:
        """Channels of k and v together: what one pair costs."""
        return self.channels + self.values


class Mechanism(ABC):
    """Attention without a set of pairs."""

    __slots__ = ()

    why: ClassVar[str]
    """Why it is no set, to stand behind its text in an error."""

    @abstractmethod
    def products(self, use: Use) -> Dim:
        """Multiply-adds for one sequence, its learned projections included."""

    def weights(self, use: Use) -> tuple[Needed, ...]:
        """The weights it needs.

        Raises:
            PatternError: a size that a weight has is free.
        """
        return ()

    def refuses(self, use: Use) -> PatternError | None:
        """What speaks against using it there."""
        return None

    def stands_alone(self, other: object = None) -> NoReturn:
        """Refuse to be joined with another."""
        raise PatternError(
            f"`{self}` is no set of pairs and does not join with others: {self.why}",
            help="a mechanism stands alone in `over=`; `per_head([...])` gives it to some of the heads", code="A309",
        )

    __or__ = __ror__ = __and__ = __rand__ = __sub__ = __rsub__ = stands_alone

    def __invert__(self) -> NoReturn:
        self.stands_alone()


def _number(size: Dim, what: str, mechanism: Mechanism) -> int:
    if isinstance(size, int):
        return size
    raise PatternError(
        f"`{mechanism}` has a weight for each of the {what}, and their number `{show(size)}` is free",
        help="pin the size in `input`, as in `H=224`",
    )


@dataclass(frozen=True, slots=True)
class Linformer(Mechanism):
    """softmax(q (E k)^T) (F v): keys and values are projected from M positions to `rank`; `share` makes F = E.

    (Wang et al. 2020, arXiv:2006.04768.)
    """

    rank: int
    share: bool = False
    why: ClassVar[str] = "it mixes the keys before any query sees them"

    def __post_init__(self) -> None:
        whole(self.rank, "linformer", "rank")

    def weights(self, use: Use) -> tuple[Needed, ...]:
        shape = (self.rank, _number(use.keys.size, "keys", self))
        return (Needed("E", shape),) if self.share else (Needed("E", shape), Needed("F", shape))

    def products(self, use: Use) -> Dim:
        return self.rank * use.width * (use.queries.size + use.keys.size)

    def __str__(self) -> str:
        return f"linformer({self.rank}{', share=True' if self.share else ''})"


@dataclass(frozen=True, slots=True)
class Kernel(Mechanism):
    """f(q) (f(k)^T v) / (f(q) sum f(k)), with f = elu + 1 or relu: 2 N d^2 products per head in place of 2 N^2 d.

    `causal` sums over the keys up to the query's own place, the last query at the last key; a query before the first
    key answers zeros. (Katharopoulos et al. 2020, arXiv:2006.16236; relu: Cai et al. 2022, arXiv:2205.14756.)
    """

    name: KernelName = "elu"
    causal: bool = False
    why: ClassVar[str] = "it sums over the keys, and forms no pair"

    def __post_init__(self) -> None:
        if self.name not in get_args(KernelName):
            raise PatternError(f'`kernel` is "elu" or "relu", here is {self.name!r}', setting="name")

    def products(self, use: Use) -> Dim:
        return (use.queries.size + use.keys.size) * (use.channels * use.values // use.heads)

    def __str__(self) -> str:
        return f'kernel("{self.name}"{", causal=True" if self.causal else ""})'


@dataclass(frozen=True, slots=True)
class Performer(Mechanism):
    """f(q) (f(k)^T v), with f positive random features of the softmax, orthogonal, drawn from `seed`.

    They are drawn anew every `redraw` steps of training (0: never), and are not saved: checkpoints of ViTs still load.
    (Choromanski et al. 2020, arXiv:2009.14794.)
    """

    features: int = 256
    seed: int = 0
    redraw: int = 0
    why: ClassVar[str] = "it sums over all keys once, whatever the query"

    def __post_init__(self) -> None:
        whole(self.features, "performer", "features")
        whole(self.seed, "performer", "seed", 0)
        whole(self.redraw, "performer", "redraw", 0)

    def products(self, use: Use) -> Dim:
        return self.features * use.width * (use.queries.size + use.keys.size)

    def __str__(self) -> str:
        more = [f"{n}={v}" for n, v in (("seed", self.seed), ("redraw", self.redraw)) if v]
        return f"performer({', '.join([f'features={self.features}', *more])})"


@dataclass(frozen=True, slots=True)
class Nystrom(Mechanism):
    """softmax(q l_k^T) pinv(softmax(l_q l_k^T)) softmax(l_q k^T) v, with l the means of `landmarks` stretches.

    The pseudo-inverse takes `iterations` steps of four products; `conv` > 0 adds a convolution of that length over the
    values, one filter per head. (Xiong et al. 2021, arXiv:2102.03902.)
    """

    landmarks: int
    iterations: int = 6
    conv: int = 0
    why: ClassVar[str] = "every query sees every key through the landmarks"

    def __post_init__(self) -> None:
        whole(self.landmarks, "nystrom", "landmarks")
        whole(self.iterations, "nystrom", "iterations")
        whole(self.conv, "nystrom", "conv", 0)
        if self.conv and self.conv % 2 == 0:
            raise PatternError(
                f"`conv` of `nystrom` is odd, here is {self.conv}: a value stands in the middle", setting="conv",
                help=f"`conv={self.conv - 1}` or `conv={self.conv + 1}`",
            )

    def weights(self, use: Use) -> tuple[Needed, ...]:
        return (Needed("conv.weight", (use.heads, 1, self.conv, 1)),) if self.conv else ()

    def refuses(self, use: Use) -> PatternError | None:
        n, m = use.queries.size, use.keys.size
        if self.conv and isinstance(n, int) and isinstance(m, int) and n != m:
            return PatternError(f"`conv` of `nystrom` adds values to queries at their places; here are {m} and {n}",
                                setting="conv", help="leave `conv` away")
        return None

    def products(self, use: Use) -> Dim:
        m, n, keys = self.landmarks, use.queries.size, use.keys.size
        inverse = 4 * self.iterations * m**3 * use.heads
        return (n + keys) * (m * use.width) + m * m * use.width + inverse + self.conv * use.values * keys

    def __str__(self) -> str:
        iterations = f", iterations={self.iterations}" if self.iterations != 6 else ""
        return f"nystrom({self.landmarks}{iterations}{f', conv={self.conv}' if self.conv else ''})"


@dataclass(frozen=True, slots=True)
class Pooled(Mechanism):
    """softmax(q p(k)^T) p(v), with p the mean over cells of `stride` along each axis, smaller at the border.

    `by` "max" takes the largest number of each channel, "conv" a learned filter for each channel of k and of v, zeros
    beyond the border. Tokens outside the grid stay as they are. (Wang et al. 2021, arXiv:2102.12122; Fan et al. 2021,
    arXiv:2104.11227.)
    """

    stride: Sizes
    by: Pooling = "mean"
    why: ClassVar[str] = "it mixes the keys before any query sees them"

    def __post_init__(self) -> None:
        object.__setattr__(self, "stride", sizes(self.stride, "pooled", "stride"))
        if self.by not in get_args(Pooling):
            raise PatternError(f'`by` of `pooled` is "mean", "max" or "conv", here is {self.by!r}', setting="by")

    def kept(self, keys: Axis) -> Dim:
        """How many keys are left."""
        grid = keys.grid or (keys.size,)
        pooled = prod((ceil_div(n, s) for n, s in zip(grid, self._over(keys), strict=True)), start=1)
        return pooled + keys.size - prod(grid, start=1)

    def _over(self, keys: Axis) -> tuple[int, ...]:
        return per_axis(self.stride, len(keys.grid) or 1, str(self))

    def refuses(self, use: Use) -> PatternError | None:
        try:
            self._over(use.keys)
        except PatternError as error:
            return PatternError(error.title, setting="stride", help=error.help)
        return None

    def weights(self, use: Use) -> tuple[Needed, ...]:
        if self.by != "conv":
            return ()
        stride = self._over(use.keys)
        return Needed("K", (use.channels, 1, *stride)), Needed("V", (use.values, 1, *stride))

    def products(self, use: Use) -> Dim:
        found = use.queries.size * self.kept(use.keys) * use.width
        if self.by == "conv":
            grid = use.keys.grid or (use.keys.size,)
            cells = prod((ceil_div(n, s) * s for n, s in zip(grid, self._over(use.keys), strict=True)), start=1)
            found = found + cells * use.width
        return found

    def __str__(self) -> str:
        by = f', by="{self.by}"' if self.by != "mean" else ""
        return f"pooled({shown(self.stride)}{by})"


@dataclass(frozen=True, slots=True)
class Latent(Mechanism):
    """n learned queries l gather keys and values, A = softmax(l k^T), and q attends to them: softmax(q (A k)^T) (A v).

    (Lee et al. 2018, arXiv:1810.00825; Jaegle et al. 2021, arXiv:2103.03206.)
    """

    n: int
    why: ClassVar[str] = "every query sees every key through the latents"

    def __post_init__(self) -> None:
        whole(self.n, "latent", "n")

    def weights(self, use: Use) -> tuple[Needed, ...]:
        return (Needed("latent", (self.n, use.channels), "trunc_normal"),)

    def products(self, use: Use) -> Dim:
        return self.n * (use.keys.size * (use.channels + use.width) + use.queries.size * use.width)

    def __str__(self) -> str:
        return f"latent({self.n})"


@dataclass(frozen=True, slots=True)
class Channels(Mechanism):
    """v softmax(k^T q): channels attend to channels within a head, d x d scores. (El-Nouby et al. 2021, 2106.09681.)"""

    why: ClassVar[str] = "it relates channels, not positions"

    def refuses(self, use: Use) -> PatternError | None:
        if use.channels != use.values:
            return PatternError(f"`channels` needs v as wide as q and k; here are {use.channels} and {use.values}")
        if isinstance(use.queries.size, int) and isinstance(use.keys.size, int) and use.queries.size != use.keys.size:
            return PatternError(
                f"`channels` needs as many queries as keys; here are {use.queries.size} and {use.keys.size}"
            )
        return None

    def products(self, use: Use) -> Dim:
        return use.queries.size * (2 * use.channels * use.channels // use.heads)

    def __str__(self) -> str:
        return "channels"


@dataclass(frozen=True, slots=True)
class Mixed(Mechanism):
    """per_head([...]) with a mechanism in the list: head i takes the i-th, the list starts anew behind its end."""

    parts: tuple[Pattern | Mechanism, ...]
    why: ClassVar[str] = "a head of it is none"

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        if not self.parts or any(isinstance(p, Mixed) for p in self.parts):
            raise PatternError("`per_head` takes a list of patterns and mechanisms", setting="patterns")

    def of(self, head: int) -> Pattern | Mechanism:
        """What one head takes."""
        return self.parts[head % len(self.parts)]

    def share(self, use: Use) -> Use:
        """The use of one of the parts: its heads, their channels."""
        n = len(self.parts)
        return Use(use.queries, use.keys, use.channels // n, use.values // n, use.heads // n)

    def refuses(self, use: Use) -> PatternError | None:
        if use.heads % len(self.parts):
            return PatternError(f"`per_head` has {len(self.parts)} parts, which do not divide {use.heads} heads")
        found = (p.refuses(self.share(use)) for p in self.parts if isinstance(p, Mechanism))
        return next((error for error in found if error is not None), None)

    def weights(self, use: Use) -> tuple[Needed, ...]:
        """Those of each mechanism, under its number in the list."""
        mechanisms = [(i, p) for i, p in enumerate(self.parts) if isinstance(p, Mechanism)]
        return tuple(
            Needed(f"{i}.{w.name}", w.shape, w.init) for i, p in mechanisms for w in p.weights(self.share(use))
        )

    def products(self, use: Use) -> Dim:
        """Those of the mechanisms alone: the pairs of the patterns are counted where patterns are."""
        total: Dim = 0
        for p in self.parts:
            if isinstance(p, Mechanism):
                total = total + p.products(self.share(use))
        return total

    def __str__(self) -> str:
        return f"per_head([{', '.join(map(str, self.parts))}])"
