"""Attention over sets of pairs, against the matrix of the set: every pair asked of the pattern, softmax written out."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import ogive
from ogive.compiler.lower.attention_masks import PatternMask
from ogive.compiler.lower.attention_parts import PartsAttention
from ogive.compiler.lower.attention_spelling import spelled
from ogive.compiler.pipeline import compile
from ogive.dsl.build import build
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.load import load_text
from ogive.dsl.patterns import Pattern
from ogive.dsl.patterns.count import distinct
from ogive.dsl.patterns.space import Sequence, Space

D = torch.float64
DISC = "pattern disc(r=2.0):\n    allow (q.row - k.row) ** 2 + (q.col - k.col) ** 2 <= r ** 2\n"
ODD = (
    "pattern odd:\n    near = abs(q.index - k.index) <= 1\n"
    "    allow near if q.head % 2 == 0 else (q.index - k.index) % 3 == 0\n"
)


def compiled(text: str, seed: int = 3, **settings: Any) -> Any:
    """The module of a text's only network in float64, its weights normal numbers."""
    module = compile(build(load_text(text, "case.arch"), None, settings).graph, dtype=D).eval()
    generator = torch.Generator().manual_seed(seed)
    for p in module.parameters():
        p.data = torch.randn(p.shape, generator=generator, dtype=D) * 0.5
    return module


def random(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)


def pattern_of(text: str, above: str = "") -> Any:
    """The value of `over=` as the language reads it."""
    unit = load_text(f"{above}\nnetwork N(over: pattern = {text}):\n    input x: B 4 8\n    x * 1\n", "case.arch")
    return build(unit).settings["over"]


def by_definition(p: Pattern, space: Space, head: int = 0) -> torch.Tensor:
    """The matrix of the set: every pair asked."""
    n, m = space.queries.size, space.keys.size
    return torch.tensor([[p.holds(q, k, space, head) for k in range(m)] for q in range(n)])


def reference(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int, seen: torch.Tensor | None = None,
    added: torch.Tensor | None = None, scale: float | None = None,
) -> torch.Tensor:
    """softmax(q k^T scale + added) v where `seen`, head by head; a query without a key answers zeros."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if added is not None:
        scores = scores + added
    weights = scores.exp() if seen is None else scores.exp() * seen
    total = weights.sum(-1, keepdim=True)
    return (weights / torch.where(total == 0, 1, total) @ v).transpose(1, 2).flatten(2)


def close(found: torch.Tensor, wanted: torch.Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


# --------------------------------------------------------------------------------------------- masks

PLAIN = [
    "dense", "causal", "causal(offset=-1)", "causal(offset=2)", "self", "sliding(3)", "sliding(5, clamp=True)",
    "window(3)", "window(4, shift=1)", "dilated(3, step=2)", "strided(3)", "block(3)", "block(2, near=0)",
    "global_tokens(2)", "random(2, of=3, seed=4)", "random(1, of=2, per_head=True)", "flat(window(4, shift=2))",
    "per_head([causal, sliding(3)])", "~self", "dense - sliding(3)", "causal & sliding(5) | self", "odd",
]
ON_A_GRID = [*PLAIN, 'axial("row")', 'axial("col")', "window(2x3, shift=1x0)", "prefix", "disc | prefix",
             "~(window(2) | prefix)", "flat(~sliding(5)) | self", "disc(3.0) - disc(1.0)"]
SPACES = {
    "sequence": (Sequence((11,)), Sequence((11,))),
    "ends": (Sequence((3,)), Sequence((9,))),
    "grid": (Sequence((4, 6)), Sequence((4, 6))),
    "token": (Sequence((5, 4), 1, 2), Sequence((5, 4), 1, 2)),
    "pooled keys": (Sequence((4, 6), 1), Sequence((2, 3), 1)),
    "pooled queries": (Sequence((2, 3)), Sequence((4, 6))),
    "frames": (Sequence((2, 3, 3), 1), Sequence((2, 3, 3), 1)),
}


@pytest.mark.parametrize("where", SPACES)
def test_masks_are_the_sets(where: str) -> None:
    space = Space(*SPACES[where])
    texts = PLAIN if len(space.queries.grid) == 1 else ON_A_GRID
    if where == "frames":
        texts = ["window(2)", 'axial("time")', 'axial("row")', "sliding(3) | prefix", "block(4)", "~sliding(3)"]
    sides = [(s.prefix, s.suffix, *s.grid) for s in (space.queries, space.keys)]
    for text in texts:
        p = pattern_of(text, DISC + ODD)
        for known in (space, None):
            count = distinct(p, 4)
            module = PatternMask(spelled(p, known, 4), tuple(range(count)))
            found = module(torch.zeros(1), *sides)
            wanted = [by_definition(p, space, head) for head in range(count)]
            assert torch.equal(found, wanted[0] if count == 1 else torch.stack(wanted)), (text, where, known)


def test_a_walk_is_made_once_for_its_sizes_and_never_saved() -> None:
    module = compiled("network N:\n    input x: B N 8\n    attend(2, over=sliding(3))\n")
    (core,) = (m for m in module.modules() if isinstance(m, PartsAttention))
    with torch.inference_mode():
        module(random(1, 6, 8))
    (first,) = core.walks.values()
    x = random(1, 6, 8).requires_grad_()  # what inference made serves training
    module(x).sum().backward()
    assert next(iter(core.walks.values())) is first and len(core.walks) == 1
    for n in range(7, 20):
        close(module(random(1, n, 8)), reference(*[random(1, n, 8)] * 3, 2, by_definition(
            pattern_of("sliding(3)"), Space.of(n))))
    assert len(core.walks) <= 8
    assert list(module.state_dict()) == []
    twin = copy.deepcopy(module)
    close(twin(random(1, 9, 8)), module(random(1, 9, 8)), 0)


# --------------------------------------------------------------------------------------------- attention

GRIDS: Mapping[str, tuple[str, Space]] = {
    "sequence": ("N", Space.of(11)),
    "grid": ("(h=4 w=6)", Space.of(4, 6)),
    "token": ("(1 + h=5 w=4)", Space.of(5, 4, prefix=1)),
}
CASES = [
    ("sequence", "sliding(5)"), ("sequence", "causal(offset=2)"), ("sequence", "per_head([dense, causal])"),
    ("sequence", "odd"), ("grid", "window(3, shift=1)"), ("grid", 'axial("row") | axial("col")'),
    ("grid", "random(2, of=4, seed=1, per_head=True) | self"), ("token", "window(2) | prefix"),
    ("token", "disc | self"), ("token", "causal & ~self | self"),
]


@pytest.mark.parametrize(("where", "over"), CASES)
@pytest.mark.parametrize("drop", [0.0, 0.4])
def test_attention_over_a_set(where: str, over: str, drop: float) -> None:
    size, space = GRIDS[where]
    text = f"{DISC}{ODD}\nnetwork N:\n    input x: B {size} 12\n    attend(4, over={over}, drop={drop})\n"
    module, x = compiled(text), random(2, space.queries.size, 12)
    p = pattern_of(over, DISC + ODD)
    seen = torch.stack([by_definition(p, space, head) for head in range(4)])
    x.requires_grad_()
    found, wanted = module(x), reference(x, x, x, 4, seen)
    close(found, wanted)
    a, b = (torch.autograd.grad(y.square().sum(), x)[0] for y in (found, wanted))
    close(a, b, 1e-9)


def test_free_grids() -> None:
    text = "network N:\n    input image: B 8 H W\n    attend(2, over=window(3, shift=1) | ~sliding(5))\n"
    module, p = compiled(text), pattern_of("window(3, shift=1) | ~sliding(5)")
    for h, w in ((4, 6), (3, 3), (7, 5)):
        x = random(1, 8, h, w)
        flat = x.flatten(2).transpose(1, 2)
        wanted = reference(flat, flat, flat, 2, by_definition(p, Space.of(h, w)))
        close(module(x), wanted.transpose(1, 2).unflatten(2, (h, w)))


def test_pooled_queries_stand_on_the_keys_grid() -> None:
    text = """
network N:
    input x: B 8 4 6, y: B 8 8 12
    x, y, y -> attend(2, over=sliding(3))
"""
    x, y = random(1, 8, 4, 6), random(1, 8, 8, 12, seed=2)
    a, b = (t.flatten(2).transpose(1, 2) for t in (x, y))
    seen = by_definition(pattern_of("sliding(3)"), Space(Sequence((4, 6)), Sequence((8, 12))))
    close(compiled(text)(x, y), reference(a, b, b, 2, seen).transpose(1, 2).unflatten(2, (4, 6)))


@pytest.mark.parametrize("over", ["dense", "sliding(3)", "causal & ~self", "per_head([causal, dense])"])
def test_grouped_queries_share_keys(over: str) -> None:
    """Keys are not repeated for the heads that share them, but where parts of a set are walked one by one."""
    text = f"""
network N:
    input q: B N 12, k: B M 6, v: B M 6
    attended = q, k, v -> attend(4, over={over})
"""
    module, p = compiled(text), pattern_of(over)
    assert not [n for n in module.graph.nodes if n.target == "repeat_interleave"]
    q, k, v = (x.requires_grad_() for x in (random(2, 7, 12), random(2, 7, 6, seed=2), random(2, 7, 6, seed=3)))
    wide = [x.unflatten(2, (2, 3)).repeat_interleave(2, 2).flatten(2) for x in (k, v)]
    found = module(q, k, v)
    seen = torch.stack([by_definition(p, Space.of(7), head) for head in range(4)])
    wanted = reference(q, *wide, 4, seen)
    close(found, wanted)
    grad = torch.randn_like(wanted)
    for x, y in zip(*(torch.autograd.grad(out, (q, k, v), grad) for out in (found, wanted)), strict=True):
        close(x, y)


# --------------------------------------------------------------------------------------------- masks of the file


@pytest.mark.parametrize("score", ["dot", "distance"])
@pytest.mark.parametrize(
    ("shape", "port"), [((2, 7), "B N"), ((2, 7, 7), "B N N"), ((2, 4, 7, 7), "B 4 N N"), ((2, 1, 7, 7), "B 1 N N")]
)
@pytest.mark.parametrize("over", ["dense", "sliding(3)", "per_head([sliding(5), dense])"])
def test_masks_of_truth_values(shape: tuple[int, ...], port: str, over: str, score: str) -> None:
    line = f'x -> attend(4, over={over}, mask=m, score="{score}")'
    text = f"network N:\n    input x: B N 8, m: {port} of bool\n    {line}\n"
    x, mask = random(2, 7, 8), random(*shape, seed=5) > 0.6
    mask[(0,) if len(shape) == 2 else (0, ..., 2, slice(None))] = False
    p = pattern_of(over)
    seen = torch.stack([by_definition(p, Space.of(7), head) for head in range(4)])
    full = seen & (mask[:, None, None] if len(shape) == 2 else mask[:, None] if len(shape) == 3 else mask)
    assert not full.any(-1).all() and full.any(-1).any()  # a query without any key is among them
    q = x.unflatten(-1, (4, 2)).transpose(1, 2)
    scores = q @ q.transpose(-1, -2) if score == "dot" else -(q[:, :, :, None] - q[:, :, None]).square().sum(-1)
    weights = (scores * 2**-0.5).exp() * full
    total = weights.sum(-1, keepdim=True)
    wanted = (weights / torch.where(total == 0, 1, total) @ q).transpose(1, 2).flatten(2)
    x.requires_grad_()
    found = compiled(text)(x, mask)
    close(found, wanted)
    found.sum().backward()
    assert x.grad is not None and not x.grad.isnan().any()


def test_masks_of_floats_are_added() -> None:
    text = "network N:\n    input x: B N 8, m: B 2 N N\n    x -> attend(2, over=causal, mask=m)\n"
    x, mask = random(2, 5, 8), random(2, 2, 5, 5, seed=4)
    mask[:, 1, 3] = float("-inf")
    wanted = reference(x, x, x, 2, by_definition(pattern_of("causal"), Space.of(5)), mask)
    close(compiled(text)(x, mask), wanted)
    close(compiled(text.replace("over=causal, ", "over=causal, drop=0.1, "))(x, mask), wanted)


# --------------------------------------------------------------------------------------------- scores


def test_cosine_scores_with_a_scale_for_each_head() -> None:
    text = """
network N:
    input x: B N 8
    logit_scale = learned(2, 1, 1)
    sharp = exp(logit_scale)
    x -> attend(2, score="cosine", scale=sharp)
"""
    module, x = compiled(text), random(2, 5, 8)
    q = F.normalize(x.unflatten(-1, (2, 4)), dim=-1).flatten(2)
    y = module(x)
    wanted = torch.cat([
        reference(q[..., s], q[..., s], x[..., s], 1, scale=float(module.logit_scale.detach().exp()[i]))
        for i, s in enumerate((slice(0, 4), slice(4, 8)))
    ], dim=-1)
    close(y, wanted)
    y.sum().backward()
    assert module.logit_scale.grad.abs().min() > 0
    plain = compiled('network N:\n    input x: B N 8\n    attend(2, score="cosine")\n')
    close(plain(x), reference(q, q, x, 2, scale=1))


def test_additive_scores() -> None:
    text = "network N:\n    input q: B N 6, k: B M 6\n    align = q, k, k -> attend(1, score=\"additive\")\n"
    module = compiled(text)
    assert list(module.state_dict()) == ["align.v"]
    q, k = random(2, 3, 6), random(2, 5, 6, seed=2)
    weights = (torch.tanh(q[:, :, None] + k[:, None]) @ module.align.v).softmax(-1)
    close(module(q, k), weights @ k)
    module(q, k).sum().backward()
    assert module.align.v.grad.abs().min() > 0


def test_distance_of_one_channel_and_wide_values() -> None:
    text = 'network N:\n    input q: B N 2, v: B N 8\n    q, q, v -> attend(2, score="distance", over=sliding(3))\n'
    q, v = random(1, 6, 2), random(1, 6, 8, seed=2)
    seen = by_definition(pattern_of("sliding(3)"), Space.of(6))
    scores = -(q[:, :, None] - q[:, None]).square().permute(0, 3, 1, 2)
    weights = scores.masked_fill(~seen, float("-inf")).softmax(-1)
    wanted = (weights @ v.unflatten(-1, (2, 4)).transpose(1, 2)).transpose(1, 2).flatten(2)
    close(compiled(text)(q, v), wanted)


@pytest.mark.parametrize("scale", [0.0, 1.0, -0.5])
def test_scales(scale: float) -> None:
    x = random(2, 5, 8)
    module = compiled(f"network N:\n    input x: B N 8\n    attend(2, scale={scale})\n")
    close(module(x), reference(x, x, x, 2, scale=scale))


def test_talking_heads() -> None:
    text = """
network N:
    input x: B N 8
    proj_l = head_mix(4)
    proj_w = head_mix(4)
    x -> attend(4, over=causal, before_softmax=proj_l, after_softmax=proj_w)
"""
    module, x = compiled(text), random(2, 5, 8)
    assert list(module.state_dict()) == ["proj_l.weight", "proj_l.bias", "proj_w.weight", "proj_w.bias"]
    q = x.unflatten(-1, (4, 2)).transpose(1, 2)
    seen = by_definition(pattern_of("causal"), Space.of(5))

    def mixed(t: torch.Tensor, mix: Any) -> torch.Tensor:
        return F.linear(t.permute(0, 2, 3, 1), mix.weight, mix.bias).permute(0, 3, 1, 2)

    scores = mixed(q @ q.transpose(-1, -2) * 2**-0.5, module.proj_l).masked_fill(~seen, float("-inf"))
    wanted = (mixed(scores.softmax(-1), module.proj_w) * seen @ q).transpose(1, 2).flatten(2)
    close(module(x), wanted)


# --------------------------------------------------------------------------------------------- what is fused


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("attend(2)", None), ("attend(2, over=causal)", None), ("attend(2, over=window(3))", None),
        ("attend(2, over=pooled(2))", None), ('attend(2, score="cosine")', None), ("attend(2, mask=m)", None),
        ('attend(2, score="distance")', "is written out"), ('attend(2, over=kernel("elu"))', "is written out"),
        ("attend(2, bias=slopes)", None),
        ("attend(2, after_softmax=mix)", "heads are mixed"),
    ],
)
def test_require_fused(line: str, reason: str | None) -> None:
    text = f"""
network N:
    input x: B N 8, m: B N of bool
    slopes = alibi(2)
    mix = head_mix(2)
    x -> {line} require fused
"""
    graph = build(load_text(text, "case.arch")).graph
    if reason is None:
        compile(graph)
        return
    with pytest.raises(ArchError, match="required to be fused") as caught:
        compile(graph)
    first = caught.value.diagnostics[0]
    assert first.code == "A713" and reason in first.title and first.span is not None and first.span.text == line


def test_traced_with_free_sizes_nothing_of_one_size_stays() -> None:
    text = """
network N:
    input x: B N 8, m: B N of bool
    near = t5_bias(2)
    a = x -> attend(2, over=causal, bias=near, mask=m)
    attend(2, over=sliding(3), drop=0.1)
"""
    module = ogive.compile(ogive.loads(text)).eval()
    x, mask = torch.randn(2, 6, 8), torch.rand(2, 6) > 0.3
    with torch.no_grad():
        module(x, mask)  # what it keeps for these sizes is not what is traced
        shapes = ogive.dynamic_shapes(module)
        exported = torch.export.export(module, (x, mask), dynamic_shapes=shapes).module()
        y, other = torch.randn(3, 9, 8), torch.rand(3, 9) > 0.3
        torch.testing.assert_close(exported(y, other), module(y, other))
        assert module.to(torch.bfloat16)(x.bfloat16(), mask).dtype is torch.bfloat16
