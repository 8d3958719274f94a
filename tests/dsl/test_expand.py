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
NETWORKS = [
    pytest.param(path, name, id=name, marks=[pytest.mark.long] if i else [])  # the first of each file, and the others
    for path in FILES for i, name in enumerate(names_of(load_file(path)))
]
REFUSED = {"XLNet": "cannot lay `B N N of bool` beside `1 N N of bool`"}
"""Networks that an expanded text cannot say yet: an axis of one without a letter, made a batch by a regrouping."""

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


def same(built, **options):
    text = expand(built, **options)
    again = build(load_text(text))
    assert difference(built.graph, again.graph) is None
    assert again.graph.parameters.keys() == built.graph.parameters.keys()
    assert again.graph.parameter_count == built.graph.parameter_count
    assert not again.settings and "from " not in text.partition("input ")[2]
    assert format_text(Source("x", text)) == text
    return text


def why_not(built):
    """The reason for which a network of the library is not written out."""
    if built.cases:
        return "decided by each call"
    if any(node.op == "scan" for node in built.graph):
        return "it holds a `scan`"
    return REFUSED.get(built.name.partition(".")[0])


@pytest.mark.parametrize(("path", "name"), NETWORKS)
@pytest.mark.parametrize("keep", [False, True])
def test_every_network_of_the_library(path, name, keep):
    built = build(load_file(path), name)
    refused = why_not(built)
    if refused is not None:
        with pytest.raises(ArchError, match="cannot be written out") as error:
            expand(built, keep)
        assert error.value.codes == ("A314",) and refused in error.value.render()
        return
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


def test_what_only_a_statement_can_say_is_refused():
    text = "network Net:\n    input x: B 8\n    if training:\n        dropout(0.5)\n    fc = linear(8)\n"
    with pytest.raises(ArchError, match="cannot be written out") as error:
        expand(build(load_text(text)))
    assert error.value.codes == ("A314",)


def test_a_scan_is_named_as_what_cannot_be_written_out():
    text = "network N:\n    input xs: B N 8\n    scan x in xs:\n        emit x * 2\n"
    with pytest.raises(ArchError, match="it holds a `scan`") as error:
        expand(build(load_text(text)))
    assert error.value.codes == ("A314",)


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
