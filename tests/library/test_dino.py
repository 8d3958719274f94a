"""DINO: the trunk is timm's ViT, the head torch's weight norm; small crops, and no gradient to the teacher."""

from __future__ import annotations

import peers
import pytest
import torch
import torch.nn.functional as F
from parity import close, stirred

import ogive

SMALL = {"dim": 48, "depth": 2, "heads": 3, "out": 40, "path": 0}


class Tower(torch.nn.Module):
    """timm's ViT and the head of the paper, its last layer by torch's weight norm."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.backbone = peers.create("vit_tiny_patch16_224", num_classes=0, embed_dim=48, depth=2, img_size=size)
        self.head = torch.nn.Module()
        gelu, linear = torch.nn.GELU(), torch.nn.Linear
        self.head.mlp = torch.nn.Sequential(linear(48, 2048), gelu, linear(2048, 2048), gelu, linear(2048, 256))
        with pytest.warns(FutureWarning, match="weight_norm"):
            self.head.last_layer = torch.nn.utils.weight_norm(linear(256, 40, bias=False))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head.last_layer(F.normalize(self.head.mlp(self.backbone(image)), dim=-1))


def resampled(table: torch.Tensor, side: int) -> torch.Tensor:
    """The grid of a position table `1 1+n C`, at another side."""
    grid = table[:, 1:].mT.unflatten(2, (14, 14))
    return torch.cat([table[:, :1], F.interpolate(grid, (side, side), mode="bicubic").flatten(2).mT], 1)


def test_outputs_of_both_towers() -> None:
    ours = ogive.compile(ogive.load("dino", "DINO.Ti", **SMALL)).double().eval()
    whole, crops = Tower(224).double().eval(), Tower(96).double().eval()
    student, teacher = stirred(whole).state_dict(), {k: v * 1.1 for k, v in whole.state_dict().items()}
    ours.load_state_dict({**{f"student.{k}": v for k, v in student.items()},
                          **{f"teacher.{k}": v for k, v in teacher.items()}}, strict=True)
    large, small = torch.randn(2, 3, 224, 224).double(), torch.randn(4, 3, 96, 96).double()
    crops.load_state_dict({**student, "backbone.pos_embed": resampled(student["backbone.pos_embed"], 6)})
    with torch.inference_mode():
        found = ours(large, small)
        close(found["student"], whole(large), 1e-6)
        close(found["student_small"], crops(small), 1e-6)
        whole.load_state_dict(teacher)
        close(found["teacher"], whole(large), 1e-6)


def test_only_the_student_learns() -> None:
    """The teacher gets no gradient, nor do the lengths of the last weights; everything else of the student does."""
    torch.manual_seed(0)
    ours = ogive.compile(ogive.load("dino", "DINO.Ti", **SMALL)).train()
    found = ours(torch.randn(2, 3, 224, 224), torch.randn(2, 3, 96, 96))
    target = (found["teacher"] / 0.04).softmax(-1)
    loss = sum(-(target * (y / 0.1).log_softmax(-1)).sum(-1).mean() for y in (found["student"], found["student_small"]))
    loss.backward()
    for key, p in ours.named_parameters():
        moved = key.startswith("student.") and not key.endswith("weight_g")
        assert (p.grad is not None and bool(p.grad.any())) == moved, key


def test_the_cosines_with_unit_prototypes() -> None:
    ours = ogive.compile(ogive.load("dino", "DINO.Ti", **SMALL)).eval()
    with torch.inference_mode():
        answers = ours(torch.randn(3, 3, 224, 224), torch.randn(1, 3, 96, 96))["student"]
    assert answers.abs().max() <= 1 + 1e-5
