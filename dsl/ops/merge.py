"""Arithmetic between tensors, broadcasting by role; joining tensors and cutting them apart."""

from __future__ import annotations

from typing import ClassVar

from ogive.dsl import limits
from ogive.dsl.dims import Dim
from ogive.dsl.dims_text import show
from ogive.dsl.ops.activation import axis_place
from ogive.dsl.ops.plane import is_image
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Site, channel_place
from ogive.dsl.ops.settings import Count, divisors
from ogive.dsl.types import Axis, DType, Role, Segment, Tensor, tokens

__all__ = ["Arithmetic", "Concat", "Neg", "Split", "Stack", "broadcast", "places"]


def places(x: Tensor, wide: Tensor) -> tuple[int, ...] | None:
    """For each axis of `x` the axis of `wide` with its role, in order; None when one is missing.

    Axes of the same role (a table's plain axes) are matched from the last one on; a plain axis of size 1 is any axis.
    """
    found: list[int] = []
    place = wide.rank
    plain = Role.OTHER in wide.roles
    for axis in reversed(x.axes):
        place -= 1
        any_role = axis.role is Role.OTHER and axis.size == 1 and not plain
        while place >= 0 and wide.roles[place] is not axis.role and not any_role:
            place -= 1
        if place < 0:
            return None
        found.append(place)
    return tuple(reversed(found))


def broadcast(at: Site, op: str, a: Tensor, b: Tensor) -> Tensor:
    """The type of `a` and `b` side by side: an axis of size 1, or one that is missing, stretches to the other's.

    Segments and grid come from the operand that has them.

    Raises:
        Mismatch: roles in another order, sizes that differ, two different grids.
    """
    if a.axes == b.axes and a.dtype == b.dtype:  # most skips
        return Tensor(a.axes, a.dtype)
    wide = max(a, b, key=lambda x: x.rank) if _holds(a, b) or _holds(b, a) else _union(a, b)
    at_a, at_b = (None if wide is None else places(x, wide) for x in (a, b))
    if wide is None or at_a is None or at_b is None:
        raise Mismatch(f"`{op}` cannot lay `{a}` beside `{b}`", input=1, help=_layout_help(a, b))
    axes = list(wide.axes)
    mine, theirs = dict(zip(at_a, a.axes, strict=True)), dict(zip(at_b, b.axes, strict=True))
    for place in mine.keys() & theirs.keys():
        axes[place] = _stretched(at, op, a, b, mine[place], theirs[place])
    dtypes = {a.dtype, b.dtype}
    dtype: DType = "float" if "float" in dtypes else "int" if "int" in dtypes else "bool"
    return Tensor(tuple(axes), dtype)


def _holds(narrow: Tensor, wide: Tensor) -> bool:
    return places(narrow, wide) is not None


def _union(a: Tensor, b: Tensor) -> Tensor | None:
    """The axes of both, where their roles leave one order: `N C` and `B N` make `B N C`; `B N` and `B C` do not."""
    if len(set(a.roles)) < a.rank or len(set(b.roles)) < b.rank:
        return None
    mine, theirs = list(a.axes), list(b.axes)
    found: list[Axis] = []
    while mine or theirs:
        heads = [x for x, others in ((mine, theirs), (theirs, mine))
                 if x and x[0].role not in [o.role for o in others[1:]]]
        if not heads or (len(heads) == 2 and mine[0].role is not theirs[0].role):
            return None
        role = heads[0][0].role
        found.append(heads[0][0])
        mine, theirs = ([x for x in axes if x.role is not role] for axes in (mine, theirs))
    made = Tensor(tuple(found), a.dtype)
    return made if made.layout in ("tokens", "image") else None


def _stretched(at: Site, op: str, a: Tensor, b: Tensor, first: Axis, second: Axis) -> Axis:
    if first.size == 1 and (second.size != 1 or first.role is Role.OTHER):
        return second
    if second.size == 1 and first.size != 1:
        return first
    word = first.role.value
    if first.grid and second.grid and first.role is Role.POSITION:
        _same_grid(at, op, first, second)
    if first.size != second.size:
        if isinstance(first.size, int) and isinstance(second.size, int):
            raise Mismatch(
                f"`{op}` of `{a}` and `{b}`: the {word} axes have {first.size} and {second.size}", input=1,
                help=_width_help(first.role, first.size, second.size),
            )
        at.same(first.size, second.size, f"the {word} axes of `{a}` and `{b}`, which `{op}` lays on each other")
    better = second.grid and not first.grid if first.grid or second.grid else second.segments and not first.segments
    return second if better and first.role is Role.POSITION else first


def _same_grid(at: Site, op: str, first: Axis, second: Axis) -> None:
    """Demand that two grids are one: sizes that are not known to agree become a guard."""
    pairs = list(zip((first.prefix, *first.grid), (second.prefix, *second.grid), strict=False))
    differ = any(isinstance(m, int) and isinstance(n, int) and m != n for m, n in pairs)
    turned = first.grid == second.grid[::-1] and not all(at.is_same(m, n) for m, n in pairs)
    if len(first.grid) != len(second.grid) or differ or turned:
        raise Mismatch(
            f"`{op}` of tokens with two different grids: {_grid(first)} and {_grid(second)}", input=1,
            help="equal numbers of positions are not the same positions: resample one, or join them with `concat`",
        )
    for m, n in pairs:
        at.same(m, n, f"the grids {_grid(first)} and {_grid(second)}, which `{op}` lays on each other")


def _grid(axis: Axis) -> str:
    inside = " ".join(show(n) for n in axis.grid)
    return f"({inside})" if axis.prefix == 0 else f"({show(axis.prefix)} + {inside})"


def _layout_help(a: Tensor, b: Tensor) -> str:
    notes = f"their axes are {', '.join(r.value for r in a.roles)} and {', '.join(r.value for r in b.roles)}"
    if {is_image(a), is_image(b)} == {True, False} and "tokens" in (a.layout, b.layout):
        return f"{notes}; `to_tokens` and `to_image` change the layout"
    return f"{notes}; an axis of one must be an axis of the other, in the same order"


def _width_help(role: Role, m: Dim, n: Dim) -> str | None:
    if role is Role.CHANNEL:
        return f"`linear({m})` or `conv({m}, 1x1)` in front of the second makes the widths agree"
    if role in (Role.ROW, Role.COL, Role.FRAME):
        return "a stride or a padding differs between the two; `upsample(like=...)` resamples"
    return None


class Arithmetic(Primitive):
    """What two tensors, or a tensor and a number, make element by element. The number may be a free size."""

    family: ClassVar[Family] = "merge"
    inputs: ClassVar[tuple[str, ...]] = ("*xs",)

    number: float | Dim | None = None
    reverse: bool = False

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        for i, x in enumerate(inputs):
            if x.dtype == "bool" and (self.op != "mul" or self.number is not None):
                raise Mismatch(f"`{self.op}` works on numbers; here are elements `{x}`", input=i,
                               help="`where` turns truth values into numbers")
        if self.number is not None:
            if len(inputs) != 1:
                raise Mismatch(f"`{self.op}` with a number takes one tensor, here are {len(inputs)}", setting="number")
            x = inputs[0]
            whole = x.dtype != "float" and not isinstance(self.number, float)
            return (self.answer(x.of("int" if whole else "float")),)
        if len(inputs) != 2:
            raise Mismatch(f"`{self.op}` takes two tensors, or a tensor and a number; here are {len(inputs)}", input=0)
        return (self.answer(broadcast(at, self.op, *inputs)),)

    def answer(self, made: Tensor) -> Tensor:
        """The result, given the type both operands stretch to."""
        return made


class Add(Arithmetic):
    """a + b, element by element.

    Shapes: equal, or one operand stretches over axes of size 1 and axes it lacks, by role.
    """

    op: ClassVar[str] = "add"


class Sub(Arithmetic):
    """a - b, element by element.

    Shapes: as `add`.
    """

    op: ClassVar[str] = "sub"


class Mul(Arithmetic):
    """a * b, element by element. Truth values count as 0 and 1; the product of two of them is true where both are.

    Shapes: as `add`.
    """

    op: ClassVar[str] = "mul"


class Div(Arithmetic):
    """a / b, element by element: always floats.

    Shapes: as `add`.
    """

    op: ClassVar[str] = "div"

    def answer(self, made: Tensor) -> Tensor:
        return made.of("float")


class Pow(Arithmetic):
    """a ** b, element by element.

    Shapes: as `add`.
    """

    op: ClassVar[str] = "pow"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        negative = isinstance(self.number, int) and self.number < 0 and not self.reverse
        if negative and inputs[0].dtype == "int":
            raise Mismatch("whole numbers have no negative powers", setting="number", input=0)
        return super().shape(at, *inputs)


class Neg(Primitive):
    """-x, element by element.

    Shapes: any, same.
    """

    op: ClassVar[str] = "neg"
    family: ClassVar[Family] = "merge"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        if inputs[0].dtype == "bool":
            raise Mismatch(f"`neg` works on numbers; here are elements `{inputs[0]}`", input=0)
        return (inputs[0],)


class Concat(Primitive):
    """Joins tensors end to end: images and vectors along the channels, tokens and ids along the positions.

    Shapes: `B C1 H W`, `B C2 H W` -> `B (C1 + C2) H W`; `B N C`, `B M C` -> `B (N + M) C`, segments add. `concat(C)`,
    `concat(N)` or another letter of the annotation says otherwise; along the channels, what has no positions stretches
    over them. Beside tokens, `learned(1, n, C)` and `learned(n, C)` stretch over the batch, and a channel vector is one
    position.
    """

    op: ClassVar[str] = "concat"
    family: ClassVar[Family] = "merge"
    inputs: ClassVar[tuple[str, ...]] = ("*xs",)

    axis: str | int | None = None

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        if len(inputs) == 1:
            raise Mismatch("`concat` joins two tensors or more; here is one", input=0, help="a, b -> concat")
        xs, place = self.laid(inputs)
        i = max(range(len(xs)), key=lambda k: (inputs[k].rank, xs[k].shape[0] != 1))
        first = xs[i]
        if first.roles[:1] == (Role.BATCH,):
            first = first.with_axis(0, next((x.axes[0] for x in xs if x.shape[0] != 1), first.axes[0]))
        axes = list(first.axes)
        for k, other in enumerate(xs):
            if other.dtype != first.dtype:
                raise Mismatch(f"`concat` of `{first}` and `{other}`: elements of two kinds", input=k)
            for j, (mine, theirs) in enumerate(zip(first.axes, other.axes, strict=True)):
                if j == place or mine.size == theirs.size or (mine.role is Role.BATCH and theirs.size == 1):
                    continue
                if theirs.size == 1 and inputs[k].find(mine.role) is None:  # an axis that it lacks stretches
                    continue
                _agree(at, self.op, mine, theirs, inputs[i], inputs[k], k)
        total: Dim = 0
        for x in xs:
            total = total + x.shape[place]
        segments = _joined(xs, place) if first.roles[place] is Role.POSITION else ()
        axes[place] = Axis(first.roles[place], total, segments)
        return (Tensor(tuple(axes), first.dtype),)

    def laid(self, inputs: tuple[Tensor, ...]) -> tuple[list[Tensor], int]:
        """The inputs with all axes of the widest, and the place of the axis they are joined along.

        Raises:
            Mismatch: layouts that do not go together.
        """
        wide = max(inputs, key=lambda x: x.rank)
        along = None if self.axis is None else axis_place(wide, self.axis, self.op)
        xs = [_widened(x, wide, k, along) for k, x in enumerate(inputs)]
        if along is not None:
            return xs, along
        sequence = wide.layout in ("tokens", "ids") or wide.roles == (Role.POSITION, Role.CHANNEL)
        place = wide.find(Role.POSITION if sequence else Role.CHANNEL)
        if place is None:
            raise Mismatch(
                f"`concat` does not know along which axis to join `{wide}`", input=0, help='`axis=0`, or a letter'
            )
        return xs, place


def _widened(x: Tensor, wide: Tensor, input: int, along: int | None) -> Tensor:
    """`x` with the axes it lacks, of size 1: batch and position alone, any where it is joined along another axis."""
    at_axes = places(x, wide)
    missing = set(range(wide.rank)) - set(at_axes or ())
    stretches = along is not None and along not in missing
    if at_axes is None or (not stretches and any(wide.roles[i] not in (Role.BATCH, Role.POSITION) for i in missing)):
        raise Mismatch(f"`concat` cannot join `{x}` to `{wide}`", input=input, help=_layout_help(x, wide))
    if missing and x.roles[:1] == (Role.BATCH,) and not stretches:
        raise Mismatch(
            f"`concat` cannot join the vector `{x}` to `{wide}`", input=input,
            help="`take(..., keep=True)` keeps one position",
        )
    made = dict(zip(at_axes, x.axes, strict=True))
    origin = x.axes[-1].segments if x.rank == 1 else ()
    new = {i: Axis(wide.roles[i], 1, origin if wide.roles[i] is Role.POSITION else ()) for i in missing}
    axes = [made[i] if i in made else new[i] for i in range(wide.rank)]
    if x.rank == 1:
        axes[-1] = Axis(Role.CHANNEL, x.shape[0])
    return Tensor(tuple(axes), x.dtype)


def _agree(at: Site, op: str, mine: Axis, theirs: Axis, first: Tensor, other: Tensor, input: int) -> None:
    word = mine.role.value
    if isinstance(mine.size, int) and isinstance(theirs.size, int):
        raise Mismatch(
            f"`{op}` of `{first}` and `{other}`: the {word} axes have {mine.size} and {theirs.size}", input=input,
            help=_width_help(mine.role, mine.size, theirs.size),
        )
    at.same(mine.size, theirs.size, f"the {word} axes of `{first}` and `{other}`, which `{op}` joins")


def _joined(xs: list[Tensor], place: int) -> tuple[Segment, ...]:
    """The segments one after the other; an axis that knows no parts is one."""
    found: list[Segment] = []
    for x in xs:
        found += x.axes[place].segments or (Segment(x.shape[place]),)
        if len(found) > limits.SEGMENTS:
            raise Mismatch(f"the positions would have more than {limits.SEGMENTS} segments", code="A509",
                           help="`rearrange` or `transpose` sets segments aside")
    return tuple(found)


class Stack(Primitive):
    """Vectors side by side as tokens, one position each.

    Shapes: n times `B C` -> `B n C`.
    """

    op: ClassVar[str] = "stack"
    family: ClassVar[Family] = "merge"
    inputs: ClassVar[tuple[str, ...]] = ("*xs",)

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        first = inputs[0]
        for k, x in enumerate(inputs):
            if x.layout != "vector" or x.dtype != first.dtype:
                raise Mismatch(
                    f"`stack` puts vectors `B C` side by side; here comes `{x}`", input=k,
                    help="`concat` joins tokens and images",
                )
            for mine, theirs in zip(first.axes, x.axes, strict=True):
                if mine.size != theirs.size:
                    _agree(at, self.op, mine, theirs, first, x, k)
        return (tokens(first.shape[0], len(inputs), first.shape[1]).of(first.dtype),)


class Split(Primitive):
    """Cuts the channels into parts that follow each other: n equal ones, or a list of widths.

    Shapes: any layout, `... C` -> n times `... C / n`. `per_head=h` cuts inside each of h groups of channels; a list
    then gives the widths inside one group.
    """

    op: ClassVar[str] = "split"
    family: ClassVar[Family] = "layout"
    parts: ClassVar[bool] = True

    n: Count | tuple[Count, ...]
    per_head: Count = 1

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        place = channel_place(x, self.op)
        width = self.inside(at, x.shape[place])
        if isinstance(self.n, int):
            if self.n > limits.LIST:
                raise Mismatch(f"`split` makes at most {limits.LIST:,} parts", setting="n", code="A509")
            if isinstance(width, int) and width % self.n:
                raise Mismatch(
                    f"{width} channels do not divide into {self.n} parts", setting="n", input=0, code="A203",
                    help=f"numbers that divide {width}: {divisors(width)}",
                )
            widths: tuple[Dim, ...] = (at.divide(width, self.n, f"`split` of `{x}` into {self.n} parts"),) * self.n
        else:
            widths = self.n
            total = sum(self.n)
            if isinstance(width, int) and total != width:
                where = " of each head" if self.per_head > 1 else ""
                raise Mismatch(
                    f"the parts {' + '.join(map(str, self.n))} = {total} are not the {width} channels{where}",
                    setting="n", input=0,
                )
            at.same(width, total, f"the channels of `{x}` and the parts of `split`")
        return tuple(x.resized(place, part * self.per_head) for part in widths)

    def inside(self, at: Site, width: Dim) -> Dim:
        """The channels of one head."""
        if isinstance(width, int) and width % self.per_head:
            raise Mismatch(
                f"width {width} does not divide into {self.per_head} heads", setting="per_head", input=0, code="A203",
                help=f"heads that divide {width}: {divisors(width)}",
            )
        return at.divide(width, self.per_head, "the channels of one head in `split`")
