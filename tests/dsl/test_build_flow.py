"""Flow and names: what feeds a line, what a line is called, what a name means where."""

from __future__ import annotations

import pytest
from building import built, flow, graph, keys, mistakes, network, shapes, text_of, wrong

HALF = """
    block Half:
        input x: B C H W
        a = relu
        b = sigmoid
        return a, gates=b
"""
PAIR = """
    block Pair:
        input x: B C H W, y: B C H W
        x + y
"""
BLANK = """
    block Blank:
        input x: B C H W
"""


def test_the_line_above_flows_into_the_line_below() -> None:
    assert flow("relu\nsigmoid") == [
        "relu = x -> relu : B 8 H W", "sigmoid = relu -> sigmoid : B 8 H W", "return sigmoid"
    ]


def test_a_named_line_is_a_node_under_its_name() -> None:
    assert flow("a = relu\nx -> sigmoid\n_ + a")[-2:] == ["add = sigmoid, a -> add : B 8 H W", "return add"]


def test_underscore_is_the_line_above() -> None:
    assert flow("a = relu\n_ -> sigmoid")[1] == "sigmoid = a -> sigmoid : B 8 H W"


def test_underscore_with_nothing_above() -> None:
    text = "network N:\n    y = _ + 1\n    input x: B 8 H W\n    relu\n"
    assert [d.code for d in mistakes(text)] == ["A110"]


def test_several_sources() -> None:
    assert flow("a = relu\nb = sigmoid\na, b -> concat")[2] == "concat = a, b -> concat : B 16 H W"


def test_an_alias_is_part_of_the_flow_and_a_constant_is_not() -> None:
    assert flow("a = relu\nsigmoid\nk = 3\nmemory = a\ntanh")[-2] == "tanh = a -> tanh : B 8 H W"


def test_learned_does_not_move_the_flow_and_is_dropped_when_nothing_reads_it() -> None:
    found = built(network("t = learned(1, 1, 4)\nrelu"))
    assert text_of(found.graph)[1:] == ["relu = x -> relu : B 8 H W", "return relu"]
    assert [node.id for node in found.dropped] == ["t"]
    assert not found.graph.parameters


def test_arithmetic_on_tensors_makes_nodes_and_on_numbers_does_not() -> None:
    lines = flow("k = 2 * 3 + 1\ny = x * k\n1 - y\n-_")
    assert lines == [
        "mul = x -> mul(number=7) : B 8 H W", "sub = mul -> sub(number=1, reverse=True) : B 8 H W",
        "neg = sub -> neg : B 8 H W", "return neg",
    ]


def test_ops_and_values_are_two_namespaces() -> None:
    assert keys("conv = conv(8)\nconv -> conv(8) as \"second\"") == [
        "conv.weight", "conv.bias", "second.weight", "second.bias"
    ]


def test_a_bare_name_that_is_a_node_and_an_op() -> None:
    wrong("relu = relu\nsigmoid\nrelu", code="A105", words="`_ -> relu` is the op")
    assert flow("relu = relu\nsigmoid\n_ -> relu")[2] == "relu_2 = sigmoid -> relu : B 8 H W"


def test_a_value_at_an_op_place() -> None:
    wrong("a = relu\nx -> a", code="A102", words="`a` is the tensor `B 8 H W`, not an op")


def test_an_op_among_values() -> None:
    wrong("y = x + relu", code="A309", words="`y = x -> relu`")
    wrong("relu\nreturn relu", code="A120", words="run it on a line of its own: `y = x -> relu`")
    wrong("relu, x -> concat", code="A207", words="an op runs on a line of its own")


def test_nothing_follows_a_return() -> None:
    wrong("return x\nrelu", code="A115", words="the return")


def test_a_return_under_an_if_ends_the_block() -> None:
    assert flow("if early:\n    return x\nrelu", params="early=True") == ["return x"]
    assert flow("if early:\n    return x\nrelu", params="early=False")[-1] == "return relu"


@pytest.mark.parametrize("header", ["residual:", "repeat 2:", "stage:"])
def test_a_return_inside_a_container(header: str) -> None:
    wrong(f"{header}\n    return x", code="A115", words="it ends the whole block")


def test_without_return_a_block_answers_its_last_flow() -> None:
    assert flow("Blank", above=BLANK) == ["return x"]


def test_several_inputs_and_outputs() -> None:
    found = graph("y = x + z\nreturn y, first=x", "input x: B 8 H W, z: B 8 H W")
    assert [name for name, _ in found.outputs] == ["", "first"]
    assert found.inputs == ("x", "z")


def test_two_results_of_one_name() -> None:
    wrong("return a=x, a=x", code="A103", words="two results are called `a`")


def test_a_result_is_a_tensor() -> None:
    wrong("return 3", code="A120", words="a result is a tensor; here is `3`")


def test_results_of_a_block_by_place_and_by_name() -> None:
    assert flow("a, b = Half\na + b", above=HALF)[-2] == "add = Half.a, Half.b -> add : B 8 H W"
    assert flow("Half\n_.gates", above=HALF)[-1] == "return Half.b"
    assert flow("h = Half\nh.gates + h", above=HALF)[-2] == "add = h.b, h.a -> add : B 8 H W"


def test_the_first_of_several_results_is_the_value() -> None:
    assert flow("Half\nrelu", above=HALF)[-2] == "relu = Half.a -> relu : B 8 H W"


def test_another_number_of_results() -> None:
    wrong("a, b, c = Half", above=HALF, code="A118", words="3 names stand here for 2 results")
    wrong("a, b = relu", code="A118", words="2 names stand here for 1 result")


def test_an_attribute_that_is_not_there() -> None:
    wrong("h = Half\nh.gate -> relu", above=HALF, code="A110", words="did you mean `gates`?")
    wrong("h = relu\nh.gate -> relu", code="A110", words="has no names inside")


def test_inputs_of_a_block() -> None:
    assert flow("y = relu\nx, y -> Pair", above=PAIR)[1] == "Pair.add = x, y -> add : B 8 H W"
    wrong("Pair", above=PAIR, code="A207", words="`Pair` takes 2 inputs (x, y); here is 1")
    wrong("x, x, x -> Pair", above=PAIR, code="A207", words="here are 3")


def test_an_op_takes_as_many_tensors_as_it_says() -> None:
    wrong("x, x -> relu", code="A207", words="`relu` takes one tensor; here are 2 tensors")
    wrong("x -> learned(3)", code="A207", words="`learned` takes no data")


def test_parts_are_all_meant_or_one_is_chosen() -> None:
    assert flow("split(2)\nconcat")[1] == "concat = split, split[1] -> concat : B 8 H W"
    assert flow("p = split(2)\np[1] -> relu")[1] == "relu = p[1] -> relu : B 4 H W"
    assert flow("a, b = split(2)\nb -> relu")[1] == "relu = split[1] -> relu : B 4 H W"
    for body in ("split(2)\nrelu", "p = split(2)\np + x", "p = split(2)\np * 2", "p = split(2)\nreturn p",
                 "split(2)\nresidual:\n    relu", "residual:\n    split(2)", "p = split(2)\nx, p -> concat"):
        found = mistakes(network(body))
        assert len(found) == 1 and found[0].code in ("A207", "A201"), (body, [d.render() for d in found])


def test_a_network_cannot_end_with_parts() -> None:
    wrong("split(2)", code="A120", words="ends with several parts")


def test_a_line_that_does_nothing() -> None:
    wrong("3", code="A117", words="name it: `name = ...`")
    wrong("k = 3 : B C", code="A117")
    wrong('k = 3 as "a"', code="A117", words="only an op has a key")
    wrong("- x", code="A117", words="leave the `-` away")


def test_names_of_one_scope_are_unique() -> None:
    wrong("a = relu\na = sigmoid", code="A103", words="the node")
    wrong("k = 3\nk = relu", code="A103", words="the constant")
    wrong("k = relu", params="k=3", code="A103", words="the parameter")
    wrong("H = relu", code="A103", words="the size")
    wrong("x = relu", code="A103", words="the input")


@pytest.mark.parametrize("name", ["residual", "gate", "append", "training", "_"])
def test_words_of_the_language_are_no_names(name: str) -> None:
    wrong(f"{name} = relu", code="A108", words="is a word of the language")


def test_a_scope_has_names_of_its_own() -> None:
    assert flow("a = relu\ns:\n    a = sigmoid\n    a -> tanh\ns.a + a")[-2] == "add = s.a, a -> add : B 8 H W"


def test_a_name_of_a_scope_is_read_in_full() -> None:
    wrong("s:\n    a = sigmoid\nx + a", code="A101", words="read in full: `s.a`")
    wrong("repeat 2 as b[i]:\n    a = sigmoid\nx + a", code="A101", words="read in full: `b[1].a`")


def test_residual_if_and_plain_repeats_open_no_scope() -> None:
    body = "residual:\n    a = relu\nif 1 < 2:\n    b = relu\nrepeat 2 as i:\n    c = relu\na + b + c"
    assert flow(body)[-1] == "return add_3"


def test_unknown_names_offer_the_nearest() -> None:
    wrong("hidden = relu\nx + hiden", code="A101", words="did you mean `hidden`?")
    wrong("layernrom", code="A101", words="did you mean `layernorm`?")
    wrong("cov(8)", code="A102", words="did you mean `conv`?")
    wrong("y = x -> relux", code="A102", words="did you mean `relu`?")


def test_settings() -> None:
    wrong("y = conv(8, strid=2)", code="A301", words="did you mean `stride`?")
    wrong("y = conv(8, out=8)", code="A308", words="set twice")
    wrong("y = conv(8, stride=1, stride=2)", code="A308", words="set twice")
    wrong("y = conv", code="A303", words="`conv` needs `out`")
    wrong('y = conv("8")', code="A302", words='`out` of `conv` takes a whole number; here is the string "8"')
    wrong("y = conv(8, groups=0)", code="A302", words="is at least 1")
    wrong("relu(x)", code="A304", words="data stands left of the arrow")
    wrong("y = linear(x)", code="A302", words="data stands left of the arrow")


def test_lists_and_constants_unpack() -> None:
    assert flow("a, b = [1, 2]\nx * a + b")[-1] == "return add"
    wrong("a, b = [1, 2, 3]", code="A118", words="2 names stand here for a list of 3")


def test_given_weights_and_ties() -> None:
    body = "wte = embedding(10, 8)\nhead = linear(10, bias=False, weight=wte.weight)"
    found = graph(body, "input ids: B N of int")
    assert {k: p.tied for k, p in found.parameters.items()} == {"wte.weight": None, "head.weight": "wte.weight"}
    assert found.parameter_count == 80
    unnamed = graph(body.replace("head = ", ""), "input ids: B N of int")
    assert list(unnamed.parameters) == ["wte.weight"]


def test_a_computed_weight_is_listed_nowhere() -> None:
    body = "w = learned(16, 8)\nv = w * 2\nlinear(16, bias=False, weight=v)"
    assert keys(body, "input x: B 8") == ["w"]


def test_a_given_weight_of_another_shape() -> None:
    body = "wte = embedding(10, 8)\nhead = linear(12, bias=False, weight=wte.weight)"
    wrong(body, "input ids: B N of int", code="A212", words="`weight` of `linear` is [12, 8]; the given one is [10, 8]")


def test_a_bare_parameter_given_is_tied() -> None:
    found = graph("w = learned(16, 8)\nh = linear(16, bias=False, weight=w)", "input x: B 8")
    assert {k: p.tied for k, p in found.parameters.items()} == {"w": None, "h.weight": "w"}


def test_a_named_result_of_the_network() -> None:
    assert shapes("a = relu\nreturn a, second=x") == ["B 8 H W", "B 8 H W"]
