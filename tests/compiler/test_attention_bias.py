"""Biases and rotations against the published code that has them, and against their formulas."""

from __future__ import annotations

import math
from typing import Any

import peers
import pytest
import torch

from ogive.compiler.pipeline import compile
from ogive.dsl.build import build
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.load import load_text

D = torch.float64


def compiled(text: str) -> Any:
    return compile(build(load_text(text, "case.arch")).graph, dtype=D).eval()


def random(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


def same_weights(ours: Any, theirs: Any) -> None:
    """Both get the same numbers, under the same keys."""
    for i, p in enumerate(theirs.parameters()):
        p.data = random(*p.shape, seed=i + 7) * 0.5
    ours.load_state_dict(theirs.state_dict(), strict=True)


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


SWIN = """
from std.timm import Mlp

block WindowAttention(heads, size, shift):
    input x: B (h w) C
    relative_position_bias_table = relative_bias(heads, size)
    qkv  = x -> linear(3 * C)
    split(3)
    attend(heads, over=window(size, shift), bias=relative_position_bias_table)
    proj = linear(C)

network SwinBlock(heads=4, size=SIZE, shift=SHIFT):
    input x: B (h=HEIGHT w=WIDTH) 16
    residual:
        norm1 = layernorm
        attn  = WindowAttention(heads, size, shift)
    residual:
        norm2 = layernorm
        mlp   = Mlp(64)
"""


@pytest.mark.parametrize(
    ("height", "width", "size", "shift"), [(12, 8, 4, 0), (12, 8, 4, 2), (14, 14, 7, 3), (6, 6, 6, 3)]
)
def test_swin_block(height: int, width: int, size: int, shift: int) -> None:
    peers.timm()
    from timm.models.swin_transformer import SwinTransformerBlock

    theirs = SwinTransformerBlock(16, (height, width), 4, window_size=size, shift_size=shift).to(D).eval()
    text = SWIN
    for name, value in (("SIZE", size), ("SHIFT", shift), ("HEIGHT", height), ("WIDTH", width)):
        text = text.replace(name, str(value))
    ours = compiled(text)
    same_weights(ours, theirs)
    x = random(2, height, width, 16).requires_grad_()
    y = x.detach().clone().requires_grad_()
    found, wanted = ours(x.flatten(1, 2)), theirs(y).flatten(1, 2)
    close(found, wanted)
    found.square().sum().backward()
    wanted.square().sum().backward()
    close(x.grad, y.grad)
    close(ours.attn.relative_position_bias_table.grad, theirs.attn.relative_position_bias_table.grad)


def test_beit_has_three_rows_for_its_token() -> None:
    peers.timm()
    from timm.models.beit import Attention

    theirs = Attention(16, num_heads=2, qkv_bias=False, window_size=(3, 4)).to(D).eval()
    ours = compiled("""
network N:
    input x: B (1 + h=3 w=4) 16
    relative_position_bias_table = relative_bias(2, 3x4, prefix=1)
    qkv = x -> linear(48, bias=False)
    split(3)
    attend(2, bias=relative_position_bias_table)
    proj = linear(16)
""")
    same_weights(ours, theirs)
    x = random(2, 13, 16)
    close(ours(x), theirs(x))


def test_levit_is_symmetric() -> None:
    peers.timm()
    from timm.models.levit import Attention, AttentionDownsample

    theirs = Attention(16, 4, num_heads=2, attn_ratio=1, resolution=(3, 4)).to(D)
    theirs.attention_biases.data = random(2, 12)
    theirs.proj = torch.nn.Identity()
    theirs.qkv = torch.nn.Identity()
    ours = compiled("""
network N:
    input x: B (h=3 w=4) 24
    attention_biases = relative_bias(2, 3x4, symmetric=True)
    q, k, v = x -> split(3, per_head=2)
    q, k, v -> attend(2, bias=attention_biases)
""")
    ours.load_state_dict({"attention_biases": theirs.attention_biases}, strict=True)
    x = random(2, 12, 24)
    close(ours(x), theirs(x))

    down = AttentionDownsample(16, 16, 4, num_heads=2, attn_ratio=1, stride=2, resolution=(5, 5)).to(D)
    ours = compiled("""
network N:
    input x: B (h=3 w=3) 8, y: B (a=5 b=5) 16
    attention_biases = relative_bias(2, 5, symmetric=True, stride=2)
    k, v = y -> split(2, per_head=2)
    x, k, v -> attend(2, bias=attention_biases)
""")
    down.attention_biases.data = random(2, 25)
    ours.load_state_dict({"attention_biases": down.attention_biases}, strict=True)
    q, kv = random(1, 9, 8), random(1, 25, 16, seed=2)
    k, v = kv.view(1, 25, 2, 8).split([4, 4], dim=3)
    scores = q.view(1, 9, 2, 4).transpose(1, 2) @ k.permute(0, 2, 3, 1) * 0.5 + down.get_attention_biases(q.device)
    close(ours(q, kv), (scores.softmax(-1) @ v.transpose(1, 2)).transpose(1, 2).flatten(2))


def test_maxvit_of_tensorflow() -> None:
    peers.timm()
    from timm.layers import RelPosBiasTf

    theirs = RelPosBiasTf((3, 4), 2).to(D)
    theirs.relative_position_bias_table.data = random(2, 5, 7)
    ours = compiled("""
network N:
    input x: B (h=3 w=4) 8
    table = relative_bias(2, 3x4, layout="tf")
    x -> attend(2, bias=table)
""")
    ours.load_state_dict({"table": theirs.relative_position_bias_table}, strict=True)
    x = random(1, 12, 8)
    q = x.unflatten(2, (2, 4)).transpose(1, 2)
    scores = q @ q.transpose(-1, -2) * 0.5 + theirs.get_bias()
    close(ours(x), (scores.softmax(-1) @ q).transpose(1, 2).flatten(2))


@pytest.mark.parametrize(("queries", "keys"), [((4, 6), (4, 6)), ((4, 6), (2, 3)), ((2, 3), (4, 6))])
@pytest.mark.parametrize("token", [False, True])
def test_mvit(queries: tuple[int, int], keys: tuple[int, int], token: bool) -> None:
    peers.timm()
    from timm.models.mvitv2 import cal_rel_pos_type

    before = "1 + " if token else ""
    rows = [2 * max(a, b) - 1 for a, b in zip(queries, keys, strict=True)]
    ours = compiled(f"""
network N:
    input q: B ({before}h={queries[0]} w={queries[1]}) 8, k: B ({before}a={keys[0]} b={keys[1]}) 8
    rel_pos_h = learned({rows[0]}, 4)
    rel_pos_w = learned({rows[1]}, 4)
    near = q, rel_pos_h, rel_pos_w -> decomposed_relative(2)
    q, k, k -> attend(2, bias=near)
""")
    tables = [random(n, 4, seed=n) for n in rows]
    ours.load_state_dict(dict(zip(("rel_pos_h", "rel_pos_w"), tables, strict=True)), strict=True)
    n, m = math.prod(queries) + token, math.prod(keys) + token
    a, b = random(2, n, 8), random(2, m, 8, seed=2)
    q, k = (x.unflatten(2, (2, 4)).transpose(1, 2) for x in (a, b))
    scores = cal_rel_pos_type(q @ k.transpose(-1, -2) * 0.5, q, token, list(queries), list(keys), *tables)
    close(ours(a, b), (scores.softmax(-1) @ k).transpose(1, 2).flatten(2))


def test_decomposed_in_windows() -> None:
    """SAM, as published: the image is cut into windows, each of which has the table of its own grid."""
    ours = compiled("""
network N:
    input x: B (h=6 w=8) 8
    rel_pos_h = learned(5, 4)
    rel_pos_w = learned(7, 4)
    near = x, rel_pos_h, rel_pos_w -> decomposed_relative(2)
    x -> attend(2, over=window(3x4), bias=near)
""")
    tables = random(5, 4, seed=1), random(7, 4, seed=2)
    ours.load_state_dict(dict(zip(("rel_pos_h", "rel_pos_w"), tables, strict=True)), strict=True)
    x = random(2, 48, 8)
    cut = x.view(2, 2, 3, 2, 4, 8).transpose(2, 3).reshape(8, 12, 8)
    q = cut.unflatten(2, (2, 4)).transpose(1, 2)
    rows, columns = (table[torch.arange(n)[:, None] - torch.arange(n)[None] + n - 1]
                     for table, n in zip(tables, (3, 4), strict=True))
    places = q.unflatten(2, (3, 4))
    bias = (torch.einsum("bnhwc,hkc->bnhwk", places, rows)[..., :, None]
            + torch.einsum("bnhwc,wkc->bnhwk", places, columns)[..., None, :])
    scores = q @ q.transpose(-1, -2) * 0.5 + bias.flatten(2, 3).flatten(3)
    answer = (scores.softmax(-1) @ q).transpose(1, 2).reshape(2, 2, 2, 3, 4, 8)
    close(ours(x), answer.transpose(2, 3).reshape(2, 48, 8))


def published_bucket(away: torch.Tensor, bidirectional: bool, buckets: int, reach: int) -> torch.Tensor:
    """T5's `_relative_position_bucket`, as in mesh-tensorflow."""
    found = torch.zeros_like(away)
    n = -away
    if bidirectional:
        buckets //= 2
        found += (n < 0).long() * buckets
        n = n.abs()
    else:
        n = torch.max(n, torch.zeros_like(n))
    exact = buckets // 2
    large = exact + (torch.log(n.float() / exact) / math.log(reach / exact) * (buckets - exact)).long()
    return found + torch.where(n < exact, n, torch.min(large, torch.full_like(large, buckets - 1)))


@pytest.mark.parametrize("both", [True, False])
def test_t5(both: bool) -> None:
    ours = compiled(f"""
network N:
    input x: B N 8
    relative_attention_bias = t5_bias(2, buckets=16, reach=40, bidirectional={both})
    x -> attend(2, bias=relative_attention_bias, scale=1)
""")
    assert list(ours.state_dict()) == ["relative_attention_bias.weight"]
    ours.relative_attention_bias.weight.data = table = random(16, 2)
    x = random(1, 60, 8)
    away = torch.arange(60)[None] - torch.arange(60)[:, None]
    bias = table[published_bucket(away, both, 16, 40)].permute(2, 0, 1)
    q = x.unflatten(2, (2, 4)).transpose(1, 2)
    close(ours(x), ((q @ q.transpose(-1, -2) + bias).softmax(-1) @ q).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("heads", [2, 4, 6])
def test_alibi(heads: int) -> None:
    def published(n: int) -> list[float]:
        if math.log2(n).is_integer():
            start = 2 ** -(2 ** -(math.log2(n) - 3))
            return [start * start**i for i in range(n)]
        closest = 2 ** math.floor(math.log2(n))
        return published(closest) + published(2 * closest)[0::2][: n - closest]

    ours = compiled(f"""
network N:
    input x: B N 12
    slopes = alibi({heads})
    x -> attend({heads}, over=causal, bias=slopes)
""")
    x = random(2, 7, 12)
    q = x.unflatten(2, (heads, -1)).transpose(1, 2)
    away = torch.arange(7)[None] - torch.arange(7)[:, None]
    scores = q @ q.transpose(-1, -2) * q.shape[-1] ** -0.5
    scores = scores + torch.tensor(published(heads), dtype=D)[:, None, None] * away
    wanted = scores.masked_fill(away > 0, float("-inf")).softmax(-1) @ q
    close(ours(x), wanted.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("layout", ["half", "pairs"])
@pytest.mark.parametrize("grid", [True, False])
def test_rope(layout: str, grid: bool) -> None:
    peers.timm()
    from timm.layers import RotaryEmbeddingCat, apply_rot_embed_cat

    size = "(1 + h=3 w=5)" if grid else "N"
    ours = compiled(f"""
network N:
    input x: B {size} 32
    y, z = x, x -> rope(2, layout="{layout}")
    return y=y, z=z
""")
    x = random(2, 16, 32)
    heads = x.unflatten(2, (2, 16)).transpose(1, 2)
    half = layout == "half"
    if grid:
        code = RotaryEmbeddingCat(16, in_pixels=False, feat_shape=[3, 5], rotate_half=half).to(D)
        turned = apply_rot_embed_cat(heads[:, :, 1:], code.get_embed().to(D), half=half)
        wanted = torch.cat((heads[:, :, :1], turned), dim=2)
    else:
        angle = torch.arange(16, dtype=D)[:, None] * 10000.0 ** -(torch.arange(8, dtype=D) / 8)
        i, j = (slice(0, 8), slice(8, 16)) if half else (slice(0, 16, 2), slice(1, 16, 2))
        turned = torch.view_as_complex(torch.stack((heads[..., i], heads[..., j]), -1)) * torch.exp(1j * angle)
        wanted = heads.clone()
        wanted[..., i], wanted[..., j] = turned.real, turned.imag
    found = ours(x)
    torch.testing.assert_close(found["y"], wanted.transpose(1, 2).flatten(2), rtol=1e-5, atol=1e-6)
    assert torch.equal(found["y"], found["z"])


def test_rope_depends_on_the_distance_alone() -> None:
    ours = compiled("network N:\n    input x: B N 8\n    rope(1)\n")
    x = random(1, 1, 8).expand(1, 9, 8)
    y = ours(x)[0]
    products = y @ y.t()
    close(products[0, 3], products[5, 8])
    assert (products[0, 3] - products[0, 4]).abs() > 1e-3


def test_a_table_that_ordinary_lines_make() -> None:
    ours = compiled("""
network N:
    input x: B (h=4 w=4) 8
    table = learned(1, 2, 5, 5)
    near = 16 * table
    x -> attend(2, over=sliding(3), bias=near)
""")
    ours.table.data = table = random(1, 2, 5, 5)
    x = random(1, 16, 8)
    q = x.unflatten(2, (2, 4)).transpose(1, 2)
    place = torch.stack(torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij"), -1).flatten(0, 1)
    away = place[:, None] - place[None]
    scores = q @ q.transpose(-1, -2) * 0.5
    held = away.clamp(-2, 2) + 2
    scores = scores + 16 * table[0, :, held[..., 0], held[..., 1]]
    scores = scores.masked_fill((away.abs() > 1).any(-1), float("-inf"))
    close(ours(x), (scores.softmax(-1) @ q).transpose(1, 2).flatten(2))


def test_dilated_offsets_in_steps() -> None:
    ours = compiled("""
network N:
    input x: B (h=7 w=7) 8
    rpb = relative_bias(2, 2, step=3)
    x -> attend(2, over=dilated(3, step=3), bias=rpb)
""")
    ours.rpb.data = table = random(9, 2)
    x = random(1, 49, 8)
    q = x.unflatten(2, (2, 4)).transpose(1, 2)
    place = torch.stack(torch.meshgrid(torch.arange(7), torch.arange(7), indexing="ij"), -1).flatten(0, 1)
    away = place[:, None] - place[None]
    seen = ((away.abs() <= 3) & (away % 3 == 0)).all(-1)
    index = ((away // 3).clamp(-1, 1) + 1) @ torch.tensor([3, 1])
    scores = q @ q.transpose(-1, -2) * 0.5 + table[index].permute(2, 0, 1)
    wanted = scores.masked_fill(~seen, float("-inf")).softmax(-1) @ q
    close(ours(x), wanted.transpose(1, 2).flatten(2))


@pytest.mark.parametrize(("n", "size", "more"), [(9, 9, ""), (9, 4, ", clip=True"), (3, 5, ""), (30, 2, ", clip=True")])
@pytest.mark.parametrize("over", ["dense", "causal"])
def test_offsets_along_a_sequence(n: int, size: int, more: str, over: str) -> None:
    """A table of 2 size - 1 offsets, as Shaw et al. have it: farther ones are cut to the farthest."""
    ours = compiled(f"network N:\n    input x: B {n} 8\n    near = relative_bias(2, {size}, axes=1{more})\n"
                    f"    x -> attend(2, over={over}, bias=near)\n")
    ours.near.data = table = random(2 * size - 1, 2)
    x = random(2, n, 8)
    q = x.unflatten(2, (2, 4)).transpose(1, 2)
    away = torch.arange(n)[:, None] - torch.arange(n)[None]
    scores = q @ q.transpose(-1, -2) * 0.5 + table[away.clamp(1 - size, size - 1) + size - 1].permute(2, 0, 1)
    if over == "causal":
        scores = scores.masked_fill(away < 0, float("-inf"))
    close(ours(x), (scores.softmax(-1) @ q).transpose(1, 2).flatten(2))
    ours(x).square().sum().backward()
    assert (ours.near.grad.abs().sum(1) > 0).sum() >= min(n, size)


def test_offsets_along_a_free_sequence_are_held_to_their_table() -> None:
    text = "network N:\n    input x: B N 8\n    near = relative_bias(2, 5, axes=1{})\n    x -> attend(2, bias=near)\n"
    ours = compiled(text.format(""))
    assert ours(random(1, 5, 8)).shape == (1, 5, 8)
    with pytest.raises(ArchError) as caught:
        ours(random(1, 6, 8))
    assert caught.value.diagnostics[0].code == "A706" and "case.arch:4" in str(caught.value)
    assert compiled(text.format(", clip=True"))(random(1, 60, 8)).shape == (1, 60, 8)
