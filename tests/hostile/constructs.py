"""Lines of random networks (`generator.py`) that take more than one line: lists, loops that carry, recurrence, what
calls decide, patterns and biases as values, regrouped axes, contractions, given weights, numbers that are solved for.

Each is right by construction, and says the shape it comes to in numbers of its own.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from dataclasses import replace
from typing import Any

__all__ = ["ABOVE", "Constructs"]

ABOVE = """\
pattern close(reach=2):
    allow abs(q.index - k.index) <= reach

block Both:
    input maps: [B C H W]
    maps[0] + maps[-1]
    _, maps[0] -> concat

block Maybe:
    input x: ... C, other?: ... C
    relu
    other or x

"""
"""Definitions that the lines below use."""


class Constructs:
    """Methods of the generator's writer: each writes its lines and gives the shape of the flow after them."""

    random: random.Random
    start: Any
    """The shape of the inputs `x` and `extra?`."""
    solved = False
    """Whether there is a `?`."""

    @abstractmethod
    def _write(self, text: str, depth: int, shape: Any) -> None:
        """A line; with a shape, perhaps with a promise."""

    @abstractmethod
    def _name(self) -> str:
        """A new name."""

    def _more(self, flow: Any, keep: bool) -> list[str]:
        """The constructs that fit a flow."""
        kinds = ["list", "carried", "training", "maybe"]
        if flow == self.start:
            kinds += ["optional", "either"]
        if flow.tokens:
            kinds += ["scan", "contraction"]
        if not flow.image:
            kinds.append("given")
        if flow.tokens and flow.channels % 2 == 0:
            kinds += ["pattern_value", "bias"]
        if not keep and flow.image:
            kinds += ["list_port", "regrouped", "exchanged", "solved_for"]
        return kinds

    def _list(self, flow: Any, depth: int, top: bool, keep: bool) -> Any:
        here, items = self._here(depth), self._name()
        self._write(f"{items} = [{here}, {here} * 2] + [{here}]", depth, None)
        how = self.random.choice([f"{items}[0] + {items}[-1]", f"{items}[1:][1] * len({items})",
                                  f"reversed({items})[0] - {items}[0]"])
        self._write(how, depth, flow)
        return flow

    def _here(self, depth: int) -> str:
        """A name for what flows."""
        name = self._name()
        self._write(f"{name} = tanh", depth, None)
        return name

    def _list_port(self, flow: Any, depth: int, top: bool, keep: bool) -> Any:
        here = self._here(depth)
        made = replace(flow, channels=2 * flow.channels)
        self._write(f"[{here}, {here}] -> Both", depth, made)
        return made

    def _carried(self, flow: Any, depth: int, top: bool, keep: bool) -> Any:
        value, number = self._name(), self._name()
        self._write(f"repeat {self.random.choice([2, 3])} with {value} = _, {number} = 1:", depth, None)
        self._write(f"next {value} = {value} * {number} + _", depth + 1, None)
        self._write(f"next {number} = {number} + 1", depth + 1, None)
        self._write("relu", depth, flow)
        return flow

    def _scan(self, flow: Any, depth: int, top: bool, keep: bool) -> Any:
        here, seen, one, state = self._here(depth), self._name(), self._name(), self._name()
        self._write(f"{seen} = scan {one} in {here} with {state} = zeros({flow.channels}):", depth, None)
        self._write(f"next {state} = {state} / 2 + {one}", depth + 1, None)
        self._write(f"emit {state}", depth + 1, None)
        self._write(f"{seen} + {here}", depth, flow)  # with the grid of `here`
        return flow

    def _training(self, flow: Any, depth: int, top: bool, keep: bool) -> Any:
        self._write("if training:", depth, None)
        self._write("dropout(0.1)", depth + 1, flow)
        if self.random.random() < 0.5:
            self._write("else:", depth, None)
            self._write("_ * 2", depth + 1, flow)
        self._write("relu", depth, flow)
        return flow

    def _optional(self, flow: Any, depth: int, top: bool, keep: bool) -> Any:
        self._write("if extra:", depth, None)
        self._write("_ + extra", depth + 1, flow)
        self._write("relu", depth, flow)
        return flow

    def _either(self, flow: Any, depth: int, top: bool, keep: bool) -> Any:
        self._write("_ + (extra or x)", depth, flow)
        return flow

    def _maybe(self, flow: Any, depth: int, top: bool, keep: bool) -> Any:
        here = self._here(depth)
        self._write(self.random.choice([f"{here} -> Maybe", f"{here}, {here} -> Maybe"]), depth, flow)
        return flow

    def _pattern_value(self, flow: Any, depth: int, top: bool, keep: bool) -> Any:
        over, name = self._name(), self._name()
        near = self.random.choice(["close", "close(3)", "sliding(3)", 'axial("row")', "window(2)"])
        other = self.random.choice(["self", "strided(2)", "close(reach=1)", "~causal"])
        value = self.random.choice([f"{near} | {other} | self", f"per_head([{near}, dense])", 'kernel("elu")',
                                    "linformer(2)", f"{near} if width > 2 else dense"])
        self._write(f"{over} = {value}", depth, None)
        self._write(f"{name} = attend(2, over={over})", depth, flow)
        return flow

    def _bias(self, flow: Any, depth: int, top: bool, keep: bool) -> Any:
        table, size = self._name(), f"{flow.height}x{flow.width}"
        made = self.random.choice([f"relative_bias(2, {size})", "alibi(2)"])
        self._write(f"{table} = {made}", depth, None)
        self._write(f"attend(2, bias={table})", depth, flow)
        return flow

    def _letters(self, depth: int) -> list[str]:
        """The line above, with a letter of its own for each axis of an image."""
        letters = [self._name() for _ in range(3)]
        self._write(f"relu : B {' '.join(letters)}", depth, None)
        return letters

    def _regrouped(self, flow: Any, depth: int, top: bool, keep: bool) -> Any:
        c, h, w = self._letters(depth)
        self._write(f"rearrange : B ({h} {w}) {c}", depth, None)
        made = replace(flow, tokens=True)
        self._write("tanh", depth, made)
        return made

    def _exchanged(self, flow: Any, depth: int, top: bool, keep: bool) -> Any:
        c, h, w = self._letters(depth)
        self._write(f"rearrange : B {w} {h} {c}", depth, None)
        made = replace(flow, channels=flow.width, width=flow.channels)
        self._write("tanh", depth, made)
        return made

    def _contraction(self, flow: Any, depth: int, top: bool, keep: bool) -> Any:
        a, b, scores = self._name(), self._name(), self._name()
        n, m, c = self._name(), self._name(), self._name()
        self._write(f"{a} = relu : B {n} {c}", depth, None)
        self._write(f"{b} = tanh : B {m} {c}", depth, None)
        self._write(f"{scores} = {a}, {b} -> dot : B {n} {m}", depth, None)
        self._write(f"{scores}, {b} -> matmul : B {flow.height * flow.width} {flow.channels}", depth, None)
        self._write(f"_ + {a}", depth, flow)
        return flow

    def _given(self, flow: Any, depth: int, top: bool, keep: bool) -> Any:
        weight, name, here = self._name(), self._name(), self._here(depth)
        self._write(f"{weight} = learned({2 * flow.channels}, {flow.channels})", depth, None)
        part = self.random.choice([f"{weight}[: {flow.channels}]", f"{weight}[{flow.channels} :]"])
        self._write(f"{name} = {here} -> linear({flow.channels}, weight={part}, bias=False)", depth, flow)
        return flow

    def _solved_for(self, flow: Any, depth: int, top: bool, keep: bool) -> Any:
        out = self.random.choice([2, 4, 6])
        made = replace(flow, channels=out)
        if self.solved:
            self._write(f"{self._name()} = conv({out}, 1x1)", depth, made)
            return made
        self.solved = True
        self._write(f"{self._name()} = conv(?, 1x1)", depth, None)
        self._write(f"relu : B {out} {flow.height} {flow.width}", depth, None)
        return made
