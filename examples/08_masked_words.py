"""A small BERT fills in words that are masked.

    python examples/08_masked_words.py

The text is what the standard library of Python says of itself: the docstrings of its modules, cut into stretches of
eight words. Of all words 15 % are masked, others at every step; the library's BERT (Devlin et al. 2018,
arXiv:1810.04805), small, gives every place a distribution over the 500 commonest, and the loss is minus the mean of
log p of the masked words alone. Modules that it never saw tell how well it guesses.
"""

from __future__ import annotations

import ast
import re
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
from pictures import COLOURS, Figure
from torch import Tensor, nn
from training import batches, fit

import ogive

OUT = Path(__file__).parent.parent / "demo"
VOCABULARY, LENGTH, SHARE, WIDTH = 500, 8, 0.15, 64
MASK, UNKNOWN = 0, 1
"""The first two numbers of the vocabulary stand for no word."""


def docstrings(place: Path) -> Iterator[str]:
    """What a module and its classes and functions say of themselves, in order."""
    for node in ast.walk(ast.parse(place.read_text("utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield ast.get_docstring(node) or ""


def words_of(places: list[Path]) -> list[str]:
    """The words and signs of these modules, in small letters; what is said twice is read once, sessions are not."""
    said = dict.fromkeys(text for place in places for text in docstrings(place) if ">>>" not in text)
    return [word for text in said for word in re.findall(r"[a-z]+|[^\sa-z]", text.lower())]


def stretches(words: list[str], numbers: dict[str, int]) -> Tensor:
    """The words as numbers, `count LENGTH`."""
    ids = torch.tensor([numbers.get(word, UNKNOWN) for word in words])
    return ids[: len(ids) // LENGTH * LENGTH].unflatten(0, (-1, LENGTH))


def masked(ids: Tensor) -> tuple[Tensor, Tensor]:
    """15 % of the known words behind a mask, and where they are."""
    hidden = (torch.rand(ids.shape) < SHARE) & (ids != UNKNOWN)
    return ids.masked_fill(hidden, MASK), hidden


def likely(model: nn.Module, ids: Tensor) -> Tensor:
    """log p of every word at every place, `B N VOCABULARY`; all are of one segment."""
    answer: Tensor = model(ids, torch.zeros_like(ids))
    return answer.log_softmax(-1)


def loss_of(said: Tensor, ids: Tensor, hidden: Tensor) -> Tensor:
    """Minus the mean log p of the masked words alone."""
    return -said[hidden].gather(-1, ids[hidden][:, None]).mean()


@torch.no_grad()
def widen(model: nn.Module) -> None:
    """BERT's first weights are drawn for a width of 768; so small a network needs larger ones to tell places apart."""
    for name, weight in model.named_parameters():
        if name.startswith("layers.") and weight.dim() == 2:
            weight *= (768 / WIDTH) ** 0.5


@torch.inference_mode()
def guessed(model: nn.Module, ids: Tensor) -> float:
    """The share of masked words that the network names, a fixed choice of them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        seen, hidden = masked(ids)
    return float((likely(model.eval(), seen).argmax(-1) == ids)[hidden].float().mean())


def main(quick: bool = False, out: Path = OUT) -> dict[str, float]:
    """The share of masked words that are guessed in modules held out, and what the commonest word alone would do."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[: 10 if quick else None]
    learned_words = words_of([place for i, place in enumerate(modules) if i % 10])
    common = [word for word, _ in Counter(learned_words).most_common(VOCABULARY - 2)]
    numbers = {word: i + 2 for i, word in enumerate(common)}
    held_out_words = words_of(modules[::10])
    learned, held_out = stretches(learned_words, numbers), stretches(held_out_words, numbers)
    network = ogive.load("bert", "MaskedBERT", dim=WIDTH, depth=1, heads=4, vocab=VOCABULARY, length=LENGTH, drop=0.0)
    print(f"{network.name}: {network.parameter_count:,} parameters; it reads {learned.numel():,} words", flush=True)
    model = ogive.compile(network)
    widen(model)
    chosen = batches(len(learned), 160)

    def loss(step: int) -> Tensor:
        ids = learned[chosen(step)]
        seen, hidden = masked(ids)
        return loss_of(likely(model, seen), ids, hidden)

    fit(model, loss, 6 if quick else 1800, rate=2e-3, news=lambda: f"guessed {guessed(model, held_out):.1%}")
    known = held_out[held_out != UNKNOWN]
    commonest = float((known == known.mode().values).float().mean())
    shares = {"guessed": guessed(model, held_out), "commonest word": commonest}
    for name, share in shares.items():
        print(f"{name:14} {share:.1%} of the masked words of modules held out", flush=True)
    draw(model, held_out, held_out_words, ["", "", *common]).save(out / "masked_words.svg")
    return shares


@torch.inference_mode()
def draw(model: nn.Module, held_out: Tensor, said: list[str], common: list[str], rows: int = 12) -> Figure:
    """Text that was held out, three stretches a line: masked words as they are guessed, and what they are where the
    guess is wrong."""
    wrong, right = COLOURS[0], COLOURS[2]
    figure = Figure()
    figure.line([("masked words as they are guessed:", "black"), ("right", right), ("wrong(what it is)", wrong),
                 ("a word that it does not know", "gray")])
    seen, hidden = masked(held_out)
    read = likely(model.eval(), seen).argmax(-1)
    for start in torch.linspace(0, len(held_out) - 3, rows).long().tolist():
        line = []
        for i in range(start, start + 3):
            for word, number, guess, there in zip(said[i * LENGTH :], held_out[i], read[i], hidden[i], strict=False):
                if there:
                    hit = bool(number == guess)
                    line.append((word, right) if hit else (f"{common[guess]}({word})", wrong))
                else:
                    line.append((word, "gray" if number == UNKNOWN else "black"))
            line.append(("/", "gray"))
        figure.line(line[:-1])
    return figure


if __name__ == "__main__":
    main()
