"""Mechanisms against their formulas, and against what they approximate; none of them forms N x N."""

from __future__ import annotations

import math
from typing import Any

import peers
import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from ogive.compiler.lower import attention_chunks
from ogive.compiler.pipeline import compile
from ogive.compiler.reference import Spec, attention
from ogive.dsl.build import build
from ogive.dsl.load import load_text
from ogive.dsl.patterns.mechanisms import Kernel
from ogive.dsl.patterns.space import Sequence, Space

D = torch.float64


def compiled(text: str) -> Any:
    module = compile(build(load_text(text, "case.arch")).graph, dtype=D).eval()
    for i, p in enumerate(module.parameters()):
        p.data = random(*p.shape, seed=i + 5)
    return module


def net(over: str, more: str = "", heads: int = 2, port: str = "B 12 8") -> Any:
    return compiled(f"network N:\n    input x: {port}\n    attn = attend({heads}, over={over}{more})\n")


def random(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


def split(x: torch.Tensor, heads: int = 2) -> torch.Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def joined(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2).flatten(2)


def close(found: torch.Tensor, wanted: torch.Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


X = random(2, 12, 8)
Q = split(X)


@pytest.mark.parametrize("share", [False, True])
def test_linformer(share: bool) -> None:
    module = net(f"linformer(3, share={share})")
    assert list(module.state_dict()) == (["attn.E"] if share else ["attn.E", "attn.F"])
    k, v = module.attn.E @ Q, (module.attn.E if share else module.attn.F) @ Q
    close(module(X), joined((Q @ k.transpose(-1, -2) * 0.5).softmax(-1) @ v))
    module(X).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


@pytest.mark.parametrize("name", ["elu", "relu"])
def test_kernel(name: str) -> None:
    f = F.elu(Q) + 1 if name == "elu" else F.relu(Q)
    weights = f @ f.transpose(-1, -2)
    wanted = weights / weights.sum(-1, keepdim=True).clamp(min=1e-15) @ Q
    close(net(f'kernel("{name}")')(X), joined(wanted))


def test_performer_comes_close_to_softmax_and_is_not_saved() -> None:
    x = 0.25 * X
    few, module = net("performer(features=512)"), net("performer(features=32768)")
    assert list(module.state_dict()) == []
    q = split(x)
    wanted = joined((q @ q.transpose(-1, -2) * 0.5).softmax(-1) @ q)
    errors = [float((m(x) - wanted).norm() / wanted.norm()) for m in (few, module)]
    assert errors[1] < 0.02 and errors[1] < errors[0] / 3  # falls with the root of their number
    close(net("performer(features=512)")(x), few(x), 0)
    assert not torch.equal(net("performer(features=512, seed=1)")(x), few(x))


def test_performer_draws_anew_while_training() -> None:
    module = net("performer(features=16, redraw=2)").train()
    one, two, three = module(X), module(X), module(X)
    assert torch.equal(one, two) and not torch.equal(two, three)


def test_nystrom_with_a_landmark_for_each_position_is_softmax() -> None:
    wanted = joined((Q @ Q.transpose(-1, -2) * 0.5).softmax(-1) @ Q)
    close(net("nystrom(12, iterations=30)")(X), wanted, 1e-6)
    module = net("nystrom(4, conv=3)")
    assert {k: tuple(p.shape) for k, p in module.state_dict().items()} == {"attn.conv.weight": (2, 1, 3, 1)}
    few = Q.unflatten(2, (4, 3)).mean(3)
    left, right = (Q @ few.transpose(-1, -2) * 0.5).softmax(-1), (few @ Q.transpose(-1, -2) * 0.5).softmax(-1)
    inverse = torch.linalg.pinv((few @ few.transpose(-1, -2) * 0.5).softmax(-1))
    near = torch.stack([sum(module.attn.conv.weight[h, 0, t, 0] * F.pad(Q[:, h], (0, 0, 1, 1))[:, t : t + 12]
                            for t in range(3)) for h in range(2)], 1)
    torch.testing.assert_close(module(X), joined(left @ inverse @ right @ Q + near), rtol=0.1, atol=0.2)
    exact = net("nystrom(4, iterations=40)")
    close(exact(X), joined(left @ inverse @ right @ Q), 1e-6)


@pytest.mark.parametrize("stride", ["2", "2x3", "3"])
def test_pooled_keys(stride: str) -> None:
    rows, cols = (int(n) for n in (stride.split("x") * 2)[:2])
    module = compiled(f"network N:\n    input x: B (1 + h=4 w=6) 8\n    attend(2, over=pooled({stride}))\n")
    x = random(2, 25, 8)
    q = split(x)
    cells = q[:, :, 1:].unflatten(2, (4, 6))
    means = [cells[:, :, i : i + rows, j : j + cols].mean((2, 3)) for i in range(0, 4, rows) for j in range(0, 6, cols)]
    k = torch.cat((q[:, :, :1], torch.stack(means, 2)), 2)
    close(module(x), joined((q @ k.transpose(-1, -2) * 0.5).softmax(-1) @ k))


def test_latent_queries() -> None:
    module = net("latent(3)")
    assert {k: tuple(p.shape) for k, p in module.state_dict().items()} == {"attn.latent": (3, 8)}
    few = module.attn.latent.unflatten(1, (2, 4)).transpose(0, 1)
    gathered = (few @ Q.transpose(-1, -2) * 0.5).softmax(-1) @ Q
    close(module(X), joined((Q @ gathered.transpose(-1, -2) * 0.5).softmax(-1) @ gathered))


def test_channels_as_xcit_has_them() -> None:
    peers.timm()
    from timm.models.xcit import XCA

    theirs = XCA(8, num_heads=2).to(D).eval()
    ours = compiled("""
network N:
    input x: B N 8
    temperature = learned(2, 1, 1, init="ones")
    qkv = x -> linear(24, bias=False)
    split(3)
    attend(2, over=channels, score="cosine", scale=temperature)
    proj = linear(8)
""")
    theirs.temperature.data = random(2, 1, 1)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    close(ours(X), theirs(X))
    wanted = joined(((Q.transpose(-1, -2) @ Q * 0.5).softmax(-1) @ Q.transpose(-1, -2)).transpose(-1, -2))
    close(net("channels")(X), wanted)


def test_heads_of_several_kinds() -> None:
    module = net("per_head([linformer(3), sliding(3), kernel])", heads=6, port="B 12 24")
    assert list(module.state_dict()) == ["attn.0.E", "attn.0.F"]
    x = random(2, 12, 24)
    scaled = compiled("""
network N:
    input x: B 12 24
    factor = learned(6, 1, 1)
    x -> attend(6, over=per_head([pooled(2), sliding(3)]), scale=factor)
""")
    factor, turned = scaled.factor.detach().flatten(), x.unflatten(2, (6, 4))
    alike = net("per_head([pooled(2), sliding(3)])", ", scale=1", heads=6, port="B 12 24")
    q = (turned * factor[:, None]).flatten(2)
    both = compiled("""
network N:
    input q: B 12 24, x: B 12 24
    q, x, x -> attend(6, over=per_head([pooled(2), sliding(3)]), scale=1)
""")
    close(scaled(x), both(q, x))
    close(alike(x), both(x, x))
    q, found = split(x, 6), split(module(x), 6)
    place = torch.arange(12)
    hidden = (place[:, None] - place[None]).abs() > 1
    for head in (1, 4):
        scores = (q[:, head] @ q[:, head].transpose(-1, -2) * 0.5).masked_fill(hidden, float("-inf"))
        close(found[:, head], scores.softmax(-1) @ q[:, head])
    for head in (0, 3):
        k, v = module.attn.get_parameter("0.E") @ q[:, head], module.attn.get_parameter("0.F") @ q[:, head]
        close(found[:, head], (q[:, head] @ k.transpose(-1, -2) * 0.5).softmax(-1) @ v)
    f = F.elu(q[:, 2]) + 1
    close(found[:, 2], f @ (f.transpose(-1, -2) @ q[:, 2]) / (f @ f.sum(1)[..., None]))


class _Largest(TorchDispatchMode):
    """The most elements of any tensor that is made."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for x in found if isinstance(found, tuple | list) else (found,):
            if isinstance(x, torch.Tensor):
                self.most = max(self.most, x.numel())
        return found


@pytest.mark.parametrize(
    "over", [
        "linformer(8)", "kernel", "performer(features=16)", "nystrom(8)", "pooled(256)", 'pooled(256, by="max")',
        'pooled(256, by="conv")', "latent(8)", "channels", 'kernel("elu", causal=True)',
    ]
)
def test_nothing_grows_with_the_square_of_the_length(over: str) -> None:
    """Nor does it in training."""
    module, x = net(over, port="B 4096 8"), random(1, 4096, 8).requires_grad_()
    with _Largest() as largest:
        module(x).sum().backward()
    room = 2 * 128 if "causal" in over else 64  # a chunk of 128 for each head
    assert largest.most <= 4096 * room < math.prod((4096, 4096))


def test_scales_of_mechanisms() -> None:
    learned = """
network N:
    input x: B 12 8
    factor = learned(2, 1, 1)
    attn = x -> attend(2, over=OVER, scale=factor)
"""
    for over in ("linformer(3)", "latent(2)", "pooled(2)"):
        by_tensor, by_number = compiled(learned.replace("OVER", over)), net(over, ", scale=0.3")
        state = {k: v for k, v in by_number.state_dict().items()}
        by_tensor.load_state_dict({**state, "factor": torch.full((2, 1, 1), 0.3, dtype=D)})
        close(by_tensor(X), by_number(X))


@pytest.mark.parametrize(("n", "m"), [(300, 300), (128, 128), (129, 129), (5, 200), (200, 5), (1, 130), (256, 400)])
@pytest.mark.parametrize("name", ["elu", "relu"])
def test_causal_linear_attention_chunk_by_chunk(n: int, m: int, name: str) -> None:
    """Answers and gradients of the reference, for fewer and for more places than a chunk has, and for two sequences."""
    over = Kernel(name, causal=True)  # type: ignore[arg-type]
    module = compiled(f"network N:\n    input q: B {n} 8, k: B {m} 8, v: B {m} 12\n    attend(2, over={over})\n"
                      .replace("    attend", "    q, k, v -> attend"))
    given = [random(2, size, width, seed=i) for i, (size, width) in enumerate(((n, 8), (m, 8), (m, 12)))]
    found = []
    for run in (module, lambda q, k, v: attention(Spec(2, Space(Sequence((n,)), Sequence((m,))), over), q, k, v)):
        leaves = [x.clone().requires_grad_() for x in given]
        y = run(*leaves)
        y.square().sum().backward()
        found.append([y, *(x.grad for x in leaves)])
    for ours, theirs in zip(*found, strict=True):
        close(ours, theirs)
    if n > m:
        assert found[0][0][:, : n - m].abs().max() == 0


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("n", "m"), [(13, 13), (13, 21), (21, 13), (4, 4), (1, 9)])
def test_linear_attention_in_turn_is_that_at_once(
    n: int, m: int, causal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunk by chunk as on a processor, and all together as it is compiled; gradients, hidden keys, few samples."""
    made = attention_chunks.ChunkedAttention("elu", causal, chunk=4)
    seen = random(3, 1, m, 1, seed=9) > -0.5
    found = []
    for together, plain in ((1, True), (1 << 20, True), (0, False)):
        monkeypatch.setattr(attention_chunks, "TOGETHER", together)
        if not plain:
            monkeypatch.setattr(attention_chunks, "is_plain", lambda *_: False)
        leaves = [random(3, 2, *shape, seed=i).requires_grad_() for i, shape in enumerate(((n, 4), (m, 4), (m, 5)))]
        y = made(*leaves, seen.expand(3, 1, m, 1))
        with torch.inference_mode():
            torch.testing.assert_close(made(*leaves, seen), y.detach())
        y.square().sum().backward()
        found.append((y.detach(), *(x.grad for x in leaves)))
    for other in found[:2]:
        torch.testing.assert_close(other, found[2])


def test_causal_linear_attention_does_not_look_ahead() -> None:
    module, x = net('kernel("elu", causal=True)', port="B 300 8"), random(1, 300, 8)
    before = module(x)
    for place in (0, 127, 128, 299):
        changed = x.clone()
        changed[:, place] += 1
        assert torch.equal(module(changed)[:, :place], before[:, :place])
        assert not torch.equal(module(changed)[:, place:], before[:, place:])


def test_causal_linear_attention_of_any_length_is_exported() -> None:
    text = 'network N:\n    input x: B N 8\n    attend(2, over=kernel("elu", causal=True))\n'
    module = compiled(text)
    exported = torch.export.export(
        module, (random(1, 200, 8),), dynamic_shapes={"x": {1: torch.export.Dim("N", min=2, max=4096)}}
    ).module()
    for n in (7, 128, 300):
        x = random(1, n, 8)
        close(exported(x), module(x))


KEYED = [
    "linformer(3)", "linformer(3, share=True)", "kernel", 'kernel("elu", causal=True)', "performer(features=16)",
    "nystrom(4)", "nystrom(4, conv=3)", "pooled(2)", 'pooled(2, by="max")', 'pooled(2, by="conv")', "latent(3)",
    "channels", "per_head([linformer(3), sliding(3)])", "per_head([pooled(2), dense])",
]


@pytest.mark.parametrize("over", KEYED)
def test_hidden_keys_take_no_part(over: str) -> None:
    """Whatever stands at a place that is hidden changes no answer; with nothing hidden the mask changes nothing."""
    def of(settings: str) -> Any:
        return compiled("network N:\n    input q: B 12 8, k: B 12 8, v: B 12 8, seen: B 12 of bool\n"
                        f"    attn = q, k, v -> attend(2, over={over}{settings})\n")

    masked, plain = of(", mask=seen"), of("")
    plain.load_state_dict(masked.state_dict())
    q, k, v = (random(2, 12, 8, seed=i) for i in range(3))
    seen = torch.ones(2, 12, dtype=torch.bool)
    close(masked(q, k, v, seen), plain(q, k, v, seen))
    seen[0, 7:] = False
    answers = []
    for noise in (0.0, 3.0):
        hidden = noise * random(2, 12, 8, seed=9) * ~seen[..., None]
        queries = q + (hidden if over == "channels" else 0)
        answers.append(masked(queries, k + hidden, v + hidden, seen))
    close(answers[0], answers[1])
    assert (answers[0] - plain(q, k, v, seen)).abs().max() > 1e-3
    seen[0] = False
    assert masked(q, k, v, seen)[0].abs().max() == 0 and bool(masked(q, k, v, seen).isfinite().all())


@pytest.mark.parametrize("by", ["mean", "max", "conv"])
def test_pooled_by(by: str) -> None:
    module = compiled(f'network N:\n    input x: B (1 + h=5 w=4) 8\n    attn = attend(2, over=pooled(2, by="{by}"))\n')
    shapes = {name: tuple(p.shape) for name, p in module.state_dict().items()}
    assert shapes == ({"attn.K": (8, 1, 2, 2), "attn.V": (8, 1, 2, 2)} if by == "conv" else {})
    x = random(2, 21, 8)
    cells = x[:, 1:].transpose(1, 2).unflatten(2, (5, 4))

    def made(name: str) -> torch.Tensor:
        if by == "conv":
            few = F.conv2d(F.pad(cells, (0, 0, 0, 1)), module.attn.get_parameter(name), stride=2, groups=8)
        else:
            few = (F.avg_pool2d if by == "mean" else F.max_pool2d)(cells, 2, 2, ceil_mode=True)
        return split(torch.cat((x[:, :1], few.flatten(2).transpose(1, 2)), 1))

    close(module(x), joined((split(x) @ made("K").transpose(-1, -2) * 0.5).softmax(-1) @ made("V")))
