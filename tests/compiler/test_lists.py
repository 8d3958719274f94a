"""Lists of tensors as modules: what a block with a list computes, and lists as results."""

from __future__ import annotations

from typing import Any

import peers
import pytest
import torch
from torch import Tensor

import ogive

FPN = """
block FPN(width):
    input maps: [B C h w]
    repeat maps as inner_blocks[m]:
        - m -> conv(width, 1x1)
    repeat len(maps) as merged[t] with top = inner_blocks[-1]:
        lateral = inner_blocks[-1 - t]
        if t > 0:
            top -> upsample(like=lateral)
            _ + lateral
        next top = _
    repeat len(maps) as layer_blocks[i]:
        - merged[-1 - i] -> conv(width, 3x3)
    return maps=layer_blocks[:]

network Pyramid(width=4):
    input a: B 8 H W, b: B 16 H/2 W/2, c: B 32 H/4 W/4
    fpn = [a, b, c] -> FPN(width)
    return maps=fpn.maps, last=fpn.maps[-1]
"""


def compiled(text: str, **settings: Any) -> Any:
    return ogive.compile(ogive.loads(text, **settings), debug=True, dtype=torch.float64)


def data(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def close(found: Any, wanted: Any) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("side", [16, 20])
def test_a_feature_pyramid_is_torchvision_s(side: int) -> None:
    """Lin et al. 2017: keys, numbers and gradients, over a carried map from coarse to fine."""
    peers.torchvision()
    from torchvision.ops import FeaturePyramidNetwork

    reference = FeaturePyramidNetwork([8, 16, 32], 4).double()
    module = compiled(FPN)
    module.load_state_dict({f"fpn.{k}": v for k, v in reference.state_dict().items()}, strict=True)
    maps = [data(2, 8 * 2**i, side >> i, side >> i, seed=i) for i in range(3)]
    found, wanted = module(*maps), reference({str(i): x for i, x in enumerate(maps)})
    assert list(found) == ["maps", "last"]
    assert isinstance(found["maps"], list)
    close(found["maps"], list(wanted.values()))
    close(found["last"], wanted["2"])
    sum(x.square().sum() for x in found["maps"]).backward()
    sum(x.square().sum() for x in wanted.values()).backward()
    for ours, theirs in zip(module.parameters(), reference.parameters(), strict=True):
        close(ours.grad, theirs.grad)


def test_lists_as_results() -> None:
    module = compiled("""
network N:
    input x: B 4
    repeat 3 as blocks[i]:
        fc = linear(4)
    return blocks[:], _
""")
    x = data(2, 4)
    every, last = module(x)
    assert isinstance(every, list) and len(every) == 3
    for i in range(3):
        x = module.get_submodule(f"blocks.{i}.fc")(x)
        close(every[i], x)
    close(last, x)
    frozen = ogive.freeze(module.eval())
    close(frozen(data(2, 4)), (every, last))
    only = compiled("network N:\n    input x: B 4\n    a = relu\n    return [x, [a, x]]\n")
    close(only(x), [x, [x.relu(), x]])


def test_lists_in_a_network_that_is_compiled_and_frozen() -> None:
    module = compiled(FPN).eval()
    maps = [data(1, 8 * 2**i, 8 >> i, 8 >> i, seed=i) for i in range(3)]
    wanted = module(*maps)
    close(torch.compile(module, fullgraph=True, backend="eager")(*maps), wanted)
    close(ogive.freeze(module, debug=True)(*maps), wanted)


def test_joins_of_lists() -> None:
    module = compiled("""
network N:
    input x: B 4
    a = x * 2
    b = x * 3
    first = [x, a] + [b]
    turned = reversed(first)
    joined = turned[1:] -> concat
    every  = first      -> stack
    return joined, every, len(first) * x
""")
    x = data(2, 4)
    close(module(x), (torch.cat([2 * x, x], 1), torch.stack([x, 2 * x, 3 * x], 1), 3 * x))
