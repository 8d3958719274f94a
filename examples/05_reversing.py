"""A sequence is written backwards, and the attention that does it is drawn.

    python examples/05_reversing.py

The network is the library's RNNSearch (Bahdanau et al. 2014, arXiv:1409.0473), small: a recurrent encoder in both
directions, a decoder that looks over it by additive attention. While training it is told the last word; then it
writes by itself. Words are drawn at random; sequences are 4 to 10 long. Its attention is the diagonal that runs back.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from pictures import Figure
from torch import Tensor, nn
from training import fit

import ogive

OUT = Path(__file__).parent.parent / "demo"
WORDS = 12
"""Words are 1 to 11; 0 stands before the first."""


def drawn(count: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sources `count length`, what is to be written, and the same one place later, behind a 0."""
    source = torch.randint(1, WORDS, (count, length))
    answer = source.flip(1)
    return source, answer, F.pad(answer[:, :-1], (1, 0))


@torch.inference_mode()
def written(model: nn.Module, source: Tensor) -> tuple[Tensor, Tensor]:
    """What the network writes by itself, word for word, and its attention `B T N`."""
    said = torch.zeros(len(source), 1, dtype=torch.long)
    answer = {}
    for _ in range(source.shape[1]):
        answer = model(source, said)
        said = torch.cat([said, answer["logits"][:, -1:].argmax(-1)], 1)
    return said[:, 1:], answer["weight"]


def right(model: nn.Module, length: int, count: int = 100) -> float:
    """The share of fresh sequences that are reversed without a mistake."""
    source, answer, _ = drawn(count, length)
    return float((written(model.eval(), source)[0] == answer).all(1).float().mean())


def main(quick: bool = False, out: Path = OUT) -> float:
    """The share of sequences of ten words that are reversed without a mistake."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = ogive.load("bahdanau", "RNNSearch", source_vocab=WORDS, target_vocab=WORDS, dim=24, hidden=48, maxed=24)
    print(f"{network.name}: {network.parameter_count:,} parameters", flush=True)
    model = ogive.compile(network)

    def loss(step: int) -> Tensor:
        source, answer, before = drawn(64, 4 + step % 7)
        return F.cross_entropy(model(source, before)["logits"].flatten(0, 1), answer.flatten())

    fit(model, loss, 6 if quick else 900, rate=1e-2, news=lambda: f"reversed {right(model, 10):.0%}", decay=1e-4)
    share = right(model, 10, 300)
    print(f"{share:.1%} of 300 sequences of ten words reversed without a mistake", flush=True)
    figure = Figure(side=150)
    for length in (5, 7, 10):
        source, _, _ = drawn(1, length)
        said, weight = written(model, source)
        print("  " + " ".join(map(str, source[0].tolist())) + "  ->  " + " ".join(map(str, said[0].tolist())))
        figure.cell(1 - weight[0] / weight.max(), f"{length} words: row reads column")
    figure.save(out / "reversing.svg")
    return share


if __name__ == "__main__":
    main()
