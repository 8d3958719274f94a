"""Lists of tensors: how they are made, read, cut, joined, handed to blocks and returned."""

from __future__ import annotations

import pytest
from building import flow, graph, shapes, wrong

VECTOR = "input x: B 8"
JOIN = """
    block Join:
        input xs: [B C]
        xs -> concat
"""
BLOCKS = "repeat 3 as b[i]:\n    y = linear(4 + i)\n    relu\n    x\n"


def vector(body: str, above: str = "", params: str = "") -> list[str]:
    return flow(body, VECTOR, above, params)[-1:]


def read(what: str, body: str = "") -> list[str]:
    """The nodes that a list is made of."""
    return flow(f"{body}{what} -> concat", VECTOR)[-2:-1]


@pytest.mark.parametrize(
    ("what", "nodes"),
    [
        ("[x, a]", "x, a"), ("[x, a] + [a]", "x, a, a"), ("reversed([x, a])", "a, x"), ("[x, a, x][1:]", "a, x"),
        ("[x, a, x][:2]", "x, a"), ("[x, a, x][-2:]", "a, x"), ("[x, [a, x]]", "x, a, x"),
        ("[[x, a], [x, x]][0]", "x, a"),
        ("pair", "x, a"), ("pair[1:] + pair[:1]", "a, x"),
    ],
)
def test_lists_are_their_tensors(what: str, nodes: str) -> None:
    [made] = read(what, "a = tanh\npair = [x, a]\nx\n")
    assert made.startswith(f"concat = {nodes} -> concat")


def test_lists_of_iterations() -> None:
    made = flow(BLOCKS + "b[:].y -> concat", VECTOR)[-2]
    assert made == "concat = b.0.y, b.1.y, b.2.y -> concat : B 15"
    assert flow(BLOCKS + "b[1:].y -> concat", VECTOR)[-2].startswith("concat = b.1.y, b.2.y ->")
    assert flow(BLOCKS + "b[-1].y -> relu", VECTOR)[-2].startswith("relu")
    assert shapes(BLOCKS + "b[:] -> concat", VECTOR) == ["B 24"]


def test_lengths_are_numbers() -> None:
    assert shapes("both = [x, x]\ny = linear(len(both) * 3)", VECTOR) == ["B 6"]
    assert shapes("both = [x, x] + [x]\nrepeat len(both) as c[i]:\n    - linear(i + 1)", VECTOR) == ["B 3"]


def test_repeats_over_a_list() -> None:
    body = "a = linear(4)\nrepeat [x, a] as heads[m]:\n    - m -> linear(2)\nheads[:] -> stack"
    found = graph(body, VECTOR)
    assert [k for k in found.parameters if k.endswith("weight")] == ["a.weight", "heads.0.0.weight", "heads.1.0.weight"]
    assert [p.weight.shape for k, p in found.parameters.items() if k.startswith("heads") and k.endswith("weight")] == [
        (2, 8), (2, 4),
    ]
    assert str(found.tensor(found.outputs[0][1])) == "B 2 2"


def test_a_block_takes_a_list() -> None:
    assert shapes("a = linear(4)\n[x, a] -> Join", VECTOR, JOIN) == ["B 12"]
    assert shapes(BLOCKS + "b[:].y -> Join", VECTOR, JOIN) == ["B 15"]


def test_a_letter_of_one_size_in_all_is_known_below() -> None:
    above = """
        block Sum(width):
            input maps: [B C h w]
            fc = maps[0] -> conv({})
    """
    assert shapes("a = relu\ny = [x, a] -> Sum(4)", above=above.format("C // 2")) == ["B 4 H W"]
    wrong("a = conv(4)\ny = [x, a] -> Sum(4)", above=above.format("C // 2"), code="A101",
          words="nothing here is called `C`")


def test_the_annotation_holds_for_each_item() -> None:
    wrong("a = global_pool\n[x, a] -> Join", above=JOIN.replace("[B C]", "[B C h w]"), code="A213",
          words="`xs` is given `B 8`, and takes `B C h w`")


def test_a_list_beside_other_inputs() -> None:
    above = """
        block Look:
            input q: B C, ks: [B C], by: B C
            q + by * ks[1]
    """
    assert vector("a = tanh\nx, [x, a], a -> Look", above) == ["return Look.add"]


def test_lists_as_results() -> None:
    found = graph("a = tanh\nreturn maps=[x, a], last=a", VECTOR)
    assert [name for name, _ in found.returns] == ["maps", "last"]
    assert [len(value) if isinstance(value, tuple) else 1 for _, value in found.returns] == [2, 1]
    above = """
        block Two:
            input x: B C
            a = tanh
            return maps=[x, a], last=a
    """
    assert flow("t = Two\nt.maps + [t.last] -> concat", VECTOR, above)[-2] == "concat = x, t.a, t.a -> concat : B 24"
    made = flow("maps, last = Two\nmaps[1:] + [last] -> concat", VECTOR, above)[-2]
    assert made == "concat = Two.a, Two.a -> concat : B 16"


def test_a_line_whose_value_is_a_list() -> None:
    above = """
        block Two:
            input x: B C
            a = tanh
            return [x, a]
    """
    uses = ("t[1] -> relu", "t[1:] -> stack", "t + [x] -> stack", "repeat t as m:\n    m * 2", "reversed(t)[0] -> relu")
    for what in uses:
        assert flow(f"t = Two\n{what}", VECTOR, above)
    assert shapes("t = Two\ny = x -> linear(len(t))", VECTOR, above) == ["B 2"]


def test_a_list_of_one_is_joined_to_itself() -> None:
    """As in a DenseNet, whose first layer joins what is only one yet (Huang et al. 2017)."""
    body = "repeat 3 as layers[i] with seen = [x]:\n    seen -> concat\n    fc = linear(4)\n    next seen = seen + [fc]"
    assert [p.weight.shape for k, p in graph(body, VECTOR).parameters.items() if k.endswith("weight")] == [
        (4, 8), (4, 12), (4, 16),
    ]


def test_source_ops_stand_in_lists_and_sums() -> None:
    assert flow("both = [x, zeros(8)]\nboth[0] + both[1]", VECTOR) == flow("x + zeros(8)", VECTOR)
    assert flow("x + zeros(8)", VECTOR) == [
        "zeros = zeros(dims=[8]) : 8", "add = x, zeros -> add : B 8", "return add",
    ]


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("[x, x] -> relu", "A207", "`relu` takes one tensor; here are 2 tensors"),
        ("both = [x, x]\nboth[2]", "A309", "there is no place 2 in a list of 2"),
        ("[x, 3] -> concat", "A140", "beside a tensor stands `3`"),
        ("both = [x, x]\n-both", "A309", "here is a list of 2 tensors"),
        ("both = [x, x]\nboth - x", "A140", "join them first: `both -> concat`"),
        ("both = [x, x]\nboth + x", "A140", "`[x]` is a list of one"),
        (BLOCKS + "b[:].z -> concat", "A110", "there are: i, y"),
        (BLOCKS + "repeat b as c:\n    c", "A310", "`b[:]`"),
        ("repeat [[x, x, x]] as a, c:\n    a", "A310", "2 names stand here for item 0"),
    ],
)
def test_wrong_uses(body: str, code: str, words: str) -> None:
    wrong(body, VECTOR, code=code, words=words)


def test_a_list_of_many_is_refused() -> None:
    wrong("many = [x]\nrepeat 13 with all = many:\n    next all = all + all\nall -> concat", VECTOR, code="A509",
          words="4,096")
