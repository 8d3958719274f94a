"""Recurrent translation and captions, each against its equations written with torch's own cells."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from parity import close

import ogive

Weights = dict[str, torch.Tensor]
V, D, H = 20, 6, 8
"""Words, the width of their vectors, of the states."""

SOURCE = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
TARGET = torch.tensor([[2, 7, 1], [8, 2, 8]])


def built(file: str, name: str, **settings: object) -> tuple[torch.nn.Module, Weights]:
    torch.manual_seed(0)
    module = ogive.compile(ogive.load(file, name, **settings)).double().eval()
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn_like(p), alpha=0.2)
    return module, dict(module.state_dict())


def filled(module: torch.nn.Module, w: Weights, key: str) -> torch.nn.Module:
    """A module of torch with the weights under a key, all of them."""
    module = module.double()
    module.load_state_dict({k[len(key) + 1 :]: x for k, x in w.items() if k.startswith(f"{key}.")}, strict=True)
    return module


def line(x: torch.Tensor, w: Weights, key: str) -> torch.Tensor:
    return F.linear(x, w[f"{key}.weight"], w.get(f"{key}.bias"))


def words(ids: torch.Tensor, w: Weights, key: str) -> torch.Tensor:
    return w[f"{key}.weight"][ids]


def maxed(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(-1, (-1, 2)).amax(-1)


def test_cho() -> None:
    """The summary goes into the start, each step and each word."""
    module, w = built("seq2seq", "EncoderDecoder", vocab=V, dim=D, hidden=H, maxed=5)
    gru = filled(torch.nn.GRU(D, H, batch_first=True), w, "encoder")
    cell = filled(torch.nn.GRUCell(D + H, H), w, "decoder.cell")
    c = line(gru(words(SOURCE, w, "source_words"))[1][0], w, "summary").tanh()
    h, answers = line(c, w, "bridge").tanh(), []
    for word in words(TARGET, w, "target_words").unbind(1):
        h = cell(torch.cat([word, c], 1), h)
        answers.append(line(maxed(line(torch.cat([h, word, c], 1), w, "deep")), w, "logits"))
    close(module(SOURCE, TARGET), torch.stack(answers, 1), 1e-12)


def test_sutskever() -> None:
    """Four layers on both sides: the decoder is an LSTM that begins where the encoder ended."""
    module, w = built("seq2seq", "Seq2Seq", source_vocab=V, target_vocab=V, dim=H)
    encoder = filled(torch.nn.LSTM(H, H, 4, batch_first=True), w, "encoder")
    decoder = torch.nn.LSTM(H, H, 4, batch_first=True).double()
    decoder.load_state_dict({f"{n}_l{i}": w[f"decoder.cells.{i}.{n}"] for i in range(4)
                             for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}, strict=True)
    _, states = encoder(words(SOURCE, w, "source_words"))
    y, _ = decoder(words(TARGET, w, "target_words"), states)
    close(module(SOURCE, TARGET), line(y, w, "logits"), 1e-12)


def test_bahdanau() -> None:
    module, w = built("bahdanau", "RNNSearch", source_vocab=V, target_vocab=V, dim=D, hidden=H, maxed=5)
    gru = filled(torch.nn.GRU(D, H, batch_first=True, bidirectional=True), w, "encoder")
    cell = filled(torch.nn.GRUCell(D + 2 * H, H), w, "decoder.cell")
    memory, last = gru(words(SOURCE, w, "source_words"))
    s, answers, looks = line(last[1], w, "bridge").tanh(), [], []
    for word in words(TARGET, w, "target_words").unbind(1):
        at = "decoder.align"
        e = line((line(s, w, f"{at}.ask")[:, None] + line(memory, w, f"{at}.keys")).tanh(), w, f"{at}.score")
        a = e[..., 0].softmax(-1)
        c = (a[..., None] * memory).sum(1)
        deep = torch.cat([s, word, c], 1)
        s = cell(torch.cat([word, c], 1), s)
        answers.append(line(maxed(line(deep, w, "deep")), w, "logits"))
        looks.append(a)
    found = module(SOURCE, TARGET)
    close(found["logits"], torch.stack(answers, 1), 1e-12)
    close(found["weight"], torch.stack(looks, 1), 1e-12)
    assert torch.allclose(found["weight"].sum(-1), torch.ones((), dtype=torch.float64))


def test_the_decoder_of_the_lecture() -> None:
    """h' = s(V h + U y + b + c), y' = s(W h' + b), c the mean of the encoder by how alike h is."""
    module, w = built("bahdanau", "AlignedRNN.S", dim=D, inner=H)
    rnn = filled(torch.nn.RNN(D, H, batch_first=True), w, "encoder")
    source, target = torch.randn(2, 5, D).double(), torch.randn(2, 3, D).double()
    memory, _ = rnn(source)
    h, answers = torch.zeros(2, H).double(), []
    for y in target.unbind(1):
        a = torch.einsum("bh,bnh->bn", h, memory).softmax(-1)
        c = torch.einsum("bn,bnh->bh", a, memory)
        h = (line(h, w, "decoder.V") + line(y, w, "decoder.U") + c).sigmoid()
        answers.append(line(h, w, "decoder.W").sigmoid())
    found = module(source, target)
    close(found["y"], torch.stack(answers, 1), 1e-12)


@pytest.mark.parametrize("kind", ["dot", "general", "concat"])
def test_luong(kind: str) -> None:
    """Two layers, input feeding, and the three scores; "concat" is v tanh(W [h, s])."""
    module, w = built("luong", f"Luong.{kind}", source_vocab=V, target_vocab=V, dim=H, layers=2)
    encoder = filled(torch.nn.LSTM(H, H, 2, batch_first=True), w, "encoder")
    cells = [filled(torch.nn.LSTMCell(2 * H if i == 0 else H, H), w, f"decoder.cells.{i}") for i in range(2)]
    memory, (h, c) = encoder(words(SOURCE, w, "source_words"))
    h, c, mixed, answers = list(h), list(c), torch.zeros(2, H).double(), []
    for word in words(TARGET, w, "target_words").unbind(1):
        x = torch.cat([word, mixed], 1)
        for i, cell in enumerate(cells):
            h[i], c[i] = cell(x, (h[i], c[i]))
            x = h[i]
        at = "decoder.score"
        if kind == "concat":
            weight = torch.cat([w[f"{at}.from_memory.weight"], w[f"{at}.from_state.weight"]], 1)
            both = torch.cat([memory, x[:, None].expand_as(memory)], -1)
            e = line((both @ weight.mT).tanh(), w, f"{at}.v_a")[..., 0]
        else:
            keys = line(memory, w, f"{at}.W_a") if kind == "general" else memory
            e = torch.einsum("bh,bnh->bn", x, keys)
        seen = torch.einsum("bn,bnh->bh", e.softmax(-1), memory)
        mixed = line(torch.cat([seen, x], 1), w, "decoder.W_c").tanh()
        answers.append(line(mixed, w, "logits"))
    close(module(SOURCE, TARGET)["logits"], torch.stack(answers, 1), 1e-12)


def vgg(image: torch.Tensor, w: Weights) -> torch.Tensor:
    """VGG-19 in front of its last pooling, by the keys of torchvision."""
    x = image
    keys = sorted(int(key.split(".")[1]) for key in w if key.startswith("features.") and key.endswith("weight"))
    for before, key in zip([-2, *keys], keys, strict=False):
        if key - before == 3:
            x = F.max_pool2d(x, 2)
        x = F.conv2d(x, w[f"features.{key}.weight"], w[f"features.{key}.bias"], padding=1).relu()
    return x


def test_show_attend_tell() -> None:
    """Over the grid of a small VGG's features: where it looks, how much it believes it, and the word."""
    module, w = built("show_attend_tell", "ShowAttendTell", vocab=V, dim=D, hidden=H, inner=7, size=48)
    image = torch.randn(2, 3, 48, 48).double()
    grid = vgg(image, w).flatten(2).mT
    cell = filled(torch.nn.LSTMCell(D + 512, H), w, "decoder.cell")
    h, c = (line(grid.mean(1), w, key).tanh() for key in ("first_h", "first_c"))
    answers, looks = [], []
    for word in words(TARGET, w, "embed").unbind(1):
        at = "decoder.look"
        e = line((line(h, w, f"{at}.ask")[:, None] + line(grid, w, f"{at}.place")).tanh(), w, f"{at}.score")
        a = e.softmax(1)
        z = line(h, w, f"{at}.beta").sigmoid() * (a * grid).sum(1)
        h, c = cell(torch.cat([word, z], 1), (h, c))
        answers.append(line((word + line(h, w, "decoder.from_h") + line(z, w, "decoder.from_z")).tanh(), w, "logits"))
        looks.append(a[..., 0])
    with torch.inference_mode():
        found = module(image, TARGET)
    close(found["logits"], torch.stack(answers, 1), 1e-9)
    close(found["weight"], torch.stack(looks, 1), 1e-9)
