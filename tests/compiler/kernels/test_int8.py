"""The INT8 kernels, interpreted, against the float64 reference: bounds, faults that break them, flags, sums."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import kernel_cases
import pytest
import torch
from kernel_cases import FACTORS, Case, answers, covering, meant, quickly
from planted_kernels import planted
from torch import Tensor

from ogive.compiler.int8 import BOUNDS, LEVELS, WIDEST
from ogive.compiler.kernels import launch
from ogive.compiler.kernels.attention import Walked
from ogive.compiler.lower.attention_int8 import by_levels, rounded
from ogive.compiler.lower.attention_masks import PatternMask
from ogive.compiler.lower.attention_spelling import spelled
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.pattern_text import pattern_of

FORMS = ["int8", "int8-token", pytest.param("int8-fp8", marks=pytest.mark.long)]
"""Where the interpreter takes long."""

INT8: dict[str, tuple[Any, ...]] = {
    "over": ("dense", "window(4, shift=2) | prefix", "sliding(5)", 'axial("row") | axial("col")',
             "random(2, of=4) | self", "per_head([window(4), sliding(3)])"),
    "bias": ("none", "swin", "alibi", "decomposed", "t5"),
    "width": (16, 32, 64, 72, 80, 128),
    "grid": ((7, 7, 0), (6, 9, 2), (9, 11, 1)),
    "mask": ("none", "keys", "bool", "float"),
    "causal": (False, True),
    "precision": ("int8", "int8-token", "int8-fp8"),
    "spread": (0.1, 0.5, 1.0, 2.0),
}
CASES = covering(1, INT8, dtype=torch.float16, offset=3.0)


@pytest.mark.parametrize("case", quickly(CASES, 8), ids=str)
def test_answers(case: Case) -> None:
    assert _near(case)


@pytest.mark.parametrize("precision", FORMS)
def test_a_long_one(precision: str) -> None:
    assert _near(Case("dense", "none", 64, (24, 24, 1), torch.float16, precision=precision, offset=3.0))


@pytest.mark.parametrize("spread", [0.1, 2.0, *(pytest.param(x, marks=pytest.mark.long) for x in (0.5, 1.0))])
@pytest.mark.parametrize("precision", FORMS)
def test_a_bias_costs_little(precision: str, spread: float) -> None:
    case = Case("window(4)", "swin", 32, (8, 8, 0), torch.float16, precision=precision, offset=3.0, spread=spread)
    assert _error(case) <= 1.5 * _error(replace(case, bias="none"))


@pytest.mark.long
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("start", range(0, 2000, 40))
def test_generated(start: int) -> None:
    factors, found = {**FACTORS, **INT8, "over": FACTORS["over"], "bias": FACTORS["bias"]}, {}
    for number in range(start, start + 40):
        random = Random(number)
        drawn = {name: random.choice(values) for name, values in factors.items()}
        case = Case(**{**drawn, "dtype": torch.float16}, offset=3.0)
        if not _near(case):
            found[str(case)] = _error(case)
    assert found == {}


def _near(case: Case) -> bool:
    """Whether the kernels are as near to the reference as the contract says."""
    found, wanted, bound = answers(case, backward=False), meant(case), BOUNDS[case.precision]
    cosine = torch.nn.functional.cosine_similarity(found.out.double().flatten(), wanted.out.flatten(), 0)
    return found.errors(wanted)["out"] <= bound.l2 and float(cosine) >= bound.cosine


def _error(case: Case) -> float:
    return answers(case, backward=False).errors(meant(case))["out"]


# --------------------------------------------------------------------------------------------------------------- faults


LEVEL, BACK = "level = tl.floor(p * 255.0 + 0.5)", "acc1 = _summed_back(acc1 * fade[:, None], code, w1, share, BLOCK_N)"
READ = "x = _read(k + wide * k_b + head * k_h, at, k_n, there, 0, D0, D) - mean[None, :]"
FAULTS: dict[str, tuple[str, list[tuple[str, str, str]]]] = {
    "a bias that is not times log2 e": ("int8", [
        ("tiles.py", "s = s * scale\n", "s = s * scale * LOG2E\n"), ("tiles.py", "    s = s * LOG2E\n", "")]),
    "weights of 255 levels behind the sum": ("int8-token", [
        ("int8_forward.py", LEVEL, "level = tl.floor(p / tl.maximum(tl.sum(p, 1), 1e-30)[:, None] * 255.0 + 0.5)"),
        ("int8_forward.py", "tl.sum(level, 1) * share", "tl.sum(p, 1) * share * 255.0"),
        ("int8_forward.py", BACK, "acc1 = acc1 * fade[:, None] + tl.sum(p, 1)[:, None] * "
                                  "_summed_back(acc1 * 0.0, code, w1, share, BLOCK_N)")]),
    "no zero point": ("int8-token", [
        ("int8_forward.py", "(found + 128.0 * whole[None, :])", "found")]),
    "sums of FP8 that do not fade": ("int8-fp8", [
        ("int8_forward.py", "acc1 = acc1 * fade[:, None] + _product_fp8", "acc1 = acc1 + _product_fp8")]),
    "values in FP8 without their scales": ("int8-fp8", [
        ("int8_forward.py", "acc1 *= tl.load(channels + tl.arange(0, E1))[None, :]", "acc1 *= 1.0 / 448.0")]),
    "keys that are not smoothed": ("int8", [
        ("int8_quantise.py", READ, READ.removesuffix(" - mean[None, :]"))]),
    "a mean for each tile": ("int8", [
        ("int8_quantise.py", READ, f"{READ.removesuffix(' - mean[None, :]')}\n"
                                   "            x = x - (tl.sum(x, 0) / tl.sum(there.to(tl.float32), 0))[None, :]")]),
    "a key behind the last in the sum": ("int8", [
        ("int8_forward.py", "total = total * fade + tl.sum(p, 1)\n",
         "total = total * fade + tl.sum(p, 1) + tl.sum(tl.where(columns < nk, 0.0, 1.0), 0)\n")]),
    "no mean in the log-sum-exp": ("int8", [
        ("int8_forward.py", "top += tl.load(shift", "top += 0.0 * tl.load(shift")]),
}


@pytest.mark.parametrize("fault", ["none", *FAULTS])
def test_faults_are_seen(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    precision, words = FAULTS.get(fault, ("int8", []))
    package = planted(tmp_path, f"planted_{[*FAULTS, 'none'].index(fault)}", words)
    own = {name: function for file in (package.int8_forward, package.int8_quantise)
           for name, function in vars(file).items() if name.startswith("attention_int8")}
    real = launch._function
    monkeypatch.setattr(launch, "_function", lambda kernel: own.get(kernel) or real(kernel))
    case = Case("dense", "swin", 32, (9, 10, 0), torch.float16, precision=precision, offset=6.0)
    wrong = _error(case) > BOUNDS[precision].l2
    if fault == "no mean in the log-sum-exp":
        wrong = _apart_in_sums(case) > 1e-2
    assert wrong == (fault != "none")


def _apart_in_sums(case: Case) -> float:
    """How far the log-sum-exps of an attention of all pairs without a bias are from those in float64."""
    q, k, v = (kernel_cases._data(case)[name].to(case.dtype) for name in "qkv")
    _, lse, _ = _called(pattern_of("dense"), case, q, k, v)
    wanted = (q.double() @ k.double().transpose(-1, -2) * case.width**-0.5).logsumexp(-1)
    return float((lse - wanted).abs().max())


def _called(over: Any, case: Case, q: Tensor, k: Tensor, v: Tensor, reach: Any = WIDEST) -> tuple[Tensor, ...]:
    walked = Walked(over, tuple(range(q.shape[1])), None)
    found = walked._walk(q, k, v, *case.ends)
    assert not isinstance(found, str)
    told = (q, k, v, None, None, found[1], found[0], q.shape[3] ** -0.5, case.precision, *reach)
    return torch.ops.ogive.attention_int8(*told)  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------------ means, sums and flags


@pytest.mark.parametrize("over", ["dense", "window(3) | prefix", 'axial("row") | axial("col")'])
def test_log_sum_exps_are_those_of_the_scores(over: str) -> None:
    case = Case(over, "none", 32, (6, 9, 1), torch.float16, precision="int8", offset=3.0)
    q, k, v = (kernel_cases._data(case)[name].half() for name in "qkv")
    _, lse, _ = _called(case.pattern, case, q, k, v)
    seen = PatternMask(spelled(case.pattern, case.space, 2))(q, *case.ends)
    scores = (q.double() @ k.double().transpose(-1, -2) * 32**-0.5).masked_fill(~seen, -math.inf)
    torch.testing.assert_close(lse.double(), scores.logsumexp(-1), rtol=0, atol=3e-2)  # -inf where nothing is seen


@pytest.mark.parametrize("over", ["dense", "sliding(5)", 'axial("row") | axial("col")'])
def test_what_all_keys_share_changes_nothing(over: str) -> None:
    """A vector added to every key: answers stay, log-sum-exps gain its product with the query."""
    case = Case(over, "none", 32, (6, 9, 0), torch.float32, precision="int8")
    q, k, v = (kernel_cases._data(case)[name].float() for name in "qkv")
    shared = torch.arange(32.0) - 16
    out, lse, _ = _called(case.pattern, case, q, k, v)
    other, more, _ = _called(case.pattern, case, q, k + shared, v)
    assert float((other - out).norm() / out.norm()) <= 2e-3  # a code in a thousand falls on the other side of a half
    assert float((more - lse - q @ shared * 32**-0.5).abs().max()) <= 1e-2


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize(("of", "value"), [("q", math.inf), ("k", -6e4), *(
    pytest.param(*case, marks=pytest.mark.long) for case in (("q", 6e4), ("v", 6e4)))])
def test_a_head_out_of_reach_is_computed_in_16_bits(of: str, value: float, precision: str) -> None:
    case = Case("sliding(5)", "none", 32, (6, 9, 0), torch.float16, precision=precision, offset=1.0)
    given = {name: kernel_cases._data(case)[name].half() for name in "qkv"}
    given[of][0, 1, 7, 3] = value
    out, _, flags = _called(case.pattern, case, *given.values())
    flagged = 0 if of == "v" and precision == "int8" else 1  # of v no codes are made
    assert flags.tolist() == [[0, flagged]]
    if flagged:
        walked = Walked(case.pattern, (0, 1), None)
        flash = walked.attend(*given.values(), *case.ends, None, None, None, 0.0)
        torch.testing.assert_close(out[:, 1], flash[:, 1], rtol=1e-2, atol=1e-3, equal_nan=True)


def test_a_plan_may_lower_the_reach() -> None:
    case = Case("dense", "none", 32, (6, 9, 0), torch.float16, precision="int8")
    q, k, v = (kernel_cases._data(case)[name].half() for name in "qkv")
    q[0, 1, 3] = 20.0
    assert _called(case.pattern, case, q, k, v, (10.0, 9.0, 9.0))[2].tolist() == [[0, 1]]
    assert _called(case.pattern, case, q, k, v, (30.0, 9.0, 9.0))[2].tolist() == [[0, 0]]
    assert _called(case.pattern, case, q, k, v)[2].tolist() == [[0, 0]]


def test_heads_that_share_keys_share_their_flag() -> None:
    case = Case("dense", "none", 32, (6, 9, 0), torch.float16, precision="int8-token")
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 4, 54, 32, generator=generator).half(), torch.randn(2, 2, 54, 32, generator=generator).half()
    k[1, 0, 5, 5] = math.nan
    walked = Walked(pattern_of("dense"), tuple(range(4)), None)
    out = walked.attend(q, k, k, *case.ends, None, None, None, 0.0, "int8-token")
    assert walked.flags is not None and walked.flags.tolist() == [[0, 0, 0, 0], [1, 1, 0, 0]]
    wanted = torch.nn.functional.scaled_dot_product_attention(q.double(), k.double(), k.double(), enable_gqa=True)
    assert float((out[0].double() - wanted[0]).norm() / wanted[0].norm()) <= BOUNDS["int8-token"].l2


@pytest.mark.parametrize("precision", BOUNDS)
def test_a_query_that_sees_nothing_answers_zeros(precision: str) -> None:
    case = Case("window(3) & causal - self", "none", 16, (12, 1, 0), torch.float16, precision=precision)
    q, k, v = (kernel_cases._data(case)[name].half() for name in "qkv")
    out, lse, _ = _called(pattern_of("sliding(3) & causal - self"), case, q, k, v)
    assert float(out[:, :, 0].abs().max()) == 0 and bool(lse[:, :, 0].isneginf().all())
    assert bool(out[:, :, 1:].any()) and bool(lse[:, :, 1:].isfinite().all())


# ----------------------------------------------------------------------------------------------- what torch asks; plain


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("n", [10, 49, 150])
def test_plain_torch_says_the_same(precision: str, n: int) -> None:
    """The meaning in plain torch is the kernel's, tile by tile; what differs is where exponentials round."""
    case = Case("dense", "none", 40, (n, 1, 0), torch.float16, precision=precision, offset=3.0, values=24)
    q, k, v = (kernel_cases._data(case)[name].half() for name in "qkv")
    out, _, _ = _called(pattern_of("dense"), case, q, k, v)
    a, b = rounded(q, k, precision)
    plain = by_levels(a, b, v.float(), None, None, False, precision) if precision in LEVELS else (
        torch.nn.functional.scaled_dot_product_attention(a, b, v.float()))
    assert float((out - plain).norm() / plain.norm()) <= (3e-3 if precision == "int8-fp8" else 1e-3)


def test_torch_accepts_the_operator() -> None:
    case = Case("sliding(3)", "none", 16, (12, 1, 0), torch.float16, precision="int8")
    q, k, v = (kernel_cases._data(case)[name].half() for name in "qkv")
    walked = Walked(case.pattern, (0, 1), None)
    found = walked._walk(q, k, v, *case.ends)
    told = (q, k, v, None, None, found[1], found[0], 0.25, "int8", *WIDEST)
    torch.library.opcheck(torch.ops.ogive.attention_int8, told)


def test_there_are_no_gradients() -> None:
    case = Case("dense", "none", 16, (12, 1, 0), torch.float16, precision="int8")
    q, k, v = (kernel_cases._data(case)[name].half().requires_grad_() for name in "qkv")
    out = Walked(pattern_of("dense"), (0, 1), None).attend(q, k, v, *case.ends, None, None, None, 0.0, "int8")
    with pytest.raises(ArchError, match="INT8 attention has no gradients"):
        out.sum().backward()


def test_lists_and_parts_agree() -> None:
    case = Case('axial("row") | axial("col")', "swin", 32, (6, 9, 0), torch.float16, precision="int8", offset=3.0)
    both = [answers(case, way, backward=False).out.double() for way in ("parts", "list")]
    assert float((both[0] - both[1]).norm() / both[1].norm()) <= 2e-3
