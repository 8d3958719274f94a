"""The finished module: keys, ties, copies, devices, torch.compile, torch.export, and what is checked in front of it."""

from __future__ import annotations

import copy
import pickle
import time
from typing import Any

import pytest
import torch

import ogive
from ogive import ArchError
from ogive.compiler.picture.render import is_available

SMALL = """
network Small(classes=5):
    input image: B 3 H W
    stem = conv(8, 3x3, stride=2, pad=1) : B 8 H/2 W/2
    bn = batchnorm
    relu
    to_tokens
    repeat 2 as blocks[i]:
        residual:
            norm = layernorm
            fc = linear(8)
            dropout(0.5)
    global_pool
    head = linear(classes)
"""

TIED = """
network Tied(vocab=11, dim=8):
    input ids: B N of int
    wte = embedding(vocab, dim)
    norm = layernorm
    head = linear(vocab, bias=False, weight=wte.weight)
"""

TWO = """
network Two:
    input x: B 4
    input y: B 4
    a = x -> linear(3)
    b = y -> linear(2)
    return {returns}
"""


def compiled(text: str, **settings: Any) -> Any:
    return ogive.compile(ogive.loads(text), debug=True, **settings)


def test_keys_are_the_language_s() -> None:
    net = ogive.loads(SMALL)
    module = ogive.compile(net)
    assert list(module.state_dict()) == list(net.graph.parameters)
    assert {k: tuple(v.shape) for k, v in module.state_dict().items()} == {
        k: p.weight.shape for k, p in net.graph.parameters.items()
    }
    assert not set(dir(module)) - set(dir(torch.fx.GraphModule(torch.nn.Module(), torch.fx.Graph()))) - {
        "stem", "bn", "blocks", "head", "_ops", "_checked", "_chosen", "_seen", "_forward_hooks",
        "_repr_mimebundle_",
    }


def test_a_notebook_shows_the_picture() -> None:
    module = compiled(SMALL)
    for one in (module, copy.deepcopy(module), copy.copy(module).eval()):
        bundle = one._repr_mimebundle_()
        assert bundle["text/plain"] == repr(one)
        assert ("<svg" in bundle.get("image/svg+xml", "")) == is_available()
    assert pickle.loads(pickle.dumps(module.meta["ogive"]["drawn"])).svg() is None


def test_nodes_know_where_they_come_from() -> None:
    module = compiled(SMALL)
    about = {n.name: n.meta["ogive"] for n in module.graph.nodes if n.op != "output"}
    stem = about["stem"]
    assert (stem["op"], stem["node"], stem["shape"][:4]) == ("conv", "stem", "B 8 ")
    assert stem["span"].startswith("<text>:4:")
    assert module.meta["ogive"]["network"] == "Small"
    assert type(module).__name__ == "Small"


def test_a_tie_is_one_parameter_under_two_keys() -> None:
    module = compiled(TIED)
    assert module.head.weight is module.wte.weight
    assert list(module.state_dict()) == ["wte.weight", "norm.weight", "norm.bias", "head.weight"]
    assert sum(p.numel() for p in module.parameters()) == 11 * 8 + 16
    for other in (copy.deepcopy(module), copy.copy(module), compiled(TIED).half().float()):
        assert other.head.weight is other.wte.weight


def test_trains() -> None:
    module = compiled(SMALL)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.05)
    x, y = torch.randn(8, 3, 8, 8), torch.arange(8) % 5
    losses = []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(module(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert all(p.grad is not None for p in module.parameters())
    assert min(losses[-5:]) < losses[0]
    assert not torch.equal(module(x), module(x)), "dropout drops while training"
    module.eval()
    assert torch.equal(module(x), module(x))


def test_a_copy_is_its_own() -> None:
    module = compiled(SMALL).eval()
    x = torch.randn(2, 3, 8, 8)
    other = copy.deepcopy(module)
    assert torch.equal(other(x), module(x))
    assert type(other).__name__ == "Small"
    assert other.meta["ogive"]["results"] == module.meta["ogive"]["results"]
    assert not other.training
    with torch.no_grad():
        other.head.weight.zero_()
    assert module.head.weight.abs().sum() > 0
    with pytest.raises(ArchError, match="A703"):
        other(x[0])


@pytest.mark.parametrize(("returns", "kind"), [("a, b", tuple), ("first=a, second=b", dict), ("a", torch.Tensor)])
def test_results(returns: str, kind: type) -> None:
    module = compiled(TWO.format(returns=returns))
    result = module(torch.randn(2, 4), y=torch.randn(2, 4)) if returns != "a" else module(*[torch.randn(2, 4)] * 2)
    assert isinstance(result, kind)
    if kind is dict:
        assert list(result) == ["first", "second"]


def test_torch_compile_takes_it_whole() -> None:
    module = compiled(SMALL).eval()
    x = torch.randn(2, 3, 8, 8)
    whole = torch.compile(module, fullgraph=True, backend="eager")
    torch.testing.assert_close(whole(x), module(x))


@pytest.mark.parametrize("strict", [False, True])
def test_torch_export_takes_the_graph_alone(strict: bool) -> None:
    module = compiled(SMALL).eval()
    x = torch.randn(2, 3, 8, 8)
    # H and W are even and the convolution has stride 2: an even size is 2 n.
    half = torch.export.Dim("n", min=2, max=512)
    shapes = ({0: torch.export.Dim("b", min=1, max=64), 2: 2 * half, 3: 2 * torch.export.Dim("m", min=2, max=512)},)
    program = torch.export.export(module, (x,), dynamic_shapes=shapes, strict=strict)
    other = torch.randn(3, 3, 12, 6)
    torch.testing.assert_close(program.module()(other), module(other))
    assert set(program.state_dict) == set(module.state_dict())


def test_devices_and_dtypes() -> None:
    assert all(p.is_meta for p in compiled(SMALL, device="meta").parameters())
    with torch.device("meta"):
        assert all(p.is_meta for p in compiled(SMALL).state_dict().values())
    module = compiled(SMALL, dtype=torch.float64)
    assert module.stem.weight.dtype == torch.float64
    assert module.bn.num_batches_tracked.dtype == torch.int64
    assert compiled(SMALL).half().stem.weight.dtype == torch.float16


@pytest.mark.parametrize(
    ("x", "code", "words"),
    [
        (torch.randn(3, 8, 8), "A703", ["`image` has 3 axes, expected 4", "B 3 H W", "x[None]", "<text>:3:"]),
        (torch.zeros(1, 3, 8, 8, dtype=torch.int64), "A704", ["int64", "expected float"]),
        (torch.randn(1, 1, 8, 8), "A705", ["`image` has 1 at axis 1 (channel), expected 3", "given: 1 1 8 8"]),
        (torch.randn(1, 3, 7, 8), "A706", ["H/2", "H = 7: 7 % 2 = 1", "<text>:4:"]),
        ("image.png", "A702", ["must be a tensor, got str"]),
    ],
)
def test_inputs_are_checked(x: Any, code: str, words: list[str]) -> None:
    with pytest.raises(ArchError) as caught:
        compiled(SMALL)(x)
    assert caught.value.codes == (code,)
    for word in words:
        assert word in str(caught.value)


def test_inputs_by_name() -> None:
    module = compiled(TWO.format(returns="a, b"))
    x = torch.randn(2, 4)
    assert torch.equal(module(x=x, y=x)[0], module(x, x)[0])
    for args, kwargs, words in (((x,), {}, "`y` is missing"), ((x, x, x), {}, "one more"), ((x,), {"z": x}, "missing")):
        with pytest.raises(ArchError, match=words):
            module(*args, **kwargs)
    with pytest.raises(ArchError, match="A705"):
        module(x, torch.randn(3, 4))  # B is 2


def test_checks_cost_microseconds() -> None:
    module = compiled(SMALL).eval()
    x = torch.randn(1, 3, 8, 8)
    module(x)
    best = min(_seconds(lambda: module._checked((x,), {})) for _ in range(200))
    assert best < 20e-6


def _seconds(run: Any) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def test_steps_and_targets() -> None:
    net = ogive.loads(SMALL)
    assert all(p.is_meta for p in ogive.compile(net, until="lower").parameters())
    for wrong in ({"target": "cqu"}, {"until": "lowr"}):
        with pytest.raises(ArchError, match="did you mean"):
            ogive.compile(net, **wrong)
