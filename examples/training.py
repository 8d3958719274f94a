"""What the examples share: scikit-learn's handwritten digits, and a training loop that shows how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

__all__ = ["Digits", "Scenes", "accuracy", "batches", "digits", "fit", "scenes", "shifted", "train"]


@dataclass(frozen=True)
class Digits:
    """Images `B 1 8 8` in 0..1 and labels `B`, split into what is learned from and what is held out."""

    images: Tensor
    labels: Tensor
    held_out_images: Tensor
    held_out_labels: Tensor


def digits(few: bool = False) -> Digits:
    """The 1,797 digits that scikit-learn ships (Alpaydin & Kaynak 1998); a fifth of them is held out. `few` takes
    160 of them, to see that something runs."""
    images, labels = (values[: 160 if few else None] for values in load_digits(return_X_y=True))
    scaled = (images / 16).astype("float32").reshape(-1, 1, 8, 8)
    split = train_test_split(scaled, labels, test_size=0.2, random_state=0, stratify=labels)
    learned, held_out, learned_labels, held_out_labels = (torch.tensor(x) for x in split)
    return Digits(learned, learned_labels, held_out, held_out_labels)


def shifted(images: Tensor) -> Tensor:
    """Each image moved by up to a pixel in each direction."""
    count = len(images)
    padded = F.pad(images, (1, 1, 1, 1))
    rows = torch.randint(0, 3, (count, 1, 1)) + torch.arange(8)[:, None]
    cols = torch.randint(0, 3, (count, 1, 1)) + torch.arange(8)
    return padded[torch.arange(count)[:, None, None], :, rows, cols].movedim(-1, 1)


def fit(
    module: nn.Module, loss: Callable[[int], Tensor], steps: int, rate: float = 3e-3, title: str = "training",
    news: Callable[[], str] | None = None, decay: float = 0.05,
) -> None:
    """Train in place: AdamW, one cycle of learning rates, `steps` steps of `loss(step)`. On the way it shows the loss,
    and ten times what `news` says."""
    optimiser = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.2)
    columns = (
        TextColumn(f"  {title}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[news]}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )
    module.train()
    said, mean = "", 0.0
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=steps, news="")
        for step in range(steps):
            value = loss(step)
            optimiser.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            mean = value.item() if step == 0 else 0.95 * mean + 0.05 * value.item()
            if news is not None and (step + 1) % max(steps // 10, 1) == 0:
                module.eval()
                said = "  " + news()
                module.train()
            progress.update(task, advance=1, news=f"loss {mean:.3f}{said}")
    module.eval()


def batches(count: int, batch: int) -> Callable[[int], Tensor]:
    """For each step the places of its batch: all of `count` in a new order, again and again."""
    order: list[Tensor] = []

    def chosen(step: int) -> Tensor:
        if not order:
            order.extend(torch.randperm(count)[: count // batch * batch].split(batch))
        return order.pop()

    return chosen


def train(model: nn.Module, data: Digits, epochs: int = 80, batch: int = 64, rate: float = 3e-3) -> None:
    """Teach a network the digits: labels smoothed by 0.1, images shifted by up to a pixel."""
    chosen = batches(len(data.images), batch)

    def loss(step: int) -> Tensor:
        places = chosen(step)
        return F.cross_entropy(model(shifted(data.images[places])), data.labels[places], label_smoothing=0.1)

    steps = epochs * (len(data.images) // batch)
    fit(model, loss, steps, rate, news=lambda: f"held out {accuracy(model, data):.1%}")


@torch.inference_mode()
def accuracy(model: nn.Module, data: Digits) -> float:
    """Share of held-out digits that are read right."""
    model.eval()
    return (model(data.held_out_images).argmax(1) == data.held_out_labels).float().mean().item()


@dataclass(frozen=True)
class Scenes:
    """Images `B 1 S S` of several digits; `labels` B K of int, -1 where there is none; `boxes` B K 4, centre, width and
    height as shares of the image; `masks` B S S of int, 0 or the label plus 1."""

    images: Tensor
    labels: Tensor
    boxes: Tensor
    masks: Tensor


def scenes(images: Tensor, labels: Tensor, count: int, side: int = 24, most: int = 3) -> Scenes:
    """Up to `most` digits that do not overlap, on a noisy ground."""
    made = torch.rand(count, 1, side, side) * 0.3
    names, masks = torch.full((count, most), -1), torch.zeros(count, side, side, dtype=torch.long)
    boxes = torch.zeros(count, most, 4)
    for i in range(count):
        cells = torch.randperm(4)[: int(torch.randint(1, most + 1, ()))]  # one digit to a quarter of the image
        for k, cell in enumerate(cells.tolist()):
            which = int(torch.randint(len(images), ()))
            room = side // 2 - 8
            top, left = (side // 2 * c + int(torch.randint(room + 1, ())) for c in divmod(cell, 2))
            ink = images[which, 0]
            part = made[i, 0, top : top + 8, left : left + 8]
            part.copy_(torch.maximum(part, ink))
            masks[i, top : top + 8, left : left + 8][ink > 0.4] = labels[which] + 1
            names[i, k] = labels[which]
            rows, cols = (ink > 0.2).any(1).nonzero(), (ink > 0.2).any(0).nonzero()
            y0, y1 = top + int(rows[0]), top + int(rows[-1]) + 1
            x0, x1 = left + int(cols[0]), left + int(cols[-1]) + 1
            boxes[i, k] = torch.tensor([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]) / side
    return Scenes(made, names, boxes, masks)
