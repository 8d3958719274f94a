"""Boxes: corners, how far two overlap, offsets from one to another, and the suppression of what is found twice."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["centred", "corners", "moved", "offsets", "overlaps", "strongest"]


def corners(boxes: Tensor) -> Tensor:
    """Centre, width, height to left, top, right, bottom: `... 4`."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - size / 2, centre + size / 2], -1)


def centred(boxes: Tensor) -> Tensor:
    """Left, top, right, bottom to centre, width, height: `... 4`."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(low + high) / 2, high - low], -1)


def overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (Rezatofighi et al. 2019, arXiv:1902.09630) of all pairs of boxes given by their corners:
    `... n 4`, `... m 4` -> `... n m`."""
    a, b = a[..., :, None, :], b[..., None, :, :]
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    either = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - both
    around = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    hull = around.prod(-1).clamp(min=1e-6)
    iou = both / either.clamp(min=1e-6)
    return iou, iou - (hull - either) / hull


def offsets(start: Tensor, goal: Tensor) -> Tensor:
    """What leads from boxes to others, both as corners `... 4`: the way of the centre in widths and heights, and the
    logarithm of the growth (R-CNN, appendix C)."""
    a, b = centred(start), centred(goal)
    return torch.cat([(b[..., :2] - a[..., :2]) / a[..., 2:], (b[..., 2:] / a[..., 2:]).log()], -1)


def moved(start: Tensor, by: Tensor) -> Tensor:
    """Boxes as corners `... 4`, moved by offsets; nothing grows more than fourfold."""
    a = centred(start)
    size = a[..., 2:]
    return corners(torch.cat([a[..., :2] + by[..., :2] * size, size * by[..., 2:].clamp(max=1.4).exp()], -1))


def strongest(boxes: Tensor, scores: Tensor, count: int, most: float = 0.5) -> Tensor:
    """Which `count` boxes have the highest scores, without those that overlap a better one by more than `most`:
    `B A 4`, `B A` -> `B count`. Where all are taken or suppressed, the first follows."""
    left, found = scores.clone(), []
    every = torch.arange(len(boxes))
    for _ in range(count):
        best = left.argmax(1)
        found.append(best)
        near, _ = overlaps(boxes[every, best][:, None], boxes)
        left = left.masked_fill(near[:, 0] > most, -torch.inf)
        left[every, best] = -torch.inf
    return torch.stack(found, 1)
