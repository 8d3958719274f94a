"""What is compiled means what the float64 reference says: hundreds of attentions drawn at random, thousands at length.

Patterns, mechanisms, biases, masks, scores, scales, mixed and grouped heads, sequences, grids of odd sizes, images,
frames, tokens beside the grid, two sequences; float32, float64, bf16; answers and gradients. Each fault that is planted
is found.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache, partial

import pytest
import torch
from attention_answers import FAULTS, Found, compiled, expected, held, plain, shifted_back
from attention_cases import pattern_of, seen
from attention_networks import USES, Scene, Use, scenes

import ogive
from ogive.compiler.reference import Spec, attention
from ogive.dsl.patterns import Pattern
from ogive.dsl.patterns.space import Space

SHORT, LONG = 30, 500
MECHANISMS = ("linformer", "kernel", "performer", "nystrom", "pooled", "latent", "channels")
WORDS = (
    "alibi", "t5_bias", "relative_bias", "symmetric", 'layout="tf"', "decomposed_relative", "rope", "mask=", "cosine",
    "additive", "distance", "scale=", "head_mix", "causal", "window", "shift", "sliding", "dilated", "strided", "block",
    "random", "axial", "global_tokens", "per_head", "drawn",
    "axes=1", "clip=True", "causal=True", 'by="max"', 'by="conv"',
)


@pytest.mark.parametrize("start", range(0, SHORT, 3))
def test_what_is_compiled_is_what_is_meant(start: int) -> None:
    drawn = list(scenes(3, start))
    assert sum(len(scene.uses) for scene in drawn) == 3 * USES
    assert [words for scene in drawn for words in held(scene).values()] == []


@pytest.mark.long
@pytest.mark.parametrize("start", range(SHORT, SHORT + LONG, 10))
def test_what_is_compiled_is_what_is_meant_at_length(start: int) -> None:
    assert [words for scene in scenes(10, start) for words in held(scene).values()] == []


def test_everything_is_drawn() -> None:
    drawn = list(scenes(SHORT))
    assert SHORT * USES == 300 and LONG * USES == 5_000
    assert list(scenes(3)) == drawn[:3]
    words = Counter(word for scene in drawn for word in _words(scene))
    wanted = {
        "float32", "float64", "bfloat16", "image", "tokens", "cross", "grouped", "prefix 0", "prefix 1", "prefix 2",
        "frames", *WORDS, *MECHANISMS,
    }
    assert {word: words[word] for word in wanted if words[word] < 2} == {}
    outputs = [s.batch * s.space.queries.size * s.heads * s.values for s in drawn if s.dtype == torch.bfloat16]
    assert min(outputs) >= 1024


def _words(scene: Scene) -> list[str]:
    q, k = scene.space.queries, scene.space.keys
    about = [str(scene.dtype).removeprefix("torch."), "image" if scene.image else "tokens", f"prefix {q.prefix}"]
    about += ["cross"] * (q != k) + ["grouped"] * (scene.shared > 1) + ["frames"] * (len(q.grid) == 3)
    for use in scene.uses:
        text = use.text
        about += [
            word for word in (*MECHANISMS, *WORDS) if word in text
        ]
    return about


# ---------------------------------------------------------------------------------------------------- faults are found


@lru_cache(1)
def _precise() -> list[Scene]:
    """The first scenes in float32 and float64."""
    return [scene for scene in scenes(SHORT - 6) if scene.dtype != torch.bfloat16]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    """In every use where it makes a difference, and in no other; few of these differ too little to be seen."""
    there, found = 0, 0
    for scene in _precise():
        faulty = {use.name for use in scene.uses if _concerns(fault, scene, use)}
        if faulty:
            caught = held(scene, partial(plain, fault=fault)).keys()
            assert caught <= faulty, (fault, scene.number, caught)
            there, found = there + len(faulty), found + len(caught)
    assert there >= 5 and found >= 0.95 * there, (fault, there, found)


def _concerns(fault: str, scene: Scene, use: Use) -> bool:
    """Whether a fault makes a difference to a use."""
    p = pattern_of(use.over, scene.above) if not any(m in use.over for m in MECHANISMS) else None
    if p is None:
        return False
    sets = [seen(p, scene.space, head) for head in range(scene.heads)]
    mask = next((scene.data[s.removeprefix("mask=")] for s in use.settings if s.startswith("mask=")), None)
    text, space = use.text, scene.space
    match fault:
        case "bias of the wrong sign":
            return "bias=" in text
        case "offsets transposed":
            turned = "bias=" in text and "alibi" not in text and "symmetric" not in text
            return turned and space.square
        case "prefix forgotten":
            return any((q, k) for pairs in sets for q, k in pairs if q != k and (
                space.queries.cell(q) is None or space.keys.cell(k) is None))
        case "shift the other way":
            return any(seen(shifted_back(p), space, head) != sets[head] for head in range(scene.heads))
        case "scale twice":
            plainly = "scale=" not in text and ("cosine" in text or "additive" in text)
            return not plainly and "scale=1" not in text
        case "mask inverted":
            return mask is not None
        case "softmax over queries":
            return True
        case "set transposed":
            return space.square and any({(k, q) for q, k in pairs} != pairs for pairs in sets)
        case "heads in another order":
            return scene.heads // scene.shared > 1
    return mask is not None and _blind(scene, sets, mask)


def _blind(scene: Scene, sets: list[frozenset[tuple[int, int]]], mask: torch.Tensor) -> bool:
    allowed = torch.zeros(len(sets), scene.space.queries.size, scene.space.keys.size, dtype=torch.bool)
    for head, pairs in enumerate(sets):
        for q, k in pairs:
            allowed[head, q, k] = True
    shown = mask if mask.dtype == torch.bool else mask != float("-inf")
    shown = shown[:, None, None] if shown.dim() == 2 else shown[:, None] if shown.dim() == 3 else shown
    return not bool((shown & allowed).any(-1).all())


@pytest.mark.parametrize(("meant", "said"), [
    ("over=window(3, shift=1), bias=near", "over=window(3, shift=2), bias=near"),
    ("over=window(3) | self, scale=0.5", "over=window(3) | self, scale=0.25"),
    ("over=causal, bias=near", "over=~causal | self, bias=near"),
    ("bias=near", ""), ("mask=keys", ""), ('score="cosine"', ""),
    ("over=linformer(3)", "over=linformer(3, share=True)"),
])
def test_a_fault_of_what_is_compiled_is_found(meant: str, said: str) -> None:
    """Through the public door: a network that says something else is held against what was meant."""
    lines = ("near = relative_bias(2, 5x7)",)
    scenes = [
        Scene(1, Space.of(5, 7), False, 2, 1, 4, 4, 2, torch.float32, "", (Use("y", lines, *_settings(text)),),
              {"keys": ("B 35 of bool", (2, 35), False)})
        for text in (meant, said)
    ]
    assert held(scenes[0]) == {}
    assert held(scenes[0], lambda _: _same(scenes[0], compiled(scenes[1]))).keys() == {"y"}


def _settings(text: str) -> tuple[str, tuple[str, ...]]:
    words = [word for word in re.split(r", (?=\w+=)(?!sh)", text) if word]
    over = next((word.removeprefix("over=") for word in words if word.startswith("over=")), "dense")
    return over, tuple(word for word in words if not word.startswith("over="))


def _same(meant: Scene, found: dict[str, Found]) -> dict[str, Found]:
    """What was found, with zeros for gradients that what was meant has beside."""
    wanted = expected(meant)["y"].values
    values = {name: found["y"].values.get(name, torch.zeros_like(x)) for name, x in wanted.items()}
    return {"y": Found(values)}


# ------------------------------------------------------------------------------------------------------------- dropout


@pytest.mark.parametrize("over", [
    "dense", "causal", "window(4, shift=2)", "sliding(5)", "strided(3)", "block(3) | global_tokens(1)",
    "per_head([causal, window(5)])",
])
def test_dropout_drops_weights_after_the_softmax(over: str) -> None:
    """Values that are unit vectors show which weights a call drops; the same call with others is the reference's."""
    n, heads, drop = 13, 2, 0.4
    text = f"network N:\n    input q: B {n} 8, k: B {n} 8, v: B {n} {heads * n}\n"
    text += f"    y = q, k, v -> attend({heads}, over={over}, drop={drop})\n"
    module = ogive.compile(ogive.loads(text), dtype=torch.float64).train()
    generator = torch.Generator().manual_seed(5)
    q, k = (torch.randn(3, n, 8, generator=generator, dtype=torch.float64) for _ in range(2))
    v = torch.randn(3, n, heads * n, generator=generator, dtype=torch.float64)
    torch.manual_seed(7)
    shown = module(q, k, torch.eye(n, dtype=torch.float64).repeat(1, heads).expand(3, n, heads * n))
    kept = (shown.unflatten(2, (heads, n)).transpose(1, 2) != 0).double()
    p = pattern_of(over)
    allowed = torch.zeros(heads, n, n, dtype=torch.float64)
    for head in range(heads):
        for a, b in seen(p, Space.of(n), head):
            allowed[head, a, b] = 1
    share = float(kept.sum() / (3 * allowed.sum()))
    assert bool((kept <= allowed).all()) and 0.4 < share < 0.8
    torch.manual_seed(7)
    assert isinstance(p, Pattern)
    wanted = attention(Spec(heads, Space.of(n), p, drop=drop), q, k, v, kept=kept)
    torch.testing.assert_close(module(q, k, v), wanted, rtol=1e-9, atol=1e-9)
    wanted = attention(Spec(heads, Space.of(n), p), q, k, v)
    torch.testing.assert_close(module.eval()(q, k, v), wanted, rtol=1e-9, atol=1e-9)
