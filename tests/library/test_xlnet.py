"""XLNet's two streams against transformers: keys, numbers, gradients, and what each stream may see."""

from __future__ import annotations

import peers
import pytest
import torch
from parity import Calling, hold, hold_first_weights, quickly

import ogive

SMALL = {"dim": 16, "depth": 2, "heads": 4, "vocab": 30}
ORDER = [3, 0, 5, 1, 4, 2]
"""In which order the words are read."""


def reference(**settings: int) -> torch.nn.Module:
    """Its code of offsets in the type of its weights: with two streams it forgets to cast it."""
    tf = peers.transformers()
    model = tf.XLNetModel(tf.XLNetConfig(**settings))
    code = model.relative_positional_encoding
    model.relative_positional_encoding = lambda *args, **given: code(*args, **given).to(model.dtype)
    return model


def later(order: list[int]) -> torch.Tensor:
    """True where the key is read with the query or after it; the first word of all may see the second."""
    when = torch.tensor([order.index(i) for i in range(len(order))])
    hidden = when[None, :] >= when[:, None]
    hidden[order[0], order[1]] = False
    return hidden


def call(module: torch.nn.Module, ids: torch.Tensor, segment: torch.Tensor, hidden: torch.Tensor) -> tuple:
    every = torch.eye(ids.shape[1], dtype=module.dtype).expand(len(ids), -1, -1)
    given = {"token_type_ids": segment, "perm_mask": hidden.to(module.dtype), "use_mems": False}
    return (module(ids, **given).last_hidden_state, module(ids, target_mapping=every, **given).last_hidden_state)


def test_outputs_and_gradients() -> None:
    theirs = reference(d_model=16, n_layer=2, n_head=4, d_inner=64, vocab_size=30)
    ids, segment = torch.randint(30, (2, 6)), torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1]])
    hidden = later(ORDER).expand(2, 6, 6)
    hold(ogive.compile(ogive.load("xlnet", "XLNet.base", **SMALL)), Calling(theirs, call), ids, segment, hidden)


@pytest.mark.parametrize(("preset", "params"), quickly([("base", 116_718_336), ("large", 360_268_800)]))
def test_keys_and_shapes(preset: str, params: int) -> None:
    network = ogive.load("xlnet", f"XLNet.{preset}")
    dim, depth, heads = (network.settings[k] for k in ("dim", "depth", "heads"))
    with torch.device("meta"):
        theirs = reference(d_model=dim, n_layer=depth, n_head=heads, d_inner=4 * dim).state_dict()
        ours = ogive.compile(network).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert network.parameter_count == params
    assert network.parameter_count + 32_000 == {116_718_336: 116_750_336, 360_268_800: 360_300_800}[params]  # LM head


def test_what_each_stream_sees() -> None:
    """The content of a word knows the word; its query does not, and neither knows what is read later."""
    torch.manual_seed(0)
    module = ogive.compile(ogive.load("xlnet", "XLNet.base", **SMALL)).eval()
    ids, segment, hidden = torch.randint(30, (1, 6)), torch.zeros(1, 6, dtype=torch.long), later(ORDER)[None]
    word = ORDER[3]
    changed = ids.clone()
    changed[0, word] = (ids[0, word] + 1) % 30
    with torch.inference_mode():
        before, after = module(ids, segment, hidden), module(changed, segment, hidden)
    moved = {name: ((before[name] - after[name])[0].abs().amax(1) > 1e-6).nonzero()[:, 0].tolist() for name in before}
    assert moved == {"features": sorted(ORDER[3:]), "queries": sorted(ORDER[4:])}


def test_first_weights() -> None:
    theirs = reference(d_model=16, n_layer=2, n_head=4, d_inner=64, vocab_size=30)
    hold_first_weights(lambda: ogive.compile(ogive.load("xlnet", "XLNet.base", **SMALL)), lambda: theirs)
