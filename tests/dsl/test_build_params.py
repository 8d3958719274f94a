"""Parameters, presets, derived networks, ops as values, shared modules."""

from __future__ import annotations

import pytest
from building import built, checked, flow, graph, keys, mistakes, network, wrong

from ogive.dsl.build import names_of
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.graph import Edge
from ogive.dsl.load import load_text
from ogive.dsl.types import Axis, Role, Tensor
from ogive.dsl.values import Bundle, Out, ParamValue, printed

TABLE = """
    network N(dim, depth=1, act: op = relu, kind: "a" | "b" = "a", widths: [int] = [4, 4]):
        presets  dim  depth  act             widths:
            S    4    -      gelu            [4, 8]
            "2"  8    2      leaky_relu(0.2) -
        input x: B 2 H W
        repeat depth as b[i]:
            conv(dim)
            act
"""


def ops(text: str, name: str, **settings: object) -> list[str]:
    return [str(node.primitive) for node in built(text, name, **settings).graph if node.primitive]


# ---------------------------------------------------------------------------------------------- presets
def test_a_row_sets_what_its_cells_say_and_keeps_the_rest() -> None:
    assert ops(TABLE, "N.S") == ["conv(out=4)", "gelu"]
    assert ops(TABLE, 'N."2"') == ops(TABLE, "N.2") == [
        "conv(out=8)", "leaky_relu(slope=0.2)", "conv(out=8)", "leaky_relu(slope=0.2)"
    ]


def test_explicit_beats_row_beats_default() -> None:
    assert built(TABLE, "N.S", depth=3).settings["depth"] == 3
    assert built(TABLE, "N.2").settings["depth"] == 2
    assert built(TABLE, "N.S").settings["depth"] == 1
    assert built(TABLE, "N.S").settings["widths"] == (4, 8)
    assert ops(TABLE, "N.S", act="leaky_relu(0.3)") == ["conv(out=4)", "leaky_relu(slope=0.3)"]


def test_what_can_be_built() -> None:
    assert names_of(load_text(TABLE.replace("\n    ", "\n"))) == ["N.S", "N.2"]
    defaults = TABLE.replace("dim,", "dim=2,").replace("\n    ", "\n")
    assert names_of(load_text(defaults)) == ["N.S", "N.2", "N"]


@pytest.mark.parametrize(("old", "new", "code", "words"), [
    ("dim  depth  act", "dim  deph   act", "A305", "did you mean `depth`?"),
    ("dim  depth  act", "dim  dim    act", "A305", "stands twice"),
    ("gelu            [4, 8]", "gelu", "A306", "row `S` has 3 cells, and the table 4 columns"),
    ("gelu            [4, 8]", "gelu [4, 8] 3", "A306", "row `S` has 5 cells"),
    ('"2"  8', "S    8", "A306", "the preset `S` stands twice"),
    ("S    4 ", "S    4.5 ", "A302", "row S sets dim"),
    ("gelu            [4, 8]", "gelu            4", "A302", "`widths` takes a list; here is `4`"),
    ("gelu   ", "3      ", "A302", "`act` takes an op; here is `3`"),
    ("gelu   ", "gelx   ", "A101", "did you mean `gelu`?"),
    ("dim  depth  act             widths", "depth  depth2 act             widths", "A305", "no parameter `depth2`"),
])
def test_tables_that_are_wrong(old: str, new: str, code: str, words: str) -> None:
    assert old in TABLE
    found = mistakes(TABLE.replace(old, new))
    assert [d.code for d in found] == [code], "\n".join(d.render() for d in found)
    assert words in found[0].render()


def test_a_preset_that_leaves_a_parameter_open() -> None:
    text = TABLE.replace("(dim, depth=1", "(dim, extra, depth=1")
    found = mistakes(text)
    assert [d.code for d in found] == ["A303"]
    assert "preset `S` of `N` needs `extra`" in found[0].render()


def test_a_preset_that_is_not_there() -> None:
    with pytest.raises(ArchError, match=r"has no preset `L`(.|\n)*its presets: S, 2"):
        built(TABLE, "N.L")
    with pytest.raises(ArchError, match="choose a preset, or set it"):
        built(TABLE, "N")


def test_assertions_are_checked_for_every_preset_and_point_at_the_cell() -> None:
    text = """
    block Part(heads):
        input x: B N C
        assert C % heads == 0, "the width must divide into heads"
        attend(heads)

    network N(dim, heads):
        presets  dim  heads:
            S    12   3
            B    16   5
        input x: B N dim
        repeat 1 as blocks[i]:
            attn = Part(heads)
    """
    found = mistakes(text)
    assert [d.code for d in found] == ["A203"]
    assert found[0].render() == "\n".join([
        "error[A203]: the width must divide into heads",
        "  --> case.arch:10:19",
        "   |",
        "10 |         B    16   5",
        "   |                   ^ row B sets heads = 5",
        " 4 |     assert C % heads == 0, \"the width must divide into heads\"",
        "   |            ^^^^^^^^^^^^^^ asserted here",
        "13 |         attn = Part(heads)",
        "   |                ^^^^^^^^^^^ `Part` runs here",
        "   |",
        "   = N.B > blocks[0] > attn > Part asserts `C % heads == 0`; here 16 % 5 = 1",
        "   = help: heads that divide 16: 1, 2, 4, 8, 16",
    ])


# ---------------------------------------------------------------------------------------------- types
@pytest.mark.parametrize(("params", "code", "words"), [
    ("n: int = 1.5", "A302", "`n` takes a whole number; here is `1.5`"),
    ("n: float = True", "A302", "`n` takes a number; here is `True`"),
    ("n: bool = 1", "A302", "`n` takes True or False"),
    ('n: int = "4"', "A302", 'here is the string "4"'),
    ("n: op = 3", "A302", "`n` takes an op"),
    ("n: op = dense", "A302", "the attention pattern `dense`"),
    ("n: pattern = relu", "A302", "`n` takes an attention pattern; here is the op `relu`"),
    ("n: string = relu", "A302", 'a string stands in quotes: `"relu"`'),
    ("n: size = 1.5", "A302", "a size such as 7 or 7x14"),
    ("n: [int] = 3", "A302", "`n` takes a list"),
    ("n: [int] = [1, 2.5]", "A302", "here is `2.5`"),
    ('n: "a" | "b" = "c"', "A302", '`n` is "a" or "b"; here is the string "c"'),
    ("n: integer = 1", "A311", "there are: int, float, bool"),
])
def test_types_of_parameters(params: str, code: str, words: str) -> None:
    wrong("relu", params=params, code=code, words=words)


@pytest.mark.parametrize(("params", "value"), [
    ("n: int = 8.0", 8), ("n: float = 8", 8), ("n: size = 7", (7,)), ("n: size = 7x14", (7, 14)), ("n = None", None),
    ("n: [int] = [8.0, 1]", (8, 1)), ('n: "a" | "b" = "b"', "b"), ("n = 2 * 3 // 4", 1), ("n = 6 / 4", 1.5),
])
def test_values_of_parameters(params: str, value: object) -> None:
    assert built(network("relu", params=params), "N").settings["n"] == value


def test_untyped_parameters_take_the_type_of_their_default() -> None:
    with pytest.raises(ArchError, match="takes a whole number"):
        built(network("relu", params="n=1"), "N", n=1.5)
    with pytest.raises(ArchError, match="takes a number"):
        built(network("relu", params="n=1.0"), "N", n="relu")
    with pytest.raises(ArchError, match="takes True or False"):
        built(network("relu", params="n=True"), "N", n=1)


def test_settings_from_outside() -> None:
    text = network("conv(n) as \"c\"", params="n=1")
    assert "out=4" in str(built(text, "N", n="2 * 2").graph)
    for settings, code in (({"m": 1}, "A301"), ({"n": "x"}, "A101"), ({"n": "1 +"}, "A002"), ({"n": {}}, None)):
        with pytest.raises(ArchError) as error:
            built(text, "N", **settings)
        assert code is None or error.value.codes == (code,)


def test_missing_and_unknown_arguments_of_a_block() -> None:
    part = "block P(a, b, c=1):\n    input x: B C H W\n    relu"
    wrong("P", above=part, code="A303", words="`P` needs `a` and `b`")
    wrong("P(1, 2, 3, 4)", above=part, code="A304", words="takes at most 3 parameters: a, b, c")
    wrong("P(1, 2, d=3)", above=part, code="A301", words="its parameters: a, b, c")
    wrong("P(1, 2, a=3)", above=part, code="A308", words="first here")
    wrong("P(x, 2)", above=part, code="A302", words="the tensor")


# ---------------------------------------------------------------------------------------------- ops as values
ACT = "block Act(act: op = relu):\n    input x: B C H W\n    act"


def test_op_parameters_bare_and_with_settings() -> None:
    assert ops(network("Act(leaky_relu)", above=ACT), "N") == ["leaky_relu"]
    assert ops(network("Act(act=leaky_relu(0.2))", above=ACT), "N") == ["leaky_relu(slope=0.2)"]
    norm = "block Norm(norm: op):\n    input x: B C H W\n    n = norm(affine=False)\n    norm(1e-3) as \"m\""
    assert ops(network("a = Norm(batchnorm(eps=1e-6))", above=norm), "N") == [
        "batchnorm(eps=1e-06, affine=False)", "batchnorm(eps=0.001)"
    ]


def test_settings_at_the_use_come_on_top() -> None:
    part = "block P(act: op):\n    input x: B C H W\n    act(slope=0.3)\n    act(0.4)"
    for given in ("leaky_relu(0.2)", "leaky_relu(slope=0.2)"):
        assert ops(network(f"P({given})", above=part), "N") == ["leaky_relu(slope=0.3)", "leaky_relu(slope=0.4)"]


def test_blocks_are_ops_too() -> None:
    above = "block Se(r=2):\n    input x: B C H W\n    c = conv(C // r)\n    conv(C) as \"d\"\n\n"
    above += ACT.replace("    act", "    m = act")
    assert keys("a = Act(Se)\nb = Act(Se(r=4))", above=above)[::2] == [
        "a.m.c.weight", "a.m.d.weight", "b.m.c.weight", "b.m.d.weight"
    ]


def test_identity_is_an_op() -> None:
    assert ops(network("Act(identity)\nrelu", above=ACT), "N") == ["relu"]


def test_ops_in_lists_and_choices() -> None:
    assert ops(network("repeat [relu, gelu, leaky_relu(0.2)] as act:\n    act"), "N") == [
        "relu", "gelu", "leaky_relu(slope=0.2)"
    ]
    assert flow("acts = [relu, gelu]\nacts[1]\n_ -> acts[0]\nsigmoid if 1 > 2 else tanh")[-2].startswith("tanh = relu")


def test_patterns_are_values() -> None:
    part = "block P(over: pattern = dense):\n    input x: B N C\n    attend(2, over=over)"
    assert "over=causal" in str(graph("P(causal)", "input x: B N 8", part))


def test_blocks_do_not_use_themselves() -> None:
    wrong("A", above="block A:\n    input x: B C H W\n    B\n\nblock B:\n    input x: B C H W\n    A", code="A113",
          words="`A` uses itself: N > A > B > A")
    wrong("A(A)", above="block A(f: op):\n    input x: B C H W\n    f(f=f)", code="A113")


def test_a_network_is_a_block() -> None:
    inner = "network Inner(w):\n    presets w:\n        S 4\n    input y: B C H W\n    c = conv(w)"
    found = built(network("a = Inner.S\nb = Inner(3)", above=inner), "N").graph
    assert list(found.parameters) == ["a.c.weight", "a.c.bias", "b.c.weight", "b.c.bias"]


def test_constants_above_the_input() -> None:
    part = "block P(n):\n    side = 4 * n\n    input x: B C H=side W=side\n    relu"
    assert flow("P(2)", "input x: B 8 8 8", part)[-1].startswith("return")
    wrong("P(3)", "input x: B 8 8 8", part, code="A213", words="`x` is given `B 8 8 8`")


# ---------------------------------------------------------------------------------------------- derived networks
BASE = """
    network N(dim, depth=1):
        presets dim:
            S 4
        expect macs:
            S 12_544
        input x: B 1 H=28 W=28
        repeat depth as b[i]:
            conv(dim, 1x1)
"""


def test_derived_of_a_preset_and_of_a_derived() -> None:
    text = BASE.replace("S 12_544", "S 3_136") + """
    network D = N.S(depth=2)
    network E = D(dim=3)
    network F = N(dim=2):
        expect params:
            - 4
    """
    report = checked(text)
    assert not report.mistakes, [d.render() for d in report.mistakes]
    assert list(report.built) == ["N.S", "D", "E", "F"]
    assert {k: b.settings["dim"] for k, b in report.built.items()} == {"N.S": 4, "D": 4, "E": 3, "F": 2}
    assert report.built["E"].settings["depth"] == 2
    assert [(c.network, c.actual) for c in report.claims] == [("N.S", 3136), ("F", 4)]


@pytest.mark.parametrize(("line", "code", "words"), [
    ("network D = N.X", "A307", "has no preset `X`"),
    ("network D = N", "A303", "`N` needs `dim`"),
    ("network D = D(dim=1)", "A113", "derived from itself"),
    ("network D = relu", "A114", "must derive from a network"),
    ("network D = M", "A101", "nothing here is called `M`"),
    ("network D = N.S(dept=1)", "A301", "did you mean `depth`?"),
    ("network D = N.S\n    network E = D.S", "A307", "`D` is derived and has no presets of its own"),
    ("network D = N.S(depth=1.5)", "A302", "`depth` takes a whole number"),
])
def test_derivations_that_are_wrong(line: str, code: str, words: str) -> None:
    found = mistakes(BASE.replace("S 12_544", "S 3_136") + "\n    " + line + "\n")
    assert [d.code for d in found] == [code], "\n\n".join(d.render() for d in found)
    assert words in found[0].render()


# ---------------------------------------------------------------------------------------------- shared modules
PART = "block P(w=8):\n    input x: B C H W\n    c = conv(w, bias=False)\n    relu"


def test_a_shared_module_has_one_set_of_weights_and_a_box_per_run() -> None:
    found = graph("shared g = P\na = g\nb = g\na + b", above=PART)
    assert list(found.parameters) == ["g.c.weight"]
    assert [n.key for n in found if n.op == "conv"] == ["g.c", "g.c"]
    assert [r.title for r in found.regions if r.kind == "block"] == ["P", "P"]
    assert found.results["g"].node == "g.relu_2"


def test_a_shared_primitive() -> None:
    found = graph("shared g = conv(8, bias=False)\ng\nx + _ -> g")
    assert list(found.parameters) == ["g.weight"]
    assert found.macs({"H": 1, "W": 1}) == 2 * 576


def test_a_shared_module_takes_other_sizes_but_no_other_width() -> None:
    assert keys("shared g = P\na = g\nmax_pool(2)\ng\nglobal_pool", above=PART) == ["g.c.weight"]
    wrong("shared g = P\na = g\nconv(4) as \"d\"\ng", above=PART, code="A211", words="the first run: `B 8 H W`")
    wrong("shared g = conv(8)\ng\nconv(4) as \"d\"\ng", code="A211", words="this run: `B 4 H W`")


def test_runs_that_differ_in_their_weights() -> None:
    part = "block P:\n    input x: B C H W\n    if H == 4:\n        c = conv(C)\n    relu"
    wrong("shared g = P\na = g\nmax_pool(2)\ng", "input x: B 8 8 8", part, code="A211",
          words="the first run has no `g.c.weight`")


def test_a_shared_module_as_an_op_and_in_scopes() -> None:
    part = "block Q(f: op):\n    input x: B C H W\n    residual:\n        f"
    assert keys("shared g = conv(8, bias=False)\na = Q(g)\nb = Q(g)", above=part) == ["g.weight"]
    assert keys("s:\n    shared g = conv(8, bias=False)\n    g\n    g") == ["s.g.weight"]
    twice = "block R:\n    input x: B C H W\n    shared g = conv(8, bias=False)\n    g\n    g"
    assert keys("a = R\nb = R", above=twice) == ["a.g.weight", "b.g.weight"]
    assert keys("shared r = R\nr\nr", above=twice) == ["r.g.weight"]


def test_a_second_name_lists_the_weights_again() -> None:
    body = "shared g = P\nshared h = g\ng\nh"
    found = graph(body, above=PART)
    assert {k: p.tied for k, p in found.parameters.items()} == {"g.c.weight": None, "h.c.weight": "g.c.weight"}
    late = graph("shared g = P\ng\nshared h = g\ng", above=PART)
    assert list(late.parameters) == ["g.c.weight", "h.c.weight"]


def test_a_shared_module_has_its_key_where_it_is_declared() -> None:
    assert keys('shared g = P as "enc.p"\na = g\nb = g', above=PART) == ["enc.p.c.weight"]
    wrong('shared g = P\na = g as "b"', above=PART, code="A121", words='`shared g = P as "b"`')
    wrong("shared g = P\ng(4)", above=PART, code="A121", words="its settings stand where it is declared")
    wrong("shared g = 3", code="A121", words="`shared` declares a module; here is `3`")


def test_reading_a_weight_of_a_shared_module() -> None:
    body = "shared g = linear(8, bias=False)\ng\nh = linear(8, bias=False, weight=g.weight)"
    found = graph(body, "input x: B 8")
    assert {k: p.tied for k, p in found.parameters.items()} == {"g.weight": None, "h.weight": "g.weight"}
    wrong("shared g = linear(8)\nlinear(8, weight=g.weight)", "input x: B 8", code="A121", words="has not run yet")
    part = "block P:\n    input x: B C\n    c = linear(8, bias=False)"
    body = "shared g = P\ng\nh = linear(8, bias=False, weight=g.c.weight)"
    assert keys(body, "input x: B 8", part) == ["g.c.weight", "h.weight"]


def test_a_value_in_a_label_is_what_a_person_would_type() -> None:
    text = """
block Scaled(width):
    input x: B C
    assert width > 9, "wide"
    a = linear(width)

network N(over: pattern = window(2) | self, widths=[3, 4]):
    input x: B 8
    {}
"""
    def shown(line: str) -> str:
        return "\n".join(d.render() for d in mistakes(text.format(line)))

    assert "= here over = window(2) | self, widths = [3, 4]\n" in shown('assert over == 1 or widths == 1, "no"') + "\n"
    assert "N > Scaled asserts `width > 9`; here width = 3" in shown("Scaled(widths[0])")


def test_a_tensor_is_printed_as_its_shape() -> None:
    out = Out(Edge("x"), Tensor((Axis(Role.BATCH, 2), Axis(Role.CHANNEL, 8))))
    assert printed(Bundle((out,))) == printed(out) == "2 8"
    assert printed((Bundle((out,)), out)) == printed(Bundle(((out, out),))) == "[2 8, 2 8]"
    assert printed(ParamValue("wte.weight", (3, 4))) == "wte.weight"
