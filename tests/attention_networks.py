"""Networks of attention drawn at random, ten uses each.

A scene is a sequence of queries and one of keys with their layout, heads and element type; a use is one `attend` on it:
a pattern or a mechanism with bias, mask, score, scale, mixes of heads, rotation. `attention_answers.py` has what they
answer, and what they mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

import torch
from attention_cases import named, pattern_of, predicates, seen
from torch import Tensor

import ogive
from ogive.dsl.patterns import Pattern
from ogive.dsl.patterns.algebra import PerHead
from ogive.dsl.patterns.space import Sequence, Space
from ogive.network import Network

__all__ = ["USES", "Scene", "Use", "numbers", "scenes"]

USES = 10
ANY_SIZES = ("dense", "causal", "causal(offset=2)", "~causal | dense", "per_head([dense, causal])", "dense & causal")
LEAST = 1024  # outputs of a bf16 case, so that its largest error is not one of few
DTYPES = (torch.float32, torch.float64, torch.bfloat16)


@dataclass(frozen=True)
class Use:
    """One `attend`: the lines above it, its settings, and what it is about, in words that a failure shows."""

    name: str
    lines: tuple[str, ...]
    over: str
    settings: tuple[str, ...] = ()
    q: str = "q"
    k: str = "k"

    @property
    def text(self) -> str:
        settings = ", ".join(("HEADS", f"over={self.over}", *self.settings))
        line = f"{self.name} = {self.q}, {self.k}, v -> attend({settings})"
        return "\n".join(f"    {x}" for x in (*self.lines, line))


@dataclass(frozen=True)
class Scene:
    """Where attention takes place, and what is used there. `masks` are inputs: name -> (port, shape, of floats).

    `draw` counts draws of the numbers that it is given.
    """

    number: int
    space: Space
    image: bool
    heads: int
    shared: int
    width: int
    values: int
    batch: int
    dtype: torch.dtype
    above: str
    uses: tuple[Use, ...]
    masks: Mapping[str, tuple[str, tuple[int, ...], bool]] = field(default_factory=dict)
    draw: int = 0

    @property
    def seed(self) -> int:
        """Where the numbers come from."""
        return 1_000 * self.number + 10 * self.draw

    @cached_property
    def text(self) -> str:
        """The network, in the language."""
        own, few = self.heads, self.heads // self.shared
        ports = [
            f"q: {_port(self.space.queries, own * self.width, self.image, 'hw')}",
            f"k: {_port(self.space.keys, few * self.width, self.image, 'ab')}",
            f"v: {_port(self.space.keys, few * self.values, self.image, 'ab')}",
            *(f"{name}: {port}" for name, (port, _, _) in self.masks.items()),
        ]
        uses = "\n".join(use.text.replace("HEADS", str(own)) for use in self.uses)
        results = ", ".join(f"{use.name}={use.name}" for use in self.uses)
        return f"{self.above}\nnetwork Case:\n    input {', '.join(ports)}\n{uses}\n    return {results}\n"

    @cached_property
    def net(self) -> Network:
        """The checked network."""
        return ogive.loads(self.text)

    @cached_property
    def data(self) -> dict[str, Tensor]:
        """q, k, v and the masks; floats are numbers of the scene's element type."""
        generator = torch.Generator().manual_seed(self.seed)
        few = self.heads // self.shared
        sides = (self.space.queries, self.heads * self.width), (self.space.keys, few * self.width), (
            self.space.keys, few * self.values)
        made = {
            name: numbers((self.batch, s.size, c), generator, self.dtype)
            for name, (s, c) in zip("qkv", sides, strict=True)
        }
        for name, (_, shape, floats) in self.masks.items():
            hidden = torch.rand(shape, generator=generator) > 0.6
            if shape[-2:-1] != (1,) and self.number % 2:
                hidden[..., -1, :] = True  # a query that sees nothing
            made[name] = ~hidden
            if floats:
                near = numbers(shape, generator, self.dtype)
                made[name] = near.masked_fill(hidden, float("-inf"))
        return made


def numbers(shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Normal numbers, drawn in float64 and rounded."""
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def _port(s: Sequence, channels: int, image: bool, letters: str) -> str:
    if image:
        return f"B {channels} {s.grid[0]} {s.grid[1]}"
    if len(s.grid) == 1:
        return f"B {s.size} {channels}"
    names = ("t", *letters) if len(s.grid) == 3 else letters
    grid = " ".join(f"{a}={n}" for a, n in zip(names, s.grid, strict=True))
    parts = [str(s.prefix)] * (s.prefix > 0) + [grid] + [str(s.suffix)] * (s.suffix > 0)
    return f"B ({' + '.join(parts)}) {channels}"


# ----------------------------------------------------------------------------------------------------- drawing networks


def scenes(count: int, start: int = 0) -> Iterator[Scene]:
    """So many networks; the same for the same numbers."""
    return (_scene(number) for number in range(start, start + count))


def _scene(number: int) -> Scene:
    draw = Random(f"attention {number}")
    dtype = DTYPES[number % 3]
    space, image = _space(draw, number)
    heads = draw.choice((1, 2, 2, 4, 6))
    shared = draw.choice([n for n in (1, 1, 2, 3) if heads % n == 0])
    width = draw.choice((4, 5, 8, 12))
    values = width if shared > 1 or draw.random() < 0.7 else draw.choice((3, 8, 16))
    each = space.queries.size * heads * values
    batch = max(draw.choice((1, 2, 3)), -(-LEAST // each) if dtype == torch.bfloat16 else 1)
    above, own = "", []
    for i, text in enumerate(predicates(2, len(space.queries.grid), seed=number)):
        above += text.replace("pattern drawn(", f"pattern drawn{i}(") + "\n"
        own.append((f"drawn{i}", text.replace("pattern drawn(", f"pattern drawn{i}(")))
    scene = Scene(number, space, image, heads, shared, width, values, batch, dtype, above, ())
    masks = _masks(draw, scene)
    uses = tuple(_Drawing(draw, scene, own, masks).use(i) for i in range(USES))
    asked = {name: m for name, m in masks.items() if any(f"mask={name}" in use.settings for use in uses)}
    return Scene(number, space, image, heads, shared, width, values, batch, dtype, above, uses, asked)


def _space(draw: Random, number: int) -> tuple[Space, bool]:
    kind = (number // 3) % 8
    if kind == 0:
        return Space.of(draw.randint(5, 23)), False
    if kind == 1:
        n = draw.randint(3, 9)
        m = draw.choice((n * draw.randint(2, 3), draw.randint(9, 20)))
        return Space(Sequence((n,)), Sequence((m,))), False
    if kind == 2:
        return Space.of(draw.randint(2, 3), draw.randint(2, 3), draw.randint(2, 4), prefix=draw.randint(0, 2)), False
    if kind == 3:
        prefix, factors = draw.randint(0, 2), (draw.randint(1, 2), draw.randint(2, 3))
        coarse = draw.randint(2, 3), draw.randint(1, 3)
        fine = tuple(n * f for n, f in zip(coarse, factors, strict=True))
        sides = Sequence(coarse, prefix), Sequence(fine, prefix)
        image = prefix == 0 and draw.random() < 0.5
        return Space(*(sides if draw.random() < 0.5 else sides[::-1])), image
    grid = draw.randint(2, 7), draw.randint(2, 7)
    if kind < 6:
        return Space.of(*grid, prefix=draw.randint(0, 2)), False
    if kind == 6:
        return Space.of(*grid), True
    return Space.of(*grid, prefix=draw.randint(0, 2), suffix=draw.randint(0, 1)), False


def _masks(draw: Random, scene: Scene) -> dict[str, tuple[str, tuple[int, ...], bool]]:
    """Masks that uses may take: of keys, of pairs, of pairs and heads; truth values and floats."""
    n, m, h, b = scene.space.queries.size, scene.space.keys.size, scene.heads, scene.batch
    return {
        "keys": (f"B {m} of bool", (b, m), False),
        "pairs": (f"B {n} {m} of bool", (b, n, m), False),
        "shown": (f"B {h} {n} {m} of bool", (b, h, n, m), False),
        "alike": (f"B 1 {n} {m} of bool", (b, 1, n, m), False),
        "near": (f"B {h} {n} {m}", (b, h, n, m), True),
    }


class _Drawing:
    """One use in the making."""

    def __init__(
        self, draw: Random, scene: Scene, own: list[tuple[str, str]], masks: Mapping[str, object]
    ) -> None:
        self.draw = draw
        self.scene = scene
        self.own = own
        self.masks = tuple(masks)

    def use(self, i: int) -> Use:
        if self.draw.random() < 0.2:
            return self.mechanism(i)
        draw, scene, name = self.draw, self.scene, f"y{i}"
        over = self.pattern()
        lines, settings, q, k = [], [], "q", "k"
        bias = self.bias(over, f"t{i}")
        if bias:
            lines += bias
            settings.append(f"bias=t{i}")
        if draw.random() < 0.35:
            settings.append(f"mask={draw.choice(self.masks)}")
        if draw.random() < 0.35:
            settings.append(f'score="{draw.choice(("cosine", "additive", "distance"))}"')
        self.scaled(i, lines, settings)
        if draw.random() < 0.12:
            for which in draw.choice((("before",), ("after",), ("before", "after"))):
                lines.append(f"{which}{i} = head_mix({scene.heads})")
                settings.append(f"{which}_softmax={which}{i}")
        axes = len(scene.space.queries.grid)
        turned = not scene.image and scene.shared == 1 and scene.width % (2 * axes) == 0
        if turned and not any("decomposed" in x for x in lines) and draw.random() < 0.2:
            more = draw.choice(("", ", base=100.0", ', layout="pairs"'))
            lines.append(f"rq{i}, rk{i} = q, k -> rope({scene.heads}{more})")
            q, k = f"rq{i}", f"rk{i}"
        return Use(name, tuple(lines), over, tuple(settings), q, k)

    def scaled(self, i: int, lines: list[str], settings: list[str]) -> None:
        kind = self.draw.random()
        if kind < 0.1:
            lines.append(f"s{i} = learned({self.scene.heads}, 1, 1)")
            settings.append(f"scale=s{i}")
        elif kind < 0.25:
            settings.append(f"scale={self.draw.choice((0.3, 1, -0.5))}")

    def pattern(self) -> str:
        """A pattern in which every query sees a key."""
        space, draw = self.scene.space, self.draw
        texts = named(space) if space.steps is not None else ANY_SIZES
        while True:
            text = draw.choice((*texts, *(name for name, _ in self.own if space.steps is not None)))
            if space.steps is not None and draw.random() < 0.2:
                n = draw.randint(2, 5)
                text = f"window({n}, shift={draw.randint(1, n - 1)})"
            ends = ["prefix", "self"] if space.square else ["prefix"]
            if space.queries.outside:
                text = f"({text}) | {draw.choice(ends)}"
            elif space.square and draw.random() < 0.2:
                text = f"({text}) | self"
            p = pattern_of(text, self.scene.above)
            if _rounds(p, self.scene.heads) and all(self.sees(p, head) for head in range(self.scene.heads)):
                return text

    def sees(self, p: Pattern, head: int) -> bool:
        return len({q for q, _ in seen(p, self.scene.space, head)}) == self.scene.space.queries.size

    def bias(self, over: str, name: str) -> list[str]:
        """The lines of a bias that the pattern and the grids allow, or none."""
        space, heads, draw = self.scene.space, self.scene.heads, self.draw
        kinds = ["none", "none", "alibi", "t5"]
        kinds += ["along"] * (len(space.queries.grid) == 1 and (space.square or space.steps is None))
        pooled = space.queries.grid != space.keys.grid
        rank, outside = len(space.queries.grid), space.queries.outside + space.queries.suffix
        finer = rank > 1 and all(a <= b for a, b in zip(space.queries.grid, space.keys.grid, strict=True))
        if rank > 1 and not space.queries.suffix and finer:
            kinds += ["swin"] * 3
            kinds += [] if outside else ["tf", "symmetric"]
            kinds += ["table"] if rank == 2 and not outside and not pooled else []
        if rank > 1 and not self.scene.image and self.scene.shared == 1:
            kinds += ["decomposed"]
        kind = draw.choice(kinds)
        if kind == "alibi":
            return [f"{name} = alibi({heads})"]
        if kind == "t5":
            both, reach = draw.choice((True, False)), draw.choice((9, 20, 64))
            return [f"{name} = t5_bias({heads}, buckets={draw.choice((8, 12))}, reach={reach}, bidirectional={both})"]
        if kind == "decomposed":
            sides = list(zip(space.queries.grid, space.keys.grid, strict=True))
            tables = [
                f"{name}{axis} = learned({2 * max(n, m) - 1}, {self.scene.width})" for axis, (n, m) in enumerate(sides)
            ]
            names = ", ".join(f"{name}{axis}" for axis in range(rank))
            return [*tables, f"{name} = q, {names} -> decomposed_relative({heads})"]
        if kind == "along":
            longest = max(space.queries.size, space.keys.size)
            size, more = draw.choice(((str(longest), ""), (str(longest // 2), ", clip=True")))
            return [f"{name} = relative_bias({heads}, {size}, axes=1{more})"]
        size = "x".join(map(str, space.keys.grid))
        if kind == "table":
            return [f"{name} = learned(1, {heads}, {', '.join(str(2 * n - 1) for n in space.keys.grid)})"]
        if kind == "none":
            return []
        more = {"tf": ', layout="tf"', "symmetric": ", symmetric=True", "swin": ""}[kind]
        more += f", prefix={space.queries.prefix}" if space.queries.prefix else ""
        if draw.random() < 0.2:
            size, more = "x".join(str(max(1, n // 2)) for n in space.keys.grid), more + ", clip=True"
        if pooled:
            steps = [m // n for n, m in zip(space.queries.grid, space.keys.grid, strict=True)]
            more += f", stride={'x'.join(map(str, steps))}"
        return [f"{name} = relative_bias({heads}, {size}{more})"]

    def mechanism(self, i: int) -> Use:
        lines: list[str] = []
        settings: list[str] = []
        kind = self.kind()
        if self.draw.random() < 0.4:
            settings.append("mask=keys")
        if kind.startswith("per_head"):
            return Use(f"y{i}", (), kind, tuple(settings))
        if not kind.startswith("kernel"):
            self.scaled(i, lines, settings)
        if kind == "channels" and self.draw.random() < 0.5:
            settings.append('score="cosine"')
        return Use(f"y{i}", tuple(lines), kind, tuple(settings))

    def kind(self) -> str:
        draw, scene = self.draw, self.scene
        space = scene.space
        stride = draw.choice((1, 2, 3))
        conv = ", conv=3" if space.queries.size == space.keys.size and draw.random() < 0.5 else ""
        kinds = [
            f"linformer({draw.randint(1, 6)})", f"linformer({draw.randint(1, 6)}, share=True)",
            'kernel("elu")', draw.choice(('kernel("relu")', 'kernel("relu", causal=True)')),
            'kernel("elu", causal=True)', f"performer(features={draw.randint(5, 20)}, seed={draw.randint(0, 9)})",
            f"nystrom({draw.randint(1, 3)}{conv})", f"pooled({stride})",
            f"latent({draw.randint(1, 5)})", f'pooled({stride}, by="max")', f'pooled({stride}, by="conv")',
        ]
        if len(space.keys.grid) == 2:
            kinds.append(f"pooled({draw.randint(1, 3)}x{draw.randint(1, 3)})")
        if space.queries.size == space.keys.size and scene.values == scene.width:
            kinds += ["channels", "channels"]
        if scene.heads % 2 == 0:
            kinds += [f"per_head([{draw.choice(kinds[:11])}, {self.pattern()}])"]
        return draw.choice(kinds)


def _rounds(p: Pattern, heads: int) -> bool:
    """Whether the heads go evenly through every list of `p`."""
    if isinstance(p, PerHead) and heads % len(p.patterns):
        return False
    return all(_rounds(x, heads) for x in p.inner)
