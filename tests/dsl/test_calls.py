"""What each call decides, in the graph: `training`, optional inputs, and where the sides of an `if` meet."""

from __future__ import annotations

from itertools import product

import pytest
from building import built, keys, network, wrong

from ogive.dsl.diagnostics import ArchError
from ogive.dsl.when import ALWAYS, NEVER, When, flag

VECTOR = "input x: B 8"
MASKED = "input x: B 8, mask?: B 8"
TOKENS = "input x: B N 8"


def kinds(body: str, head: str = VECTOR, above: str = "") -> dict[str, list[str]]:
    """The nodes of each kind of call, by what is on in it, inputs left out."""
    found = built(network(body, head, above), "N")
    return {
        " ".join(name for name, on in case.items() if on): [n.op for n in one if n.op != "input"]
        for case, one in found.cases
    }


# ------------------------------------------------------------------------------------------------ conditions


def test_conditions_are_truth_tables() -> None:
    a, b, c = flag("a"), flag("b"), flag("c")
    assert (a & b) | (a & ~b) == a
    assert (a | ~a, a & ~a) == (ALWAYS, NEVER)
    assert (a & b).implies(a) and not a.implies(a & b)
    assert ~(a | b) == ~a & ~b
    for x, y, z in product((False, True), repeat=3):
        case = {"a": x, "b": y, "c": z}
        assert ((a | b) & ~c).holds(case) == ((x or y) and not z)


@pytest.mark.parametrize(
    ("when", "words"),
    [(flag("a"), "a"), (~flag("a"), "not a"), (flag("a") & ~flag("b"), "a and not b"),
     (flag("a") | flag("b"), "a or b"),
     (ALWAYS, "always"), (NEVER, "never")],
)
def test_conditions_in_words(when: When, words: str) -> None:
    assert str(when) == words


def test_what_is_known_is_left_out_of_the_words() -> None:
    a, b = flag("a"), flag("b")
    assert str((a & ~b).said(~b)) == "a"
    assert a.given(a & b) == ALWAYS and a.given(~a) == NEVER and a.given(b) == a


# ------------------------------------------------------------------------------------------------ graphs


def test_each_kind_of_call_has_a_graph_of_its_own() -> None:
    assert kinds("if training:\n    relu\nelse:\n    tanh") == {"": ["tanh"], "training": ["relu"]}
    assert kinds("if mask:\n    x * mask", MASKED) == {"": [], "mask": ["mul"]}
    assert kinds("if mask and not training:\n    x * mask", MASKED) == {
        "": [], "mask": ["mul"], "training": [], "training mask": [],
    }
    assert kinds("relu", MASKED) == {"": ["relu"]}


def test_elif_goes_on_where_the_first_did_not() -> None:
    assert kinds("if training:\n    relu\nelif mask:\n    tanh\nelse:\n    sigmoid", MASKED) == {
        "": ["sigmoid"], "mask": ["tanh"], "training": ["relu"], "training mask": ["relu"],
    }


def test_what_parameters_decide_is_decided() -> None:
    body = "if deep and training:\n    relu"
    assert built(network(body, VECTOR, params="deep=False"), "N").cases == ()
    assert len(built(network(body, VECTOR, params="deep=True"), "N").cases) == 2


def test_an_if_inside_a_side_knows_what_led_there() -> None:
    assert kinds("if training:\n    if training:\n        relu\n    else:\n        tanh\nelse:\n    sigmoid") == {
        "": ["sigmoid"], "training": ["relu"],
    }


def test_a_side_without_else_leaves_the_flow() -> None:
    assert kinds("relu\nif training:\n    dropout(0.5)\ntanh") == {
        "": ["relu", "tanh"], "training": ["relu", "dropout", "tanh"],
    }


def test_keys_never_depend_on_a_call() -> None:
    body = "if training:\n    a = linear(8)\nelse:\n    b = linear(8)\nc = linear(8)"
    assert keys(body, VECTOR)[::2] == ["a.weight", "b.weight", "c.weight"]
    for _, one in built(network(body, VECTOR), "N").cases:
        assert list(one.parameters)[::2] == ["a.weight", "b.weight", "c.weight"]


def test_names_of_both_sides_are_joined_and_those_of_one_are_there_in_it() -> None:
    body = "if training:\n    a = relu\n    k = 3\nelse:\n    a = tanh\n    k = 3\ny = a * k"
    assert kinds(body) == {"": ["tanh", "mul"], "training": ["relu", "mul"]}
    body = "if training:\n    a = relu\ny = x * 2\nif training:\n    y + a"
    assert kinds(body) == {"": ["mul"], "training": ["relu", "mul", "add"]}
    wrong("if training:\n    a = relu\nx + a", VECTOR, code="A143", words="`a` is there only when `training`")


def test_names_that_do_not_meet_are_wrong_only_where_they_are_read() -> None:
    sides = "if training:\n    t = x -> take(0)\n    p = 0.5\n    x\nelse:\n    t = x * 2\n    p = 0.1\n    x\n"
    assert kinds(sides + "x -> relu", TOKENS)[""] == ["relu"]
    wrong(sides + "t -> relu", TOKENS, code="A144", words="`t` is `B 8` while training, and `B N 8` otherwise")
    wrong(sides + "x -> dropout(p)", TOKENS, code="A143", words="`p` is `0.5` while training, and `0.1` otherwise")


def test_sizes_that_differ_become_one_new_size() -> None:
    body = "if training:\n    x -> take(0, count=3)\nelse:\n    x\nfc = linear(4)\nreturn _, x"
    found = built(network(body, TOKENS), "N")
    assert [str(one.tensor(one.outputs[0][1])) for _, one in found.cases] == ["B N 4", "B 3 4"]
    assert [[guard.text for guard in one.guards] for _, one in found.cases] == [
        [], ["`take` of `B N 8` goes up to position 2"],
    ]


def test_returns_may_differ_where_the_network_is_called() -> None:
    found = built(network("if training:\n    return a=x, b=x\nrelu", VECTOR), "N")
    assert [[name for name, _ in one.returns] for _, one in found.cases] == [[""], ["a", "b"]]
    found = built(network("if training:\n    return x, x\nelse:\n    return x", VECTOR), "N")
    assert [len(one.returns) for _, one in found.cases] == [1, 2]


def test_nothing_is_said_of_lines_behind_a_side_that_returned() -> None:
    body = "if training:\n    return x\ny = linear(4)\nif training:\n    z = linear(2)\n    z"
    assert keys(body, VECTOR) == ["y.weight", "y.bias"]


# ------------------------------------------------------------------------------------------------ expressions


def test_a_choice_in_an_expression() -> None:
    assert kinds("y = x * 2 if training else x + 1") == {"": ["add"], "training": ["mul"]}
    assert kinds("y = x * 2 if mask else x", MASKED) == {"": [], "mask": ["mul"]}


def test_an_input_or_another() -> None:
    assert kinds("y = mask or x\ny * 2", MASKED) == {"": ["mul"], "mask": ["mul"]}
    head = "input x: B 8, a?: B 8, b?: B 8"
    assert len(kinds("y = a or b or x\ny * 2", head)) == 4
    wrong("y = mask or 3\nx + y", MASKED, code="A143", words="takes a tensor; here is `3`")


def test_blocks_are_given_what_a_call_may_have() -> None:
    above = "block A:\n    input x: B C, by?: B C\n    if by:\n        x * by\n    else:\n        x + 1"
    assert kinds("x, mask -> A", MASKED, above) == {"": ["add"], "mask": ["mul"]}
    assert kinds("x, x -> A", MASKED, above) == {"": ["mul"]}
    assert kinds("x -> A", MASKED, above) == {"": ["add"]}
    wrong("x, x, x -> A", VECTOR, above, code="A207", words="`A` takes 1 to 2 inputs (x, by); here are 3")


@pytest.mark.parametrize(
    "use",
    ["x * mask", "-mask", "abs(mask)", "y = mask > 0", "[x, mask] -> concat", "mask -> relu", "mask[0] -> relu",
     "return mask", "repeat 2 with y = mask:\n    next y = y * 2", "repeat 2 with y = x:\n    next y = mask",
     "scan t in mask:\n    emit t"],
)
def test_an_optional_input_is_read_where_it_is_there(use: str) -> None:
    head = MASKED if "scan" not in use else "input x: B 8, mask?: B N 8"
    wrong(use, head, code="A143", words="`mask` is an input that a call may leave away")


# ------------------------------------------------------------------------------------------------ inputs


def test_an_input_under_an_if_on_parameters() -> None:
    text = "network N(masked=True):\n    input x: B 8\n    if masked:\n        input mask: B 8\n"
    text += "    if masked:\n        x * mask\n"
    assert built(text, "N").graph.inputs == ("x", "mask")
    assert built(text, "N", masked=False).graph.inputs == ("x",)
    block = "block A(n):\n    input x: B C\n    if n > 1:\n        input y: B C\n    else:\n"
    block += "        input y?: B C\n    x\n"
    assert built(network("x, x -> A(2)", VECTOR, block), "N")
    assert built(network("x -> A(1)", VECTOR, block), "N")
    wrong("x -> A(2)", VECTOR, block, code="A207")


def test_an_optional_first_input_does_not_flow() -> None:
    wrong("relu", "input x?: 1 8", code="A119")


def test_what_calls_decide_is_bounded() -> None:
    head = "input x: B 8, " + ", ".join(f"m{i}?: B 8" for i in range(5))
    four = "\n".join(f"if m{i}:\n    _ * m{i}" for i in range(4))
    assert len(kinds(four, head)) == 16
    wrong(four + "\nif training:\n    relu", head, code="A516", words="16 kinds are built at most")
    again = "\nif training:\n    relu\ny = m4 or x\nif m4:\n    relu"
    with pytest.raises(ArchError) as error:
        built(network(four + again + again.replace("y", "z"), head), "N")
    assert error.value.codes == ("A516",), "it is said once, not for each line"


def test_an_optional_input_is_handed_on() -> None:
    """A block gives its own optional input to another block's: given, left away, or as the call decides."""
    above = """
    block Inner:
        input x: B N 8, mask?: B N of bool
        x -> attend(2, mask=mask)

    block Outer:
        input x: B N 8, mask?: B N of bool
        x, mask -> Inner
    """
    text = network("y = x -> Outer\nz = x, mask -> Outer\ny + z", "input x: B N 8, mask?: B N of bool", above)
    made = built(text, "N")
    sides = {tuple(case.values()): [n.op for n in graph if n.op == "attend"] for case, graph in made.cases}
    assert sides == {(False,): ["attend"] * 2, (True,): ["attend"] * 2}
    masked = {case["mask"]: sum(len(n.inputs) for n in graph if n.op == "attend") for case, graph in made.cases}
    assert masked == {False: 2, True: 3}
