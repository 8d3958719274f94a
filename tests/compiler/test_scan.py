"""`scan` and carried values as modules: against the same recurrence written by hand, and against torch's own cells."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ogive
from ogive import ArchError

LSTM = """
network Lstm(hidden=4):
    input xs: B N 3
    steps = scan x in xs with h = zeros(hidden), c = zeros(hidden):
        x, h -> concat
        gates      = linear(4 * hidden)
        i, f, g, o = split(4)
        taken      = i -> sigmoid
        kept       = f -> sigmoid
        new        = g -> tanh
        opened     = o -> sigmoid
        cell       = kept * c + taken * new
        bent       = cell -> tanh
        y          = opened * bent
        next c = cell
        next h = y
        emit y
    return words=steps, last=h, cell=c
"""

NESTED = """
network Nested:
    input xs: B N 3, ys: B M 3
    outer = scan x in xs with s = zeros(3):
        inner = scan y in ys with h = s + x:
            mix = linear(3)
            k   = mix + h
            next h = k
            emit k
        next s = h
        emit h, all=inner
    return outer, outer.all
"""

DECODER = """
block Decoder(vocab, dim):
    input memory: B M dim, ids: B N of int
    h0    = memory -> take(0)
    wte   = ids    -> embedding(vocab, dim)
    steps = scan word in wte with h = h0, c = zeros(dim):
        _, h -> concat
        query = linear(dim)
        tanh
        next h = _
        next c = c + _
        emit _ + c

network Translate(vocab=11, dim=6):
    input words: B M of int, ids: B N of int
    enc = embedding(vocab, dim)
    dec = enc, ids -> Decoder(vocab, dim)
    head = linear(vocab)
"""


def compiled(text: str, **settings: Any) -> Any:
    return ogive.compile(ogive.loads(text, **settings), debug=True, dtype=torch.float64)


def data(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def close(found: Any, wanted: Any) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


def cell_of(module: Any) -> nn.LSTMCell:
    """torch's cell with the same weights: its gates are those of x and those of h, one beside the other."""
    cell = nn.LSTMCell(3, 4).double()
    with torch.no_grad():
        cell.weight_ih.copy_(module.steps.gates.weight[:, :3])
        cell.weight_hh.copy_(module.steps.gates.weight[:, 3:])
        cell.bias_ih.copy_(module.steps.gates.bias)
        cell.bias_hh.zero_()
    return cell


def looped(cell: nn.LSTMCell, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    h = c = x.new_zeros(x.shape[0], 4)
    out = []
    for t in range(x.shape[1]):
        h, c = cell(x[:, t], (h, c))
        out.append(h)
    return torch.stack(out, 1), h, c


# ------------------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize("length", [1, 5])
def test_an_lstm_by_hand_is_torch_s(length: int) -> None:
    module = compiled(LSTM)
    cell = cell_of(module)
    x = data(2, length, 3).requires_grad_()
    y = x.detach().clone().requires_grad_()
    found, wanted = module(x), looped(cell, y)
    assert list(found) == ["words", "last", "cell"]
    for a, b in zip(found.values(), wanted, strict=True):
        close(a, b)
    (found["words"].square().sum() + found["cell"].sum()).backward()
    (wanted[0].square().sum() + wanted[2].sum()).backward()
    close(x.grad, y.grad)
    close(module.steps.gates.weight.grad, torch.cat([cell.weight_ih.grad, cell.weight_hh.grad], 1))
    close(module.steps.gates.bias.grad, cell.bias_ih.grad)


def test_one_body_serves_every_length() -> None:
    module = compiled(LSTM)
    long = data(2, 9, 3)
    close(module(long[:, :4])["words"], module(long)["words"][:, :4])
    assert list(module.state_dict()) == ["steps.gates.weight", "steps.gates.bias"]


def test_multiply_adds_count_once_for_each_position() -> None:
    net = ogive.loads(LSTM)
    assert net.parameter_count == 7 * 16 + 16
    assert [net.macs(N=n) for n in (1, 5)] == [7 * 16, 5 * 7 * 16]


def test_a_scan_in_a_scan() -> None:
    module = compiled(NESTED)
    x, y = data(2, 3, 3), data(2, 4, 3, seed=1)
    s, every, last = x.new_zeros(2, 3), [], []
    for t in range(3):
        h, row = s + x[:, t], []
        for u in range(4):
            h = module.outer.inner.mix(y[:, u]) + h
            row.append(h)
        s = h
        last.append(h)
        every.append(torch.stack(row, 1))
    found = module(x, y)
    close(found[0], torch.stack(last, 1))
    close(found[1], torch.stack(every, 1))


def test_a_repeat_in_a_scan() -> None:
    module = compiled("""
network N:
    input xs: B N 3
    steps = scan x in xs with h = zeros(3):
        _ + h
        repeat 2 as blocks[i]:
            fc = linear(3)
            tanh
        next h = _
        emit _
""")
    x = data(2, 4, 3)
    h, out = x.new_zeros(2, 3), []
    for t in range(4):
        h = x[:, t] + h
        for i in range(2):
            h = module.get_submodule(f"steps.blocks.{i}.fc")(h).tanh()
        out.append(h)
    close(module(x), torch.stack(out, 1))


def test_a_scan_in_a_repeat() -> None:
    module = compiled("""
network N:
    input xs: B N 3
    repeat 2 as layers[i]:
        steps = scan x in _ with h = ones(3):
            fc = linear(3)
            next h = _ + 2 * h
            emit h
""")
    assert [k for k in module.state_dict() if "bias" in k] == ["layers.0.steps.fc.bias", "layers.1.steps.fc.bias"]
    x = data(2, 4, 3)
    found = module(x)
    for i in range(2):
        h, out = torch.ones(2, 3, dtype=x.dtype), []
        for t in range(4):
            out.append(h)
            h = module.get_submodule(f"layers.{i}.steps.fc")(x[:, t]) + 2 * h
        x = torch.stack(out, 1)
    close(found, x)


def test_a_shared_module_and_a_tied_weight_in_and_out_of_the_body() -> None:
    module = compiled("""
network N:
    input xs: B N 3
    shared g = linear(3)
    outside = xs -> g
    w       = linear(3, bias=False)
    steps = scan x in xs with h = zeros(3):
        inside = x -> g
        tied   = linear(3, bias=False, weight=w.weight)
        next h = tied + h
        emit inside + h
    steps + w
""")
    assert list(module.state_dict()) == ["g.weight", "g.bias", "w.weight", "steps.tied.weight"]
    assert module.steps.tied.weight is module.w.weight
    x = data(2, 4, 3)
    w = module.g(x) @ module.w.weight.T
    h, out = x.new_zeros(2, 3), []
    for t in range(4):
        inside = module.g(x[:, t])
        out.append(inside + h)
        h = inside @ module.w.weight.T + h
    close(module(x), torch.stack(out, 1) + w)
    module(x).sum().backward()
    assert module.g.weight.grad.abs().sum() > 0


def test_states_may_be_lists_and_sequences_several() -> None:
    module = compiled("""
network N:
    input xs: B N 3, ids: B N of int
    steps = scan x in xs, id in ids with h = [zeros(3), ones(3)], k = zeros(5):
        wte  = id   -> embedding(7, 5)
        a    = h[0] + x
        fc   = h[1] -> linear(3)
        next h = [a, fc]
        next k = k + wte
        emit a, k=k
    return steps, k=steps.k, last=h, sum=k
""")
    x, ids = data(2, 4, 3), torch.tensor([[1, 2, 3, 4], [0, 0, 6, 6]])
    with pytest.raises(ArchError, match="A705"):
        module(x, ids[:, :3])
    steps, k, last, total = module(x, ids)
    close(steps, x.cumsum(1))
    close(total, module.steps.wte(ids).sum(1))
    close(k[:, 3], total - module.steps.wte(ids[:, 3]))
    h = torch.ones(2, 3, dtype=x.dtype)
    for _ in range(4):
        h = module.steps.fc(h)
    assert isinstance(last, list)
    close(last[1], h)


def test_what_the_body_reads_from_outside() -> None:
    module = compiled("""
network N:
    input xs: B N 3, memory: B M 3
    t = learned(3)
    steps = scan x in xs with h = t:
        read = memory -> mean_over(M)
        next h = h + read
        emit h * t + x
""")
    x, memory = data(2, 4, 3), data(2, 5, 3, seed=1)
    h = module.t.expand(2, 3)
    out = []
    for t in range(4):
        out.append(h * module.t + x[:, t])
        h = h + memory.mean(1)
    close(module(x, memory), torch.stack(out, 1))


def test_a_scan_without_states_is_a_map_and_one_without_emit_a_fold() -> None:
    head = "network N:\n    input xs: B N 3\n"
    module = compiled(f"{head}    each = scan x in xs:\n        fc = linear(2)\n        emit _\n")
    x = data(2, 4, 3)
    close(module(x), module.each.fc(x))
    fold = compiled(f"{head}    scan x in xs with h = zeros(3):\n        next h = h * 0.5 + x\n")
    wanted = sum(x[:, t] * 0.5 ** (3 - t) for t in range(4))
    close(fold(x), wanted)


def test_what_a_body_does_not_read_enters_all_the_same() -> None:
    module = compiled("""
network N:
    input xs: B N 3, ys: B N 2
    scan x in xs, y in ys with h = ones(4), last = zeros(2):
        next h = h * 2
        next last = y
        emit h
    return _, h, last
""")
    y = data(2, 5, 2)
    powers, h, last = module(data(2, 5, 3), y)
    close(powers[0, :, 0], torch.tensor([1, 2, 4, 8, 16], dtype=torch.float64))
    close(h, torch.full((2, 4), 32, dtype=torch.float64))
    close(last, y[:, -1])


def test_a_mask_that_a_call_may_leave_away_in_the_body() -> None:
    module = compiled("""
network N:
    input xs: B N 4, memory: B M 4, mask?: B M of bool
    steps = scan x in xs with h = zeros(1, 1, 4):
        q    = h + x
        fc   = linear(4)
        read = fc, memory, memory -> attend(1, mask=mask)
        next h = read
        emit read
    return h
""")
    assert list(module.state_dict()) == ["steps.fc.weight", "steps.fc.bias"]
    x, memory = data(2, 3, 4), data(2, 5, 4, seed=1)
    mask = torch.tensor([[True] * 3 + [False] * 2] * 2)
    close(module(x, memory, mask), module(x, memory[:, :3]))
    close(copy.deepcopy(module)(x, memory, mask), module(x, memory, mask))
    frozen = ogive.freeze(module.eval(), given=["mask"])
    close(frozen(x, memory, mask), module(x, memory, mask))


def test_a_batchnorm_in_the_body_counts_every_position() -> None:
    module = compiled("""
network N:
    input xs: B N 4
    steps = scan x in xs with h = zeros(4):
        bn = batchnorm
        next h = bn + h
        emit h
""")
    x = data(5, 3, 4)
    module(x)
    assert int(module.steps.bn.num_batches_tracked) == 3
    other = copy.deepcopy(module)
    other(x)
    assert [int(m.steps.bn.num_batches_tracked) for m in (module, other)] == [3, 6]
    close(ogive.freeze(module.eval())(x), module(x))


def test_a_scan_in_a_shared_block_runs_where_the_block_runs() -> None:
    module = compiled("""
block Enc:
    input xs: B N C
    s = scan x in xs with h = zeros(C):
        fc = linear(C)
        next h = fc + h
        emit h

network N:
    input a: B N 4, b: B M 4
    shared enc = Enc
    p = a -> enc
    q = b -> enc
    return p=p, q=q
""")
    assert list(module.state_dict()) == ["enc.s.fc.weight", "enc.s.fc.bias"]
    x = data(2, 5, 4)
    found = module(x, x[:, :3])
    close(found["p"][:, :3], found["q"])


def test_weights_from_outside_reach_the_body() -> None:
    module = compiled(LSTM)
    zeros = {k: torch.zeros_like(v) for k, v in module.state_dict().items()}
    x = data(2, 5, 3)
    assert torch.func.functional_call(module, zeros, (x,))["words"].abs().sum() == 0
    assert module(x)["words"].abs().sum() > 0


def test_a_decoder_in_a_block() -> None:
    module = compiled(DECODER)
    words, ids = torch.randint(11, (2, 5)), torch.randint(11, (2, 3))
    memory = module.enc(words)
    h, c, out = memory[:, 0], torch.zeros(2, 6, dtype=memory.dtype), []
    for t in range(3):
        q = module.dec.steps.query(torch.cat([module.dec.wte(ids[:, t]), h], 1)).tanh()
        out.append(q + c)
        h, c = q, c + q
    close(module(words, ids), module.head(torch.stack(out, 1)))


# ------------------------------------------------------------------------------------------------ carried values


def euler(f: Callable[[Tensor], Tensor], y: Tensor, n: int) -> Tensor:
    for _ in range(n):
        y = y + f(y) / n
    return y


def rk4(f: Callable[[Tensor], Tensor], y: Tensor, n: int) -> Tensor:
    h = 1 / n
    for _ in range(n):
        a = f(y)
        b = f(y + h / 2 * a)
        c = f(y + h / 2 * b)
        d = f(y + h * c)
        y = y + h / 6 * (a + 2 * b + 2 * c + d)
    return y


ODE = """
block Field(dim):
    input y: B dim
    inner = linear(2 * dim)
    tanh
    outer = linear(dim)

network Ode(steps=4, method: "euler" | "rk4" = "euler"):
    input x: B 3
    shared g = Field(3)
    h = 1 / steps
    repeat steps with y = x:
        k1 = y -> g
        if method == "euler":
            next y = y + h * k1
        else:
            k2 = y + h / 2 * k1 -> g
            k3 = y + h / 2 * k2 -> g
            k4 = y + h * k3     -> g
            next y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    y
"""


@pytest.mark.parametrize(("method", "solver"), [("euler", euler), ("rk4", rk4)])
def test_a_neural_ode(method: str, solver: Callable[..., Tensor]) -> None:
    """Chen et al. 2018, with the two fixed-step solvers of every textbook."""
    module = compiled(ODE, method=f'"{method}"', steps=4)
    assert list(module.state_dict()) == ["g.inner.weight", "g.inner.bias", "g.outer.weight", "g.outer.bias"]
    x = data(2, 3).requires_grad_()
    field = lambda y: module.g.outer(module.g.inner(y).tanh())  # noqa: E731
    wanted = solver(field, x, 4)
    close(module(x), wanted)
    [found] = torch.autograd.grad(module(x).square().sum(), x)
    [by_hand] = torch.autograd.grad(wanted.square().sum(), x)
    close(found, by_hand)


def test_numbers_and_lists_are_carried_too() -> None:
    module = compiled("""
network N:
    input x: B 3
    repeat 4 as i with y = x, width = 2, made = [x]:
        fc{i} = y -> linear(width)
        next y = fc{i}
        next width = width + 1
        next made = made + [fc{i}]
    return y, all=made
""")
    assert [p.shape[0] for p in module.parameters() if p.dim() == 2] == [2, 3, 4, 5]
    y, made = module(data(2, 3))
    assert [m.shape[1] for m in made] == [3, 2, 3, 4, 5]
    close(made[-1], y)


# ------------------------------------------------------------------------------------------------ the module around it


def test_a_copy_is_its_own() -> None:
    module = compiled(LSTM)
    x = data(2, 5, 3)
    other = copy.deepcopy(module)
    close(other(x), module(x))
    with torch.no_grad():
        other.steps.gates.weight.zero_()
        other.steps.gates.bias.zero_()
    assert other(x)["words"].abs().sum() == 0, "the body of the copy reads the copy's weights"
    assert module(x)["words"].abs().sum() > 0
    module.load_state_dict(other.state_dict())
    close(module(x), other(x))


def test_dtypes_and_replaced_weights_reach_the_body() -> None:
    module = ogive.compile(ogive.loads(LSTM))
    x = data(2, 5, 3)
    assert module(x.float())["words"].dtype == torch.float32
    assert module.double()(x)["words"].dtype == torch.float64
    module.steps.gates.weight = nn.Parameter(torch.zeros_like(module.steps.gates.weight))
    module.steps.gates.bias = nn.Parameter(torch.zeros_like(module.steps.gates.bias))
    assert module(x)["words"].abs().sum() == 0
    meta = ogive.compile(ogive.loads(LSTM), device="meta")
    assert meta.to_empty(device="cpu").steps.gates.weight.device.type == "cpu"


def test_train_and_eval_reach_the_body() -> None:
    module = compiled("""
network N:
    input xs: B N 3
    steps = scan x in xs with h = zeros(3):
        dropout(0.5)
        next h = h + _
        emit h
""")
    x = torch.ones(4, 6, 3, dtype=torch.float64)
    assert not torch.equal(module(x), module(x))
    module.eval()
    close(module(x), x.cumsum(1) - x)


@pytest.mark.parametrize("text", [LSTM, NESTED], ids=["lstm", "nested"])
def test_frozen_and_compiled_answer_alike(text: str) -> None:
    module = compiled(text).eval()
    xs = (data(2, 3, 3), data(2, 4, 3, seed=1))[: 1 if text is LSTM else 2]
    wanted = module(*xs)
    for other in (ogive.freeze(module, debug=True), torch.compile(module, backend="eager")):
        found = other(*xs)
        assert type(found) is type(wanted)
        close(found, wanted)


def test_freezing_folds_nothing_that_a_body_uses_too() -> None:
    module = compiled("""
network N:
    input xs: B N 4
    shared c = linear(4)
    a     = xs -> c
    n     = batchnorm
    relu
    steps = scan t in _ with h = zeros(4):
        y = t -> c
        next h = h + y
        emit h
""")
    x = data(2, 5, 4)
    for _ in range(3):
        module(x + 1)
    module.eval()
    frozen = ogive.freeze(module, debug=True)
    close(frozen(x), module(x))


def test_features_of_a_scan_are_what_it_emits() -> None:
    module = compiled(LSTM)
    x = data(2, 5, 3)
    found = ogive.features(module, x, ["steps"])["steps"]
    close(found, module(x)["words"])
    with pytest.raises(ArchError, match="A711"):
        ogive.features(module, x, ["steps.gates"])


def test_hooks_see_every_position() -> None:
    module = compiled(LSTM)
    seen: list[tuple[int, ...]] = []
    module.steps.gates.register_forward_hook(lambda m, args, out: seen.append(tuple(out.shape)))
    module(data(2, 5, 3))
    assert seen == [(2, 16)] * 5


def test_it_trains() -> None:
    """The sum of a sequence is learned: gradients reach through time."""
    torch.manual_seed(0)
    module = compiled(LSTM)
    head = nn.Linear(4, 1).double()
    optimiser = torch.optim.Adam([*module.parameters(), *head.parameters()], lr=0.05)
    x = data(32, 6, 3)
    wanted = x[:, 0, :1]  # the first position, seen from the last
    losses = []
    for _ in range(60):
        loss = (head(module(x)["last"]) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 3
