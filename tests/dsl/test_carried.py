"""Carried values: what `with` and `next` build."""

from __future__ import annotations

import pytest
from building import flow, keys, shapes, wrong

VECTOR = "input x: B 8"
TOKENS = "input x: B N 8"


def test_the_value_of_the_time_before() -> None:
    assert flow("repeat 2 with y = x:\n    next y = y * 2\n    tanh", VECTOR) == [
        "mul = x -> mul(number=2) : B 8", "mul_2 = mul -> mul(number=2) : B 8", "return mul_2",
    ]


def test_next_does_not_move_the_flow_and_is_no_value_yet() -> None:
    lines = flow("repeat 1 with y = x:\n    a = tanh\n    next y = a\n    z = y + _\nz", VECTOR)
    assert lines[1] == "add = x, a -> add : B 8"


def test_behind_the_loop_the_names_hold_the_last_values_and_the_first_is_the_flow() -> None:
    body = "repeat 2 with a = x, b = x:\n    next b = a * 3\n    next a = b + 1\nrelu\nb - _"
    assert flow(body, VECTOR)[-3:] == [
        "relu = add_2 -> relu : B 8", "sub = mul_2, relu -> sub : B 8", "return sub",
    ]


def test_of_no_iteration_the_start_stays() -> None:
    assert flow("repeat 0 with y = x:\n    next y = y * 2\ny", VECTOR) == ["return x"]


def test_keys_and_indices() -> None:
    body = "repeat 2 as blocks[i] with y = x, n = 1:\n    fc = y -> linear(8)\n    next y = fc * n\n    next n = n + 2"
    assert keys(body, VECTOR)[::2] == ["blocks.0.fc.weight", "blocks.1.fc.weight"]
    assert flow(body, VECTOR)[3] == "blocks.1.mul = blocks.1.fc -> mul(number=3) : B 8"
    assert flow("repeat [2, 3] as k with y = x:\n    next y = y * k", VECTOR)[:2] == [
        "mul = x -> mul(number=2) : B 8", "mul_2 = mul -> mul(number=3) : B 8",
    ]


def test_sizes_may_change_and_axes_may_not() -> None:
    body = "repeat 3 as i with y = x:\n    a{i} = y -> conv(8, 3x3, stride=2)\n    next y = a{i}"
    assert shapes(body, "input x: B 8 H=64 W=64") == ["B 8 8 8"]
    wrong("repeat 2 with y = x:\n    a = y -> global_pool\n    next y = a", code="A142",
          words="next would be the tensor")


def test_lists_may_grow_in_a_repeat() -> None:
    assert shapes("repeat 3 with all = [x]:\n    next all = all + [x]\nall -> stack", VECTOR) == ["B 4 8"]


def test_loops_in_loops() -> None:
    body = "repeat 2 with y = x:\n    repeat 2 with z = y:\n        next z = z * 2\n    next y = z + 1\ny"
    assert flow(body, VECTOR)[:-1] == [
        "mul = x -> mul(number=2) : B 8", "mul_2 = mul -> mul(number=2) : B 8", "add = mul_2 -> add(number=1) : B 8",
        "mul_3 = add -> mul(number=2) : B 8", "mul_4 = mul_3 -> mul(number=2) : B 8",
        "add_2 = mul_4 -> add(number=1) : B 8",
    ]


def test_a_later_loop_carries_on() -> None:
    body = "repeat 1 with y = x:\n    next y = y * 2\nrepeat 1 with y = y:\n    next y = y * 3\ny"
    assert flow(body, VECTOR)[:2] == ["mul = x -> mul(number=2) : B 8", "mul_2 = mul -> mul(number=3) : B 8"]
    wrong("y = relu\nrepeat 1 with y = x:\n    next y = y * 2", VECTOR, code="A103", words="the node")


@pytest.mark.parametrize("header", ["residual:", "if True:", "stage:"])
def test_next_in_a_container_of_the_body(header: str) -> None:
    body = f"repeat 1 with y = x:\n    {header}\n        a = tanh\n        next y = a\ny -> relu"
    assert "a -> relu" in flow(body, VECTOR)[-2]


def test_next_belongs_to_the_nearest_loop() -> None:
    wrong("repeat 2 with y = x:\n    repeat 2 with z = x:\n        next z = z + 1\n        next y = z", VECTOR,
          code="A141", words="carries no `y`")


def test_one_mistake_in_the_body_is_one() -> None:
    wrong("repeat 3 with y = x:\n    next y = y + undefined", VECTOR, code="A101")
    wrong("repeat 3 with y = x:\n    a = linear(7, wrong=1)\n    next y = a", VECTOR, code="A301")
    wrong("repeat 3 with state = x:\n    next stat = x", VECTOR, code="A141", words="did you mean `state`?")


def test_in_a_block_there_is_no_loop_of_the_caller() -> None:
    above = "block A:\n    input x: B C\n    next y = x\n    x"
    wrong("repeat 2 with y = x:\n    A\n    next y = _", VECTOR, above, code="A141", words="outside a loop")


def test_tokens_keep_what_they_remember() -> None:
    body = "t = learned(1, 1, 8)\nt, x -> concat\nrepeat 2 with y = _:\n    next y = y + 1\ny -> take(t)"
    assert shapes(body, TOKENS) == ["B 8"]
