"""Attention written out in a file: it is fused while compiling, with the same keys, numbers and gradients."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from fuse_cases import ran

import ogive
from ogive.compiler import pipeline

TOKENS = """
network Hand:
    input x: B N C=16, y: B 7 C=16, gap: B N 7
    hide = gap > 0.5
    q = x -> linear(8)
    k = y -> linear(8)
    v = y -> linear(12)
    {body}
    after = linear(5)
"""

SPELLINGS = {
    "dot, scores divided": "q, k -> dot\n_ / 2\nsoftmax(2)\nmix = _, v -> matmul",
    "dot, q scaled": "qs = q * 0.3\nqs, k -> dot\nsoftmax(2)\nmix = _, v -> matmul",
    "no scale": "q, k -> dot\nsoftmax(2)\nmix = _, v -> matmul",
    "matmul with turned keys": "kt = k -> transpose\nq, kt -> matmul\n_ * 0.4\nsoftmax(2)\nmix = _, v -> matmul",
    "masked": "s = q, k -> dot\ns, hide -> masked_fill\nsoftmax(2)\nmix = _, v -> matmul",
    "masked by a number, shifted": "s = q, k -> dot\nt = s * 0.2 + 1.5\nt, hide -> masked_fill(-1e9)\nsoftmax(2)\n"
                                   "mix = _, v -> matmul",
    "dropped": "q, k -> dot\nsoftmax(2)\ndropout(0.5)\nmix = _, v -> matmul",
    "a learned scale": "t = learned()\ns = q, k -> dot\ns * t\nsoftmax(2)\nmix = _, v -> matmul",
}

HEADS = """
network Heads:
    input x: B N (heads=4 d=8), y: B M (heads d)
    qkv = x -> linear(32)      : B N (heads d)
    q = rearrange              : B heads N d
    k = y -> rearrange         : B heads M d
    s = q, k -> dot(d)
    s * 0.2
    softmax(3)
    dropout(0.1)
    o = _, k -> matmul         : B heads N d
    rearrange                  : B N (heads d)
    proj = linear(6)
"""

LEFT = {
    "over the queries": ("s = q, k -> dot\nsoftmax(1)\nmix = _, v -> matmul",
                         "softmax: the softmax goes over axis 1, not over the keys, the last one"),
    "weights read": ("s = q, k -> dot\nw = softmax(2)\nm = _, v -> matmul\nr = w, v -> matmul\nmix = m + r",
                     "w: its weights are read elsewhere too"),
    "scores read": ("s = q, k -> dot\nw = softmax(2)\nr = w + s\nmix = r, v -> matmul",
                    "w: its scores are read elsewhere too"),
    "capped": ("s = q, k -> dot\ntanh\nsoftmax(2)\nmix = _, v -> matmul",
               "softmax: `tanh` stands between the product and the softmax"),
    "softly masked": ("s = q, k -> dot\ns, hide -> masked_fill(-3)\nsoftmax(2)\nmix = _, v -> matmul",
                      "softmax: scores that are masked become -3, which is not minus infinity for all of them"),
}


def written(body: str) -> str:
    return TOKENS.format(body=body.replace("\n", "\n    "))


def compiled(text: str, fused: bool) -> Any:
    kept = pipeline.PASSES
    try:
        if not fused:
            pipeline.PASSES = ()  # type: ignore[misc]
        return ogive.compile(ogive.loads(text), debug=True, generator=torch.Generator().manual_seed(0))
    finally:
        pipeline.PASSES = kept  # type: ignore[misc]


def inputs(module: Any, n: int = 5, m: int = 7, width: int = 16) -> list[torch.Tensor]:
    torch.manual_seed(n)
    gap = torch.rand(2, n, m)
    gap[:, :, 0] = 0
    data = {"x": torch.randn(2, n, width), "y": torch.randn(2, m, width), "gap": gap}
    return [data[node.target] for node in module.graph.nodes if node.op == "placeholder"]


def same(module: Any, plain: Any, width: int = 16) -> None:
    assert list(module.state_dict()) == list(plain.state_dict())
    given = inputs(module, width=width)
    found = []
    for one in (module, plain):
        made = one(*given)
        made.square().sum().backward()
        found.append([made.detach(), *(p.grad for p in one.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_spelling_is_fused(name: str) -> None:
    module, plain = (compiled(written(SPELLINGS[name]), fused).eval() for fused in (True, False))
    assert module.meta["ogive"]["declined"] == {}
    counts = ran(module, *inputs(module))[1]
    assert counts["fused"] == 1 and counts["softmax"] == 0
    assert ran(plain, *inputs(plain))[1]["softmax"] == 1
    same(module, plain)


def test_heads_are_fused() -> None:
    module, plain = (compiled(HEADS, fused).eval() for fused in (True, False))
    assert ran(module, *inputs(module, width=32))[1]["fused"] == 1
    same(module, plain, 32)
    module.train()
    given = inputs(module, width=32)
    assert not torch.equal(module(*given), module(*given)), "dropout of attention acts while training"


@pytest.mark.parametrize("name", LEFT)
def test_what_says_something_else_is_left(name: str) -> None:
    body, reason = LEFT[name]
    module, plain = (compiled(written(body), fused) for fused in (True, False))
    assert module.meta["ogive"]["declined"] == {"fuse_attention": [reason]}
    given = inputs(module)
    assert torch.equal(module(*given), plain(*given))


def test_weights_that_are_returned_are_left() -> None:
    text = written("s = q, k -> dot\nw = softmax(2)\nmix = _, v -> matmul") + "    return after, w\n"
    module = compiled(text, True)
    assert module.meta["ogive"]["declined"] == {"fuse_attention": ["w: its weights are returned"]}


def test_paths_stay_or_are_lost_with_a_reason() -> None:
    module = compiled(written("s = q, k -> dot\nw = softmax(2)\nmix = _, v -> matmul"), True)
    given = tuple(inputs(module))
    found = ogive.features(module, given, ["q", "mix"])
    assert found["mix"].shape == (2, 5, 12)
    for path in ("s", "w"):
        with pytest.raises(ogive.ArchError, match="fused attention"):
            ogive.features(module, given, [path])


@pytest.mark.parametrize("text", [written(SPELLINGS["masked"]), HEADS])
def test_source_and_frozen_modules_are_fused_as_well(text: str, tmp_path: Path) -> None:
    module = compiled(text, True).eval()
    given = inputs(module, width=32 if text is HEADS else 16)
    frozen = ogive.freeze(module, debug=True)
    torch.testing.assert_close(frozen(*given), module(*given), rtol=1e-4, atol=1e-5)
    assert ran(frozen, *given)[1]["fused"] == 1
    path = tmp_path / "hand.py"
    path.write_text(ogive.to_source(module), encoding="utf-8")
    twin = runpy.run_path(str(path))[module.meta["ogive"]["network"]]().eval()
    twin.load_state_dict(module.state_dict())
    torch.testing.assert_close(twin(*given), module(*given))


def test_each_kind_of_call_is_fused() -> None:
    text = """
network Hand:
    input x: B N C=16, y: B 7 C, gap?: B N 7
    s = x, y -> dot
    t = s * 0.25
    if gap:
        hide = gap > 0.5
        t, hide -> masked_fill
    softmax(2)
    mix = _, y -> matmul
"""
    module, plain = (compiled(text, fused) for fused in (True, False))
    x, y, gap = torch.randn(2, 5, 16), torch.randn(2, 7, 16), torch.eye(5, 7).expand(2, 5, 7)
    for given in ((x, y), (x, y, gap)):
        assert ran(module, *given)[1]["fused"] == 1
        torch.testing.assert_close(module(*given), plain(*given), rtol=1e-5, atol=1e-5)
