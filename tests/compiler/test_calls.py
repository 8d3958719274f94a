"""What each call decides: `training`, optional inputs; one module for each kind of call over the same weights."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ogive
from ogive import ArchError

CALLS = """
network Calls:
    input x: B 4, mask?: B 4, noise?: B 3
    a = x -> linear(3)
    if mask:
        y = x * mask
        b = y -> linear(3)
        b + a
    else:
        a
    if noise:
        z = _ + noise
    if training:
        aux = x -> linear(2)
        return y=a, aux=aux
    return _ * 2
"""

DISTILLED = """
network Distilled(classes=5):
    input image: B 3 H=8 W=8
    patches    = patchify(6, 4)
    cls_token  = learned(1, 1, 6)
    dist_token = learned(1, 1, 6)
    cls_token, dist_token, patches -> concat                : B (cls_token + dist_token + 2 2) 6
    mixed = linear(6)
    first     = mixed -> take(cls_token)
    head      = linear(classes)
    second    = mixed -> take(dist_token)
    head_dist = linear(classes)
    if training:
        return head=head, head_dist=head_dist
    else:
        return (head + head_dist) / 2
"""

PATCH_DROP = """
network PatchDrop:
    input x: B N=8 4
    token = learned(1, 1, 4)
    if training:
        noise = uniform(like=x)
        order = argsort
        kept  = order -> take(0, count=4)
        x, kept -> gather
    else:
        x
    token, _ -> concat
    fc = linear(4)
    return tokens=_
"""


def compiled(text: str, **settings: Any) -> Any:
    return ogive.compile(ogive.loads(text, **settings), debug=True, dtype=torch.float64)


def data(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def close(found: Any, wanted: Any) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


def by_hand(m: Any, x: Tensor, mask: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
    """CALLS in evaluation."""
    y = m.a(x) if mask is None else m.a(x) + m.b(x * mask)
    return 2 * (y if noise is None else y + noise)


X, MASK, NOISE = data(2, 4), data(2, 4, seed=1), data(2, 3, seed=2)


# ------------------------------------------------------------------------------------------------ inputs


def test_optional_inputs_by_place_by_name_and_as_none() -> None:
    module = compiled(CALLS).eval()
    close(module(X), by_hand(module, X))
    close(module(x=X), by_hand(module, X))
    close(module(X, MASK), by_hand(module, X, MASK))
    close(module(X, mask=MASK), by_hand(module, X, MASK))
    close(module(X, None, NOISE), by_hand(module, X, None, NOISE))
    close(module(X, noise=NOISE, mask=None), by_hand(module, X, None, NOISE))
    close(module(noise=NOISE, mask=MASK, x=X), by_hand(module, X, MASK, NOISE))


def test_keys_are_those_of_all_kinds_of_calls() -> None:
    net = ogive.loads(CALLS)
    keys = ["a.weight", "a.bias", "b.weight", "b.bias", "aux.weight", "aux.bias"]
    assert list(compiled(CALLS).state_dict()) == keys
    assert [list(graph.parameters) for _, graph in net.cases] == [keys] * 8
    assert [dict(case) for case, _ in net.cases][:2] == [
        {"training": False, "mask": False, "noise": False}, {"training": False, "mask": False, "noise": True},
    ]
    assert ogive.loads("network N:\n    input x: B 4\n    relu\n").cases == ()


def test_the_graph_of_a_network_is_that_of_evaluation_without_optional_inputs() -> None:
    net = ogive.loads(CALLS)
    assert net.graph.inputs == ("x",)
    assert [node.op for node in net.graph] == ["input", "linear", "mul"]
    assert net.parameter_count == 15 + 15 + 10, "all that is trained"
    assert net.macs() == 12, "one call of evaluation"


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "input `x` is missing"),
        ((), {"mask": MASK}, "input `x` is missing"),
        ((X, MASK, NOISE, X), {}, "inputs: x: B 4, mask?: B 4, noise?: B 3"),
        ((X,), {"maks": MASK}, "`maks`"),
        ((X, MASK), {"mask": MASK}, "`mask`"),
    ],
)
def test_wrong_numbers_of_inputs(args: tuple[Tensor, ...], kwargs: dict[str, Tensor], words: str) -> None:
    with pytest.raises(ArchError, match="A701") as error:
        compiled(CALLS)(*args, **kwargs)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("args", "code"),
    [((X, MASK[:, :3]), "A705"), ((X[:1], MASK), "A705"), ((X, MASK.long()), "A704"), ((X, MASK[0]), "A703"),
     ((None, MASK), "A702"), ((X, 3), "A702")],
)
def test_inputs_of_each_kind_of_call_are_checked(args: tuple[Any, ...], code: str) -> None:
    module = compiled(CALLS).eval()
    for _ in range(2):
        with pytest.raises(ArchError, match=code):
            module(*args)
    close(module(X, MASK), by_hand(module, X, MASK))


def test_a_guard_of_one_kind_of_call_is_checked_in_it_alone() -> None:
    module = compiled("""
network N:
    input x: B N 4, where?: B N
    if training:
        x -> take(0, count=3)
    else:
        x
    if where:
        assert N % 2 == 0, "pairs"
    fc = linear(2)
""")
    x = data(2, 5, 4)
    assert module(x).shape == (2, 3, 2)
    with pytest.raises(ArchError, match="A706"):
        module(x[:, :2])
    module.eval()
    assert module(x[:, :2]).shape == (2, 2, 2)
    assert module(x[:, :2], x[:, :2, 0]).shape == (2, 2, 2)
    with pytest.raises(ArchError, match="A706"):
        module(x, x[..., 0])


def test_an_attend_with_a_mask_or_without() -> None:
    module = compiled("""
network N:
    input x: B N 8, mask?: B N of bool
    qkv = x -> linear(24)
    split(3)
    attn = attend(2, mask=mask)
    proj = linear(8)
""")
    assert list(module.state_dict()) == ["qkv.weight", "qkv.bias", "proj.weight", "proj.bias"]
    x, mask = data(2, 5, 8), torch.tensor([[True] * 3 + [False] * 2] * 2)
    close(module(x, mask)[:, :3], module(x[:, :3]))
    close(module(x, torch.ones_like(mask)), module(x))
    assert not torch.allclose(module(x, mask), module(x))


def test_an_optional_input_handed_on_to_a_block() -> None:
    text = """
block Scale:
    input x: B 4, by?: B 4
    fc = linear(4)
    if by:
        _ * by
    else:
        _ * 3

network N:
    input x: B 4, mask?: B 4
    always = x, x    -> Scale
    never  = x       -> Scale
    maybe  = x, mask -> Scale
    return always, never, maybe
"""
    module = compiled(text)
    fc = lambda name: module.get_submodule(name).fc(X)  # noqa: E731
    for mask in (None, MASK):
        always, never, maybe = module(X, mask)
        close(always, fc("always") * X)
        close(never, fc("never") * 3)
        close(maybe, fc("maybe") * (3 if mask is None else mask))


def test_an_input_or_something_else() -> None:
    module = compiled("""
network N:
    input x: B N 4, noise?: B N 4
    z = noise or x * 0
    h = x + z if training else x - z
    return h
""")
    x, z = data(2, 3, 4), data(2, 3, 4, seed=1)
    close(module(x, z), x + z)
    close(module(x), x)
    module.eval()
    close(module(x, z), x - z)


# ------------------------------------------------------------------------------------------------ training


def test_a_distilled_network_returns_two_heads_while_training() -> None:
    """DeiT, Touvron et al. 2021: two predictions while training, their mean afterwards."""
    module = compiled(DISTILLED)
    x = data(2, 3, 8, 8)
    heads = module(x)
    assert list(heads) == ["head", "head_dist"]
    module.eval()
    close(module(x), (heads["head"] + heads["head_dist"]) / 2)
    module.train()
    assert list(module(x)) == ["head", "head_dist"]


def test_the_library_s_deit_keeps_both_heads_in_its_keys() -> None:
    module = compiled(DISTILLED)
    assert [k for k in module.state_dict() if k.startswith("head")] == [
        "head.weight", "head.bias", "head_dist.weight", "head_dist.bias",
    ]


def test_a_random_part_of_the_patches_while_training() -> None:
    """PatchDropout, Liu et al. 2023."""
    module = compiled(PATCH_DROP)
    x = data(3, 8, 4)
    assert module(x).shape == (3, 5, 4)
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert module(x).shape == (3, 9, 4)
    whole = module.fc(torch.cat([module.token.expand(3, 1, 4), x], 1))
    close(module(x), whole)
    kept = module.train()(x)
    for row, all_rows in zip(kept, whole, strict=True):
        for token in row:
            assert any(torch.allclose(token, other) for other in all_rows)
    close(kept[:, 0], whole[:, 0])


def test_training_inside_a_scan() -> None:
    module = compiled("""
network N:
    input xs: B N 3
    steps = scan x in xs with h = zeros(3):
        if training:
            y = x * 2
        else:
            y = x
        next h = h + y
        emit h
""")
    x = data(2, 4, 3)
    total = x.cumsum(1) - x
    close(module(x), 2 * total)
    close(module.eval()(x), total)


def test_carried_values_that_one_side_changes() -> None:
    module = compiled("""
network N:
    input x: B 3, by?: B 3
    repeat 3 with y = x:
        if by:
            next y = y * by
        else:
            next y = y + 1
    y
""")
    x, by = data(2, 3), data(2, 3, seed=1)
    close(module(x), x + 3)
    close(module(x, by), x * by**3)


# ------------------------------------------------------------------------------------------------ the module around it


def test_a_copy_is_its_own() -> None:
    module = compiled(CALLS).eval()
    other = copy.deepcopy(module)
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    for inputs in ((X,), (X, MASK), (X, MASK, NOISE)):
        close(module(*inputs), by_hand(module, *inputs))
    assert other(X, MASK).abs().sum() == 0
    assert list(other.train()(X)) == ["y", "aux"]
    assert not module.training
    module.load_state_dict(other.state_dict())
    assert module(X, MASK).abs().sum() == 0


def test_every_kind_of_call_has_the_same_weights() -> None:
    module = ogive.compile(ogive.loads(CALLS)).eval().double()
    assert module(X, MASK).dtype == torch.float64
    module.b = nn.Linear(4, 3).double()
    module.a.weight = nn.Parameter(torch.zeros(3, 4, dtype=torch.float64))
    for inputs in ((X,), (X, MASK)):
        close(module(*inputs), by_hand(module, *inputs))
    module(X, MASK).sum().backward()
    assert module.b.weight.grad is not None
    module.zero_grad()
    module.train()(X)["aux"].sum().backward()
    assert module.aux.weight.grad is not None


@pytest.mark.parametrize("text", ["calls", "scan", "plain"])
def test_hooks_run_once_for_a_call(text: str) -> None:
    texts = {
        "calls": CALLS, "plain": "network N:\n    input x: B 4\n    a = linear(3)\n",
        "scan": "network N:\n    input x: B N 4\n    scan t in x:\n        a = linear(3)\n        emit a\n",
    }
    module = compiled(texts[text]).eval()
    seen: list[str] = []
    module.register_forward_pre_hook(lambda m, args: seen.append("pre"))
    module.register_forward_hook(lambda m, args, out: seen.append("post"))
    module(data(2, 5, 4) if text == "scan" else X)
    assert seen == ["pre", "post"]


def test_a_hook_on_a_part_sees_every_kind_of_call() -> None:
    module = compiled(CALLS).eval()
    seen: list[int] = []
    module.a.register_forward_hook(lambda m, args, out: seen.append(1))
    module(X)
    module(X, MASK)
    module.train()(X)
    assert len(seen) == 3


def test_torch_compile_takes_it_whole() -> None:
    module = compiled(CALLS).eval()
    whole = torch.compile(module, fullgraph=True, backend="eager")
    close(whole(X), module(X))
    close(whole(X, MASK), module(X, MASK))
    module.train()
    assert list(whole(X)) == ["y", "aux"]


def test_frozen_for_one_kind_of_call() -> None:
    module = compiled(CALLS).eval()
    close(ogive.freeze(module, debug=True)(X), module(X))
    given = ogive.freeze(module, given=["mask"], debug=True)
    close(given(X, MASK), module(X, MASK))
    with pytest.raises(ArchError, match="A701"):
        given(X)
    with pytest.raises(ArchError, match="did you mean `mask`"):
        ogive.freeze(module, given=["maks"])
    with pytest.raises(ArchError, match="it has none"):
        ogive.freeze(compiled("network N:\n    input x: B 4\n    relu\n"), given=["mask"])
    with pytest.raises(ArchError, match="A712"):
        given.train()


def test_features_are_those_of_the_kind_of_call_at_hand() -> None:
    module = compiled(CALLS).eval()
    close(ogive.features(module, (X, MASK), ["b"])["b"], module.b(X * MASK))
    close(ogive.features(module, {"x": X, "mask": MASK}, ["a"])["a"], module.a(X))
    with pytest.raises(ArchError, match="A711"):
        ogive.features(module, X, ["b"])
    close(ogive.features(module.train(), X, ["aux"])["aux"], module.aux(X))


def test_a_side_of_one_row_is_laid_out_over_the_batch_of_the_other() -> None:
    module = compiled("""
network N:
    input x: B 3 4, noise?: B 3 4
    t = learned(1, 3, 4)
    if noise:
        noise
    else:
        t
    fc = linear(2)
    return _, x
""")
    x, noise = data(2, 3, 4), data(2, 3, 4, seed=1)
    assert module(x)[0].shape == (2, 3, 2)
    close(module(x)[0], module.fc(module.t).expand(2, 3, 2))
    close(module(x, noise)[0], module.fc(noise))


def test_weights_from_outside_serve_every_kind_of_call() -> None:
    module = compiled(CALLS).eval()
    zeros = {k: torch.zeros_like(v) for k, v in module.state_dict().items()}
    for inputs in ((X,), (X, MASK)):
        assert torch.func.functional_call(module, zeros, inputs).abs().sum() == 0
        assert module(*inputs).abs().sum() > 0


@pytest.mark.parametrize("lines", [
    "near = relative_bias(2, 3)\n    mix = head_mix(2)\n    x -> attend(2, bias=near, before_softmax=mix)",
    "near = decided, rows, rows -> decomposed_relative(2)\n    decided -> attend(2, over=window(3), bias=near)",
])
def test_a_bias_of_attention_behind_what_a_call_decides(lines: str) -> None:
    text = "network N:\n    input x: B (h=3 w=3) 8, m?: B 9 8\n    rows = learned(5, 4)\n    {}\n    {}\n"
    either = "if m:\n        decided = x * m\n    else:\n        decided = x"
    torch.manual_seed(0)
    ours = ogive.compile(ogive.loads(text.format(either, lines.replace("x ->", "decided ->")))).double()
    plain = ogive.compile(ogive.loads(text.replace(", m?: B 9 8", "").format("decided = x * 1", lines))).double()
    for parameter in ours.parameters():
        nn.init.normal_(parameter)
    plain.load_state_dict(ours.state_dict(), strict=True)
    x, m = torch.randn(2, 9, 8, dtype=torch.float64), torch.randn(2, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(ours(x), plain(x))
    torch.testing.assert_close(ours(x, m), plain(x * m))
