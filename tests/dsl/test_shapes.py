"""`fmt --shapes`: what is written holds, adds nothing, and is written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ogive.dsl.alike import difference
from ogive.dsl.build import build, names_of
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.format import format_text
from ogive.dsl.load import load_changed, load_file, load_text
from ogive.dsl.shapes import shaped
from ogive.dsl.source import Source

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "library").glob("*.arch"))
QUICK = {"mixer", "unet"}


def written(text):
    """The promises of a text, by line."""
    lines = shaped(load_text(text)).text.splitlines()
    found = [line.strip().partition("  : ") for line in lines]
    return {line: promise for line, _, promise in found if promise}


@pytest.mark.parametrize("path", [
    pytest.param(path, id=path.stem, marks=[] if path.stem in QUICK else [pytest.mark.long]) for path in FILES
])
def test_every_file_of_the_library(path):
    unit = load_file(path)
    once = format_text(Source(path.name, shaped(unit).text))
    again = load_changed(unit, once)
    for name in names_of(unit):
        one, other = build(unit, name).graph, build(again, name).graph
        assert difference(one, other) is None and str(one) == str(other)
    assert format_text(Source(path.name, shaped(again).text)) == once
    assert [line.split("  : ")[0].rstrip() for line in once.splitlines() if "#" in line] == [
        line.rstrip() for line in unit.source.text.splitlines() if "#" in line
    ]


def test_sizes_are_said_with_the_names_at_hand():
    promises = written(
        "network Net(dim=8, classes=10):\n    input image: B 3 H W\n    a = conv(dim, 7x7, stride=2)  # why\n"
        "    max_pool(3x3, stride=2, pad=1)\n    b = conv(4 * dim, 1x1)\n    to_tokens\n    c = linear(32)\n"
        "    global_pool\n    fc = linear(classes)\n"
    )
    assert promises == {
        "a = conv(dim, 7x7, stride=2)": "B dim ceil(H / 2) ceil(W / 2)  # why",
        "max_pool(3x3, stride=2, pad=1)": "B dim ceil(H / 4) ceil(W / 4)",
        "b = conv(4 * dim, 1x1)": "B 4*dim ceil(H / 4) ceil(W / 4)",
        "to_tokens": "B (ceil(H / 4) ceil(W / 4)) 4*dim",
        "c = linear(32)": "B (ceil(H / 4) ceil(W / 4)) 32",
        "global_pool": "B 32",
        "fc = linear(classes)": "B classes",
    }


def test_a_number_that_hangs_on_a_parameter_is_said_with_it():
    """8 is also `depth`; with other settings only one of them stays the width."""
    promises = written(
        "network Net(depth=8, dim=8):\n    input x: B 4\n    a = linear(dim)\n    repeat depth as blocks[i]:\n"
        "        linear(dim)\n    relu\n"
    )
    assert set(promises.values()) == {"B dim"}


def test_a_block_says_what_holds_in_all_its_runs():
    promises = written(
        "block Part(width):\n    input x: B C H W\n    a = conv(width, 3x3, stride=2)\n    b = conv(2 * width)\n\n"
        "network Net:\n    input image: B 3 H W\n    p = Part(8)\n    q = Part(16)\n"
    )
    assert promises["a = conv(width, 3x3, stride=2)"] == "B width ceil(H / 2) ceil(W / 2)"
    assert promises["b = conv(2 * width)"] == "B 2*width ceil(H / 2) ceil(W / 2)"


def test_a_block_that_meets_several_layouts_promises_its_channels():
    promises = written(
        "block Part(width):\n    input x: ... C\n    a = linear(width)\n    relu\n\n"
        "network Net:\n    input image: B 3 H W\n    p = Part(8)\n    to_tokens\n    q = Part(16)\n"
    )
    assert promises["a = linear(width)"] == "... width"


def test_sizes_that_no_name_says_get_a_letter():
    promises = written(
        "network Net(depth=3):\n    input image: B 3 H W\n    repeat depth as down[i]:\n"
        "        c = conv(8 * 2**i, stride=2)\n        relu\n"
    )
    assert promises == {"c = conv(8 * 2**i, stride=2)": "B 8*2**i h w", "relu": "B 8*2**i h w"}


def test_a_letter_that_is_taken_is_not_taken_again():
    promises = written(
        "network Net(depth=2):\n    input image: B 3 H W\n    h = relu\n    repeat depth as down[i]:\n"
        "        c = conv(8, stride=2)\n    w = relu\n"
    )
    assert promises["c = conv(8, stride=2)"] == "B 8 h2 w2"


def test_lines_that_are_left_are_named():
    found = shaped(load_text("block Part:\n    input x: B C\n    relu\n\nnetwork Net:\n    input x: B 8\n    relu\n"))
    assert [line for line, _ in found.left] == [3]
    assert found.written == 1


def test_a_wrong_file_is_left_alone():
    with pytest.raises(ArchError) as error:
        shaped(load_text("network Net:\n    input x: B 8\n    a = linear(8) : B 9\n"))
    assert error.value.codes == ("A202",)
