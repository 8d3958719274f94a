"""Networks that are right by construction (`hostile/generator.py`): what must be so of each of them."""

from __future__ import annotations

import re

import pytest
from hostile.generator import Made, network
from hypothesis import given, settings
from hypothesis import strategies as st

import ogive
from ogive.dsl.build import build
from ogive.dsl.check import check
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.format import format_text
from ogive.dsl.graph import Graph
from ogive.dsl.load import load_text
from ogive.dsl.parse import parse
from ogive.dsl.source import Source

SEEDS = st.integers(0, 2**32)


def graph_of(made: Made) -> Graph:
    return build(load_text(made.text, "made.arch"), made.name).graph


def sizes(shape: object) -> tuple[int, ...]:
    """`B 4 (8 16)` as the numbers behind the batch."""
    axes = getattr(shape, "axes")  # noqa: B009
    return tuple(axis.size for axis in axes[1:])


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_it_checks_and_has_its_shapes(seed: int) -> None:
    made = network(seed)
    report = check(load_text(made.text, "made.arch"))
    assert report.ok, f"{made.text}\n{report.mistakes[0].render()}"
    graph = graph_of(made)
    assert [sizes(graph.tensor(edge)) for _, edge in graph.outputs] == [made.result], made.text
    by_title = {node.name: node for node in graph.nodes.values()}
    for name, numbers in made.named.items():
        if name in by_title:
            assert sizes(by_title[name].outputs[0]) == numbers, f"{name} in\n{made.text}"


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_its_text_is_kept_by_the_formatter(seed: int) -> None:
    made = network(seed)
    once = format_text(Source("made.arch", made.text))
    assert format_text(Source("made.arch", once)) == once
    assert parse(Source("a", once)).definitions == parse(Source("b", made.text)).definitions


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.integers(0, 10**6), st.integers(1, 3))
def test_a_wrong_promise_is_met_at_its_line(seed: int, which: int, more: int) -> None:
    made = network(seed)
    reached = [(line, numbers) for line, numbers in made.promises if _reached(made, line)]
    if not reached or made.solved:
        return
    number, _ = reached[which % len(reached)]
    lines = made.text.split("\n")
    before, _, promise = lines[number - 1].rpartition(" : ")
    wrong = re.sub(r"(\d+)(\)?)$", lambda m: f"{int(m[1]) + more}{m[2]}", promise)
    assert wrong != promise
    lines[number - 1] = f"{before} : {wrong}"
    with pytest.raises(ArchError) as error:
        build(load_text("\n".join(lines), "made.arch"), made.name)
    assert {(d.code, d.span.line) for d in error.value.diagnostics if d.span} == {("A202", number)}


def _reached(made: Made, line: int) -> bool:
    """Lines in the body of the network are run; those of an `if` not taken carry no promise."""
    start = next(i for i, text in enumerate(made.text.split("\n"), 1) if text.startswith("network N"))
    return line > start


@pytest.mark.parametrize("seed", range(24))
def test_it_runs_forward_to_its_shapes(seed: int) -> None:
    torch = pytest.importorskip("torch")
    made = network(seed, lines=8)
    module = ogive.compile(ogive.loads(made.text, made.name))
    with torch.no_grad():
        result = module.eval()(torch.randn(2, *made.input))
    assert tuple(result.shape) == (2, *made.result), made.text


def test_the_generator_writes_all_it_can() -> None:
    """A generator that stopped writing half of its lines would leave the tests above green."""
    text = "\n".join(network(seed).text for seed in range(200))
    for word in ("residual:", "repeat ", "if width", "else:", "presets", "attend(", "concat", "append:", "to_tokens",
                 "to_image", "global_pool", "split(2)", "Keep", "Widen", "Mix", "network D", "assert", "layernorm",
                 "-> Both", "-> Maybe", "with v", "scan v", "emit ", "if training:", "if extra:", "extra or x",
                 "over=v", "bias=v", "close", "linformer", "kernel(", "per_head(", "rearrange", "-> dot", "matmul",
                 "weight=v", "conv(?", "[1:]", "reversed("):
        assert word in text, word
    assert sum(len(network(seed).promises) for seed in range(200)) > 800
