"""Recovery: every mistake of a file is reported, each cause once, with the path that led there."""

from __future__ import annotations

import pytest
from building import checked, mistakes, network

BLOCK = """
    block Part(width):
        input x: B C H W
        a = conv(width)
        bn = batchnrom
        relu
"""


def codes(body: str, **more: str) -> list[str]:
    return [d.code for d in mistakes(network(body, **more))]


def test_mistakes_that_are_independent_are_all_reported() -> None:
    body = """
    a = conv(8, strid=2)
    x -> relux
    b = x -> conv(0)
    x, x -> tanh
    x -> max_pool(2) : B 9 h w
    """
    assert codes(body) == ["A301", "A102", "A302", "A207", "A202"]


@pytest.mark.parametrize("body", [
    "a = relux\na + 1\n_ -> conv(8) as \"c\"",
    "a, b = relux\na + b",
    "k = nothing * 2\ny = conv(k)\nrepeat k:\n    relu",
    "k = nothing\nl = [k, 2]\nm = l[0]\ny = x * m",
    "a = relux : B q h w\nx -> conv(q) as \"c\" : B q h w\nz = h * w",
    "a = relu : B 9 h w\nz = h * 2\nx -> conv(z) as \"c\"",
    "if nothing:\n    a = relu : B C h w\n    s:\n        b = tanh\na + s\ns.b + h",
    "if nothing > 3:\n    a = relu\nelif x:\n    b = relu\na + b",
    "repeat nothing as b[i]:\n    c = conv(8)\nb[0].c + b",
    "repeat nothing as i:\n    c = relu : B C h w\nc + 1",
    "residual:\n    a = relux\n    b = relu\na + b",
    "residual(drop=nothing):\n    a = relu\na + 1",
    "s:\n    a = relux\n    b = relu\ns.a + s.b\ns + s.c",
    "shared g = nothing\na = g\ng.weight + 1",
    "shared g = Nothing(3)\na = x -> g\na + 1",
    "a = x.nothing\na + 1",
    "p[0] = relux\np[0] + p[1]",
    "assert nothing > 3\nrelu",
    "a = conv(8, size=nothing)\na + 1",
    "y = relu(nothing)\ny + 1",
    "y = conv(8, bias=nothing) as \"c{nothing}\"\ny + 1",
    "a = relux\na -> residual:\n    b = relu\nb + a",
    "t = learned(nothing, 8)\nx, t -> concat\ntake(t)",
    "q, k, v = relux\nq, k, v -> attend(2)",
    "a = relux\nreturn a, b=a",
    "a = conv(8) as \"1 2\"\na + 1",
    "a = Part(4)\na + 1",
])
def test_one_cause_is_one_error(body: str) -> None:
    found = mistakes(network(body, above=BLOCK if "Part" in body else ""))
    assert len(found) == 1, "\n\n".join(d.render() for d in found)


def test_a_mistake_in_a_block_is_reported_once_for_all_runs() -> None:
    found = mistakes(network("a = Part(4)\nb = x -> Part(8)\nrepeat 3 as c[i]:\n    Part(8)", above=BLOCK))
    assert [d.code for d in found] == ["A101"]


def test_a_mistake_is_reported_once_for_all_presets() -> None:
    text = """
    network N(dim):
        presets dim:
            S 4
            M 8
        input x: B 3
        a = linear(dim)
        bn = layernrom
    network M = N.S(dim=5)
    """
    assert [d.code for d in mistakes(text)] == ["A101"]


def test_presets_have_mistakes_of_their_own() -> None:
    text = """
    network N(dim, heads):
        presets dim heads:
            S   4   3
            M   8   2
            L   9   2
        input x: B N dim
        attend(heads)
    """
    found = mistakes(text)
    assert [(d.code, d.span.line if d.span else 0) for d in found] == [("A203", 4), ("A203", 6)]
    assert "row S sets heads = 3" in found[0].render() and "row L sets heads = 2" in found[1].render()


def test_the_call_path_is_told() -> None:
    above = """
    block Inner:
        input x: B C H W
        c = conv(0)

    block Outer(f: op):
        input x: B C H W
        residual:
            stage:
                f
    """
    found = mistakes(network("repeat 2 as blocks[i]:\n    outer = Outer(Inner)", above=above))
    assert [d.code for d in found] == ["A302"]
    assert "= in N > blocks[0] > outer > Outer > stage > Inner" in found[0].render()


def test_what_is_not_reached_is_looked_through_for_names() -> None:
    text = """
    block Unused:
        input x: B C H W
        conv(8, strides=2) as "c"
        layernrom
        y + 1

    network N(deep=False):
        input x: B C
        if deep:
            relux(3)
        relu
    """
    assert [d.code for d in mistakes(text)] == ["A301", "A101", "A101", "A102"]


def test_imports_that_fail_are_silent_afterwards() -> None:
    text = """
    from nowhere import Attention, Mlp
    network N:
        input x: B N 8
        attn = Attention(2)
        mlp = Mlp(3) : B N c
        y = x -> linear(c)
    """
    assert [d.code for d in mistakes(text)] == ["A109"]


def test_networks_that_cannot_be_built_are_named() -> None:
    report = checked("""
    network N(dim):
        input x: B 3
        a = linear(dim)
    """)
    assert report.ok and not report.built and report.unreached == ["N"]


def test_claims_wait_until_the_file_stands() -> None:
    text = """
    network N:
        expect params:
            - 1
        input x: B 3
        a = linear(dim)
    """
    assert [d.code for d in mistakes(text)] == ["A101"]


NOT_REACHED = """
block Loops(n, deep=True):
    input xs: B N 8, maps: [B C h w], mask?: B N of bool
    if deep:
        input extra: B 8
    steps = scan x in xs with h = {start}, past = [x0, x0]:
        y = x + h
        next h = y
        next past = past[1:] + [{item}]
        emit y, weight={emitted}
    repeat reversed(maps) as heads[m] with top = maps[-1]:
        fc = m -> conv(8)
        next top = {following}
    if training:
        y = {test}
    z = mask or steps.weight
    heads[:].fc + [top] -> concat
    return both=heads[:], last=z

network Net:
    input x: B 8
    relu
"""
RIGHT = {"start": "zeros(8)", "item": "y", "emitted": "h", "following": "fc", "test": "extra if training else x0"}


def test_names_of_loops_are_known_where_nothing_is_built() -> None:
    text = NOT_REACHED.replace("    steps =", "    x0 = zeros(8)\n    steps =")
    assert mistakes(text.format(**RIGHT)) == ()
    for place in RIGHT:
        found = mistakes(text.format(**{**RIGHT, place: "undefined"}))
        assert [(d.code, d.title) for d in found] == [("A101", "nothing here is called `undefined`")], place
