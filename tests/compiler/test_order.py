"""`order`: tokens stay in the order that attention works in; every number stays, and so does every key."""

from __future__ import annotations

import copy
import re

import pytest
import torch
import torch.fx as fx

import ogive
from ogive.compiler.freeze import Frozen
from ogive.compiler.lower import attention_walk
from ogive.compiler.module import Network, recast
from ogive.compiler.passes.bake_eval import bake_eval
from ogive.compiler.passes.order import gathers, order
from ogive.compiler.passes.order_modules import OrderedParts, Reorder
from ogive.compiler.passes.order_plan import Orders, Read, Step, cheapest
from ogive.compiler.passes.reading import wipe
from ogive.dsl.diagnostics import ArchError

WRITTEN = """\
block Mix:
    input x: B (u=2 a=3 w=2 b=4) 16
    norm1 = layernorm                                       : B (u a w b) 16
    rearrange                                               : B (u w a b) 16
    qkv   = linear(48)
    q, k, v = split(3)
    q, k, v -> attend(2)
    proj  = linear(16)                                      : B (u w a b) 16
    rearrange                                               : B (u a w b) 16
    y     = _ + x
    norm2 = layernorm
    fc1   = linear(32)
    gelu
    fc2   = linear(16)
    return _ + y

network Net(depth=3):
    input x: B (u=2 a=3 w=2 b=4) 16
    repeat depth as blocks[i]:
        Mix
    norm = layernorm
"""

WINDOWED = """\
block Part(shift=0):
    input x: B (h w) C
    residual(drop_path=0.1):
        norm1 = layernorm
        table = relative_bias(2, 8)
        qkv   = norm1 -> linear(3 * C)
        split(3)
        attend(2, over=window(8, shift), bias=table)
        proj  = linear(C)
    residual:
        norm2 = layernorm
        fc1   = linear(2 * C)
        gelu
        fc2   = linear(C)

network Net(depth=4):
    input image: B 3 H=64 W=80
    patch = patchify(16, 2) : B (h w) 16
    repeat depth as blocks[i]:
        Part(4 if i % 2 == 1 else 0)
    norm = layernorm
    global_pool
"""


def bare(text: str, **settings: object) -> tuple[Network, Network]:
    """A network in evaluation without its dropout, and a copy that `order` has seen."""
    model = ogive.compile(ogive.loads(text, **settings), dtype=torch.float64)
    found = recast(Frozen, copy.deepcopy(model))
    found.train(False)
    found = bake_eval(found)
    moved = order(copy.deepcopy(found))
    wipe(moved)
    moved.graph.lint()
    return found, moved


def reorders(module: Network) -> list[fx.Node]:
    return [n for n in module.graph.nodes if n.op == "call_module" and isinstance(
        module.get_submodule(str(n.target)), Reorder)]


def permutes(module: Network) -> list[fx.Node]:
    return [n for n in module.graph.nodes if n.target == "permute"]


@pytest.mark.parametrize("depth", [2, 5])
def test_a_chain_written_out_moves_twice(depth: int) -> None:
    """Two rearrangements a block become one gather in front of all blocks and one behind."""
    before, after = bare(WRITTEN, depth=depth)
    assert len(permutes(before)) == gathers(before) == 2 * depth
    assert len(permutes(after)) == 0
    assert len(reorders(after)) == gathers(after) == 2
    x = torch.randn(3, 48, 16, dtype=torch.float64)
    assert torch.equal(before(x), after(x))
    assert list(before.state_dict()) == list(after.state_dict())


def test_windows_that_shift_are_one_gather_a_block() -> None:
    before, after = bare(WINDOWED)
    assert gathers(before) == 4 * 4
    assert gathers(after) == len(reorders(after)) == 5, "into the first windows, three times between, and back"
    ordered = [m for m in after.modules() if type(m) is OrderedParts]
    assert len(ordered) == 4
    x = torch.randn(2, 3, 64, 80, dtype=torch.float64)
    assert torch.equal(before(x), after(x))
    assert list(before.state_dict()) == list(after.state_dict())


def test_windows_that_do_not_shift_are_two_gathers_in_all() -> None:
    before, after = bare(WINDOWED.replace("Part(4 if i % 2 == 1 else 0)", "Part"))
    assert (gathers(before), gathers(after)) == (16, 2)
    x = torch.randn(1, 3, 64, 80, dtype=torch.float64)
    assert torch.equal(before(x), after(x))


def test_windows_that_are_attended_to_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """In half precision a part is several calls; where its positions were is known to each."""
    _, together = bare(WINDOWED)
    together = together.to(torch.bfloat16)
    apart = copy.deepcopy(together)
    x = torch.randn(2, 3, 64, 80).to(torch.bfloat16)
    with torch.no_grad():
        wanted = together(x)
        monkeypatch.setattr(attention_walk, "PACKED", 1)
        assert torch.equal(apart(x), wanted)
    steps = [[len(walk.steps) for m in net.modules() if type(m) is OrderedParts for walk in m.walks.values()]
             for net in (together, apart)]
    assert steps == [[1, 4, 1, 4], [1, 15, 1, 15]], "32 x 40 places: one part is one call, of four each is cut"


@pytest.mark.parametrize("grid", [(72, 80), (60, 68)])
def test_windows_that_are_cut_at_the_border(grid: tuple[int, int]) -> None:
    """Smaller last windows are parts of their own."""
    text = WINDOWED.replace("H=64 W=80", f"H={grid[0]} W={grid[1]}")
    before, after = bare(text)
    x = torch.randn(2, 3, *grid, dtype=torch.float64)
    torch.testing.assert_close(after(x), before(x), rtol=0, atol=1e-13)
    count, was = gathers(after), gathers(before)
    assert count is not None and was is not None and count <= was


def test_what_is_traced_is_the_same() -> None:
    _, after = bare(WINDOWED)
    x = torch.randn(2, 3, 64, 80, dtype=torch.float64)
    exported = torch.export.export(after, (x,)).module()
    torch.testing.assert_close(exported(x), after(x), rtol=0, atol=1e-12)


def test_into_windows_as_a_batch_and_out_again() -> None:
    """Windows that become a batch are a gather and a reshape; between two blocks nothing is left of them."""
    class Windows(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = torch.nn.Linear(8, 8)
            self.norm = torch.nn.LayerNorm(8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(2):
                y = self.norm(x).unflatten(1, (2, 3, 2, 4)).permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(0, 2)
                y = torch.softmax(y @ y.transpose(1, 2), -1) @ y
                y = y.reshape(-1, 2, 2, 3, 4, 8).permute(0, 1, 3, 2, 4, 5).flatten(1, 4)
                x = x + self.fc(y)
            return x

    network = ogive.compile(ogive.loads("network N:\n    input x: B (h=6 w=8) 8\n    fc = linear(8)\n"),
                            dtype=torch.float64)
    model = Windows().double()
    graph = fx.symbolic_trace(model).graph
    network.add_module("norm", model.norm)
    network.fc = model.fc
    network.graph = graph
    network.meta["ogive"]["results"] = {}
    assert gathers(network) == 4
    x = torch.randn(3, 48, 8, dtype=torch.float64)
    expected = model(x)
    after = order(network)
    wipe(after)
    assert gathers(after) == 2
    assert torch.equal(after.forward(x), expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("network N:\n    input x: B 12 8\n    fc = linear(8)\n", "nothing here moves tokens"),
        (WINDOWED.replace("H=64 W=80", "H W"), "the size `H` is free"),
        (WINDOWED.replace("window(8, shift), bias=table", 'window(8) | axial("row")'), "parts"),
    ],
)
def test_it_declines_in_words(text: str, words: str) -> None:
    before, after = bare(text)
    (reason,) = set(re.sub(r"^\w+: ", "", r) for r in after.meta["ogive"]["declined"]["order"])
    assert words in reason
    assert [n.name for n in before.graph.nodes] == [n.name for n in after.graph.nodes]


def test_one_way_there_and_back_saves_nothing() -> None:
    """A gather in front of what mixes positions stays where it is."""
    line = "    rearrange                                               : B (u a w b) 16\n    y     = _ + x"
    text = WRITTEN.replace(line, "    y     = _").replace("depth=3", "depth=1").replace("    norm = layernorm\n", "")
    before, after = bare(text)
    assert gathers(before) == gathers(after) == 1
    assert "order" in after.meta["ogive"]["declined"]


def test_what_is_computed_in_another_order_is_no_feature() -> None:
    _, after = bare(WINDOWED)
    lost = after.meta["ogive"]["lost"]
    assert lost["blocks.0.norm1"] == "it is computed with its positions in another order"
    frozen = ogive.freeze(ogive.compile(ogive.loads(WINDOWED)))
    with pytest.raises(ArchError, match="another order"):
        ogive.features(frozen, torch.randn(1, 3, 64, 80), ["blocks.0.norm1"])


def test_freeze_runs_it() -> None:
    model = ogive.compile(ogive.loads(WINDOWED)).eval()
    frozen = ogive.freeze(model)
    assert sum(type(m) is OrderedParts for m in frozen.modules()) == 4
    x = torch.randn(2, 3, 64, 80)
    torch.testing.assert_close(frozen(x), model(x), rtol=1e-4, atol=1e-5)


def test_orders_are_permutations() -> None:
    orders = Orders()
    p, q = orders.number((2, 0, 1)), orders.number((1, 0, 2))
    assert orders.known[orders.after(p, q)] == (0, 2, 1)
    assert orders.after(p, orders.gather(p, q)) == q
    assert orders.after(orders.identity(3), p) == p


def test_the_cheapest_history_is_found() -> None:
    """x -> f in order p twice, with a sum around each: the whole chain stands in p, moved in and out."""
    orders = Orders()
    one, p = orders.identity(3), orders.number((2, 0, 1))
    back = orders.gather(p, one)
    steps = [Step("source", 0, 3)]
    at = 0
    for _ in range(4):
        steps += [
            Step("token", at + 1, 3, (Read(at, p),)),                         # f of the gathered
            Step("token", at + 2, 3, (Read(at + 1, back), Read(at, one))),    # put back, and added
        ]
        at += 2
    steps.append(Step("fixed", -1, 3, (Read(at, one),)))
    found = cheapest(steps, [1] * (at + 1), orders)
    assert found is not None and found.cost == 0, "token by token needs no order at all"
    mixed = [s if i % 2 == 0 or s.kind != "token" else Step("attend", s.made, 3, s.reads, one, 9)
             for i, s in enumerate(steps)]
    found = cheapest(mixed, [1] * (at + 1), orders)
    assert found is not None and found.cost == 2
