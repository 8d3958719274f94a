"""What windows need of free sizes: one guard for each letter, the least that torch takes."""

from __future__ import annotations

import pytest
from building import built, graph, network, wrong

from ogive.dsl.rooms import Room, guards_of

FREE = "input image: B 3 H W"

NETS = {
    "conv": ("conv(4, 7x5, pad=0)", 7, 5),
    "dilated": ("conv(4, 3x3, pad=0, dilation=4)", 9, 9),
    "padded": ("conv(4, 3x3)", 1, 1),
    "pool": ("max_pool(2x2)\nconv(4, 3x3, stride=2) as \"a\"\nmax_pool(3x2)\navg_pool(2x2, stride=1)", 22, 14),
    "hanging": ("max_pool(2x2, ceil=True)\nmax_pool(3x3, stride=2, ceil=True)\nconv(2, 2x2) as \"a\"", 7, 7),
    "wide steps": ("max_pool(2x2, stride=5, ceil=True)\nmax_pool(2x2)", 6, 6),
    "patches": ("patchify(4, 8x4, stride=4, pad=1) as \"a\"", 6, 2),
    "transposed": ("transpose_conv(3, 3x3, stride=2, pad=2) as \"a\"\nconv(2, 4x4, pad=0) as \"b\"", 4, 4),
    "reflected": ("conv(2, 5x5, pad_mode=\"reflect\") as \"a\"", 3, 3),
    "round": ("conv(2, 5x5, pad_mode=\"circular\") as \"a\"", 2, 2),
    "same": ("conv(2, 7x7, stride=2, pad=\"same\") as \"a\"", 1, 1),
}


def keyed(body):
    return body if " as " in body or "conv" not in body else body + ' as "a"'


@pytest.mark.parametrize(("body", "height", "width"), NETS.values(), ids=NETS)
def test_the_least_size_is_the_least_that_runs(body, height, width):
    torch = pytest.importorskip("torch")
    from ogive.compiler.pipeline import compile as compiled
    from ogive.dsl.diagnostics import ArchError
    from ogive.network import loads

    text = network(keyed(body), FREE)
    found = {g.condition.show() for g in built(text).graph.guards}
    assert found == {f"{name} >= {n}" for name, n in (("H", height), ("W", width)) if n > 1}
    module = compiled(loads(text)).eval()
    module(torch.zeros(1, 3, height, width))
    for h, w in ((height - 1, width), (height, width - 1)):
        if h and w:
            with pytest.raises(ArchError) as error:
                module(torch.zeros(1, 3, h, w))
            assert error.value.codes == ("A706",) and error.value.diagnostics[0].span.line > 3


def test_fixed_sizes_are_refused_while_building():
    wrong('conv(4, 7x7, pad=0) as "a"', "input x: B 3 6 9", code="A201", words="does not fit")


def test_what_is_known_already_is_not_said_again():
    body = 'max_pool(2x2)\nmax_pool(2x2)\nconv(2, 3x3) as "a" : B 2 {} w'
    guards = [g.condition.show() for g in graph(body.format("H/4"), FREE).guards]
    assert guards == ["H % 4 == 0", "W >= 4"]
    guards = [g.condition.show() for g in graph("assert H == W\nmax_pool(9x9)", FREE).guards]
    assert guards == ["H == W", "H >= 9"]


def test_the_line_is_that_of_the_strongest_window():
    [first, second] = graph("max_pool(2x2)\nmax_pool(5x1, stride=1)\nmax_pool(2x2)", FREE).guards
    assert (first.condition.show(), first.span.line) == ("H >= 12", 6)
    assert (second.condition.show(), second.span.line) == ("W >= 4", 6)
    assert "the window 2x2 of `max_pool`" in first.text


def test_each_kind_of_call_needs_its_own():
    text = network("if training:\n    max_pool(6x6, stride=1, pad=0)\nelse:\n    max_pool(2x2)\nglobal_pool", FREE)
    found = [[g.condition.show() for g in one.guards] for _, one in built(text).cases]
    assert found == [["H >= 2", "W >= 2"], ["H >= 6", "W >= 6"]]
    head = "input image: B 3 H W, other?: B 3 2 2"
    wrong("other or image\nmax_pool(3x3)", head, code="A206", words="never holds")


def test_axes_of_two_letters_and_axes_that_shrink():
    from ogive.dsl.conditions import Condition
    from ogive.dsl.dims import symbol
    from ogive.dsl.source import Source
    from ogive.dsl.when import ALWAYS

    h, w, span = symbol("H"), symbol("W"), Source("a", "b").span(0, 1)
    made = guards_of([Room(3, h - w, "it", span, ALWAYS), Room(2, 9 - h, "it", span, ALWAYS)], [])
    assert [g.condition for g in made] == [Condition("less_equal", 3, h - w), Condition("less_equal", 2, 9 - h)]
