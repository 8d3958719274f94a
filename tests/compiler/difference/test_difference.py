"""Edits that are planted in files of the library are found, each as what it is, and nothing else is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import permutations

import pytest

from ogive.compiler.difference import Difference, compare
from ogive.compiler.difference.match import match
from ogive.dsl.build import Built, build
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.digest import same
from ogive.dsl.load import load_library, load_text
from ogive.dsl.weight_maps import map_of


@dataclass(frozen=True)
class Edit:
    """`old` of a file becomes `new`; what is then found is `kinds`, of nodes and parts, and `rows` of the text."""

    name: str
    network: str
    old: str
    new: str
    kinds: dict[str, int] = field(hash=False)
    rows: tuple[tuple[str, str], ...]
    renamed: int = 0
    reshaped: int = 0
    gone: int = 0
    fresh: int = 0


UNET, VIT, RESNET = "unet:UNet", "vit:ViT.Ti", "resnet:ResNet.r18"
EDITS = (
    Edit("a line more", UNET, "    norm1 = batchnorm\n", "    norm1 = batchnorm\n    dropout(0.1)\n",
         {"added": 9}, (("added", "enc.*.skip.dropout"), ("added", "middle.dropout"), ("added", "dec.*.fuse.dropout"))),
    Edit("a norm more", VIT, "    norm = layernorm(eps=1e-6)\n    take", "    norm = layernorm(eps=1e-6)\n"
         "    last = layernorm\n    take", {"added": 1}, (("added", "last"),), fresh=2),
    Edit("a line less", UNET, "    norm2 = batchnorm\n", "", {"removed": 9},
         (("removed", "enc.*.skip.norm2"), ("removed", "middle.norm2"), ("removed", "dec.*.fuse.norm2")), gone=45),
    Edit("a residual around a line", UNET, "    middle = DoubleConv(base * 2**levels)\n",
         "    middle = DoubleConv(base * 2**levels)\n    residual:\n        tanh\n", {"added": 2},
         (("added", "tanh"), ("added", "add"))),
    Edit("a kernel", UNET, "conv2 = conv(width, 3x3", "conv2 = conv(width, 5x5", {"changed": 9},
         (("changed", "enc.*.skip.conv2"), ("changed", "middle.conv2"), ("changed", "dec.*.fuse.conv2")), reshaped=9),
    Edit("a pattern", VIT, "Attention(heads, over)", "Attention(heads, window(7) | prefix)", {"changed": 12},
         (("changed", "blocks.*.attn.core"),)),
    Edit("one iteration alone", VIT, "Encoder(heads, ratio,", "Encoder(heads, 2 if i == 5 else ratio,",
         {"changed": 1}, (("changed", "blocks.5.mlp.fc1"),), reshaped=3),
    Edit("some iterations", VIT, "Encoder(heads, ratio,", "Encoder(heads, 2 if i > 5 else ratio,",
         {"changed": 6}, (("changed", "blocks.{6..11}.mlp.fc1"),), reshaped=18),
    Edit("another op", VIT, "norm1 = layernorm(eps=1e-6)", "norm1 = rmsnorm(eps=1e-6)", {"changed": 12},
         (("changed", "blocks.*.norm1"),), gone=12),
    Edit("another function", UNET, "    norm2 = batchnorm\n    relu\n", "    norm2 = batchnorm\n    gelu\n",
         {"changed": 9}, (("changed", "enc.*.skip.gelu"), ("changed", "middle.gelu"), ("changed", "dec.*.fuse.gelu"))),
    Edit("operands exchanged", UNET, "enc[level].skip, up -> concat", "up, enc[level].skip -> concat",
         {"rewired": 4}, (("rewired", "dec.*.concat"),)),
    Edit("a skip from elsewhere", UNET, "enc[level].skip, up -> concat", "enc[level].skip -> here:\n"
         "            tanh\n        here, up -> concat", {"added": 4}, (("added", "dec.*.here.tanh"),)),
    Edit("a line renamed", UNET, "conv1 = conv", "first = conv", {"renamed": 9},
         (("renamed", "enc.*.skip.first"), ("renamed", "middle.first"), ("renamed", "dec.*.fuse.first")), renamed=9),
    Edit("a block renamed", VIT, "mlp   = Mlp(", "ffn   = Mlp(", {"renamed": 12}, (("renamed", "blocks.*.ffn"),),
         renamed=48),
    Edit("a repeat renamed", VIT, "as blocks[i]", "as layers[i]", {"renamed": 1}, (("renamed", "layers"),),
         renamed=144),
    Edit("a line in a scope of its own", RESNET, "        fc = linear(classes) ", "        tail:\n"
         "            fc = linear(classes) ", {"renamed": 1}, (("renamed", "tail.fc"),), renamed=2),
)


@cache
def before(network: str) -> Built:
    file, _, name = network.partition(":")
    return build(load_library(file), name)


@cache
def after(edit: Edit) -> Built:
    file, _, name = edit.network.partition(":")
    text = files("ogive.library").joinpath(f"{file}.arch").read_text("utf-8").partition("\nweights ")[0]
    assert edit.old in text, "the library has changed: plant it elsewhere"
    return build(load_text(text.replace(edit.old, edit.new)), name)


def found(edit: Edit) -> Difference:
    return compare(before(edit.network).graph, after(edit).graph)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_an_edit_is_found_as_what_it_is(edit: Edit) -> None:
    difference = found(edit)
    assert difference
    kinds = Counter(change.kind for change in difference.changes)
    assert kinds == edit.kinds, str(difference)
    assert tuple((row.change.kind, row.path) for row in difference.folded) == edit.rows
    keys = difference.keys
    assert (len(keys.renamed), len(keys.reshaped), len(keys.gone), len(keys.new)) == (
        edit.renamed, edit.reshaped, edit.gone, edit.fresh
    )


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_back_is_the_mirror(edit: Edit) -> None:
    a, b = before(edit.network).graph, after(edit).graph
    mirrored(compare(a, b), compare(b, a))


def mirrored(there: Difference, back: Difference) -> None:
    assert Counter(change.mirrored for change in there.changes) == Counter(back.changes)
    assert {now: old for old, now in there.keys.renamed.items()} == back.keys.renamed
    assert there.keys.gone == back.keys.new and there.keys.new == back.keys.gone
    assert {(n, i, w) for n, w, i in there.keys.reshaped.values()} == {
        (old, was, is_) for old, (_, was, is_) in back.keys.reshaped.items()
    }
    assert there.figures.whole.params == back.figures.whole.params[::-1]
    assert there.figures.whole.macs == back.figures.whole.macs[::-1]


@pytest.mark.parametrize(("one", "other"), [
    ("vit:ViT.Ti", "vit:ViT.S"), ("unet:UNet", "segnet:SegNet"), ("vit:ViT.Ti", "resnet:ResNet.r18"),
    pytest.param("resnet:ResNet.r18", "resnet:ResNet.r50", marks=pytest.mark.long),
    pytest.param("swin:Swin.T", "swinv2:SwinV2.T", marks=pytest.mark.long),
    pytest.param("detr:DETR", "bert:BERT.base", marks=pytest.mark.long),
])
def test_networks_of_the_library_mirror_each_other(one: str, other: str) -> None:
    a, b = before(one).graph, before(other).graph
    mirrored(compare(a, b), compare(b, a))


@pytest.mark.parametrize("network", [
    UNET, VIT, RESNET,
    *(pytest.param(name, marks=pytest.mark.long) for name in ("swin:Swin.T", "detr:DETR", "bert:BERT.base")),
])
def test_a_network_is_itself(network: str) -> None:
    file, _, name = network.partition(":")
    again = build(load_library(file), name).graph
    difference = compare(before(network).graph, again)
    assert not difference and difference.changes == () and not difference.keys
    assert len(difference.lines()) == 1
    assert len(match(before(network).graph, again).nodes) == len(again)


def test_every_edit_is_seen_that_the_digest_sees() -> None:
    """And the other way round, but for the names of lines without weights and what is assumed."""
    for edit in EDITS:
        assert not same(before(edit.network).graph, after(edit).graph)
    for left, right in permutations([edit for edit in EDITS if edit.network == UNET][:4], 2):
        assert compare(after(left).graph, after(right).graph)


@pytest.mark.parametrize("edit", [edit for edit in EDITS if edit.renamed], ids=lambda edit: edit.name)
def test_the_rules_are_a_map_of_weights(edit: Edit) -> None:
    """Written below the network, they bring every key of the first to that of the second."""
    difference = found(edit)
    file, _, name = edit.network.partition(":")
    text = files("ogive.library").joinpath(f"{file}.arch").read_text("utf-8").partition("\nweights ")[0]
    rules = "\n".join(f"    {rule}" for rule in difference.keys.rules)
    whole = f"{text.replace(edit.old, edit.new)}\nweights before of {name.partition('.')[0]}:\n{rules}\n"
    weights = map_of(build(load_text(whole), name), "before")
    assert weights.shapes == {key: p.weight.shape for key, p in before(edit.network).graph.parameters.items()}
    assert len(difference.keys.rules) <= 4


def test_rules_skip_what_is_gone_and_keep_apart_what_is_not_renamed() -> None:
    old = "network N:\n    input x: B 8\n    a = linear(8)\n    b = linear(8)\n    spare = linear(8)\n"
    new = "network N:\n    input x: B 8\n    b = linear(8)\n    a2 = linear(8)\n"
    keys = compare(one(old), one(new)).keys
    assert keys.rules and keys.rules[-1].startswith("skip [")
    whole = f"{new}\nweights before of N:\n" + "".join(f"    {rule}\n" for rule in keys.rules)
    weights = map_of(build(load_text(whole)), "before")
    assert set(weights.shapes) | set(keys.gone) == {f"{n}.{w}" for n in ("a", "b", "spare") for w in ("weight", "bias")}


def one(text: str) -> object:
    return build(load_text(text)).graph


HEAD = "network N:\n    input x: B N C=8\n"


def said(old: str, new: str) -> list[tuple[str, ...]]:
    """The rows for two bodies."""
    difference = compare(one(HEAD + old), one(HEAD + new))  # type: ignore[arg-type]
    return [(row.change.kind, row.before, row.path, row.was, row.now) for row in difference.folded]


@pytest.mark.parametrize(("old", "new", "rows"), [
    ("    a = linear(8)\n    relu\n", "    relu\n    a = linear(8)\n    relu\n", [("added", "", "relu", "", "")]),
    ("    a = linear(8)\n    b = linear(8)\n    a + b\n", "    a = linear(8)\n    b = linear(8)\n    b + a\n",
     [("rewired", "add", "add", "a, b", "b, a")]),
    ("    a = linear(8)\n    b = a -> linear(8)\n", "    a = linear(8)\n    b = x -> linear(8)\n    a + b\n",
     [("added", "", "add", "", ""), ("rewired", "b", "b", "a", "x")]),
    ("    q = linear(8)\n    k = x -> linear(8)\n    q * k\n", "    query = linear(8)\n    key = x -> linear(8)\n"
     "    query * key\n", [("renamed", "q", "query", "", ""), ("renamed", "k", "key", "", "")]),
    ("    a = linear(8)\n    b = linear(8, bias=False)\n",
     "    a = linear(8)\n    b = linear(8, bias=False, weight=a.weight)\n",
     [("changed", "b", "b", "its own", "a.weight")]),
    ("    - linear(8)\n    - relu\n    - linear(4)\n",
     "    - linear(8)\n    - layernorm\n    - relu\n    - linear(4)\n",
     [("added", "", "1", "", "")]),
    ("    return a = x\n", "    return b = x\n", [("renamed", "result a", "result b", "", "")]),
    ("    return a = x\n", "    y = relu\n    return a = x, c = y\n",
     [("added", "", "relu", "", ""), ("added", "", "result c", "", "")]),
    ("    relu\n", "    assert N % 2 == 0\n    relu\n", [("added", "", "N % 2 == 0", "", "")]),
    ("    attend(2)\n", "    attend(2) require fused\n", [("changed", "attend", "attend", "nothing", "fused")]),
])
def test_small_edits(old: str, new: str, rows: list[tuple[str, ...]]) -> None:
    if "relu\n    return" in new:
        rows = [(kind, before, "y" if path == "relu" else path, was, now) for kind, before, path, was, now in rows]
    assert said(old, new) == rows


def test_an_input_of_another_shape() -> None:
    difference = compare(
        build(load_text("network N:\n    input x: B 8\n    relu\n")).graph,
        build(load_text("network N:\n    input x: B 4\n    relu\n")).graph,
    )
    assert [(c.kind, c.setting, c.was, c.now) for c in difference.changes] == [
        ("changed", "shape", ("B 8",), ("B 4",))
    ]


def test_what_only_training_runs_is_compared_too() -> None:
    text = "network N:\n    input x: B N C=8\n    y = linear(8)\n    if training:\n        {} \n    return y = _\n"
    a, b = (build(load_text(text.format(line))) for line in ("relu", "gelu"))
    assert a.cases, "calls decide nothing here: the test has lost its subject"
    difference = compare(a.graph, b.graph, cases=(a.cases, b.cases))
    assert difference and list(difference.only) == ["training"]
    assert [change.setting for change in difference.only["training"]] == ["op"]
    assert "where training" in str(difference)


def test_figures_of_parts() -> None:
    difference = found(next(edit for edit in EDITS if edit.name == "a kernel"))
    parts = {part.path: part for part in difference.figures.parts}
    middle = parts["middle"]
    assert middle.params == (1024 * (512 + 1024) * 9 + 4096, 1024 * (512 * 9 + 1024 * 25) + 4096)
    assert parts["head"].differs is False
    whole = difference.figures.whole
    tops = [part for part in difference.figures.parts if "." not in part.path]
    for side in (0, 1):
        assert sum(part.params[side] or 0 for part in tops) == whole.params[side]
        assert sum(part.macs[side] or 0 for part in tops) == whole.macs[side]


def test_a_size_that_is_missing_is_told() -> None:
    a, b = (build(load_text(f"network N:\n    input x: B N 8\n    y = linear({n})\n")).graph for n in (4, 6))
    assert "depend on `N`" in compare(a, b).figures.reason
    assert compare(a, b, sizes={"N": 10}).figures.whole.macs == (320, 480)
    with pytest.raises(ArchError, match="A802"):
        compare(a, b, sizes={"K": 10})


def test_json_has_every_change() -> None:
    difference = found(next(edit for edit in EDITS if edit.name == "a block renamed"))
    data = difference.as_json()
    assert data["equal"] is False and data["keys"]["loads"] is True
    assert data["keys"]["renamed"]["blocks.3.mlp.fc1.weight"] == "blocks.3.ffn.fc1.weight"
    assert [c["after"] for c in data["changes"]] == [f"blocks.{i}.ffn" for i in range(12)]


def test_long_networks_are_aligned_by_equal_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ogive.compiler.difference.match.MOST", 100)
    lines = "".join(f"    n{i} = linear(8)\n    relu\n" for i in range(40))
    more = lines.replace("n1 = linear(8)\n", "n1 = linear(8)\n    tanh\n")
    more = more.replace("n35 = linear(8)\n    relu\n", "n35 = linear(8)\n    relu\n    tanh\n")
    assert [row[:3] for row in said(lines, more)] == [("added", "", "tanh"), ("added", "", "tanh_2")]




def test_long_networks_of_other_names_are_told_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ogive.compiler.difference.match.MOST", 100)
    monkeypatch.setattr("ogive.compiler.difference.words.MOST", 20)
    a, b = (one(HEAD + "".join(f"    {n}{i} = linear(8)\n    {f}\n" for i in range(40))) for n, f in (("n", "relu"),
                                                                                                  ("m", "gelu")))
    difference = compare(a, b)  # type: ignore[arg-type]
    assert Counter(change.kind for change in difference.changes) == {"renamed": 40, "changed": 40}
    assert "  and 60 more, which `--json` has" in difference.lines()
