"""Keys: scopes, bullets, `as`, residuals, repeats in every form."""

from __future__ import annotations

import pytest
from building import built, flow, graph, keys, mistakes, network, shapes, wrong

MLP = """
    block Mlp(hidden=4):
        input x: B C H W
        fc1 = conv(hidden, 1x1, bias=False)
        relu
        fc2 = conv(C, 1x1, bias=False)
"""


def weights(body: str, **more: str) -> list[str]:
    """Keys without what comes after the last part's `weight`."""
    return [key for key in keys(body, **more) if key.endswith("weight")]


# ---------------------------------------------------------------------------------------------- names and scopes
def test_a_key_is_scopes_and_the_weight() -> None:
    assert keys("stem:\n    conv1 = conv(8)\n    inner:\n        bn = batchnorm(affine=False)") == [
        "stem.conv1.weight", "stem.conv1.bias", "stem.inner.bn.running_mean", "stem.inner.bn.running_var",
        "stem.inner.bn.num_batches_tracked",
    ]


@pytest.mark.parametrize("word", ["block", "network", "pattern"])
def test_words_of_headers_are_names_in_a_body(word: str) -> None:
    """`block` is a published key; behind a body it reads as above it."""
    body = f"{word} = conv(8)\nstem:\n    relu\nother:\n    {word}:\n        a = conv(8)\n    relu\n{word} + other"
    assert weights(body) == [f"{word}.weight", f"other.{word}.a.weight"]
    assert weights(f"stem:\n    relu\n{word}:\n    a = conv(8)\nlast:\n    relu\n{word} + last") == [f"{word}.a.weight"]


def test_a_block_call_is_a_prefix() -> None:
    assert keys("mlp = Mlp\nother = Mlp(2)", above=MLP) == [
        "mlp.fc1.weight", "mlp.fc2.weight", "other.fc1.weight", "other.fc2.weight"
    ]


def test_a_bare_parameter_is_its_name() -> None:
    assert keys("t = learned(1, 8, 1, 1)\nx + t") == ["t"]


def test_a_weighted_op_needs_a_name() -> None:
    wrong("conv(8)", code="A104", words="`name = conv(8)`")
    wrong("s:\n    conv(8)", code="A104")
    wrong("repeat 2:\n    conv(8)", code="A104")
    wrong("Mlp", above=MLP, code="A104", words="`Mlp` has weights and needs a name")
    wrong("a, b = Mlp", above=MLP, code="A104", words="`Mlp as \"name\"`")


def test_several_names_are_no_key() -> None:
    two = """
    block Two:
        input x: B C H W
        c = conv(C)
        return c, x
    """
    wrong("a, b = Two", above=two, code="A104")
    assert keys('a, b = Two as "t"', above=two) == ["t.c.weight", "t.c.bias"]
    assert keys("repeat 1 as t[i]:\n    a, b = Two", above=two) == ["t.0.c.weight", "t.0.c.bias"]


def test_residual_gate_append_and_if_add_nothing() -> None:
    body = "residual:\n    a = conv(8)\ngate:\n    b = conv(8)\nappend:\n    c = conv(4)\nif 1 < 2:\n    d = conv(8)"
    assert weights(body) == ["a.weight", "b.weight", "c.weight", "d.weight"]


def test_what_containers_join() -> None:
    assert flow("residual:\n    relu")[1] == "add = x, relu -> add : B 8 H W"
    assert flow("gate:\n    relu")[1] == "mul = x, relu -> mul : B 8 H W"
    assert flow("append:\n    relu")[1] == "concat = x, relu -> concat : B 16 H W"


def test_residual_with_rates() -> None:
    assert flow("residual(drop_path=0.1, drop=0.5):\n    relu")[1:4] == [
        "dropout = relu -> dropout(p=0.5) : B 8 H W", "drop_path = dropout -> drop_path(p=0.1) : B 8 H W",
        "add = x, drop_path -> add : B 8 H W",
    ]
    assert len(flow("residual(drop_path=0.0):\n    relu")) == 3
    wrong("residual(rate=0.1):\n    relu", code="A301", words="`residual` takes `drop=` and `drop_path=`")
    wrong("gate(drop=0.1):\n    relu", code="A301", words="`gate` takes no settings")


def test_containers_with_sources_and_labels() -> None:
    lines = flow("a = relu\nsigmoid\na -> residual:\n    tanh\nmixed = residual:\n    tanh\nmixed + a")
    assert "add = a, tanh -> add : B 8 H W" in lines
    assert lines[-2] == "add_3 = add_2, a -> add : B 8 H W"


def test_containers_are_not_keyed_or_numbered() -> None:
    wrong('residual as "a":\n    relu', code="A117", words="`residual` adds no key")
    wrong("- residual:\n    relu", code="A117", words="leave the `-` away")


def test_a_scope_is_not_nearly_a_container() -> None:
    wrong("residul:\n    relu", code="A122", words="did you mean `residual:`?")
    wrong("gates:\n    relu", code="A122")
    wrong("conv(8):\n    relu", code="A122", words="a scope is a name alone")
    wrong("residul(drop=0.1):\n    relu", code="A122", words="did you mean `residual`?")


@pytest.mark.parametrize("name", ["block", "conv", "embeddings", "relu"])
def test_a_scope_may_have_the_name_of_an_op(name: str) -> None:
    assert keys(f"{name}:\n    a = conv(8, bias=False)") == [f"{name}.a.weight"]


def test_an_empty_body_is_the_identity() -> None:
    assert flow("s:\n    if 1 > 2:\n        a = conv(8)\nrelu") == ["relu = x -> relu : B 8 H W", "return relu"]
    assert flow("a = relu\nx -> s:\n    if 1 > 2:\n        relu\ns + a")[-2] == "add = x, a -> add : B 8 H W"


def test_opening_a_scope_twice() -> None:
    wrong("s:\n    relu\ns:\n    relu", code="A107", words="`s` is opened a second time")
    wrong("s = Mlp\nt:\n    relu\nu = Mlp as \"s\"", above=MLP, code="A107", words="opened here")


def test_two_weights_of_one_key() -> None:
    wrong('a = conv(8)\nb = conv(8) as "a"', code="A107", words="two weights want the key `a.weight`")
    wrong("repeat 2 as i:\n    a = conv(8)", code="A107", words="`repeat ... as blocks[i]:` gives each iteration")


def test_a_weight_is_no_prefix() -> None:
    wrong('t = learned(1, 8, 1, 1)\nx + t\nc = conv(8) as "t.b"', code="A107", words="`t` is a weight, and")


# ---------------------------------------------------------------------------------------------- bullets
def test_bullets_count_in_the_nearest_scope() -> None:
    body = """
    s:
        - conv(8, bias=False)
        - relu
        if 1 < 2:
            - conv(8, bias=False)
        repeat 2:
            - conv(8, bias=False)
        residual:
            - conv(8, bias=False)
        - dropout(0.0)
        - conv(8, bias=False)
    - conv(8, bias=False)
    """
    assert keys(body) == [
        "s.0.weight", "s.2.weight", "s.3.weight", "s.4.weight", "s.5.weight", "s.7.weight", "0.weight"
    ]


def test_a_numbered_child_with_a_body() -> None:
    assert keys("s:\n    - relu\n    - inner:\n        a = conv(8, bias=False)\n    - conv(8, bias=False)") == [
        "s.1.a.weight", "s.2.weight"
    ]


def test_a_bullet_of_a_block() -> None:
    assert weights("- Mlp\n- Mlp", above=MLP) == ["0.fc1.weight", "0.fc2.weight", "1.fc1.weight", "1.fc2.weight"]


# ---------------------------------------------------------------------------------------------- as
def test_as_is_relative_or_from_the_root() -> None:
    body = 's:\n    a = conv(8) as "x.y"\n    b = conv(8) as "/z"\n    conv(8) as "u"'
    assert weights(body) == ["s.x.y.weight", "z.weight", "s.u.weight"]


def test_as_on_a_block_a_scope_and_a_bullet() -> None:
    assert weights('m = Mlp as "enc.m"', above=MLP) == ["enc.m.fc1.weight", "enc.m.fc2.weight"]
    assert weights('s as "enc.s":\n    a = conv(8)') == ["enc.s.a.weight"]
    assert weights('s:\n    - conv(8) as "first"\n    - conv(8)') == ["s.first.weight", "s.1.weight"]


def test_as_with_numbers() -> None:
    assert weights('repeat 2 as i:\n    k = i + 1\n    a = conv(8) as "c{i}.{k}"') == ["c0.1.weight", "c1.2.weight"]
    wrong('a = conv(8) as "c{k}"', code="A112", words="`{k}` in a key is a whole number; here is nothing")
    wrong('a = conv(8) as "c{k + 1}"', params="k=1", code="A112", words="`k = s + 1` above, then `{k}`")
    wrong('a = conv(8) as "c{k}"', params="k=1.5", code="A112", words="here is `1.5`")


@pytest.mark.parametrize("key", ["a..b", "a b", "ä", ".a", "a-b"])
def test_keys_are_made_of_letters_digits_and_underscores(key: str) -> None:
    wrong(f'a = conv(8) as "{key}"', code="A112", words="is no state_dict key")


@pytest.mark.parametrize("name", ["train", "forward", "type", "float", "graph"])
def test_names_that_would_hide_a_member_of_the_module(name: str) -> None:
    wrong(f"{name} = conv(8)", code="A112", words=f"would hide `nn.Module.{name}`")
    wrong(f"{name}:\n    a = conv(8)", code="A112")


# ---------------------------------------------------------------------------------------------- repeats
def test_the_only_weighted_op_of_an_iteration_takes_its_key() -> None:
    assert weights("repeat 2 as b[i]:\n    conv(8)\n    relu") == ["b.0.weight", "b.1.weight"]
    assert weights("repeat 1 as b[i]:\n    residual:\n        Mlp", above=MLP) == ["b.0.fc1.weight", "b.0.fc2.weight"]


def test_unnamed_beside_named_in_an_iteration() -> None:
    wrong("repeat 2 as b[i]:\n    conv(8)\n    n = batchnorm", code="A106", words="this one has")
    wrong("repeat 2 as b[i]:\n    n = batchnorm\n    conv(8)", code="A106", words="`name = conv(8)`")
    wrong("repeat 2 as b[i]:\n    conv(8)\n    relu\n    conv(8)", code="A106", words="this one")
    wrong("repeat 2 as b[i]:\n    Mlp\n    s:\n        c = conv(8)", above=MLP, code="A106")


def test_repeat_by_count_and_by_list() -> None:
    assert weights("repeat [4, 8] as w:\n    c{w} = conv(w)\nc4 + 1") == ["c4.weight"]
    assert weights("repeat [[4, 1], [8, 3]] as w, k:\n    c{w} = conv(w, k)") == ["c4.weight", "c8.weight"]
    assert shapes("repeat [4, 16] as b[w]:\n    conv(w)") == ["B 16 H W"]
    assert weights("repeat len(ws) as b[i]:\n    conv(ws[i])", params="ws=[4, 8]") == ["b.0.weight", "b.1.weight"]


def test_repeat_zero_times_is_the_identity() -> None:
    assert flow("repeat 0 as b[i]:\n    conv(8)\nb -> relu") == ["relu = x -> relu : B 8 H W", "return relu"]
    wrong("repeat 0 as b[i]:\n    relu\nb[0] -> relu", code="A309", words="`b` repeats 0 times")


def test_made_names_and_enclosing_indices() -> None:
    body = "repeat 2 as s:\n    repeat 2 as layer{s + 1}[j]:\n        conv(8)\nlayer2 + layer1[1]"
    assert weights(body) == ["layer1.0.weight", "layer1.1.weight", "layer2.0.weight", "layer2.1.weight"]
    body = "repeat 2 as s:\n    repeat 2 as b[s][j]:\n        c = conv(8)\nb[0][1].c + b[-1][-1].c"
    found = graph(body)
    assert list(found.nodes)[1:5] == ["b.0.0.c", "b.0.1.c", "b.1.0.c", "b.1.1.c"]
    assert str(found).split("\n")[-2].strip() == "add = b.0.1.c, b.1.1.c -> add : B 8 H W"


def test_an_index_that_is_none() -> None:
    wrong("repeat 2 as b[s][j]:\n    relu", code="A310", words="`s` is no index of a repeat around this one")
    wrong("repeat 2 as a, b:\n    relu", code="A310", words="a list of lists binds several names")
    wrong("repeat [[1, 2], 3] as a, b:\n    relu", code="A310", words="2 names stand here for item 1, which is `3`")


def test_counts_that_are_none() -> None:
    wrong("repeat 1.5:\n    relu", code="A310", words="here is `1.5`")
    wrong("repeat 0 - 1:\n    relu", code="A310")
    wrong("repeat x:\n    relu", code="A310", words="the tensor")
    wrong("repeat H:\n    relu", code="A310", words="the free size `H`")
    assert flow("repeat 4 / 2:\n    relu")[-1] == "return relu_2"


def test_repeats_from_sources() -> None:
    body = "a = relu\nsigmoid\na -> repeat 2 as t[i]:\n    conv(8, bias=False)\nt + a"
    assert flow(body)[1:3] == ["t.0.conv = a -> conv(out=8, bias=False) : B 8 H W",
                               "t.1.conv = t.0.conv -> conv(out=8, bias=False) : B 8 H W"]


def test_reading_iterations() -> None:
    body = "repeat 3 as b[i]:\n    y = conv(8)\n    relu\n"
    assert flow(body + "b[0] + b")[-2] == "add = b.0.relu, b.2.relu -> add : B 8 H W"
    assert flow(body + "b[-2].y + b.y")[-2] == "add = b.1.y, b.2.y -> add : B 8 H W"
    wrong(body + "b[3] -> relu", code="A309", words="there are `b[0]` to `b[2]`")
    assert shapes(body + "b[:] -> concat") == ["B 24 H W"]


def test_elements_of_a_list() -> None:
    body = "repeat 2 as s:\n    x -> conv(4 + s, bias=False)\n    p[s] = x -> conv(8, bias=False)\np[0] + p[1]"
    wrong(body, code="A104")
    body = "repeat 2 as s:\n    p[s] = x -> conv(8, bias=False)\np[0] + p[1]"
    assert weights(body) == ["p.0.weight", "p.1.weight"]
    assert flow(body)[-2] == "add = p.0, p.1 -> add : B 8 H W"
    wrong("p = relu\np[0] = relu", code="A103", words="is no list of elements")
    wrong("p[0] = relu\np[0] = relu", code="A103", words="`p[0]` stands here already")
    wrong("p[0] = relu\nx -> relu\np -> relu", code="A207", words="all as a list, `p[:]`")


def test_schedules() -> None:
    found = graph("repeat n as b[i]:\n    drop_path(0.1 * i / (n - 1))", params="n=3")
    assert [node.primitive.settings()["p"] for node in found if node.op == "drop_path"] == [0.05, 0.1]
    assert len(flow("repeat n as b[i]:\n    drop_path(0.1 * i / (n - 1))", params="n=1")) == 1


# ---------------------------------------------------------------------------------------------- results, regions
def test_key_paths_stand_for_results() -> None:
    found = graph("stem:\n    a = conv(8)\n    relu\nrepeat 2 as b[i]:\n    Mlp\nhead = conv(8)", above=MLP)
    results = {path: edge.node for path, edge in found.results.items()}
    assert results["stem"] == "stem.relu"
    assert results["b"] == results["b.1"] == "b.1.fc2"
    assert results["stem.a"] == "stem.a" and results["head"] == "head"


def test_regions_hold_the_outline() -> None:
    found = graph("stem:\n    relu\nrepeat 2 as b[i]:\n    residual:\n        Mlp", above=MLP)
    assert [(r.kind, r.name, r.title) for r in found.regions] == [
        ("network", "", "N"), ("scope", "stem", "stem"), ("repeat", "b", ""), ("iteration", "0", ""),
        ("residual", "", "residual"), ("block", "", "Mlp"), ("iteration", "1", ""), ("residual", "", "residual"),
        ("block", "", "Mlp"),
    ]
    assert [r.kind for r in found.region_chain(found.nodes["b.0.fc1"])] == [
        "network", "repeat", "iteration", "residual", "block"
    ]


# ---------------------------------------------------------------------------------------------- dead nodes
def test_what_no_result_needs_is_dropped_and_listed() -> None:
    found = built(network("a = conv(8)\nx -> relu"))
    assert list(found.graph.nodes) == ["x", "relu"] and [n.id for n in found.dropped] == ["a"]
    assert not found.graph.parameters


def test_the_owner_of_a_tied_weight_stays() -> None:
    found = built(network("a = linear(8, bias=False)\nx -> linear(8, bias=False, weight=a.weight)", "input x: B 8"))
    assert list(found.graph.parameters) == ["a.weight"] and not found.dropped


def test_mistakes_in_what_is_dropped_are_reported_all_the_same() -> None:
    assert [d.code for d in mistakes(network("a = conv(0)\nx -> relu"))] == ["A302"]
