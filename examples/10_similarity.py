"""What the layers of a vision transformer and of a convolutional network hold, and how alike that is.

    python examples/10_similarity.py

Both networks of examples/01_digits.arch are trained; `ogive.features` gives what each node of them says of the held-out
digits. The first row of the picture is how alike two nodes are, shallow to deep, by linear CKA (Kornblith et al. 2019,
arXiv:1905.00414; Raghu et al. 2021, arXiv:2108.08810, figures 1 and 2). Then come the head applied to every token (the
logit of the true digit over the image), the cosine similarity of each position embedding with all others, and the
filters that each network sees the image through.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from pictures import Figure
from torch import Tensor, nn
from training import accuracy, digits, train

import ogive

HERE = Path(__file__).parent
OUT = HERE.parent / "demo"
NODES = {
    "Digits": ["patch_embed", "blocks.0.attn", "blocks.0", "blocks.1.attn", "blocks.1", "blocks.2.attn", "blocks.2",
               "norm", "head"],
    "ConvDigits": ["stages.0.conv1", "stages.0.norm1", "stages.0.conv2", "stages.0", "stages.1.conv1",
                   "stages.1.norm1", "stages.1.conv2", "stages.1", "head"],
}
"""Of each network, shallow to deep."""


def gram(x: Tensor) -> Tensor:
    """The products of every two examples, what they share taken off, at length 1: `n ...` -> `n n`."""
    rows = x.flatten(1).double()
    products = (rows - rows.mean(0)) @ (rows - rows.mean(0)).T
    return products / products.norm()


def similarity(first: list[Tensor], second: list[Tensor]) -> Tensor:
    """Linear CKA of every value of one list with every value of the other, 0 to 1: `len(first) len(second)`."""
    a, b = (torch.stack([gram(x).flatten() for x in values]) for values in (first, second))
    return a @ b.T


@torch.inference_mode()
def told(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The logit of the true digit at the class token, `B`, and at every other token, `B h w`."""
    tokens = ogive.features(model, images, ["norm"])["norm"]
    logits = model.head(tokens)[torch.arange(len(labels)), :, labels]
    side = round((logits.shape[1] - 1) ** 0.5)
    return logits[:, 0], logits[:, 1:].unflatten(1, (side, side))


def neighbours(position: Tensor) -> Tensor:
    """The cosine similarity of each place's embedding with all others: `1 (1 + h w) C` -> `(h w) h w`."""
    places = F.normalize(position[0, 1:], dim=-1)
    side = round(len(places) ** 0.5)
    return (places @ places.T).unflatten(1, (side, side))


def main(quick: bool = False, out: Path = OUT) -> dict[str, Tensor]:
    """The similarities of the transformer's nodes, of the conv net's, and between them; and of the positions."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = digits(few=quick)
    models: dict[str, nn.Module] = {}
    values: dict[str, list[Tensor]] = {}
    for name, epochs in (("Digits", 40), ("ConvDigits", 15)):
        models[name] = model = ogive.compile(ogive.load(str(HERE / "01_digits.arch"), name))
        train(model, data, 1 if quick else epochs)
        print(f"{name}: {accuracy(model, data):.1%} of the held-out digits right", flush=True)
        with torch.inference_mode():
            values[name] = list(ogive.features(model.eval(), data.held_out_images, NODES[name]).values())
    transformer, convolutional = values.values()
    found = {
        "transformer": similarity(transformer, transformer), "conv net": similarity(convolutional, convolutional),
        "transformer (down) and conv net (across)": similarity(transformer, convolutional),
    }
    for name, table in found.items():
        print(f"{name}: first and last node {table[0, -1]:.2f}", flush=True)
    position = neighbours(models["Digits"].state_dict()["pos_embed"])
    figure = heat(found)
    count = 8
    logits = told(models["Digits"], data.held_out_images[:count], data.held_out_labels[:count])[1]
    over(figure, data.held_out_images[:count, 0], data.held_out_labels[:count], logits)
    figure.side = 200
    figure.cell(signed(tiles(position, 4)), "each position's likeness to all")
    for name, weight in (("Digits", "patch_embed.proj.weight"), ("ConvDigits", "stages.0.conv1.weight")):
        filters = models[name].get_parameter(weight).detach()[:, 0]
        figure.cell(signed(tiles(filters / filters.abs().amax((1, 2), keepdim=True), 8)), f"{name}: filters")
    figure.save(out / "similarity.svg")
    return found | {"position": position}


def heat(tables: dict[str, Tensor]) -> Figure:
    """The tables as heat maps, 0 white and 1 black, the first node at the top left."""
    figure = Figure(side=260)
    for name, table in tables.items():
        figure.cell(1 - table, f"{name}: CKA")
    figure.row()
    for name, nodes in NODES.items():
        figure.line([(f"{name}, shallow to deep:", "black"), (", ".join(nodes), "gray")])
    figure.side = 88
    figure.line([])
    return figure


def over(figure: Figure, images: Tensor, labels: Tensor, logits: Tensor) -> None:
    """The logit of the true digit over each image: red where a token speaks for it, blue where against."""
    most = float(logits.abs().max())
    for image, label, logit in zip(images, labels.tolist(), logits, strict=True):
        wide = F.interpolate(logit[None, None], size=(32, 32), mode="bilinear")[0, 0] / most
        ink = F.interpolate(image[None, None], size=(32, 32))[0, 0]
        figure.cell(signed(wide) - 0.4 * ink, f"logit of {label}")
    figure.row()


def signed(values: Tensor) -> Tensor:
    """Values `h w` in -1..1 as colours, blue to red; 0 is white."""
    red, blue = values.clamp(min=0), (-values).clamp(min=0)
    return torch.stack([1 - blue, 1 - red - blue, 1 - red])


def tiles(maps: Tensor, across: int) -> Tensor:
    """Maps `n h w` beside each other, a line of zeros between them."""
    rows = F.pad(maps, (0, 1, 0, 1)).split(across)
    return torch.cat([torch.cat(list(row), 1) for row in rows], 0)


if __name__ == "__main__":
    main()
