"""Networks, from their text to the kernels: the same numbers and gradients as on the processor in float64."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import ogive
from ogive.compiler.kernels.attention import Walked

DISC = """
pattern disc(radius=2.5):
    allow (q.row - k.row) ** 2 + (q.col - k.col) ** 2 <= radius**2

network Net:
    input x: B (h=8 w=8) 32
    near = relative_bias(2, 8x8)
    attend(2, over=disc | block(16), bias=near)
"""
SWIN = """
from std.timm import Mlp

network Net:
    input x: B (1 + h=7 w=7) 24
    near = relative_bias(3, 4x4, prefix=1)
    residual:
        norm1 = layernorm
        qkv   = linear(72)
        split(3)
        attend(3, over=window(4, shift=2) | prefix, bias=near)
        proj  = linear(24)
    residual:
        norm2 = layernorm
        mlp   = Mlp(48)
"""
HEADS = """
network Net:
    input q: B (h=3 w=4) 32, k: B (h=3 w=4) 16, v: B (h=3 w=4) 16, mask: B (h w) of bool
    q, k, v -> attend(4, over=per_head([axial("row"), axial("col")]), mask=mask)
"""


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Walked]]:
    """The attentions that kernels took."""
    found: list[Walked] = []
    own = Walked.attend

    def attend(self: Walked, *given: object) -> object:
        found.append(self)
        return own(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Walked, "attend", attend)
    yield found


@pytest.mark.parametrize("text", [DISC, SWIN, HEADS], ids=["a predicate", "shifted windows", "grouped heads"])
def test_a_network_runs_on_kernels(text: str, taken: list[Walked]) -> None:
    torch.manual_seed(0)
    network = ogive.loads(text)
    small, wide = ogive.compile(network), ogive.compile(network, dtype=torch.float64)
    wide.load_state_dict({name: x.double() for name, x in small.state_dict().items()})
    shapes = [(2, 64, 32)] if text == DISC else [(2, 50, 24)] if text == SWIN else [(2, 12, 32), *[(2, 12, 16)] * 2]
    given = [torch.randn(*shape, requires_grad=True) for shape in shapes]
    exact = [x.detach().double().requires_grad_() for x in given]
    more = [torch.rand(2, 12) > 0.3] if text == HEADS else []
    out, meant = small(*given, *more), wide(*exact, *more)
    assert len(taken) == 1  # float64 is none of theirs
    assert not [n for n in small.graph.nodes if n.target == "repeat_interleave"], "heads share their keys in the kernel"
    assert float((out - meant).detach().norm()) <= 1e-6 * float(meant.detach().norm())
    grad = torch.randn_like(out)
    out.backward(grad)
    meant.backward(grad.double())
    for x, y in zip((*given, *small.parameters()), (*exact, *wide.parameters()), strict=True):
        assert x.grad is not None and y.grad is not None
        assert float((x.grad - y.grad).norm()) <= 1e-5 * float(y.grad.norm())
