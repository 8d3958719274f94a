"""Attention in the kernel and the precision that were chosen: what is cast, what is left, what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import ogive
from ogive.compiler.passes.choose_kernels import PlainAttention
from ogive.dsl.diagnostics import ArchError

NET = """
network Net(dim=32):
    input x: B (h=8 w=8) C=dim
    first:
        qkv = linear(3 * dim)
        q, k, v = split(3)
        q, k, v -> attend(4, over=window(4))
    second:
        qkv = linear(3 * dim)
        q, k, v = split(3)
        q, k, v -> attend(4)
"""


def _pair(**more: object) -> tuple[nn.Module, nn.Module, torch.Tensor]:
    net = ogive.loads(NET)
    plain, made = ogive.compile(net), ogive.compile(net, **more)  # type: ignore[arg-type]
    made.load_state_dict(plain.state_dict())
    return plain, made, torch.randn(2, 64, 32, generator=torch.Generator().manual_seed(0))


def _types(module: nn.Module, x: torch.Tensor) -> dict[str, torch.dtype]:
    """What the cores of both attentions are given."""
    found: dict[str, torch.dtype] = {}
    for path, one in module.named_modules():
        if "attend" in path and ("core" in path or isinstance(one, PlainAttention)):
            one.register_forward_pre_hook(lambda _, xs, path=path: found.__setitem__(path, xs[0].dtype))
    assert module(x).dtype == x.dtype
    return found


def test_a_precision_casts_what_attention_computes() -> None:
    plain, made, x = _pair(target="h200", precision="bf16")
    assert list(_types(made, x).values()) == [torch.bfloat16] * 2
    answer, exact = made(x), plain(x)
    off = float((answer - exact).norm() / exact.norm())
    assert 1e-4 < off < 2e-2, "rounded to halves, and no further off"


def test_a_path_chooses_where() -> None:
    _, made, x = _pair(target="h200", precision={"*": "float32", "second": "fp16"})
    assert list(_types(made, x).values()) == [torch.float32, torch.float16]


def test_without_a_word_nothing_is_cast_and_nothing_changes() -> None:
    plain, made, x = _pair(target="a100")
    torch.testing.assert_close(made(x), plain(x), rtol=1e-5, atol=1e-6)
    assert not [node for node in made.graph.nodes if node.target == "to"]


def test_gradients_go_through_the_casts() -> None:
    plain, made, x = _pair(target="h200", precision="bf16")
    given = [x.clone().requires_grad_() for _ in range(2)]
    for module, one in zip((plain, made), given, strict=True):
        module(one).square().sum().backward()
    off = (given[0].grad - given[1].grad).norm() / given[0].grad.norm()  # type: ignore[operator, union-attr]
    assert float(off) < 5e-2


def test_a_chosen_kernel_stands_in_the_module() -> None:
    _, made, x = _pair(target="h200", kernel="flash")
    cores = [one for one in made.modules() if isinstance(one, PlainAttention)]
    assert [one.kernel for one in cores] == ["flash"]
    made(x)
    assert cores[0].walked is not None and cores[0].walked.declined == "kernels run on a GPU, not on cpu"
    _, other, _ = _pair(target="h200", kernel="sdpa-efficient")
    walked = [one.walked for one in other.modules() if hasattr(one, "walked")]
    assert walked and all(one is None for one in walked), "the own kernel was not chosen"


@pytest.mark.parametrize(("more", "code"), [
    ({"precision": "bf16"}, "A708"), ({"kernel": "flash", "target": "cpu"}, "A708"),
    ({"target": "h200", "kernel": "flush"}, "A740"), ({"target": "h200", "kernel": "sdpa-cudnn"}, "A741"),
    ({"target": "h200", "precision": "half"}, "A742"), ({"target": "h200", "precision": {"third": "bf16"}}, "A743"),
])
def test_what_does_not_go_is_refused(more: dict[str, object], code: str) -> None:
    with pytest.raises(ArchError) as caught:
        ogive.compile(ogive.loads(NET), **more)  # type: ignore[arg-type]
    assert caught.value.diagnostics[0].code == code


def test_sizes_that_are_free_leave_the_choice_open() -> None:
    net = ogive.loads("network Net():\n    input x: B N C=32\n    attend(4)\n")
    assert ogive.compile(net, target="h200")(torch.randn(2, 5, 32)).shape == (2, 5, 32)
    with pytest.raises(ArchError, match="depend on `N`"):
        ogive.compile(net, target="h200", precision="bf16")
    made = ogive.compile(net, target="h200", precision="bf16", sizes={"N": 64})
    assert made(torch.randn(2, 5, 32)).shape == (2, 5, 32)
