"""A vision transformer learns from a convolutional network: DeiT's distillation, soft and hard.

    python examples/02_distillation.py

The teacher is the conv net of examples/01_digits.arch, the student examples/02_distillation.arch. One student has
labels alone, one also the teacher's answers (soft: their distribution at a temperature; hard: the digit that it says).
Images are shifted by a pixel and mixed in pairs (MixUp, Zhang et al. 2017, arXiv:1710.09412).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from pictures import Figure
from torch import Tensor, nn
from training import Digits, accuracy, batches, digits, fit, shifted, train

import ogive

HERE = Path(__file__).parent
OUT = HERE.parent / "demo"
Kind = Literal["labels alone", "soft", "hard"]


def mixed(images: Tensor, targets: Tensor, strength: float = 0.2) -> tuple[Tensor, Tensor]:
    """MixUp: each image with another one, `B 1 H W`, and its targets `B classes` likewise."""
    share = torch.distributions.Beta(strength, strength).sample((len(images),))
    other = torch.randperm(len(images))
    wide = share[:, None, None, None]
    return wide * images + (1 - wide) * images[other], share[:, None] * targets + (1 - share[:, None]) * targets[other]


def distil(student: nn.Module, teacher: nn.Module, data: Digits, kind: Kind, steps: int, heat: float = 3.0) -> None:
    """Train the student: half its loss from the labels, half from the teacher (DeiT, equations 2 and 3)."""
    chosen = batches(len(data.images), 64)

    def loss(step: int) -> Tensor:
        places = chosen(step)
        images, targets = mixed(shifted(data.images[places]), F.one_hot(data.labels[places], 10).float())
        answer = student(images)
        own = F.cross_entropy(answer["head"], targets, label_smoothing=0.1)
        if kind == "labels alone":
            return (own + F.cross_entropy(answer["head_dist"], targets, label_smoothing=0.1)) / 2
        with torch.no_grad():
            taught = teacher(images)
        if kind == "hard":
            return (own + F.cross_entropy(answer["head_dist"], taught.argmax(1))) / 2
        told = F.kl_div((answer["head_dist"] / heat).log_softmax(1), (taught / heat).softmax(1), reduction="batchmean")
        return (own + heat**2 * told) / 2

    fit(student, loss, steps, title=f"student, {kind}", news=lambda: f"held out {accuracy(student, data):.1%}")


def main(quick: bool = False, out: Path = OUT) -> dict[str, float]:
    """The share of held-out digits that the teacher and each student read right."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = digits(few=quick)
    teacher = ogive.compile(ogive.load(str(HERE / "01_digits.arch"), "ConvDigits"))
    train(teacher, data, 1 if quick else 15)
    shares = {"teacher": accuracy(teacher, data)}
    students: dict[str, nn.Module] = {}
    kinds: tuple[Kind, ...] = ("labels alone", "soft", "hard")
    for kind in kinds:
        torch.manual_seed(1)
        students[kind] = ogive.compile(ogive.load(str(HERE / "02_distillation.arch"), "Student"))
        distil(students[kind], teacher, data, kind, 2 if quick else 800)
        shares[kind] = accuracy(students[kind], data)
    for name, share in shares.items():
        print(f"{name:14} {share:.1%} of {len(data.held_out_labels)} held-out digits right", flush=True)
    draw({"teacher": teacher, **students}, data).save(out / "distillation.svg")
    return shares


@torch.inference_mode()
def draw(models: dict[str, nn.Module], data: Digits) -> Figure:
    """The digits that the teacher is least sure of, and what each network says of them."""
    figure = Figure(side=80)
    said = {name: model.eval()(data.held_out_images).softmax(1) for name, model in models.items()}
    for i in said["teacher"].max(1).values.argsort()[:8].tolist():
        read = " ".join(str(int(share[i].argmax())) for share in said.values())
        figure.cell(1 - data.held_out_images[i, 0], f"{int(data.held_out_labels[i])}: {read}")
    figure.row()
    return figure


if __name__ == "__main__":
    main()
