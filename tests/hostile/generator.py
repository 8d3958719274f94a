"""Random networks that are right by construction, with the shape of every line from a model of its own.

The model knows an image (channels, height and width), tokens (positions, channels) and a vector. It shares no code
with the checker: a size here is a number, and what an op does to it stands in `Writer` in words of arithmetic.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hostile.constructs import ABOVE, Constructs

__all__ = ["Made", "network"]


@dataclass(frozen=True)
class Shape:
    """An image where `grid` is two numbers and `tokens` is false; tokens; a vector without a grid."""

    channels: int
    height: int = 0
    width: int = 0
    tokens: bool = False

    @property
    def image(self) -> bool:
        return self.height > 0 and not self.tokens

    @property
    def vector(self) -> bool:
        return self.height == 0

    @property
    def numbers(self) -> tuple[int, ...]:
        """The sizes behind the batch, as a graph has them."""
        if self.vector:
            return (self.channels,)
        if self.tokens:
            return (self.height * self.width, self.channels)
        return (self.channels, self.height, self.width)

    def promised(self, random_: random.Random) -> str:
        """What a line may promise: numbers, or the grid of the positions."""
        if self.tokens and random_.random() < 0.5:
            return f"B ({self.height} {self.width}) {self.channels}"
        return " ".join(["B", *map(str, self.numbers)])


@dataclass
class Made:
    """A text, the shape of its result, and the lines with a promise: their number (from 1) and their sizes."""

    text: str
    name: str
    input: tuple[int, ...]
    result: tuple[int, ...]
    promises: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    named: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Keys of lines at the top, with their shapes."""
    solved: bool = False
    """Whether a number in it is `?`: another promise may then ask for another number."""


def network(seed: int, lines: int = 12) -> Made:
    """A network of some lines; the same for the same seed."""
    return _Writer(random.Random(seed), lines).network()


class _Writer(Constructs):
    def __init__(self, random_: random.Random, lines: int) -> None:
        self.random = random_
        self.left = lines
        self.lines: list[str] = []
        self.names = 0
        self.made: list[tuple[str, Shape, int]] = []  # names that can be read here: name, shape, depth of its scope
        self.promises: list[tuple[int, tuple[int, ...]]] = []
        self.named: dict[str, tuple[int, ...]] = {}
        self.blocks: dict[str, str] = {}  # name: what it does to a shape
        self.derived = False

    # ------------------------------------------------------------------------------------ the file
    def network(self) -> Made:
        r = self.random
        start = Shape(r.choice([2, 4, 6, 8]), r.choice([4, 8, 12]), r.choice([4, 8, 16]))
        self.start = start
        self.lines += ABOVE.splitlines()
        self._blocks()
        with_presets = r.random() < 0.4
        width = r.choice([2, 4, 8])
        if with_presets:
            self.lines += ["network N(width, act: op = relu, norm: op = batchnorm):", "    presets  width  act:",
                           f"        S    {width}      -", f"        M    {width}      gelu"]
        else:
            self.lines.append(f"network N(width={width}, act: op = relu, norm: op = batchnorm):")
        self.width = width
        shape = f"B {start.channels} H={start.height} W={start.width}"
        self.lines.append(f"    input x: {shape}, extra?: {shape}")
        self.made.append(("x", start, 1))
        result = self._suite(start, 1, True)
        name = "N.S" if with_presets else "N"
        if r.random() < 0.3:
            self.lines.append(f"network D = {name}(act=tanh)")
        text = "\n".join(self.lines) + "\n"
        return Made(text, name, start.numbers, result.numbers, self.promises, self.named, self.solved)

    def _blocks(self) -> None:
        """Parts: one keeps a shape, one has a width, one halves an image."""
        r = self.random
        if r.random() < 0.7:
            self.lines += ["block Keep(act: op = relu):", "    input x: ... C", "    act", "    residual:",
                           "        tanh", ""]
            self.blocks["Keep"] = "keep"
        if r.random() < 0.7:
            self.lines += ["block Widen(out, size=3x3):", "    input x: B C H W", "    conv = conv(out, size)",
                           "    bn = batchnorm", "    relu                            : B out H W", ""]
            self.blocks["Widen"] = "widen"
        if r.random() < 0.5:
            self.lines += ["block Mix(ratio=2):", "    input x: B N C", "    residual:", "        norm = layernorm",
                           "        fc1 = linear(ratio * C)       : B N ratio*C", "        gelu",
                           "        fc2 = linear(C)", ""]
            self.blocks["Mix"] = "mix"

    # ------------------------------------------------------------------------------------ lines
    def _suite(self, flow: Shape, depth: int, top: bool, keep: bool = False) -> Shape:
        """Lines one below the other; `keep` ends with the shape it began with."""
        r = self.random
        start = flow
        scope = len(self.made)
        for _ in range(r.randint(1, 4) if depth > 1 else self.left):
            if self.left <= 0:
                break
            self.left -= 1
            flow = self._line(flow, depth, top, keep)
        if keep and flow != start:
            raise AssertionError("what keeps its shape did not")
        if len(self.lines[-1]) - len(self.lines[-1].lstrip()) < 4 * depth:  # a body has a line
            self._write("identity", depth, flow)
        if not top:
            del self.made[scope:]
        return flow

    def _write(self, text: str, depth: int, shape: Shape | None) -> None:
        promise = ""
        if shape is not None and self.random.random() < 0.5:
            promise = " : " + shape.promised(self.random)
        self.lines.append("    " * depth + text + promise)
        if promise and shape is not None:
            self.promises.append((len(self.lines), shape.numbers))

    def _name(self) -> str:
        self.names += 1
        return f"v{self.names}"

    def _line(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        r = self.random
        kinds = ["act", "named", "sum", "scale", "number", "norm", "dropout"]
        if depth < 4:
            kinds += ["residual", "scope", "repeat", "if", "assert"]
        kinds += [f"block {name}" for name, what in self.blocks.items()
                  if what == "keep" or (what == "widen" and flow.image) or (what == "mix" and flow.tokens)]
        if not keep:
            kinds += ["linear"]
            if flow.image:
                kinds += ["conv", "conv", "pool", "to_tokens", "global_pool", "split", "concat", "append"]
            if flow.tokens:
                kinds += ["to_image", "concat_channels"]
        if flow.tokens and flow.channels % 2 == 0:
            kinds.append("attend")
        kind = r.choice(self._more(flow, keep) if r.random() < 0.3 else kinds)
        if kind.startswith("block "):
            return self._block(kind[6:], flow, depth, keep)
        return getattr(self, f"_{kind}")(flow, depth, top, keep)

    def _act(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        self._write(self.random.choice(["relu", "gelu", "tanh", "act", "sigmoid", "x0 -> relu".replace("x0", "_")]),
                    depth, flow)
        return flow

    def _named(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        name = self._name()
        self._write(f"{name} = {self.random.choice(['relu', 'tanh'])}", depth, flow)
        self.made.append((name, flow, depth))
        if top and depth == 1:
            self.named[name] = flow.numbers
        return flow

    def _sum(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        like = [name for name, shape, _ in self.made if shape == flow]
        other = self.random.choice([*like, "_"])
        self._write(f"_ {self.random.choice('+-*')} {other}", depth, flow)
        return flow

    def _scale(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        self._write(self.random.choice(["_ * 2", "_ + 0.5", "_ / 4", "1 - _", "-_", "_ * width / 3"]), depth, flow)
        return flow

    def _number(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        name = self._name()
        value = self.random.choice(["2 * width", "width + 1", "[1, 2, width]", "max(3, width)", "width // 2", "C0"])
        self._write(f"{name} = {value.replace('C0', '7 % 4')}", depth, None)
        return flow

    def _norm(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        op = self.random.choice(["batchnorm", "groupnorm(1)", "norm"]) if flow.image else "layernorm"
        self._write(f"{self._name()} = {op}", depth, flow)
        return flow

    def _dropout(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        self._write("dropout(0.1)", depth, flow)
        return flow

    def _assert(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        self._write(f"assert width == {self.width}, \"the width\"", depth, None)
        return flow

    def _linear(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        out = self.random.choice([2, 4, 6])
        made = Shape(out, flow.height, flow.width, flow.tokens)
        name = self._name()
        self._write(f"{name} = linear({out})", depth, made)
        self.made.append((name, made, depth))
        return made

    def _conv(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        r = self.random
        out, kernel, stride = r.choice([2, 4, 8, self.width]), r.choice([1, 3, 5]), r.choice([1, 1, 2])
        pad = r.choice([None, 0, 1, 2])
        width = (kernel - 1) // 2 if pad is None else pad
        sizes = [(n + 2 * width - kernel) // stride + 1 for n in (flow.height, flow.width)]
        if min(sizes) < 1:
            return self._act(flow, depth, top, keep)
        made = Shape(out, *sizes)
        said = "" if pad is None else f", pad={pad}"
        shown = "width" if out == self.width else str(out)
        name = self._name()
        self._write(f"{name} = conv({shown}, {kernel}x{kernel}, stride={stride}{said})", depth, made)
        self.made.append((name, made, depth))
        if top and depth == 1:
            self.named[name] = made.numbers
        return made

    def _pool(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        if flow.height % 2 or flow.width % 2:
            return self._act(flow, depth, top, keep)
        made = Shape(flow.channels, flow.height // 2, flow.width // 2)
        self._write(self.random.choice(["max_pool(2)", "avg_pool(2x2)"]), depth, made)
        return made

    def _to_tokens(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        made = Shape(flow.channels, flow.height, flow.width, True)
        self._write("to_tokens", depth, made)
        return made

    def _to_image(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        made = Shape(flow.channels, flow.height, flow.width)
        self._write("to_image", depth, made)
        return made

    def _global_pool(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        made = Shape(flow.channels)
        self._write("global_pool", depth, made)
        return made

    def _split(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        if flow.channels % 2:
            return self._act(flow, depth, top, keep)
        a, b = self._name(), self._name()
        half = Shape(flow.channels // 2, flow.height, flow.width)
        self._write(f"{a}, {b} = split(2)", depth, None)
        self._write(f"{a} * {b}", depth, half)
        return half

    def _concat(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        like = [(n, s) for n, s, _ in self.made if s.image and (s.height, s.width) == (flow.height, flow.width)]
        if not like:
            return self._act(flow, depth, top, keep)
        name, other = self.random.choice(like)
        made = Shape(flow.channels + other.channels, flow.height, flow.width)
        self._write(f"_, {name} -> concat", depth, made)
        return made

    def _concat_channels(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        made = Shape(2 * flow.channels, flow.height, flow.width, True)
        self._write("_, _ -> concat(C)", depth, made)
        return made

    def _append(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        grown = self.random.choice([2, 4])
        self._write("append:", depth, None)
        self._write(f"{self._name()} = conv({grown}, 3x3)", depth + 1, Shape(grown, flow.height, flow.width))
        return Shape(flow.channels + grown, flow.height, flow.width)

    def _attend(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        over = self.random.choice(["dense", "causal", "sliding(3)"])
        q, k, v = self._name(), self._name(), self._name()
        self._write(f"{self._name()} = linear({3 * flow.channels})", depth, None)
        self._write(f"{q}, {k}, {v} = split(3)", depth, None)
        self._write(f"{q}, {k}, {v} -> attend(2, over={over})", depth, flow)
        return flow

    # ------------------------------------------------------------------------------------ bodies
    def _residual(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        self._write("residual:", depth, None)
        return self._suite(flow, depth + 1, False, keep=True)

    def _scope(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        self._write(f"{self._name()}:", depth, None)
        return self._suite(flow, depth + 1, False, keep)

    def _repeat(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        count = self.random.choice(["2", "3", "width // width", "[4, 5]"])
        self._write(f"repeat {count} as {self._name()}[i{depth}]:", depth, None)
        return self._suite(flow, depth + 1, False, keep=True)

    def _if(self, flow: Shape, depth: int, top: bool, keep: bool) -> Shape:
        truth = self.random.random() < 0.5
        self._write(f"if width {'==' if truth else '>'} {self.width}:", depth, None)
        if truth:
            made = self._suite(flow, depth + 1, False, keep)
            self._write("else:", depth, None)
            self._write("relu", depth + 1, None)
            return made
        self._write("relu", depth + 1, None)
        self._write("else:", depth, None)
        return self._suite(flow, depth + 1, False, keep)

    def _block(self, name: str, flow: Shape, depth: int, keep: bool) -> Shape:
        out = flow.channels if keep else self.random.choice([2, 4, 6])
        settings = {"Keep": self.random.choice(["", "(tanh)", "(act=gelu)"]), "Widen": f"({out}, size=1x1)",
                    "Mix": self.random.choice(["", "(3)"])}[name]
        made = Shape(out, flow.height, flow.width) if name == "Widen" else flow
        self._write(f"{self._name()} = {name}{settings}", depth, made)
        return made
