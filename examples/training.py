"""What the examples share: scikit-learn's handwritten digits, and a training loop that shows how far it is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

__all__ = ["Digits", "accuracy", "digits", "train"]


@dataclass(frozen=True)
class Digits:
    """Images `B 1 8 8` in 0..1 and labels `B`, split into what is learned from and what is held out."""

    images: Tensor
    labels: Tensor
    held_out_images: Tensor
    held_out_labels: Tensor


def digits() -> Digits:
    """The 1,797 digits that scikit-learn ships (Alpaydin & Kaynak 1998); a fifth of them is held out."""
    images, labels = load_digits(return_X_y=True)
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


def train(model: nn.Module, data: Digits, epochs: int = 80, batch: int = 64, rate: float = 3e-3) -> None:
    """Train in place: AdamW, one cycle of learning rates, labels smoothed by 0.1, images shifted by a pixel."""
    steps = len(data.images) // batch
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=epochs * steps, pct_start=0.2)
    columns = (
        TextColumn("  training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[news]}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )
    model.train()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=epochs, news="")
        for epoch in range(1, epochs + 1):
            total = 0.0
            for chosen in torch.randperm(len(data.images))[: steps * batch].split(batch):
                loss = F.cross_entropy(model(shifted(data.images[chosen])), data.labels[chosen], label_smoothing=0.1)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                total += loss.item()
            news = f"epoch {epoch}  loss {total / steps:.3f}"
            if epoch % 10 == 0:
                news += f"  held out {accuracy(model, data):.1%}"
                model.train()
            progress.update(task, advance=1, news=news)
    model.eval()


@torch.inference_mode()
def accuracy(model: nn.Module, data: Digits) -> float:
    """Share of held-out digits that are read right."""
    model.eval()
    return (model(data.held_out_images).argmax(1) == data.held_out_labels).float().mean().item()
