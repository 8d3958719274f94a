"""The same kinds of mistakes in a peer's format: MLnode 1.1.0 (`pip install mlnode==1.1.0`), networks as JSON.

Two small networks, a residual convolutional one and a transformer block, stand here in both languages. MLnode has no
figures to hold a network to; so ours are planted in twice, without a table of figures and with one. Of MLnode *caught*
is what `from_dict` and `validate` refuse, *place* an error that names the changed node, *help* one that has the word or
number that was there, *late* what only building with torch refuses. *Leaked* is accepted and another network, whether
or not it could have been meant.
"""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from _plant import Fault, plant, typo

from ogive.dsl.check import check
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.digest import digest, same
from ogive.dsl.load import load_text

__all__ = ["peer_table"]

VERSION = "1.1.0"
KINDS = (
    "a number in a line", "heads do not divide", "an op misspelt", "a setting misspelt", "a reference misspelt",
    "another source", "a source dropped", "a setting dropped", "a line dropped", "two lines swapped",
    "a bracket dropped", "a sign dropped",
)
COLUMNS = ("planted", "caught", "place", "help", "late", "harmless", "leaked")

ARCH = (
    """network Residual:
    input image: B 3 H=32 W=32
    conv1 = conv(16, 3, stride=1, pad=1)
    bn1   = batchnorm
    relu1 = relu
    conv2 = conv(32, 3, stride=2, pad=1)
    bn2   = batchnorm
    relu2 = relu
    conv3 = conv(32, 3, stride=1, pad=1)
    bn3   = batchnorm
    bn3 + relu2
    relu3 = relu
    pool  = global_pool
    fc    = linear(10)
""",
    """network Transformer:
    input x: B 16 C=64
    norm1 = layernorm
    q     = linear(64)
    k     = norm1 -> linear(64)
    v     = norm1 -> linear(64)
    core  = q, k, v -> attend(heads=4)
    attn  = linear(64)
    add1  = attn + x
    norm2 = layernorm
    fc1   = linear(128)
    act   = gelu
    fc2   = linear(64)
    add2  = fc2 + add1
    head  = linear(10)
""",
)


def _graph(shape: list[Any], nodes: dict[str, tuple[str, dict[str, Any]]], edges: list[str]) -> dict[str, Any]:
    """MLnode's JSON from a short form: node -> (type, params), and "a b" for an edge."""
    return {
        "mlnode_schema_version": "1.0", "input_shape": shape, "output_node": list(nodes)[-1],
        "nodes": [{"id": name, "type": kind, "params": params} for name, (kind, params) in nodes.items()],
        "edges": [dict(zip(("source", "target"), edge.split(), strict=True)) for edge in edges],
    }


def _chain(*names: str) -> list[str]:
    return [f"{a} {b}" for a, b in pairwise(names)]


def _conv(inside: int, out: int, stride: int) -> tuple[str, dict[str, Any]]:
    return "Conv2d", {"in_channels": inside, "out_channels": out, "kernel_size": 3, "stride": stride, "padding": 1}


def _linear(inside: int, out: int) -> tuple[str, dict[str, Any]]:
    return "Linear", {"in_features": inside, "out_features": out}


GRAPHS = (
    _graph(["B", 3, 32, 32], {
        "image": ("Input", {}),
        "conv1": _conv(3, 16, 1), "bn1": ("BatchNorm2d", {"num_features": 16}), "relu1": ("ReLU", {}),
        "conv2": _conv(16, 32, 2), "bn2": ("BatchNorm2d", {"num_features": 32}), "relu2": ("ReLU", {}),
        "conv3": _conv(32, 32, 1), "bn3": ("BatchNorm2d", {"num_features": 32}), "add": ("Add", {}),
        "relu3": ("ReLU", {}), "pool": ("AdaptiveAvgPool2d", {"output_size": 1}), "flat": ("Flatten", {"start_dim": 1}),
        "fc": _linear(32, 10),
    }, [*_chain("image", "conv1", "bn1", "relu1", "conv2", "bn2", "relu2", "conv3", "bn3", "add", "relu3", "pool",
                "flat", "fc"), "relu2 add"]),
    _graph(["B", 16, 64], {
        "x": ("Input", {}), "norm1": ("LayerNorm", {"normalized_shape": 64}),
        "attn": ("MultiheadAttention", {"embed_dim": 64, "num_heads": 4, "batch_first": True}), "add1": ("Add", {}),
        "norm2": ("LayerNorm", {"normalized_shape": 64}), "fc1": _linear(64, 128), "act": ("GELU", {}),
        "fc2": _linear(128, 64), "add2": ("Add", {}), "head": _linear(64, 10),
    }, [*_chain("x", "norm1", "attn", "add1", "norm2", "fc1", "act", "fc2", "add2", "head"), "x add1", "add1 add2"]),
)


@dataclass(frozen=True)
class Json:
    """One fault in a graph: the text, the nodes it touches, and words that name what was there."""

    kind: str
    text: str
    nodes: tuple[str, ...]
    words: tuple[str, ...]


def _planted(graph: dict[str, Any], rng: random.Random) -> Iterator[Json]:
    def changed(kind: str, nodes: tuple[str, ...], words: tuple[str, ...], other: dict[str, Any]) -> Json:
        return Json(kind, json.dumps(other), nodes, words)

    for i, node in enumerate(graph["nodes"]):
        name, params = node["id"], node["params"]
        for key, value in params.items():
            if type(value) is int:
                wrong = (5, 7, 11, 13) if key == "num_heads" else (value + 1, value * 2)
                for number in wrong:
                    other = copy.deepcopy(graph)
                    other["nodes"][i]["params"][key] = number
                    kind = "heads do not divide" if key == "num_heads" else "a number in a line"
                    yield changed(kind, (name,), (str(value),), other)
            other = copy.deepcopy(graph)
            other["nodes"][i]["params"] = {(typo(k, rng) if k == key else k): v for k, v in params.items()}
            yield changed("a setting misspelt", (name,), (key,), other)
            other = copy.deepcopy(graph)
            del other["nodes"][i]["params"][key]
            yield changed("a setting dropped", (name,), (key,), other)
        for _ in range(2):
            other = copy.deepcopy(graph)
            other["nodes"][i]["type"] = typo(node["type"], rng)
            yield changed("an op misspelt", (name,), (node["type"],), other)
        if 0 < i < len(graph["nodes"]) - 1:
            yield changed("a line dropped", _beside(graph, name), (name, node["type"]), _without(graph, name))
        if 0 < i < len(graph["nodes"]) - 2:
            other, after = copy.deepcopy(graph), graph["nodes"][i + 1]
            for key in ("type", "params"):
                other["nodes"][i][key], other["nodes"][i + 1][key] = after[key], node[key]
            yield changed("two lines swapped", (name, after["id"]), (name, after["id"]), other)
    names = [node["id"] for node in graph["nodes"]]
    for i, edge in enumerate(graph["edges"]):
        both = (edge["source"], edge["target"])
        other = copy.deepcopy(graph)
        other["edges"][i]["source"] = typo(edge["source"], rng)
        yield changed("a reference misspelt", (edge["target"],), (edge["source"],), other)
        other = copy.deepcopy(graph)
        del other["edges"][i]
        yield changed("a source dropped", both, (edge["source"],), other)
        for source in rng.sample([n for n in names if n not in both], 3):
            other = copy.deepcopy(graph)
            other["edges"][i]["source"] = source
            yield changed("another source", (source, edge["target"]), (edge["source"], source), other)
    text = json.dumps(graph)
    for kind, signs in (("a bracket dropped", "[]{}"), ("a sign dropped", ":,")):
        for i in rng.sample([i for i, c in enumerate(text) if c in signs], 20):
            yield Json(kind, text[:i] + text[i + 1 :], (), (text[i],))


def _beside(graph: dict[str, Any], name: str) -> tuple[str, ...]:
    return tuple({n for e in graph["edges"] if name in e.values() for n in e.values()})


def _without(graph: dict[str, Any], name: str) -> dict[str, Any]:
    """The graph with a node bridged, as when a line of a chain is gone."""
    other = copy.deepcopy(graph)
    before = next((e["source"] for e in graph["edges"] if e["target"] == name), name)
    other["nodes"] = [n for n in other["nodes"] if n["id"] != name]
    other["edges"] = [
        {"source": before if e["source"] == name else e["source"], "target": e["target"]}
        for e in graph["edges"] if e["target"] != name
    ]
    return other


# ------------------------------------------------------------------------------------------------ judging
def _judged(fault: Json, plain: tuple[str, object]) -> Counter[str]:
    from mlnode import MLnodeModel

    found = Counter(planted=1)
    try:
        model = MLnodeModel.from_dict(json.loads(fault.text))
        errors = [(e.node_id or "", e.message) for e in model.validate().errors]
    except Exception as error:
        errors = [(getattr(error, "node_id", None) or "", f"{type(error).__name__}: {error}")]
    if errors:
        where = isinstance(fault.nodes, tuple) and not fault.nodes and any("line 1" in m for _, m in errors)
        found["caught"] += 1
        found["place"] += where or any(n in (node, *message.replace("'", " ").split()) for node, message in errors
                                       for n in fault.nodes)
        found["help"] += any(word in message for _, message in errors for word in fault.words)
        return found
    try:
        module = model.build()
    except Exception:
        found["late"] += 1
        return found
    same_network = _shown(json.loads(fault.text), module) == plain
    found["harmless" if same_network else "leaked"] += 1
    return found


def _shown(graph: dict[str, Any], module: object) -> tuple[str, object]:
    """A network as MLnode built it: its modules with all settings, and its edges."""
    return repr(module), sorted(map(str, (sorted(e.items()) for e in graph["edges"])))


def _ours(fault: Fault, text: str) -> Counter[str]:
    found = Counter(planted=1)
    old = check(load_text(text, fault.file))
    try:
        new = check(load_text(fault.text, fault.file))
        said = [*new.mistakes, *new.warnings]
    except ArchError as error:
        new, said = None, list(error.diagnostics)
    if said:
        lines = {x.line for d in said for x in (d.span, *(label.span for label in d.labels)) if x is not None}
        labels = " ".join(x.text for d in said for x in d.labels)
        words = " ".join(w for d in said for w in (d.title, d.label, labels, *d.notes, d.help or ""))
        found["caught"] += 1
        found["place"] += bool(lines & fault.lines)
        found["help"] += any(word in words for word in fault.words)
        return found
    assert new is not None
    equal = old.built.keys() == new.built.keys() and all(
        same(old.built[n].graph, new.built[n].graph) for n in old.built)
    found["harmless" if equal else "leaked"] += 1
    return found


def _planted_here(texts: Sequence[str]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for i, text in enumerate(texts):
        report = check(load_text(text, f"peer{i}.arch"))
        if not report.ok or report.warnings:
            raise SystemExit("\n".join(d.render() for d in (*report.mistakes, *report.warnings)))
        for fault in plant(f"peer{i}.arch", text, 0, 40):
            if fault.kind in found:
                found[fault.kind] += _ours(fault, text)
    return found


def _with_figures(text: str) -> str:
    """The network with an `expect` table, as a library file has one."""
    (built,) = check(load_text(text)).built.values()
    header, body = text.split("\n", 1)
    table = f'    expect  params  digest:\n        -   {built.graph.parameter_count}   "{digest(built.graph)}"\n'
    return f"{header}\n{table}\n{body}"


def peer_table() -> None:
    """Print the same kinds for MLnode and for these two networks here; a line that says so where it is missing."""
    try:
        import mlnode
    except ImportError:
        print(f"mlnode is not installed: pip install mlnode=={VERSION}")
        return
    theirs: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    rng = random.Random(0)
    for graph in GRAPHS:
        model = mlnode.MLnodeModel.from_dict(graph)
        found = model.validate()
        if not found.valid:
            raise SystemExit(f"MLnode refuses the network as it is: {[e.message for e in found.errors]}")
        plain = _shown(graph, model.build())
        for fault in _planted(graph, rng):
            theirs[fault.kind] += _judged(fault, plain)
    plain = _planted_here(ARCH)
    claimed = _planted_here([_with_figures(text) for text in ARCH])
    for title, table in (("mlnode " + VERSION, theirs), ("ogive, no figures", plain), ("ogive, expect", claimed)):
        print(f"\n{title:<24}" + "".join(f"{c:>9}" for c in COLUMNS))
        for kind, row in {**table, "all": sum(table.values(), Counter())}.items():
            print(f"{kind:<24}" + "".join(f"{row[c]:>9,}" for c in COLUMNS))
