"""What of the input a value can depend on: the receptive field and the stride of every node, along each axis.

A window of k positions, d apart, on values that lie j positions of the input apart adds d (k - 1) j to the field; a
stride multiplies j (Araujo et al. 2019, doi:10.23915/distill.00021). What mixes all positions sees the whole axis.
Padding is not seen, and statistics of norms are left out, as is usual.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

from ogive.dsl.graph import Graph, Node
from ogive.dsl.ops.attention import Attend, position_axis
from ogive.dsl.ops.conv import Conv, Patchify, TransposeConv
from ogive.dsl.ops.pool import AdaptivePool, AvgPool, MaxPool, Upsample
from ogive.dsl.ops.settings import each
from ogive.dsl.patterns import Mechanism, Pattern
from ogive.dsl.patterns.algebra import leaves
from ogive.dsl.patterns.named import Prefix
from ogive.dsl.patterns.reach import met
from ogive.dsl.types import Role, Tensor, sized

__all__ = ["WHOLE", "Field", "fields"]

WHOLE: Final = None
"""The field along an axis where every position is seen."""

ONE: Final = Fraction(1)


@dataclass(frozen=True, slots=True)
class Field:
    """Of one node, along each axis of the input that it slides over: (rows, columns), (positions,) or (frames, ...).

    Attributes:
        size: how many positions of the input one position of it sees; `WHOLE` is all. () of what sees no input.
        stride: how many positions of the input its neighbours stand apart, where it has a grid of its own.
        mixed: its channel axis is made of positions (`transpose`): what mixes channels then sees them all.
    """

    size: tuple[int | None, ...] = ()
    stride: tuple[Fraction, ...] = ()
    mixed: bool = False

    def __str__(self) -> str:
        if not self.size:
            return ""
        words = ["all" if n is WHOLE else str(n) for n in self.size]
        return words[0] if len(set(words)) == 1 else "x".join(words)

    @property
    def steps(self) -> str:
        """The stride as text: `32`, `1/2`, `4x2`."""
        words = [str(n) for n in self.stride]
        return "" if not words else words[0] if len(set(words)) == 1 else "x".join(words)

    def seeing(self, windows: tuple[int | None, ...], strides: tuple[Fraction, ...] = ()) -> Field:
        """Through windows of so many positions, `WHOLE` for all; neighbours stand `strides` times as far apart."""
        if not self.size or len(self.size) != len(windows) or not self.stride:
            return self.all()
        pairs = zip(self.size, self.stride, windows, strict=True)
        size = tuple(WHOLE if n is WHOLE or k is WHOLE else _ceil(n + (k - 1) * j) for n, j, k in pairs)
        apart = tuple(j * s for j, s in zip(self.stride, strides, strict=True)) if strides else self.stride
        return replace(self, size=size, stride=apart)

    def all(self) -> Field:
        """Every position is seen."""
        return replace(self, size=(WHOLE,) * len(self.size))


def fields(graph: Graph, sizes: Mapping[str, int]) -> dict[str, Field]:
    """The field of every node, its id as the key, for inputs of these sizes."""
    found: dict[str, Field] = {}
    for node in graph:
        inputs = [found[edge.node] for edge in node.inputs]
        types = tuple(sized(graph.tensor(edge), sizes) for edge in node.inputs)
        made = tuple(sized(t, sizes) for t in node.outputs)
        found[node.id] = _input(made[0]) if node.primitive is None else _of(node, _joined(inputs), types, made)
    return found


def _input(x: Tensor) -> Field:
    rank = len(x.spatial) or (1 if x.axis(Role.POSITION) is not None else 0)
    return Field((1,) * rank, (ONE,) * rank)


def _joined(inputs: list[Field]) -> Field:
    """What several values see together."""
    those = [x for x in inputs if x.size]
    if not those:
        return Field()
    if len({len(x.size) for x in those}) > 1:  # an image and a sequence: there is no common axis
        return those[0].all()
    size = tuple(WHOLE if WHOLE in along else max(n for n in along if n is not WHOLE)
                 for along in zip(*(x.size for x in those), strict=True))
    return Field(size, next((x.stride for x in those if x.stride), ()), those[0].mixed)


def _of(node: Node, before: Field, inputs: tuple[Tensor, ...], made: tuple[Tensor, ...]) -> Field:
    op: Any = node.primitive
    if not before.size:
        return before
    if node.op == "transpose":
        return replace(before, mixed=not before.mixed)
    if before.mixed and node.op in MIXING:
        return before.all()
    rule = RULES.get(node.op)
    after = rule(op, before, inputs, made) if rule is not None else before
    return after if _has_grid(made[0]) or after.mixed else _off(after, inputs, node)


def _has_grid(x: Tensor) -> bool:
    return bool(x.spatial) or x.axis(Role.POSITION) is not None


def _off(field: Field, inputs: tuple[Tensor, ...], node: Node) -> Field:
    """A value without positions: it sees all of what it was made of, unless one position was taken."""
    if inputs and _has_grid(inputs[0]) and node.op not in ("take", "unstack", "in"):
        field = field.all()
    return replace(field, stride=())


MIXING: Final = frozenset({"linear", "layernorm", "rmsnorm", "dot", "matmul", "softmax"})
"""What mixes channels."""


def _window(op: Conv | MaxPool | AvgPool, before: Field, inputs: tuple[Tensor, ...], made: tuple[Tensor, ...]) -> Field:
    rank = _rank(inputs[0])
    kernel, stride = op.windows(rank)[:2]
    dilation = each(op.dilation, rank, "dilation") if not isinstance(op, AvgPool) else (1,) * rank
    return before.seeing(_spread(kernel, dilation), _fractions(stride))


def _patches(op: Patchify, before: Field, inputs: tuple[Tensor, ...], made: tuple[Tensor, ...]) -> Field:
    rank = _rank(inputs[0])
    kernel = each(op.size, rank, "size")
    return before.seeing(kernel, _fractions(each(op.stride or op.size, rank, "stride")))


def _transposed(
    op: TransposeConv, before: Field, inputs: tuple[Tensor, ...], made: tuple[Tensor, ...]
) -> Field:
    kernel, stride, _, _, dilation = op.windows(_rank(inputs[0]))
    seen = tuple(-(-k // s) for k, s in zip(_spread(kernel, dilation), stride, strict=True))
    return before.seeing(seen, tuple(Fraction(1, s) for s in stride))


def _adaptive(op: AdaptivePool, before: Field, inputs: tuple[Tensor, ...], made: tuple[Tensor, ...]) -> Field:
    """A cell is a window where the cells divide the axis; else it counts as all."""
    ratios = _ratios(inputs[0], made[0])
    return before.seeing(tuple(int(r) if r.denominator == 1 else WHOLE for r in ratios), ratios)


def _upsampled(op: Upsample, before: Field, inputs: tuple[Tensor, ...], made: tuple[Tensor, ...]) -> Field:
    taps = {"nearest": 1, "nails": 1, "bilinear": 2, "bicubic": 4}[op.mode]
    ratios = _ratios(inputs[0], made[0])
    return before.seeing((taps,) * len(ratios), ratios)


def _blocks(op: Any, before: Field, inputs: tuple[Tensor, ...], made: tuple[Tensor, ...]) -> Field:
    ratios = _ratios(inputs[0], made[0])
    return before.seeing(tuple(max(1, _ceil(r)) for r in ratios), ratios)


def _subsampled(op: Any, before: Field, inputs: tuple[Tensor, ...], made: tuple[Tensor, ...]) -> Field:
    steps = each(op.step, _rank(inputs[0]), "step")
    return before.seeing((1,) * len(steps), _fractions(steps))


def _shifted(op: Any, before: Field, inputs: tuple[Tensor, ...], made: tuple[Tensor, ...]) -> Field:
    def spread(by: Any) -> int:
        steps = by if isinstance(by, tuple) else (by,)
        return int(max(steps) - min(steps) + 1)

    return before.seeing((spread(op.rows), spread(op.cols)))


def _attended(op: Attend, before: Field, inputs: tuple[Tensor, ...], made: tuple[Tensor, ...]) -> Field:
    if isinstance(op.over, Mechanism):
        return before.all()
    queries = position_axis(inputs[0])
    keys = position_axis(inputs[1 if len(inputs) > 2 else 0])
    grid = tuple(n for n in keys.grid if isinstance(n, int))
    if not isinstance(op.over, Pattern) or len(grid) != len(before.size) or queries.grid != keys.grid:
        return before.all()
    if any(isinstance(part, Prefix) for part in leaves(op.over)):  # a token that sees all is seen by all
        return before.all()
    seen = met(op.over, grid)
    return before.seeing(tuple(WHOLE if k >= n > 1 else k for k, n in zip(seen, grid, strict=True)))


def _everything(op: Any, before: Field, inputs: tuple[Tensor, ...], made: tuple[Tensor, ...]) -> Field:
    return before.all()


RULES: Final[Mapping[str, Callable[..., Field]]] = {
    "conv": _window, "max_pool": _window, "avg_pool": _window, "patchify": _patches, "transpose_conv": _transposed,
    "deform_conv": _everything, "adaptive_pool": _adaptive, "upsample": _upsampled, "max_unpool": _blocks,
    "space_to_depth": _blocks, "depth_to_space": _blocks, "subsample": _subsampled, "shift": _shifted,
    "attend": _attended, "global_pool": _everything, "global_max_pool": _everything, "rnn": _everything,
    "gru": _everything, "lstm": _everything, "dot": _everything, "matmul": _everything, "cumsum": _everything,
    "argsort": _everything, "top_k": _everything, "gather": _everything, "roi_align": _everything,
    "roi_pool": _everything, "scan": _everything, "rearrange": _everything,
}
"""How an op changes the field; what is not here works position by position."""


def _rank(x: Tensor) -> int:
    return len(x.spatial) or len(position_axis(x).grid) or 1


def _ratios(before: Tensor, after: Tensor) -> tuple[Fraction, ...]:
    """How much coarser the grid has become, along each axis."""
    a, b = ((x.shape[2:] if x.layout == "image" else position_axis(x).grid) for x in (before, after))
    return tuple(Fraction(n, m) for n, m in zip(a, b, strict=True) if isinstance(n, int) and isinstance(m, int))


def _spread(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))


def _fractions(strides: tuple[int, ...]) -> tuple[Fraction, ...]:
    return tuple(map(Fraction, strides))


def _ceil(x: Fraction | int) -> int:
    return -int(-x // 1)
