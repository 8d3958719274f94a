"""A small Faster R-CNN finds digits in two stages, and learns them together.

    python examples/09_two_stages.py

Images of 24 x 24 hold one to three of scikit-learn's digits. At each of 12 x 12 places the first stage says of three
boxes, the anchors, whether there is an object and where exactly; the best become proposals. The second stage cuts each
out of the map, and says which digit it is, or none, and where exactly. Four losses are added (Ren et al. 2015,
arXiv:1506.01497): object or not, the offset of an anchor, the digit, the offset of a proposal.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from boxes import centred, corners, moved, offsets, overlaps, strongest
from pictures import Figure
from torch import Tensor, nn
from training import Scenes, batches, digits, fit, scenes

import ogive

HERE = Path(__file__).parent
OUT = HERE.parent / "demo"
SIDE, STRIDE, PROPOSALS, NOTHING = 24, 2, 12, 10
ANCHORS = ((4.0, 8.0), (6.0, 8.0), (8.0, 8.0))
"""Width and height in pixels, at each place."""
WEIGHTS = torch.tensor([10.0, 10.0, 5.0, 5.0])
"""The second stage answers in tenths and fifths, as in R-CNN: its corrections are small."""
LOSSES = ("object", "anchor", "digit", "box")
Answer = dict[str, Tensor]


def anchors() -> Tensor:
    """Every anchor as its corners, `A 4`, in the order of the network's answer: row, column, which."""
    at = torch.arange(SIDE // STRIDE) * STRIDE + STRIDE / 2
    y, x = torch.meshgrid(at, at, indexing="ij")
    centres = torch.stack([x, y], -1)[:, :, None].expand(-1, -1, len(ANCHORS), -1)
    return corners(torch.cat([centres, torch.tensor(ANCHORS).expand_as(centres)], -1)).flatten(0, 2)


@torch.no_grad()
def proposed(answer: Answer) -> Tensor:
    """The best boxes of the first stage, `B PROPOSALS 4`; no gradient goes through them."""
    boxes = moved(anchors(), answer["deltas"]).clamp(0, SIDE)
    chosen = strongest(boxes, answer["objectness"][..., 0], PROPOSALS)
    return boxes.gather(1, chosen[..., None].expand(-1, -1, 4))


def first_stage(model: nn.Module, images: Tensor) -> Answer:
    """The answer of the network where only the first stage is asked: one proposal, the whole image."""
    answer: Answer = model(images, torch.tensor([[[0.0, 0.0, SIDE, SIDE]]]).expand(len(images), -1, -1))
    return answer


def near(boxes: Tensor, true: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """How far each box overlaps the true one that is nearest, and which that is: `B n 4`, `B K 4` -> `B n`."""
    overlap, which = (overlaps(boxes, true)[0] * there[:, None]).max(2)
    return overlap, which


def losses(model: nn.Module, images: Tensor, labels: Tensor, shares: Tensor) -> Tensor:
    """The four losses of a batch; boxes come as shares of the image."""
    true, there = corners(shares * SIDE), labels >= 0
    with torch.no_grad():
        proposals = torch.cat([proposed(first_stage(model, images)), true], 1)  # true ones help while there are few
    answer = model(images, proposals)
    return torch.stack([*first_losses(answer, true, there), *second_losses(answer, proposals, labels, true, there)])


def first_losses(answer: Answer, true: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Object or not, for the anchors that overlap a digit by a half at least or are its best, and for three times as
    many of those below 0.3; and the offset of the former."""
    every = anchors()[None]
    overlap, which = near(every, true, there)
    best = (overlaps(every, true)[0].argmax(1)[..., None] == torch.arange(every.shape[1])) & there[..., None]
    object_ = (overlap >= 0.5) | best.any(1)
    ground = (overlap < 0.3) & ~object_
    ground &= torch.rand(ground.shape) < 3 * object_.sum() / ground.sum()
    asked = object_ | ground
    said = F.binary_cross_entropy_with_logits(answer["objectness"][..., 0][asked], object_[asked].float())
    goal = offsets(every, true.gather(1, which[..., None].expand(-1, -1, 4)))
    return said, F.smooth_l1_loss(answer["deltas"][object_], goal[object_], beta=1 / 9)


def second_losses(
    answer: Answer, proposals: Tensor, labels: Tensor, true: Tensor, there: Tensor
) -> tuple[Tensor, Tensor]:
    """The digit in each proposal, none where it overlaps no digit by a half; and the offset of the others."""
    overlap, which = near(proposals, true, there)
    object_ = overlap >= 0.5
    wanted = torch.where(object_, labels.gather(1, which), NOTHING)
    goal = offsets(proposals, true.gather(1, which[..., None].expand(-1, -1, 4)))[object_] * WEIGHTS
    by = answer["boxes"].unflatten(1, (-1, 4))[object_.flatten(), wanted[object_]]
    return F.cross_entropy(answer["classes"], wanted.flatten()), F.smooth_l1_loss(by, goal)


@torch.inference_mode()
def detected(model: nn.Module, images: Tensor, least: float = 0.5) -> list[list[tuple[int, float, Tensor]]]:
    """Of each image what is found: digit, probability, corners; of boxes of one digit the best where they overlap."""
    model.eval()
    proposals = proposed(first_stage(model, images))
    answer = model(images, proposals)
    said = answer["classes"].softmax(-1).unflatten(0, (len(images), -1))
    share, digit = said[..., :NOTHING].max(-1)
    by = answer["boxes"].unflatten(1, (-1, 4))[torch.arange(digit.numel()), digit.flatten()].unflatten(0, digit.shape)
    boxes = moved(proposals, by / WEIGHTS).clamp(0, SIDE)
    found: list[list[tuple[int, float, Tensor]]] = []
    for i in range(len(images)):
        kept: list[tuple[int, float, Tensor]] = []
        for k in share[i].argsort(descending=True).tolist():
            twice = [box for _, _, box in kept if overlaps(box[None], boxes[i, k][None])[0] > 0.3]
            if share[i, k] > least and not twice:
                kept.append((int(digit[i, k]), float(share[i, k]), boxes[i, k]))
        found.append(kept)
    return found


def scored(model: nn.Module, held_out: Scenes) -> dict[str, float]:
    """The share of true digits that are found, named right in a box of an overlap of a half at least, and the share of
    what is found that is right."""
    right = true = said = 0
    for found, labels, shares in zip(detected(model, held_out.images), held_out.labels, held_out.boxes, strict=True):
        for label, box in zip(labels.tolist(), corners(shares * SIDE), strict=True):
            right += any(d == label and bool(overlaps(b[None], box[None])[0] >= 0.5) for d, _, b in found)
        true += int((labels >= 0).sum())
        said += len(found)
    return {"found": right / true, "right": right / max(said, 1)}


def main(quick: bool = False, out: Path = OUT) -> dict[str, float]:
    """What is found in images made of digits that were held out, and each loss at the end."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = digits(few=quick)
    learned = scenes(data.images, data.labels, 64 if quick else 3000)
    held_out = scenes(data.held_out_images, data.held_out_labels, 16 if quick else 200)
    network = ogive.load(str(HERE / "09_two_stages.arch"))
    macs = network.macs(K=PROPOSALS)
    print(f"{network.name}: {network.parameter_count:,} parameters, {macs:,} multiply-adds", flush=True)
    model = ogive.compile(network)
    chosen = batches(len(learned.images), 32)
    latest = torch.zeros(len(LOSSES))

    def loss(step: int) -> Tensor:
        places = chosen(step)
        each = losses(model, learned.images[places], learned.labels[places], learned.boxes[places])
        latest.copy_(each.detach())
        return each.sum()

    def news() -> str:
        parts = " ".join(f"{name} {value:.2f}" for name, value in zip(LOSSES, latest.tolist(), strict=True))
        return f"{parts}  found {scored(model, held_out)['found']:.1%}"

    fit(model, loss, 6 if quick else 450, rate=3e-3, news=news, decay=1e-4)
    shares = scored(model, held_out)
    print(f"{shares['found']:.1%} of the digits of held-out images found, {shares['right']:.1%} of what is found right",
          flush=True)
    draw(model, held_out).save(out / "two_stages.svg")
    return shares | dict(zip(LOSSES, latest.tolist(), strict=True))


@torch.inference_mode()
def draw(model: nn.Module, held_out: Scenes, count: int = 8) -> Figure:
    """Proposals of the first stage, and below them what the second makes of them."""
    images = held_out.images[:count]
    proposals = proposed(first_stage(model.eval(), images))
    figure = Figure(side=144)
    for half in range(0, count, 4):
        for i in range(half, half + 4):
            figure.cell(1 - images[i, 0], "proposals", [(box, "") for box in (centred(proposals[i]) / SIDE).tolist()])
        figure.row()
        for i, found in enumerate(detected(model, images)[half : half + 4], half):
            told = [((centred(box) / SIDE).tolist(), f"{digit} {share:.0%}") for digit, share, box in found]
            true = " ".join(str(int(x)) for x in held_out.labels[i] if x >= 0)
            figure.cell(1 - images[i, 0], f"there are {true}", told)
        figure.row()
    return figure


if __name__ == "__main__":
    main()
