"""Parameters and multiply-adds against torch's own count, for every network of the library."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import ogive
from ogive.compiler.cost import formulas, macs, sizes_of, tree
from ogive.dsl.build import names_of
from ogive.dsl.dims import evaluate
from ogive.dsl.graph import Graph
from ogive.dsl.load import library_names
from ogive.dsl.ops.attention import Attend, position_axis
from ogive.dsl.patterns.count import total
from ogive.dsl.patterns.space import Space
from ogive.dsl.types import sized
from ogive.sources import open_source

DTYPES = {"float": torch.float32, "int": torch.int64, "bool": torch.bool}
OTHER = 64
"""Free sizes that have no default."""

QUICK = {"resnet ResNet.r18", "vit ViT.Ti", "swin Swin.T", "unet UNet"}
SLOW = {"gpt2 Megatron", "gpt2 TuringNLG", "gpt2 GPT3"}
"""Equal to others but for their numbers, and a minute each."""

WRITTEN = {
    "lrnet": "the score `distance` is no product of q and k",
    "mvit": "rows of `decomposed_relative` that no query meets are computed, and not counted",
    "sam": "rows of `decomposed_relative` that no query meets are computed, and not counted",
}
MECHANISMS = {"Linear", "Linformer", "Performer", "Nystrom", "Pooled", "Latent"}


def _networks() -> list[object]:
    """The first network of each name in each file."""
    found: dict[str, tuple[str, str]] = {}
    for file in library_names():
        for name in names_of(open_source(file)):
            found.setdefault(f"{file} {name.partition('.')[0]}", (file, name))
    return [
        pytest.param(file, name, id=f"{file} {name}", marks=() if f"{file} {name}" in QUICK else pytest.mark.long)
        for file, name in found.values()
        if file not in WRITTEN and name not in MECHANISMS and f"{file} {name}" not in SLOW
    ]


def _sizes(graph: Graph) -> dict[str, int]:
    return sizes_of(graph, {name: OTHER for name in graph.free if name not in "BHW"})


def _flops(net: ogive.Network, sizes: dict[str, int]) -> tuple[int, int]:
    """FLOP of one forward on the meta device, attention by its products, and the number of parameters."""
    graph = net.graph
    module = ogive.compile(net, device="meta").eval()
    types = [sized(graph.nodes[name].outputs[0], sizes) for name in graph.inputs]
    inputs = [
        torch.empty([evaluate(n, sizes) for n in t.shape], device="meta", dtype=DTYPES[t.dtype]) for t in types
    ]
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(*inputs)
    return counter.get_total_flops(), sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("file", "name"), _networks())
def test_totals_are_those_of_torch(file: str, name: str) -> None:
    """`macs_dense` is what torch multiplies where every pair is computed; `macs` leaves out the pairs of no set."""
    net = ogive.load(file, name)
    sizes = _sizes(net.graph)
    whole = tree(net.graph, sizes)
    flops, params = _flops(net, sizes)
    assert 2 * whole.macs_dense == flops
    assert whole.params == params == net.parameter_count
    assert whole.macs_dense - whole.macs == _left_out(net.graph, sizes)


def _left_out(graph: Graph, sizes: dict[str, int]) -> int:
    """Multiply-adds of the pairs that no set holds, counted pattern by pattern."""
    found = 0
    for node in graph:
        op = node.primitive
        if isinstance(op, Attend):
            q, k, v = op.qkv(tuple(sized(graph.tensor(edge), sizes) for edge in node.data))
            queries, keys = position_axis(q), position_axis(k)
            space = Space.between(queries, keys)
            assert space is not None and not isinstance(queries.size, str)
            missing = op.heads * evaluate(queries.size * keys.size, {}) - total(op.over, space, op.heads)
            wide = evaluate(q.channels or 0, {}) + evaluate(op.width(q, k, v), {})
            found += evaluate(node.outputs[0].shape[0], sizes) * missing * wide // op.heads
    return found


@pytest.mark.parametrize(("name", "same"), [("Linformer", True), ("Nystrom", True), ("Pooled", True), ("Latent", True),
                                            ("Linear", False), ("Performer", False)])
@pytest.mark.long
def test_mechanisms_count_what_they_do(name: str, same: bool) -> None:
    """Torch counts the sums that divide the answers of `kernel` and `performer` as well, below 0.1 %."""
    net = ogive.load("sparse", name)
    whole = tree(net.graph)
    flops, params = _flops(net, sizes_of(net.graph))
    assert params == whole.params
    assert 2 * whole.macs == flops if same else 0 < flops - 2 * whole.macs < flops / 1000
    assert whole.macs_dense == macs(ogive.load("sparse", "Dense").graph)


@pytest.mark.parametrize(("file", "name"), [
    ("resnet", "ResNet.r18"), ("unet", None), ("mobilenet", "MobileNetV2"), ("bert", "BERT.base"), ("vit", "ViT.Ti"),
    pytest.param("inception", "InceptionV3", marks=pytest.mark.long),
    pytest.param("detr", "DETR", marks=pytest.mark.long), pytest.param("fcos", "FCOS", marks=pytest.mark.long),
    pytest.param("fcn", "FCN.plain", marks=pytest.mark.long),
])
@pytest.mark.parametrize("which", range(3))
def test_formulas_are_the_numbers(file: str, name: str | None, which: int) -> None:
    from ogive.compiler.cost import memory

    graph = ogive.load(file, name).graph
    sizes = {"B": (1, 3, 8)[which], "H": (224, 320, 416)[which], "W": (224, 256, 608)[which], "N": (64, 100, 7)[which]}
    sizes = {key: size for key, size in sizes.items() if key in graph.free}
    made, room = formulas(graph), memory(graph, sizes)
    assert made.macs is not None and made.params == graph.parameter_count
    assert evaluate(made.macs, sizes) == macs(graph, sizes)
    assert made.inference.at(sizes) == room.forward
    assert made.training.at(sizes) == room.backward


def test_a_set_without_a_formula_is_said() -> None:
    graph = ogive.loads(
        "network Net:\n    input x: B 8 H W\n    qkv = conv(24, 1x1)\n    q, k, v = split(3)\n"
        "    q, k, v -> attend(2, over=sliding(5))\n"
    ).graph
    made = formulas(graph)
    assert made.macs is None and made.without == ("attend",)
    assert made.as_json({"B": 1, "H": 8, "W": 8})["macs"] is None
