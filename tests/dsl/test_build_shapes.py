"""Shape promises, premises, guards: what is bound, proved, refuted or assumed."""

from __future__ import annotations

import pytest
from building import flow, graph, mistakes, network, shapes, wrong

TOKENS = "input x: B N 8"


def guards(body: str, head: str = "input x: B 8 H W", above: str = "", params: str = "") -> list[str]:
    found = graph(body, head, above, params)
    free = set(found.free)
    for guard in found.guards:
        assert guard.condition.symbols <= free, "guards speak of the input alone"
    return [guard.condition.show() for guard in found.guards]


# ---------------------------------------------------------------------------------------------- binding
def test_the_first_mention_binds_and_later_ones_agree() -> None:
    assert shapes("y = max_pool(2) : B C h w\nx -> max_pool(2) : B C h w") == ["B 8 floor(H/2) floor(W/2)"]
    wrong("max_pool(2) : B C h w\nmax_pool(2) : B C h w", code="A202",
          words="`h` is floor(H/2) since line 4, here it is floor(H/4)")


def test_letters_are_numbers_in_expressions() -> None:
    assert shapes('relu : B C h w\nconv(2 * C) as "c"') == ["B 16 H W"]
    assert flow("relu : B C h w\nrepeat h:\n    relu", "input x: B 8 2 4")[-1] == "return relu_3"


@pytest.mark.parametrize(("promise", "words"), [
    ("B 9 H W", "it is 8"),
    ("B C H", "3 axes; `B 8 H W` has 4"),
    ("B C H W of int", "the elements are of float"),
    ("B C W H", None),
    ("B 2*c+1 H W", "7 gives no whole number"),
    ("B a*b H W", "`a*b` has no size yet"),
    ("B k H W", None),
    ("B 8 2*H W", "here it is H"),
    ("B 8 H**99 W", "from 0 to 64"),
    ("... B 9 W H 1", "5 axes at least"),
    ("... 9", "it is 8"),
    ("B ... 3", "it is 8"),
    ("... H ...", "`...` stands once"),
    ("B x H W", "`x` is the tensor"),
    ("B ceil(C/0) H W", "divides by 0"),
    ("B 8/3 H W", "not exact"),
    ("B 8/0 H W", "division by 0"),
    ("B c/0 H W", "gives no whole number"),
])
def test_promises_that_break(promise: str, words: str | None) -> None:
    found = mistakes(network(f"relu : {promise}"))
    if words is None:
        assert not found
    else:
        assert len(found) == 1 and found[0].code in ("A202", "A206"), [d.render() for d in found]
        assert words in found[0].render(), found[0].render()


def test_a_new_letter_is_solved_for() -> None:
    body = "relu : B 2*c H W\nx -> conv(c, bias=False) as \"d\""
    assert shapes(body) == ["B 4 H W"]
    assert shapes("relu : B 2*c+2 h w\nx -> conv(c, bias=False) as \"d\"") == ["B 3 H W"]
    assert shapes("relu : B c-2 h w\nx -> conv(c, bias=False) as \"d\"") == ["B 10 H W"]


def test_any_and_rest() -> None:
    assert shapes("relu : . C . .\nconv(C + 1) as \"c\"") == ["B 9 H W"]
    assert shapes("relu : ... C\nconv(C + 1) as \"c\"") == ["B 9 H W"], "`... C` is the channel axis of any layout"
    assert shapes("relu : B ... h w\nupsample(by=2) : ... 2*h 2*w") == ["B 8 2*H 2*W"]


def test_pins() -> None:
    assert shapes("relu : B C H W", "input x: B 3 H=size W=size", params="size=8") == ["B 3 8 8"]
    wrong("relu", "input x: B 3 H=4 W=4, y: B 3 H=5 W", code="A204", words="`H` is 4 already")
    assert shapes("max_pool(2) : B C h=4 W/2", "input x: B 3 H=8 W=8") == ["B 3 4 4"]
    wrong("max_pool(2) : B C h=5 W/2", "input x: B 3 H=8 W=8", code="A202", words="here it is 4")


def test_lists_in_shapes() -> None:
    assert shapes("conv(ws[1]) as \"c\" : B ws[1] H W", params="ws=[4, 6]") == ["B 6 H W"]
    assert shapes("repeat 2 as i:\n    conv(ws[i]) as \"c{i}\" : B ws[i] H W", params="ws=[4, 6]") == ["B 6 H W"]
    wrong("relu : B ws H W", params="ws=[4, 6]", code="A202", words="`ws` is a list of 2, not a size")


def test_a_letter_of_an_iteration_binds_anew() -> None:
    assert shapes("repeat 2:\n    max_pool(2) : B C h w", "input x: B 8 16 16") == ["B 8 4 4"]
    wrong("repeat 2:\n    max_pool(2) : B C 4 4", "input x: B 8 16 16", code="A202", words="on a line below the loop")


# ---------------------------------------------------------------------------------------------- segments
VIT = """
    y = to_tokens : B (h w) C
    cls = learned(1, 1, C)
    cls, y -> concat : B (1 + h w) C
"""


def test_segments_keep_their_grid_and_their_names() -> None:
    assert shapes(VIT + "    relu : B (cls + h w) C") == ["B (1 + H W) 8"]
    assert shapes(VIT + "    take(cls) : B C") == ["B 8"]
    assert shapes(VIT + "    drop_prefix : B (h w) C\n    to_image : B C h w") == ["B 8 H W"]
    wrong(VIT + "    relu : B (y + h w) C", code="A202", words="this segment comes from `cls`")
    wrong(VIT + "    relu : B (2 + h w) C", code="A202")
    wrong(VIT + "    relu : B (1 + w h) C", "input x: B 8 4 6", code="A202",
          words="`w` is 6 since line 4, here it is 4")


def test_a_sum_of_what_is_no_segment() -> None:
    wrong("relu : B (h w) C", TOKENS, code="A202", words="positions without a grid")
    assert shapes("relu : B (1 + n) C\ntake(0, count=n) : B n C", "input x: B 5 8") == ["B 4 8"]
    assert shapes("relu : B (4 n) C\ntake(0, count=n) : B n C", "input x: B 8 8") == ["B 2 8"]
    wrong("relu : B (3 n) C", "input x: B 8 8", code="A202", words="8 is no multiple of 3")


def test_transposed_tokens_lay_their_grid_aside() -> None:
    body = "to_tokens\ntranspose : B C N\ntranspose : B (h w) C"
    assert shapes(body) == ["B (H W) 8"]


# ---------------------------------------------------------------------------------------------- guards
def test_a_promise_that_depends_is_a_guard() -> None:
    assert guards("max_pool(4) : B C H/4 W/4") == ["H % 4 == 0", "W % 4 == 0"]
    assert guards("conv(8, stride=4) as \"c\" : B C ceil(H/4) .") == []
    assert guards("max_pool(4) : B C h w") == ["H >= 4", "W >= 4"]
    assert guards("relu : B C H H") == ["W == H"]


def test_what_is_assumed_is_known_below() -> None:
    body = "max_pool(2) : B C H/2 W/2\nmax_pool(2) : B C H/4 W/4\nupsample(by=4)\n_ + x"
    assert guards(body) == ["H % 2 == 0", "W % 2 == 0", "H % 4 == 0", "W % 4 == 0"]


def test_an_assert_is_a_premise_of_what_stands_below() -> None:
    body = "assert H % 4 == 0 and W % 4 == 0\nmax_pool(2) : B C H/2 W/2\nmax_pool(2)\nupsample(by=4)\n_ + x"
    assert guards(body) == ["H % 4 == 0", "W % 4 == 0"]


def test_an_assert_does_not_travel_out_of_its_block() -> None:
    part = "block P:\n    input x: B C H W\n    assert H % 4 == 0\n    relu"
    assert guards("P\nmax_pool(4) : B C H/4 .", above=part) == ["H % 4 == 0", "W >= 4"]
    wrong("P\nrepeat 2 if H % 4 == 0 else 1:\n    relu", above=part, code="A210")


def test_premises_travel_into_blocks() -> None:
    part = "block P:\n    input x: B C H W\n    if H % 4 == 0:\n        relu"
    assert flow("assert H % 8 == 0\nP", above=part)[0].endswith("relu : B 8 H W")
    wrong("P", above=part, code="A210", words="`H % 4 == 0` may be so or not")


def test_asserts_on_numbers() -> None:
    wrong("assert n > 4", params="n=3", code="A203", words="here n = 3")
    wrong('assert n > 4 and n < 9, "too small"', params="n=3", code="A203", words="error[A203]: too small")
    wrong("assert n", params="n=3", code="A309", words="a condition is True or False; here is `3`")
    wrong("assert x > 3", code="A309", words="the tensor `B 8 H W of bool` is data")
    assert flow("assert n > 2 or n < 0", params="n=3") == ["return x"]


def test_asserts_that_no_size_meets() -> None:
    wrong("assert H % 4 == 0\nassert H % 2 == 1", code="A203")
    wrong("assert H < 1", code="A203")
    wrong("max_pool(2) : B C H/2 .\nassert H % 4 == 1", code="A203")


def test_conditions_on_free_sizes_are_not_decided() -> None:
    wrong("if H > 4:\n    relu", code="A210", words="pin the size in `input`")
    assert flow("assert H > 8\nif H > 4:\n    relu")[1:] == ["return relu", "guard H > 8"]
    assert flow("relu : B C h w\nif h == w:\n    tanh", "input x: B 8 H H")[-1] == "return tanh"
    assert flow("if C == 8:\n    relu", "input x: B C=8 H W")[-1] == "return relu"


def test_weights_need_numbers() -> None:
    wrong("linear(4) as \"l\"", "input x: B C", code="A205", words="pin the size in the network's input")
    wrong("conv(H) as \"c\"", code="A205", words="`out` is `H`, which depends on the input's size")
    wrong("x -> maxout(H)", code="A205", words="`n` is `H`, which depends on the input's size")
    assert flow("x * H")[0].endswith("x -> mul(number=H) : B 8 H W")


# ---------------------------------------------------------------------------------------------- ports
@pytest.mark.parametrize(("head", "layout"), [
    ("input x: B C", "vector"), ("input x: B N C", "tokens"), ("input x: B C H W", "image"), ("input x: B N", "ids"),
    ("input x: B C T H W", "image"), ("input x: B N of int", "ids"), ("input x: B (h=4 w=5) C", "tokens"),
    ("input x: 1 N C", "tokens"), ("input x: B (1 + h=4 w=5) C", "tokens"),
])
def test_roles_of_ports(head: str, layout: str) -> None:
    found = graph("x -> identity", head)
    assert found.nodes["x"].outputs[0].layout == layout


def test_a_letter_keeps_its_role_in_the_same_header() -> None:
    found = graph("return x, y", "input x: B N C, y: B N")
    assert [a.role.value for a in found.nodes["y"].outputs[0].axes] == ["batch", "position"]


@pytest.mark.parametrize(("head", "words"), [
    ("input x: B C H W D E", "an input has 1 to 5 axes, here are 6"),
    ("input x: B C H W of complex", "elements are float, int or bool, not `complex`"),
    ("input x: B ... C", "names each of its axes"),
    ("input x: B . C", "names each of its axes"),
    ("input x: B (h w) C", "`h` cannot be read off the input"),
    ("input x: B 2*c H W", "`c` cannot be read off the input"),
    ("input x: B 0 H W", "an axis has 1 to"),
])
def test_ports_that_are_wrong(head: str, words: str) -> None:
    wrong("relu", head, code="A204", words=words)


def test_the_grid_of_a_port() -> None:
    assert shapes("to_image", "input x: B (h=4 w=5) 8") == ["B 8 4 5"]


def test_ports_of_a_block_are_promises() -> None:
    part = "block P:\n    input x: B N C\n    relu"
    wrong("P", above=part, code="A213", words="`x` is given `B 8 H W`, and takes `B N C`")


def test_a_network_without_input() -> None:
    assert [d.code for d in mistakes("network N:\n    x = learned(3)\n    relu\n")] == ["A116"]


# ---------------------------------------------------------------------------------------------- arithmetic
@pytest.mark.parametrize(("expr", "value"), [
    ("7 / 2 * 2", 7), ("7 // 2", 3), ("7 % 4", 3), ("2 ** 10", 1024), ("0 / 0", 0), ("-7 // 2", -4), ("8 / 2", 4),
    ("min(3, 2)", 2), ("max([1, 5])", 5), ("sum([1, 2])", 3), ("len([1, 2, 3])", 3), ("round_to(33, 8)", 32),
    ("round_to(10, 16)", 16), ("ceil(7 / 2)", 4), ("floor(3.7)", 3), ("int(3.2)", 3), ("abs(-3)", 3), ("log2(8)", 3),
    ("reversed([1, 2])[0]", 2), ("[1, 2, 3][-1]", 3), ("len(([1, 2] + [3])[0:2])", 2), ("3 if 1 < 2 else 4", 3),
    ("3 if not 1 < 2 else 4", 4), ("1_000", 1000), ("size // 7", 2), ("size[0]", 14), ("round_to(38.4, 8)", 40),
])
def test_numbers(expr: str, value: int) -> None:
    assert shapes(f"k = {expr}\nconv(k + 10) as \"c\"", params="size: size = 14") == [f"B {value + 10} H W"]


@pytest.mark.parametrize(("expr", "code", "words"), [
    ("1 / 0", "A309", "divides by zero"), ("1 % 0", "A309", "divides by zero"), ("H // 0", "A309", "divides by zero"),
    ("9 ** 99", "A509", "goes beyond"), ("2.0 ** 9999", "A509", "goes beyond"), ("exp(1000)", "A509", "beyond"),
    ("(0 - 8) ** 0.5", "A309", "is no real number"), ("log(0)", "A309", "has no value"),
    ('"a" + 1', "A309", "here is the string"),
    ("[1, 2] * 2", "A309", "a list of 2"), ("min()", "A201", "`min` takes two tensors"),
    ("len(3)", "A309", "takes a list"),
    ("max([])", "A309", "has no value"), ("H + 0.5", "A309", "joins a free size and the number 0.5"),
    ("[1, 2][2]", "A309", "there is no place 2"), ("[1, 2][0.5]", "A309", "a whole number"),
    ("3[0]", "A309", "no parts"),
    ("1 < relu", "A309", "orders numbers"), ("-relu", "A309", "is an op"), ("min(a=3)", "A301", "takes no setting"),
    ("1 and 2", "A309", "a condition is True or False"), ("1 | 2", "A309", "joins attention patterns"),
    ("x % 2", "A309", "no arithmetic on tensors"), ('x + "a"', "A309", "joins a tensor and a number"),
    ("True + 1", "A309", "takes numbers; here is `True`"), ("[1, x]", "A140", "a list holds tensors or other values"),
])
def test_numbers_that_are_none(expr: str, code: str, words: str) -> None:
    wrong(f"k = {expr}", code=code, words=words)
