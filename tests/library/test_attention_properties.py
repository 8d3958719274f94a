"""What attention is known for: it does not know the order, what it costs, and that other ways to compute it agree."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

import ogive

TEXT = """
from std.timm import Attention
from vit import Encoder

network Core(over: pattern = dense):
    input x: B N 16
    attend(4, over=over)

network Layer:
    input x: B N 16
    layer = Encoder(4)

network Placed:
    input x: B (h=4 w=4) 16
    pos_embed = position(4)
    layer = Encoder(4)

network Windows:
    input x: B (h=4 w=4) 16
    attend(4, over=window(2))

network Heads(heads=4, d=6):
    input x: B N 16
    repeat heads as head[i]:
        q = x -> linear(d)
        k = x -> linear(d)
        v = x -> linear(d)
        q, k, v -> attend(1)
    head[:] -> concat(C)
    out = linear(16)

network Fused(heads=4, d=6):
    input x: B N 16
    q = x -> linear(heads * d)
    k = x -> linear(heads * d)
    v = x -> linear(heads * d)
    q, k, v -> attend(heads)
    out = linear(16)
"""


def module(name: str, **settings: object) -> torch.nn.Module:
    torch.manual_seed(0)
    found = ogive.compile(ogive.loads(TEXT, name, **settings)).double().eval()
    with torch.no_grad():
        for p in found.parameters():
            p.add_(torch.randn_like(p), alpha=0.2)
    return found


def moves(found: torch.nn.Module) -> float:
    """How far f(s(x)) is from s(f(x)), s being a permutation of the positions."""
    torch.manual_seed(1)
    x, order = torch.randn(2, 16, 16, dtype=torch.float64), torch.randperm(16)
    with torch.inference_mode():
        return float((found(x[:, order]) - found(x)[:, order]).abs().max())


@pytest.mark.parametrize("name", ["Core", "Layer"])
def test_a_permuted_input_permutes_the_output(name: str) -> None:
    assert moves(module(name)) <= 1e-12


@pytest.mark.parametrize(("name", "text"), [("Placed", TEXT), ("Core", TEXT.replace("= dense", "= causal")),
                                            ("Windows", TEXT)], ids=["position", "causal", "window"])
def test_what_knows_the_order(name: str, text: str) -> None:
    torch.manual_seed(0)
    found = ogive.compile(ogive.loads(text, name)).double().eval()
    with torch.no_grad():
        for p in found.parameters():
            p.add_(torch.randn_like(p), alpha=0.2)
    assert moves(found) > 1e-3


def test_heads_one_by_one_are_the_fused_projection() -> None:
    """A linears of H -> S for each of q, k and v, joined, are one of H -> A S cut into heads."""
    apart, fused = module("Heads"), module("Fused")
    w = apart.state_dict()
    fused.load_state_dict({
        **{f"{n}.{part}": torch.cat([w[f"head.{i}.{n}.{part}"] for i in range(4)]) for n in "qkv"
           for part in ("weight", "bias")},
        **{key: w[key] for key in ("out.weight", "out.bias")},
    }, strict=True)
    x = torch.randn(2, 5, 16, dtype=torch.float64)
    with torch.inference_mode():
        assert torch.allclose(apart(x), fused(x), rtol=1e-12, atol=1e-12)


def exponent(over: str, sides: tuple[int, int] = (32, 64), scaled: int = 0, what: str = "attend(4, over={})") -> float:
    """How the multiply-adds grow with the number of positions; with `scaled` the pattern's number grows with a side."""
    costs = []
    for side in sides:
        pattern = over.format(n=side)
        text = f"network N:\n    input x: B (h={side} w={side}) 16\n    {what.format(pattern)}\n"
        costs.append(ogive.loads(text, "N").macs())
    return math.log(costs[1] / costs[0]) / math.log((sides[1] / sides[0]) ** 2)


@pytest.mark.parametrize(("over", "law", "within"), [
    ("dense", 2, 1e-9),  # R^4 for R x R pixels
    ('axial("row") | axial("col")', 1.5, 0.02), ("flat(strided({n})) | flat(sliding({n} - 1))", 1.5, 0.02),
    ("window(8)", 1, 1e-9), ("linformer(64)", 1, 1e-9), ('kernel("elu")', 1, 1e-9), ("latent(49)", 1, 1e-9),
    ("sliding(7)", 1, 0.05),  # less at the border
])
def test_how_the_cost_grows(over: str, law: float, within: float) -> None:
    what = "attn = attend(4, over={})" if "linformer" in over or "latent" in over else "attend(4, over={})"
    assert exponent(over, what=what) == pytest.approx(law, abs=within)


def test_a_convolution_grows_with_the_pixels() -> None:
    net = ogive.loads("network N:\n    input x: B 8 H W\n    conv = conv(8, 3x3)\n", "N")
    assert net.macs(H=64, W=64) == 4 * net.macs(H=32, W=32)


def test_windows_of_swin() -> None:
    """M^2 H W in place of H^2 W^2 pairs: 153,664 against 9,834,496 for M = 7 on 56 x 56, 64 times fewer."""
    text = "network N(over: pattern = dense):\n    input x: B (h=56 w=56) 32\n    attend(1, over=over)\n"
    dense, windows = (ogive.loads(t, "N").macs() // (2 * 32) for t in (text, text.replace("= dense", "= window(7)")))
    assert (windows, dense, dense // windows) == (153_664, 9_834_496, 64)


def test_linear_attention_in_both_orders() -> None:
    """Q (K^T V) is (Q K^T) V: 2 n d^2 products in place of 2 n^2 d, 8 times fewer for n = 512, d = 64."""
    torch.manual_seed(0)
    text = 'network N:\n    input q: B N 64, k: B N 64, v: B N 64\n    q, k, v -> attend(1, over={})\n'
    kernel, dense = (ogive.loads(text.format(over), "N") for over in ('kernel("elu")', "dense"))
    q, k, v = (torch.randn(2, 512, 64, dtype=torch.float64) for _ in range(3))
    a, b = (F.elu(q) + 1), (F.elu(k) + 1)
    pairs = a @ b.mT
    with torch.inference_mode():
        found = ogive.compile(kernel).double()(q, k, v)
    assert torch.allclose(found, pairs @ v / pairs.sum(-1, keepdim=True), rtol=1e-10, atol=1e-12)
    assert dense.macs(N=512) == 2 * 512**2 * 64
    assert 2 * 512 * 64**2 <= kernel.macs(N=512) <= 2 * 512 * 64**2 + 512 * 64  # the sum of the keys besides
    assert dense.macs(N=512) // (2 * 512 * 64**2) == 8


def test_flash_is_dense() -> None:
    """Blocks of keys with a running maximum, from -inf on, and a running sum: the same softmax, exactly."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 4, 70, 16, dtype=torch.float64) for _ in range(3))
    most, total = torch.full((2, 4, 70, 1), -math.inf).double(), torch.zeros(2, 4, 70, 1).double()
    mixed = torch.zeros_like(q)
    for keys, values in zip(k.split(16, 2), v.split(16, 2), strict=True):
        scores = q @ keys.mT / 4
        now = torch.maximum(most, scores.amax(-1, keepdim=True))
        weights, shrink = (scores - now).exp(), (most - now).exp()
        mixed, total, most = mixed * shrink + weights @ values, total * shrink + weights.sum(-1, keepdim=True), now
    text = "network N:\n    input q: B N 64, k: B N 64, v: B N 64\n    q, k, v -> attend(4)\n"
    net = ogive.compile(ogive.loads(text, "N"))
    joined = [x.transpose(1, 2).flatten(2) for x in (q, k, v)]
    for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.MATH):
        with sdpa_kernel(backend), torch.inference_mode():
            answer = net.double()(*joined)
        assert torch.allclose(answer, (mixed / total).transpose(1, 2).flatten(2), rtol=1e-12, atol=1e-13)
