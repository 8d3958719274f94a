"""The ends of a recurrence: what enters the body of a `scan` each time, and what it comes to."""

from __future__ import annotations

from typing import Any, ClassVar

from ogive.dsl.ops.record import Family, Mismatch, Primitive, Site
from ogive.dsl.types import Axis, Role, Tensor

__all__ = ["Item", "Scan", "State", "stacked"]


class End(Primitive):
    """An end of a recurrence: made by its statement, so there is no setting to show."""

    statement: ClassVar[bool] = True
    family: ClassVar[Family] = "data"

    def settings(self) -> dict[str, Any]:
        return {}


class Item(End):
    """One position of a sequence: what `x` is in `scan x in xs`.

    Shapes: tokens `B (...) C` -> `B C`; ids `B N` -> `B`.
    """

    op: ClassVar[str] = "in"
    inputs: ClassVar[tuple[str, ...]] = ("xs",)

    axis: int = 1
    """The place of the position axis."""

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (inputs[0].without(self.axis),)


class State(End):
    """A carried value: what `state` is in `scan ... with state = start`.

    Shapes: that of the start; a start without a batch is the same for every sample.
    """

    op: ClassVar[str] = "with"
    inputs: ClassVar[tuple[str, ...]] = ("start",)

    batch: Axis | None = None
    """The batch that a start without one, or with one sample, stretches to."""

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        start = inputs[0]
        if self.batch is None:
            return (start,)
        rest = start.axes[1:] if start.axes and start.axes[0].role is Role.BATCH else start.axes
        return (Tensor((self.batch, *rest), start.dtype),)


class Scan(End):
    """A recurrence over positions: its body runs once for each, on what the time before left.

    Inputs: the sequences, the first states, the states that the body leaves, what it emits. Results: the last states,
    then what was emitted, one position for each time.
    """

    op: ClassVar[str] = "scan"
    inputs: ClassVar[tuple[str, ...]] = ("*xs",)

    body: int
    """The region whose nodes are the body."""
    items: tuple[str, ...]
    """Nodes that stand for one position of each sequence."""
    states: tuple[str, ...]
    """Nodes that stand for the carried values."""
    emits: int
    axes: tuple[int, ...]
    """The place of the position axis in each sequence."""


def stacked(emitted: Tensor, positions: Axis) -> Tensor:
    """What `emit` makes over all times: `B C` -> `B T C`.

    Raises:
        Mismatch: no batch stands first.
    """
    if not emitted.axes or emitted.axes[0].role is not Role.BATCH:
        raise Mismatch(f"`emit` takes a tensor with a batch; here is `{emitted}`")
    rest = tuple(Axis(Role.OTHER, a.size) if a.role is Role.POSITION else a for a in emitted.axes[1:])
    return Tensor((emitted.axes[0], positions, *rest), emitted.dtype)
