"""How a network of ours is held against its reference: keys, outputs, gradients, cost, first weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import ogive

__all__ = ["Calling", "quickly", "close", "counted", "hold", "hold_first_weights", "hold_table", "reached", "stirred"]

reached: dict[str, float] = {}
"""The largest error met: in answers by their dtype, and in gradients. bench/parity.py empties it between tests."""


def close(ours: torch.Tensor, theirs: torch.Tensor, most: float, what: str = "") -> None:
    """The largest difference, relative to the largest value of the reference."""
    within((ours - theirs).abs().max() / theirs.abs().max(), most, what or str(theirs.dtype).removeprefix("torch."))


def within(error: torch.Tensor, most: float, what: str) -> None:
    reached[what] = max(reached.get(what, 0.0), error.item())
    assert error <= most, f"{what}: relative error {error:.2e} is above {most:.0e}"


def hold(ours: torch.nn.Module, theirs: torch.nn.Module, *inputs: int | torch.Tensor, batch: int = 2) -> None:
    """Strict load, float64 outputs to 1e-6, gradients of every parameter and input to 1e-5.

    An input is a tensor, or the side of an image of noise; one image of 224 unless said. Several outputs are held one
    by one, in their order; ids and masks have no gradient.
    """
    ours, theirs = ours.double().eval(), stirred(theirs.double().eval())
    ours.load_state_dict(theirs.state_dict(), strict=True)
    given = [torch.randn(batch, 3, x, x) if isinstance(x, int) else x for x in inputs or (224,)]
    left, right = ([own(x) for x in given] for _ in range(2))
    mine, references = several(ours(*left)), several(theirs(*right))
    assert len(mine) == len(references)
    losses = [torch.zeros((), dtype=torch.float64) for _ in range(2)]
    for answer, reference in zip(mine, references, strict=True):
        close(answer, reference, 1e-6)
        pull = torch.randn_like(reference)
        losses = [loss + (y * pull).sum() for loss, y in zip(losses, (answer, reference), strict=True)]
    for loss in losses:
        loss.backward()
    for x, y in zip(left, right, strict=True):
        assert (x.grad is None) == (y.grad is None)
        if y.grad is not None:
            close(x.grad, y.grad, 1e-5, "gradients")
    trained = {key: p for key, p in ours.named_parameters() if p.requires_grad}
    assert set(trained) == {key for key, p in theirs.named_parameters() if p.requires_grad}
    gradients = {key: p.grad for key, p in theirs.named_parameters() if p.grad is not None}
    assert set(gradients) == {key for key, p in trained.items() if p.grad is not None}
    scale = max(g.abs().max() for g in gradients.values())
    for key in gradients:
        p = trained[key]
        error = (p.grad - gradients[key]).abs().max() / max(gradients[key].abs().max(), 1e-3 * scale)
        within(error, 1e-5, "gradients")


def quickly(cases: Iterable[Any], *quick: Any) -> list[Any]:
    """Cases of a test: those named, or the first, in the quick suite, the others in the long one."""
    every = list(cases)
    chosen = quick or every[:1]
    return [case if case in chosen else pytest.param(*(case if isinstance(case, tuple) else (case,)),
                                                     marks=pytest.mark.long) for case in every]


def own(x: torch.Tensor) -> torch.Tensor:
    """A copy: numbers in float64 with a gradient, ids and masks as they are."""
    return x.clone().double().requires_grad_() if x.is_floating_point() else x.clone()


def several(answer: torch.Tensor | tuple[torch.Tensor, ...] | dict[str, torch.Tensor]) -> list[torch.Tensor]:
    return [answer] if torch.is_tensor(answer) else list(answer.values() if isinstance(answer, dict) else answer)


class Calling(torch.nn.Module):
    """A network that is called in its own way: its keys, and `call(module, *inputs)` as its answer."""

    def __init__(self, module: torch.nn.Module, call: Callable[..., object]) -> None:
        super().__init__()
        self.module, self.call = module, call
        self.state_dict, self.named_parameters = module.state_dict, module.named_parameters  # type: ignore
        self.load_state_dict = module.load_state_dict  # type: ignore

    def forward(self, *inputs: torch.Tensor) -> object:
        return self.call(self.module, *inputs)


def stirred(module: torch.nn.Module) -> torch.nn.Module:
    """No tensor left at zeros or ones: a weight that is never read, or read in the wrong place, must show."""
    torch.manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn_like(p), alpha=0.02)
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.8, 1.2)
    return module


def hold_table(
    network: ogive.network.Network, ours: torch.nn.Module, theirs: torch.nn.Module, *inputs: tuple[int, ...],
    unseen: int = 0,
) -> None:
    """Keys, shapes, dtypes, parameters and multiply-adds, those of pairs that the reference masks left out.

    `inputs` are shapes, one image of 224 unless said; `unseen` is what the reference computes for masked pairs.
    """
    mine, reference = ours.state_dict(), theirs.state_dict()
    assert set(mine) == set(reference)
    for name, tensor in reference.items():
        assert (mine[name].shape, mine[name].dtype) == (tensor.shape, tensor.dtype), name
    trained = {name for name, p in theirs.named_parameters() if p.requires_grad}
    assert trained == {name for name, p in ours.named_parameters() if p.requires_grad}
    assert network.parameter_count == sum(p.numel() for p in theirs.parameters())
    assert network.macs() == counted(theirs, *inputs) - unseen


def counted(module: torch.nn.Module, *inputs: tuple[int, ...]) -> int:
    """Multiply-adds by torch's own counter, attention as two products."""
    module = module.eval()
    for part in module.modules():
        if hasattr(part, "fused_attn"):
            part.fused_attn = False
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        module(*(torch.empty(shape) for shape in inputs or ((1, 3, 224, 224),)))
    return counter.get_total_flops() // 2


def hold_first_weights(
    ours: Callable[[], torch.nn.Module], theirs: Callable[[], torch.nn.Module], *, but: str = "^$"
) -> None:
    """Mean and standard deviation of each initial tensor are the reference's, within what chance allows.

    `but` is a regular expression of keys that may start otherwise, and some of which do.
    """
    torch.manual_seed(0)
    drawn, references = ours().state_dict(), theirs().state_dict()
    assert set(drawn) == set(references)
    excepted = []
    for name, reference in references.items():
        off = _otherwise(drawn[name].double(), reference.double())
        if re.search(but, name):
            excepted.append(off)
        else:
            assert not off, f"{off} of {name}"
    assert but == "^$" or any(excepted), f"nothing starts otherwise: {but}"


def _otherwise(mine: torch.Tensor, reference: torch.Tensor) -> str:
    """Which of the two is another; "" where none is."""
    if mine.numel() == 1:
        return "" if torch.equal(mine, reference) else "value"
    reference = reference[reference.abs() != 2]  # timm's draws hit their bound now and then, 100 deviations off
    spread = reference.std().item()
    most = max(12 * spread / mine.numel() ** 0.5, 1e-5)  # six standard errors of either
    if abs(mine.mean().item() - reference.mean().item()) > most:
        return "mean"
    return "deviation" if abs(mine.std().item() - spread) > most else ""
