"""Residual networks as such: with skips and without, with layers left out, as steps of an equation; and a cascade."""

from __future__ import annotations

import math
from itertools import pairwise

import peers
import pytest
import torch
import torch.nn.functional as F

import ogive

EQUATION = """
from neural_ode import Euler, RK4

block Cosine:
    input h: B C, t: B C
    factor = t -> cos
    factor * h

network Solve(solver: op, steps):
    presets    solver:
        euler  Euler
        rk4    RK4

    input start: B 1
    shared g = Cosine
    solver(g, steps)
"""


@pytest.mark.parametrize(
    ("solver", "errors"),
    [("euler", {10: 3.15e-2, 20: 1.56e-2, 40: 7.79e-3}), ("rk4", {10: 9.67e-7, 20: 6.01e-8, 40: 3.74e-9})],
)
def test_more_layers_smaller_steps(solver: str, errors: dict[int, float]) -> None:
    """h' = cos(t) h, h(0) = 1: at t = 1 the exact value is exp(sin 1). Euler's error halves, RK4's falls to a 16th."""
    exact = math.exp(math.sin(1))
    assert round(exact, 6) == 2.319777
    found = []
    for steps, printed in errors.items():
        module = ogive.compile(ogive.loads(EQUATION, f"Solve.{solver}", steps=steps)).double()
        found.append(abs(module(torch.ones(1, 1, dtype=torch.float64)).item() - exact))
        assert f"{found[-1]:.2e}" == f"{printed:.2e}"
    shrink = 2 if solver == "euler" else 16
    assert all(abs(a / b / shrink - 1) < 0.03 for a, b in pairwise(found))


def test_one_block_for_all_times() -> None:
    """Four times as many runs, one set of weights; a residual network has one for each step."""
    euler, rk4 = (ogive.load("neural_ode", f"NeuralODE.{x}") for x in ("euler", "rk4"))
    longer = ogive.load("neural_ode", "NeuralODE.rk4", steps=40)
    assert euler.parameter_count == rk4.parameter_count == longer.parameter_count
    step = (rk4.macs() - euler.macs()) / 30
    assert step == 2 * 65 * 64 * 9 * 112 * 112
    layers = [ogive.load("neural_ode", "ODEResNet", steps=n).parameter_count for n in (1, 2, 10)]
    assert layers[2] - layers[0] == 9 * (layers[1] - layers[0])


def test_the_step_of_the_ode_is_a_residual_block() -> None:
    """With the shared weights in every block the residual network is Euler's method."""
    torch.manual_seed(0)
    ode = ogive.compile(ogive.load("neural_ode", "NeuralODE.euler", steps=4, width=32)).double().eval()
    net = ogive.compile(ogive.load("neural_ode", "ODEResNet", steps=4, width=32)).double().eval()
    state = ode.state_dict()
    untied = {f"g.{i}.slope.{k[2:]}": v for i in range(4) for k, v in state.items() if k.startswith("g.")}
    net.load_state_dict({**untied, **{k: v for k, v in state.items() if not k.startswith("g.")}}, strict=True)
    image = torch.randn(2, 1, 12, 12, dtype=torch.float64)
    assert torch.allclose(ode(image), net(image), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("plain", "peer"), [("PlainNet18", "resnet18"), ("PlainNet34", "resnet34")])
def test_a_plain_network_is_its_resnet_without_projections(plain: str, peer: str) -> None:
    network = ogive.load("plain", plain)
    with torch.device("meta"):
        theirs = peers.create(f"torchvision.{peer}").state_dict()
        ours = ogive.compile(network).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items() if "downsample" not in k}


def test_to_add_nothing_is_easy_with_a_skip_alone() -> None:
    """A block whose last norm is zero hands on its input; without the skip it forgets it."""
    text = (
        "from resnet import BasicBlock\n"
        "network N(skip: bool):\n    input x: B 8 H W\n    b = BasicBlock(8, zero=True, skip=skip)\n"
    )
    x = torch.randn(1, 8, 6, 6).relu()
    with_skip, without = (ogive.compile(ogive.loads(text, "N", skip=skip)).eval()(x) for skip in (True, False))
    assert torch.equal(with_skip, x)
    assert not without.any()


def test_branches_that_end_in_zero_leave_the_skip_path() -> None:
    """At first every block of a stage but its first hands on what it got, and that one is its projection."""
    torch.manual_seed(0)
    module = ogive.compile(ogive.load("plain", "ZeroResNet", classes=10)).eval()
    state = module.state_dict()
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        x = norm(F.conv2d(image, state["conv1.weight"], stride=2, padding=3), state, "bn1")
        x = F.max_pool2d(F.relu(x), 3, 2, 1)
        for s in range(4):
            key = f"layer{s + 1}.0.downsample"
            x = F.relu(norm(F.conv2d(x, state[f"{key}.0.weight"], stride=2 if s else 1), state, f"{key}.1"))
        expected = x.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]
        assert torch.allclose(module(image), expected, atol=1e-5)


def norm(x: torch.Tensor, state: dict[str, torch.Tensor], key: str) -> torch.Tensor:
    mean, var, weight, bias = (state[f"{key}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, mean, var, weight, bias)


DROPPED = """
from stochastic_depth import Unit

network One(drop=0.5, mode: "row" | "batch" = "batch"):
    input x: B 8 H W
    unit = Unit(8, drop=drop, mode=mode)
"""


def test_survival_falls_with_the_depth() -> None:
    """Layer l of L is left out at the rate l / L * 0.5: nothing at first, half of the time at last."""
    network = ogive.load("stochastic_depth", "StochasticDepth.r110")
    rates = [n.primitive.p for n in network.graph if n.op == "drop_path"]
    assert len(rates) == 54
    assert rates == pytest.approx([0.5 * layer / 54 for layer in range(1, 55)])


@pytest.mark.parametrize("mode", ["row", "batch"])
def test_a_layer_off_for_a_row_or_for_the_whole_batch(mode: str) -> None:
    torch.manual_seed(0)
    module = ogive.compile(ogive.loads(DROPPED, "One", mode=f'"{mode}"')).train()
    x = torch.randn(16, 8, 5, 5).relu()
    kinds = set()
    for _ in range(40):
        off = (module(x) == x).flatten(1).all(1)
        kinds.add(int(off.sum()))
    assert kinds == {0, 16} if mode == "batch" else len(kinds) > 4


def test_training_expects_what_evaluation_computes() -> None:
    """The mean of many draws of the branch is the branch."""
    text = "network N:\n    input x: B 64\n    drop_path(0.25)\n"
    module = ogive.compile(ogive.loads(text, "N")).train()
    x = torch.ones(40_000, 64)
    torch.manual_seed(0)
    kept = module(x)[:, 0]
    assert sorted(set(kept.tolist())) == pytest.approx([0, 4 / 3])
    assert abs(kept.mean().item() - 1) < 4 * (1 / 3 / 40_000) ** 0.5
    assert torch.equal(module.eval()(x), x)


def compiled_like(module: torch.nn.Module, network: ogive.network.Network) -> torch.nn.Module:
    """Another network with the same weights."""
    other = ogive.compile(network).eval()
    other.load_state_dict(module.state_dict(), strict=True)
    return other


def test_a_cascade_takes_the_quick_answer_where_it_is_sure() -> None:
    torch.manual_seed(0)
    image = torch.randn(6, 3, 64, 64)
    module = ogive.compile(ogive.load("cascade", "Cascade", classes=3)).eval()
    with torch.inference_mode():
        first, second = ogive.features(module, image, ["first", "second"]).values()
        chance = first.softmax(1).amax(1)
        bar = chance.sort().values[2:4].mean().item()  # above it lie three of the six
        answers = compiled_like(module, ogive.load("cascade", "Cascade", classes=3, sure=bar))(image)
    assert torch.equal(answers, torch.where(chance[:, None] > bar, first, second))
    assert (answers == first).all(1).sum() == 3


def test_a_cascade_costs_both() -> None:
    first, second = (ogive.load("resnet", f"ResNet.{x}") for x in ("r18", "r50"))
    both = ogive.load("cascade", "Cascade")
    assert both.parameter_count == first.parameter_count + second.parameter_count
    assert both.macs() == first.macs() + second.macs()


def test_a_deformable_convolution_starts_as_a_plain_one() -> None:
    """Version 2 with half its weight: a mask of sigmoid(0)."""
    text = (
        "from deform import DeformConv\n"
        "network N(masked: bool):\n    input x: B 8 H W\n    c = DeformConv(4, masked=masked)\n"
    )
    x = torch.randn(1, 8, 9, 7)
    for masked, weight in ((False, 1.0), (True, 0.5)):
        module = ogive.compile(ogive.loads(text, "N", masked=masked)).eval()
        w, b = module.get_parameter("c.conv.weight"), module.get_parameter("c.conv.bias")
        assert torch.allclose(module(x), weight * F.conv2d(x, w, padding=1) + b[:, None, None], atol=1e-5)
