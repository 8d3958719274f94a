"""Networks of the library in INT8, from their text to the kernels, against themselves in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ogive
from ogive.compiler.kernels.attention import Walked

NETS: dict[str, Callable[[], Any]] = {
    "vit": lambda: ogive.load("vit", "ViT", dim=64, depth=2, heads=2, patch=8, size=64, classes=10),
    "swin": lambda: ogive.load("swin", "Swin", dim=32, depths=[2, 1, 1, 1], heads=[2, 2, 4, 4], size=64,
                                  window_size=2, classes=10),
    "bert": lambda: ogive.load("bert", "BERT", dim=64, depth=2, heads=2, vocab=50, length=40),
    "sam": lambda: ogive.load("sam", "SAM", dim=64, depth=4, heads=2, size=96, window=4, width=32),
}
LAYERS = {"vit": 2, "swin": 5, "bert": 2, "sam": 4}
"""Attentions of the encoder, at least."""


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """What each attention in INT8 answered, and what the same kernel answers in float32."""
    found: list[tuple[Tensor, Tensor]] = []
    own = Walked.attend

    def attend(self: Walked, q: Tensor, k: Tensor, v: Tensor, queries: Any, keys: Any, mask: Tensor | None,
               values: Tensor | None, *more: Any) -> Tensor:
        out = own(self, q, k, v, queries, keys, mask, values, *more)
        if str(more[-1]).startswith("int8"):
            wide = [x.float() for x in (q, k, v)]
            exact = own(self, *wide, queries, keys, mask, values, *more[:-1], "ieee")
            found.append((out, exact))
        return out

    monkeypatch.setattr(Walked, "attend", attend)
    yield found


def _given(name: str) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    match name:
        case "bert":
            return torch.randint(1, 50, (1, 30), generator=generator), torch.zeros(1, 30, dtype=torch.int64)
        case "sam":
            return (torch.randn(1, 3, 96, 96, generator=generator), torch.rand(1, 2, 2, generator=generator) * 96,
                    torch.ones(1, 2, dtype=torch.int64))
    return (torch.randn(1, 3, *[64, 64], generator=generator),)


def _sharpened(module: nn.Module) -> None:
    """Attention is sharp: scores of standard deviation 2 or so, biases of 1."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for path, x in module.named_parameters():
            if any(word in path for word in ("table", "rel_pos")):
                x.copy_(torch.randn(x.shape, generator=generator))
            elif x.dim() == 2 and any(word in path for word in ("qkv", "query", "key", "q_proj", "k_proj")):
                x.copy_(torch.randn(x.shape, generator=generator) * math.sqrt(1.5 / x.shape[1]))


def _pair(name: str, precision: str) -> tuple[nn.Module, nn.Module]:
    net = NETS[name]()
    made, exact = ogive.compile(net, precision=precision).eval(), ogive.compile(net, dtype=torch.float64).eval()
    _sharpened(made)
    exact.load_state_dict({key: x.double() if x.is_floating_point() else x for key, x in made.state_dict().items()})
    return made, exact


def _outputs(module: nn.Module, given: tuple[Tensor, ...], dtype: torch.dtype) -> Tensor:
    with torch.no_grad():
        out = module(*(x.to(dtype) if x.is_floating_point() else x for x in given))
    flat = out.values() if isinstance(out, dict) else out if isinstance(out, tuple) else (out,)
    return torch.cat([x.double().flatten() for x in flat])


@pytest.mark.parametrize(("name", "precision"), [
    ("vit", "int8-token"), ("bert", "int8"),
    *(pytest.param(*x, marks=pytest.mark.long) for x in (
        ("vit", "int8"), ("swin", "int8"), ("swin", "int8-token"), ("bert", "int8-token"), ("sam", "int8"),
        ("sam", "int8-token"))),
])
def test_a_network_in_int8(name: str, precision: str, answers: list[tuple[Tensor, Tensor]]) -> None:
    made, exact = _pair(name, precision)
    given = _given(name)
    cosine = F.cosine_similarity(_outputs(made, given, torch.float32), _outputs(exact, given, torch.float64), 0)
    assert len(answers) >= LAYERS[name] and float(cosine) >= 0.999
    for out, wanted in answers:
        assert float(F.cosine_similarity(out.double().flatten(), wanted.double().flatten(), 0)) >= 0.999


@pytest.mark.long
def test_a_lost_bias_is_seen(answers: list[tuple[Tensor, Tensor]]) -> None:
    made, exact = _pair("swin", "int8")
    with torch.no_grad():
        for path, x in made.named_parameters():
            if "table" in path:
                x.zero_()
    given = _given("swin")
    cosine = F.cosine_similarity(_outputs(made, given, torch.float32), _outputs(exact, given, torch.float64), 0)
    assert answers and float(cosine) < 0.999
