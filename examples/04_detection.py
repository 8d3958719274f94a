"""A small DETR finds digits: a set of boxes, matched with the true ones.

    python examples/04_detection.py

Images of 24 x 24 hold one to three of scikit-learn's digits. Each of six queries answers with a digit or nothing, and
with a box. The Hungarian method (scipy) gives each true box the query that fits best, and the loss is theirs (Carion et
al. 2020, arXiv:2005.12872).
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from boxes import corners, overlaps
from pictures import Figure
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from training import Scenes, batches, digits, fit, scenes

import ogive

HERE = Path(__file__).parent
OUT = HERE.parent / "demo"
NOTHING = 10
Answer = dict[str, Tensor]


@torch.no_grad()
def matched(answer: Answer, labels: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Image, query and true box of each pair that is given to one another."""
    named = labels.clamp(min=0)[:, None].expand(-1, answer["logits"].shape[1], -1)
    likely = answer["logits"].softmax(-1).gather(-1, named)
    _, overlap = overlaps(corners(answer["boxes"]), corners(boxes))
    costs = -likely + 5 * torch.cdist(answer["boxes"], boxes, p=1) - 2 * overlap
    pairs = []
    for i, (cost, there) in enumerate(zip(costs, labels >= 0, strict=True)):
        rows, cols = linear_sum_assignment(cost[:, there].numpy())
        pairs += [(i, row, int(there.nonzero()[col])) for row, col in zip(rows.tolist(), cols.tolist(), strict=True)]
    image, query, true = torch.tensor(pairs).T
    return image, query, true


def set_loss(answer: Answer, labels: Tensor, boxes: Tensor) -> Tensor:
    """The loss of matched queries in digit and box, and of the others in that there is nothing."""
    image, query, true = matched(answer, labels, boxes)
    wanted = torch.full(answer["logits"].shape[:2], NOTHING)
    wanted[image, query] = labels[image, true]
    weight = torch.ones(NOTHING + 1)
    weight[NOTHING] = 0.2
    named = F.cross_entropy(answer["logits"].flatten(0, 1), wanted.flatten(), weight)
    found, asked = answer["boxes"][image, query], boxes[image, true]
    _, overlap = overlaps(corners(found)[:, None], corners(asked)[:, None])
    return named + 5 * (found - asked).abs().sum(-1).mean() + 2 * (1 - overlap).mean()


@torch.inference_mode()
def found(model: nn.Module, held_out: Scenes) -> float:
    """The share of true digits that some query names, in a box of an overlap of a half at least."""
    answer = model.eval()(held_out.images)
    right = every = 0
    for i, labels in enumerate(held_out.labels):
        true = labels[labels >= 0]
        overlap, _ = overlaps(corners(answer["boxes"][i]), corners(held_out.boxes[i, labels >= 0]))
        named = answer["logits"][i].argmax(-1)[:, None] == true[None]
        right += int((named & (overlap >= 0.5)).any(0).sum())
        every += len(true)
    return right / every


def main(quick: bool = False, out: Path = OUT) -> float:
    """The share of digits found in images made of digits that were held out."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = digits(few=quick)
    learned = scenes(data.images, data.labels, 64 if quick else 3000)
    held_out = scenes(data.held_out_images, data.held_out_labels, 16 if quick else 200)
    network = ogive.load(str(HERE / "04_detection.arch"))
    print(f"{network.name}: {network.parameter_count:,} parameters, {network.macs():,} multiply-adds", flush=True)
    model = ogive.compile(network)
    chosen = batches(len(learned.images), 32)

    def loss(step: int) -> Tensor:
        places = chosen(step)
        return set_loss(model(learned.images[places]), learned.labels[places], learned.boxes[places])

    fit(model, loss, 6 if quick else 1200, rate=1e-3, news=lambda: f"found {found(model, held_out):.1%}", decay=1e-4)
    share = found(model, held_out)
    print(f"{share:.1%} of the digits of held-out images found", flush=True)
    draw(model, held_out).save(out / "detection.svg")
    return share


@torch.inference_mode()
def draw(model: nn.Module, held_out: Scenes, count: int = 8) -> Figure:
    """Images with the boxes of queries that name a digit."""
    answer = model.eval()(held_out.images[:count])
    figure = Figure(side=144)
    for i in range(count):
        share, read = answer["logits"][i].softmax(-1).max(-1)
        told = [(answer["boxes"][i, q].tolist(), f"{int(read[q])} {share[q]:.0%}")
                for q in range(len(read)) if int(read[q]) != NOTHING]
        true = " ".join(str(int(x)) for x in held_out.labels[i] if x >= 0)
        figure.cell(1 - held_out.images[i, 0], f"there are {true}", told)
        if i % 4 == 3:
            figure.row()
    return figure


if __name__ == "__main__":
    main()
