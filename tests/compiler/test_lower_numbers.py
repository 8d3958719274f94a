"""What the lowerings compute, against torch written out by hand and the worked examples of textbooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fakes import B, H, M, N, W, graph_of, grid, ids, image, rows, tokens, vector
from torch import nn

from ogive.compiler.lower.modules import SamePad
from ogive.compiler.pipeline import compile
from ogive.dsl.graph import Given, Parameter
from ogive.dsl.ops import RECORDS
from ogive.dsl.ops.record import Reference, Size
from ogive.dsl.patterns import Causal
from ogive.dsl.types import Axis, Role, Segment, Tensor

I = image(B, 12, H, W)  # noqa: E741
T = tokens(B, N, 12)
K = grid(4, 6, 12, prefix=1)
X = torch.randn(3, 12, 8, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
Y = torch.randn(3, 25, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
IDS = torch.tensor([[3, 1, 4], [1, 5, 9]])


def build(op: str, *inputs: Tensor, training: bool = False, **settings: Any) -> Any:
    """The compiled op, in float64, its weights drawn at random."""
    module = compile(graph_of(op, *inputs, **settings), dtype=torch.float64).train(training)
    generator = torch.Generator().manual_seed(3)
    for tensor in [*module.parameters(), *module.buffers()]:
        if tensor.is_floating_point():
            tensor.data = torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.1
    return module


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def table(text: str) -> torch.Tensor:
    """`1 2 / 3 4` as an image of one channel."""
    return torch.tensor([[float(n) for n in row.split()] for row in text.split("/")], dtype=torch.float64)[None, None]


# ------------------------------------------------------------------------------------------------ worked examples


def test_transpose_convolution_sums_overlaps() -> None:
    module = compile(graph_of("transpose_conv", image(1, 1, 2), out=1, size=3, stride=2, bias=False))
    module.made.weight.data = torch.tensor([[[1.0, 10.0, 100.0]]])
    assert module(torch.tensor([[[2.0, 3.0]]])).flatten().tolist() == [2, 20, 203, 30, 300]


@pytest.mark.parametrize(
    ("more", "wanted"),
    [(1, "1 3 2 2 / 4 10 6 6 / 3 7 4 4 / 3 7 4 4"), (0, None)],
)
def test_transpose_convolution_of_four_pixels(more: int, wanted: str | None) -> None:
    graph = graph_of("transpose_conv", image(1, 1, 2, 2), out=1, size=3, stride=2, pad=1, output_pad=more, bias=False)
    module = compile(graph, dtype=torch.float64)
    module.made.weight.data.fill_(1)
    found = module(table("1 2 / 3 4"))
    if wanted is None:
        assert found.shape == (1, 1, 3, 3)
    else:
        close(found, table(wanted))


@pytest.mark.parametrize(("stride", "wanted"), [(1, "4 6 6 4/6 9 9 6/6 9 9 6/4 6 6 4"), (2, "4 6 / 6 9")])
def test_the_convolutions_it_mirrors(stride: int, wanted: str) -> None:
    module = compile(graph_of("conv", image(1, 1, 4, 4), out=1, stride=stride, bias=False), dtype=torch.float64)
    module.made.weight.data.fill_(1)
    close(module(torch.ones(1, 1, 4, 4, dtype=torch.float64)), table(wanted))


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [
        ("nearest", "1 1 2 2 / 1 1 2 2 / 3 3 4 4 / 3 3 4 4"),
        ("bilinear", "1 1.25 1.75 2 / 1.5 1.75 2.25 2.5 / 2.5 2.75 3.25 3.5 / 3 3.25 3.75 4"),
        ("nails", "1 0 2 0 / 0 0 0 0 / 3 0 4 0 / 0 0 0 0"),
    ],
)
def test_upsampling_of_four_pixels(mode: str, wanted: str) -> None:
    close(build("upsample", image(1, 1, 2, 2), by=2, mode=mode)(table("1 2 / 3 4")), table(wanted))


def test_max_pooling_with_places() -> None:
    module = build("max_pool", image(1, 1, 4, 4), size=2, indices=True)
    values, places = module(table("1 2 6 3 / 3 5 2 1 / 1 2 2 1 / 7 3 4 8"))
    close(values, table("5 6 / 7 8"))
    assert places.flatten().tolist() == [5, 2, 12, 15]
    close(F.max_unpool2d(table("1 2 / 3 4"), places, 2), table("0 0 2 0 / 0 1 0 0 / 0 0 0 0 / 3 0 0 4"))


def test_softmax_of_the_lecture() -> None:
    for score, wanted in [(5.65, [0.00703, 0.99297]), (8.48, [0.00042, 0.99958])]:
        found = build("softmax", vector(1, 2))(torch.tensor([[0.7, score]]))
        assert [round(float(p), 5) for p in found[0]] == wanted


def test_attention_of_two_patches() -> None:
    x = torch.tensor([[[2.0, 2.0], [0.0, 4.0]]], dtype=torch.float64)
    found = build("attend", tokens(1, 2, 2), heads=1)(x)
    assert [[round(float(n), 4) for n in row] for row in found[0]] == [[1.0, 3.0], [0.007, 3.993]]


def test_given_queries_on_three_inputs() -> None:
    """4 queries on 3 inputs: the answer has a row per query and the width of the values."""
    q, k, v = torch.rand(1, 4, 2), torch.rand(1, 3, 2), torch.rand(1, 3, 5)
    found = build("attend", tokens(1, 4, 2), tokens(1, 3, 2), tokens(1, 3, 5), heads=1)(q, k, v)
    torch.testing.assert_close(found, torch.softmax(q @ k.transpose(1, 2) / 2**0.5, -1) @ v)


# ------------------------------------------------------------------------------------------------ weights


def test_linear() -> None:
    module = build("linear", I, out=5)
    close(module(X), torch.einsum("bchw,oc->bohw", X, module.made.weight) + module.made.bias[:, None, None])
    module = build("linear", T, out=5, transposed=True)
    close(module(Y), Y @ module.made.weight + module.made.bias)


def test_embedding_and_scale() -> None:
    module = build("embedding", ids(N), n=10, dim=4, padding=1)
    close(module(IDS), module.made.weight[IDS])
    module = build("scale", I)
    close(module(X), X * module.made[:, None, None])
    module = build("scale", T)
    close(module(Y), Y * module.made)


CONVS = [
    ({"size": 7, "stride": 2}, {"stride": 2, "padding": 3}),
    ({"dilation": 2, "groups": 3}, {"dilation": 2, "padding": 2, "groups": 3}),
    ({"size": 2}, {}),
    ({"size": Size((2, 5)), "stride": Size((3, 1))}, {"stride": (3, 1), "padding": (0, 2)}),
    ({"pad": Size((0, 3))}, {"padding": (0, 3)}),
    ({"pad": "same"}, {"padding": "same"}),
    ({"size": 4, "pad": "same", "dilation": 2}, {"padding": "same", "dilation": 2}),
]


@pytest.mark.parametrize(("settings", "wanted"), CONVS, ids=str)
def test_conv(settings: dict[str, Any], wanted: dict[str, Any]) -> None:
    module = build("conv", I, out=6, **settings)
    close(module(X), F.conv2d(X, module.made.weight, module.made.bias, **wanted))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_conv_pads_with_what_is_there(mode: str) -> None:
    module = build("conv", I, out=6, size=Size((3, 5)), pad_mode=mode)
    padded = F.pad(X, (2, 2, 1, 1), mode)
    close(module(X), F.conv2d(padded, module.made.weight, module.made.bias))


@pytest.mark.parametrize("n", range(5, 12))
@pytest.mark.parametrize(("k", "s", "d"), [(3, 2, 1), (4, 3, 1), (2, 2, 1), (1, 2, 1), (3, 2, 2), (5, 1, 1)])
def test_same_padding_is_tensorflows(n: int, k: int, s: int, d: int) -> None:
    total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
    x = torch.rand(1, 1, n)
    padded = SamePad((k,), (s,), (d,))(x)
    assert padded.shape[-1] == n + total
    assert torch.equal(padded[..., total // 2 : total // 2 + n], x)
    module = build("conv", image(1, 1, n), out=1, size=k, stride=s, dilation=d, pad="same")
    assert module(x.double()).shape[-1] == -(-n // s)


def test_transpose_conv() -> None:
    module = build("transpose_conv", I, out=6, size=3, stride=2, pad=1, output_pad=1, groups=2, dilation=2)
    wanted = F.conv_transpose2d(X, module.made.weight, module.made.bias, 2, 1, 1, 2, 2)
    close(module(X), wanted)


def test_patchify_is_a_convolution_then_tokens_then_a_norm() -> None:
    module = build("patchify", I, out=6, size=2, norm=RECORDS["layernorm"](eps=1e-3))
    own = module.made
    wanted = F.conv2d(X, own.proj.weight, own.proj.bias, 2).flatten(2).transpose(1, 2)
    close(module(X), F.layer_norm(wanted, (6,), own.norm.weight, own.norm.bias, 1e-3))


@pytest.mark.parametrize(("t", "x"), [(I, X), (T, Y), (vector(B, 12), Y[:, 0])], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_batchnorm(t: Tensor, x: torch.Tensor, training: bool) -> None:
    module = build("batchnorm", t, training=training, eps=1e-3)
    own, place = module.made, 2 if t is T else 1
    mean, var = own.running_mean.clone(), own.running_var.clone()
    found = module(x)
    if training:
        axes = tuple(i for i in range(x.ndim) if i != place)
        near, wide = x.mean(axes), x.var(axes)
        close(own.running_mean, 0.9 * mean + 0.1 * near)
        close(own.running_var, 0.9 * var + 0.1 * wide)
        mean, var = near, x.var(axes, correction=0)
        assert own.num_batches_tracked == 1
    shape = [-1 if i == place else 1 for i in range(x.ndim)]
    parts = [n.reshape(shape) for n in (mean, (var + 1e-3).sqrt(), own.weight, own.bias)]
    close(found, (x - parts[0]) / parts[1] * parts[2] + parts[3])


def test_frozen_batchnorm_stands_still() -> None:
    module = build("frozen_batchnorm", I, training=True)
    own, before = module.made, {k: v.clone() for k, v in module.state_dict().items()}
    close(module(X), F.batch_norm(X, own.running_mean, own.running_var, own.weight, own.bias))
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


def test_layernorm_on_any_layout() -> None:
    module = build("layernorm", I, eps=1e-3)
    wanted = F.layer_norm(X.permute(0, 2, 3, 1), (12,), module.made.weight, module.made.bias, 1e-3)
    close(module(X), wanted.permute(0, 3, 1, 2))
    module = build("layernorm", T, per_head=3)
    heads = F.layer_norm(Y.reshape(3, 25, 3, 4), (4,), module.made.weight, module.made.bias)
    close(module(Y), heads.reshape(3, 25, 12))
    module = build("rmsnorm", T)
    close(module(Y), Y / (Y.square().mean(-1, keepdim=True) + 1e-6).sqrt() * module.made.weight)


def test_groupnorm_and_instancenorm() -> None:
    module = build("groupnorm", I, groups=4)
    close(module(X), F.group_norm(X, 4, module.made.weight, module.made.bias))
    module = build("groupnorm", T, groups=4)
    wanted = F.group_norm(Y.transpose(1, 2), 4, module.made.weight, module.made.bias)
    close(module(Y), wanted.transpose(1, 2))
    module = build("instancenorm", I, affine=True)
    close(module(X), F.instance_norm(X, weight=module.made.weight, bias=module.made.bias))


SUPPLIED: list[tuple[str, Tensor, dict[str, Any], dict[str, tuple[int, ...]], Callable[..., torch.Tensor]]] = [
    ("linear", T, {"out": 5}, {"weight": (5, 12), "bias": (5,)}, lambda x, w, b: F.linear(x, w, b)),
    ("linear", I, {"out": 5}, {"weight": (5, 12), "bias": (5,)}, lambda x, w, b: F.conv2d(x, w[..., None, None], b)),
    ("linear", T, {"out": 5, "transposed": True}, {"weight": (12, 5), "bias": (5,)}, lambda x, w, b: x @ w + b),
    ("linear", T, {"out": 5, "bias": False}, {"weight": (5, 12)}, lambda x, w: F.linear(x, w)),
    ("embedding", ids(N), {"n": 10, "dim": 4}, {"weight": (10, 4)}, lambda x, w: w[x]),
    ("conv", I, {"out": 6, "groups": 2}, {"weight": (6, 6, 3, 3), "bias": (6,)},
     lambda x, w, b: F.conv2d(x, w, b, padding=1, groups=2)),
    ("conv", I, {"out": 6, "size": Size((3, 5)), "pad_mode": "circular"}, {"weight": (6, 12, 3, 5), "bias": (6,)},
     lambda x, w, b: F.conv2d(F.pad(x, (2, 2, 1, 1), "circular"), w, b)),
    ("transpose_conv", I, {"out": 6, "size": 2, "stride": 2}, {"weight": (12, 6, 2, 2), "bias": (6,)},
     lambda x, w, b: F.conv_transpose2d(x, w, b, 2)),
    ("layernorm", T, {}, {"weight": (12,), "bias": (12,)}, lambda x, w, b: F.layer_norm(x, (12,), w, b)),
    ("rmsnorm", T, {"eps": 1e-5}, {"weight": (12,)}, lambda x, w: F.rms_norm(x, (12,), w, 1e-5)),
    ("groupnorm", I, {"groups": 3}, {"weight": (12,), "bias": (12,)}, lambda x, w, b: F.group_norm(x, 3, w, b)),
]


NAMES = [f"{op} {t} {settings}" for op, t, settings, _, _ in SUPPLIED]


@pytest.mark.parametrize(("op", "t", "settings", "shapes", "wanted"), SUPPLIED, ids=NAMES)
def test_supplied_weights(
    op: str, t: Tensor, settings: dict[str, Any], shapes: dict[str, tuple[int, ...]], wanted: Callable[..., Any]
) -> None:
    roles = {name: rows(*((Role.OTHER, n) for n in shape)) for name, shape in shapes.items()}
    module = compile(graph_of(op, t, given=roles, **settings), dtype=torch.float64)
    assert module.state_dict() == {}
    given = [torch.randn(shape, dtype=torch.float64) for shape in shapes.values()]
    x = IDS if op == "embedding" else X if t is I else Y
    close(module(x, *given), wanted(x, *given))


def test_a_supplied_weight_beside_an_own_bias() -> None:
    graph = graph_of("linear", T, given={"weight": rows((Role.OTHER, 5), (Role.OTHER, 12))}, out=5)
    module = compile(graph, dtype=torch.float64)
    assert list(module.state_dict()) == ["made.bias"]
    weight = torch.randn(5, 12, dtype=torch.float64)
    close(module(Y, weight), F.linear(Y, weight, module.made.bias))


def test_a_tied_weight_is_one_storage() -> None:
    graph = graph_of("linear", T, out=12, bias=False)
    node = graph.nodes["made"]
    own = RECORDS["linear"](out=12, bias=False).weights(_Nowhere(), T)
    changed = dict(graph.nodes)
    changed["made"] = _with(node, own=(), given={"weight": Given(key="table")}, key="head")
    table_ = Parameter("table", own[0], "made", node.span)
    parameters = {"table": table_, "head.weight": Parameter("head.weight", own[0], "made", node.span, tied="table")}
    module = compile(_with(graph, nodes=changed, parameters=parameters))
    assert list(module.state_dict()) == ["table", "head.weight"]
    assert module.head.weight is module.table
    assert isinstance(module.head, nn.Linear)


class _Nowhere:
    node = "made"

    def number(self, size: Any, what: str) -> Any:
        return size


def _with(thing: Any, **changes: Any) -> Any:
    fields = {name: getattr(thing, name) for name in thing.__dataclass_fields__}
    return type(thing)(**{**fields, **changes})


# ------------------------------------------------------------------------------------------------ functions

FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": lambda x: x.clamp(min=0),
    "relu6": lambda x: x.clamp(0, 6),
    "leaky_relu": lambda x: torch.where(x > 0, x, 0.01 * x),
    "gelu": lambda x: x * (1 + torch.erf(x / 2**0.5)) / 2,
    "quick_gelu": lambda x: x / (1 + torch.exp(-1.702 * x)),
    "silu": lambda x: x / (1 + torch.exp(-x)),
    "hard_swish": lambda x: x * (x + 3).clamp(0, 6) / 6,
    "hard_sigmoid": lambda x: (x + 3).clamp(0, 6) / 6,
    "sigmoid": lambda x: 1 / (1 + torch.exp(-x)),
    "tanh": lambda x: torch.tanh(x),
    "softplus": lambda x: torch.log1p(torch.exp(x)),
    "elu": lambda x: torch.where(x > 0, x, torch.exp(x) - 1),
    "softmax": lambda x: torch.exp(x) / torch.exp(x).sum(-1, keepdim=True),
    "exp": torch.exp,
    "abs": torch.abs,
    "sin": torch.sin,
    "cos": torch.cos,
    "neg": lambda x: 0 - x,
    "identity": lambda x: x,
    "stop_gradient": lambda x: x,
    "zeros_like": lambda x: 0 * x,
}


@pytest.mark.parametrize("op", FUNCTIONS)
def test_functions(op: str) -> None:
    close(build(op, T)(4 * Y), FUNCTIONS[op](4 * Y))


def test_functions_of_what_is_positive() -> None:
    x = Y.abs() + 0.1
    close(build("log", T)(x), torch.log(x))
    close(build("sqrt", T)(x), x**0.5)


def test_functions_with_settings() -> None:
    tanh = torch.tanh((2 / torch.pi) ** 0.5 * (Y + 0.044715 * Y**3))
    close(build("gelu", T, approximate=True)(Y), Y * (1 + tanh) / 2)
    close(build("leaky_relu", T, slope=0.2)(Y), torch.where(Y > 0, Y, 0.2 * Y))
    close(build("elu", T, alpha=0.5)(Y), torch.where(Y > 0, Y, 0.5 * (torch.exp(Y) - 1)))
    close(build("softmax", I)(X), torch.softmax(X, 1))
    close(build("softmax", I, axis="W")(X), torch.softmax(X, 3))


def test_stop_gradient_stops_it() -> None:
    x = Y.clone().requires_grad_()
    assert not build("stop_gradient", T)(x).requires_grad


# ------------------------------------------------------------------------------------------------ arithmetic


def test_arithmetic_by_role() -> None:
    channel = torch.rand(12, dtype=torch.float64) + 1
    vectors = torch.rand(3, 12, dtype=torch.float64) + 1
    plain = rows((Role.CHANNEL, 12))
    close(build("mul", I, plain)(X, channel), X * channel[:, None, None])
    close(build("div", plain, I)(channel, X), channel[:, None, None] / X)
    close(build("sub", I, vector(B, 12))(X, vectors), X - vectors[:, :, None, None])
    close(build("add", T, vector(B, 12))(Y, vectors), Y + vectors[:, None])
    close(build("mul", T, rows((Role.BATCH, B), (Role.POSITION, N)))(Y, Y[..., 0]), Y * Y[..., :1])
    close(build("pow", T, T)(Y.abs(), Y), Y.abs() ** Y)
    close(build("sub", T, number=1, reverse=True)(Y), 1 - Y)
    close(build("div", T, number=2.5)(Y), Y / 2.5)
    close(build("pow", T, number=2, reverse=True)(Y), 2**Y)


def test_concat_stack_split() -> None:
    token = torch.rand(1, 1, 12, dtype=torch.float64)
    one = rows((Role.BATCH, 1), (Role.POSITION, 1), (Role.CHANNEL, 12))
    close(build("concat", one, T)(token, Y), torch.cat([token.expand(3, 1, 12), Y], 1))
    close(build("concat", rows((Role.CHANNEL, 12)), T)(token[0, 0], Y), torch.cat([token.expand(3, 1, 12), Y], 1))
    close(build("concat", I, I)(X, 2 * X), torch.cat([X, 2 * X], 1))
    close(build("concat", T, T, axis="C")(Y, 2 * Y), torch.cat([Y, 2 * Y], 2))
    a, b = torch.rand(2, 3, 12, dtype=torch.float64)
    close(build("stack", vector(B, 12), vector(B, 12))(a, b), torch.stack([a, b], 1))
    for found, wanted in zip(build("split", I, n=(2, 4, 6))(X), X.split([2, 4, 6], 1), strict=True):
        close(found, wanted)
    inside = Y.reshape(3, 25, 2, 6)
    for i, found in enumerate(build("split", T, n=3, per_head=2)(Y)):
        close(found, inside[..., 2 * i : 2 * i + 2].reshape(3, 25, 4))


# ------------------------------------------------------------------------------------------------ positions


def test_pools() -> None:
    close(build("max_pool", I, size=3, stride=2, pad=1)(X), F.max_pool2d(X, 3, 2, 1))
    close(build("max_pool", I, size=2, ceil=True, stride=3)(X), F.max_pool2d(X, 2, 3, ceil_mode=True))
    close(build("avg_pool", I, size=3, stride=2, pad=1)(X), F.avg_pool2d(X, 3, 2, 1))
    close(build("avg_pool", I, size=3, pad=1, count_pad=False)(X), F.avg_pool2d(X, 3, 3, 1, count_include_pad=False))
    for keep in (True, False):
        mean, most = X.mean((2, 3), keepdim=keep), X.amax((2, 3), keepdim=keep)
        close(build("global_pool", I, keep=keep)(X), mean)
        close(build("global_max_pool", I, keep=keep)(X), most)
        close(build("global_pool", T, keep=keep)(Y), Y.mean(1, keepdim=keep))
    close(build("adaptive_pool", I, size=Size((3, 5)))(X), F.adaptive_avg_pool2d(X, (3, 5)))
    close(build("adaptive_pool", I, size=3, kind="max")(X), F.adaptive_max_pool2d(X, 3))


def test_same_pools_see_the_input_alone() -> None:
    x = -X.abs() - 1
    padded = F.pad(x, (0, 1, 0, 1), value=float("-inf"))
    close(build("max_pool", I, size=3, stride=2, pad="same")(x), F.max_pool2d(padded, 3, 2))
    ones = torch.ones_like(X)
    close(build("avg_pool", I, size=3, stride=2, pad="same")(ones), ones[..., :4, :3])
    close(build("avg_pool", I, size=3, stride=1, pad="same")(X), F.avg_pool2d(X, 3, 1, 1, count_include_pad=False))


def test_pooling_a_grid_lets_the_others_pass() -> None:
    found = build("max_pool", K, size=2, prefix="keep")(Y)
    plane = Y[:, 1:].transpose(1, 2).reshape(3, 12, 4, 6)
    close(found, torch.cat([Y[:, :1], F.max_pool2d(plane, 2).flatten(2).transpose(1, 2)], 1))


def test_upsample() -> None:
    close(build("upsample", I, by=2, mode="bilinear")(X), F.interpolate(X, scale_factor=2, mode="bilinear"))
    close(build("upsample", I, size=Size((5, 9)))(X), F.interpolate(X, (5, 9)))
    module = build("upsample", I, size=Size((5, 9)), mode="bicubic", corners=True)
    close(module(X), F.interpolate(X, (5, 9), mode="bicubic", align_corners=True))
    like = Reference("x", image(B, 3, 2 * H, W + 1))
    close(build("upsample", I, like=like, mode="bilinear")(X), F.interpolate(X, (16, 7), mode="bilinear"))


def test_layouts() -> None:
    flat = X.flatten(2).transpose(1, 2)
    close(build("to_tokens", I)(X), flat)
    close(build("to_image", grid(8, 6, 12))(flat), X)
    close(build("transpose", T)(Y), Y.transpose(1, 2))
    close(build("split_heads", T, heads=3)(Y), Y.reshape(3, 25, 3, 4).transpose(1, 2))
    heads = rows((Role.BATCH, B), (Role.HEAD, 3), (Role.POSITION, N), (Role.CHANNEL, 4))
    close(build("merge_heads", heads)(Y.reshape(3, 25, 3, 4).transpose(1, 2)), Y)
    close(build("drop_prefix", K)(Y), Y[:, 1:])
    shuffled = X.view(3, 3, 4, 8, 6).transpose(1, 2).reshape(X.shape)
    close(build("channel_shuffle", I, groups=3)(X), shuffled)


def test_space_to_depth_is_swins_merging() -> None:
    x = X.permute(0, 2, 3, 1)
    merged = torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)
    close(build("space_to_depth", I, n=2)(X), merged.permute(0, 3, 1, 2))
    close(build("space_to_depth", grid(8, 6, 12), n=2)(x.flatten(1, 2)), merged.flatten(1, 2))


@pytest.mark.parametrize("t", [image(1, 8, 6), image(1, 8, 6, 4), image(1, 8, 6, 4, 2)], ids=str)
def test_depth_to_space_undoes_it(t: Tensor) -> None:
    x = torch.rand(t.shape)  # type: ignore[arg-type]
    deep = build("space_to_depth", t, n=2)
    back = build("depth_to_space", graph_of("space_to_depth", t, n=2).nodes["made"].outputs[0], n=2)
    assert torch.equal(back(deep(x)), x)


def test_depth_to_space_of_a_grid() -> None:
    x = torch.rand(1, 24, 8)
    deep, back = build("space_to_depth", grid(4, 6, 8, batch=1), n=2), build("depth_to_space", grid(2, 3, 32), n=2)
    assert torch.equal(back(deep(x)), x)


TAKES: list[tuple[dict[str, Any], Callable[[torch.Tensor], torch.Tensor]]] = [
    ({"what": 0}, lambda x: x[:, 0]),
    ({"what": -2}, lambda x: x[:, -2]),
    ({"what": -2, "count": 2}, lambda x: x[:, -2:]),
    ({"what": -3, "count": 2}, lambda x: x[:, -3:-1]),
    ({"what": 3, "keep": True}, lambda x: x[:, 3:4]),
    ({"what": Reference("a", T)}, lambda x: x[:, 0]),
    ({"what": Reference("p", T)}, lambda x: x[:, 1:23]),
    ({"what": Reference("z", T)}, lambda x: x[:, 23:]),
    ({"what": Reference("p", T), "item": -1}, lambda x: x[:, 22]),
]


@pytest.mark.parametrize(("settings", "wanted"), TAKES, ids=[str(RECORDS["take"](**case[0])) for case in TAKES])
def test_take(settings: dict[str, Any], wanted: Callable[[torch.Tensor], torch.Tensor]) -> None:
    parts = (Segment(1, (), "a"), Segment(22, (2, 11), "p"), Segment(2, (), "z"))
    close(build("take", tokens(B, Axis(Role.POSITION, 25, parts), 12), **settings)(Y), wanted(Y))


def test_sources() -> None:
    module = build("learned", dims=(1, 5, 12))
    assert module() is module.made
    module = build("position", K, size=Size((4, 6)), prefix=1)
    close(module(Y), Y + module.made)
    module = build("position", grid(4, 6, 12), size=Size((4, 6)), layout="grid")
    close(module(Y[:, 1:]), Y[:, 1:] + module.made.reshape(1, 24, 12))
    assert build("arange", ids(N))(IDS).tolist() == [[0, 1, 2]]


# ------------------------------------------------------------------------------------------------ attention


def reference(q: Any, k: Any, v: Any, heads: int, causal: bool = False, scale: float | None = None) -> torch.Tensor:
    """Attention head by head and query by query."""
    width = q.shape[-1] // heads
    out = []
    for q_, k_, v_ in zip(q.chunk(heads, -1), k.chunk(heads, -1), v.chunk(heads, -1), strict=True):
        scores = q_ @ k_.transpose(1, 2) * (width**-0.5 if scale is None else scale)
        if causal:
            n, m = scores.shape[1:]
            allowed = torch.tensor([[j <= i + m - n for j in range(m)] for i in range(n)])
            scores = scores.masked_fill(~allowed, float("-inf"))
        out.append(torch.softmax(scores, -1) @ v_)
    return torch.cat(out, -1)


def close_enough(found: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("drop", [0.0, 0.3], ids=["plain", "drop"])
@pytest.mark.parametrize("causal", [False, True], ids=["dense", "causal"])
def test_attend(causal: bool, drop: float) -> None:
    more: dict[str, Any] = {"heads": 3, "drop": drop, **({"over": Causal()} if causal else {})}
    close_enough(build("attend", T, **more)(Y), reference(Y, Y, Y, 3, causal))
    q, v = Y[:, :7] * 2, Y[..., :6] + 1
    module = build("attend", tokens(B, M, 12), T, tokens(B, N, 6), **more)
    close_enough(module(q, Y, v), reference(q, Y, v, 3, causal))


def test_attend_on_images_with_a_scale() -> None:
    flat = X.flatten(2).transpose(1, 2)
    wanted = reference(flat, flat, flat, 3, scale=0.7).transpose(1, 2).reshape(X.shape)
    close_enough(build("attend", I, heads=3, scale=0.7)(X), wanted)


def test_queries_without_a_batch_serve_every_sample() -> None:
    q = Y[:1, :5]
    module = build("attend", tokens(1, 5, 12), T, T, heads=3)
    close_enough(module(q, Y, Y), reference(q.expand(3, -1, -1), Y, Y, 3))


def test_q_k_and_v_of_one_linear_are_not_copied() -> None:
    """The views that reach the fused kernel have the strides of timm's reshape, permute, unbind."""
    split, qkv = build("split", tokens(B, N, 36), n=3), torch.rand(2, 5, 36)
    wanted = qkv.reshape(2, 5, 3, 3, 4).permute(2, 0, 3, 1, 4).unbind(0)
    for part, like in zip(split(qkv), wanted, strict=True):
        head = part.unflatten(2, (3, -1)).transpose(1, 2)
        assert (head.data_ptr(), head.stride()) == (like.data_ptr(), like.stride())
        assert torch.equal(head, like)


# ------------------------------------------------------------------------------------------------ training


def test_dropout_follows_train_and_eval() -> None:
    x = torch.ones(4, 1000, 5)
    module = compile(graph_of("dropout", tokens(B, N, 5), p=0.25))
    found = module.train()(x)
    assert found.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (found == 0).double().mean() == pytest.approx(0.25, abs=0.02)
    assert torch.equal(module.eval()(x), x)


def test_drop_path_drops_rows_or_batches() -> None:
    x = torch.ones(4000, 2, 3)
    module = compile(graph_of("drop_path", tokens(B, N, 3), p=0.2))
    found = module.train()(x)
    assert (found == found[:, :1, :1]).all()
    assert found.mean() == pytest.approx(1, abs=0.05)
    assert (found == 0).double().mean() == pytest.approx(0.2, abs=0.03)
    assert torch.equal(module.eval()(x), x)
    module = compile(graph_of("drop_path", tokens(B, N, 3), p=0.5, mode="batch"))
    assert {float(module.train()(x).unique().item()) for _ in range(50)} == {0.0, 2.0}


def test_attention_drops_while_training() -> None:
    module = compile(graph_of("attend", tokens(B, N, 8), heads=2, drop=0.5))
    x = torch.rand(2, 6, 8)
    assert not torch.equal(module.train()(x), module(x))
    assert torch.equal(module.eval()(x), module(x))
