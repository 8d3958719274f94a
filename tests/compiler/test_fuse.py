"""`ogive.fuse`: attention written out becomes one call, with the same numbers, or is left with a reason."""

from __future__ import annotations

import copy
from typing import Any

import fuse_cases as cases
import pytest
import torch
import torch.nn.functional as F
from fuse_cases import HEADS, LEFT, MASKED, PLAIN, D, Plain, Written, ran
from torch import nn

import ogive


def given(n: int = 6, batch: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(n)
    mask = torch.zeros(batch, n, dtype=torch.bool)
    mask[1, n // 2 :] = True
    return torch.randn(batch, n, HEADS * D), mask


def same(module: nn.Module, fused: nn.Module, *inputs: Any) -> None:
    """Answers and gradients, of the input and of all weights."""
    grads = []
    for m in (module, fused):
        m.zero_grad()
        x = inputs[0].clone().requires_grad_()
        y = m(x, *inputs[1:])
        y.square().sum().backward()
        grads.append((y.detach(), x.grad, [None if p.grad is None else p.grad.clone() for p in m.parameters()]))
    (y, gx, gw), (z, hx, hw) = grads
    torch.testing.assert_close(z, y, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(hx, gx, rtol=1e-4, atol=1e-4)
    for a, b in zip(hw, gw, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("core", [*PLAIN, *MASKED], ids=lambda f: f.__name__)
def test_a_spelling_is_fused(core: Any) -> None:
    size = 16 if core.__name__ in ("baddbmm", "bias_then_mask", "mask_in_place", "scaled_with_bias") else 6
    x, mask = given(size)
    inputs = (x, mask) if core in MASKED else (x,)
    torch.manual_seed(0)
    module = Written(core)
    fused, report = ogive.fuse(module, inputs)
    assert [p.reason for p in report.places] == [None], report
    assert report.difference is not None and report.difference < 1e-5
    _, counts = ran(fused, *inputs)
    assert counts["fused"] == 1 and counts["softmax"] == 0
    same(module, fused, *inputs)
    x, mask = given(size, batch=5)  # another batch is served too
    inputs = (x, mask) if core in MASKED else (x,)
    assert ran(fused, *inputs)[1]["fused"] == 1
    same(module, fused, *inputs)
    module.double(), fused.double()
    same(module, fused, x.double(), *inputs[1:])


@pytest.mark.parametrize(("core", "reason"), LEFT, ids=lambda f: getattr(f, "__name__", None))
def test_what_says_something_else_is_left(core: Any, reason: str) -> None:
    x, _ = given()
    module = Written(core, drop=0.2)
    fused, report = ogive.fuse(module, x)
    assert [p.reason for p in report.places] == [reason]
    assert report.left == report.places and not report.fused
    assert type(fused) is Written
    module.eval(), fused.eval()
    for a, b in zip(module(x), fused(x), strict=True):
        assert torch.equal(a, b)


def test_what_is_found_is_told() -> None:
    x, mask = given(16)

    def words(core: Any, *inputs: Any, drop: float = 0.0) -> tuple[str, ...]:
        return ogive.fuse(Written(core, drop), inputs)[1].places[0].found

    assert words(cases.scale_on_q, x, drop=0.25) == ("scale 0.3536", "dropout 0.25")
    assert words(cases.temperature, x) == ("scale learned, `temperature`",)
    assert words(cases.divided_by_sizes, x) == ("scale from sizes",)
    assert words(cases.bias_then_mask, x, mask) == ("scale 0.3536", "bias `table`", "mask `x0`, -3.40282e+38")
    assert words(cases.causal_buffer, x) == ("scale from sizes", "causal")
    assert words(cases.causal_made, x) == ("scale 0.3536", "causal")


@pytest.mark.parametrize("name", ["causal_buffer", "causal_made"])
def test_a_causal_mask_is_not_read(name: str) -> None:

    fused, _ = ogive.fuse(Written(getattr(cases, name)), given(6)[0])
    for n in (1, 6, 11):
        counts = ran(fused, given(n)[0])[1]
        assert counts["causal"] == 1 and counts["masked"] == 0


def test_a_mask_that_is_almost_causal_is_read() -> None:

    x, _ = given(6)
    module = Written(cases.causal_buffer)
    module.tril[0, 0, 4, 1] = 0
    fused, report = ogive.fuse(module, x)
    assert report.places[0].found == ("scale from sizes", "mask `x0`, `tril`, -inf")
    same(module, fused, x)


def test_the_module_stays_what_it_is() -> None:

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attn = Written(cases.scale_on_q, 0.1)
            self.unused = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> Any:
            return x + self.attn(x)

    module = Outer()
    fused, _ = ogive.fuse(module, given()[0])
    assert list(fused.state_dict()) == list(module.state_dict())
    assert isinstance(fused.attn, Written) and type(module.attn) is Written
    assert all(a is b for a, b in zip(module.parameters(), fused.parameters(), strict=True))
    assert fused.training and all(m.training for m in fused.modules())
    seen: list[Any] = []
    fused.attn.register_forward_hook(lambda *a: seen.append(a))
    twin = copy.deepcopy(fused).eval()
    x = given()[0]
    torch.testing.assert_close(twin(x), module.eval()(x), rtol=1e-5, atol=1e-5)
    assert len(seen) == 1 and ran(twin, x)[1]["fused"] == 1


def test_dropout_acts_while_training_alone_and_at_its_rate() -> None:

    x, _ = given(16)
    module = Written(cases.scale_on_q, drop=0.5)
    fused, _ = ogive.fuse(module, x)
    fused.eval()
    assert torch.equal(fused(x), fused(x))
    fused.train()
    assert not torch.equal(fused(x), fused(x))
    with torch.no_grad():
        many = torch.stack([fused(x) for _ in range(600)])
        torch.testing.assert_close(many.mean(0), module.eval()(x), atol=0.12, rtol=0)
    fused.drop.p = 0.0  # asked for at each call
    torch.testing.assert_close(fused(x), module(x), rtol=1e-5, atol=1e-5)
    assert ran(fused, x)[1]["fused"] == 1
    fused.drop.p = 0.5
    fused.drop.eval()
    torch.testing.assert_close(fused(x), module(x), rtol=1e-5, atol=1e-5)


def test_other_calls_run_the_code_of_the_module() -> None:

    def either(m: Any, x: torch.Tensor, mask: Any) -> torch.Tensor:
        y = cases.scale_on_q(m, x, mask) if mask is None else cases.chosen(m, x, mask)
        return y * 2 if x.shape[1] > 8 else y

    x, mask = given(6)
    module = Written(either)
    fused, _ = ogive.fuse(module, x)
    assert ran(fused, x)[1] == {"fused": 1, "causal": 0, "masked": 0}
    for inputs in ((x, mask), (given(9)[0],)):  # another argument; a size at which the code decides otherwise
        assert ran(fused, *inputs)[1]["softmax"] == 1
        same(module, fused, *inputs)
    fused.scale = module.scale = 0.7  # a setting that the code reads
    assert ran(fused, x)[1]["softmax"] == 1
    same(module, fused, x)


class Pair(nn.Module):
    """Throws the weights away that its part returns."""

    def __init__(self) -> None:
        super().__init__()

        self.part = Written(cases.returned)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.part(x)[0]


def test_weights_that_nobody_takes_are_not_formed() -> None:
    x, _ = given()
    module = Pair()
    fused, report = ogive.fuse(module, x)
    assert [(p.path, p.kind, p.reason) for p in report.places] == [("part", "Written", None)]
    assert ran(fused, x)[1]["fused"] == 1
    same(module, fused, x)
    weights: list[torch.Tensor] = []
    fused.part.register_forward_hook(lambda m, a, made: weights.append(made[1]))
    assert ran(fused, x)[1]["softmax"] == 1 and weights[0].shape == (3, HEADS, 6, 6)
    fused.part(x)[1].sum().backward()


def test_a_traced_graph_is_fused_too() -> None:

    x, _ = given()
    module = torch.fx.symbolic_trace(Plain(cases.scale_on_q))
    fused, report = ogive.fuse(module, x)
    assert len(report.fused) == 1, report
    assert ran(fused, x)[1]["fused"] == 1
    same(module, fused, x)


def test_without_an_example_plain_code_is_read() -> None:

    module = Plain(cases.scale_on_q)
    fused, report = ogive.fuse(module)
    assert len(report.fused) == 1 and report.difference is None
    same(module, fused, given()[0])
    assert ran(fused, given()[0])[1]["fused"] == 1
    [place] = ogive.fuse(Plain(cases.keys_turned_at_once))[1].places
    assert place.reason is not None and place.reason.endswith("whose length is not known: give `example_inputs`")


def test_a_row_that_sees_no_key_stays_what_it_is_where_it_is_a_number() -> None:

    x, mask = given(16)
    mask[2] = True
    for core in (cases.bias_then_mask, cases.mask_in_place):
        module = Written(core)
        fused, _ = ogive.fuse(module, (x, mask))
        torch.testing.assert_close(fused(x, mask), module(x, mask), rtol=1e-5, atol=1e-5)
    module = Written(cases.chosen)
    fused, _ = ogive.fuse(module, (x, mask))
    assert module(x, mask)[2].isnan().all()
    torch.testing.assert_close(fused(x, mask)[2], module.proj.bias.expand(16, -1))


def test_half_precision_is_the_same_call() -> None:

    x, _ = given(16)
    module = Written(cases.scaled_with_bias)
    fused, _ = ogive.fuse(module, x)
    module.bfloat16(), fused.bfloat16()
    made, counts = ran(fused, x.bfloat16())
    assert counts["fused"] == 1
    torch.testing.assert_close(made, module(x.bfloat16()), rtol=3e-2, atol=3e-2)


def test_the_report_is_a_table() -> None:

    both = nn.Sequential(Written(cases.scale_on_q), Written(cases.over_queries))
    report = ogive.fuse(both, given()[0])[1]
    lines = str(report).splitlines()
    assert lines[:3] == [
        "0  Written  fused  scale 0.3536",
        "1  Written  left   the softmax goes over axis -2, not over the keys, the last one",
        "1 fused, 1 left, 0 calls were fused already",
    ]
    assert lines[3].startswith("answers to the example differ by ")


def test_calls_that_are_fused_are_counted() -> None:
    class Fused(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.scaled_dot_product_attention(x, x, x)

    assert ogive.fuse(Fused(), torch.randn(1, 2, 3, 4))[1].already == 1
    own = nn.MultiheadAttention(8, 2)
    x = torch.randn(3, 1, 8)
    report = ogive.fuse(own, (x, x, x))[1]
    assert [p.reason for p in report.places] == ["torch's own attention is asked for its weights"]


@pytest.mark.parametrize("wrong", [3, nn.Linear])
def test_only_modules_are_fused(wrong: Any) -> None:
    with pytest.raises(ogive.ArchError, match="`fuse` takes a module"):
        ogive.fuse(wrong)
