"""A network written out: the same keys, shapes, cost and numbers, from a text that stands alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from ogive.dsl.alike import difference
from ogive.dsl.build import build, names_of
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.expand import expand
from ogive.dsl.format import format_text
from ogive.dsl.load import load_file, load_text
from ogive.dsl.source import Source

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "library").glob("*.arch"))
QUICK = {"vit", "resnet", "swin", "bert", "seq2seq", "clip", "unet", "bahdanau", "mixer"}
NETWORKS = [
    pytest.param(path, name, id=name, marks=[pytest.mark.long] if i or path.stem not in QUICK else [])
    for path in FILES for i, name in enumerate(names_of(load_file(path)))
]
"""On every run the first network of a few files that differ in what they are written with."""

TIED = """
from std.timm import Mlp

block G(width):
    input x: B N C
    a = linear(width)
    relu
    b = linear(C)

network Net(vocab=20, dim=16, path=0.1):
    input ids: B N of int
    shared mix = linear(dim)
    shared g = G(32)
    shared h = g
    wte = embedding(vocab, dim)
    repeat 3 as i:
        residual(drop_path = path * i / 11):
            _ -> mix
            gelu
    x = _ -> g
    y = x -> h
    repeat 2 as blocks[i]:
        gate:
            linear(16)
            sigmoid
    stem:
        - linear(16)
        - relu
    norm = layernorm
    q, k, v = split([4, 4, 8])
    k, q -> concat(C)
    _, v -> concat(C)
    2 - _ * 3
    head = linear(vocab, bias=False, weight=wte.weight)
    return head, mid=norm
"""

GUARDED = """
network Net:
    input image: B 3 H W
    a = conv(8, 3x3, stride=2)                              : B 8 H/2 W/2
    assert H % 4 == 0, "why"
    upsample(like=image)
    append:
        relu
    patch = patchify(16, 7)
    to_image
"""


def graphs_of(built):
    return [graph for _, graph in built.cases] or [built.graph]


def same(built, **options):
    text = expand(built, **options)
    again = build(load_text(text))
    assert [case for case, _ in again.cases] == [case for case, _ in built.cases]
    for one, other in zip(graphs_of(built), graphs_of(again), strict=True):
        assert difference(one, other) is None
        assert one.inputs == other.inputs and [name for name, _ in one.returns] == [name for name, _ in other.returns]
    assert again.graph.parameters.keys() == built.graph.parameters.keys()
    assert again.graph.parameter_count == built.graph.parameter_count
    assert not again.settings and "from " not in text.partition("input ")[2]
    assert format_text(Source("x", text)) == text
    return text


@pytest.mark.parametrize(("path", "name"), NETWORKS)
@pytest.mark.parametrize("keep", [False, True])
def test_every_network_of_the_library(path, name, keep):
    built = build(load_file(path), name)
    again = build(load_text(same(built, keep_repeats=keep)))
    sizes = {name: 64 for name in built.graph.free if name not in ("B", "H", "W")}
    assert again.graph.macs(sizes) == built.graph.macs(sizes)


@pytest.mark.parametrize("text", [TIED, GUARDED], ids=["tied", "guarded"])
def test_what_is_tied_shared_split_and_guarded(text):
    same(build(load_text(text)))


def test_a_repeat_of_equal_iterations_stays():
    text = same(build(load_file(ROOT / "library/vit.arch"), "ViT.B"), keep_repeats=True)
    assert "repeat 12 as blocks[i]:" in text and "blocks_0" not in text


def test_iterations_that_differ_are_written_out():
    built = build(load_file(ROOT / "library/vit.arch"), "ViT.Ti", {"path": 0.1})
    text = same(built, keep_repeats=True)
    assert "repeat" not in text and "drop_path(9090909090909092 / 10**18)" in text


def test_the_numbers_are_the_same():
    torch = pytest.importorskip("torch")
    from ogive.compiler.pipeline import compile as compiled
    from ogive.network import loads

    torch.manual_seed(0)
    one = compiled(loads(TIED)).double().eval()
    other = compiled(loads(loads(TIED).expand())).double().eval()
    other.load_state_dict(one.state_dict(), strict=True)
    ids = torch.randint(0, 20, (2, 5))
    for a, b in zip(one(ids), other(ids), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


CALLS = """
block Two:
    input x: B N C, hint?: B N C
    fc = linear(C)
    if training:
        return fc
    _ + (hint or x)
    relu

network Net:
    input x: B N 8, mask?: B N of bool, more?: B M 8
    residual:
        if training:
            dropout(0.5)
            noise = linear(8)
        elif more:
            pooled = more -> linear(8)
            global_pool
            x + pooled
        else:
            x * 2
    qkv = linear(24)
    split(3)
    attend(2, mask=mask)
    two = _, x -> Two
    if mask:
        mask -> rearrange                                   : B N 1
        aux:
            kept = two * _
            fc   = linear(2)
    if training and mask:
        return two, aux=aux.fc
    elif training:
        return two, aux=aux.kept if mask else two
    first = two -> take(0)
    head  = linear(3)
"""

SCANS = """
network Net:
    input xs: B N 8, ys: B M 8, mask?: B M of bool
    t  = zeros(8)
    h0 = zeros(4)
    s = scan x in xs with hs = [t, t], g = h0:
        x, hs[0] -> concat
        inner:
            fc = linear(8)
        if training:
            dropout(0.3)
        y = _
        repeat 2 as b[i]:
            fc = linear(8)
        next hs = [y, hs[0]]
        next g = g + 1
        emit _, first=y
    scan x in s, z in s.first with h = g:
        scan y in ys with k = t:
            y + k + x
            next k = _
        k -> linear(4) as "fc"
        next h = h * _
        emit z
    _, ys, ys -> attend(2, mask=mask)
    scan a in _:
        emit a, a
    return _, h, hs[1]
"""

GUARDED_CALLS = """
network Net:
    input image: B 3 H W, other?: B 3 H2 W2
    b = other or image
    b -> conv(4, 3x3, stride=2) as "c"
    if training:
        upsample(2)
    d = _ -> global_pool
    if other:
        assert H2 % 3 == 0, "why"
        other -> conv(4, 3x3) as "e"                        : B 4 (2 * H) W2
        global_pool
        _ + d
    else:
        image -> conv(4, 3x3) as "f"                        : B 4 W H
        global_pool
    flow = _ -> relu
    return d, flow
"""


@pytest.mark.parametrize("text", [CALLS, SCANS, GUARDED_CALLS], ids=["calls", "scans", "guarded"])
def test_what_calls_decide_and_recurrences_stay(text):
    same(build(load_text(text)))


def test_an_if_stays_an_if():
    text = """
network Net:
    input x: B 8, other?: B 8
    if training:
        dropout(0.5)
    else:
        x * 2
    fc = linear(8)
    _ + (other or fc)
"""
    written = same(build(load_text(text)))
    assert "    if training:\n        dropout(0.5)\n    else:\n        mul(number=2)\n    fc " in written
    assert "other or fc" in written


def test_a_scan_stays_a_scan():
    text = """
network Net:
    input xs: B N 8
    cell = scan x in xs with h = zeros(4):
        x, h -> concat
        fc = linear(4)
        next h = fc
        emit fc
"""
    written = same(build(load_text(text)))
    assert written.endswith("""
    cell = scan x in xs with h = zeros_1:
        x, h -> concat
        fc = linear(4)
        next h = fc
        emit fc
""")


def test_calls_answer_the_same_numbers():
    torch = pytest.importorskip("torch")
    from ogive.compiler.pipeline import compile as compiled
    from ogive.network import loads

    torch.manual_seed(0)
    one = compiled(loads(SCANS)).double().eval()
    other = compiled(loads(loads(SCANS).expand())).double().eval()
    other.load_state_dict(one.state_dict(), strict=True)
    xs, ys = torch.randn(2, 3, 8).double(), torch.randn(2, 5, 8).double()
    hidden = torch.tensor([[True, False, True, True, False]]).expand(2, 5)
    for given in ({}, {"mask": hidden}):
        for a, b in zip(one(xs, ys, **given), other(xs, ys, **given), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert not torch.equal(one(xs, ys)[0], one(xs, ys, mask=hidden)[0])


def test_a_second_key_of_a_weight_that_runs_once():
    same(build(load_text("""
block Codes(width):
    input x: B C
    table = learned(C, width, init="normal")
    linear(width, transposed=True, weight=table, bias=False)

network Net:
    input x: B 8
    shared codes = Codes(4)
    a:
        shared again = codes
    y = x -> codes
    x -> codes
    _ + y
""")))


def test_pairs_of_positions_keep_their_roles():
    written = same(build(load_text("""
network Net:
    input x: B N 8, hidden: B N M=N of bool
    ids   = x -> argmax("C")                                : B N
    here  = ids -> rearrange                                : B N 1
    there = ids -> rearrange                                : B 1 N
    seen  = hidden * (here != there)
    x -> attend(2, mask=seen)
""")))
    assert "hidden: B N M=N of bool" in written


def test_what_no_result_needs_cannot_be_asked():
    text = "network N:\n    input x: B 8\n    fc = linear(8)\n    if training:\n        dropout(0.5)\n    return fc\n"
    with pytest.raises(ArchError, match="cannot be written out") as error:
        expand(build(load_text(text)))
    assert error.value.codes == ("A314",) and "ask for `training`" in error.value.render()


def test_a_weight_that_shared_ops_are_given_stands_in_front_of_them() -> None:
    text = """
block Head:
    input x: B C
    start = learned(4, init=-4.6) as "score.bias"
    score = linear(4, bias=start)

network N:
    input x: B 8, y: B 8
    shared head = Head
    a = x -> head
    b = y -> head
    a + b
"""
    written = same(build(load_text(text)))
    assert written.index("learned(4") < written.index("shared ")


def test_regions_of_several_images_keep_their_letters() -> None:
    text = """
network N:
    input x: B 8 H W, boxes: B K 4
    x, boxes -> roi_pool(2, strides=1)                      : (B K) 8 2 2
    rearrange                                               : (B K) (8 2 2)
    fc = linear(3)
"""
    assert "(B K)" in same(build(load_text(text)))


def test_inputs_with_sizes_that_are_computed() -> None:
    text = """
network N:
    input x: B 3 H W, m: B 1 ceil(H / 2) W/4, p: B (1 + H W/4) 2*H+1
    a = m -> global_pool
    b = p -> global_pool
    return x, a, b
"""
    written = expand(build(load_text(text, "n.arch")))
    assert "input m: B 1 ceil(H / 2) W/4\n" in written and "input p: B (1 + H W/4) (2*H + 1)\n" in written
