"""torch.nn's transformer: its keys, its numbers, its gradients."""

from __future__ import annotations

import pytest
import torch
from parity import close, hold, stirred

import ogive

TABLE = {"base": 44_140_544, "big": 176_361_472}
WHOLE = {"base": 63_084_544, "big": 214_249_472}
"""With one table of 37,000 words. The paper prints 65 M and 213 M: neither comes out."""


class Reference(torch.nn.Module):
    """torch.nn.Transformer on a batch first, its decoder causal."""

    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        self.net = torch.nn.Transformer(
            32, 4, 3, 3, 64, dropout=0.1, batch_first=True, norm_first=norm_first
        )
        self.state_dict, self.named_parameters = self.net.state_dict, self.net.named_parameters  # type: ignore

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        ahead = torch.nn.Transformer.generate_square_subsequent_mask(target.shape[1], dtype=target.dtype)
        return self.net(source, target, tgt_mask=ahead)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_outputs_and_gradients(norm_first: bool) -> None:
    network = ogive.load("transformer", "Transformer.base", dim=32, heads=4, hidden=64, depth=3, norm_first=norm_first)
    hold(ogive.compile(network), Reference(norm_first), torch.randn(2, 7, 32), torch.randn(2, 5, 32))


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.filterwarnings("ignore:.*key_padding_mask and attn_mask")
def test_padding_is_seen_by_nobody() -> None:
    """torch's padding masks are True where nothing is, ours where something is; each may be left away."""
    network = ogive.load("transformer", "Transformer.base", dim=32, heads=4, hidden=64, depth=2)
    ours, theirs = ogive.compile(network).double().eval(), stirred(Reference(False).net.double().eval())
    theirs.encoder.layers, theirs.decoder.layers = theirs.encoder.layers[:2], theirs.decoder.layers[:2]
    ours.load_state_dict(theirs.state_dict(), strict=True)
    source, target = torch.randn(3, 7, 32).double(), torch.randn(3, 5, 32).double()
    words = [torch.arange(n)[None] < torch.tensor(ends)[:, None] for n, ends in ((7, (7, 4, 1)), (5, (2, 5, 3)))]
    ahead = torch.ones(5, 5, dtype=torch.bool).triu(1)
    for first, second in ((words[0], words[1]), (words[0], None), (None, words[1])):
        hidden = [None if x is None else ~x for x in (first, second)]
        wanted = theirs(source, target, tgt_mask=ahead, src_key_padding_mask=hidden[0],
                        tgt_key_padding_mask=hidden[1], memory_key_padding_mask=hidden[0])
        found = ours(source, target, source_mask=first, target_mask=second)
        close(found, wanted, 1e-9)
        close(ours(source + 9 * (~first[..., None] if first is not None else 0), target, source_mask=first,
                   target_mask=second), wanted, 1e-9)
    assert not torch.allclose(found, ours(source, target))


@pytest.mark.parametrize("preset", TABLE)
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_keys_shapes_and_cost(preset: str) -> None:
    network = ogive.load("transformer", f"Transformer.{preset}")
    dim, heads, hidden = (network.settings[k] for k in ("dim", "heads", "hidden"))
    with torch.device("meta"):
        theirs = torch.nn.Transformer(dim, heads, 6, 6, hidden).state_dict()
        ours = ogive.compile(network).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert network.parameter_count == TABLE[preset]
    # N source places, M target places, of which half see each other: 4 projections, 2 products, 2 linears
    n, m = 100, 40
    encoder = n * (4 * dim**2 + 2 * dim * hidden) + 2 * n * n * dim
    decoder = m * (6 * dim**2 + 2 * dim * hidden) + n * 2 * dim**2 + m * (m + 1) * dim + 2 * m * n * dim
    assert network.macs(N=n, M=m) == 6 * (encoder + decoder)


def test_the_decoder_sees_nothing_ahead() -> None:
    network = ogive.load("transformer", "Transformer.base", dim=32, heads=4, hidden=64, depth=2)
    module = ogive.compile(network).eval()
    source, target = torch.randn(1, 7, 32), torch.randn(1, 6, 32)
    changed = target.clone()
    changed[:, 4] += 1
    with torch.inference_mode():
        before, after = module(source, target), module(source, changed)
    assert torch.allclose(before[:, :4], after[:, :4], atol=1e-6)
    assert not torch.allclose(before[:, 4:], after[:, 4:], atol=1e-2)


def test_first_weights() -> None:
    """Glorot's uniform for every matrix, as torch.nn.Transformer resets them; biases start at zero."""
    torch.manual_seed(0)
    for key, p in ogive.compile(ogive.load("transformer", "Transformer.base", depth=1)).named_parameters():
        if p.dim() == 2:
            limit = (6 / sum(p.shape)) ** 0.5
            assert p.abs().max() <= limit
            assert abs(p.std().item() - limit / 3**0.5) <= 6 * limit / p.numel() ** 0.5, key
        elif key.endswith("bias"):
            assert not p.any(), key


@pytest.mark.parametrize("preset", WHOLE)
def test_one_table_of_words(preset: str) -> None:
    network = ogive.load("transformer", f"Translator.{preset}")
    assert network.parameter_count == WHOLE[preset] == TABLE[preset] + 37_000 * network.settings["dim"]


def test_from_words_to_scores() -> None:
    """The table times the root of the width, sines and cosines of each place, torch's transformer, the table again."""
    torch.manual_seed(0)
    ours = ogive.compile(ogive.load("transformer", "Translator.base", dim=32, heads=4, hidden=64, depth=2, vocab=20))
    theirs = stirred(torch.nn.Transformer(32, 4, 2, 2, 64, batch_first=True).double().eval())
    table = torch.randn(20, 32, dtype=torch.float64)
    ours = ours.double().eval()
    ours.load_state_dict({"words.weight": table, **{f"transformer.{k}": v for k, v in theirs.state_dict().items()}},
                         strict=True)
    source, target = torch.randint(20, (2, 7)), torch.randint(20, (2, 5))
    rate = 10000 ** (-torch.arange(0, 32, 2, dtype=torch.float64) / 32)

    def said(ids: torch.Tensor) -> torch.Tensor:
        turns = torch.arange(ids.shape[1])[:, None] * rate
        return table[ids] * 32**0.5 + torch.stack([turns.sin(), turns.cos()], 2).flatten(1)

    ahead = torch.nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64)
    with torch.inference_mode():
        answer = theirs(said(source), said(target), tgt_mask=ahead) @ table.mT
        close(ours(source, target), answer, 1e-9)
