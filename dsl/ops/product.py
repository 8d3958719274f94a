"""Products of tensors that sum over an axis."""

from __future__ import annotations

from typing import ClassVar

from ogive.dsl.dims import Dim
from ogive.dsl.ops.activation import AXES, axis_place
from ogive.dsl.ops.plane import area
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Site
from ogive.dsl.ops.settings import floats
from ogive.dsl.types import SPATIAL, Axis, Role, Segment, Tensor

__all__ = ["Dot", "Matmul"]


class Dot(Primitive):
    """The product of two tensors, summed over an axis of both: the channels unless said otherwise.

    Axes with one letter in the two annotations are one axis; the others stay, those of `a` first. Where a letter is
    missing, batches are one axis, and so are heads, and axes of one role and one size.

    Shapes: `B N C`, `B M C` -> `B N M`; `B C`, `B N C` -> `B N`; with `dot(N)`: `B N`, `B N C` -> `B C`.
    """

    op: ClassVar[str] = "dot"
    family: ClassVar[Family] = "merge"
    inputs: ClassVar[tuple[str, ...]] = ("a", "b")
    told: ClassVar[frozenset[str]] = frozenset({"letters"})

    axis: str | int = "C"
    letters: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        a, b = inputs
        for i, x in enumerate(inputs):
            floats(x, self.op, i)
        (i, j), pairs = self.plan(a, b)
        self._agree(at, a, b, i, j, "the axis it sums over")
        for theirs, mine in pairs.items():
            if 1 not in (a.shape[mine], b.shape[theirs]):
                self._agree(at, a, b, mine, theirs, "an axis they share")
        shared = {mine: b.axes[theirs] for theirs, mine in pairs.items()}
        axes = [shared[k] if k in shared and axis.size == 1 else axis for k, axis in enumerate(a.axes) if k != i]
        axes += [axis for k, axis in enumerate(b.axes) if k != j and k not in pairs]
        return (Tensor(_roles(axes)),)

    def _agree(self, at: Site, a: Tensor, b: Tensor, i: int, j: int, what: str) -> None:
        m, n = a.shape[i], b.shape[j]
        if isinstance(m, int) and isinstance(n, int) and m != n:
            raise Mismatch(f"`dot` of `{a}` and `{b}`: {what} has {m} and {n}", input=1,
                           help=f"`linear({m})` in front of the second makes the widths agree"
                           if b.roles[j] is Role.CHANNEL else None)
        at.same(m, n, f"{what} in `dot` of `{a}` and `{b}`")

    def plan(self, a: Tensor, b: Tensor) -> tuple[tuple[int, int], dict[int, int]]:
        """The places of the axis that is summed over, and for each axis of `b` that is one of `a`'s the latter's place.

        Raises:
            Mismatch: there is no such axis, or it cannot be told whether two axes are one.
        """
        i, j = (self._place(x, k) for k, x in enumerate((a, b)))
        pairs: dict[int, int] = {}
        for theirs in range(b.rank):
            for mine in range(a.rank):
                free = theirs != j and mine != i and theirs not in pairs and mine not in pairs.values()
                if free and self._one(a, b, mine, theirs):
                    pairs[theirs] = mine
        return (i, j), pairs

    def _place(self, x: Tensor, input: int) -> int:
        letters = self.letters[input]
        if isinstance(self.axis, str) and self.axis != "C" and self.axis in letters:
            return letters.index(self.axis)
        if isinstance(self.axis, int) or self.axis in AXES:
            return axis_place(x, self.axis, self.op)
        raise Mismatch(f"`{x}` has no axis `{self.axis}` for `dot`", setting="axis", input=input,
                       help=f"its annotation names {', '.join(filter(None, letters)) or 'none'}; `C` are the channels")

    def _one(self, a: Tensor, b: Tensor, mine: int, theirs: int) -> bool:
        first, second = (
            letters[k] if k < len(letters) else "" for letters, k in zip(self.letters, (mine, theirs), strict=True)
        )
        if first and second:
            return first == second
        one, other = a.axes[mine], b.axes[theirs]
        if one.role is not other.role:
            return False
        if one.role is Role.BATCH or one.size != other.size:
            return one.role is Role.BATCH
        if one.role is Role.HEAD:
            return True
        if isinstance(one.size, int) and (not one.segments or one.segments != other.segments):
            raise Mismatch(
                f"`dot` cannot tell whether the {one.role.value} axes of `{a}` and `{b}` are one axis", input=1,
                help="name them where these are made, `: B N C` and `: B M C`: one letter is one axis",
            )
        return True

    def macs(self, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Dim:
        (i, _), _ = self.plan(*inputs)
        return area(outputs[0].shape) * inputs[0].shape[i]


def _roles(axes: list[Axis]) -> tuple[Axis, ...]:
    """Axes of two tensors as one layout: what is there twice, or stands beside rows, becomes channels or positions."""
    roles = [axis.role for axis in axes]
    if roles.count(Role.CHANNEL) == 2 and Role.POSITION not in roles:
        roles[roles.index(Role.CHANNEL)] = Role.POSITION
    elif Role.CHANNEL not in roles:
        twice = [k for k, role in enumerate(roles) if role in roles[:k]]
        beside = [k for k, role in enumerate(roles) if role is Role.POSITION and any(r in SPATIAL for r in roles)]
        for k in (twice or beside)[-1:]:
            roles[k] = Role.CHANNEL
    made: list[Axis] = []
    for role, axis in zip(roles, axes, strict=True):
        if any(role is other.role for other in made):
            role = Role.OTHER
        made.append(axis if role is axis.role else Axis(role, axis.size))
    return tuple(made)


class Matmul(Primitive):
    """The matrix product of the last two axes, as in torch: row n of `a` with column m of `b`.

    Shapes: `B N K`, `B K M` -> `B N M`; axes before the last two are shared, and `b` may have the last two alone.
    """

    op: ClassVar[str] = "matmul"
    family: ClassVar[Family] = "merge"
    inputs: ClassVar[tuple[str, ...]] = ("a", "b")

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        a, b = inputs
        for i, x in enumerate(inputs):
            floats(x, self.op, i)
        if a.rank < 2 or b.rank < 2 or b.rank not in (2, a.rank) or (b.rank == 2 and b.roles[0] is Role.BATCH):
            raise Mismatch(f"`matmul` of `{a}` and `{b}`: no two matrices", input=1,
                           help="`dot` multiplies along one axis, whatever the layouts")
        if a.shape[-1] != b.shape[-2] and isinstance(a.shape[-1], int) and isinstance(b.shape[-2], int):
            raise Mismatch(f"`matmul` of `{a}` and `{b}`: rows of {a.shape[-1]} and columns of {b.shape[-2]}", input=1)
        at.same(a.shape[-1], b.shape[-2], f"the rows of `{a}` and the columns of `{b}` in `matmul`")
        axes = list(a.axes)
        for k in range(b.rank - 2):
            if axes[k].size == 1:
                axes[k] = Axis(axes[k].role, b.shape[k])
            elif b.shape[k] != 1:
                at.same(axes[k].size, b.shape[k], f"axis {k} of `{a}` and `{b}` in `matmul`")
        last = axes[-1].role
        size = b.shape[-1]
        axes[-1] = Axis(last, size, (Segment(size, (), at.node),) if last is Role.POSITION else ())
        return (Tensor(tuple(axes)),)

    def macs(self, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Dim:
        return area(outputs[0].shape) * inputs[0].shape[-1]
