"""Networks as Python files: they run where this package cannot be imported, and take the same weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import B, H, W, graph_of, image, tokens
from parity import quickly

import ogive
from ogive import ArchError
from ogive.compiler.export.source import to_source
from ogive.compiler.lower.attention_parts import PartsAttention
from ogive.compiler.pipeline import compile

RUN = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("ogive", "lark", "pydantic", "networkx"):
            raise ImportError(name + " is not here")

sys.meta_path.insert(0, Without())
import runpy
import torch

space = runpy.run_path(sys.argv[1])
model = space[space["__all__"][0]]().eval()
kept = torch.load(sys.argv[2])
model.load_state_dict(kept["state"], strict=True)
with torch.no_grad():
    result = model(*kept["inputs"])
result = list(result.values()) if isinstance(result, dict) else list(result) if isinstance(result, tuple) else [result]
torch.save({"state": model.state_dict(), "result": result}, sys.argv[3])
runpy.run_path(sys.argv[1], run_name="__main__")
"""

TEXTS = {
    "tied": """
network Tied(vocab=11, dim=8):
    input ids: B N of int
    wte = embedding(vocab, dim)
    blocks:
        - layernorm
        - gelu
        - linear(8)
    head = linear(vocab, bias=False, weight=wte.weight)
""",
    "a block called as a class of ours": """
block DeformConv(width):
    input x: B C H W
    offset = x -> conv(18, 3x3)
    conv   = x, offset -> deform_conv(width, 3x3)

network Net:
    input x: B 4 H W
    deform = DeformConv(6)
    last   = conv(2, 1x1)
""",
    "shared and named": """
block Part(width):
    input x: ... C
    fc = linear(width)
    norm = layernorm

network Net:
    input x: B 4
    input class_: B 4
    shared g = Part(4)
    x -> g
    y = _ + class_
    y -> g
    body:
        first = linear(3) as "/elsewhere.first"
        dropout(0.5)
        second = Part(2)
    return early=y, late=body
""",
    "sizes": """
network Sizes:
    input x: B 3 H W
    a = conv(4, 3x3, stride=2, pad=1, pad_mode="reflect")
    tokens = to_tokens
    cls = learned(4)
    add = tokens * cls
    repeat 2 as blocks[i]:
        repeat 2 as layers[j]:
            residual:
                fc = linear(4)
                drop_path(0.1)
    norm = groupnorm(2)
    to_image
    up = upsample(2)
    skip = conv(4, pad="same", stride=2)
    return up, skip
""",
    "choice": """
network Choice:
    input x: B N 12, y: B M 12, m: B N of bool, i: B 3 H W
    peak   = max_over(C)
    order  = argsort
    sorted = x, order -> gather
    best   = top_k(2)
    scores = x, y -> dot
    scores / N -> softmax
    seen   = _, y -> matmul
    x > 0.5, seen, min(x, 3) -> where
    _, m -> masked_fill(-1e9)
    longer = max(_, 0, N) * (x >= 0)
    f = linear(12)                     : B N (d ways=3)
    rearrange                          : B ways N d
    high, wide, self = unstack(ways)
    unit   = self -> l2_normalize
    high * wide + unit                 : B N d
    mixed  = rearrange                 : (B d) N
    small  = i -> subsample(2)
    pooled = x -> mean_over(N)
    maxed  = maxout(3)
    one    = x -> take(0, keep=True)
    more   = repeat_to(M)
    more, pooled -> concat(C)
    wide_  = y, _ -> dot(N)
    length = norm
    return best, best.indices, mixed, small, maxed, length
""",
    "recurrent and given": """
block Attention(heads):
    input x: B N C
    in_proj_weight = learned(3 * C, C, init="xavier")
    in_proj_bias   = learned(3 * C)
    q = x -> linear(C, weight=in_proj_weight[0 : C],         bias=in_proj_bias[0 : C])
    k = x -> linear(C, weight=in_proj_weight[C : 2 * C],     bias=in_proj_bias[C : 2 * C])
    v = x -> linear(C, weight=in_proj_weight[2 * C : 3 * C], bias=in_proj_bias[2 * C : 3 * C])
    q, k, v -> attend(heads)
    out_proj = linear(C)

network Net:
    input x: B N 8
    encoder:
        run = lstm(4, layers=2, bidirectional=True, dropout=0.1)
        fc  = linear(8)
    back = x -> gru(8)
    attn = encoder -> Attention(2)
    cell = back.h[0], encoder.run.h[1], encoder.run.c[3] -> lstm_cell(4)
    none = zeros(4)
    more = x, none -> Step
    attn + back * encoder.fc.weight[0] + ones(8)
    conv = conv(6, 3)
    return conv, cell.c, more

block Step:
    input x: B N C, start: C2
    first = x -> take(0)
    cell  = first, start -> rnn_cell(C2)
""",
    "regions and planes": """
network Net:
    input x: B 8 H W, boxes: B K 4
    offset = conv(18)
    mask   = x -> conv(9)
    deform = x, offset, mask -> deform_conv(12, groups=2)
    pool   = max_pool(2x2, indices=True)
    std    = conv(12, 3x3, standardize=1e-6)
    wide   = max_unpool(2x2, indices=pool.indices, like=deform)
    wide + deform -> shift(rows=[1, 0], cols=-1, border="edge")
    sine = sine_position
    _ + sine -> pad_grid(4)
    big  = to_tokens
    pos  = position(3x2, resize="bicubic")
    cut  = crop_grid(like=x)
    place = coordinates(like=x)
    away = offsets(3) * 2
    cut -> regrid(like=x)
    map = to_image
    [map, pool], boxes -> roi_align(3x2, strides=[1, 2])
    align = _
    peak = map, boxes -> roi_pool(3, strides=1)
    return align, peak, place, away
""",
    "attention": """
pattern disc(r=2.0):
    allow (q.row - k.row) ** 2 + (q.col - k.col) ** 2 <= r ** 2
network Attends:
    input x: B (1 + h=4 w=4) 8, m: B N=17 of bool
    table = relative_bias(2, 4, prefix=1)
    a = x -> attend(2, over=window(2, shift=1) | prefix, bias=table, mask=m)
    b = attend(2, over=disc | prefix)
    c = attend(2, over=random(2, of=4) | self, drop=0.1)
    s = alibi(2)
    d = attend(2, bias=s)
    t = t5_bias(2)
    e = attend(2, bias=t)
    mix = head_mix(2)
    f = attend(2, before_softmax=mix, over=sliding(3) | prefix)
    g = attend(2, score="additive", drop=0.1)
    y, z = g, g -> rope(2)
    y, z, g -> attend(2)
    l = attend(2, over=linformer(3), drop=0.1)
    o = attend(2, over=per_head([nystrom(4), latent(3)]))
    p = attend(2, over=pooled(2))
    rh = learned(7, 4)
    rw = learned(7, 4)
    near = p, rh, rw -> decomposed_relative(2)
    p, p, p -> attend(2, bias=near)
    attend(2, over=performer(features=8))
    attend(2, over=channels, score="cosine")
    attend(2, over=kernel)
    attend(2, over=kernel("relu", causal=True))
    attend(2, over=pooled(2, by="max"))
    cut = attend(2, over=pooled(2, by="conv"))
    attend(2, score="distance")
""",
    "attention on a free grid": """
network Grid:
    input image: B 3 H W
    patches = patchify(8, 32)
    repeat 3 as blocks[i]:
        table = relative_bias(2, 3)
        attend(2, over=window(3, shift=1), bias=table)
        residual:
            fc = linear(8)
    attend(2, over=sliding(3) | block(2))
""",
}


def compare(module: Any, inputs: tuple[torch.Tensor, ...], folder: Path) -> str:
    """The file's text; its answers, its keys and its weights are the module's."""
    text = to_source(module)
    assert "ogive" not in text.replace("written by Ogive", "")
    paths = [folder / name for name in ("net.py", "in.pt", "out.pt")]
    paths[0].write_text(text, encoding="utf-8")
    torch.save({"state": module.state_dict(), "inputs": inputs}, paths[1])
    done = subprocess.run([sys.executable, "-c", RUN, *map(str, paths)], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    kept = torch.load(paths[2])
    wanted = module(*inputs)
    wanted = list(wanted.values()) if isinstance(wanted, dict) else wanted if isinstance(wanted, tuple) else [wanted]
    # sets of pairs are written with a mask of all pairs, and run part by part: the same up to rounding
    near = 2e-6 if any(isinstance(m, PartsAttention) for m in module.modules()) else 0
    for ours, theirs in zip(kept["result"], wanted, strict=True):
        torch.testing.assert_close(ours, theirs.detach(), rtol=near, atol=near)
    module.load_state_dict(kept["state"], strict=True)
    assert done.stdout.count("(") == len(wanted)
    return text


@pytest.mark.parametrize(
    ("file", "network", "settings", "lines"),
    [
        ("vit", "ViT.Ti", {"depth": 3}, 100),
        ("resnet", "ResNet.r50", {}, 300),
        pytest.param("mixer", "MLPMixer.B16", {"depth": 2}, 100, marks=pytest.mark.long),
        pytest.param("unet", "UNet", {}, 320, marks=pytest.mark.long),
    ],
)
def test_the_library(file: str, network: str, settings: dict[str, Any], lines: int, tmp_path: Path) -> None:
    module = ogive.compile(ogive.load(file, network, **settings)).eval()
    side = 224 if file in ("vit", "mixer") else 64
    text = compare(module, (torch.randn(1, 3, side, side),), tmp_path)
    assert len(text.splitlines()) < lines
    assert max(map(len, text.splitlines())) < 200


def test_equal_blocks_are_one_class_and_a_loop() -> None:
    text = to_source(ogive.load("vit", "ViT.B"))
    assert text.count("class ") == 4
    assert "self.blocks = nn.ModuleList([Encoder() for _ in range(12)])" in text
    assert "for block in self.blocks:\n            x = block(x)" in text
    assert "# B 1000" in text


@pytest.mark.parametrize("name", quickly(TEXTS, "tied", "attention", "choice", "regions and planes"))
def test_corners(name: str, tmp_path: Path) -> None:
    module = ogive.compile(ogive.loads(TEXTS[name])).eval()
    inputs = {
        "tied": (torch.tensor([[3, 1, 4]]),),
        "a block called as a class of ours": (torch.randn(2, 4, 6, 5),),
        "shared and named": (torch.randn(2, 4), torch.randn(2, 4)),
        "sizes": (torch.randn(2, 3, 10, 12),),
        "attention": (torch.randn(2, 17, 8), torch.rand(2, 17) > 0.2),
        "attention on a free grid": (torch.randn(1, 3, 160, 224),),
        "recurrent and given": (torch.randn(2, 5, 8),),
        "regions and planes": (torch.randn(2, 8, 6, 10), torch.tensor([[[0.0, 1, 5, 4], [2, 2, 9, 5]]] * 2)),
        "choice": (torch.randn(2, 5, 12), torch.randn(2, 7, 12), torch.rand(2, 5) > 0.5, torch.randn(2, 3, 4, 5)),
    }[name]
    with torch.no_grad():  # the file runs so too, and a kernel of attention may differ by the last digit otherwise
        text = compare(module, inputs, tmp_path)
    if name == "tied":
        assert "self.head.weight = self.wte.weight" in text


@pytest.mark.parametrize(
    ("op", "types", "settings", "x"),
    [
        ("transpose_conv", (image(B, 4, H, W),), {"out": 3, "size": 3, "stride": 2}, (1, 4, 5, 6)),
        ("frozen_batchnorm", (image(B, 4, H, W),), {}, (1, 4, 5, 6)),
        *(pytest.param(*case, marks=[pytest.mark.long]) for case in (
            ("linear", (tokens(B, 5, 4),), {"out": 3, "transposed": True}, (1, 5, 4)),
            ("channel_shuffle", (image(B, 4, H, W),), {"groups": 2}, (1, 4, 5, 6)),
            ("max_pool", (image(B, 4, H, W),), {"size": 3, "pad": "same"}, (1, 4, 5, 6)),
            ("leaky_relu", (tokens(B, 5, 4),), {"slope": 0.2}, (1, 5, 4)),
            ("quick_gelu", (tokens(B, 5, 4),), {}, (1, 5, 4)),
            ("rmsnorm", (tokens(B, 5, 4),), {}, (1, 5, 4)),
            ("instancenorm", (image(B, 4, H, W),), {"affine": True}, (1, 4, 5, 6)),
        )),
    ],
)
def test_ops(op: str, types: Any, settings: dict[str, Any], x: tuple[int, ...], tmp_path: Path) -> None:
    compare(compile(graph_of(op, *types, **settings)).eval(), (torch.randn(x),), tmp_path)


def test_a_frozen_module_is_refused() -> None:
    frozen = ogive.freeze(ogive.compile(ogive.load("resnet", "ResNet.r18")))
    with pytest.raises(ArchError, match="A721"):
        to_source(frozen)


def test_no_text_of_a_file_becomes_code() -> None:
    module = ogive.compile(ogive.loads("network N:\n    input x: B 4\n    a = linear(2)\n"))
    evil = 'x"""\nimport os\nos.abort()\n"""'
    module.meta["ogive"]["network"] = evil
    module.meta["ogive"]["titles"] = {"a": evil}
    for node in module.graph.nodes:
        node.meta.get("ogive", {})["shape"] = evil
    text = to_source(module)
    assert not any(line.lstrip().startswith(("import os", "os.")) for line in text.splitlines())
    exec(__builtins__["compile"](text, "net.py", "exec"), {"__name__": "net"})  # type: ignore[index]
