"""Memory by liveness against what torch's allocator hands out, in a forward and in a training step."""

from __future__ import annotations

import pytest
import torch
from allocator import peak_of

import ogive
from ogive.compiler.cost import costs, memory, trained, weight_bytes

LONG = pytest.mark.long
NETWORKS = [
    pytest.param("vit", "ViT.Ti", id="vit"), pytest.param("unet", "UNet", id="unet", marks=LONG),
    pytest.param("resnet", "ResNet.r18", id="resnet18"),
    pytest.param("resnet", "ResNet.r50", id="resnet50", marks=LONG),
    pytest.param("mobilenet", "MobileNetV2", id="mobilenet", marks=LONG),
    pytest.param("densenet", "DenseNet.d121", id="densenet", marks=LONG),
    pytest.param("swin", "Swin.T", id="swin", marks=LONG),
    pytest.param("mixer", "MLPMixer.S16", id="mixer", marks=LONG),
    pytest.param("inception", "GoogLeNet", id="googlenet", marks=LONG),
]


@pytest.fixture(autouse=True)
def _one_thread():
    """Scratch of kernels is for each thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _ready(file: str, name: str) -> tuple[ogive.Network, torch.nn.Module, torch.Tensor]:
    net = ogive.load(file, name)
    return net, ogive.compile(net), torch.randn(2, 3, 224, 224)


@pytest.mark.parametrize(("file", "name"), NETWORKS)
def test_a_forward_takes_what_is_said(file: str, name: str) -> None:
    net, module, x = _ready(file, name)
    module.eval()
    with torch.no_grad():
        measured = peak_of(lambda: module(x))
    assert memory(net.graph, {"B": 2}).forward == pytest.approx(measured, rel=0.10)


@pytest.mark.parametrize(("file", "name"), NETWORKS)
def test_a_training_step_takes_what_is_said(file: str, name: str) -> None:
    net, module, x = _ready(file, name)
    module.train()
    graph = net.cases[-1][1] if net.cases else net.graph

    def step() -> None:
        module.zero_grad(set_to_none=True)
        y = module(x)
        y = y[0] if isinstance(y, tuple) else y
        y.backward(torch.ones_like(y))

    assert memory(graph, {"B": 2}).backward == pytest.approx(peak_of(step), rel=0.15)


def test_by_hand() -> None:
    """x, a = 4 x; b = relu(a) is kept for its own gradient, x for that of `fc`."""
    graph = ogive.loads("network Net:\n    input x: B 8\n    fc = linear(32)\n    relu\n    out = linear(2)\n").graph
    room = memory(graph, {"B": 10})
    assert room.weights == weight_bytes(graph) == 4 * (8 * 32 + 32 + 32 * 2 + 2)
    assert room.inputs == 4 * 10 * 8
    assert (room.forward, room.at) == (4 * 10 * 64, "relu")
    kept = {name: one.kept for name, one in costs(graph, {"B": 10}).items()}
    assert kept == {"x": 0, "fc": 0, "relu": 4 * 10 * 32, "out": 0}
    assert memory(graph, {"B": 10}, width=2).forward == room.forward // 2


def test_views_take_nothing_and_what_is_read_later_stays() -> None:
    graph = ogive.loads(
        "network Net:\n    input x: B 8 H W\n    a = conv(8, 1x1)\n    t = to_tokens\n    b = relu\n    c = relu\n"
        "    d = relu\n    e = to_image\n    out = a + e\n"
    ).graph
    one = 4 * 8 * 16 * 16
    found = costs(graph, {"B": 1, "H": 16, "W": 16})
    assert found["t"].live == found["a"].live == one
    assert found["d"].live == 3 * one  # `a` waits for the sum
    assert found["e"].live == 2 * one


def test_a_training_step_keeps_gradients_of_weights() -> None:
    graph = ogive.loads("network Net:\n    input x: B 1000\n    fc = linear(1000)\n").graph
    room = memory(graph, {"B": 1})
    assert room.backward >= room.weights
    assert room.training == room.weights + room.inputs + room.backward


def test_what_acts_only_while_training_takes_room_only_there() -> None:
    text = (
        "network Net:\n    input x: B 8\n    fc = linear(64)\n    if training:\n        relu\n{}"
        "    out = linear(4)\n"
    )
    plain, more = (ogive.loads(text.format(lines)) for lines in ("", "        tanh\n        sigmoid\n"))
    rooms = [memory(net.graph, {"B": 500}, trains=trained(net.graph, net.cases)) for net in (plain, more)]
    assert rooms[0].forward == rooms[1].forward
    assert rooms[1].backward - rooms[0].backward == 2 * 500 * 64 * 4  # both keep what they answer


RECURRENT = """
network Seq:
    input xs: B N 32
    zero = zeros(64)
    scan x in xs with h = zero:
        a = linear(64)
        b = h -> linear(64)
        c = a + b
        t = c -> tanh
        next h = t
        emit t
    global_pool
    out = linear(4)
"""


def test_a_recurrence_keeps_every_time() -> None:
    net = ogive.loads(RECURRENT)
    module, x = ogive.compile(net), torch.randn(16, 128, 32)

    def step() -> None:
        module.zero_grad(set_to_none=True)
        y = module(x)
        y.backward(torch.ones_like(y))

    room = memory(net.graph, {"B": 16, "N": 128})
    assert room.backward == pytest.approx(peak_of(step), rel=0.15)
    with torch.no_grad():
        assert room.forward == pytest.approx(peak_of(lambda: module(x)), rel=0.10)
    assert costs(net.graph, {"B": 16, "N": 128})["t"].kept == 128 * 16 * 64 * 4
