"""Networks of the library in INT8, from their text to the kernels, against themselves in float64."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
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
EXAMPLES = Path(__file__).parents[3] / "examples"
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
        ("sam", "int8-token"), ("vit", "int8-fp8"), ("swin", "int8-fp8"))),
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


# ---------------------------------------------------------------------------------------------- attention that is sharp


@dataclass
class Told:
    """Of each attention in INT8: the cosine of its answers, its entropy as a share of the largest, whether biased."""

    cosine: float
    entropy: float
    biased: bool


def _told(monkeypatch: pytest.MonkeyPatch, without_bias: bool) -> list[Told]:
    """What attentions tell that run from now on; INT8 computed without the bias, where that fault is planted."""
    found: list[Told] = []
    own = Walked.attend

    def attend(self: Walked, q: Tensor, k: Tensor, v: Tensor, queries: Any, keys: Any, mask: Tensor | None,
               values: Tensor | None, *more: Any) -> Tensor:
        if not str(more[-1]).startswith("int8"):
            return own(self, q, k, v, queries, keys, mask, values, *more)
        of, given = (Walked(self.over, self.heads, None), None) if without_bias else (self, values)
        out = own(of, q, k, v, queries, keys, mask, given, *more)
        wide = [x.float() for x in (q, k)]
        m = k.shape[2]
        one = torch.eye(m).expand(*k.shape[:2], m, m)  # answers are the weights
        weights = own(self, *wide, one.contiguous(), queries, keys, mask, values, *more[:-1], "ieee").double()
        entropy = -(weights * weights.clamp(min=1e-30).log()).sum(-1).mean()
        largest = (weights > 0).sum(-1).double().log().mean()
        exact = weights @ v.double()
        cosine = F.cosine_similarity(out.double().flatten(), exact.flatten(), 0)
        found.append(Told(float(cosine), float(entropy / largest), values is not None))
        return out

    monkeypatch.setattr(Walked, "attend", attend)
    return found


def _sharp(name: str, precision: str, told: list[Told]) -> None:
    """Run a network whose q and k are scaled up until all its attentions have an entropy below 60 % of the largest."""
    made, _ = _pair(name, precision)
    for _ in range(6):
        told.clear()
        _outputs(made, _given(name), torch.float32)
        if max(one.entropy for one in told) < 0.6:
            return
        with torch.no_grad():
            for path, x in made.named_parameters():
                if x.dim() == 2 and "qkv" in path:
                    x[: 2 * x.shape[0] // 3] *= 1.4
    raise AssertionError("attention does not get sharp")


@pytest.mark.long
@pytest.mark.parametrize("precision", ["int8", "int8-token", "int8-fp8"])
@pytest.mark.parametrize("name", ["vit", "swin"])
def test_attention_that_is_sharp(name: str, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = _told(monkeypatch, without_bias=False)
    _sharp(name, precision, told)
    assert len(told) >= LAYERS[name] and all(one.entropy < 0.6 for one in told)
    assert min(one.cosine for one in told) >= 0.999, told


@pytest.mark.long
@pytest.mark.parametrize("precision", ["int8", "int8-token"])
def test_a_bias_that_is_dropped_is_seen_at_every_attention(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = _told(monkeypatch, without_bias=True)
    _sharp("swin", precision, told)
    biased = [one.cosine for one in told if one.biased]
    assert len(biased) >= LAYERS["swin"] and max(biased) < 0.999, told


# --------------------------------------------------------------------------------------------------------------- digits


@pytest.fixture(scope="module")
def trained() -> list[tuple[Any, Any]]:
    """The digits of the demo, and its network trained on them from three seeds: (module in float32, data)."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        training = importlib.import_module("training")
    finally:
        sys.path.remove(str(EXAMPLES))
    data, found = training.digits(), []
    for seed in range(3):
        torch.manual_seed(seed)
        model = ogive.compile(ogive.load(str(EXAMPLES / "01_digits.arch"), "Digits"))
        training.train(model, data)
        found.append((model.eval(), data))
    return found


@pytest.mark.long
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("precision", "each", "all"), [("int8", 1, 3), ("int8-token", 1, 3), ("int8-fp8", 2, 4)])
def test_digits_are_read_as_well(precision: str, each: int, all: int, trained: list[tuple[Any, Any]]) -> None:
    """Held-out digits, with the kernels: at most so many more wrong for a seed, and in all."""
    more = []
    for model, data in trained:
        made = ogive.compile(ogive.load(str(EXAMPLES / "01_digits.arch"), "Digits"), precision=precision).eval()
        made.load_state_dict(model.state_dict())
        with torch.inference_mode():
            wrong = [int((one(data.held_out_images).argmax(1) != data.held_out_labels).sum()) for one in (made, model)]
        assert wrong[1] <= 12  # of 360: it was trained
        more.append(wrong[0] - wrong[1])
        ran = [m.walked.flags for m in made.modules() if getattr(m, "walked", None) is not None]
        assert len(ran) == 3 and not any(bool(flags.any()) for flags in ran)  # by the kernels, in codes
    assert max(more) <= each and sum(more) <= all, more
