"""Seventeen attentions in one ViT: each against its own definition, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from parity import close

import ogive
import ogive.dsl.build
import ogive.dsl.load
import ogive.library
from ogive.compiler.reference.attention import attention, spec_of

SMALL = {"dim": 48, "depth": 2, "classes": 10}
"""Two blocks: the class token sees all in the first, and what the patches saw only in the second."""

SIDE, N = 14, 197


def near(q: int, k: int, most: int) -> bool:
    (a, b), (c, d) = divmod(q, SIDE), divmod(k, SIDE)
    return abs(a - c) <= most and abs(b - d) <= most


def same_window(q: int, k: int, shift: int) -> bool:
    (a, b), (c, d) = divmod(q, SIDE), divmod(k, SIDE)
    return (a + 7 - shift) // 7 == (c + 7 - shift) // 7 and (b + 7 - shift) // 7 == (d + 7 - shift) // 7


def apart(q: int, k: int, most: int, step: int) -> bool:
    (a, b), (c, d) = divmod(q, SIDE), divmod(k, SIDE)
    return all(x % step == 0 and abs(x) <= most * step for x in (a - c, b - d))


SETS: dict[str, Callable[[int, int, int], bool]] = {
    "Dense": lambda q, k, head: True,
    "Strided": lambda q, k, head: abs(q - k) <= 13 or (q - k) % 14 == 0,
    "Axial": lambda q, k, head: q // SIDE == k // SIDE or q % SIDE == k % SIDE,
    "Local": lambda q, k, head: near(q, k, 3),
    "Windowed": lambda q, k, head: same_window(q, k, 0),
    "Shifted": lambda q, k, head: same_window(q, k, 0 if head % 2 == 0 else 3),
    "Dilated": lambda q, k, head: apart(q, k, 2, 2),
    "Blockwise": lambda q, k, head: abs(q // 14 - k // 14) <= 1,
    "Longformer": lambda q, k, head: near(q, k, 2) if head % 2 == 0 else apart(q, k, 2, 3),
}
"""Which patch q sees which patch k, by their numbers; the class token sees all and is seen by all."""

DRAWN = ("BigBird", "RandomBlocks")
MECHANISMS = ("Linear", "Linformer", "Performer", "Nystrom", "Pooled", "Latent")


def masks(name: str, heads: int = 6) -> torch.Tensor:
    seen = [[[q == 0 or k == 0 or SETS[name](q - 1, k - 1, head) for k in range(N)] for q in range(N)]
            for head in range(min(heads, 2))]
    return torch.tensor(seen).repeat(heads // len(seen), 1, 1)


def by_hand(w: dict[str, torch.Tensor], image: torch.Tensor, core: Callable[..., torch.Tensor]) -> torch.Tensor:
    """A ViT of two blocks around an attention: the block's number and q, k, v `B N C` -> `B N C`."""
    x = F.conv2d(image, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], 16).flatten(2).mT
    x = torch.cat([w["cls_token"].expand(len(x), -1, -1), x], 1) + w["pos_embed"]
    c = x.shape[-1]
    for i in range(2):
        y = F.layer_norm(x, (c,), w[f"blocks.{i}.norm1.weight"], w[f"blocks.{i}.norm1.bias"], 1e-6)
        q, k, v = F.linear(y, w[f"blocks.{i}.attn.qkv.weight"], w[f"blocks.{i}.attn.qkv.bias"]).chunk(3, -1)
        x = x + F.linear(core(i, q, k, v), w[f"blocks.{i}.attn.proj.weight"], w[f"blocks.{i}.attn.proj.bias"])
        y = F.layer_norm(x, (c,), w[f"blocks.{i}.norm2.weight"], w[f"blocks.{i}.norm2.bias"], 1e-6)
        y = F.gelu(F.linear(y, w[f"blocks.{i}.mlp.fc1.weight"], w[f"blocks.{i}.mlp.fc1.bias"]))
        x = x + F.linear(y, w[f"blocks.{i}.mlp.fc2.weight"], w[f"blocks.{i}.mlp.fc2.bias"])
    x = F.layer_norm(x, (c,), w["norm.weight"], w["norm.bias"], 1e-6)[:, 0]
    return F.linear(x, w["head.weight"], w["head.bias"])


def drawn(name: str) -> tuple[ogive.network.Network, torch.nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    network = ogive.load("sparse", name, **SMALL)
    module = ogive.compile(network).double().eval()
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn_like(p), alpha=0.2)
    return network, module, torch.randn(1, 3, 224, 224, dtype=torch.float64)


def test_every_attention_is_held() -> None:
    path = Path(ogive.library.__path__[0]) / "sparse.arch"
    assert set(ogive.dsl.build.names_of(ogive.dsl.load.load_file(path))) == {*SETS, *DRAWN, *MECHANISMS}


@pytest.mark.parametrize("name", SETS)
def test_sets_by_hand(name: str) -> None:
    """The softmax over exactly the pairs that the definition allows, and the products of those pairs are counted."""
    network, module, image = drawn(name)
    seen = masks(name)

    def core(i: int, *qkv: torch.Tensor) -> torch.Tensor:
        q, k, v = (x.unflatten(2, (6, -1)).transpose(1, 2) for x in qkv)
        scores = (q @ k.mT) * q.shape[-1] ** -0.5
        return (scores.masked_fill(~seen, float("-inf")).softmax(-1) @ v).transpose(1, 2).flatten(2)

    with torch.inference_mode():
        close(module(image), by_hand(module.state_dict(), image, core), 1e-9)
    saved = ogive.load("sparse", "Dense", **SMALL).macs() - network.macs()
    assert saved == 2 * 2 * 8 * int((~seen).sum())


@pytest.mark.parametrize("name", DRAWN)
def test_blocks_that_are_drawn(name: str) -> None:
    """Every patch sees itself's block mates as promised, rows of a block agree, and the draw is the same everywhere."""
    network, module, image = drawn(name)
    op, types = core_of(network)
    space = spec_of(op, *types).space
    rows = [[bool(op.over.row(q, space) >> k & 1) for k in range(N)] for q in range(N)]
    seen = torch.tensor(rows)
    assert seen[0].all() and seen[:, 0].all() and seen.diagonal().all()
    blocks = seen[1:, 1:].unflatten(1, (14, 14)).unflatten(0, (14, 14))  # block, q, block, k
    if name == "BigBird":
        band = torch.tensor([[abs(i - j) <= 1 or i == 0 or j == 0 for j in range(14)] for i in range(14)])
        assert blocks.all(1).all(2)[band].all()
        extra = blocks.all(1).all(2).sum(1) - band.sum(1)
        assert (extra[1:] <= 2).all() and extra.sum() > 0
    else:
        assert (blocks.any(1).any(2).sum(1) <= 4).all()  # three that are drawn, and its own
        assert (blocks.all(1).all(2).sum(1) == 3).all()
    again = ogive.compile(ogive.load("sparse", name, **SMALL)).double().eval()
    again.load_state_dict(module.state_dict(), strict=True)
    with torch.inference_mode():
        assert torch.equal(again(image), module(image))


def core_of(network: ogive.network.Network) -> tuple[object, tuple[object, object]]:
    """The attention of the block, and the types of its queries and keys."""
    node = next(n for n in network.graph.nodes.values() if n.op == "attend")
    q, k = (network.graph.tensor(edge) for edge in node.inputs[:2])
    return node.primitive, (q, k)


@pytest.mark.parametrize("name", MECHANISMS + DRAWN)
def test_mechanisms_against_the_reference(name: str) -> None:
    network, module, image = drawn(name)
    op, types = core_of(network)
    state = module.state_dict()

    def core(i: int, *qkv: torch.Tensor) -> torch.Tensor:
        start = f"blocks.{i}.attn.core."
        own = {key.removeprefix(start): x for key, x in state.items() if key.startswith(start)}
        return attention(spec_of(op, *types), *qkv, weights=own)

    with torch.inference_mode():
        close(module(image), by_hand(state, image, core), 1e-6)


def test_sets_share_the_weights_of_the_dense_one() -> None:
    """Another set renames nothing: one checkpoint serves all; mechanisms add keys below the attention alone."""
    with torch.device("meta"):
        shapes = {
            name: {k: v.shape for k, v in ogive.compile(ogive.load("sparse", name, **SMALL)).state_dict().items()}
            for name in (*SETS, *DRAWN, *MECHANISMS)
        }
    for name, found in shapes.items():
        fresh = {key for key in found if key not in shapes["Dense"]}
        assert {key: found[key] for key in shapes["Dense"]} == shapes["Dense"]
        assert fresh == set() if name not in MECHANISMS else all(".attn.core." in key for key in fresh)


def test_no_two_are_the_same_network() -> None:
    _, dense, image = drawn("Dense")
    answers = {}
    with torch.inference_mode():
        for name in (*SETS, *DRAWN, *MECHANISMS):
            module = ogive.compile(ogive.load("sparse", name, **SMALL)).double().eval()
            module.load_state_dict(dense.state_dict(), strict=False)
            answers[name] = module(image)
    names = list(answers)
    for i, a in enumerate(names):
        for b in names[i + 1:]:
            assert not torch.allclose(answers[a], answers[b], atol=1e-6), (a, b)
