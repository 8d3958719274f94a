"""Products, reductions, choice and regrouping, as a file writes them, against torch written out by hand."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent, indent
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import ogive
from ogive.compiler.pipeline import compile

Tensors = tuple[torch.Tensor, ...]


def drawn(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def module(body: str, head: str) -> Any:
    text = f"network N:\n    input {head}\n{indent(dedent(body).strip(chr(10)), '    ')}\n"
    return compile(ogive.loads(text), dtype=torch.float64)


def answer(body: str, head: str, *inputs: torch.Tensor) -> Any:
    return module(body, head)(*inputs)


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


V = drawn(2, 12)
T = drawn(2, 5, 12, seed=2)
U = drawn(2, 7, 12, seed=3)
I = drawn(2, 12, 4, 6, seed=4)  # noqa: E741
IDS = torch.tensor([[3, 1, 0, 2, 4], [1, 4, 4, 0, 3]])

# ------------------------------------------------------------------------------------------------ regrouping

REARRANGED: list[tuple[str, str, torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]] = [
    ("x: B C h w", "B (h w) C", I, lambda x: x.permute(0, 2, 3, 1).reshape(2, 24, 12)),
    ("x: B C h w", "(B h) (C w)", I, lambda x: x.permute(0, 2, 1, 3).reshape(8, 72)),
    ("x: B (h=4 w=6) C", "B C h w", drawn(2, 24, 3), lambda x: x.reshape(2, 4, 6, 3).permute(0, 3, 1, 2)),
    ("x: B (h=4 w=6) C", "B (w h) C", drawn(2, 24, 3),
     lambda x: x.reshape(2, 4, 6, 3).transpose(1, 2).reshape(2, 24, 3)),
    ("x: B N 1", "B N", drawn(2, 5, 1), lambda x: x[..., 0]),
    ("x: B N", "B 1 N", drawn(2, 5), lambda x: x[:, None]),
    ("x: B 3 3 C", "B (3 3 C)", drawn(2, 3, 3, 4), lambda x: x.reshape(2, 36)),
    ("x: B N C", "B N C", T, lambda x: x),
]


@pytest.mark.parametrize(("head", "made", "x", "wanted"), REARRANGED, ids=lambda v: v if isinstance(v, str) else "")
def test_rearrange_is_the_pattern_of_the_two_annotations(
    head: str, made: str, x: torch.Tensor, wanted: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    close(answer(f"rearrange : {made}", head, x), wanted(x))


def test_detection_heads_are_regrouped_as_in_rcnn() -> None:
    """`B (anchors 4) h w -> B (h w anchors) 4`, the order of torchvision's permute_and_flatten."""
    net = module("delta = conv(12, 1x1) : B (anchors 4) h w\nrearrange : B (h w anchors) 4", "x: B 12 h w")
    raw = F.conv2d(I, net.delta.weight, net.delta.bias)
    close(net(I), raw.reshape(2, 3, 4, 4, 6).permute(0, 3, 4, 1, 2).reshape(2, -1, 4))


def test_a_group_of_two_is_a_grid_and_of_three_is_none() -> None:
    close(answer("rearrange : B (h w) C\nto_image", "x: B C h w", I), I)
    with pytest.raises(ogive.ArchError, match="needs a grid"):
        module("relu : B (a c) h w\nrearrange : B (h w a) c\nto_image", "x: B (a=3 c=4) h w")


def test_letters_pass_through_functions_of_each_element() -> None:
    body = """
    y = linear(12) : B (C ways=3)
    rearrange      : B ways C
    softmax(ways)
    a, b, c = unstack(ways)
    a + 2 * b + 3 * c
    """
    net = module(body, "x: B 12")
    raw = F.linear(V, net.y.weight, net.y.bias).reshape(2, 4, 3).transpose(1, 2).softmax(1)
    close(net(V), raw[:, 0] + 2 * raw[:, 1] + 3 * raw[:, 2])


def test_positions_that_stay_have_heads_beside_them() -> None:
    body = "q = rearrange : B heads N d\nmerge_heads"
    close(answer(body, "x: B N (heads=3 d=4)", T), T)
    net = module("rearrange : B heads N d\na, b, c = unstack(heads)\na + b * c\ny = linear(2)", "x: B N (heads=3 d=4)")
    assert net.y.weight.shape == (2, 4)


def test_one_position_is_repeated_and_planes_are_thinned() -> None:
    close(answer("repeat_to(N + 1)", "m: B 1 C, x: B N C", T[:, :1], T), T[:, :1].expand(2, 6, 12))
    close(answer("subsample(2)", "x: B C H W", I), I[:, :, ::2, ::2])
    close(answer("subsample(3x2)", "x: B (h=5 w=4) C", drawn(2, 20, 3)),
          drawn(2, 20, 3).reshape(2, 5, 4, 3)[:, ::3, ::2].reshape(2, 4, 3))


# ------------------------------------------------------------------------------------------------ products

PRODUCTS = [
    ("a: B C, b: B N C", "dot", (V, T), "bc,bnc->bn"),
    ("a: B N C, b: B C", "dot", (T, V), "bnc,bc->bn"),
    ("a: B N C, b: B M C", "dot", (T, U), "bnc,bmc->bnm"),
    ("a: B N C, b: B N C", "dot", (T, T * 2), "bnc,bnc->bn"),
    ("a: B C, b: T C", "dot", (V, drawn(3, 12)), "bc,tc->bt"),
    ("a: B N, b: B N C", "dot(N)", (T[..., 0], T), "bn,bnc->bc"),
    ("a: B N C, b: B N D", "dot(N)", (T, drawn(2, 5, 3)), "bnc,bnd->bcd"),
    ("a: B K C, b: B C H W", "dot", (T, I), "bkc,bchw->bkhw"),
    ("a: B N C, b: 1 M C", "dot", (T, U[:1]), "bnc,xmc->bnm"),
]


@pytest.mark.parametrize(("head", "op", "inputs", "equation"), PRODUCTS, ids=[f"{p[0]} {p[1]}" for p in PRODUCTS])
def test_dot(head: str, op: str, inputs: Tensors, equation: str) -> None:
    close(answer(f"a, b -> {op}", head, *inputs), torch.einsum(equation, *inputs))


def test_roles_of_a_product_are_those_of_a_layout() -> None:
    """`B K C`, `B C H W` -> an image of K channels; scores `B N M` have the keys as channels."""
    conv = module("a, b -> dot\ny = conv(2, 1x1)", "a: B 3 C, b: B C H W")
    assert conv(drawn(2, 3, 12), I).shape == (2, 2, 4, 6)
    close(answer("a, b -> dot\nsoftmax", "a: B N C, b: B M C", T, U), (T @ U.transpose(1, 2)).softmax(-1))


def test_attention_written_out() -> None:
    body = """
    q = x -> split_heads(3)           : B heads N d
    k = y -> split_heads(3)           : B heads M d
    v = y -> split_heads(3)
    gone = hidden -> rearrange        : B 1 M
    score = q, k -> dot               : B heads N M
    score / 2, gone -> masked_fill
    softmax
    _, v -> matmul
    merge_heads
    """
    hidden = torch.zeros(2, 7, dtype=torch.bool)
    hidden[:, 5:] = True
    q, k = (x.unflatten(2, (3, 4)).transpose(1, 2) for x in (T, U))
    wanted = F.scaled_dot_product_attention(q, k, k, attn_mask=~hidden[:, None, None])
    close(answer(body, "x: B N 12, y: B M 12, hidden: B M of bool", T, U, hidden), wanted.transpose(1, 2).flatten(2))


def test_matmul() -> None:
    close(answer("a, b -> matmul", "a: B N K, b: B K M", T, drawn(2, 12, 3)), T @ drawn(2, 12, 3))
    net = module("w = learned(12, 3)\na, w -> matmul", "a: B N 12")
    close(net(T), T @ net.w)


def test_products_count() -> None:
    text = "network N:\n    input a: B 5 12, b: B 5 12\n    a, b -> dot : B n m\n"
    with pytest.raises(ogive.ArchError, match="cannot tell"):
        ogive.loads(text)
    head = "network N:\n    input a: B n=5 12, b: B m=7 12\n"
    net = ogive.loads(head + "    s = a, b -> dot : B n m\n    s, b -> matmul\n")
    assert net.graph.macs({"B": 1}) == 5 * 7 * 12 * 2


# ------------------------------------------------------------------------------------------------ reductions

REDUCED: list[tuple[str, str, torch.Tensor, torch.Tensor]] = [
    ("x: B N C", "sum_over(N)", T, T.sum(1)),
    ("x: B N C", "cumsum", T, T.cumsum(1)),
    ("x: B N C", "cumsum(C)", T, T.cumsum(2)),
    ("x: B N C", "x > 0\ncumsum(C)", T, (T > 0).cumsum(2)),
    ("x: B N C", "mean_over(C, keep=True)", T, T.mean(2, keepdim=True)),
    ("x: B ways C", "max_over(ways)", T, T.amax(1)),
    ("x: B C H W", "mean_over(C, keep=True)", I, I.mean(1, keepdim=True)),
    ("x: B C h w", "max_over(w)", I, I.amax(3)),
    ("x: B N C", "norm", T, T.norm(dim=2)),
    ("x: B N C", "l2_normalize", T, F.normalize(T, dim=2)),
    ("x: B N C", "l2_normalize(axis=N)", T, F.normalize(T, dim=1)),
    ("x: B N C", "softmax(N)", T, T.softmax(1)),
    ("x: B 12", "maxout(3)", V, V.reshape(2, 4, 3).amax(2)),
    ("x: B 12 H W", "maxout(2)", I, I.reshape(2, 6, 2, 4, 6).amax(2)),
]


@pytest.mark.parametrize(("head", "op", "x", "wanted"), REDUCED, ids=[f"{r[0]} {r[1]}" for r in REDUCED])
def test_reductions(head: str, op: str, x: torch.Tensor, wanted: torch.Tensor) -> None:
    close(answer(op, head, x), wanted)


def test_the_length_of_zeros_has_a_gradient() -> None:
    x = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    answer("norm", "x: B C", x).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[0, 0, 0, 0]]


# ------------------------------------------------------------------------------------------------ choice


def test_gather() -> None:
    found = answer("x, ids -> gather", "x: B N C, ids: B K of int", T, IDS)
    close(found, torch.stack([T[b, IDS[b]] for b in range(2)]))
    close(answer("x, ids -> gather", "x: B N, ids: B K of int", T[..., 0], IDS), T[..., 0].gather(1, IDS))
    close(answer("x, ids -> gather", "x: 1 N C, ids: B K of int", T[:1], IDS), T[0][IDS])
    last = answer("end = ids -> argmax(N)\nx, end -> gather", "x: B N C, ids: B N of int", T, IDS)
    close(last, T[torch.arange(2), IDS.argmax(1)])


def test_argsort_twice_is_the_inverse() -> None:
    net = module("a = argsort\nb = a -> argsort\nx, a -> gather\nc = _, b -> gather\nreturn a=a, back=c", "x: B N")
    found = net(T[..., 0])
    assert torch.equal(found["a"], T[..., 0].argsort(1))
    close(found["back"], T[..., 0])
    assert torch.equal(answer("argsort(C, descending=True)", "x: B C", V), V.argsort(1, descending=True))


def test_top_k() -> None:
    net = module("best = top_k(3)\nreturn best, best.indices", "x: B N")
    values, places = net(T[..., 0])
    wanted = T[..., 0].topk(3)
    close(values, wanted.values)
    assert torch.equal(places, wanted.indices)
    with pytest.raises(ogive.ArchError, match="N"):  # the batch was promised 3 positions at least
        net(T[:, :2, 0])


def test_where_and_masked_fill() -> None:
    close(answer("x > 0, x, y -> where", "x: B N C, y: B C", T, V), torch.where(T > 0, T, V[:, None]))
    mask = torch.tensor([[True, False, True, False, False], [False] * 5])
    close(answer("x, m -> masked_fill(0)", "x: B N C, m: B N of bool", T, mask), T * ~mask[..., None])


COMPARED: list[tuple[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]] = [
    ("x > 0", lambda x, y: x > 0), ("0 > x", lambda x, y: x < 0), ("x <= y", lambda x, y: x <= y[:, None]),
    ("1 != ids", lambda x, y: IDS != 1), ("ids == 4", lambda x, y: IDS == 4), ("ids >= N - 1", lambda x, y: IDS >= 4),
    ("(x > 0) == (x < 1)", lambda x, y: (x > 0) == (x < 1)), ("(x > 0) * (x < 1)", lambda x, y: (x > 0) & (x < 1)),
    ("x * (ids > 2)", lambda x, y: x * (IDS > 2)[..., None]), ("ids * (ids > 2)", lambda x, y: IDS * (IDS > 2)),
]


@pytest.mark.parametrize(("text", "wanted"), COMPARED, ids=[c[0] for c in COMPARED])
def test_comparisons(text: str, wanted: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
    assert torch.equal(answer(f"r = {text}", "x: B N C, y: B C, ids: B N of int", T, V, IDS), wanted(T, V))


ELEMENTWISE: list[tuple[str, Callable[[torch.Tensor], torch.Tensor]]] = [
    ("abs(x)", torch.abs), ("sign(x)", torch.sign), ("log2(1 + abs(x))", lambda x: torch.log2(1 + x.abs())),
    ("exp(x) + sin(x) * cos(x)", lambda x: x.exp() + x.sin() * x.cos()), ("sqrt(abs(x))", lambda x: x.abs().sqrt()),
    ("min(x, 0.5)", lambda x: x.clamp(max=0.5)), ("max(0, x)", lambda x: x.clamp(min=0)),
    ("max(x, 2 * x, 0)", lambda x: torch.maximum(x, 2 * x).clamp(min=0)), ("x * N", lambda x: x * 5),
    ("x / (N + 2)", lambda x: x / 7), ("N - x", lambda x: 5 - x), ("x ** 2", lambda x: x**2),
    ("min(x, N)", lambda x: x),
]


@pytest.mark.parametrize(("text", "wanted"), ELEMENTWISE, ids=[e[0] for e in ELEMENTWISE])
def test_functions_in_expressions(text: str, wanted: Callable[[torch.Tensor], torch.Tensor]) -> None:
    close(answer(f"y = {text}", "x: B N C", T), wanted(T))


def test_concat_along_the_channels_of_tokens() -> None:
    wanted = torch.cat([T, V[:, None].expand(2, 5, 12)], 2)
    close(answer("x, v -> concat(C)", "x: B N C, v: B C", T, V), wanted)
    close(answer("v, x -> concat(C)", "x: B N C, v: B C", T, V), torch.cat([wanted[..., 12:], wanted[..., :12]], 2))
    close(answer("x, v -> concat(C)", "x: B K C, v: B K D", T, T * 2), torch.cat([T, T * 2], 2))


def test_patches_are_dropped_and_put_back() -> None:
    """He et al. 2022: what a shuffle takes apart, its inverse puts together."""
    body = """
    order   = noise -> argsort
    restore = order -> argsort
    stay    = order -> take(0, count=3)
    kept    = x, stay -> gather          : B 3 C
    gone    = order -> take(3, count=N - 3)
    rest    = x, gone -> gather
    kept, rest -> concat
    _, restore -> gather
    """
    close(answer(body, "x: B N C, noise: B N", T, T[..., 0]), T)


def test_uniform_numbers_are_drawn_at_each_call() -> None:
    net = module("uniform(like=x) : B N", "x: B N C")
    torch.manual_seed(0)
    first, second = net(T), net.eval()(T)
    assert first.shape == (2, 5) and first.dtype == torch.float64
    assert not torch.equal(first, second)
    assert bool((first >= 0).all()) and bool((first < 1).all())


def test_a_learned_tensor_states_its_roles() -> None:
    net = module("t = learned(3, 1, 1, init=2.0) : head . .\nx -> split_heads(3)\n_ * t\nmerge_heads", "x: B N 12")
    close(net(T), 2 * T)
    assert [k for k, _ in net.named_parameters()] == ["t"]
