"""The kernels, interpreted, against the float64 reference: patterns, biases, widths, grids, types, masks, causal."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from kernel_cases import FACTORS, Case, answers, covering, everything, meant, quickly, torchs

CASES = covering()


def test_every_two_values_meet() -> None:
    assert len(CASES) <= 120
    for a, b in combinations(FACTORS, 2):
        met = {(getattr(case, a), getattr(case, b)) for case in CASES}
        assert len(met) == len(FACTORS[a]) * len(FACTORS[b])


@pytest.mark.parametrize("case", quickly([case for i, case in enumerate(CASES) if i % 5], 5), ids=str)
def test_answers(case: Case) -> None:
    assert _wrong(case, backward=False) == {}


@pytest.mark.parametrize("case", quickly(CASES[::5], 4), ids=str)
def test_answers_and_gradients(case: Case) -> None:
    assert _wrong(case) == {}


@pytest.mark.long
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("start", range(0, 3456, 16))
def test_answers_and_gradients_of_all(start: int) -> None:
    found = {str(case): _wrong(case) for case in list(everything())[start : start + 16]}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_all_are_in_the_long_test() -> None:
    assert sum(1 for _ in everything()) == 3456


@pytest.mark.parametrize("way", ["parts", "list"])
@pytest.mark.parametrize("over", [x if i % 3 == 2 else pytest.param(x, marks=pytest.mark.long)
                                  for i, x in enumerate(FACTORS["over"])])
def test_both_ways_through_a_set(over: str, way: str) -> None:
    case = Case(over, "swin", 24, (6, 9, 1), torch.float32, values=16)
    assert _wrong(case, way) == {}


@pytest.mark.parametrize(("over", "bias", "dtype"), [
    ("window(8, shift=4) | prefix", "swin", torch.float16),
    pytest.param("dense", "swin", torch.float32, marks=pytest.mark.long),
    pytest.param("causal", "t5", torch.float16, marks=pytest.mark.long),
])
def test_a_long_one(over: str, bias: str, dtype: torch.dtype) -> None:
    assert _wrong(Case(over, bias, 64, (24, 24, 1), dtype), backward=False) == {}


@pytest.mark.parametrize("case", [
    Case("window(3)", "decomposed", 20, (6, 9, 0), torch.float32, "float", batch=3),
    Case("sliding(5)", "tf", 20, (6, 9, 0), torch.float32, "bool", batch=3),
    Case("dense", "alibi", 20, (7, 7, 1), torch.float32, "keys", batch=3, values=40),
    Case("window(7, shift=3)", "swin", 20, (14, 14, 0), torch.float32),
    pytest.param(Case("window(7, shift=3) | prefix", "swin", 20, (21, 28, 1), torch.float16, "keys"),
                 marks=pytest.mark.long),
], ids=str)
def test_sums_over_samples(case: Case) -> None:
    assert _wrong(case) == {}


def _wrong(case: Case, way: str = "cheapest", backward: bool = True) -> dict[str, str]:
    return answers(case, way, backward).wrong(meant(case), torchs(case))
