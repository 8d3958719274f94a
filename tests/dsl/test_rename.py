"""Renaming: every place that means the thing and no other, the same network before and after."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ogive.dsl.build import build
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.load import load_file, load_text
from ogive.dsl.rename import importers, rename
from ogive.dsl.rename_scopes import places

ROOT = Path(__file__).parents[2]

TEXT = """\
from std.timm import Mlp

# A comment about drop stays.
block Enc(heads, drop=0.0):
    input x: B N C
    attend(heads)
    dropout(drop)   # drop
    y = linear(C)
    return y, extra=x

block Other(drop=0.0):
    input x: B N C
    z = linear(C)

network Net(mixer: op = Enc(4), widths: [int] = [8, 8], base=8):
    presets  base:
        S    8
    expect   params:
        S    792
    input x: B N C=8
    half = base // 2
    t = mixer(drop=0.1)
    t.extra
    repeat 2 as s:
        repeat 2 as layer{s + 1}[j]:
            fc = linear(base)  : B N base
            g = linear(widths[s]) as "/x.{s}.{j}" : B N widths[s]
    layer1[0].g + layer2[1].g
    body:
        fc = Mlp(2 * half)
        x = relu
    last = body.x -> Enc(2, drop=0.2)
    out = linear(2 * half)

network Wide = Net.S(base=16, mixer=Enc(heads=2)):
    expect   params:
        -    1_584
"""


def renamed(old, new, text=None):
    return rename(load_text(text or TEXT), old, new)


def fixed():
    """The figures of the text above, as they are."""
    unit = load_text(TEXT)
    a, b = (build(unit, n).graph.parameter_count for n in ("Net.S", "Wide"))
    return TEXT.replace("792", f"{a}").replace("1_584", f"{b}")


TEXT = fixed()


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("Enc.drop", "rate", {"block Enc(heads, drop=0.0)": "block Enc(heads, rate=0.0)",
                              "    dropout(drop) ": "    dropout(rate) ", "mixer(drop=0.1)": "mixer(rate=0.1)",
                              "Enc(2, drop=0.2)": "Enc(2, rate=0.2)"}),
        ("Enc", "Encoder", {"block Enc(": "block Encoder(", "op = Enc(4)": "op = Encoder(4)",
                            "-> Enc(2": "-> Encoder(2", "mixer=Enc(": "mixer=Encoder("}),
        ("heads", "n", {"Enc(heads,": "Enc(n,", "attend(heads)": "attend(n)", "Enc(heads=2)": "Enc(n=2)"}),
        ("preset:Net.S", "Small", {"        S    ": "        Small    ", "Net.S(": "Net.Small("}),
        ("base", "width", {"base=8)": "width=8)", "presets  base:": "presets  width:", "base // 2": "width // 2",
                           "linear(base)  : B N base": "linear(width)  : B N width", "(base=16": "(width=16"}),
        ("widths", "ws", {"widths": "ws"}),
        ("half", "k", {"    half =": "    k =", "* half)": "* k)"}),
        ("layer", "stage", {"layer{": "stage{", "layer1[": "stage1[", "layer2[": "stage2["}),
        ("s", "i", {"as s:": "as i:", "{s + 1}": "{i + 1}", "widths[s]": "widths[i]", "{s}": "{i}"}),
        ("j", "k", {"[j]": "[k]", "{j}": "{k}"}),
        ("Net.body", "tail", {"    body:": "    tail:", "body.x": "tail.x"}),
        ("Net.body.x", "act", {"        x = relu": "        act = relu", "body.x": "body.act"}),
        ("Net.layer.g", "inner", {"            g =": "            inner =", "].g": "].inner"}),
        ("extra", "side", {"extra=x": "side=x", "t.extra": "t.side"}),
        ("import:Mlp", "MLP", {"import Mlp": "import Mlp as MLP", "= Mlp(": "= MLP("}),
        ("Net", "Model", {"network Net(": "network Model(", "= Net.S": "= Model.S"}),
    ],
)
def test_it_is_renamed_wherever_it_is_meant(old, new, changes):
    wanted = TEXT
    for before, after in changes.items():
        assert before in wanted
        wanted = wanted.replace(before, after)
    assert renamed(old, new).text == wanted


def test_the_keys_that_change_are_listed():
    assert renamed("out", "head").keys == {
        name: {"out.weight": "head.weight", "out.bias": "head.bias"} for name in ("Net.S", "Net", "Wide")
    }
    assert renamed("base", "width").keys == {}


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("drop", "rate", "A816", "`Enc.drop`, `Other.drop`"),
        ("nothing", "x", "A816", "nothing in this file is called"),
        ("depht", "x", "A816", "nothing in this file"),
        ("Net.base", "half", "A817", "has a meaning here already"),
        ("Net.body", "x", "A817", "has a meaning here already"),
        ("out", "repeat", "A817", "a word of the language"),
        ("out", "forward", "A817", "would hide `nn.Module.forward`"),
        ("out", "a.b", "A817", "is no name"),
        ("out", "out", "A817", "already"),
        ("Enc", "relu", "A817", "cannot be called"),
    ],
)
def test_what_cannot_be_renamed(old, new, code, words):
    with pytest.raises(ArchError) as error:
        renamed(old, new)
    assert error.value.codes == (code,)
    assert words in error.value.render()


def test_a_setting_that_means_two_blocks_is_not_guessed():
    text = (
        "block A(p=0.0):\n    input x: B C\n    dropout(p)\n    a = linear(C)\n\n"
        "block D(p=0.0):\n    input x: B C\n    dropout(p)\n    a = linear(C)\n\n"
        "network Net:\n    input x: B 8\n    repeat [A, D] as blocks[op]:\n        op(p=0.1)\n"
    )
    with pytest.raises(ArchError, match="cannot be told") as error:
        renamed("A.p", "rate", text)
    assert error.value.codes == ("A816",)


def test_a_file_with_a_mistake_is_left_alone():
    with pytest.raises(ArchError) as error:
        renamed("out", "head", TEXT + "\nnetwork Bad:\n    input x: B 8\n    linear(8)\n")
    assert error.value.codes == ("A104",)


@pytest.mark.parametrize(("name", "step"), [("mixer", 27), ("unet", 30)])
def test_names_go_and_come_back(name, step):
    unit = load_file(ROOT / f"library/{name}.arch")
    for binding in places(unit.file).bindings[::step]:
        if binding.kind in ("import", "block", "network") or len(binding.name) < 3:
            continue
        there = rename(unit, f"{binding.kind}:{binding.address}", "other_name")
        assert there.text != unit.source.text
        address = f"{binding.kind}:{there.address.rpartition('.')[0]}.other_name"
        assert rename(load_text(there.text), address, binding.name).text == unit.source.text


def test_a_setting_of_an_op_parameter_that_two_blocks_take():
    unit = load_file(ROOT / "library/resnet.arch")
    with pytest.raises(ArchError, match="cannot be told") as error:
        rename(unit, "BasicBlock.stride", "step")
    assert error.value.codes == ("A816",)


def test_files_that_import_it_are_found(tmp_path):
    (tmp_path / "a.arch").write_text("block Part(n=8):\n    input x: B C\n    f = linear(n)\n", encoding="utf-8")
    (tmp_path / "sub").mkdir()
    user = tmp_path / "sub" / "b.arch"
    user.write_text("# here\nfrom ..a import Part\n", encoding="utf-8")
    (tmp_path / "c.arch").write_text("from std.timm import Mlp as Part\n", encoding="utf-8")
    unit = load_file(tmp_path / "a.arch")
    assert importers(unit, "Part", sorted(tmp_path.rglob("*.arch"))) == [(os.path.relpath(user), 2)]


MAPPED = """\
network Net(depth=2):
    input x: B 8
    repeat depth as blocks[i]:
        fc = linear(8)
    head = linear(8)

weights other of Net:
    rename "layer_{i}.dense" -> "blocks.{i}.fc"
"""


@pytest.mark.parametrize(("old", "new", "line"), [
    ("Net", "Small", "weights other of Small:"),
    ("Net.blocks", "stages", '    rename "layer_{i}.dense" -> "stages.{i}.fc"'),
    ("Net.blocks.fc", "dense", '    rename "layer_{i}.dense" -> "blocks.{i}.dense"'),
])
def test_maps_of_weights_follow(old, new, line):
    """What the checkpoint is read by stays, what it becomes has the new key."""
    assert line in renamed(old, new, MAPPED).text.split("\n")


def test_a_key_that_the_map_leaves_to_the_network():
    """Without a rule the checkpoint has the network's key: with another one it would no longer be read."""
    with pytest.raises(ArchError, match=r"has no rule for `head.weight`: it would look for `last.weight`") as error:
        renamed("Net.head", "last", MAPPED)
    assert error.value.codes == ("A817",)
    text = renamed("Net.head", "last", MAPPED + '    rename "head" -> "head"\n').text
    assert 'rename "head"            -> "last"' in text or 'rename "head" -> "last"' in text
