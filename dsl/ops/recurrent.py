"""Recurrent layers and their cells, with the weights and gates of torch."""

from __future__ import annotations

from typing import ClassVar

from ogive.dsl.dims import Dim
from ogive.dsl.ops.record import Family, Init, Mismatch, Primitive, Site, Weight
from ogive.dsl.ops.settings import STD, Count, Filling, Positive, Rate, bias_init, floats
from ogive.dsl.types import Role, Tensor, vector

__all__ = ["Cell", "Gru", "GruCell", "Lstm", "LstmCell", "Recurrent", "Rnn", "RnnCell"]


def _gates(suffix: str, rows: int, width: int, hidden: int, init: Init, std: float) -> tuple[Weight, ...]:
    """The two matrices and the two biases of one cell."""
    return (
        Weight(f"weight_ih{suffix}", (rows, width), init, std=std),
        Weight(f"weight_hh{suffix}", (rows, hidden), init, std=std),
        Weight(f"bias_ih{suffix}", (rows,), bias_init(init)),
        Weight(f"bias_hh{suffix}", (rows,), bias_init(init)),
    )


class Recurrent(Primitive):
    """What the layers share: a sequence in, a sequence and the last states out."""

    family: ClassVar[Family] = "linear"
    gates: ClassVar[int] = 1

    hidden: Count
    layers: Count = 1
    bidirectional: bool = False
    dropout: Rate = 0.0
    init: Filling = "torch"
    std: Positive = STD

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        floats(x, self.op)
        if x.layout != "tokens":
            raise Mismatch(
                f"`{self.op}` runs along the positions of `B N C`; here comes `{x}`", input=0,
                help=f"`{self.op}_cell` is one step on vectors" if x.layout == "vector" else
                "`to_tokens` turns an image into tokens" if x.layout == "image" else None,
            )
        if self.dropout and self.layers == 1:
            raise Mismatch("`dropout` acts between layers; here is 1", setting="dropout",
                           help="`layers=2`, or a `dropout` line behind this one")
        states = len(self.results) - 1
        last = vector(x.shape[0], self.hidden)
        return (x.resized(2, self.hidden * self.directions), *[last] * (states * self.layers * self.directions))

    def widths(self, width: int) -> list[int]:
        """The width that each layer sees."""
        return [width] + [self.hidden * self.directions] * (self.layers - 1)

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        width = at.number(inputs[0].shape[2], f"the width that `{self.op}` sees")
        rows = self.gates * self.hidden
        found: list[Weight] = []
        for layer, wide in enumerate(self.widths(width)):
            for back in ("", "_reverse")[: self.directions]:
                found += _gates(f"_l{layer}{back}", rows, wide, self.hidden, self.init, self.std)
        return tuple(found)

    def macs(self, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Dim:
        rows = self.gates * self.hidden * self.directions
        wide = inputs[0].shape[2] + (self.layers - 1) * self.hidden * self.directions
        return inputs[0].shape[0] * inputs[0].shape[1] * rows * (wide + self.layers * self.hidden)


class Rnn(Recurrent):
    """Layers of h' = tanh(W_ih x + b_ih + W_hh h + b_hh) along a sequence, from zeros on (Elman 1990).

    Shapes: `B N C` -> `B N hidden`, twice as wide when `bidirectional`. `.h` is the list of last states `B hidden`, one
    per layer, and per direction: forward 0, backward 0, forward 1, ... `dropout` acts between layers.
    Weights per layer: weight_ih_l0 [hidden, C], weight_hh_l0 [hidden, hidden], bias_ih_l0, bias_hh_l0 [hidden]; those
    of the way back end in _reverse.
    """

    op: ClassVar[str] = "rnn"
    results: ClassVar[tuple[str, ...]] = ("", "*h")


class Gru(Recurrent):
    """Gated recurrent layers (Cho et al. 2014, arXiv:1406.1078), the reset gate inside W_hn h + b_hn as in torch.

    Shapes, `.h` and keys: as `rnn`; the weights hold the gates r, z, n: [3 hidden, ...].
    """

    op: ClassVar[str] = "gru"
    results: ClassVar[tuple[str, ...]] = ("", "*h")
    gates: ClassVar[int] = 3


class Lstm(Recurrent):
    """Long short-term memory layers (Hochreiter and Schmidhuber 1997), with forget gates.

    Shapes, `.h` and keys: as `rnn`; `.c` is the list of last cell states. The weights hold the gates i, f, g, o:
    [4 hidden, ...].
    """

    op: ClassVar[str] = "lstm"
    results: ClassVar[tuple[str, ...]] = ("", "*h", "*c")
    gates: ClassVar[int] = 4


class Cell(Primitive):
    """What the cells share: one step of one layer."""

    family: ClassVar[Family] = "linear"
    inputs: ClassVar[tuple[str, ...]] = ("x", "h")
    gates: ClassVar[int] = 1

    hidden: Count
    init: Filling = "torch"
    std: Positive = STD

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        for i, x in enumerate(inputs):
            floats(x, self.op, i)
            bare = i > 0 and x.roles == (Role.CHANNEL,)
            if x.layout != "vector" and not bare:
                raise Mismatch(
                    f"`{self.op}` is one step on vectors `B C`; here comes `{x}`", input=i,
                    help=f"`{self.op.removesuffix('_cell')}` runs along a sequence" if x.layout == "tokens" else None,
                )
            if i > 0:
                if isinstance(x.shape[-1], int) and x.shape[-1] != self.hidden:
                    raise Mismatch(f"the state `{x}` is not {self.hidden} wide", setting="hidden", input=i,
                                   help=f"`{self.op}({x.shape[-1]})`")
                at.same(x.shape[-1], self.hidden, f"the width of the state of `{self.op}`")
                if not bare and x.shape[0] != 1:
                    at.same(x.shape[0], inputs[0].shape[0], f"the batch of `{self.op}` and of its state")
        return (vector(inputs[0].shape[0], self.hidden),) * len(self.results)

    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        width = at.number(inputs[0].shape[1], f"the width that `{self.op}` sees")
        return _gates("", self.gates * self.hidden, width, self.hidden, self.init, self.std)

    def macs(self, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Dim:
        return inputs[0].shape[0] * self.gates * self.hidden * (inputs[0].shape[1] + self.hidden)


class RnnCell(Cell):
    """One step h' = tanh(W_ih x + b_ih + W_hh h + b_hh).

    Shapes: `B C`, `B hidden` -> `B hidden`; a state without a batch, or with one of 1, stands for all rows.
    Weights: weight_ih [hidden, C], weight_hh [hidden, hidden], bias_ih, bias_hh [hidden].
    """

    op: ClassVar[str] = "rnn_cell"


class GruCell(Cell):
    """One step of a gated recurrent unit (Cho et al. 2014, arXiv:1406.1078), gates r, z, n.

    Shapes: as `rnn_cell`. Weights: as there, [3 hidden, ...].
    """

    op: ClassVar[str] = "gru_cell"
    gates: ClassVar[int] = 3


class LstmCell(Cell):
    """One step of long short-term memory (Hochreiter and Schmidhuber 1997), gates i, f, g, o.

    Shapes: `B C`, `B hidden` (h), `B hidden` (c) -> `.h`, `.c`, each `B hidden`; the first is the value of the line.
    Weights: as `rnn_cell`, [4 hidden, ...].
    """

    op: ClassVar[str] = "lstm_cell"
    inputs: ClassVar[tuple[str, ...]] = ("x", "h", "c")
    results: ClassVar[tuple[str, ...]] = ("h", "c")
    gates: ClassVar[int] = 4
