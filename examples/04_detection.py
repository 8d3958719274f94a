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
from pictures import Figure
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from training import Scenes, batches, digits, fit, scenes

import ogive

HERE = Path(__file__).parent
OUT = HERE.parent / "demo"
NOTHING = 10
Answer = dict[str, Tensor]


def corners(boxes: Tensor) -> Tensor:
    """Centre, width, height to left, top, right, bottom: `... 4`."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - size / 2, centre + size / 2], -1)


def generous_overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (Rezatofighi et al. 2019, arXiv:1902.09630) of all pairs: `n 4`, `m 4` -> `n m`."""
    a, b = corners(a)[:, None], corners(b)[None]
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    either = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - both
    around = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    hull = around.prod(-1).clamp(min=1e-6)
    iou = both / either.clamp(min=1e-6)
    return iou, iou - (hull - either) / hull


@torch.no_grad()
def matched(answer: Answer, labels: Tensor, boxes: Tensor, i: int) -> tuple[Tensor, Tensor]:
    """The queries of image i and the true boxes that they are given."""
    true = (labels[i] >= 0).nonzero().flatten()
    likely = answer["logits"][i].softmax(-1)[:, labels[i, true]]
    _, overlap = generous_overlap(answer["boxes"][i], boxes[i, true])
    cost = -likely + 5 * torch.cdist(answer["boxes"][i], boxes[i, true], p=1) - 2 * overlap
    rows, cols = linear_sum_assignment(cost.numpy())
    return torch.as_tensor(rows), true[torch.as_tensor(cols)]


def set_loss(answer: Answer, labels: Tensor, boxes: Tensor) -> Tensor:
    """The loss of matched queries in digit and box, and of the others in that there is nothing."""
    wanted = torch.full(answer["logits"].shape[:2], NOTHING)
    near, wide = [], []
    for i in range(len(labels)):
        rows, cols = matched(answer, labels, boxes, i)
        wanted[i, rows] = labels[i, cols]
        _, overlap = generous_overlap(answer["boxes"][i, rows], boxes[i, cols])
        near.append((answer["boxes"][i, rows] - boxes[i, cols]).abs().sum(-1))
        wide.append(1 - overlap.diagonal())
    weight = torch.ones(NOTHING + 1)
    weight[NOTHING] = 0.2
    named = F.cross_entropy(answer["logits"].flatten(0, 1), wanted.flatten(), weight)
    return named + 5 * torch.cat(near).mean() + 2 * torch.cat(wide).mean()


@torch.inference_mode()
def found(model: nn.Module, held_out: Scenes) -> float:
    """The share of true digits that some query names, in a box of an overlap of a half at least."""
    answer = model.eval()(held_out.images)
    right = every = 0
    for i, labels in enumerate(held_out.labels):
        true = labels[labels >= 0]
        overlap, _ = generous_overlap(answer["boxes"][i], held_out.boxes[i, labels >= 0])
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
