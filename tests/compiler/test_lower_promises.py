"""Every record keeps its word: what it promises of shapes, kinds of elements and weights is what torch gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fakes import B, H, M, N, W, graph_of, grid, ids, image, rows, tokens, vector
from torch.export import Dim

from ogive.compiler.pipeline import compile
from ogive.dsl.dims import evaluate, symbols
from ogive.dsl.graph import Graph
from ogive.dsl.ops import RECORDS
from ogive.dsl.ops.record import Reference, Size
from ogive.dsl.patterns import Causal, Dense
from ogive.dsl.patterns.mechanisms import (
    Channels,
    Kernel,
    Latent,
    Linformer,
    Mixed,
    Nystrom,
    Performer,
    Pooled,
)
from ogive.dsl.patterns.named import Axial, GlobalTokens, Self, Sliding, Window
from ogive.dsl.types import Axis, Role, Segment, Tensor

VALUES = {"B": 3, "C": 12, "H": 12, "W": 8, "N": 10, "M": 7}
KINDS = {"float": torch.float32, "int": torch.int64, "bool": torch.bool}

I = image(B, 12, H, W)  # noqa: E741
I1 = image(B, 12, W)
I3 = image(B, 12, 6, H, W)
T = tokens(B, N, 12)
G = grid(H, W, 12)
P = grid(H, W, 12, prefix=2)
K = grid(4, 6, 12, prefix=1)
V = vector(B, 12)
HEADS = rows((Role.BATCH, B), (Role.HEAD, 3), (Role.POSITION, N), (Role.CHANNEL, 4))
BETWEEN = tokens(B, Axis(Role.POSITION, H * W + 3, (Segment(1, (), "a"), Segment(H * W, (H, W), "p"),
                                                   Segment(2, (), "z"))), 12)
LEARNED = rows((Role.CHANNEL, 12))
ONE = rows((Role.BATCH, 1), (Role.POSITION, 2), (Role.CHANNEL, 12))

BORDERS = ("zero", "edge", "wrap")
K0 = grid(4, 6, 12)
PLACES = I.of("int")
HALF = image(B, 12, H // 2, W // 2)
BOXES = tokens(B, M, 4)
STATE, CHANNELS = vector(B, 5), rows((Role.CHANNEL, 5))
LAYERS = ({}, {"layers": 2, "dropout": 0.3}, {"layers": 2, "bidirectional": True, "init": "xavier"})

COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "min", "max")

Case = tuple[str, tuple[Tensor, ...], dict[str, Any]]

CASES: list[Case] = [
    *[("linear", (x,), {"out": 5}) for x in (I, I3, T, V, HEADS, LEARNED)],
    ("linear", (T,), {"out": 5, "transposed": True, "bias": False}),
    ("linear", (I,), {"out": 5, "transposed": True}),
    ("embedding", (ids(N),), {"n": 9, "dim": 4, "padding": 1}),
    *[("scale", (x,), {}) for x in (I, T, V)],
    ("conv", (I,), {"out": 6}),
    ("conv", (I,), {"out": 6, "size": 7, "stride": 2, "bias": False}),
    ("conv", (I,), {"out": 6, "size": Size((2, 5)), "stride": Size((3, 1)), "groups": 3}),
    ("conv", (I,), {"out": 6, "dilation": 2, "pad_mode": "reflect"}),
    ("conv", (I,), {"out": 6, "pad": Size((0, 3)), "pad_mode": "circular"}),
    ("conv", (I,), {"out": 6, "size": 4, "stride": 3, "pad": "same"}),
    ("conv", (I,), {"out": 6, "size": 3, "pad": "same", "dilation": 2}),
    ("conv", (I,), {"out": 6, "size": 2, "pad": "same", "pad_mode": "replicate"}),
    ("conv", (I1,), {"out": 6, "size": 5, "stride": 2}),
    ("conv", (I3,), {"out": 6, "size": 3}),
    ("transpose_conv", (I,), {"out": 6, "size": 2, "stride": 2}),
    ("transpose_conv", (I,), {"out": 6, "size": 3, "stride": 2, "pad": 1, "output_pad": 1, "groups": 2, "bias": False}),
    ("transpose_conv", (I1,), {"out": 6, "size": 3, "dilation": 2}),
    ("transpose_conv", (I3,), {"out": 6, "size": Size((1, 2, 3))}),
    ("patchify", (I,), {"out": 6, "size": 4}),
    ("patchify", (I,), {"out": 6, "size": 7, "stride": 4, "pad": 3, "norm": RECORDS["layernorm"](eps=1e-6)}),
    ("patchify", (I,), {"out": 6, "size": 2, "bias": False, "norm": RECORDS["batchnorm"]()}),
    ("patchify", (I3,), {"out": 6, "size": Size((2, 4, 4)), "norm": RECORDS["identity"]()}),
    *[(op, (x,), {}) for op in ("batchnorm", "frozen_batchnorm", "layernorm", "rmsnorm") for x in (I, I1, I3, T, V)],
    ("batchnorm", (I,), {"affine": False, "momentum": 0.3}),
    ("layernorm", (T,), {"per_head": 3, "bias": False}),
    ("layernorm", (I,), {"per_head": 2}),
    *[("groupnorm", (x,), {"groups": 4}) for x in (I, I1, T, V)],
    *[("instancenorm", (x,), {"affine": True}) for x in (I, I1, I3)],
    ("instancenorm", (I,), {}),
    *[(op, (T,), {}) for op in ("relu", "relu6", "leaky_relu", "gelu", "quick_gelu", "silu", "hard_swish",
                                "hard_sigmoid", "sigmoid", "tanh", "softplus", "elu", "exp", "log", "sqrt", "sin",
                                "cos", "abs", "identity", "neg", "stop_gradient", "zeros_like")],
    ("softmax", (I,), {}),
    ("softmax", (T,), {"axis": "N"}),
    ("abs", (ids(N),), {}),
    *[("max_pool", (x,), {"size": 3, "stride": 2, "pad": 1}) for x in (I, I1, I3, G)],
    ("max_pool", (I,), {"size": 3, "stride": 2, "ceil": True, "dilation": 2, "indices": True}),
    ("max_pool", (I,), {"size": 3, "stride": 2, "pad": "same"}),
    ("max_pool", (I,), {"size": 3, "stride": 1, "pad": "same"}),
    ("max_pool", (P,), {"size": 2, "prefix": "keep"}),
    ("max_pool", (BETWEEN,), {"size": 2, "prefix": "keep"}),
    *[("avg_pool", (x,), {"size": 2}) for x in (I, I1, I3, G)],
    ("avg_pool", (I,), {"size": 3, "stride": 2, "pad": "same"}),
    ("avg_pool", (I,), {"size": 3, "stride": 1, "pad": "same"}),
    ("avg_pool", (K,), {"size": Size((1, 3)), "prefix": "keep"}),
    *[(op, (x,), {"keep": keep}) for op in ("global_pool", "global_max_pool") for x in (I, I1, T) for keep in (0, 1)],
    *[("adaptive_pool", (x,), {"size": 3, "kind": kind}) for x in (I, I1, I3) for kind in ("mean", "max")],
    *[("upsample", (x,), {"by": 2}) for x in (I, I1, I3)],
    *[("upsample", (x,), {"by": 3, "mode": "bilinear"}) for x in (I, I1, I3)],
    *[("upsample", (x,), {"by": 2, "mode": "nails"}) for x in (I, I1, I3)],
    ("upsample", (I,), {"size": Size((5, 7)), "mode": "bicubic", "corners": True}),
    ("upsample", (I,), {"like": Reference("x", image(B, 3, 2 * H + 1, W // 3)), "mode": "bilinear"}),
    *[(op, (x, I), {}) for op in ("add", "sub", "mul", "div") for x in (I, image(B, 12, 1, 1), V, LEARNED)],
    ("add", (V, G), {}), ("add", (tokens(1, N, 12), T), {}),
    ("mul", (T, rows((Role.BATCH, B), (Role.POSITION, N))), {}),
    ("pow", (T, T), {}), ("add", (ids(N), ids(N)), {}), ("div", (ids(N), ids(N)), {}),
    ("add", (T,), {"number": 2}), ("sub", (T,), {"number": 1, "reverse": True}), ("pow", (T,), {"number": 2}),
    ("mul", (ids(N),), {"number": 2}), ("mul", (ids(N),), {"number": 0.5}), ("pow", (ids(N),), {"number": 2}),
    ("div", (T,), {"number": 2, "reverse": True}), ("pow", (T,), {"number": 2.0, "reverse": True}),
    ("concat", (I, image(B, 3, H, W)), {}), ("concat", (V, vector(B, 3)), {}), ("concat", (ids(N), ids(2)), {}),
    ("concat", (T, tokens(B, 2, 12)), {}), ("concat", (T, T), {"axis": "C"}), ("concat", (ONE, G), {}),
    ("concat", (LEARNED, rows((Role.POSITION, 2), (Role.CHANNEL, 12)), G), {}), ("concat", (ONE, ONE), {}),
    ("concat", (LEARNED, rows((Role.POSITION, 2), (Role.CHANNEL, 12))), {}),
    ("concat", (I, I), {"axis": "H"}),
    ("stack", (V, V, V), {}),
    *[("split", (x,), {"n": 3}) for x in (I, T, V)],
    ("split", (T,), {"n": (2, 10)}), ("split", (T,), {"n": 2, "per_head": 3}),
    ("split", (I,), {"n": (1, 3), "per_head": 3}),
    *[("to_tokens", (x,), {}) for x in (I, I1, I3)], ("to_image", (G,), {}), ("transpose", (T,), {}),
    *[("space_to_depth", (x,), {"n": 2}) for x in (I, I1, I3, G)],
    *[("depth_to_space", (x,), {"n": 2}) for x in (I, I1, image(B, 16, 2, H, W), G)],
    ("channel_shuffle", (I,), {"groups": 3}), ("split_heads", (T,), {"heads": 3}), ("merge_heads", (HEADS,), {}),
    ("drop_prefix", (P,), {}), ("drop_prefix", (K,), {}),
    *[("take", (T,), {"what": what}) for what in (0, 2, -1)], ("take", (ids(N),), {"what": -1}),
    ("take", (T,), {"what": -3, "count": 3}), ("take", (T,), {"what": 1, "count": 2}),
    ("take", (T,), {"what": -3, "count": 2}), ("take", (T,), {"what": 0, "keep": True}),
    *[("take", (BETWEEN,), {"what": Reference(name, V)}) for name in "apz"],
    ("take", (BETWEEN,), {"what": Reference("z", V), "item": -1}),
    ("take", (BETWEEN,), {"what": Reference("p", V), "item": -1}),
    *[("learned", (), {"dims": dims}) for dims in ((), (3,), (1, 5, 4))],
    ("position", (grid(4, 6, 12, prefix=1),), {"size": Size((4, 6)), "prefix": 1}),
    ("position", (grid(4, 6, 12),), {"size": Size((4, 6)), "layout": "grid"}),
    ("position", (G,), {"size": 3, "layout": "grid", "resize": "bicubic"}),
    ("position", (grid(H, W, 12, prefix=1),), {"size": Size((3, 5)), "prefix": 1, "resize": "bicubic"}),
    ("position", (grid(4, 6, 12, prefix=1),), {"size": Size((4, 6)), "prefix": 1, "resize": "bicubic"}),
    *[(op, (), {"dims": dims}) for op in ("zeros", "ones") for dims in ((), (3,), (1, 5, 4))],
    ("slice", (LEARNED,), {"start": 2, "stop": -1}), ("slice", (LEARNED,), {"start": -1, "drop": True}),
    ("slice", (rows((Role.POSITION, 5), (Role.CHANNEL, 12)),), {"stop": 2}),
    ("sine_position", (I,), {}), ("sine_position", (I,), {"normalize": False, "temperature": 20.0}),
    ("coordinates", (I,), {"like": Reference("x0", I)}), ("coordinates", (P,), {"like": Reference("x0", P)}),
    ("offsets", (), {"size": Size((3, 4))}), ("one_row", (rows((Role.POSITION, N), (Role.CHANNEL, 12)),), {}),
    *[("shift", (x,), {"rows": 1, "cols": (1, 0, -2), "border": border}) for x in (I, G) for border in BORDERS],
    *[("pad_grid", (x,), {"n": 5}) for x in (I, I3, G)], ("pad_grid", (K0,), {"n": 2}),
    ("crop_grid", (grid(H + 1, W + 2, 12),), {"like": Reference("x", G)}),
    ("crop_grid", (image(B, 3, H + 1, W + 2),), {"like": Reference("x", I)}),
    ("regrid", (tokens(B, H * W, 12),), {"like": Reference("x", G)}),
    *[(op, (T,), {"hidden": 5, **more}) for op in ("rnn", "gru", "lstm") for more in LAYERS],
    *[(op, (V, h), {"hidden": 5}) for op in ("rnn_cell", "gru_cell") for h in (STATE, vector(1, 5), CHANNELS)],
    ("lstm_cell", (V, STATE, CHANNELS), {"hidden": 5}),
    ("roi_align", (I, BOXES), {"size": Size((3, 2)), "strides": 8}),
    ("roi_align", (I, HALF, BOXES), {"size": 3, "strides": (4, 8), "samples": 1, "aligned": True}),
    ("roi_pool", (I, BOXES), {"size": Size((3, 2)), "strides": 4}),
    ("deform_conv", (I, image(B, 18, H, W)), {"out": 6, "groups": 3}),
    ("deform_conv", (I, image(B, 16, H - 3, W - 1), image(B, 8, H - 3, W - 1)),
     {"out": 6, "size": Size((4, 2)), "pad": 0, "offset_groups": 1, "bias": False}),
    *[("max_unpool", (I, PLACES), {"size": 2, "indices": Reference("x1", PLACES), "like": Reference("x", like)})
      for like in (image(B, 3, 2 * H + 1, 2 * W), image(B, 3, 2 * H, 2 * W))],
    ("conv", (T,), {"out": 6, "size": 3}), ("conv", (T,), {"out": 6, "size": 4, "stride": 2, "groups": 3}),
    ("conv", (I,), {"out": 6, "size": 3, "stride": 2, "pad": "same", "standardize": 1e-6}),
    ("arange", (ids(N),), {}), ("arange", (T,), {}),
    *[("attend", (x,), {"heads": 3}) for x in (I, T, I3)],
    ("attend", (T, tokens(B, M, 12), tokens(B, M, 6)), {"heads": 3, "scale": 1.0, "drop": 0.1}),
    ("attend", (I, tokens(B, M, 12), tokens(B, M, 6)), {"heads": 3}),
    ("attend", (tokens(1, 5, 12), T, T), {"heads": 3}),
    ("attend", (T,), {"heads": 3, "over": Causal()}),
    ("attend", (T,), {"heads": 3, "over": Causal(), "drop": 0.2}),
    ("attend", (tokens(B, M, 12), T, T), {"heads": 3, "over": Causal()}),
    ("attend", (tokens(B, M, 12), T, T), {"heads": 3, "over": Causal(), "drop": 0.2}),
    ("attend", (T,), {"heads": 3, "over": Sliding(3) | GlobalTokens(2), "drop": 0.2}),
    ("attend", (I, T, T), {"heads": 3, "score": "cosine"}), ("attend", (T,), {"heads": 3, "score": "additive"}),
    ("attend", (G,), {"heads": 3, "over": Window(3, 1) | Self()}),
    ("attend", (I3,), {"heads": 3, "over": Axial("time")}),
    *[("attend", (T,), {"heads": 3, "over": over}) for over in (
        Kernel(), Performer(8), Nystrom(4), Pooled(2), Latent(2), Channels(),
        Mixed((Dense(), Kernel("relu"), Causal())),
    )],
    ("attend", (tokens(B, 9, 12),), {"heads": 3, "over": Linformer(2)}),
    ("attend", (tokens(B, M, 12), tokens(B, N, 4), tokens(B, N, 4)), {"heads": 3}),
    ("relative_bias", (), {"heads": 3, "size": Size((4,)), "prefix": 1}), ("t5_bias", (), {"heads": 3}),
    ("head_mix", (), {"heads": 3}), ("alibi", (), {"heads": 3}),
    ("decomposed_relative", (grid(4, 6, 12), *(rows((Role.POSITION, n), (Role.CHANNEL, 4)) for n in (7, 11))),
     {"heads": 3}),
    *[("rope", xs, {"heads": 3, "layout": way}) for xs in ((T,), (T, tokens(B, M, 12))) for way in ("half", "pairs")],
    ("rope", (grid(H, W, 12, prefix=1),), {"heads": 3}),
    *[(op, (x,), {"axis": axis, "keep": keep}) for op in ("sum_over", "mean_over", "max_over", "norm", "argmax")
      for x, axis in ((T, "N"), (I, "C"), (I, "W")) for keep in (False, True)],
    *[(op, (T,), {}) for op in ("sign", "log2", "l2_normalize", "argsort", "cumsum", "sine_code")],
    ("sine_code", (T,), {"layout": "half", "offsets": True}),
    ("relative_shift", (rows((Role.BATCH, B), (Role.HEAD, 3), (Role.POSITION, N), (Role.CHANNEL, 2 * N - 1)),), {}),
    ("l2_normalize", (I,), {"axis": "C"}), ("argsort", (T,), {"axis": "C", "descending": True}),
    ("top_k", (tokens(B, 9, 12),), {"n": 4}), ("top_k", (T,), {"n": 3, "axis": "C"}),
    ("unstack", (tokens(B, 3, 12),), {"axis": "N"}), *[("maxout", (x,), {"n": 3}) for x in (I, T, V)],
    ("gather", (T, ids(M)), {}),
    ("repeat_to", (tokens(1, 1, 12),), {"n": 5}), ("repeat_to", (tokens(B, 1, 12),), {"n": N}),
    *[("subsample", (x,), {"step": Size((2, 3))}) for x in (I, G)],
    *[(op, (T, T), {}) for op in COMPARISONS], *[(op, (I, LEARNED), {"number": None}) for op in COMPARISONS],
    *[(op, (T,), {"number": 0.5, "reverse": True}) for op in COMPARISONS],
    ("min", (ids(N),), {"number": 3}), ("less", (T,), {"number": N}),
    ("where", (T.of("bool"), T, LEARNED), {}), ("masked_fill", (T, T.of("bool")), {"value": 0}),
    ("dot", (T, T), {"letters": (("B", "N", "C"), ("B", "N", "C"))}),
    ("dot", (T, tokens(B, M, 12)), {"letters": (("B", "N", "C"), ("B", "M", "C"))}),
    ("matmul", (HEADS, rows((Role.BATCH, B), (Role.HEAD, 3), (Role.CHANNEL, 4), (Role.POSITION, M))), {}),
    ("rearrange", (G,), {"left": ((("B", B),), (("h", H), ("w", W)), (("C", 12),)),
                         "right": ((("B", B),), (("C", 12),), (("h", H),), (("w", W),))}),
    ("uniform", (T,), {"like": Reference("x0", T)}),
    ("dropout", (T,), {"p": 0.3}), ("drop_path", (T,), {"p": 0.3}), ("drop_path", (I,), {"p": 0.3, "mode": "batch"}),
]


def data(t: Tensor, sizes: dict[str, int]) -> torch.Tensor:
    shape = [evaluate(size, sizes) for size in t.shape]
    if t.dtype == "int":
        return torch.randint(1, 6, shape)
    if t.dtype == "bool":
        return torch.rand(shape) > 0.5
    return torch.rand(shape) + 0.1


def run(graph: Graph, module: torch.nn.Module, sizes: dict[str, int]) -> None:
    """Run the module and hold the results against the promise."""
    results = module(*(data(graph.nodes[id].outputs[0], sizes) for id in graph.inputs))
    results = results if isinstance(results, tuple) else (results,)
    promised = graph.nodes["made"].outputs
    assert len(results) == len(promised)
    for result, t in zip(results, promised, strict=True):
        assert tuple(result.shape) == tuple(evaluate(size, sizes) for size in t.shape)
        assert result.dtype == KINDS[t.dtype]


def _name(case: Case) -> str:
    op, inputs, settings = case
    return f"{RECORDS[op](**_bools(settings))} {', '.join(map(str, inputs))}"


def _bools(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: bool(value) if name == "keep" else value for name, value in settings.items()}


@pytest.mark.parametrize("case", CASES, ids=_name)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_the_promise_is_kept(case: Case, training: bool) -> None:
    op, inputs, settings = case
    graph = graph_of(op, *inputs, **_bools(settings))
    module = compile(graph, debug=True).train(training)
    run(graph, module, VALUES)
    state = module.state_dict()
    assert {k: tuple(v.shape) for k, v in state.items()} == {k: p.weight.shape for k, p in graph.parameters.items()}
    buffers = dict(module.named_buffers()).keys() & state.keys()  # constants are buffers that no state_dict has
    assert {k for k, p in graph.parameters.items() if p.weight.buffer} == buffers


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_one_graph_serves_all_sizes(case: Case) -> None:
    """Compiled once, run at two sizes."""
    op, inputs, settings = case
    graph = graph_of(op, *inputs, **_bools(settings))
    module = compile(graph).eval()
    run(graph, module, VALUES)
    run(graph, module, {**VALUES, "B": 2, "H": 16, "W": 12, "N": 11, "M": 6})


def test_every_record_has_a_case() -> None:
    assert {op for op, _, _ in CASES} == set(RECORDS)


UNROLLED = dict.fromkeys(("rnn", "gru", "lstm"), (1,))
"""Axes that torch.export itself fixes: it writes a recurrence out, step by step."""


@pytest.mark.long
@pytest.mark.parametrize("case", [case for case in CASES if case[1]], ids=_name)
def test_torch_exports_it_with_free_sizes(case: Case) -> None:
    """No lowering fixes a size that the language leaves free."""
    op, inputs, settings = case
    graph = graph_of(op, *inputs, **_bools(settings))
    types = [graph.nodes[id].outputs[0] for id in graph.inputs]
    kept = UNROLLED.get(op, ())
    free = tuple({i: Dim.DYNAMIC for i, size in enumerate(t.shape) if symbols(size) and i not in kept} for t in types)
    xs = tuple(data(t, VALUES) for t in types)
    program = torch.export.export(compile(graph).eval(), xs, dynamic_shapes=free, strict=False)
    placed = [n.meta["val"] for n in program.graph.nodes if n.op == "placeholder"][-len(xs) :]
    for value, axes in zip(placed, free, strict=True):
        assert not any(isinstance(value.shape[i], int) for i in axes)
