"""Predicted times by hand: the slowest of products, functions and traffic, and a launch."""

from __future__ import annotations

import pytest

import ogive
from ogive.compiler.cost import costs, machine_of, tree
from ogive.compiler.cost.clock import TILE, kind_of, seconds
from ogive.compiler.targets import TARGETS
from ogive.dsl.graph import Graph

GPUS = [name for name, target in TARGETS.items() if target.gpu is not None]


def _of(text: str, target: str, precision: str, **sizes: int) -> tuple[Graph, dict[str, float]]:
    graph = ogive.loads(text).graph
    cost = costs(graph, sizes, 4 if precision == "float32" else 2)
    return graph, seconds(graph, cost, sizes, machine_of(target, precision))


@pytest.mark.parametrize("target", GPUS)
def test_a_large_product_takes_its_rate_and_a_small_one_its_traffic(target: str) -> None:
    gpu = TARGETS[target].gpu
    assert gpu is not None
    text = "network Net:\n    input x: B 4096\n    fc = linear(4096, bias=False)\n"
    rows = gpu.sms * TILE  # as many tiles as programs, 32 times
    _, spent = _of(text, target, "bf16", B=rows)
    assert spent["fc"] == pytest.approx(gpu.launch.value + 2 * rows * 4096**2 / gpu.rate("bf16"))
    _, spent = _of(text, target, "bf16", B=1)
    assert spent["fc"] == pytest.approx(gpu.launch.value + 2 * (4096**2 + 2 * 4096) / gpu.bytes_a_second)


def test_the_last_tiles_are_waited_for() -> None:
    gpu = TARGETS["h100"].gpu
    assert gpu is not None
    assert gpu.sms == 12 * 11
    text = f"network Net:\n    input x: B 65536\n    fc = linear({11 * TILE}, bias=False)\n"
    whole, more = (_of(text, "h100", "bf16", B=n)[1]["fc"] - gpu.launch.value for n in (12 * TILE, 12 * TILE + 1))
    assert more == pytest.approx(whole * 2 * 132 / (13 * 11), rel=1e-3)  # 143 tiles take as long as 264


def test_views_take_no_time_and_parts_add_up() -> None:
    graph = ogive.load("vit", "ViT.Ti").graph
    machine = machine_of("cpu")
    spent = seconds(graph, costs(graph, {"B": 1}), {"B": 1}, machine)
    views = [node.id for node in graph if kind_of(node) == "view"]
    assert views and all(spent[name] == 0 for name in views)
    assert all(value >= machine.launch for name, value in spent.items() if name not in views)
    assert tree(graph, machine=machine).seconds == pytest.approx(sum(spent.values()))


def test_functions_count_on_a_processor() -> None:
    text = "network Net:\n    input x: B 1000\n    gelu\n    relu\n"
    _, spent = _of(text, "cpu", "float32", B=1000)
    machine = machine_of("cpu")
    assert spent["gelu"] == pytest.approx(machine.launch + 1e6 / machine.functions)
    assert spent["relu"] == pytest.approx(machine.launch + 8e6 / machine.bandwidth)


@pytest.mark.parametrize(("target", "precision", "code"), [
    ("h1000", "bf16", "A708"), ("auto", "bf16", "A708"), ("h100", "int4", "A742"),
])
def test_what_is_not_there_is_refused(target: str, precision: str, code: str) -> None:
    with pytest.raises(ogive.ArchError, match=code):
        machine_of(target, precision)
